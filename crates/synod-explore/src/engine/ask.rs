//! What is asked of what was found: each property of histories once a history, of notes once a note, of locals once a local,
//! and those of whole states of every state.

use super::budget::Budget;
use super::intern::NONE;
use super::search::{Failure, Search};
use super::tables::pair;
use crate::doubt::Doubt;
use crate::observer::Observer;
use crate::property::Check;
use crate::report::Why;
use crate::state::Local;
use crate::{Subject, panics};
use rustc_hash::FxHashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fewer states than this are not worth a thread.
pub(super) const SHARE: u32 = 1 << 8;

/// So long nobody looks at the limits while states are asked about, unless one takes longer.
const LONG: Duration = Duration::from_millis(40);

/// Where a property was decided.
pub(super) struct Hit {
    pub state: u32,
    /// The step out of the state, if it is a step that decided it.
    pub ordinal: Option<u32>,
    pub detail: String,
}

/// What decided a property, in words; or the panic of a property that could not be asked.
type Answer = Result<String, String>;

/// What was asked, and what was decided.
pub(super) struct Asked {
    /// What decided each property.
    pub hits: Vec<Option<Hit>>,
    pub histories: Vec<bool>,
    pub notes: Vec<bool>,
    pub locals: FxHashSet<u64>,
    /// The numbers of all actors' locals. Whoever goes on from a checkpoint asks about them again, to the same effect.
    pub together: FxHashSet<Box<[u32]>>,
}

impl Asked {
    /// Bytes in use by what grows with the states.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.together.iter().next().map_or(0, |numbers| size_of_val(&**numbers));
        self.together.capacity() * (size_of::<Box<[u32]>>() + 1) + self.together.len() * (numbers + 8)
    }

    pub(super) fn new(properties: usize) -> Self {
        let hits = std::iter::repeat_with(|| None).take(properties).collect();
        Self {
            hits,
            histories: Vec::new(),
            notes: Vec::new(),
            locals: FxHashSet::default(),
            together: FxHashSet::default(),
        }
    }
}

impl<A: Subject, O: Observer<A>> Search<'_, A, O> {
    /// Adds a new state, found by a step of some actor if it is not the first, and asks about what is new in it.
    pub(super) fn add(&mut self, packed: &[u64], (parent, ordinal): (u32, u32), actor: Option<usize>) {
        let state = self.origins.len();
        if let Some(met) = &mut self.scouting {
            let mut new = false;
            for (column, met) in met.iter_mut().enumerate() {
                new |= is_first(met, self.frontier.layout().get(packed, column));
            }
            if new {
                self.origins.push(parent, ordinal);
                self.frontier.extend(packed);
            }
            return;
        }
        self.origins.push(parent, ordinal);
        self.frontier.extend(packed);
        let history = self.frontier.layout().get(packed, self.tables.history_column());
        self.ask_history(history, state);
        if self.asks_locals {
            let actors = self.tables.actors();
            let rewritten = self.tables.symmetric.is_some() || self.tables.system.normal.is_some();
            match actor.filter(|_| !rewritten) {
                Some(actor) if actor < actors => self.ask_local(packed, actor, state),
                Some(_) => {}
                // Of the first state, and where a state was rewritten, any actor may be new.
                None => (0..actors).for_each(|actor| self.ask_local(packed, actor, state)),
            }
        }
    }

    /// Asks about the history of a state, if it is new.
    #[inline]
    pub(super) fn ask_history(&mut self, history: u32, state: u32) {
        if is_first(&mut self.asked.histories, history) {
            let value = match panics::capture(|| self.tables.history(history)) {
                Ok(value) => value,
                Err(message) => {
                    self.failure.get_or_insert(Failure { state, ordinal: None, message });
                    return;
                }
            };
            let answers = self.ask(|check| match check {
                Check::History(check) => Some(panics::capture(|| check(&value))),
                _ => None,
            });
            self.settle(answers, state, None);
        }
    }

    /// Asks about what an actor is and has, if it is new.
    fn ask_local(&mut self, packed: &[u64], actor: usize, state: u32) {
        let view = self.frontier.layout().get(packed, actor);
        let (local, _) = self.tables.columns[actor].of[view as usize];
        if self.asked.locals.insert(pair(actor as u32, local)) {
            let value = self.tables.locals.get(local);
            let answers = self.ask(|check| match check {
                Check::Local(check) => Some(panics::capture(|| check(&(actor, value)))),
                _ => None,
            });
            self.settle(answers, state, None);
        }
    }

    /// The locals of all actors, if nobody asked about these before.
    fn new_locals(&self, row: &[u32], met: &mut FxHashSet<Box<[u32]>>) -> Option<Vec<Arc<Local<A>>>> {
        let numbers: Box<[u32]> =
            (0..self.tables.actors()).map(|actor| self.tables.parts(row, actor).0).collect();
        if self.asked.together.contains(&numbers) || met.contains(&numbers) {
            return None;
        }
        let locals = numbers.iter().map(|local| Arc::clone(self.tables.locals.get(*local))).collect();
        met.insert(numbers);
        Some(locals)
    }

    /// Asks about a note, if it is new. A no-op is a step too where only the note matters.
    pub(super) fn ask_note(&mut self, note: u32, parent: u32, ordinal: u32) {
        if note != NONE && self.scouting.is_none() && is_first(&mut self.asked.notes, note) {
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
        self.ask_but(&[], question)
    }

    /// The same, but for those that are marked.
    fn ask_but(
        &self,
        decided: &[bool],
        question: impl Fn(&Check<A, O>) -> Option<Result<Result<(), String>, String>>,
    ) -> Vec<(usize, Answer)> {
        let mut answers = Vec::new();
        for (index, property) in self.tables.system.properties.iter().enumerate() {
            if self.asked.hits[index].is_some() || decided.get(index) == Some(&true) {
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
    pub(super) fn waits_for(&self, kind: impl Fn(&Check<A, O>) -> bool) -> bool {
        let mut properties = self.tables.system.properties.iter().zip(&self.asked.hits);
        properties.any(|(property, hit)| hit.is_none() && kind(&property.check))
    }

    /// Remembers what was decided at a state.
    fn settle(&mut self, answers: Vec<(usize, Answer)>, state: u32, ordinal: Option<u32>) {
        for (index, answer) in answers {
            match answer {
                Ok(detail) => self.asked.hits[index] = Some(Hit { state, ordinal, detail }),
                Err(message) => {
                    if self.failure.is_none() {
                        self.failure = Some(Failure { state, ordinal, message });
                    }
                }
            }
        }
    }

    /// Whether a property that looks at more than one part of a state is still undecided.
    pub(super) fn asks_states(&self) -> bool {
        self.waits_for(|check| matches!(check, Check::State(_) | Check::Locals(_)))
    }

    /// Asks the properties that look at whole states, or at all actors, about new states. Gives up half-way if there is a reason;
    /// then the others are asked about when the exploration goes on.
    pub(super) fn ask_states(&mut self, budget: &Budget<'_>) -> Option<Why> {
        let all = self.origins.len();
        let doubts = self.tables.system.doubt.is_some();
        while self.unasked < all
            && self.failure.is_none()
            && self.scouting.is_none()
            && (doubts || self.asks_states())
        {
            let begun = Instant::now();
            let chunk = self.chunk.saturating_mul(self.threads() as u32);
            let some = self.unasked..all.min(self.unasked.saturating_add(chunk));
            self.ask_some(some.clone());
            self.unasked = some.end;
            let took = begun.elapsed();
            if took > LONG {
                self.chunk = (self.chunk / 2).max(1);
            } else if took < LONG / 8 && self.chunk < self.pace.chunk {
                self.chunk *= 2;
            }
            if some.end < all
                && self.failure.is_none()
                && let Some(why) = budget.look(|| self.bytes())
            {
                return Some(why);
            }
        }
        self.unasked = all;
        None
    }

    /// Asks about some states, in parallel.
    fn ask_some(&mut self, states: Range<u32>) {
        let doubt = self.tables.system.doubt.as_ref();
        let whole = self.waits_for(|check| matches!(check, Check::State(_)));
        let together = self.waits_for(|check| matches!(check, Check::Locals(_)));
        // Where few are asked about together, it is because that takes long.
        let least = self.chunk.min(SHARE);
        let shares = shares_of(&states, self.threads(), least);
        let mut found: Vec<Findings> = Vec::new();
        found.resize_with(shares.len(), Findings::default);
        let search = &*self;
        let work = |share: Range<u32>, Findings { found, together: met, failed }: &mut Findings| {
            let mut decided = vec![false; search.asked.hits.len()];
            let mut row = vec![0; search.tables.width()];
            let mut reader = search.frontier.reader();
            for number in share {
                let doubt = doubt.filter(|_| Doubt::<A, O>::is_probed(number));
                if !whole && !together && doubt.is_none() {
                    continue;
                }
                reader.row(number, &mut row);
                let mut answers = Vec::new();
                if whole || doubt.is_some() {
                    let state = panics::capture(|| search.tables.state(&row));
                    let probed = match (doubt, &state) {
                        (Some(doubt), Ok(state)) => {
                            panics::capture(|| doubt.probe(state)).and_then(|probed| probed)
                        }
                        _ => Ok(()),
                    };
                    if let Err(message) = probed {
                        *failed = Some((number, message));
                        return;
                    }
                    answers = search.ask_but(&decided, |check| match (check, &state) {
                        (Check::State(check), Ok(state)) => Some(panics::capture(|| check(state))),
                        (Check::State(_), Err(message)) => Some(Err(message.clone())),
                        _ => None,
                    });
                }
                if together && let Some(locals) = search.new_locals(&row, met) {
                    answers.extend(search.ask_but(&decided, |check| match check {
                        Check::Locals(check) => Some(panics::capture(|| check(&locals))),
                        _ => None,
                    }));
                }
                // Nobody is asked again: of several states that decide a property, or make it panic, the first counts.
                for (index, answer) in answers {
                    let panicked = answer.is_err();
                    decided[index] = true;
                    found.push((number, index, answer));
                    if panicked {
                        return;
                    }
                }
            }
        };
        match &self.pool {
            None => {
                for (share, found) in shares.into_iter().zip(&mut found) {
                    work(share, found);
                }
            }
            Some(pool) => pool.scope(|scope| {
                for (share, found) in shares.into_iter().zip(&mut found) {
                    let work = &work;
                    scope.spawn(move |_| work(share, found));
                }
            }),
        }
        for met in &mut found {
            self.asked.together.extend(std::mem::take(&mut met.together));
        }
        if let Some((state, message)) = found.iter_mut().find_map(|found| found.failed.take()) {
            self.failure.get_or_insert(Failure { state, ordinal: None, message });
        }
        for (state, index, answer) in found.into_iter().flat_map(|found| found.found) {
            if self.failure.is_none() && self.asked.hits[index].is_none() {
                self.settle(vec![(index, answer)], state, None);
            }
        }
    }
}

/// What one thread found out about states: what decides a property at which of them, and the locals that it asked about.
#[derive(Default)]
struct Findings {
    found: Vec<(u32, usize, Answer)>,
    together: FxHashSet<Box<[u32]>>,
    /// What was found where a state was looked at closely.
    failed: Option<(u32, String)>,
}

fn in_property(name: &str, message: &str) -> String {
    format!("property {name:?}: {message}")
}

/// Whether a number comes up for the first time.
#[inline]
fn is_first(seen: &mut Vec<bool>, number: u32) -> bool {
    let number = number as usize;
    if number >= seen.len() {
        seen.resize((number + 1).next_power_of_two(), false);
    }
    !std::mem::replace(&mut seen[number], true)
}

/// Splits numbers evenly between threads, in order.
pub(super) fn shares(numbers: &Range<u32>, threads: usize) -> Vec<Range<u32>> {
    shares_of(numbers, threads, SHARE)
}

/// The same, with so many at least for each.
fn shares_of(numbers: &Range<u32>, threads: usize, least: u32) -> Vec<Range<u32>> {
    let threads = threads.clamp(1, 1 << 10) as u32;
    let share = (numbers.end - numbers.start).div_ceil(threads).max(least);
    let starts = numbers.clone().step_by(share as usize);
    starts.map(|start| start..numbers.end.min(start + share)).collect()
}
