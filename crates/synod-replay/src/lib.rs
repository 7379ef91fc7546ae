//! Re-runs the flight records of a cluster's members through the same actors, demands the same outputs, merges the
//! members' records into one history in which nothing is received before it was sent, and evaluates every claim on it
//! after every step (spec G3).
//!
//! A clean replay shows that the recorded members did exactly what the explored functions do, from exactly what they had saved;
//! that each message they took had been sent; and that the run as a whole breaks no claim. It shows nothing about
//! a member whose record is missing. It needs the records of all members, from their first start on.

mod explain;
mod groups;
mod judge;
mod log;
mod member;
mod merge;
mod records;
mod told;
mod verdict;

pub use explain::{Explained, Replayable, explain, show};
pub use merge::{Replayed, replay};
pub use records::{Life, Lives, Records};
pub use told::{Told, Which, tell, tell_as};
pub use verdict::{Unreadable, Verdict, Violation};
