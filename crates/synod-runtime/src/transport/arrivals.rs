//! The events that a transport hands to the loop.

use crate::admission::Answer;
use crate::standing::Standing;
use std::fmt;

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// A message of a member or a client.
    Message {
        /// The sender.
        from: u64,
        /// The message.
        bytes: &'a [u8],
        /// False if it is of a member whose data directory was never admitted. Where members change such a one may ask to be told what was chosen. Otherwise it has
        /// nothing to say, and nothing of it arrives.
        admitted: bool,
    },
    /// A greeting that answers this very start.
    Hello {
        /// The sender.
        from: u64,
        /// The standing that it announces.
        standing: Standing,
        /// True if its data directory is to be recorded ([`Transport::binds`](super::Transport::binds)). A client has none.
        binds: bool,
        /// Its knowledge of this process, if by now it is in a session with this process.
        answer: Option<Answer>,
        /// True if a session begins with it. What came of its sender before belongs to an earlier start.
        begins: bool,
    },
    /// A member answers this very start, and its list of members differs from this process's.
    OtherMembers {
        /// The member.
        from: u64,
        /// The ids on its list of members.
        members: &'a [u64],
    },
    /// A server dropped a message of this process because too much was waiting there.
    Busy {
        /// The server.
        from: u64,
    },
}

/// The reasons why a message was not sent.
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
