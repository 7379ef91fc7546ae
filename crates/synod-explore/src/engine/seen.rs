//! The set of keys that were seen: open addressing, in shards that grow one after the other, so that growing takes a
//! shard's memory more and not the table's once more.

use super::key::{Key, Scheme};
use std::sync::atomic::{AtomicBool, Ordering};

/// The highest bits of a key's spread choose its shard. Threads share the work of inserting by shards.
const SHARD_BITS: u32 = 7;
/// Keys that are looked at together, so that the memory fetches them at the same time.
const WINDOW: usize = 16;

struct Shard<K> {
    slots: Vec<K>,
    len: usize,
}

impl<K: Key> Shard<K> {
    /// Where a key belongs. The order of slots is the order of spreads, so that a shard grows in one sweep.
    #[inline]
    fn slot(&self, spread: u64) -> usize {
        ((u128::from(spread << SHARD_BITS) * self.slots.len() as u128) >> 64) as usize
    }

    /// The key's slot, or the empty one where it would go.
    #[inline]
    fn find(&self, key: &K, spread: u64) -> usize {
        let mut slot = self.slot(spread);
        while self.slots[slot] != *key && self.slots[slot] != K::EMPTY {
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
        slot
    }

    #[inline]
    fn insert(&mut self, key: K, spread: u64, spread_of: fn(&K) -> u64) -> bool {
        // At most three in four slots are taken: beyond that searches get long.
        if 4 * (self.len + 1) > 3 * self.slots.len() {
            self.grow(spread_of);
        }
        let slot = self.find(&key, spread);
        let new = self.slots[slot] == K::EMPTY;
        if new {
            self.slots[slot] = key;
            self.len += 1;
        }
        new
    }

    #[cold]
    fn grow(&mut self, spread_of: fn(&K) -> u64) {
        let size = self.slots.len() + self.slots.len() / 2;
        let old = std::mem::replace(&mut self.slots, vec![K::EMPTY; size]);
        for key in old {
            if key != K::EMPTY {
                let slot = self.find(&key, spread_of(&key));
                self.slots[slot] = key;
            }
        }
    }
}

/// The keys seen so far.
pub(super) struct Table<S: Scheme> {
    shards: Vec<Shard<S::Key>>,
}

#[inline]
fn shard_of(spread: u64) -> usize {
    (spread >> (u64::BITS - SHARD_BITS)) as usize
}

impl<S: Scheme> Table<S> {
    pub(super) fn new() -> Self {
        let shards = (0..1 << SHARD_BITS).map(|_| Shard { slots: vec![S::Key::EMPTY; 16], len: 0 });
        Self { shards: shards.collect() }
    }

    pub(super) fn contains(&self, key: &S::Key) -> bool {
        let spread = S::spread(key);
        let shard = &self.shards[shard_of(spread)];
        shard.slots[shard.find(key, spread)] != S::Key::EMPTY
    }

    /// Adds a key; whether it was not there.
    pub(super) fn insert(&mut self, key: S::Key) -> bool {
        let spread = S::spread(&key);
        self.shards[shard_of(spread)].insert(key, spread, S::spread)
    }

    /// Adds keys in order, those of some shards on each thread, and marks those that were not there.
    pub(super) fn insert_all<'k>(
        &mut self,
        pool: Option<&rayon::ThreadPool>,
        keys: impl Iterator<Item = (&'k S::Key, &'k AtomicBool)> + Clone + Send + Sync,
    ) where
        S::Key: 'k,
    {
        let Some(pool) = pool else {
            return insert_some::<S>(&mut self.shards, 0, keys);
        };
        let share = self.shards.len().div_ceil(pool.current_num_threads());
        pool.scope(|scope| {
            for (n, shards) in self.shards.chunks_mut(share).enumerate() {
                let keys = keys.clone();
                scope.spawn(move |_| insert_some::<S>(shards, n * share, keys));
            }
        });
    }

    /// Every key, in no order that means anything; the table is empty afterwards, shard by shard.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = S::Key> {
        self.shards.drain(..).flat_map(|shard| shard.slots).filter(|key| *key != S::Key::EMPTY)
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.capacity() * size_of::<S::Key>()).sum()
    }
}

/// Inserts the keys that belong to some shards, the first of which is number `first`.
fn insert_some<'k, S: Scheme>(
    shards: &mut [Shard<S::Key>],
    first: usize,
    keys: impl Iterator<Item = (&'k S::Key, &'k AtomicBool)>,
) where
    S::Key: 'k,
{
    let mine = first..first + shards.len();
    let mut window = Vec::with_capacity(WINDOW);
    let mut keys = keys.map(|(key, new)| (key, S::spread(key), new)).filter(|(_, spread, _)| {
        let shard = shard_of(*spread);
        mine.contains(&shard)
    });
    loop {
        window.clear();
        window.extend(keys.by_ref().take(WINDOW));
        if window.is_empty() {
            return;
        }
        // The first look at each slot waits for memory; asked for together they wait together.
        let mut empty = 0_u32;
        for &(_, spread, _) in &window {
            let shard = &shards[shard_of(spread) - first];
            empty += u32::from(shard.slots[shard.slot(spread)] == S::Key::EMPTY);
        }
        std::hint::black_box(empty);
        for &(key, spread, new) in &window {
            if shards[shard_of(spread) - first].insert(*key, spread, S::spread) {
                new.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{Hashed, mix};
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
                table.insert_all((threads > 1).then_some(&pool), keys.iter().zip(&new));
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
