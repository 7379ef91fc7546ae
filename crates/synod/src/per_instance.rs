//! Guarantees that a map by instance is cheap to copy and to compare with an earlier copy of itself, however long the log.
//!
//! A save hands over all stable state, and a runtime writes only what differs from the save before. Both are cheap with a map
//! whose copies share what did not change (imbl's `OrdMap`). Two things of `OrdMap` are replaced here. Its hash does not tell
//! where one map ends and the next begins. Its reader makes room for as many items as the input claims to have.

use crate::ballot::{Instance, Value};
use imbl::OrdMap;
pub use imbl::ordmap::DiffItem;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A map with at most one item per instance. A copy costs a constant, and a difference between two copies costs what differs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerInstance<T>(OrdMap<Instance, T>);

impl<T> PerInstance<T> {
    /// An empty map.
    pub fn new() -> Self {
        PerInstance(OrdMap::new())
    }
}

impl<T: Clone> PerInstance<T> {
    /// Keeps the items for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(Instance, &T) -> bool) {
        let gone: Vec<Instance> =
            self.iter().filter(|(instance, item)| !keep(**instance, item)).map(|(i, _)| *i).collect();
        for instance in gone {
            self.remove(&instance);
        }
    }

    /// Removes all items below an instance. Copies of the map keep what they had.
    pub fn drop_below(&mut self, next: Instance) {
        while let Some(instance) = self.keys().next().copied().filter(|instance| *instance < next) {
            self.remove(&instance);
        }
    }
}

/// The bytes that an item of a message is charged besides its value's bytes. The true cost is at most 33: ten bytes each for an
/// instance, a ballot's round and the value's length, and three for the ballot's number.
pub(crate) const ITEM_COSTS: usize = 48;

/// The most bytes that a value takes in a message.
pub(crate) fn cost(value: &Value) -> usize {
    ITEM_COSTS.saturating_add(value.as_bytes().len())
}

/// The items from an instance on, as many as fit into `bytes` and at least one; and the instance of the first item left out, if
/// any is.
pub(crate) fn bounded<T: Clone>(
    map: &PerInstance<T>,
    from: Instance,
    bytes: usize,
    value: fn(&T) -> &Value,
) -> (PerInstance<T>, Option<Instance>) {
    let (mut some, mut left) = (PerInstance::new(), bytes);
    for (instance, item) in map.range(from..) {
        let size = cost(value(item));
        if size > left && !some.is_empty() {
            return (some, Some(*instance));
        }
        left = left.saturating_sub(size);
        some.insert(*instance, item.clone());
    }
    (some, None)
}

impl<T> Default for PerInstance<T> {
    fn default() -> Self {
        PerInstance::new()
    }
}

impl<T> Deref for PerInstance<T> {
    type Target = OrdMap<Instance, T>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for PerInstance<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T: Hash> Hash for PerInstance<T> {
    /// The length goes first, so that an item cannot move into the map that is hashed next and leave no trace.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.0.len());
        self.0.hash(hasher);
    }
}

impl<T: fmt::Debug> fmt::Debug for PerInstance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Clone> FromIterator<(Instance, T)> for PerInstance<T> {
    fn from_iter<I: IntoIterator<Item = (Instance, T)>>(items: I) -> Self {
        PerInstance(items.into_iter().collect())
    }
}

impl<T: Clone> IntoIterator for PerInstance<T> {
    type Item = (Instance, T);
    type IntoIter = <OrdMap<Instance, T> as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a PerInstance<T> {
    type Item = (&'a Instance, &'a T);
    type IntoIter = <&'a OrdMap<Instance, T> as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Serialize> Serialize for PerInstance<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for PerInstance<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Clone + Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = PerInstance<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with one item per instance")
            }
            /// Room is made item by item: the number that the input claims to have is not believed.
            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut map = PerInstance::new();
                while let Some((instance, item)) = items.next_entry()? {
                    map.insert(instance, item);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(Items(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::DefaultHasher;

    fn map(items: &[(u64, u32)]) -> PerInstance<u32> {
        items.iter().map(|(instance, item)| (Instance(*instance), *item)).collect()
    }

    #[test]
    fn neighbours_do_not_hash_alike() {
        let hash = |maps: [PerInstance<u32>; 2]| {
            let mut hasher = DefaultHasher::new();
            maps.hash(&mut hasher);
            hasher.finish()
        };
        let item = [(1, 7)];
        assert_ne!(hash([map(&item), map(&[])]), hash([map(&[]), map(&item)]));
        assert_eq!(hash([map(&[(1, 7), (2, 8)]), map(&[])]), hash([map(&[(2, 8), (1, 7)]), map(&[])]));
    }

    #[test]
    fn looks_and_sorts_as_an_ordered_map_does() {
        assert_eq!(format!("{:?}", map(&[(2, 20), (1, 10)])), "{#1: 10, #2: 20}");
        assert!(
            map(&[(1, 10)]) < map(&[(1, 11)])
                && map(&[(1, 11)]) < map(&[(2, 0)])
                && map(&[]) < map(&[(1, 0)])
        );
        let mut kept = map(&[(1, 10), (2, 20), (3, 30)]);
        kept.retain(|instance, item| instance == Instance(2) || *item == 30);
        assert_eq!(kept, map(&[(2, 20), (3, 30)]));
    }

    #[test]
    fn what_lies_below_is_dropped_however_little_stays_and_copies_keep_it() {
        let items: Vec<(u64, u32)> = (0..10).map(|i| (3 * i, i as u32)).collect();
        for next in 0..32 {
            let whole = map(&items);
            let mut rest = whole.clone();
            rest.drop_below(Instance(next));
            let stays = items.iter().copied().filter(|(i, _)| *i >= next).collect::<Vec<_>>();
            assert_eq!((rest, whole), (map(&stays), map(&items)), "below {next}");
        }
    }

    #[test]
    fn a_report_is_as_long_as_it_may_be_and_never_empty() {
        let item = |i: u64, len: usize| (Instance(i), Value::from(vec![0; len].as_slice()));
        let map: PerInstance<Value> = [item(1, 100), item(2, 100), item(5, 100)].into_iter().collect();
        let chunk = |from, bytes| {
            let (some, rest) = bounded(&map, Instance(from), bytes, |value| value);
            (some.keys().map(|i| i.0).collect::<Vec<_>>(), rest.map(|i| i.0))
        };
        assert_eq!(chunk(0, usize::MAX), (vec![1, 2, 5], None));
        assert_eq!(chunk(2, usize::MAX), (vec![2, 5], None));
        assert_eq!(chunk(0, 2 * (100 + ITEM_COSTS)), (vec![1, 2], Some(5)));
        assert_eq!(chunk(0, 2 * (100 + ITEM_COSTS) - 1), (vec![1], Some(2)));
        assert_eq!(chunk(2, 0), (vec![2], Some(5)), "one always fits");
        assert_eq!(chunk(6, 0), (vec![], None));
    }

    #[test]
    fn a_length_that_is_claimed_is_not_believed() {
        let bytes = postcard::to_allocvec(&map(&[(1, 10), (2, 20)])).expect("plain data");
        assert_eq!(postcard::from_bytes(&bytes).ok(), Some(map(&[(1, 10), (2, 20)])));
        // The same items, and the claim that there are more than fit into any memory.
        let mut boastful = vec![0xff; 8];
        boastful.push(0x7f);
        boastful.extend(&bytes[1..]);
        assert!(postcard::from_bytes::<PerInstance<u32>>(&boastful).is_err());
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let json = |text| serde_json::from_str::<PerInstance<u32>>(text);
        assert_eq!(json(r#"{"2":20,"1":10}"#).ok(), Some(map(&[(1, 10), (2, 20)])));
        assert!(json("[1, 10]").is_err() && json(r#"{"x":1}"#).is_err());
        assert_eq!(serde_json::to_string(&map(&[(1, 10)])).ok().as_deref(), Some(r#"{"1":10}"#));
    }
}
