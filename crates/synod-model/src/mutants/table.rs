//! The table of mutants: of the roles, of the rule that admits disks, and of that of times to live.

use super::kinds::{Breaks, Mutant};
use super::{Rule, times};
use crate::admission::Rule as AdmissionRule;

/// A row of the table below.
const fn roles(name: &'static str, rule: Rule, guard: &'static str, does: &'static str) -> Mutant {
    Mutant { name, guard, does, breaks: Breaks::Roles(rule) }
}

/// The same, of the rule of admission.
const fn admits(name: &'static str, rule: AdmissionRule, guard: &'static str, does: &'static str) -> Mutant {
    Mutant { name, guard, does, breaks: Breaks::Admission(rule) }
}

/// All mutants. Shared ballots and quorums that do not intersect need none: they are plain configuration.
pub const MUTANTS: [Mutant; 97] = [
    roles(
        "last-value",
        Rule::LastValue,
        "proposer: highest report counts",
        "adopts the report that arrived last",
    ),
    roles(
        "lowest-value",
        Rule::LowestValue,
        "proposer: highest report counts",
        "adopts the lowest-numbered report",
    ),
    roles(
        "any-value",
        Rule::AnyValue,
        "proposer: bound by reports",
        "proposes its own value whatever is reported",
    ),
    roles(
        "other-ballots-promises",
        Rule::OtherBallotsPromises,
        "proposer: promises of this ballot only",
        "counts promises that were made to another of its ballots",
    ),
    roles(
        "late-promise",
        Rule::LatePromise,
        "proposer: promises in phase 1 only",
        "lets a promise that comes after the quorum decide again",
    ),
    roles(
        "counts-promises",
        Rule::CountsPromises,
        "proposer: one promise an acceptor",
        "counts messages, not acceptors, in phase 1",
    ),
    roles(
        "changes-its-mind",
        Rule::ChangesItsMind,
        "proposer: one value an instance and ballot",
        "issues a second client's value in the ballot it already used",
    ),
    roles(
        "forgets-ballot",
        Rule::ForgetsBallot,
        "proposer: ballot saved",
        "begins its first ballot again after a crash",
    ),
    roles(
        "same-ballot-retry",
        Rule::SameBallotRetry,
        "proposer: every retry draws a higher ballot (H3)",
        "prepares again with the same ballot after a timeout",
    ),
    roles(
        "announces-first",
        Rule::AnnouncesFirst,
        "proposer: announces at a quorum",
        "announces its value at the first acceptance",
    ),
    roles(
        "announces-other-ballots",
        Rule::AnnouncesOtherBallots,
        "proposer: acceptances of this ballot only",
        "counts acceptances of its earlier ballots",
    ),
    roles(
        "announces-by-messages",
        Rule::AnnouncesByMessages,
        "proposer: one acceptance an acceptor",
        "counts messages, not acceptors, in phase 2",
    ),
    roles(
        "accepts-below-promise",
        Rule::AcceptsBelowPromise,
        "acceptor: on_accept's promise guard",
        "accepts a proposal below its promise",
    ),
    roles(
        "accepts-without-raising",
        Rule::AcceptsWithoutRaising,
        "acceptor: accepting promises too",
        "accepts without raising its promise, P1a to the letter",
    ),
    roles(
        "lowers-promise",
        Rule::LowersPromise,
        "acceptor: on_prepare's promise guard",
        "promises whatever is asked, also below its promise",
    ),
    roles(
        "answers-below-promise",
        Rule::AnswersBelowPromise,
        "acceptor: on_prepare's promise guard",
        "answers a prepare below its promise, and keeps the higher one",
    ),
    roles(
        "promise-not-kept",
        Rule::PromiseNotKept,
        "acceptor: a promise is remembered",
        "promises and does not remember it",
    ),
    roles(
        "reports-nothing",
        Rule::ReportsNothing,
        "acceptor: reports what it accepted",
        "promises without a report",
    ),
    roles(
        "keeps-first",
        Rule::KeepsFirst,
        "acceptor: remembers its highest acceptance",
        "keeps reporting the first proposal it accepted",
    ),
    roles("rejects-first", Rule::RejectsFirst, "acceptor: P1", "ignores the first proposal it receives"),
    roles(
        "refuses-promised",
        Rule::RefusesPromised,
        "acceptor: refuses only below its promise",
        "refuses the very ballot that it has promised",
    ),
    roles(
        "echoes-prepare",
        Rule::EchoesPrepare,
        "acceptor: no promise in a ballot it accepted in",
        "answers a prepare of the ballot in which it has accepted",
    ),
    roles(
        "forgets-promise",
        Rule::ForgetsPromise,
        "acceptor: the promise is stable",
        "comes back from a crash without its promise",
    ),
    roles(
        "forgets-accepted",
        Rule::ForgetsAccepted,
        "acceptor: acceptances are stable",
        "comes back from a crash without what it accepted",
    ),
    roles("amnesia", Rule::Amnesia, "stable storage (A3)", "comes back from a crash as if new"),
    roles(
        "learns-first",
        Rule::LearnsFirst,
        "learner: learns at a quorum",
        "learns from the first acceptance",
    ),
    roles(
        "learns-by-messages",
        Rule::LearnsByMessages,
        "learner: one acceptance an acceptor",
        "counts messages, not acceptors",
    ),
    roles(
        "learns-across-ballots",
        Rule::LearnsAcrossBallots,
        "learner: each ballot by itself",
        "adds up acceptances of different ballots",
    ),
    roles(
        "sends-before-save",
        Rule::SendsBeforeSave,
        "step contract: save before send",
        "answers first, and saves some time later",
    ),
    roles(
        "stale-disk",
        Rule::StaleDisk,
        "stable storage (A3)",
        "comes back with the save before the last one",
    ),
    roles(
        "saves-last",
        Rule::SavesLast,
        "step contract: save before send",
        "puts the save after the sends of a step",
    ),
    roles(
        "reads-locally",
        Rule::ReadsLocally,
        "server: not known here may be chosen elsewhere",
        "answers a read \"unset\" when it does not know itself",
    ),
    roles(
        "reads-older-ballot",
        Rule::ReadsOlderBallot,
        "read: the ballot was begun after the read",
        "answers a read from a ballot that was begun before",
    ),
    roles(
        "reads-bound",
        Rule::ReadsBound,
        "read: nothing was reported or issued",
        "answers a read \"unset\" where a proposal was issued",
    ),
    roles(
        "counts-parts",
        Rule::CountsParts,
        "proposer: a part of a report is no report",
        "counts an acceptor that has reported a part only",
    ),
    roles(
        "forgets-instance",
        Rule::ForgetsInstance,
        "proposer: bound by reports, in every instance",
        "takes over and forgets the last instance of every report",
    ),
    roles(
        "fills-over",
        Rule::FillsOver,
        "sequence: no-ops only where nothing was reported",
        "takes over and puts a no-op where something was reported",
    ),
    roles(
        "exceeds-window",
        Rule::ExceedsWindow,
        "sequence: the window (W1)",
        "proposes one instance beyond the window",
    ),
    roles(
        "executes-past-gap",
        Rule::ExecutesPastGap,
        "sequence: the next instance and no other (X1)",
        "executes what it was told of and takes all below for executed",
    ),
    roles(
        "executes-out-of-order",
        Rule::ExecutesOutOfOrder,
        "sequence: the next instance and no other (X1)",
        "executes commands as it learns them",
    ),
    roles(
        "executes-first-of-batch",
        Rule::ExecutesFirstOfBatch,
        "sequence: every command of a batch, in its order (X1)",
        "executes only the first of the commands that share an instance",
    ),
    roles(
        "answers-batch-alike",
        Rule::AnswersBatchAlike,
        "sequence: each call gets the output of its own command (L1)",
        "gives all commands that share an instance the output of the first",
    ),
    roles(
        "forgets-sessions",
        Rule::ForgetsSessions,
        "machine: the table of sessions is part of it (L1)",
        "executes a command again that comes again by another server",
    ),
    roles(
        "truncates-unchosen",
        Rule::TruncatesUnchosen,
        "snapshot: forgets nothing that was not executed",
        "forgets the log below the last instance that it knows to be chosen, gaps and all",
    ),
    roles(
        "forgets-without-snapshot",
        Rule::ForgetsWithoutSnapshot,
        "snapshot: what is forgotten is in one, on stable storage",
        "forgets the log, and comes back from a crash with a machine that has executed nothing of it",
    ),
    roles(
        "forgets-before-snapshot",
        Rule::ForgetsBeforeSnapshot,
        "snapshot: nothing of the log is forgotten before the step that saves the snapshot",
        "forgets the log as soon as a machine was set aside, before its snapshot is written",
    ),
    roles(
        "promise-hides-truncation",
        Rule::PromiseHidesTruncation,
        "acceptor: promises nothing about what it has forgotten",
        "promises about instances that it has forgotten as if it had accepted nothing there",
    ),
    roles(
        "executes-otherwise",
        Rule::ExecutesOtherwise,
        "machine: a function of the log",
        "server 1 takes each command for another",
    ),
    roles(
        "promise-per-instance",
        Rule::PromisePerInstance,
        "acceptor: a promise covers all instances (H1)",
        "is free of its promise once it learns a value",
    ),
    roles(
        "answers-unconfirmed",
        Rule::AnswersUnconfirmed,
        "confirm: a round after the question",
        "answers a question from what it has executed, without asking anyone",
    ),
    roles(
        "confirms-anyway",
        Rule::ConfirmsAnyway,
        "confirm: nothing above was promised",
        "confirms a leader although it has promised another",
    ),
    roles(
        "answers-too-early",
        Rule::AnswersTooEarly,
        "confirm: all below the read index is executed",
        "answers a confirmed question before it has executed what was issued",
    ),
    roles(
        "answers-by-words",
        Rule::AnswersByWords,
        "sequence: the call that an entry is of is answered, and no other",
        "tells everyone who waits for the same words what the first was told",
    ),
    roles(
        "hears-strangers-ballots",
        Rule::HearsStrangersBallots,
        "heard: a ballot is its proposer's",
        "takes a ballot for its proposer's, whoever sends it",
    ),
    roles(
        "hears-strangers-votes",
        Rule::HearsStrangersVotes,
        "heard: promises and acceptances are acceptors'",
        "takes what only acceptors may say for the first acceptor's, whoever says it",
    ),
    roles(
        "hears-strangers-news",
        Rule::HearsStrangersNews,
        "heard: what is chosen is said by who may know it",
        "takes what only learners may say for the first learner's, whoever says it",
    ),
    roles(
        "begins-as-follower",
        Rule::BeginsAsFollower,
        "retry: only who leads begins ballots (F3)",
        "begins a ballot when it is asked or refused, whoever leads; costs progress only",
    ),
    roles(
        "takes-nothing-over",
        Rule::TakesNothingOver,
        "lead: who comes to lead begins a ballot for what is wanted (F3)",
        "comes to lead and waits until it is asked once more; costs progress only",
    ),
    roles(
        "never-suspects",
        Rule::NeverSuspects,
        "election: who is not heard of is suspected (F3)",
        "waits for its leader for ever; costs progress only",
    ),
    roles(
        "never-trusts-again",
        Rule::NeverTrustsAgain,
        "election: a heartbeat shows that a suspicion was wrong (F3)",
        "ignores heartbeats of whom it suspects; costs progress only",
    ),
    roles(
        "never-holds-off",
        Rule::NeverHoldsOff,
        "none: a new leader's hold-off saves ballots (D3)",
        "begins ballots as soon as it leads; must do no harm",
    ),
    roles(
        "sends-once",
        Rule::SendsOnce,
        "retry: whoever has something to bring about has its timer set (I4)",
        "sets the timer only with a new ballot; costs progress only",
    ),
    roles(
        "refuses-silently",
        Rule::RefusesSilently,
        "confirm: a leader that was overtaken hears of it (I4)",
        "sends no nack for a confirmation; costs progress only",
    ),
    roles(
        "drops-questions",
        Rule::DropsQuestions,
        "confirm: whoever is asked and leads has a ballot begun for it (I4)",
        "drops a question while no ballot is under way; costs progress only",
    ),
    roles(
        "holds-off-for-ever",
        Rule::HoldsOffForEver,
        "election: a hold-off ends (I4)",
        "never comes to the end of its hold-off; costs progress only",
    ),
    roles(
        "never-follows",
        Rule::NeverFollows,
        "election: whoever follows answers heartbeats (I4)",
        "tells nobody that it follows; costs progress only",
    ),
    roles(
        "never-doubts-itself",
        Rule::NeverDoubtsItself,
        "election: whoever is followed by no quorum suspects itself (I4)",
        "leads on whoever follows it; costs progress only",
    ),
    roles(
        "ignores-nack",
        Rule::IgnoresNack,
        "none: a nack is a courtesy",
        "ignores every nack; must do no harm",
    ),
    roles(
        "control",
        Rule::Control,
        "none: the decorator alone",
        "does what the real process does; must do no harm",
    ),
    roles(
        "ignores-half",
        Rule::IgnoresHalf,
        "none: an acceptor may ignore any message (A7)",
        "ignores prepares of even proposers; must do no harm",
    ),
    admits(
        "start-not-durable",
        AdmissionRule::StartNotDurable,
        "admission: a start is counted durably before it greets",
        "greets before its start is counted durably",
    ),
    admits(
        "knowledge-not-durable",
        AdmissionRule::KnowledgeNotDurable,
        "admission: what was heard of a peer is durable before it has an effect on a member",
        "lets it have an effect at once",
    ),
    admits(
        "told-before-saved",
        AdmissionRule::ToldBeforeSaved,
        "admission: what a client is told rests on durable saves",
        "tells a client before it flushes",
    ),
    admits(
        "forgets-owed",
        AdmissionRule::ForgetsOwed,
        "admission: what an earlier batch left unflushed makes a later one wait",
        "forgets what is not flushed yet",
    ),
    admits(
        "answers-durable-only",
        AdmissionRule::AnswersDurableOnly,
        "admission: greetings are answered with what was heard",
        "answers with what is durable, not with what was heard",
    ),
    admits(
        "greeting-taken-over",
        AdmissionRule::GreetingTakenOver,
        "admission: what is known of a start stays until the next is admitted",
        "drops it as soon as a later start greets",
    ),
    admits(
        "answers-before-session",
        AdmissionRule::AnswersBeforeSession,
        "admission: no message of an earlier start has an effect after a greeting is answered",
        "answers while messages of an earlier start may still have an effect",
    ),
    admits(
        "steps-earlier-starts",
        AdmissionRule::StepsEarlierStarts,
        "admission: messages of an earlier start are not stepped",
        "steps them",
    ),
    admits(
        "speaks-unanswered",
        AdmissionRule::SpeaksUnanswered,
        "admission: a member speaks only to peers that have said what they know",
        "speaks to one that has not said it yet",
    ),
    admits(
        "majority-records",
        AdmissionRule::MajorityRecords,
        "admission: every member records a new directory before it counts",
        "lets it count once a majority has recorded it",
    ),
    admits(
        "records-later",
        AdmissionRule::RecordsLater,
        "admission: a directory is durable before a peer says that it recorded it",
        "says so before",
    ),
    admits(
        "records-another",
        AdmissionRule::RecordsAnother,
        "admission: a directory that is recorded stays",
        "lets another directory of the same member take its place",
    ),
    admits(
        "anyone-answers",
        AdmissionRule::AnyoneAnswers,
        "admission: only members whose directories were admitted are believed of what was before",
        "believes anyone",
    ),
    admits(
        "nobody-asked",
        AdmissionRule::NobodyAsked,
        "admission: a directory asks at every start before it takes part",
        "takes part without asking once it was admitted",
    ),
    admits(
        "directory-not-compared",
        AdmissionRule::DirectoryNotCompared,
        "admission: another directory than the one that is known is noticed",
        "does not compare directories",
    ),
    admits(
        "start-not-compared",
        AdmissionRule::StartNotCompared,
        "admission: a later start than the present is noticed",
        "does not compare the numbers of starts",
    ),
    admits(
        "process-not-compared",
        AdmissionRule::ProcessNotCompared,
        "admission: another process at a start of the same number is noticed",
        "does not compare processes",
    ),
    admits(
        "base-not-compared",
        AdmissionRule::BaseNotCompared,
        "admission: a start is compared with what the next one found",
        "does not compare them",
    ),
    admits(
        "judges-at-start-only",
        AdmissionRule::JudgesAtStartOnly,
        "admission: a member that was admitted listens to peers that know better",
        "judges at its start only",
    ),
    admits(
        "lists-talk",
        AdmissionRule::ListsTalk,
        "admission: members with other lists do not talk",
        "lets them talk",
    ),
    admits(
        "list-not-bound",
        AdmissionRule::ListNotBound,
        "admission: a directory belongs to one list of members",
        "may be started with another list",
    ),
    times::TELLS_ANYONE,
    times::KNOWS_ALL,
    times::STARTS_AT_ONCE,
    times::CLOCK_GOES_BACK,
    times::OWN_CLOCK,
    times::ANSWERS_BY_OWN_CLOCK,
];

/// The mutant with this name.
pub fn find(name: &str) -> Option<&'static Mutant> {
    MUTANTS.iter().find(|mutant| mutant.name == name)
}
