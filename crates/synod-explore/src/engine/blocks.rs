//! A block of states: first expanded, in parallel and from the tables as they are; then, in order, those for which
//! something was missing; then looked up, each thread in its own shards; and at last, in order, numbered.

use super::ask::shares;
use super::budget::Budget;
use super::expand::{Candidate, Candidates, Kind, Known, Reading, expand};
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
        let known = Known { scheme: &*scheme, seen: &*table, notes: notes.as_deref() };
        let (late, parallel) = buffers.split_at_mut(1);
        let missed: Vec<u32> = match &self.pool {
            None => block.clone().collect(),
            Some(pool) => {
                let (tables, frontier, known) = (&self.tables, &self.frontier, &known);
                pool.scope(|scope| {
                    for (share, found) in shares.iter().cloned().zip(parallel.iter_mut()) {
                        scope.spawn(move |_| {
                            let mut row = vec![0; tables.width()];
                            for number in share {
                                frontier.row(number, &mut row);
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
        let mut row = vec![0; self.tables.width()];
        for (n, &number) in missed.iter().enumerate() {
            if n % PATIENCE == 0
                && let Some(why) = budget.check()
            {
                return Ended::GivenUp(why);
            }
            self.frontier.row(number, &mut row);
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
            let rows = candidates.filter(|(candidate, _)| matches!(candidate.kind, Kind::Row(_)));
            rows.map(|(candidate, new)| (&candidate.key, new))
        });
        table.insert_all(self.pool.as_ref(), keys);
        let first = self.origins.len();
        self.take_in(buffers, &runs);
        if self.failure.is_none() {
            self.ask_states(first..self.origins.len());
        }
        Ended::Done
    }

    /// Numbers the new states in the order of their parents.
    fn take_in<K>(&mut self, buffers: &[Candidates<K>], runs: &[Run]) {
        let width = self.tables.width();
        let mut rows: Vec<_> = buffers.iter().map(|buffer| buffer.rows.chunks_exact(width)).collect();
        for (buffer, range) in runs {
            let found = &buffers[*buffer];
            for at in range.clone() {
                let Candidate { parent, ordinal, note, kind, .. } = found.list[at];
                match kind {
                    Kind::Failed(failure) => {
                        let message = self.tables.failures[failure as usize].clone();
                        self.failure = Some(Failure { state: parent, ordinal: Some(ordinal), message });
                    }
                    Kind::Noted => {}
                    Kind::Row(actor) => {
                        let row = rows[*buffer].next().expect("each successor has a row");
                        self.generated += 1;
                        if found.new[at].load(Ordering::Relaxed) {
                            if let Err(message) = self.admit(row) {
                                self.failure =
                                    Some(Failure { state: parent, ordinal: Some(ordinal), message });
                                return;
                            }
                            self.add(row, parent, ordinal, Some(actor.into()));
                        }
                    }
                }
                if self.failure.is_some() {
                    return;
                }
                self.ask_note(note, parent, ordinal);
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
