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

/// Sets of operations by number. Most sets differ from another one by one member, and how is remembered.
pub(crate) struct Sets {
    numbered: Numbered<Vec<u32>>,
    with: FxHashMap<(u32, u32), u32>,
    without: FxHashMap<(u32, u32), u32>,
}

/// The empty set.
pub(crate) const EMPTY: u32 = 0;

impl Sets {
    pub(crate) fn new() -> Self {
        let mut numbered = Numbered::new();
        numbered.number(Vec::new());
        Sets { numbered, with: FxHashMap::default(), without: FxHashMap::default() }
    }

    pub(crate) fn contains(&self, set: u32, op: OpId) -> bool {
        self.numbered.get(set).binary_search(&(op as u32)).is_ok()
    }

    pub(crate) fn with(&mut self, set: u32, op: OpId) -> u32 {
        let op = op as u32;
        if let Some(known) = self.with.get(&(set, op)) {
            return *known;
        }
        let mut members = self.numbered.get(set).clone();
        if let Err(at) = members.binary_search(&op) {
            members.insert(at, op);
        }
        let number = self.numbered.number(members);
        self.with.insert((set, op), number);
        number
    }

    pub(crate) fn without(&mut self, set: u32, op: OpId) -> u32 {
        let op = op as u32;
        if let Some(known) = self.without.get(&(set, op)) {
            return *known;
        }
        let mut members = self.numbered.get(set).clone();
        members.retain(|member| *member != op);
        let number = self.numbered.number(members);
        self.without.insert((set, op), number);
        number
    }

    /// Whether all of one set's members are in the other.
    pub(crate) fn is_subset(&self, set: u32, of: u32) -> bool {
        if set == of {
            return true;
        }
        let (small, large) = (self.numbered.get(set), self.numbered.get(of));
        let mut rest = large.iter();
        small.len() < large.len() && small.iter().all(|member| rest.any(|other| other == member))
    }
}
