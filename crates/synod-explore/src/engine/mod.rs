//! Breadth-first exploration of every state, exact, and the same whatever the number of threads.
//!
//! States are rows of numbers (`tables`), kept once (`rows`). Actors are run only to fill the tables
//! (`fill`), once per distinct local situation. The frontier is expanded block by block: first in parallel
//! from the tables as they are, then, in order, the states for which something was missing, and at last the
//! successors are numbered in order. So numbers, counts and traces depend on the system alone.

mod budget;
mod fill;
mod intern;
mod retrace;
mod rows;
mod search;
mod tables;

use crate::observer::Observer;
use crate::report::{Ending, Finding, Options, Report, Stop, conclude};
use crate::system::System;
use crate::{Subject, panics};
use budget::Budget;
use retrace::Impure;
use search::{Hit, Search};

/// Explores every behaviour of a system, breadth first.
///
/// # Panics
/// If the options name a property to stop at that the system does not have.
pub fn explore<A: Subject, O: Observer<A>>(system: &System<A, O>, options: &Options<'_>) -> Report<A> {
    if let Stop::Violation(name) = &options.stop {
        let known = system.properties.iter().any(|property| property.name == name);
        assert!(known, "there is no property named {name:?} to stop at");
    }
    let budget = Budget::start(options);
    let mut search = Search::new(system);
    let mut ending = Ending { panicked: None, incomplete: None, exhausted: false, cut: false, empty: false };
    let begun = panics::capture(|| system.initial())
        .and_then(|initial| search.begin(&initial).map(|within| ending.empty = !within));
    match begun {
        Err(message) => ending.panicked = Some((message, Vec::new())),
        Ok(()) => search.run(options, &budget, &mut ending),
    }

    let mut findings: Vec<Finding<A>> = system.properties.iter().map(Finding::undecided).collect();
    for (finding, hit) in findings.iter_mut().zip(&search.hits) {
        if let Some(Hit { row, ordinal, detail }) = hit {
            finding.decide(detail.clone(), search.trace(*row, *ordinal));
        }
    }
    if ending.panicked.is_none()
        && let Err(Impure { message, trace }) = search.verify()
    {
        ending.panicked = Some((message, trace));
    }
    Report {
        verdict: conclude(system, &options.stop, &mut findings, ending),
        findings,
        unique_states: u64::from(search.rows.len()),
        generated_states: search.generated,
        depth: search.depth,
        missed_state_odds: 0.0,
        elapsed: budget.elapsed(),
        memory_bytes: budget.memory(search.bytes()),
        handler_calls: search.tables.handler_calls,
    }
}
