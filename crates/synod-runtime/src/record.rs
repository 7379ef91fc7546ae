//! The flight recorder: every event a process took, with every output it made of it, in the order in which it took them.
//!
//! A record is written before anything of the same batch leaves the process, and before the flush of what it saved. So
//! whatever another process received is in the sender's record, as long as the machine itself stays up (the record is
//! handed to the kernel, not flushed). A step whose save did not outlive a crash is in the record although it never
//! took effect; the next start says how many saves were found, which tells a reader where to cut.
//!
//! A file is a header and chunks, one chunk a batch: `length u32, xxh3 of the payload u64, payload`. A payload is a
//! sequence of entries: an event and its outputs, everything in the encoding the messages have on the wire.

use crate::varint;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"synodrec";
const VERSION: u8 = 1;

/// A chunk longer than this is damage: a batch has a bounded number of events, each bounded by the longest message.
const MOST_CHUNK: usize = 1 << 30;

/// Whose record it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster's tag.
    pub cluster: u64,
    /// The member.
    pub member: u64,
    /// The data directory's id.
    pub disk: u64,
    /// How many times the data directory was started.
    pub boot: u64,
    /// Whatever the application needs to build the same actor again.
    pub application: Vec<u8>,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It started, from stable storage of so many saves, whose snapshot has this checksum.
    Start {
        /// Saves found.
        saves: u64,
        /// `xxh3` of the snapshot of what was found; zero if there was nothing.
        stable: u64,
    },
    /// A message came.
    Deliver {
        /// Who sent it.
        src: u64,
        /// The message, encoded.
        msg: &'a [u8],
    },
    /// A timer rang.
    Timeout {
        /// The timer, encoded.
        timer: &'a [u8],
    },
    /// One of the offered choices was drawn.
    Random {
        /// The choice's name.
        key: &'a str,
        /// Which of them.
        index: u64,
    },
}

const END: u8 = 0;
const START: u8 = 1;
const DELIVER: u8 = 2;
const TIMEOUT: u8 = 3;
const RANDOM: u8 = 4;
const SAVE: u8 = 5;
const SEND: u8 = 6;
const SEND_SAME: u8 = 7;
const SET_TIMER: u8 = 8;
const CANCEL_TIMER: u8 = 9;
const CHOOSE: u8 = 10;

/// One output of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// The stable storage changed by this difference.
    Save {
        /// The difference.
        change: &'a [u8],
    },
    /// A message was sent.
    Send {
        /// To whom.
        to: u64,
        /// The message, encoded.
        msg: &'a [u8],
    },
    /// A timer was set, to a moment between these durations.
    SetTimer {
        /// The timer, encoded.
        timer: &'a [u8],
        /// Nanoseconds from now, at least.
        from: u64,
        /// Nanoseconds from now, at most.
        to: u64,
    },
    /// A timer was cancelled.
    CancelTimer {
        /// The timer, encoded.
        timer: &'a [u8],
    },
    /// So many choices were offered.
    Choose {
        /// The choice's name.
        key: &'a str,
        /// How many there are.
        choices: u64,
    },
}

/// Collects one entry after another; the very same code writes records and, when they are replayed, makes what they
/// are compared with.
#[derive(Default)]
pub struct Entries {
    bytes: Vec<u8>,
    last_msg: Option<Range<usize>>,
}

impl Entries {
    /// What was collected.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last_msg = None;
    }

    /// Begins an entry.
    pub fn event(&mut self, event: Event<'_>) {
        self.last_msg = None;
        match event {
            Event::Start { saves, stable } => {
                self.bytes.push(START);
                self.number(saves);
                self.bytes.extend_from_slice(&stable.to_le_bytes());
            }
            Event::Deliver { src, msg } => {
                self.bytes.push(DELIVER);
                self.number(src);
                self.text(msg);
            }
            Event::Timeout { timer } => {
                self.bytes.push(TIMEOUT);
                self.text(timer);
            }
            Event::Random { key, index } => {
                self.bytes.push(RANDOM);
                self.text(key.as_bytes());
                self.number(index);
            }
        }
    }

    /// Adds an output to the entry.
    pub fn output(&mut self, output: Output<'_>) {
        match output {
            Output::Save { change } => {
                self.bytes.push(SAVE);
                self.text(change);
            }
            Output::Send { to, msg } => {
                // A broadcast costs its message once.
                if self.last_msg.clone().is_some_and(|last| &self.bytes[last] == msg) {
                    self.bytes.push(SEND_SAME);
                    self.number(to);
                } else {
                    self.bytes.push(SEND);
                    self.number(to);
                    self.text(msg);
                    self.last_msg = Some(self.bytes.len() - msg.len()..self.bytes.len());
                }
            }
            Output::SetTimer { timer, from, to } => {
                self.bytes.push(SET_TIMER);
                self.text(timer);
                self.number(from);
                self.number(to);
            }
            Output::CancelTimer { timer } => {
                self.bytes.push(CANCEL_TIMER);
                self.text(timer);
            }
            Output::Choose { key, choices } => {
                self.bytes.push(CHOOSE);
                self.text(key.as_bytes());
                self.number(choices);
            }
        }
    }

    /// Ends an entry.
    pub fn end(&mut self) {
        self.bytes.push(END);
    }

    fn number(&mut self, number: u64) {
        varint::write(number, &mut self.bytes);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text);
    }
}

/// A duration as it is recorded.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes a record.
pub struct Recorder {
    sink: Box<dyn Write>,
    /// What the present batch did so far.
    pub(crate) entries: Entries,
    frame: Vec<u8>,
}

impl Recorder {
    /// Begins a record.
    ///
    /// # Errors
    /// When the sink cannot be written.
    pub fn begin(mut sink: Box<dyn Write>, header: &Header) -> io::Result<Recorder> {
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
        Ok(Recorder { sink, entries: Entries::default(), frame: Vec::new() })
    }

    /// Hands the batch to the sink, in one write.
    ///
    /// # Errors
    /// When the sink cannot be written.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.entries.bytes.is_empty() {
            return Ok(());
        }
        self.frame.clear();
        self.frame.extend_from_slice(&(self.entries.bytes.len() as u32).to_le_bytes());
        self.frame.extend_from_slice(&xxh3_64(&self.entries.bytes).to_le_bytes());
        self.frame.extend_from_slice(&self.entries.bytes);
        self.entries.clear();
        self.sink.write_all(&self.frame)
    }
}

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// What is wrong there.
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
pub struct Entry<'a> {
    /// What happened.
    pub event: Event<'a>,
    /// The outputs, encoded; compare them with what [`Entries`] makes of a step, or look at them with [`outputs`].
    pub outputs: &'a [u8],
    /// Where it is in the file, in bytes.
    pub offset: u64,
}

/// Reads a record from the bytes of its file.
pub struct Reader<'a> {
    file: &'a [u8],
    at: usize,
    chunk: &'a [u8],
    header: Header,
}

fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

fn take_u64(from: &mut &[u8]) -> Option<u64> {
    take(from, 8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
}

fn take_u32(from: &mut &[u8]) -> Option<u32> {
    take(from, 4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = varint::read(from)?;
    take(from, usize::try_from(len).ok()?)
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

    /// Whose record it is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry, or `None` at the end. A last chunk that was cut short is the end too: whoever wrote it was
    /// killed in the middle of it, and had sent nothing of it.
    ///
    /// # Errors
    /// When what is there is damaged.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to go on after an error")]
    pub fn next(&mut self) -> Option<Result<Entry<'a>, Damaged>> {
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
            let event = take_event(&mut rest)?;
            let before = rest;
            loop {
                let at = before.len() - rest.len();
                if rest.first() == Some(&END) {
                    rest = &rest[1..];
                    return Some(Entry { event, outputs: &before[..at], offset });
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

fn take_event<'a>(rest: &mut &'a [u8]) -> Option<Event<'a>> {
    Some(match take(rest, 1)?[0] {
        START => Event::Start { saves: varint::read(rest)?, stable: take_u64(rest)? },
        DELIVER => Event::Deliver { src: varint::read(rest)?, msg: take_text(rest)? },
        TIMEOUT => Event::Timeout { timer: take_text(rest)? },
        RANDOM => {
            Event::Random { key: std::str::from_utf8(take_text(rest)?).ok()?, index: varint::read(rest)? }
        }
        _ => return None,
    })
}

fn take_output<'a>(rest: &mut &'a [u8], last: &mut &'a [u8]) -> Option<Output<'a>> {
    Some(match take(rest, 1)?[0] {
        SAVE => Output::Save { change: take_text(rest)? },
        SEND => {
            let to = varint::read(rest)?;
            *last = take_text(rest)?;
            Output::Send { to, msg: last }
        }
        SEND_SAME => Output::Send { to: varint::read(rest)?, msg: last },
        SET_TIMER => {
            Output::SetTimer { timer: take_text(rest)?, from: varint::read(rest)?, to: varint::read(rest)? }
        }
        CANCEL_TIMER => Output::CancelTimer { timer: take_text(rest)? },
        CHOOSE => {
            Output::Choose { key: std::str::from_utf8(take_text(rest)?).ok()?, choices: varint::read(rest)? }
        }
        _ => return None,
    })
}

/// The outputs of an [`Entry`], one by one.
pub fn outputs(encoded: &[u8]) -> impl Iterator<Item = Output<'_>> {
    let (mut rest, mut last) = (encoded, &[][..]);
    std::iter::from_fn(move || take_output(&mut rest, &mut last))
}
