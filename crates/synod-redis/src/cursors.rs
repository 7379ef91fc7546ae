//! Guarantees that a scan that goes on with a cursor misses no key that was there all the time, or is told that the cursor is not known.
//!
//! A cursor is a number, since clients want one; what it stands for, the key after which the scan goes on, is kept here. The oldest
//! are forgotten. Keys come in their order, so none comes twice in one scan.

use std::collections::BTreeMap;
use synod_machine::Blob;

/// The most cursors that are kept, and the most bytes of their keys.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 4 << 20;

/// The cursors of one server.
#[derive(Debug)]
pub struct Cursors {
    kept: BTreeMap<u64, Blob>,
    bytes: usize,
    last: u64,
}

impl Cursors {
    /// None so far. Two servers that begin at different numbers mistake no cursor of each other's for their own.
    pub fn starting_at(first: u64) -> Self {
        // JavaScript's numbers hold 53 bits.
        Cursors { kept: BTreeMap::new(), bytes: 0, last: first & ((1 << 52) - 1) }
    }

    /// A cursor that stands for a key.
    pub(crate) fn keep(&mut self, key: &Blob) -> u64 {
        self.last += 1;
        self.bytes += key.len();
        self.kept.insert(self.last, key.clone());
        while self.kept.len() > MOST || (self.bytes > MOST_BYTES && self.kept.len() > 1) {
            let Some((_, oldest)) = self.kept.pop_first() else { break };
            self.bytes -= oldest.len();
        }
        self.last
    }

    /// The key of a cursor, if it is kept.
    pub(crate) fn key(&self, cursor: u64) -> Option<&Blob> {
        self.kept.get(&cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_by_count_and_by_bytes() {
        let mut cursors = Cursors::starting_at(7);
        let first = cursors.keep(&"a".into());
        assert_eq!((first, cursors.key(first)), (8, Some(&"a".into())));
        for _ in 0..MOST {
            cursors.keep(&"b".into());
        }
        assert_eq!(cursors.key(first), None);
        assert!(cursors.key(first + 1).is_some());
        let long = cursors.keep(&vec![0; MOST_BYTES + 1].into());
        assert_eq!((cursors.kept.len(), cursors.key(long).is_some()), (1, true));
    }
}
