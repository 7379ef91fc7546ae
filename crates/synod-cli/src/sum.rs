//! The sum of a whole run of `synod check`.

use std::time::Duration;
use synod_model::{Outcome, Verdict};

/// What a whole run came to.
#[derive(Default)]
pub struct Sum {
    /// Models that were asked for.
    pub models: usize,
    /// As expected.
    pub ok: usize,
    /// Not as expected.
    pub failed: usize,
    /// Of these, those of which nothing but figures differs.
    pub only_figures: usize,
    /// Without a verdict.
    pub incomplete: usize,
    /// Of these, those that could not even begin.
    pub refused: usize,
    /// How long it took.
    pub elapsed: Duration,
}

impl Sum {
    /// Counts a model that was checked.
    pub fn add(&mut self, outcome: &Outcome) {
        self.models += 1;
        self.refused += usize::from(outcome.refused);
        self.only_figures += usize::from(outcome.only_figures);
        match outcome.verdict {
            Verdict::Incomplete => self.incomplete += 1,
            _ if outcome.ok => self.ok += 1,
            _ => self.failed += 1,
        }
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match (self.failed, self.incomplete) {
            _ if self.refused > 0 => crate::status::UNUSABLE,
            (0, 0) => crate::status::OK,
            (0, _) => crate::status::INCOMPLETE,
            _ => crate::status::FAILED,
        }
    }
}
