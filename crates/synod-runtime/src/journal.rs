//! A small append-only journal: batches of records, each made durable by one write and one flush.
//!
//! A data directory has one live file `journal-N`. It starts with an opening (the state that a snapshot needs) and goes on with
//! batches. The journal fills space with zeros well ahead, so that most flushes leave the file's length and blocks as they
//! are and only write the batch. Compaction writes `journal-(N+1)` under another name, in pieces between the batches, flushes it, gives it its
//! name, flushes the directory, and only then removes the old file. The journal does not know what records mean.
//!
//! The file `identity` says in words whose directory this is. It also says that there was a journal, so a journal that is gone is
//! noticed. `journal/recovery.rs` argues what a crash may leave and what is damage.

mod format;
mod recovery;

use crate::disk::{Disk, DiskFile, ReadAt};
use crate::refusal::{Refusal, Why};
use format::{HEAD, HEADER, Header, NoHeader};
use recovery::{Stop, Tail};
use std::io;
use std::ops::Range;

/// The owner of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The tag of the cluster.
    pub cluster: u64,
    /// The id of the member.
    pub member: u64,
}

/// The sizes a journal works with, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The journal makes space in multiples of this. At least 1.
    pub chunk: u64,
    /// A batch of at least this length brings no zeros: writing them would cost as much as they save.
    pub large: u64,
    /// The longest batch that is accepted; at most 1 GiB.
    pub batch: u64,
    /// The live file is not compacted below this length.
    pub compact_above: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { chunk: 1 << 20, large: 32 << 10, batch: 256 << 20, compact_above: 64 << 20 }
    }
}

/// The state in which [`Journal::open`] found a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The directory had no journal, and now has one.
    pub created: bool,
    /// The name of the live file.
    pub file: String,
    /// The number of its batches, the opening's included.
    pub batches: u64,
    /// The length in bytes of a torn batch that was cut off the file's end. It had never been acknowledged.
    pub cut: u64,
}

/// Counts of a journal's work since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches made durable.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of those batches as written, without the zeros ahead.
    pub bytes: u64,
    /// Flushes of files, of which each batch takes one.
    pub flushes: u64,
    /// Compactions done.
    pub compactions: u64,
}

const IDENTITY: &str = "identity";
const NEW: &str = ".new";
/// The shortest payload of an opening's frame that is written out, in bytes.
const OPENING_FRAME: usize = 1 << 20;
/// The longest buffer that is kept from batch to batch, in bytes.
const KEPT_BUFFER: usize = 4 << 20;

fn name(number: u64) -> String {
    format!("journal-{number:08}")
}

/// The journal of a data directory, open for appending.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    disk: D,
    file: D::File,
    header: Header,
    limits: Limits,
    tail: Tail,
    /// The length of the file: it has zeros from the tail's end to here.
    allocated: u64,
    /// Room for a head, followed by the payload of the batch so far.
    batch: Vec<u8>,
    records: u64,
    stopped: bool,
    counts: Counts,
}

/// The start of a new journal file, while it is being written.
#[derive(Debug)]
pub struct Opening<D: Disk> {
    name: String,
    /// Its name in messages.
    shown: String,
    file: D::File,
    header: Header,
    tail: Tail,
    batch: Vec<u8>,
}

impl<D: Disk> Opening<D> {
    fn create(disk: &D, header: Header) -> Result<Self, Refusal> {
        let name = name(header.file) + NEW;
        let shown = disk.path(&name);
        let file = disk.create(&name).map_err(|error| Refusal::io("create", &shown, &error))?;
        Ok(Self { name, shown, file, header, tail: Tail::start(&header), batch: vec![0; HEAD] })
    }

    fn failed(&self, doing: &'static str, error: &io::Error) -> Refusal {
        Refusal::io(doing, &self.shown, error)
    }

    /// The length so far, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.tail.end + (self.batch.len() - HEAD) as u64
    }

    /// Adds the records of a batch, as [`Journal::payload`] gave them.
    pub(crate) fn batch(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        self.batch.extend_from_slice(payload);
        if self.batch.len() >= OPENING_FRAME { self.write() } else { Ok(()) }
    }

    /// Writes and flushes what came so far, so that the last flush has little to do.
    pub(crate) fn flush(&mut self) -> Result<(), Refusal> {
        if self.batch.len() > HEAD {
            self.write()?;
        }
        self.file.sync().map_err(|error| self.failed("flush", &error))
    }

    /// Adds a record, of less than 4 GiB.
    ///
    /// # Errors
    /// When a batch that is now full cannot be written.
    pub fn record(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Refusal> {
        format::record(&mut self.batch, fill);
        if self.batch.len() >= OPENING_FRAME { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Refusal> {
        self.tail.number += 1;
        self.tail.seal =
            format::complete(&mut self.batch, self.tail.number, self.tail.seal, self.header.seed());
        self.file
            .write_all_at(&self.batch, self.tail.end)
            .map_err(|error| Refusal::io("write", &self.shown, &error))?;
        self.tail.last = self.tail.end;
        self.tail.end += self.batch.len() as u64;
        self.batch.clear();
        self.batch.resize(HEAD, 0);
        Ok(())
    }

    /// Makes the file durable under its name.
    fn finish(mut self, disk: &D) -> Result<(D::File, Header, Tail), Refusal> {
        if self.batch.len() > HEAD {
            self.write()?;
        }
        self.header.opening = self.tail.end;
        self.file.write_all_at(&self.header.encode(), 0).map_err(|error| self.failed("write", &error))?;
        self.file.sync().map_err(|error| self.failed("flush", &error))?;
        let named = name(self.header.file);
        disk.rename(&self.name, &named).map_err(|error| self.failed("rename", &error))?;
        sync_directory(disk)?;
        Ok((self.file, self.header, self.tail))
    }
}

fn sync_directory<D: Disk>(disk: &D) -> Result<(), Refusal> {
    disk.sync().map_err(|error| Refusal::io("flush the directory", disk.path(""), &error))
}

/// Reads and checks the header of the journal file `number`.
fn header_of<F: ReadAt + ?Sized>(file: &F, shown: &str, number: Option<u64>) -> Result<Header, Refusal> {
    let mut bytes = [0; HEADER];
    let read = file.read_full_at(&mut bytes, 0).map_err(|error| Refusal::io("read", shown, &error))?;
    let header = Header::decode(&bytes[..read]).map_err(|no| match no {
        NoHeader::Short => Refusal::damaged(shown, read as u64, "the file ends within its header"),
        NoHeader::Magic => Refusal::damaged(shown, 0, "no journal begins like this"),
        NoHeader::Version(version) => {
            Refusal { why: Why::Version(version), file: shown.into(), offset: Some(8) }
        }
        NoHeader::Check => Refusal::damaged(shown, 0, "the header's checksum is wrong"),
    })?;
    match number {
        Some(number) if header.file != number => {
            Err(Refusal::damaged(shown, 0, format!("it was written as {}", name(header.file))))
        }
        _ => Ok(header),
    }
}

fn refuse_foreign(header: &Header, who: Identity, shown: &str) -> Result<(), Refusal> {
    let (cluster, member) = (header.cluster, header.member);
    if (cluster, member) == (who.cluster, who.member) {
        return Ok(());
    }
    Err(Refusal::whole(shown, Why::Foreign { cluster, member, expected: (who.cluster, who.member) }))
}

fn stop(stop: Stop, shown: &str) -> Refusal {
    match stop {
        Stop::Io(error) => Refusal::io("read", shown, &error),
        Stop::Damaged(offset, what) => Refusal::damaged(shown, offset, what),
    }
}

/// Reads any bytes as a journal file, whoever's it is. Hands out its records, and returns the length in bytes of a torn
/// batch at its end. This is all that recovery does with the bytes of a file.
///
/// # Errors
/// As [`Journal::open`] for damage and versions.
pub fn examine(bytes: &[u8], on_record: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<u64, Refusal> {
    let shown = "(bytes)";
    let header = header_of(bytes, shown, None)?;
    let (_, cut) = recovery::replay(bytes, &header, on_record).map_err(|why| stop(why, shown))?;
    Ok(cut)
}

/// Reads any bytes as the payload of a batch, so that checksums are not in the way.
///
/// # Errors
/// Says what is wrong with the payload, or what `on_record` says.
pub fn examine_batch(
    mut payload: &[u8],
    on_record: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    while let Some(record) = format::next_record(&mut payload) {
        on_record(record?)?;
    }
    Ok(())
}

impl<D: Disk> Journal<D> {
    /// Opens the journal of a data directory, hands out all its records, and finishes what a crash left half done. If
    /// there never was a journal, it makes one with `disk_id` and what `open` writes, and hands that out.
    ///
    /// # Errors
    /// When the journal is damaged, another's, of another version or gone; when a record is refused by
    /// `on_record`; and as the operating system says.
    ///
    /// # Panics
    /// When the limits are out of their bounds.
    pub fn open(
        disk: D,
        who: Identity,
        disk_id: u64,
        limits: Limits,
        open: impl FnOnce(&mut Opening<D>) -> Result<(), Refusal>,
        on_record: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(Self, Found), Refusal> {
        assert!(limits.chunk > 0 && limits.batch <= format::MAX_PAYLOAD, "limits in bounds: {limits:?}");
        let names = disk.names().map_err(|error| Refusal::io("list", disk.path(""), &error))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        let identity = names.iter().any(|name| name == IDENTITY);
        let created = numbers.is_empty();
        let live = match numbers[..] {
            // The identity is written after the first journal is durable. Where it exists, there was a journal.
            [] if identity => return Err(Refusal::whole(disk.path(""), Why::Lost)),
            [] => {
                let Identity { cluster, member } = who;
                let header = Header { cluster, member, disk: disk_id, file: 1, opening: 0 };
                let mut opening = Opening::create(&disk, header)?;
                open(&mut opening)?;
                opening.finish(&disk)?;
                1
            }
            [live] => live,
            // Both exist when a compaction ended between a rename and a removal. Nothing was appended since.
            [old, live] if old.checked_add(1) == Some(live) => live,
            [first, second, ..] => {
                let what = format!("it stands beside {}, which no crash explains", name(second));
                return Err(Refusal::damaged(disk.path(&name(first)), 0, what));
            }
        };
        let shown = disk.path(&name(live));
        let file = disk.open(&name(live)).map_err(|error| Refusal::io("open", &shown, &error))?;
        let header = header_of(&file, &shown, Some(live))?;
        refuse_foreign(&header, who, &shown)?;
        if let [old, _] = numbers[..] {
            let shown = disk.path(&name(old));
            let file = disk.open(&name(old)).map_err(|error| Refusal::io("open", &shown, &error))?;
            let old = header_of(&file, &shown, Some(old))?;
            if (Header { file: live, opening: header.opening, ..old }) != header {
                return Err(Refusal::damaged(shown, 0, "it stands beside a journal of another directory"));
            }
        }
        if identity {
            check_identity(&disk, &header)?;
        }
        let (tail, cut) = recovery::replay(&file, &header, on_record).map_err(|why| stop(why, &shown))?;
        rewrite_end(&file, &tail, &header)
            .map_err(|error| Refusal::io("write the end again", &shown, &error))?;
        let allocated = file.size().map_err(|error| Refusal::io("measure", &shown, &error))?;
        tidy(&disk, live)?;
        if !identity {
            write_identity(&disk, &header)?;
        }
        let found = Found { created, file: shown, batches: tail.number, cut };
        let counts = Counts::default();
        let batch = vec![0; HEAD];
        let journal =
            Self { disk, file, header, limits, tail, allocated, batch, records: 0, stopped: false, counts };
        Ok((journal, found))
    }

    /// The id of the data directory.
    pub fn disk_id(&self) -> u64 {
        self.header.disk
    }

    /// The data directory.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Counts of the work done since it was opened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The length of the live file as far as it is written, in bytes.
    pub fn bytes(&self) -> u64 {
        self.tail.end
    }

    /// Adds a record to the batch, as `fill` writes it. Returns the place of its bytes for [`Journal::batched`].
    pub fn record(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        self.records += 1;
        format::record(&mut self.batch, fill)
    }

    /// Bytes of the batch that is not yet durable. [`Journal::commit`] ends their life.
    ///
    /// # Panics
    /// When the range is not one that [`Journal::record`] gave for this batch, or within one.
    pub fn batched(&self, range: Range<usize>) -> &[u8] {
        &self.batch[range]
    }

    /// The length of the batch that is not yet durable, in bytes.
    pub fn pending(&self) -> u64 {
        (self.batch.len() - HEAD) as u64
    }

    fn failed(&mut self, doing: &'static str, error: &io::Error) -> Refusal {
        self.stopped = true;
        Refusal { offset: Some(self.tail.end), ..Refusal::io(doing, self.path(), error) }
    }

    fn path(&self) -> String {
        self.disk.path(&name(self.header.file))
    }

    /// Refuses every later call: something that the batch rests on could not be made durable.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    fn refuse_if_stopped(&self) -> Result<(), Refusal> {
        if self.stopped { Err(Refusal::whole(self.path(), Why::Stopped)) } else { Ok(()) }
    }

    /// Makes the batch durable, with one write and one flush. Does nothing without a record.
    ///
    /// # Errors
    /// When the batch is too large, or cannot be written or flushed. Whether it is durable is then not known, and
    /// every later call is refused.
    pub fn commit(&mut self) -> Result<(), Refusal> {
        self.refuse_if_stopped()?;
        if self.records == 0 {
            return Ok(());
        }
        if self.pending() > self.limits.batch {
            self.stopped = true;
            let why = Why::TooLarge { bytes: self.pending(), max: self.limits.batch };
            return Err(Refusal::whole(self.path(), why));
        }
        let number = self.tail.number + 1;
        let seal = format::complete(&mut self.batch, number, self.tail.seal, self.header.seed());
        let length = self.batch.len() as u64;
        let end = self.tail.end + length;
        if end > self.allocated {
            // The zeros go with the batch: they need no flush of their own, and come once in many batches.
            let chunk = if length < self.limits.large { self.limits.chunk } else { 1 };
            self.allocated = end.next_multiple_of(chunk);
            self.batch.resize((self.allocated - self.tail.end) as usize, 0);
        }
        if let Err(error) = self.file.write_all_at(&self.batch, self.tail.end) {
            return Err(self.failed("write", &error));
        }
        self.flush()?;
        self.tail = Tail { last: self.tail.end, end, number, seal };
        self.counts.batches += 1;
        self.counts.records += std::mem::take(&mut self.records);
        self.counts.bytes += length;
        self.batch.truncate(HEAD);
        self.batch.shrink_to(KEPT_BUFFER);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        self.counts.flushes += 1;
        self.file.sync().map_err(|error| self.failed("flush", &error))
    }

    /// True if the live file has become long compared with what its opening needed.
    pub fn wants_compaction(&self) -> bool {
        self.tail.end > self.limits.compact_above.max(2 * self.header.opening)
    }

    /// The records of the batch that is not yet durable, for [`Opening::batch`].
    pub(crate) fn payload(&self) -> &[u8] {
        &self.batch[HEAD..]
    }

    /// Makes a new file, to move on to once it says all that the present one says.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn next(&self) -> Result<Opening<D>, Refusal> {
        self.refuse_if_stopped()?;
        Opening::create(&self.disk, Header { file: self.header.file + 1, ..self.header })
    }

    /// Moves on to a new file.
    ///
    /// # Errors
    /// As the operating system says. Every later call is then refused; what was durable still is.
    ///
    /// # Panics
    /// When there is a batch that was not committed.
    pub(crate) fn move_on(&mut self, opening: Opening<D>) -> Result<(), Refusal> {
        assert!(self.records == 0, "a compaction comes after a commit");
        // Only a run to the end without a failure takes this back.
        self.stopped = true;
        let old = name(self.header.file);
        let (file, header, tail) = opening.finish(&self.disk)?;
        self.counts.flushes += 1;
        (self.file, self.header, self.tail, self.allocated) = (file, header, tail, tail.end);
        remove(&self.disk, &old)?;
        sync_directory(&self.disk)?;
        self.counts.compactions += 1;
        self.stopped = false;
        Ok(())
    }
}

fn remove<D: Disk>(disk: &D, name: &str) -> Result<(), Refusal> {
    disk.remove(name).map_err(|error| Refusal::io("remove", disk.path(name), &error))
}

/// Cuts what a torn write left, and writes the last batch again.
///
/// The last batch may be one whose flush failed before the process was restarted. The kernel may still read it
/// back although it never reached the disk and no later flush would write it. The same goes for the end itself: what was cut off before
/// may still be there. Everything before was durable.
fn rewrite_end<F: DiskFile>(file: &F, tail: &Tail, header: &Header) -> io::Result<()> {
    // The size is set twice, so that the second call is a change whatever the kernel believes the length to be.
    file.set_size(tail.end + 1)?;
    file.set_size(tail.end)?;
    if tail.last >= header.opening {
        let mut frame = vec![0; (tail.end - tail.last) as usize];
        file.read_full_at(&mut frame, tail.last)?;
        file.write_all_at(&frame, tail.last)?;
    }
    file.sync()
}

/// The number of a journal file, if the name has one. No honest number comes near the bound, and none overflows below it.
fn number(text: &str) -> Option<u64> {
    let number = text.strip_prefix("journal-")?.parse().ok()?;
    (number < 1 << 62 && name(number) == text).then_some(number)
}

/// Removes what an interrupted compaction or creation left, and makes the names durable that are relied upon from now on.
fn tidy<D: Disk>(disk: &D, live: u64) -> Result<(), Refusal> {
    // The last process may have ended between giving the live file its name and making that name durable. Until it
    // is durable, a crash could keep no more than the removal of the old file.
    sync_directory(disk)?;
    let names = disk.names().map_err(|error| Refusal::io("list", disk.path(""), &error))?;
    let left: Vec<&String> = names
        .iter()
        .filter(|name| {
            let unfinished =
                name.strip_suffix(NEW).is_some_and(|name| name == IDENTITY || number(name).is_some());
            unfinished || number(name).is_some_and(|number| number < live)
        })
        .collect();
    for name in &left {
        remove(disk, name)?;
    }
    if left.is_empty() { Ok(()) } else { sync_directory(disk) }
}

fn identity_text(header: &Header) -> String {
    format!(
        "data directory of synod\ncluster {:016x}\nmember {}\ndisk {:016x}\n",
        header.cluster, header.member, header.disk
    )
}

fn check_identity<D: Disk>(disk: &D, header: &Header) -> Result<(), Refusal> {
    let shown = disk.path(IDENTITY);
    let expected = identity_text(header);
    let mut bytes = vec![0; expected.len() + 1];
    let read = disk
        .open(IDENTITY)
        .and_then(|file| file.read_full_at(&mut bytes, 0))
        .map_err(|error| Refusal::io("read", &shown, &error))?;
    if bytes[..read] == *expected.as_bytes() {
        return Ok(());
    }
    let what = format!("{} is not the journal of this directory", name(header.file));
    Err(Refusal::damaged(shown, 0, what))
}

fn write_identity<D: Disk>(disk: &D, header: &Header) -> Result<(), Refusal> {
    let new = format!("{IDENTITY}{NEW}");
    let written = || {
        let file = disk.create(&new)?;
        file.write_all_at(identity_text(header).as_bytes(), 0)?;
        file.sync()?;
        disk.rename(&new, IDENTITY)?;
        disk.sync()
    };
    written().map_err(|error| Refusal::io("write", disk.path(IDENTITY), &error))
}
