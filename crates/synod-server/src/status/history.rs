//! The last minutes of a member's loop, as far as a status tells of them.

use super::told::{BallotTold, ELECTIONS, ElectionTold, Latencies, Latency, SECONDS, SecondTold};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use synod_runtime::{Durations, Timings};

const SECOND: Duration = Duration::from_secs(1);
/// The time between two marks from which recent durations are counted, and the number of marks.
const MARK: Duration = Duration::from_secs(10);
const MARKS: usize = 7;

/// Durations of the three kinds at one moment.
#[derive(Clone, Default)]
struct Mark {
    flush: Durations,
    steps: Durations,
    answer: Durations,
}

/// The last minutes.
pub(super) struct History {
    marks: VecDeque<Mark>,
    next_mark: Duration,
    seconds: VecDeque<SecondTold>,
    next_second: Duration,
    /// The flushes, and what was executed, up to the last second.
    second: (Durations, u64),
    elections: VecDeque<ElectionTold>,
    most_elections: usize,
    memory: Option<u64>,
}

impl History {
    /// The history of a member with so many groups.
    pub(super) fn new(groups: usize) -> History {
        History {
            // A start of all groups leaves room for what came before it.
            most_elections: ELECTIONS.max(3 * groups),
            marks: VecDeque::from([Mark::default()]),
            next_mark: MARK,
            seconds: VecDeque::new(),
            next_second: SECOND,
            second: (Durations::default(), 0),
            elections: VecDeque::new(),
            memory: memory(),
        }
    }

    /// Ends seconds and marks when they are over. `done` is the number of instances executed so far.
    pub(super) fn go_on(&mut self, timings: &Timings, done: u64, now: Duration) {
        if now >= self.next_second {
            self.next_second = now + SECOND;
            let (before, was_done) = &self.second;
            let flushes = timings.flush.since(before);
            let second = SecondTold {
                flushes: flushes.count(),
                flush_p99_seconds: flushes.quantile(0.99).map(|it| it.as_secs_f64()),
                executed: done.saturating_sub(*was_done),
            };
            self.second = (timings.flush.clone(), done);
            push(&mut self.seconds, second, SECONDS);
            self.memory = memory();
        }
        if now >= self.next_mark {
            self.next_mark = now + MARK;
            let Timings { flush, steps, answer, .. } = timings;
            let mark = Mark { flush: flush.clone(), steps: steps.clone(), answer: answer.clone() };
            push(&mut self.marks, mark, MARKS);
        }
    }

    pub(super) fn elected(&mut self, group: u8, leader: Option<u64>, ballot: Option<BallotTold>) {
        let told = ElectionTold { unix_ms: unix_ms(), group, leader, ballot };
        push(&mut self.elections, told, self.most_elections);
    }

    pub(super) fn latencies(&self, timings: &Timings) -> Latencies {
        let none = Mark::default();
        let mark = self.marks.front().unwrap_or(&none);
        let latency = |all: &Durations, mark: &Durations| Latency::of(all, &all.since(mark));
        Latencies {
            flush: latency(&timings.flush, &mark.flush),
            steps: latency(&timings.steps, &mark.steps),
            answer: latency(&timings.answer, &mark.answer),
        }
    }

    pub(super) fn memory(&self) -> Option<u64> {
        self.memory
    }

    pub(super) fn elections(&self) -> Vec<ElectionTold> {
        self.elections.iter().cloned().collect()
    }

    pub(super) fn seconds(&self) -> Vec<SecondTold> {
        self.seconds.iter().cloned().collect()
    }
}

/// Adds an item, and lets the oldest go where there would be more than `most`.
fn push<T>(items: &mut VecDeque<T>, item: T, most: usize) {
    items.push_back(item);
    if items.len() > most {
        items.pop_front();
    }
}

/// Milliseconds since the Unix epoch. A clock before it counts as 0.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The memory of this process that is in RAM, in bytes, where the kernel tells as Linux does.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slow_a_minute_ago_is_slow_no_more_and_nothing_is_kept_for_ever() {
        let (mut history, mut timings) = (History::new(1), Timings::default());
        for second in 1..=600 {
            let slow = second <= 60;
            timings.flush.add(Duration::from_millis(if slow { 100 } else { 1 }));
            history.go_on(&timings, 2 * second, Duration::from_secs(second));
            history.elected(0, Some(second % 3), None);
            let flush = history.latencies(&timings).flush;
            let (p50, p99) = flush.p50_seconds.zip(flush.p99_seconds).expect("there were flushes");
            match second {
                0..=60 => assert!(p50 > 0.099, "{second}: {p50}"),
                61..=110 => assert!(p99 > 0.099, "{second}: {p99}"),
                125.. => assert!(p99 < 0.002, "{second}: {p99}"),
                _ => {}
            }
        }
        let seconds = history.seconds();
        assert_eq!((seconds.len(), history.elections().len()), (SECONDS, ELECTIONS));
        assert!(seconds.iter().all(|second| (second.flushes, second.executed) == (1, 2)), "{seconds:?}");
        assert!(history.marks.len() <= MARKS);
        assert_eq!(history.latencies(&timings).flush.count, 600, "counts are since the start");
    }
}
