//! Time on infinite runs: it passes without end.
//!
//! A run of a timed system on which only finitely many ticks pass is none, as no clock stops ([Abadi and Lamport 1994, *An old-fashioned
//! recipe for real time*, section 3.3](https://doi.org/10.1145/186025.186058): nonZenoness). Ticks are therefore one more class, which is taken to be
//! possible in every state, and weakly fair: a cycle has to take one.
//!
//! This is sound only if no state keeps time from passing for ever; for then a run would get stuck that a real system takes, and the claim that
//! something comes about on all runs would be hollow. So every state must have a path to a tick. That is an obligation of the model, and
//! it is checked.

use super::build::Built;
use super::fair::{Graph, TICKS};
use crate::engine::semantics::retrace::Impure;
use crate::observer::Observer;
use crate::{Action, Subject};

const STOPS: &str = "time stops: whatever happens from here on, no tick can pass any more, as something else always has to happen \
    first. Give what repeats a time of its own";

/// The first state from which no tick can be reached, as an error of the model.
pub(super) fn stops<A: Subject, O: Observer<A>>(built: &mut Built<'_, A, O>) -> Option<Impure<A>> {
    let state = first_without(&built.graph, &built.escapes)?;
    let trace: Vec<Action<A>> = match built.steps.trace(state, None) {
        Ok(trace) => trace,
        Err(impure) => return Some(impure),
    };
    Some(Impure { message: STOPS.to_owned(), trace })
}

/// The first state without a path to a tick or out of bounds.
fn first_without(graph: &Graph, escapes: &[bool]) -> Option<u32> {
    let ticks = |state: u32| graph.steps(state).any(|step| graph.label_of(step).classes & TICKS != 0);
    // The states from which each can be reached in one step, one after the other.
    let mut starts = vec![0; graph.len() + 1];
    graph.to.iter().for_each(|&to| starts[to as usize + 1] += 1);
    for state in 0..graph.len() {
        starts[state + 1] += starts[state];
    }
    let (mut from, mut places) = (vec![0; graph.to.len()], starts.clone());
    for state in 0..graph.len() as u32 {
        for step in graph.steps(state) {
            let place = &mut places[graph.to[step] as usize];
            from[*place] = state;
            *place += 1;
        }
    }
    let mut can: Vec<bool> =
        (0..graph.len() as u32).map(|state| escapes[state as usize] || ticks(state)).collect();
    let mut waiting: Vec<usize> = (0..graph.len()).filter(|state| can[*state]).collect();
    while let Some(state) = waiting.pop() {
        for &before in &from[starts[state]..starts[state + 1]] {
            if !std::mem::replace(&mut can[before as usize], true) {
                waiting.push(before as usize);
            }
        }
    }
    can.iter().position(|can| !can).map(|state| state as u32)
}
