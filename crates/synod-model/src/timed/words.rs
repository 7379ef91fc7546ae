//! What the actors of timed systems say, wait for, and put out.

use stateright::actor::Id;
use std::ops::Range;
use std::time::Duration;

/// The length of a tick. Durations in files are ticks.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// A message.
// Variants: one for each thing that is said in some system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Say {
    /// A contender asks whose name stands in the register.
    Read,
    /// Whose name stands there.
    Name(Option<u8>),
    /// A contender writes a name there, or none.
    Write(Option<u8>),
    /// A train comes.
    Comes,
    /// It is gone.
    Gone,
    /// The gate is to come down.
    Lower,
    /// The gate is to go up.
    Raise,
    /// A process takes the lease, if nobody took it since it had that version: the version, and the number of its question.
    Take {
        /// The version that it knows.
        version: u8,
        /// The number of its question.
        ask: u8,
    },
    /// The lease was taken.
    Taken {
        /// By which process, by its index.
        by: u8,
        /// With which of its questions.
        ask: u8,
        /// The version since then.
        version: u8,
    },
}

/// A timer.
// Variants: one for each wait of some actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bell {
    /// A contender, a train or a holder begins, at any moment.
    Begin,
    /// A contender writes its name.
    Write,
    /// It looks whose name stands there.
    Look,
    /// It leaves. A train that has left can be followed by the next.
    Leave,
    /// A train is at the crossing.
    Enter,
    /// It has left it.
    Exit,
    /// The controller lowers the gate.
    Lower,
    /// It raises it.
    Raise,
    /// The gate stands.
    Stands,
    /// The holder's time is over.
    Hold,
    /// The time of another is over.
    Respect,
}

/// A timer that rings after so many ticks.
pub(super) fn ticks(least: u32, most: u32) -> Range<Duration> {
    TICK * least..TICK * most
}

/// A timer that rings at any moment.
pub(super) const ANY_TIME: Range<Duration> = Duration::ZERO..Duration::ZERO;

/// An output of a step.
#[derive(Clone, Debug)]
pub(super) enum Output {
    Send(Id, Say),
    SetTimer(Bell, Range<Duration>),
    CancelTimer(Bell),
}

/// The outputs of a step, in order.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) all: Vec<Output>,
}

impl Outputs {
    pub(super) fn send(&mut self, to: Id, msg: Say) {
        self.all.push(Output::Send(to, msg));
    }

    pub(super) fn set_timer(&mut self, timer: Bell, after: Range<Duration>) {
        self.all.push(Output::SetTimer(timer, after));
    }

    pub(super) fn cancel_timer(&mut self, timer: Bell) {
        self.all.push(Output::CancelTimer(timer));
    }
}
