//! Packs states for the frontier and reads them ahead. Most of the time of either is spent waiting for memory, so many loads are started
//! together.

use super::door::Door;
use super::expand::{Candidate, Candidates, Expanding, Kind, aged, append};
use super::frontier::{Frontier, Reader};
use super::intern::pair;
use super::key::{Key, Layout};
use super::memoise::{Reading, Source};
use super::reductions::sleep::{self, Asleep};
use super::scheme::Scheme;
use super::tables::{Miss, Tables};
use super::views::{Effect, How, Step};
use std::sync::atomic::Ordering;

/// States that are read together, or packed.
const WINDOW: usize = 32;
/// Fewer views than these are in the cache anyway.
const LARGE: usize = 1 << 11;

/// Some of the states that are being expanded, read ahead.
pub(super) struct Window<K> {
    width: usize,
    vectors: Vec<u32>,
    /// Their numbers, keys and sleep sets.
    states: Vec<(u32, K, Asleep)>,
    /// The number of packed states that were taken out again.
    taken: usize,
    /// True if steps that sleep need not be followed.
    sleeping: bool,
}

impl<K: Key> Window<K> {
    pub(super) fn new(width: usize, sleeping: bool) -> Self {
        Self {
            width,
            sleeping,
            vectors: vec![0; WINDOW * width],
            states: Vec::with_capacity(WINDOW),
            taken: 0,
        }
    }

    /// The next state; it is the first of those that come. All of them come in turn.
    #[inline]
    pub(super) fn read<S: Scheme<Key = K>>(
        &mut self,
        tables: &Tables,
        scheme: &S,
        reader: &mut Reader<'_>,
        coming: impl Iterator<Item = u32>,
    ) -> Expanding<'_, K> {
        if self.taken == self.states.len() {
            self.taken = 0;
            self.states.clear();
            for (state, vector) in coming.zip(self.vectors.chunks_exact_mut(self.width)) {
                let waiting = reader.get(state);
                waiting.layout.unpack(waiting.packed, vector);
                let key = if S::HASHED || waiting.is_current {
                    S::waiting(waiting.packed, waiting.key)
                } else {
                    scheme.key(&tables.columns, vector)
                };
                let asleep = if self.sleeping { waiting.asleep } else { Asleep::NOBODY };
                self.states.push((state, key, asleep));
            }
            self.ask_for(tables);
        }
        let (number, key, asleep) = self.states[self.taken];
        let vector = &self.vectors[self.taken * self.width..][..self.width];
        self.taken += 1;
        Expanding { number, vector, key, asleep }
    }

    /// Reads the places that expanding them will read, so that the memory fetches all of them at the same time.
    fn ask_for(&self, tables: &Tables) {
        let mut asked = 0;
        let large = |column: &usize| tables.columns[*column].len() > LARGE;
        for column in (0..tables.movers()).filter(large) {
            let steps = &tables.columns[column].steps;
            let views = || {
                self.vectors
                    .chunks_exact(self.width)
                    .take(self.states.len())
                    .map(|vector| vector[column] as usize)
            };
            asked ^= views().fold(0, |asked, view| asked ^ steps[view].1);
            for view in views() {
                asked ^= tables.steps.hot.get(steps[view].0 as usize).map_or(0, |step| step.note);
            }
        }
        std::hint::black_box(asked);
    }
}

/// Packs the new states of a buffer, as far as nothing is missing.
pub(super) fn pack<S: Scheme>(
    (tables, door): (&Tables, &dyn Door),
    frontier: &Frontier,
    buffer: &mut Candidates<S::Key>,
    with_vectors: bool,
) {
    let Candidates { keys, found, vectors, new, fresh, packed, missed, .. } = buffer;
    let (words, width) = (frontier.layout().words(), frontier.words());
    // Each waiting state vector carries its key, if that is a hash, and its sleep set.
    let hash = width - words - sleep::WORDS;
    packed.clear();
    missed.clear();
    // The processor cannot predict this condition, so there is no branch on it.
    fresh.resize(found.len(), 0);
    let mut count = 0;
    for (at, (one, new)) in found.iter().zip(&*new).enumerate() {
        fresh[count] = at as u32;
        count += usize::from(new.load(Ordering::Relaxed) | !one.is_successor());
    }
    fresh.truncate(count);
    let fresh = fresh.iter().map(|at| *at as usize).filter(|at| found[*at].is_successor());
    if with_vectors {
        let mut vectors = vectors.chunks_exact(tables.width());
        let successors = found.iter().zip(&*keys).zip(&*new).filter(|((one, _), _)| one.is_successor());
        for ((_, key), new) in successors {
            let vector = vectors.next().expect("each successor has a row");
            if new.load(Ordering::Relaxed) {
                frontier.layout().pack(vector, packed);
                packed.extend_from_slice(&key.as_words()[..hash]);
                packed.extend_from_slice(&Asleep::NOBODY.as_words());
            }
        }
    } else if S::HASHED {
        let mut successor = Packing::new(frontier, tables.width());
        let (fresh, mut homes): (Vec<usize>, _) = (fresh.collect(), Vec::new());
        packed.resize(fresh.len() * width, 0);
        for (fresh, (packed, n)) in fresh.chunks(WINDOW).zip(packed.chunks_mut(WINDOW * width).zip(0..)) {
            homes.clear();
            for (at, packed) in fresh.iter().zip(packed.chunks_exact_mut(width)) {
                let asleep = successor.start(tables, &found[*at], packed, &mut homes);
                packed[words..words + hash].copy_from_slice(&keys[*at].as_words()[..hash]);
                packed[words + hash..].copy_from_slice(&asleep.as_words());
            }
            // Loads that follow each other directly are fetched at the same time.
            let ask_for = |(column, home): &(usize, usize)| tables.columns[*column].appends.ask_for(*home);
            std::hint::black_box(homes.iter().fold(0, |asked, home| asked ^ ask_for(home)));
            for (index, (at, packed)) in fresh.iter().zip(packed.chunks_exact_mut(width)).enumerate() {
                if successor.finish(&mut Reading { tables, door }, &found[*at], packed).is_err() {
                    missed.extend([*at as u32, ((n * WINDOW + index) * width) as u32]);
                }
            }
        }
    } else {
        let mut reader = frontier.reader();
        for at in fresh {
            packed.extend_from_slice(&keys[at].as_words()[..words]);
            let Kind::Successor { step, .. } = found[at].kind() else { unreachable!("only rows are packed") };
            let parent = reader.get(found[at].parent);
            let history = parent.layout.get(parent.packed, tables.history_column());
            packed.extend_from_slice(&parent.asleep.after(tables, step, history).as_words());
        }
    }
}

/// Makes packed state vectors of those of the parents.
pub(super) struct Packing<'f> {
    layout: &'f Layout,
    reader: Reader<'f>,
    vector: Vec<u32>,
}

impl<'f> Packing<'f> {
    pub(super) fn new(frontier: &'f Frontier, width: usize) -> Self {
        Self { layout: frontier.layout(), reader: frontier.reader(), vector: vec![0; width] }
    }

    /// Starts to pack a successor. Adds the places of the look-ups that it needs, and returns its sleep set.
    #[inline]
    pub(super) fn start(
        &mut self,
        tables: &Tables,
        one: &Candidate,
        packed: &mut [u64],
        homes: &mut Vec<(usize, usize)>,
    ) -> Asleep {
        let (layout, waiting) = (self.layout, self.reader.get(one.parent));
        let packed = &mut packed[..layout.words()];
        if waiting.is_current {
            packed.copy_from_slice(waiting.packed);
        } else {
            waiting.layout.unpack(waiting.packed, &mut self.vector);
            layout.pack_into(&self.vector, packed);
        }
        let Kind::Successor { step, .. } = one.kind() else { unreachable!("only rows are packed") };
        let Effect { posts, .. } = tables.steps.effects[step as usize];
        let posts = &tables.reactions.posts[posts.0 as usize..posts.1 as usize];
        homes.extend(posts.iter().map(|(column, envelopes)| {
            let column = *column as usize;
            (column, tables.columns[column].appends.home(pair(layout.get(packed, column), *envelopes)))
        }));
        waiting.asleep.after(tables, step, layout.get(packed, tables.history_column()))
    }

    /// Turns a packed parent into its successor. If something is missing, the contents mean nothing.
    #[inline]
    pub(super) fn finish(
        &self,
        source: &mut impl Source,
        one: &Candidate,
        packed: &mut [u64],
    ) -> Result<(), Miss> {
        let layout = self.layout;
        let Kind::Successor { step, history } = one.kind() else { unreachable!("only rows are packed") };
        let Step { column, how, .. } = source.tables().steps.hot[step as usize];
        let Effect { view, posts, .. } = source.tables().steps.effects[step as usize];
        if how == How::Tick {
            for column in 0..source.tables().columns.len() {
                let view = aged(source, column, layout.get(packed, column))?;
                layout.set(packed, column, view);
            }
            return Ok(());
        }
        layout.set(packed, column.into(), view);
        for post in posts.0..posts.1 {
            let (column, envelopes) = source.tables().reactions.posts[post as usize];
            let column = column as usize;
            let view = append(source, column, layout.get(packed, column), envelopes)?;
            layout.set(packed, column, view);
        }
        let tables = source.tables();
        if how == How::Crash {
            let column = tables.crashes_column();
            layout.set(packed, column, tables.plan.world.faults.count(layout.get(packed, column)));
        }
        layout.set(packed, tables.history_column(), history);
        Ok(())
    }
}
