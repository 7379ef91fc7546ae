//! A map from pairs of numbers to numbers that is read far more often than written. One load finds most entries, and it can be started
//! ahead of time.

/// A map from pairs of numbers to numbers, from which nothing is removed.
pub(super) struct Pairs {
    slots: Vec<Slot>,
    len: usize,
    /// The rest of a hash gives the slot at which probing starts.
    shift: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    value: u32,
    is_taken: bool,
}

const EMPTY: Slot = Slot { key: 0, value: 0, is_taken: false };

impl Pairs {
    pub(super) fn new() -> Self {
        Self { slots: vec![EMPTY; 16], len: 0, shift: u64::BITS - 4 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The slot at which probing for a key starts.
    #[inline]
    pub(super) fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The slot of a key, or the one for it if it is absent.
    #[inline]
    fn find(&self, key: u64) -> usize {
        let mut at = self.home(key);
        loop {
            let slot = &self.slots[at];
            if slot.key == key || !slot.is_taken {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        let slot = &self.slots[self.find(key)];
        slot.is_taken.then_some(slot.value)
    }

    /// Loads the slot at which probing starts, so that it is in the cache soon. The returned value means nothing.
    #[inline]
    pub(super) fn ask_for(&self, home: usize) -> u32 {
        self.slots[home].value
    }

    pub(super) fn insert(&mut self, key: u64, value: u32) {
        self.make_room();
        let at = self.find(key);
        self.len += usize::from(!self.slots[at].is_taken);
        self.slots[at] = Slot { key, value, is_taken: true };
    }

    /// The value of a key; if there is none, this one from now on.
    pub(super) fn get_or_insert(&mut self, key: u64, value: u32) -> u32 {
        self.make_room();
        let at = self.find(key);
        let slot = &mut self.slots[at];
        if !slot.is_taken {
            *slot = Slot { key, value, is_taken: true };
            self.len += 1;
        }
        slot.value
    }

    fn make_room(&mut self) {
        // At most half of the slots are taken, so that probing is short.
        if 2 * (self.len + 1) > self.slots.len() {
            let size = self.slots.len() * 2;
            let old = std::mem::replace(&mut self.slots, vec![EMPTY; size]);
            self.shift -= 1;
            for slot in old.into_iter().filter(|slot| slot.is_taken) {
                let at = self.find(slot.key);
                self.slots[at] = slot;
            }
        }
    }

    /// All entries, in arbitrary order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.slots.iter().filter(|slot| slot.is_taken).map(|slot| (slot.key, slot.value))
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn what_was_put_in_is_found_again() {
        let (mut pairs, mut known) = (Pairs::new(), HashMap::new());
        let mut draw = 1_u64;
        for n in 0..50_000_u32 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (draw >> 50) << 32 | draw >> 60;
            assert_eq!(pairs.get(key), known.get(&key).copied());
            if n % 3 == 0 {
                assert_eq!(pairs.get_or_insert(key, n), *known.entry(key).or_insert(n));
            } else {
                pairs.insert(key, n);
                known.insert(key, n);
            }
        }
        assert_eq!((pairs.get(0).is_some(), pairs.len()), (known.contains_key(&0), known.len()));
        assert!(known.iter().all(|(key, value)| pairs.get(*key) == Some(*value)));
        assert_eq!(Pairs::new().get(0), None);
    }
}
