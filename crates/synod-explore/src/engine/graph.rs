//! The rows and the steps between them, where rows stand for more than one state.
//!
//! Rows are shared out by their keys, and so are the steps that lead to them: what belongs to a share is looked up, kept and counted
//! by one thread, and no other has to look at it.

use super::blocks::Run;
use super::expand::Candidates;
use super::intern::NONE;
use super::key::Key;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keys that are looked up together, so that the memory fetches what that takes at the same time.
const WINDOW: usize = 64;
/// In more shares, where steps begin would take more than the steps.
const SHARES: usize = 16;

/// The rows, and the steps between them.
pub(super) struct Graph {
    pub shares: Vec<Share>,
}

/// Some of the rows, and all steps that lead to them. A *place* is the number that a row has among those of its share.
#[derive(Default)]
pub(super) struct Share {
    rows: Numbers,
    /// The number among all that the row in each place has. Empty if there is one share: then it is the place.
    numbers: Vec<u32>,
    /// Of each row that was left, whoever's it is, where its steps to here begin.
    starts: Vec<u32>,
    /// The places that they lead to.
    pub to: Vec<u32>,
    /// What they add to the sum over dead messages.
    pub adds: Vec<u64>,
    /// How many rows there are.
    len: usize,
}

/// A step that was found.
#[derive(Clone, Copy)]
struct Way<'f> {
    parent: u32,
    key: u64,
    adds: u64,
    new: &'f AtomicBool,
}

impl Graph {
    /// Nothing but the first row, shared out to so many threads.
    pub(super) fn new(key: u64, threads: usize) -> Self {
        let shares = std::iter::repeat_with(Share::default).take(threads.min(SHARES));
        let mut graph = Self { shares: shares.collect() };
        let share = share_of(key, graph.shares.len());
        graph.shares[share].rows.make_room(1);
        graph.shares[share].rows.number(key);
        graph.shares[share].len = 1;
        graph.shares[share].numbers.extend((threads > 1).then_some(0));
        graph
    }

    /// Takes in the steps of the next rows, up to one, candidates that follow one another, and marks those that lead to rows that are
    /// new. Rows get their numbers in this order.
    pub(super) fn extend<K: Key>(
        &mut self,
        pool: Option<&rayon::ThreadPool>,
        buffers: &[Candidates<K>],
        runs: &[Run],
        end: u32,
    ) {
        let shares = self.shares.len();
        in_turn_or_together(pool, self.shares.iter_mut().enumerate(), |(number, share): (_, &mut Share)| {
            share.extend((number, shares), buffers, runs);
            share.begin_row(end);
        });
        if shares > 1 {
            self.number(buffers, runs);
        }
    }

    /// Lends the numbers of rows, if all of them are in one share, to somebody who looks up rows in the meantime.
    pub(super) fn lend(&mut self) -> Option<Numbers> {
        let [share] = &mut self.shares[..] else { return None };
        Some(std::mem::take(&mut share.rows))
    }

    /// Takes them back.
    pub(super) fn take_back(&mut self, numbers: Numbers) {
        self.shares[0].rows = numbers;
    }

    /// Takes in steps as [`extend`](Self::extend) does, to rows that were looked up.
    pub(super) fn extend_to<K: Key>(
        &mut self,
        LookedUp { places, rows }: &LookedUp,
        buffers: &[Candidates<K>],
        runs: &[Run],
        end: u32,
    ) {
        let share = &mut self.shares[0];
        let mut places = places.iter();
        let mut adds: Vec<_> = buffers.iter().map(|found| found.adds.iter()).collect();
        for (buffer, range) in runs {
            let ways = buffers[*buffer].found[range.clone()].iter().filter(|way| way.is_row());
            for (way, adds) in ways.zip(&mut adds[*buffer]) {
                share.begin_row(way.parent);
                share.to.extend(places.next());
                share.adds.push(word(adds));
            }
        }
        share.begin_row(end);
        share.len = *rows;
    }

    /// Says which numbers among all the rows have that were new.
    fn number<K: Key>(&mut self, buffers: &[Candidates<K>], runs: &[Run]) {
        let shares = self.shares.len();
        let mut number = self.shares.iter().map(|share| share.numbers.len() as u32).sum();
        for (buffer, range) in runs {
            let found = &buffers[*buffer];
            let new = found.keys[range.clone()].iter().zip(&found.new[range.clone()]);
            for (key, _) in new.filter(|(_, new)| new.load(Ordering::Relaxed)) {
                self.shares[share_of(word(key), shares)].numbers.push(number);
                number += 1;
            }
        }
    }

    /// The graph of some steps, in order: from which row to which, and what they add.
    #[cfg(test)]
    pub(super) fn of_steps(rows: u32, steps: &[(u32, u32, u64)], shares: u32) -> Self {
        let share = |number| {
            let mut share = Share::default();
            let own = (0..rows).filter(|row| row % shares == number);
            share.len = own.clone().count();
            share.numbers = own.filter(|_| shares > 1).collect();
            let mut steps = steps.iter().filter(|(_, to, _)| to % shares == number).peekable();
            for row in 0..rows {
                share.begin_row(row);
                while let Some((_, to, adds)) = steps.next_if(|(from, ..)| *from == row) {
                    share.to.push(to / shares);
                    share.adds.push(*adds);
                }
            }
            share.begin_row(rows);
            share
        };
        Self { shares: (0..shares).map(share).collect() }
    }

    /// Whether there is no number left for another step.
    pub(super) fn is_full(&self) -> bool {
        self.shares.iter().any(|share| share.to.len() >= (u32::MAX - (1 << 24)) as usize)
    }

    /// Nothing more comes, so nothing has to be looked up.
    pub(super) fn finish(&mut self) {
        for share in &mut self.shares {
            share.rows = Numbers::default();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.shares.iter().map(Share::bytes).sum()
    }
}

impl Share {
    /// Takes in the steps that lead to rows of this share, of which there are so many.
    fn extend<K: Key>(&mut self, (number, shares): (usize, usize), buffers: &[Candidates<K>], runs: &[Run]) {
        static NOBODY: AtomicBool = AtomicBool::new(false);
        // One more than are looked at together, for the one that may turn out not to belong here.
        let mut window = [Way { parent: 0, key: 0, adds: 0, new: &NOBODY }; WINDOW + 1];
        let mut held = 0;
        let mut adds: Vec<_> = buffers.iter().map(|found| found.adds.iter()).collect();
        for (buffer, range) in runs {
            let (found, adds) = (&buffers[*buffer], &mut adds[*buffer]);
            let keys = found.keys[range.clone()].iter().zip(&found.new[range.clone()]);
            let ways = found.found[range.clone()].iter().zip(keys).filter(|(way, _)| way.is_row());
            for (way, (key, new)) in ways {
                let (key, adds) = (word(key), word(adds.next().expect("each row adds something")));
                // Whether it belongs here nobody could predict, so there is no branch on it.
                window[held] = Way { parent: way.parent, key, adds, new };
                held += usize::from(share_of(key, shares) == number);
                if held == WINDOW {
                    self.extend_window(&window[..held]);
                    held = 0;
                }
            }
        }
        self.extend_window(&window[..held]);
    }

    #[inline]
    fn extend_window(&mut self, ways: &[Way<'_>]) {
        self.rows.make_room(ways.len());
        self.rows.ask_for(ways.iter().map(|way| way.key));
        for way in ways {
            self.begin_row(way.parent);
            let (place, is_new) = self.rows.number(way.key);
            if is_new {
                way.new.store(true, Ordering::Relaxed);
            }
            self.to.push(place);
            self.adds.push(way.adds);
        }
        self.len = self.rows.keys.len();
    }

    /// The next step is of a row: it or one before.
    #[inline]
    fn begin_row(&mut self, row: u32) {
        while self.starts.len() <= row as usize {
            self.starts.push(self.to.len() as u32);
        }
    }

    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number among all that the row in a place has.
    #[inline]
    pub(super) fn number(&self, place: usize) -> u32 {
        if self.numbers.is_empty() { place as u32 } else { self.numbers[place] }
    }

    /// The steps to here of a row that was left, by its number among all.
    #[inline]
    pub(super) fn of(&self, row: u32) -> Range<usize> {
        self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize
    }

    fn bytes(&self) -> usize {
        self.rows.bytes()
            + (self.numbers.capacity() + self.starts.capacity() + self.to.capacity()) * 4
            + self.adds.capacity() * 8
    }
}

/// Which of the shares a key belongs to: by its last bits, as the first ones say where in the share it is.
#[inline]
fn share_of(key: u64, shares: usize) -> usize {
    (((key & u64::from(u32::MAX)) * shares as u64) >> 32) as usize
}

fn word<K: Key>(key: &K) -> u64 {
    key.as_words()[0]
}

/// Does some work for each, at the same time if there are threads for it.
pub(super) fn in_turn_or_together<T: Send>(
    pool: Option<&rayon::ThreadPool>,
    all: impl IntoIterator<Item = T, IntoIter: Send> + Send,
    work: impl Fn(T) + Sync,
) {
    match pool {
        None => all.into_iter().for_each(work),
        Some(pool) => pool.scope(|scope| {
            for one in all {
                let work = &work;
                scope.spawn(move |_| work(one));
            }
        }),
    }
}

/// The rows that some steps lead to.
#[derive(Default)]
pub(super) struct LookedUp {
    places: Vec<u32>,
    /// How many rows there are with those that were new.
    rows: usize,
}

/// Keys, numbered as they come. They are hashes as they are.
#[derive(Default)]
pub(super) struct Numbers {
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

    /// Looks up the rows that some candidates lead to, and marks those that are new.
    pub(super) fn look_up<K: Key>(&mut self, buffers: &[Candidates<K>], runs: &[Run], into: &mut LookedUp) {
        into.places.clear();
        for (buffer, range) in runs {
            let found = &buffers[*buffer];
            let keys = found.keys[range.clone()].chunks(WINDOW);
            let rest = found.found[range.clone()].chunks(WINDOW).zip(found.new[range.clone()].chunks(WINDOW));
            for (keys, (ways, new)) in keys.zip(rest) {
                self.make_room(keys.len());
                self.ask_for(keys.iter().map(word));
                for (key, (way, new)) in keys.iter().zip(ways.iter().zip(new)) {
                    if way.is_row() {
                        let (place, is_new) = self.number(word(key));
                        new.store(is_new, Ordering::Relaxed);
                        into.places.push(place);
                    }
                }
            }
        }
        into.rows = self.keys.len();
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * 8 + self.slots.capacity() * 4
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
