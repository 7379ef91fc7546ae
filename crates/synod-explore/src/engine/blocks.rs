//! A block of states: first expanded, in parallel and from the tables as they are; then, in order, those for which
//! something was missing; then looked up, each thread in its own shards; and at last, in order, numbered.

use super::ask::shares;
use super::budget::Budget;
use super::expand::{Candidate, Candidates, Kind, Known, Reading, Source, expand, step_row};
use super::frontier::Frontier;
use super::intern::NONE;
use super::key::Scheme;
use super::search::{Failure, Search};
use super::sets::{Set, with_set};
use crate::observer::Observer;
use crate::property::Check;
use crate::report::Why;
use crate::{Subject, panics};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// States that are expanded with missing entries before the clock is looked at again.
const PATIENCE: usize = 32;

/// How the work on a block ended.
enum Ended {
    Done,
    /// Given up half-way, nothing was taken in.
    GivenUp(Why),
    /// There are larger numbers than keys have room for; nothing was taken in.
    TooLarge,
}

/// Candidates that follow one another: of a buffer, from one to another.
type Run = (usize, Range<usize>);

impl<A: Subject, O: Observer<A>> Search<'_, A, O> {
    /// Expands the states of a block and takes in their successors. Gives up half-way, taking in none, if the
    /// time is up.
    pub(super) fn explore_block(&mut self, block: Range<u32>, budget: &Budget<'_>) -> Option<Why> {
        if let Err(error) = self.frontier.load(block.clone()).and_then(|()| self.frontier.spill(block.end)) {
            return Some(Why::Disk(error.kind()));
        }
        loop {
            let mut seen = self.seen.take().expect("only one block is at work");
            let ended = with_set!(&mut seen, set => self.block(set, block.clone(), budget));
            self.seen = Some(seen);
            match ended {
                Ended::Done => return None,
                Ended::GivenUp(why) => return Some(why),
                Ended::TooLarge if self.fit() => {}
                Ended::TooLarge => return Some(Why::Memory),
            }
        }
    }

    fn block<S: Scheme>(&mut self, set: &mut Set<S>, block: Range<u32>, budget: &Budget<'_>) -> Ended {
        let Set { scheme, table, buffers } = set;
        let threads = self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads);
        let shares = shares(&block, threads);
        buffers.resize_with(buffers.len().max(shares.len() + 1), Candidates::new);
        for buffer in &mut *buffers {
            buffer.clear();
        }
        let notes = self.waits_for(|check| matches!(check, Check::Note(_))).then(|| self.asked.notes.clone());
        // Where a key is known without the receivers, rows are made of what is new only.
        let with_rows = !(S::HASHED && self.tables.additive) || self.tables.system.bounds.state.is_some();
        let known = Known { scheme: &*scheme, seen: &*table, notes: notes.as_deref(), with_rows };
        let (late, parallel) = buffers.split_at_mut(1);
        let missed: Vec<u32> = match &self.pool {
            None => block.clone().collect(),
            Some(pool) => {
                let (tables, frontier, known) = (&self.tables, &self.frontier, &known);
                pool.scope(|scope| {
                    for (share, found) in shares.iter().cloned().zip(parallel.iter_mut()) {
                        scope.spawn(move |_| {
                            let (mut row, mut reader) = (vec![0; tables.width()], frontier.reader());
                            for number in share {
                                reader.row(number, &mut row);
                                if expand(Reading(tables), (number, &row), known, found).is_err() {
                                    found.missed.push(number);
                                }
                            }
                        });
                    }
                });
                parallel.iter().flat_map(|found| found.missed.iter().copied()).collect()
            }
        };
        let (mut row, mut reader) = (vec![0; self.tables.width()], self.frontier.reader());
        for (n, &number) in missed.iter().enumerate() {
            if n % PATIENCE == 0
                && let Some(why) = budget.check()
            {
                return Ended::GivenUp(why);
            }
            reader.row(number, &mut row);
            self.tables.leaving = number;
            expand(&mut self.tables, (number, &row), &known, &mut late[0])
                .expect("whatever is missing is found out");
        }
        if self.frontier.overflows(&self.tables.counts()) {
            return Ended::TooLarge;
        }
        for buffer in &mut *buffers {
            buffer.new.resize_with(buffer.list.len(), AtomicBool::default);
            self.pruned |= buffer.pruned;
        }
        let runs = runs(buffers);
        let found = &*buffers;
        let keys = runs.iter().cloned().flat_map(|(buffer, range)| {
            let candidates = found[buffer].list[range.clone()].iter().zip(&found[buffer].new[range]);
            let rows = candidates.filter(|(candidate, _)| candidate.is_row());
            rows.map(|(candidate, new)| (&candidate.key, new))
        });
        table.insert_all(self.pool.as_ref(), keys);
        if !with_rows {
            self.make_rows(buffers);
        }
        let first = self.origins.len();
        self.take_in(buffers, &runs, with_rows);
        if self.failure.is_none() {
            self.ask_states(first..self.origins.len());
        }
        Ended::Done
    }

    /// Makes the rows of the new states.
    fn make_rows<K: Send + Sync>(&mut self, buffers: &mut [Candidates<K>]) {
        match &self.pool {
            None => {
                for found in &mut *buffers {
                    make_rows(&mut &mut self.tables, &self.frontier, found);
                }
            }
            Some(pool) => {
                let (tables, frontier) = (&self.tables, &self.frontier);
                pool.scope(|scope| {
                    for found in &mut *buffers {
                        scope.spawn(move |_| make_rows(&mut Reading(tables), frontier, found));
                    }
                });
            }
        }
        let width = self.tables.width();
        let mut reader = self.frontier.reader();
        for found in &mut *buffers {
            for missed in std::mem::take(&mut found.missed).chunks_exact(2) {
                let (at, place) = (missed[0] as usize, missed[1] as usize);
                let Candidate { parent, kind, .. } = found.list[at];
                let Kind::Row { step, history } = kind else { unreachable!("only rows are made") };
                let row = &mut found.rows[place..place + width];
                reader.row(parent, row);
                step_row(&mut &mut self.tables, step, history, row, |_, _, _, _| {})
                    .expect("whatever is missing is found out");
            }
        }
        if self.frontier.overflows(&self.tables.counts()) {
            self.widen();
        }
    }

    /// Numbers the new states in the order of their parents. Each successor has a row, or each new one.
    fn take_in<K>(&mut self, buffers: &[Candidates<K>], runs: &[Run], with_rows: bool) {
        let width = self.tables.width();
        let mut rows: Vec<_> = buffers.iter().map(|buffer| buffer.rows.chunks_exact(width)).collect();
        for (buffer, range) in runs {
            let found = &buffers[*buffer];
            for at in range.clone() {
                let Candidate { parent, ordinal, kind, .. } = found.list[at];
                match kind {
                    Kind::Failed(_) if self.scouting.is_some() => {}
                    Kind::Failed(failure) => {
                        let message = self.tables.failures[failure as usize].clone();
                        self.failure = Some(Failure { state: parent, ordinal: Some(ordinal), message });
                    }
                    Kind::Noted(note) => self.ask_note(note, parent, ordinal),
                    Kind::Row { step, .. } => {
                        self.generated += 1;
                        let new = found.new[at].load(Ordering::Relaxed);
                        if !new && !with_rows {
                            continue;
                        }
                        let row = rows[*buffer].next().expect("there is a row");
                        if !new {
                            continue;
                        }
                        if let Err(message) = self.admit(row) {
                            self.failure = Some(Failure { state: parent, ordinal: Some(ordinal), message });
                            return;
                        }
                        let actor = self.tables.steps.hot[step as usize].column;
                        self.add(row, (parent, ordinal), Some(actor.into()));
                    }
                }
                if self.failure.is_some() {
                    return;
                }
            }
        }
    }

    /// Fails if the bound of whole states panics. What it keeps out does not come here.
    fn admit(&self, row: &[u32]) -> Result<(), String> {
        match &self.tables.system.bounds.state {
            None => Ok(()),
            Some((_, within)) => {
                let state = self.tables.state(row);
                panics::capture(|| within(&state)).map(|_| ())
            }
        }
    }
}

/// Makes the rows of new states, as far as nothing is missing.
fn make_rows<'s, A: Subject, O: Observer<A>, K>(
    source: &mut impl Source<'s, A, O>,
    frontier: &Frontier,
    found: &mut Candidates<K>,
) {
    let width = source.tables().width();
    let (mut parent, mut reader) = (vec![0; width], frontier.reader());
    let mut read = NONE;
    found.missed.clear();
    for (at, (candidate, new)) in found.list.iter().zip(&found.new).enumerate() {
        if let Kind::Row { step, history } = candidate.kind
            && new.load(Ordering::Relaxed)
        {
            if read != candidate.parent {
                read = candidate.parent;
                reader.row(read, &mut parent);
            }
            let from = found.rows.len();
            found.rows.extend_from_slice(&parent);
            if step_row(source, step, history, &mut found.rows[from..], |_, _, _, _| {}).is_err() {
                found.missed.extend([at as u32, from as u32]);
            }
        }
    }
}

/// The candidates of all buffers in the order of their parents: those of the first in between the others.
fn runs<K>(buffers: &[Candidates<K>]) -> Vec<Run> {
    let late = &buffers[0].list;
    let mut runs = Vec::new();
    let mut at = 0;
    for (buffer, found) in buffers.iter().enumerate().skip(1) {
        let mut start = 0;
        while start < found.list.len() {
            let before = at + late[at..].partition_point(|late| late.parent < found.list[start].parent);
            runs.push((0, at..before));
            at = before;
            // Up to the next state that was late.
            let end = match late.get(at) {
                None => found.list.len(),
                Some(late) => start + found.list[start..].partition_point(|one| one.parent < late.parent),
            };
            runs.push((buffer, start..end));
            start = end;
        }
    }
    runs.push((0, at..late.len()));
    runs
}
