//! Puts of one member while it takes snapshots of a large store, and its next start from them.
//!
//! `cargo bench -p synod-server --bench snapshots [-- --keys N --size N --every N --bytes N --alpha N --batch N --rounds N --seconds N
//! --data DIR]`
//!
//! A round is at least so many seconds of puts with at least one snapshot in them, and a start after it. What is not given is as in a
//! configuration that says nothing of it.

use stateright::actor::Id;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synod::{Ask, Cluster, Learning, Log, Msg, Process, QuorumRule, Quorums, Retry, Truncate, Value};
use synod_apply::{Applied, Compact};
use synod_groups::{Groups, InGroup};
use synod_machine::{
    Blob, Limits as SessionLimits, Lives, Operation, SessionCommand, SessionOutput, Sessions, Store as Kept,
    StoreCommand, StoreOutput, decode, encode,
};
use synod_runtime::disk::DirDisk;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::{LOCAL_CLIENT, Node};
use synod_runtime::store::Identity;
use synod_runtime::transport::{Config, Transport};
use synod_runtime::wire::UdpWire;
use synod_server::{Beside, LogSettings, MemberStore, UdpMember, WriterThread};

const CLUSTER: u64 = 5;
/// Sessions, and the puts that each has open.
const CLIENTS: u64 = 16;
const WINDOW: u64 = 16;

/// The sizes of a run.
#[derive(Clone, Copy)]
struct Sizes {
    keys: u64,
    size: usize,
    every: u64,
    bytes: u64,
    alpha: u64,
    batch: usize,
}

fn server(sizes: Sizes) -> Process {
    let machine =
        Sessions::new(Kept::default(), SessionLimits::default()).expect("there is room for a session");
    let machine: Applied<Kept, Compact> = Applied::new(machine);
    let settings = LogSettings::default();
    let truncate = Truncate {
        every: sizes.every,
        every_bytes: sizes.bytes,
        spare: settings.keep,
        spare_bytes: settings.keep_bytes,
        chunk: settings.chunk,
        ahead: 1,
        most: settings.longest_snapshot,
    };
    let log = Log {
        alpha: sizes.alpha,
        batch: sizes.batch,
        machine: Arc::new(machine),
        hold_off: None,
        catch_up: None,
        truncate: Some(truncate),
        master: None,
        members: None,
    };
    let me: Vec<Id> = vec![0.into()];
    let cluster = Cluster {
        quorums: Quorums::new(1, QuorumRule::Majority, QuorumRule::Majority).expect("one member"),
        acceptors: me.clone(),
        proposers: vec![(0.into(), 0)],
        learners: me,
        clients: Vec::new(),
        waiting_limit: 1024,
        learning: Learning::Everyone,
        nacks: true,
        report: 1 << 20,
        max_value: 1 << 20,
        max_accepted: 1 << 20,
        keeps: 64 << 20,
        log: Some(log),
        election: None,
    };
    let retry = Retry {
        on_nack: true,
        after: Some(Duration::from_millis(50)..Duration::from_millis(90)),
        doublings: 7,
    };
    Process::Server { cluster: Arc::new(cluster), number: 0, retry }
}

/// A member, and what looks after its snapshots.
struct Member {
    node: UdpMember,
    beside: Beside<WriterThread>,
    /// The longest turn.
    longest: Duration,
    /// The longest turn, without its flush.
    steps: Duration,
    /// The longest turn that saved a snapshot, with its flush and without.
    saving: Duration,
    saving_steps: Duration,
}

impl Member {
    fn open(data: &Path, sizes: Sizes) -> Member {
        let disk = DirDisk::open(data).expect("a data directory");
        let writing = disk.clone();
        let who = Identity { cluster: CLUSTER, member: 0 };
        let (store, _) = MemberStore::open(disk, who, &[0], fastrand::u64(..)).expect("a journal");
        let wire = UdpWire::bind("127.0.0.1:0".parse().expect("an address")).expect("a socket");
        let keys = Keys::single([1; 32]);
        let transport = Transport::new(
            Config {
                cluster: CLUSTER,
                me: 0,
                peers: Vec::new(),
                client_keys: Some(ClientKeys::single([2; 32], &keys)),
                first: None,
                cluster_keys: Some(keys),
                datagram: 1200,
                max_message: 4 << 20,
                max_client_message: 4 << 20,
                standing: store.standing(),
                session: [fastrand::u8(..); 16],
            },
            fastrand::Rng::new(),
        );
        let waker = wire.waker();
        let mut node = Node::new(
            Groups::new(vec![server(sizes)]),
            transport,
            wire,
            Some(store),
            None,
            Limits::default(),
            fastrand::Rng::new(),
        );
        let thread = WriterThread::start(writing, waker).expect("a thread");
        let beside = Beside::new(&mut node, 1, thread);
        Member {
            node,
            beside,
            longest: Duration::ZERO,
            steps: Duration::ZERO,
            saving: Duration::ZERO,
            saving_steps: Duration::ZERO,
        }
    }

    fn turn(&mut self) -> Vec<(u64, Msg)> {
        let (began, saved) = (Instant::now(), self.saved().0);
        let flushed = self.node.timings().flush.sum();
        self.node.turn(Duration::from_millis(1)).expect("it goes on");
        let flushing = self.node.timings().flush.sum().saturating_sub(flushed);
        self.steps = self.steps.max(began.elapsed().saturating_sub(flushing));
        let told = self.node.told().map(|(to, msg)| (to, msg.what)).collect();
        self.beside.attend(&mut self.node).expect("snapshots can be written");
        self.longest = self.longest.max(began.elapsed());
        if self.saved().0 > saved {
            self.saving = self.saving.max(began.elapsed());
            self.saving_steps = self.saving_steps.max(began.elapsed().saturating_sub(flushing));
        }
        told
    }

    fn next(&self) -> u64 {
        let server = self.node.state().and_then(|all| all.of(0)?.server());
        server.and_then(|server| server.log.as_ref()).map_or(0, |log| log.next.0)
    }

    fn saved(&self) -> (u64, usize) {
        let saved =
            self.node.store().and_then(|store| store.state()).and_then(|all| all.of(0)?.snapshot.as_ref());
        saved.map_or((0, 0), |saved| (saved.next.0, saved.machine.as_bytes().len()))
    }

    /// Asks as a local client, and waits for the answer.
    fn ask(&mut self, client: u64, ask: Ask) -> SessionOutput<StoreOutput> {
        let msg = InGroup { group: 0, what: Msg::from(ask) };
        let mut asked = Instant::now();
        self.node.tell(client, &msg);
        loop {
            for (to, msg) in self.turn() {
                if let (true, Msg::Output { output, .. }) = (to == client, msg) {
                    return decode::<Option<_>>(output.as_bytes())
                        .expect("an output")
                        .expect("it says something");
                }
            }
            if asked.elapsed() > Duration::from_millis(100) {
                asked = Instant::now();
                self.node.tell(client, &msg);
            }
        }
    }
}

fn submit(number: u64, command: &SessionCommand<StoreCommand>) -> Ask {
    Ask::Submit { number, command: Value::from(encode(command).as_slice()) }
}

fn key(at: u64) -> Blob {
    Blob::from(format!("key-{at:012}").as_str())
}

/// Clients that put one value after another, so many at a time.
struct Load {
    sessions: Vec<u64>,
    sent: Vec<u64>,
    /// For each client and number the time at which it was sent.
    open: std::collections::HashMap<(u64, u64), Instant>,
    /// The key of the next put.
    at: u64,
    sizes: Sizes,
    latencies: Vec<Duration>,
}

impl Load {
    fn new(member: &mut Member, sizes: Sizes) -> Load {
        let open = |client: u64| match member
            .ask(LOCAL_CLIENT | client, submit(0, &SessionCommand::Open { client: fastrand::u64(..) }))
        {
            SessionOutput::Opened { session } => session,
            other => panic!("no session: {other:?}"),
        };
        let sessions = (0..CLIENTS).map(open).collect();
        let sent = vec![0; CLIENTS as usize];
        Load { sessions, sent, open: std::collections::HashMap::new(), at: 0, sizes, latencies: Vec::new() }
    }

    fn put(&mut self, member: &mut Member, client: u64) {
        let number = self.sent[client as usize] + 1;
        self.sent[client as usize] = number;
        let mut value = vec![0; self.sizes.size];
        value[..8].copy_from_slice(&self.at.to_le_bytes());
        let at = if self.at < self.sizes.keys { self.at } else { fastrand::u64(..self.sizes.keys) };
        let put = Operation::Put { key: key(at), value: Blob::from(value), lives: Lives::Forever };
        self.at += 1;
        let command = StoreCommand::Transact { when: Vec::new(), then: vec![put] };
        let session = self.sessions[client as usize];
        let ask = submit(number, &SessionCommand::Apply { session, number, command });
        assert!(
            member.node.tell(LOCAL_CLIENT | client, &InGroup { group: 0, what: ask.into() }),
            "there is room"
        );
        self.open.insert((client, number), Instant::now());
    }

    /// Goes on until something is so.
    fn until(&mut self, member: &mut Member, is: impl Fn(&Load, &Member) -> bool) {
        while !is(self, member) {
            for client in 0..CLIENTS {
                let open = self.open.keys().filter(|(of, _)| *of == client).count() as u64;
                (open..WINDOW).for_each(|_| self.put(member, client));
            }
            self.turn(member);
        }
        while !self.open.is_empty() {
            self.turn(member);
        }
    }

    fn turn(&mut self, member: &mut Member) {
        for (to, msg) in member.turn() {
            if let Msg::Output { number, .. } = msg
                && let Some(began) = self.open.remove(&(to & !LOCAL_CLIENT, number))
            {
                self.latencies.push(began.elapsed());
            }
        }
    }
}

/// Megabytes of memory: now, and the most so far.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) >> 10
    };
    (of("VmRSS"), of("VmHWM"))
}

fn tell(what: &str, load: &mut Load, member: &mut Member, took: Duration) {
    load.latencies.sort_unstable();
    let at = |share: f64| {
        load.latencies.get((load.latencies.len() as f64 * share) as usize).copied().unwrap_or_default()
    };
    let (now, most) = memory();
    let counts = member.node.store().expect("it has one").counts();
    println!(
        "{what}: {} puts in {took:.1?}, p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, longest {:.1?}; longest turn {:.1?}, without its flush {:.1?}, with a snapshot saved {:.1?} and {:.1?}; \
         snapshot below {} of {} MB; {} compactions; {now} MB of memory, at most {most} MB",
        load.latencies.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        load.latencies.last().copied().unwrap_or_default(),
        member.longest,
        member.steps,
        member.saving,
        member.saving_steps,
        member.saved().0,
        member.saved().1 >> 20,
        counts.compactions,
    );
    load.latencies.clear();
    (member.longest, member.steps) = (Duration::ZERO, Duration::ZERO);
    (member.saving, member.saving_steps) = (Duration::ZERO, Duration::ZERO);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let given = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, otherwise: u64| {
        given(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} needs a number")))
    };
    let settings = LogSettings::default();
    let sizes = Sizes {
        keys: number("--keys", 1_000_000),
        size: number("--size", 256) as usize,
        every: number("--every", settings.snapshot_every),
        bytes: number("--bytes", settings.snapshot_bytes),
        alpha: number("--alpha", settings.alpha),
        batch: number("--batch", settings.batch as u64) as usize,
    };
    let (rounds, seconds) = (number("--rounds", 5), number("--seconds", 10));
    let temporary = tempfile::tempdir().expect("a directory");
    let data = given("--data").map_or_else(|| temporary.path().to_owned(), Into::into);

    let mut member = Member::open(&data, sizes);
    let mut load = Load::new(&mut member, sizes);
    let began = Instant::now();
    load.until(&mut member, |load, _| load.at >= sizes.keys);
    tell("filling", &mut load, &mut member, began.elapsed());
    let (mut longest, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (began, saved) = (Instant::now(), member.saved().0);
        load.until(&mut member, |_, member| {
            began.elapsed() > Duration::from_secs(seconds) && member.saved().0 > saved
        });
        longest.extend(load.latencies.iter().max().copied());
        tell("with snapshots", &mut load, &mut member, began.elapsed());
        let next = member.next();
        drop(member);
        let (again, took) = start(&data, sizes, &mut load, next);
        member = again;
        starts.push(took);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    };
    println!("medians: longest put {:.1?}, start {:.1?}", median(&mut longest), median(&mut starts));
}

/// Starts a member again, and returns it with the time until its first answer.
fn start(data: &Path, sizes: Sizes, load: &mut Load, next: u64) -> (Member, Duration) {
    let began = Instant::now();
    let mut member = Member::open(data, sizes);
    let opened = began.elapsed();
    while member.node.state().is_none() {
        member.turn();
    }
    let (started, saved) = (began.elapsed(), member.saved().0);
    let session = load.sessions[0];
    let command = StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Get { key: key(0) }] };
    load.sent[0] += 1;
    let number = load.sent[0];
    let told = member.ask(LOCAL_CLIENT, submit(number, &SessionCommand::Apply { session, number, command }));
    assert!(matches!(told, SessionOutput::Output(_)), "{told:?}");
    let took = began.elapsed();
    assert!(member.next() >= next, "everything is executed again");
    (member.longest, member.steps) = (Duration::ZERO, Duration::ZERO);
    let (now, most) = memory();
    println!(
        "start: journal and snapshot read in {opened:.1?}, machine restored after {started:.1?}, first answer after {took:.1?} ({} instances \
         since the snapshot); {now} MB of memory, at most {most} MB",
        next.saturating_sub(saved),
    );
    (member, took)
}
