//! The rows and the steps between them, where rows stand for more than one state.

use super::expand::Candidates;
use super::intern::NONE;
use super::key::Key;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Keys that are looked up together, so that the memory fetches what that takes at the same time.
const WINDOW: usize = 64;

/// The rows, and the steps between them.
#[derive(Default)]
pub(super) struct Graph {
    rows: Numbers,
    /// Of each row that was left, where its steps begin.
    starts: Vec<u32>,
    /// The rows that they lead to.
    pub to: Vec<u32>,
    /// What they add to the sum over dead messages.
    pub adds: Vec<u64>,
}

impl Graph {
    /// Nothing but the first row.
    pub(super) fn new(key: u64) -> Self {
        let mut graph = Self::default();
        graph.rows.make_room(1);
        graph.rows.number(key);
        graph
    }

    /// Takes in steps that were found, candidates that follow one another, and marks those that lead to rows that are new. Rows are
    /// numbered in this order.
    pub(super) fn extend<K: Key>(&mut self, buffers: &[Candidates<K>], runs: &[(usize, Range<usize>)]) {
        let mut adds: Vec<_> = buffers.iter().map(|found| &found.adds[..]).collect();
        for (buffer, range) in runs {
            let (found, adds) = (&buffers[*buffer], &mut adds[*buffer]);
            let (mut ways, keys) =
                (found.found[range.clone()].iter(), found.keys[range.clone()].chunks(WINDOW));
            for (keys, new) in keys.zip(found.new[range.clone()].chunks(WINDOW)) {
                self.rows.make_room(keys.len());
                self.rows.ask_for(keys.iter().map(word));
                for ((key, new), way) in keys.iter().zip(new).zip(&mut ways) {
                    if !way.is_row() {
                        new.store(false, Ordering::Relaxed);
                        continue;
                    }
                    let parent = way.parent as usize;
                    while self.starts.len() <= parent {
                        self.starts.push(self.to.len() as u32);
                    }
                    let (row, is_new) = self.rows.number(word(key));
                    new.store(is_new, Ordering::Relaxed);
                    self.to.push(row);
                    let (first, rest) = adds.split_first().expect("each row adds something");
                    self.adds.push(word(first));
                    *adds = rest;
                }
            }
        }
    }

    /// The graph of some steps: from which row, in order, to which, and what they add.
    #[cfg(test)]
    pub(super) fn of_steps(rows: u32, steps: &[(u32, u32, u64)]) -> Self {
        let start = |row| steps.partition_point(|(from, ..)| *from < row) as u32;
        Self {
            rows: Numbers::default(),
            starts: (0..=rows).map(start).collect(),
            to: steps.iter().map(|(_, to, _)| *to).collect(),
            adds: steps.iter().map(|(.., adds)| *adds).collect(),
        }
    }

    /// Whether there is no number left for another step.
    pub(super) fn is_full(&self) -> bool {
        self.to.len() >= (u32::MAX - (1 << 24)) as usize
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        self.starts.resize(self.rows.keys.len() + 1, self.to.len() as u32);
        self.rows = Numbers::default();
    }

    /// How many rows there are, once nothing more comes.
    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The steps of a row, once nothing more comes.
    #[inline]
    pub(super) fn of(&self, row: u32) -> Range<usize> {
        self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize
    }

    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows.keys.capacity() * 8 + self.rows.slots.capacity() * 4;
        rows + (self.starts.capacity() + self.to.capacity()) * 4 + self.adds.capacity() * 8
    }
}

fn word<K: Key>(key: &K) -> u64 {
    key.as_words()[0]
}

/// Keys, numbered as they come. They are hashes as they are.
#[derive(Default)]
struct Numbers {
    keys: Vec<u64>,
    /// The numbers of the keys, by their first bits, at most every second one taken.
    slots: Vec<u32>,
    shift: u32,
}

impl Numbers {
    /// Makes room for so many more.
    fn make_room(&mut self, more: usize) {
        let least = 2 * (self.keys.len() + more).max(8);
        if least <= self.slots.len() {
            return;
        }
        let size = least.next_power_of_two();
        self.slots = vec![NONE; size];
        self.shift = u64::BITS - size.trailing_zeros();
        for number in 0..self.keys.len() {
            let slot = self.slot(self.keys[number]);
            self.slots[slot] = number as u32;
        }
    }

    /// Looks at the places where searches begin, with nothing else in between, so that the memory fetches all of them together.
    #[inline]
    fn ask_for(&self, keys: impl Iterator<Item = u64>) {
        let homes = keys.map(|key| self.slots[(key >> self.shift) as usize]);
        let first = homes.map(|number| self.keys.get(number as usize).copied().unwrap_or(0));
        std::hint::black_box(first.fold(0, |all, one| all ^ one));
    }

    /// Where a key is, or would go.
    #[inline]
    fn slot(&self, key: u64) -> usize {
        let mut slot = (key >> self.shift) as usize;
        while self.keys.get(self.slots[slot] as usize).is_some_and(|other| *other != key) {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }

    /// The number of a key, and whether it has it from now on. There is room for it.
    #[inline]
    fn number(&mut self, key: u64) -> (u32, bool) {
        let slot = self.slot(key);
        let is_new = self.slots[slot] == NONE;
        if is_new {
            self.slots[slot] = self.keys.len() as u32;
            self.keys.push(key);
        }
        (self.slots[slot], is_new)
    }
}
