//! `synod check`: a row for each model, in their order, and a sum at the end.

use crate::args::{Check, Engine, Format, Table};
use crate::output::{self, DIM, GREEN, RED, YELLOW, bytes, line, paint, seconds};
use crate::progress::Live;
use crate::report;
use crate::sum::Sum;
use crate::table::Columns;
use crate::{formats, memory, side_by_side};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Instant;
use synod_explore::Progress;
use synod_model::{Model, Outcome, Settings, Tier};

/// Set by Ctrl-C: the search ends, what is known so far is printed, and the run counts as incomplete.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Runs the command.
pub fn run(args: &Check) -> Result<u8, String> {
    if let Some(folder) = args.spill.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(format!("--spill {}: there is no such folder; make it first", folder.display()));
    }
    let models = args.select.models(Tier::Fast)?;
    if let Some(folder) = &args.checkpoint {
        checkpoints(args, folder, &models)?;
    }
    if let Some(folder) = &args.report {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(crate::status::INCOMPLETE));
        }
    })
    .map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;

    let started = Instant::now();
    let (mut outcomes, mut names) = (Vec::new(), BTreeSet::new());
    let mut sum = Sum::default();
    let columns = Columns::of(&models, output::width());
    if args.select.format == Format::Human {
        line(&paint(DIM, &columns.heading()));
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let run = Run { args, models: &models, threads, started, live: Live::new(&models) };
    let goes_on = || {
        let is_late = args.time.is_some_and(|time| started.elapsed() >= time);
        !is_late && !INTERRUPTED.load(Ordering::Relaxed)
    };
    side_by_side::check(
        &models,
        threads,
        |index, threads| run.check(index, threads),
        goes_on,
        |index, mut outcome| {
            let model = &models[index];
            if let Some(folder) = &args.report {
                report::save_trace(folder, model, &mut outcome, &mut names)?;
            }
            run.live.clear();
            match args.select.format {
                Format::Human => columns.row(model, &outcome),
                Format::Json => line(&formats::json(&outcome)),
                Format::Github => formats::github(&outcome).iter().for_each(|text| line(text)),
                Format::Junit => {}
            }
            if let Some(why) = outcome.detail.as_ref().filter(|_| outcome.refused) {
                anstream::eprintln!("{}: {}: {why}", paint(RED, "error"), outcome.model);
            }
            sum.add(&outcome);
            outcomes.push(outcome);
            Ok(())
        },
    )?;
    sum.elapsed = started.elapsed();
    match args.select.format {
        Format::Human => {
            total(&sum);
            if INTERRUPTED.load(Ordering::Relaxed) {
                line(how_to_go_on(args));
            }
        }
        Format::Json => line(&formats::json_sum(&sum)),
        Format::Junit => line(&formats::junit(&outcomes, &sum)),
        Format::Github => {}
    }
    if let Some(folder) = &args.report {
        let page = report::pages(folder, &models, &outcomes, &sum)?;
        anstream::eprintln!("report: {}", page.display());
    }
    Ok(sum.status())
}

/// Sees that checkpoints can be written, and that none is lost by it.
fn checkpoints(args: &Check, folder: &Path, models: &[Model]) -> Result<(), String> {
    if args.engine == Engine::Stateright {
        return Err("--checkpoint: stateright's engine has none; leave one of the two away".to_owned());
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("--checkpoint {}: cannot make the folder: {error}", folder.display()))?;
    for model in models {
        if !model.has_checkpoints() {
            anstream::eprintln!("{}: ballots are renumbered, so there is no checkpoint of it", model.name);
            continue;
        }
        if model.file.liveness.is_some() {
            let name = &model.name;
            anstream::eprintln!(
                "{name}: the checkpoint is of its claims; what must come about is begun anew"
            );
        }
        let file = synod_model::checkpoint_file(folder, &model.name);
        if file.exists() && !args.resume {
            return Err(format!(
                "{}: there is a checkpoint of {} already; add --resume to go on from it, or remove it to begin anew",
                file.display(),
                model.name
            ));
        }
        if file.exists() {
            anstream::eprintln!("going on with {} from {}", model.name, file.display());
        }
    }
    Ok(())
}

/// What all models of a run share.
struct Run<'r> {
    args: &'r Check,
    models: &'r [Model],
    /// Of the whole run.
    threads: usize,
    started: Instant,
    live: Live<'r>,
}

impl Run<'_> {
    /// The memory of a model on so many of the run's threads. Models beside each other share it; one that this is too little for
    /// is checked again by itself.
    fn memory(&self, threads: usize) -> Option<u64> {
        let beside = if threads < self.threads { self.threads as u64 } else { 1 };
        let whole = self.args.memory.map(|size| size.as_u64()).or_else(|| memory::share(self.threads));
        whole.map(|bytes| bytes / beside)
    }

    /// Checks one model with what is left of the time, on so many of the threads.
    fn check(&self, index: usize, threads: usize) -> Outcome {
        let Run { args, live, .. } = self;
        let show = |progress: &Progress| live.show(index, progress);
        let settings = Settings {
            threads,
            time: args.time.map(|time| time.saturating_sub(self.started.elapsed())),
            memory: self.memory(threads),
            stateright: args.engine == Engine::Stateright,
            reduce: !args.no_reductions,
            table: match args.table {
                Table::Exact => synod_explore::Table::Exact,
                Table::Bits64 => synod_explore::Table::Fingerprint64,
                Table::Bits128 => synod_explore::Table::Fingerprint128,
            },
            spill: args.spill.as_deref(),
            checkpoints: args.checkpoint.as_deref().map(|folder| (folder, args.resume)),
            interrupt: Some(&INTERRUPTED),
            progress: Some(&show),
            ..Settings::default()
        };
        live.started(index);
        let outcome = synod_model::check(&self.models[index], &settings);
        live.ended(index);
        outcome
    }
}

/// What somebody who pressed Ctrl-C can do.
fn how_to_go_on(args: &Check) -> &'static str {
    match (&args.checkpoint, args.resume) {
        (Some(_), true) => "interrupted; the same command goes on from here",
        (Some(_), false) => "interrupted; the same command with --resume goes on from here",
        (None, _) => "interrupted; with --checkpoint DIR the next run could go on from here",
    }
}

fn total(sum: &Sum) {
    let style = match sum.status() {
        crate::status::OK => GREEN,
        crate::status::INCOMPLETE => YELLOW,
        _ => RED,
    };
    let text = format!(
        "{} model{}: {} ok, {} failed, {} incomplete, in {}",
        sum.models,
        if sum.models == 1 { "" } else { "s" },
        sum.ok,
        sum.failed,
        sum.incomplete,
        seconds(sum.elapsed)
    );
    line("");
    line(&paint(style, &text));
    if sum.only_figures > 0 {
        line(&format!(
            "{} of the {} failed: only figures differ (counts of states, lengths of traces), no verdict and no claim",
            sum.only_figures, sum.failed
        ));
    }
    if let Some(peak) = memory::peak() {
        line(&paint(DIM, &format!("peak memory {}", bytes(peak))));
    }
}
