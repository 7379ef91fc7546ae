//! Guarantees that limits leave room for one session at least, so that a client can always be served.

use super::table::{REPLY_BYTES, SESSION_BYTES};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The limits of the table of sessions. They are part of the replicated state and of its snapshot: replicas with other limits would
/// forget other sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// The most sessions that are open at a time. Where there would be one more, the one that went unused longest expires.
    pub sessions: u32,
    /// The most commands of a session that may be without an answer at a time. Commands that are open together are executed in
    /// whatever order they come to be in the log. A client that needs its own order waits for each answer.
    pub window: u32,
    /// The longest answer that is kept for copies of its command, in bytes.
    pub reply_bytes: u32,
    /// The most that the table may be charged with: 96 bytes per session, and for each answer kept its length and 32 bytes. Where it would be
    /// more, the sessions that went unused longest expire.
    pub bytes: u64,
    /// A session expires when more commands than these were applied since it was last used.
    pub idle: Option<u64>,
}

impl Default for Limits {
    /// 10,000 sessions with 16 commands open each, answers up to 64 KiB, 64 MiB in all, and no expiry of idle sessions.
    fn default() -> Self {
        Limits { sessions: 10_000, window: 16, reply_bytes: 64 << 10, bytes: 64 << 20, idle: None }
    }
}

/// Limits under which no client could be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsError {
    /// No session may be open.
    NoSession,
    /// No command may be open.
    NoWindow,
    /// A single session may be charged with more than the whole table.
    TooFewBytes {
        /// The charge that a session may reach.
        needed: u128,
    },
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitsError::NoSession => {
                f.write_str("`sessions` is 0, so that no client could ever open one; give at least 1")
            }
            LimitsError::NoWindow => {
                f.write_str("`window` is 0, so that no command could ever be sent; give at least 1")
            }
            LimitsError::TooFewBytes { needed } => write!(
                f,
                "one session with `window` answers of `reply_bytes` comes to {needed} bytes; give `bytes` at least that, or \
                 lower one of them"
            ),
        }
    }
}

impl std::error::Error for LimitsError {}

impl Limits {
    /// Checks that one session fits, whatever its client does.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self) -> Result<(), LimitsError> {
        if self.sessions == 0 {
            return Err(LimitsError::NoSession);
        }
        if self.window == 0 {
            return Err(LimitsError::NoWindow);
        }
        let reply = u128::from(self.reply_bytes) + u128::from(REPLY_BYTES);
        let needed = u128::from(self.window) * reply + u128::from(SESSION_BYTES);
        if u128::from(self.bytes) < needed { Err(LimitsError::TooFewBytes { needed }) } else { Ok(()) }
    }
}
