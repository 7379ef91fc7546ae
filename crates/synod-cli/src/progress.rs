//! One live line on stderr while models are explored; nothing there, but for a sign of life, when it is no terminal.

use crate::output::{bytes, grouped, seconds};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use synod_explore::Progress;
use synod_model::Model;

/// The time after which the rate so far says something of what follows.
const STEADY: Duration = Duration::from_secs(2);

/// Shows how far a run has come.
pub struct Live<'m> {
    terminal: bool,
    every: Duration,
    models: &'m [Model],
    now: Mutex<Now>,
}

/// What is explored at the moment, by the place of its model, and what was told of it last.
struct Now {
    last: Instant,
    ended: usize,
    running: BTreeMap<usize, Option<Told>>,
}

/// How far one exploration has come.
struct Told {
    unique: u64,
    depth: usize,
    frontier: u64,
    memory: u64,
    elapsed: Duration,
}

impl<'m> Live<'m> {
    /// For a run of these models.
    pub fn new(models: &'m [Model]) -> Self {
        let terminal = stderr().is_terminal();
        let every = Duration::from_millis(if terminal { 200 } else { 15_000 });
        let now = Now { last: Instant::now(), ended: 0, running: BTreeMap::new() };
        Live { terminal, every, models, now: Mutex::new(now) }
    }

    /// A model is begun.
    pub fn started(&self, index: usize) {
        self.lock().running.insert(index, None);
    }

    /// A model has ended.
    pub fn ended(&self, index: usize) {
        let mut now = self.lock();
        now.running.remove(&index);
        now.ended += 1;
    }

    /// Called by the explorer now and then.
    pub fn show(&self, index: usize, progress: &Progress) {
        let Ok(mut now) = self.now.try_lock() else { return };
        let told = Told {
            unique: progress.unique,
            depth: progress.depth,
            frontier: progress.frontier,
            memory: progress.memory_bytes,
            elapsed: progress.elapsed,
        };
        now.running.insert(index, Some(told));
        if now.last.elapsed() < self.every {
            return;
        }
        now.last = Instant::now();
        let text = self.text(&now);
        // Trouble with stderr is no reason to stop checking. A line that is too long is cut, not wrapped: only one
        // line can be taken back.
        let _ = if self.terminal {
            write!(stderr(), "\r\x1b[2K\x1b[?7l{text}\x1b[?7h")
        } else {
            writeln!(stderr(), "{text}")
        };
        let _ = stderr().flush();
    }

    /// Takes the line away, so that something else can be written.
    pub fn clear(&self) {
        if self.terminal {
            let _now = self.lock();
            let _ = write!(stderr(), "\r\x1b[2K");
            let _ = stderr().flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().expect("nobody panics while holding it")
    }

    fn text(&self, now: &Now) -> String {
        let of = self.models.len();
        let mut running = now.running.iter();
        if let (Some((index, told)), None) = (running.next(), running.next()) {
            let told = told.as_ref().map(|told| self.whole(*index, told)).unwrap_or_default();
            return format!("[{}/{of}] {}{told}", (now.ended + 1).min(of), self.models[*index].name);
        }
        let short = |(index, told): (&usize, &Option<Told>)| {
            let states = told.as_ref().map(|told| format!(" {} states", grouped(told.unique)));
            format!("{}{}", self.models[*index].name, states.unwrap_or_default())
        };
        let running: Vec<String> = now.running.iter().map(short).collect();
        format!("[{}/{of}] {}", now.ended, running.join(", "))
    }

    /// All that is known of a model that is explored by itself.
    fn whole(&self, index: usize, told: &Told) -> String {
        let rate = told.unique as f64 / told.elapsed.as_secs_f64().max(0.001);
        // The only honest estimate is one that knows the size: from the count that the model's file states.
        let expected = self.models[index].file.expect.unique_states;
        let tells = |expected: &u64| {
            *expected > told.unique && told.unique > *expected / 100 && told.elapsed >= STEADY
        };
        let left = expected.filter(tells).map(|expected| {
            let left = (expected - told.unique) as f64 / rate.max(1.0);
            format!(", about {} left (by the file's count)", seconds(Duration::from_secs_f64(left)))
        });
        format!(
            ": {} states, {}/s, depth {}, queue {}, {}, {}{}",
            grouped(told.unique),
            grouped(rate as u64),
            told.depth,
            grouped(told.frontier),
            bytes(told.memory),
            seconds(told.elapsed),
            left.unwrap_or_default(),
        )
    }
}
