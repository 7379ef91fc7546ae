//! Breadth-first exploration of every state, the same whatever the number of threads.
//!
//! States are rows of numbers (`tables`). Actors are run only to fill the tables (`fill`), once per distinct local
//! situation; the successors of a state are sums and look-ups (`expand`). The states that were seen are a table of keys (`seen`),
//! exact or fingerprinted (`key`); those that were not left yet wait in line (`frontier`), on disk if need be; and two bytes a
//! state tell how it was found (`origins`). States are expanded block by block (`blocks`), so that numbers, counts and traces
//! depend on the system alone.
//!
//! Two reductions can be asked for. Messages that cannot matter any more are left out (`dead`), and states in which like actors
//! have changed places are explored once (`symmetry`). Either is checked on all that was explored.

mod ask;
mod blocks;
pub(crate) mod budget;
mod bytes;
mod checkpoint;
mod dead;
mod expand;
mod fill;
mod frontier;
mod histories;
mod intern;
mod key;
mod origins;
mod packing;
mod pairs;
#[cfg(test)]
mod resumed;
pub(crate) mod retrace;
mod search;
mod seen;
mod sets;
mod sleep;
pub(crate) mod steps;
mod symmetry;
mod tables;

use crate::observer::Observer;
use crate::property::Check;
use crate::report::{Ending, Finding, Options, Report, Rerun, Stop, Table, conclude};
use crate::system::System;
use crate::{Subject, panics};
use ask::Hit;
use budget::Budget;
use retrace::Impure;
use search::{Pace, Search};

/// Explores every behaviour of a system, breadth first.
///
/// # Panics
/// If the options name a property to stop at that the system does not have.
pub fn explore<A: Subject, O: Observer<A>>(system: &System<A, O>, options: &Options<'_>) -> Report<A> {
    explore_at(system, options, Pace::default(), &Budget::start(options))
}

/// The same, so much at a time.
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
    // A checkpoint is of one exploration, so that there a boundary that may be none is asked from the first; but for reductions, which
    // refuse one.
    let reduces = options.dead_messages || (options.symmetry && system.symmetry.is_some());
    if !refused() && (options.checkpoint.is_none() || reduces) {
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
    let mut search = Search::new(system, options, pace, bounded);
    let mut ending = Ending::open();
    let unwritable = options.spill.and_then(|folder| tempfile::tempfile_in(folder).err());
    let goes_on = options.checkpoint.is_some_and(|checkpoint| checkpoint.resume && checkpoint.file.exists());
    let refusal = refusal(system, options, bounded);
    let mut refused = refusal.is_some();
    match refusal.map_or_else(|| panics::capture(|| system.initial()), Err) {
        Err(message) => ending.panicked = Some((message, Vec::new())),
        // Whoever names a folder to wait in counts on it.
        Ok(_) if unwritable.is_some() => {
            ending.incomplete = unwritable.map(|error| crate::Why::Disk(error.kind()));
        }
        Ok(initial) => match search.begin_or_go_on(&initial, options) {
            Err(message) => {
                refused = goes_on;
                ending.panicked = Some((message, Vec::new()));
            }
            Ok(false) => (ending.empty, ending.exhausted) = (true, true),
            Ok(true) => {
                ending = search.run(&initial, options, budget);
                match options.checkpoint.as_ref().filter(|_| ending.incomplete.is_none()) {
                    // Whoever goes on from a panic would go on behind it.
                    Some(checkpoint) if checkpoint.keep && search.failure.is_none() => {
                        let failed = search.save(checkpoint).err();
                        ending.incomplete = failed.map(|error| crate::Why::Disk(error.kind()));
                    }
                    Some(checkpoint) => checkpoint::discard(checkpoint),
                    None => {}
                }
            }
        },
    }
    search.tables.log = None;

    // What is not what it was taken for is told before anything that was found with it.
    let (mut impure, mut rerun) = (None, Rerun::default());
    match search.failure.take() {
        Some(failure) => match search.trace(failure.state, failure.ordinal) {
            Ok(trace) => ending.panicked = Some((failure.message, trace)),
            Err(found) => impure = Some(found),
        },
        None if ending.panicked.is_none() => match search.verify(ending.incomplete.is_some()) {
            Ok(done) => rerun = done,
            Err(found) => impure = Some(found),
        },
        None => {}
    }
    let mut findings = Finding::all(system);
    for (finding, hit) in findings.iter_mut().zip(std::mem::take(&mut search.asked.hits)) {
        if let (Some(Hit { state, ordinal, detail }), None) = (hit, &impure) {
            // How a premise came about is not told.
            if matches!(finding.expectation, crate::Expectation::Premise(_)) {
                finding.status = finding.expectation.decided();
                continue;
            }
            match search.trace(state, ordinal) {
                Ok(trace) => finding.decide(detail, trace),
                Err(found) => impure = Some(found),
            }
        }
    }
    if let Some(Impure { message, trace }) = impure {
        ending.panicked = Some((message, trace));
    }
    let unique = u64::from(search.origins.len());
    Report {
        verdict: conclude(system, &options.stop, &mut findings, ending),
        refused,
        findings,
        unique_states: unique,
        generated_states: search.generated,
        depth: search.reached,
        missed_state_odds: odds(unique, options.table),
        elapsed: budget.elapsed(),
        memory_bytes: budget.memory(search.bytes()),
        handler_calls: search.tables.handler_calls,
        rerun,
        passes: search.passes,
    }
}

/// Why the system cannot be explored in the way that was asked for, if so.
fn refusal<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
    bounded: bool,
) -> Option<String> {
    if let Some(checkpoint) = &options.checkpoint {
        if system.normal.is_some() {
            return Some(
                "states are rewritten, so that there can be no checkpoint: switch one of the two off"
                    .to_owned(),
            );
        }
        if !checkpoint.resume && checkpoint.file.exists() {
            let file = checkpoint.file.display();
            return Some(format!(
                "there is a checkpoint already, {file}: go on from it, or remove it to begin anew"
            ));
        }
    }
    let symmetry = options.symmetry && system.symmetry.is_some();
    if symmetry && options.dead_messages {
        // The graph on which left out messages are checked is that of the least rows, where actors have changed places.
        return Some(
            "messages cannot be left out where like actors are taken for one, as what one of them ignores was checked on its \
             own steps only: switch one of the two off"
                .to_owned(),
        );
    }
    let what = match (symmetry, options.dead_messages) {
        (true, _) => "one state stand for all that are like it",
        (false, true) => "messages be left out",
        (false, false) => return None,
    };
    if symmetry && system.properties.iter().any(|property| matches!(property.check, Check::Locals(_))) {
        return Some(
            "a property looks at all actors together, and nobody could check that it takes like ones for alike: switch symmetry \
             off, or ask the history instead"
                .to_owned(),
        );
    }
    if Search::looks_at_states(system) || (bounded && system.doubt.is_some()) {
        return Some(format!(
            "a property or a bound looks at whole states, so that in none can {what}: switch that off"
        ));
    }
    let rewritten = system.normal.is_some();
    rewritten.then(|| {
        format!(
            "states are rewritten, so that nobody could check whether in them can {what}: switch that off"
        )
    })
}

/// The odds that two of so many states have the same fingerprint, or one that of none, which is all zeros: pairs over fingerprints.
fn odds(states: u64, table: Table) -> f64 {
    let pairs = states as f64 * (states as f64 + 1.0) / 2.0;
    match table {
        Table::Exact => 0.0,
        Table::Fingerprint64 => pairs / 2_f64.powi(64),
        Table::Fingerprint128 => pairs / 2_f64.powi(128),
    }
}
