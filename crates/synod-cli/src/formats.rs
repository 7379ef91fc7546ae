//! What machines read: JSON a line, JUnit XML, GitHub annotations.

use crate::sum::Sum;
use crate::table::told;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use synod_model::{Outcome, Verdict};

/// One model as a JSON object.
pub fn json(outcome: &Outcome) -> String {
    let properties: Map<String, Value> =
        outcome.properties.iter().map(|found| (found.name.to_owned(), json!(found.status.word()))).collect();
    let mut object = json!({
        "model": outcome.model,
        "expected": outcome.expected.word(),
        "verdict": outcome.verdict.word(),
        "ok": outcome.ok,
        "properties": properties,
        "unique_states": outcome.unique_states,
        "generated_states": outcome.generated_states,
        "depth": outcome.depth,
        "missed_state_odds": outcome.missed_state_odds,
        "seconds": outcome.elapsed.as_secs_f64(),
        "peak_memory_bytes": outcome.memory_bytes,
    });
    let fields = object.as_object_mut().expect("made as an object just above");
    if let Some(steps) = outcome.steps {
        fields.insert("steps".to_owned(), json!(steps));
    }
    if outcome.only_figures {
        fields.insert("only_figures_differ".to_owned(), json!(true));
    }
    if let Some(file) = &outcome.trace_file {
        fields.insert("trace".to_owned(), json!(file));
    }
    // A lasso: the steps to the cycle, and those of it.
    if let Some((stem, cycle)) = outcome.properties.iter().find_map(|found| found.steps.zip(found.cycle)) {
        fields.insert("lasso".to_owned(), json!({"stem": stem, "cycle": cycle}));
    }
    if let Some(detail) = &outcome.detail {
        fields.insert("detail".to_owned(), json!(detail));
    }
    if !outcome.complaints.is_empty() {
        fields.insert("complaints".to_owned(), json!(outcome.complaints));
    }
    object.to_string()
}

/// The last line of JSON output.
pub fn json_sum(sum: &Sum) -> String {
    json!({"summary": {
        "models": sum.models,
        "ok": sum.ok,
        "failed": sum.failed,
        "incomplete": sum.incomplete,
        "seconds": sum.elapsed.as_secs_f64(),
    }})
    .to_string()
}

/// The whole run as JUnit XML. A model without a verdict is an error, one with a wrong verdict a failure.
pub fn junit(outcomes: &[Outcome], sum: &Sum) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"synod check\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        sum.models,
        sum.failed,
        sum.incomplete,
        sum.elapsed.as_secs_f64()
    );
    for outcome in outcomes {
        let (name, time) = (escape(&outcome.model), outcome.elapsed.as_secs_f64());
        let _ = write!(xml, "  <testcase classname=\"synod\" name=\"{name}\" time=\"{time:.3}\"");
        if outcome.ok {
            xml.push_str("/>\n");
            continue;
        }
        let tag = if outcome.verdict == Verdict::Incomplete { "error" } else { "failure" };
        let message = escape(&outcome.complaints.join("; "));
        let body = escape(outcome.trace.as_deref().unwrap_or_default());
        let _ = writeln!(xml, ">\n    <{tag} message=\"{message}\">{body}</{tag}>\n  </testcase>");
    }
    xml.push_str("</testsuite>");
    xml
}

/// Annotations for whatever was not as expected.
pub fn github(outcome: &Outcome) -> Vec<String> {
    let clean = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if outcome.ok {
        return vec![clean(&format!("{}: {}", outcome.model, told(outcome)))];
    }
    let kind = if outcome.verdict == Verdict::Incomplete { "warning" } else { "error" };
    let title = clean(&outcome.model).replace(',', "%2C").replace(':', "%3A");
    outcome
        .complaints
        .iter()
        .map(|complaint| format!("::{kind} title={title}::{}", clean(complaint)))
        .collect()
}

/// Makes a text safe in XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
