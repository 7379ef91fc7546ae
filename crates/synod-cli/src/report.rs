//! `--report DIR`: one HTML page with the table, and for each counterexample its trace and its diagram.

use crate::check::{Sum, told};
use crate::formats::escape;
use crate::output::{grouped, seconds};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use synod_model::{Model, Outcome, Verdict, replay};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;text-align:left;border-bottom:1px solid #ddd}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.ok{color:#17722f}.bad{color:#b3261e;font-weight:600}\
.cut{color:#8a6100}details{margin:1rem 0}summary{cursor:pointer;font-weight:600}pre{background:#f6f6f6;padding:.8rem;\
overflow:auto}figure{overflow:auto;margin:0}small{color:#666}";

/// Writes the counterexample of a model, if there is one, and notes where.
pub fn save_trace(
    folder: &Path,
    model: &Model,
    outcome: &mut Outcome,
    taken: &mut BTreeSet<String>,
) -> Result<(), String> {
    let Some(trace) = &outcome.trace else { return Ok(()) };
    let name = free(&flat(&model.name), taken);
    let file = folder.join(format!("{name}.trace"));
    write(&file, trace)?;
    outcome.trace_file = Some(file.display().to_string());
    Ok(())
}

/// The name of a file for a model: its path from where one is, folders and file one after the other, with neither a dot in front nor
/// the ending.
fn flat(name: &str) -> String {
    let clean = |part: &str| -> String {
        part.chars()
            .map(|c| if c.is_alphanumeric() || ['-', '_', '.'].contains(&c) { c } else { '-' })
            .collect()
    };
    let parts =
        name.trim_end_matches(".toml").split(['/', '\\']).map(|part| clean(part.trim_start_matches('.')));
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "model".to_owned() } else { parts.join(".") }
}

/// The name, with a number where another model has it already.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.expect("numbers do not run out");
    taken.insert(free.clone());
    free
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Writes the page.
pub fn page(folder: &Path, models: &[Model], outcomes: &[Outcome], sum: &Sum) -> Result<PathBuf, String> {
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>synod check</title><style>{STYLE}</style>\
         <h1>synod check</h1><p>{} models: {} as expected, {} not, {} without a verdict, in {}.</p>\
         <table><tr><th></th><th>model</th><th>system</th><th class=\"n\">states</th><th class=\"n\">generated</th>\
         <th class=\"n\">depth</th><th class=\"n\">time</th><th>verdict</th></tr>",
        sum.models,
        sum.ok,
        sum.failed,
        sum.incomplete,
        seconds(sum.elapsed)
    );
    for (model, outcome) in models.iter().zip(outcomes) {
        let (class, mark) = match (outcome.verdict, outcome.ok) {
            (Verdict::Incomplete, _) => ("cut", "cut"),
            (_, true) => ("ok", "ok"),
            _ => ("bad", "FAIL"),
        };
        let complaints: Vec<_> = outcome.complaints.iter().map(|text| escape(text)).collect();
        let complaints = complaints.iter().fold(String::new(), |all, one| all + "<br>" + one);
        let _ = write!(
            html,
            "<tr><td class=\"{class}\">{mark}</td><td>{}<br><small>{}</small></td><td>{} <small>{}</small></td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}{complaints}</td></tr>",
            escape(&model.name),
            escape(&model.file.about),
            escape(&model.shape()),
            escape(&model.troubles()),
            grouped(outcome.unique_states),
            grouped(outcome.generated_states),
            outcome.depth,
            seconds(outcome.elapsed),
            escape(&told(outcome)),
        );
    }
    html.push_str("</table><h2>Counterexamples</h2>");
    for (model, outcome) in models.iter().zip(outcomes) {
        let Some(trace) = &outcome.trace else { continue };
        let svg = replay(model, trace).map(|replay| replay.svg).unwrap_or_default();
        let _ = write!(
            html,
            "<details><summary>{}: {}</summary><p>{}</p><figure>{svg}</figure><pre>{}</pre></details>",
            escape(&model.name),
            escape(&told(outcome)),
            escape(outcome.detail.as_deref().unwrap_or_default()),
            escape(trace)
        );
    }
    html.push_str("</html>\n");
    let file = folder.join("index.html");
    write(&file, &html)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_after_its_model_and_never_hidden() {
        for (model, file) in [
            ("mutants/any-value", "mutants.any-value"),
            ("my.toml", "my"),
            ("./my.toml", "my"),
            ("../other/my model.toml", "other.my-model"),
            ("/srv/.hidden/my.toml", "srv.hidden.my"),
            ("..", "model"),
        ] {
            assert_eq!(flat(model), file);
        }
    }

    #[test]
    fn two_models_of_one_name_have_two_files() {
        let mut taken = BTreeSet::new();
        assert_eq!([(); 3].map(|()| free("my", &mut taken)), ["my", "my-2", "my-3"]);
    }
}
