//! The successors of a state, from the tables: one look-up a message, and one sum a column that changes.

use super::intern::NONE;
use super::key::{Key, Scheme};
use super::seen::Table;
use super::tables::{Effect, FAILED, How, Miss, Step, Tables, pair};
use crate::observer::Observer;
use crate::{Subject, panics};
use std::sync::atomic::AtomicBool;

/// A successor, a witness or a failure that was found while expanding a state.
pub(super) struct Candidate<K> {
    pub key: K,
    pub parent: u32,
    pub ordinal: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A successor: by a step, an index of [`Tables::steps`], and with a history.
    Row { step: u32, history: u32 },
    /// A note that is news, of the step before or of a step to nowhere.
    Noted(u32),
    /// A panic, by the number of its message.
    Failed(u32),
}

impl<K> Candidate<K> {
    pub(super) fn is_row(&self) -> bool {
        matches!(self.kind, Kind::Row { .. })
    }
}

/// Everything found while expanding some states, in order.
pub(super) struct Candidates<K> {
    pub list: Vec<Candidate<K>>,
    /// The rows of all successors; or, where they are made later, of those that are new.
    pub rows: Vec<u32>,
    /// Of each candidate, whether it is a row that was not seen before.
    pub new: Vec<AtomicBool>,
    /// A bound cut something off.
    pub pruned: bool,
    /// States that could not be expanded from the tables alone; later, in pairs, new candidates whose rows could not be made from
    /// them alone, and where the row goes.
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
    /// The rows of successors are made at once. Otherwise they are made of those that turn out to be new.
    pub with_rows: bool,
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
    // What a step adds to such a key is known without its receivers.
    let whole = S::HASHED && source.tables().additive;
    // Rewritten rows are compared with others only after that, so there is no use in their parent's key.
    let rewritten = source.tables().symmetric.is_some() || system.normal.is_some();
    let key = known.scheme.key(&source.tables().columns, row);
    let mut next_ordinal = 0;
    for column in 0..source.tables().movers() {
        let (start, end) = steps(source, column, row[column])?;
        for at in start..end {
            let ordinal = next_ordinal;
            next_ordinal += 1;
            let steps = &source.tables().steps;
            let Step { how, note, .. } = steps.hot[at as usize];
            let mut say = |key, kind| found.list.push(Candidate { key, parent: number, ordinal, kind });
            match how {
                How::Crash if !crash_fits => continue,
                How::Failed => {
                    say(key, Kind::Failed(note));
                    continue;
                }
                _ => {}
            }
            let mut next_key = key.plus(known.scheme.step(steps, at, row[column]));
            let next_history = if note == NONE { history } else { update(source, history, note)? };
            if next_history != history {
                if next_history & FAILED != 0 {
                    say(key, Kind::Failed(next_history & !FAILED));
                    continue;
                }
                let term = |number| known.scheme.term(&source.tables().columns, history_at, number);
                next_key = next_key.minus(term(history)).plus(term(next_history));
            }
            let news = known.is_news(note);
            if how == How::Ignored && next_history == history {
                if news {
                    say(key, Kind::Noted(note));
                }
                continue;
            }
            if how == How::Pruned {
                found.pruned = true;
                continue;
            }
            if how == How::Crash {
                let term = |number| known.scheme.term(&source.tables().columns, crashes_at, number);
                next_key = next_key.minus(term(crashes)).plus(term(system.faults.count(crashes)));
            }
            if known.with_rows {
                let from = found.rows.len();
                found.rows.extend_from_slice(row);
                let after = &mut found.rows[from..];
                step_row(source, at, next_history, after, |tables, column, old, new| {
                    if !whole {
                        let term = |number| known.scheme.term(&tables.columns, column, number);
                        next_key = next_key.minus(term(old)).plus(term(new));
                    }
                })?;
                if rewritten {
                    match rewrite(source, after)? {
                        Ok(true) => next_key = known.scheme.key(&source.tables().columns, after),
                        Ok(false) => {
                            found.pruned = true;
                            found.rows.truncate(from);
                            continue;
                        }
                        Err(failure) => {
                            found.rows.truncate(from);
                            say(key, Kind::Failed(failure));
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
            }
            say(next_key, Kind::Row { step: at, history: next_history });
            if news {
                say(key, Kind::Noted(note));
            }
        }
    }
    Ok(())
}

/// Makes of a row the one after a step. What happens to the receivers' columns is told as it does.
#[inline]
pub(super) fn step_row<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    step: u32,
    history: u32,
    row: &mut [u32],
    mut received: impl FnMut(&Tables<'s, A, O>, usize, u32, u32),
) -> Result<(), Miss> {
    let Step { column, how, .. } = source.tables().steps.hot[step as usize];
    let Effect { view, posts } = source.tables().steps.effects[step as usize];
    row[usize::from(column)] = view;
    for post in posts.0..posts.1 {
        let (column, envelopes) = source.tables().posts[post as usize];
        let column = column as usize;
        let view = append(source, column, row[column], envelopes)?;
        received(source.tables(), column, row[column], view);
        row[column] = view;
    }
    let (crashes_at, history_at) = (source.tables().crashes_column(), source.tables().history_column());
    if how == How::Crash {
        row[crashes_at] = source.tables().system.faults.count(row[crashes_at]);
    }
    row[history_at] = history;
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

/// The steps of a view.
#[inline]
fn steps<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    column: usize,
    view: u32,
) -> Result<(u32, u32), Miss> {
    loop {
        let steps = source.tables().columns[column].views[view as usize].steps;
        if steps.0 != NONE {
            return Ok(steps);
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
