//! Guarantees the step contract: at most one save a step, and the save stands before every send.
//!
//! Under it a crash before the save is the same as "the event never came", and a crash after it the same as "what was
//! sent got lost", so that treating a step as atomic is faithful to a real machine.

use crate::message::{Msg, Stable, Timer};
use crate::process::{Process, ProcessState};
use stateright::actor::{Id, Out};
use std::borrow::Cow;
use std::ops::{Deref, Range};
use std::time::Duration;

/// Collects what a role function wants done; roles cannot reach the outside by any other way.
#[derive(Default)]
pub(crate) struct Effects {
    save: bool,
    sends: Vec<(Id, Msg)>,
    timers: Vec<(Timer, Option<Range<Duration>>)>,
}

impl Effects {
    /// The stable part of the state has changed.
    pub(crate) fn save(&mut self) {
        self.save = true;
    }

    pub(crate) fn send(&mut self, to: Id, msg: Msg) {
        self.sends.push((to, msg));
    }

    pub(crate) fn broadcast(&mut self, to: &[Id], msg: &Msg) {
        self.sends.extend(to.iter().map(|id| (*id, msg.clone())));
    }

    pub(crate) fn set_timer(&mut self, timer: Timer, after: Range<Duration>) {
        self.timers.push((timer, Some(after)));
    }

    pub(crate) fn cancel_timer(&mut self, timer: Timer) {
        self.timers.push((timer, None));
    }

    /// Whether the timer is set by this step.
    pub(crate) fn sets(&self, timer: Timer) -> bool {
        let last = self.timers.iter().rev().find(|(set, _)| *set == timer);
        last.is_some_and(|(_, after)| after.is_some())
    }

    /// Whether this step sends anything.
    pub(crate) fn sends(&self) -> bool {
        !self.sends.is_empty()
    }

    /// Hands everything over, the save first.
    pub(crate) fn flush(self, state: &ProcessState, out: &mut Out<Process>) {
        if self.save {
            out.save(stable(state));
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

fn stable(state: &ProcessState) -> Stable {
    match state {
        ProcessState::Acceptor(acceptor) => Stable { acceptor: acceptor.clone(), ..Stable::default() },
        ProcessState::Proposer(proposer) => Stable { tried: proposer.tried, ..Stable::default() },
        ProcessState::Server(server) => {
            let snapshot = server.log.as_ref().and_then(|log| log.saved()).cloned();
            Stable { acceptor: server.acceptor.clone(), tried: server.proposer.tried, snapshot }
        }
        ProcessState::Learner(_) | ProcessState::Client(_) => Stable::default(),
    }
}

/// One role's share of a process's state: read it freely, and `edit` it only when it really changes, because a state
/// that was never edited tells the explorer (and the reader) that the event was ignored.
pub(crate) struct Part<'w, 'c, T> {
    whole: &'w mut Cow<'c, ProcessState>,
    get: fn(&ProcessState) -> Option<&T>,
    get_mut: fn(&mut ProcessState) -> Option<&mut T>,
}

const WIRED: &str = "a process's state is of the kind its process made";

impl<'w, 'c, T> Part<'w, 'c, T> {
    pub(crate) fn new(
        whole: &'w mut Cow<'c, ProcessState>,
        get: fn(&ProcessState) -> Option<&T>,
        get_mut: fn(&mut ProcessState) -> Option<&mut T>,
    ) -> Self {
        Part { whole, get, get_mut }
    }

    /// The same share once more, for a function that takes it.
    pub(crate) fn again(&mut self) -> Part<'_, 'c, T> {
        Part { whole: self.whole, get: self.get, get_mut: self.get_mut }
    }

    pub(crate) fn edit(&mut self) -> &mut T {
        (self.get_mut)(self.whole.to_mut()).expect(WIRED)
    }
}

impl<T> Deref for Part<'_, '_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        (self.get)(self.whole).expect(WIRED)
    }
}
