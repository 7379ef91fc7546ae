//! The verdict on a model, in one word.

use serde::Deserialize;
use std::fmt;

/// The verdict on a model; [`Outcome::detail`](crate::Outcome::detail) says why. A model file expects one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Verdict {
    /// Every property was decided in every reachable state, and no claim fell.
    Holds,
    /// The same, within a bound.
    HoldsWithinBound,
    /// A property fell.
    Violated,
    /// Some property is undecided.
    Incomplete,
    /// A witness was never reached, or no claim was put to the test.
    Vacuous,
    /// A handler or a property panicked.
    Panicked,
}

impl Verdict {
    const ALL: [Verdict; 6] = [
        Verdict::Holds,
        Verdict::HoldsWithinBound,
        Verdict::Violated,
        Verdict::Vacuous,
        Verdict::Panicked,
        Verdict::Incomplete,
    ];

    /// The word for it, as in model files and in `--format json`.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::HoldsWithinBound => "holds-within-bound",
            Verdict::Violated => "violated",
            Verdict::Incomplete => "incomplete",
            Verdict::Vacuous => "vacuous",
            Verdict::Panicked => "panicked",
        }
    }

    /// True if no property fell, in all that was to be explored.
    pub fn holds(self) -> bool {
        matches!(self, Verdict::Holds | Verdict::HoldsWithinBound)
    }
}

impl TryFrom<String> for Verdict {
    type Error = String;

    /// Nobody expects an exploration to remain incomplete.
    fn try_from(word: String) -> Result<Self, String> {
        let expected = || Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Incomplete);
        expected().find(|verdict| verdict.word() == word).ok_or_else(|| {
            let words: Vec<_> = expected().map(Verdict::word).collect();
            format!("verdict {word:?}: must be one of {}", words.join(", "))
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
