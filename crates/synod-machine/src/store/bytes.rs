//! Guarantees that the number of bytes that a store holds follows from its keys, locks and accounts, whatever the order in which they came.

use super::words::Operation;
use crate::blob::Blob;

/// The charge of a key, a lock or an account beside its names and its value: what the maps, the version and the end of one take, in round numbers.
const ENTRY_BYTES: u64 = 128;
/// The longest number that [`Operation::Add`] writes.
const LONGEST_NUMBER: u64 = 20;

fn two(one: &Blob, other: &Blob) -> u64 {
    one.len() as u64 + other.len() as u64
}

/// The bytes of all keys with their values, and of all locks with their owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Bytes(u64);

impl Bytes {
    /// The charge with so many keys, locks and accounts.
    pub(super) fn with(self, count: usize) -> u64 {
        self.0 + ENTRY_BYTES * count as u64
    }

    /// Something has come, in the place of what was there before.
    pub(super) fn comes(&mut self, name: &Blob, what: &Blob, before: Option<&Blob>) {
        self.0 += two(name, what);
        self.goes(name, before);
    }

    /// Something has gone, if it was there.
    pub(super) fn goes(&mut self, name: &Blob, before: Option<&Blob>) {
        if let Some(before) = before {
            self.0 -= two(name, before);
        }
    }
}

impl Operation {
    /// A bound of the bytes by which the operation can make a store grow; 0 only if it cannot.
    pub(super) fn growth(&self) -> u64 {
        match self {
            Operation::Put { key, value, .. } | Operation::PutIf { key, value, .. } => {
                ENTRY_BYTES + two(key, value)
            }
            Operation::Add { key, .. } => ENTRY_BYTES + key.len() as u64 + LONGEST_NUMBER,
            Operation::Acquire { lock, owner, .. } => ENTRY_BYTES + two(lock, owner),
            Operation::Bank(_) if !self.only_asks() => ENTRY_BYTES,
            _ => 0,
        }
    }
}
