//! Snapshots that stand apart: whatever the moment of a crash, what was saved comes back, and the loop never writes one itself.

use stateright::actor::Id;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;
use synod::{
    AcceptorState, Answer, Asking, Ballot, Call, Client, Cluster, Instance, Learning, Log, LogEntry, Machine,
    Process, ProcessState, Proposal, QuorumRule, Quorums, Retry, Snapshot, Stable, Truncate, Value, Want,
};
use synod_groups::Groups;
use synod_runtime::apart::Writing;
use synod_runtime::changes::Changes;
use synod_runtime::groups::ByGroup;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::refusal::{Refusal, Why};
use synod_runtime::sim::{SimNode, World, address};
use synod_runtime::sim_disk::{Fault, Op, SimDir, SimDisk, SimFile};
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::{self, Transport};
use synod_server::{Beside, Due, MemberStore, PaxosChanges, Writer, Written};

type Stored = Store<Stable, PaxosChanges, SimDir>;

const WHO: Identity = Identity { cluster: 7, member: 0 };
const BALLOT: Ballot = Ballot { round: 1, proposer: 0 };
/// The length of each long snapshot: too long to stand in the journal.
const LONG: usize = 100_000;

fn open(disk: &SimDisk) -> Result<Stored, Refusal> {
    Ok(Stored::open(disk.open()?, WHO, &[0], 9)?.0)
}

/// A state that has accepted in an instance, with a snapshot of all below.
fn state(at: u64, length: usize) -> Stable {
    let proposal = Proposal { ballot: BALLOT, value: Value::from(format!("c{at}").as_str()) };
    let acceptor = AcceptorState {
        promised: Some(BALLOT),
        accepted_in: Some(BALLOT),
        accepted: [(Instance(at), proposal)].into_iter().collect(),
        log_start: Instance(at),
    };
    let machine = Value::from(vec![at as u8 | 1; length].as_slice());
    Stable { acceptor, tried: 1, snapshot: Some(Snapshot { next: Instance(at), sum: at, machine }) }
}

/// The names of the snapshots on a disk.
fn files(disk: &SimDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("snapshot-")).collect()
}

/// Saves states in turn: short, written beside, written within the commit, and beside again. `saved` has the last that was
/// committed, and the one under way.
fn script(store: &mut Stored, saved: &mut (Option<Stable>, Option<Stable>)) -> Result<(), Refusal> {
    let mut save = |store: &mut Stored, new: Stable| {
        saved.1 = Some(new.clone());
        store.save(&new);
        store.commit()?;
        saved.0 = saved.1.take();
        Ok::<(), Refusal>(())
    };
    save(store, state(1, 10))?;
    for (at, is_beside) in [(2, true), (3, false), (4, true), (5, true)] {
        let new = state(at, LONG);
        if is_beside {
            let mut found = Vec::new();
            PaxosChanges::apart(&new, &mut |apart, bytes| found.push((apart, bytes)));
            let (apart, bytes) = found.pop().expect("it is long");
            let mut writing = Writing::create(store.disk(), apart, bytes)?;
            let mut tried = at * 10;
            // The loop goes on meanwhile.
            while !writing.piece(store.disk())? {
                tried += 1;
                let old = store.state().expect("it was saved").clone();
                save(store, Stable { tried, ..old })?;
            }
            store.wrote(apart);
            let old = store.state().expect("it was saved").clone();
            save(store, Stable { tried: tried + 1, ..old })?;
        }
        save(store, new)?;
        if at == 4 {
            store.compact()?;
        }
    }
    save(store, state(6, 10))
}

#[test]
fn whatever_the_moment_of_a_crash_the_state_and_its_snapshot_come_back() {
    let whole = SimDisk::new();
    let mut store = open(&whole).expect("it is new");
    script(&mut store, &mut (None, None)).expect("the disk is well");
    assert_eq!(files(&whole), [""; 0], "the last snapshot is short");
    drop(store);
    let operations = whole.counts().operations;
    assert!(operations > 60, "{operations}");
    for after in 0..operations {
        for seed in 0..6 {
            let disk = SimDisk::new();
            let mut saved = (None, None);
            let mut run = || {
                let mut store = open(&disk)?;
                script(&mut store, &mut saved)?;
                Ok::<(), Refusal>(())
            };
            disk.fail(Fault { op: Op::Any, after, error: ErrorKind::Other, forever: true });
            run().expect_err("it fails somewhere");
            disk.heal();
            disk.crash(&mut fastrand::Rng::with_seed(after * 6 + seed));
            let store =
                open(&disk).unwrap_or_else(|refusal| panic!("operation {after}, seed {seed}: {refusal}"));
            let found = store.state().cloned();
            assert!(
                found == saved.0 || (saved.1.is_some() && found == saved.1),
                "operation {after}, seed {seed}: another state"
            );
            let named: Vec<String> = store.named().values().map(synod_runtime::apart::Apart::file).collect();
            assert_eq!(files(&disk), named, "operation {after}, seed {seed}");
        }
    }
}

#[test]
fn a_snapshot_that_is_gone_or_damaged_is_refused_in_clear_words() {
    let disk = SimDisk::new();
    let mut store = open(&disk).expect("it is new");
    store.save(&state(2, LONG));
    store.commit().expect("the disk is well");
    assert!(store.counts().bytes < 1000, "the journal only names it");
    drop(store);
    let name = files(&disk).remove(0);
    let bytes = disk.read(&name).expect("it is there");
    for at in [0, 9, 17, 40, 56, 64, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        disk.put(&name, &damaged);
        let refusal = open(&disk).map(|_| ()).expect_err("it is damaged");
        assert!(matches!(&refusal.why, Why::Damaged(_)) && refusal.to_string().contains(&name), "{refusal}");
    }
    disk.put(&name, &bytes[..bytes.len() - 1]);
    let refusal = open(&disk).map(|_| ()).expect_err("it is short").to_string();
    assert!(refusal.contains("and not the"), "{refusal}");
    disk.take(&name);
    let refusal = open(&disk).map(|_| ()).expect_err("it is gone").to_string();
    assert!(refusal.contains(&name) && refusal.contains("the journal names it"), "{refusal}");
    disk.put(&name, &bytes);
    disk.put("snapshot-notes", b"not ours");
    disk.put("snapshot-00000000000000000001-0000000000000001.new", b"of a crash");
    assert_eq!(open(&disk).expect("it is back").state(), Some(&state(2, LONG)));
    assert_eq!(files(&disk), [name, "snapshot-notes".to_owned()]);
}

#[test]
fn a_store_that_could_not_write_a_snapshot_saves_nothing_any_more() {
    let disk = SimDisk::new();
    let mut store = open(&disk).expect("it is new");
    disk.fail(Fault { op: Op::Rename, after: 0, error: ErrorKind::StorageFull, forever: false });
    store.save(&state(2, LONG));
    assert!(matches!(store.commit().expect_err("the disk is full").why, Why::Io { .. }));
    assert_eq!(store.commit().expect_err("the record names what is not there").why, Why::Stopped);
}

/// Remembers all commands, each once.
#[derive(Clone, Debug, Default)]
struct Tape(BTreeMap<(usize, u64), Value>);

fn key(call: Call) -> (usize, u64) {
    (call.client.into(), call.number)
}

impl Machine for Tape {
    fn execute(&mut self, _: Instance, logged: &LogEntry) -> Value {
        self.0.insert(key(logged.call), logged.command.clone());
        Value::from("done")
    }
    fn said(&self, logged: &LogEntry) -> Option<Value> {
        self.0.contains_key(&key(logged.call)).then(|| Value::from("done"))
    }
    fn query(&self, _: &Value) -> Option<Value> {
        None
    }
    fn snapshot(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.0).expect("plain data")
    }
    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        Some(Box::new(Tape(postcard::from_bytes(snapshot).ok()?)))
    }
    fn checksum(&self) -> u64 {
        self.0.len() as u64
    }
    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

/// Writes a piece whenever it is told to.
#[derive(Default)]
struct Inline {
    due: Option<Due>,
    writing: Option<Writing<SimFile>>,
    written: Option<Written>,
}

impl Inline {
    fn go(&mut self, disk: &SimDir) {
        if let Some(due) = self.due.take() {
            self.writing = due.file(disk).expect("the disk is well");
            self.written = self.writing.is_none().then_some(Ok(None));
        } else if let Some(writing) = &mut self.writing
            && writing.piece(disk).expect("the disk is well")
        {
            self.written = Some(Ok(self.writing.take().map(|writing| writing.apart())));
        }
    }
}

impl Writer for Inline {
    fn write(&mut self, due: Due) -> bool {
        self.due = Some(due);
        true
    }
    fn written(&mut self) -> Result<Written, TryRecvError> {
        self.written.take().ok_or(TryRecvError::Empty)
    }
    fn drop(&mut self, _: Box<ProcessState>) {}
}

/// One member that takes a snapshot at every second instance, and clients with a long command each.
struct Scene {
    world: World<SimNode<Groups<Process>, ByGroup<PaxosChanges>>>,
    disk: SimDisk,
    beside: Option<Beside<Inline>>,
}

const CLIENTS: usize = 7;
const COMMAND: usize = 40_000;

impl Scene {
    fn new(seed: u64) -> Scene {
        let mut scene = Scene { world: World::new(seed), disk: SimDisk::new(), beside: None };
        scene.start();
        for at in 1..=CLIENTS {
            scene.ask(at);
        }
        scene
    }

    /// A client with a command, at a place of its own.
    fn ask(&mut self, at: usize) {
        let client = Client {
            number: 1,
            instance: Instance(0),
            want: Want::Submit(Value::from(vec![at as u8; COMMAND].as_slice())),
            asks: vec![0.into()],
            heeds: vec![0.into()],
            asking: Asking::InTurn,
            pause: Some(Duration::ZERO..Duration::from_millis(40)),
            resend: Some(Duration::from_millis(5)..Duration::from_millis(9)),
        };
        let id = FIRST_CLIENT | at as u64;
        let settings = self.settings(id, &[0], Standing::default());
        let transport = Transport::new(settings, self.world.rng().fork());
        let (wire, rng) = (self.world.wire(at), self.world.rng().fork());
        let node = Node::new(
            Groups::new(vec![Process::Client(client)]),
            transport,
            wire,
            None,
            None,
            Limits::default(),
            rng,
        );
        self.world.start(at, node);
    }

    fn settings(&mut self, me: u64, peers: &[u64], standing: Standing) -> transport::Config {
        let mut session = [0; 16];
        self.world.rng().fill(&mut session);
        let members = Keys::single([1; 32]);
        transport::Config {
            cluster: WHO.cluster,
            me,
            peers: peers.iter().map(|peer| (*peer, address(*peer as usize))).collect(),
            client_keys: Some(ClientKeys::single([2; 32], &members)),
            first: None,
            cluster_keys: (me < FIRST_CLIENT).then_some(members),
            datagram: 1200,
            max_message: 1 << 20,
            max_client_message: 1 << 20,
            standing,
            session,
        }
    }

    fn start(&mut self) {
        let truncate = Truncate {
            every: 2,
            every_bytes: u64::MAX,
            spare: 0,
            spare_bytes: u64::MAX,
            chunk: 1 << 10,
            ahead: 1,
            most: 1 << 20,
        };
        let log = Log {
            alpha: 4,
            batch: 1 << 16,
            machine: Arc::new(Tape::default()),
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
            waiting_limit: 64,
            learning: Learning::Everyone,
            nacks: true,
            report: 1 << 18,
            max_value: 1 << 16,
            max_accepted: 1 << 16,
            keeps: 1 << 24,
            log: Some(log),
            election: None,
        };
        let retry = Retry {
            on_nack: true,
            after: Some(Duration::from_millis(5)..Duration::from_millis(9)),
            doublings: 0,
        };
        let server = Groups::new(vec![Process::Server { cluster: Arc::new(cluster), number: 0, retry }]);
        let disk = self.disk.open().expect("it is free");
        let (store, _) = MemberStore::open(disk, WHO, &[0], 9).expect("it can be opened");
        let settings = self.settings(0, &[], store.standing());
        let transport = Transport::new(settings, self.world.rng().fork());
        let (wire, rng) = (self.world.wire(0), self.world.rng().fork());
        let mut node = Node::new(server, transport, wire, Some(store), None, Limits::default(), rng);
        self.beside = Some(Beside::new(&mut node, 1, Inline::default()));
        self.world.start(0, node);
    }

    /// Lets a moment pass. Returns the bytes that the loop wrote.
    fn go(&mut self) -> u64 {
        let before = self.disk.counts().bytes;
        let until = self.world.now() + Duration::from_micros(20);
        self.world.run(until).expect("nobody stops");
        let written = self.disk.counts().bytes - before;
        let is_slow = self.world.rng().u8(..4) > 0;
        let node = self.world.node(0).expect("it is up");
        let beside = self.beside.as_mut().expect("it is there");
        if !is_slow {
            beside.writer().go(node.store().expect("it has one").disk());
        }
        beside.attend(node).expect("the disk is well");
        written
    }

    fn answered(&mut self) -> usize {
        let answer = |at| self.world.node(at)?.state()?.of(0)?.client()?.answer.clone();
        (1..=CLIENTS + 1).map(answer).filter(|it| matches!(it, Some(Answer::Output(_)))).count()
    }

    fn saved(&mut self) -> Option<Snapshot> {
        self.world.node(0)?.store()?.state()?.of(0)?.snapshot.clone()
    }
}

#[test]
fn no_turn_of_the_loop_writes_a_snapshot() {
    let (mut most, mut scene) = (0, Scene::new(1));
    while scene.answered() < CLIENTS || scene.saved().is_none_or(|saved| saved.next.0 < 6) {
        most = most.max(scene.go());
        assert!(scene.world.now() < Duration::from_secs(2), "{} answers", scene.answered());
    }
    let saved = scene.saved().expect("there are snapshots").machine.as_bytes().len();
    assert!(
        saved > 6 * COMMAND && (most as usize) < 4 * COMMAND,
        "{most} bytes in a turn, {saved} in the snapshot"
    );
    assert_eq!(files(&scene.disk).len(), 1);
}

#[test]
fn what_was_answered_is_there_after_crashes_at_any_time() {
    let mut apart = 0;
    for seed in 0..60 {
        let (mut scene, mut crashes) = (Scene::new(seed), 0);
        while crashes < 4 || scene.answered() < CLIENTS {
            scene.go();
            assert!(scene.world.now() < Duration::from_secs(4), "seed {seed}: {} answers", scene.answered());
            if crashes < 4 && scene.world.rng().u16(..700) == 0 {
                crashes += 1;
                scene.world.kill(0);
                let mut rng = scene.world.rng().fork();
                scene.disk.crash(&mut rng);
                scene.start();
            }
        }
        // One more command has the member execute all that it accepted.
        scene.ask(CLIENTS + 1);
        while scene.answered() <= CLIENTS {
            scene.go();
            assert!(scene.world.now() < Duration::from_secs(5), "seed {seed}: no answer to the last client");
        }
        apart += usize::from(!files(&scene.disk).is_empty());
        let node = scene.world.node(0).expect("it is up");
        let state = node.state().and_then(|all| all.of(0)?.server()).expect("it takes part");
        let machine = state.log.as_ref().expect("it keeps one").replica.machine();
        for at in 1..=CLIENTS {
            let call = Call { client: Id::from((FIRST_CLIENT | at as u64) as usize), number: 1 };
            let logged = LogEntry { call, command: Value::no_op() };
            assert!(machine.said(&logged).is_some(), "seed {seed}: the command of client {at}");
        }
    }
    assert!(apart > 30, "{apart} of 60 runs ended with a long snapshot");
}
