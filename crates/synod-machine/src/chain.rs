//! Guarantees that replicas which executed different commands, or the same with different outputs, have different checksums from there on.
//! Servers compare them (`synod`, `log/snapshot.rs`).
//!
//! Each instance's checksum covers the one before, its value and its output (phxpaxos chains its values alike). So one number stands
//! for all that was executed. It is XXH3 with 64 bits, which finds accidents: two different logs are equal with odds of about
//! 2⁻⁶⁴. It is no defence against a member that lies (processes are not Byzantine, PMS §2.1).

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
        self.extend_with([value, &[]], output);
    }

    /// The same of a value in two parts.
    pub fn extend_with(&mut self, value: [&[u8]; 2], output: &[u8]) {
        let mut hash = Xxh3::new();
        // The length tells where the value ends.
        let length = value.iter().map(|part| part.len() as u64).sum();
        for word in [self.sum.0, self.next, length] {
            hash.update(&word.to_le_bytes());
        }
        for part in value {
            hash.update(part);
        }
        hash.update(output);
        *self = Chain { next: self.next + 1, sum: Checksum(hash.digest()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(log: &[(&str, &str)]) -> Chain {
        let mut chain = Chain::new();
        for (value, output) in log {
            chain.extend(value.as_bytes(), output.as_bytes());
        }
        chain
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
            assert_ne!(chain(&other), one, "{other:?}");
        }
        let checksum = |log: &[(&str, &str)]| chain(log).sum.to_string();
        assert_eq!(
            [checksum(&log[..0]), checksum(&log[..1])],
            ["0000000000000000", &checksum(&[("a", "1")])]
        );
    }
}
