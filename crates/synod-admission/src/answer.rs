//! The answer of a peer to a start.

use crate::standing::Known;

/// The answer of a peer about this member, once the peer has closed every session with an earlier start of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    /// The peer's knowledge of this member: the most it ever heard, durable or not.
    pub known: Option<Known>,
    /// True if this member's directory is durably recorded there.
    pub recorded: bool,
    /// True if the peer's own directory has ever been admitted.
    pub admitted: bool,
    /// The number of the last configuration of members that the peer has executed; 0 where members do not change.
    pub number: u64,
}
