//! Parent edges, in two bytes per state. States are numbered in the order of their parents, so that it is enough to know
//! how many children each has, and by which step each state was found.

use super::bytes::{In, Out};
use rustc_hash::FxHashMap;
use std::io;

/// A number that did not fit into a byte.
const LARGE: u8 = u8::MAX;
/// Sums of children are kept for every parent that is a multiple of this.
const STRIDE: usize = 1 << 12;
/// Bytes are kept in chunks of so many, so that growing never copies them.
const CHUNK: usize = 1 << 16;

/// Numbers by index, most of them small; the few large ones are kept in a map.
#[derive(Default)]
struct Bytes {
    chunks: Vec<Vec<u8>>,
    large: FxHashMap<u32, u32>,
    len: usize,
}

impl Bytes {
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn push(&mut self, number: u32) {
        let small = number.min(u32::from(LARGE)) as u8;
        if small == LARGE {
            self.large.insert(self.len as u32, number);
        }
        self.len += 1;
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(small),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(small);
                self.chunks.push(chunk);
            }
        }
    }

    fn get(&self, index: usize) -> u32 {
        match self.chunks[index / CHUNK][index % CHUNK] {
            LARGE => self.large[&(index as u32)],
            small => u32::from(small),
        }
    }

    fn write(&self, out: &mut Out) -> io::Result<()> {
        out.number(self.len as u64)?;
        self.chunks.iter().try_for_each(|chunk| out.bytes(chunk))?;
        let mut large: Vec<(u32, u32)> = self.large.iter().map(|(index, number)| (*index, *number)).collect();
        large.sort_unstable();
        out.shorts(&large.into_iter().flat_map(|(index, number)| [index, number]).collect::<Vec<_>>())
    }

    fn read(file: &mut In) -> io::Result<Self> {
        let mut bytes = Self::default();
        let len = file.len(1)?;
        while bytes.len < len {
            if bytes.len.is_multiple_of(CHUNK) {
                bytes.chunks.push(Vec::with_capacity(CHUNK));
            }
            let [byte] = file.bytes()?;
            bytes.chunks.last_mut().expect("there is one now").push(byte);
            bytes.len += 1;
        }
        bytes.large = file.shorts()?.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let mut marked = bytes.chunks.iter().flatten().enumerate().filter(|(_, byte)| **byte == LARGE);
        if marked.any(|(index, _)| !bytes.large.contains_key(&(index as u32))) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a large number in it is missing"));
        }
        Ok(bytes)
    }

    fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK + self.large.capacity() * 9
    }
}

/// The parent edges of all states.
#[derive(Default)]
pub(super) struct Origins {
    /// The step of the parent by which each state was found.
    steps: Bytes,
    /// The number of states found from each state. The last one may find more.
    children: Bytes,
    /// The number of states found from all states before each multiple of `STRIDE`.
    before: Vec<u32>,
    /// The state that finds at present, how many it has found, and how many all before it have.
    finder: (u32, u32, u32),
}

impl Origins {
    pub(super) fn write(&self, out: &mut Out) -> io::Result<()> {
        self.steps.write(out)?;
        self.children.write(out)?;
        out.shorts(&self.before)?;
        out.shorts(&[self.finder.0, self.finder.1, self.finder.2])
    }

    /// Reads edges from a file. Edges that do not lead from state to state are noticed when a path is run again.
    pub(super) fn read(&mut self, file: &mut In) -> io::Result<()> {
        (self.steps, self.children) = (Bytes::read(file)?, Bytes::read(file)?);
        self.before = file.shorts()?;
        let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let &[finder, found, before] = &file.shorts()?[..] else {
            return Err(damaged("it does not say who finds states at present"));
        };
        self.finder = (finder, found, before);
        let (mut counted, closed) = (0_u64, self.children.len() as u64);
        for at in 0..self.children.len() {
            if at.is_multiple_of(STRIDE)
                && self.before.get(at / STRIDE).map(|n| u64::from(*n)) != Some(counted)
            {
                return Err(damaged("its states do not add up"));
            }
            counted += u64::from(self.children.get(at));
        }
        let all = counted + u64::from(found) + 1;
        if closed != u64::from(finder) || counted != u64::from(before) || all != self.steps.len() as u64 {
            return Err(damaged("its states do not add up"));
        }
        Ok(())
    }

    /// The number of states.
    pub(super) fn len(&self) -> u32 {
        self.steps.len() as u32
    }

    /// Adds a state with its parent and step. The first state counts as its own parent.
    pub(super) fn push(&mut self, parent: u32, step: u32) {
        debug_assert!(parent >= self.finder.0, "states come in the order of their parents");
        while self.finder.0 < parent {
            self.close();
        }
        if self.steps.len() > 0 {
            self.finder.1 += 1;
        }
        self.steps.push(step);
    }

    /// The finder finds no more.
    fn close(&mut self) {
        let (finder, found, before) = self.finder;
        if (finder as usize).is_multiple_of(STRIDE) {
            self.before.push(before);
        }
        self.children.push(found);
        self.finder = (finder + 1, 0, before + found);
    }

    /// The state that another was found from, and the step. State 0 is its own parent.
    pub(super) fn origin(&self, state: u32) -> (u32, u32) {
        let step = self.steps.get(state as usize);
        if state == 0 {
            return (0, step);
        }
        // The number of states that were found before this one, apart from the first.
        let rank = state - 1;
        if rank >= self.finder.2 {
            return (self.finder.0, step);
        }
        let stride = self.before.partition_point(|before| *before <= rank) - 1;
        let (mut parent, mut before) = (stride * STRIDE, self.before[stride]);
        loop {
            before += self.children.get(parent);
            if before > rank {
                return (parent as u32, step);
            }
            parent += 1;
        }
    }

    /// The states on the path to a state, after the first, with the steps that lead there.
    pub(super) fn path(&self, state: u32) -> Vec<(u32, u32)> {
        let mut path = Vec::new();
        let mut at = state;
        while at != 0 {
            let (parent, step) = self.origin(at);
            path.push((at, step));
            at = parent;
        }
        path.reverse();
        path
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.steps.bytes() + self.children.bytes() + self.before.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_knows_its_origin() {
        let mut origins = Origins::default();
        let mut expected = vec![(0, 0)];
        origins.push(0, 0);
        let mut parent = 0_u32;
        let mut draw = 1_u32;
        while expected.len() < 60_000 {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let children = match draw >> 24 {
                0..60 => 0,
                // Too many for one byte, with steps beyond one byte, too.
                255 => 700,
                _ => 2,
            };
            for step in 0..children {
                origins.push(parent, step * 3);
                expected.push((parent, step * 3));
            }
            // A state without any successor is skipped.
            parent += 1 + (draw >> 8) % 2;
            parent = parent.min(expected.len() as u32 - 1);
        }
        for (state, origin) in expected.iter().enumerate() {
            assert_eq!(origins.origin(state as u32), *origin, "of {state}");
        }
        assert_eq!(origins.len() as usize, expected.len());
        let path = origins.path(59_999);
        assert_eq!(path.last().map(|(state, _)| *state), Some(59_999));
        assert!(path.windows(2).all(|w| expected[w[1].0 as usize].0 == w[0].0));
    }
}
