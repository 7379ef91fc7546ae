//! Verdicts claim no more than was explored: *holds* only after everything was, and never without a reason.

use crate::observer::Observer;
use crate::property::Expectation;
use crate::system::System;
use crate::{Action, Subject};
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The condition under which an exploration stops early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// As soon as an `Always` property is violated.
    #[default]
    FirstViolation,
    /// As soon as this property is violated; violations of others are recorded and passed by.
    Violation(String),
    /// Never: a shortest violation of every property is wanted.
    Exhausted,
}

/// The kind of the seen table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Table {
    /// All of it: no state is taken for another.
    #[default]
    Exact,
    /// 64 bits that are as good as random; [`Report::missed_state_odds`] gives the risk.
    Fingerprint64,
    /// 128 such bits.
    Fingerprint128,
}

/// A file from which an exploration can be resumed.
///
/// It is written when the exploration gives up, for any reason but a failing disk, and now and then before; not while scouting
/// for messages that must not be dropped, which takes little. On resuming, the handlers are run again once for each distinct local
/// step, so the actors and the observer must be the same: their results are compared.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// The file. It is replaced as a whole: whenever the process is stopped there is the older or the newer one.
    pub file: &'a std::path::Path,
    /// A description of the system and its options that differs if they differ: another exploration's checkpoint is refused.
    pub identity: &'a str,
    /// Resume from the file if there is one. Without this, an existing file is an error, so that nothing is lost.
    pub resume: bool,
    /// The least time between two checkpoints. Writing them also takes at most a twentieth of the time.
    pub every: Duration,
    /// True if the file stays when the exploration comes to its end: an exploration that resumes from it is over at once. For callers that have
    /// more to decide, such as liveness, and remove it then. Without this, it is removed.
    pub keep: bool,
}

/// Options of an exploration. The default is one thread, an exact table, no limits, to leave nothing out that stateright would count, to
/// make use of a [`Symmetry`](crate::Symmetry) if one is declared, and to stop at the first violation.
#[derive(Clone)]
pub struct Options<'a> {
    /// The kind of the seen table.
    pub table: Table,
    /// Drop messages that their receivers will ignore for ever, which changes no verdict and makes fewer
    /// states. Refused if a property or a bound looks at whole states, if states are rewritten, and together with a symmetry.
    pub dead_messages: bool,
    /// Explore states in which like actors have changed places once, if the system declares which are alike.
    pub symmetry: bool,
    /// A folder for a file in which states wait that do not fit into memory; used only if memory is limited.
    pub spill: Option<&'a std::path::Path>,
    /// The checkpoint to write and to resume from. Refused if the system rewrites states.
    pub checkpoint: Option<Checkpoint<'a>>,
    /// The number of threads. Results do not depend on it.
    pub threads: usize,
    /// Give up after so long.
    pub time: Option<Duration>,
    /// Give up beyond so many bytes.
    pub memory: Option<u64>,
    /// The condition under which it stops early.
    pub stop: Stop,
    /// Give up once this is true.
    pub interrupt: Option<&'a AtomicBool>,
    /// Called now and then with the progress.
    pub progress: Option<&'a (dyn Fn(&Progress) + Sync)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            table: Table::Exact,
            dead_messages: false,
            symmetry: true,
            spill: None,
            checkpoint: None,
            threads: 1,
            time: None,
            memory: None,
            stop: Stop::default(),
            interrupt: None,
            progress: None,
        }
    }
}

/// The progress of an exploration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Distinct states so far.
    pub unique: u64,
    /// Successors so far, repeats included.
    pub generated: u64,
    /// The depth that is being expanded.
    pub depth: usize,
    /// States that were found and not expanded yet.
    pub frontier: u64,
    /// Bytes in use.
    pub memory_bytes: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Why an exploration gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The time was up.
    Time,
    /// The memory was full.
    Memory,
    /// A state takes more bits than an exact table has room for, however much memory there is; fingerprints take the same for all.
    Width,
    /// The caller asked it to.
    Interrupted,
    /// The disk on which states wait failed.
    Disk(std::io::ErrorKind),
    /// It reached the result that it was to stop at, or could not ask every property; the rest is undecided.
    Stopped,
    /// All was explored. But liveness properties are decided by [`liveness::check`](crate::liveness::check), not by exploring.
    Liveness,
}

/// The verdict of a whole exploration.
pub enum Verdict<A: Subject> {
    /// Everything was explored, nothing is violated, every witness was found.
    Holds,
    /// The same within a bound, here in words, and the bound did cut something off.
    HoldsWithinBound(String),
    /// A property that should always hold does not; its finding has the trace.
    Violated {
        /// Its name.
        property: &'static str,
    },
    /// Neither: some property is undecided. Never a pass.
    Incomplete(Why),
    /// Nothing is violated, but these witnesses were never found, or all claims are hollow and it is these: the hard case was not reached.
    Vacuous(Vec<&'static str>),
    /// User code panicked, or showed that it cannot be explored.
    Panicked {
        /// The message of the panic.
        message: String,
        /// A shortest path there; the last action is the one that panicked, unless a property did.
        trace: Vec<Action<A>>,
    },
}

impl<A: Subject> Clone for Verdict<A> {
    fn clone(&self) -> Self {
        match self {
            Self::Holds => Self::Holds,
            Self::HoldsWithinBound(words) => Self::HoldsWithinBound(words.clone()),
            Self::Violated { property } => Self::Violated { property },
            Self::Incomplete(why) => Self::Incomplete(*why),
            Self::Vacuous(names) => Self::Vacuous(names.clone()),
            Self::Panicked { message, trace } => {
                Self::Panicked { message: message.clone(), trace: trace.clone() }
            }
        }
    }
}

impl<A: Subject> PartialEq for Verdict<A> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Holds, Self::Holds) => true,
            (Self::HoldsWithinBound(a), Self::HoldsWithinBound(b)) => a == b,
            (Self::Violated { property: a }, Self::Violated { property: b }) => a == b,
            (Self::Incomplete(a), Self::Incomplete(b)) => a == b,
            (Self::Vacuous(a), Self::Vacuous(b)) => a == b,
            (Self::Panicked { message: a, trace: s }, Self::Panicked { message: b, trace: t }) => {
                a == b && s == t
            }
            _ => false,
        }
    }
}

impl<A: Subject> Display for Verdict<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::HoldsWithinBound(words) => write!(f, "holds within the bound: {words}"),
            Self::Violated { property } => write!(f, "violated: {property}"),
            Self::Incomplete(Why::Time) => f.write_str("incomplete: out of time"),
            Self::Incomplete(Why::Memory) => f.write_str("incomplete: out of memory"),
            Self::Incomplete(Why::Width) => {
                f.write_str("incomplete: a state is too wide for an exact table: ask for fingerprints")
            }
            Self::Incomplete(Why::Interrupted) => f.write_str("incomplete: interrupted"),
            Self::Incomplete(Why::Disk(error)) => write!(f, "incomplete: the disk failed: {error}"),
            Self::Incomplete(Why::Stopped) => f.write_str("incomplete: stopped before all was decided"),
            Self::Incomplete(Why::Liveness) => {
                f.write_str("incomplete: what must come about is not decided by exploring")
            }
            Self::Vacuous(names) if names.is_empty() => {
                f.write_str("vacuous: the initial state is out of bounds")
            }
            Self::Vacuous(names) => write!(f, "vacuous: never reached {}", names.join(", ")),
            Self::Panicked { message, .. } => write!(f, "panicked: {message}"),
        }
    }
}

impl<A: Subject> Debug for Verdict<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked { message, trace } => write!(f, "Panicked({message:?}, {trace:?})"),
            other => write!(f, "{other}"),
        }
    }
}

/// The status of a property.
///
/// Every verdict is a function of these and of how the exploration ended ([`Verdict`]), so that a status added here has to be given its
/// place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// True in all that was to be explored.
    Holds,
    /// True in all that was to be explored, and never put to the test: its premise was true nowhere.
    Hollow,
    /// False somewhere, though it should always hold.
    Violated,
    /// True somewhere, as it should.
    Witnessed,
    /// True nowhere in all that was to be explored, though it should be somewhere.
    Unwitnessed,
    /// Neither: the exploration ended before, or does not look at such properties.
    Undecided,
}

impl Status {
    /// The one word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Hollow => "hollow",
            Self::Violated => "violated",
            Self::Witnessed => "witnessed",
            Self::Unwitnessed => "unwitnessed",
            Self::Undecided => "undecided",
        }
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Expectation {
    /// The status of a decided property: false where it should hold, or true where it should sometimes hold.
    pub(crate) fn decided(self) -> Status {
        match self {
            Self::Always => Status::Violated,
            Self::Sometimes | Self::Premise(_) => Status::Witnessed,
            Self::Eventually => Status::Undecided,
        }
    }

    /// The status of a property that no state decided, after all were explored.
    pub(crate) fn undecided(self) -> Status {
        match self {
            Self::Always => Status::Holds,
            Self::Sometimes | Self::Premise(_) => Status::Unwitnessed,
            Self::Eventually => Status::Undecided,
        }
    }
}

/// The result about one property.
pub struct Finding<A: Subject> {
    /// Its name.
    pub property: &'static str,
    /// The expectation.
    pub expectation: Expectation,
    /// The status.
    pub status: Status,
    /// The breach, in words.
    pub detail: Option<String>,
    /// A shortest path to the breach or witness.
    pub trace: Option<Vec<Action<A>>>,
}

impl<A: Subject> Finding<A> {
    /// Nothing is known yet: a finding for each property, and for each that must come about.
    pub(crate) fn all<O: Observer<A>>(system: &System<A, O>) -> Vec<Self> {
        let undecided = |property, expectation| Self {
            property,
            expectation,
            status: Status::Undecided,
            detail: None,
            trace: None,
        };
        let safety = system.properties.iter().map(|property| undecided(property.name, property.expectation));
        let liveness = system.liveness.properties.iter();
        safety.chain(liveness.map(|property| undecided(property.name, Expectation::Eventually))).collect()
    }

    /// The property was decided at the end of a trace.
    pub(crate) fn decide(&mut self, detail: String, trace: Vec<Action<A>>) {
        self.status = self.expectation.decided();
        self.detail = (!detail.is_empty()).then_some(detail);
        self.trace = Some(trace);
    }
}

impl<A: Subject> Clone for Finding<A> {
    fn clone(&self) -> Self {
        Self { detail: self.detail.clone(), trace: self.trace.clone(), ..*self }
    }
}

impl<A: Subject> PartialEq for Finding<A> {
    fn eq(&self, other: &Self) -> bool {
        self.property == other.property
            && self.expectation == other.expectation
            && self.status == other.status
            && self.detail == other.detail
            && self.trace == other.trace
    }
}

impl<A: Subject> Debug for Finding<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finding")
            .field("property", &self.property)
            .field("status", &self.status)
            .field("detail", &self.detail)
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

/// The numbers of repeated calls of user code, evenly spread, which show whether handlers and observer are functions of their inputs.
///
/// The evidence grows with the sample. If `n` of the calls that were made give another answer
/// when they are repeated, and a share `p` of all is repeated, one of these is found with odds of 1 - (1 - p)^n: surely if all
/// are; with odds of one in eight at least if there is a single one. A handler that depends on a clock, on chance or on a counter gives other answers
/// nearly always, and is found by a few calls. One that errs once in its lifetime may not be found.
///
/// At least 4,096 calls of each kind are repeated, or all if there are fewer; one in eight; and one per 64 steps of the exploration: if
/// handlers run seldom beside the steps that follow from them, all are. An exploration that a limit ended is never a pass: there it is 4,096.
///
/// Traces that are reported were run again whole. Properties and bounds are not asked twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rerun {
    /// The number of repeated handler calls, each with the observer's note.
    pub handlers_again: u64,
    /// Of how many.
    pub handlers: u64,
    /// The approximate number of updates, of histories or of components, that the observer was asked about again.
    pub updates_again: u64,
    /// Of how many.
    pub updates: u64,
}

/// The result of an exploration.
pub struct Report<A: Subject> {
    /// The verdict.
    pub verdict: Verdict<A>,
    /// True if nothing was explored, since the options cannot be combined or a checkpoint is unusable. The verdict gives the reason in the form
    /// of a panic; no actor panicked.
    pub refused: bool,
    /// One finding per property, premises excepted, in the order of the system's properties; then one, undecided, per liveness property.
    pub findings: Vec<Finding<A>>,
    /// Distinct states.
    pub unique_states: u64,
    /// Successors that were no no-ops and within the bounds, repeats included, and the initial state.
    pub generated_states: u64,
    /// The greatest depth of a state; the initial state has depth 1.
    pub depth: usize,
    /// The odds that a state was taken for another and missed. Zero if states are compared, not their hashes.
    pub missed_state_odds: f64,
    /// Time it took.
    pub elapsed: Duration,
    /// The elapsed time.
    pub memory_bytes: u64,
    /// The memory in bytes.
    pub handler_calls: u64,
    /// The numbers of repeated calls.
    pub rerun: Rerun,
    /// The number of passes: more than one if messages were dropped and some of them turned out to matter, the
    /// attempts to find that out early included.
    pub passes: u32,
}

impl<A: Subject> Report<A> {
    /// The result about a property.
    pub fn finding(&self, property: &str) -> Option<&Finding<A>> {
        self.findings.iter().find(|finding| finding.property == property)
    }
}

impl<A: Subject> Clone for Report<A> {
    fn clone(&self) -> Self {
        Self { verdict: self.verdict.clone(), findings: self.findings.clone(), ..*self }
    }
}

impl<A: Subject> Debug for Report<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("verdict", &self.verdict)
            .field("findings", &self.findings)
            .field("unique_states", &self.unique_states)
            .field("generated_states", &self.generated_states)
            .field("depth", &self.depth)
            .field("handler_calls", &self.handler_calls)
            .finish_non_exhaustive()
    }
}

/// The end of an exploration, from which the verdict follows.
pub(crate) struct Ending<A: Subject> {
    /// The message and trace of a panic.
    pub panicked: Option<(String, Vec<Action<A>>)>,
    /// Why it gave up.
    pub incomplete: Option<Why>,
    /// Everything within the bounds was explored.
    pub exhausted: bool,
    /// A bound cut something off.
    pub cut: bool,
    /// There is not even one state.
    pub empty: bool,
    /// The properties that were not asked, by index: they stay undecided.
    pub unasked: Vec<usize>,
}

impl<A: Subject> Ending<A> {
    /// Nothing is known yet.
    pub(crate) fn open() -> Self {
        let (panicked, incomplete, unasked) = (None, None, Vec::new());
        Self { panicked, incomplete, exhausted: false, cut: false, empty: false, unasked }
    }
}

/// Marks each property that was never put to the test as hollow, and removes premises.
fn test<A: Subject>(findings: &mut Vec<Finding<A>>) {
    let premises = findings.iter().filter_map(|finding| match finding.expectation {
        Expectation::Premise(of) if finding.status == Status::Unwitnessed => Some(of),
        _ => None,
    });
    let untested: Vec<&'static str> = premises.collect();
    for finding in findings.iter_mut().filter(|finding| finding.status == Status::Holds) {
        if untested.contains(&finding.property) {
            finding.status = Status::Hollow;
        }
    }
    findings.retain(|finding| !matches!(finding.expectation, Expectation::Premise(_)));
}

/// Completes the findings and draws the verdict, the gravest first.
pub(crate) fn conclude<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    stop: &Stop,
    findings: &mut Vec<Finding<A>>,
    ending: Ending<A>,
) -> Verdict<A> {
    if ending.exhausted && ending.panicked.is_none() {
        for (index, finding) in findings.iter_mut().enumerate() {
            if finding.status == Status::Undecided && !ending.unasked.contains(&index) {
                finding.status = finding.expectation.undecided();
            }
        }
    }
    test(findings);
    if let Some((message, trace)) = ending.panicked {
        return Verdict::Panicked { message, trace };
    }
    let violated = || findings.iter().filter(|finding| finding.status == Status::Violated);
    let wanted = violated().find(|finding| matches!(stop, Stop::Violation(name) if name == finding.property));
    // `min_by_key` keeps the first of equals, so ties go to the property that is listed first.
    let shortest = violated().min_by_key(|finding| finding.trace.as_ref().map_or(usize::MAX, Vec::len));
    if let Some(finding) = wanted.or(shortest) {
        return Verdict::Violated { property: finding.property };
    }
    let open = match ending.incomplete {
        _ if ending.exhausted => None,
        None => Some(Why::Stopped),
        why => why,
    };
    let bound = ending.cut.then(|| system.describe_bounds());
    let verdict = judge(findings.iter().map(|finding| (finding.property, finding.status)), open, bound);
    let left = |finding: &&Finding<A>| finding.status == Status::Undecided;
    match verdict {
        Verdict::Vacuous(names) => Verdict::Vacuous(names),
        _ if ending.empty => Verdict::Vacuous(Vec::new()),
        Verdict::Incomplete(Why::Stopped)
            if ending.exhausted
                && findings.iter().filter(left).all(|f| f.expectation == Expectation::Eventually) =>
        {
            Verdict::Incomplete(Why::Liveness)
        }
        verdict => verdict,
    }
}

/// The verdict that follows from the statuses of properties. The only place that lets anything pass: a property that is
/// violated or undecided cannot pass, nor can an exploration that is `open`, for whatever reason.
pub(crate) fn judge<A: Subject>(
    found: impl Iterator<Item = (&'static str, Status)>,
    open: Option<Why>,
    bound: Option<String>,
) -> Verdict<A> {
    let (mut open, mut unwitnessed, mut hollow, mut tested) = (open, Vec::new(), Vec::new(), false);
    for (property, status) in found {
        match status {
            Status::Violated => return Verdict::Violated { property },
            Status::Undecided => open = open.or(Some(Why::Stopped)),
            Status::Unwitnessed => unwitnessed.push(property),
            Status::Hollow => hollow.push(property),
            Status::Holds => tested = true,
            Status::Witnessed => {}
        }
    }
    if !tested {
        unwitnessed.append(&mut hollow);
    }
    match (open, bound) {
        (Some(why), _) => Verdict::Incomplete(why),
        _ if !unwitnessed.is_empty() => Verdict::Vacuous(unwitnessed),
        (None, Some(words)) => Verdict::HoldsWithinBound(words),
        (None, None) => Verdict::Holds,
    }
}
