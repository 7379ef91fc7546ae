//! A file that is written once per turn and flushed once, with its space written ahead, as the members' journals are.

use rustix::fs::fdatasync;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file's length. Writing begins again at its start when it is full: nothing here is ever read.
const LENGTH: u64 = 256 << 20;

pub struct Wal {
    file: File,
    at: u64,
    pending: Vec<u8>,
    pub flushes: u64,
}

impl Wal {
    pub fn create(path: &Path) -> io::Result<Wal> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        let zeros = vec![0; 4 << 20];
        for at in (0..LENGTH).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Wal { file, at: 0, pending: Vec::new(), flushes: 0 })
    }

    /// Adds a record to the next write.
    pub fn append(&mut self, record: &[u8]) {
        self.pending.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.pending.extend_from_slice(record);
    }

    /// Writes and flushes what was added, if anything was.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.at + self.pending.len() as u64 > LENGTH {
            self.at = 0;
        }
        self.file.write_all_at(&self.pending, self.at)?;
        fdatasync(&self.file)?;
        self.at += self.pending.len() as u64;
        self.pending.clear();
        self.flushes += 1;
        Ok(())
    }
}
