//! A simulated world for the very same loop: network, disks and time, all drawn from one seed.
//!
//! Nothing here imitates the loop. A [`World`] owns nodes whose wire is [`SimWire`] and whose disk is a
//! [`SimDisk`]. It wakes each node when its time has come or a datagram arrived. What nodes send may be lost, delayed, doubled, reordered
//! or held back by cuts. The same seed gives the same run, byte for byte.

use crate::Stopped;
use crate::changes::Changes;
use crate::door::Door;
use crate::node::Node;
use crate::sim_disk::{SimDir, SimDisk};
use crate::wire::Wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::Actor;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// The effect of the network on datagrams.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Odds that a datagram is lost.
    pub loss: f64,
    /// Odds that it comes twice.
    pub doubled: f64,
    /// The time that it takes; a wide range reorders.
    pub delay: Range<Duration>,
}

impl Default for Weather {
    fn default() -> Weather {
        Weather { loss: 0.0, doubled: 0.0, delay: Duration::from_micros(50)..Duration::from_micros(150) }
    }
}

/// The rate of a process's clock: the parts in a million that it gains, or loses if negative.
#[derive(Clone, Copy, Default)]
struct Rate(i32);

impl Rate {
    const MILLION: u128 = 1_000_000;

    fn parts(self) -> u128 {
        u128::try_from(1_000_000 + i64::from(self.0)).unwrap_or_default().max(1)
    }

    /// The time that its clock shows after a real time.
    fn shown(self, real: Duration) -> Duration {
        nanoseconds(real.as_nanos() * self.parts() / Rate::MILLION)
    }

    /// The first real time after which its clock shows this one.
    fn real(self, shown: Duration) -> Duration {
        nanoseconds(shown.as_nanos().saturating_mul(Rate::MILLION).div_ceil(self.parts()))
    }
}

fn nanoseconds(ns: u128) -> Duration {
    u64::try_from(ns).map_or(Duration::MAX, Duration::from_nanos)
}

/// The simulated network and its clock.
pub struct Net {
    now: Duration,
    /// The rates of clocks that do not keep time, by the addresses of their processes.
    rates: BTreeMap<SocketAddr, Rate>,
    rng: fastrand::Rng,
    /// The present effect on datagrams.
    pub weather: Weather,
    /// Directions in which nothing passes: from, to.
    pub cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    flying: BTreeMap<(Duration, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    arrived: BTreeMap<SocketAddr, VecDeque<(SocketAddr, Vec<u8>)>>,
    sent: u64,
    /// A running checksum over everything that was sent, in order: equal for equal runs.
    digest: u64,
}

impl Net {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8], late: Duration) {
        self.sent += 1;
        self.digest = xxhash_rust::xxh3::xxh3_64_with_seed(datagram, self.digest);
        if self.cuts.contains(&(from, to)) || self.rng.f64() < self.weather.loss {
            return;
        }
        let copies = if self.rng.f64() < self.weather.doubled { 2 } else { 1 };
        for copy in 0..copies {
            let Range { start, end } = self.weather.delay;
            let spread = u64::try_from(end.saturating_sub(start).as_nanos()).unwrap_or(u64::MAX).max(1);
            let at = self.now + late + start + Duration::from_nanos(self.rng.u64(..spread));
            self.flying.insert((at, self.sent * 2 + copy), (from, to, datagram.to_vec()));
        }
    }
}

/// One process's end of the simulated network.
pub struct SimWire {
    net: Rc<RefCell<Net>>,
    address: SocketAddr,
    /// The time when the process began, at which its own clock starts.
    began: Duration,
    rate: Rate,
    /// The disk that the process waits for; its waits up to the present turn, and when that began.
    disk: Option<(SimDisk, Duration, Duration)>,
}

impl SimWire {
    /// The same wire for a process that waits for this disk: what it sends after a slow flush leaves later.
    #[must_use]
    pub fn behind(self, disk: &SimDisk) -> SimWire {
        SimWire { disk: Some((disk.clone(), disk.waited(), Duration::MAX)), ..self }
    }

    /// The time that the disk has taken in the present turn.
    fn late(&mut self) -> Duration {
        let now = self.net.borrow().now;
        let Some((disk, before, turn)) = &mut self.disk else { return Duration::ZERO };
        if *turn != now {
            (*before, *turn) = (disk.waited(), now);
        }
        disk.waited().saturating_sub(*before)
    }
}

impl Wire for SimWire {
    fn now(&mut self) -> Duration {
        let late = self.late();
        self.rate.shown((self.net.borrow().now + late).saturating_sub(self.began))
    }

    fn receive(
        &mut self,
        _: Duration,
        take: &mut dyn FnMut(Duration, SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        let now = self.now();
        for _ in 0..64 {
            let next = self.net.borrow_mut().arrived.get_mut(&self.address).and_then(VecDeque::pop_front);
            let Some((from, mut datagram)) = next else { break };
            take(now, from, &mut datagram);
        }
        Ok(())
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        let late = self.late();
        self.net.borrow_mut().send(self.address, to, datagram, late);
    }

    fn flush(&mut self) {}
}

/// A process of a simulated world: a node, or a node with what its owner does before and after each turn.
pub trait Living {
    /// The reason why it ends.
    type Stopped;

    /// The time at which it wants a turn even if nothing arrives, by its own clock.
    fn wakes(&mut self) -> Duration;

    /// One turn.
    ///
    /// # Errors
    /// The reason why it ends.
    fn turn(&mut self) -> Result<(), Self::Stopped>;

    /// The time that the last turn took, as with a slow disk. Nothing arrives meanwhile.
    fn took(&self) -> Duration {
        Duration::ZERO
    }
}

/// A node in a simulated world.
pub type SimNode<A, C> = Node<A, C, SimDir, SimWire>;

impl<A, C> Living for SimNode<A, C>
where
    A: Actor,
    A::Msg: Serialize + DeserializeOwned,
    A::Timer: Serialize,
    C: Changes<A::Storage> + Door<A>,
{
    type Stopped = Stopped<A>;

    fn wakes(&mut self) -> Duration {
        Node::wakes(self)
    }

    fn turn(&mut self) -> Result<(), Stopped<A>> {
        Node::turn(self, Duration::ZERO)
    }
}

/// Processes, their disks and the network between them.
pub struct World<L> {
    net: Rc<RefCell<Net>>,
    nodes: Vec<Option<Running<L>>>,
    rng: fastrand::Rng,
}

struct Running<L> {
    node: L,
    began: Duration,
    rate: Rate,
    /// The end of its present turn.
    until: Duration,
    address: SocketAddr,
}

/// The address of the process at a place.
pub fn address(place: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, (place >> 8) as u8, place as u8)), 7000)
}

impl<L: Living> World<L> {
    /// An empty world.
    pub fn new(seed: u64) -> World<L> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let net = Net {
            now: Duration::ZERO,
            rates: BTreeMap::new(),
            rng: rng.fork(),
            weather: Weather::default(),
            cuts: BTreeSet::new(),
            flying: BTreeMap::new(),
            arrived: BTreeMap::new(),
            sent: 0,
            digest: seed,
        };
        World { net: Rc::new(RefCell::new(net)), nodes: Vec::new(), rng }
    }

    /// Randomness for whoever builds processes or faults, from the same seed.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// The time since the world began.
    pub fn now(&self) -> Duration {
        self.net.borrow().now
    }

    /// Changes the network: its weather and its cuts.
    pub fn net(&self, change: impl FnOnce(&mut Net)) {
        change(&mut self.net.borrow_mut());
    }

    /// A checksum over every datagram sent so far, in order.
    pub fn digest(&self) -> u64 {
        self.net.borrow().digest
    }

    /// Datagrams sent so far.
    pub fn sent(&self) -> u64 {
        self.net.borrow().sent
    }

    /// The wire of the process at a place. Datagrams on their way to an earlier process there will reach this one.
    pub fn wire(&self, place: usize) -> SimWire {
        let mut net = self.net.borrow_mut();
        net.arrived.entry(address(place)).or_default().clear();
        let rate = net.rates.get(&address(place)).copied().unwrap_or_default();
        SimWire { net: self.net.clone(), address: address(place), began: net.now, rate, disk: None }
    }

    /// Has the clock of each process that is started at a place from now on gain so many parts in a million, or lose them if negative: more
    /// than -1,000,000.
    pub fn set_rate(&mut self, place: usize, gains: i32) {
        self.net.borrow_mut().rates.insert(address(place), Rate(gains));
    }

    /// Puts a process at a place, which must be free. It must have been built with the place's [`World::wire`].
    ///
    /// # Panics
    /// When the place is taken.
    pub fn start(&mut self, place: usize, node: L) {
        if self.nodes.len() <= place {
            self.nodes.resize_with(place + 1, || None);
        }
        assert!(self.nodes[place].is_none(), "place {place} is taken");
        let began = self.now();
        let rate = self.net.borrow().rates.get(&address(place)).copied().unwrap_or_default();
        self.nodes[place] = Some(Running { node, began, rate, until: began, address: address(place) });
    }

    /// Ends a process between two turns of its loop, without a word. The effect on its disk is a separate call:
    /// [`crate::sim_disk::SimDisk::crash`].
    pub fn kill(&mut self, place: usize) -> bool {
        self.nodes.get_mut(place).is_some_and(|node| node.take().is_some())
    }

    /// The process at a place.
    pub fn node(&mut self, place: usize) -> Option<&mut L> {
        self.nodes.get_mut(place)?.as_mut().map(|running| &mut running.node)
    }

    /// Lets time pass until `until`. A process that stops is removed and reported, and time stands still there.
    ///
    /// # Errors
    /// The place and the reason.
    pub fn run(&mut self, until: Duration) -> Result<(), (usize, L::Stopped)> {
        loop {
            let now = self.now();
            self.arrive(now);
            let mut next = until;
            for place in 0..self.nodes.len() {
                let Some(running) = &mut self.nodes[place] else { continue };
                if running.until > now {
                    next = next.min(running.until);
                    continue;
                }
                let inbox =
                    self.net.borrow().arrived.get(&running.address).is_some_and(|all| !all.is_empty());
                let mut wakes = running.began.saturating_add(running.rate.real(running.node.wakes()));
                if inbox || wakes <= now {
                    if let Err(stopped) = running.node.turn() {
                        self.nodes[place] = None;
                        return Err((place, stopped));
                    }
                    running.until = now + running.node.took();
                    wakes = running.began.saturating_add(running.rate.real(running.node.wakes()));
                    if self.net.borrow().arrived.get(&running.address).is_some_and(|all| !all.is_empty()) {
                        wakes = now;
                    }
                    // A turn takes time: otherwise a process with endless work would stop the world.
                    wakes = wakes.max(now + Duration::from_micros(1)).max(running.until);
                }
                next = next.min(wakes);
            }
            if now >= until {
                return Ok(());
            }
            let mut net = self.net.borrow_mut();
            let arrives = net.flying.first_key_value().map_or(Duration::MAX, |((at, _), _)| *at);
            net.now = next.min(arrives).max(now).min(until);
        }
    }

    fn arrive(&mut self, now: Duration) {
        let mut net = self.net.borrow_mut();
        while let Some(entry) = net.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let (from, to, datagram) = entry.remove();
            let inbox = net.arrived.entry(to).or_default();
            // A datagram that the kernel's buffer cannot take is lost, as with sockets.
            if inbox.len() < 4096 {
                inbox.push_back((from, datagram));
            }
        }
    }
}
