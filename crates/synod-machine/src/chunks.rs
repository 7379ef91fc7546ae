//! Guarantees that a snapshot is restored as it was taken, however its parts come, and that nobody who sends parts can make
//! the receiver keep more than it is willing to.
//!
//! A snapshot travels in parts that fit into a message. Parts may be lost, repeated and reordered, and may come from any
//! member that has the same snapshot: equal replicas write equal ones. The receiver asks for what is missing, so that nothing has to be
//! begun again after a loss, and compares the whole with its digest before anything of it is used.

use crate::blob::Blob;
use crate::chain::Chain;
use crate::sorted::Sorted;
use crate::{decode, encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// A snapshot, which replaces the log's beginning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The checksum of what was executed: everything below `chain.next`.
    pub chain: Chain,
    /// The machine's own snapshot.
    pub machine: Blob,
}

/// The description of a snapshot: enough to fetch it, and to recognise it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Manifest {
    /// The checksum of what was executed. A replica that has executed more has no use for the snapshot.
    pub chain: Chain,
    /// Its length in bytes.
    pub length: u64,
    /// The length of each part but the last.
    pub part: u32,
    /// XXH3 with 128 bits, over all bytes.
    pub digest: u128,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { chain, length, part, digest } = self;
        write!(f, "snapshot {digest:032x} of {length} bytes in parts of {part}, below {}", chain.next)
    }
}

/// One part of a snapshot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// The digest of its snapshot.
    pub of: u128,
    /// Its index, from 0.
    pub index: u32,
    /// Its bytes.
    pub bytes: Blob,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of {:032x}, {} bytes", self.index, self.of, self.bytes.len())
    }
}

/// A snapshot ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    manifest: Manifest,
    bytes: Blob,
}

impl Cut {
    /// Cuts a snapshot into parts of so many bytes, or into a single one where `part` is 0.
    pub fn new(snapshot: &Snapshot, part: u32) -> Self {
        let bytes = Blob::from(encode(snapshot));
        let length = bytes.len() as u64;
        let part = if part == 0 { u32::MAX } else { part };
        let manifest = Manifest { chain: snapshot.chain, length, part, digest: xxh3_128(&bytes) };
        Cut { manifest, bytes }
    }

    /// The manifest to tell those who may want the snapshot.
    pub fn manifest(&self) -> Manifest {
        self.manifest
    }

    /// The part with this index, if there is one.
    pub fn part(&self, index: u32) -> Option<Part> {
        let length = self.manifest.length_of(index)? as usize;
        let from = (u64::from(index) * u64::from(self.manifest.part)) as usize;
        Some(Part { of: self.manifest.digest, index, bytes: Blob::from(&self.bytes[from..from + length]) })
    }
}

impl Manifest {
    /// The number of parts.
    pub fn parts(&self) -> u64 {
        if self.part == 0 { 0 } else { self.length.div_ceil(u64::from(self.part)) }
    }

    /// The length of a part, if there is one with this index.
    fn length_of(&self, index: u32) -> Option<u64> {
        let part = u64::from(self.part);
        let rest = self.length.checked_sub(u64::from(index).checked_mul(part)?)?;
        (rest > 0).then_some(rest.min(part))
    }
}

/// The most that a receiver keeps of a snapshot that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Bytes of all parts.
    pub bytes: u64,
    /// The number of parts. Each costs some 100 bytes besides its own.
    pub parts: u32,
}

impl Default for FetchLimits {
    /// 1 GiB in 2²⁰ parts.
    fn default() -> Self {
        FetchLimits { bytes: 1 << 30, parts: 1 << 20 }
    }
}

/// The reasons why a manifest, a part or a whole snapshot was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// More than the receiver is willing to keep.
    TooLarge {
        /// The manifest that is too large.
        manifest: Manifest,
        /// The limits that it exceeds.
        limits: FetchLimits,
    },
    /// A snapshot of nothing, or in parts of nothing.
    Empty(Manifest),
    /// A part of another snapshot.
    Foreign {
        /// The digest of the one that is being fetched.
        wanted: u128,
        /// The part's.
        of: u128,
    },
    /// No such part, or one of another length.
    Wrong {
        /// The part.
        index: u32,
        /// Its length.
        length: usize,
        /// What it should be, if there is such a part.
        wanted: Option<u64>,
    },
    /// All parts have come, and together they are not what was announced.
    Damaged {
        /// The announced manifest.
        manifest: Manifest,
        /// The digest of what came.
        digest: u128,
    },
    /// The bytes are the announced ones, but no snapshot, or one of something else than was announced.
    NoSnapshot {
        /// The announced manifest.
        manifest: Manifest,
        /// The error.
        because: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooLarge { manifest, limits: FetchLimits { bytes, parts } } => write!(
                f,
                "{manifest:?} has {} parts; this member keeps up to {bytes} bytes in {parts} parts: raise its limits, or \
                 have it sent in larger parts",
                manifest.parts()
            ),
            Refused::Empty(manifest) => write!(f, "{manifest:?} has nothing in it"),
            Refused::Foreign { wanted, of } => {
                write!(f, "a part of snapshot {of:032x} instead of {wanted:032x}")
            }
            Refused::Wrong { index, length, wanted: Some(wanted) } => {
                write!(f, "part {index} has {length} bytes instead of {wanted}")
            }
            Refused::Wrong { index, wanted: None, .. } => write!(f, "there is no part {index}"),
            Refused::Damaged { manifest, digest } => {
                write!(f, "{manifest:?} came as {digest:032x}: fetch it anew")
            }
            Refused::NoSnapshot { manifest, because } => write!(f, "{manifest:?}: {because}"),
        }
    }
}

impl std::error::Error for Refused {}

/// A snapshot that is on its way here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fetch {
    manifest: Manifest,
    parts: Sorted<u32, Blob>,
    /// All parts below are there.
    next: u32,
}

impl Fetch {
    /// Begins to fetch a snapshot.
    ///
    /// # Errors
    /// It is empty or too large. Nothing is kept of it.
    pub fn new(manifest: Manifest, limits: FetchLimits) -> Result<Self, Refused> {
        if manifest.length == 0 || manifest.part == 0 {
            return Err(Refused::Empty(manifest));
        }
        if manifest.length > limits.bytes || manifest.parts() > u64::from(limits.parts) {
            return Err(Refused::TooLarge { manifest, limits });
        }
        Ok(Fetch { manifest, parts: Sorted::new(), next: 0 })
    }

    /// The manifest of the snapshot that is being fetched.
    pub fn manifest(&self) -> Manifest {
        self.manifest
    }

    /// The number of parts that have come.
    pub fn received(&self) -> usize {
        self.parts.len()
    }

    /// The first parts that are missing, this many at most.
    pub fn missing(&self, most: usize) -> Vec<u32> {
        let all = self.manifest.parts() as u32;
        (self.next..all).filter(|index| !self.parts.contains_key(index)).take(most).collect()
    }

    /// Takes a part. Returns true if it was missing.
    ///
    /// # Errors
    /// It is not a part of this snapshot. Nothing is kept of it.
    pub fn take(&mut self, part: &Part) -> Result<bool, Refused> {
        let Part { of, index, bytes } = part;
        if *of != self.manifest.digest {
            return Err(Refused::Foreign { wanted: self.manifest.digest, of: *of });
        }
        let wanted = self.manifest.length_of(*index);
        if wanted != Some(bytes.len() as u64) {
            return Err(Refused::Wrong { index: *index, length: bytes.len(), wanted });
        }
        if self.parts.contains_key(index) {
            return Ok(false);
        }
        self.parts.insert(*index, bytes.clone());
        while self.parts.contains_key(&self.next) {
            self.next += 1;
        }
        Ok(true)
    }

    /// The snapshot, once all parts are there.
    ///
    /// # Errors
    /// It is not what was announced. The fetch has to start anew.
    pub fn whole(&self) -> Result<Option<Snapshot>, Refused> {
        if u64::from(self.next) < self.manifest.parts() {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(self.manifest.length as usize);
        for part in self.parts.values() {
            bytes.extend_from_slice(part);
        }
        let (manifest, digest) = (self.manifest, xxh3_128(&bytes));
        if digest != manifest.digest {
            return Err(Refused::Damaged { manifest, digest });
        }
        let snapshot: Snapshot =
            decode(&bytes).map_err(|error| Refused::NoSnapshot { manifest, because: error.to_string() })?;
        if snapshot.chain != manifest.chain {
            let because = format!("it is of {:?}, and {:?} was announced", snapshot.chain, manifest.chain);
            return Err(Refused::NoSnapshot { manifest, because });
        }
        Ok(Some(snapshot))
    }
}
