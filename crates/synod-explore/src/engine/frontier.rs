//! The frontier: states that were found and not expanded yet, packed, first in first out. States that do not fit into the memory set aside
//! for them wait on disk.

use super::bytes::{In, Out};
use super::key::Layout;
use super::reductions::sleep::{self, Asleep};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;

/// States in a chunk.
const CHUNK: usize = 1 << 12;

struct Chunk {
    layout: Arc<Layout>,
    /// The number of its first state, and how many there are.
    first: u32,
    len: usize,
    /// The packed state vectors, each with its key if that is a hash, and with its sleep set; empty while they are on disk.
    words: Vec<u64>,
    /// The place on disk, if they are there.
    place: Option<u64>,
}

impl Chunk {
    /// Bytes in memory.
    fn bytes(&self) -> usize {
        self.words.capacity() * 8 + size_of::<Chunk>()
    }
}

/// The states from the first that was not expanded to the last that was found.
pub(super) struct Frontier {
    layout: Arc<Layout>,
    /// The words of a key and of a sleep set that wait with each state vector.
    tail: usize,
    chunks: VecDeque<Chunk>,
    next: u32,
    /// Bytes that may be in memory before chunks go to disk.
    keep: usize,
    file: Option<File>,
    /// The end of the file.
    end: u64,
}

impl Frontier {
    /// A frontier whose first state will have a number, and each a key of so many words. With a file, no more than `keep` bytes
    /// stay in memory.
    pub(super) fn new((layout, tail): (Layout, usize), first: u32, file: Option<File>, keep: usize) -> Self {
        let tail = tail + sleep::WORDS;
        Self { layout: Arc::new(layout), tail, chunks: VecDeque::new(), next: first, keep, file, end: 0 }
    }

    /// The layout in which new states are packed.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The words per state that is added now.
    pub(super) fn words(&self) -> usize {
        self.layout.words() + self.tail
    }

    /// Changes the layout of states that are added from now on, because numbers have become larger.
    pub(super) fn set_layout(&mut self, layout: Layout) {
        self.layout = Arc::new(layout);
    }

    /// True if a state vector with such numbers can be added.
    pub(super) fn overflows(&self, counts: &[u64]) -> bool {
        self.layout.overflows(counts)
    }

    /// Adds states that were packed, each with its key.
    pub(super) fn extend(&mut self, mut packed: &[u64]) {
        let width = self.words();
        while !packed.is_empty() {
            let fits = |last: &Chunk| last.len < CHUNK && Arc::ptr_eq(&last.layout, &self.layout);
            if !self.chunks.back().is_some_and(fits) {
                self.chunks.push_back(Chunk {
                    layout: Arc::clone(&self.layout),
                    first: self.next,
                    len: 0,
                    words: Vec::with_capacity(CHUNK * width),
                    place: None,
                });
            }
            let last = self.chunks.back_mut().expect("there is one now");
            let states = (CHUNK - last.len).min(packed.len() / width);
            let (now, later) = packed.split_at(states * width);
            last.words.extend_from_slice(now);
            last.len += states;
            self.next += states as u32;
            packed = later;
        }
    }

    /// A state as it would be added, with an empty sleep set.
    pub(super) fn packed(&self, vector: &[u32], key: &[u64]) -> Vec<u64> {
        let mut packed = Vec::with_capacity(self.words());
        self.layout.pack(vector, &mut packed);
        packed.extend_from_slice(&key[..self.tail - sleep::WORDS]);
        packed.extend_from_slice(&Asleep::NOBODY.as_words());
        packed
    }

    /// Reads states that are in memory, best in order.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { frontier: self, chunk: 0 }
    }

    /// Forgets the states before one, and brings some into memory.
    pub(super) fn load(&mut self, states: Range<u32>) -> io::Result<()> {
        while self.chunks.front().is_some_and(|chunk| chunk.first + chunk.len as u32 <= states.start) {
            self.chunks.pop_front();
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.chunks.iter().all(|chunk| chunk.place.is_none()) {
            self.end = 0;
        }
        for chunk in &mut self.chunks {
            if chunk.first >= states.end {
                break;
            }
            if let Some(place) = chunk.place.take() {
                chunk.words = on_disk(file, place, chunk, self.tail)?;
            }
        }
        Ok(())
    }

    /// Writes chunks that are not needed soon to disk, if there is a file and too much is in memory.
    pub(super) fn spill(&mut self, needed: u32) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut held: usize = self.chunks.iter().map(Chunk::bytes).sum();
        let full = self.chunks.len().saturating_sub(1);
        // The chunk that is needed last goes to disk first.
        for chunk in self.chunks.iter_mut().take(full).rev() {
            if held <= self.keep || chunk.first <= needed {
                break;
            }
            if chunk.place.is_some() {
                continue;
            }
            let bytes: Vec<u8> = chunk.words.iter().flat_map(|word| word.to_le_bytes()).collect();
            file.seek(SeekFrom::Start(self.end))?;
            file.write_all(&bytes)?;
            chunk.place = Some(self.end);
            self.end += bytes.len() as u64;
            held -= chunk.words.capacity() * 8;
            chunk.words = Vec::new();
        }
        Ok(())
    }

    /// True if all of these states wait here.
    pub(super) fn covers(&self, states: Range<u32>) -> bool {
        let mut next = self.chunks.front().map_or(self.next, |chunk| chunk.first);
        next <= states.start
            && states.end == self.next
            && self.chunks.iter().all(|chunk| {
                let follows = chunk.first == next;
                next = chunk.first + chunk.len as u32;
                follows
            })
            && next == self.next
    }

    /// The number of values of each column that the layout has room for.
    pub(super) fn counts(&self) -> &[u64] {
        self.layout.counts()
    }

    pub(super) fn write(&mut self, out: &mut Out) -> io::Result<()> {
        out.short(self.next)?;
        out.numbers(self.layout.counts())?;
        out.number(self.chunks.len() as u64)?;
        for chunk in &self.chunks {
            out.short(chunk.first)?;
            out.short(chunk.len as u32)?;
            let same = Arc::ptr_eq(&chunk.layout, &self.layout);
            out.numbers(if same { &[] } else { chunk.layout.counts() })?;
            match (chunk.place, &mut self.file) {
                (Some(place), Some(file)) => out.numbers(&on_disk(file, place, chunk, self.tail)?)?,
                _ => out.numbers(&chunk.words)?,
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, file: &mut In) -> io::Result<()> {
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let columns = self.layout.counts().len();
        self.next = file.short()?;
        let layout = |counts: Vec<u64>| {
            let fits = counts.len() == columns && counts.iter().all(|count| *count <= 1 << 32);
            let layout = fits.then(|| Arc::new(Layout::new(&counts, u64::BITS as u8)));
            layout.ok_or_else(|| damaged("its states have other columns"))
        };
        self.layout = layout(file.numbers()?)?;
        for _ in 0..file.len(8)? {
            let (first, len) = (file.short()?, file.short()? as usize);
            let counts = file.numbers()?;
            let layout = if counts.is_empty() { Arc::clone(&self.layout) } else { layout(counts)? };
            let words = file.numbers()?;
            if len > CHUNK || words.len() != len * (layout.words() + self.tail) {
                return Err(damaged("a row in it is cut off"));
            }
            self.chunks.push_back(Chunk { layout, first, len, words, place: None });
        }
        Ok(())
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }
}

/// The state vectors of a chunk that waits on disk.
fn on_disk(file: &mut File, place: u64, chunk: &Chunk, tail: usize) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; chunk.len * (chunk.layout.words() + tail) * 8];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut bytes)?;
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    Ok(bytes.chunks_exact(8).map(word).collect())
}

/// A state that waits.
pub(super) struct Waiting<'f> {
    pub layout: &'f Layout,
    /// True if states that are added now are packed in the same way.
    pub is_current: bool,
    pub packed: &'f [u64],
    pub key: &'f [u64],
    pub asleep: Asleep,
}

/// Reads states, and remembers the place of the last one.
pub(super) struct Reader<'f> {
    frontier: &'f Frontier,
    chunk: usize,
}

impl<'f> Reader<'f> {
    #[inline]
    fn chunk(&mut self, state: u32) -> &'f Chunk {
        let chunks = &self.frontier.chunks;
        let chunk = &chunks[self.chunk];
        if (state.wrapping_sub(chunk.first) as usize) < chunk.len {
            return chunk;
        }
        self.chunk = chunks.partition_point(|chunk| chunk.first <= state) - 1;
        &chunks[self.chunk]
    }

    /// A state that is in memory.
    #[inline]
    pub(super) fn get(&mut self, state: u32) -> Waiting<'f> {
        let chunk = self.chunk(state);
        let (words, tail) = (chunk.layout.words(), self.frontier.tail);
        let at = (state - chunk.first) as usize * (words + tail);
        let (packed, tail) = chunk.words[at..at + words + tail].split_at(words);
        let (key, asleep) = tail.split_at(tail.len() - sleep::WORDS);
        Waiting {
            layout: &chunk.layout,
            is_current: Arc::ptr_eq(&chunk.layout, &self.frontier.layout),
            packed,
            key,
            asleep: Asleep::of_words(asleep),
        }
    }

    /// Reads a state that is in memory.
    #[inline]
    pub(super) fn vector(&mut self, state: u32, vector: &mut [u32]) {
        let waiting = self.get(state);
        waiting.layout.unpack(waiting.packed, vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(n: u32) -> [u32; 3] {
        [n % 7, n, n / 3]
    }

    #[test]
    fn states_wait_on_disk_and_come_back_in_order() {
        let file = tempfile::tempfile().expect("a file");
        let counts = [7, 1 << 16, 1 << 16];
        let mut frontier = Frontier::new((Layout::new(&counts, 64), 1), 5, Some(file), 100_000);
        let mut most = 0;
        for n in 5..90_000 {
            if n == 60_000 {
                assert!(frontier.overflows(&[7, 1 << 17, 1 << 16]));
                frontier.set_layout(Layout::new(&[7, 1 << 17, 1 << 17], 64));
            }
            let packed = frontier.packed(&vector(n), &[u64::from(n) * 3]);
            frontier.extend(&packed);
            if n % 1000 == 0 {
                frontier.spill(5).expect("the disk works");
                most = most.max(frontier.bytes());
            }
        }
        assert!(most < 350_000, "{most} bytes in memory");
        assert!(frontier.end > 300_000, "{} bytes on disk", frontier.end);
        let mut found = [0; 3];
        for from in (5..90_000).step_by(500) {
            let block = from..(from + 500).min(90_000);
            frontier.load(block.clone()).expect("the disk works");
            for n in block {
                frontier.reader().vector(n, &mut found);
                assert_eq!(found, vector(n));
                assert_eq!(frontier.reader().get(n).key, [u64::from(n) * 3]);
            }
            frontier.spill(from + 500).expect("the disk works");
        }
    }
}
