//! What clients may say: a type of its own, so that whatever else a client sends is no message at all.

use crate::changes::Whole;
use serde::de::DeserializeOwned;
use stateright::actor::Actor;

/// Decides what an actor hears of clients. Members are heard as they speak.
///
/// It is a strategy apart from the actor, as [`Changes`](crate::changes::Changes) is, so that a crate can provide one for an actor that
/// it does not own.
pub trait Door<A: Actor> {
    /// All that a datagram of a client may say, encoded as the message that it becomes. Bytes that are no such value are counted and dropped.
    type Ask: DeserializeOwned + Into<A::Msg>;
}

/// Lets clients say whatever members say: for actors whose messages commit nobody.
impl<A: Actor> Door<A> for Whole
where
    A::Msg: DeserializeOwned,
{
    type Ask = A::Msg;
}
