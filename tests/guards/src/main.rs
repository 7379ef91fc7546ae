//! Breaks every guard of `crates/synod`, one at a time, and says who notices. See README.md.

mod copy;
mod liberties;
mod run;
mod sites;

use clap::Parser;
use liberties::Liberty;
use run::{Checks, Kind, Outcome};
use sites::Edit;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Breaks every guard of the roles, one at a time, and says who notices.
#[derive(Parser)]
struct Arguments {
    /// The project.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))]
    root: PathBuf,
    /// Only edits of these files of crates/synod/src.
    #[arg(long)]
    file: Vec<String>,
    /// Only edits in functions with this in their name.
    #[arg(long)]
    function: Option<String>,
    /// Only edits that open.toml lists.
    #[arg(long)]
    open: bool,
    /// Only so many edits, taken at random from those that are in no list.
    #[arg(long)]
    sample: Option<usize>,
    /// What the sample is drawn with, a number in hexadecimal digits; printed, so that it can be drawn again.
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// How many edits are tried at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Models that take longer, without an edit, are left out, and test programs if no crates are named. Seconds.
    #[arg(long, default_value_t = 2.5)]
    most: f64,
    /// Only the tests of these crates, however long they take, and the models.
    #[arg(long = "crate")]
    crates: Vec<String>,
    /// Lists the edits and runs nothing.
    #[arg(long)]
    list: bool,
    /// Writes the list of what survives and is no liberty into target/guards/open.toml.
    #[arg(long)]
    propose: bool,
}

fn seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "a seed has 1 to 16 hexadecimal digits".to_owned())
}

fn main() -> ExitCode {
    match go(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn go(arguments: &Arguments) -> Result<bool, String> {
    let root =
        arguments.root.canonicalize().map_err(|error| format!("{}: {error}", arguments.root.display()))?;
    let edits = copy::edits(&root)?;
    let mut liberties = Vec::new();
    for list in ["liberties.toml", "open.toml"] {
        liberties.extend(liberties::read(&root.join("tests/guards").join(list), &edits)?);
    }
    let chosen = choose(arguments, &edits, &liberties)?;
    if arguments.list {
        for number in &chosen {
            println!("{number} {}", name(&edits[number - 1]));
        }
        return Ok(true);
    }
    let copied = copy::copy(&root)?;
    let checks = Checks::prepare(&copied, arguments.most, &arguments.crates)?;
    let at = root.join("target/guards");
    let results = at.join(format!("results-{:016x}-{}.jsonl", copied.all, arguments.most));
    let outcomes = checks.run(&chosen, arguments.threads, &results)?;
    report(&at, &copied.edits, &outcomes, &liberties, arguments.propose)
}

/// The numbers of the edits that are to be tried.
fn choose(arguments: &Arguments, edits: &[Edit], listed: &[Liberty]) -> Result<Vec<usize>, String> {
    for file in &arguments.file {
        if !edits.iter().any(|edit| edit.file == *file) {
            return Err(format!("--file {file}: crates/synod/src has no such file with a guard in it"));
        }
    }
    let wanted = |edit: &Edit| {
        (arguments.file.is_empty() || arguments.file.contains(&edit.file))
            && arguments.function.as_ref().is_none_or(|it| edit.function.contains(it.as_str()))
            && (!arguments.open || listed.iter().any(|it| it.why.is_empty() && it.covers(edit)))
    };
    let mut chosen: Vec<usize> = (1..=edits.len()).filter(|number| wanted(&edits[number - 1])).collect();
    if let Some(count) = arguments.sample {
        chosen.retain(|number| !listed.iter().any(|it| it.covers(&edits[number - 1])));
        let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
        eprintln!("a sample of {count} with --seed {seed:x}");
        fastrand::Rng::with_seed(seed).shuffle(&mut chosen);
        chosen.truncate(count);
        chosen.sort_unstable();
    }
    Ok(chosen)
}

fn name(edit: &Edit) -> String {
    let nth = if edit.nth > 1 { format!(" ({})", edit.nth) } else { String::new() };
    format!("{}:{} {} {}: {}{nth}", edit.file, edit.line, edit.function, edit.how, edit.text)
}

/// Writes the table and says what is wrong; `false` if something is.
fn report(
    at: &Path,
    edits: &[Edit],
    outcomes: &[Outcome],
    liberties: &[Liberty],
    propose: bool,
) -> Result<bool, String> {
    let (mut table, mut wrong, mut open) = (String::new(), Vec::new(), Vec::new());
    let (mut count, mut unjudged) = ([0; 4], 0);
    for outcome in outcomes {
        let edit = &edits[outcome.edit - 1];
        let listed = liberties.iter().find(|liberty| liberty.covers(edit));
        let survives = matches!(outcome.kind, Kind::Counts | Kind::Unnoticed);
        count[outcome.kind as usize] += 1;
        let is = match listed {
            Some(liberty) if liberty.why.is_empty() => ", open",
            Some(_) => ", a liberty",
            None => "",
        };
        let line = format!("{:?}{is} | {} | {}", outcome.kind, name(edit), outcome.by);
        writeln!(table, "{} | {line}", outcome.edit).expect("a string takes all");
        if survives && listed.is_none_or(|liberty| liberty.why.is_empty()) {
            open.push(edit);
        }
        match (survives, listed) {
            (true, None) => wrong.push(format!("survives and is not listed: {line}")),
            (true, Some(liberty)) if liberty.why.is_empty() => unjudged += 1,
            (false, Some(liberty)) if liberty.why.is_empty() => println!("is open no more, drop it: {line}"),
            (false, Some(_)) => wrong.push(format!("is listed and is noticed: {line}")),
            _ => {}
        }
    }
    let write = |name: &str, text: &str| {
        let file = at.join(name);
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    write("table.txt", &table)?;
    if propose {
        write("open.toml", &liberties::write(&open))?;
    }
    wrong.iter().for_each(|line| println!("{line}"));
    let [killed, ran_out, counts, unnoticed] = count;
    println!(
        "{} edits: {killed} killed, {ran_out} ran out of time or memory, {counts} change only a count, {unnoticed} are noticed by nobody \
         (of these {unjudged} are open); {} wrong. Table: {}",
        outcomes.len(),
        wrong.len(),
        at.join("table.txt").display()
    );
    Ok(wrong.is_empty())
}
