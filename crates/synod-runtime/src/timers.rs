//! The timers an actor has set, and which of them is due.

use std::ops::Range;
use std::time::Duration;

/// Pending timers. An actor has a handful of kinds per group, so a list is searched faster than any other structure.
pub(crate) struct Timers<T> {
    pending: Vec<Pending<T>>,
    /// Timers that ring only once they are released, however long they are due.
    held: Vec<T>,
}

struct Pending<T> {
    timer: T,
    at: Duration,
    /// True until it is released, if it is one of those that are held.
    is_held: bool,
}

impl<T: Clone + PartialEq> Timers<T> {
    pub(crate) fn new() -> Timers<T> {
        Timers { pending: Vec::new(), held: Vec::new() }
    }

    /// Sets a timer to ring at a moment drawn from `now + after`. It replaces a pending one of the same name.
    pub(crate) fn set(&mut self, timer: T, now: Duration, after: &Range<Duration>, rng: &mut fastrand::Rng) {
        self.cancel(&timer);
        let width = u64::try_from(after.end.saturating_sub(after.start).as_nanos()).unwrap_or(u64::MAX);
        let extra = if width == 0 { 0 } else { rng.u64(..width) };
        let at = now.saturating_add(after.start).saturating_add(Duration::from_nanos(extra));
        let is_held = self.held.contains(&timer);
        self.pending.push(Pending { timer, at, is_held });
    }

    pub(crate) fn cancel(&mut self, timer: &T) {
        self.pending.retain(|pending| pending.timer != *timer);
    }

    /// From now on the timer rings only once it is released.
    pub(crate) fn hold(&mut self, timer: T) {
        for pending in self.pending.iter_mut().filter(|pending| pending.timer == timer) {
            pending.is_held = true;
        }
        self.held.push(timer);
    }

    /// Lets a timer ring that is held, if it is set. When it is set again it is held again.
    pub(crate) fn release(&mut self, timer: &T) {
        for pending in self.pending.iter_mut().filter(|pending| pending.timer == *timer) {
            pending.is_held = false;
        }
    }

    /// The time when the first timer will ring.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.pending.iter().filter(|pending| !pending.is_held).map(|pending| pending.at).min()
    }

    /// True if a timer of this kind runs.
    pub(crate) fn any(&self, is: impl Fn(&T) -> bool) -> bool {
        self.pending.iter().any(|pending| is(&pending.timer))
    }

    /// Takes the timer that is due longest, if any is.
    pub(crate) fn due(&mut self, now: Duration) -> Option<T> {
        self.due_first(now, |_| true)
    }

    /// Takes the timer of this kind that is due longest, if any is.
    pub(crate) fn due_first(&mut self, now: Duration, is: impl Fn(&T) -> bool) -> Option<T> {
        let ringing = self
            .pending
            .iter()
            .enumerate()
            .filter(|(_, pending)| pending.at <= now && !pending.is_held && is(&pending.timer));
        let (index, _) = ringing.min_by_key(|(_, pending)| pending.at)?;
        Some(self.pending.remove(index).timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_timer_due_longest_rings_first_and_once() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut timers = Timers::new();
        timers.set("late", ms(0), &(ms(20)..ms(20)), &mut rng);
        timers.set("early", ms(0), &(ms(10)..ms(10)), &mut rng);
        assert_eq!(timers.next(), Some(ms(10)));
        assert_eq!(timers.due(ms(9)), None);
        assert_eq!(timers.due(ms(30)), Some("early"));
        assert_eq!(timers.due(ms(30)), Some("late"));
        assert_eq!(timers.due(ms(30)), None);
    }

    #[test]
    fn setting_again_moves_a_timer_and_cancelling_removes_it() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut timers = Timers::new();
        timers.set("a", ms(0), &(ms(10)..ms(10)), &mut rng);
        timers.set("a", ms(5), &(ms(10)..ms(10)), &mut rng);
        assert_eq!(timers.due(ms(12)), None);
        timers.cancel(&"a");
        assert_eq!(timers.due(ms(99)), None);
    }

    #[test]
    fn a_timer_that_is_held_rings_once_for_each_release() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut timers = Timers::new();
        timers.hold("a");
        timers.release(&"a");
        timers.set("a", ms(0), &(ms(10)..ms(10)), &mut rng);
        timers.set("b", ms(0), &(ms(30)..ms(30)), &mut rng);
        assert_eq!(
            (timers.next(), timers.due(ms(20))),
            (Some(ms(30)), None),
            "it was not set when it was released"
        );
        timers.release(&"a");
        assert_eq!((timers.next(), timers.due(ms(9)), timers.due(ms(10))), (Some(ms(10)), None, Some("a")));
        timers.set("a", ms(10), &(ms(0)..ms(0)), &mut rng);
        assert_eq!(timers.due(ms(20)), None, "a release is for one time");
        timers.release(&"a");
        timers.set("a", ms(20), &(ms(0)..ms(0)), &mut rng);
        assert_eq!(timers.due(ms(20)), None, "and for what was set then");
    }

    #[test]
    fn a_moment_is_drawn_from_the_range_and_no_range_is_too_long() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut timers = Timers::new();
        for _ in 0..1000 {
            timers.set(0, ms(100), &(ms(10)..ms(20)), &mut rng);
            let at = timers.next().expect("it was just set");
            assert!((ms(110)..ms(120)).contains(&at), "{at:?}");
        }
        timers.set(0, Duration::MAX, &(Duration::MAX..Duration::MAX), &mut rng);
        assert_eq!(timers.next(), Some(Duration::MAX));
    }
}
