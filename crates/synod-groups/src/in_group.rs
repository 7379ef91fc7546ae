//! Something of one group, and its bytes.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// Something of one group: a message, a timer or a choice.
///
/// Its bytes are those of what it is, and then one for the group, which group 0 leaves out. So a process of one group speaks and writes as its
/// actor alone would. They must stand at an end, as of a message: otherwise it cannot be seen that the group was left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InGroup<T> {
    /// The group.
    pub group: u8,
    /// The thing itself.
    pub what: T,
}

/// The question of a client in a group, as a type of its own: it becomes a message of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskInGroup<K>(pub InGroup<K>);

impl<K: Into<M>, M> From<AskInGroup<K>> for InGroup<M> {
    fn from(AskInGroup(InGroup { group, what }): AskInGroup<K>) -> Self {
        InGroup { group, what: what.into() }
    }
}

impl<T: fmt::Debug> fmt::Debug for InGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            0 => self.what.fmt(f),
            group => write!(f, "{:?} of group {group}", self.what),
        }
    }
}

impl<T: Serialize> Serialize for InGroup<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.group {
            0 => self.what.serialize(serializer),
            group => (&self.what, group).serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InGroup<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = InGroup<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("something of a group")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<InGroup<T>, S::Error> {
                let what = seq.next_element()?.ok_or_else(|| S::Error::custom("nothing of a group"))?;
                // A byte can be read wherever there is one, so an error is the end.
                match seq.next_element::<u8>() {
                    Ok(Some(0)) => Err(S::Error::custom("group 0 is left out")),
                    Ok(Some(group)) => Ok(InGroup { group, what }),
                    Ok(None) | Err(_) => Ok(InGroup { group: 0, what }),
                }
            }
        }

        deserializer.deserialize_tuple(2, Read(PhantomData))
    }
}

impl<K: Serialize> Serialize for AskInGroup<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for AskInGroup<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        InGroup::deserialize(deserializer).map(AskInGroup)
    }
}
