//! Events a second through the loop: without a disk, with one, with a flight record; and through stateright's `spawn`,
//! the same actors, in the same run; and how fast what was recorded is replayed. Ratios are what counts: the figures of one machine say little about another.
//!
//! `cargo bench -p synod-server --bench runtime [-- --seconds N --rounds N --window N --size N]`

use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use synod::{Ask, Cluster, Instance, Msg, Process, Stable, Value};
use synod_replay::Records;
use synod_runtime::Counts;
use synod_runtime::changes::Whole;
use synod_runtime::disk::{DirDisk, Disk};
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::record::{Header, Recorder};
use synod_runtime::sim_disk::{SimDir, SimDisk};
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::{Config, Transport};
use synod_runtime::wire::{UdpWire, WireCounts};
use synod_server::{PaxosChanges, Wiring};

const MEMBERS: usize = 3;

/// The address on which a member listens.
type Place = SocketAddr;

/// Loopback addresses that were free a moment ago.
fn free(count: usize) -> Vec<Place> {
    let sockets: Vec<UdpSocket> =
        (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a loopback socket")).collect();
    sockets.iter().map(|socket| socket.local_addr().expect("its address")).collect()
}

/// Asks for one value after another, so many at a time, all of one member: the load.
#[derive(Clone)]
struct Load {
    server: Id,
    window: u64,
    value: Value,
    answered: Arc<AtomicU64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct LoadState {
    next: u64,
    waiting: std::collections::BTreeSet<u64>,
}

impl Actor for Load {
    type Msg = Msg;
    type Timer = ();
    type State = LoadState;
    type Storage = ();
    type Random = Infallible;

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> LoadState {
        let mut state = LoadState::default();
        for _ in 0..self.window {
            self.ask(&mut state, out);
        }
        out.set_timer((), Duration::from_millis(50)..Duration::from_millis(60));
        state
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, LoadState>, _: Id, msg: Msg, out: &mut Out<Self>) {
        if let Msg::Response { instance, .. } = msg {
            let state = state.to_mut();
            if state.waiting.remove(&instance.0) {
                self.answered.fetch_add(1, Ordering::Relaxed);
                self.ask(state, out);
            }
        }
    }

    /// Lost questions are asked again.
    fn on_timeout(&self, _: Id, state: &mut Cow<'_, LoadState>, (): &(), out: &mut Out<Self>) {
        let oldest = state.waiting.iter().take(16);
        for instance in oldest {
            out.send(
                self.server,
                Ask::Request { instance: Instance(*instance), value: self.value.clone() }.into(),
            );
        }
        out.set_timer((), Duration::from_millis(50)..Duration::from_millis(60));
    }
}

impl Load {
    fn ask(&self, state: &mut LoadState, out: &mut Out<Self>) {
        let instance = state.next;
        state.next += 1;
        state.waiting.insert(instance);
        out.send(
            self.server,
            Ask::Request { instance: Instance(instance), value: self.value.clone() }.into(),
        );
    }
}

/// The members of every cluster here.
fn wiring() -> Wiring {
    let retry = Duration::from_millis(400)..Duration::from_millis(800);
    Wiring {
        groups: 1,
        members: (0..MEMBERS as u64).collect(),
        retry,
        election: None,
        max_value: 64 << 10,
        log: None,
        changing: None,
        directory: None,
    }
}

/// The same server under other ids: `spawn` takes them from addresses.
fn server(ids: &[Id], number: u16) -> Process {
    let cluster = Cluster {
        acceptors: ids.to_vec(),
        proposers: ids.iter().copied().zip(0..).collect(),
        learners: ids.to_vec(),
        ..wiring().cluster()
    };
    match wiring().server(u64::from(number)) {
        Process::Server { number, retry, .. } => {
            Process::Server { cluster: Arc::new(cluster), number, retry }
        }
        other => other,
    }
}

/// One way to run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    NoDisk,
    Disk,
    Recorded,
}

/// The results.
struct Measured {
    events: u64,
    answers: u64,
    saves: u64,
    flushes: u64,
    wire: WireCounts,
    took: Duration,
    /// Bytes of the records, events re-run of them, and how many a second; if there are any.
    record: Option<(u64, u64, f64)>,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

fn settings(me: u64, places: &[Place], session: u8, standing: Standing, client: bool) -> Config {
    let peers = places.iter().enumerate().map(|(id, place)| (id as u64, *place));
    Config {
        cluster: 1,
        me,
        peers: peers.filter(|(id, _)| *id != me).collect(),
        first: None,
        cluster_keys: (!client).then(|| Keys::single([1; 32])),
        client_keys: Some(ClientKeys::single([2; 32], &Keys::single([1; 32]))),
        datagram: 1200,
        max_message: 4 << 20,
        max_client_message: 4 << 20,
        standing,
        session: [session; 16],
    }
}

fn member<D: Disk>(
    id: usize,
    places: &[Place],
    disk: D,
    recorder: Option<std::path::PathBuf>,
    stop: &AtomicBool,
) -> (Counts, WireCounts) {
    let who = Identity { cluster: 1, member: id as u64 };
    let members: Vec<u64> = (0..places.len() as u64).collect();
    let (store, _) =
        Store::<Stable, PaxosChanges, D>::open(disk, who, &members, id as u64 + 1).expect("a fresh disk");
    let standing = store.standing();
    let recorder = recorder.map(|path| {
        let application = postcard::to_allocvec(&wiring()).expect("plain data");
        let header = Header { cluster: 1, member: id as u64, disk: standing.disk, boot: 1, application };
        let file = std::fs::File::create(path).expect("a file");
        Recorder::create(Box::new(file), &header).expect("a file")
    });
    let wire = UdpWire::bind(places[id]).expect("the address was free");
    let rng = fastrand::Rng::with_seed(id as u64);
    let transport = Transport::new(settings(id as u64, places, id as u8 + 1, standing, false), rng.clone());
    let actor = wiring().server(id as u64);
    let mut node = Node::new(actor, transport, wire, Some(store), recorder, Limits::default(), rng);
    while !stop.load(Ordering::Relaxed) {
        let soon = node.now() + Duration::from_millis(50);
        node.turn(soon).expect("the loop goes on");
    }
    (node.counts().clone(), node.wire().counts())
}

fn load(places: &[Place], window: u64, size: usize, answered: Arc<AtomicU64>, stop: &AtomicBool) {
    let actor = Load { server: Id::from(0), window, value: Value::from(vec![7; size].as_slice()), answered };
    let wire = UdpWire::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a loopback socket");
    let rng = fastrand::Rng::with_seed(9);
    let transport = Transport::new(settings(FIRST_CLIENT, places, 9, Standing::default(), true), rng.clone());
    let mut node: Node<Load, Whole, SimDir, UdpWire> =
        Node::new(actor, transport, wire, None, None, Limits::default(), rng);
    while !stop.load(Ordering::Relaxed) {
        let soon = node.now() + Duration::from_millis(50);
        node.turn(soon).expect("the loop goes on");
    }
}

/// Three members and a load, each a thread with its own loop, on loopback.
fn ours(way: Way, window: u64, size: usize, seconds: u64) -> Measured {
    let folder = tempfile::tempdir().expect("a folder");
    let places = free(MEMBERS);
    let (stop, answered) = (AtomicBool::new(false), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let mut all = Measured {
        events: 0,
        answers: 0,
        saves: 0,
        flushes: 0,
        wire: WireCounts::default(),
        took: Duration::ZERO,
        record: None,
    };
    thread::scope(|scope| {
        let members: Vec<_> = (0..MEMBERS)
            .map(|id| {
                let (folder, places, stop) = (folder.path(), &places, &stop);
                scope.spawn(move || {
                    if way == Way::NoDisk {
                        let memory = SimDisk::new().open().expect("nobody else has it");
                        return member(id, places, memory, None, stop);
                    }
                    let disk = DirDisk::open(folder.join(id.to_string())).expect("a data directory");
                    let record = (way == Way::Recorded).then(|| folder.join(format!("flight-{id}.rec")));
                    member(id, places, disk, record, stop)
                })
            })
            .collect();
        scope.spawn(|| load(&places, window, size, answered.clone(), &stop));
        thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        for member in members {
            let (counts, wire) = member.join().expect("a member ran to the end");
            all.events += counts.steps;
            all.saves += counts.saves;
            all.flushes += counts.flushes;
            all.wire.sent += wire.sent;
            all.wire.send_calls += wire.send_calls;
        }
    });
    all.took = began.elapsed();
    all.answers = answered.load(Ordering::Relaxed);
    all.record = (way == Way::Recorded).then(|| replay(folder.path()));
    all
}

/// Re-runs what was recorded: bytes, events, events a second.
fn replay(folder: &Path) -> (u64, u64, f64) {
    let records = Records::read(&[folder.to_owned()]).expect("it was recorded");
    let size = |id| std::fs::metadata(folder.join(format!("flight-{id}.rec"))).map_or(0, |it| it.len());
    let bytes = (0..MEMBERS).map(size).sum();
    let began = Instant::now();
    let lives = records.lives().expect("every member recorded");
    let replayed = synod_replay::replay::<Process, PaxosChanges>(lives, synod_server::Wiring::server)
        .expect("it can be read");
    assert_eq!(replayed.verdict, None, "the replay found something");
    (bytes, replayed.events, replayed.events as f64 / began.elapsed().as_secs_f64())
}

/// stateright's `spawn` cannot be stopped, so it runs in a process of its own, which is ended.
fn theirs(window: u64, size: usize, seconds: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("answers");
    let mut child: Child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--spawn", &window.to_string(), &size.to_string(), &seconds.to_string()])
        .arg(&report)
        .current_dir(folder.path())
        .spawn()
        .expect("this program can be started");
    child.wait().expect("it ends itself");
    std::fs::read_to_string(&report).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The same actors through `spawn`, with what its users give it: JSON messages, JSON storage.
fn spawn(window: u64, size: usize, seconds: u64, report: &str) -> io::Result<()> {
    let places = free(MEMBERS + 1);
    let ids: Vec<Id> = places
        .iter()
        .map(|place| match place {
            SocketAddr::V4(v4) => Id::from(SocketAddrV4::new(*v4.ip(), v4.port())),
            SocketAddr::V6(_) => unreachable!("they were bound as IPv4"),
        })
        .collect();
    let answered = Arc::new(AtomicU64::new(0));
    let servers: Vec<(Id, Process)> =
        (0..MEMBERS).map(|index| (ids[index], server(&ids[..MEMBERS], index as u16))).collect();
    let load = Load {
        server: ids[0],
        window,
        value: Value::from(vec![7; size].as_slice()),
        answered: answered.clone(),
    };
    let client = ids[MEMBERS];
    thread::spawn(move || {
        stateright::actor::spawn(
            postcard_msg,
            |bytes| postcard::from_bytes::<Msg>(bytes).map_err(io::Error::other),
            |stable: &Stable| postcard::to_allocvec(stable).map_err(io::Error::other),
            |bytes| postcard::from_bytes::<Stable>(bytes).map_err(io::Error::other),
            servers,
        )
    });
    thread::sleep(Duration::from_millis(200));
    thread::spawn(move || {
        stateright::actor::spawn(
            postcard_msg,
            |bytes| postcard::from_bytes::<Msg>(bytes).map_err(io::Error::other),
            |(): &()| Ok::<Vec<u8>, io::Error>(Vec::new()),
            |_| Ok::<(), io::Error>(()),
            vec![(client, load)],
        )
    });
    thread::sleep(Duration::from_secs(seconds));
    std::fs::write(report, answered.load(Ordering::Relaxed).to_string())
}

fn postcard_msg(msg: &Msg) -> io::Result<Vec<u8>> {
    postcard::to_allocvec(msg).map_err(io::Error::other)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--spawn") {
        let number = |index: usize| args[at + index].parse().expect("this program wrote it");
        spawn(number(1), number(2) as usize, number(3), &args[at + 4]).expect("a report can be written");
        return;
    }
    let number = |name: &str, default: u64| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (seconds, rounds) = (number("--seconds", 3), number("--rounds", 3));
    println!(
        "3 members and a load on loopback; medians of {rounds} rounds of {seconds} s, taken in turn\n\
         an event is one message or timer through a handler; a value counts when its client was told"
    );
    let only = (number("--window", 0), number("--size", 0) as usize);
    let loads = [(1, 16), (64, 16), (1024, 16), (64, 4096)];
    let loads = if only == (0, 0) { loads.to_vec() } else { vec![only] };
    for (window, size) in loads {
        println!("\n{window} values of {size} bytes at a time");
        println!(
            "{:<14}{:>12}{:>12}{:>9}{:>20}{:>22}{:>16}",
            "",
            "events/s",
            "values/s",
            "ratio",
            "flushes/1000 events",
            "datagrams/1000 events",
            "datagrams/call"
        );
        let ways = [("no disk", Way::NoDisk), ("disk", Way::Disk), ("disk, record", Way::Recorded)];
        let mut measured: Vec<Vec<Measured>> = ways.iter().map(|_| Vec::new()).collect();
        let mut spawned: Vec<f64> = Vec::new();
        for round in 1..=rounds {
            eprintln!("{window} values of {size} bytes: round {round} of {rounds}");
            for ((_, way), all) in ways.iter().zip(&mut measured) {
                all.push(ours(*way, window, size, seconds));
            }
            spawned.push(theirs(window, size, seconds) as f64 / seconds as f64);
        }
        let base = median(&measured[0], Measured::rate);
        for ((name, _), all) in ways.iter().zip(&measured) {
            let per_1000 = |count: fn(&Measured) -> u64| {
                median(all, |it| count(it) as f64 * 1000.0 / it.events.max(1) as f64)
            };
            println!(
                "{name:<14}{:>12.0}{:>12.0}{:>9.2}{:>20.1}{:>22.1}{:>16.1}",
                median(all, Measured::rate),
                median(all, |it| it.answers as f64 / it.took.as_secs_f64()),
                median(all, Measured::rate) / base,
                per_1000(|it| it.flushes),
                per_1000(|it| it.wire.sent),
                median(all, |it| it.wire.sent as f64 / it.wire.send_calls.max(1) as f64),
            );
        }
        println!("{:<14}{:>12}{:>12.0}", "spawn", "", median(&spawned, |rate| *rate));
        // Of one round each, which were taken one after the other.
        let mut kept: Vec<f64> = measured[2]
            .iter()
            .zip(&measured[1])
            .map(|(with, without)| with.rate() / without.rate())
            .collect();
        kept.sort_by(f64::total_cmp);
        let (least, most) = (kept.first().copied().unwrap_or(0.0), kept.last().copied().unwrap_or(0.0));
        let of = |part: fn(&(u64, u64, f64)) -> f64| {
            median(&measured[2], |it| it.record.as_ref().map_or(0.0, part))
        };
        println!(
            "with a record {:.2} of what is done without ({least:.2} to {most:.2}), {:.0} bytes an event; {:.0} events \
             replayed, {:.0} a second",
            median(&kept, |it| *it),
            of(|(bytes, events, _)| *bytes as f64 / (*events).max(1) as f64),
            of(|(_, events, _)| *events as f64),
            of(|(_, _, rate)| *rate),
        );
    }
}

/// The middle one of what was measured.
fn median<T>(all: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut rates: Vec<f64> = all.iter().map(of).collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}
