//! The implementation of the [`Door`] by actors, observer and properties.

use super::ask::ask;
use super::values::Semantics;
use crate::clocks::Due;
use crate::engine::door::{About, Answer, Cause, Door, Outcome, Standing, Whole};
use crate::engine::intern::Interner;
use crate::observer::{ComponentUpdate, Observer};
use crate::{Subject, panics, step};
use stateright::actor::Envelope;
use std::sync::Arc;

impl<A: Subject, O: Observer<A>> Door for Semantics<'_, A, O> {
    fn react(&mut self, actor: u32, local: u32, cause: Cause) -> Outcome {
        let mut outcome =
            Outcome { next: local, sends: Vec::new(), note: None, ignored: false, failure: None };
        match self.run(actor, local, cause) {
            Ok(step::Reaction { local, sends, note, ignored }) => {
                outcome.ignored = ignored;
                outcome.note = note.map(|note| self.notes.intern(note));
                outcome.sends = sends
                    .into_iter()
                    .map(|envelope| {
                        let due = self.system.due_of(&envelope);
                        self.flights.intern((envelope, due))
                    })
                    .collect();
                match local.map(|local| self.intern_local(Arc::new(local))) {
                    Some(Ok(next)) => outcome.next = next,
                    Some(Err(message)) => outcome.failure = Some(message),
                    None => {}
                }
            }
            Err(message) => outcome.failure = Some(message),
        }
        outcome
    }

    fn causes(&self, actor: u32, local: u32) -> Vec<Cause> {
        let value = self.locals.get(local);
        let timers = (0..).zip(&value.timers).filter(|(_, timer)| value.is_ripe(timer));
        let mut causes: Vec<Cause> = timers.map(|(n, _)| Cause::Timeout(n)).collect();
        if value.is_down() {
            causes.extend((!self.system.faults.is_absent(actor as usize)).then_some(Cause::Recover));
        } else if self.system.faults.can_crash(actor as usize) {
            causes.push(Cause::Crash);
        }
        for (key, choices) in (0..).zip(value.randoms.values()) {
            causes.extend((0..choices.len() as u32).map(|choice| Cause::Random(key, choice)));
        }
        causes
    }

    fn standing(&self, local: u32) -> Option<Standing> {
        self.standings.get(local as usize).copied()
    }

    fn ends(&self, envelope: u32) -> Option<(u32, u32)> {
        let known = (envelope as usize) < self.flights.len();
        known.then(|| {
            let Envelope { src, dst, .. } = self.envelope(envelope);
            (usize::from(*src) as u32, usize::from(*dst) as u32)
        })
    }

    fn arrives(&self, envelope: u32, among: &[u32]) -> bool {
        let (body, due) = self.flights.get(envelope);
        let is_older = |other: &u32| {
            let (other, than) = self.flights.get(*other);
            than < due && other == body
        };
        due.is_none_or(Due::is_ripe) && !among.iter().any(is_older)
    }

    fn age_local(&mut self, local: u32) -> Option<u32> {
        let value = self.locals.get(local);
        if value.dues.is_empty() {
            return Some(local);
        }
        let aged = value.aged()?;
        // The bound has seen this state of the actor before.
        Some(self.intern_local(Arc::new(aged)).expect("a bound is a function of the state"))
    }

    fn age_envelope(&mut self, envelope: u32) -> Option<u32> {
        let (body, due) = self.flights.get(envelope);
        let Some(due) = due else { return Some(envelope) };
        let aged = (body.clone(), Some(due.aged()?));
        Some(self.flights.intern(aged))
    }

    fn component_count(&self) -> usize {
        if self.apart { self.values.len() } else { 0 }
    }

    fn about(&self, note: u32) -> u32 {
        let (components, count) = (self.apart().expect("they come apart"), self.values.len());
        let about = panics::capture(|| components.about(self.notes.get(note)));
        let about = about.ok().filter(|about| about.iter().all(|component| *component < count));
        // An observer that cannot tell is asked about all components.
        let about = about.unwrap_or_else(|| (0..count).collect());
        about.iter().fold(0, |mask, component| mask | 1 << component)
    }

    fn update(&mut self, history: &[u32], note: u32) -> Result<Option<Vec<u32>>, String> {
        let updated = panics::capture(|| {
            let history = self.history(history);
            self.system.observer.update(&history, self.notes.get(note))
        })?;
        updated.map(|updated| self.number_of(updated)).transpose()
    }

    fn update_component(
        &mut self,
        component: usize,
        value: u32,
        note: u32,
    ) -> Result<ComponentUpdate<u32>, String> {
        let components = self.apart().expect("they come apart");
        let from = self.values[component].get(value);
        let updated = panics::capture(|| components.update(component, from, self.notes.get(note)))?;
        Ok(match updated {
            ComponentUpdate::Same => ComponentUpdate::Same,
            ComponentUpdate::Changed(to) => ComponentUpdate::Changed(self.values[component].intern(to)),
            ComponentUpdate::Whole => ComponentUpdate::Whole,
        })
    }

    fn check_components(&self, history: &[u32], note: u32, updated: &[u32]) -> Result<(), String> {
        let (from, note) = (panics::capture(|| self.history(history))?, self.notes.get(note));
        let components = self.apart().expect("they come apart");
        let is_same = panics::capture(|| {
            let whole = self.system.observer.update(&from, note);
            let whole = whole.as_ref().unwrap_or(&from);
            *whole == *self.history(updated) && components.split(whole).iter().eq(self.values_of(updated))
        })?;
        if is_same {
            return Ok(());
        }
        Err(format!(
            "the parts of a history do not come to the same as all of it when {from:?} is followed by {note:?}"
        ))
    }

    fn admits(&self, state: &Whole) -> Result<bool, String> {
        let doubt = self.system.doubt.as_ref().filter(|_| self.bounded);
        panics::capture(|| {
            let state = self.state(state);
            self.system.bounds.state.as_ref().is_none_or(|(_, within)| within(&state))
                && doubt.is_none_or(|doubt| doubt.admits(&state))
        })
    }

    fn rewrite(&mut self, state: &Whole) -> Result<Option<Whole>, String> {
        let normal = self.system.normal.as_ref().expect("states are rewritten");
        let state = self.state(state);
        let rewritten = panics::capture(|| normal.normal(state))?;
        rewritten.map(|state| self.whole(&state)).transpose()
    }

    fn local_after(&mut self, by: usize, local: u32) -> u32 {
        let (symmetry, group) = self.permuted();
        let image = symmetry.local(group.get(by), self.locals.get(local));
        // A bound that panics on an exchanged local is noticed when symmetry is checked.
        self.intern_local(Arc::new(image)).unwrap_or(local)
    }

    fn envelope_after(&mut self, by: usize, envelope: u32) -> u32 {
        let (symmetry, group) = self.permuted();
        let (envelope, due) = self.flights.get(envelope);
        let image = (symmetry.envelope(group.get(by), envelope), *due);
        self.flights.intern(image)
    }

    fn history_after(&mut self, by: usize, history: u32) -> u32 {
        let (symmetry, group) = self.permuted();
        let image = symmetry.permute.history(group.get(by), self.values[0].get(history));
        self.values[0].intern(image)
    }

    fn ask(&self, about: About<'_>, properties: &[usize]) -> Result<Vec<Answer>, String> {
        ask(self, about, properties)
    }

    fn probe(&self, state: &Whole, closely: bool) -> Result<(), String> {
        let Some(doubt) = &self.system.doubt else { return Ok(()) };
        panics::capture(|| {
            let state = self.state(state);
            if closely {
                return doubt.probe(&state);
            }
            // The `doubt` itself remembers the answer.
            doubt.admits(&state);
            Ok(())
        })
        .and_then(|probed| probed)
    }

    fn is_refused(&self) -> bool {
        !self.bounded && self.system.doubt.as_ref().is_some_and(|doubt| doubt.bound().is_some())
    }

    fn bytes(&self) -> usize {
        self.locals.bytes()
            + self.standings.capacity() * size_of::<Standing>()
            + self.flights.bytes()
            + self.notes.bytes()
            + self.values.iter().map(Interner::bytes).sum::<usize>()
    }
}
