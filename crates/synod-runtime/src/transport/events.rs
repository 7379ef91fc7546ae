//! What a transport tells the loop.

use crate::admission::Answer;
use crate::standing::Standing;
use std::fmt;

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message of a member that takes part, or of a client.
    Message {
        /// Who sent it.
        from: u64,
        /// The message.
        bytes: &'a [u8],
    },
    /// A greeting that answers this very start.
    Hello {
        /// Who sent it.
        from: u64,
        /// What it says of itself.
        standing: Standing,
        /// What it knows of this process, if by now it is in a session with it.
        answer: Option<Answer>,
        /// Whether a session begins with it: what came of its sender before belongs to an earlier start.
        begins: bool,
    },
    /// A member answers this very start, and takes others for members than this one does.
    OtherMembers {
        /// Who it is.
        from: u64,
        /// The ids of all members, as it has them.
        members: &'a [u64],
    },
    /// A server dropped something of ours because too much was waiting there.
    Busy {
        /// Who said so.
        from: u64,
    },
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is longer than the longest message.
    TooLarge {
        /// Its length in bytes.
        len: usize,
        /// The longest, in bytes.
        most: usize,
    },
    /// There is no session with the receiver, yet or any more.
    NoSession,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooLarge { len, most } => write!(f, "a message of {len} bytes; {most} is the most"),
            Refused::NoSession => f.write_str("there is no session with the receiver"),
        }
    }
}

impl std::error::Error for Refused {}
