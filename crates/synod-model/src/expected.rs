//! The result of a model compared with what its file expects.

use crate::build::Model;
use crate::outcome::{Found, Outcome, Settings};
use crate::progress;
use crate::verdict::Verdict;
use synod_explore::Status;

/// Everything that did not come out as expected: what is wrong, and apart from it the figures that differ, which are counts of states
/// and lengths of traces.
pub(crate) fn complaints(
    model: &Model,
    outcome: &Outcome,
    settings: &Settings<'_>,
) -> (Vec<String>, Vec<String>) {
    let expect = &model.file.expect;
    // stateright's search goes on after a fall and keeps the latest trace, which need not be a shortest one.
    let expected_steps = expect.steps.filter(|_| !settings.stateright);
    let (mut wrong, mut figures) = (Vec::new(), Vec::new());
    if let Some(message) = expect.message.as_deref().filter(|_| outcome.verdict == Verdict::Panicked)
        && !outcome.detail.as_deref().is_some_and(|detail| detail.contains(message))
    {
        let detail = outcome.detail.as_deref().unwrap_or_default();
        wrong.push(format!("it panicked otherwise: {detail:?}, expected {message:?}"));
    }
    if outcome.verdict != expect.verdict {
        let detail = outcome.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        wrong.push(format!("verdict is {}{detail}, expected {}", outcome.verdict, expect.verdict));
        if outcome.verdict == Verdict::Incomplete {
            return (wrong, figures);
        }
    }
    if let Some(found) = tested(model, outcome).filter(|_| model.file.check.hollow.is_some()) {
        wrong.push(format!("{} was put to the test: leave hollow out of [check]", found.name));
    }
    if let Some(name) = &expect.property {
        match outcome.properties.iter().find(|found| found.name == name) {
            Some(Found { status: Status::Violated, steps, cycle, .. }) => {
                let differs = |is: Option<usize>, expected: Option<usize>| {
                    expected
                        .filter(|expected| is != Some(*expected))
                        .map(|expected| (is.unwrap_or(0), expected))
                };
                figures.extend(
                    differs(*steps, expected_steps)
                        .map(|(is, expected)| format!("{name} falls after {is} steps, expected {expected}")),
                );
                figures.extend(differs(*cycle, expect.cycle).map(|(is, expected)| {
                    format!("the cycle on which {name} never comes about has {is} steps, expected {expected}")
                }));
            }
            _ => wrong.push(format!("{name} does not fall")),
        }
    }
    let another = |expected: &String| {
        let steps = progress::steps_of(expected);
        outcome.trace.as_deref().is_some_and(|trace| progress::steps_of(trace) != steps)
    };
    if expect.lasso.as_ref().is_some_and(another) {
        wrong.push("the lasso is another one than the file tells".to_owned());
    }
    // The file counts what its reductions leave; stateright knows of none.
    if model.reduces() && (!settings.reduce || settings.stateright) {
        return (wrong, figures);
    }
    let counts = [
        ("unique_states", outcome.unique_states, expect.unique_states),
        ("generated_states", outcome.generated_states, expect.generated_states),
        ("depth", outcome.depth as u64, expect.depth.map(|depth| depth as u64)),
    ];
    for (name, is, expected) in counts {
        if let Some(expected) = expected.filter(|expected| *expected != is) {
            figures.push(format!("{name} = {is}, expected {expected}"));
        }
    }
    (wrong, figures)
}

/// A claim that holds and was put to the test.
fn tested<'o>(model: &Model, outcome: &'o Outcome) -> Option<&'o Found> {
    let is_claim = |name: &str| model.claims.iter().any(|claim| claim.name == name);
    outcome.properties.iter().find(|found| found.status == Status::Holds && is_claim(found.name))
}
