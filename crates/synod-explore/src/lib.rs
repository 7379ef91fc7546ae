//! Explores every behaviour of a system of stateright actors and draws a verdict that can be trusted.
//!
//! A verdict is one of these:
//!
//! - *holds*: everything was explored, and every property was decided;
//! - *holds within a bound*: a bound that the system declares cut something off;
//! - *violated*: a property fell, with a shortest trace that was run again before it was reported;
//! - *incomplete*: some property is undecided, as time or memory ran out or it was not asked;
//! - *vacuous*: a witness was never found;
//! - *panicked*: user code panicked, or was no function of its inputs, as far as it was run again ([`Rerun`]).
//!
//! States are compared whole, by their `Eq`, so that none is missed. With a table of fingerprints, the report gives the odds of a miss.
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
//! A model that keeps its history in stateright's `LinearizabilityTester` can use that of [`actor_model`] instead, by another `use` line,
//! if it asks `is_consistent` and not for the order. It then has the same verdict, and as many states or fewer.
//!
//! # More than a model can say
//!
//! A [`System`] is built from the same actors. Its history is kept by an [`Observer`], its properties describe each breach in words, its
//! faults are limited in number, and its bounds have names. Properties of the history are asked once per distinct history and cost next
//! to nothing; those of whole states are asked of every state.
//!
//! # Liveness
//!
//! [`liveness`] decides liveness properties on fair infinite runs. Each fairness assumption has a name.
//!
//! # Speed
//!
//! An actor runs once per distinct local situation, and a state is a vector of small numbers; see [`engine`].

pub mod actor_model;
pub mod browse;
pub mod clocks;
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
pub use subject::{Action, ActionOf, Subject};
pub use symmetry::{Normal, Permutation, Permute, Renaming, Symmetry};
pub use system::{Bound, Bounds, System};
