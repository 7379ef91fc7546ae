//! A network that misbehaves on order: between every two members one socket a direction, whose datagrams may be lost,
//! delayed, doubled, reordered or held back.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the network does at present.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    /// Odds that a datagram is lost.
    pub(crate) loss: f64,
    /// Odds that it comes twice.
    pub(crate) doubled: f64,
    /// How many microseconds it takes, beyond what it takes anyway.
    pub(crate) delay: Range<u64>,
    /// Directions, from member to member, in which nothing passes.
    pub(crate) cuts: BTreeSet<(usize, usize)>,
}

/// The sockets between members.
pub(crate) struct Proxy {
    /// Where member *i* sends what is for member *j*.
    addresses: Vec<Vec<SocketAddr>>,
    weather: Arc<Mutex<Weather>>,
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Stands between members that listen at these addresses.
    pub(crate) fn between(members: &[SocketAddr], seed: u64) -> Proxy {
        let mut proxy = Proxy {
            addresses: Vec::new(),
            weather: Arc::default(),
            stop: Arc::default(),
            passed: Arc::default(),
            threads: Vec::new(),
        };
        let ends: Vec<Vec<UdpSocket>> = members
            .iter()
            .map(|_| {
                members.iter().map(|_| UdpSocket::bind("127.0.0.1:0").expect("a loopback socket")).collect()
            })
            .collect();
        for from in 0..members.len() {
            let mut row = Vec::new();
            for (to, target) in members.iter().enumerate() {
                let clone =
                    |from: usize, to: usize| ends[from][to].try_clone().expect("one more of a socket");
                row.push(ends[from][to].local_addr().expect("its address"));
                if from != to {
                    let direction = Direction {
                        from,
                        to,
                        target: *target,
                        socket: clone(from, to),
                        // What comes to a member comes from where it sends what is for the other: it may answer there.
                        out: clone(to, from),
                        rng: fastrand::Rng::with_seed(seed ^ ((from * 64 + to) as u64)),
                        weather: proxy.weather.clone(),
                        stop: proxy.stop.clone(),
                        passed: proxy.passed.clone(),
                    };
                    proxy.threads.push(std::thread::spawn(move || direction.run()));
                }
            }
            proxy.addresses.push(row);
        }
        proxy
    }

    /// Where member `from` is to send what is for member `to`.
    pub(crate) fn address(&self, from: usize, to: usize) -> SocketAddr {
        self.addresses[from][to]
    }

    /// Changes the weather.
    pub(crate) fn weather(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.weather.lock().expect("no thread panics with it"));
    }

    /// Datagrams that passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed why, and the test will notice that nothing passed.
            let _ = thread.join();
        }
    }
}

struct Direction {
    from: usize,
    to: usize,
    target: SocketAddr,
    socket: UdpSocket,
    out: UdpSocket,
    rng: fastrand::Rng,
    weather: Arc<Mutex<Weather>>,
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
}

impl Direction {
    fn run(mut self) {
        let mut held: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>> = BinaryHeap::new();
        let mut buffer = vec![0; 65_536];
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            while held.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
                let Some(Reverse((_, _, datagram))) = held.pop() else { break };
                self.passed.fetch_add(1, Ordering::Relaxed);
                // A receiver that is down is what this is for.
                let _ = self.out.send_to(&datagram, self.target);
            }
            let wait = held.peek().map_or(Duration::from_millis(20), |Reverse((at, _, _))| {
                at.saturating_duration_since(now).clamp(Duration::from_micros(50), Duration::from_millis(20))
            });
            self.socket.set_read_timeout(Some(wait)).expect("a timeout that is not zero");
            let length = match self.socket.recv_from(&mut buffer) {
                Ok((length, _)) => length,
                Err(error) => {
                    let harmless = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionRefused];
                    assert!(harmless.contains(&error.kind()), "{error}");
                    continue;
                }
            };
            let weather = self.weather.lock().expect("no thread panics with it").clone();
            if weather.cuts.contains(&(self.from, self.to)) || self.rng.f64() < weather.loss {
                continue;
            }
            let copies = if self.rng.f64() < weather.doubled { 2 } else { 1 };
            for _ in 0..copies {
                let Range { start, end } = weather.delay;
                let delay = if end > start { self.rng.u64(start..end) } else { start };
                number += 1;
                let at = Instant::now() + Duration::from_micros(delay);
                held.push(Reverse((at, number, buffer[..length].to_vec())));
            }
        }
    }
}
