//! Guarantees that a machine's maps are cheap to copy, always in the order of their keys, and the same bytes whenever they are
//! the same map.

use imbl::OrdMap;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// An ordered map that shares what did not change between its copies (imbl's `OrdMap`).
///
/// Unlike that one it hashes its length, so that of two maps side by side an entry cannot move from one to the other
/// unnoticed; and it is read entry by entry, in strictly rising order, so that each map has one encoding only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sorted<K: Ord, V>(OrdMap<K, V>);

impl<K: Ord, V> Sorted<K, V> {
    /// A map without an entry.
    pub fn new() -> Self {
        Sorted(OrdMap::new())
    }
}

impl<K: Ord, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Sorted::new()
    }
}

impl<K: Ord, V> Deref for Sorted<K, V> {
    type Target = OrdMap<K, V>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord, V> DerefMut for Sorted<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Hash, V: Hash> Hash for Sorted<K, V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.0.len());
        self.0.hash(hasher);
    }
}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Sorted<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Sorted<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Sorted(entries.into_iter().collect())
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a Sorted<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = <&'a OrdMap<K, V> as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<K: Ord + Serialize, V: Serialize> Serialize for Sorted<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>> Deserialize<'de> for Sorted<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Sorted<K, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map in the order of its keys")
            }
            /// Room is made entry by entry: how many the input claims to have is not believed.
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = Sorted::new();
                while let Some((key, value)) = entries.next_entry()? {
                    if map.get_max().is_some_and(|(last, _)| *last >= key) {
                        return Err(A::Error::custom("the keys of a map are out of order"));
                    }
                    map.insert(key, value);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};
    use std::hash::DefaultHasher;

    fn map(entries: &[(u64, u32)]) -> Sorted<u64, u32> {
        entries.iter().copied().collect()
    }

    #[test]
    fn neighbours_do_not_hash_alike() {
        let hash = |maps: [Sorted<u64, u32>; 2]| {
            let mut hasher = DefaultHasher::new();
            maps.hash(&mut hasher);
            hasher.finish()
        };
        assert_ne!(hash([map(&[(1, 7)]), map(&[])]), hash([map(&[]), map(&[(1, 7)])]));
        assert_eq!(hash([map(&[(1, 7), (2, 8)]), map(&[])]), hash([map(&[(2, 8), (1, 7)]), map(&[])]));
    }

    #[test]
    fn a_map_has_one_encoding() {
        let bytes = encode(&map(&[(2, 20), (1, 10)]));
        assert_eq!(bytes, [2, 1, 10, 2, 20]);
        assert_eq!(decode(&bytes), Ok(map(&[(1, 10), (2, 20)])));
        for wrong in
            [&[2, 2, 20, 1, 10][..], &[2, 1, 10, 1, 10], &[2, 1, 10], &[0xff, 0xff, 0xff, 0x7f, 1, 10]]
        {
            assert!(decode::<Sorted<u64, u32>>(wrong).is_err(), "{wrong:?}");
        }
        assert!(serde_json::from_str::<Sorted<u64, u32>>("[1]").is_err());
        assert_eq!(format!("{:?}", map(&[(2, 20), (1, 10)])), "{1: 10, 2: 20}");
    }
}
