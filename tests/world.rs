//! A cluster that keeps the log, in a simulated world: members with all that `synod serve` gives them, on disks and a network that fail as they are
//! told. One seed decides everything.

use crate::callers::{Book, Caller};
use crate::simulated::ms;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synod::{LogState, Pace, Process, ProcessState, Stable};
use synod_groups::{Groups, Stables};
use synod_replay::{Records, Replayed};
use synod_runtime::Stopped;
use synod_runtime::apart::Writing;
use synod_runtime::groups::ByGroup;
use synod_runtime::inbox;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::Node;
use synod_runtime::record::{Header, Recorder};
use synod_runtime::refusal::Refusal;
use synod_runtime::sim::{Living, SimNode, SimWire, Weather, World, address};
use synod_runtime::sim_disk::{SimDir, SimDisk, SimFile};
use synod_runtime::standing::Standing;
use synod_runtime::store::{self, Identity, Store};
use synod_runtime::transport::{self, Transport};
use synod_server::{Beside, Due, LogSettings, MasterSettings, PaxosChanges, Ticker, Wiring, Writer, Written};

const CLUSTER: u64 = 0x5ca1_ab1e;
/// The Unix time at which the world begins.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// The longest value that is stored, in bytes.
pub(crate) const MAX_VALUE: usize = 4096;

/// A record in memory.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes snapshots in the place of the thread: a piece from time to time.
struct Scribe {
    due: Option<Due>,
    writing: Option<Writing<SimFile>>,
    written: Option<Written>,
    next: Duration,
    rng: fastrand::Rng,
}

impl Scribe {
    fn wakes(&self) -> Duration {
        if self.due.is_some() || self.writing.is_some() { self.next } else { Duration::MAX }
    }

    fn go(&mut self, now: Duration, disk: &SimDir) {
        if now < self.wakes() {
            return;
        }
        self.next = now + Duration::from_micros(self.rng.u64(..20_000));
        if let Some(due) = self.due.take() {
            match due.file(disk).transpose() {
                None => self.written = Some(Ok(None)),
                Some(Ok(writing)) => self.writing = Some(writing),
                Some(Err(refusal)) => self.written = Some(Err(refusal)),
            }
        } else if let Some(writing) = &mut self.writing {
            match writing.piece(disk) {
                Ok(false) => {}
                Ok(true) => self.written = self.writing.take().map(|writing| Ok(Some(writing.apart()))),
                Err(refusal) => self.written = Some(Err(refusal)),
            }
        }
    }
}

impl Writer for Scribe {
    fn write(&mut self, due: Due) -> bool {
        self.due = Some(due);
        true
    }

    fn written(&mut self) -> Result<Written, TryRecvError> {
        self.written.take().ok_or(TryRecvError::Empty)
    }

    fn drop(&mut self, _: Box<ProcessState>) {}
}

/// A member: its node, and what `synod serve` does around each turn.
pub(crate) struct Member {
    pub(crate) node: SimNode<Groups<Process>, ByGroup<PaxosChanges>>,
    beside: Beside<Scribe>,
    /// One per group.
    tickers: Vec<Ticker>,
    disk: SimDisk,
    /// The time that its clock shows at its start.
    unix: Duration,
    tick: Duration,
    took: Duration,
}

impl Member {
    fn turn(&mut self) -> Result<(), Stopped<Groups<Process>>> {
        let (now, waited) = (self.node.now(), self.disk.waited());
        let ticks = self.tickers.iter_mut().map(|ticker| ticker.turn(&mut self.node, self.unix + now));
        self.tick = ticks.min().unwrap_or(Duration::MAX);
        self.node.turn(Duration::ZERO)?;
        for (to, msg) in self.node.told() {
            let ticker = &mut self.tickers[usize::from(msg.group)];
            if to == ticker.id() {
                ticker.hear(&msg.what);
            }
        }
        self.took = self.disk.waited().saturating_sub(waited);
        let store = self.node.store().expect("a member has one");
        self.beside.writer().go(now, store.disk());
        self.beside.attend(&mut self.node).map_err(Stopped::Disk)
    }

    /// Its log, if it takes part: that of group 0.
    pub(crate) fn log(&self) -> Option<&LogState> {
        self.log_of(0)
    }

    pub(crate) fn log_of(&self, group: u8) -> Option<&LogState> {
        self.node.state()?.of(group)?.server()?.log.as_deref()
    }
}

/// A process of the world.
pub(crate) enum Soul {
    Member(Box<Member>),
    Caller(Box<Caller>),
}

impl Living for Soul {
    type Stopped = Stopped<Groups<Process>>;

    fn wakes(&mut self) -> Duration {
        match self {
            Soul::Member(member) => member.node.wakes().min(member.tick).min(member.beside.writer().wakes()),
            Soul::Caller(caller) => caller.wakes(),
        }
    }

    fn turn(&mut self) -> Result<(), Stopped<Groups<Process>>> {
        match self {
            Soul::Member(member) => member.turn(),
            Soul::Caller(caller) => {
                caller.turn();
                Ok(())
            }
        }
    }

    fn took(&self) -> Duration {
        match self {
            Soul::Member(member) => member.took,
            Soul::Caller(_) => Duration::ZERO,
        }
    }
}

/// Members, their disks and records, and clients.
pub(crate) struct Cluster {
    pub(crate) world: World<Soul>,
    pub(crate) size: usize,
    wiring: Wiring,
    pub(crate) disks: Vec<SimDisk>,
    /// A record per start, with the member, its directory and the number of the start.
    tapes: Vec<(u64, u64, u64, Tape)>,
    pub(crate) book: Rc<Book>,
    /// Members whose disk is about to fail.
    pub(crate) failing: BTreeSet<usize>,
    /// Members that lost what they had, or part of it, and may not come back.
    pub(crate) lost: BTreeSet<usize>,
    /// The last words of those that stopped by themselves.
    pub(crate) words: Vec<(usize, String)>,
    pub(crate) kills: u64,
    pub(crate) cuts_short: u64,
    /// True if only processes end, and the machines under them go on: what was written is there, flushed or not.
    pub(crate) is_gentle: bool,
}

/// Settings under which all that the log does is done often.
fn wiring(size: usize, groups: usize) -> Wiring {
    let log = LogSettings {
        alpha: 4,
        batch: 8,
        catch_up: ms(30)..ms(80),
        snapshot_every: 12,
        keep: 4,
        chunk: 2048,
        longest_snapshot: 1 << 24,
        max_key: 64,
        sessions: synod_machine::Limits {
            sessions: 8,
            window: 8,
            reply_bytes: 1 << 10,
            bytes: 1 << 20,
            idle: Some(300),
        },
        ..LogSettings::default()
    };
    Wiring {
        groups,
        members: (0..size as u64).collect(),
        retry: ms(20)..ms(60),
        election: Some(Pace {
            beat: ms(20)..ms(30),
            suspect: ms(120)..ms(200),
            hold_off: ms(10)..ms(20),
            doublings: 4,
        }),
        max_value: log.longest_command(MAX_VALUE),
        log: Some((log, MAX_VALUE)),
        changing: None,
        directory: None,
    }
}

/// A journal that is compacted often, and makes space in small steps.
const JOURNAL: store::Limits =
    store::Limits { chunk: 4096, large: 2048, batch: 8 << 20, compact_above: 64 << 10 };

impl Cluster {
    /// A cluster of which nothing runs yet.
    pub(crate) fn new(seed: u64, size: usize) -> Cluster {
        Cluster::of_groups(seed, size, 1)
    }

    /// A cluster that keeps so many logs.
    pub(crate) fn of_groups(seed: u64, size: usize, groups: usize) -> Cluster {
        Cluster {
            world: World::new(seed),
            size,
            wiring: wiring(size, groups),
            disks: (0..size).map(|_| SimDisk::new()).collect(),
            tapes: Vec::new(),
            book: Rc::new(Book::default()),
            failing: BTreeSet::new(),
            lost: BTreeSet::new(),
            words: Vec::new(),
            kills: 0,
            cuts_short: 0,
            is_gentle: false,
        }
    }

    /// The same cluster, of which nothing runs yet, with mastership by a lease.
    pub(crate) fn with_lease(mut self, lease: MasterSettings) -> Cluster {
        if let Some((log, _)) = &mut self.wiring.log {
            log.master = Some(lease);
        }
        self
    }

    /// The transport of a process at a place: of a member by its id, or of a client.
    fn transport(&mut self, me: u64, is_client: bool, standing: Standing) -> Transport {
        let mut session = [0; 16];
        self.world.rng().fill(&mut session);
        let peers = (0..self.size).filter(|place| *place as u64 != me || is_client);
        let settings = transport::Config {
            cluster: CLUSTER,
            me,
            peers: peers.map(|place| (place as u64, address(place))).collect(),
            first: None,
            cluster_keys: (!is_client).then(|| Keys::single([1; 32])),
            client_keys: Some(ClientKeys::single([2; 32], &Keys::single([1; 32]))),
            datagram: 1200,
            max_message: self.wiring.cluster().longest_message().max(1 << 18),
            max_client_message: self.wiring.cluster().longest_message().max(1 << 18),
            standing,
            session,
        };
        Transport::new(settings, self.world.rng().fork())
    }

    /// Starts a member.
    ///
    /// # Errors
    /// When its data directory is refused.
    pub(crate) fn start(&mut self, place: usize) -> Result<(), Refusal> {
        let who = Identity { cluster: CLUSTER, member: place as u64 };
        let (fresh, disk) = (self.world.rng().u64(..), self.disks[place].clone());
        let dir = disk.open().expect("it is free");
        let (store, _) = Store::<Stables<Stable>, ByGroup<PaxosChanges>, SimDir>::open_with(
            dir,
            who,
            &self.wiring.members,
            fresh,
            JOURNAL,
        )?;
        let standing = store.standing();
        let header = Header {
            cluster: CLUSTER,
            member: place as u64,
            disk: standing.disk,
            boot: standing.boot,
            application: postcard::to_allocvec(&self.wiring).expect("plain data"),
        };
        let tape = Tape::default();
        let recorder = Recorder::create(Box::new(tape.clone()), &header).expect("memory takes everything");
        self.tapes.push((place as u64, standing.disk, standing.boot, tape));
        let (disk_id, boot) = (standing.disk, standing.boot);
        let transport = self.transport(place as u64, false, standing);
        let wire: SimWire = self.world.wire(place).behind(&disk);
        let (now, rng) = (self.world.now(), self.world.rng());
        let (for_node, for_scribe, client) = (rng.fork(), rng.fork(), rng.u64(..));
        // Clocks of members differ by some seconds.
        let unix = EPOCH + now + Duration::from_millis(disk_id % 5000);
        let actor = self.wiring.servers(place as u64);
        let limits = inbox::Limits { batch: 16, ..inbox::Limits::default() };
        let mut node = Node::new(actor, transport, wire, Some(store), Some(recorder), limits, for_node);
        let scribe =
            Scribe { due: None, writing: None, written: None, next: Duration::ZERO, rng: for_scribe };
        let beside = Beside::new(&mut node, self.wiring.groups, scribe);
        let (log, max_value) = self.wiring.log.as_ref().expect("it keeps a log");
        let ticker = |group| Ticker::new((group, place as u64), boot, client, log.told(*max_value));
        let tickers = (0..=u8::MAX).take(self.wiring.groups).map(ticker).collect();
        let (tick, took) = (Duration::MAX, Duration::ZERO);
        self.world
            .start(place, Soul::Member(Box::new(Member { node, beside, tickers, disk, unix, tick, took })));
        Ok(())
    }

    /// Starts all members, whose disks are well, and waits until they take part.
    pub(crate) fn start_all(&mut self) {
        for place in 0..self.size {
            self.start(place).expect("its disk is new");
        }
        for _ in 0..100 {
            self.run(ms(50));
            if (0..self.size).all(|place| self.takes_part(place)) {
                return;
            }
        }
        panic!("not all take part");
    }

    /// A client at a place of its own, in the place of the one that may be there. Calls without an answer stay so.
    pub(crate) fn call(&mut self, place: usize, reads: Option<Vec<String>>) {
        self.world.kill(place);
        let id = synod_runtime::node::FIRST_CLIENT | self.world.rng().u64(..);
        let transport = self.transport(id, true, Standing::default());
        let wire = self.world.wire(place);
        let rng = self.world.rng().fork();
        let caller =
            Caller::new((transport, wire), (self.size, self.wiring.groups), self.book.clone(), reads, rng);
        self.world.start(place, Soul::Caller(Box::new(caller)));
    }

    pub(crate) fn member(&mut self, place: usize) -> Option<&mut Member> {
        match self.world.node(place)? {
            Soul::Member(member) => Some(member),
            Soul::Caller(_) => None,
        }
    }

    /// True if the client at a place waits for nothing and has nothing more to say.
    pub(crate) fn is_done(&mut self, place: usize) -> bool {
        match self.world.node(place) {
            Some(Soul::Caller(caller)) => caller.is_done(),
            _ => true,
        }
    }

    pub(crate) fn takes_part(&mut self, place: usize) -> bool {
        self.member(place).is_some_and(|member| member.log().is_some())
    }

    pub(crate) fn kill(&mut self, place: usize) {
        if self.world.kill(place) {
            self.kills += 1;
            self.power_off(place);
        }
    }

    /// What a disk has once its process is gone, and mostly the power with it. It works again.
    pub(crate) fn power_off(&mut self, place: usize) {
        let mut rng = self.world.rng().fork();
        self.failing.remove(&place);
        self.disks[place].heal();
        if self.is_gentle {
            self.disks[place].kill();
        } else {
            self.disks[place].crash(&mut rng);
        }
    }

    /// Lets time pass. A member may stop only if its disk fails, or if it lost something.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.world.now() + time;
        while let Err((place, stopped)) = self.world.run(until) {
            let is_expected = match &stopped {
                Stopped::Disk(_) => self.failing.contains(&place),
                Stopped::Older(_) => self.lost.contains(&place),
                _ => false,
            };
            assert!(is_expected, "member {place} stopped: {stopped}");
            self.words.push((place, stopped.to_string()));
            self.cuts_short += u64::from(matches!(stopped, Stopped::Disk(_)));
            self.power_off(place);
        }
    }

    /// Lets time pass until something is so.
    pub(crate) fn run_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Cluster) -> bool) {
        for _ in 0..600 {
            if is_so(self) {
                return;
            }
            self.run(ms(50));
        }
        panic!("in fair weather: {what}");
    }

    /// Fair weather. Everyone runs, all calls end, every key is read once more, and all members come to have the same.
    /// Then everything is judged.
    pub(crate) fn settle(&mut self, callers: std::ops::Range<usize>) -> Replayed {
        self.world.net(|net| {
            net.weather = Weather::default();
            net.cuts.clear();
        });
        for place in 0..self.size {
            if self.failing.contains(&place) {
                self.disks[place].heal();
                self.failing.remove(&place);
            }
            self.disks[place].slow(Duration::ZERO);
            if self.world.node(place).is_none() && !self.lost.contains(&place) {
                self.start(place).unwrap_or_else(|refusal| panic!("member {place}: {refusal}"));
            }
        }
        self.book.hush();
        self.run_until("all calls end", |cluster| callers.clone().all(|place| cluster.is_done(place)));
        let reader = callers.end;
        self.call(reader, Some(self.book.histories.keys()));
        self.run_until("every key is read", |cluster| cluster.is_done(reader));
        for group in (0..=u8::MAX).take(self.wiring.groups) {
            self.settle_group(group);
        }
        self.book.histories.judge();
        let replayed = self.replay();
        assert_eq!(replayed.verdict, None);
        replayed
    }

    /// Waits until all members have the same log of a group, and the same machine.
    fn settle_group(&mut self, group: u8) {
        let size = self.size;
        self.run_until("all have executed the same", |cluster| {
            let mut ends = BTreeMap::new();
            let lost = cluster.lost.clone();
            for place in (0..size).filter(|place| !lost.contains(place)) {
                let Some(log) = cluster.member(place).and_then(|member| member.log_of(group)) else {
                    return false;
                };
                ends.insert(place, (log.next, log.replica.machine().checksum()));
            }
            let (next, sum) = *ends.values().max().expect("there is a majority");
            assert!(ends.values().all(|end| end.0 != next || end.1 == sum), "they differ: {ends:?}");
            ends.values().all(|end| end.0 == next)
        });
        let machines: Vec<Vec<u8>> = (0..size)
            .filter_map(|place| self.member(place)?.log_of(group).map(|log| log.replica.machine().snapshot()))
            .collect();
        assert!(machines.len() + self.lost.len() >= size && machines.windows(2).all(|two| two[0] == two[1]));
    }

    /// Every record, of all starts that took part.
    pub(crate) fn records(&self) -> Records {
        let mut records = Records::default();
        for (member, _, boot, tape) in &self.tapes {
            let bytes = tape.bytes();
            let mut reader = synod_runtime::record::Reader::open(&bytes).expect("it was written just now");
            // A directory that was wiped or is behind is another one's, and has nothing to tell.
            if reader.next().is_some() || !self.lost.contains(&(*member as usize)) {
                records.add(&format!("member {member} start {boot}"), bytes);
            }
        }
        records
    }

    fn replay(&self) -> Replayed {
        let records = self.records();
        let lives = records.lives().unwrap_or_else(|error| panic!("{error}"));
        synod_replay::replay::<Process, PaxosChanges>(lives, synod_server::Wiring::server)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// A checksum of everything that was sent and recorded.
    pub(crate) fn digest(&self) -> (u64, u64, Vec<Vec<u8>>) {
        let tapes = self.tapes.iter().map(|(.., tape)| tape.bytes()).collect();
        (self.world.digest(), self.world.sent(), tapes)
    }
}

/// A disk with the same files.
pub(crate) fn copy(disk: &SimDisk) -> SimDisk {
    let other = SimDisk::new();
    for name in disk.names() {
        other.put(&name, &disk.read(&name).expect("it has this file"));
    }
    other
}
