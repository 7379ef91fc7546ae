//! `synod trace replay` and `synod trace show` of flight records: what real members did, through the same actors and the same claims, or in words.

use crate::args::{Replay, Show};
use crate::output::{GREEN, RED, grouped, line, paint, seconds};
use std::fs;
use std::path::Path;
use std::time::Instant;
use synod::{Instance, Process};
use synod_replay::{Records, Verdict, Which, explain, replay, show as show_model, tell};
use synod_server::{PaxosChanges, Wiring};

/// Whether a path is of flight records and not of a trace.
pub fn is_flight(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|extension| extension == "rec")
}

/// Replays the records; a run that went wrong is explained.
pub fn run(args: &Replay) -> Result<u8, String> {
    let records = Records::read(&args.paths).map_err(|error| error.to_string())?;
    let lives = || records.lives().map_err(|error| error.to_string());
    let began = Instant::now();
    let first = lives()?;
    let starts: usize = first.members.values().map(Vec::len).sum();
    let members = first.members.len();
    let done = replay::<Process, PaxosChanges>(first, Wiring::server).map_err(|error| error.to_string())?;
    let took = began.elapsed();
    line(&format!(
        "{} events of {members} members with {starts} starts, instances with a value: {}, in {} ({} events a second)",
        grouped(done.events),
        grouped(done.chosen),
        seconds(took),
        grouped((done.events as f64 / took.as_secs_f64().max(1e-9)) as u64),
    ));
    if done.cut > 0 {
        line(&format!("{} of the starts had lost what was recorded and never flushed", done.cut));
    }
    let Some(verdict) = done.verdict else {
        line(&paint(GREEN, "every member did what the actors do, and no claim fell"));
        return Ok(crate::status::OK);
    };
    line(&paint(RED, &verdict.to_string()));
    if lives()?.wiring.log.is_some() {
        return in_words(args, &records, &verdict);
    }
    let model = args.explain.join("model.toml");
    let name = model.display().to_string();
    let actor = Wiring::server;
    let (explained, says) = match &verdict {
        Verdict::Violated(violation) => {
            let explained = explain::<Process, PaxosChanges>(lives()?, actor, violation, &name, None);
            (explained, "steps of a model show it; look at them with")
        }
        Verdict::Differs { .. } | Verdict::Unsent { .. } => {
            let shown = show_model::<Process, PaxosChanges>(&records, &actor, &name, None);
            (shown, "steps of a model lead there; look at them with")
        }
    };
    match explained {
        Ok(explained) => {
            let trace = args.explain.join("run.trace");
            let written = fs::create_dir_all(&args.explain)
                .and_then(|()| fs::write(&model, &explained.model))
                .and_then(|()| fs::write(&trace, &explained.trace));
            written.map_err(|error| format!("{}: {error}", args.explain.display()))?;
            line(&format!("{} {says}", explained.steps));
            line(&format!("  synod explore {name} --trace {}", trace.display()));
        }
        Err(reason) => line(&format!("there is no model of it: {reason}")),
    }
    Ok(crate::status::FAILED)
}

/// The most steps that are written of a run that went wrong.
const MOST: usize = 2_000;

/// Writes what led to a verdict on a log.
fn in_words(args: &Replay, records: &Records, verdict: &Verdict) -> Result<u8, String> {
    let which = match verdict {
        Verdict::Violated(violation) => Which { group: violation.group, instance: Some(violation.instance) },
        Verdict::Differs { .. } | Verdict::Unsent { .. } => Which::default(),
    };
    let told = tell(records, which, MOST).map_err(|error| error.to_string())?;
    let file = args.explain.join("run.txt");
    fs::create_dir_all(&args.explain)
        .and_then(|()| fs::write(&file, format!("{}{verdict}\n", told.text)))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let of = which.instance.map_or_else(String::new, |instance| format!(" of instance {}", instance.0))
        + &which.group.map_or_else(String::new, |group| format!(" of group {group}"));
    line(&format!(
        "{} steps{of} lead there; they are told in {}",
        grouped(told.steps as u64),
        file.display()
    ));
    Ok(crate::status::FAILED)
}

/// Tells a run in words.
pub fn show(args: &Show) -> Result<u8, String> {
    let records = Records::read(&args.paths).map_err(|error| error.to_string())?;
    let which = Which { group: args.group, instance: args.instance.map(Instance) };
    let told = tell(&records, which, args.most).map_err(|error| error.to_string())?;
    if told.left_out > 0 {
        line(&format!("       {} earlier steps are left out; --most tells more", grouped(told.left_out)));
    }
    line(told.text.trim_end());
    match (told.verdict, args.instance) {
        (Some(verdict), _) => line(&paint(RED, &verdict.to_string())),
        (None, Some(instance)) if told.steps == 0 => {
            let of = args.group.map_or_else(String::new, |group| format!(" of group {group}"));
            line(&format!("no member took or sent anything about instance {instance}{of}"));
        }
        (None, _) => return Ok(crate::status::OK),
    }
    Ok(crate::status::FAILED)
}
