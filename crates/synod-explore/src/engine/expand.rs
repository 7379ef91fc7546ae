//! The successors of a state, from the tables: one look-up a message, and one sum a column that changes.

use super::intern::NONE;
use super::key::{Key, Scheme};
use super::seen::Table;
use super::tables::{Cause, FAILED, Miss, Tables, pair};
use crate::observer::Observer;
use crate::{Subject, panics};
use std::sync::atomic::AtomicBool;

/// A successor, a witness or a failure that was found while expanding a state.
pub(super) struct Candidate<K> {
    pub key: K,
    pub parent: u32,
    pub ordinal: u32,
    pub note: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A successor; its row is in [`Candidates::rows`]. The step is this actor's.
    Row(u16),
    /// A step to nowhere, reported for its note alone.
    Noted,
    /// A panic, by the number of its message.
    Failed(u32),
}

/// Everything found while expanding some states, in order.
pub(super) struct Candidates<K> {
    pub list: Vec<Candidate<K>>,
    pub rows: Vec<u32>,
    /// Of each candidate, whether it is a row that was not seen before.
    pub new: Vec<AtomicBool>,
    /// A bound cut something off.
    pub pruned: bool,
    /// States that could not be expanded from the tables alone.
    pub missed: Vec<u32>,
}

impl<K> Candidates<K> {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), rows: Vec::new(), new: Vec::new(), pruned: false, missed: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.rows.clear();
        self.new.clear();
        self.missed.clear();
        self.pruned = false;
    }

    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Candidate<K>>()
            + (self.rows.capacity() + self.missed.capacity()) * 4
            + self.new.capacity()
    }
}

/// Tables to look things up in: as they are, or filling what is missing.
pub(super) trait Source<'s, A: Subject, O: Observer<A>> {
    fn tables(&self) -> &Tables<'s, A, O>;
    /// Finds out what is missing, or says that it cannot.
    fn fill(&mut self, miss: Miss) -> Result<(), Miss>;
    /// Rewrites a row as its system does: false if it is out of bounds, the number of a message if rewriting panics.
    fn normal(&mut self, row: &mut [u32]) -> Result<Result<bool, u32>, Miss>;
}

/// Says what is missing. Several threads can look things up in the same tables.
pub(super) struct Reading<'t, 's, A: Subject, O: Observer<A>>(pub &'t Tables<'s, A, O>);

impl<'s, A: Subject, O: Observer<A>> Source<'s, A, O> for Reading<'_, 's, A, O> {
    fn tables(&self) -> &Tables<'s, A, O> {
        self.0
    }
    fn fill(&mut self, miss: Miss) -> Result<(), Miss> {
        Err(miss)
    }
    fn normal(&mut self, _: &mut [u32]) -> Result<Result<bool, u32>, Miss> {
        if self.0.system.normal.is_some() { Err(Miss::Rest) } else { Ok(Ok(true)) }
    }
}

impl<'s, A: Subject, O: Observer<A>> Source<'s, A, O> for &mut Tables<'s, A, O> {
    fn tables(&self) -> &Tables<'s, A, O> {
        self
    }
    fn fill(&mut self, miss: Miss) -> Result<(), Miss> {
        Tables::fill(self, miss);
        Ok(())
    }
    fn normal(&mut self, row: &mut [u32]) -> Result<Result<bool, u32>, Miss> {
        Ok(self.rewrite(row))
    }
}

/// What expanding needs to know beside the tables.
pub(super) struct Known<'k, S: Scheme> {
    pub scheme: &'k S,
    pub seen: &'k Table<S>,
    /// The notes that every property was asked about; `None` if no property waits for a note.
    pub notes: Option<&'k [bool]>,
}

impl<S: Scheme> Known<'_, S> {
    fn is_news(&self, note: u32) -> bool {
        let asked = |notes: &[bool]| notes.get(note as usize).copied().unwrap_or(false);
        note != NONE && self.notes.is_some_and(|notes| !asked(notes))
    }
}

/// Appends the successors of a state to `found`, or nothing and says what is missing.
pub(super) fn expand<'s, A: Subject, O: Observer<A>, S: Scheme>(
    mut source: impl Source<'s, A, O>,
    (number, row): (u32, &[u32]),
    known: &Known<'_, S>,
    found: &mut Candidates<S::Key>,
) -> Result<(), Miss> {
    let (list, rows) = (found.list.len(), found.rows.len());
    let result = successors(&mut source, (number, row), known, found);
    if result.is_err() {
        found.list.truncate(list);
        found.rows.truncate(rows);
    }
    result
}

fn successors<'s, A: Subject, O: Observer<A>, S: Scheme>(
    source: &mut impl Source<'s, A, O>,
    (number, row): (u32, &[u32]),
    known: &Known<'_, S>,
    found: &mut Candidates<S::Key>,
) -> Result<(), Miss> {
    let system = source.tables().system;
    let (crashes_at, history_at) = (source.tables().crashes_column(), source.tables().history_column());
    let (crashes, history) = (row[crashes_at], row[history_at]);
    let crash_fits = system.faults.max_down > 0 && {
        let tables = source.tables();
        let is_down = |actor: &usize| tables.down[tables.parts(row, *actor).0 as usize];
        system.faults.crash_fits((0..tables.actors()).filter(is_down).count(), crashes)
    };
    // Rewritten rows are compared with others only after that, so there is no use in their parent's key.
    let rewritten = source.tables().symmetric.is_some() || system.normal.is_some();
    let key = known.scheme.key(row);
    let mut next_ordinal = 0;
    for column in 0..source.tables().movers() {
        let (start, end) = moves(source, column, row[column])?;
        for at in start..end {
            let ordinal = next_ordinal;
            next_ordinal += 1;
            let step = source.tables().moves[at as usize];
            if step.cause == Cause::Crash && !crash_fits {
                continue;
            }
            let mut say = |kind| {
                found.list.push(Candidate { key, parent: number, ordinal, note: step.note, kind });
            };
            if step.failure != NONE {
                say(Kind::Failed(step.failure));
                continue;
            }
            let next_history = if step.note == NONE { history } else { update(source, history, step.note)? };
            if next_history & FAILED != 0 {
                say(Kind::Failed(next_history & !FAILED));
                continue;
            }
            if step.ignored && next_history == history {
                if known.is_news(step.note) {
                    say(Kind::Noted);
                }
                continue;
            }
            if step.pruned {
                found.pruned = true;
                continue;
            }
            let from = found.rows.len();
            found.rows.extend_from_slice(row);
            let mut next_key = key;
            let mut change = |rows: &mut Vec<u32>, column: usize, to: u32| {
                let place = &mut rows[from + column];
                if *place != to {
                    let (old, new) = (known.scheme.term(column, *place), known.scheme.term(column, to));
                    next_key = next_key.minus(old).plus(new);
                    *place = to;
                }
            };
            change(&mut found.rows, column, step.view);
            for post in step.posts.0..step.posts.1 {
                let (column, envelopes) = source.tables().posts[post as usize];
                let view = append(source, column as usize, found.rows[from + column as usize], envelopes)?;
                change(&mut found.rows, column as usize, view);
            }
            if step.cause == Cause::Crash {
                change(&mut found.rows, crashes_at, system.faults.count(crashes));
            }
            change(&mut found.rows, history_at, next_history);
            if rewritten {
                match rewrite(source, &mut found.rows[from..])? {
                    Ok(true) => next_key = known.scheme.key(&found.rows[from..]),
                    Ok(false) => {
                        found.pruned = true;
                        found.rows.truncate(from);
                        continue;
                    }
                    Err(failure) => {
                        found.rows.truncate(from);
                        let kind = Kind::Failed(failure);
                        found.list.push(Candidate { key, parent: number, ordinal, note: step.note, kind });
                        continue;
                    }
                }
            }
            // A bound that panics lets the state through here and is asked again when the state is taken in.
            if let Some((_, within)) = &system.bounds.state
                && !known.seen.contains(&next_key)
            {
                let state = source.tables().state(&found.rows[from..]);
                if panics::capture(|| within(&state)) == Ok(false) {
                    found.pruned = true;
                    found.rows.truncate(from);
                    continue;
                }
            }
            let kind = Kind::Row(column as u16);
            found.list.push(Candidate { key: next_key, parent: number, ordinal, note: step.note, kind });
        }
    }
    Ok(())
}

/// Puts one row in the place of all that are alike.
fn rewrite<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    row: &mut [u32],
) -> Result<Result<bool, u32>, Miss> {
    let normal = source.normal(row)?;
    if normal == Ok(true) && source.tables().symmetric.is_some() {
        super::symmetry::canonical(source, row)?;
    }
    Ok(normal)
}

/// The moves of a view.
#[inline]
fn moves<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    column: usize,
    view: u32,
) -> Result<(u32, u32), Miss> {
    loop {
        let moves = source.tables().columns[column].moves[view as usize];
        if moves.0 != NONE {
            return Ok(moves);
        }
        source.fill(Miss::Moves { column, view })?;
    }
}

/// A view with some more envelopes in its inbox.
#[inline]
fn append<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    column: usize,
    view: u32,
    list: u32,
) -> Result<u32, Miss> {
    loop {
        if let Some(&view) = source.tables().columns[column].appends.get(&pair(view, list)) {
            return Ok(view);
        }
        source.fill(Miss::Append { column, view, list })?;
    }
}

/// A history after a note.
#[inline]
fn update<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    history: u32,
    note: u32,
) -> Result<u32, Miss> {
    loop {
        if let Some(&history) = source.tables().updates.get(&pair(history, note)) {
            return Ok(history);
        }
        source.fill(Miss::Update { history, note })?;
    }
}
