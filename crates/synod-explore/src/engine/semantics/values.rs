//! The values behind the numbers, and the calls of handlers that make them.

use crate::clocks::Due;
use crate::engine::door::{Cause, Standing, Whole};
use crate::engine::histories::MOST;
use crate::engine::intern::Interner;
use crate::engine::plan::Plan;
use crate::engine::reductions::symmetry::Group;
use crate::observer::{Components, Observer, Trigger};
use crate::state::{Local, State};
use crate::symmetry::Symmetry;
use crate::system::System;
use crate::{Subject, panics, step};
use stateright::actor::Envelope;
use std::borrow::Cow;
use std::sync::Arc;

/// A system, and everything that came up while it was explored.
pub(in crate::engine) struct Semantics<'s, A: Subject, O: Observer<A>> {
    pub system: &'s System<A, O>,
    /// The boundary of a stateright model is one: it refused a state.
    pub bounded: bool,
    pub(super) group: Option<Arc<Group>>,
    pub locals: Interner<Arc<Local<A>>>,
    pub(super) standings: Vec<Standing>,
    /// Messages on their way, each with the time that it has left if delays are bounded.
    pub(super) flights: Interner<(Envelope<A::Msg>, Option<Due>)>,
    pub notes: Interner<O::Note>,
    /// True if histories have components.
    pub(super) apart: bool,
    /// The values of each component. Without components the first list holds the histories themselves.
    pub values: Vec<Interner<O::History>>,
}

impl<'s, A: Subject, O: Observer<A>> Semantics<'s, A, O> {
    pub(in crate::engine) fn new(system: &'s System<A, O>, plan: &Plan, bounded: bool) -> Self {
        Self {
            system,
            bounded,
            group: plan.symmetry.clone(),
            locals: Interner::new(),
            standings: Vec::new(),
            flights: Interner::new(),
            notes: Interner::new(),
            apart: plan.apart() && system.observer.components().is_some(),
            values: vec![Interner::new()],
        }
    }

    /// The components of histories, if they have any here.
    pub(super) fn apart(&self) -> Option<&'s dyn Components<O::History, O::Note>> {
        self.system.observer.components().filter(|_| self.apart)
    }

    /// A state in numbers. Fails if user code panics.
    pub(in crate::engine) fn whole(&mut self, state: &State<A, O>) -> Result<Whole, String> {
        // The history comes first, so that the number of components is known before any handler is run.
        let history = self.number_of(state.history.clone())?;
        let flights = state.network.all().into_iter().zip(state.network.dues());
        let flights = flights.map(|(envelope, due)| self.flights.intern((envelope.to_cloned_msg(), due)));
        let envelopes = flights.collect();
        let locals = state.locals.iter().map(|local| self.intern_local(Arc::clone(local)));
        Ok(Whole { locals: locals.collect::<Result<_, _>>()?, envelopes, history, crashes: state.crashes })
    }

    /// The state behind its numbers.
    pub(in crate::engine) fn state(&self, whole: &Whole) -> State<A, O> {
        let mut network = self.system.no_messages();
        for &flight in &whole.envelopes {
            let (envelope, due) = self.flights.get(flight);
            network.send_due(envelope.clone(), *due);
        }
        State {
            locals: whole.locals.iter().map(|local| Arc::clone(self.locals.get(*local))).collect(),
            network,
            history: self.history(&whole.history).into_owned(),
            crashes: whole.crashes,
        }
    }

    /// A message by its number.
    pub(super) fn envelope(&self, number: u32) -> &Envelope<A::Msg> {
        &self.flights.get(number).0
    }

    /// A history by the numbers of its components.
    pub(in crate::engine) fn history(&self, components: &[u32]) -> Cow<'_, O::History> {
        match self.apart() {
            None => Cow::Borrowed(self.values[0].get(components[0])),
            Some(apart) => Cow::Owned(apart.join(&self.values_of(components))),
        }
    }

    pub(super) fn values_of(&self, components: &[u32]) -> Vec<&O::History> {
        components.iter().zip(&self.values).map(|(value, values)| values.get(*value)).collect()
    }

    /// The numbers of a history's components. Fails if it has another number of components than others, or if user code panics.
    pub(super) fn number_of(&mut self, history: O::History) -> Result<Vec<u32>, String> {
        let split =
            self.apart().map(|components| panics::capture(|| components.split(&history))).transpose()?;
        let first = self.values[0].len() == 0;
        // Too many components are no error: histories stay whole then.
        self.apart &= !first || split.as_ref().is_some_and(|split| (1..=MOST).contains(&split.len()));
        let Some(split) = split.filter(|_| self.apart) else {
            return Ok(vec![self.values[0].intern(history)]);
        };
        if first {
            self.values.resize_with(split.len(), Interner::new);
        } else if split.len() != self.values.len() {
            return Err(format!(
                "{history:?} comes apart into {} parts, others into {}",
                split.len(),
                self.values.len()
            ));
        }
        Ok(split
            .into_iter()
            .zip(&mut self.values)
            .map(|(component, values)| values.intern(component))
            .collect())
    }

    /// The number of a local. Fails if the bound, which is user code too, panics.
    pub(super) fn intern_local(&mut self, local: Arc<Local<A>>) -> Result<u32, String> {
        let within = match (&self.system.bounds.local, &local.state) {
            (Some((_, bound)), Some(state)) => panics::capture(|| bound(state))?,
            _ => true,
        };
        let down = local.is_down();
        let id = self.locals.intern(local);
        if self.locals.len() > self.standings.len() {
            self.standings.push(Standing { down, within });
        }
        Ok(id)
    }

    /// Runs a handler, without remembering anything.
    pub(super) fn run(&self, actor: u32, local: u32, cause: Cause) -> Result<step::Reaction<A, O>, String> {
        let value = self.locals.get(local);
        panics::capture(|| self.system.react(actor as usize, value, self.trigger(value, cause)))
    }

    pub(super) fn trigger<'e>(&'e self, local: &'e Local<A>, cause: Cause) -> Trigger<'e, A> {
        match cause {
            Cause::Deliver(envelope) | Cause::Drop(envelope) => {
                let Envelope { src, msg, .. } = self.envelope(envelope);
                Trigger::Deliver { src: *src, msg }
            }
            Cause::Timeout(n) => {
                Trigger::Timeout(local.timers.iter().nth(n as usize).expect("causes come from the local"))
            }
            Cause::Random(n, m) => {
                let (key, choices) =
                    local.randoms.iter().nth(n as usize).expect("causes come from the local");
                Trigger::Random { key, choice: &choices[m as usize] }
            }
            Cause::Tick => unreachable!("no actor takes part in a tick"),
            Cause::Crash => Trigger::Crash,
            Cause::Recover => Trigger::Recover,
        }
    }

    /// The declared symmetry and its permutations.
    pub(super) fn permuted(&self) -> (&'s Symmetry<A, O>, Arc<Group>) {
        let symmetry = self.system.symmetry.as_ref().expect("like actors are declared");
        (symmetry, Arc::clone(self.group.as_ref().expect("like actors are declared")))
    }
}
