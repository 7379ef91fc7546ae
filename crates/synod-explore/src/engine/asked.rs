//! Questions to properties. Each property of histories is asked once per history, of notes once per note, of locals once per local,
//! and those of whole states of every state.

use super::door::{About, Answer, Door};
use super::frontier::Frontier;
use super::intern::{NONE, pair};
use super::plan::{Asks, Doubtful, Of, Plan, StopAt};
use super::tables::Tables;
use crate::doubt::is_probed;
use rustc_hash::FxHashSet;
use std::ops::Range;

/// The least number of states that is worth a thread.
const SHARE: u32 = 1 << 8;

/// The place at which a property was decided.
pub(super) struct Hit {
    pub state: u32,
    /// The step out of the state, if it is a step that decided it.
    pub ordinal: Option<u32>,
    pub detail: String,
}

/// A panic of user code: after the step out of the state, or in a property of the state.
pub(super) struct Failure {
    pub state: u32,
    pub ordinal: Option<u32>,
    pub message: String,
}

/// Questions that were asked, and decisions.
pub(super) struct Asked {
    properties: Vec<Asks>,
    /// The decision of each property, if there is one.
    pub hits: Vec<Option<Hit>>,
    pub failure: Option<Failure>,
    pub histories: Vec<bool>,
    pub notes: Vec<bool>,
    pub locals: FxHashSet<u64>,
    /// The combinations of all actors' locals that were asked about. A resumed exploration asks about them again, to the same effect.
    together: FxHashSet<Box<[u32]>>,
}

/// Everything that is needed to ask about states: tables, frontier, and the door to the properties.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub tables: &'a Tables,
    pub door: &'a dyn Door,
    pub frontier: &'a Frontier,
}

impl Asked {
    /// The state before anything was asked.
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            hits: plan.properties.iter().map(|_| None).collect(),
            properties: plan.properties.clone(),
            failure: None,
            histories: Vec::new(),
            notes: Vec::new(),
            locals: FxHashSet::default(),
            together: FxHashSet::default(),
        }
    }

    /// Bytes in use by the collections that grow with the states.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.together.iter().next().map_or(0, |numbers| size_of_val(&**numbers));
        self.together.capacity() * (size_of::<Box<[u32]>>() + 1) + self.together.len() * (numbers + 8)
    }

    /// The properties of a kind that are still undecided, but for those that are marked.
    fn undecided_but(&self, decided: &[bool], of: Of) -> Vec<usize> {
        let undecided =
            |index: &usize| self.hits[*index].is_none() && !decided.get(*index).copied().unwrap_or(false);
        let all = (0..self.properties.len()).filter(|index| self.properties[*index].of == of);
        all.filter(undecided).collect()
    }

    /// True if a property of a kind is still undecided.
    pub(super) fn waits_for(&self, of: Of) -> bool {
        self.properties.iter().zip(&self.hits).any(|(property, hit)| hit.is_none() && property.of == of)
    }

    /// True if a property that looks at more than one local or history is still undecided.
    pub(super) fn waits_for_states(&self) -> bool {
        self.waits_for(Of::State) || self.waits_for(Of::Locals)
    }

    /// True if enough is decided to stop.
    pub(super) fn is_enough(&self, stop: StopAt) -> bool {
        match stop {
            StopAt::Exhausted => false,
            StopAt::FirstViolation => {
                self.properties.iter().zip(&self.hits).any(|(property, hit)| property.always && hit.is_some())
            }
            StopAt::Property(index) => self.hits[index].is_some(),
        }
    }

    /// Remembers a failure, if it is the first.
    pub(super) fn fail(&mut self, state: u32, ordinal: Option<u32>, message: String) {
        self.failure.get_or_insert(Failure { state, ordinal, message });
    }

    /// Records the decisions of properties at a state.
    fn record_answers(&mut self, answers: Result<Vec<Answer>, String>, state: u32, ordinal: Option<u32>) {
        match answers {
            Err(message) => self.fail(state, ordinal, message),
            Ok(answers) => {
                for (index, answer) in answers {
                    match answer {
                        Ok(detail) => self.hits[index] = Some(Hit { state, ordinal, detail }),
                        Err(message) => self.fail(state, ordinal, message),
                    }
                }
            }
        }
    }

    /// Asks about the history of a state, if it is new.
    #[inline]
    pub(super) fn history(&mut self, (tables, door): (&Tables, &dyn Door), history: u32, state: u32) {
        if is_first(&mut self.histories, history) {
            let components = tables.histories.components(&history);
            let answers = door.ask(About::History(components), &self.undecided_but(&[], Of::History));
            self.record_answers(answers, state, None);
        }
    }

    /// Asks about a local, if it is new.
    pub(super) fn local(&mut self, door: &dyn Door, (actor, local): (usize, u32), state: u32) {
        if self.locals.insert(pair(actor as u32, local)) {
            let answers = door.ask(About::Local(actor, local), &self.undecided_but(&[], Of::Local));
            self.record_answers(answers, state, None);
        }
    }

    /// Asks about a note, if it is new. A no-op counts as a step too if its note changes the history.
    pub(super) fn note(&mut self, door: &dyn Door, note: u32, parent: u32, ordinal: u32) {
        if note != NONE && is_first(&mut self.notes, note) {
            let answers = door.ask(About::Note(note), &self.undecided_but(&[], Of::Note));
            self.record_answers(answers, parent, Some(ordinal));
        }
    }

    /// Asks about whole states, and all actors of them together, so many at least in each thread.
    pub(super) fn states(
        &mut self,
        asking: Asking<'_>,
        states: &Range<u32>,
        pool: Option<&rayon::ThreadPool>,
        least: u32,
    ) {
        let threads = pool.map_or(1, rayon::ThreadPool::current_num_threads);
        let shares = shares_of(states, threads, least.min(SHARE));
        let mut found: Vec<Findings> = Vec::new();
        found.resize_with(shares.len(), Findings::default);
        let asked = &*self;
        match pool {
            None => {
                for (share, found) in shares.into_iter().zip(&mut found) {
                    asked.share_of_states(asking, share, found);
                }
            }
            Some(pool) => pool.scope(|scope| {
                for (share, found) in shares.into_iter().zip(&mut found) {
                    scope.spawn(move |_| asked.share_of_states(asking, share, found));
                }
            }),
        }
        for met in &mut found {
            self.together.extend(std::mem::take(&mut met.together));
        }
        if let Some((state, message)) = found.iter_mut().find_map(|found| found.failed.take()) {
            self.fail(state, None, message);
        }
        for (state, answer) in found.into_iter().flat_map(|found| found.found) {
            if self.failure.is_none() && self.hits[answer.0].is_none() {
                self.record_answers(Ok(vec![answer]), state, None);
            }
        }
    }

    /// The share of one thread in that.
    fn share_of_states(
        &self,
        Asking { tables, door, frontier }: Asking<'_>,
        share: Range<u32>,
        Findings { found, together: met, failed }: &mut Findings,
    ) {
        let (whole, together) = (self.waits_for(Of::State), self.waits_for(Of::Locals));
        let mut decided = vec![false; self.hits.len()];
        let mut vector = vec![0; tables.width()];
        let mut reader = frontier.reader();
        for number in share {
            let probed = tables.plan.doubt != Doubtful::Nothing && is_probed(number);
            // Properties of whole states also probe the doubtful boundary. Without any of them it has to be probed here.
            let properties = if whole { self.undecided_but(&decided, Of::State) } else { Vec::new() };
            let doubted = tables.plan.doubt == Doubtful::Boundary && properties.is_empty();
            if !whole && !together && !probed && !doubted {
                continue;
            }
            reader.vector(number, &mut vector);
            let mut answers = Vec::new();
            if whole || probed || doubted {
                let state = tables.whole(&vector);
                if (probed || doubted)
                    && let Err(message) = door.probe(&state, probed)
                {
                    *failed = Some((number, message));
                    return;
                }
                if !properties.is_empty() {
                    match door.ask(About::State(&state), &properties) {
                        Ok(answered) => answers = answered,
                        Err(message) => {
                            *failed = Some((number, message));
                            return;
                        }
                    }
                }
            }
            let locals = if together { tables.locals_of(&vector).into_boxed_slice() } else { Box::default() };
            if together && !self.together.contains(&locals) && !met.contains(&locals) {
                let properties = self.undecided_but(&decided, Of::Locals);
                match door.ask(About::Locals(&locals), &properties) {
                    Ok(answered) => answers.extend(answered),
                    Err(message) => {
                        *failed = Some((number, message));
                        return;
                    }
                }
                met.insert(locals);
            }
            // The first of several states that decide a property, or make it panic, counts; the property is not asked again.
            for (index, answer) in answers {
                let panicked = answer.is_err();
                decided[index] = true;
                found.push((number, (index, answer)));
                if panicked {
                    return;
                }
            }
        }
    }
}

/// Results of one thread: states that decide properties, and combinations of locals that it asked about.
#[derive(Default)]
struct Findings {
    found: Vec<(u32, Answer)>,
    together: FxHashSet<Box<[u32]>>,
    /// The complaint of a close look at a state.
    failed: Option<(u32, String)>,
}

/// True if a number comes up for the first time.
#[inline]
pub(super) fn is_first(seen: &mut Vec<bool>, number: u32) -> bool {
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
