//! A second opinion: stateright's own breadth-first checker, on the same system, with the same report.
//!
//! It shares only the semantics of one step with [`explore`](crate::explore), and nothing of how states are stored,
//! compared, ordered or counted. Its traces are not always the shortest, and it compares hashes of states.

use crate::model::{SLOTS, holds_in, slots};
use crate::observer::Observer;
use crate::property::Check;
use crate::report::{Ending, Finding, Report, Stop, conclude};
use crate::state::State;
use crate::step::Taken;
use crate::system::System;
use crate::{Action, Expectation, Subject, Why, panics};
use stateright::{Checker, Model, Property};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Facts that are recorded while stateright explores, beside those that it reports.
#[derive(Default)]
struct Seen {
    /// The properties of steps that were decided, by index.
    notes: Vec<AtomicBool>,
    cut: AtomicBool,
    panicked: Mutex<Option<String>>,
    calls: AtomicU64,
}

/// The system, and the facts recorded about it.
struct Observed<A: Subject, O: Observer<A>> {
    system: Arc<System<A, O>>,
    seen: Arc<Seen>,
}

impl<A: Subject, O: Observer<A>> Observed<A, O> {
    /// Records a panic. The exploration continues without the step, so that no thread is lost.
    fn guard<T>(&self, otherwise: T, f: impl FnOnce() -> T) -> T {
        panics::capture(f).unwrap_or_else(|message| {
            let mut panicked = self.seen.panicked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            panicked.get_or_insert(message);
            otherwise
        })
    }

    fn note(&self, note: &O::Note) {
        for (property, seen) in self.system.properties.iter().zip(&self.seen.notes) {
            if let Check::Note(check) = &property.check
                && !seen.load(Ordering::Relaxed)
                && property.finding(check(note)).is_some()
            {
                seen.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl<A: Subject, O: Observer<A>> Model for Observed<A, O> {
    type State = State<A, O>;
    type Action = Action<A>;

    fn init_states(&self) -> Vec<Self::State> {
        self.guard(Vec::new(), || self.system.init_states())
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.system.actions(state, actions);
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        self.seen.calls.fetch_add(1, Ordering::Relaxed);
        self.guard(None, || {
            let Taken { next, cut, note, .. } = self.system.take(state, &action);
            self.seen.cut.fetch_or(cut, Ordering::Relaxed);
            if let Some(note) = note
                && !cut
                && next.as_ref().is_none_or(|next| self.system.admits(next))
            {
                self.note(&note);
            }
            next
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Without a property that never falls stateright would stop as soon as it has decided all the others.
        let mut properties = vec![Property::always(EVERYTHING, |_, _| true)];
        let conditions: [fn(&Self, &Self::State) -> bool; SLOTS] = slots!(guarded, A, O);
        for (property, condition) in self.system.properties.iter().zip(conditions) {
            if !is_noted(property) {
                let (name, expectation) = (property.name, property.expectation.into());
                properties.push(Property { expectation, name, condition });
            }
        }
        properties
    }

    fn within_boundary(&self, state: &Self::State) -> bool {
        let within = self.guard(false, || self.system.within_boundary(state));
        self.seen.cut.fetch_or(!within, Ordering::Relaxed);
        within
    }
}

/// True if a property looks at steps, which stateright cannot be asked about.
fn is_noted<A: Subject, O: Observer<A>>(property: &crate::Property<A, O>) -> bool {
    matches!(property.check, Check::Note(_))
}

const EVERYTHING: &str = "everything is explored";

/// A property, wrapped so that it decides nothing if it panics.
fn guarded<A: Subject, O: Observer<A>, const INDEX: usize>(
    observed: &Observed<A, O>,
    state: &State<A, O>,
) -> bool {
    guarded_at(observed, state, INDEX)
}

/// The same with the index as a value: the functions of all indices share its code.
fn guarded_at<A: Subject, O: Observer<A>>(
    observed: &Observed<A, O>,
    state: &State<A, O>,
    index: usize,
) -> bool {
    let undecided = observed.system.properties[index].expectation == Expectation::Always;
    observed.guard(undecided, || holds_in(&observed.system, state, index))
}

/// Explores a system with stateright's breadth-first checker: everything within its bounds, whatever is
/// violated.
///
/// Beyond the first 64 properties it does not look at those of histories and states, and leaves them undecided; so it does all
/// liveness properties.
pub fn stateright_bfs<A, O>(system: &System<A, O>, threads: usize, time: Option<Duration>) -> Report<A>
where
    A: Subject + Clone,
    O: Observer<A> + Clone,
{
    let start = Instant::now();
    let mut seen = Seen::default();
    seen.notes.resize_with(system.properties.len(), AtomicBool::default);
    let (system, seen) = (Arc::new(system.clone()), Arc::new(seen));
    let observed = Observed { system: Arc::clone(&system), seen: Arc::clone(&seen) };
    // With one thread stateright does not heed its timeout, so there are always two.
    let mut builder = observed.checker().threads(threads.max(1 + usize::from(time.is_some())));
    if let Some(depth) = system.bounds.depth {
        builder = builder.target_max_depth(depth);
    }
    if let Some(time) = time {
        builder = builder.timeout(time);
    }
    let checker = builder.spawn_bfs().join();

    let mut discoveries = checker.discoveries();
    let mut findings = Finding::all(&system);
    for ((finding, property), noted) in findings.iter_mut().zip(&system.properties).zip(&seen.notes) {
        if noted.load(Ordering::Relaxed) {
            finding.status = property.expectation.decided();
        } else if let Some(path) = discoveries.remove(property.name) {
            let detail = property.of_state(path.last_state()).and_then(Result::err);
            finding.decide(detail.unwrap_or_default(), path.into_actions());
        }
    }
    let out_of_time = time.is_some_and(|time| start.elapsed() >= time);
    let panicked = seen.panicked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let unique = checker.unique_state_count();
    let depth_cut = system.bounds.depth.is_some_and(|depth| checker.max_depth() >= depth);
    let ending = Ending {
        panicked: panicked.map(|message| (message, Vec::new())),
        incomplete: out_of_time.then_some(Why::Time),
        exhausted: !out_of_time,
        cut: depth_cut || seen.cut.load(Ordering::Relaxed),
        empty: unique == 0,
        unasked: (SLOTS..system.properties.len()).filter(|&at| !is_noted(&system.properties[at])).collect(),
    };
    let verdict = conclude(&system, &Stop::Exhausted, &mut findings, ending);
    Report {
        verdict,
        refused: false,
        findings,
        unique_states: unique as u64,
        generated_states: checker.state_count() as u64,
        depth: checker.max_depth(),
        // Pairs of states over the number of 64-bit hashes.
        missed_state_odds: (unique as f64).powi(2) / 2f64.powi(65),
        elapsed: start.elapsed(),
        memory_bytes: 0,
        handler_calls: seen.calls.load(Ordering::Relaxed),
        rerun: crate::report::Rerun::default(),
        passes: 1,
    }
}
