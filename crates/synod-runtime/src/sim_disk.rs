//! A disk in memory that forgets like a real one: for deterministic simulation and for tests.
//!
//! Each file holds its flushed bytes and the writes since. The directory holds its durable entries and the operations
//! since. [`SimDisk::crash`] keeps part of both, as a loss of power may. A [`SimDisk`] is a cheap handle on the
//! hardware. A process on it opens a [`SimDir`], which a crash or a kill makes useless.

use crate::disk::{Disk, DiskFile, ReadAt};
use crate::refusal::{Refusal, Why};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// The unit, in bytes, that a disk writes wholly or not at all.
pub const SECTOR: usize = 512;

/// The operations that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Any of those that change something.
    Any,
    /// [`DiskFile::write_all_at`]: half of the bytes are written before it fails.
    Write,
    /// [`DiskFile::set_size`].
    SetSize,
    /// [`DiskFile::sync`]: the file goes on to read back what was written, but no later flush makes it durable,
    /// as Linux does after a failed write-back.
    Sync,
    /// [`Disk::sync`].
    SyncDir,
    /// [`Disk::create`].
    Create,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove`].
    Remove,
    /// [`Disk::names`], [`Disk::open`], [`ReadAt::size`] and [`ReadAt::read_at`].
    Read,
}

/// A failure to come.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The operations that fail.
    pub op: Op,
    /// The number of those that succeed first.
    pub after: u64,
    /// The error of the one that fails.
    pub error: ErrorKind,
    /// True if all later ones fail too, until [`SimDisk::heal`].
    pub forever: bool,
}

/// Counts of the operations on a disk since it was made, failed ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All operations that change something.
    pub operations: u64,
    /// Writes into files.
    pub writes: u64,
    /// Bytes written into files.
    pub bytes: u64,
    /// Flushes of files.
    pub syncs: u64,
    /// Flushes of the directory.
    pub dir_syncs: u64,
}

#[derive(Debug, Clone)]
enum Write {
    At(u64, Vec<u8>),
    Size(u64),
}

impl Write {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::At(offset, bytes) => put(content, *offset as usize, bytes),
            Self::Size(size) => content.resize(*size as usize, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    // The end of a hole may be written; the hole reads as zeros.
    content.resize(content.len().max(offset + bytes.len()), 0);
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

#[derive(Debug, Default)]
struct Content {
    synced: Vec<u8>,
    pending: Vec<Write>,
    current: Vec<u8>,
}

impl Content {
    fn write(&mut self, write: Write) {
        write.apply(&mut self.current);
        self.pending.push(write);
    }

    /// Keeps what is left when the power goes.
    fn crash(&mut self, rng: &mut Rng) {
        let mut left = std::mem::take(&mut self.synced);
        match rng.u8(0..4) {
            0 => {}
            1 => self.pending.iter().for_each(|write| write.apply(&mut left)),
            2 => {
                // The first writes, the last of them up to any byte.
                let kept = rng.usize(0..=self.pending.len());
                for write in &self.pending[..kept] {
                    write.apply(&mut left);
                }
                if let Some(Write::At(offset, bytes)) = self.pending.get(kept) {
                    put(&mut left, *offset as usize, &bytes[..rng.usize(0..=bytes.len())]);
                }
            }
            _ => {
                // Each sector of each write may have reached the disk or not.
                for write in &self.pending {
                    match write {
                        Write::Size(_) if rng.bool() => write.apply(&mut left),
                        Write::Size(_) => {}
                        Write::At(offset, bytes) => {
                            let (mut from, end) = (*offset as usize, *offset as usize + bytes.len());
                            while from < end {
                                let to = end.min((from / SECTOR + 1) * SECTOR);
                                if rng.bool() {
                                    let start = *offset as usize;
                                    put(&mut left, from, &bytes[from - start..to - start]);
                                }
                                from = to;
                            }
                        }
                    }
                }
            }
        }
        self.pending.clear();
        self.current.clone_from(&left);
        self.synced = left;
    }
}

type Names = BTreeMap<String, u64>;

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, u64),
    Rename(String, String),
    Unlink(String),
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Link(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<u64, Content>,
    made: u64,
    durable: Names,
    names: Names,
    pending: Vec<NameChange>,
    /// Grows with every process that ends by force. It tells files that such a process had open from those that are open now.
    life: u64,
    locked: bool,
    faults: Vec<Fault>,
    counts: Counts,
    /// The time that a flush takes, and the time that all have taken.
    flushes: (Duration, Duration),
}

impl Inner {
    fn alive(&self, life: u64) -> io::Result<()> {
        if self.life == life {
            Ok(())
        } else {
            Err(io::Error::other("the process that had this open is gone"))
        }
    }

    /// Counts an operation, and fails it if a failure is due.
    fn attempt(&mut self, life: u64, op: Op) -> io::Result<()> {
        self.alive(life)?;
        self.counts.operations += u64::from(op != Op::Read);
        if matches!(op, Op::Sync | Op::SyncDir) {
            self.flushes.1 += self.flushes.0;
        }
        let mut failed = None;
        self.faults.retain_mut(|fault| {
            if failed.is_some() || (fault.op != op && (fault.op != Op::Any || op == Op::Read)) {
                return true;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return true;
            }
            failed = Some(fault.error);
            fault.forever
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn change(&mut self, entry: NameChange) {
        entry.apply(&mut self.names);
        self.pending.push(entry);
    }

    fn link(&mut self, name: &str) -> u64 {
        self.made += 1;
        self.files.insert(self.made, Content::default());
        self.change(NameChange::Link(name.into(), self.made));
        self.made
    }

    fn content(&mut self, file: u64) -> io::Result<&mut Content> {
        self.files.get_mut(&file).ok_or_else(|| io::Error::other("the file has no name any more"))
    }

    /// Drops the files that no name leads to.
    fn sweep(&mut self) {
        let (names, durable) = (&self.names, &self.durable);
        self.files.retain(|file, _| names.values().chain(durable.values()).any(|named| named == file));
    }
}

/// The hardware. It outlives the processes that use it, and fails on request.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panicked in here")
    }

    /// Opens the data directory for one process.
    ///
    /// # Errors
    /// [`Why::InUse`] while another [`SimDir`] lives.
    pub fn open(&self) -> Result<SimDir, Refusal> {
        let mut inner = self.inner();
        if inner.locked {
            return Err(Refusal::whole("(simulated)", Why::InUse));
        }
        inner.locked = true;
        Ok(SimDir { disk: self.clone(), life: inner.life })
    }

    /// The power goes: a random part remains of what was not flushed. The process is gone; faults stay.
    pub fn crash(&self, rng: &mut Rng) {
        let inner = &mut *self.inner();
        for content in inner.files.values_mut() {
            content.crash(rng);
        }
        let all = rng.u8(0..4);
        for entry in std::mem::take(&mut inner.pending) {
            // None, all, or any of them, in their order.
            if all == 1 || (all > 1 && rng.bool()) {
                entry.apply(&mut inner.durable);
            }
        }
        inner.names = inner.durable.clone();
        inner.life += 1;
        inner.locked = false;
        inner.sweep();
    }

    /// The process is gone, but the machine goes on: all that was written can be read, flushed or not.
    pub fn kill(&self) {
        let mut inner = self.inner();
        inner.life += 1;
        inner.locked = false;
    }

    /// Makes a later operation fail.
    pub fn fail(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    /// Takes back all faults.
    pub fn heal(&self) {
        self.inner().faults.clear();
    }

    /// Makes each flush from now on take so long, for a process whose wire is [`behind`](crate::sim::SimWire::behind) this disk.
    pub fn slow(&self, flush: Duration) {
        self.inner().flushes.0 = flush;
    }

    /// The time that all flushes have taken.
    pub fn waited(&self) -> Duration {
        self.inner().flushes.1
    }

    /// Counts of the operations so far.
    pub fn counts(&self) -> Counts {
        self.inner().counts
    }

    /// The contents of a file now, if it exists.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.inner();
        inner.names.get(name).map(|file| inner.files[file].current.clone())
    }

    /// Puts a file on the disk from outside, durably. Tests damage files and restore old copies with it.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let inner = &mut *self.inner();
        let file = inner.link(name);
        let content = Content { synced: bytes.to_vec(), pending: Vec::new(), current: bytes.to_vec() };
        inner.files.insert(file, content);
        inner.durable.insert(name.into(), file);
    }

    /// Takes a file off the disk from outside, durably.
    pub fn take(&self, name: &str) {
        let inner = &mut *self.inner();
        inner.change(NameChange::Unlink(name.into()));
        inner.durable.remove(name);
    }

    /// The names of all files now, sorted.
    pub fn names(&self) -> Vec<String> {
        self.inner().names.keys().cloned().collect()
    }
}

/// The data directory as one process has it open.
#[derive(Debug)]
pub struct SimDir {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimDir {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if inner.life == self.life {
            inner.locked = false;
        }
    }
}

/// An open file of a [`SimDir`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    life: u64,
    file: u64,
}

impl SimDir {
    fn file(&self, file: u64) -> SimFile {
        SimFile { disk: self.disk.clone(), life: self.life, file }
    }
}

impl Disk for SimDir {
    type File = SimFile;

    fn path(&self, name: &str) -> String {
        format!("(simulated)/{name}")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Read)?;
        Ok(inner.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Create)?;
        // An existing file is emptied, it is not exchanged for another.
        let file = match inner.names.get(name) {
            Some(&file) => {
                inner.content(file)?.write(Write::Size(0));
                file
            }
            None => inner.link(name),
        };
        Ok(self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Read)?;
        let file = *inner.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Rename)?;
        if !inner.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        inner.change(NameChange::Rename(from.into(), to.into()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Remove)?;
        if !inner.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        inner.change(NameChange::Unlink(name.into()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let inner = &mut *self.disk.inner();
        inner.counts.dir_syncs += 1;
        inner.attempt(self.life, Op::SyncDir)?;
        inner.durable = inner.names.clone();
        inner.pending.clear();
        inner.sweep();
        Ok(())
    }
}

impl ReadAt for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Read)?;
        Ok(inner.content(self.file)?.current.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::Read)?;
        inner.content(self.file)?.current[..].read_at(bytes, offset)
    }
}

impl DiskFile for SimFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.counts.writes += 1;
        inner.counts.bytes += bytes.len() as u64;
        let attempted = inner.attempt(self.life, Op::Write);
        inner.alive(self.life)?;
        let written = if attempted.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        let content = inner.content(self.file)?;
        content.write(Write::At(offset, written.to_vec()));
        attempted
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.attempt(self.life, Op::SetSize)?;
        inner.content(self.file)?.write(Write::Size(size));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.counts.syncs += 1;
        let attempted = inner.attempt(self.life, Op::Sync);
        inner.alive(self.life)?;
        let content = inner.content(self.file)?;
        let pending = std::mem::take(&mut content.pending);
        if attempted.is_ok() {
            for write in pending {
                write.apply(&mut content.synced);
            }
        }
        attempted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(op: Op, after: u64) -> Fault {
        Fault { op, after, error: ErrorKind::StorageFull, forever: false }
    }

    #[test]
    fn what_was_flushed_survives_and_what_was_not_may_go() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let disk = SimDisk::new();
            let dir = disk.open().unwrap();
            let file = dir.create("a").unwrap();
            file.write_all_at(b"flushed", 0).unwrap();
            file.sync().unwrap();
            dir.sync().unwrap();
            file.write_all_at(&[7; 2000], 7).unwrap();
            disk.crash(&mut Rng::with_seed(seed));
            assert!(file.size().is_err() && dir.names().is_err(), "the process is gone");
            let left = disk.read("a").expect("its name was flushed");
            assert!(left.starts_with(b"flushed"));
            match left.len() {
                7 => lost += 1,
                2007 if left[7..].iter().all(|byte| *byte == 7) => kept += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 20 && lost > 20 && torn > 20, "{kept} {lost} {torn}");
    }

    #[test]
    fn names_are_durable_only_after_a_flush_of_the_directory() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let disk = SimDisk::new();
            let dir = disk.open().unwrap();
            dir.create("old").unwrap();
            dir.sync().unwrap();
            dir.create("new.tmp").unwrap();
            dir.rename("new.tmp", "new").unwrap();
            dir.remove("old").unwrap();
            assert_eq!(disk.names(), ["new"]);
            disk.crash(&mut Rng::with_seed(seed));
            seen.insert(disk.names().join(" "));
        }
        let all = ["", "new", "new old", "new.tmp", "new.tmp old", "old"];
        assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }

    #[test]
    fn a_kill_loses_nothing_but_the_process() {
        let disk = SimDisk::new();
        let dir = disk.open().unwrap();
        assert_eq!(disk.open().unwrap_err().why, Why::InUse);
        dir.create("a").unwrap().write_all_at(b"x", 1).unwrap();
        disk.kill();
        assert!(dir.create("b").is_err());
        let next = disk.open().unwrap();
        drop(dir);
        assert!(disk.open().is_err(), "the end of the old handle does not unlock the new one");
        assert_eq!(disk.read("a").unwrap(), [0, b'x']);
        drop(next);
        disk.open().unwrap();
    }

    #[test]
    fn faults_come_when_they_are_due() {
        let disk = SimDisk::new();
        let dir = disk.open().unwrap();
        let file = dir.create("a").unwrap();
        disk.fail(full(Op::Write, 1));
        file.write_all_at(b"ab", 0).unwrap();
        assert_eq!(file.write_all_at(b"cd", 2).unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.read("a").unwrap(), b"abc", "half of it was written");
        file.write_all_at(b"cd", 2).unwrap();
        disk.fail(Fault { forever: true, ..full(Op::Any, 0) });
        assert!(file.set_size(0).is_err() && dir.create("b").is_err() && dir.rename("a", "b").is_err());
        assert!(dir.remove("a").is_err() && dir.sync().is_err());
        disk.heal();
        dir.rename("a", "b").unwrap();
        let counts = disk.counts();
        assert_eq!((counts.operations, counts.writes, counts.bytes, counts.dir_syncs), (10, 3, 6, 1));
    }

    #[test]
    fn what_a_failed_flush_lost_no_later_flush_brings_back() {
        for seed in 0..50 {
            let disk = SimDisk::new();
            let dir = disk.open().unwrap();
            let file = dir.create("a").unwrap();
            dir.sync().unwrap();
            file.write_all_at(b"ab", 0).unwrap();
            disk.fail(full(Op::Sync, 0));
            assert!(file.sync().is_err());
            file.sync().unwrap();
            assert_eq!(disk.read("a").unwrap(), b"ab", "it still reads back");
            disk.crash(&mut Rng::with_seed(seed));
            assert_eq!(disk.read("a").unwrap(), b"");
        }
    }
}
