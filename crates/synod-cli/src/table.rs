//! The table of `synod check` for people: a row for each model, within the width of the terminal.

use crate::output::{GREEN, RED, YELLOW, grouped, line, paint, seconds, wrapped};
use synod_explore::Status;
use synod_model::{Model, Outcome, Verdict};

/// The room that a verdict of usual length needs.
const VERDICT: usize = 36;

/// The widths of the columns that are always there: mark, states and time, with the gaps around them.
const MARK: usize = 6;
const STATES: usize = 13;
const TIME: usize = 9;
/// The width of the depth with its gap.
const DEPTH: usize = 7;

/// The columns of a table. A narrow terminal has no room for all of them.
pub struct Columns {
    terminal: Option<usize>,
    name: usize,
    /// The width of the system, where it is shown.
    system: Option<usize>,
    depth: bool,
}

impl Columns {
    /// The columns for these models on a terminal of that width, or where nothing limits them.
    pub fn of(models: &[Model], terminal: Option<usize>) -> Self {
        let name = models.iter().map(|model| model.name.chars().count()).max().unwrap_or(0);
        let system = models.iter().map(|model| model.shape().len()).max().unwrap_or(0);
        let fits =
            |columns: &Self| terminal.is_none_or(|terminal| columns.before_verdict() + VERDICT <= terminal);
        let mut columns = Self { terminal, name, system: Some(system), depth: true };
        if !fits(&columns) {
            columns.system = None;
        }
        columns.depth = fits(&columns);
        columns
    }

    /// The length of a row up to its verdict.
    fn before_verdict(&self) -> usize {
        let system = self.system.map_or(0, |width| width + 2);
        let depth = if self.depth { DEPTH } else { 0 };
        MARK + self.name + 2 + system + STATES + depth + TIME
    }

    /// What stands above the rows.
    pub fn heading(&self) -> String {
        self.cells("    ", "model", "system", "states", "depth", "time", "verdict")
    }

    #[allow(clippy::too_many_arguments, reason = "one for each column")]
    fn cells(
        &self,
        mark: &str,
        name: &str,
        system: &str,
        states: &str,
        depth: &str,
        time: &str,
        verdict: &str,
    ) -> String {
        let system = self.system.map(|width| format!("{system:width$}  ")).unwrap_or_default();
        let depth = if self.depth { format!("{depth:>5}  ") } else { String::new() };
        format!("{mark}  {name:width$}  {system}{states:>11}  {depth}{time:>7}  {verdict}", width = self.name)
    }

    /// Prints one row of the table, and under it whatever was not as expected.
    pub fn row(&self, model: &Model, outcome: &Outcome) {
        let mark = match (outcome.verdict, outcome.ok) {
            (Verdict::Incomplete, _) => paint(YELLOW, "cut "),
            (_, true) => paint(GREEN, "ok  "),
            _ => paint(RED, "FAIL"),
        };
        let name = &outcome.model;
        let states = grouped(outcome.unique_states);
        let (depth, time) = (outcome.depth.to_string(), seconds(outcome.elapsed));
        let verdict = self.verdict(&told(outcome));
        line(self.cells(&mark, name, &model.shape(), &states, &depth, &time, &verdict).trim_end());
        // What the row says is not said again.
        let told = outcome.detail.as_deref().filter(|_| outcome.verdict != Verdict::Violated);
        let told = told.map(|detail| format!(" ({detail})")).unwrap_or_default();
        for complaint in outcome.complaints.iter().filter(|_| outcome.verdict != Verdict::Incomplete) {
            let complaint = if told.is_empty() { complaint.clone() } else { complaint.replace(&told, "") };
            line(&format!("      {}", paint(RED, &wrapped(&complaint, 6, 6, self.terminal))));
        }
        let unexpected = !outcome.ok && outcome.verdict != outcome.expected;
        if let Some(trace) = outcome.trace.as_ref().filter(|_| unexpected) {
            trace.lines().for_each(|step| line(&format!("      {step}")));
        }
        if !outcome.ok && outcome.trace.is_some() {
            line(&format!("      look at it: synod trace show {name}; step by step: synod explore {name}"));
        }
    }

    /// A verdict behind its row; where less room is left there than most verdicts need, on the lines below it.
    fn verdict(&self, told: &str) -> String {
        let before = self.before_verdict();
        let fits = |terminal| before + told.chars().count() <= terminal;
        match self.terminal {
            Some(terminal) if !fits(terminal) && before + VERDICT > terminal => {
                format!("\n{}{}", " ".repeat(MARK), wrapped(told, MARK, MARK, self.terminal))
            }
            _ => wrapped(told, before, MARK, self.terminal),
        }
    }
}

/// The verdict in words, with its bound, or with what fell and after how many steps.
pub fn told(outcome: &Outcome) -> String {
    let detail = outcome.detail.as_deref().unwrap_or_default();
    // Where fingerprints stand for states nothing holds without the odds that one was missed.
    let odds = match outcome.missed_state_odds {
        odds if odds > 0.0 => format!("; odds of a missed state {odds:.0e}"),
        _ => String::new(),
    };
    match outcome.verdict {
        Verdict::Holds => format!("holds (exhausted{odds}){}", untested(outcome)),
        Verdict::HoldsWithinBound => format!("holds within bound: {detail}{odds}{}", untested(outcome)),
        Verdict::Violated => {
            let word = if outcome.ok { "as expected" } else { "violated" };
            let fell = outcome.properties.iter().filter(|found| found.status == Status::Violated);
            let named = fell.clone().find(|found| detail.starts_with(&format!("{}:", found.name)));
            match named.or_else(|| fell.clone().next()) {
                Some(found) if found.cycle.is_some() => {
                    let (stem, cycle) = (found.steps.unwrap_or(0), found.cycle.unwrap_or(0));
                    format!("{word}: {}: {stem} steps, then {cycle} for ever", found.name)
                }
                Some(found) => {
                    format!("{word}: {} falls in {} steps", found.name, found.steps.unwrap_or(0))
                }
                None => word.to_owned(),
            }
        }
        verdict if outcome.ok => format!("as expected: {verdict}: {detail}"),
        verdict => format!("{verdict}: {detail}"),
    }
}

/// The claims that were not put to the test.
fn untested(outcome: &Outcome) -> String {
    if outcome.hollow.is_empty() {
        String::new()
    } else {
        format!("; untested: {}", outcome.hollow.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model whose name has so many characters.
    fn model(length: usize) -> Model {
        let mut smallest = synod_model::find("mutants/any-value").expect("in the catalogue");
        smallest.name = "n".repeat(length);
        smallest
    }

    #[test]
    fn a_narrow_terminal_loses_the_system_and_then_the_depth() {
        let models = [model(20)];
        let shown = |terminal| {
            let columns = Columns::of(&models, terminal);
            (columns.system.is_some(), columns.depth, columns.heading().len())
        };
        let (system, depth, all) = shown(None);
        assert!(system && depth);
        // The heading ends with the word "verdict".
        let whole = all - 7 + VERDICT;
        assert_eq!(shown(Some(whole)), (true, true, all));
        assert_eq!(shown(Some(whole - 1)), (false, true, all - 10));
        assert_eq!(shown(Some(whole - 11)), (false, false, all - 17));
    }

    #[test]
    fn a_verdict_without_room_behind_its_row_stands_below_it_as_a_whole() {
        let columns = |terminal| Columns::of(&[model(36)], Some(terminal));
        let told = "as expected: P2 falls in 14 steps";
        assert_eq!(columns(100).verdict(told), told);
        assert_eq!(columns(80).verdict(told), format!("\n      {told}"));
        assert_eq!(columns(80).verdict("holds"), "holds");
        assert_eq!(Columns::of(&[model(36)], None).verdict(told), told);
    }
}
