//! One live line on stderr while a model is explored; nothing there, but for a sign of life, when it is no terminal.

use crate::output::{bytes, grouped, seconds};
use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use synod_explore::Progress;

/// Shows how far a run has come.
pub struct Live {
    terminal: bool,
    every: Duration,
    last: Mutex<Instant>,
    head: String,
    expected: Option<u64>,
}

impl Live {
    /// For one model: its place in the run, its name, and how many states its file says it has.
    pub fn new(place: usize, of: usize, name: &str, expected: Option<u64>) -> Live {
        let terminal = stderr().is_terminal();
        let every = Duration::from_millis(if terminal { 200 } else { 15_000 });
        let head = format!("[{place}/{of}] {name}");
        Live { terminal, every, last: Mutex::new(Instant::now()), head, expected }
    }

    /// Called by the explorer now and then.
    pub fn show(&self, progress: &Progress) {
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.elapsed() < self.every {
            return;
        }
        *last = Instant::now();
        let elapsed = progress.elapsed.as_secs_f64().max(0.001);
        let rate = progress.unique as f64 / elapsed;
        // The only honest estimate is one that knows the size: from the count that the model's file states.
        let left = self.expected.filter(|expected| *expected > progress.unique).map(|expected| {
            let left = (expected - progress.unique) as f64 / rate.max(1.0);
            format!(", about {} left (by the file's count)", seconds(Duration::from_secs_f64(left)))
        });
        let text = format!(
            "{}: {} states, {}/s, depth {}, queue {}, {}, {}{}",
            self.head,
            grouped(progress.unique),
            grouped(rate as u64),
            progress.depth,
            grouped(progress.frontier),
            bytes(progress.memory_bytes),
            seconds(progress.elapsed),
            left.unwrap_or_default(),
        );
        // Trouble with stderr is no reason to stop checking. A line that is too long is cut, not wrapped: only one
        // line can be taken back.
        let _ = if self.terminal {
            write!(stderr(), "\r\x1b[2K\x1b[?7l{text}\x1b[?7h")
        } else {
            writeln!(stderr(), "{text}")
        };
        let _ = stderr().flush();
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[2K");
            let _ = stderr().flush();
        }
    }
}
