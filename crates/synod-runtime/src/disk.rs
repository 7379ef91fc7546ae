//! The few file operations that stable storage needs, inside one data directory.
//!
//! They are a trait so that a simulated disk ([`crate::sim_disk`]), which loses and tears what was not flushed, can
//! stand in for the real one. Nothing here is durable before it is flushed: a file's bytes by [`DiskFile::sync`],
//! and the directory's entries by [`Disk::sync`].

use crate::refusal::{Refusal, Why};
use std::fmt::Debug;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that can be read at any place.
pub trait ReadAt {
    /// The length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes at `offset`: fewer than asked for where the end is near, none at the end.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `bytes` from `offset` on, as far as there is something, and says how far.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_full_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// An open file.
pub trait DiskFile: ReadAt + Debug {
    /// Writes all of `bytes` at `offset`, making the file longer where need be.
    ///
    /// # Errors
    /// As the operating system says; any part of the bytes may then have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to `size` bytes, or makes it longer with zeros.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Makes the file's bytes and its length durable, but not its name.
    ///
    /// # Errors
    /// As the operating system says. What was written since the last flush may then be lost even if a later
    /// flush succeeds.
    fn sync(&self) -> io::Result<()>;
}

/// One data directory, which no other process uses while this lives.
pub trait Disk: Debug {
    /// An open file of it.
    type File: DiskFile;

    /// The name for messages of a file, or of the directory itself for the empty name.
    fn path(&self, name: &str) -> String;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// As the operating system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, in the place of any other of that name.
    ///
    /// # Errors
    /// As the operating system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// As the operating system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in the place of any other of that name.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable: what was created, renamed and removed.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync(&self) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let read = bytes.len().min(self.len() - from);
        bytes[..read].copy_from_slice(&self[from..from + read]);
        Ok(read)
    }
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }
}

impl DiskFile for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        // This includes the length, which is needed to read the bytes back, and leaves out times, which are not.
        self.sync_data()
    }
}

/// The name of the file whose lock says that the directory is in use. It stays empty and is never removed: to
/// remove it would let two processes lock two files of that name.
const LOCK: &str = "lock";

/// A directory of the operating system. A clone is for another thread of the process. The directory is in use until the last of them is
/// dropped.
#[derive(Debug, Clone)]
pub struct DirDisk {
    path: PathBuf,
    directory: Arc<File>,
    /// Locked as long as it is open, which the end of the process by any cause ends.
    _lock: Arc<File>,
}

impl DirDisk {
    /// Opens a data directory for this process alone. It is made where it is missing, with access for its owner
    /// only, as are the directories above it; that they are there is durable when this returns, whoever made them.
    ///
    /// # Errors
    /// [`Why::InUse`] when another process has it open, and what the operating system says otherwise.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Refusal> {
        let path = path.into();
        let shown = path.display().to_string();
        let absolute = std::path::absolute(&path).map_err(|error| Refusal::io("find", &shown, &error))?;
        make_directory(&absolute, &mut |directory| File::open(directory)?.sync_all())?;
        let directory = File::open(&path).map_err(|error| Refusal::io("open", &shown, &error))?;
        let lock = path.join(LOCK);
        let lock_shown = lock.display().to_string();
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .map_err(|error| Refusal::io("open", &lock_shown, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, directory: Arc::new(directory), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(Refusal::whole(shown, Why::InUse)),
            Err(TryLockError::Error(error)) => Err(Refusal::io("lock", lock_shown, &error)),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        assert!(!name.is_empty() && !name.contains('/'), "{name:?} is the name of a file in the directory");
        self.path.join(name)
    }
}

/// Makes a directory and those above it, and has the entry of each in the one above flushed. Those that are there already are
/// flushed too: the process that made them may have ended before it came to that.
fn make_directory(path: &Path, flush: &mut dyn FnMut(&Path) -> io::Result<()>) -> Result<(), Refusal> {
    let Some(parent) = path.parent() else { return Ok(()) };
    make_directory(parent, flush)?;
    let refuse = |doing, of: &Path, error: &io::Error| Refusal::io(doing, of.display().to_string(), error);
    let there = path.is_dir();
    if !there {
        // Nothing is made where it could not be flushed.
        File::open(parent).map_err(|error| refuse("open the directory", parent, &error))?;
        let made = DirBuilder::new().mode(0o700).create(path);
        if let Err(error) = made
            && !path.is_dir()
        {
            return Err(refuse("make the directory", path, &error));
        }
    }
    match flush(parent) {
        // Then nobody like this process can have made anything in it.
        Err(error) if there && matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => Ok(()),
        flushed => flushed.map_err(|error| refuse("flush the directory", parent, &error)),
    }
}

/// The longest file that is removed at once, in bytes.
const QUICK: u64 = 1 << 20;

/// Closes a file that has no name any more, on a thread of its own. The system gives back the blocks of a file once it has neither a name nor a
/// handle, and for a long file that takes tens of milliseconds. A crash closes it too: without a name, it never comes back.
fn close_beside(file: File) {
    // Where there can be no thread, the file is closed here.
    let _ = std::thread::Builder::new().name("removal".to_owned()).spawn(move || drop(file));
}

impl Disk for DirDisk {
    type File = File;

    fn path(&self, name: &str) -> String {
        if name.is_empty() { self.path.display().to_string() } else { self.at(name).display().to_string() }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is not text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600).open(self.at(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.at(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.at(name);
        // A file that cannot be opened can still be removed: only that takes longer then.
        let kept = File::open(&path).ok().filter(|file| file.size().is_ok_and(|size| size > QUICK));
        std::fs::remove_file(path)?;
        if let Some(file) = kept {
            close_beside(file);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_opened_once() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b/data");
        let disk = DirDisk::open(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&temporary.path().join("a")), 0o700);
        let refusal = DirDisk::open(&path).unwrap_err();
        assert_eq!(refusal.why, Why::InUse);
        assert!(refusal.to_string().contains("another process uses it"), "{refusal}");
        drop(disk);
        DirDisk::open(&path).expect("the lock ends with its holder");
    }

    #[test]
    fn what_an_earlier_process_made_and_did_not_flush_is_flushed() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let flushed = |path: &Path| {
            let mut all = Vec::new();
            make_directory(path, &mut |directory| {
                all.push(directory.to_owned());
                Ok(())
            })
            .unwrap();
            all.retain(|directory| directory.starts_with(temporary.path()));
            all
        };
        let all = [temporary.path().to_owned(), at("a"), at("a/b")];
        assert_eq!(flushed(&at("a/b/data")), all, "made here");
        assert_eq!(flushed(&at("a/b/data")), all, "made before");
        // A file that may not even be read cannot have been written to. One that was just made must be flushed.
        let denied = |_: &Path| Err(io::Error::from(PermissionDenied));
        make_directory(&at("a/b/data"), &mut { denied }).unwrap();
        let failed = |directory: &Path| if directory.ends_with("a/b") { denied(directory) } else { Ok(()) };
        let refusal = make_directory(&at("a/b/other"), &mut { failed }).unwrap_err();
        assert!(refusal.to_string().contains("cannot flush the directory"), "{refusal}");
    }

    #[test]
    fn a_file_in_the_way_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(DirDisk::open(&path).unwrap_err().why, Why::Io { .. }));
        assert!(matches!(DirDisk::open(path.join("below")).unwrap_err().why, Why::Io { .. }));
    }

    /// The files that this process has open and that have no name in a directory any more.
    fn unnamed(directory: &Path) -> Vec<PathBuf> {
        let handles = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = handles.filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok());
        open.filter(|path| path.starts_with(directory) && path.to_string_lossy().ends_with("(deleted)"))
            .collect()
    }

    #[test]
    fn a_long_file_loses_its_name_at_once_and_is_closed_after_that() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = DirDisk::open(temporary.path()).unwrap();
        for _ in 0..3 {
            let file = disk.create("long").unwrap();
            assert_eq!(file.size().unwrap(), 0, "it is not the one that was removed");
            file.set_size(4 * QUICK).unwrap();
            drop(file);
            disk.remove("long").unwrap();
            assert_eq!(disk.names().unwrap(), ["lock"]);
        }
        let mut waits = 0;
        while !unnamed(temporary.path()).is_empty() {
            waits += 1;
            assert!(waits < 3000, "its blocks are still in use: {:?}", unnamed(temporary.path()));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    #[test]
    fn files_do_what_their_names_say() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = DirDisk::open(temporary.path()).unwrap();
        assert!(disk.open("one").is_err());
        let file = disk.create("one").unwrap();
        DiskFile::write_all_at(&file, b"abc", 2).unwrap();
        file.set_size(4).unwrap();
        DiskFile::sync(&file).unwrap();
        disk.rename("one", "two").unwrap();
        disk.sync().unwrap();
        let mut bytes = [9; 8];
        assert_eq!(disk.open("two").unwrap().read_full_at(&mut bytes, 0).unwrap(), 4);
        assert_eq!(bytes, [0, 0, b'a', b'b', 9, 9, 9, 9]);
        assert_eq!(disk.names().unwrap(), ["lock", "two"]);
        disk.remove("two").unwrap();
        assert!(disk.remove("two").is_err());
        assert_eq!(disk.names().unwrap(), ["lock"]);
    }
}
