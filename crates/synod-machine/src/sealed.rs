//! Guarantees that a snapshot is restored as it was taken or not at all: a digest stands before its bytes.
//!
//! Sealed bytes are written to disks and sent to other servers. How they are cut into chunks for that is decided in `synod`, which does
//! not look into them.

use crate::blob::{Blob, Borrowed};
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
struct Sealed<B> {
    chain: Chain,
    /// The length of the content's bytes.
    length: u64,
    /// The longest that a piece may be: no less than the content.
    longest: u32,
    /// XXH3 with 128 bits, over the content's bytes.
    digest: u128,
    content: Option<Content<B>>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Content<B> {
    digest: u128,
    number: u32,
    /// An encoded [`Snapshot`].
    bytes: B,
}

impl<'a> Sealed<Borrowed<'a>> {
    fn new(chain: Chain, bytes: &'a [u8]) -> Self {
        let digest = xxh3_128(bytes);
        let length = bytes.len() as u64;
        Sealed {
            chain,
            length,
            longest: u32::MAX,
            digest,
            content: Some(Content { digest, number: 0, bytes: Borrowed(bytes) }),
        }
    }
}

impl Snapshot {
    /// The snapshot as bytes that [`Snapshot::unseal`] reads. Equal snapshots have equal bytes.
    pub fn seal(&self) -> Vec<u8> {
        Snapshot::seal_bytes(self.chain, &self.machine)
    }

    /// The snapshot of a machine with this snapshot of its own, as [`Snapshot::seal`] writes it. Snapshots can be long, so no more
    /// than two copies of one are in memory at a time.
    pub fn seal_bytes(chain: Chain, machine: &[u8]) -> Vec<u8> {
        let content = encode(&(chain, Borrowed(machine)));
        encode(&Sealed::new(chain, &content))
    }

    /// The snapshot that was sealed; `None` if any byte is not as [`Snapshot::seal`] wrote it. The bytes may be anything, and no more is
    /// allocated than in proportion to them.
    pub fn unseal(bytes: &[u8]) -> Option<Snapshot> {
        let sealed: Sealed<Borrowed<'_>> = decode(bytes).ok()?;
        let content = sealed.content.as_ref()?.bytes.0;
        let (chain, Borrowed(machine)) = decode(content).ok()?;
        (sealed == Sealed::new(chain, content)).then(|| Snapshot { chain, machine: machine.into() })
    }
}
