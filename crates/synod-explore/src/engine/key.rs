//! Keys of states: packed state vectors, words, and hashes of numbers.

/// The columns of a state vector, and the place of each in a packed one. No column crosses the boundary of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub places: Vec<Place>,
    /// The columns in each word, with their shifts.
    fields: Vec<Vec<(u16, u8)>>,
    pub words: usize,
    /// The counts that the layout has room for.
    counts: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub word: u8,
    pub shift: u8,
    width: u8,
}

impl Place {
    fn limit(self) -> u64 {
        1 << self.width
    }

    /// The number at this place of its word.
    #[inline]
    pub(super) fn get(self, word: u64) -> u32 {
        (word >> self.shift & (self.limit() - 1)) as u32
    }
}

/// The number of bits that hold every number below `count`.
fn width_of(count: u64) -> u8 {
    (u64::BITS - count.saturating_sub(1).leading_zeros()) as u8
}

impl Layout {
    /// A layout with room for these counts, in words of `bits` bits. One bit of the first word stays set, so that
    /// no state vector is packed into nothing but zeros.
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
        let mut fields = vec![Vec::new(); used.len()];
        for (column, place) in places.iter().enumerate() {
            if place.width > 0 {
                fields[usize::from(place.word)].push((column as u16, place.shift));
            }
        }
        Self { places, fields, words: used.len(), counts: counts.to_vec() }
    }

    /// A layout with room for these counts and more, in the same number of words.
    pub(super) fn roomy(counts: &[u64]) -> Self {
        let layout = Self::new(counts, u64::BITS as u8);
        let words = layout.words;
        layout.widened(u64::BITS as u8, |wider| wider.words == words)
    }

    /// Doubles the room of one column after the other, as long as the layout still fits, so that it lasts longer. Columns that have
    /// only ever had one number get no more room.
    pub(super) fn widened(mut self, bits: u8, will_do: impl Fn(&Self) -> bool) -> Self {
        let mut widest = false;
        while !std::mem::replace(&mut widest, true) {
            for column in 0..self.counts.len() {
                let count = self.places[column].limit();
                if count > 1 && count < 1 << (u32::BITS - 1) {
                    let mut counts = self.counts.clone();
                    counts[column] = 2 * count;
                    let wider = Self::new(&counts, bits);
                    if will_do(&wider) {
                        (self, widest) = (wider, false);
                    }
                }
            }
        }
        self
    }

    /// The counts that the layout has room for. Equal counts give equal layouts.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Words of a packed state vector.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// True if there is a number that does not fit into its column.
    pub(super) fn overflows(&self, counts: &[u64]) -> bool {
        self.places.iter().zip(counts).any(|(place, count)| *count > place.limit())
    }

    /// The number of bits in use in a word.
    pub(super) fn used(&self, word: u8) -> u8 {
        let there = self.places.iter().filter(|place| place.word == word);
        there.map(|place| place.shift + place.width).max().unwrap_or(0)
    }

    /// Appends a state vector, packed.
    pub(super) fn pack(&self, vector: &[u32], to: &mut Vec<u64>) {
        let from = to.len();
        to.resize(from + self.words, 0);
        self.pack_into(vector, &mut to[from..]);
    }

    /// Packs a state vector.
    pub(super) fn pack_into(&self, vector: &[u32], to: &mut [u64]) {
        // Each word is put together in a register.
        let mut packed = 1;
        for (word, fields) in to.iter_mut().zip(&self.fields) {
            for &(column, shift) in fields {
                packed |= u64::from(vector[usize::from(column)]) << shift;
            }
            *word = packed;
            packed = 0;
        }
    }

    /// The state vector that was packed.
    #[inline]
    pub(super) fn unpack(&self, words: &[u64], vector: &mut [u32]) {
        for (place, number) in self.places.iter().zip(vector) {
            *number = place.get(words[usize::from(place.word)]);
        }
    }

    /// A number of a packed state vector.
    #[inline]
    pub(super) fn get(&self, words: &[u64], column: usize) -> u32 {
        let place = self.places[column];
        place.get(words[usize::from(place.word)])
    }

    /// Replaces a number in a packed state vector. A number that is too large for its column is cut, and leaves the others as they are.
    #[inline]
    pub(super) fn set(&self, words: &mut [u64], column: usize, number: u32) {
        let place = self.places[column];
        let word = &mut words[usize::from(place.word)];
        *word ^= (u64::from(place.get(*word) ^ number) & (place.limit() - 1)) << place.shift;
    }
}

/// A key of the table; all zeros means that there is none.
pub(super) trait Key: Copy + PartialEq + Send + Sync + 'static {
    const EMPTY: Self;
    /// The whole key as words.
    fn as_words(&self) -> &[u64];
    fn as_words_mut(&mut self) -> &mut [u64];
    /// The key that starts with these words, followed by zeros.
    fn of_words(words: &[u64]) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
}

/// A key that a packed state vector fits into.
pub(super) trait Packing: Key {
    /// Bits of a word.
    const BITS: u8;
    /// Words of a key.
    const WORDS: usize;
    fn set(word: usize, value: u64) -> Self;
    fn word(&self, word: usize) -> u64;
}

macro_rules! key {
    ($words:literal) => {
        impl Key for [u64; $words] {
            const EMPTY: Self = [0; $words];
            fn as_words(&self) -> &[u64] {
                self
            }
            fn as_words_mut(&mut self) -> &mut [u64] {
                self
            }
            #[inline]
            fn of_words(words: &[u64]) -> Self {
                std::array::from_fn(|word| words.get(word).copied().unwrap_or(0))
            }
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
        impl Packing for [u64; $words] {
            const BITS: u8 = u64::BITS as u8;
            const WORDS: usize = $words;
            #[inline]
            fn set(word: usize, value: u64) -> Self {
                let mut key = [0; $words];
                key[word] = value;
                key
            }
            #[inline]
            fn word(&self, word: usize) -> u64 {
                self[word]
            }
        }
    };
}
key!(1);
key!(2);
key!(4);
key!(12);

/// A well-known mixer of 64 bits: the finishing steps of `SplitMix64`.
#[inline]
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A hash of the greatest width.
pub(super) type Words = [u64; 2];

/// Random words for a number of a column. Different numbers and columns have different ones.
#[inline]
pub(super) fn hash_of(column: usize, number: u32) -> Words {
    let seed = ((column as u64 + 1) << 32 | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [mix(seed), mix(seed.wrapping_add(1))]
}

#[inline]
pub(super) fn plus(a: Words, b: Words) -> Words {
    a.plus(b)
}

#[inline]
pub(super) fn minus(a: Words, b: Words) -> Words {
    a.minus(b)
}

/// The number of shards, as bits: the highest bits of a key's spread give its shard.
pub(super) const SHARD_BITS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_full_is_noticed() {
        let layout = Layout::new(&[4, 1], 64);
        assert!(!layout.overflows(&[4, 1]));
        assert!(layout.overflows(&[5, 1]) && layout.overflows(&[4, 2]));
    }
}
