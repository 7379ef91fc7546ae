//! The mutants of the rule that admits disks.

use super::kinds::{Breaks, Mutant};
use crate::admission::Rule as AdmissionRule;

/// A mutant of the rule of admission.
const fn admits(name: &'static str, rule: AdmissionRule, guard: &'static str, does: &'static str) -> Mutant {
    Mutant { name, guard, does, breaks: Breaks::Admission(rule) }
}

pub(super) const START_NOT_DURABLE: Mutant = admits(
    "start-not-durable",
    AdmissionRule::StartNotDurable,
    "admission: a start is counted durably before it greets",
    "greets before its start is counted durably",
);
pub(super) const KNOWLEDGE_NOT_DURABLE: Mutant = admits(
    "knowledge-not-durable",
    AdmissionRule::KnowledgeNotDurable,
    "admission: what was heard of a peer is durable before it has an effect on a member",
    "lets it have an effect at once",
);
pub(super) const TOLD_BEFORE_SAVED: Mutant = admits(
    "told-before-saved",
    AdmissionRule::ToldBeforeSaved,
    "admission: what a client is told rests on durable saves",
    "tells a client before it flushes",
);
pub(super) const FORGETS_OWED: Mutant = admits(
    "forgets-owed",
    AdmissionRule::ForgetsOwed,
    "admission: what an earlier batch left unflushed makes a later one wait",
    "forgets what is not flushed yet",
);
pub(super) const ANSWERS_DURABLE_ONLY: Mutant = admits(
    "answers-durable-only",
    AdmissionRule::AnswersDurableOnly,
    "admission: greetings are answered with what was heard",
    "answers with what is durable, not with what was heard",
);
pub(super) const GREETING_TAKEN_OVER: Mutant = admits(
    "greeting-taken-over",
    AdmissionRule::GreetingTakenOver,
    "admission: what is known of a start stays until the next is admitted",
    "drops it as soon as a later start greets",
);
pub(super) const ANSWERS_BEFORE_SESSION: Mutant = admits(
    "answers-before-session",
    AdmissionRule::AnswersBeforeSession,
    "admission: no message of an earlier start has an effect after a greeting is answered",
    "answers while messages of an earlier start may still have an effect",
);
pub(super) const STEPS_EARLIER_STARTS: Mutant = admits(
    "steps-earlier-starts",
    AdmissionRule::StepsEarlierStarts,
    "admission: messages of an earlier start are not stepped",
    "steps them",
);
pub(super) const SPEAKS_UNANSWERED: Mutant = admits(
    "speaks-unanswered",
    AdmissionRule::SpeaksUnanswered,
    "admission: a member speaks only to peers that have said what they know",
    "speaks to one that has not said it yet",
);
pub(super) const MAJORITY_RECORDS: Mutant = admits(
    "majority-records",
    AdmissionRule::MajorityRecords,
    "admission: every member records a new directory before it counts",
    "lets it count once a majority has recorded it",
);
pub(super) const RECORDS_LATER: Mutant = admits(
    "records-later",
    AdmissionRule::RecordsLater,
    "admission: a directory is durable before a peer says that it recorded it",
    "says so before",
);
pub(super) const RECORDS_ANOTHER: Mutant = admits(
    "records-another",
    AdmissionRule::RecordsAnother,
    "admission: a directory that is recorded stays",
    "lets another directory of the same member take its place",
);
pub(super) const ANYONE_ANSWERS: Mutant = admits(
    "anyone-answers",
    AdmissionRule::AnyoneAnswers,
    "admission: only members whose directories were admitted are believed of what was before",
    "believes anyone",
);
pub(super) const NOBODY_ASKED: Mutant = admits(
    "nobody-asked",
    AdmissionRule::NobodyAsked,
    "admission: a directory asks at every start before it takes part",
    "takes part without asking once it was admitted",
);
pub(super) const DIRECTORY_NOT_COMPARED: Mutant = admits(
    "directory-not-compared",
    AdmissionRule::DirectoryNotCompared,
    "admission: another directory than the one that is known is noticed",
    "does not compare directories",
);
pub(super) const START_NOT_COMPARED: Mutant = admits(
    "start-not-compared",
    AdmissionRule::StartNotCompared,
    "admission: a later start than the present is noticed",
    "does not compare the numbers of starts",
);
pub(super) const PROCESS_NOT_COMPARED: Mutant = admits(
    "process-not-compared",
    AdmissionRule::ProcessNotCompared,
    "admission: another process at a start of the same number is noticed",
    "does not compare processes",
);
pub(super) const BASE_NOT_COMPARED: Mutant = admits(
    "base-not-compared",
    AdmissionRule::BaseNotCompared,
    "admission: a start is compared with what the next one found",
    "does not compare them",
);
pub(super) const JUDGES_AT_START_ONLY: Mutant = admits(
    "judges-at-start-only",
    AdmissionRule::JudgesAtStartOnly,
    "admission: a member that was admitted listens to peers that know better",
    "judges at its start only",
);
pub(super) const LISTS_TALK: Mutant = admits(
    "lists-talk",
    AdmissionRule::ListsTalk,
    "admission: members with other lists do not talk",
    "lets them talk",
);
pub(super) const LIST_NOT_BOUND: Mutant = admits(
    "list-not-bound",
    AdmissionRule::ListNotBound,
    "admission: a directory belongs to one list of members",
    "may be started with another list",
);
pub(super) const NUMBER_NOT_COMPARED: Mutant = admits(
    "number-not-compared",
    AdmissionRule::NumberNotCompared,
    "admission: a member has executed every change of members that those who answer it have executed",
    "does not compare them",
);
pub(super) const JOINS_UNASKED: Mutant = admits(
    "joins-unasked",
    AdmissionRule::JoinsUnasked,
    "admission: an id that is not of the beginning takes part once the log says that it joined",
    "takes part before it has joined",
);
pub(super) const ANOTHER_JOINED: Mutant = admits(
    "another-joined",
    AdmissionRule::AnotherJoined,
    "admission: a directory does not take part if the log names another one",
    "does not compare them",
);
pub(super) const CONFIGURATIONS_NOT_ASKED: Mutant = admits(
    "configurations-not-asked",
    AdmissionRule::ConfigurationsNotAsked,
    "admission: a majority of each configuration in force has answered",
    "asks nobody once it has executed enough",
);
pub(super) const LATEST_ALONE: Mutant = admits(
    "latest-alone",
    AdmissionRule::LatestAlone,
    "admission: a majority of each configuration in force has answered",
    "asks those of the latest one",
);
pub(super) const BEGINS_AGAIN: Mutant = admits(
    "begins-again",
    AdmissionRule::BeginsAgain,
    "admission: no directory of the beginning is new once members have changed",
    "takes part as if the cluster were new",
);
pub(super) const LEARNERS_VOTE: Mutant = admits(
    "learners-vote",
    AdmissionRule::LearnersVote,
    "admission: one that only learns says nothing that counts",
    "votes, and says so",
);
pub(super) const RECORDS_NEW: Mutant = admits(
    "records-new",
    AdmissionRule::RecordsNew,
    "admission: a directory that was never admitted is not recorded",
    "records it",
);
pub(super) const GIVES_NO_WAY: Mutant = admits(
    "gives-no-way",
    AdmissionRule::GivesNoWay,
    "admission: a directory that was never admitted gives way to one that was",
    "keeps to the first in a session",
);
