//! The verdict of a replay, or the reason why there is none.

use std::fmt;
use synod::Instance;

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An event makes other outputs, or a start found something else than was saved.
    Differs {
        /// File and byte.
        place: String,
        /// The difference.
        what: String,
    },
    /// Members took messages that nobody sent, or sent only after something that was lost.
    Unsent {
        /// File and byte, and the message, of every member that cannot go on.
        waiting: Vec<String>,
    },
    /// A claim fell.
    Violated(Violation),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Differs { place, what } => write!(f, "{place}: {what}"),
            Verdict::Unsent { waiting } => {
                write!(
                    f,
                    "no member can go on, since what each took next was sent by nobody: {}",
                    waiting.join("; ")
                )
            }
            Verdict::Violated(violation) => write!(f, "{violation}"),
        }
    }
}

/// A claim that fell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub claim: &'static str,
    /// The breach, in words.
    pub breach: String,
    /// The group in whose log it fell, if there are several.
    pub group: Option<u8>,
    /// The instance in which it fell.
    pub instance: Instance,
    /// The member whose step it was.
    pub member: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { claim, breach, group, instance, member } = self;
        let group = group.map_or(String::new(), |group| format!(" of group {group}"));
        write!(f, "{claim} falls in instance {}{group} with a step of member {member}: {breach}", instance.0)
    }
}

/// The reason why a run cannot be replayed: something is wrong with the records, not (yet) with the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub file: String,
    /// The error.
    pub what: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

impl std::error::Error for Unreadable {}
