//! Asks the properties of a system along one run, each until it is decided.

use crate::Subject;
use crate::observer::Observer;
use crate::property::{Check, Expectation};
use crate::state::State;
use crate::system::System;

/// The place along a run at which a property was decided.
pub(crate) struct Decided {
    /// After how many steps.
    pub step: usize,
    /// The breach, in words.
    pub detail: String,
}

/// The properties of a system, and the place at which each was decided.
pub(crate) struct Watch<'s, A: Subject, O: Observer<A>> {
    system: &'s System<A, O>,
    /// In the order of the properties.
    pub decided: Vec<Option<Decided>>,
}

impl<'s, A: Subject, O: Observer<A>> Watch<'s, A, O> {
    pub(crate) fn new(system: &'s System<A, O>) -> Self {
        Self { system, decided: system.properties.iter().map(|_| None).collect() }
    }

    /// Asks about the state after so many steps, and about the note of the last of them.
    pub(crate) fn see(&mut self, step: usize, state: &State<A, O>, note: Option<&O::Note>) {
        for (property, decided) in self.system.properties.iter().zip(&mut self.decided) {
            if decided.is_some() {
                continue;
            }
            let answer = match (&property.check, note) {
                (Check::Note(check), Some(note)) => Some(check(note)),
                _ => property.of_state(state),
            };
            let Some(answer) = answer else { continue };
            *decided = property.finding(answer).map(|detail| Decided { step, detail });
        }
    }

    /// The first violation, in the order of the properties.
    pub(crate) fn violation(&self) -> Option<(&'static str, String)> {
        let mut properties = self.system.properties.iter().zip(&self.decided);
        properties.find_map(|(property, decided)| {
            let decided = decided.as_ref().filter(|_| property.expectation == Expectation::Always)?;
            Some((property.name, decided.detail.clone()))
        })
    }
}
