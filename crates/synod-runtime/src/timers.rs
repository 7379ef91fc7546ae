//! The timers an actor has set, and which of them is due.

use std::ops::Range;
use std::time::Duration;

/// Pending timers. An actor has a handful of kinds, so a list is searched faster than any other structure.
pub(crate) struct Timers<T> {
    pending: Vec<(T, Duration)>,
    /// Timers that ring only once they are released, however long they are due.
    held: Vec<T>,
    /// Those of them that are pending and released.
    released: Vec<T>,
}

impl<T: Clone + PartialEq> Timers<T> {
    pub(crate) fn new() -> Timers<T> {
        Timers { pending: Vec::new(), held: Vec::new(), released: Vec::new() }
    }

    /// Sets a timer to ring at a moment drawn from `now + after`. It replaces a pending one of the same name.
    pub(crate) fn set(&mut self, timer: T, now: Duration, after: &Range<Duration>, rng: &mut fastrand::Rng) {
        self.cancel(&timer);
        let width = u64::try_from(after.end.saturating_sub(after.start).as_nanos()).unwrap_or(u64::MAX);
        let extra = if width == 0 { 0 } else { rng.u64(..width) };
        self.pending
            .push((timer, now.saturating_add(after.start).saturating_add(Duration::from_nanos(extra))));
    }

    pub(crate) fn cancel(&mut self, timer: &T) {
        self.pending.retain(|(pending, _)| pending != timer);
        self.released.retain(|released| released != timer);
    }

    /// From now on the timer rings only once it is released.
    pub(crate) fn hold(&mut self, timer: T) {
        self.held.push(timer);
    }

    /// Lets a timer ring that is held, if it is set. When it is set again it is held again.
    pub(crate) fn release(&mut self, timer: &T) {
        let is_set = self.pending.iter().any(|(pending, _)| pending == timer);
        if is_set && !self.released.contains(timer) {
            self.released.push(timer.clone());
        }
    }

    fn rings(&self, timer: &T) -> bool {
        !self.held.contains(timer) || self.released.contains(timer)
    }

    /// The time when the first timer will ring.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.pending.iter().filter(|(timer, _)| self.rings(timer)).map(|(_, at)| *at).min()
    }

    /// Takes the timer that is due longest, if any is.
    pub(crate) fn due(&mut self, now: Duration) -> Option<T> {
        let ringing = self.pending.iter().enumerate().filter(|(_, (timer, _))| self.rings(timer));
        let (index, (_, at)) = ringing.min_by_key(|(_, (_, at))| *at)?;
        let due = (*at <= now).then(|| self.pending.remove(index).0)?;
        self.released.retain(|released| *released != due);
        Some(due)
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
