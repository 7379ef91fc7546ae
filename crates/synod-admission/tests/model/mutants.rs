//! The rule with one line of it broken.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// What was heard of a peer need not be durable before it has an effect.
    KnowledgeNotDurable,
    /// Greetings are answered with what is durable, not with what was heard.
    AnswersDurableOnly,
    /// A start is not held against what the next one found.
    BaseNotCompared,
    /// A peer says that it has recorded a directory before that is durable.
    RecordedNotDurably,
    /// A start greets before it was counted durably.
    BootNotDurable,
    /// A directory may be started with other members.
    ListNotCompared,
    /// A greeting is answered while messages of an earlier start may still have an effect.
    AnswersBeforeSession,
    /// Messages of an earlier start are stepped.
    StepsEarlierStarts,
    /// A member speaks to a peer that has not said yet what it knows.
    SpeaksUnanswered,
    /// Once admitted, a member does not listen to who knows better.
    JudgesAtStartOnly,
}
