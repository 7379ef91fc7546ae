//! Breadth-first exploration of every state. Results do not depend on the number of threads.
//!
//! A state is a vector of numbers. Two sides share the work and meet at one `door`: `semantics` knows actors, observers and properties,
//! runs each handler once per distinct local situation, and gives every value a number; `search` knows numbers only. `plan` decides which
//! reductions are used, and which options can be combined.
//!
//! The successors of a state are sums and look-ups (`expand`) in tables that are memoised on demand (`tables`, `memoise`). The seen table
//! holds keys of states (`seen`), exact or fingerprinted (`scheme`). States that were not expanded yet wait in the `frontier`, on disk if
//! need be, and two bytes per state hold its parent edge (`origins`). States are expanded block by block (`blocks`), so that numbers,
//! counts and traces depend on the system alone.
//!
//! Three `reductions` make the exploration smaller or shorter: messages that can no longer matter are dropped (`dead`), states in which like
//! actors have changed places are explored once (`symmetry`), and steps that lead nowhere new are counted and not followed (`sleep`).

mod asked;
mod blocks;
pub(crate) mod budget;
mod bytes;
mod checkpoint;
mod door;
mod expand;
mod found;
mod frontier;
mod histories;
mod inboxes;
mod intern;
mod key;
mod memoise;
mod origins;
mod packing;
mod pairs;
mod plan;
mod reactions;
mod reductions;
#[cfg(test)]
mod resumed;
mod scheme;
mod search;
mod seen;
pub(crate) mod semantics;
mod sets;
mod tables;
mod views;

use crate::observer::Observer;
use crate::report::{Ending, Finding, Options, Report, Rerun, Stop, Table, Why, conclude};
use crate::system::System;
use crate::{Subject, panics};
use asked::Hit;
use budget::Budget;
use door::Whole;
use plan::Plan;
use search::{Ended, Pace, Search};
use semantics::alike::Alike;
use semantics::retrace::{Again, Impure};
use semantics::values::Semantics;
use std::sync::Arc;

/// Explores every behaviour of a system, breadth first.
///
/// # Panics
/// If the options name a property to stop at that the system does not have.
pub fn explore<A: Subject, O: Observer<A>>(system: &System<A, O>, options: &Options<'_>) -> Report<A> {
    explore_at(system, options, Pace::default(), &Budget::start(options))
}

/// Explores with given sizes of units of work.
fn explore_at<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
    pace: Pace,
    budget: &Budget<'_>,
) -> Report<A> {
    if let Stop::Violation(name) = &options.stop {
        let known = system.properties.iter().any(|property| property.name == name);
        assert!(known, "there is no property named {name:?} to stop at");
    }
    let refused = || system.doubt.as_ref().is_some_and(|doubt| doubt.bound().is_some());
    if !refused() && !plan::is_bounded_from_the_first(system, options) {
        let report = explore_once(system, options, (pace, budget), false);
        if !refused() {
            return report;
        }
    }
    explore_once(system, options, (pace, budget), true)
}

/// Explores, with the boundary of a stateright model or without it.
fn explore_once<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
    (pace, budget): (Pace, &Budget<'_>),
    bounded: bool,
) -> Report<A> {
    let (plan, refusal) = match Plan::of(system, options, bounded) {
        Ok(plan) => (plan, None),
        Err(why) => (Plan::whole(system, bounded), Some(why)),
    };
    let plan = Arc::new(plan);
    let mut semantics = Semantics::new(system, &plan, bounded);
    let mut ending = Ending::open();
    let mut refused = refusal.is_some();
    let initial = refusal.map_or_else(|| initial(&mut semantics), Err);
    let mut search = Search::new(plan, &mut semantics, options, (pace, budget));
    // A caller that names a folder to spill to relies on it.
    let unwritable = options.spill.and_then(|folder| tempfile::tempfile_in(folder).err());
    match (initial, unwritable) {
        (Err(message), _) => ending.panicked = Some((message, Vec::new())),
        (_, Some(error)) => ending.incomplete = Some(Why::Disk(error.kind())),
        (Ok(None), _) => (ending.empty, ending.exhausted) = (true, true),
        (Ok(Some(initial)), _) => match search.explore_from(&initial) {
            Ok(Ended { incomplete, exhausted, cut }) => {
                (ending.incomplete, ending.exhausted, ending.cut) = (incomplete, exhausted, cut);
            }
            Err(message) => {
                refused = true;
                ending.panicked = Some((message, Vec::new()));
            }
        },
    }
    let reached = search.reached();
    let memory_bytes = budget.memory(search.bytes());
    let Search { mut tables, found, first, passes, .. } = search;
    tables.log = None;

    // A refuted assumption is reported before any result that rests on it.
    let mut again =
        Again { semantics: &mut semantics, tables: &mut tables, origins: &found.origins, first: &first };
    let (mut impure, mut rerun) = (None, Rerun::default());
    match found.asked.failure {
        Some(failure) => match again.trace(failure.state, failure.ordinal) {
            Ok(trace) => ending.panicked = Some((failure.message, trace)),
            Err(found) => impure = Some(found),
        },
        None if ending.panicked.is_none() => {
            // For an exploration that was given up, the smallest sample will do.
            let steps = if ending.incomplete.is_some() { 0 } else { found.at.generated };
            let verified = again.verify(steps).and_then(|done| {
                let alike = Alike { semantics: &*again.semantics, tables: &*again.tables };
                alike.check(again.first).map(|()| done)
            });
            match verified {
                Ok(done) => rerun = done,
                Err(found) => impure = Some(found),
            }
        }
        None => {}
    }
    let mut findings = Finding::all(system);
    for (finding, hit) in findings.iter_mut().zip(found.asked.hits) {
        if let (Some(Hit { state, ordinal, detail }), None) = (hit, &impure) {
            // A decided premise needs no trace.
            if matches!(finding.expectation, crate::Expectation::Premise(_)) {
                finding.status = finding.expectation.decided();
                continue;
            }
            match again.trace(state, ordinal) {
                Ok(trace) => finding.decide(detail, trace),
                Err(found) => impure = Some(found),
            }
        }
    }
    if let Some(Impure { message, trace }) = impure {
        ending.panicked = Some((message, trace));
    }
    let unique = u64::from(found.origins.len());
    Report {
        verdict: conclude(system, &options.stop, &mut findings, ending),
        refused,
        findings,
        unique_states: unique,
        generated_states: found.at.generated,
        depth: reached,
        missed_state_odds: odds(unique, options.table),
        elapsed: budget.elapsed(),
        memory_bytes,
        handler_calls: tables.reactions.calls,
        rerun,
        passes,
    }
}

/// The initial state in numbers; `None` if it is out of bounds. Fails if user code panics.
fn initial<A: Subject, O: Observer<A>>(semantics: &mut Semantics<'_, A, O>) -> Result<Option<Whole>, String> {
    let system = semantics.system;
    let state = panics::capture(|| system.initial())?;
    let admitted = panics::capture(|| system.admits(&state))?;
    admitted.then(|| semantics.whole(&state)).transpose()
}

/// The odds that two of so many states have the same fingerprint, or that one has the reserved one of all zeros: pairs over fingerprints.
fn odds(states: u64, table: Table) -> f64 {
    let pairs = states as f64 * (states as f64 + 1.0) / 2.0;
    match table {
        Table::Exact => 0.0,
        Table::Fingerprint64 => pairs / 2_f64.powi(64),
        Table::Fingerprint128 => pairs / 2_f64.powi(128),
    }
}
