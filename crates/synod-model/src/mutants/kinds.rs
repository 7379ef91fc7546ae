//! A mutant, and the code that it breaks.

use super::rules::Rule;
use crate::admission::Rule as AdmissionRule;
use crate::clock::Rule as ClockRule;

/// A broken rule or machine.
pub struct Mutant {
    /// The name used in model files.
    pub name: &'static str,
    /// The guard or rule that it takes away, and its place.
    pub guard: &'static str,
    /// The wrong behaviour.
    pub does: &'static str,
    /// The code that it breaks.
    pub breaks: Breaks,
}

/// The code that a mutant breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// The roles, or a machine that runs them.
    Roles(Rule),
    /// The rule by which a member may take part after a start.
    Admission(AdmissionRule),
    /// The rule of times to live.
    Clock(ClockRule),
}

/// A mutant of the roles, for the table.
pub(super) const fn roles(name: &'static str, rule: Rule, guard: &'static str, does: &'static str) -> Mutant {
    Mutant { name, guard, does, breaks: Breaks::Roles(rule) }
}

impl Mutant {
    /// The broken rule of the roles, if it breaks one.
    pub fn rule(&self) -> Option<Rule> {
        match self.breaks {
            Breaks::Roles(rule) => Some(rule),
            Breaks::Admission(_) | Breaks::Clock(_) => None,
        }
    }
}
