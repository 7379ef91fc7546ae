//! Guarantees that keys and values are cheap to copy, and that two that differ never look the same.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that copies share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(Arc<[u8]>);

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Blob(bytes.into())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Blob(bytes.into())
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Blob(text.as_bytes().into())
    }
}

impl fmt::Debug for Blob {
    /// Short words stand as they are; anything else is quoted and escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.0.is_empty() && self.0.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if plain {
            write!(f, "{}", self.0.escape_ascii())
        } else {
            write!(f, "\"{}\"", self.0.escape_ascii())
        }
    }
}

/// Bytes that are written as a [`Blob`] of them is, without a copy of them.
#[derive(PartialEq, Eq)]
pub(crate) struct Borrowed<'a>(pub(crate) &'a [u8]);

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Borrowed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Borrowed)
    }
}

impl Serialize for Blob {
    /// As one run of bytes, which a compact format copies whole instead of visiting each.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob::from(bytes))
            }
            fn visit_str<E>(self, text: &str) -> Result<Blob, E> {
                Ok(Blob::from(text))
            }
            /// Text formats have no bytes and list numbers; how many there are to come is not believed.
            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Blob, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = numbers.next_element::<u8>()? {
                    bytes.push(byte);
                }
                Ok(Blob::from(bytes))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_shown_and_read_as_what_they_are() {
        assert_eq!(
            format!("{:?} {:?} {:?}", Blob::from("k1"), Blob::from(""), Blob::from("a b")),
            "k1 \"\" \"a b\""
        );
        let json = serde_json::to_string(&Blob::from("k1")).expect("a list of numbers");
        assert_eq!(json, "[107,49]");
        assert_eq!(serde_json::from_str::<Blob>(&json).ok(), Some(Blob::from("k1")));
        assert_eq!(serde_json::from_str::<Blob>("\"k1\"").ok(), Some(Blob::from("k1")));
        assert!(serde_json::from_str::<Blob>("[300]").is_err() && serde_json::from_str::<Blob>("7").is_err());
        assert_eq!(crate::decode(&crate::encode(&Blob::from("k1"))), Ok(Blob::from("k1")));
        assert!(crate::decode::<Blob>(&[0xff, 0xff, 0xff, 0x7f, 1]).is_err(), "a length that is not there");
    }
}
