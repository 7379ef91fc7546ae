//! The rule of admission with one line of it broken. The table of mutants has their names.

/// The broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A start greets before it was counted durably.
    StartNotDurable,
    /// News of a peer need not be durable before they have an effect.
    KnowledgeNotDurable,
    /// A client is told before what its member saved is durable.
    ToldBeforeSaved,
    /// A later batch does not wait for what an earlier one left unflushed.
    ForgetsOwed,
    /// Greetings are answered with what is durable, not with what was heard.
    AnswersDurableOnly,
    /// Knowledge of an earlier start goes as soon as a later one greets.
    GreetingTakenOver,
    /// A greeting is answered while messages of an earlier start may still have an effect.
    AnswersBeforeSession,
    /// Messages of an earlier start are stepped.
    StepsEarlierStarts,
    /// A member speaks to a peer that has not said yet what it knows.
    SpeaksUnanswered,
    /// A new directory counts once a majority has recorded it.
    MajorityRecords,
    /// A peer says that it has recorded a directory before that is durable.
    RecordsLater,
    /// Another directory of the same member takes the place of the one that is recorded.
    RecordsAnother,
    /// Members whose directories were never admitted are believed of what was before.
    AnyoneAnswers,
    /// A directory that was admitted once takes part without asking.
    NobodyAsked,
    /// Another directory than the one that is known is not noticed.
    DirectoryNotCompared,
    /// A later start than the present is not noticed.
    StartNotCompared,
    /// Another process at a start of the same number is not noticed.
    ProcessNotCompared,
    /// A start is not held against what the next one found.
    BaseNotCompared,
    /// Once admitted, a member does not listen to who knows better.
    JudgesAtStartOnly,
    /// Members with other lists talk.
    ListsTalk,
    /// A directory may be started with another list.
    ListNotBound,
    /// The changes that others have executed are not compared with one's own.
    NumberNotCompared,
    /// An id that is not of the beginning does not wait until it has joined.
    JoinsUnasked,
    /// Another directory that the log names is not noticed.
    AnotherJoined,
    /// Nobody of the configurations in force is asked.
    ConfigurationsNotAsked,
    /// New directories of the beginning do not mind that members have changed.
    BeginsAgain,
    /// One that only learns votes and says so.
    LearnersVote,
    /// Of the configurations in force only the latest is asked.
    LatestAlone,
    /// Directories that were never admitted are recorded.
    RecordsNew,
    /// In a session, a directory that was never admitted does not give way to one that was.
    GivesNoWay,
}
