//! The messages that clients may send, as a type of their own: anything else that a client sends is no message at all.

use crate::admission::Rests;
use crate::changes::Whole;
use serde::de::DeserializeOwned;
use stateright::actor::Actor;

/// Decides which messages of clients an actor hears. It hears members as they speak.
///
/// A door is a type apart from the actor, as [`Changes`](crate::changes::Changes) is, so that a crate can provide one for an actor that
/// it does not own.
pub trait Door<A: Actor> {
    /// All that a client's datagram may say, encoded as the message that it becomes. Bytes that are no such value are counted and dropped.
    type Ask: DeserializeOwned + Into<A::Msg>;

    /// The number by which a client's question and its answer belong together, if the message is one of the two. Only
    /// [`Timings::answer`](crate::Timings::answer) depends on it.
    fn call(_: &A::Msg) -> Option<u64> {
        None
    }

    /// False if a message is not for this actor. It is counted and dropped, as bytes that are no message are.
    fn is_for(_: &A, _: &A::Msg) -> bool {
        true
    }

    /// True if a message may come to a group, where there are so many ([`ByGroup`](crate::groups::ByGroup)).
    fn lies_in(_: &A::Msg, _group: u8, _groups: usize) -> bool {
        true
    }

    /// True if the message of a member only adds a vote to those of its ballot. Messages that rest on no vote ([`Rests::OnNoVote`]) need
    /// not wait until it is durable here that its sender had made the vote durable.
    fn is_vote(_: &A::Msg) -> bool {
        false
    }

    /// True if a timer, once it is due, rings before the actor does anything else. For such a timer the clock is read before each step as long as it
    /// runs. It is meant for one that ends a right to act: what the actor does while it has not rung is done in time. Two such timers ring in the order in which they
    /// are due.
    fn rings_first(_: &A::Timer) -> bool {
        false
    }

    /// True if the message of a member tells only what was chosen, or who leads, or asks for what was chosen. A process that does not take part yet
    /// hears such messages of members and no others ([`Admission::Learns`](crate::admission::Admission::Learns)).
    fn teaches(_: &A::Msg) -> bool {
        false
    }

    /// True if a message only asks to be told what was chosen, or to become a member. A process that does not take part yet sends
    /// such messages and no others, and no others of it are heard. Its sender may have forgotten all that it ever promised.
    fn asks_to_learn(_: &A::Msg) -> bool {
        false
    }

    /// True if a message says what was chosen, to one who asked for it, and rests on nothing that its sender may have forgotten. A process that only learns
    /// sends such messages, too, if its directory was ever admitted
    /// ([`Admittance::may_teach`](crate::admission::Admittance::may_teach)).
    fn tells_chosen(_: &A::Msg) -> bool {
        false
    }

    /// The durable things on which a message to another member rests.
    fn rests(_: &A::Msg) -> Rests {
        Rests::OnAll
    }
}

/// Lets clients say whatever members say. This is for actors whose messages commit nobody.
impl<A: Actor> Door<A> for Whole
where
    A::Msg: DeserializeOwned,
{
    type Ask = A::Msg;
}
