//! A lease of two processes: the master's lease (E1) in small, with a log that stands for the replicated one.
//!
//! A process asks the log for the lease with the version that it knows, and gets it if that is still the version: a compare-and-swap. The log tells both.
//! The holder counts `hold` ticks of its clock from *before it asked*, and believes itself master until then. The other counts `lease` ticks from *when it heard*, and
//! does not ask before they are over. Both count by timers only: "it is over" is a timer that was set in time.
//!
//! *When there is at most one master.* Let P ask at time 0. It is master until H at the latest, where H is the most real time of `hold`. A message takes
//! at least d ticks. The other hears of it at 2d at the soonest, and waits until 2d + L, where L is the least real time of `lease`. It asks, and is master
//! at 4d + L at the soonest. So the claim holds exactly if H < 4d + L; if the two moments coincide, the other may come first. With drift e, H is hold / (1 - e) and L is
//! lease / (1 + e), in whole ticks: the margin has to pay for the drift of both clocks. This is exact, as no process ever counts two times at once.
//!
//! *Counted from hearing*, P is master until D - d + H, counted from the moment at which the other hears at the soonest, where D is the longest delay. The claim then holds
//! exactly if D + H < 3d + L.
//!
//! *Whose question.* A process whose time is over before it hears asks again, with a later end. The answer to its first question must not count for the
//! second: the other has counted from that answer. So the log says which question it answers. Without that (`matches = false`) two are master
//! although the margin is right.

use super::words::{ANY_TIME, Bell, Outputs, Say, ticks};
use stateright::actor::Id;

/// The name of the claim.
pub(super) const CLAIM: &str = "one-master";

pub(super) const PROCESSES: usize = 2;
const LOG: usize = PROCESSES;

/// A lease that two processes take from a log by turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The ticks for which the holder believes that it is master.
    pub hold: u32,
    /// The ticks for which the others leave it alone.
    pub lease: u32,
    /// The number of times that the log gives it.
    pub takes: u8,
    /// The most times that a process asks for it.
    pub asks: u8,
    /// The moment from which the holder counts.
    pub counted: Counted,
    /// True if the holder looks which of its questions was answered.
    pub matches: bool,
}

/// The moment from which a holder counts its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Before it asks.
    Asking,
    /// When it hears that it has the lease.
    Hearing,
}

/// A process that wants the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub(super) lease: Lease,
}

/// The state of a process that wants the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// The version that it heard of last.
    pub version: u8,
    /// The number of questions that it asked.
    pub asks: u8,
    /// Its place.
    pub stands: Stands,
}

/// The place of a process with respect to the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stands {
    /// Nobody has it, as far as it knows.
    Free,
    /// It asked.
    Asks,
    /// It is master.
    Master,
    /// Another has it.
    Respects,
}

impl Holder {
    pub(super) fn start(o: &mut Outputs) -> At {
        o.set_timer(Bell::Begin, ANY_TIME);
        At { version: 0, asks: 0, stands: Stands::Free }
    }

    pub(super) fn hear(self, id: Id, at: At, msg: Say, o: &mut Outputs) -> Option<At> {
        let Say::Taken { by, ask, version } = msg else { return None };
        if version <= at.version {
            return None;
        }
        let at = At { version, ..at };
        if usize::from(by) != usize::from(id) {
            o.cancel_timer(Bell::Begin);
            o.cancel_timer(Bell::Hold);
            let Lease { lease, .. } = self.lease;
            o.set_timer(Bell::Respect, ticks(lease, lease));
            return Some(At { stands: Stands::Respects, ..at });
        }
        if at.stands != Stands::Asks || self.lease.matches && ask != at.asks {
            return Some(at);
        }
        if self.lease.counted == Counted::Hearing {
            self.hold(o);
        }
        Some(At { stands: Stands::Master, ..at })
    }

    pub(super) fn ring(self, at: At, bell: Bell, o: &mut Outputs) -> Option<At> {
        match (at.stands, bell) {
            (Stands::Free, Bell::Begin) if at.asks < self.lease.asks => {
                let asks = at.asks + 1;
                if self.lease.counted == Counted::Asking {
                    self.hold(o);
                }
                o.send(Id::from(LOG), Say::Take { version: at.version, ask: asks });
                Some(At { asks, stands: Stands::Asks, ..at })
            }
            (Stands::Asks | Stands::Master, Bell::Hold) | (Stands::Respects, Bell::Respect) => {
                o.set_timer(Bell::Begin, ANY_TIME);
                Some(At { stands: Stands::Free, ..at })
            }
            _ => None,
        }
    }

    fn hold(self, o: &mut Outputs) {
        o.set_timer(Bell::Hold, ticks(self.lease.hold, self.lease.hold));
    }
}

/// The log, when it is asked.
pub(super) fn give(lease: &Lease, now: u8, src: Id, msg: Say, o: &mut Outputs) -> Option<u8> {
    let Say::Take { version, ask } = msg else { return None };
    if version != now || now == lease.takes {
        return None;
    }
    let taken = Say::Taken { by: usize::from(src) as u8, ask, version: now + 1 };
    for process in 0..PROCESSES {
        o.send(Id::from(process), taken);
    }
    Some(now + 1)
}
