//! Looks at a lasso again, through the plain semantics of one step alone: nothing of the graph, its labels or its
//! components is believed here.

use super::outcome::{How, Lasso, Meets};
use super::property::{Fairness, LiveProperty, Liveness, Shape};
use crate::observer::Observer;
use crate::state::State;
use crate::system::System;
use crate::{Action, Subject};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

/// Why a lasso is no counterexample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A step, counted from 1 over stem and cycle, is not possible, is ignored, or leads out of bounds.
    NoStep(usize),
    /// The cycle does not end in its first state.
    NoCycle,
    /// A fairness condition is not met: the assumption's name, the class's, and the fairness.
    Unfair(String, String, Fairness),
    /// No time passes on the cycle of a timed system.
    NoTick,
    /// The goal that is claimed never to come about is not due, or does come about after so many steps.
    ComesAbout(usize),
}

impl Display for Breach {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStep(step) => write!(f, "step {step} is no step there"),
            Self::NoCycle => f.write_str("the last state is not the one in which the cycle begins"),
            Self::Unfair(assumption, class, fairness) if class.is_empty() => {
                write!(f, "the cycle is not fair: {assumption}, {fairness}")
            }
            Self::Unfair(assumption, class, fairness) => {
                write!(f, "the cycle is not fair: {assumption} [{class}], {fairness}")
            }
            Self::NoTick => f.write_str("no time passes on the cycle"),
            Self::ComesAbout(step) => {
                write!(f, "what must come about does, or is not due, after {step} steps")
            }
        }
    }
}

impl std::error::Error for Breach {}

/// The classes of steps, each by the index of its assumption and its name.
type Names = BTreeSet<(usize, String)>;

/// The state after a step, and the observer's note of it.
type After<A, O> = (State<A, O>, Option<<O as Observer<A>>::Note>);

/// Takes a step; `None` if it is none.
fn step<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    state: &State<A, O>,
    action: &Action<A>,
) -> Option<After<A, O>> {
    if !system.is_possible(state, action) {
        return None;
    }
    let taken = system.take(state, action);
    taken.next.filter(|next| system.admits(next)).map(|next| (next, taken.note))
}

/// The classes that a step belongs to.
fn classes<A: Subject, O: Observer<A>>(
    liveness: &Liveness<A, O>,
    state: &State<A, O>,
    action: &Action<A>,
    note: Option<&O::Note>,
) -> Names {
    let assumptions = liveness.assumptions.iter().enumerate();
    let meant = assumptions.filter_map(|(index, assumption)| {
        let name = (assumption.class)(action, note)?;
        assumption.when.as_ref().is_none_or(|when| when(state, action)).then_some((index, name))
    });
    meant.collect()
}

/// The classes of which a step is possible in a state, be it one that leads out of bounds.
fn possible<A: Subject, O: Observer<A>>(system: &System<A, O>, state: &State<A, O>) -> Names {
    let mut names = Names::new();
    for action in system.possible(state) {
        let taken = system.take(state, &action);
        if taken.next.is_some() || taken.cut {
            names.extend(classes(&system.liveness, state, &action, taken.note.as_ref()));
        }
    }
    names
}

/// Runs a lasso through the actors and checks that its steps are possible, that its last state is the first one of its cycle,
/// that no assumption is violated on it, and that the goal is not reached. Returns how each fairness condition is met.
///
/// # Errors
/// If any of that is not so.
///
/// # Panics
/// With the actors, the observer, or a predicate.
pub fn verify<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    property: &LiveProperty<A, O>,
    lasso: &Lasso<A>,
) -> Result<Vec<Meets>, Breach> {
    let mut states = vec![system.initial()];
    let mut taken: Vec<Names> = Vec::new();
    for (at, action) in (1..).zip(lasso.stem.iter().chain(&lasso.cycle)) {
        let state = states.last().expect("there is one");
        let (next, note) = step(system, state, action).ok_or(Breach::NoStep(at))?;
        taken.push(classes(&system.liveness, state, action, note.as_ref()));
        states.push(next);
    }
    let first = lasso.stem.len();
    if states.last() != states.get(first) {
        return Err(Breach::NoCycle);
    }
    if system.clocks.is_some() && !lasso.cycle.iter().any(|action| matches!(action, Action::<A>::Tick)) {
        return Err(Breach::NoTick);
    }
    comes_about(property, lasso, &states)?;
    let cycle = &states[first..first + lasso.cycle.len().max(1)];
    let enabled: Vec<Names> = cycle.iter().map(|state| possible(system, state)).collect();
    meets(&system.liveness, &enabled, &taken[first..])
}

/// Fails if the goal is reached.
fn comes_about<A: Subject, O: Observer<A>>(
    property: &LiveProperty<A, O>,
    lasso: &Lasso<A>,
    states: &[State<A, O>],
) -> Result<(), Breach> {
    let there = |at: usize| property.goal.holds(&states[at]);
    let never_from = |due: usize| {
        (due..states.len()).find(|&at| there(at)).map_or(Ok(()), |at| Err(Breach::ComesAbout(at)))
    };
    match &property.shape {
        Shape::Eventually => never_from(0),
        Shape::FromEverywhere => never_from(lasso.due),
        Shape::LeadsTo(from) if from.holds(&states[lasso.due]) => never_from(lasso.due),
        Shape::LeadsTo(_) => Err(Breach::ComesAbout(lasso.due)),
        Shape::StaysAtLast => {
            let left = (lasso.stem.len()..states.len()).any(|at| !there(at));
            if left { Ok(()) } else { Err(Breach::ComesAbout(lasso.stem.len())) }
        }
    }
}

/// The way in which a cycle meets each fairness condition, by the steps that are possible in its states and those that it takes.
fn meets<A: Subject, O: Observer<A>>(
    liveness: &Liveness<A, O>,
    enabled: &[Names],
    taken: &[Names],
) -> Result<Vec<Meets>, Breach> {
    let mut all: BTreeMap<(usize, String), How> = BTreeMap::new();
    for class in enabled.iter().chain(taken).flatten() {
        let taken = taken.iter().position(|names| names.contains(class)).map(|at| at + 1);
        let impossible = enabled.iter().position(|names| !names.contains(class)).map(|at| at + 1);
        let assumption = &liveness.assumptions[class.0];
        let how = match (assumption.fairness, taken, impossible) {
            (Fairness::Ceases, None, _) => How::Ceased,
            (Fairness::Weak | Fairness::Strong, Some(step), _) => How::Taken(step),
            (Fairness::Weak, None, Some(step)) => How::Impossible(step),
            _ => return Err(Breach::Unfair(assumption.name.clone(), class.1.clone(), assumption.fairness)),
        };
        all.insert(class.clone(), how);
    }
    // An assumption of which nothing is possible is named all the same.
    for (index, assumption) in liveness.assumptions.iter().enumerate() {
        if !all.keys().any(|(at, _)| *at == index) {
            let how = if assumption.fairness == Fairness::Ceases { How::Ceased } else { How::Never };
            all.insert((index, String::new()), how);
        }
    }
    let meets = all.into_iter().map(|((index, class), how)| {
        let assumption = &liveness.assumptions[index];
        Meets { assumption: assumption.name.clone(), class, fairness: assumption.fairness, how }
    });
    Ok(meets.collect())
}
