//! An exploration that was given limits gives up soon after it reaches one of them.

use crate::report::{Options, Why};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The time and memory used since the start, and what is left of them.
pub(crate) struct Budget<'o> {
    options: &'o Options<'o>,
    start: Instant,
    resident: u64,
}

impl<'o> Budget<'o> {
    pub(crate) fn start(options: &'o Options<'o>) -> Self {
        Self { options, start: Instant::now(), resident: resident_bytes() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Bytes in use: what the tables say, or how much the process grew if that is more, as the tables cannot
    /// see what the values in them own.
    pub(crate) fn memory(&self, tables: usize) -> u64 {
        resident_bytes().saturating_sub(self.resident).max(tables as u64)
    }

    /// Why to give up now, if there is a reason that can be seen without knowing the memory.
    pub(crate) fn check(&self) -> Option<Why> {
        if self.options.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Some(Why::Interrupted);
        }
        self.options.time.is_some_and(|time| self.elapsed() >= time).then_some(Why::Time)
    }

    /// Why to give up now, if there is a reason.
    pub(crate) fn check_all(&self, tables: usize) -> Option<Why> {
        let full = self.options.memory.is_some_and(|limit| self.memory(tables) > limit);
        self.check().or(full.then_some(Why::Memory))
    }
}

/// The memory of the process that is in use, where the system tells.
fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE
}
