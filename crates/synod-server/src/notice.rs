//! What a member tells whoever runs it: its news, and why it did not start or stopped.

use std::fmt;
use std::net::SocketAddr;
use synod_runtime::admission::{Reason, Until};

/// The news of a member that its operator should see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The journal ended in a batch that was never acknowledged; so many bytes were cut.
    Cut(u64),
    /// It listens, and waits for others before it takes part.
    Waiting(Vec<u64>),
    /// It learns, and takes no other part until that.
    Learns(Until),
    /// It takes part.
    TakesPart,
    /// It leads: its ballot of this round has finished phase 1.
    Leads {
        /// The group, where there are several.
        group: Option<u8>,
        /// The round.
        round: u64,
    },
    /// It must not take part, ever.
    Abstains(Reason),
    /// The keys were read anew.
    KeysRead,
    /// The keys could not be read anew; the old ones stay.
    KeysKept(String),
    /// A member answers whose list of members differs from this one's. The two do not talk.
    OtherMembers {
        /// The member.
        from: u64,
        /// The ids on its list, in order.
        theirs: Vec<u64>,
        /// The ids on this member's list, in order.
        ours: Vec<u64>,
    },
    /// A message to a client was longer than the longest, in bytes, and was not sent.
    TooLarge(usize),
    /// It has no lease in its configuration, and others have taken mastership.
    NoLease,
    /// The log names other members, or learners, than before.
    Members {
        /// The number of the configuration that governs last.
        number: u64,
        /// The first instance that it governs.
        from: u64,
        /// Its members.
        members: Vec<u64>,
        /// Those that are to join.
        learners: Vec<u64>,
    },
    /// The log has another address for it than the one at which it listens.
    Moved {
        /// The address in the log.
        given: String,
        /// The address at which it listens.
        here: SocketAddr,
    },
}

/// The reasons why a member did not start, or stopped.
#[derive(Debug)]
pub struct ServeError(String);

impl ServeError {
    /// One clear message.
    pub(crate) fn new(message: String) -> ServeError {
        ServeError(message)
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ServeError {}
