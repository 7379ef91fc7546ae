//! Time in models: timers that keep their durations, clocks that drift, and messages with bounded delays.
//!
//! A system without [`Clocks`] is *untimed*: a timer that is set may run out at any moment, and a message may take any time. With them, real
//! time passes in whole ticks ([`Action::Tick`](crate::ActionOf::Tick)), for all processes together, and every other step takes no time.
//!
//! # What is kept
//!
//! No state contains a date. Each armed timer and each message with a bounded delay has a [`Due`]: the least and the most ticks that may
//! pass until it happens. A tick takes one from each, down to 0. It is possible only if no `most` is 0: what is at its latest moment happens
//! first. So the numbers stay below the greatest duration of the model, and the state space is finite if it is so without time.
//! A timer without a duration (stateright's `model_timeout`, zero to zero) has no due: it runs out at any moment, as in an untimed model.
//!
//! # Whole ticks are enough
//!
//! A due is a clock of a timed automaton that is reset once and compared once, with a constant from below (`least`) and one from above
//! (`most`), both *inclusive*. Such an automaton is closed, and free of diagonal constraints. If it reaches a state at some dates, then it also reaches it at whole ones: for each fraction
//! f, rounding every date down if its fraction is at most f, and up otherwise, keeps all such constraints (Henzinger, Manna and Pnueli,
//! *What good are digital clocks?*, 1992, sections 3 and 4; Asarin, Maler and Pnueli, 1998). So a property of states or of the order of steps
//! falls in whole ticks exactly if it falls in dense time.
//!
//! A strict bound is not closed, and a model cannot say "before 5": it says "up to 5" or "up to 4". `Out::set_timer` takes a
//! half-open range, whose end counts here. Two things that are possible at one moment happen in either order. So a rule that is right only if
//! two moments differ is reported as broken at the parameter where they coincide, and right from the next tick on.
//!
//! # Drift
//!
//! The clock of a process gains or loses at most [`Drift`] of real time, and its rate may change all the time. A timer that is set for
//! `d` on that clock runs out after at least d / (1 + epsilon) and at most d / (1 - epsilon) of real time. The bounds are rounded
//! outwards to whole ticks, so that no behaviour is lost; if the divisions leave no remainder nothing is added either.
//!
//! The rates of two processes have nothing to do with each other, nor have those of one process at two times. Timers of one process that
//! run *at the same time* are measured by the same clock, and this is not kept: one may seem to run fast and the other slow. So the
//! dues allow all that such clocks allow, and more if timers of a process overlap. *Holds* is exact or on the safe side. A
//! counterexample in which no two drifting timers of one process overlap is one of real clocks; others have to be looked at.
//!
//! # What an actor knows of time
//!
//! An actor sees time only as timers that run out. It asks no clock: a rule such as "the lease is over" is a timer that the actor set when the
//! lease began, before it proposed. The loop that serves the actor keeps the same timers, so that what is checked is what is
//! served; and the actor stays a function of its inputs.
//!
//! A model takes for granted that a timer rings at its latest moment *before its process does anything else*. A process that is paused may be late if it does
//! nothing in between, as nobody sees a difference but in what it believes. A loop that handles a message although an earlier timer is due breaks the assumption, by as much as it is late.
//!
//! # Messages
//!
//! With [`Clocks::delay`] a message arrives within these bounds, unless the network loses it (a step of its own, [`Network::loss`](crate::Network)).
//! One that arrives is gone, whether or not its receiver heeds it, and one that arrives at an actor that is down is lost. Of equal messages
//! in one channel the oldest arrives first: exchanging equal messages makes no difference that anyone could see. Without a bound, messages
//! are those of an untimed model.
//!
//! # Time always can pass
//!
//! Whatever is at its latest moment is itself possible, so that no state is without steps because of time. But actors may keep each other busy
//! for ever in no time. [`liveness::check`](crate::liveness::check) looks for a state from which no tick can be reached, and reports it as an error of the
//! model. A run of a timed system is one in which time passes without end: [`liveness`](crate::liveness) takes that for granted of all runs, and no run
//! stands still.
//!
//! # Reductions
//!
//! | | with clocks |
//! |---|---|
//! | sleep sets | yes: steps of different actors commute in no time; after a tick all are awake |
//! | symmetry | yes: all clocks drift alike, and a permutation takes each timer's due with it |
//! | checkpoints, fingerprints, bounds, properties | yes |
//! | dead messages | refused: what a receiver ignores from now on is followed along its own steps, and here time changes it too |
//! | rewritten states | refused: dues would have to be rewritten with the states |
//! | bounded delays in a network that is no multiset | refused: a message that stays for ever has no latest moment, and a queue would delay what is behind |

use crate::network::Delivery;
use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::time::Duration;

/// The longest time, in ticks, that a model may count.
pub const MOST_TICKS: u32 = 1 << 16;

/// The time that a timer or a message has left: it happens after at least and at most so many ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// The ticks that have to pass first.
    pub least: u32,
    /// The ticks that can pass at most.
    pub most: u32,
}

impl Due {
    /// True if it can happen now.
    pub fn is_ripe(self) -> bool {
        self.least == 0
    }

    /// What is left after a tick; `None` if it has to happen first.
    pub(crate) fn aged(self) -> Option<Self> {
        let most = self.most.checked_sub(1)?;
        Some(Self { least: self.least.saturating_sub(1), most })
    }
}

impl Display for Due {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.least == self.most {
            write!(f, "in {}", self.least)
        } else {
            write!(f, "in {}..={}", self.least, self.most)
        }
    }
}

/// A bound on the difference between the rate of a clock and that of real time: epsilon, as a fraction below 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    numerator: u32,
    denominator: u32,
}

impl Drift {
    /// Clocks that keep real time.
    pub const NONE: Self = Self { numerator: 0, denominator: 1 };

    /// Clocks with rates between 1 - n/d and 1 + n/d.
    ///
    /// # Errors
    /// If the fraction is not below 1, in words.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, String> {
        if numerator < denominator {
            return Ok(Self { numerator, denominator });
        }
        Err(format!("a drift of {numerator}/{denominator} lets a clock stand still: it must be below 1"))
    }

    /// The real time that passes until a clock has counted between so many ticks.
    fn real(self, least: u32, most: u32) -> Due {
        let (n, d) = (u64::from(self.numerator), u64::from(self.denominator));
        let soonest = u64::from(least) * d / (d + n);
        let latest = (u64::from(most) * d).div_ceil(d - n);
        Due { least: soonest as u32, most: u32::try_from(latest).unwrap_or(u32::MAX) }
    }
}

/// Bounds on the time that a message takes, in ticks of real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The least.
    pub least: u32,
    /// The most.
    pub most: u32,
}

/// The time that a system knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The length of a tick. Durations of timers are multiples of it.
    pub tick: Duration,
    /// The drift of the clock of each process.
    pub drift: Drift,
    /// The delays of messages; `None` if there is no bound.
    pub delay: Option<Delay>,
}

impl Clocks {
    /// Clocks that keep real time, and messages that take any time.
    pub fn new(tick: Duration) -> Self {
        Self { tick, drift: Drift::NONE, delay: None }
    }

    /// The reason why there are no such clocks in a network, if there is one.
    pub(crate) fn refusal(&self, delivery: Delivery) -> Option<String> {
        if self.tick.is_zero() {
            return Some("a tick takes no time: give it a length".to_owned());
        }
        let delay = self.delay?;
        if delay.least > delay.most || delay.most > MOST_TICKS {
            return Some(format!(
                "no message takes {} to {} ticks: the first must not be above the second, nor that above {MOST_TICKS}",
                delay.least, delay.most
            ));
        }
        (delivery != Delivery::Multiset).then(|| {
            "messages with bounded delays need a network from which each is taken once, in any order: take a multiset, or no bound"
                .to_owned()
        })
    }

    /// The time that a message has when it is sent.
    pub(crate) fn of_message(&self) -> Option<Due> {
        self.delay.map(|Delay { least, most }| Due { least, most })
    }

    /// The time that a timer has when it is set; `None` if it may run out at any moment.
    ///
    /// # Errors
    /// If it cannot be counted in ticks, in words.
    pub(crate) fn of_timer(&self, range: &Range<Duration>) -> Result<Option<Due>, String> {
        let least = self.ticks(range.start)?;
        // Like the loop that serves actors: a range without a length is its start.
        let most = if range.start < range.end { self.ticks(range.end)? } else { least };
        if most == 0 {
            return Ok(None);
        }
        let due = self.drift.real(least, most);
        if due.most > MOST_TICKS {
            return Err(format!(
                "a timer of {range:?} takes more than {MOST_TICKS} ticks of {:?}",
                self.tick
            ));
        }
        Ok(Some(due))
    }

    fn ticks(&self, duration: Duration) -> Result<u32, String> {
        let (all, tick) = (duration.as_nanos(), self.tick.as_nanos());
        let whole = all.is_multiple_of(tick).then(|| u32::try_from(all / tick).ok()).flatten();
        whole.ok_or_else(|| format!("a timer of {duration:?} is no multiple of a tick of {:?}", self.tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_widens_a_timer_outwards() {
        let clocks = Clocks { drift: Drift::new(1, 10).unwrap(), ..Clocks::new(Duration::from_secs(1)) };
        let of = |least, most| clocks.of_timer(&(Duration::from_secs(least)..Duration::from_secs(most)));
        assert_eq!(of(99, 99), Ok(Some(Due { least: 90, most: 110 })));
        assert_eq!(of(1, 1), Ok(Some(Due { least: 0, most: 2 })));
        assert_eq!(of(11, 18), Ok(Some(Due { least: 10, most: 20 })));
        assert_eq!(of(0, 0), Ok(None));
        assert_eq!(of(0, 9), Ok(Some(Due { least: 0, most: 10 })));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let clocks = Clocks::new(Duration::from_secs(2));
        assert!(
            clocks.of_timer(&(Duration::from_secs(3)..Duration::ZERO)).unwrap_err().contains("no multiple")
        );
        let long = Duration::from_secs(4 * u64::from(MOST_TICKS));
        assert!(clocks.of_timer(&(long..long)).unwrap_err().contains("more than"));
        assert!(Drift::new(3, 3).unwrap_err().contains("stand still"));
        assert!(Clocks::new(Duration::ZERO).refusal(Delivery::Set).unwrap().contains("no time"));
        let delayed = |least, most| Clocks { delay: Some(Delay { least, most }), ..clocks };
        assert!(delayed(1, 0).refusal(Delivery::Multiset).unwrap().contains("no message takes"));
        assert!(delayed(0, 1).refusal(Delivery::Ordered).unwrap().contains("multiset"));
        assert_eq!(delayed(0, 1).refusal(Delivery::Multiset), None);
    }
}
