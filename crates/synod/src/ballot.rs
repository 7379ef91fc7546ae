//! Guarantees that proposal numbers are totally ordered and that no two proposers draw the same one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A proposal number (PMS §2.2): ordered by round, then by proposer, as the fields stand.
///
/// Each proposer draws from its own set, the ballots that carry its number, so the sets are disjoint (PMS §2.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts a proposer's attempts, from 1 on.
    pub round: u64,
    /// The number of the proposer that owns this ballot; unique in a cluster.
    pub proposer: u16,
}

impl Ballot {
    /// The proposer's first ballot with a round above `round`; `None` when rounds are used up.
    pub fn above(round: u64, proposer: u16) -> Option<Ballot> {
        Some(Ballot { round: round.checked_add(1)?, proposer })
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.proposer)
    }
}

/// The position of a command in the log (PMS §3): instance *i* decides command *i*. Counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance(pub u64);

impl Instance {
    /// The first instance, and the only one of single-decree Paxos.
    pub const FIRST: Instance = Instance(1);
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A value that can be proposed: opaque bytes, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// The bytes as they were proposed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Value(bytes.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value(text.as_bytes().into())
    }
}

impl fmt::Debug for Value {
    /// Short words stand as they are; anything else is quoted and escaped, so two values never look the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.is_empty() && self.0.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if plain {
            write!(f, "{}", self.0.escape_ascii())
        } else {
            write!(f, "\"{}\"", self.0.escape_ascii())
        }
    }
}

/// A proposal of PMS §2.2: a number and a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number.
    pub ballot: Ballot,
    /// Its value.
    pub value: Value,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}", self.ballot, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballots_are_ordered_by_round_then_proposer() {
        let b = |round, proposer| Ballot { round, proposer };
        assert!(b(1, 1) < b(1, 2));
        assert!(b(1, 2) < b(2, 1));
    }

    #[test]
    fn rounds_run_out_without_a_panic() {
        assert_eq!(Ballot::above(u64::MAX, 1), None);
        assert_eq!(Ballot::above(0, 7), Some(Ballot { round: 1, proposer: 7 }));
    }

    #[test]
    fn values_that_differ_never_look_the_same() {
        let shown = |bytes: &[u8]| format!("{:?}", Value::from(bytes));
        assert_eq!(shown(b"x1"), "x1");
        assert_eq!(shown(b""), "\"\"");
        assert_eq!(shown(b"a b"), "\"a b\"");
        assert_eq!(shown(b"\"x1\""), "\"\\\"x1\\\"\"");
        assert_eq!(shown(b"a\nb"), "\"a\\nb\"");
    }
}
