//! Guarantees that proposal numbers are totally ordered and that no two proposers draw the same one.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
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
    /// All rounds are below this one. A proposer goes one round above the highest that it knows, so that at a million ballots per
    /// second none gets there in 290,000 years: a round from here on was made up. An acceptor that promised one would be bound
    /// for good, since no proposer could ask for a higher one.
    pub const ROUNDS: u64 = 1 << 63;

    /// The proposer's first ballot with a round above `round`; `None` when rounds are used up.
    pub fn above(round: u64, proposer: u16) -> Option<Ballot> {
        let ballot = Ballot { round: round.checked_add(1)?, proposer };
        ballot.can_be_drawn().then_some(ballot)
    }

    /// True if the round is one that a proposer can have reached.
    pub fn can_be_drawn(self) -> bool {
        self.round < Ballot::ROUNDS
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.proposer)
    }
}

/// The position of a command in the log (PMS §3): instance *i* decides command *i*. Instances count from 0.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance(pub u64);

impl Instance {
    /// The first instance, and the only one of single-decree Paxos. None is below it, so a phase 1 from here on covers whatever a
    /// client can name.
    pub const FIRST: Instance = Instance(0);

    /// The instance that many places later, or the last one there is.
    #[must_use]
    pub fn plus(self, places: u64) -> Instance {
        Instance(self.0.saturating_add(places))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A value that can be proposed: opaque bytes, cheap to clone.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct Value(Arc<[u8]>);

impl PartialEq for Value {
    /// Clones are equal at once, however long they are.
    fn eq(&self, other: &Value) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl Value {
    /// The command that leaves the machine as it is (PMS §3): the empty value.
    pub fn no_op() -> Value {
        Value::from(&[][..])
    }

    /// True for the command that does nothing.
    pub fn is_no_op(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes as they were proposed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, shared with this value.
    pub fn shared(&self) -> Arc<[u8]> {
        self.0.clone()
    }
}

impl From<Arc<[u8]>> for Value {
    fn from(bytes: Arc<[u8]>) -> Self {
        Value(bytes)
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
    /// Short words and the no-op are written as they are. Anything else is quoted and escaped, so two values never look the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_no_op() {
            return f.write_str("no-op");
        }
        let plain = self.0.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if plain {
            write!(f, "{}", self.0.escape_ascii())
        } else {
            write!(f, "\"{}\"", self.0.escape_ascii())
        }
    }
}

impl Serialize for Value {
    /// As one run of bytes, which a compact format copies whole instead of visiting each.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
                Ok(Value::from(bytes))
            }
            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::from(text))
            }
            /// Text formats have no bytes and list numbers. Room is made number by number: a claimed length is not believed.
            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Value, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = numbers.next_element::<u8>()? {
                    bytes.push(byte);
                }
                Ok(Value(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
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
        let last = Ballot { round: Ballot::ROUNDS - 1, proposer: 1 };
        assert_eq!(Ballot::above(Ballot::ROUNDS - 2, 1), Some(last));
        for round in [Ballot::ROUNDS - 1, Ballot::ROUNDS, u64::MAX - 1, u64::MAX] {
            assert_eq!(Ballot::above(round, 1), None);
        }
        assert!(last.can_be_drawn() && !Ballot { round: Ballot::ROUNDS, proposer: 1 }.can_be_drawn());
        assert_eq!(Ballot::above(0, 7), Some(Ballot { round: 1, proposer: 7 }));
    }

    #[test]
    fn values_are_read_from_bytes_text_and_lists_of_numbers() {
        use serde::de::IntoDeserializer;
        use serde::de::value::{BytesDeserializer, Error, SeqDeserializer};
        let x1 = Value::from("x1");
        assert_eq!(Value::deserialize(BytesDeserializer::<Error>::new(b"x1")), Ok(x1.clone()));
        assert_eq!(Value::deserialize(IntoDeserializer::<Error>::into_deserializer("x1")), Ok(x1.clone()));
        let numbers = |numbers: Vec<u32>| SeqDeserializer::<_, Error>::new(numbers.into_iter());
        assert_eq!(Value::deserialize(numbers(vec![120, 49])), Ok(x1.clone()));
        assert!(Value::deserialize(numbers(vec![120, 256])).is_err(), "256 is no byte");
        let json = serde_json::to_string(&x1).expect("a list of numbers");
        assert_eq!(json, "[120,49]");
        assert_eq!(serde_json::from_str::<Value>(&json).ok(), Some(x1));
        assert!(
            serde_json::from_str::<Value>("7").is_err() && serde_json::from_str::<Value>("[300]").is_err()
        );
    }

    #[test]
    fn values_that_differ_never_look_the_same() {
        let shown = |bytes: &[u8]| format!("{:?}", Value::from(bytes));
        assert_eq!(shown(b"x1"), "x1");
        assert_eq!(shown(b""), "no-op");
        assert_eq!(shown(b"no-op"), "\"no-op\"");
        assert_eq!(shown(b"a b"), "\"a b\"");
        assert_eq!(shown(b"\"x1\""), "\"\\\"x1\\\"\"");
        assert_eq!(shown(b"a\nb"), "\"a\\nb\"");
    }
}
