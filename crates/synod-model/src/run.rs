//! Checks one model: explores it, replays its scenario, and compares what came out with what its file expects.

use crate::build::{Built, Model};
use crate::claims::Claim;
use crate::file::ScenarioFile;
use crate::observer::{Ghost, Inside};
use crate::outcome::{Found, Outcome, Settings, gave_up};
use crate::timed::Player;
use crate::verdict::Verdict;
use crate::{expected, premises, progress};
use std::path::{Path, PathBuf};
use std::time::Duration;
use synod::Msg;
use synod_explore::diagram::Diagram;
use synod_explore::trace::{self, Resolved, TraceText};
use synod_explore::{
    Checkpoint, Observer, Options, Report, Status, Stop, Subject, System, Verdict as Explored, explore,
    oracle,
};

/// The shortest time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);

/// The file for a model's checkpoint in a folder.
pub fn checkpoint_file(folder: &Path, model: &str) -> PathBuf {
    // Neither hidden nor in another folder, however the model's path begins.
    let name = model.trim_start_matches("./").replace("..", "up").replace(['/', '\\'], "__");
    folder.join(format!("{name}.checkpoint"))
}

/// Checks one model.
pub fn check(model: &Model, settings: &Settings<'_>) -> Outcome {
    match model.build() {
        Built::Plain(system) => check_system(model, system, settings),
        Built::Decorated(system) => check_system(model, system, settings),
        Built::Admission(system) => explored(model, system, settings, false, |_, _, _| {}, |_| None),
        Built::Timed(mut system) => {
            let liveness = std::mem::take(&mut system.liveness);
            let add = |system: &mut System<Player, ()>, options: &Options<'_>, outcome: &mut Outcome| {
                system.liveness = liveness;
                progress::add(model, system, options, outcome);
            };
            explored(model, system, settings, true, add, |_| None)
        }
        Built::Master(system) => explored(model, system, settings, false, |_, _, _| {}, |_| None),
        Built::Clock(system) => explored(model, system, settings, false, |_, _, _| {}, |_| None),
    }
}

fn check_system<A>(model: &Model, mut system: System<A, Ghost>, settings: &Settings<'_>) -> Outcome
where
    A: Subject<Msg = Msg> + Clone,
    A::State: Inside,
{
    // Exploring would leave what must come about undecided; that is looked at afterwards.
    let liveness = std::mem::take(&mut system.liveness);
    let more = !liveness.properties.is_empty();
    let add = |system: &mut System<A, Ghost>, options: &Options<'_>, outcome: &mut Outcome| {
        system.liveness = liveness;
        progress::add(model, system, options, outcome);
    };
    let scenario = |system: &System<A, Ghost>| {
        model.file.scenario.as_ref().and_then(|scenario| replay_scenario(system, scenario).err())
    };
    explored(model, system, settings, more, add, scenario)
}

/// Explores, adds what there is `more` to decide, and compares with what is expected.
fn explored<A, O>(
    model: &Model,
    mut system: System<A, O>,
    settings: &Settings<'_>,
    more: bool,
    add: impl FnOnce(&mut System<A, O>, &Options<'_>, &mut Outcome),
    scenario: impl FnOnce(&System<A, O>) -> Option<String>,
) -> Outcome
where
    A: Subject + Clone,
    O: Observer<A> + Clone,
{
    if !settings.reduce {
        system.symmetry = None;
    }
    let dead_messages = settings.reduce && model.file.reduce.dead_messages;
    let expect = &model.file.expect;
    let is_safety = |name: &&String| system.properties.iter().any(|property| property.name == **name);
    let stop = match expect.property.as_ref().filter(is_safety) {
        _ if settings.exhaust => Stop::Exhausted,
        Some(property) => Stop::Violation(property.clone()),
        None => Stop::FirstViolation,
    };
    // A checkpoint is of one model, explored in one way.
    let identity = format!(
        "synod {}, {:?}, {:?}, dead messages {dead_messages}, symmetry {}, {}\n{}",
        env!("CARGO_PKG_VERSION"),
        settings.table,
        stop,
        system.symmetry.is_some(),
        model.name,
        model.text
    );
    // A model whose ballots are renumbered has none.
    let checkpoints = settings.checkpoints.filter(|_| model.has_checkpoints());
    let file = checkpoints.map(|(folder, _)| checkpoint_file(folder, &model.name));
    // It goes when all is decided: what must come about, too, though the search for fair runs has no checkpoint of its own.
    let checkpoint = checkpoints.zip(file.as_deref()).map(|((_, resume), file)| Checkpoint {
        file,
        identity: &identity,
        resume,
        every: CHECKPOINT_EVERY,
        keep: more,
    });
    let options = Options {
        table: settings.table,
        dead_messages,
        symmetry: true,
        spill: settings.spill,
        checkpoint,
        threads: settings.threads,
        time: settings.time,
        memory: settings.memory,
        stop,
        interrupt: settings.interrupt,
        progress: settings.progress,
    };
    let report = if settings.stateright {
        oracle::stateright_bfs(&system, settings.threads, settings.time)
    } else {
        explore(&system, &options)
    };
    let mut outcome = outcome(model, &system, &report);
    add(&mut system, &options, &mut outcome);
    if let Some(Checkpoint { file, keep: true, .. }) = options.checkpoint
        && outcome.verdict != Verdict::Incomplete
        && !report.refused
    {
        // Should it stay, the next run says so; nothing is lost by that.
        let _ = std::fs::remove_file(file);
    }
    let figures;
    (outcome.complaints, figures) = expected::complaints(model, &outcome, settings);
    outcome.complaints.extend(scenario(&system));
    outcome.only_figures = outcome.complaints.is_empty() && !figures.is_empty();
    outcome.complaints.extend(figures);
    outcome.ok = outcome.complaints.is_empty();
    outcome
}

/// Puts a report in words.
fn outcome<A: Subject, O: Observer<A>>(model: &Model, system: &System<A, O>, report: &Report<A>) -> Outcome {
    let (verdict, detail, counterexample) = match &report.verdict {
        Explored::Holds => (Verdict::Holds, None, None),
        Explored::HoldsWithinBound(bound) => (Verdict::HoldsWithinBound, Some(bound.clone()), None),
        Explored::Vacuous(missing) => (Verdict::Vacuous, Some(vacuous(model, missing)), None),
        // Another claim fell, and the search was cut before it could tell of the one that the file names.
        Explored::Violated { property } if is_open(model, report) => {
            let wanted = model.file.expect.property.as_deref().unwrap_or_default();
            (
                Verdict::Incomplete,
                Some(format!("{property} fell, and the search was cut before {wanted} was decided")),
                None,
            )
        }
        Explored::Violated { property } => {
            let wanted = model.file.expect.property.as_deref();
            let fell = |f: &&synod_explore::Finding<A>| f.status == Status::Violated;
            let named = report.findings.iter().filter(fell).find(|f| Some(f.property) == wanted);
            let finding =
                named.or_else(|| report.findings.iter().filter(fell).find(|f| f.property == *property));
            let detail = finding.map(|f| format!("{}: {}", f.property, f.detail.clone().unwrap_or_default()));
            (Verdict::Violated, detail, finding.and_then(|f| f.trace.as_ref()))
        }
        Explored::Incomplete(why) => (Verdict::Incomplete, Some(gave_up(model, *why)), None),
        Explored::Panicked { message, .. } if report.refused => {
            (Verdict::Incomplete, Some(message.clone()), None)
        }
        Explored::Panicked { message, trace } => (Verdict::Panicked, Some(message.clone()), Some(trace)),
    };
    let told = report.findings.iter().filter(|finding| finding.property != premises::MEANT);
    let is_hollow = |claim: &&&'static Claim| {
        report.finding(claim.name).is_some_and(|finding| finding.status == Status::Hollow)
            && premises::concerns(&model.cluster, claim)
    };
    let hollow = |f: &&synod_explore::Finding<A>| !model.is_of_protocol() && f.status == Status::Hollow;
    let hollow = report.findings.iter().filter(hollow).map(|finding| finding.property);
    let found = |f: &synod_explore::Finding<A>| Found {
        name: f.property,
        status: f.status,
        detail: f.detail.clone(),
        steps: f.trace.as_ref().map(Vec::len),
        cycle: None,
    };
    Outcome {
        model: model.name.clone(),
        expected: model.file.expect.verdict,
        verdict,
        trace: counterexample.map(|actions| {
            let breaks = detail.as_deref().unwrap_or(verdict.word());
            TraceText::record(system, actions)
                .header("model", &model.name)
                .header("breaks", breaks)
                .to_string()
        }),
        detail,
        trace_file: None,
        ok: false,
        refused: report.refused,
        complaints: Vec::new(),
        only_figures: false,
        steps: counterexample.map(Vec::len),
        properties: told.map(found).collect(),
        hollow: model.claims.iter().filter(is_hollow).map(|claim| claim.name).chain(hollow).collect(),
        unique_states: report.unique_states,
        generated_states: report.generated_states,
        depth: report.depth,
        missed_state_odds: report.missed_state_odds,
        elapsed: report.elapsed,
        memory_bytes: report.memory_bytes,
    }
}

/// Why a model shows nothing, in words, and what to do.
fn vacuous(model: &Model, missing: &[&'static str]) -> String {
    let is_claim = |name: &&&str| model.claims.iter().any(|claim| claim.name == **name);
    if missing.is_empty() {
        return "the initial state is out of bounds".to_owned();
    }
    let unseen: Vec<&str> = missing.iter().filter(|name| !is_claim(name)).copied().collect();
    if !unseen.is_empty() {
        return format!("never reached: {}", unseen.join(", "));
    }
    let about: Vec<&str> = missing
        .iter()
        .filter_map(|name| model.claims.iter().find(|claim| claim.name == *name))
        .filter(|claim| premises::concerns(&model.cluster, claim))
        .map(|claim| claim.about)
        .collect();
    let first = about.first().copied().unwrap_or("what they speak about occurred");
    format!(
        "no claim was put to the test: it never came about that {first}; mend the model, or say in [check] why this is meant: \
         hollow = \"...\""
    )
}

/// True if the claim that must fall is still undecided.
fn is_open<A: Subject>(model: &Model, report: &Report<A>) -> bool {
    let wanted = model.file.expect.property.as_deref();
    wanted.and_then(|name| report.finding(name)).is_some_and(|finding| finding.status == Status::Undecided)
}

/// Replays a scripted run through the actors, judging every property at every step.
fn replay_scenario<A>(system: &System<A, Ghost>, scenario: &ScenarioFile) -> Result<(), String>
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let run = trace::parse(&scenario.trace())
        .and_then(|text| text.resolve(system))
        .map_err(|error| format!("scenario, step {}: {}", error.line.saturating_sub(1), error.message))?;
    let judged = trace::judge(system, &run.actions).map_err(|error| format!("scenario: {error}"))?;
    if let Some(fallen) = judged.iter().find(|judged| judged.status == Status::Violated) {
        let (step, detail) = (fallen.step.unwrap_or(0), fallen.detail.clone().unwrap_or_default());
        return Err(format!("scenario: step {step}: {} falls: {detail}", fallen.property));
    }
    let last = run.states.last().expect("a run has at least its initial state");
    let chosen: Vec<String> = last
        .history
        .chosen(&system.observer.cluster.quorums)
        .map(|(_, ballot, value)| format!("{ballot:?}:{value:?}"))
        .collect();
    match &scenario.chosen {
        Some(expected) if *expected != chosen => {
            Err(format!("scenario: chosen at its end is {chosen:?}, expected {expected:?}"))
        }
        _ => Ok(()),
    }
}

/// The result of replaying a trace on a model.
pub struct Replay {
    /// The trace as it was understood, rendered anew.
    pub text: String,
    /// Properties that fell or were witnessed: after which step, which, and the breach in words.
    pub judged: Vec<(usize, &'static str, Status, Option<String>)>,
    /// A remark on the cycle, if the trace has one.
    pub cycle: Option<String>,
    /// The diagram for a terminal.
    pub diagram: String,
    /// The diagram as SVG.
    pub svg: String,
}

/// The property that never comes about on a cycle, if it is one, and what is to be said.
type CycleTold = (Option<&'static str>, String);

/// Replays a trace file on a model, step by step through its actors.
///
/// # Errors
/// When the text is no trace, or asks for a step that is not possible; the message says where.
pub fn replay(model: &Model, text: &str) -> Result<Replay, String> {
    match model.build() {
        Built::Plain(system) => replay_system(model, &system, text, progress::replay),
        Built::Decorated(system) => replay_system(model, &system, text, progress::replay),
        Built::Admission(system) => replay_system(model, &system, text, |_, _| Ok(None)),
        Built::Timed(system) => replay_system(model, &system, text, progress::replay),
        Built::Master(system) => replay_system(model, &system, text, |_, _| Ok(None)),
        Built::Clock(system) => replay_system(model, &system, text, |_, _| Ok(None)),
    }
}

fn replay_system<A: Subject, O: Observer<A>>(
    model: &Model,
    system: &System<A, O>,
    text: &str,
    cycle: impl FnOnce(&System<A, O>, &Resolved<A, O>) -> Result<Option<CycleTold>, String>,
) -> Result<Replay, String> {
    let run = trace::parse(text).and_then(|text| text.resolve(system)).map_err(|error| error.to_string())?;
    let judged = trace::judge(system, &run.actions).map_err(|error| error.to_string())?;
    let seen = judged.into_iter().filter_map(|judged| {
        let is_seen = matches!(judged.status, Status::Violated | Status::Witnessed);
        is_seen.then(|| (judged.step.unwrap_or(0), judged.property, judged.status, judged.detail))
    });
    let mut seen: Vec<_> = seen.collect();
    let cycle = cycle(system, &run)?;
    if let Some((property, detail)) = &cycle {
        seen.extend(
            property.map(|property| (run.actions.len(), property, Status::Violated, Some(detail.clone()))),
        );
    }
    let diagram = Diagram::new(system, &run.actions).with_cycle(run.cycle);
    let text = TraceText::record(system, &run.actions).with_cycle(run.cycle).header("model", &model.name);
    Ok(Replay {
        text: text.to_string(),
        judged: seen,
        cycle: cycle.map(|(_, detail)| detail),
        diagram: diagram.text(),
        svg: diagram.svg(),
    })
}
