//! One exploration from its first state to its end: levels, blocks, and what is asked of each new state.

use super::budget::Budget;
use super::intern::NONE;
use super::retrace::Impure;
use super::rows::{Rows, tag};
use super::tables::{Candidates, Kind, Known, Tables};
use crate::observer::Observer;
use crate::property::Check;
use crate::report::{Ending, Options, Progress, Stop, Why};
use crate::state::State;
use crate::system::System;
use crate::{Action, Expectation, Subject, panics};
use std::ops::Range;

/// States that are expanded from the same tables. Fixed, so that the outcome does not depend on the threads.
const BLOCK: u32 = 1 << 13;
/// Fewer states than this are not worth a thread.
const SHARE: u32 = 1 << 8;
/// States that are expanded with missing entries before the clock is looked at again.
const PATIENCE: usize = 32;

/// Where a property was decided.
pub(super) struct Hit {
    pub row: u32,
    /// The step out of the row, if it is a step that decided it.
    pub ordinal: Option<u32>,
    pub detail: String,
}

/// A panic of user code: after the step out of the row, or in a property of the row.
struct Failure {
    row: u32,
    ordinal: Option<u32>,
    message: String,
}

/// What decided a property, in words; or the panic of a property that could not be asked.
type Answer = Result<String, String>;

pub(super) struct Search<'s, A: Subject, O: Observer<A>> {
    pub tables: Tables<'s, A, O>,
    pub rows: Rows,
    /// What decided each property.
    pub hits: Vec<Option<Hit>>,
    pub generated: u64,
    pub depth: usize,
    /// The histories and notes that every property was asked about.
    asked_histories: Vec<bool>,
    asked_notes: Vec<bool>,
    failure: Option<Failure>,
    pruned: bool,
    buffers: Vec<Candidates>,
}

impl<'s, A: Subject, O: Observer<A>> Search<'s, A, O> {
    pub(super) fn new(system: &'s System<A, O>) -> Self {
        let tables = Tables::new(system);
        Self {
            rows: Rows::new(tables.width()),
            tables,
            hits: system.properties.iter().map(|_| None).collect(),
            generated: 0,
            depth: 0,
            asked_histories: Vec::new(),
            asked_notes: Vec::new(),
            failure: None,
            pruned: false,
            buffers: Vec::new(),
        }
    }

    /// Takes in the initial state. False if it is out of bounds; fails if user code panics.
    pub(super) fn begin(&mut self, initial: &State<A, O>) -> Result<bool, String> {
        if !panics::capture(|| self.tables.system.bounds.admit(initial))? {
            return Ok(false);
        }
        let row = self.tables.row(initial)?;
        self.generated = 1;
        self.add(tag(&row), &row, 0, 0);
        Ok(true)
    }

    /// Explores until the end, or until there is a reason to stop.
    pub(super) fn run(&mut self, options: &Options<'_>, budget: &Budget<'_>, ending: &mut Ending<A>) {
        self.ask_states(0..self.rows.len(), options.threads);
        let mut level = 0..self.rows.len();
        'levels: while !level.is_empty() && !self.is_over(&options.stop) {
            self.depth += 1;
            if self.tables.system.bounds.depth == Some(self.depth) {
                ending.cut = true;
                level.start = level.end;
                break;
            }
            while !level.is_empty() {
                let full = self.rows.is_full().then_some(Why::Memory);
                ending.incomplete = full.or_else(|| budget.check_all(self.bytes()));
                if ending.incomplete.is_some() {
                    break 'levels;
                }
                let block = level.start..level.end.min(level.start + BLOCK);
                ending.incomplete = self.explore_block(block.clone(), options.threads, budget);
                if ending.incomplete.is_some() {
                    break 'levels;
                }
                level.start = block.end;
                self.tell(options, budget, u64::from(self.rows.len() - level.start));
                if self.is_over(&options.stop) {
                    break 'levels;
                }
            }
            level = level.end..self.rows.len();
        }
        // A level that was reached but not left still has a depth.
        self.depth = self.depth.max(usize::from(self.rows.len() > 0));
        if self.rows.len() > level.end {
            self.depth += 1;
        }
        ending.cut |= self.pruned;
        ending.exhausted = level.is_empty() && level.end == self.rows.len() && ending.incomplete.is_none();
        ending.panicked = self.failure.take().map(|failure| {
            let trace = self.trace(failure.row, failure.ordinal);
            (failure.message, trace)
        });
    }

    /// Whether the exploration stops here although there may be more to explore.
    fn is_over(&self, stop: &Stop) -> bool {
        let properties = || self.tables.system.properties.iter().zip(&self.hits);
        self.failure.is_some()
            || match stop {
                Stop::FirstViolation => {
                    properties().any(|(p, hit)| p.expectation == Expectation::Always && hit.is_some())
                }
                Stop::Violation(name) => properties().any(|(p, hit)| p.name == name && hit.is_some()),
                Stop::Exhausted => false,
            }
    }

    fn tell(&self, options: &Options<'_>, budget: &Budget<'_>, frontier: u64) {
        if let Some(progress) = options.progress {
            progress(&Progress {
                unique: u64::from(self.rows.len()),
                generated: self.generated,
                depth: self.depth,
                frontier,
                memory_bytes: budget.memory(self.bytes()),
                elapsed: budget.elapsed(),
            });
        }
    }

    /// Expands the states of a block and takes in their successors. Gives up half-way, taking in none, if the
    /// time is up.
    fn explore_block(&mut self, block: Range<u32>, threads: usize, budget: &Budget<'_>) -> Option<Why> {
        let shares = shares(&block, threads);
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.resize_with(buffers.len().max(shares.len() + 1), Candidates::default);
        for buffer in &mut buffers {
            buffer.clear();
        }
        let (late, parallel) = buffers.split_at_mut(1);
        let notes = self.waits_for(|check| matches!(check, Check::Note(_))).then_some(&*self.asked_notes);
        let known = Known { rows: &self.rows, notes };
        let tables = &self.tables;
        in_parallel(shares.iter().zip(parallel.iter_mut()), |(share, found)| {
            for number in share.clone() {
                if tables.try_expand(number, &known, found).is_err() {
                    found.missed.push(number);
                }
            }
        });
        let missed: Vec<u32> = parallel.iter().flat_map(|found| found.missed.iter().copied()).collect();
        for (n, number) in missed.into_iter().enumerate() {
            if n % PATIENCE == 0 {
                let given_up = budget.check();
                if given_up.is_some() {
                    self.buffers = buffers;
                    return given_up;
                }
            }
            self.tables.expand_filling(number, &known, &mut late[0]);
        }
        let first = self.rows.len();
        self.take_in(&late[0], parallel);
        for found in &buffers {
            self.generated += found.known;
            self.pruned |= found.pruned;
        }
        self.buffers = buffers;
        if self.failure.is_none() {
            self.ask_states(first..self.rows.len(), threads);
        }
        None
    }

    /// Numbers the new states in the order of their parents, those of late parents in between.
    fn take_in(&mut self, late: &Candidates, parallel: &[Candidates]) {
        let width = self.rows.width();
        let mut late_list = late.list.iter().peekable();
        let mut late_rows = late.rows.chunks_exact(width);
        for found in parallel {
            let mut rows = found.rows.chunks_exact(width);
            for candidate in &found.list {
                while let Some(earlier) = late_list.next_if(|late| late.parent < candidate.parent) {
                    if !self.take_one(earlier, &mut late_rows) {
                        return;
                    }
                }
                if !self.take_one(candidate, &mut rows) {
                    return;
                }
            }
        }
        for candidate in late_list {
            if !self.take_one(candidate, &mut late_rows) {
                return;
            }
        }
    }

    /// Takes in one candidate; false if it is a panic.
    fn take_one<'r>(
        &mut self,
        candidate: &super::tables::Candidate,
        rows: &mut impl Iterator<Item = &'r [u32]>,
    ) -> bool {
        let &super::tables::Candidate { parent, ordinal, note, kind } = candidate;
        match kind {
            Kind::Failed(failure) => {
                let message = self.tables.failures[failure as usize].clone();
                self.failure = Some(Failure { row: parent, ordinal: Some(ordinal), message });
                return false;
            }
            Kind::Noted => {}
            Kind::New(tag) => {
                let row = rows.next().expect("each new state has a row");
                if !self.rows.contains(tag, row) {
                    match self.admits(row) {
                        Ok(true) => self.add(tag, row, parent, ordinal),
                        Ok(false) => {
                            self.pruned = true;
                            return true;
                        }
                        Err(message) => {
                            self.failure = Some(Failure { row: parent, ordinal: Some(ordinal), message });
                            return false;
                        }
                    }
                }
                self.generated += 1;
            }
        }
        if note != NONE {
            self.ask_note(note, parent, ordinal);
        }
        self.failure.is_none()
    }

    /// Whether a state is within the bound that looks at whole states. Fails if the bound panics.
    fn admits(&self, row: &[u32]) -> Result<bool, String> {
        match &self.tables.system.bounds.state {
            None => Ok(true),
            Some((_, within)) => {
                let state = self.tables.state(row);
                panics::capture(|| within(&state))
            }
        }
    }

    /// Adds a new state and asks about its history, if that is new too.
    fn add(&mut self, tag: u32, row: &[u32], parent: u32, ordinal: u32) {
        let history = row[self.tables.history_column()];
        let number = self.rows.push(tag, row, parent, ordinal);
        if is_first(&mut self.asked_histories, history) {
            let value = self.tables.histories.get(history);
            let answers = self.ask(|check| match check {
                Check::History(check) => Some(panics::capture(|| check(value))),
                _ => None,
            });
            self.settle(answers, number, None);
        }
    }

    /// Asks about a note, if it is new. A no-op is a step too where only the note matters.
    fn ask_note(&mut self, note: u32, parent: u32, ordinal: u32) {
        if is_first(&mut self.asked_notes, note) {
            let value = self.tables.notes.get(note);
            let answers = self.ask(|check| match check {
                Check::Note(check) => Some(panics::capture(|| check(value))),
                _ => None,
            });
            self.settle(answers, parent, Some(ordinal));
        }
    }

    /// The answers of the properties that are still undecided and that `question` applies to.
    fn ask(
        &self,
        question: impl Fn(&Check<A, O>) -> Option<Result<Result<(), String>, String>>,
    ) -> Vec<(usize, Answer)> {
        let mut answers = Vec::new();
        for (index, property) in self.tables.system.properties.iter().enumerate() {
            if self.hits[index].is_some() {
                continue;
            }
            match question(&property.check) {
                None => {}
                Some(Err(message)) => answers.push((index, Err(in_property(property.name, &message)))),
                Some(Ok(answer)) => {
                    answers.extend(property.finding(answer).map(|detail| (index, Ok(detail))));
                }
            }
        }
        answers
    }

    /// Whether a property of some kind is still undecided.
    fn waits_for(&self, kind: impl Fn(&Check<A, O>) -> bool) -> bool {
        let mut properties = self.tables.system.properties.iter().zip(&self.hits);
        properties.any(|(property, hit)| hit.is_none() && kind(&property.check))
    }

    /// Remembers what was decided at a row.
    fn settle(&mut self, answers: Vec<(usize, Answer)>, row: u32, ordinal: Option<u32>) {
        for (index, answer) in answers {
            match answer {
                Ok(detail) => self.hits[index] = Some(Hit { row, ordinal, detail }),
                Err(message) => {
                    if self.failure.is_none() {
                        self.failure = Some(Failure { row, ordinal, message });
                    }
                }
            }
        }
    }

    /// Asks the properties that look at whole states about new states, in parallel.
    fn ask_states(&mut self, states: Range<u32>, threads: usize) {
        if !self.waits_for(|check| matches!(check, Check::State(_))) {
            return;
        }
        let shares = shares(&states, threads);
        let mut found: Vec<Vec<(u32, usize, Answer)>> = Vec::new();
        found.resize_with(shares.len(), Vec::new);
        let search = &*self;
        in_parallel(shares.iter().zip(&mut found), |(share, found)| {
            let mut decided = vec![false; search.hits.len()];
            for number in share.clone() {
                let state = search.tables.state(search.rows.get(number));
                let answers = search.ask(|check| match check {
                    Check::State(check) => Some(panics::capture(|| check(&state))),
                    _ => None,
                });
                for (index, answer) in answers {
                    let failed = answer.is_err();
                    if !std::mem::replace(&mut decided[index], true) || failed {
                        found.push((number, index, answer));
                    }
                    if failed {
                        return;
                    }
                }
            }
        });
        for (row, index, answer) in found.into_iter().flatten() {
            if self.failure.is_none() && self.hits[index].is_none() {
                self.settle(vec![(index, answer)], row, None);
            }
        }
    }

    /// The actions on the way to a row, and the step out of it if there is one.
    pub(super) fn trace(&self, row: u32, ordinal: Option<u32>) -> Vec<Action<A>> {
        let mut trace = self.tables.trace(&self.rows, row);
        trace.extend(ordinal.map(|ordinal| self.tables.action(self.rows.get(row), ordinal)));
        trace
    }

    /// Runs again what is reported, and a sample of the rest.
    pub(super) fn verify(&self) -> Result<(), Impure<A>> {
        for hit in self.hits.iter().flatten() {
            self.tables.verify(&self.rows, hit.row)?;
        }
        self.tables.verify_sample(&self.rows)
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        let buffers: usize = self.buffers.iter().map(Candidates::bytes).sum();
        self.rows.bytes() + self.tables.bytes() + buffers
    }
}

fn in_property(name: &str, message: &str) -> String {
    format!("property {name:?}: {message}")
}

/// Whether a number comes up for the first time.
fn is_first(seen: &mut Vec<bool>, number: u32) -> bool {
    let number = number as usize;
    if number >= seen.len() {
        seen.resize(number + 1, false);
    }
    !std::mem::replace(&mut seen[number], true)
}

/// Splits numbers evenly between threads, in order.
fn shares(numbers: &Range<u32>, threads: usize) -> Vec<Range<u32>> {
    let threads = threads.clamp(1, 1 << 10) as u32;
    let share = (numbers.end - numbers.start).div_ceil(threads).max(SHARE);
    let starts = numbers.clone().step_by(share as usize);
    starts.map(|start| start..numbers.end.min(start + share)).collect()
}

/// Does something for every item, each on a thread of its own, the last one on this thread.
fn in_parallel<T: Send>(items: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
    let mut items: Vec<T> = items.collect();
    let Some(last) = items.pop() else { return };
    std::thread::scope(|scope| {
        let work = &work;
        for item in items {
            scope.spawn(move || work(item));
        }
        work(last);
    });
}
