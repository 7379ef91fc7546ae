//! The start of the actor, and what becomes of it when more is known of its disk.
//!
//! Where members change, an actor may run before it takes part, and then it only learns ([`Admission::Learns`]). The loop holds it to that: it
//! hears only what teaches it ([`Door::teaches`]), and only its questions leave ([`Door::asks_to_learn`]). Its saves are made as ever. They are its own, and
//! say nothing to anyone before it takes part.

use super::Node;
use crate::admission::{Admission, Reason};
use crate::changes::Changes;
use crate::disk::Disk;
use crate::door::Door;
use crate::inbox::Queues;
use crate::timers::Timers;
use crate::wire::Wire;
use crate::{Stopped, record};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::{Actor, Out};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The time after which a peer that is silent counts as gone to a process that only learns. Peers greet once per second.
const SILENCE: Duration = Duration::from_secs(10);

impl<A, C, D, W> Node<A, C, D, W>
where
    A: Actor,
    A::Msg: Serialize + DeserializeOwned,
    A::Timer: Serialize,
    C: Changes<A::Storage> + Door<A>,
    D: Disk,
    W: Wire,
{
    /// True if there is a verdict that the next turn acts on.
    pub(super) fn begins(&mut self) -> bool {
        match self.admittance.verdict() {
            Admission::Admitted => self.state.is_none() || self.learns,
            Admission::Learns(_) => self.state.is_none(),
            Admission::Abstains(_) => self.state.is_some(),
            Admission::Waiting { .. } => false,
        }
    }

    /// Acts on what is known of this disk by now.
    pub(super) fn judge(&mut self, now: Duration) -> Result<(), Stopped<A>> {
        match self.admittance.verdict() {
            Admission::Waiting { .. } => Ok(()),
            Admission::Abstains(reason) => self.abstain(reason),
            Admission::Learns(_) if self.state.is_some() => Ok(()),
            Admission::Learns(_) => {
                self.learns = true;
                self.start(now)
            }
            Admission::Admitted if self.state.is_some() && !self.learns => Ok(()),
            Admission::Admitted => {
                self.learns = false;
                self.admit()?;
                if self.state.is_none() { self.start(now) } else { Ok(()) }
            }
        }
    }

    /// Forgets what those have answered that are silent for long, as long as it only learns: whoever has gone teaches nobody what it has executed.
    pub(super) fn forget_silent(&mut self, now: Duration) {
        let Node { admittance, transport, learns, .. } = self;
        if *learns {
            admittance.retain(|peer| {
                transport.heard(peer).is_some_and(|heard| now.saturating_sub(heard) < SILENCE)
            });
        }
    }

    fn abstain(&mut self, reason: Reason) -> Result<(), Stopped<A>> {
        let took_part = self.state.is_some() && !self.learns;
        if took_part || reason.known.disk == reason.mine.disk {
            // An older copy has nothing to say to anyone. Nor has one that took part while the peer was silent that knew better.
            return Err(Stopped::Older(reason));
        }
        // A wiped member stays up, so that its peers hear of it. It has no use for what it has learned.
        if self.state.take().is_some() {
            (self.timers, self.queues, self.learns) = (Timers::new(), Queues::default(), false);
        }
        Ok(())
    }

    /// Makes it durable that this member takes part, before it says anything that counts.
    fn admit(&mut self) -> Result<(), Stopped<A>> {
        if let Some(store) = &mut self.store {
            if !store.admitted() {
                store.admit();
                store.commit().map_err(Stopped::Disk)?;
            }
            self.transport.set_standing(store.standing());
        }
        Ok(())
    }

    /// Starts the actor with what its disk has.
    fn start(&mut self, now: Duration) -> Result<(), Stopped<A>> {
        let mut stable = 0;
        let saved = self.store.as_ref().and_then(|store| store.state().cloned());
        if let (Some(state), true) = (&saved, self.recorder.is_some()) {
            let mut snapshot = Vec::new();
            C::snapshot(state, &mut snapshot);
            stable = xxh3_64(&snapshot);
        }
        let saves = self.store.as_ref().map_or(0, crate::store::Store::saves);
        self.record(record::Trigger::Start { saves, stable });
        let mut out = Out::new();
        let started = catch_unwind(AssertUnwindSafe(|| self.actor.on_start(self.me, &saved, &mut out)));
        self.state = Some(started.map_err(|_| Stopped::Panicked { event: None })?);
        self.outputs(now, out, None)
    }
}
