//! All states, counted over the rows that they share.
//!
//! Where messages are set aside ([`Dead::Aside`](super::tables::Dead)) a state is a row and the dead messages beside it. What can happen
//! in it, and what becomes of its row, follows from the row; a step only adds to what is dead, the same whatever was there. So
//! rows are explored once, and of each step is remembered to which row it leads and what it adds. The *fiber* of a row are the states
//! over it: of each is kept the sum of what its dead messages are hashed to. A level of all states is left fiber by fiber, which takes
//! one look at the fiber of the next row for all of them together.
//!
//! Ways need no states: the first state over a row, as states are numbered when they are found one by one, is found by the same step
//! from the first state over the row before. So the shortest ways to rows, which are remembered, are those to states.

use super::budget::Budget;
use super::graph::{self, Graph, in_turn_or_together};
use crate::report::Why;
use std::ops::Range;

/// Steps that are looked at together, so that the memory fetches what they need at the same time.
const WINDOW: usize = 64;
/// So many rows of a level, of each share, are left in one go.
const PART: usize = 1 << 9;
/// So often counting goes on a little before the clock is looked at again.
const PATIENCE: usize = 16;

/// How many keys there is room for, from one size to the next. Larger fibers are tables of their own.
const ROOM: [u32; 8] = [1, 2, 4, 6, 8, 12, 16, 24];

/// The states over a row.
#[derive(Clone, Copy)]
struct Fiber {
    /// Where its keys are, or which of the large ones it is.
    at: u32,
    /// How many there are, and how many of them were there when this level began.
    len: u32,
    before: u32,
    /// Its size, an index of [`ROOM`], or one more.
    size: u32,
}

/// The states over a row that has many.
struct Large {
    keys: Vec<u64>,
    /// Where keys are in the list, from one on, by what they are hashed to, which is what they are.
    slots: Vec<u32>,
}

impl Large {
    fn new(keys: Vec<u64>) -> Self {
        let mut large = Self { keys, slots: Vec::new() };
        large.place();
        large
    }

    fn place(&mut self) {
        self.slots = vec![0; (4 * self.keys.len()).next_power_of_two()];
        for at in 0..self.keys.len() {
            let slot = self.find(self.keys[at]);
            self.slots[slot] = at as u32 + 1;
        }
    }

    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (key >> 32) as usize & mask;
        while self.slots[slot] != 0 && self.keys[self.slots[slot] as usize - 1] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn insert(&mut self, key: u64) -> bool {
        let slot = self.find(key);
        let new = self.slots[slot] == 0;
        if new {
            self.keys.push(key);
            self.slots[slot] = self.keys.len() as u32;
            if 2 * self.keys.len() > self.slots.len() {
                self.place();
            }
        }
        new
    }
}

/// The fibers over the rows of a share, which one thread works on. In lines of its own, as others would wait for what it counts.
#[repr(align(128))]
struct Share {
    fibers: Vec<Fiber>,
    /// The keys of all that are not large.
    keys: Vec<u64>,
    large: Vec<Large>,
    /// Where there is room that is not used any more, by size.
    unused: [Vec<u32>; ROOM.len()],
    /// The places of the rows over which there are new states, as bits.
    met: Vec<u64>,
    states: u64,
    generated: u64,
}

/// A step from some of the keys of a level.
struct Way {
    place: usize,
    adds: u64,
    keys: (u32, u32),
}

/// New states by row: each row with where its keys begin.
#[derive(Default)]
struct Level {
    rows: Vec<(u32, u32)>,
    keys: Vec<u64>,
}

impl Share {
    /// No states over so many rows.
    fn new(rows: usize) -> Self {
        let mut share = Self {
            fibers: Vec::new(),
            keys: Vec::with_capacity(4 * rows),
            large: Vec::new(),
            unused: std::array::from_fn(|_| Vec::new()),
            met: Vec::new(),
            states: 0,
            generated: 0,
        };
        share.make_room(rows);
        share
    }

    /// Makes room for fibers over so many rows.
    fn make_room(&mut self, rows: usize) {
        self.fibers.resize(rows, Fiber { at: 0, len: 0, before: 0, size: 0 });
        self.met.resize(rows.div_ceil(64), 0);
    }

    /// Adds states over the row in a place, all of them different: keys, to each of which something is added.
    #[inline]
    fn insert(&mut self, place: usize, keys: &[u64], adds: u64) {
        let fiber = self.fibers[place];
        let Fiber { len, before, .. } = fiber;
        if len == 0 {
            self.fibers[place] = self.first(keys, adds);
        } else {
            // Whoever comes second mostly brings the same in the same order, as steps commute.
            let new = &self.keys_of(&fiber)[before as usize..];
            let same = new.iter().zip(keys).all(|(new, key)| *new == key.wrapping_add(adds));
            if same && keys.len() <= new.len() {
                return;
            }
            self.insert_more(place, keys, adds);
        }
        let more = self.fibers[place].len - len;
        self.states += u64::from(more);
        if len == before && more > 0 {
            self.met[place / 64] |= 1 << (place % 64);
        }
    }

    #[inline]
    fn keys_of(&self, fiber: &Fiber) -> &[u64] {
        if fiber.size as usize == ROOM.len() {
            &self.large[fiber.at as usize].keys
        } else {
            &self.keys[fiber.at as usize..][..fiber.len as usize]
        }
    }

    /// A fiber of its first keys.
    fn first(&mut self, keys: &[u64], adds: u64) -> Fiber {
        let size = ROOM.partition_point(|room| (*room as usize) < keys.len());
        let keys = keys.iter().map(|key| key.wrapping_add(adds));
        let len = keys.len() as u32;
        let at = self.room(size);
        if size == ROOM.len() {
            self.large.push(Large::new(keys.collect()));
        } else {
            for (slot, key) in self.keys[at as usize..].iter_mut().zip(keys) {
                *slot = key;
            }
        }
        Fiber { at, len, before: 0, size: size as u32 }
    }

    /// Where there is room for a fiber of a size; the next of the large ones.
    fn room(&mut self, size: usize) -> u32 {
        let Some(room) = ROOM.get(size) else { return self.large.len() as u32 };
        self.unused[size].pop().unwrap_or_else(|| {
            let at = u32::try_from(self.keys.len()).expect("a share that is full is not added to");
            self.keys.resize(self.keys.len() + *room as usize, 0);
            at
        })
    }

    /// Adds states as far as they are new.
    fn insert_more(&mut self, place: usize, keys: &[u64], adds: u64) {
        let mut fiber = self.fibers[place];
        for (at, key) in keys.iter().enumerate() {
            let key = key.wrapping_add(adds);
            if fiber.size as usize == ROOM.len() {
                fiber.len += u32::from(self.large[fiber.at as usize].insert(key));
                continue;
            }
            // There are few of them, so that looking at all takes less than guessing where to stop.
            let there = self.keys_of(&fiber).iter().filter(|there| **there == key).count();
            if there > 0 {
                continue;
            }
            if fiber.len == ROOM[fiber.size as usize] {
                fiber = self.grown(fiber, keys.len() - at);
                if fiber.size as usize == ROOM.len() {
                    fiber.len += u32::from(self.large[fiber.at as usize].insert(key));
                    continue;
                }
            }
            self.keys[(fiber.at + fiber.len) as usize] = key;
            fiber.len += 1;
        }
        self.fibers[place] = fiber;
    }

    /// A fiber with room for so many more keys, and at least for one.
    fn grown(&mut self, fiber: Fiber, more: usize) -> Fiber {
        let old = fiber.at as usize..(fiber.at + fiber.len) as usize;
        let size = ROOM.partition_point(|room| (*room as usize) < old.len() + more);
        let at = self.room(size);
        if size == ROOM.len() {
            self.large.push(Large::new(self.keys[old].to_vec()));
        } else {
            for n in 0..old.len() {
                self.keys[at as usize + n] = self.keys[old.start + n];
            }
        }
        self.unused[fiber.size as usize].push(fiber.at);
        Fiber { at, size: size as u32, ..fiber }
    }

    /// Makes a level of what is new since this was last done.
    fn level(&mut self, graph: &graph::Share, level: &mut Level) {
        level.rows.clear();
        level.keys.clear();
        for word in 0..self.met.len() {
            let mut met = std::mem::take(&mut self.met[word]);
            while met != 0 {
                let place = 64 * word + met.trailing_zeros() as usize;
                met &= met - 1;
                let fiber = &mut self.fibers[place];
                level.rows.push((graph.number(place), level.keys.len() as u32));
                let before = std::mem::replace(&mut fiber.before, fiber.len) as usize;
                let fiber = *fiber;
                level.keys.extend(self.keys_of(&fiber)[before..].iter());
            }
        }
    }

    /// Leaves a part of the states of a level, as far as that leads to rows of this share.
    fn leave(&mut self, graph: &graph::Share, level: &Level, part: Range<usize>) {
        let mut window = Vec::with_capacity(WINDOW);
        for at in part.start..part.end.min(level.rows.len()) {
            let (row, start) = level.rows[at];
            let end = level.rows.get(at + 1).map_or(level.keys.len() as u32, |(_, start)| *start);
            for step in graph.of(row) {
                self.generated += u64::from(end - start);
                window.push(Way {
                    place: graph.to[step] as usize,
                    adds: graph.adds[step],
                    keys: (start, end),
                });
                if window.len() == WINDOW {
                    self.follow(level, &window);
                    window.clear();
                }
            }
        }
        self.follow(level, &window);
    }

    fn follow(&mut self, level: &Level, window: &[Way]) {
        // With nothing else in between, the memory fetches all of them together.
        let fibers = window.iter().map(|way| self.fibers[way.place].at);
        let asked = fibers.fold(0, |all, at| all ^ self.keys.get(at as usize).copied().unwrap_or(0));
        std::hint::black_box(asked);
        for way in window {
            self.insert(way.place, &level.keys[way.keys.0 as usize..way.keys.1 as usize], way.adds);
        }
    }

    /// Whether numbers of places may not do for another part of a level.
    fn is_full(&self) -> bool {
        self.keys.len() > 1 << (u32::BITS - 1)
    }

    fn bytes(&self) -> usize {
        let large = self.large.iter().map(|large| large.keys.capacity() * 8 + large.slots.capacity() * 4);
        self.fibers.capacity() * size_of::<Fiber>() + self.keys.capacity() * 8 + large.sum::<usize>()
    }
}

/// How many states there are over the rows of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub unique: u64,
    pub generated: u64,
    pub depth: usize,
    /// There are states that the bound on the depth left no steps to.
    pub cut: bool,
    /// Whether they are too many to be counted.
    pub full: bool,
}

/// All states over the rows of a graph, level by level. Whoever explores rows can count the states of a level as soon as all rows of
/// the level are explored, as a row is found as early as the first state over it.
pub(super) struct Count {
    shares: Vec<Share>,
    /// The states that are left next, in the share of their rows.
    levels: Vec<Level>,
    /// The longest of these, in rows, and how much of each was left.
    longest: usize,
    left: usize,
    /// The bound on the depth.
    bound: Option<usize>,
    ended: bool,
    pub counted: Counted,
}

impl Count {
    /// Nothing but the first state.
    pub(super) fn new(graph: &Graph, bound: Option<usize>) -> Self {
        let mut shares: Vec<Share> = graph.shares.iter().map(|rows| Share::new(rows.len())).collect();
        let first = graph.shares.iter().position(|rows| rows.len() > 0 && rows.number(0) == 0);
        shares[first.expect("there is a first row")].insert(0, &[0], 0);
        let levels = shares.iter().map(|_| Level::default()).collect();
        let counted = Counted { unique: 1, generated: 1, depth: 0, cut: false, full: false };
        Self { shares, levels, longest: 0, left: 0, bound, ended: false, counted }
    }

    /// Goes on a little, if so many levels of rows were explored; false if there is nothing to do before more are.
    pub(super) fn go_on(&mut self, graph: &Graph, pool: Option<&rayon::ThreadPool>, explored: usize) -> bool {
        if self.ended {
            return false;
        }
        if self.left >= self.longest {
            if self.counted.depth >= explored {
                return false;
            }
            self.begin_level(graph, pool);
            return !self.ended;
        }
        let (part, levels) = (self.left..self.left + PART, &self.levels);
        self.left = part.end;
        let places = graph.shares.iter().zip(&mut self.shares);
        in_turn_or_together(pool, places, |(graph, share): (_, &mut Share)| {
            for level in levels {
                share.leave(graph, level, part.clone());
            }
        });
        self.counted.unique = self.shares.iter().map(|share| share.states).sum();
        self.counted.generated = 1 + self.shares.iter().map(|share| share.generated).sum::<u64>();
        self.counted.full = self.shares.iter().any(Share::is_full);
        self.ended = self.counted.full;
        true
    }

    /// Counts what is left once all rows were explored. Why it was given up, if it was; so many bytes are in use beside it.
    pub(super) fn finish(
        &mut self,
        graph: &Graph,
        pool: Option<&rayon::ThreadPool>,
        (budget, bytes): (&Budget<'_>, usize),
        tell: impl Fn(&Self),
    ) -> Option<Why> {
        for n in 1.. {
            if !self.go_on(graph, pool, usize::MAX) {
                break;
            }
            if n % PATIENCE == 0 {
                let given_up = budget.check_all(bytes + self.bytes());
                if given_up.is_some() {
                    return given_up;
                }
                tell(self);
            }
        }
        self.counted.full.then_some(Why::Memory)
    }

    fn begin_level(&mut self, graph: &Graph, pool: Option<&rayon::ThreadPool>) {
        let places = graph.shares.iter().zip(&mut self.shares).zip(&mut self.levels);
        in_turn_or_together(pool, places, |((graph, share), level)| {
            share.make_room(graph.len());
            share.level(graph, level);
        });
        (self.longest, self.left) = (self.levels.iter().map(|level| level.rows.len()).max().unwrap_or(0), 0);
        if self.longest == 0 {
            self.ended = true;
            return;
        }
        self.counted.depth += 1;
        self.counted.cut = self.bound == Some(self.counted.depth);
        // A level with more keys than numbers is larger than any memory.
        self.counted.full = self.levels.iter().any(|level| u32::try_from(level.keys.len()).is_err());
        self.ended = self.counted.cut || self.counted.full;
    }

    /// How many states are left next, or are being left.
    pub(super) fn frontier(&self) -> u64 {
        self.levels.iter().map(|level| level.keys.len() as u64).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.shares.iter().map(Share::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::mix;
    use super::*;
    use crate::report::Options;
    use std::collections::HashSet;

    /// Rows with some steps each: among ten that follow one another to and fro, and from these on to the next ten. Only the latter add
    /// anything, as states would have no end otherwise.
    fn random(seed: u64, rows: u32) -> Vec<(u32, u32, u64)> {
        let mut draw = seed;
        let mut below = |n: u32| {
            draw = mix(draw.wrapping_add(0x9e37_79b9_7f4a_7c15));
            (draw >> 33) as u32 % n
        };
        let mut steps = Vec::new();
        for row in 0..rows {
            let next = (row + 1).min(rows - 1);
            for step in 0..=below(4) {
                let to = match below(3) {
                    _ if step == 0 => next,
                    0 => row - row % 10 + below(row % 10 + 1),
                    _ => (row + 1 + below(12)).min(rows - 1),
                };
                let adds = if to / 10 > row / 10 { mix(u64::from(below(3))) } else { 0 };
                steps.push((row, to, adds));
            }
        }
        steps
    }

    /// The same, one state after the other.
    fn one_by_one(steps: &[(u32, u32, u64)], bound: Option<usize>) -> Counted {
        let mut counted = Counted { unique: 1, generated: 1, depth: 0, cut: false, full: false };
        let mut level = vec![(0, 0_u64)];
        let mut seen = HashSet::from([(0, 0)]);
        while !level.is_empty() {
            counted.depth += 1;
            counted.cut = bound == Some(counted.depth);
            if counted.cut {
                break;
            }
            let mut next = Vec::new();
            for (row, key) in level {
                let of_row = &steps[steps.partition_point(|(from, ..)| *from < row)..];
                for (_, to, adds) in of_row.iter().take_while(|(from, ..)| *from == row) {
                    let state = (*to, key.wrapping_add(*adds));
                    counted.generated += 1;
                    if seen.insert(state) {
                        next.push(state);
                    }
                }
            }
            level = next;
        }
        counted.unique = seen.len() as u64;
        counted
    }

    #[test]
    fn who_takes_too_much_gives_up() {
        let steps = random(3, 100);
        let graph = Graph::of_steps(100, &steps, 1);
        let options = Options { memory: Some(1), ..Options::default() };
        let mut count = Count::new(&graph, None);
        assert_eq!(count.finish(&graph, None, (&Budget::start(&options), 0), |_| {}), Some(Why::Memory));
        assert!(count.counted.unique < one_by_one(&steps, None).unique);
    }

    #[test]
    fn no_more_levels_are_left_than_were_explored() {
        let steps = random(3, 100);
        let graph = Graph::of_steps(100, &steps, 1);
        let mut count = Count::new(&graph, None);
        for explored in 0..12 {
            while count.go_on(&graph, None, explored) {}
            let expected = one_by_one(&steps, Some(explored + 1));
            let counted = Counted { cut: true, depth: explored + 1, ..count.counted.clone() };
            assert_eq!(counted, expected, "{explored} levels");
            assert_eq!(count.counted.depth, explored);
        }
    }

    #[test]
    fn states_over_rows_are_those_that_are_found_one_by_one() {
        let (mut large, mut deep) = (0, 0);
        for seed in 0..60 {
            let rows = 2 + seed as u32 * 2;
            let steps = random(seed, rows);
            for bound in [None, Some(1), Some(7)] {
                let expected = one_by_one(&steps, bound);
                large += u64::from(expected.unique > 12 * u64::from(rows));
                deep = deep.max(expected.depth);
                for threads in [1, 2, 3] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                    let pool = (threads > 1).then_some(&pool);
                    let graph = Graph::of_steps(rows, &steps, threads as u32);
                    let mut count = Count::new(&graph, bound);
                    while count.go_on(&graph, pool, usize::MAX) {}
                    assert_eq!(count.counted, expected, "seed {seed}, bound {bound:?}, {threads} threads");
                }
            }
        }
        assert!(large > 3 && deep > 40, "{large} with large fibers, {deep} deep");
    }
}
