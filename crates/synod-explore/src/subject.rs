//! The bounds on actors that can be explored.

use stateright::actor::{Actor, Envelope, Id};

/// An action of a whole system of actors of type `A`.
pub type Action<A> = ActionOf<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random>;

/// An action of a whole system: those of stateright's `ActorModelAction`, and the passing of time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ActionOf<Msg, Timer, Random> {
    /// A message arrives.
    Deliver {
        /// The sender.
        src: Id,
        /// The receiver.
        dst: Id,
        /// The message.
        msg: Msg,
    },
    /// A message is lost.
    Drop(Envelope<Msg>),
    /// A timer of an actor runs out.
    Timeout(Id, Timer),
    /// An actor loses everything but what it saved.
    Crash(Id),
    /// An actor starts again with what it saved.
    Recover(Id),
    /// One of an actor's open choices is made.
    SelectRandom {
        /// The actor.
        actor: Id,
        /// The key of the choice.
        key: String,
        /// The chosen value.
        random: Random,
    },
    /// One tick of real time passes for all; see [`clocks`](crate::clocks).
    Tick,
}

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
