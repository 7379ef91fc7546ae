//! Guarantees the step contract: at most one save per step, and the save stands before every send.
//!
//! Under this contract a crash before the save is the same as "the message or timer never came", and a crash after it the same as
//! "what was sent got lost". So a model that treats a step as atomic is faithful to a real machine.

use crate::message::{Msg, Timer};
use stateright::actor::{Actor, Id, Out};
use std::ops::{Deref, Range};
use std::time::Duration;

/// The outputs that role functions collect during a step. Roles reach the outside in no other way.
#[derive(Default)]
pub(crate) struct Effects {
    save: bool,
    sends: Vec<(Id, Msg)>,
    timers: Vec<(Timer, Option<Range<Duration>>)>,
}

impl Effects {
    /// Notes that the stable state has changed.
    pub(crate) fn save(&mut self) {
        self.save = true;
    }

    pub(crate) fn send(&mut self, to: Id, msg: Msg) {
        self.sends.push((to, msg));
    }

    pub(crate) fn broadcast(&mut self, to: &[Id], msg: &Msg) {
        self.sends.extend(to.iter().map(|id| (*id, msg.clone())));
    }

    /// Sends elsewhere, or otherwise, what was to be sent so far.
    pub(crate) fn reroute(&mut self, route: impl FnMut((Id, Msg)) -> Option<(Id, Msg)>) {
        self.sends = std::mem::take(&mut self.sends).into_iter().filter_map(route).collect();
    }

    pub(crate) fn set_timer(&mut self, timer: Timer, after: Range<Duration>) {
        self.timers.push((timer, Some(after)));
    }

    pub(crate) fn cancel_timer(&mut self, timer: Timer) {
        self.timers.push((timer, None));
    }

    /// True if this step sets the timer.
    pub(crate) fn sets(&self, timer: Timer) -> bool {
        let last = self.timers.iter().rev().find(|(set, _)| *set == timer);
        last.is_some_and(|(_, after)| after.is_some())
    }

    /// True if this step sends anything.
    pub(crate) fn sends(&self) -> bool {
        !self.sends.is_empty()
    }

    /// Hands everything over, the save first. `stable` gives the stable state, and is called only if there is a save.
    pub(crate) fn flush<A>(self, stable: impl FnOnce() -> A::Storage, out: &mut Out<A>)
    where
        A: Actor<Msg = Msg, Timer = Timer>,
    {
        if self.save {
            out.save(stable());
        }
        for (to, msg) in self.sends {
            out.send(to, msg);
        }
        for (timer, after) in self.timers {
            match after {
                Some(after) => out.set_timer(timer, after),
                None => out.cancel_timer(timer),
            }
        }
    }
}

/// A process's state that holds the state of a role.
pub(crate) trait Holds<T> {
    fn share(&self) -> &T;
    fn share_mut(&mut self) -> &mut T;
}

/// One role's share of a process's state. Reading is free. A role calls `edit` only when it really changes something: a state
/// that was never edited tells the explorer, and the reader, that the message or timer was ignored.
pub(crate) struct Share<'w, T>(&'w mut dyn Holds<T>);

impl<'w, T> Share<'w, T> {
    pub(crate) fn new(whole: &'w mut dyn Holds<T>) -> Self {
        Share(whole)
    }

    /// The same share once more, for a function that takes it.
    pub(crate) fn again(&mut self) -> Share<'_, T> {
        Share(self.0)
    }

    pub(crate) fn edit(&mut self) -> &mut T {
        self.0.share_mut()
    }
}

impl<T> Deref for Share<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.share()
    }
}
