//! Reading a journal back: which batches it holds, and whether its end is a torn write or damage.
//!
//! Only one batch at a time is on its way to the disk, and only after all before it are durable. So a crash can leave
//! the last batch, and nothing else, incomplete: cut short at any byte, or with any of its sectors missing, over
//! space that held zeros. Such an end was never acknowledged and is cut. Everything else is damage:
//!
//! - an invalid batch before the end of the opening, or followed by a head that is valid: that later batch was
//!   begun, so this one had been durable;
//! - an invalid last batch that came whole: its last byte is there and none of its sectors is missing. This is
//!   what tells a flipped bit of an acknowledged last batch from a torn write;
//! - anything but zeros after the last batch.
//!
//! Some cases cannot be told apart here. The loss of whole sectors of the last batch, or of everything after some batch, looks like a
//! torn write. So may any damage in a last batch that has a whole sector of zeros of its own. Both are cut, and noticed
//! only by peers that know how many saves this member had made durable.

use super::format::{FRAME_MAGIC, HEAD, HEADER, Head, Header, MAX_PAYLOAD, SEAL, came, next_record, seal_of};
use crate::disk::ReadAt;
use crate::sim_disk::SECTOR;
use std::io;

/// The number of bytes that are looked at in one go where no frame is known to be.
const WINDOW: usize = 64 << 10;

/// The place of the next batch, and the frame that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The place of the last frame in bytes, or of the end of the header.
    pub(crate) last: u64,
    /// The place after it.
    pub(crate) end: u64,
    /// The number of the last frame, 0 before the first.
    pub(crate) number: u64,
    /// The seal of the last frame, the file's seed before the first.
    pub(crate) seal: u64,
}

impl Tail {
    pub(crate) fn start(header: &Header) -> Self {
        Self { last: HEADER as u64, end: HEADER as u64, number: 0, seal: header.seed() }
    }
}

/// The failures that end a reading.
#[derive(Debug)]
pub(crate) enum Stop {
    Io(io::Error),
    Damaged(u64, String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn damaged<T>(offset: u64, what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Damaged(offset, what.into()))
}

/// Reads all batches and hands out their records in order. Returns the end, and the number of bytes of a torn batch to
/// cut after it. Memory is bounded by the largest batch that the file really has room for.
pub(crate) fn replay<F: ReadAt + ?Sized>(
    file: &F,
    header: &Header,
    on_record: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<(Tail, u64), Stop> {
    let size = file.size()?;
    let seed = header.seed();
    if header.opening < HEADER as u64 || header.opening > size {
        return damaged(0, format!("{} bytes, but its opening alone has {}", size, header.opening));
    }
    let mut tail = Tail::start(header);
    let mut frame = Vec::new();
    loop {
        let at = tail.end;
        let mut head = [0; HEAD];
        file.read_full_at(&mut head, at)?;
        let decoded = Head::decode(&head, seed);
        let seal = match decoded {
            Some(found) if found.number != tail.number + 1 || found.previous != tail.seal => {
                return damaged(at, format!("batch {} where {} belongs", found.number, tail.number + 1));
            }
            Some(found) if u64::from(found.payload) > MAX_PAYLOAD => {
                return damaged(at, format!("a batch of {} bytes", found.payload));
            }
            Some(found) if found.size() <= size - at => {
                frame.resize(found.size() as usize, 0);
                if file.read_full_at(&mut frame, at)? < frame.len() {
                    return damaged(at, "the file became shorter while it was read");
                }
                seal_of(&frame, seed)
            }
            _ => None,
        };
        let (Some(found), Some(seal)) = (decoded, seal) else {
            return match end(file, size, header, at, &head, decoded, &frame)? {
                End::Clean => Ok((tail, 0)),
                End::Torn(length) => Ok((tail, length)),
                End::Damaged(what) => damaged(at, what),
            };
        };
        let mut payload = &frame[HEAD..HEAD + found.payload as usize];
        while let Some(record) = next_record(&mut payload) {
            if let Err(what) = record.and_then(&mut *on_record) {
                return damaged(at, format!("batch {}: {what}", found.number));
            }
        }
        tail = Tail { last: at, end: at + found.size(), number: found.number, seal };
        if tail.last < header.opening && tail.end > header.opening {
            return damaged(at, "the opening ends within a batch");
        }
    }
}

enum End {
    Clean,
    Torn(u64),
    Damaged(String),
}

/// Decides what stands at `at`, the first place that does not read as a frame. `frame` has its bytes if there
/// is a `head` and the file has room for it.
fn end<F: ReadAt + ?Sized>(
    file: &F,
    size: u64,
    header: &Header,
    at: u64,
    head_bytes: &[u8; HEAD],
    head: Option<Head>,
    frame: &[u8],
) -> io::Result<End> {
    let damaged = |what: String| Ok(End::Damaged(what));
    if at < header.opening {
        return damaged("a batch of the opening, which was durable before anything else, is invalid".into());
    }
    let rest = look_on(file, size, at, header.seed())?;
    if let Some(later) = rest.head {
        return damaged(format!("an invalid batch, but a later one was begun at byte {later}"));
    }
    if rest.length == 0 {
        return Ok(End::Clean);
    }
    let Some(head) = head else {
        if came(head_bytes) && !lacks_a_sector(at, head_bytes) {
            return damaged("the head of the last batch is invalid though it came whole".into());
        }
        return Ok(End::Torn(rest.length));
    };
    if rest.length > head.size() {
        return damaged(format!("something follows the invalid last batch, after {} bytes", head.size()));
    }
    let whole = head.size() <= size - at && came(frame);
    if whole && !lacks_a_sector(at, frame) {
        return damaged("the last batch is invalid though it came whole".into());
    }
    Ok(End::Torn(rest.length))
}

/// True if the part of any sector that these bytes, which are at `at`, cover is all zeros.
fn lacks_a_sector(at: u64, bytes: &[u8]) -> bool {
    let first = SECTOR - (at % SECTOR as u64) as usize;
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    std::iter::once(head).chain(rest.chunks(SECTOR)).any(|part| part.iter().all(|byte| *byte == 0))
}

/// The contents of a file after its last frame.
struct Rest {
    /// The length up to the last byte that is not zero, in bytes.
    length: u64,
    /// The place of a valid head in it, other than at its start.
    head: Option<u64>,
}

fn look_on<F: ReadAt + ?Sized>(file: &F, size: u64, at: u64, seed: u64) -> io::Result<Rest> {
    let mut rest = Rest { length: 0, head: None };
    let mut window = vec![0; WINDOW + HEAD + SEAL];
    let mut from = at;
    // Windows overlap by more than a head, so that each head is whole in one of them.
    while from < size && rest.head.is_none() {
        let read = file.read_full_at(&mut window, from)?;
        let bytes = &window[..read];
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            rest.length = from + last as u64 + 1 - at;
            rest.head = (0..read)
                .step_by(8)
                .filter(|place| from + *place as u64 != at && bytes[*place..].starts_with(&FRAME_MAGIC))
                .find(|place| Head::decode(&bytes[*place..], seed).is_some())
                .map(|place| from + place as u64);
        }
        from += WINDOW as u64;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::super::format::{complete, record};
    use super::*;

    const END: u64 = HEADER as u64;

    fn header(opening: u64) -> Header {
        Header { cluster: 1, member: 2, disk: 3, file: 4, opening }
    }

    /// A file with these batches of one record each, and where each begins and the last ends.
    fn file(opening: u64, batches: &[&[u8]]) -> (Vec<u8>, Vec<usize>) {
        let header = header(opening);
        let mut bytes = header.encode().to_vec();
        let mut places = vec![bytes.len()];
        let mut seal = header.seed();
        for (number, batch) in (1..).zip(batches) {
            let mut frame = vec![0; HEAD];
            record(&mut frame, |out| out.extend_from_slice(batch));
            seal = complete(&mut frame, number, seal, header.seed());
            bytes.extend(frame);
            places.push(bytes.len());
        }
        (bytes, places)
    }

    /// The number of batches that are read and of bytes that are cut; or the place and the words of a refusal.
    fn read(bytes: &[u8], opening: u64) -> Result<(u64, u64), (u64, String)> {
        let mut records = 0;
        let read = replay(bytes, &header(opening), &mut |_| {
            records += 1;
            Ok(())
        });
        match read {
            Ok((tail, cut)) => {
                assert_eq!(records, tail.number);
                Ok((tail.number, cut))
            }
            Err(Stop::Damaged(offset, what)) => Err((offset, what)),
            Err(Stop::Io(error)) => panic!("memory does not fail: {error}"),
        }
    }

    #[track_caller]
    fn refused(bytes: &[u8], opening: u64, at: usize, says: &str) {
        let (offset, what) = read(bytes, opening).expect_err("this is damage");
        assert_eq!(offset, at as u64, "{what}");
        assert!(what.contains(says), "{what:?} says {says:?}");
    }

    #[test]
    fn a_batch_that_was_durable_before_a_later_one_was_begun_is_never_cut() {
        let (mut bytes, places) = file(END, &[&[1; 9], &[2; 700], &[3; 700]]);
        assert_eq!(read(&bytes, END), Ok((3, 0)));
        // The second batch is lost as a whole, and of the third only the head came.
        bytes[places[1]..places[2]].fill(0);
        bytes.truncate(places[2] + HEAD);
        refused(&bytes, END, places[1], &format!("a later one was begun at byte {}", places[2]));
        bytes.truncate(places[2] + HEAD - 1);
        assert_eq!(read(&bytes, END), Ok((1, (places[2] + HEAD - 1 - places[1]) as u64)), "nothing tells");
    }

    #[test]
    fn nothing_follows_a_torn_batch() {
        let (mut bytes, places) = file(END, &[&[1; 9], &[2; 700]]);
        bytes[places[1] + 512..places[2]].fill(0);
        bytes.resize(5000, 0);
        assert!(matches!(read(&bytes, END), Ok((1, 1..=512))));
        bytes[places[2] + 40] = 1;
        refused(&bytes, END, places[1], "something follows");
    }

    #[test]
    fn the_opening_is_never_cut() {
        let (bytes, places) = file(0, &[&[1; 9], &[2; 9], &[3; 9]]);
        let opening = places[2] as u64;
        assert_eq!(read(&bytes, opening), Ok((3, 0)));
        for cut in 0..places[2] {
            assert!(read(&bytes[..cut], opening).is_err(), "{cut}");
        }
        let mut zeros = bytes[..places[1]].to_vec();
        zeros.resize(bytes.len(), 0);
        refused(&zeros, opening, places[1], "of the opening");
        refused(&bytes[..places[1]], opening, 0, "its opening alone");
        refused(&bytes, opening + 8, places[2], "within a batch");
        refused(&bytes, 8, 0, "its opening alone");
    }

    #[test]
    fn batches_of_another_place_or_file_are_refused() {
        let (bytes, places) = file(END, &[&[1; 9], &[2; 9], &[3; 9]]);
        let mut twice = bytes[..places[1]].to_vec();
        twice.extend(&bytes[places[0]..places[1]]);
        refused(&twice, END, places[1], "batch 1 where 2 belongs");
        let mut skipped = bytes[..places[1]].to_vec();
        skipped.extend(&bytes[places[2]..]);
        refused(&skipped, END, places[1], "batch 3 where 2 belongs");
        // The number is right, but what came before it was something else.
        let (other, _) = file(END, &[&[7; 9], &[2; 9], &[3; 9]]);
        for from in [1, 2] {
            let mut mixed = bytes[..places[from]].to_vec();
            mixed.extend(&other[places[from]..]);
            refused(&mixed, END, places[from], &format!("batch {0} where {0} belongs", from + 1));
        }
        // And the other way round.
        let seed = header(END).seed();
        let seal = seal_of(&bytes[places[0]..places[1]], seed).expect("it is whole");
        let mut frame = vec![0; HEAD];
        complete(&mut frame, 3, seal, seed);
        let mut forged = bytes[..places[1]].to_vec();
        forged.extend(frame);
        refused(&forged, END, places[1], "batch 3 where 2 belongs");
        // Frames that a reused block still has of another file are no frames here.
        let other = Header { file: 5, ..header(END) };
        assert_eq!(Head::decode(&bytes[places[0]..], other.seed()), None);
    }

    #[test]
    fn a_length_allocates_nothing_that_the_file_does_not_have() {
        let seed = header(END).seed();
        for payload in [1_000_000, MAX_PAYLOAD as u32, u32::MAX] {
            let mut frame = vec![0; HEAD];
            complete(&mut frame, 1, seed, seed);
            frame.truncate(HEAD);
            // The head says how much it has; the check is made to agree.
            frame[4..8].copy_from_slice(&payload.to_le_bytes());
            let check = super::super::format::checksum(seed, &frame[..24]);
            frame[24..].copy_from_slice(&check.to_le_bytes());
            let bytes = [&header(END).encode()[..], &frame].concat();
            if u64::from(payload) > MAX_PAYLOAD {
                refused(&bytes, END, HEADER, "a batch of");
            } else {
                assert_eq!(read(&bytes, END), Ok((0, HEAD as u64)), "its payload never came");
            }
        }
    }

    #[test]
    fn records_that_lie_about_their_length_are_refused() {
        let seed = header(END).seed();
        for payload in [&[9, 0, 0, 0, 1][..], &[1, 0, 0], &[255; 4]] {
            let mut frame = [&[0; HEAD][..], payload].concat();
            complete(&mut frame, 1, seed, seed);
            let bytes = [&header(END).encode()[..], &frame].concat();
            refused(&bytes, END, HEADER, "longer than its batch");
        }
    }
}
