//! The part of a stable state that stands in a file of its own, since it is long: a journal would stand still while it is written.
//!
//! The journal names such a file, and nothing else does. The order is: the file's bytes are flushed, then its name, and only then the
//! record that names it is written; what that record supersedes is removed once the record is durable. So a crash leaves every
//! file that the journal names whole. Files that it does not name are of no use to anyone, and are removed when the
//! directory is opened.
//!
//! ```text
//! file   = header bytes
//! header = "synodsnp" version:u32 group:u32 place:u64 sum:u64 length:u64 digest:u128 check:u64
//! ```
//!
//! The digest is XXH3 with 128 bits over the bytes, and the check is XXH3 with 64 bits over the header before it.

use crate::disk::{Disk, DiskFile, ReadAt};
use crate::refusal::{Refusal, Why};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

const MAGIC: [u8; 8] = *b"synodsnp";
const VERSION: u32 = 1;
/// The length of the header in bytes.
const HEADER: usize = 64;
/// The length of the pieces that are written and flushed at a time, in bytes. A flush of the journal waits for one at most.
const PIECE: usize = 4 << 20;
const PREFIX: &str = "snapshot-";
const NEW: &str = ".new";

/// The name of bytes that stand in a file of their own. Bytes of one name are the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Apart {
    /// The group of the process that they belong to: 0 where there is one alone.
    pub group: u8,
    /// The place in the member's history that they are of.
    pub place: u64,
    /// A checksum of the history up to there.
    pub sum: u64,
    /// Their length.
    pub length: u64,
}

/// The bytes that a state names, by group: one of each at most.
pub type Named = BTreeMap<u8, Apart>;

/// Takes note that a group names these bytes now, or none.
pub fn name(named: &mut Named, group: u8, apart: Option<Apart>) {
    match apart {
        Some(apart) => named.insert(group, apart),
        None => named.remove(&group),
    };
}

impl Apart {
    /// The name of their file. That of group 0 does not say so.
    pub fn file(&self) -> String {
        let Apart { group, place, sum, .. } = self;
        let group = if *group == 0 { String::new() } else { format!("-{group:03}") };
        format!("{PREFIX}{place:020}-{sum:016x}{group}")
    }

    fn header(&self, digest: u128) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&u32::from(self.group).to_le_bytes());
        for (at, word) in [(16, self.place), (24, self.sum), (32, self.length)] {
            header[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        header[40..56].copy_from_slice(&digest.to_le_bytes());
        let check = xxh3_64(&header[..56]);
        header[56..].copy_from_slice(&check.to_le_bytes());
        header
    }
}

/// True if a file of this name is one that this module makes.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(NEW).unwrap_or(name);
    let Some((place, sum)) = name.strip_prefix(PREFIX).and_then(|name| name.split_once('-')) else {
        return false;
    };
    let (sum, group) = sum.split_once('-').unwrap_or((sum, "0"));
    let (Ok(place), Ok(sum), Ok(group)) = (place.parse(), u64::from_str_radix(sum, 16), group.parse()) else {
        return false;
    };
    Apart { group, place, sum, length: 0 }.file() == name
}

/// A file that is being written, on whatever thread.
#[derive(Debug)]
pub struct Writing<F> {
    apart: Apart,
    bytes: Arc<[u8]>,
    file: F,
    written: usize,
}

impl<F: DiskFile> Writing<F> {
    /// Makes the file, under another name for the time being.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create<D: Disk<File = F>>(disk: &D, apart: Apart, bytes: Arc<[u8]>) -> Result<Self, Refusal> {
        let name = apart.file() + NEW;
        let file = disk.create(&name).map_err(|error| Refusal::io("create", disk.path(&name), &error))?;
        Ok(Writing { apart, bytes, file, written: 0 })
    }

    /// The name of the bytes.
    pub fn apart(&self) -> Apart {
        self.apart
    }

    /// Writes the next piece and flushes it. After the last one gives the file its name and flushes that. Returns true once all of it
    /// is durable.
    ///
    /// # Errors
    /// As the operating system says. The file is then of no use.
    pub fn piece<D: Disk<File = F>>(&mut self, disk: &D) -> Result<bool, Refusal> {
        let new = self.apart.file() + NEW;
        let failed =
            |doing: &'static str| move |error: io::Error| Refusal::io(doing, disk.path(&new), &error);
        let piece = &self.bytes[self.written..self.bytes.len().min(self.written + PIECE)];
        if piece.is_empty() {
            self.file
                .write_all_at(&self.apart.header(xxh3_128(&self.bytes)), 0)
                .map_err(failed.clone()("write"))?;
            self.file.sync().map_err(failed.clone()("flush"))?;
            disk.rename(&(self.apart.file() + NEW), &self.apart.file()).map_err(failed("rename"))?;
            disk.sync().map_err(|error| Refusal::io("flush the directory", disk.path(""), &error))?;
            return Ok(true);
        }
        self.file.write_all_at(piece, (HEADER + self.written) as u64).map_err(failed.clone()("write"))?;
        self.file.sync().map_err(failed("flush"))?;
        self.written += piece.len();
        Ok(false)
    }

    /// Writes all that is left.
    ///
    /// # Errors
    /// As [`Writing::piece`].
    pub fn finish<D: Disk<File = F>>(mut self, disk: &D) -> Result<Apart, Refusal> {
        while !self.piece(disk)? {}
        Ok(self.apart)
    }
}

/// Reads back the bytes that the journal names.
///
/// # Errors
/// When they are gone or not as they were written, and as the operating system says.
pub(crate) fn read<D: Disk>(disk: &D, apart: &Apart) -> Result<Arc<[u8]>, Refusal> {
    let shown = disk.path(&apart.file());
    let file = disk.open(&apart.file()).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Refusal::whole(&shown, Why::Damaged("the journal names it, and it is gone".into()))
        }
        _ => Refusal::io("open", &shown, &error),
    })?;
    let failed = |error: io::Error| Refusal::io("read", &shown, &error);
    let size = file.size().map_err(failed)?;
    if size != HEADER as u64 + apart.length {
        let what =
            format!("{size} bytes, and not the {} that the journal tells of", HEADER as u64 + apart.length);
        return Err(Refusal::damaged(&shown, 0, what));
    }
    let mut header = [0; HEADER];
    file.read_full_at(&mut header, 0).map_err(failed)?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, apart.length as usize).collect();
    let whole = Arc::get_mut(&mut bytes).expect("it was just made");
    file.read_full_at(whole, HEADER as u64).map_err(failed)?;
    if header != apart.header(xxh3_128(&bytes)) {
        return Err(Refusal::damaged(&shown, 0, "its checksum is wrong"));
    }
    Ok(bytes)
}

/// Removes a file that nothing names any more.
///
/// # Errors
/// As the operating system says.
pub(crate) fn remove<D: Disk>(disk: &D, apart: &Apart) -> Result<(), Refusal> {
    disk.remove(&apart.file()).map_err(|error| Refusal::io("remove", disk.path(&apart.file()), &error))
}

/// Removes the files that the journal does not name: a crash left them.
///
/// # Errors
/// As the operating system says.
pub(crate) fn tidy<D: Disk>(disk: &D, named: &Named) -> Result<(), Refusal> {
    let named: Vec<String> = named.values().map(Apart::file).collect();
    let names = disk.names().map_err(|error| Refusal::io("list", disk.path(""), &error))?;
    for name in names.iter().filter(|name| is_ours(name) && !named.contains(*name)) {
        disk.remove(name).map_err(|error| Refusal::io("remove", disk.path(name), &error))?;
    }
    Ok(())
}
