//! Guarantees that equal things have equal numbers, so that comparing them costs nothing and each is kept once.

use crate::history::OpId;
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// Things by number.
pub(crate) struct Numbered<T> {
    things: Vec<T>,
    numbers: FxHashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    pub(crate) fn new() -> Self {
        Numbered { things: Vec::new(), numbers: FxHashMap::default() }
    }

    pub(crate) fn number(&mut self, thing: T) -> u32 {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        let number = self.things.len() as u32;
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }
}

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
        numbered.number(Vec::new());
        Sets(numbered)
    }

    pub(crate) fn members(&self, set: u32) -> &[u32] {
        self.0.get(set)
    }

    pub(crate) fn number(&mut self, members: Vec<u32>) -> u32 {
        self.0.number(members)
    }

    pub(crate) fn contains(&self, set: u32, op: OpId) -> bool {
        self.members(set).binary_search(&(op as u32)).is_ok()
    }

    pub(crate) fn with(&mut self, set: u32, op: OpId) -> u32 {
        let mut members = self.members(set).to_vec();
        insert(&mut members, op as u32);
        self.number(members)
    }

    /// Whether all of one set's members are in the other.
    pub(crate) fn is_subset(&self, set: u32, of: u32) -> bool {
        if set == of {
            return true;
        }
        let (small, large) = (self.members(set), self.members(of));
        let mut rest = large.iter();
        small.len() < large.len() && small.iter().all(|member| rest.any(|other| other == member))
    }
}
