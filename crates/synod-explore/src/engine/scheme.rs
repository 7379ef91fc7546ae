//! Schemes by which a state vector becomes a key of the seen table: packed, so that nothing is lost, or hashed, so that it is short.
//!
//! Either way a key is a sum of one term per column. A successor's key is its parent's, less the terms of the columns that changed, plus
//! their new ones; the other columns are not looked at. With multiset inboxes the hashed term of a view is itself a sum, of its local
//! and of every message in its inbox. The term of a step then does not depend on its receivers.

use super::key::{Key, Layout, Packing, Place, SHARD_BITS, hash_of, mix};
use super::views::{Column, Steps};

/// A scheme by which state vectors become keys.
pub(super) trait Scheme: Sync + Send {
    type Key: Key;
    /// The bits of a key that its shard keeps.
    type Slot: Key;
    fn slot(key: &Self::Key) -> Self::Slot;
    /// The key that is kept in a shard.
    fn whole(slot: &Self::Slot, shard: usize) -> Self::Key;
    /// The spread of a key, but for the bits that say which shard.
    fn spread_in_shard(slot: &Self::Slot) -> u64;
    /// True if keys are made of hashes, so that they can be sums over messages.
    const HASHED: bool;
    /// The key of a state that waits: its state vector as this packs it, and, of a hashed key, that.
    fn waiting(vector: &[u64], key: &[u64]) -> Self::Key;
    /// The term that a number of a column adds to a key. Hashes of views are looked up in their columns.
    fn term(&self, columns: &[Column], column: usize, number: u32) -> Self::Key;
    /// The term that a step adds by changing its actor's view.
    fn step(&self, steps: &Steps, step: u32, from: u32) -> Self::Key;
    /// The term that every key contains.
    fn base(&self) -> Self::Key;
    /// Sixty-four bits of a key that are as good as random.
    fn spread(key: &Self::Key) -> u64;

    /// The key of a state vector.
    fn key(&self, columns: &[Column], vector: &[u32]) -> Self::Key {
        let numbers = vector.iter().enumerate();
        numbers.fold(self.base(), |key, (column, number)| key.plus(self.term(columns, column, *number)))
    }
}

/// A key of 64 times `WORDS` random bits. Two different state vectors have the same key with the odds that so many bits give.
///
/// The sums behave like random numbers: different state vectors differ in some column, in its view or, if views are sums, in the number
/// of some message, and the terms of that are independent of all others.
pub(super) struct Hashed<const WORDS: usize>;

impl<const WORDS: usize> Scheme for Hashed<WORDS>
where
    [u64; WORDS]: Key,
{
    type Key = [u64; WORDS];
    type Slot = [u64; WORDS];
    const HASHED: bool = true;

    #[inline]
    fn waiting(_: &[u64], key: &[u64]) -> Self::Key {
        Key::of_words(key)
    }

    #[inline]
    fn slot(key: &Self::Key) -> Self::Slot {
        *key
    }

    fn whole(slot: &Self::Slot, _: usize) -> Self::Key {
        *slot
    }

    #[inline]
    fn spread_in_shard(slot: &Self::Slot) -> u64 {
        Self::spread(slot)
    }

    #[inline]
    fn term(&self, columns: &[Column], column: usize, number: u32) -> [u64; WORDS] {
        match columns.get(column) {
            Some(column) => {
                let view = number as usize;
                std::array::from_fn(|word| if word == 0 { column.narrow[view] } else { column.wide[view] })
            }
            None => {
                let hash = hash_of(column, number);
                std::array::from_fn(|word| hash[word])
            }
        }
    }

    #[inline]
    fn step(&self, steps: &Steps, step: u32, _: u32) -> [u64; WORDS] {
        let step = step as usize;
        std::array::from_fn(|word| if word == 0 { steps.hot[step].delta } else { steps.wide[step] })
    }

    fn base(&self) -> [u64; WORDS] {
        [1; WORDS]
    }

    #[inline]
    fn spread(key: &[u64; WORDS]) -> u64 {
        key[0]
    }
}

/// A key that is the state vector itself.
pub(super) struct Packed<K> {
    places: Vec<Place>,
    key: std::marker::PhantomData<K>,
}

impl<K: Packing> Packed<K> {
    /// Bits of a word.
    pub(super) const BITS: u8 = K::BITS;

    /// The layout for these many numbers in each column, if it fits.
    pub(super) fn new(counts: &[u64]) -> Option<(Self, Layout)> {
        let layout = Layout::new(counts, K::BITS);
        let places = layout.places.clone();
        (layout.words <= K::WORDS).then_some((Self { places, key: std::marker::PhantomData }, layout))
    }

    /// The state vector behind a key.
    pub(super) fn vector(&self, key: &K, vector: &mut [u32]) {
        for (place, number) in self.places.iter().zip(vector) {
            *number = place.get(key.word(usize::from(place.word)));
        }
    }

    #[inline]
    fn place(&self, column: usize, number: u32) -> K {
        let place = self.places[column];
        K::set(usize::from(place.word), u64::from(number) << place.shift)
    }
}

impl<K: Packing> Scheme for Packed<K> {
    type Key = K;
    type Slot = K;
    const HASHED: bool = false;

    #[inline]
    fn waiting(vector: &[u64], _: &[u64]) -> Self::Key {
        Key::of_words(vector)
    }

    #[inline]
    fn slot(key: &Self::Key) -> Self::Slot {
        *key
    }

    fn whole(slot: &Self::Slot, _: usize) -> Self::Key {
        *slot
    }

    #[inline]
    fn spread_in_shard(slot: &Self::Slot) -> u64 {
        Self::spread(slot)
    }

    #[inline]
    fn term(&self, _: &[Column], column: usize, number: u32) -> K {
        self.place(column, number)
    }

    #[inline]
    fn step(&self, steps: &Steps, step: u32, from: u32) -> K {
        let (column, to) = (usize::from(steps.hot[step as usize].column), steps.effects[step as usize].view);
        self.place(column, to).minus(self.place(column, from))
    }

    fn base(&self) -> K {
        K::set(0, 1)
    }

    #[inline]
    fn spread(key: &K) -> u64 {
        (0..K::WORDS).fold(0, |hash, word| mix(hash ^ key.word(word)))
    }
}

/// A key that is the state vector itself, of which a slot holds 64 bits and its shard the rest.
///
/// The shard is the second word, scrambled by a hash of the first one. A slot and its shard give back both words, so that no state
/// vector is taken for another.
pub(super) struct Split(Packed<[u64; 2]>);

impl Split {
    /// Bits of a word.
    pub(super) const BITS: u8 = u64::BITS as u8;

    /// The layout for these many numbers in each column, if it fits.
    pub(super) fn new(counts: &[u64]) -> Option<(Self, Layout)> {
        let (packed, layout) = Packed::new(counts)?;
        (u32::from(layout.used(1)) <= SHARD_BITS).then_some((Self(packed), layout))
    }

    /// The state vector behind a key.
    pub(super) fn vector(&self, key: &[u64; 2], vector: &mut [u32]) {
        self.0.vector(key, vector);
    }
}

impl Scheme for Split {
    type Key = [u64; 2];
    type Slot = [u64; 1];
    const HASHED: bool = false;

    #[inline]
    fn waiting(vector: &[u64], _: &[u64]) -> Self::Key {
        Key::of_words(vector)
    }

    #[inline]
    fn slot(key: &[u64; 2]) -> [u64; 1] {
        [key[0]]
    }

    fn whole(slot: &[u64; 1], shard: usize) -> [u64; 2] {
        [slot[0], mix(slot[0]) >> (u64::BITS - SHARD_BITS) ^ shard as u64]
    }

    #[inline]
    fn spread_in_shard(slot: &[u64; 1]) -> u64 {
        mix(slot[0])
    }

    #[inline]
    fn term(&self, columns: &[Column], column: usize, number: u32) -> [u64; 2] {
        self.0.term(columns, column, number)
    }

    #[inline]
    fn step(&self, steps: &Steps, step: u32, from: u32) -> [u64; 2] {
        self.0.step(steps, step, from)
    }

    fn base(&self) -> [u64; 2] {
        self.0.base()
    }

    #[inline]
    fn spread(key: &[u64; 2]) -> u64 {
        mix(key[0]) ^ key[1] << (u64::BITS - SHARD_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_vector_is_found_again() {
        let counts = [1, 2, 3, 70_000, 5, 1 << 31, 9, 1 << 20];
        let vector = [0, 1, 2, 69_999, 4, 7, 8, (1 << 20) - 1];
        let mut back = [0; 8];
        let (packed, layout) = Packed::<[u64; 2]>::new(&counts).expect("it fits");
        packed.vector(&packed.key(&[], &vector), &mut back);
        assert_eq!(back, vector);
        let mut words = Vec::new();
        layout.pack(&vector, &mut words);
        assert_eq!(words, packed.key(&[], &vector), "both ways of packing are one");
        back = [0; 8];
        layout.unpack(&words, &mut back);
        assert_eq!(back, vector);
        assert!(Split::new(&counts).is_none(), "92 bits do not fit into 71");
        for (column, number) in vector.iter().enumerate() {
            assert_eq!(layout.get(&words, column), *number);
        }
        layout.set(&mut words, 3, 5);
        layout.set(&mut words, 7, u32::MAX);
        layout.unpack(&words, &mut back);
        let cut = (1 << 20) - 1;
        assert_eq!(back, [0, 1, 2, 5, 4, 7, 8, cut], "what is too large does not reach its neighbours");
    }

    #[test]
    fn a_split_key_is_found_again_from_its_slot_and_shard() {
        let counts = [1 << 16, 1 << 16, 1 << 16, 1 << 15, 1 << 5, 1 << 2];
        let (split, layout) = Split::new(&counts).expect("it fits");
        assert_eq!((layout.words(), layout.used(1)), (2, 7));
        assert!(Split::new(&[1 << 16, 1 << 16, 1 << 16, 1 << 16]).is_none(), "a word of its own is too much");
        let mut back = [0; 6];
        for n in 0..5_000_u32 {
            let vector = [n, n * 7 % 65_536, 65_535 - n, n % 32_768, n % 32, n % 4];
            let key = split.key(&[], &vector);
            let (slot, shard) =
                (Split::slot(&key), (Split::spread(&key) >> (u64::BITS - SHARD_BITS)) as usize);
            assert_eq!(Split::whole(&slot, shard), key);
            assert_eq!(Split::spread_in_shard(&slot) << SHARD_BITS, Split::spread(&key) << SHARD_BITS);
            split.vector(&key, &mut back);
            assert_eq!(back, vector);
        }
    }

    #[test]
    fn a_key_changes_with_the_columns_that_change() {
        fn check<S: Scheme>(scheme: &S)
        where
            S::Key: std::fmt::Debug,
        {
            let (from, to) = ([3, 9, 4], [3, 1, 5]);
            let mut key = scheme.key(&[], &from);
            for column in [1, 2] {
                let (old, new) = (from[column], to[column]);
                key = key.minus(scheme.term(&[], column, old)).plus(scheme.term(&[], column, new));
            }
            assert_eq!(key, scheme.key(&[], &to));
            assert_ne!(key, scheme.key(&[], &from));
            assert_ne!(scheme.key(&[], &[0, 0, 0]), S::Key::EMPTY);
        }
        check(&Hashed::<1>);
        check(&Hashed::<2>);
        check(&Split::new(&[4, 10, 8]).expect("it fits").0);
        check(&Packed::<[u64; 4]>::new(&[4, 10, 8]).expect("it fits").0);
    }
}
