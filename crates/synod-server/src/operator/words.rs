//! The questions of an operator, and the answers.

use crate::status::MembersTold;
use serde::{Deserialize, Serialize};

/// The longest line, in bytes: a list of 128 members and learners takes a quarter of it.
pub(super) const LONGEST_LINE: u64 = 64 << 10;

/// The longest time that a change is waited for, in milliseconds.
pub(super) const LONGEST_WAIT: u64 = 600_000;

/// A question to a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Who the members are, as far as this one has executed the log.
    List,
    /// A change, in the words of the log.
    Change {
        /// The words, such as `add 3 at 127.0.0.1:7003 on 0`.
        words: String,
        /// The time after which nobody waits for it any more, in milliseconds.
        timeout_ms: u64,
    },
}

/// The answer of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The members.
    Members(Box<MembersTold>),
    /// The change had its effect; the words of the log.
    Done(String),
    /// It has no effect, and will have none.
    Refused(String),
    /// It may or may not have had its effect, or have it later.
    Unknown(String),
}
