//! The check of a model's `[liveness]` section, beside its claims; and the replay of lassos.

use crate::build::Model;
use crate::outcome::{Found, Outcome, gave_up};
use crate::verdict::Verdict;
use synod_explore::liveness::{Breach, Lasso, LiveFinding, check, verify};
use synod_explore::trace::{Resolved, TraceText};
use synod_explore::{Observer, Options, Status, Subject, System, Verdict as Explored};

/// Checks what must come about, once it is known that no claim falls, and adds it to the outcome.
pub(crate) fn add<A: Subject, O: Observer<A>>(
    model: &Model,
    system: &System<A, O>,
    options: &Options<'_>,
    outcome: &mut Outcome,
) {
    // With time there is always one thing to look at: that it can pass.
    if system.liveness.properties.is_empty() && system.clocks.is_none() {
        return;
    }
    if !outcome.verdict.holds() {
        let unknown = |property: &synod_explore::liveness::LiveProperty<A, O>| Found {
            name: property.name,
            status: Status::Undecided,
            detail: None,
            steps: None,
            cycle: None,
        };
        outcome.properties.extend(system.liveness.properties.iter().map(unknown));
        return;
    }
    let time = options.time.map(|time| time.saturating_sub(outcome.elapsed));
    let report = check(system, &Options { time, ..options.clone() });
    outcome.elapsed += report.elapsed;
    outcome.memory_bytes = outcome.memory_bytes.max(report.memory_bytes);
    outcome.properties.extend(report.findings.iter().map(found));
    match &report.verdict {
        Explored::Holds => {}
        Explored::HoldsWithinBound(bound) => {
            outcome.verdict = Verdict::HoldsWithinBound;
            outcome.detail = Some(bound.clone());
        }
        Explored::Vacuous(missing) => {
            outcome.verdict = Verdict::Vacuous;
            outcome.detail = Some(format!("never due: {}", missing.join(", ")));
        }
        Explored::Incomplete(why) => {
            outcome.verdict = Verdict::Incomplete;
            outcome.detail = Some(format!("{}, while looking for fair runs", gave_up(model, *why)));
        }
        Explored::Panicked { message, trace } => {
            outcome.verdict = Verdict::Panicked;
            outcome.detail = Some(message.clone());
            outcome.trace = Some(text(model, system, trace, message).to_string());
            outcome.steps = Some(trace.len());
        }
        Explored::Violated { property } => {
            outcome.verdict = Verdict::Violated;
            let wanted = model.file.expect.property.as_deref();
            let fallen = || report.findings.iter().filter(|finding| finding.status == Status::Violated);
            let finding = fallen()
                .find(|finding| Some(finding.property) == wanted)
                .or_else(|| fallen().find(|finding| finding.property == *property));
            let Some(LiveFinding { property, lasso: Some(lasso), .. }) = finding else { return };
            let detail = format!("{property}: {}", told(lasso));
            outcome.trace = Some(lasso_text(model, system, lasso, &detail));
            outcome.steps = Some(lasso.stem.len() + lasso.cycle.len());
            outcome.detail = Some(detail);
        }
    }
}

/// The result for one property.
fn found<A: Subject>(finding: &LiveFinding<A>) -> Found {
    Found {
        name: finding.property,
        status: finding.status,
        detail: finding.lasso.as_ref().map(told),
        steps: finding.lasso.as_ref().map(|lasso| lasso.stem.len()),
        cycle: finding.lasso.as_ref().map(|lasso| lasso.cycle.len()),
    }
}

/// A lasso in a few words.
fn told<A: Subject>(lasso: &Lasso<A>) -> String {
    let stem = lasso.stem.len();
    match lasso.cycle.len() {
        0 => format!("after {stem} steps nothing more need happen, for ever"),
        cycle => format!("after {stem} steps, {cycle} that are repeated for ever"),
    }
}

fn text<A: Subject, O: Observer<A>>(
    model: &Model,
    system: &System<A, O>,
    actions: &[synod_explore::Action<A>],
    breaks: &str,
) -> TraceText {
    TraceText::record(system, actions).header("model", &model.name).header("breaks", breaks)
}

/// A lasso as a trace, with every assumption and how the cycle meets it.
fn lasso_text<A: Subject, O: Observer<A>>(
    model: &Model,
    system: &System<A, O>,
    lasso: &Lasso<A>,
    detail: &str,
) -> String {
    let actions: Vec<_> = lasso.stem.iter().chain(&lasso.cycle).cloned().collect();
    let text = text(model, system, &actions, detail).with_cycle(Some(lasso.stem.len()));
    lasso.meets.iter().fold(text, |text, meets| text.header("assumed", meets.to_string())).to_string()
}

/// The steps of a trace and the mark of its cycle, without what is said about them.
pub(crate) fn steps_of(trace: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    trace.lines().map(words).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Looks at the cycle of a trace that was run again: the first property that never comes about on it, if it is fair, and in words
/// what it is.
///
/// # Errors
/// If the cycle is not fair though the model says what is.
pub(crate) fn replay<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    run: &Resolved<A, O>,
) -> Result<Option<(Option<&'static str>, String)>, String> {
    let Some(after) = run.cycle else { return Ok(None) };
    let (stem, cycle) = run.actions.split_at(after);
    let mut comes_about = Vec::new();
    for property in &system.liveness.properties {
        // A property that is asked for from everywhere is due where the cycle begins, at the latest.
        let (stem, cycle) = (stem.to_vec(), cycle.to_vec());
        let lasso = Lasso { due: stem.len(), stem, cycle, shortest: false, meets: Vec::new() };
        match verify(system, property, &lasso) {
            Ok(_) => return Ok(Some((Some(property.name), told(&lasso)))),
            Err(Breach::ComesAbout(_)) => comes_about.push(property.name),
            Err(breach) => return Err(breach.to_string()),
        }
    }
    let words = if comes_about.is_empty() {
        "it is a cycle; the model does not say what must come about".to_owned()
    } else {
        format!("it is a cycle, on which comes about: {}", comes_about.join(", "))
    };
    Ok(Some((None, words)))
}
