//! Guarantees that equal things have equal numbers, so that comparing them costs nothing and each is kept once.

use crate::history::OpId;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::{BuildHasher, Hash};

/// Things by number, each kept once.
pub(crate) struct Numbered<T> {
    things: Vec<T>,
    /// The last thing with each hash.
    last: FxHashMap<u64, u32>,
    /// For each thing, the one before with its hash.
    before: Vec<u32>,
    /// Bytes that the things own, besides their places in the list.
    owned: usize,
}

/// No thing comes before.
const FIRST: u32 = u32::MAX;

impl<T: Eq + Hash> Numbered<T> {
    pub(crate) fn new() -> Self {
        Numbered { things: Vec::new(), last: FxHashMap::default(), before: Vec::new(), owned: 0 }
    }

    /// The number of a thing that takes so many bytes beside its own size.
    pub(crate) fn number(&mut self, thing: T, owned: impl Fn(&T) -> usize) -> u32 {
        let last = self.last.entry(FxBuildHasher.hash_one(&thing)).or_insert(FIRST);
        let mut at = *last;
        while at != FIRST {
            if self.things[at as usize] == thing {
                return at;
            }
            at = self.before[at as usize];
        }
        let number = self.things.len() as u32;
        self.owned += owned(&thing);
        self.before.push(std::mem::replace(last, number));
        self.things.push(thing);
        number
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        let each = size_of::<T>() + size_of::<u32>();
        self.owned + self.things.capacity() * each + self.last.capacity() * ENTRY
    }
}

/// Bytes that a map takes for each entry it has room for: a key and a number, a byte of control, and an eighth that stays empty.
pub(crate) const ENTRY: usize = 20;

/// Sets of operations by number: their members in order.
pub(crate) struct Sets(Numbered<Vec<u32>>);

/// The empty set.
pub(crate) const EMPTY: u32 = 0;

/// Puts a member into a set that has no number yet. Returns whether it was missing.
pub(crate) fn insert(members: &mut Vec<u32>, op: u32) -> bool {
    let missing = members.binary_search(&op);
    if let Err(at) = missing {
        members.insert(at, op);
    }
    missing.is_err()
}

impl Sets {
    pub(crate) fn new() -> Self {
        let mut numbered = Numbered::new();
        numbered.number(Vec::new(), Self::owned);
        Sets(numbered)
    }

    pub(crate) fn members(&self, set: u32) -> &[u32] {
        self.0.get(set)
    }

    pub(crate) fn number(&mut self, members: Vec<u32>) -> u32 {
        self.0.number(members, Self::owned)
    }

    /// Bytes that a list of members owns, with the overhead of its allocation.
    fn owned(members: &Vec<u32>) -> usize {
        members.capacity() * size_of::<u32>() + 16
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(crate) fn contains(&self, set: u32, op: OpId) -> bool {
        self.members(set).binary_search(&(op as u32)).is_ok()
    }

    pub(crate) fn with(&mut self, set: u32, op: OpId) -> u32 {
        let mut members = self.members(set).to_vec();
        insert(&mut members, op as u32);
        self.number(members)
    }

    /// True if all of one set's members are in the other.
    pub(crate) fn is_subset(&self, set: u32, of: u32) -> bool {
        if set == of {
            return true;
        }
        let (small, large) = (self.members(set), self.members(of));
        let mut rest = large.iter();
        small.len() < large.len() && small.iter().all(|member| rest.any(|other| other == member))
    }
}
