//! `synod trace replay` of flight records: what real members did, through the same actors and the same claims.

use crate::args::Replay;
use crate::output::{GREEN, RED, grouped, line, paint, seconds};
use std::fs;
use std::path::Path;
use std::time::Instant;
use synod::Process;
use synod_replay::{Records, Verdict, explain, replay, show};
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
    let wiring: Wiring = first.wiring.clone();
    let starts: usize = first.members.values().map(Vec::len).sum();
    let members = first.members.len();
    let done =
        replay::<Process, PaxosChanges>(first, |id| wiring.server(id)).map_err(|error| error.to_string())?;
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
    let model = args.explain.join("model.toml");
    let name = model.display().to_string();
    let actor = |id| wiring.server(id);
    let (explained, says) = match &verdict {
        Verdict::Violated(violation) => {
            let explained = explain::<Process, PaxosChanges>(lives()?, actor, violation, &name, None);
            (explained, "steps of a model show it; look at them with")
        }
        Verdict::Differs { .. } | Verdict::Unsent { .. } => {
            let shown = show::<Process, PaxosChanges>(&records, &actor, &name, None);
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
