//! How a row of numbers becomes a key of the table: packed so that nothing is lost, or hashed so that it is short.
//!
//! Either way a key is a sum of one term a column. A successor's key is its parent's, less the terms of the columns
//! that changed, plus their new ones: what did not change is not looked at.

/// The columns of a row, and where each lies in a packed one. No column lies across two words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    places: Vec<Place>,
    words: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    word: u8,
    shift: u8,
    width: u8,
}

impl Place {
    fn limit(self) -> u64 {
        1 << self.width
    }
}

/// Bits that hold every number below `count`.
fn width_of(count: u64) -> u8 {
    (u64::BITS - count.saturating_sub(1).leading_zeros()) as u8
}

impl Layout {
    /// Room for these many numbers in each column, in words of `bits` bits. One bit of the first word stays set, so that
    /// no row is packed into nothing but zeros.
    pub(super) fn new(counts: &[u64], bits: u8) -> Self {
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&column| std::cmp::Reverse(width_of(counts[column])));
        let mut used = vec![1_u8];
        let mut places = vec![Place { word: 0, shift: 0, width: 0 }; counts.len()];
        for column in order {
            let width = width_of(counts[column]);
            let word = match used.iter().position(|used| used + width <= bits) {
                Some(word) => word,
                None => {
                    used.push(0);
                    used.len() - 1
                }
            };
            places[column] = Place { word: word as u8, shift: used[word], width };
            used[word] += width;
        }
        Self { places, words: used.len() }
    }

    /// Words of a packed row.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Whether there is a number that does not fit into its column.
    pub(super) fn overflows(&self, counts: &[u64]) -> bool {
        self.places.iter().zip(counts).any(|(place, count)| *count > place.limit())
    }

    /// Appends a row, packed.
    pub(super) fn pack(&self, row: &[u32], to: &mut Vec<u64>) {
        let at = to.len();
        to.resize(at + self.words, 0);
        to[at] = 1;
        for (place, number) in self.places.iter().zip(row) {
            to[at + usize::from(place.word)] |= u64::from(*number) << place.shift;
        }
    }

    /// The row that was packed.
    pub(super) fn unpack(&self, words: &[u64], row: &mut [u32]) {
        for (place, number) in self.places.iter().zip(row) {
            *number = (words[usize::from(place.word)] >> place.shift & (place.limit() - 1)) as u32;
        }
    }
}

/// A key of the table; all zeros means that there is none.
pub(super) trait Key: Copy + PartialEq + Send + Sync + 'static {
    const EMPTY: Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
}

/// A key that a packed row fits into.
pub(super) trait Packing: Key {
    /// Bits of a word.
    const BITS: u8;
    /// Words of a key.
    const WORDS: usize;
    fn set(word: usize, value: u64) -> Self;
    fn word(&self, word: usize) -> u64;
}

macro_rules! key {
    ($word:ty, $words:literal) => {
        impl Key for [$word; $words] {
            const EMPTY: Self = [0; $words];
            #[inline]
            fn plus(mut self, other: Self) -> Self {
                for (word, other) in self.iter_mut().zip(other) {
                    *word = word.wrapping_add(other);
                }
                self
            }
            #[inline]
            fn minus(mut self, other: Self) -> Self {
                for (word, other) in self.iter_mut().zip(other) {
                    *word = word.wrapping_sub(other);
                }
                self
            }
        }
        impl Packing for [$word; $words] {
            const BITS: u8 = <$word>::BITS as u8;
            const WORDS: usize = $words;
            #[inline]
            fn set(word: usize, value: u64) -> Self {
                let mut key = [0; $words];
                key[word] = value as $word;
                key
            }
            #[inline]
            fn word(&self, word: usize) -> u64 {
                u64::from(self[word])
            }
        }
    };
}
key!(u64, 1);
key!(u64, 2);
key!(u64, 4);
key!(u64, 12);

/// A well-kept way to spread 64 bits: the finishing steps of `SplitMix64`.
#[inline]
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// How rows become keys.
pub(super) trait Scheme: Sync + Send {
    type Key: Key;
    /// What a column adds to the key of a row.
    fn term(&self, column: usize, number: u32) -> Self::Key;
    /// What every key has.
    fn base(&self) -> Self::Key;
    /// Sixty-four bits of a key that are as good as random.
    fn spread(key: &Self::Key) -> u64;

    /// The key of a row.
    fn key(&self, row: &[u32]) -> Self::Key {
        row.iter().enumerate().fold(self.base(), |key, (column, number)| key.plus(self.term(column, *number)))
    }
}

/// A key of 64 times `WORDS` random bits. Two rows that differ have the same key with the odds that so many bits say.
///
/// The sums behave like random ones: rows that differ do so in some column, and the two terms of that column are
/// independent of each other and of all the rest.
pub(super) struct Hashed<const WORDS: usize>;

impl<const WORDS: usize> Scheme for Hashed<WORDS>
where
    [u64; WORDS]: Key,
{
    type Key = [u64; WORDS];

    #[inline]
    fn term(&self, column: usize, number: u32) -> [u64; WORDS] {
        let seed = (column as u64 + 1) << 32 | u64::from(number);
        std::array::from_fn(|word| mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(word as u64)))
    }

    fn base(&self) -> [u64; WORDS] {
        [1; WORDS]
    }

    #[inline]
    fn spread(key: &[u64; WORDS]) -> u64 {
        key[0]
    }
}

/// A key that is the row itself.
pub(super) struct Packed<K> {
    places: Vec<Place>,
    key: std::marker::PhantomData<K>,
}

impl<K: Packing> Packed<K> {
    /// The layout for these many numbers in each column, if it fits.
    pub(super) fn new(counts: &[u64]) -> Option<(Self, Layout)> {
        let layout = Layout::new(counts, K::BITS);
        let places = layout.places.clone();
        (layout.words <= K::WORDS).then_some((Self { places, key: std::marker::PhantomData }, layout))
    }

    /// The row behind a key.
    pub(super) fn row(&self, key: &K, row: &mut [u32]) {
        for (place, number) in self.places.iter().zip(row) {
            *number = (key.word(usize::from(place.word)) >> place.shift & (place.limit() - 1)) as u32;
        }
    }
}

impl<K: Packing> Scheme for Packed<K> {
    type Key = K;

    #[inline]
    fn term(&self, column: usize, number: u32) -> K {
        let place = self.places[column];
        K::set(usize::from(place.word), u64::from(number) << place.shift)
    }

    fn base(&self) -> K {
        K::set(0, 1)
    }

    #[inline]
    fn spread(key: &K) -> u64 {
        (0..K::WORDS).fold(0, |hash, word| mix(hash ^ key.word(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_row_is_found_again() {
        let counts = [1, 2, 3, 70_000, 5, 1 << 31, 9, 1 << 20];
        let row = [0, 1, 2, 69_999, 4, 7, 8, (1 << 20) - 1];
        let mut back = [0; 8];
        let (packed, layout) = Packed::<[u64; 2]>::new(&counts).expect("it fits");
        packed.row(&packed.key(&row), &mut back);
        assert_eq!(back, row);
        let mut words = Vec::new();
        layout.pack(&row, &mut words);
        assert_eq!(words, packed.key(&row), "both ways of packing are one");
        back = [0; 8];
        layout.unpack(&words, &mut back);
        assert_eq!(back, row);
        assert!(Packed::<[u64; 1]>::new(&counts).is_none(), "92 bits do not fit into 64");
    }

    #[test]
    fn a_column_that_is_full_is_noticed() {
        let layout = Layout::new(&[4, 1], 64);
        assert!(!layout.overflows(&[4, 1]));
        assert!(layout.overflows(&[5, 1]) && layout.overflows(&[4, 2]));
    }

    #[test]
    fn a_key_changes_with_the_columns_that_change() {
        fn check<S: Scheme>(scheme: &S)
        where
            S::Key: std::fmt::Debug,
        {
            let (from, to) = ([3, 9, 4], [3, 1, 5]);
            let mut key = scheme.key(&from);
            for column in [1, 2] {
                key = key.minus(scheme.term(column, from[column])).plus(scheme.term(column, to[column]));
            }
            assert_eq!(key, scheme.key(&to));
            assert_ne!(key, scheme.key(&from));
            assert_ne!(scheme.key(&[0, 0, 0]), S::Key::EMPTY);
        }
        check(&Hashed::<1>);
        check(&Hashed::<2>);
        check(&Packed::<[u64; 1]>::new(&[4, 10, 8]).expect("it fits").0);
        check(&Packed::<[u64; 4]>::new(&[4, 10, 8]).expect("it fits").0);
    }
}
