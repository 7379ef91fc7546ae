//! The reasons why a process stops, and its counts while it ran.

use crate::admission::Reason;
use crate::inbox::Event;
use crate::refusal::{LOST, Refusal};
use crate::transport::Refused;
use stateright::actor::Actor;
use std::fmt;
use std::io;

/// The reason why the loop ended. The process cannot go on after any of these: it must not act on what it does not know to be
/// saved.
pub enum Stopped<A: Actor> {
    /// The disk failed. Nothing that rested on the failed save has left the process.
    Disk(Refusal),
    /// The flight record could not be written.
    Record(io::Error),
    /// The socket is unusable.
    Wire(io::Error),
    /// A peer has seen more of this data directory than there is now.
    Older(Reason),
    /// The actor panicked.
    Panicked {
        /// The event, or `None` at the actor's start.
        event: Option<Event<A>>,
    },
    /// The actor broke the step contract: at most one save per step, before every send.
    Contract {
        /// The breach.
        what: &'static str,
        /// The event, or `None` at the actor's start.
        event: Option<Event<A>>,
    },
}

impl<A: Actor> Stopped<A> {
    /// True if the actor is to blame.
    pub fn is_actors_fault(&self) -> bool {
        matches!(self, Stopped::Panicked { .. } | Stopped::Contract { .. })
    }

    /// The event at which the actor went wrong, if the actor is to blame.
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

/// Counts of a process's work and losses since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events stepped through the actor.
    pub steps: u64,
    /// Saves.
    pub saves: u64,
    /// Flushes of the disk; at most one per batch.
    pub flushes: u64,
    /// Messages sent to others.
    pub sends: u64,
    /// Messages dropped because the inbox was full; clients were told so.
    pub inbox_full: u64,
    /// Messages to itself dropped because too many waited.
    pub local_full: u64,
    /// Authentic messages that the actor cannot decode.
    pub undecodable: u64,
    /// Messages that waited here when their sender, a member, started again.
    pub outdated: u64,
    /// Messages that came before this process took part.
    pub early: u64,
    /// Times that a server told this process that it was too busy.
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
