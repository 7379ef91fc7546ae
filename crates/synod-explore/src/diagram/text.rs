//! A diagram for terminals: no wider than its lifelines and the longest label.

use super::{Diagram, Mark, OUTSIDE, Row};

/// The least distance between two lifelines, in characters.
const SPACING: usize = 6;

impl Diagram {
    /// The diagram as plain text, one line per step; a bracket beside the numbers encloses the steps that repeat for ever.
    ///
    /// ```text
    ///        C1      P1      A1      A2
    ///    1   |------>|       |       |    Request(x)
    ///    2   |       |-------+------>|    Prepare(1.1)
    ///    3   |       |       x       |    crash
    /// ```
    pub fn text(&self) -> String {
        let longest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let spacing = SPACING.max(longest + 2);
        let mut lines = vec![String::new()];
        let digits = self.rows.len().to_string().len().max(3);
        lines[0].push_str(&" ".repeat(digits + 3));
        for name in &self.names {
            lines[0].push_str(name);
            lines[0].push_str(&" ".repeat(spacing - name.chars().count()));
        }
        let downtimes: Vec<_> = (0..self.names.len()).map(|actor| self.downtimes(actor)).collect();
        for (number, row) in (1..).zip(&self.rows) {
            let mut line = self.lifelines(spacing, |actor| {
                downtimes[actor].iter().any(|&(since, until)| since < number && number < until)
            });
            draw(row, &mut line, spacing, self.names.len());
            let line: String = line.into_iter().collect();
            let ignored = if row.ignored { "  (ignored)" } else { "" };
            lines.push(format!("{number:>digits$} {} {line}{}{ignored}", self.bracket(number), row.label));
            if let Some(words) = &row.renamed {
                let inside = self.cycle.is_some_and(|before| number > before && number < self.rows.len());
                let bracket = if inside { '|' } else { ' ' };
                lines.push(format!("{:>digits$} {bracket} renamed: {words}", "~"));
            }
        }
        if self.stands_still() {
            lines.push(format!("{:>digits$}   nothing more, for ever", "..."));
        }
        let text: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        text.join("\n") + "\n"
    }

    /// The bracket around the repeated rows, at one row.
    fn bracket(&self, number: usize) -> char {
        match self.cycle {
            Some(before) if before + 1 == self.rows.len() && number > before => '<',
            Some(before) if number == before + 1 => '/',
            Some(before) if number > before && number == self.rows.len() => '\\',
            Some(before) if number > before => '|',
            _ => ' ',
        }
    }

    /// A line without an arrow or mark: the lifelines, those of actors that are down fainter.
    fn lifelines(&self, spacing: usize, is_down: impl Fn(usize) -> bool) -> Vec<char> {
        let mut line = vec![' '; self.names.len() * spacing];
        for actor in 0..self.names.len() {
            line[actor * spacing] = if is_down(actor) { ':' } else { '|' };
        }
        line
    }
}

/// Draws an arrow or a mark into a line of lifelines.
fn draw(row: &Row, line: &mut [char], spacing: usize, actors: usize) {
    let at = |actor: usize| actor * spacing;
    match row.mark {
        Mark::Arrow { from, .. } | Mark::Lost { from, .. } => {
            let lost = matches!(row.mark, Mark::Lost { .. });
            // A message from outside comes in from the left, one to no actor goes out to the right.
            let (from, to) = match (from, row.actor) {
                (OUTSIDE, OUTSIDE) => return,
                (OUTSIDE, to) => (at(to).saturating_sub(spacing / 2), at(to)),
                (from, OUTSIDE) => (at(from), at(actors) - 1),
                (from, to) => (at(from), at(to)),
            };
            if from == to {
                line[from] = if lost { 'x' } else { '@' };
                return;
            }
            let (left, right) = (from.min(to), from.max(to));
            for place in &mut line[left + 1..right] {
                *place = if *place == ' ' { '-' } else { '+' };
            }
            let head = if to > from { to - 1 } else { to + 1 };
            line[head] = match (lost, to > from) {
                (true, _) => 'x',
                (false, true) => '>',
                (false, false) => '<',
            };
        }
        mark if row.actor < actors => {
            line[at(row.actor)] = match mark {
                Mark::Timeout => 'o',
                Mark::Choice => '?',
                Mark::Crash => 'x',
                _ => '^',
            };
        }
        _ => {}
    }
}
