//! Measures explorations: each in a process of its own, so that memory begins clean, and in processor time, so
//! that whoever else uses the machine disturbs less.

use rustix::time::{ClockId, clock_gettime};
use std::fmt::{self, Display, Formatter};
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

/// The counts and costs of one exploration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Distinct states.
    pub(crate) unique: u64,
    /// Successors, repeats included.
    pub(crate) generated: u64,
    /// The greatest depth of a state.
    pub(crate) depth: u64,
    /// The bytes that the explorer reports to keep, if it reports them.
    pub(crate) kept: u64,
    /// Nanoseconds of all processors until the verdict.
    pub(crate) cpu: u64,
    /// Nanoseconds on the wall until the verdict.
    pub(crate) wall: u64,
    /// By how many bytes resident memory grew at its peak.
    pub(crate) resident: u64,
}

impl Measured {
    /// Distinct states a second of processor time.
    pub(crate) fn rate(&self) -> f64 {
        self.unique as f64 * 1e9 / self.cpu as f64
    }

    /// Nanoseconds of processor time a successor.
    pub(crate) fn per_successor(&self) -> f64 {
        self.cpu as f64 / self.generated as f64
    }

    fn numbers(&self) -> [u64; 7] {
        let Self { unique, generated, depth, kept, cpu, wall, resident } = *self;
        [unique, generated, depth, kept, cpu, wall, resident]
    }
}

/// The processor time this process used so far, in nanoseconds.
fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A figure of this process's memory in bytes, zero where the system does not tell.
fn memory(figure: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Measures what explores and says what it visited: unique, generated, depth and what it says it keeps.
pub(crate) fn measure(explore: impl FnOnce() -> [u64; 4]) -> Measured {
    let resident = memory("VmRSS:");
    let (cpu, wall) = (cpu_time(), Instant::now());
    let [unique, generated, depth, kept] = explore();
    let wall = wall.elapsed().as_nanos() as u64;
    let cpu = cpu_time() - cpu;
    let resident = memory("VmHWM:").saturating_sub(resident);
    Measured { unique, generated, depth, kept, cpu, wall, resident }
}

/// In a child: tells the parent.
pub(crate) fn tell(measured: &Measured) {
    println!("{}", measured.numbers().map(|number| number.to_string()).join(" "));
}

/// Runs this program again with these arguments and hears what it measured.
pub(crate) fn child(args: &[&str]) -> Measured {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(args).output().expect("this program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [unique, generated, depth, kept, cpu, wall, resident] = numbers[..] else {
        panic!("{args:?} failed: {}", String::from_utf8_lossy(&output.stderr))
    };
    Measured { unique, generated, depth, kept, cpu, wall, resident }
}

/// A number without a pattern; each number gives another one.
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What the machine allows: so many inserts of 8-byte fingerprints, so many of them distinct, into a table that has
/// its size from the start, with linear probing.
///
/// New and repeated ones come mixed as in an exploration. The homes of a batch are read before the first is probed, so
/// that their cache misses overlap; no exploration can look a state up for less without looking up less.
pub(crate) fn limit(unique: u64, generated: u64) -> Measured {
    const BATCH: usize = 64;
    const EMPTY: u64 = 0;
    let slots = (unique * 3 / 2).max(BATCH as u64).next_power_of_two() as usize;
    let mut table = vec![1u64; slots];
    // Written before the clock runs: the system's work of handing out pages is not the table's.
    table.fill(EMPTY);
    black_box(&mut table);
    let home = |key: u64| (key >> 20) as usize & (slots - 1);
    measure(|| {
        let (mut inserted, mut batch) = (0u64, [EMPTY; BATCH]);
        let (mut found, mut due) = (0u64, 0u64);
        for first in (0..generated).step_by(BATCH) {
            let count = (generated - first).min(BATCH as u64) as usize;
            for (key, ordinal) in batch[..count].iter_mut().zip(first..) {
                // One in so many is new, and the others repeat one of those before: without a division, as the
                // table is to be measured and not the making of its keys.
                due += unique;
                let index = if due >= generated {
                    due -= generated;
                    found += 1;
                    found - 1
                } else {
                    ((scatter(!ordinal) >> 32) * found) >> 32
                };
                *key = scatter(index).max(1);
            }
            let batch = &batch[..count];
            black_box(batch.iter().fold(0, |sum, key| sum ^ table[home(*key)]));
            for key in batch {
                let mut slot = home(*key);
                while table[slot] != *key {
                    if table[slot] == EMPTY {
                        table[slot] = *key;
                        inserted += 1;
                        break;
                    }
                    slot = (slot + 1) & (slots - 1);
                }
            }
        }
        [inserted, generated, 0, slots as u64 * 8]
    })
}

/// The middle of what was measured in several rounds, and how far apart the rounds are.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(figures.len() / 2), low: at(0), high: at(figures.len().wrapping_sub(1)) }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.median < 100.0);
        write!(f, "{:.digits$}", self.median)?;
        // Of one round there is nothing more to say.
        if self.low < self.high {
            write!(f, " ({:.digits$}-{:.digits$})", self.low, self.high)
        } else {
            Ok(())
        }
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The options of the command line.
pub(crate) struct Asked {
    /// The number of rounds.
    pub(crate) rounds: usize,
    /// Small systems only, once.
    pub(crate) quick: bool,
    /// Only what has this in its name.
    pub(crate) only: String,
}

impl Asked {
    pub(crate) fn new(args: &[String]) -> Self {
        let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
        let quick = args.iter().any(|arg| arg == "--quick");
        let rounds = after("--rounds").map_or(if quick { 1 } else { 5 }, |n| n.parse().expect("a number"));
        Self { rounds, quick, only: after("--only").cloned().unwrap_or_default() }
    }
}
