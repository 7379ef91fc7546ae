//! Writes into the catalogue's files what their models come to: verdict counts, and the steps of a fall.
//!
//! `cargo run --release -p synod-model --example bless -- [NAME...]`: the models whose names contain one of the texts.
//! A model's verdict and the claim that falls are never changed; look at the diff.

use std::path::Path;
use std::time::{Duration, Instant};
use synod_model::{Settings, catalogue, check};

fn main() -> std::io::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for model in catalogue() {
        if !wanted.is_empty() && !wanted.iter().any(|text| model.name.contains(text.as_str())) {
            continue;
        }
        let started = Instant::now();
        let settings = Settings {
            threads: 2,
            memory: Some(12 << 30),
            time: Some(Duration::from_mins(4)),
            ..Settings::default()
        };
        let outcome = check(&model, &settings);
        let expect = &model.file.expect;
        let mut lines = vec![format!("verdict = \"{}\"", expect.verdict)];
        let fallen =
            expect.property.as_ref().and_then(|name| outcome.properties.iter().find(|f| f.name == name));
        if let Some(name) = &expect.property {
            lines.push(format!("property = {name:?}"));
        }
        if let Some(message) = &expect.message {
            lines.push(format!("message = {message:?}"));
        }
        if let Some(steps) = fallen.and_then(|found| found.steps) {
            lines.push(format!("steps = {steps}"));
        }
        let cycle = fallen.and_then(|found| found.cycle);
        if let Some((cycle, trace)) = cycle.zip(outcome.trace.as_ref()) {
            lines.push(format!("cycle = {cycle}"));
            let steps: Vec<&str> = trace.lines().filter(|line| !line.starts_with('#')).collect();
            lines.push(format!("lasso = \"\"\"\n{}\n\"\"\"", steps.join("\n")));
        }
        if outcome.verdict.holds() {
            lines.push(format!("unique_states = {}", outcome.unique_states));
            lines.push(format!("generated_states = {}", outcome.generated_states));
            lines.push(format!("depth = {}", outcome.depth));
        }
        let steps =
            fallen.and_then(|found| found.steps).map(|steps| format!(" {steps} steps")).unwrap_or_default();
        let steps = cycle.map_or(steps.clone(), |cycle| format!("{steps} and {cycle}"));
        println!(
            "{:45} {:18}{steps} {:>11} states {:>5.1} s {:>6} MiB  {}{}",
            model.name,
            outcome.verdict,
            outcome.unique_states,
            started.elapsed().as_secs_f64(),
            outcome.memory_bytes >> 20,
            if outcome.verdict == expect.verdict { "" } else { "NOT AS EXPECTED " },
            outcome.detail.as_deref().unwrap_or_default(),
        );
        let file = root.join(format!("{}.toml", model.name));
        let head = model.text.split("[expect]").next().unwrap_or_default();
        std::fs::write(file, format!("{head}[expect]\n{}\n", lines.join("\n")))?;
    }
    Ok(())
}
