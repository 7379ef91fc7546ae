//! How each state was found, in two bytes: states are numbered in the order of their parents, so that it is enough to know
//! how many children each has, and by which step each state was found.

use rustc_hash::FxHashMap;

/// A number that did not fit into a byte.
const LARGE: u8 = u8::MAX;
/// Children are counted up to here once for so many parents.
const STRIDE: usize = 1 << 12;
/// Bytes are kept in chunks of so many, so that growing never copies them.
const CHUNK: usize = 1 << 16;

/// Small numbers, by index; the few that are large are kept aside.
#[derive(Default)]
struct Bytes {
    chunks: Vec<Vec<u8>>,
    large: FxHashMap<u32, u32>,
}

impl Bytes {
    fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    fn push(&mut self, number: u32) {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let index = self.len() as u32;
        let small = u8::try_from(number).unwrap_or(LARGE);
        if small == LARGE {
            self.large.insert(index, number);
        }
        self.chunks.last_mut().expect("there is one now").push(small);
    }

    fn get(&self, index: usize) -> u32 {
        match self.chunks[index / CHUNK][index % CHUNK] {
            LARGE => self.large[&(index as u32)],
            small => u32::from(small),
        }
    }

    fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK + self.large.capacity() * 9
    }
}

/// The way to every state.
#[derive(Default)]
pub(super) struct Origins {
    /// By which step of its parent each state was found.
    steps: Bytes,
    /// How many states were found from each; the last one may find more.
    children: Bytes,
    /// How many states were found from all before every so many of them.
    before: Vec<u32>,
    /// The state that finds at present, how many it has found, and how many all before it have.
    finder: (u32, u32, u32),
}

impl Origins {
    /// How many states there are.
    pub(super) fn len(&self) -> u32 {
        self.steps.len() as u32
    }

    /// Adds a state that was found by a step of another. The first one was found by nobody, which counts as by itself.
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
        // So many states, apart from the first, were found before this one.
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

    /// The states on the way to a state, after the first, with the steps that lead there.
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
                // Too many for a byte, and steps beyond one, too.
                255 => 700,
                _ => 2,
            };
            for step in 0..children {
                origins.push(parent, step * 3);
                expected.push((parent, step * 3));
            }
            // Whoever has no successor at all is passed by.
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
