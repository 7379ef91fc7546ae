//! A load in closed loops: each client begins its next operation when the last one is answered.

use crate::members::processor_seconds;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The bytes of a value.
pub const VALUE: usize = 256;

/// The time of a measurement: some seconds that do not count, and some that do.
#[derive(Clone, Copy)]
pub struct Window {
    pub warm_up: Duration,
    pub counted: Duration,
}

/// The outcome of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub cpu_per_1000: f64,
    /// Flushes per operation and node, where the system tells.
    pub flushes: Option<f64>,
}

/// Collects the operations that end within the window.
pub struct Meter {
    begins: Instant,
    ends: Instant,
    micros: Vec<u32>,
}

impl Meter {
    fn new(start: Instant, window: Window) -> Meter {
        let begins = start + window.warm_up;
        Meter { begins, ends: begins + window.counted, micros: Vec::new() }
    }

    pub fn count(&mut self, asked: Instant, answered: Instant) {
        if answered >= self.begins && answered < self.ends {
            self.micros.push((answered - asked).as_micros() as u32);
        }
    }
}

/// Runs a load and reads the processes' time and flushes at both ends of the window.
pub fn measure(
    window: Window,
    processes: &[u32],
    nodes: usize,
    flushes: impl Fn() -> Option<u64> + Send + Sync,
    load: impl FnOnce(&mut Meter) -> io::Result<()>,
) -> io::Result<Measured> {
    let start = Instant::now();
    let mut meter = Meter::new(start, window);
    let failed = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (flushes, stop) = (&flushes, failed.clone());
        let reader = scope.spawn(move || {
            let read = || (processor_seconds(processes), flushes());
            std::thread::sleep(window.warm_up);
            let before = read();
            std::thread::sleep(if stop.load(Ordering::Relaxed) { Duration::ZERO } else { window.counted });
            (before, read())
        });
        let loaded = load(&mut meter);
        failed.store(loaded.is_err(), Ordering::Relaxed);
        loaded?;
        let (before, after) = reader.join().expect("it only reads");
        let mut micros = std::mem::take(&mut meter.micros);
        micros.sort_unstable();
        let count = micros.len();
        if count == 0 {
            return Err(io::Error::other("no operation was answered"));
        }
        let at = |part: f64| f64::from(micros[((count as f64 * part) as usize).min(count - 1)]) / 1000.0;
        let flushes = before.1.zip(after.1).map(|(before, after)| (after - before) as f64);
        Ok(Measured {
            per_second: count as f64 / window.counted.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            cpu_per_1000: (after.0 - before.0) / count as f64 * 1000.0,
            flushes: flushes.map(|flushes| flushes / count as f64 / nodes as f64),
        })
    })
}

/// Closed loops as tasks of one thread. `ask` is called with the number of the client and of its operation.
pub fn tasks<F: Future<Output = io::Result<()>> + 'static>(
    runtime: &tokio::runtime::Runtime,
    clients: usize,
    meter: &mut Meter,
    ask: impl Fn(usize, u64) -> F + Clone + 'static,
) -> io::Result<()> {
    let local = tokio::task::LocalSet::new();
    let ends = meter.ends;
    let loops: Vec<_> = (0..clients)
        .map(|client| {
            let ask = ask.clone();
            local.spawn_local(async move {
                let mut times = Vec::new();
                for number in 0.. {
                    let asked = Instant::now();
                    if asked >= ends {
                        break;
                    }
                    ask(client, number).await?;
                    times.push((asked, Instant::now()));
                }
                Ok::<_, io::Error>(times)
            })
        })
        .collect();
    local.block_on(runtime, async {
        for task in loops {
            for (asked, answered) in task.await.map_err(io::Error::other)?? {
                meter.count(asked, answered);
            }
        }
        Ok(())
    })
}

/// Closed loops as threads. `client` makes what a client needs, in its own thread, and then asks with the number of its operation.
pub fn threads<A: FnMut(u64) -> io::Result<()>>(
    clients: usize,
    meter: &mut Meter,
    client: impl Fn(usize) -> io::Result<A> + Sync,
) -> io::Result<()> {
    let ends = meter.ends;
    std::thread::scope(|scope| {
        let run = |number| {
            let client = &client;
            scope.spawn(move || {
                let mut ask = client(number)?;
                let mut times = Vec::new();
                for number in 0.. {
                    let asked = Instant::now();
                    if asked >= ends {
                        break;
                    }
                    ask(number)?;
                    times.push((asked, Instant::now()));
                }
                Ok::<_, io::Error>(times)
            })
        };
        let loops: Vec<_> = (0..clients).map(run).collect();
        for one in loops {
            for (asked, answered) in one.join().expect("a client does not panic")? {
                meter.count(asked, answered);
            }
        }
        Ok(())
    })
}

/// A key of a client.
pub fn key(client: usize, number: u64) -> String {
    format!("client-{client}-{}", number % 100)
}
