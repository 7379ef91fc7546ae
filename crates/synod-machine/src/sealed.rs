//! Guarantees that a snapshot is restored as it was taken or not at all: a digest stands before its bytes.
//!
//! Sealed bytes are written to disks and sent to other servers. How they are cut into chunks for that is decided in `synod`, which does
//! not look into them.

use crate::blob::Blob;
use crate::chain::Chain;
use crate::{decode, encode};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// A snapshot, which replaces the log's beginning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The checksum of what was executed: everything below `chain.next`.
    pub chain: Chain,
    /// The machine's own snapshot.
    pub machine: Blob,
}

/// A snapshot as it is written. The format has room for several pieces with a number each; there is always one, with number 0.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Sealed {
    chain: Chain,
    /// The length of the content's bytes.
    length: u64,
    /// The longest that a piece may be: no less than the content.
    longest: u32,
    /// XXH3 with 128 bits, over the content's bytes.
    digest: u128,
    content: Option<Content>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    digest: u128,
    number: u32,
    /// An encoded [`Snapshot`].
    bytes: Blob,
}

impl Sealed {
    fn new(chain: Chain, bytes: Blob) -> Self {
        let digest = xxh3_128(&bytes);
        let length = bytes.len() as u64;
        Sealed {
            chain,
            length,
            longest: u32::MAX,
            digest,
            content: Some(Content { digest, number: 0, bytes }),
        }
    }
}

impl Snapshot {
    /// The snapshot as bytes that [`Snapshot::unseal`] reads. Equal snapshots have equal bytes.
    pub fn seal(&self) -> Vec<u8> {
        encode(&Sealed::new(self.chain, Blob::from(encode(self))))
    }

    /// The snapshot that was sealed; `None` if any byte is not as [`Snapshot::seal`] wrote it. The bytes may be anything, and no more is
    /// allocated than in proportion to them.
    pub fn unseal(bytes: &[u8]) -> Option<Snapshot> {
        let sealed: Sealed = decode(bytes).ok()?;
        let content = sealed.content.as_ref()?.bytes.clone();
        let snapshot: Snapshot = decode(&content).ok()?;
        (sealed == Sealed::new(snapshot.chain, content)).then_some(snapshot)
    }
}
