//! Checks models with one edit in force (`run SECONDS MEGABYTES MODEL…`, the edit in `SYNOD_GUARD`), or without one,
//! and says which edits each model reaches (`record SECONDS`). One line of JSON per model.

use serde_json::json;
use std::time::{Duration, Instant};
use synod_model::{Settings, Tier, Verdict, catalogue, check};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["record", seconds] => record(seconds.parse().expect("seconds")),
        ["run", seconds, megabytes, names @ ..] => {
            run(seconds.parse().expect("seconds"), megabytes.parse().expect("megabytes"), names);
        }
        _ => panic!("record SECONDS, or run SECONDS MEGABYTES MODEL..."),
    }
}

/// Every fast model as it is.
fn record(most: f64) {
    for model in catalogue().iter().filter(|model| model.file.tier == Tier::Fast) {
        synod::hook::record();
        let begun = Instant::now();
        let settings = Settings { time: Some(Duration::from_secs_f64(most)), ..Settings::default() };
        let outcome = check(model, &settings);
        let seconds = begun.elapsed().as_secs_f64();
        let reached = if outcome.verdict == Verdict::Incomplete { Vec::new() } else { synod::hook::reached() };
        println!(
            "{}",
            json!({
                "model": model.name, "seconds": seconds, "verdict": outcome.verdict.word(), "complaints": outcome.complaints,
                "reached": reached,
            })
        );
    }
}

/// Models in the order in which they are named, up to the first that tells the edit from what is right.
fn run(seconds: f64, megabytes: u64, names: &[&str]) {
    let models = catalogue();
    for name in names {
        let model = models.iter().find(|model| model.name == *name).expect("a model's name");
        println!("{}", json!({ "begins": name }));
        let settings = Settings {
            time: Some(Duration::from_secs_f64(seconds)),
            memory: Some(megabytes << 20),
            ..Settings::default()
        };
        let outcome = check(model, &settings);
        let counts = ["unique_states", "generated_states", "depth"];
        let is_count = |complaint: &String| counts.iter().any(|word| complaint.starts_with(word));
        let told: Vec<&String> = outcome.complaints.iter().filter(|it| !is_count(it)).collect();
        let kind = match (told.first(), outcome.complaints.first()) {
            (Some(_), _) if outcome.verdict == Verdict::Incomplete => "limits",
            (Some(_), _) => "verdict",
            (None, Some(_)) => "counts",
            (None, None) => continue,
        };
        println!(
            "{}",
            json!({ "model": name, "kind": kind, "says": told.first().or(outcome.complaints.first().as_ref()) })
        );
        if kind != "counts" {
            return;
        }
    }
}
