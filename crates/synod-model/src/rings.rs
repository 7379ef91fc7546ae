//! The uses of timers, of processes and of decorated ones.

use crate::mutants::DecoratedTimer;
use synod::{ElectionTimer, Timer};

/// Timers that make a proposer begin a ballot, or a client ask again.
pub(crate) trait Rings {
    /// True if this is the timer for the next ballot.
    fn begins_a_ballot(&self) -> bool;
    /// True if a client asks again.
    fn asks_again(&self) -> bool;
    /// True if a server asks what it has missed.
    fn catches_up(&self) -> bool;
    /// The timer of a member of an election.
    fn elects(&self) -> Option<ElectionTimer>;
    /// The number of live ballots below the one to be begun, if ballots are drawn.
    fn height(&self) -> Option<u64>;
}

impl Rings for Timer {
    fn begins_a_ballot(&self) -> bool {
        *self == Timer::Retry
    }
    fn asks_again(&self) -> bool {
        *self == Timer::Resend
    }
    fn catches_up(&self) -> bool {
        *self == Timer::CatchUp
    }
    fn elects(&self) -> Option<ElectionTimer> {
        match self {
            Timer::Election(timer) => Some(*timer),
            _ => None,
        }
    }
    fn height(&self) -> Option<u64> {
        None
    }
}

impl Rings for DecoratedTimer {
    fn begins_a_ballot(&self) -> bool {
        matches!(self, DecoratedTimer::Real(Timer::Retry) | DecoratedTimer::Above(_))
    }
    fn asks_again(&self) -> bool {
        matches!(self, DecoratedTimer::Real(Timer::Resend))
    }
    fn catches_up(&self) -> bool {
        matches!(self, DecoratedTimer::Real(Timer::CatchUp))
    }
    fn elects(&self) -> Option<ElectionTimer> {
        match self {
            DecoratedTimer::Real(timer) => timer.elects(),
            _ => None,
        }
    }
    fn height(&self) -> Option<u64> {
        match self {
            DecoratedTimer::Above(height) => Some(*height),
            _ => None,
        }
    }
}
