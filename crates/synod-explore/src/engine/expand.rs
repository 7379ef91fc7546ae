//! Expands states: the successors of a state follow from the tables, by one look-up per message and one sum per column that changes.

use super::histories::FAILED;
use super::intern::{NONE, pair};
use super::key::Key;
use super::memoise::{Source, canonical};
use super::reductions::sleep::Asleep;
use super::scheme::Scheme;
use super::seen::Table;
use super::tables::Miss;
use super::views::{Effect, How, Step, TICK, URGENT};
use std::sync::atomic::AtomicBool;

/// A successor and its parent edge; or, with an empty key, a witness or a failure.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub parent: u32,
    pub ordinal: u32,
    what: (u32, u32),
}

/// In the place of a step: the candidate is a note, or a failure.
const NOTED: u32 = u32::MAX - 1;
const FAILURE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A successor: by a step, an index of [`Tables::steps`](super::tables::Tables::steps), and with a history.
    Successor { step: u32, history: u32 },
    /// A note that is news, of the step before or of a step to nowhere.
    Noted(u32),
    /// A panic, by the number of its message.
    Failed(u32),
}

impl Candidate {
    pub(super) fn kind(&self) -> Kind {
        match self.what {
            (NOTED, note) => Kind::Noted(note),
            (FAILURE, failure) => Kind::Failed(failure),
            (step, history) => Kind::Successor { step, history },
        }
    }

    #[inline]
    pub(super) fn is_successor(&self) -> bool {
        self.what.0 < NOTED
    }
}

/// All candidates found while expanding some states, in order.
pub(super) struct Candidates<K> {
    /// The keys, apart from the rest: most are looked up and nothing else comes of them.
    pub keys: Vec<K>,
    pub found: Vec<Candidate>,
    /// The state vectors of all successors, if they are made at once.
    pub vectors: Vec<u32>,
    /// One flag per candidate: true if it is a state vector that was not seen before.
    pub new: Vec<AtomicBool>,
    /// The candidates that are not mere repeats: new ones, witnesses and failures.
    pub fresh: Vec<u32>,
    /// The new states, packed for the frontier, in the same order.
    pub packed: Vec<u64>,
    /// A bound cut something off.
    pub pruned: bool,
    /// States that could not be expanded from the tables alone; later, in pairs, new candidates that could not be packed from
    /// them alone, and their places.
    pub missed: Vec<u32>,
    /// States with sleeping steps, each with the number of these.
    pub asleep: Vec<(u32, u32)>,
}

impl<K: Key> Candidates<K> {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            found: Vec::new(),
            vectors: Vec::new(),
            new: Vec::new(),
            fresh: Vec::new(),
            packed: Vec::new(),
            pruned: false,
            missed: Vec::new(),
            asleep: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.found.clear();
        self.vectors.clear();
        self.new.clear();
        self.fresh.clear();
        self.packed.clear();
        self.missed.clear();
        self.asleep.clear();
        self.pruned = false;
    }

    #[inline]
    fn push(&mut self, key: K, (parent, ordinal): (u32, u32), kind: Kind) {
        let (key, what) = match kind {
            Kind::Successor { step, history } => (key, (step, history)),
            Kind::Noted(note) => (K::EMPTY, (NOTED, note)),
            Kind::Failed(failure) => (K::EMPTY, (FAILURE, failure)),
        };
        self.keys.push(key);
        self.found.push(Candidate { parent, ordinal, what });
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * size_of::<K>()
            + self.found.capacity() * size_of::<Candidate>()
            + (self.vectors.capacity() + self.missed.capacity() + self.fresh.capacity()) * 4
            + (self.packed.capacity() + self.asleep.capacity()) * 8
            + self.new.capacity()
    }
}

/// The inputs of expanding, beside the tables.
pub(super) struct Known<'k, S: Scheme> {
    pub scheme: &'k S,
    pub seen: &'k Table<S>,
    /// The notes that every property was asked about; `None` if no property waits for a note.
    pub notes: Option<&'k [bool]>,
    /// The state vectors of all successors are made at once, whether or not they turn out to be new.
    pub with_vectors: bool,
}

impl<S: Scheme> Known<'_, S> {
    fn is_news(&self, note: u32) -> bool {
        let asked = |notes: &[bool]| notes.get(note as usize).copied().unwrap_or(false);
        note != NONE && self.notes.is_some_and(|notes| !asked(notes))
    }
}

/// A state to expand.
pub(super) struct Expanding<'r, K> {
    pub number: u32,
    pub vector: &'r [u32],
    pub key: K,
    /// Steps that are counted and not followed.
    pub asleep: Asleep,
}

/// Appends the successors of a state to `found`. If something is missing, appends nothing and returns the [`Miss`].
pub(super) fn expand<S: Scheme>(
    source: &mut impl Source,
    expanding: Expanding<'_, S::Key>,
    known: &Known<'_, S>,
    found: &mut Candidates<S::Key>,
) -> Result<(), Miss> {
    let (list, vectors) = (found.found.len(), found.vectors.len());
    let result = successors(source, expanding, known, found);
    if result.is_err() {
        found.keys.truncate(list);
        found.found.truncate(list);
        found.vectors.truncate(vectors);
    }
    result
}

fn successors<S: Scheme>(
    source: &mut impl Source,
    Expanding { number, vector, key, asleep }: Expanding<'_, S::Key>,
    known: &Known<'_, S>,
    found: &mut Candidates<S::Key>,
) -> Result<(), Miss> {
    let (crashes_at, history_at) = (source.tables().crashes_column(), source.tables().history_column());
    let (crashes, history) = (vector[crashes_at], vector[history_at]);
    let crash_fits = source.tables().crash_fits(vector);
    // The term of a step in such a key does not depend on its receivers.
    let whole = S::HASHED && source.tables().plan.additive();
    let (mut next_ordinal, mut sleeping) = (0, 0);
    for column in 0..source.tables().movers() {
        let (start, end) = steps(source, column, vector[column])?;
        // Most views have no steps at all.
        if start == end {
            continue;
        }
        let sleeper = asleep.of(source.tables(), column);
        for at in start..end {
            let ordinal = next_ordinal;
            next_ordinal += 1;
            let Step { how, note, .. } = source.tables().steps.hot[at as usize];
            let from = (number, ordinal);
            match how {
                How::Crash if !crash_fits => continue,
                How::Failed => {
                    found.push(key, from, Kind::Failed(note));
                    continue;
                }
                _ => {}
            }
            let sleeper = sleeper.filter(|sleeper| how == How::Plain && sleeper.may(source.tables(), at));
            if sleeper.is_some_and(|sleeper| sleeper.all) {
                sleeping += 1;
                continue;
            }
            let next_history = if note == NONE { history } else { update(source, history, note)? };
            if let Some(sleeper) = sleeper
                && asleep.has(source.tables(), sleeper, note, (history, next_history))
            {
                sleeping += 1;
                continue;
            }
            let moved = known.scheme.step(&source.tables().steps, at, vector[column]);
            let mut next_key = key.plus(moved);
            if next_history != history {
                if next_history & FAILED != 0 {
                    found.push(key, from, Kind::Failed(next_history & !FAILED));
                    continue;
                }
                let term = |number| known.scheme.term(&source.tables().columns, history_at, number);
                next_key = next_key.minus(term(history)).plus(term(next_history));
            }
            let news = known.is_news(note);
            if how == How::Ignored && next_history == history {
                if news {
                    found.push(key, from, Kind::Noted(note));
                }
                continue;
            }
            if how == How::Pruned {
                found.pruned = true;
                continue;
            }
            if how == How::Crash {
                let term = |number| known.scheme.term(&source.tables().columns, crashes_at, number);
                next_key = next_key
                    .minus(term(crashes))
                    .plus(term(source.tables().plan.world.faults.count(crashes)));
            }
            let kind = Kind::Successor { step: at, history: next_history };
            if !whole {
                let received = received(source, known.scheme, at, vector)?;
                next_key = next_key.plus(received);
            }
            if known.with_vectors {
                match successor_vector(source, (vector, at, next_history), known, next_key, found)? {
                    Some(Ok(key)) => next_key = key,
                    Some(Err(failure)) => {
                        found.push(key, from, Kind::Failed(failure));
                        continue;
                    }
                    None => continue,
                }
            }
            // A step from a state to itself is counted and not followed, unless all steps are wanted.
            if next_key == key && how == How::Plain && !known.with_vectors {
                sleeping += 1;
            } else {
                found.push(next_key, from, kind);
            }
            if news {
                found.push(key, from, Kind::Noted(note));
            }
        }
    }
    if source.tables().plan.world.is_timed()
        && let Some(next_key) = after_tick(source, known.scheme, vector, key)?
    {
        let from = (number, next_ordinal);
        if known.with_vectors {
            match successor_vector(source, (vector, TICK, history), known, next_key, found)? {
                Some(Ok(key)) => found.push(key, from, Kind::Successor { step: TICK, history }),
                Some(Err(failure)) => found.push(key, from, Kind::Failed(failure)),
                None => {}
            }
        } else if next_key == key {
            sleeping += 1;
        } else {
            found.push(next_key, from, Kind::Successor { step: TICK, history });
        }
    }
    if sleeping > 0 {
        found.asleep.push((number, sleeping));
    }
    Ok(())
}

/// The key after a tick; `None` if something has to happen first.
fn after_tick<S: Scheme>(
    source: &mut impl Source,
    scheme: &S,
    vector: &[u32],
    mut key: S::Key,
) -> Result<Option<S::Key>, Miss> {
    for (column, &view) in vector.iter().enumerate().take(source.tables().columns.len()) {
        let aged = aged(source, column, view)?;
        if aged == URGENT {
            return Ok(None);
        }
        if aged != view {
            let term = |number| scheme.term(&source.tables().columns, column, number);
            key = key.plus(term(aged)).minus(term(view));
        }
    }
    Ok(Some(key))
}

/// A view after a tick, or [`URGENT`].
pub(super) fn aged(source: &mut impl Source, column: usize, view: u32) -> Result<u32, Miss> {
    loop {
        match source.tables().columns[column].aged.get(view as usize) {
            Some(&aged) if aged != NONE => return Ok(aged),
            _ => source.memoise(Miss::Age { column, view })?,
        }
    }
}

/// The term that a step adds to a key by its messages to others.
#[inline]
fn received<S: Scheme>(
    source: &mut impl Source,
    scheme: &S,
    step: u32,
    vector: &[u32],
) -> Result<S::Key, Miss> {
    let mut sum = S::Key::EMPTY;
    let Effect { posts, .. } = source.tables().steps.effects[step as usize];
    for post in posts.0..posts.1 {
        let (column, envelopes) = source.tables().reactions.posts[post as usize];
        let column = column as usize;
        let view = append(source, column, vector[column], envelopes)?;
        let term = |number| scheme.term(&source.tables().columns, column, number);
        sum = sum.plus(term(view)).minus(term(vector[column]));
    }
    Ok(sum)
}

/// Adds the state vector of a successor, rewritten if its system does that. Its key then; `None` if it is out of bounds; the number of a
/// message if rewriting panics.
#[cold]
fn successor_vector<S: Scheme>(
    source: &mut impl Source,
    (vector, step, history): (&[u32], u32, u32),
    known: &Known<'_, S>,
    mut key: S::Key,
    found: &mut Candidates<S::Key>,
) -> Result<Option<Result<S::Key, u32>>, Miss> {
    let from = found.vectors.len();
    found.vectors.extend_from_slice(vector);
    let after = &mut found.vectors[from..];
    step_vector(source, step, history, after)?;
    if source.tables().plan.rewrites_vectors() {
        match rewrite(source, after)? {
            Ok(true) => key = known.scheme.key(&source.tables().columns, after),
            Ok(false) => {
                found.pruned = true;
                found.vectors.truncate(from);
                return Ok(None);
            }
            Err(failure) => {
                found.vectors.truncate(from);
                return Ok(Some(Err(failure)));
            }
        }
    }
    // A bound that panics lets the state through here and is asked again when the state is taken in.
    if source.tables().plan.world.bounds_states
        && !known.seen.contains(&key)
        && source.admits(&found.vectors[from..]) == Ok(false)
    {
        found.pruned = true;
        found.vectors.truncate(from);
        return Ok(None);
    }
    Ok(Some(Ok(key)))
}

/// Makes of a state vector the one after a step.
fn step_vector(source: &mut impl Source, step: u32, history: u32, vector: &mut [u32]) -> Result<(), Miss> {
    let Step { column, how, .. } = source.tables().steps.hot[step as usize];
    let Effect { view, posts, .. } = source.tables().steps.effects[step as usize];
    if how == How::Tick {
        let columns = source.tables().columns.len();
        for (column, view) in vector.iter_mut().enumerate().take(columns) {
            *view = aged(source, column, *view)?;
        }
        return Ok(());
    }
    vector[usize::from(column)] = view;
    for post in posts.0..posts.1 {
        let (column, envelopes) = source.tables().reactions.posts[post as usize];
        let column = column as usize;
        let view = append(source, column, vector[column], envelopes)?;
        vector[column] = view;
    }
    let (crashes_at, history_at) = (source.tables().crashes_column(), source.tables().history_column());
    if how == How::Crash {
        vector[crashes_at] = source.tables().plan.world.faults.count(vector[crashes_at]);
    }
    vector[history_at] = history;
    Ok(())
}

/// Puts one state vector in the place of all that are alike.
fn rewrite(source: &mut impl Source, vector: &mut [u32]) -> Result<Result<bool, u32>, Miss> {
    let normal = source.normal(vector)?;
    if normal == Ok(true) {
        canonical(source, vector)?;
    }
    Ok(normal)
}

/// The steps of a view.
#[inline]
fn steps(source: &mut impl Source, column: usize, view: u32) -> Result<(u32, u32), Miss> {
    loop {
        let steps = source.tables().columns[column].steps[view as usize];
        if steps.0 != NONE {
            return Ok(steps);
        }
        source.memoise(Miss::Moves { column, view })?;
    }
}

/// A view with some more envelopes in its inbox.
#[inline]
pub(super) fn append(source: &mut impl Source, column: usize, view: u32, list: u32) -> Result<u32, Miss> {
    loop {
        if let Some(view) = source.tables().columns[column].appends.get(pair(view, list)) {
            return Ok(view);
        }
        source.memoise(Miss::Append { column, view, list })?;
    }
}

/// A history after a note.
#[inline]
fn update(source: &mut impl Source, history: u32, note: u32) -> Result<u32, Miss> {
    loop {
        if let Some(history) = source.tables().histories.updated(history, note) {
            return Ok(history);
        }
        source.memoise(Miss::Update { history, note })?;
    }
}
