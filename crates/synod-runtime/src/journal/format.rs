//! The format of a journal on the disk. All numbers are little-endian.
//!
//! ```text
//! file   = header opening-frame* frame* zeros
//! header = "synodjnl" version:u32 0:u32 cluster:u64 member:u64 disk:u64 file:u64 opening:u64 check:u64
//! frame  = magic:u32 length:u32 number:u64 previous:u64 check:u64 payload zeros-to-8 seal:u64
//! payload = (length:u32 bytes)*
//! ```
//!
//! A frame is one batch: one write writes it, one flush makes it durable. Its `check` covers the 24 bytes before
//! it, and its `seal` everything before that, both seeded with the file's identity. `previous` is the seal of the frame
//! before. The last byte of both is a mark that is not zero. It tells a write that was cut short from one that came
//! whole and was damaged.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The version that is written, and the only version that is read.
pub(crate) const VERSION: u32 = 2;
/// The length of a file's header in bytes.
pub(crate) const HEADER: usize = 64;
/// The length of a frame's head in bytes.
pub(crate) const HEAD: usize = 32;
/// The length of a frame's seal in bytes.
pub(crate) const SEAL: usize = 8;
/// The longest payload of a frame that is read, in bytes.
pub(crate) const MAX_PAYLOAD: u64 = 1 << 30;

const FILE_MAGIC: [u8; 8] = *b"synodjnl";
/// The bytes with which every frame begins.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"bat:";
/// The last byte of checks and seals: no flip of one bit makes it zero.
const MARK: u8 = 0xa5;

/// The `index`th number of eight bytes.
fn word(bytes: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("eight bytes"))
}

pub(super) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, seed) >> 8 | u64::from(MARK) << 56
}

/// True if the check or seal that ends here was written at all, right or wrong.
pub(crate) fn came(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|mark| *mark != 0)
}

/// The identity that a journal file states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) cluster: u64,
    pub(crate) member: u64,
    pub(crate) disk: u64,
    /// The number in its name.
    pub(crate) file: u64,
    /// The bytes, this header included, that were durable before the file had its name: no crash can have torn
    /// them.
    pub(crate) opening: u64,
}

/// The reasons why bytes are no header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    Short,
    Magic,
    Version(u32),
    Check,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&FILE_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let words = [self.cluster, self.member, self.disk, self.file, self.opening];
        for (place, word) in bytes[16..56].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let check = checksum(0, &bytes[..56]);
        bytes[56..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// The version is looked at before the checksum, because another version may place the checksum elsewhere.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NoHeader> {
        let Some(bytes) = bytes.get(..HEADER) else { return Err(NoHeader::Short) };
        if bytes[..8] != FILE_MAGIC {
            return Err(NoHeader::Magic);
        }
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        if version != VERSION {
            return Err(NoHeader::Version(version));
        }
        if checksum(0, &bytes[..56]) != word(bytes, 7) {
            return Err(NoHeader::Check);
        }
        let [cluster, member, disk, file, opening] = [2, 3, 4, 5, 6].map(|index| word(bytes, index));
        Ok(Self { cluster, member, disk, file, opening })
    }

    /// The seed of all checksums of the frames in this file. With it no frame of another file is valid here:
    /// neither one that a reused block of the disk still holds, nor one that somebody who does not know the disk
    /// id put into a value.
    pub(crate) fn seed(&self) -> u64 {
        let mut words = [0; 32];
        for (place, word) in words.chunks_exact_mut(8).zip([self.cluster, self.member, self.disk, self.file])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        checksum(0, &words)
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The length of the payload in bytes.
    pub(crate) payload: u32,
    /// One more than that of the frame before.
    pub(crate) number: u64,
    /// The seal of the frame before.
    pub(crate) previous: u64,
}

impl Head {
    pub(crate) fn decode(bytes: &[u8], seed: u64) -> Option<Self> {
        let bytes = bytes.get(..HEAD)?;
        if bytes[..4] != FRAME_MAGIC || checksum(seed, &bytes[..24]) != word(bytes, 3) {
            return None;
        }
        let payload = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"));
        Some(Self { payload, number: word(bytes, 1), previous: word(bytes, 2) })
    }

    /// The length of the whole frame in bytes: a multiple of eight.
    pub(crate) fn size(&self) -> u64 {
        (HEAD as u64 + u64::from(self.payload)).next_multiple_of(8) + SEAL as u64
    }
}

/// Completes a frame of which `frame` has room for the head and then the payload; gives its seal.
pub(crate) fn complete(frame: &mut Vec<u8>, number: u64, previous: u64, seed: u64) -> u64 {
    let payload = u32::try_from(frame.len() - HEAD).expect("a payload was measured before");
    frame[..4].copy_from_slice(&FRAME_MAGIC);
    frame[4..8].copy_from_slice(&payload.to_le_bytes());
    frame[8..16].copy_from_slice(&number.to_le_bytes());
    frame[16..24].copy_from_slice(&previous.to_le_bytes());
    let check = checksum(seed, &frame[..24]);
    frame[24..HEAD].copy_from_slice(&check.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(8), 0);
    let seal = checksum(seed, frame);
    frame.extend_from_slice(&seal.to_le_bytes());
    seal
}

/// The seal of a whole frame, if it is right.
pub(crate) fn seal_of(frame: &[u8], seed: u64) -> Option<u64> {
    let (covered, seal) = frame.split_at_checked(frame.len().checked_sub(SEAL)?)?;
    let seal = word(seal, 0);
    (checksum(seed, covered) == seal).then_some(seal)
}

/// Appends a record to a payload, as `fill` writes it. Returns the place of its bytes.
pub(crate) fn record(payload: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) -> std::ops::Range<usize> {
    let start = payload.len() + 4;
    payload.extend_from_slice(&[0; 4]);
    fill(payload);
    // The commit refuses a batch above the limit. Until then only its length matters.
    let length = u32::try_from(payload.len() - start).unwrap_or(u32::MAX);
    payload[start - 4..start].copy_from_slice(&length.to_le_bytes());
    start..payload.len()
}

/// Takes the first record off a payload.
pub(crate) fn next_record<'a>(payload: &mut &'a [u8]) -> Option<Result<&'a [u8], String>> {
    if payload.is_empty() {
        return None;
    }
    let split = payload.split_first_chunk().and_then(|(length, rest)| {
        let length = u32::from_le_bytes(*length) as usize;
        rest.split_at_checked(length)
    });
    let Some((record, rest)) = split else {
        return Some(Err("a record that is longer than its batch".into()));
    };
    *payload = rest;
    Some(Ok(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Header = Header { cluster: 1, member: 2, disk: 3, file: 4, opening: HEADER as u64 };

    /// A header whose first bytes are these, and whose check is right.
    fn header(start: &[u8]) -> [u8; HEADER] {
        let mut bytes = OURS.encode();
        bytes[..start.len()].copy_from_slice(start);
        let check = checksum(0, &bytes[..56]);
        bytes[56..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    #[test]
    fn a_file_or_a_batch_of_another_kind_is_none_though_its_check_is_right() {
        assert_eq!(Header::decode(&header(b"")), Ok(OURS));
        assert_eq!(Header::decode(&header(b"synodjnk")), Err(NoHeader::Magic));
        assert_eq!(Header::decode(&header(b"synodjnl\x03")), Err(NoHeader::Version(3)));
        assert_eq!(Header::decode(&header(b"")[..HEADER - 1]), Err(NoHeader::Short));
        let seed = OURS.seed();
        let mut frame = [&[0; HEAD][..], b"payload"].concat();
        complete(&mut frame, 1, seed, seed);
        assert_eq!(Head::decode(&frame, seed), Some(Head { payload: 7, number: 1, previous: seed }));
        frame[..4].copy_from_slice(b"bat;");
        let check = checksum(seed, &frame[..24]);
        frame[24..HEAD].copy_from_slice(&check.to_le_bytes());
        assert_eq!(Head::decode(&frame, seed), None);
    }

    #[test]
    fn no_frame_of_another_cluster_member_directory_or_file_is_valid_here() {
        let others = [
            Header { cluster: 9, ..OURS },
            Header { member: 9, ..OURS },
            Header { disk: 9, ..OURS },
            Header { file: 9, ..OURS },
        ];
        for other in others {
            let seed = other.seed();
            let mut frame = [&[0; HEAD][..], b"payload"].concat();
            complete(&mut frame, 1, seed, seed);
            assert!(Head::decode(&frame, seed).is_some() && seal_of(&frame, seed).is_some());
            assert_eq!((Head::decode(&frame, OURS.seed()), seal_of(&frame, OURS.seed())), (None, None));
        }
    }
}
