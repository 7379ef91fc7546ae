//! The contract that makes replicas of a machine equal (PMS §3). The module itself guarantees nothing.

use crate::codec::Undecodable;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Debug};
use std::hash::Hash;

/// A deterministic state machine.
///
/// # The contract
/// Replicas run the same commands in the same order and never compare notes, so everything rests on this:
///
/// - **`apply` is a function** of the state and the command. It must not look at a clock, a random number, an address,
///   an environment, or the order of a map that depends on hashes; nor at how often the machine was copied or restored. It must
///   not panic, whatever the command: commands come from clients.
/// - **Equal means equal.** Machines that are `==` give equal outputs and equal successors to every command, and write
///   equal snapshots. So replicas can be compared by their snapshots, and a snapshot half fetched from one can be completed
///   from another.
/// - **A snapshot is everything.** A machine that is restored from `m`'s snapshot is `== m`.
/// - **`query` tells the truth**: where it has an answer, `apply` would give the same and leave the state as it is.
///
/// The tests of this crate check all four.
///
/// Copies should be cheap, since a copy of the machine is part of every state of a replica; see [`Sorted`](crate::Sorted).
pub trait StateMachine: Clone + Debug + PartialEq + Eq + Hash + Send + Sync + 'static {
    /// The commands of clients.
    type Command: Clone + Debug + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The answers to clients.
    type Output: Clone + Debug + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Executes a command: the next state and the output are determined by this state and the command.
    fn apply(&mut self, command: &Self::Command) -> Self::Output;

    /// The output of a command that changes nothing, whatever the state; nothing for all other commands.
    ///
    /// This is what a replica may answer without the log, once it knows that its state is recent enough.
    fn query(&self, command: &Self::Command) -> Option<Self::Output>;

    /// The whole state as bytes, always the same for the same state.
    fn snapshot(&self) -> Vec<u8>;

    /// Takes over the state that [`StateMachine::snapshot`] wrote. What the machine was before does not matter, except
    /// for configuration that all replicas must share.
    ///
    /// # Errors
    /// The bytes are no snapshot of such a machine. Then this one is as it was.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored>;
}

/// A snapshot was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored(String);

impl NotRestored {
    /// Says what is wrong.
    pub fn because(what: impl Into<String>) -> Self {
        NotRestored(what.into())
    }
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the snapshot cannot be restored: {}", self.0)
    }
}

impl std::error::Error for NotRestored {}

impl From<Undecodable> for NotRestored {
    fn from(why: Undecodable) -> Self {
        NotRestored(why.to_string())
    }
}

/// Counts in snapshots above this are refused. No honest count comes here, and below it none can overflow while a
/// process lives.
pub(crate) const ABSURD: u64 = 1 << 62;

/// Refuses counts that would overflow.
pub(crate) fn plausible(what: &str, count: u64) -> Result<(), NotRestored> {
    if count < ABSURD { Ok(()) } else { Err(NotRestored::because(format!("{what} is {count}"))) }
}
