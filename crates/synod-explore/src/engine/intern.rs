//! Interns values: equal values get equal numbers and different values different ones, so that comparing numbers is exact.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// Two numbers as one key.
pub(super) fn pair(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// A number that stands for no value.
pub(crate) const NONE: u32 = u32::MAX;

fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The next number, if there is one.
fn next(len: usize) -> u32 {
    let id = u32::try_from(len).unwrap_or(NONE);
    assert!(id != NONE, "more than four billion values of a kind");
    id
}

/// Values by number and numbers by value.
pub(crate) struct Interner<T> {
    values: Vec<T>,
    table: HashTable<(u64, u32)>,
}

impl<T: Hash + PartialEq> Interner<T> {
    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), table: HashTable::new() }
    }

    /// The number of a value. A new value gets the next number.
    pub(crate) fn intern(&mut self, value: T) -> u32 {
        let hash = hash_of(&value);
        let values = &self.values;
        if let Some(&(_, id)) = self.table.find(hash, |&(h, id)| h == hash && values[id as usize] == value) {
            return id;
        }
        let id = next(self.values.len());
        self.values.push(value);
        self.table.insert_unique(hash, (hash, id), |&(h, _)| h);
        id
    }

    /// The value behind a number.
    pub(crate) fn get(&self, id: u32) -> &T {
        &self.values[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes in use, without memory that the values own elsewhere.
    pub(crate) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.table.allocation_size()
    }
}

/// Lists of numbers by number, all in one place. The empty list is always number 0.
pub(crate) struct Lists {
    items: Vec<u32>,
    ends: Vec<usize>,
    table: HashTable<(u64, u32)>,
}

impl Lists {
    pub(crate) fn new() -> Self {
        let mut lists = Self { items: Vec::new(), ends: Vec::new(), table: HashTable::new() };
        lists.intern(&[]);
        lists
    }

    pub(crate) fn intern(&mut self, list: &[u32]) -> u32 {
        let hash = hash_of(list);
        if let Some(&(_, id)) = self.table.find(hash, |&(h, id)| h == hash && self.get(id) == list) {
            return id;
        }
        let id = next(self.ends.len());
        self.items.extend_from_slice(list);
        self.ends.push(self.items.len());
        self.table.insert_unique(hash, (hash, id), |&(h, _)| h);
        id
    }

    /// The number of a list, if it has one.
    #[inline]
    pub(crate) fn find(&self, list: &[u32]) -> Option<u32> {
        let hash = hash_of(list);
        self.table.find(hash, |&(h, id)| h == hash && self.get(id) == list).map(|(_, id)| *id)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, id: u32) -> &[u32] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.items[start..self.ends[id]]
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.items.capacity() * 4 + self.ends.capacity() * 8 + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_number() {
        let mut names = Interner::new();
        let (a, b) = (names.intern("a"), names.intern("b"));
        assert_ne!(a, b);
        assert_eq!(names.intern("a"), a);
        assert_eq!((*names.get(b), names.len()), ("b", 2));
    }

    #[test]
    fn the_empty_list_is_number_zero() {
        let mut lists = Lists::new();
        let some = lists.intern(&[3, 1, 3]);
        assert_eq!((lists.intern(&[]), lists.intern(&[3, 1, 3])), (0, some));
        assert_eq!((lists.get(0), lists.get(some)), (&[][..], &[3, 1, 3][..]));
    }
}
