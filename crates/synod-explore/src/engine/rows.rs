//! The states that were found: each is a row of numbers, kept once, compared whole, never moved.

use hashbrown::HashTable;

/// Rows are kept in chunks of so many, so that growing never copies them.
const CHUNK: usize = 1 << 14;

/// The rows found so far, numbered in the order they were found, with the step each was found by.
pub(crate) struct Rows {
    /// Numbers that make up a state.
    width: usize,
    chunks: Vec<Box<[u32]>>,
    len: u32,
    /// (tag, row). The tag is kept so that growing the table does not have to visit the rows.
    table: HashTable<(u32, u32)>,
}

/// A digest of a row. It only has to spread well: rows with equal tags are compared whole.
pub(crate) fn tag(row: &[u32]) -> u32 {
    const MIX: u64 = 0xf135_7aea_2e62_a9c5;
    let mut hash = 0u64;
    for pair in row.chunks(2) {
        let word = u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32;
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(MIX);
    }
    hash ^= hash >> 32;
    (hash.wrapping_mul(MIX) >> 32) as u32
}

/// The table looks at the lowest and the highest bits of a hash; a tag alone has no highest ones.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, chunks: Vec::new(), len: 0, table: HashTable::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no number left for another row.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= u32::MAX - (1 << 24)
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// A row with its parent and the ordinal of the step behind it.
    fn record(&self, row: u32) -> &[u32] {
        let stride = self.width + 2;
        let at = (row as usize % CHUNK) * stride;
        &self.chunks[row as usize / CHUNK][at..at + stride]
    }

    pub(crate) fn get(&self, row: u32) -> &[u32] {
        &self.record(row)[..self.width]
    }

    /// The row this one was found from, and the ordinal of the step that led here. Row 0 is its own parent.
    pub(crate) fn origin(&self, row: u32) -> (u32, u32) {
        let record = self.record(row);
        (record[self.width], record[self.width + 1])
    }

    pub(crate) fn contains(&self, tag: u32, state: &[u32]) -> bool {
        self.table.find(spread(tag), |&(t, row)| t == tag && self.get(row) == state).is_some()
    }

    /// Adds a row that is not there yet.
    pub(crate) fn push(&mut self, tag: u32, state: &[u32], parent: u32, ordinal: u32) -> u32 {
        let row = self.len;
        // Breadth first, and in order: the first way found to a state is a shortest one.
        debug_assert!(
            row == 0 || self.origin(row - 1).0 <= parent,
            "rows come in the order of their parents"
        );
        let stride = self.width + 2;
        let (chunk, at) = (row as usize / CHUNK, (row as usize % CHUNK) * stride);
        if chunk == self.chunks.len() {
            self.chunks.push(vec![0; CHUNK * stride].into_boxed_slice());
        }
        let record = &mut self.chunks[chunk][at..at + stride];
        record[..self.width].copy_from_slice(state);
        record[self.width] = parent;
        record[self.width + 1] = ordinal;
        self.table.insert_unique(spread(tag), (tag, row), |&(tag, _)| spread(tag));
        self.len += 1;
        row
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * (self.width + 2) * 4 + self.table.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_again_with_its_origin() {
        let mut rows = Rows::new(3);
        for n in 0..40_000u32 {
            let state = [n, n / 7, n % 5];
            assert!(!rows.contains(tag(&state), &state));
            assert_eq!(rows.push(tag(&state), &state, n / 2, 9), n);
        }
        assert!(rows.contains(tag(&[7, 1, 2]), &[7, 1, 2]));
        assert_eq!((rows.get(39_999), rows.origin(39_999)), (&[39_999, 5714, 4][..], (19_999, 9)));
    }

    #[test]
    fn rows_with_the_same_tag_are_different_rows() {
        let mut rows = Rows::new(1);
        rows.push(5, &[1], 0, 0);
        assert!(!rows.contains(5, &[2]));
        rows.push(5, &[2], 0, 0);
        assert!(rows.contains(5, &[1]) && rows.contains(5, &[2]));
    }
}
