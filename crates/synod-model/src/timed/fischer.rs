//! Fischer's mutual exclusion by a shared register and time (Lamport, *A fast mutual exclusion algorithm*, 1987, section 2, who credits it to Fischer).
//!
//! A process that finds the register free writes its name within `write` ticks, waits for `wait` ticks, and is alone if its name still
//! stands there. Here the register is an actor, and reading and writing it are messages, which take up to D ticks.
//!
//! *When it holds.* Let P write at time t, as far as P's clock goes; it looks at t + W at the earliest, where W is the least real time of
//! `wait`, and its question comes to the register then or later. Another process Q can only spoil that if it found the register free, which was before P's name came there,
//! at t + D at the latest. Q heard of it by t + 2D, wrote by t + 2D + A, where A is the most real time of `write`, and its name came there by t + 3D + A. If that
//! is before t + W, P sees it and does not go in. So the claim holds exactly if W > A + 3D; in the other direction each bound is reached by some run. With
//! drift e, W is wait / (1 + e) and A is write / (1 - e), in whole ticks.

use super::words::{ANY_TIME, Bell, Outputs, Say, ticks};
use stateright::actor::Id;

/// The name of the claim.
pub(super) const CLAIM: &str = "mutual-exclusion";

/// Fischer's mutual exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fischer {
    /// The processes that contend.
    pub processes: usize,
    /// The most ticks that a process takes to write its name, once it found the register free.
    pub write: u32,
    /// The ticks that it waits before it looks whose name stands there.
    pub wait: u32,
}

/// A process that wants to be alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    pub(super) register: Id,
    pub(super) write: u32,
    pub(super) wait: u32,
}

/// The state of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// It has something else to do.
    Away,
    /// It asked whether the register is free.
    Asks,
    /// It is about to write its name.
    Writes,
    /// It waits.
    Waits,
    /// It asked whether its name stands there.
    Looks,
    /// It is where it wants to be alone.
    Inside,
}

impl Contender {
    pub(super) fn start(o: &mut Outputs) -> At {
        o.set_timer(Bell::Begin, ANY_TIME);
        At::Away
    }

    pub(super) fn hear(self, id: Id, at: At, msg: Say, o: &mut Outputs) -> Option<At> {
        let Say::Name(name) = msg else { return None };
        match (at, name) {
            (At::Asks, None) => {
                o.set_timer(Bell::Write, ticks(0, self.write));
                if self.write == 0 { self.ring(id, At::Writes, Bell::Write, o) } else { Some(At::Writes) }
            }
            (At::Looks, Some(name)) if usize::from(name) == usize::from(id) => {
                o.set_timer(Bell::Leave, ANY_TIME);
                Some(At::Inside)
            }
            (At::Asks | At::Looks, _) => {
                o.set_timer(Bell::Begin, ANY_TIME);
                Some(At::Away)
            }
            _ => None,
        }
    }

    pub(super) fn ring(self, id: Id, at: At, bell: Bell, o: &mut Outputs) -> Option<At> {
        match (at, bell) {
            (At::Away, Bell::Begin) => {
                o.send(self.register, Say::Read);
                Some(At::Asks)
            }
            (At::Writes, Bell::Write) => {
                o.cancel_timer(Bell::Write);
                o.send(self.register, Say::Write(Some(usize::from(id) as u8)));
                o.set_timer(Bell::Look, ticks(self.wait, self.wait));
                Some(At::Waits)
            }
            (At::Waits, Bell::Look) => {
                o.send(self.register, Say::Read);
                Some(At::Looks)
            }
            (At::Inside, Bell::Leave) => {
                o.send(self.register, Say::Write(None));
                o.set_timer(Bell::Begin, ANY_TIME);
                Some(At::Away)
            }
            _ => None,
        }
    }
}

/// The register: the name that stands in it after a message.
pub(super) fn register(now: Option<u8>, src: Id, msg: Say, o: &mut Outputs) -> Option<u8> {
    match msg {
        Say::Read => {
            o.send(src, Say::Name(now));
            now
        }
        Say::Write(name) => name,
        _ => now,
    }
}
