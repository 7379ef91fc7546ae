//! Numbers in a file. A checksum stands at the end and is compared before anything is read; the reader never takes more numbers than the
//! file has bytes for.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Bytes of the checksum.
const CHECKSUM: u64 = 16;
/// The bytes read at a time to compute a checksum.
const BLOCK: usize = 1 << 16;

/// Writes numbers.
pub(super) struct Out {
    file: BufWriter<File>,
    checksum: Xxh3,
}

impl Out {
    pub(super) fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(BLOCK, file), checksum: Xxh3::new() }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.file.write_all(bytes)
    }

    pub(super) fn number(&mut self, number: u64) -> io::Result<()> {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn short(&mut self, number: u32) -> io::Result<()> {
        self.bytes(&number.to_le_bytes())
    }

    /// A length, and then so many numbers.
    pub(super) fn numbers(&mut self, numbers: &[u64]) -> io::Result<()> {
        self.number(numbers.len() as u64)?;
        numbers.iter().try_for_each(|number| self.number(*number))
    }

    /// A length, and then so many numbers.
    pub(super) fn shorts(&mut self, numbers: &[u32]) -> io::Result<()> {
        self.number(numbers.len() as u64)?;
        numbers.iter().try_for_each(|number| self.short(*number))
    }

    /// A length, and then so many bytes.
    pub(super) fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.number(text.len() as u64)?;
        self.bytes(text)
    }

    /// A length, and then a byte each.
    pub(super) fn flags(&mut self, flags: &[bool]) -> io::Result<()> {
        self.number(flags.len() as u64)?;
        flags.iter().try_for_each(|flag| self.bytes(&[u8::from(*flag)]))
    }

    /// The checksum; everything is on the disk afterwards.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let checksum = self.checksum.digest128().to_le_bytes();
        self.file.write_all(&checksum)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

/// Reads numbers.
pub(super) struct In {
    file: BufReader<File>,
    /// The bytes before the checksum that were not read yet.
    left: u64,
}

/// The complaint about a file whose checksum is right, or the error of reading it.
fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl In {
    /// Opens a file and compares its checksum.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let left = file.metadata()?.len().checked_sub(CHECKSUM).ok_or_else(|| damaged("it is too short"))?;
        let (mut checksum, mut block) = (Xxh3::new(), vec![0; BLOCK]);
        let mut unread = left;
        while unread > 0 {
            let part = usize::try_from(unread).unwrap_or(BLOCK).min(BLOCK);
            file.read_exact(&mut block[..part])?;
            checksum.update(&block[..part]);
            unread -= part as u64;
        }
        let mut expected = [0; CHECKSUM as usize];
        file.read_exact(&mut expected)?;
        if checksum.digest128().to_le_bytes() != expected {
            return Err(damaged("its checksum is wrong: it was cut off or changed"));
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file: BufReader::with_capacity(BLOCK, file), left })
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.left = self.left.checked_sub(N as u64).ok_or_else(|| damaged("it ends too early"))?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn number(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    pub(super) fn short(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    /// A length of things of so many bytes each, which the file must have.
    pub(super) fn len(&mut self, each: u64) -> io::Result<usize> {
        let len = self.number()?;
        let fits = len.checked_mul(each).is_some_and(|bytes| bytes <= self.left);
        let len = usize::try_from(len).ok().filter(|_| fits);
        len.ok_or_else(|| damaged("a length in it is larger than the file"))
    }

    pub(super) fn numbers(&mut self) -> io::Result<Vec<u64>> {
        (0..self.len(8)?).map(|_| self.number()).collect()
    }

    pub(super) fn shorts(&mut self) -> io::Result<Vec<u32>> {
        (0..self.len(4)?).map(|_| self.short()).collect()
    }

    pub(super) fn text(&mut self) -> io::Result<Vec<u8>> {
        (0..self.len(1)?).map(|_| self.bytes().map(|[byte]| byte)).collect()
    }

    pub(super) fn flags(&mut self) -> io::Result<Vec<bool>> {
        Ok(self.text()?.into_iter().map(|byte| byte != 0).collect())
    }

    /// A number below a limit.
    pub(super) fn below(&mut self, limit: u32) -> io::Result<u32> {
        let number = self.short()?;
        if number < limit { Ok(number) } else { Err(damaged("a number in it is too large")) }
    }
}
