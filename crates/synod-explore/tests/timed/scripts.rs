//! Actors that do what a table says, with timers and messages.

use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

/// One command of a script.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Sets a timer for so many ticks.
    Set(u8, Range<u64>),
    Cancel(u8),
    /// Sends a message to an actor, as long as its sender has messages left.
    Send(usize, u8),
}

/// The reaction to one thing that happens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reaction {
    /// The state afterwards; the same if there is none.
    pub goes_to: Option<u8>,
    pub does: Vec<Do>,
}

/// An actor whose reactions stand in tables.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub start: Reaction,
    /// By timer and state.
    pub timers: Vec<Vec<Reaction>>,
    /// By message and state.
    pub messages: Vec<Vec<Reaction>>,
    /// The number of messages that it may send.
    pub messages_left: u8,
}

/// A state, and the number of messages that are left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct At {
    pub state: u8,
    pub left: u8,
}

impl Script {
    /// Reacts, and leaves the state alone if it stays the same.
    fn react(at: &mut Cow<'_, At>, reaction: &Reaction, o: &mut Out<Self>) {
        let mut next = At { state: reaction.goes_to.unwrap_or(at.state), left: at.left };
        for one in &reaction.does {
            match one {
                Do::Set(timer, after) => {
                    o.set_timer(*timer, Duration::from_secs(after.start)..Duration::from_secs(after.end));
                }
                Do::Cancel(timer) => o.cancel_timer(*timer),
                Do::Send(to, msg) if next.left > 0 => {
                    next.left -= 1;
                    o.send(Id::from(*to), *msg);
                }
                Do::Send(..) => {}
            }
        }
        if next != **at {
            *at.to_mut() = next;
        }
    }
}

impl Actor for Script {
    type Msg = u8;
    type State = At;
    type Timer = u8;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> At {
        let mut at = Cow::Owned(At { state: 0, left: self.messages_left });
        Self::react(&mut at, &self.start, o);
        at.into_owned()
    }

    fn on_msg(&self, _: Id, at: &mut Cow<'_, At>, _: Id, msg: u8, o: &mut Out<Self>) {
        let reaction = &self.messages[usize::from(msg)][usize::from(at.state)];
        Self::react(at, reaction, o);
    }

    fn on_timeout(&self, _: Id, at: &mut Cow<'_, At>, timer: &u8, o: &mut Out<Self>) {
        let reaction = &self.timers[usize::from(*timer)][usize::from(at.state)];
        Self::react(at, reaction, o);
    }
}
