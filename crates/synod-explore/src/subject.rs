//! The bounds on actors that can be explored.

use stateright::actor::{Actor, ActorModelAction};

/// An action of a whole system: stateright's own type.
pub type Action<A> = ActorModelAction<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random>;

/// An actor that can be explored: its values can be ordered and shared between threads.
///
/// There is nothing to implement: every [`Actor`] of such types is a `Subject`. The order of messages and timers has to distinguish the same values
/// as `Eq`; if it does not, the exploration reports an error and stops. The `Debug` texts of equal values must be the same, but for the order
/// of elements in braces.
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
