//! Re-runs the flight records of a cluster's members through the same actors, demands the same outputs, merges the
//! members' records into one history in which nothing is received before it was sent, and evaluates every claim on it
//! after every step (spec G3).
//!
//! What a clean replay shows: the recorded members did exactly what the explored functions do, from exactly what they had saved,
//! each message they took had been sent, and the run as a whole breaks no claim. What it cannot show is anything of
//! a member whose record is missing: the records of all members, from their first start on, are needed.

mod explain;
mod judge;
mod member;
mod merge;
mod records;

pub use explain::{Explained, Replayable, explain, show};
pub use judge::Violation;
pub use merge::{Replayed, Verdict, replay};
pub use records::{Life, Lives, Records};

use std::fmt;

/// Why a run cannot be replayed: something is wrong with the records, not (yet) with the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

impl std::error::Error for Unreadable {}
