//! A block of states and its five phases. Threads expand the states from the tables as they are. One thread then expands those for which
//! something was missing, in order. Threads look up the successors, each in its own shards, and pack the new ones. At last one thread
//! numbers them, in order.

use super::asked::shares;
use super::expand::{Candidate, Candidates, Kind, Known, expand};
use super::key::Key;
use super::memoise::{Memoising, Reading};
use super::packing::{Packing, Window, pack};
use super::plan::Of;
use super::scheme::Scheme;
use super::search::Search;
use super::seen::Table;
use super::sets::{Set, with_set};
use super::views::{How, Step};
use crate::report::Why;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The longest time without a look at the limits while properties are asked, unless the successors of one state take longer.
const LONG: Duration = Duration::from_millis(40);

/// The approximate number of successors that several threads look up together.
const SUCCESSORS: u64 = 1 << 16;

/// The end of the work on a block.
enum Ended {
    Done,
    /// Given up half-way. The successors of the earlier states were taken in.
    GivenUp(Why),
    /// Some number does not fit into its column of a key; nothing was taken in.
    TooLarge,
}

/// Consecutive candidates: the buffer, and their range in it.
type Run = (usize, Range<usize>);

impl Search<'_> {
    /// Expands the states of a block. Gives up half-way if the time is up.
    ///
    /// A single thread takes few states at a time, so that all of them stay in the processor's cache. Several threads take many, so that
    /// they seldom wait for each other, but no more successors than there is room for. The portions do not influence the results, except
    /// the time at which properties of whole states are asked.
    pub(super) fn explore_block(&mut self, block: Range<u32>) -> Option<Why> {
        if let Err(error) =
            self.found.frontier.load(block.clone()).and_then(|()| self.found.frontier.spill(block.end))
        {
            return Some(Why::Disk(error.kind()));
        }
        while self.found.at.level.start < block.end && self.found.asked.failure.is_none() {
            let at = &self.found.at;
            // Ends of portions do not depend on interruptions either.
            let left = (at.level.start - at.first_of_level) % self.pace.block % at.portion;
            let portion = at.level.start..block.end.min(at.level.start - left + at.portion);
            let given_up = self.explore_portion(portion.clone());
            if given_up.is_some() {
                return given_up;
            }
            self.found.at.level.start = portion.end;
            // A panic ends the exploration, so that no checkpoint is needed.
            if self.found.asked.failure.is_some() {
                return None;
            }
            let given_up = self.ask_states();
            if self.found.asked.failure.is_some() {
                return None;
            }
            let given_up = given_up.or_else(|| self.budget.look(|| self.bytes()));
            if given_up.is_some() {
                return given_up;
            }
        }
        None
    }

    /// The number of states, of so many, that are expanded at a time.
    pub(super) fn portion(&self, all: u32) -> u32 {
        let asked = self.found.asked.waits_for_states();
        if self.pool.is_none() && !asked {
            return self.pace.portion;
        }
        let each = self.found.at.generated / u64::from(self.found.origins.len()) + 1;
        (SUCCESSORS / each).max(u64::from(self.pace.portion)).min(u64::from(all)) as u32
    }

    /// Expands some states and takes in their successors. If the time is up, gives up half-way and takes in none.
    fn explore_portion(&mut self, portion: Range<u32>) -> Option<Why> {
        loop {
            let mut seen = self.found.seen.take().expect("only one block is at work");
            let ended = with_set!(&mut seen, set => self.explore_with(set, &portion));
            self.found.seen = Some(seen);
            match ended {
                Ended::Done => return None,
                Ended::GivenUp(why) => return Some(why),
                Ended::TooLarge if self.found.fit(&self.tables) => {}
                Ended::TooLarge => return Some(Why::Width),
            }
        }
    }

    fn explore_with<S: Scheme>(
        &mut self,
        Set { scheme, table, buffers }: &mut Set<S>,
        portion: &Range<u32>,
    ) -> Ended {
        let ended = self.expand_all(scheme, table, buffers, portion);
        if !matches!(ended, Ended::Done) {
            return ended;
        }
        let runs = runs(buffers);
        // If properties take long, a few states at a time. Not if properties look at whole states, which are asked afterwards: if one
        // panics, all states that were taken in until then are counted.
        while self.found.at.level.start < portion.end && self.found.asked.failure.is_none() {
            let start = self.found.at.level.start;
            let left = portion.end - start;
            let few = if self.found.asked.waits_for_states() { left } else { left.min(self.tempo.taken) };
            let some = start..start + few;
            let started = Instant::now();
            let runs: Vec<Run> = runs.iter().map(|run| found_from(buffers, run, &some)).collect();
            let keys = runs.iter().map(|(buffer, range)| {
                let found = &buffers[*buffer];
                (&found.keys[range.clone()], &found.new[range.clone()])
            });
            table.insert_all(self.pool.as_deref(), keys);
            self.take_in_all::<S>(buffers, &runs, &some);
            for (buffer, range) in runs {
                buffers[buffer].new[range].fill_with(AtomicBool::default);
            }
            self.found.at.level.start = some.end;
            if started.elapsed() > LONG {
                self.tempo.taken = (self.tempo.taken / 2).max(1);
            } else if started.elapsed() < LONG / 8 && self.tempo.taken < self.pace.chunk {
                self.tempo.taken *= 2;
            }
            if some.end < portion.end
                && self.found.asked.failure.is_none()
                && let Some(why) = self.budget.look(|| self.bytes())
            {
                return Ended::GivenUp(why);
            }
        }
        Ended::Done
    }

    /// Expands some states. Candidates of an unfinished expansion mean nothing.
    fn expand_all<S: Scheme>(
        &mut self,
        scheme: &S,
        table: &Table<S>,
        buffers: &mut Vec<Candidates<S::Key>>,
        states: &Range<u32>,
    ) -> Ended {
        let shares = shares(states, self.threads());
        buffers.resize_with(buffers.len().max(shares.len() + 1), Candidates::new);
        for buffer in &mut *buffers {
            buffer.clear();
        }
        let notes = self.found.asked.waits_for(Of::Note).then(|| self.found.asked.notes.clone());
        let known = Known {
            scheme,
            seen: table,
            notes: notes.as_deref(),
            with_vectors: self.tables.plan.with_vectors(),
        };
        let sleeping = self.sleeping();
        let (late, parallel) = buffers.split_at_mut(1);
        let missed: Vec<u32> = match &self.pool {
            None => states.clone().collect(),
            Some(pool) => {
                let (tables, door, frontier, known) =
                    (&self.tables, &*self.door, &self.found.frontier, &known);
                pool.scope(|scope| {
                    for (share, found) in shares.iter().cloned().zip(parallel.iter_mut()) {
                        scope.spawn(move |_| {
                            let mut states = Window::new(tables.width(), sleeping);
                            let mut reader = frontier.reader();
                            for number in share.clone() {
                                let expanding =
                                    states.read(tables, known.scheme, &mut reader, number..share.end);
                                if expand(&mut Reading { tables, door }, expanding, known, found).is_err() {
                                    found.missed.push(number);
                                }
                            }
                        });
                    }
                });
                parallel.iter().flat_map(|found| found.missed.iter().copied()).collect()
            }
        };
        let (mut states, mut reader) =
            (Window::new(self.tables.width(), sleeping), self.found.frontier.reader());
        for (n, &number) in missed.iter().enumerate() {
            // The first state is expanded whatever the clock says, so that an exploration in pieces advances however short they are.
            if n > 0
                && let Some(why) = self.budget.look(|| self.bytes())
            {
                return Ended::GivenUp(why);
            }
            let expanding = states.read(&self.tables, scheme, &mut reader, missed[n..].iter().copied());
            self.tables.reactions.expanding = number;
            let mut memoising = Memoising { tables: &mut self.tables, door: self.door };
            expand(&mut memoising, expanding, &known, &mut late[0])
                .expect("whatever is missing is found out");
        }
        if self.found.frontier.overflows(&self.tables.counts()) {
            return Ended::TooLarge;
        }
        for buffer in buffers {
            buffer.new.resize_with(buffer.found.len(), AtomicBool::default);
            self.found.at.pruned |= buffer.pruned;
        }
        Ended::Done
    }

    /// Takes in the candidates of some states, with new ones marked.
    fn take_in_all<S: Scheme>(
        &mut self,
        buffers: &mut [Candidates<S::Key>],
        runs: &[Run],
        parents: &Range<u32>,
    ) {
        self.pack_all::<S>(buffers);
        self.take_in(buffers, runs, parents);
    }

    /// True if sleeping steps need not be followed. Scouts follow them, as they do not expand every state.
    fn sleeping(&self) -> bool {
        self.tables.plan.sleeps() && self.scouting.is_none()
    }

    /// Packs the new states.
    fn pack_all<S: Scheme>(&mut self, buffers: &mut [Candidates<S::Key>]) {
        loop {
            let (known, frontier) = ((&self.tables, &*self.door), &self.found.frontier);
            let with_vectors = self.tables.plan.with_vectors();
            match &self.pool {
                None => {
                    for found in &mut *buffers {
                        pack::<S>(known, frontier, found, with_vectors);
                    }
                }
                Some(pool) => pool.scope(|scope| {
                    for found in &mut *buffers {
                        scope.spawn(move |_| pack::<S>(known, frontier, found, with_vectors));
                    }
                }),
            }
            let mut successor = Packing::new(&self.found.frontier, self.tables.width());
            for found in &mut *buffers {
                for missed in std::mem::take(&mut found.missed).chunks_exact(2) {
                    let (one, place) = (&found.found[missed[0] as usize], missed[1] as usize);
                    let packed = &mut found.packed[place..];
                    successor.start(&self.tables, one, packed, &mut Vec::new());
                    let finished = successor.finish(
                        &mut Memoising { tables: &mut self.tables, door: self.door },
                        one,
                        packed,
                    );
                    finished.expect("whatever is missing is found out");
                }
            }
            if !self.found.frontier.overflows(&self.tables.counts()) {
                return;
            }
            // Some number does not fit into its column. With wider columns, nothing is missing any more.
            self.found.widen(&self.tables);
        }
    }

    /// Numbers the new states in the order of their parents.
    fn take_in<K: Key>(&mut self, buffers: &[Candidates<K>], runs: &[Run], parents: &Range<u32>) {
        let words = self.found.frontier.words();
        let mut taken: Vec<_> = buffers.iter().map(|found| (found.fresh.iter().peekable(), 0)).collect();
        // Most new states only have to be numbered.
        let plain =
            self.scouting.is_none() && !self.tables.plan.asks_locals && !self.tables.plan.with_vectors();
        // The candidate at which this ends, if it is not the last.
        let mut failed = None;
        for (buffer, range) in runs {
            let (found, (fresh, packed)) = (&buffers[*buffer], &mut taken[*buffer]);
            let (mut end, mut others) = (range.end, 0);
            let waiting = *packed;
            // Notes and failures may have been dealt with before.
            while fresh.next_if(|at| (**at as usize) < range.start).is_some() {}
            while let Some(&at) = fresh.next_if(|at| (**at as usize) < range.end) {
                let one = &found.found[at as usize];
                match one.kind() {
                    // Anything that a scout finds comes up again in the full pass, and counts there.
                    Kind::Failed(_) | Kind::Noted(_) if self.scouting.is_some() => {}
                    Kind::Failed(failure) => {
                        let message = self.tables.reactions.failures[failure as usize].clone();
                        self.fail(one, message);
                    }
                    Kind::Noted(note) => {
                        self.found.asked.note(&*self.door, note, one.parent, one.ordinal);
                    }
                    Kind::Successor { history, .. } if plain => {
                        *packed += words;
                        let state = self.found.origins.len();
                        self.found.origins.push(one.parent, one.ordinal);
                        self.found.asked.history((&self.tables, &*self.door), history, state);
                    }
                    Kind::Successor { step, .. } => {
                        let at = *packed;
                        *packed += words;
                        let packed = &found.packed[at..*packed];
                        match self.admit(packed) {
                            Ok(()) => {
                                // A tick may be new to any actor.
                                let Step { column, how, .. } = self.tables.steps.hot[step as usize];
                                let actor = (how != How::Tick).then_some(column.into());
                                self.add(packed, (one.parent, one.ordinal), actor);
                            }
                            Err(message) => self.fail(one, message),
                        }
                    }
                }
                others += usize::from(!one.is_successor());
                if self.found.asked.failure.is_some() {
                    end = at as usize + 1;
                    failed = Some((one.parent, one.ordinal));
                    break;
                }
            }
            if plain {
                self.found.frontier.extend(&found.packed[waiting..*packed]);
            }
            self.found.at.generated += (end - range.start - others) as u64;
            if failed.is_some() {
                break;
            }
        }
        let before = |parent: &u32| parents.contains(parent) && failed.is_none_or(|(last, _)| *parent < last);
        let asleep = buffers.iter().flat_map(|found| &found.asleep).filter(|(parent, _)| before(parent));
        self.found.at.generated += asleep.map(|(_, sleeping)| u64::from(*sleeping)).sum::<u64>();
        self.found.at.generated += failed.map_or(0, |failed| self.sleeping_before(failed, buffers));
    }

    /// The number of sleeping steps of a state before one of its steps.
    fn sleeping_before<K: Key>(&self, (state, ordinal): (u32, u32), buffers: &[Candidates<K>]) -> u64 {
        if !self.sleeping() {
            return 0;
        }
        let mut vector = vec![0; self.tables.width()];
        self.found.frontier.reader().vector(state, &mut vector);
        let steps = |(column, view): (usize, &u32)| {
            let (start, end) = self.tables.columns[column].steps[*view as usize];
            start..end
        };
        let is_plain = |step: &u32| self.tables.steps.hot[*step as usize].how == How::Plain;
        let all = vector[..self.tables.movers()].iter().enumerate().flat_map(steps).take(ordinal as usize);
        let found = buffers.iter().flat_map(|found| &found.found);
        let followed = found.filter(|one| (one.parent, one.ordinal < ordinal) == (state, true));
        let followed = followed
            .filter(|one| matches!(one.kind(), Kind::Successor { step, .. } if is_plain(&step)))
            .count();
        (all.filter(is_plain).count() - followed) as u64
    }

    fn fail(&mut self, found: &Candidate, message: String) {
        self.found.asked.fail(found.parent, Some(found.ordinal), message);
    }

    /// Fails if the bound of whole states panics. States beyond the bound do not come here.
    fn admit(&self, packed: &[u64]) -> Result<(), String> {
        if !self.tables.plan.world.bounds_states {
            return Ok(());
        }
        let mut vector = vec![0; self.tables.width()];
        self.found.frontier.layout().unpack(packed, &mut vector);
        self.door.admits(&self.tables.whole(&vector)).map(|_| ())
    }
}

/// The candidates of a run that were found from some states.
fn found_from<K>(buffers: &[Candidates<K>], (buffer, range): &Run, parents: &Range<u32>) -> Run {
    let found = &buffers[*buffer].found[range.clone()];
    let start = found.partition_point(|one| one.parent < parents.start);
    let end = found.partition_point(|one| one.parent < parents.end);
    (*buffer, range.start + start..range.start + end)
}

/// The candidates of all buffers in the order of their parents: those of the first in between the others.
fn runs<K>(buffers: &[Candidates<K>]) -> Vec<Run> {
    let late = &buffers[0].found;
    let mut runs = Vec::new();
    let mut at = 0;
    for (buffer, Candidates { found, .. }) in buffers.iter().enumerate().skip(1) {
        let mut start = 0;
        while start < found.len() {
            let before = at + late[at..].partition_point(|late| late.parent < found[start].parent);
            runs.push((0, at..before));
            at = before;
            // Up to the next state that was expanded late.
            let end = match late.get(at) {
                None => found.len(),
                Some(late) => start + found[start..].partition_point(|one| one.parent < late.parent),
            };
            runs.push((buffer, start..end));
            start = end;
        }
    }
    runs.push((0, at..late.len()));
    runs
}
