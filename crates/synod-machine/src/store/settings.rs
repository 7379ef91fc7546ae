//! Guarantees that settings under which no client could be served never hold.

use crate::sessions::{Limits, LimitsError};
use serde::{Deserialize, Serialize};

/// The greatest lengths that a store takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lengths {
    /// The longest key, and the longest name of a lock or of its owner.
    pub key: usize,
    /// The longest value.
    pub value: usize,
}

/// The settings that decide what a command does. They are part of the replicated state, and the log alone changes them
/// ([`StoreCommand::Settings`](super::StoreCommand::Settings)): replicas that went by settings of their own would diverge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The greatest lengths of names and values.
    pub lengths: Lengths,
    /// The limits of the table of sessions in front of the store.
    pub sessions: Limits,
    /// The most bytes that a store may come to hold, as [`Store::bytes`](super::Store::bytes) counts them. A transaction that would end above it
    /// and grows the store is refused.
    pub bytes: u64,
}

impl Default for Settings {
    /// The settings of sessions and bytes that hold before any are told, and of lengths where a configuration has none: names up to 1 KiB, values up to 64 KiB, 64 commands open in a session, and 2 GiB in all.
    fn default() -> Self {
        Settings {
            lengths: Lengths { key: 1024, value: 64 << 10 },
            sessions: Limits { window: 64, ..Limits::default() },
            bytes: 2 << 30,
        }
    }
}

impl Settings {
    /// Checks that a client can be served.
    ///
    /// # Errors
    /// The limits leave no room for a session.
    pub fn check(&self) -> Result<(), LimitsError> {
        self.sessions.check()
    }
}
