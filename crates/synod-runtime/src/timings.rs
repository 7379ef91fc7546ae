//! Durations of a running process: what takes how long, counted by length.
//!
//! They are for operators. Nothing that the process does depends on them.

use std::collections::HashMap;
use std::time::Duration;

/// Durations below this power of two of microseconds are not told apart.
const LEAST: u32 = 4;
/// Durations from this power of two of microseconds on, half a minute, are not told apart.
const MOST: u32 = 25;
/// The buckets per doubling of the duration.
const PER_DOUBLING: u32 = 4;
const BUCKETS: usize = ((MOST - LEAST) * PER_DOUBLING) as usize + 2;

/// A histogram of durations. Its buckets grow with the durations, so that a quantile is at most a quarter too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    buckets: [u64; BUCKETS],
    count: u64,
    sum: Duration,
    longest: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        Durations { buckets: [0; BUCKETS], count: 0, sum: Duration::ZERO, longest: Duration::ZERO }
    }
}

impl Durations {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let index = match micros.checked_ilog2() {
            None => 0,
            Some(power) if power < LEAST => 0,
            Some(power) if power >= MOST => BUCKETS - 1,
            Some(power) => {
                let quarter = (micros >> (power - 2)) & 3;
                1 + ((power - LEAST) * PER_DOUBLING) as usize + quarter as usize
            }
        };
        self.buckets[index] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(duration);
        self.longest = self.longest.max(duration);
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All durations together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest duration since the start.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The first duration that a bucket does not hold any more. `None` for the last bucket, which holds all that are longer.
    fn end(index: usize) -> Option<Duration> {
        if index == 0 {
            return Some(Duration::from_micros(1 << LEAST));
        }
        let (above, quarter) = ((index as u32 - 1) / PER_DOUBLING, (index as u64 - 1) % 4);
        let power = LEAST + above;
        (power < MOST).then(|| Duration::from_micros((5 + quarter) << (power - 2)))
    }

    /// The duration that so large a share of all does not exceed, up to the width of a bucket. `None` without durations.
    ///
    /// `share` is from 0 to 1.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let needed = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= needed {
                return Some(Self::end(index).unwrap_or(self.longest).min(self.longest));
            }
        }
        None
    }

    /// The durations that came after `earlier`, an earlier copy of this histogram. The longest stays that since the start.
    #[must_use]
    pub fn since(&self, earlier: &Durations) -> Durations {
        let mut rest = self.clone();
        for (bucket, before) in rest.buckets.iter_mut().zip(&earlier.buckets) {
            *bucket = bucket.saturating_sub(*before);
        }
        rest.count = self.count.saturating_sub(earlier.count);
        rest.sum = self.sum.saturating_sub(earlier.sum);
        rest
    }

    /// The number of durations below each bound. The bounds double from 16 microseconds on.
    pub fn below(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut seen = 0;
        let each = self.buckets.iter().enumerate().filter_map(move |(index, count)| {
            seen += count;
            Some((Self::end(index)?, seen))
        });
        each.step_by(PER_DOUBLING as usize)
    }
}

/// The most calls that are timed at once.
const CALLS: usize = 8192;

/// How long the work of a process takes.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// Writes of a batch to the disk, each with its flush.
    pub flush: Durations,
    /// The steps of one round of the loop.
    pub steps: Durations,
    /// The time from the step that takes a client's question to the moment at which the answer has left. A question that comes
    /// again is timed from the first time. One that is answered elsewhere is not timed.
    pub answer: Durations,
    /// The time of each call without an answer, by client and number.
    asked: HashMap<(u64, u64), Duration>,
    /// The times of those that this round of the loop answers.
    answered: Vec<Duration>,
}

impl Timings {
    /// A client's question is to be stepped.
    pub(crate) fn heard(&mut self, client: u64, call: u64, now: Duration) {
        if self.asked.len() >= CALLS && !self.asked.contains_key(&(client, call)) {
            // Some never get an answer here: the client has gone, or was sent to another process.
            self.asked.clear();
        }
        self.asked.entry((client, call)).or_insert(now);
    }

    /// An answer is to be sent to a client at the end of this round.
    pub(crate) fn answers(&mut self, client: u64, call: u64) {
        if let Some(asked) = self.asked.remove(&(client, call)) {
            self.answered.push(asked);
        }
    }

    /// The messages of this round were sent.
    pub(crate) fn sent(&mut self, now: Duration) {
        for asked in self.answered.drain(..) {
            self.answer.add(now.saturating_sub(asked));
        }
    }

    /// True if somebody waits for the end of this round.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.answered.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn a_quantile_is_never_too_small_and_at_most_a_quarter_too_large() {
        for micros in (16..2000).chain((2000..30_000_000).step_by(99_991)) {
            let mut durations = Durations::default();
            durations.add(us(micros));
            // The longest bounds what is told; it must not be what tells.
            durations.longest = us(u64::MAX);
            let told = durations.quantile(0.5).expect("there is one");
            assert!(told > us(micros) && told <= us(micros + micros / 4 + 1), "{micros}: {told:?}");
        }
    }

    #[test]
    fn quantiles_of_many_and_of_none() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(0.99), None);
        for _ in 0..98 {
            durations.add(us(100));
        }
        let before = durations.clone();
        durations.add(Duration::from_millis(50));
        durations.add(Duration::from_hours(1));
        assert_eq!(durations.quantile(0.5), Some(us(112)));
        assert!(durations.quantile(0.99).is_some_and(|told| told >= Duration::from_millis(50)));
        assert_eq!(durations.quantile(1.0), Some(Duration::from_hours(1)));
        let since = durations.since(&before);
        assert_eq!(since.count(), 2);
        assert!(since.quantile(0.0).is_some_and(|told| told >= Duration::from_millis(50)));
        let below: Vec<_> = durations.below().collect();
        assert_eq!(below.first(), Some(&(us(16), 0)));
        assert!(below.windows(2).all(|pair| pair[0].0 * 2 == pair[1].0 && pair[0].1 <= pair[1].1));
        assert_eq!(below.last().map(|(_, count)| *count), Some(99), "an hour is beyond all bounds");
    }

    #[test]
    fn a_call_is_timed_from_its_first_copy_to_its_first_answer() {
        let mut timings = Timings::default();
        timings.heard(7, 1, us(0));
        timings.heard(7, 2, us(300));
        timings.heard(7, 1, us(500));
        timings.answers(8, 1);
        timings.answers(7, 3);
        assert!(!timings.is_waited_for());
        timings.answers(7, 1);
        timings.answers(7, 1);
        assert!(timings.is_waited_for());
        timings.sent(us(1000));
        assert_eq!((timings.answer.count(), timings.answer.sum()), (1, us(1000)));
        timings.answers(7, 2);
        timings.sent(us(1000));
        assert_eq!((timings.answer.count(), timings.answer.sum()), (2, us(1700)));
        for call in 0..3 * CALLS as u64 {
            timings.heard(1, call, us(0));
            assert!(timings.asked.len() <= CALLS);
        }
    }
}
