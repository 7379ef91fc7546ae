//! `--report DIR`: a page with the table, failures first, and for each counterexample its trace and a page with its diagram.

use crate::output::{grouped, seconds};
use crate::sum::Sum;
use crate::table::told;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use synod_model::{Model, Outcome, Verdict, replay};

/// The style of all pages, in the colours of the reader's system, light or dark.
const STYLE: &str = include_str!("report.css");

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
    let clean = |folder: &str| -> String {
        folder
            .chars()
            .map(|c| if c.is_alphanumeric() || ['-', '_', '.'].contains(&c) { c } else { '-' })
            .collect()
    };
    let folders = name.trim_end_matches(".toml").split(['/', '\\']);
    let folders: Vec<String> = folders
        .map(|folder| clean(folder.trim_start_matches('.')))
        .filter(|folder| !folder.is_empty())
        .collect();
    if folders.is_empty() { "model".to_owned() } else { folders.join(".") }
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

/// Writes all pages, and returns the path of the first.
pub fn pages(folder: &Path, models: &[Model], outcomes: &[Outcome], sum: &Sum) -> Result<PathBuf, String> {
    for (model, outcome) in models.iter().zip(outcomes) {
        if let Some((trace, name)) = outcome.trace.as_ref().zip(trace_name(outcome)) {
            write(
                &folder.join(format!("{name}.html")),
                &counterexample(model, outcome, trace, name).into_string(),
            )?;
        }
    }
    let file = folder.join("index.html");
    write(&file, &overview(models, outcomes, sum).into_string())?;
    Ok(file)
}

/// The name of the trace's file without its ending.
fn trace_name(outcome: &Outcome) -> Option<&str> {
    Path::new(outcome.trace_file.as_ref()?).file_stem()?.to_str()
}

/// A whole page around its content.
fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    }
}

/// How a row is shown: its class, its mark, and its place among the others.
fn standing(outcome: &Outcome) -> (&'static str, &'static str, u8) {
    match (outcome.verdict, outcome.ok) {
        (Verdict::Incomplete, _) => ("cut", "cut", 1),
        (_, true) => ("ok", "ok", 2),
        _ => ("bad", "FAIL", 0),
    }
}

fn overview(models: &[Model], outcomes: &[Outcome], sum: &Sum) -> Markup {
    let mut rows: Vec<_> = models.iter().zip(outcomes).collect();
    rows.sort_by_key(|(_, outcome)| standing(outcome).2);
    let title =
        if sum.failed > 0 { format!("synod check: {} failed", sum.failed) } else { "synod check".to_owned() };
    let content = html! {
        h1 { "synod check" }
        p.sum {
            span { (sum.models) " models" }
            span.bad[sum.failed > 0] { (sum.failed) " failed" }
            span.cut[sum.incomplete > 0] { (sum.incomplete) " incomplete" }
            span.ok { (sum.ok) " as expected" }
            span { "in " (seconds(sum.elapsed)) }
        }
        div.wide {
            table {
                thead {
                    tr {
                        th { }
                        th { "model" }
                        th { "system" }
                        th.n { "states" }
                        th.n { "depth" }
                        th.n { "time" }
                        th { "verdict" }
                    }
                }
                tbody { @for (model, outcome) in rows { (row(model, outcome)) } }
            }
        }
    };
    page(&title, &content)
}

fn row(model: &Model, outcome: &Outcome) -> Markup {
    let (class, mark, _) = standing(outcome);
    html! {
        tr id=(model.name) {
            td class=(class) { (mark) }
            td { (model.name) br; small { (model.file.about) } }
            td.system { (model.shape()) br; small { (model.troubles()) } }
            td.n title=(format!("{} generated", grouped(outcome.generated_states))) { (grouped(outcome.unique_states)) }
            td.n { (outcome.depth) }
            td.n { (seconds(outcome.elapsed)) }
            td {
                @if let Some(name) = trace_name(outcome) {
                    a href=(format!("{name}.html")) { (told(outcome)) }
                } @else {
                    (told(outcome))
                }
                @for complaint in &outcome.complaints { br; span.bad { (complaint) } }
            }
        }
    }
}

fn counterexample(model: &Model, outcome: &Outcome, trace: &str, name: &str) -> Markup {
    let (class, mark, _) = standing(outcome);
    // A complaint about the verdict quotes it.
    let told_anyway =
        |detail: &&String| outcome.complaints.iter().any(|complaint| complaint.contains(*detail));
    let detail = outcome.detail.as_ref().filter(|detail| !told_anyway(detail));
    let svg = replay(model, trace).map(|replay| replay.svg).unwrap_or_default();
    let content = html! {
        p { a href=(format!("index.html#{}", model.name)) { "all models" } }
        h1 { (model.name) }
        p { (model.file.about) }
        p { span class=(class) { (mark) } " " (told(outcome)) }
        @if let Some(detail) = detail { p { (detail) } }
        @for complaint in &outcome.complaints { p.bad { (complaint) } }
        figure { (PreEscaped(svg)) }
        h2 { "The same as text" }
        p {
            "Saved as " a href=(format!("{name}.trace")) { (name) ".trace" } ". "
            code { "synod trace replay" } " runs it through the actors; " code { "synod explore" } " opens it step by step."
        }
        pre { (trace) }
    };
    page(&format!("{}: {}", model.name, told(outcome)), &content)
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
