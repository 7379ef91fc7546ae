//! The sections and keys of model files. Anything else in one gets one clear error, at line and column.

use crate::plain::plain;
use crate::sequential::Sequential;
use crate::verdict::Verdict;
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// A model file, as it stands; [`crate::Model`] is what it means.
// Fields: one for each key that a file can have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The purpose of the model, in a sentence or two.
    pub about: String,
    /// The tier, by the time that the model takes.
    pub tier: Tier,
    /// The numbered requirements it is evidence for.
    #[serde(default)]
    pub spec: Vec<String>,
    /// A broken rule or machine, by name.
    pub mutant: Option<Spanned<String>>,
    /// The processes.
    pub system: SystemFile,
    /// The quorums; majorities if left out.
    pub quorums: Option<QuorumsFile>,
    /// The network; by default messages are never removed.
    #[serde(default)]
    pub network: NetworkFile,
    /// The log that servers keep; by default every instance stands for itself.
    pub log: Option<Spanned<LogFile>>,
    /// The election of the one who begins ballots; by default everybody who is asked begins them.
    pub election: Option<Spanned<ElectionFile>>,
    /// The faults; by default there are none.
    pub faults: Option<FaultsFile>,
    /// The bounds; by default everything is explored.
    #[serde(default)]
    pub bounds: BoundsFile,
    /// The reductions; by default there are none, so that every state is looked at.
    #[serde(default)]
    pub reduce: ReduceFile,
    /// The claims and witnesses; by default every claim and no witness.
    #[serde(default)]
    pub check: CheckFile,
    /// The properties that must come about, and the assumptions; by default there are none.
    pub liveness: Option<crate::liveness_file::LivenessFile>,
    /// One run of the system, to be replayed step by step.
    pub scenario: Option<ScenarioFile>,
    /// The expected result.
    pub expect: Expect,
}

/// The tiers of models, by the time that they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// All of these together: two minutes on two cores.
    Fast,
    /// These and the fast ones: ten minutes.
    Full,
    /// Hours.
    Nightly,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tier::Fast => "fast",
            Tier::Full => "full",
            Tier::Nightly => "nightly",
        })
    }
}

/// The layout: roles as processes of their own, or together in servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Every role is a process of its own.
    Separate,
    /// A server is acceptor, proposer and learner.
    CoLocated,
}

/// The processes.
// Fields: one for each key that the table can have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemFile {
    /// One process a role, or all roles in one.
    pub layout: Layout,
    /// The number of acceptors; in a co-located layout, of servers.
    pub acceptors: Spanned<i64>,
    /// The number of proposers; separate layout only.
    pub proposers: Option<Spanned<i64>>,
    /// The number of learners; separate layout only, none if left out.
    pub learners: Option<Spanned<i64>>,
    /// One client a value, each asking for its own.
    pub values: Spanned<Vec<String>>,
    /// The proposers or servers that client *i* asks, by name. By default client *i* asks proposer *i*, cyclically.
    pub asks: Option<Spanned<Vec<Vec<String>>>>,
    /// About which instance each client asks, readers after the others; by default all about the first. Not where a log is kept.
    pub instances: Option<Spanned<Vec<u64>>>,
    /// Clients that ask what was chosen, without a value: the names of the servers that each asks. Co-located layout only.
    /// Their servers answer everyone who asks.
    pub readers: Option<Spanned<Vec<Vec<String>>>>,
    /// True if a client asks again, at any moment, as long as it was not answered. Equal questions on their way are one then.
    #[serde(default)]
    pub resend: bool,
    /// True if learners answer the clients.
    #[serde(default)]
    pub responses: bool,
    /// The way in which learners learn; by default from every acceptor.
    pub learning: Option<Spanned<LearningFile>>,
    /// True if a refused proposer is told so.
    #[serde(default = "yes")]
    pub nacks: bool,
    /// The most bytes of values that a message reports; by default as many as there are.
    pub report: Option<usize>,
    /// When a proposer tries again; by default never.
    #[serde(default)]
    pub retry: RetryFile,
    /// The numbers that proposers' ballots carry; by default 1, 2, 3 and so on.
    pub numbers: Option<Spanned<Vec<u16>>>,
    /// The clients that may wait at a server, and as many again that wait for nothing else; by default all. Where a log is kept, or readers ask.
    pub waiting: Option<Spanned<i64>>,
}

fn yes() -> bool {
    true
}

/// The ways in which learners learn.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LearningFile {
    /// From every acceptor.
    Everyone,
    /// From these learners, counted from 1, which learn from the acceptors.
    Distinguished(Vec<usize>),
    /// From the proposer.
    Proposer,
}

/// When a proposer tries again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryFile {
    /// It tries once.
    #[default]
    Never,
    /// When a nack tells it that it was refused.
    OnNack,
    /// At any moment.
    OnTimeout,
    /// On either occasion, as servers do.
    OnEither,
}

/// The rules for quorums.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuorumsFile {
    /// The rule of both phases.
    pub both: Option<Spanned<RuleFile>>,
    /// The rule of phase 1.
    pub phase1: Option<Spanned<RuleFile>>,
    /// The rule of phase 2.
    pub phase2: Option<Spanned<RuleFile>>,
    /// Lets quorums that do not intersect through, to see what breaks.
    #[serde(default)]
    pub forced: bool,
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RuleFile {
    /// More than half.
    Majority,
    /// At least this many.
    AtLeast(usize),
    /// At least this fraction.
    Fraction(usize, usize),
    /// Weights, and the sum to be reached.
    Weighted {
        /// In acceptor order.
        weights: Vec<u32>,
        /// The sum to be reached.
        at_least: u32,
    },
    /// A full row of a grid with this many columns.
    Row {
        /// The number of columns.
        columns: usize,
    },
    /// A full column.
    Column {
        /// The number of columns.
        columns: usize,
    },
    /// A full row and a full column.
    RowAndColumn {
        /// The number of columns.
        columns: usize,
    },
    /// One of these sets, acceptors counted from 1.
    Listed(Vec<Vec<usize>>),
}

/// The network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// The delivery of messages.
    #[serde(default)]
    pub delivery: DeliveryFile,
    /// True if a message can be dropped as a step of its own.
    #[serde(default)]
    pub loss: bool,
}

/// The delivery of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryFile {
    /// Never removed: lost, repeated and reordered at will.
    #[default]
    Set,
    /// Delivered once, in any order.
    Multiset,
    /// Delivered once, in order between any two processes.
    Ordered,
}

fn one() -> usize {
    1
}

/// Servers that keep a log, and run a machine on it. Values are then commands, and readers ask without the log.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogFile {
    /// The window.
    pub alpha: u64,
    /// The most commands that share an instance. Only commands that wait while the window is full do.
    #[serde(default = "one")]
    pub batch: usize,
    /// The machine: `register` (see `ledger.rs`), which it is if left out, or `bank`, `kv`, `lock` (see `spoken.rs`).
    #[serde(default)]
    pub machine: Sequential,
    /// The questions of readers, for any other machine than a register.
    pub question: Option<String>,
    /// True if a server that sees another's Accept holds its own submissions back.
    #[serde(default)]
    pub hold_off: bool,
    /// True if servers ask, at any moment, what they have missed.
    #[serde(default)]
    pub catch_up: bool,
    /// When servers take snapshots, and forget the log below them; if left out, never.
    pub truncate: Option<TruncateFile>,
    /// True if clients hang up once they have asked, which makes fewer states: their questions are on their way from the first
    /// state on, and nobody receives the answers. What clients are told is judged where an answer leaves, so nothing is lost.
    #[serde(default)]
    pub hang_up: bool,
    /// The past of the first state.
    pub before: Option<BeforeFile>,
    /// The rule by which members change. Values such as `add 2` then stand last, and are what operators ask for; members go by their ids,
    /// which count from 0.
    pub members: Option<MembersFile>,
}

/// The rule by which members change.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MembersFile {
    /// The number of servers that are members at first.
    pub first: usize,
    /// The most instances that one may be behind that joins.
    pub lag: u64,
    /// True if each server has an operator of its own: the first who asks for a change is the first server's, and so on. A server relays what its own one
    /// asks to the server that leads.
    #[serde(default)]
    pub relays: bool,
    /// True if each server names a data directory when it wishes to join: the one with its number.
    #[serde(default)]
    pub directories: bool,
}

/// When servers take snapshots.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TruncateFile {
    /// At every instance that is a multiple of this.
    pub every: u64,
    /// And once the values that were executed since then cost so many bytes. If left out, however many they cost.
    pub bytes: Option<u64>,
    /// The number of instances below that are kept all the same.
    #[serde(default)]
    pub spare: u64,
    /// The number of bytes of a snapshot that a message holds; by default all.
    pub part: Option<usize>,
    /// The number of parts that a server asks for before the first of them has come.
    #[serde(default = "one_part")]
    pub ahead: u64,
}

fn one_part() -> u64 {
    1
}

/// An election among all proposers or servers. Its timers ring at any moment, as all timers do.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElectionFile {
    /// The most times that the wait before a suspicion is doubled. A wrong suspicion doubles it.
    #[serde(default)]
    pub doublings: u32,
    /// True if a leader may begin ballots only as long as a quorum of servers follows it, as is served.
    #[serde(default)]
    pub backed: bool,
}

/// The past of the first state: the first proposer led, in its first ballot, and broke off in the middle.
/// Instances are written as `0-134 138`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BeforeFile {
    /// Instances in which every acceptor accepted, so that their values are chosen.
    pub chosen: Spanned<String>,
    /// The acceptors, by name, that accepted in other instances.
    pub accepted: std::collections::BTreeMap<String, Spanned<String>>,
    /// Messages on their way that tell of what is chosen: from whom, to whom.
    pub told: Spanned<Vec<(String, String)>>,
}

/// The messages of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrangerFile {
    /// Anything, but that it asks nothing: then there are as many states as without it.
    Statements,
    /// Anything.
    Any,
}

/// The faults. A crashed process may come back at any moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultsFile {
    /// The processes that may crash, by name, or `acceptors`, `proposers`, `learners`, `servers`.
    pub crash: Option<Spanned<Vec<String>>>,
    /// The processes that are down from the start and never come up.
    pub down: Option<Spanned<Vec<String>>>,
    /// Somebody who is no process of the system, and may say anything to anyone.
    pub stranger: Option<Spanned<StrangerFile>>,
    /// The number that may be down at once; one if left out.
    pub at_once: Option<usize>,
    /// The number of crashes in a run; one if left out.
    pub in_all: Option<u32>,
}

/// The bounds: what lies beyond is not explored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundsFile {
    /// Rounds a proposer may begin.
    pub rounds: Option<u64>,
    /// States on a path.
    pub depth: Option<usize>,
    /// Ballots that are live at once, their numbers and the number of retries being unlimited. See `ballots.rs`.
    pub live_ballots: Option<Spanned<i64>>,
}

/// The reductions. No verdict depends on them, only the number of states.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReduceFile {
    /// The roles whose processes may change places: `acceptors`, `learners`.
    pub symmetry: Option<Spanned<Vec<String>>>,
    /// True if messages are dropped to which nobody will ever react.
    #[serde(default)]
    pub dead_messages: bool,
}

/// The claims and witnesses that are checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckFile {
    /// Claims by name; all if left out.
    pub claims: Option<Spanned<Vec<String>>>,
    /// Hard cases that must be reached.
    pub witnesses: Option<Spanned<Vec<String>>>,
    /// Hard cases that must be out of reach.
    pub never: Option<Spanned<Vec<String>>>,
    /// Why no claim is put to the test, if that is meant to be; a model in which none is, and that does not say why, is vacuous.
    pub hollow: Option<String>,
}

/// One run, replayed step by step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// The run, in the trace grammar.
    pub steps: Spanned<String>,
    /// The proposals that are chosen at its end, as `ballot:value`, in order.
    pub chosen: Option<Vec<String>>,
}

impl ScenarioFile {
    /// The run as a trace of its own.
    pub fn trace(&self) -> String {
        format!("# synod trace 1\n{}", self.steps.get_ref())
    }
}

/// The expected result.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The verdict, as in `--format json`.
    pub verdict: Verdict,
    /// The claim that must fall.
    pub property: Option<String>,
    /// Words that the message of the panic must contain.
    pub message: Option<String>,
    /// The steps of the shortest trace to it; of a lasso, those of its stem.
    pub steps: Option<usize>,
    /// The steps of the lasso's cycle.
    pub cycle: Option<usize>,
    /// The lasso itself, in the trace grammar.
    pub lasso: Option<String>,
    /// Distinct states.
    pub unique_states: Option<u64>,
    /// Successors, repeats included.
    pub generated_states: Option<u64>,
    /// States on the longest shortest path.
    pub depth: Option<usize>,
}

/// An error in a model file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// The file, or the catalogue name.
    pub file: String,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// The error, and what to do about it.
    pub message: String,
}

impl ModelError {
    /// An error at a stretch of the text.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> ModelError {
        let before = &text[..span.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ModelError { file: file.to_owned(), place: Some((line, column)), message: message.into() }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ModelError {}

/// Reads a model file; its values are not yet judged.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, ModelError> {
    toml::from_str(text)
        .map_err(|error| ModelError::at(file, text, error.span().unwrap_or(0..0), plain(error.message())))
}
