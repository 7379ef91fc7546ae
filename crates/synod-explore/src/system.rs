//! A system is everything a verdict depends on: actors, network, faults, observer, properties and bounds.

use crate::Subject;
use crate::clocks::Clocks;
use crate::doubt::Doubt;
use crate::liveness::Liveness;
use crate::network::{Delivery, Faults, Network};
use crate::observer::Observer;
use crate::property::Property;
use crate::state::State;
use crate::symmetry::{Normal, Symmetry};
use std::sync::Arc;

use stateright::actor::{Envelope, Id};

/// A bound in words, and the function that returns true for values within it.
pub type Bound<T> = (String, Arc<dyn Fn(&T) -> bool + Send + Sync>);

/// Bounds, beyond which nothing is explored. A verdict that depends on one names it.
pub struct Bounds<A: Subject, O: Observer<A>> {
    /// States at this depth are checked and not expanded; the initial state has depth 1.
    pub depth: Option<usize>,
    /// A successor with an actor's state outside is not counted and not explored.
    pub local: Option<Bound<A::State>>,
    /// A successor outside is not counted and not explored.
    pub state: Option<Bound<State<A, O>>>,
}

impl<A: Subject, O: Observer<A>> Bounds<A, O> {
    /// True if a state is within the bounds that can be seen from the state alone.
    fn admit(&self, state: &State<A, O>) -> bool {
        let local = self.local.as_ref().is_none_or(|(_, within)| {
            state.locals.iter().all(|local| local.state.as_ref().is_none_or(|s| within(s)))
        });
        local && self.state.as_ref().is_none_or(|(_, within)| within(state))
    }

    /// The bounds in words.
    pub(crate) fn describe(&self) -> String {
        let depth = self.depth.map(|depth| format!("depth at most {depth}"));
        let local = self.local.as_ref().map(|(words, _)| words.clone());
        let state = self.state.as_ref().map(|(words, _)| words.clone());
        [depth, local, state].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl<A: Subject, O: Observer<A>> Default for Bounds<A, O> {
    fn default() -> Self {
        Self { depth: None, local: None, state: None }
    }
}

impl<A: Subject, O: Observer<A>> Clone for Bounds<A, O> {
    fn clone(&self) -> Self {
        Self { depth: self.depth, local: self.local.clone(), state: self.state.clone() }
    }
}

/// A system of actors with all assumptions and expectations about it.
// Fields: one for each thing that a verdict depends on. `System::new` sets them all, and callers change those they need.
// Files: what a system is stands here, how it takes a step in `step.rs`, and how stateright sees it in `model.rs`.
#[derive(Clone)]
pub struct System<A: Subject, O: Observer<A>> {
    /// The actors; an actor's [`Id`] is its index.
    pub actors: Vec<A>,
    /// The names of the actors in traces and diagrams: one short word each, no two alike.
    pub names: Vec<String>,
    /// The network.
    pub network: Network,
    /// The time that the system knows; `None` if timers run out and messages arrive at any moment.
    pub clocks: Option<Clocks>,
    /// Messages on their way before the first actor starts.
    pub initial_envelopes: Vec<Envelope<A::Msg>>,
    /// The storage of each actor before its first start. Those beyond the end had none.
    pub saved: Vec<Option<A::Storage>>,
    /// The crashes that can happen.
    pub faults: Faults,
    /// Keeps the history.
    pub observer: O,
    /// The properties.
    pub properties: Vec<Property<A, O>>,
    /// The liveness properties, which [`liveness::check`](crate::liveness::check) decides and [`explore`](crate::explore) does not.
    pub liveness: Liveness<A, O>,
    /// The bounds.
    pub bounds: Bounds<A, O>,
    /// A boundary that may be none, of a system that [`actor_model`](crate::actor_model) made. Without it there is none.
    pub doubt: Option<Doubt<A, O>>,
    /// The actors that are alike, if the engine is to make use of it.
    pub symmetry: Option<Symmetry<A, O>>,
    /// The function that rewrites each state, if there is one.
    pub normal: Option<Arc<dyn Normal<A, O>>>,
    /// True if a step that saves twice, or sends before it saves, ends the exploration: a crash within such a
    /// step would be visible outside, so that exploring whole steps would miss it.
    pub assert_contract: bool,
}

impl<A: Subject, O: Observer<A>> System<A, O> {
    /// A system with a [`Delivery::Multiset`] network, without faults, properties or bounds.
    pub fn new(actors: Vec<A>, observer: O) -> Self {
        Self {
            names: default_names(&actors),
            actors,
            network: Network { delivery: Delivery::Multiset, loss: false },
            clocks: None,
            initial_envelopes: Vec::new(),
            saved: Vec::new(),
            faults: Faults::none(),
            observer,
            properties: Vec::new(),
            liveness: Liveness::default(),
            bounds: Bounds::default(),
            doubt: None,
            symmetry: None,
            normal: None,
            assert_contract: false,
        }
    }

    /// True if a state is within the bounds that can be seen from the state alone.
    pub(crate) fn admits(&self, state: &State<A, O>) -> bool {
        self.bounds.admit(state) && self.doubt.as_ref().is_none_or(|doubt| doubt.admits(state))
    }

    /// The bounds in words.
    pub(crate) fn describe_bounds(&self) -> String {
        let normal = self.normal.as_ref().map(|normal| normal.bound());
        let bounds = Some(self.bounds.describe()).filter(|bounds| !bounds.is_empty());
        let found_out = self.doubt.as_ref().and_then(Doubt::bound).map(str::to_owned);
        [normal, bounds, found_out].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Adds a property.
    ///
    /// # Panics
    /// If there is one of that name already.
    #[must_use]
    pub fn property(mut self, property: Property<A, O>) -> Self {
        let name = property.name;
        assert!(self.properties.iter().all(|p| p.name != name), "there are two properties named {name:?}");
        self.properties.push(property);
        self
    }

    /// The name of an actor; `#7` for a destination that is no actor of this system.
    pub fn name(&self, id: Id) -> String {
        let index = usize::from(id);
        match self.names.get(index) {
            Some(name) => name.clone(),
            None if index < self.actors.len() => index.to_string(),
            None => format!("#{index}"),
        }
    }
}

/// The actors' own names without blanks, made unique by the index; the bare index if there is no name.
fn default_names<A: Subject>(actors: &[A]) -> Vec<String> {
    let own: Vec<String> = actors.iter().map(|a| a.name().split_whitespace().collect()).collect();
    own.iter()
        .enumerate()
        .map(|(index, name)| {
            if name.is_empty() {
                index.to_string()
            } else if own.iter().filter(|other| *other == name).count() > 1 {
                format!("{name}{index}")
            } else {
                name.clone()
            }
        })
        .collect()
}
