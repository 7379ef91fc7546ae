//! Model files: what may stand in one, and one clear error, at line and column, for whatever may not.

use crate::plain::plain;
use crate::sequential::Sequential;
use crate::stranger::StrangerFile;
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
    /// What the model shows, in a sentence or two.
    pub about: String,
    /// How long one must be willing to wait for it.
    pub tier: Tier,
    /// The numbered requirements it is evidence for.
    #[serde(default)]
    pub spec: Vec<String>,
    /// A broken rule or machine, by name.
    pub mutant: Option<Spanned<String>>,
    /// Who takes part.
    pub system: SystemFile,
    /// What a quorum is; majorities if left out.
    pub quorums: Option<QuorumsFile>,
    /// What the network does; by default messages are never removed.
    #[serde(default)]
    pub network: NetworkFile,
    /// Where servers keep a log; by default every instance stands for itself.
    pub log: Option<Spanned<LogFile>>,
    /// Where proposers or servers elect who begins ballots; by default all that are asked do.
    pub election: Option<Spanned<ElectionFile>>,
    /// What crashes; by default nothing.
    pub faults: Option<FaultsFile>,
    /// What is not explored; by default everything is.
    #[serde(default)]
    pub bounds: BoundsFile,
    /// What is taken for one while exploring; by default nothing, so that every state is looked at.
    #[serde(default)]
    pub reduce: ReduceFile,
    /// What is checked; by default every claim and no witness.
    #[serde(default)]
    pub check: CheckFile,
    /// What must come about, and under what assumptions; by default nothing.
    pub liveness: Option<crate::liveness::LivenessFile>,
    /// One run of the system, to be replayed step by step.
    pub scenario: Option<ScenarioFile>,
    /// What must come out.
    pub expect: Expect,
}

/// How long a model takes.
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

/// Whether each role is a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Every role is a process of its own.
    Separate,
    /// A server is acceptor, proposer and learner.
    CoLocated,
}

/// Who takes part.
// Fields: one for each key that the table can have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemFile {
    /// One process a role, or all roles in one.
    pub layout: Layout,
    /// How many acceptors; in a co-located layout, servers.
    pub acceptors: Spanned<i64>,
    /// How many proposers; separate layout only.
    pub proposers: Option<Spanned<i64>>,
    /// How many learners; separate layout only, none if left out.
    pub learners: Option<Spanned<i64>>,
    /// One client a value, each asking for its own.
    pub values: Spanned<Vec<String>>,
    /// Whom client *i* asks: the names of proposers or servers. By default client *i* asks proposer *i*, cyclically.
    pub asks: Option<Spanned<Vec<Vec<String>>>>,
    /// About which instance each client asks, readers after the others; by default all about the first. Not where a log is kept.
    pub instances: Option<Spanned<Vec<u64>>>,
    /// Clients that ask what was chosen, without a value: the names of the servers that each asks. Co-located layout only.
    /// Their servers answer everyone who asks.
    pub readers: Option<Spanned<Vec<Vec<String>>>>,
    /// Whether a client asks again, at any moment, as long as it was not answered. Equal questions on their way are one then.
    #[serde(default)]
    pub resend: bool,
    /// Whether learners answer the clients.
    #[serde(default)]
    pub responses: bool,
    /// How learners learn; by default from every acceptor.
    pub learning: Option<Spanned<LearningFile>>,
    /// Whether a refused proposer is told so.
    #[serde(default = "yes")]
    pub nacks: bool,
    /// How many bytes of values a message reports at most; by default as many as there are.
    pub report: Option<usize>,
    /// When a proposer tries again; by default never.
    #[serde(default)]
    pub retry: RetryFile,
    /// The numbers that proposers' ballots carry; by default 1, 2, 3 and so on.
    pub numbers: Option<Spanned<Vec<u16>>>,
}

fn yes() -> bool {
    true
}

/// How learners learn.
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

/// What a quorum is.
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
        /// How many columns.
        columns: usize,
    },
    /// A full column.
    Column {
        /// How many columns.
        columns: usize,
    },
    /// A full row and a full column.
    RowAndColumn {
        /// How many columns.
        columns: usize,
    },
    /// One of these sets, acceptors counted from 1.
    Listed(Vec<Vec<usize>>),
}

/// What the network does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// How messages travel.
    #[serde(default)]
    pub delivery: DeliveryFile,
    /// Whether a message can be dropped as a step of its own.
    #[serde(default)]
    pub loss: bool,
}

/// How messages travel.
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

/// Servers that keep a log, and run a machine on it. Values are then commands, and readers ask without the log.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogFile {
    /// The window.
    pub alpha: u64,
    /// The machine: `register` (see `ledger.rs`), which it is if left out, or `bank`, `kv`, `lock` (see `spoken.rs`).
    #[serde(default)]
    pub machine: Sequential,
    /// What readers ask of any other machine than a register.
    pub question: Option<String>,
    /// Whether a server that sees another's Accept holds its own submissions back.
    #[serde(default)]
    pub hold_off: bool,
    /// Whether servers ask, at any moment, what they have missed.
    #[serde(default)]
    pub catch_up: bool,
    /// When servers take snapshots, and forget the log below them; if left out, never.
    pub truncate: Option<TruncateFile>,
    /// Whether clients hang up once they have asked, which makes fewer states: their questions are on their way from the first
    /// state on, and nobody receives the answers. What clients are told is judged where an answer leaves, so nothing is lost.
    #[serde(default)]
    pub hang_up: bool,
    /// What was before the first state.
    pub before: Option<BeforeFile>,
}

/// When servers take snapshots.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TruncateFile {
    /// At every instance that is a multiple of this.
    pub every: u64,
    /// How many instances below are kept all the same.
    #[serde(default)]
    pub spare: u64,
    /// How many bytes of a snapshot a message holds; by default all.
    pub part: Option<usize>,
}

/// An election among all proposers or servers. Its timers ring at any moment, as all timers do.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElectionFile {
    /// How often at most the time before a suspicion is doubled: what is remembered of suspicions that were wrong.
    #[serde(default)]
    pub doublings: u32,
    /// Whether a leader may begin ballots only as long as a quorum of servers follows it, as is served.
    #[serde(default)]
    pub backed: bool,
}

/// What was before the first state: a reign of the first proposer, in its first ballot, that ends in the middle.
/// Instances are written as `0-134 138`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BeforeFile {
    /// Instances in which every acceptor accepted, so that their values are chosen.
    pub chosen: Spanned<String>,
    /// Who accepted in which instances besides, by name.
    pub accepted: std::collections::BTreeMap<String, Spanned<String>>,
    /// Who is told of what is chosen in a message that is on its way: from whom, to whom.
    pub told: Spanned<Vec<(String, String)>>,
}

/// What crashes. A crashed process may come back at any moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultsFile {
    /// Who may crash: processes by name, or `acceptors`, `proposers`, `learners`, `servers`.
    pub crash: Option<Spanned<Vec<String>>>,
    /// Who is down from the start and never comes up.
    pub down: Option<Spanned<Vec<String>>>,
    /// Somebody who is no process of the system, and may say anything to anyone.
    pub stranger: Option<Spanned<StrangerFile>>,
    /// How many may be down at once; one if left out.
    pub at_once: Option<usize>,
    /// How many crashes a run has; one if left out.
    pub in_all: Option<u32>,
}

/// What is not explored.
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

/// What is taken for one. No verdict depends on it, only the number of states.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReduceFile {
    /// Who may change places: `acceptors`, `learners`.
    pub symmetry: Option<Spanned<Vec<String>>>,
    /// Whether messages go that nobody will ever react to.
    #[serde(default)]
    pub dead_messages: bool,
}

/// What is checked.
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
    /// What is chosen at its end, as proposals `ballot:value`, in order.
    pub chosen: Option<Vec<String>>,
}

impl ScenarioFile {
    /// The run as a trace of its own.
    pub fn trace(&self) -> String {
        format!("# synod trace 1\n{}", self.steps.get_ref())
    }
}

/// What must come out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The verdict, as in `--format json`.
    pub verdict: Verdict,
    /// The claim that must fall.
    pub property: Option<String>,
    /// What the panic must say: a part of its message.
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

/// What is wrong with a model file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// The file, or the catalogue name.
    pub file: String,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what to do.
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
