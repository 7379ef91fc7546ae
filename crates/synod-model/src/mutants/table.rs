//! Which mutants there are.

use super::Rule;

/// A mutant in the catalogue of mutants.
pub struct Entry {
    /// The name used in model files.
    pub name: &'static str,
    /// The guard or rule that it takes away, and where that stands.
    pub guard: &'static str,
    /// What it does instead.
    pub does: &'static str,
    /// How.
    pub rule: Rule,
}

/// Makes an entry of the table below.
const fn entry(name: &'static str, rule: Rule, guard: &'static str, does: &'static str) -> Entry {
    Entry { name, guard, does, rule }
}

/// All mutants. Shared ballots and quorums that do not intersect need none: they are plain configuration.
pub const MUTANTS: [Entry; 67] = [
    entry(
        "last-value",
        Rule::LastValue,
        "proposer: highest report counts",
        "adopts the report that arrived last",
    ),
    entry(
        "lowest-value",
        Rule::LowestValue,
        "proposer: highest report counts",
        "adopts the lowest-numbered report",
    ),
    entry(
        "any-value",
        Rule::AnyValue,
        "proposer: bound by reports",
        "proposes its own value whatever is reported",
    ),
    entry(
        "other-ballots-promises",
        Rule::OtherBallotsPromises,
        "proposer: promises of this ballot only",
        "counts promises that were made to another of its ballots",
    ),
    entry(
        "late-promise",
        Rule::LatePromise,
        "proposer: promises in phase 1 only",
        "lets a promise that comes after the quorum decide again",
    ),
    entry(
        "counts-promises",
        Rule::CountsPromises,
        "proposer: one promise an acceptor",
        "counts messages, not acceptors, in phase 1",
    ),
    entry(
        "changes-its-mind",
        Rule::ChangesItsMind,
        "proposer: one value an instance and ballot",
        "issues a second client's value in the ballot it already used",
    ),
    entry(
        "forgets-ballot",
        Rule::ForgetsBallot,
        "proposer: ballot saved",
        "begins its first ballot again after a crash",
    ),
    entry(
        "same-ballot-retry",
        Rule::SameBallotRetry,
        "proposer: every retry draws a higher ballot (H3)",
        "prepares again with the same ballot after a timeout",
    ),
    entry(
        "announces-first",
        Rule::AnnouncesFirst,
        "proposer: announces at a quorum",
        "announces its value at the first acceptance",
    ),
    entry(
        "announces-other-ballots",
        Rule::AnnouncesOtherBallots,
        "proposer: acceptances of this ballot only",
        "counts acceptances of its earlier ballots",
    ),
    entry(
        "announces-by-messages",
        Rule::AnnouncesByMessages,
        "proposer: one acceptance an acceptor",
        "counts messages, not acceptors, in phase 2",
    ),
    entry(
        "accepts-below-promise",
        Rule::AcceptsBelowPromise,
        "acceptor: on_accept's promise guard",
        "accepts a proposal below its promise",
    ),
    entry(
        "accepts-without-raising",
        Rule::AcceptsWithoutRaising,
        "acceptor: accepting promises too",
        "accepts without raising its promise, P1a to the letter",
    ),
    entry(
        "lowers-promise",
        Rule::LowersPromise,
        "acceptor: on_prepare's promise guard",
        "promises whatever is asked, also below its promise",
    ),
    entry(
        "answers-below-promise",
        Rule::AnswersBelowPromise,
        "acceptor: on_prepare's promise guard",
        "answers a prepare below its promise, and keeps the higher one",
    ),
    entry(
        "promise-not-kept",
        Rule::PromiseNotKept,
        "acceptor: a promise is remembered",
        "promises and does not remember it",
    ),
    entry(
        "reports-nothing",
        Rule::ReportsNothing,
        "acceptor: reports what it accepted",
        "promises without a report",
    ),
    entry(
        "keeps-first",
        Rule::KeepsFirst,
        "acceptor: remembers its highest acceptance",
        "keeps reporting the first proposal it accepted",
    ),
    entry("rejects-first", Rule::RejectsFirst, "acceptor: P1", "ignores the first proposal it receives"),
    entry(
        "refuses-promised",
        Rule::RefusesPromised,
        "acceptor: refuses only below its promise",
        "refuses the very ballot that it has promised",
    ),
    entry(
        "echoes-prepare",
        Rule::EchoesPrepare,
        "acceptor: no promise in a ballot it accepted in",
        "answers a prepare of the ballot in which it has accepted",
    ),
    entry(
        "forgets-promise",
        Rule::ForgetsPromise,
        "acceptor: the promise is stable",
        "comes back from a crash without its promise",
    ),
    entry(
        "forgets-accepted",
        Rule::ForgetsAccepted,
        "acceptor: acceptances are stable",
        "comes back from a crash without what it accepted",
    ),
    entry("amnesia", Rule::Amnesia, "stable storage (A3)", "comes back from a crash as if new"),
    entry(
        "learns-first",
        Rule::LearnsFirst,
        "learner: learns at a quorum",
        "learns from the first acceptance",
    ),
    entry(
        "learns-by-messages",
        Rule::LearnsByMessages,
        "learner: one acceptance an acceptor",
        "counts messages, not acceptors",
    ),
    entry(
        "learns-across-ballots",
        Rule::LearnsAcrossBallots,
        "learner: each ballot by itself",
        "adds up acceptances of different ballots",
    ),
    entry(
        "sends-before-save",
        Rule::SendsBeforeSave,
        "step contract: save before send",
        "answers first, and saves some time later",
    ),
    entry(
        "stale-disk",
        Rule::StaleDisk,
        "stable storage (A3)",
        "comes back with the save before the last one",
    ),
    entry(
        "saves-last",
        Rule::SavesLast,
        "step contract: save before send",
        "puts the save after the sends of a step",
    ),
    entry(
        "reads-locally",
        Rule::ReadsLocally,
        "server: not known here may be chosen elsewhere",
        "answers a read \"unset\" when it does not know itself",
    ),
    entry(
        "reads-older-ballot",
        Rule::ReadsOlderBallot,
        "read: the ballot was begun after the read",
        "answers a read from a ballot that was begun before",
    ),
    entry(
        "reads-bound",
        Rule::ReadsBound,
        "read: nothing was reported or issued",
        "answers a read \"unset\" where a proposal was issued",
    ),
    entry(
        "counts-parts",
        Rule::CountsParts,
        "proposer: a part of a report is no report",
        "counts an acceptor that has reported a part only",
    ),
    entry(
        "forgets-instance",
        Rule::ForgetsInstance,
        "proposer: bound by reports, in every instance",
        "takes over and forgets the last instance of every report",
    ),
    entry(
        "fills-over",
        Rule::FillsOver,
        "sequence: no-ops only where nothing was reported",
        "takes over and puts a no-op where something was reported",
    ),
    entry(
        "exceeds-window",
        Rule::ExceedsWindow,
        "sequence: the window (W1)",
        "proposes one instance beyond the window",
    ),
    entry(
        "executes-past-gap",
        Rule::ExecutesPastGap,
        "sequence: the next instance and no other (X1)",
        "executes what it was told of and takes all below for executed",
    ),
    entry(
        "executes-out-of-order",
        Rule::ExecutesOutOfOrder,
        "sequence: the next instance and no other (X1)",
        "executes commands as it learns them",
    ),
    entry(
        "forgets-sessions",
        Rule::ForgetsSessions,
        "machine: the table of sessions is part of it (L1)",
        "executes a command again that comes again by another server",
    ),
    entry(
        "truncates-unchosen",
        Rule::TruncatesUnchosen,
        "snapshot: forgets nothing that was not executed",
        "forgets the log below the last instance that it knows to be chosen, gaps and all",
    ),
    entry(
        "forgets-without-snapshot",
        Rule::ForgetsWithoutSnapshot,
        "snapshot: what is forgotten is in one, on stable storage",
        "forgets the log, and comes back from a crash with a machine that has executed nothing of it",
    ),
    entry(
        "promise-hides-truncation",
        Rule::PromiseHidesTruncation,
        "acceptor: promises nothing about what it has forgotten",
        "promises about instances that it has forgotten as if it had accepted nothing there",
    ),
    entry(
        "executes-otherwise",
        Rule::ExecutesOtherwise,
        "machine: a function of the log",
        "server 1 takes each command for another",
    ),
    entry(
        "promise-per-instance",
        Rule::PromisePerInstance,
        "acceptor: a promise covers all instances (H1)",
        "is free of its promise once it learns a value",
    ),
    entry(
        "answers-unconfirmed",
        Rule::AnswersUnconfirmed,
        "confirm: a round after the question",
        "answers a question from what it has executed, without asking anyone",
    ),
    entry(
        "confirms-anyway",
        Rule::ConfirmsAnyway,
        "confirm: nothing above was promised",
        "confirms a leader although it has promised another",
    ),
    entry(
        "answers-too-early",
        Rule::AnswersTooEarly,
        "confirm: all below the read index is executed",
        "answers a confirmed question before it has executed what was issued",
    ),
    entry(
        "answers-by-words",
        Rule::AnswersByWords,
        "sequence: the call that an entry is of is answered, and no other",
        "tells everyone who waits for the same words what the first was told",
    ),
    entry(
        "hears-strangers-ballots",
        Rule::HearsStrangersBallots,
        "heard: a ballot is its proposer's",
        "takes a ballot for its proposer's, whoever sends it",
    ),
    entry(
        "hears-strangers-votes",
        Rule::HearsStrangersVotes,
        "heard: promises and acceptances are acceptors'",
        "takes what only acceptors may say for the first acceptor's, whoever says it",
    ),
    entry(
        "hears-strangers-news",
        Rule::HearsStrangersNews,
        "heard: what is chosen is said by who may know it",
        "takes what only learners may say for the first learner's, whoever says it",
    ),
    entry(
        "begins-as-follower",
        Rule::BeginsAsFollower,
        "retry: only who leads begins ballots (F3)",
        "begins a ballot when it is asked or refused, whoever leads; costs progress only",
    ),
    entry(
        "takes-nothing-over",
        Rule::TakesNothingOver,
        "lead: who comes to lead begins a ballot for what is wanted (F3)",
        "comes to lead and waits until it is asked once more; costs progress only",
    ),
    entry(
        "never-suspects",
        Rule::NeverSuspects,
        "election: who is not heard of is suspected (F3)",
        "waits for its leader for ever; costs progress only",
    ),
    entry(
        "never-trusts-again",
        Rule::NeverTrustsAgain,
        "election: a heartbeat shows that a suspicion was wrong (F3)",
        "ignores heartbeats of whom it suspects; costs progress only",
    ),
    entry(
        "never-holds-off",
        Rule::NeverHoldsOff,
        "none: a new leader's hold-off saves ballots (D3)",
        "begins ballots as soon as it leads; must do no harm",
    ),
    entry(
        "sends-once",
        Rule::SendsOnce,
        "retry: whoever has something to bring about has its timer set (I4)",
        "sets the timer only with a new ballot; costs progress only",
    ),
    entry(
        "refuses-silently",
        Rule::RefusesSilently,
        "confirm: a leader that was overtaken hears of it (I4)",
        "sends no nack for a confirmation; costs progress only",
    ),
    entry(
        "drops-questions",
        Rule::DropsQuestions,
        "confirm: whoever is asked and leads has a ballot begun for it (I4)",
        "drops a question while no ballot is under way; costs progress only",
    ),
    entry(
        "holds-off-for-ever",
        Rule::HoldsOffForEver,
        "election: a hold-off ends (I4)",
        "never comes to the end of its hold-off; costs progress only",
    ),
    entry(
        "never-follows",
        Rule::NeverFollows,
        "election: whoever follows answers heartbeats (I4)",
        "tells nobody that it follows; costs progress only",
    ),
    entry(
        "never-doubts-itself",
        Rule::NeverDoubtsItself,
        "election: whoever is followed by no quorum suspects itself (I4)",
        "leads on whoever follows it; costs progress only",
    ),
    entry(
        "ignores-nack",
        Rule::IgnoresNack,
        "none: a nack is a courtesy",
        "ignores every nack; must do no harm",
    ),
    entry(
        "control",
        Rule::Control,
        "none: the decorator alone",
        "does what the real process does; must do no harm",
    ),
    entry(
        "ignores-half",
        Rule::IgnoresHalf,
        "none: an acceptor may ignore any message (A7)",
        "ignores prepares of even proposers; must do no harm",
    ),
];

/// The mutant with this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    MUTANTS.iter().find(|entry| entry.name == name)
}
