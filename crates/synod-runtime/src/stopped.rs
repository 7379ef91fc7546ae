//! The reasons why a process stops.

use crate::admission::Reason;
use crate::inbox::Trigger;
use crate::refusal::{LOST, Refusal};
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
        event: Option<Trigger<A>>,
    },
    /// The actor broke the step contract: at most one save per step, before every send.
    Contract {
        /// The breach.
        what: &'static str,
        /// The event, or `None` at the actor's start.
        event: Option<Trigger<A>>,
    },
}

impl<A: Actor> Stopped<A> {
    /// True if the actor is to blame.
    pub fn is_actors_fault(&self) -> bool {
        matches!(self, Stopped::Panicked { .. } | Stopped::Contract { .. })
    }

    /// The event at which the actor went wrong, if the actor is to blame.
    pub fn event(&self) -> Option<&Trigger<A>> {
        match self {
            Stopped::Panicked { event } | Stopped::Contract { event, .. } => event.as_ref(),
            _ => None,
        }
    }
}

impl<A: Actor> fmt::Display for Stopped<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |event: &Option<Trigger<A>>| match event {
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
