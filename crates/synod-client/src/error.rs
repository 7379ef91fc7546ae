//! The errors of a call: each says if the command may have taken effect.

use crate::outcome::{Doubt, Refusal};
use std::fmt;
use synod_machine::{Across, Held, TooLong};

/// The reasons why a call has no output. [`Error::may_have_taken_effect`] tells the doubtful ones from the certain ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The command was refused and has no effect.
    Refused(Refusal),
    /// The command may have taken effect, once, or may still do so.
    MayHaveTakenEffect(Doubt),
    /// Members said that they were too busy, and the time was over before one took the command. It has no effect.
    Busy,
    /// No member answered in time, not even a greeting. The command has no effect.
    NotReached,
    /// The cluster's store would hold more than it may. The command has no effect.
    Full(Full),
    /// Something in the command, or all of it, is longer than the cluster takes. It was not sent.
    TooLong(TooLong),
    /// No group of the cluster can do the command alone. It was not sent.
    Across(Across),
    /// The lock is not held under the fencing token of [`Request::fenced`]; another grant holds it, or none. Nothing was done.
    ///
    /// [`Request::fenced`]: crate::requests::Request::fenced
    Fenced(Option<Held>),
    /// The client cannot run, or had to stop. A command that was sent before it stopped may have taken effect.
    Stopped {
        /// The reason.
        why: String,
        /// True if the command was handed to the client before it stopped.
        is_sent: bool,
    },
    /// The command was executed and did something else than the call is about, as a cluster of another version may. The text says what.
    Unexpected(String),
}

/// A store that would hold more than it may, in bytes as the cluster counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The bytes that it holds.
    pub held: u64,
    /// The most that it may hold.
    pub most: u64,
    /// The bytes that the command would have added.
    pub more: u64,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Full { held, most, more } = self;
        write!(
            f,
            "the store is full: it holds {held} bytes, this adds {more}, and {most} is the most; nothing was done. Delete something, or raise \
             `most-bytes` in the [store] table of every member's configuration"
        )
    }
}

impl Error {
    /// True if the command may have taken effect. If not, it certainly has none.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Error::MayHaveTakenEffect(_) | Error::Unexpected(_) => true,
            Error::Stopped { is_sent, .. } => *is_sent,
            Error::Refused(_)
            | Error::Full(_)
            | Error::Fenced(_)
            | Error::Busy
            | Error::NotReached
            | Error::TooLong(_)
            | Error::Across(_) => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotSent => {
                "no session could be opened in time, so the command was not sent; a majority of the members must be up"
            }
            Refusal::NotAnswered => "no answer came in time; a majority of the members must be up",
            Refusal::NoQuestion => "the command was asked as a question, and may change something",
            Refusal::UnknownSession => {
                "the cluster does not know the session: it lost its data, or is another one; the command was not executed"
            }
            Refusal::NotUnderstood => {
                "the cluster cannot read the command; give the client and the members the same version"
            }
            Refusal::NotAdmitted => {
                "a name or a value is longer than the cluster takes; give the client the cluster's limits, `max-key` and `max-value`"
            }
            Refusal::LongCommand(most) => {
                return write!(
                    f,
                    "the command is longer than the {most} bytes that a member takes; give the client the cluster's limits, `max-key` and \
                     `max-value`"
                );
            }
            Refusal::LongAnswer(bytes) => {
                return write!(f, "the answer has {bytes} bytes, more than members send; ask for less at a time");
            }
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::GivenUp => "no answer came in time; the command may have taken effect, or may still do so",
            Doubt::Expired => {
                "the session expired before an answer came; the command may have taken effect, and does so no more"
            }
            Doubt::NotKept => "the command took effect, and its output was lost because it was too long to be kept",
            Doubt::Answered => {
                "the command may have taken effect, and its output is not kept; the client's window must not be above the cluster's"
            }
            Doubt::LongCommand(most) => {
                return write!(
                    f,
                    "the command is longer than the {most} bytes that a member takes, and was sent before, perhaps to one that takes more; \
                     it may have taken effect. Give all the same limits, `max-key` and `max-value`"
                );
            }
            Doubt::NotUnderstood => {
                "the answer cannot be read, so the command may have taken effect; give the client and the members the same version"
            }
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => refusal.fmt(f),
            Error::MayHaveTakenEffect(doubt) => doubt.fmt(f),
            Error::Busy => f.write_str("the members are too busy; the command was not executed"),
            Error::NotReached => f.write_str(
                "no member answers; do they run, and are the client key and `groups` those of the cluster?",
            ),
            Error::Full(full) => full.fmt(f),
            Error::TooLong(what) => what.fmt(f),
            Error::Across(why) => why.fmt(f),
            Error::Fenced(None) => f.write_str("nobody holds the lock any more; nothing was done"),
            Error::Fenced(Some(grant)) => {
                write!(f, "the lock is held under another token, {}; nothing was done", grant.token)
            }
            Error::Stopped { why, is_sent: false } => f.write_str(why),
            Error::Stopped { why, is_sent: true } => write!(f, "{why}; the command may have taken effect"),
            Error::Unexpected(what) => write!(f, "the cluster gave an answer of another kind: {what}"),
        }
    }
}

impl std::error::Error for Error {}
