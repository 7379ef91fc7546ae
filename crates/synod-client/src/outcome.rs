//! The outcomes of a call: an output, a refusal that is certain, or a doubt.

/// The outcome of a call. Each call has exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<O> {
    /// The machine's output. A command that was submitted took effect once.
    Output(O),
    /// The command has not taken effect and never will.
    Refused(Refusal),
    /// The command may have taken effect, or may still do so, but not more than once.
    Unknown(Doubt),
}

/// The reasons why a command certainly has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It was given up before it was sent.
    NotSent,
    /// It is a question, and was given up before an answer came.
    NotAnswered,
    /// It was asked as a question, and may change something.
    NoQuestion,
    /// The log says that it never opened the session. The cluster lost its data or is another one.
    UnknownSession,
    /// The cluster cannot read the command, as one of another version may.
    NotUnderstood,
    /// A name or a value in the command is longer than the cluster takes, or the command is not for clients to give.
    NotAdmitted,
    /// It is a question, and its answer is longer than members send: so many bytes.
    LongAnswer(u64),
    /// It is longer than a member takes: so many bytes are the most.
    LongCommand(u64),
}

/// The reasons why nobody can say if a command took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// It was given up after it was sent. It may still take effect.
    GivenUp,
    /// The session expired before the answer came. The command takes no effect from now on.
    Expired,
    /// It took effect, and its output was too long to be kept for a second asking.
    NotKept,
    /// The cluster takes its answer for received, since a command came that lies a whole window above it. The client's window is larger
    /// than the cluster's.
    Answered,
    /// The answer cannot be read, as one of another version may.
    NotUnderstood,
    /// A member refuses it, since it is longer than the so many bytes that this member takes; it was sent before, perhaps to another one.
    LongCommand(u64),
}
