//! Results of a check of liveness.

use super::property::Fairness;
use crate::report::{Rerun, Status, Verdict};
use crate::{Action, Subject};
use std::fmt::{self, Debug, Display, Formatter};
use std::time::Duration;

/// The way in which a cycle meets a fairness condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// A step of the class is taken: this one of the cycle, from 1.
    Taken(usize),
    /// No step of the class is possible before this step of the cycle, from 1; 1 also if the run stands still.
    Impossible(usize),
    /// No step of the class is possible anywhere on the cycle.
    Never,
    /// It is to cease, and no step of it is on the cycle.
    Ceased,
}

/// A fairness condition, and how a cycle meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meets {
    /// The name of the assumption.
    pub assumption: String,
    /// The name of the class, if there are several.
    pub class: String,
    /// The assumed fairness.
    pub fairness: Fairness,
    /// The way in which it is met.
    pub how: How,
}

impl Display for Meets {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.assumption)?;
        if !self.class.is_empty() {
            write!(f, " [{}]", self.class)?;
        }
        write!(f, ", {}: ", self.fairness)?;
        match &self.how {
            How::Taken(step) => write!(f, "taken in step {step} of the cycle"),
            How::Impossible(step) => write!(f, "not possible before step {step} of the cycle"),
            How::Never => f.write_str("possible nowhere on the cycle"),
            How::Ceased => f.write_str("not on the cycle"),
        }
    }
}

/// An infinite run: a path to a state, and a cycle from there back to it.
pub struct Lasso<A: Subject> {
    /// The path to the cycle.
    pub stem: Vec<Action<A>>,
    /// The cycle; empty if the run stands still.
    pub cycle: Vec<Action<A>>,
    /// The number of steps of the stem after which the goal that never comes about was due.
    pub due: usize,
    /// True if the stem is a shortest one, and the cycle a shortest fair one from its first state.
    pub shortest: bool,
    /// Every fairness condition, and how the cycle meets it.
    pub meets: Vec<Meets>,
}

impl<A: Subject> Clone for Lasso<A> {
    fn clone(&self) -> Self {
        Self {
            stem: self.stem.clone(),
            cycle: self.cycle.clone(),
            due: self.due,
            shortest: self.shortest,
            meets: self.meets.clone(),
        }
    }
}

impl<A: Subject> Debug for Lasso<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasso")
            .field("stem", &self.stem)
            .field("cycle", &self.cycle)
            .field("meets", &self.meets)
            .finish_non_exhaustive()
    }
}

/// The result about one property.
pub struct LiveFinding<A: Subject> {
    /// Its name.
    pub property: &'static str,
    /// The status: it holds, is violated, is hollow as nothing was ever due or no run meets the assumptions, or is undecided. Where
    /// all runs leave the bounds, it holds only if they reach the goal before they do.
    pub status: Status,
    /// A fair run on which it does not come about.
    pub lasso: Option<Lasso<A>>,
}

/// The result of a check of liveness.
pub struct LiveReport<A: Subject> {
    /// The verdict. *Vacuous* names properties for which nothing was ever due, or says that no run meets the assumptions.
    pub verdict: Verdict<A>,
    /// One finding a property, in the order of the system's.
    pub findings: Vec<LiveFinding<A>>,
    /// Each class of each assumption that has a step: the assumption's name, and the class's.
    pub classes: Vec<(String, String)>,
    /// Distinct states.
    pub unique_states: u64,
    /// Steps, without those out of bounds.
    pub steps: u64,
    /// The greatest depth of a state; the initial state has depth 1.
    pub depth: usize,
    /// Time it took.
    pub elapsed: Duration,
    /// Bytes it took.
    pub memory_bytes: u64,
    /// The number of handler calls.
    pub handler_calls: u64,
    /// The numbers of repeated calls.
    pub rerun: Rerun,
}

impl<A: Subject> LiveReport<A> {
    /// The result about a property.
    pub fn finding(&self, property: &str) -> Option<&LiveFinding<A>> {
        self.findings.iter().find(|finding| finding.property == property)
    }
}
