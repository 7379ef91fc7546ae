//! Explores every behaviour of a system of stateright actors and draws a verdict that can be trusted.
//!
//! A verdict is *holds* only after everything was explored, *holds within a bound* if a bound that was asked
//! for cut something off, *violated* with a shortest trace that was run again before it was reported,
//! *incomplete* if some property is undecided, as time or memory ran out or nobody looked at it, *vacuous* if a witness was never found, and
//! *panicked* if user code panicked or turned out to be no function of its inputs, as far as it was run again ([`Rerun`]). States are
//! compared whole, by their `Eq`, so none is missed, unless a table of fingerprints is asked for; then the odds are told.
//!
//! # A stateright model of your own
//!
//! An `ActorModel` is explored as it is:
//!
//! ```
//! use stateright::Expectation;
//! use stateright::actor::{Actor, ActorModel, Id, Network, Out};
//! use std::borrow::Cow;
//! use synod_explore::{Options, Verdict, explore, actor_model, trace};
//!
//! /// Counts what it receives. The first one also sends.
//! #[derive(Clone)]
//! struct Counter;
//!
//! impl Actor for Counter {
//!     type Msg = char;
//!     type State = usize;
//!     type Timer = ();
//!     type Random = ();
//!     type Storage = ();
//!
//!     fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> usize {
//!         if id == Id::from(0) {
//!             "abc".chars().for_each(|letter| o.send(Id::from(1), letter));
//!         }
//!         0
//!     }
//!
//!     fn on_msg(&self, _: Id, count: &mut Cow<usize>, _: Id, _: char, _: &mut Out<Self>) {
//!         *count.to_mut() += 1;
//!     }
//! }
//!
//! let model = ActorModel::new((), ())
//!     .actors([Counter, Counter])
//!     .init_network(Network::new_unordered_nonduplicating([]))
//!     .property(Expectation::Always, "at most two arrive", |_, state| *state.actor_states[1] <= 2);
//!
//! let system = actor_model::from_actor_model(&model)?;
//! let report = explore(&system, &Options::default());
//! assert_eq!(report.verdict, Verdict::Violated { property: "at most two arrive" });
//! assert_eq!(report.unique_states, 8);
//!
//! let found = report.findings[0].trace.as_ref().unwrap();
//! assert_eq!(trace::render(&system, found), "\
//! ## synod trace 1
//! deliver 0 -> 1  'a'
//! deliver 0 -> 1  'b'
//! deliver 0 -> 1  'c'
//! ");
//! # Ok::<(), actor_model::Unsupported>(())
//! ```
//!
//! A model that keeps its history in stateright's `LinearizabilityTester` has as many states with that of [`actor_model`] or fewer, and the same
//! verdict: another `use` line, as long as it asks `is_consistent` and not for the order.
//!
//! # More than a model can say
//!
//! A [`System`] is built from the same actors, with a history that an [`Observer`] keeps, properties that say
//! what is broken, faults that are limited in number, and bounds in words. Properties of the history are asked
//! once per distinct history and cost next to nothing; those of whole states are asked of every state.
//!
//! # What must come about
//!
//! [`liveness`] decides it on fair infinite runs, where fairness has a name; see there.
//!
//! # How it is fast
//!
//! An actor is run once per distinct local situation, and a state is a vector of small numbers; see [`engine`].

pub mod actor_model;
pub mod browse;
pub mod diagram;
mod doubt;
pub mod engine;
pub mod liveness;
mod model;
mod network;
mod observer;
pub mod oracle;
mod panics;
mod property;
mod report;
mod state;
mod step;
mod subject;
mod symmetry;
mod system;
pub mod trace;
pub mod walk;
mod watch;
mod words;

pub use doubt::Doubt;
pub use engine::explore;
pub use network::{Delivery, Faults, Network};
pub use observer::{CommandOf, ComponentUpdate, Components, Observer, Step, Trigger};
pub use property::{Check, Expectation, LocalPredicate, LocalsPredicate, Predicate, Property};
pub use report::{Checkpoint, Finding, Options, Progress, Report, Rerun, Status, Stop, Table, Verdict, Why};
pub use state::{InFlight, Local, State};
pub use subject::{Action, Subject};
pub use symmetry::{Normal, Permutation, Permute, Renaming, Symmetry};
pub use system::{Bound, Bounds, System};
