//! The flight recorder: every event of a process and every output of its actor, in the order in which the process took them.
//!
//! A record is written before anything of the same batch leaves the process, and before the batch's saves are flushed. So
//! whatever another process received is in the sender's record, as long as the machine itself stays up (the record is
//! handed to the kernel, not flushed). A step whose save did not outlive a crash is in the record although it never
//! took effect. The next start says how many saves it found, which tells a reader where to cut.
//!
//! A file is a header and chunks, one chunk per batch: `length u32, xxh3 of the payload u64, payload`. A payload is a
//! sequence of entries. An entry is an event and its outputs, in the encoding that messages have on the wire. Large values
//! would stand in it many times over. So a long message that came is written as the place where the same bytes stood
//! before (in what came, or in what was sent). Of a long change only the checksum is kept: the handler makes it again.

mod entries;
mod kinds;

use entries::{END, take, take_event, take_output, take_u32, take_u64};
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

pub use entries::{Entries, outputs};
pub use kinds::{Change, Output, Trigger};

const MAGIC: &[u8; 8] = b"synodrec";
const VERSION: u8 = 4;

/// A chunk longer than this is damage: a batch has a bounded number of events, each bounded by the longest message.
const MOST_CHUNK: usize = 1 << 30;
/// The length of a chunk's head in bytes: the payload's length and its checksum.
const CHUNK_HEAD: usize = 12;
/// The owner of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster's tag.
    pub cluster: u64,
    /// The member.
    pub member: u64,
    /// The data directory's id.
    pub disk: u64,
    /// The number of starts of the data directory, this one included.
    pub boot: u64,
    /// Anything that the application needs to build the same actor again.
    pub application: Vec<u8>,
}

/// A duration as it is recorded.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes a record.
pub struct Recorder {
    sink: Box<dyn Write + Send>,
    /// The entries of the present batch, after room for the chunk's head.
    pub(crate) entries: Entries,
}

impl Recorder {
    /// Begins a record.
    ///
    /// # Errors
    /// When the sink cannot be written.
    pub fn create(mut sink: Box<dyn Write + Send>, header: &Header) -> io::Result<Recorder> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        let mut fields = Vec::new();
        for field in [header.cluster, header.member, header.disk, header.boot] {
            fields.extend_from_slice(&field.to_le_bytes());
        }
        fields.extend_from_slice(&header.application);
        bytes.extend_from_slice(&(fields.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&fields).to_le_bytes());
        bytes.extend_from_slice(&fields);
        sink.write_all(&bytes)?;
        let entries = Entries::of_file(bytes.len() as u64, CHUNK_HEAD);
        Ok(Recorder { sink, entries })
    }

    /// Hands the batch to the sink, in one write.
    ///
    /// # Errors
    /// When the sink cannot be written.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let chunk = self.entries.chunk();
        let payload = chunk.len() - CHUNK_HEAD;
        if payload == 0 {
            return Ok(());
        }
        let sum = xxh3_64(&chunk[CHUNK_HEAD..]);
        chunk[..4].copy_from_slice(&(payload as u32).to_le_bytes());
        chunk[4..CHUNK_HEAD].copy_from_slice(&sum.to_le_bytes());
        self.sink.write_all(chunk)?;
        self.entries.go_on(CHUNK_HEAD);
        Ok(())
    }
}

/// The reason why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// The damage found there.
    pub what: &'static str,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for Damaged {}

/// One entry of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<'a> {
    /// The event.
    pub event: Trigger<'a>,
    /// The outputs, encoded; compare them with what [`Entries`] makes of a step, or look at them with [`outputs`].
    pub outputs: &'a [u8],
    /// The place in the file, in bytes.
    pub offset: u64,
}

/// Reads a record from the bytes of its file.
pub struct Reader<'a> {
    file: &'a [u8],
    at: usize,
    chunk: &'a [u8],
    header: Header,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it is not a record, of another version, or damaged.
    pub fn open(file: &'a [u8]) -> Result<Reader<'a>, Damaged> {
        let damaged = |what| Damaged { offset: 0, what };
        let mut rest = file;
        if take(&mut rest, 8) != Some(MAGIC) {
            return Err(damaged("this is not a flight record"));
        }
        if take(&mut rest, 1) != Some(&[VERSION]) {
            return Err(damaged("a record of another version"));
        }
        let header = (|| {
            let len = take_u32(&mut rest)?;
            let sum = take_u64(&mut rest)?;
            let mut fields = take(&mut rest, len as usize)?;
            (xxh3_64(fields) == sum).then_some(())?;
            Some(Header {
                cluster: take_u64(&mut fields)?,
                member: take_u64(&mut fields)?,
                disk: take_u64(&mut fields)?,
                boot: take_u64(&mut fields)?,
                application: fields.to_vec(),
            })
        })();
        let header = header.ok_or(damaged("the header is damaged"))?;
        Ok(Reader { file, at: file.len() - rest.len(), chunk: &[], header })
    }

    /// The owner of the record.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry, or `None` at the end. A last chunk that was cut short is the end, too: its writer was
    /// killed in the middle of it, and had sent nothing of it.
    ///
    /// # Errors
    /// When what is there is damaged.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to go on after an error")]
    pub fn next(&mut self) -> Option<Result<Recorded<'a>, Damaged>> {
        if self.chunk.is_empty() {
            match self.next_chunk() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(damaged) => return Some(Err(damaged)),
            }
        }
        let offset = (self.at - self.chunk.len()) as u64;
        let mut rest = self.chunk;
        let entry = (|| {
            let event = take_event(&mut rest, &self.file[..offset as usize])?;
            let before = rest;
            loop {
                let at = before.len() - rest.len();
                if rest.first() == Some(&END) {
                    rest = &rest[1..];
                    return Some(Recorded { event, outputs: &before[..at], offset });
                }
                take_output(&mut rest, &mut &[][..])?;
            }
        })();
        match entry {
            Some(entry) => {
                self.chunk = rest;
                Some(Ok(entry))
            }
            None => {
                self.chunk = &[];
                self.at = self.file.len();
                Some(Err(Damaged { offset, what: "an entry cannot be read" }))
            }
        }
    }

    fn next_chunk(&mut self) -> Result<bool, Damaged> {
        let offset = self.at as u64;
        let mut rest = &self.file[self.at..];
        let (Some(len), Some(sum)) = (take_u32(&mut rest), take_u64(&mut rest)) else { return Ok(false) };
        if len as usize > MOST_CHUNK || len == 0 {
            return Err(Damaged { offset, what: "no chunk has this length" });
        }
        let Some(chunk) = take(&mut rest, len as usize) else { return Ok(false) };
        if xxh3_64(chunk) != sum {
            return Err(Damaged { offset, what: "the checksum of this chunk is wrong" });
        }
        self.at = self.file.len() - rest.len();
        self.chunk = chunk;
        Ok(true)
    }
}
