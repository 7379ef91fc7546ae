//! Writes `proofs-notes/mutants.md`: the claims that fall for each mutant, and after how many steps at the least.
//!
//! `cargo run --release -p synod-model --example matrix`; with `--check` it writes nothing and fails if the file is
//! not what the runs say. A run goes on past the first fall, until everything is explored or a fixed number of states
//! is: what it says is the same on every machine.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use synod_explore::Status;
use synod_model::{Model, Outcome, Settings, Tier, Verdict, catalogue, check, claims::CLAIMS};

/// The depth at which a run is cut, in states on a path, unless its model's own fall lies deeper.
const DEPTH: usize = 19;

fn main() -> ExitCode {
    let models: Vec<Model> = catalogue()
        .into_iter()
        .filter(Model::is_of_protocol)
        .filter(|model| model.name.starts_with("mutants/") || model.mutant().is_some())
        // A symmetric twin must come to the same as its model. Where ballots are renumbered, not every claim can be asked. In
        // models of liveness no claim falls.
        .filter(|model| {
            !["symmetry/", "ballots/", "liveness/"].iter().any(|under| model.name.starts_with(under))
        })
        .collect();
    let mut text = HEAD.to_owned();
    let names: Vec<&str> = CLAIMS.iter().map(|claim| claim.name).collect();
    let _ = writeln!(text, "| model | mutant | guard taken away | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|---|---|{}", "---:|".repeat(names.len()));
    for mut model in models {
        eprintln!("{}", model.name);
        let harmless = model.file.expect.verdict.holds();
        let depth = model.file.expect.steps.map_or(DEPTH, |steps| DEPTH.max(steps + 1));
        if model.file.tier == Tier::Fast {
            // Every claim is asked, whichever the model's own file asks.
            // One that stops its process is followed until it does.
            let goes_on = !harmless && model.file.expect.message.is_none();
            model.ask_everything(goes_on.then_some(depth));
        } else if !harmless {
            // What other claims need of the past would make it many times as large.
            model.file.bounds.depth = Some(depth);
        }
        let settings = Settings { threads: 2, exhaust: true, ..Settings::default() };
        let outcome = check(&model, &settings);
        let _ = writeln!(text, "{}", row(&model, &outcome));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proofs-notes/mutants.md");
    if std::env::args().any(|argument| argument == "--check") {
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        if there != text {
            eprintln!("proofs-notes/mutants.md is not what the runs say; run the example without --check");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    match std::fs::write(&file, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

const HEAD: &str = "# Mutants\n\n\
The table shows which claims fall when a guard is taken away, and after how many steps at the least. To repeat:\n\
`cargo run --release -p synod-model --example matrix`, which writes this file; `.ci/run` compares. Each model is explored past its\n\
first fall: until it is exhausted (up to its file's own bound), 18 steps deep, or as deep as its file says that it falls.\n\n\
- **Bold** is the claim that the model's file names.\n\
- A dot is a claim that stands as far as was explored. An empty field is one that was not asked: larger models are asked for their own.\n\
- A dagger at the model says that the depth cut the exploration.\n\
- The models below `harmless/` take away what safety does not need, and must stand.\n\n";

fn row(model: &Model, outcome: &Outcome) -> String {
    let (mutant, guard) = match model.mutant() {
        Some(entry) => (format!("`{}`", entry.name), entry.guard),
        None => ("plain configuration".to_owned(), "quorums that meet, or ballots of one's own"),
    };
    let cut = if outcome.verdict == Verdict::Violated && outcome.depth >= DEPTH { " †" } else { "" };
    let mut row = format!("| `{}`{cut} | {mutant} | {guard} |", model.name);
    if outcome.verdict == Verdict::Panicked {
        // The place in the code at which it stopped would change with the code.
        let detail = outcome.detail.as_deref().unwrap_or_default();
        let detail = detail.split(" (at ").next().unwrap_or_default();
        let _ = write!(row, " stopped at once: {detail} |{}", " |".repeat(9));
        return row;
    }
    for claim in &CLAIMS {
        let Some(found) = outcome.properties.iter().find(|found| found.name == claim.name) else {
            row += " |";
            continue;
        };
        let steps =
            Some(found).filter(|found| found.status == Status::Violated).and_then(|found| found.steps);
        let named = model.file.expect.property.as_deref() == Some(claim.name);
        let _ = match steps {
            Some(steps) if named => write!(row, " **{steps}** |"),
            Some(steps) => write!(row, " {steps} |"),
            None => write!(row, " · |"),
        };
    }
    row
}
