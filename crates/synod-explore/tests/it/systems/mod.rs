//! Systems of the kinds that stateright's users write, each a plain `ActorModel` of a size that can be chosen: small
//! ones are compared with stateright's search in the tests, large ones are measured in the benches.
//!
//! Each module gives the `model`, and the `system` that asks the same of it in this crate's own words. Which timers
//! are set and which choices are open follows from the actor's state, and so does what a dead actor leaves behind:
//! there stateright's hash of a state and this engine agree on what a state is, and both visit as many.

pub(crate) mod commit;
pub(crate) mod consensus;
pub(crate) mod election;
pub(crate) mod register;
pub(crate) mod transfer;

use stateright::actor::{ActorModel, Id};
use stateright::semantics::register::Register;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use synod_explore::actor_model::{LinearizabilityTester, Recorded, from_actor_model};
use synod_explore::{Local, Subject, System};

/// Asks of a model, in this crate's words, what the model asks.
pub(crate) type Asks<A, C, H> = fn(&ActorModel<A, C, H>) -> System<A, Recorded<A, C, H>>;

/// The system of a model, with properties still to be named.
pub(crate) fn unasked<A, C, H>(model: &ActorModel<A, C, H>) -> System<A, Recorded<A, C, H>>
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    let mut system = from_actor_model(model).expect("the model is supported");
    system.properties.clear();
    system
}

/// The history of a register in which nothing has happened, of which only what can still become of it is kept.
pub(crate) fn merged() -> LinearizabilityTester<Id, Register<char>> {
    LinearizabilityTester::new(Register(char::default()))
}

/// The states of the actors that are up.
pub(crate) fn running<A: Subject>(locals: &[Arc<Local<A>>]) -> impl Iterator<Item = &A::State> {
    locals.iter().filter_map(|local| local.state.as_deref())
}

/// Fine, or the breach in words.
pub(crate) fn or_else(holds: bool, breach: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(breach.to_owned()) }
}
