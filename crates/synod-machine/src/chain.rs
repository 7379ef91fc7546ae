//! Guarantees that replicas which executed different commands, or the same with different outputs, find out as soon as they
//! compare notes, and say with which values; not that they never differ: that is what the rest is for.
//!
//! Each instance's checksum covers the one before, its value and its output (phxpaxos chains its values alike). So one number stands
//! for all that was executed. It is XXH3 with 64 bits, which finds accidents: two different logs are equal with odds of about
//! 2⁻⁶⁴. It is no defence against a member that lies (processes are not Byzantine, PMS §2.1).

use crate::sorted::Sorted;
use serde::{Deserialize, Serialize};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// The checksum of all that was executed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Checksum(pub u64);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The checksum of everything executed so far. It is part of a replica's state and of its snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chain {
    /// The first instance that was not executed.
    pub next: u64,
    /// The checksum of everything below.
    pub sum: Checksum,
}

impl Chain {
    /// The chain of an empty log: instances count from 0.
    pub fn new() -> Self {
        Chain::default()
    }

    /// Executes the next instance: its value as it stands in the log, and its output as [`encode`](crate::encode)d.
    pub fn extend(&mut self, value: &[u8], output: &[u8]) {
        let mut hash = Xxh3::new();
        // The length tells where the value ends.
        for word in [self.sum.0, self.next, value.len() as u64] {
            hash.update(&word.to_le_bytes());
        }
        hash.update(value);
        hash.update(output);
        *self = Chain { next: self.next + 1, sum: Checksum(hash.digest()) };
    }
}

/// A chain that remembers some of its past, for comparison with members that are behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checksums {
    now: Chain,
    /// The checksums of everything below each of the last few instances.
    past: Sorted<u64, Checksum>,
    keep: u32,
}

/// Two replicas executed different things. Neither may go on, since nobody knows which one is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diverged {
    /// Below this instance something differs.
    pub below: u64,
    /// The checksum of this replica there.
    pub ours: Checksum,
    /// The checksum of the other replica there.
    pub theirs: Checksum,
    /// Below this instance nothing differs, as far as was compared.
    pub agreed: Option<u64>,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diverged { below, ours, theirs, agreed } = self;
        let from = agreed.unwrap_or(0);
        write!(
            f,
            "replicas have diverged in an instance from {from} on and below {below}: what was executed below {below} has the \
             checksum {ours} here and {theirs} there"
        )
    }
}

impl std::error::Error for Diverged {}

/// The result of a comparison without a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// The highest instance below which everything was found equal.
    pub agreed: Option<u64>,
    /// The number of notes about instances that this replica has not executed yet, or does not remember.
    pub unknown: usize,
}

impl Checksums {
    /// Goes on from `now`, and remembers the checksums of so many instances.
    pub fn new(now: Chain, keep: u32) -> Self {
        Checksums { now, past: Sorted::new(), keep }
    }

    /// The chain as it is now.
    pub fn now(&self) -> Chain {
        self.now
    }

    /// Executes the next instance as [`Chain::extend`] does.
    pub fn extend(&mut self, value: &[u8], output: &[u8]) {
        self.past.insert(self.now.next, self.now.sum);
        self.now.extend(value, output);
        while self.past.len() > self.keep as usize
            && let Some((oldest, _)) = self.past.get_min().copied()
        {
            self.past.remove(&oldest);
        }
    }

    /// The checksum of everything below an instance, if it is remembered.
    pub fn at(&self, below: u64) -> Option<Checksum> {
        if below == self.now.next { Some(self.now.sum) } else { self.past.get(&below).copied() }
    }

    /// Compares with another replica's notes, in any order.
    ///
    /// # Errors
    /// They differ: the lowest note that does, and the last agreement below it.
    pub fn compare(&self, theirs: &[Chain]) -> Result<Compared, Diverged> {
        let mut compared = Compared { agreed: None, unknown: 0 };
        let mut first: Option<Diverged> = None;
        for note in theirs {
            match self.at(note.next) {
                None => compared.unknown += 1,
                Some(ours) if ours == note.sum => compared.agreed = compared.agreed.max(Some(note.next)),
                Some(ours) if first.is_none_or(|found| note.next < found.below) => {
                    first = Some(Diverged { below: note.next, ours, theirs: note.sum, agreed: None });
                }
                Some(_) => {}
            }
        }
        // Chains that differ stay different, so everything that agrees is below everything that differs.
        first.map_or(Ok(compared), |found| Err(Diverged { agreed: compared.agreed, ..found }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(log: &[(&str, &str)]) -> Checksums {
        let mut sums = Checksums::new(Chain::new(), 2);
        for (value, output) in log {
            sums.extend(value.as_bytes(), output.as_bytes());
        }
        sums
    }

    #[test]
    fn whatever_differs_shows_and_goes_on_showing() {
        let log = [("a", "1"), ("b", "2"), ("c", "3")];
        let one = chain(&log);
        assert_eq!(chain(&log), one);
        for other in [
            [("x", "1"), ("b", "2"), ("c", "3")],
            [("a", "x"), ("b", "2"), ("c", "3")],
            [("a", "1"), ("c", "3"), ("b", "2")],
            [("a1", ""), ("b", "2"), ("c", "3")],
            [("", "a1"), ("b", "2"), ("c", "3")],
        ] {
            assert_ne!(chain(&other).now(), one.now(), "{other:?}");
        }
        let checksum = |log: &[(&str, &str)]| chain(log).now().sum.to_string();
        assert_eq!(
            [checksum(&log[..0]), checksum(&log[..1])],
            ["0000000000000000", &checksum(&[("a", "1")])]
        );
    }

    #[test]
    fn replicas_that_diverged_say_where_and_with_which_values() {
        let ours = chain(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let theirs = chain(&[("a", "1"), ("b", "other"), ("c", "3")]);
        let note = |sums: &Checksums, below| Chain { next: below, sum: sums.at(below).expect("remembered") };
        let notes = [theirs.now(), note(&theirs, 1), note(&theirs, 2)];
        let diverged = ours.compare(&notes).expect_err("they differ");
        assert_eq!((diverged.agreed, diverged.below), (Some(1), 2));
        assert_eq!((Some(diverged.ours), Some(diverged.theirs)), (ours.at(2), theirs.at(2)));
        let text = diverged.to_string();
        assert!(
            text.contains(&diverged.ours.to_string()) && text.contains(&diverged.theirs.to_string()),
            "{text}"
        );
        assert!(text.contains("from 1 on and below 2"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_not_compared() {
        let ours = chain(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!((ours.at(0), ours.at(4)), (None, None), "two instances are remembered");
        let mut longer = ours.clone();
        longer.extend(b"d", b"4");
        let forgotten = Chain { next: 0, sum: Checksum(7) };
        assert_eq!(ours.compare(&[longer.now(), forgotten]), Ok(Compared { agreed: None, unknown: 2 }));
        assert_eq!(longer.compare(&[ours.now()]), Ok(Compared { agreed: Some(3), unknown: 0 }));
        assert_eq!(longer.compare(&[]), Ok(Compared { agreed: None, unknown: 0 }));
    }
}
