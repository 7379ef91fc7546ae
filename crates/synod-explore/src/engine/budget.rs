//! Limits of time and memory. An exploration gives up soon after it reaches one of them.

use crate::report::{Options, Why};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time and memory used since the start, and the limits on them.
pub(crate) struct Budget<'o> {
    options: &'o Options<'o>,
    start: Instant,
    resident: u64,
    /// A test asks to stop after so many looks.
    looks: Option<AtomicU64>,
    /// The time of the next look at the memory, in microseconds since the start.
    next: AtomicU64,
}

/// Microseconds between two looks at the memory, as a look takes some itself.
const BETWEEN: u64 = 1000;

impl<'o> Budget<'o> {
    pub(crate) fn start(options: &'o Options<'o>) -> Self {
        Self {
            options,
            start: Instant::now(),
            resident: resident_bytes(),
            looks: None,
            next: AtomicU64::new(0),
        }
    }

    /// Gives up at a look, counted from 1, so that a test can interrupt an exploration wherever that is possible.
    #[cfg(test)]
    pub(crate) fn until(mut self, look: u64) -> Self {
        self.looks = Some(AtomicU64::new(look));
        self
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Bytes in use: those that the tables count, or the growth of the process if that is more, as the tables cannot
    /// see memory that their values own.
    pub(crate) fn memory(&self, tables: usize) -> u64 {
        resident_bytes().saturating_sub(self.resident).max(tables as u64)
    }

    /// The reason to give up now, if there is one that does not depend on the memory.
    pub(crate) fn check(&self) -> Option<Why> {
        let left = |left: u64| Some(left.saturating_sub(1));
        let last = self.looks.as_ref().is_some_and(|looks| {
            looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok_and(|left| left <= 1)
        });
        if last || self.options.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Some(Why::Interrupted);
        }
        self.options.time.is_some_and(|time| self.elapsed() >= time).then_some(Why::Time)
    }

    /// The reason to give up now, if there is one. It is cheap to call often: the memory is looked at now and then.
    pub(crate) fn look(&self, tables: impl FnOnce() -> usize) -> Option<Why> {
        let given_up = self.check();
        if given_up.is_some() || self.options.memory.is_none() {
            return given_up;
        }
        let now = self.elapsed().as_micros() as u64;
        if now < self.next.load(Ordering::Relaxed) {
            return None;
        }
        self.next.store(now + BETWEEN, Ordering::Relaxed);
        self.is_full(tables()).then_some(Why::Memory)
    }

    fn is_full(&self, tables: usize) -> bool {
        self.options.memory.is_some_and(|limit| self.memory(tables) > limit)
    }

    /// The reason to give up now, if there is one.
    pub(crate) fn check_all(&self, tables: usize) -> Option<Why> {
        self.check().or(self.is_full(tables).then_some(Why::Memory))
    }
}

/// The memory of the process that is in use, if the system reports it.
fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE
}
