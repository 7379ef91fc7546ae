//! What can be asked of the command.

use crate::client::args as client;
use crate::operator::args as operator;
use crate::which::Where;
use crate::words;
use bytesize::ByteSize;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use synod_model::{Model, Tier};

/// Paxos whose checked code is the running code.
#[derive(Parser)]
#[command(
    name = "synod",
    version,
    about,
    max_term_width = 100,
    after_help = "\
Exit status:
  0  as expected, or done
  1  something was not as expected, or the cluster refused or found nothing
  2  could not run, or no member answered
  3  time or memory ran out, or the command may have taken effect

Examples:
  synod check                               the catalogue's fast models
  synod check --tier full --format json     all but the nightly ones, one JSON object a line
  synod check my-model.toml                 a model of your own
  synod explore mutants/any-value           a counterexample, step by step, in the browser
  synod cluster                             a whole cluster on this machine
  synod serve --config cluster.toml --id 0  one member of a cluster, over UDP
  synod put greeting hello                  stores a value
  synod get greeting                        says what is stored"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Checks models and compares what comes out with what their files expect
    Check(Check),
    /// Lists the catalogue, or a cluster's keys
    List(List),
    /// Writes a commented model file to start from
    New(New),
    /// Says what a claim, a witness, a mutant or a key of a model file means
    Explain(Explain),
    /// Opens the stateright Explorer on a model
    Explore(Explore),
    /// Shows, replays or converts a trace, or replays flight records
    Trace(Trace),
    /// Makes the key files that a configuration names
    Keygen(Keygen),
    /// Runs one member of a cluster, over UDP, until SIGTERM
    Serve(Serve),
    /// Runs all members of a cluster on this machine, for trying out
    Cluster(Cluster),
    /// Says how the members of a cluster are
    Status(Status),
    /// Lists the members of a cluster, and changes them
    Member(operator::Member),
    /// Stores a value
    Put(client::Put),
    /// Prints the value of a key
    Get(client::Get),
    /// Stores a value if the expected one is there
    Cas(client::Cas),
    /// Deletes a key
    Delete(client::Delete),
    /// Prints the keys with a prefix and their values
    Keys(client::Keys),
    /// Follows the changes of the keys with a prefix
    Watch(client::Watch),
    /// Takes a lock
    Lock(client::Lock),
    /// Gives a lock back
    Unlock(client::Unlock),
    /// Adds to an account
    Deposit(client::Paying),
    /// Takes from an account, if there is enough
    Withdraw(client::Paying),
    /// Moves an amount from one account to another, if there is enough
    Transfer(client::Transfer),
    /// Prints the balance of an account
    Balance(client::Balance),
    /// Prints completions for a shell
    Completions(Completions),
    /// Prints the manual pages
    Man,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Without an argument, and with arguments that name models, it lists models. One argument that names no model is a prefix of keys, if there is a \
configuration of a cluster: then it does what `synod keys` does.

Examples:
  synod list
  synod list mutants/ --format json
  synod list user/                   the keys that begin with user/, and their values")]
pub struct List {
    #[command(flatten)]
    pub select: Select,
    #[command(flatten)]
    pub cluster: Where,
    /// Of keys: takes the answers of any member, which may be old
    #[arg(long)]
    pub stale: bool,
    /// Of keys: how long to wait for an answer, such as 500ms or 10s
    #[arg(long, value_parser = words::duration, default_value = "10s")]
    pub timeout: Duration,
}

#[derive(ClapArgs)]
pub struct New {
    /// The file to write; `.toml` is added where there is no ending
    pub name: String,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  synod explain P2b           a claim: what it says, where it holds, what breaks it
  synod explain any-value     a mutant
  synod explain witnesses     a key of a model file")]
pub struct Explain {
    /// The name
    pub name: String,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  synod completions bash > ~/.local/share/bash-completion/completions/synod
  synod completions zsh > ~/.zfunc/_synod")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Which models.
#[derive(ClapArgs)]
pub struct Select {
    /// Model files, folders of them, or names of the catalogue; without any, the catalogue
    pub paths: Vec<String>,
    /// Models up to this tier: 2 minutes, 10 minutes, hours [default: all that PATHS name; without any, fast, and all for list]
    #[arg(long, value_enum)]
    pub tier: Option<TierArg>,
    /// Only models whose name contains this text
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    pub format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum TierArg {
    Fast,
    Full,
    Nightly,
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Tier {
        match tier {
            TierArg::Fast => Tier::Fast,
            TierArg::Full => Tier::Full,
            TierArg::Nightly => Tier::Nightly,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table
    Human,
    /// One JSON object a line
    Json,
    /// JUnit XML
    Junit,
    /// Annotations for GitHub Actions
    Github,
}

/// What is remembered of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// All of it: no state is ever taken for another
    Exact,
    /// Fingerprints of 64 bits
    #[value(name = "64")]
    Bits64,
    /// Fingerprints of 128 bits
    #[value(name = "128")]
    Bits128,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Ours: exact, parallel, the handlers called once per distinct local step
    Interned,
    /// stateright's breadth-first search, for comparison
    Stateright,
}

#[derive(ClapArgs)]
#[command(after_help = "\
A model that must fail and does fail is ok. A search that was cut short never is.

Examples:
  synod check
  synod check --filter mutants/ --threads 2
  synod check acceptors/three models/my.toml --time 10m --memory 8GiB --report out")]
pub struct Check {
    #[command(flatten)]
    pub select: Select,
    /// Threads to explore with [default: all cores]
    #[arg(long, value_name = "N", value_parser = words::threads)]
    pub threads: Option<u16>,
    /// Time for the whole run, such as 90s or 10m
    #[arg(long, value_parser = words::duration)]
    pub time: Option<Duration>,
    /// Memory for the models that are explored at a time, such as 8GiB [default: three quarters of what the machine has]
    #[arg(long, value_parser = words::bytes)]
    pub memory: Option<ByteSize>,
    /// What explores
    #[arg(long, value_enum, default_value = "interned")]
    pub engine: Engine,
    /// What is remembered of the states that were seen: all of it, or fingerprints of so many bits
    #[arg(long, value_enum, default_value = "exact")]
    pub table: Table,
    /// A folder in which states wait that do not fit into `--memory`
    #[arg(long, value_name = "DIR")]
    pub spill: Option<PathBuf>,
    /// A folder in which to note down, now and then and when time or memory run out, how far each model is
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Goes on from the checkpoints that are there
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,
    /// Explores every state, whatever a model's `[reduce]` says: what comes out must be the same, its counts apart
    #[arg(long)]
    pub no_reductions: bool,
    /// Writes an HTML report, with traces and diagrams, into this folder
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  synod explore acceptors/three
  synod explore mutants/last-value            prints the link to the counterexample
  synod explore acceptors/three --trace run.trace --listen 127.0.0.1:4000")]
pub struct Explore {
    /// A model file or a name of the catalogue
    pub model: String,
    /// A trace to open
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Where to serve
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000", value_parser = words::address)]
    pub listen: SocketAddr,
}

#[derive(ClapArgs)]
#[command(after_help = "\
A trace names its model in a header line, `# model: NAME`. In the place of a trace there may be a model with a run in it.

Examples:
  synod trace show run.trace
  synod trace show data/ --instance 17         what real members did in one instance of the log, in words
  synod trace replay data/                     every flight record in the folder: all members of a cluster
  synod trace diagram run.trace > run.svg
  synod trace diagram scenarios/d5-takeover > takeover.svg
  synod trace test run.trace >> tests/regressions.rs")]
pub struct Trace {
    #[command(subcommand)]
    pub what: TraceCommand,
}

#[derive(Subcommand)]
pub enum TraceCommand {
    /// As text, with a diagram for the terminal; also the flight records of a real run, in words
    Show(Show),
    /// Step by step through the actors, every property evaluated after each; also the flight records of a real run
    Replay(Replay),
    /// As a Rust test
    Test(TraceFile),
    /// As an SVG message diagram
    Diagram(TraceFile),
}

#[derive(ClapArgs)]
pub struct TraceFile {
    /// The trace, or a model with a scenario or an expected lasso
    pub file: PathBuf,
    /// The model, if the trace does not name it
    #[arg(long)]
    pub model: Option<String>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  synod trace show run.trace
  synod trace show data/                       the last steps of all members below one folder
  synod trace show data/ --instance 17         those that speak of one instance of the log")]
pub struct Show {
    /// A trace, or a model with a scenario or an expected lasso; or data directories or flight records, of all members of one cluster
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The model, if a trace does not name it
    #[arg(long)]
    pub model: Option<String>,
    /// Of flight records: tells the steps that speak of this instance, or ask for its commands
    #[arg(long, value_name = "N")]
    pub instance: Option<u64>,
    /// Of flight records: tells the steps of this group alone
    #[arg(long, value_name = "N")]
    pub group: Option<u8>,
    /// Of flight records: the most steps that are told, from the end
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub most: usize,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Of a trace: exit status 0 if just that falls which the trace says. Of flight records: 0 if every member did what \
the actors do and no claim fell, 1 if not. What went wrong in a log is told in words; of a register, it is written as \
a model and a trace for `synod explore`.

Examples:
  synod trace replay run.trace
  synod trace replay data/                     all members' data directories below one folder
  synod trace replay /srv/a /srv/b /srv/c      copies of the data directories of three members")]
pub struct Replay {
    /// A trace; or data directories or flight records, of all members of one cluster
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The model, if a trace does not name it
    #[arg(long)]
    pub model: Option<String>,
    /// Where a run that went wrong is written: in words, or as a model and a trace
    #[arg(long, value_name = "DIR", default_value = "replay-failed")]
    pub explain: PathBuf,
}

#[derive(ClapArgs)]
#[command(after_help = "\
The file with the cluster key goes to every member, the one with the client key to members and clients. A line of the latter also \
names the public half of the cluster key, by which clients tell members' answers from each other's. To change a key \
without stopping anything: add the new one as second line everywhere and send SIGHUP to every member, then move it to the \
first line everywhere and SIGHUP, then remove the old one and SIGHUP. Before an old cluster key is removed, the client key must \
be changed too, to a line that `--client` prints once the new cluster key is the first.")]
pub struct Keygen {
    #[command(flatten)]
    pub cluster: Where,
    /// Prints one new cluster key on stdout, to be added to a file by hand, and makes no file
    #[arg(long)]
    pub print: bool,
    /// Prints one new line of the client key file on stdout, for the first key of the cluster key file, and makes no file
    #[arg(long, conflicts_with = "print")]
    pub client: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Starts the members as processes, with keys and a configuration that it makes; starts a member again that ends; and ends all on Ctrl-C.

Examples:
  synod cluster                       three members, gone with their data when it ends
  synod cluster --data demo           the same, with data that stay; the second time it goes on with them
  synod cluster --nodes 1             a single member")]
pub struct Cluster {
    /// The number of members, from 1 to 9 [default: 3, or as many as the data are of]
    #[arg(long, value_name = "N", value_parser = words::nodes)]
    pub nodes: Option<u16>,
    /// The number of groups, from 1 to 64: logs among which keys are divided [default: 1, or as many as the data are of]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub groups: Option<u16>,
    /// The folder for configuration, keys and data [default: a new one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Every member has the same configuration file. `--example-config` prints one with all settings, each with a comment.

Signals: SIGTERM and SIGINT stop it after the present batch, SIGHUP makes it read its key files anew.

Examples:
  synod serve --example-config > cluster.toml
  synod keygen
  synod serve --config cluster.toml --id 0")]
pub struct Serve {
    #[command(flatten)]
    pub cluster: Where,
    /// Which member this is
    #[arg(long, value_parser = words::number, required_unless_present = "example_config")]
    pub id: Option<u64>,
    /// Prints a commented configuration file and ends
    #[arg(long)]
    pub example_config: bool,
    /// How to print what the member says of itself on stderr
    #[arg(long, value_enum, default_value = "human")]
    pub log_format: LogFormat,
    /// What to print: this, and all that is graver
    #[arg(long, value_enum, default_value = "info")]
    pub log_level: LogLevel,
    /// Stops when standard input ends
    #[arg(long, hide = true)]
    pub attached: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Asks each member at its `http` address in the configuration. At the same address there are a page for people, Prometheus \
metrics (/metrics), the status (/status.json) and whether the member is ready (/ready).
Exit status: 0 some member told of itself, 2 none did.

Examples:
  synod status
  synod status --member 1 --json")]
pub struct Status {
    #[command(flatten)]
    pub cluster: Where,
    /// Only this member
    #[arg(long, value_name = "N", value_parser = words::number)]
    pub member: Option<u64>,
    /// One JSON object a line, a line per member
    #[arg(long)]
    pub json: bool,
    /// How long to wait for a member
    #[arg(long, value_parser = words::duration, default_value = "2s")]
    pub timeout: Duration,
}

impl Select {
    /// The models that were asked for.
    pub fn models(&self, default: Tier) -> Result<Vec<Model>, String> {
        let mut models = if self.paths.is_empty() {
            synod_model::catalogue()
        } else {
            // Whatever is wrong is told at once, before anything is explored.
            let (mut models, mut errors) = (Vec::new(), Vec::new());
            for path in &self.paths {
                match synod_model::from_path(path) {
                    Ok(below) => models.extend(below),
                    Err(wrong) => errors.extend(wrong),
                }
            }
            if !errors.is_empty() {
                return Err(words::all(&errors));
            }
            models
        };
        let default = self.paths.is_empty().then_some(default);
        let most = self.tier.map(Tier::from).or(default);
        models.retain(|model| most.is_none_or(|most| model.file.tier <= most));
        if let Some(text) = &self.filter {
            models.retain(|model| model.name.contains(text.as_str()));
        }
        if models.is_empty() {
            let filter =
                self.filter.as_ref().map(|text| format!(" whose name contains {text:?}")).unwrap_or_default();
            let tier = most.map(|most| format!(" up to the tier {most}")).unwrap_or_default();
            let place =
                if self.paths.is_empty() { "the catalogue".to_owned() } else { self.paths.join(", ") };
            return Err(format!("{place}: there is no model{filter}{tier}"));
        }
        Ok(models)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// A line that is broken by hand is broken once more where the terminal is narrower, in the middle.
    #[test]
    fn a_paragraph_of_a_help_text_is_one_line() {
        fn look(command: &clap::Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let goes_on = pair.iter().all(|line| line.starts_with(|c: char| !c.is_whitespace()));
                let begins = pair[1].starts_with("Exit status");
                assert!(!goes_on || begins, "{}: {:?} is broken by hand", command.get_name(), pair[0]);
            }
            command.get_subcommands().for_each(look);
        }
        look(&Args::command());
    }
}
