//! Checks liveness properties: builds the graph, decides, and runs each lasso again before it is reported.

use super::build::{BYTES_A_STATE, Built, NotBuilt, build};
use super::fair::{NOWHERE, components};
use super::lasso::{Ask, Cycles, Due};
use super::outcome::{Lasso, LiveFinding, LiveReport};
use super::property::Shape;
use super::time::stops;
use super::verify::verify;
use crate::engine::budget::Budget;
use crate::engine::semantics::retrace::Impure;
use crate::engine::semantics::steps::Steps;
use crate::observer::Observer;
use crate::report::{self, Options, Status, Verdict};
use crate::system::System;
use crate::{Action, Subject, panics};

/// From how many states, equally near, a shortest cycle is looked for.
const ENTRIES: usize = 32;

/// Checks all liveness properties of a system, on every run that meets its assumptions.
///
/// Properties of safety are not looked at; [`explore`](crate::explore) does that. Of the options, threads and tables have no
/// effect: one thread keeps whole states.
pub fn check<A: Subject, O: Observer<A>>(system: &System<A, O>, options: &Options<'_>) -> LiveReport<A> {
    let budget = Budget::start(options);
    let findings = system.liveness.properties.iter().map(|property| LiveFinding {
        property: property.name,
        status: Status::Undecided,
        lasso: None,
    });
    let mut report = LiveReport {
        verdict: Verdict::Holds,
        findings: findings.collect(),
        classes: Vec::new(),
        unique_states: 0,
        steps: 0,
        depth: 0,
        elapsed: budget.elapsed(),
        memory_bytes: 0,
        handler_calls: 0,
        rerun: report::Rerun::default(),
    };
    let bounded = system.doubt.as_ref().is_some_and(|doubt| doubt.bound().is_some());
    let mut decided = decide(system, options, &budget, &mut report, bounded);
    if let Err(NotBuilt::Bounded) = decided {
        decided = decide(system, options, &budget, &mut report, true);
    }
    report.verdict = match decided {
        Ok(verdict) => verdict,
        Err(NotBuilt::Bounded) => unreachable!("with the boundary it is not taken for none"),
        Err(NotBuilt::GaveUp(why)) => Verdict::Incomplete(why),
        Err(NotBuilt::Panicked(Impure { message, trace })) => Verdict::Panicked { message, trace },
    };
    report.elapsed = budget.elapsed();
    report
}

/// The reason why liveness cannot be checked with these options, if there is one.
fn refusal<A: Subject, O: Observer<A>>(system: &System<A, O>, options: &Options<'_>) -> Option<String> {
    if options.symmetry && system.symmetry.is_some() {
        return Some(
            "fairness tells like actors apart, so that a cycle among states in which actors have changed places need not be \
             one of any run: switch the symmetry off to check liveness"
                .to_owned(),
        );
    }
    if let Some(words) = system.refuses_time(options.dead_messages) {
        return Some(words);
    }
    options.dead_messages.then(|| {
        "whether the delivery of a message is possible is what fairness asks, so that none can be left out: switch that off \
         to check liveness"
            .to_owned()
    })
}

fn decide<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
    budget: &Budget<'_>,
    report: &mut LiveReport<A>,
    bounded: bool,
) -> Result<Verdict<A>, NotBuilt<A>> {
    let failed = |message| NotBuilt::Panicked(Impure { message, trace: Vec::new() });
    if let Some(reason) = refusal(system, options) {
        return Err(failed(reason));
    }
    let initial = panics::capture(|| system.initial()).map_err(failed)?;
    if !panics::capture(|| system.admits(&initial)).map_err(failed)? {
        return Ok(Verdict::Vacuous(Vec::new()));
    }
    let steps = Steps::new(system, &initial, bounded).map_err(failed)?;
    let mut built = build(steps, &system.liveness, system.bounds.depth, options, budget)?;
    if built.steps.is_timed()
        && let Some(stops) = stops(&mut built)
    {
        return Err(NotBuilt::Panicked(stops));
    }
    report.unique_states = built.graph.len() as u64;
    report.steps = built.graph.to.len() as u64;
    report.depth = built.depth;
    report.handler_calls = built.steps.handler_calls();
    let tables = built.steps.bytes() + built.graph.bytes() + built.graph.len() * BYTES_A_STATE;
    report.memory_bytes = budget.memory(tables);
    let named = |class: &super::build::Class| {
        (system.liveness.assumptions[class.assumption].name.clone(), class.name.clone())
    };
    report.classes = built.classes.iter().map(named).collect();
    report.rerun = built.steps.verify(report.steps).map_err(NotBuilt::Panicked)?;

    let mut vacuous = Vec::new();
    for (index, property) in system.liveness.properties.iter().enumerate() {
        let finding = &mut report.findings[index];
        finding.status = match judge_one(system, &mut built, index, budget)? {
            Judged::Holds { whatever_follows: true } => Status::Holds,
            Judged::Holds { whatever_follows: false } => Status::Undecided,
            Judged::NothingDue => {
                vacuous.push(property.name);
                Status::Hollow
            }
            Judged::Falls(lasso) => {
                finding.lasso = Some(lasso);
                Status::Violated
            }
        };
    }
    let (cut, statuses) = (built.is_cut(), |status| report.findings.iter().any(|f| f.status == status));
    let violated = statuses(Status::Violated);
    if !violated && !vacuous.is_empty() {
        return Ok(Verdict::Vacuous(vacuous));
    }
    // A lasso is a run that meets them.
    let some_run = violated || meets_assumptions(&built, budget)?;
    for finding in &mut report.findings {
        finding.status = match finding.status {
            Status::Undecided if some_run => Status::Holds,
            Status::Holds if !some_run && !cut => Status::Hollow,
            status => status,
        };
    }
    if !some_run && report.findings.iter().any(|finding| finding.status != Status::Holds) {
        return Ok(Verdict::Vacuous(vec![NO_RUN]));
    }
    let found = report.findings.iter().map(|finding| (finding.property, finding.status));
    Ok(report::judge(found, None, cut.then(|| system.describe_bounds())))
}

/// The message about assumptions that exclude one another.
const NO_RUN: &str = "a run that meets the assumptions";

/// True if a run meets all assumptions: from the first state on, and, unless a bound cuts some off, from every state.
/// Otherwise they exclude one another, and a property of every such run means nothing.
fn meets_assumptions<A: Subject, O: Observer<A>>(
    built: &Built<'_, A, O>,
    budget: &Budget<'_>,
) -> Result<bool, NotBuilt<A>> {
    let (graph, all) = (&built.graph, vec![true; built.graph.len()]);
    let mut give_up = || budget.check();
    let fair = components(graph, built.demands, &all, None, &mut give_up).map_err(NotBuilt::GaveUp)?;
    let mut can: Vec<bool> = fair.iter().map(|&component| component != NOWHERE).collect();
    // States are numbered by their distance, so that going back over them settles most of them at once.
    let mut changed = true;
    while changed {
        if let Some(why) = budget.check() {
            return Err(NotBuilt::GaveUp(why));
        }
        changed = false;
        for state in (0..graph.len() as u32).rev() {
            if !can[state as usize] && graph.steps(state).any(|step| can[graph.to[step] as usize]) {
                can[state as usize] = true;
                changed = true;
            }
        }
    }
    Ok(if built.is_cut() { can[0] } else { !can.contains(&false) })
}

enum Judged<A: Subject> {
    /// Every fair run reaches the goal. With `whatever_follows`, a run that leaves the bounds has reached it before it does.
    Holds {
        whatever_follows: bool,
    },
    /// Nothing was ever due.
    NothingDue,
    Falls(Lasso<A>),
}

/// Looks for a fair run on which a property does not come about.
fn judge_one<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    built: &mut Built<'_, A, O>,
    index: usize,
    budget: &Budget<'_>,
) -> Result<Judged<A>, NotBuilt<A>> {
    let property = &system.liveness.properties[index];
    let (from, goal) = &built.marks[index];
    if from.as_ref().is_some_and(|from| !from.contains(&true)) {
        return Ok(Judged::NothingDue);
    }
    let everywhere;
    let from = match &property.shape {
        Shape::FromEverywhere => {
            everywhere = vec![true; built.graph.len()];
            Some(everywhere.as_slice())
        }
        _ => from.as_deref(),
    };
    let stays = matches!(property.shape, Shape::StaysAtLast);
    let due = Due::find(&built.graph, &Ask { from, to: goal, stays });
    let outside: Option<Vec<bool>> = stays.then(|| goal.iter().map(|&there| !there).collect());
    let visit = outside.as_deref();
    let mut give_up = || budget.check();
    let fair = components(&built.graph, built.demands, &due.region, visit, &mut give_up)
        .map_err(NotBuilt::GaveUp)?;
    let Some(first) = due.nearest.iter().position(|&state| fair[state as usize] != NOWHERE) else {
        let leaves = |(&due, &escapes): (&bool, &bool)| due && escapes;
        let is_met_before =
            matches!(property.shape, Shape::Eventually) && !due.region.iter().zip(&built.escapes).any(leaves);
        return Ok(Judged::Holds { whatever_follows: is_met_before || !built.is_cut() });
    };
    let cycles = Cycles { graph: &built.graph, demands: built.demands, fair: &fair, visit };
    let (path, since) = due.path(due.nearest[first]);
    let mut best = (path, since, cycles.through_state(due.nearest[first]));
    let others = due.nearest[first + 1..].iter().filter(|&&state| fair[state as usize] != NOWHERE);
    for &home in others.take(ENTRIES - 1) {
        let (path, since) = due.path(home);
        // The cost of a search grows with the length of its result, so only small cycles are looked for where there is one.
        if path.len() > best.0.len() || !best.2.1 || best.2.0.is_empty() {
            break;
        }
        let cycle = cycles.through_state(home);
        if cycle.1 && cycle.0.len() < best.2.0.len() {
            best = (path, since, cycle);
        }
    }
    let (path, due_after, (cycle, shortest)) = best;
    let stem: Vec<usize> = path
        .windows(2)
        .map(|pair| {
            let step = built.graph.steps(pair[0]).find(|&step| built.graph.to[step] == pair[1]);
            step.expect("a path goes by steps")
        })
        .collect();
    let home = *path.last().expect("a path has an end");
    let mut state = path[0];
    let actions = |steps: &[usize], state: &mut u32| -> Vec<Action<A>> {
        steps
            .iter()
            .map(|&step| {
                let action = built.steps.action_at(*state, u32::from(built.ordinals[step]));
                *state = built.graph.to[step];
                action
            })
            .collect()
    };
    let stem = actions(&stem, &mut state);
    debug_assert_eq!(state, home);
    let cycle = actions(&cycle, &mut state);
    let mut lasso = Lasso { stem, cycle, due: due_after, shortest, meets: Vec::new() };
    match panics::capture(|| verify(system, property, &lasso)) {
        Ok(Ok(meets)) => {
            lasso.meets = meets;
            Ok(Judged::Falls(lasso))
        }
        Ok(Err(breach)) => Err(impure(lasso, &breach.to_string())),
        Err(message) => Err(impure(lasso, &message)),
    }
}

/// A lasso cannot be repeated: an actor, the observer or an assumption gave two answers to one question.
fn impure<A: Subject>(lasso: Lasso<A>, message: &str) -> NotBuilt<A> {
    let mut trace = lasso.stem;
    trace.extend(lasso.cycle);
    let message = format!(
        "run again, a lasso that was found is none ({message}): some function gives two answers to one question"
    );
    NotBuilt::Panicked(Impure { message, trace })
}
