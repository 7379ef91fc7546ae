//! A system is a stateright [`Model`]: its Explorer and its checkers run what is explored here.

use crate::observer::Observer;
use crate::step::Taken;
use crate::system::System;
use crate::{Action, Subject};

impl<A: Subject, O: Observer<A>> System<A, O> {
    /// An action in one line, with the names of the actors.
    pub fn describe(&self, action: &Action<A>) -> String {
        match action {
            Action::<A>::Deliver { src, dst, msg } => {
                format!("{} → {msg:?} → {}", self.name(*src), self.name(*dst))
            }
            Action::<A>::Drop(e) => {
                format!("drop {} → {:?} → {}", self.name(e.src), e.msg, self.name(e.dst))
            }
            Action::<A>::Timeout(id, timer) => format!("{} timeout {timer:?}", self.name(*id)),
            Action::<A>::Crash(id) => format!("crash {}", self.name(*id)),
            Action::<A>::Recover(id) => format!("recover {}", self.name(*id)),
            Action::<A>::SelectRandom { actor, key, random } => {
                format!("{} chooses {key} {random:?}", self.name(*actor))
            }
        }
    }

    /// The state after an action that is possible in `state`; `None` if the action is ignored.
    ///
    /// # Panics
    /// With an actor or the observer.
    pub fn step(&self, state: &crate::State<A, O>, action: &Action<A>) -> Option<crate::State<A, O>> {
        let Taken { next, .. } = self.take(state, action);
        next
    }
}
