//! The seen table: a set of keys with open addressing, in shards that grow one after the other. Growing takes the memory of one shard
//! more, and not that of the whole table.

use super::bytes::{In, Out};
use super::key::{Key, SHARD_BITS};
use super::scheme::Scheme;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of keys that are looked up together, so that their loads overlap.
const WINDOW: usize = 64;
/// Bytes that memory is mapped by, or fewer.
const PAGE: usize = 1 << 12;

struct Shard<K> {
    slots: Vec<K>,
    len: usize,
}

impl<K: Key> Shard<K> {
    /// The slot at which a key belongs. Slots are in the order of spreads, so that a shard grows in one sweep.
    #[inline]
    fn slot(&self, spread: u64) -> usize {
        ((u128::from(spread << SHARD_BITS) * self.slots.len() as u128) >> 64) as usize
    }

    /// The slot of the key, or the empty one for it.
    #[inline]
    fn find(&self, key: &K, spread: u64) -> usize {
        self.find_from(key, self.slot(spread))
    }

    #[inline]
    fn find_from(&self, key: &K, mut slot: usize) -> usize {
        // The processor cannot predict which of the two it is, so one branch serves both.
        let is_other = |slot: &K| u8::from(*slot != *key) & u8::from(*slot != K::EMPTY) == 1;
        while is_other(&self.slots[slot]) {
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
        slot
    }

    /// Makes room for so many more keys. At most three in four slots are taken: beyond that searches get long.
    #[inline]
    fn reserve(&mut self, more: usize, spread_of: impl Fn(&K) -> u64 + Copy) {
        while 4 * (self.len + more) > 3 * self.slots.len() {
            self.grow(spread_of);
        }
    }

    /// Adds a key, looking for it from a slot on. There is room.
    #[inline]
    fn insert_from(&mut self, key: K, slot: usize) -> bool {
        let slot = self.find_from(&key, slot);
        let new = self.slots[slot] == K::EMPTY;
        self.slots[slot] = key;
        self.len += usize::from(new);
        new
    }

    #[cold]
    fn grow(&mut self, spread_of: impl Fn(&K) -> u64) {
        let size = self.slots.len() + self.slots.len() / 2;
        let old = std::mem::replace(&mut self.slots, vec![K::EMPTY; size]);
        // Memory that is read before it is written is mapped twice, and the second time interrupts every other thread.
        for slot in self.slots.iter_mut().step_by(PAGE / size_of::<K>()) {
            *std::hint::black_box(slot) = K::EMPTY;
        }
        for key in old {
            if key != K::EMPTY {
                let slot = self.find(&key, spread_of(&key));
                self.slots[slot] = key;
            }
        }
    }
}

/// The keys seen so far. Threads share the work of inserting by shards.
pub(super) struct Table<S: Scheme> {
    shards: Vec<Shard<S::Slot>>,
}

#[inline]
fn shard_of(spread: u64) -> usize {
    (spread >> (u64::BITS - SHARD_BITS)) as usize
}

impl<S: Scheme> Table<S> {
    pub(super) fn new() -> Self {
        let shards = (0..1 << SHARD_BITS).map(|_| Shard { slots: vec![S::Slot::EMPTY; 16], len: 0 });
        Self { shards: shards.collect() }
    }

    pub(super) fn contains(&self, key: &S::Key) -> bool {
        let spread = S::spread(key);
        let shard = &self.shards[shard_of(spread)];
        shard.slots[shard.find(&S::slot(key), spread)] != S::Slot::EMPTY
    }

    /// Adds a key; whether it was not there.
    pub(super) fn insert(&mut self, key: S::Key) -> bool {
        let spread = S::spread(&key);
        let shard = &mut self.shards[shard_of(spread)];
        shard.reserve(1, |slot| S::spread_in_shard(slot));
        shard.insert_from(S::slot(&key), shard.slot(spread))
    }

    /// Adds keys in order, those of some shards on each thread, and marks those that were not there. Empty ones are passed over.
    pub(super) fn insert_all<'k>(
        &mut self,
        pool: Option<&rayon::ThreadPool>,
        runs: impl Iterator<Item = (&'k [S::Key], &'k [AtomicBool])> + Clone + Send + Sync,
    ) where
        S::Key: 'k,
    {
        let Some(pool) = pool else {
            return insert_some::<S>(&mut self.shards, 0, runs);
        };
        let share = self.shards.len().div_ceil(pool.current_num_threads());
        pool.scope(|scope| {
            for (n, shards) in self.shards.chunks_mut(share).enumerate() {
                let runs = runs.clone();
                scope.spawn(move |_| insert_some::<S>(shards, n * share, runs));
            }
        });
    }

    pub(super) fn write(&self, out: &mut Out) -> io::Result<()> {
        out.number(self.shards.iter().map(|shard| shard.len as u64).sum())?;
        for (number, shard) in self.shards.iter().enumerate() {
            for slot in shard.slots.iter().filter(|slot| **slot != S::Slot::EMPTY) {
                S::whole(slot, number).as_words().iter().try_for_each(|word| out.number(*word))?;
            }
        }
        Ok(())
    }

    /// Adds the keys that were written.
    pub(super) fn read(&mut self, file: &mut In) -> io::Result<()> {
        for _ in 0..file.len(size_of::<S::Key>() as u64)? {
            let mut key = S::Key::EMPTY;
            for word in key.as_words_mut() {
                *word = file.number()?;
            }
            if S::slot(&key) == S::Slot::EMPTY || !self.insert(key) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a key in it is not a key of its own",
                ));
            }
        }
        Ok(())
    }

    /// Every key, in arbitrary order; the table is emptied, shard by shard.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = S::Key> {
        self.shards.drain(..).enumerate().flat_map(|(number, shard)| {
            let taken = shard.slots.into_iter().filter(|slot| *slot != S::Slot::EMPTY);
            taken.map(move |slot| S::whole(&slot, number))
        })
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.capacity() * size_of::<S::Slot>()).sum()
    }
}

/// Inserts the keys that belong to some shards, the first of which is number `first`.
fn insert_some<'k, S: Scheme>(
    shards: &mut [Shard<S::Slot>],
    first: usize,
    runs: impl Iterator<Item = (&'k [S::Key], &'k [AtomicBool])>,
) where
    S::Key: 'k,
{
    static NOBODY: AtomicBool = AtomicBool::new(false);
    // One more than are looked up together, for the one that may turn out not to belong here.
    let mut window = [(S::Slot::EMPTY, 0, 0, &NOBODY); WINDOW + 1];
    let (count, mut held) = (shards.len(), 0);
    for (keys, new) in runs {
        for (key, new) in keys.iter().zip(new) {
            let spread = S::spread(key);
            let shard = shard_of(spread).wrapping_sub(first);
            // The processor cannot predict this condition, so there is no branch on it.
            window[held] = (S::slot(key), spread, shard, new);
            held += usize::from(shard < count) & usize::from(*key != S::Key::EMPTY);
            if held == WINDOW {
                insert_window::<S>(shards, &mut window[..held]);
                held = 0;
            }
        }
    }
    insert_window::<S>(shards, &mut window[..held]);
}

/// Inserts some keys with their spreads and shards.
#[inline]
fn insert_window<S: Scheme>(
    shards: &mut [Shard<S::Slot>],
    window: &mut [(S::Slot, u64, usize, &AtomicBool)],
) {
    for (_, spread, at, _) in window.iter_mut() {
        let shard = &mut shards[*at];
        // Room for all of them, even if all are new and belong here.
        shard.reserve(WINDOW, |slot| S::spread_in_shard(slot));
        *spread = shard.slot(*spread) as u64;
    }
    // The first load of each slot waits for memory. Loads that follow each other directly wait together.
    let first = |(_, slot, at, _): &(S::Slot, u64, usize, &AtomicBool)| {
        shards[*at].slots[*slot as usize].as_words()[0]
    };
    std::hint::black_box(window.iter().fold(0, |all, one| all ^ first(one)));
    for &mut (key, slot, at, new) in window {
        new.store(shards[at].insert_from(key, slot as usize), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::mix;
    use super::super::scheme::Hashed;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_found_again_whatever_the_number_of_threads() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let mut table = Table::<Hashed<1>>::new();
            let mut known = HashSet::new();
            let mut at = 7_u64;
            for _ in 0..40 {
                let keys: Vec<[u64; 1]> = (0..2_000)
                    .map(|_| {
                        at = mix(at.wrapping_add(3));
                        [mix(at % 50_000) | 1]
                    })
                    .collect();
                let new: Vec<AtomicBool> = keys.iter().map(|_| AtomicBool::new(false)).collect();
                let runs = keys.chunks(300).zip(new.chunks(300));
                table.insert_all((threads > 1).then_some(&pool), runs);
                for (key, new) in keys.iter().zip(&new) {
                    assert_eq!(new.load(Ordering::Relaxed), known.insert(*key));
                    assert!(table.contains(key) && !table.insert(*key));
                }
            }
            assert!(!table.contains(&[2]));
            assert_eq!(table.drain().collect::<HashSet<_>>(), known);
        }
    }
}
