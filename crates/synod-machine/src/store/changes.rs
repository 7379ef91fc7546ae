//! Guarantees that whoever follows changes misses none: what is not kept any more is said to be so.

use super::words::{Change, Outcome};
use crate::blob::Blob;
use crate::machine::NotRestored;
use crate::sorted::Sorted;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// The most changes that are kept, and the most bytes of keys and values in them; the newest is kept however long it is.
pub(super) const MOST_CHANGES: usize = 10_000;
pub(super) const MOST_BYTES: u64 = 16 << 20;
/// The bytes that a change takes beside its key and value, in round numbers.
const OVERHEAD: u64 = 64;

/// The latest changes, by version and key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Changes {
    kept: Sorted<(u64, Blob), Option<Blob>>,
    /// Changes up to this version are not kept, or not all.
    dropped: u64,
    bytes: u64,
}

fn size(key: &Blob, value: Option<&Blob>) -> u64 {
    OVERHEAD + key.len() as u64 + value.map_or(0, |value| value.len() as u64)
}

impl Changes {
    /// Notes a change. A second one of the same key and version takes the place of the first: nobody could have seen that.
    pub(super) fn note(&mut self, version: u64, key: &Blob, value: Option<&Blob>) {
        self.bytes += size(key, value);
        if let Some(before) = self.kept.insert((version, key.clone()), value.cloned()) {
            self.bytes -= size(key, before.as_ref());
        }
        while self.kept.len() > MOST_CHANGES || self.bytes > MOST_BYTES {
            // The newest version stays whole.
            let Some((oldest, _)) =
                self.kept.get_min().map(|(at, _)| at.clone()).filter(|(at, _)| *at < version)
            else {
                break;
            };
            self.drop_version(oldest);
        }
    }

    /// Forgets all changes of a version, which is the oldest.
    fn drop_version(&mut self, version: u64) {
        while let Some((at, value)) = self.kept.get_min().filter(|(at, _)| at.0 == version).cloned() {
            self.bytes -= size(&at.1, value.as_ref());
            self.kept.remove(&at);
        }
        self.dropped = version;
    }

    /// The changes of keys with a prefix after a version, of which `latest` is the last there is.
    pub(super) fn after(
        &self,
        prefix: &[u8],
        after: u64,
        limit: usize,
        latest: u64,
        most_bytes: u64,
    ) -> Outcome {
        if after < self.dropped {
            return Outcome::Truncated { oldest: self.dropped };
        }
        let (mut changes, mut bytes, mut last): (Vec<Change>, u64, u64) = (Vec::new(), 0, after);
        // Keys begin with the empty one, so this is all above the version.
        let from = (Bound::Included((after.saturating_add(1), Blob::from(""))), Bound::Unbounded);
        for ((version, key), value) in self.kept.range(from) {
            let is_enough = changes.len() >= limit.max(1) || bytes >= most_bytes;
            if is_enough && *version > last {
                return Outcome::Changed { changes, last };
            }
            last = *version;
            if key.starts_with(prefix) {
                bytes += size(key, value.as_ref());
                changes.push(Change { version: *version, key: key.clone(), value: value.clone() });
            }
        }
        Outcome::Changed { changes, last: latest.max(after) }
    }

    /// True if a key is known not to have changed after a version. Takes the changes that it looks at off a budget; beyond that nothing is
    /// known.
    pub(super) fn leave(&self, key: &Blob, since: u64, budget: &mut usize) -> bool {
        let from = (Bound::Included((since.saturating_add(1), Blob::from(""))), Bound::Unbounded);
        since >= self.dropped
            && self.kept.range(from).all(|((_, changed), _)| {
                let is_known = *budget > 0;
                *budget = budget.saturating_sub(1);
                is_known && changed != key
            })
    }

    /// Checks what a snapshot says of itself.
    pub(super) fn check(&self, latest: u64) -> Result<(), NotRestored> {
        let first = self.kept.get_min().map(|((version, _), _)| *version);
        let last = self.kept.get_max().map_or(self.dropped, |((version, _), _)| *version);
        let bytes = self.kept.iter().map(|((_, key), value)| size(key, value.as_ref())).sum::<u64>();
        if first.is_some_and(|first| first <= self.dropped) || last > latest || bytes != self.bytes {
            return Err(NotRestored::because(format!(
                "changes from {first:?} to {last} in {bytes} bytes, where {} are dropped, {latest} is the latest, and {} bytes are named",
                self.dropped, self.bytes
            )));
        }
        Ok(())
    }
}
