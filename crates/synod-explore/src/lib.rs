//! Explores every behaviour of a system of stateright actors and draws a verdict that can be trusted.

pub mod diagram;
pub mod engine;
mod model;
mod observer;
pub mod oracle;
mod panics;
pub mod plain;
mod property;
pub mod report;
mod state;
mod step;
mod system;
pub mod trace;
pub mod walk;
mod watch;

pub use engine::explore;
pub use observer::{CommandOf, Event, Observer, Step};
pub use property::{Check, Expectation, Predicate, Property};
pub use report::{Finding, Options, Progress, Report, Status, Stop, Verdict, Why};
pub use state::{InFlight, Local, State};
pub use system::{Bound, Bounds, Delivery, Faults, Network, System};

use stateright::actor::{Actor, ActorModelAction};

/// An action of a whole system: stateright's own type.
pub type Action<A> = ActorModelAction<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random>;

/// An actor that can be explored: its values can be ordered and shared between threads.
///
/// There is nothing to implement, every [`Actor`] whose types are so is a `Subject`.
pub trait Subject:
    Actor<
        Msg: Ord + Send + Sync,
        Timer: Ord + Send + Sync,
        State: Send + Sync,
        Random: Send + Sync,
        Storage: Send + Sync,
    > + Send
    + Sync
    + 'static
{
}

impl<A> Subject for A where
    A: Actor<
            Msg: Ord + Send + Sync,
            Timer: Ord + Send + Sync,
            State: Send + Sync,
            Random: Send + Sync,
            Storage: Send + Sync,
        > + Send
        + Sync
        + 'static
{
}
