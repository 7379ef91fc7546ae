//! Why a process stops, and what it counted while it ran.

use crate::admission::Reason;
use crate::inbox::Event;
use crate::refusal::{LOST, Refusal};
use crate::transport::Refused;
use stateright::actor::Actor;
use std::fmt;
use std::io;

/// Why the loop ended. There is no going on after any of these: what a process does not know it has saved, it must not
/// act on.
pub enum Stopped<A: Actor> {
    /// The disk failed; nothing that rested on the failed save has left the process.
    Disk(Refusal),
    /// The flight record could not be written.
    Record(io::Error),
    /// The socket is unusable.
    Wire(io::Error),
    /// A peer has seen more of this data directory than there is.
    Older(Reason),
    /// The actor panicked.
    Panicked {
        /// At what; at its start, if there is none.
        event: Option<Event<A>>,
    },
    /// The actor broke the step contract: at most one save a step, and before every send.
    Contract {
        /// How.
        what: &'static str,
        /// At what; at its start, if there is none.
        event: Option<Event<A>>,
    },
}

impl<A: Actor> Stopped<A> {
    /// Whether the actor is to blame.
    pub fn is_actors_fault(&self) -> bool {
        matches!(self, Stopped::Panicked { .. } | Stopped::Contract { .. })
    }

    /// The event at which the actor went wrong, if that is why.
    pub fn event(&self) -> Option<&Event<A>> {
        match self {
            Stopped::Panicked { event } | Stopped::Contract { event, .. } => event.as_ref(),
            _ => None,
        }
    }
}

impl<A: Actor> fmt::Display for Stopped<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |event: &Option<Event<A>>| match event {
            Some(event) => format!("at {event:?}"),
            None => "at its start".to_owned(),
        };
        match self {
            Stopped::Disk(refusal) => write!(f, "{refusal}"),
            Stopped::Record(error) => write!(f, "the flight record cannot be written: {error}"),
            Stopped::Wire(error) => write!(f, "the socket is unusable: {error}"),
            Stopped::Older(reason) => write!(f, "{reason}; {LOST}"),
            Stopped::Panicked { event } => write!(f, "the actor panicked {}", at(event)),
            Stopped::Contract { what, event } => {
                write!(f, "the actor broke the step contract {}: {what}", at(event))
            }
        }
    }
}

impl<A: Actor> fmt::Debug for Stopped<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: Actor> std::error::Error for Stopped<A> {}

/// What a process did and what it did without, since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events stepped through the actor.
    pub steps: u64,
    /// Saves.
    pub saves: u64,
    /// Flushes of the disk; at most one a batch.
    pub flushes: u64,
    /// Messages sent to others.
    pub sends: u64,
    /// Messages dropped because the inbox was full; clients were told so.
    pub inbox_full: u64,
    /// Messages to itself dropped because too many waited.
    pub local_full: u64,
    /// Authentic messages that are none of the actor's.
    pub undecodable: u64,
    /// Messages that waited here when their sender, a member, began anew.
    pub outdated: u64,
    /// Messages that came before this process took part.
    pub early: u64,
    /// Times a server said that it was too busy for us.
    pub busy: u64,
    /// Messages not sent because they are longer than the longest allowed.
    pub too_large: u64,
    /// Messages not sent because their receiver was not there.
    pub unreachable: u64,
}

impl Counts {
    pub(crate) fn refuse(&mut self, refused: &Refused) {
        match refused {
            Refused::TooLarge { .. } => self.too_large += 1,
            Refused::NoSession => self.unreachable += 1,
        }
    }
}
