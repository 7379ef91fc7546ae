//! The very same loop, transport, journal and recorder in a simulated world: whole clusters, thousands of faults, one seed.

use crate::world::Tape;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::Duration;
use synod::{Answer, Asking, Client, Instance, Pace, Process, Value, Want};
use synod_explore::{Status, Subject};
use synod_model::mutants::{Decorated, DecoratedState, Mutant, Rule, find};
use synod_replay::{Explained, Records, Replayable, Replayed, Verdict};
use synod_runtime::Stopped;
use synod_runtime::changes::{Changes, Whole};
use synod_runtime::door::Door;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::record::{Header, Recorder};
use synod_runtime::sim::{SimNode, Weather, World, address};
use synod_runtime::sim_disk::{Fault, Op, SimDir, SimDisk};
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::{self, Transport};
use synod_server::{PaxosChanges, Wiring};

const CLUSTER: u64 = 0x5ca1_ab1e;

/// A cluster in a simulated world, of real actors or broken ones.
pub(crate) struct Sim<A: Subject, C: Changes<A::Storage>> {
    pub(crate) world: World<SimNode<A, C>>,
    members: usize,
    pub(crate) wiring: Wiring,
    disks: Vec<SimDisk>,
    tapes: Vec<(u64, u64, Tape)>,
    /// What is asked at present, by place: the instance.
    asked: BTreeMap<usize, u64>,
    told: BTreeMap<u64, Value>,
    make: fn(Process) -> A,
    client: fn(&A::State) -> Option<&Answer>,
    /// Whether its members are what they should be, and what clients are told must be right.
    pub(crate) trusted: bool,
    kills: u64,
    /// Members whose disk is about to fail in the middle of something.
    failing: BTreeSet<usize>,
    failures: u64,
    pub(crate) answers: u64,
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl<A, C> Sim<A, C>
where
    A: Replayable,
    C: Changes<A::Storage> + Door<A>,
{
    pub(crate) fn new(
        seed: u64,
        members: usize,
        make: fn(Process) -> A,
        client: fn(&A::State) -> Option<&Answer>,
    ) -> Self {
        let wiring = Wiring {
            groups: 1,
            members: (0..members as u64).collect(),
            retry: ms(20)..ms(60),
            election: None,
            max_value: 64 << 10,
            log: None,
            changing: None,
            directory: None,
        };
        Sim {
            world: World::new(seed),
            members,
            wiring,
            disks: (0..members).map(|_| SimDisk::new()).collect(),
            tapes: Vec::new(),
            asked: BTreeMap::new(),
            told: BTreeMap::new(),
            make,
            client,
            trusted: true,
            kills: 0,
            failing: BTreeSet::new(),
            failures: 0,
            answers: 0,
        }
    }

    fn settings(&mut self, me: u64, client: bool, standing: Standing) -> transport::Config {
        let mut session = [0; 16];
        self.world.rng().fill(&mut session);
        let peers = (0..self.members).filter(|place| *place as u64 != me || client);
        transport::Config {
            cluster: CLUSTER,
            me,
            peers: peers.map(|place| (place as u64, address(place))).collect(),
            first: None,
            cluster_keys: (!client).then(|| Keys::single([1; 32])),
            client_keys: Some(ClientKeys::single([2; 32], &Keys::single([1; 32]))),
            datagram: 1200,
            max_message: 1 << 20,
            max_client_message: 1 << 20,
            standing,
            session,
        }
    }

    pub(crate) fn start(&mut self, place: usize) {
        let who = Identity { cluster: CLUSTER, member: place as u64 };
        let disk_id = self.world.rng().u64(..);
        let (store, _) = Store::<A::Storage, C, SimDir>::open(
            self.disks[place].open().expect("it is free"),
            who,
            &self.wiring.members,
            disk_id,
        )
        .unwrap_or_else(|refusal| panic!("member {place}: {refusal}"));
        let standing = store.standing();
        let tape = Tape::default();
        let header = Header {
            cluster: CLUSTER,
            member: place as u64,
            disk: standing.disk,
            boot: standing.boot,
            application: postcard::to_allocvec(&self.wiring).expect("plain data"),
        };
        let recorder = Recorder::create(Box::new(tape.clone()), &header).expect("memory takes everything");
        self.tapes.push((place as u64, standing.boot, tape));
        let settings = self.settings(place as u64, false, standing);
        let (for_transport, for_node) = (self.world.rng().fork(), self.world.rng().fork());
        let transport = Transport::new(settings, for_transport);
        let actor = (self.make)(self.wiring.server(place as u64));
        let wire = self.world.wire(place);
        let limits = Limits { batch: 16, ..Limits::default() };
        let node = Node::new(actor, transport, wire, Some(store), Some(recorder), limits, for_node);
        self.world.start(place, node);
    }

    pub(crate) fn kill(&mut self, place: usize) {
        if self.world.kill(place) {
            self.kills += 1;
            self.power_off(place);
        }
    }

    /// What a disk has once its process is gone, and the power with it.
    fn power_off(&mut self, place: usize) {
        let mut rng = self.world.rng().fork();
        self.failing.remove(&place);
        self.disks[place].heal();
        self.disks[place].crash(&mut rng);
    }

    /// One of the next operations of a disk fails, and all after it: its member stops in the middle of a batch.
    fn fail(&mut self, place: usize) {
        let after = self.world.rng().u64(..6);
        self.failing.insert(place);
        self.disks[place].fail(Fault { op: Op::Any, after, error: ErrorKind::Other, forever: true });
    }

    pub(crate) fn ask(&mut self, place: usize, instance: u64, want: Want) {
        self.world.kill(place);
        let id = FIRST_CLIENT | self.world.rng().u64(..);
        let settings = self.settings(id, true, Standing::default());
        let (for_transport, for_node) = (self.world.rng().fork(), self.world.rng().fork());
        let mut asks: Vec<_> = (0..self.members).map(stateright::actor::Id::from).collect();
        asks.rotate_left(self.world.rng().usize(..self.members));
        let resend = Some(ms(60)..ms(120));
        let client = Client {
            number: 1,
            instance: Instance(instance),
            want,
            heeds: asks.clone(),
            asks,
            asking: Asking::InTurn,
            pause: None,
            resend,
        };
        let wire = self.world.wire(place);
        let actor = (self.make)(Process::Client(client));
        let transport = Transport::new(settings, for_transport);
        let node = Node::new(actor, transport, wire, None, None, Limits::default(), for_node);
        self.world.start(place, node);
        self.asked.insert(place, instance);
    }

    /// Hears what clients were told; whoever was answered is free again.
    pub(crate) fn hear(&mut self) {
        for (place, instance) in self.asked.clone() {
            let Some(node) = self.world.node(place) else { continue };
            let Some(answer) = node.state().and_then(self.client).cloned() else { continue };
            self.asked.remove(&place);
            self.answers += 1;
            if let Answer::Chosen(value) = answer {
                let first = self.told.entry(instance).or_insert_with(|| value.clone()).clone();
                if first != value && self.trusted {
                    let verdict = self.replay_as::<A, C>(self.make).verdict;
                    panic!("instance {instance} changed its value from {first:?} to {value:?}: {verdict:?}");
                }
            }
        }
    }

    pub(crate) fn run(&mut self, until: Duration) {
        while let Err((place, stopped)) = self.world.run(until) {
            let expected = matches!(stopped, Stopped::Disk(_)) && self.failing.contains(&place);
            assert!(expected, "member {place} stopped: {stopped}");
            self.failures += 1;
            self.power_off(place);
        }
    }

    fn records(&self) -> Records {
        let mut records = Records::default();
        for (member, boot, tape) in &self.tapes {
            records.add(&format!("member {member} start {boot}"), tape.bytes());
        }
        records
    }

    pub(crate) fn replay_as<B: Replayable, D: Changes<B::Storage>>(
        &self,
        make: fn(Process) -> B,
    ) -> Replayed {
        let records = self.records();
        let lives = records.lives().unwrap_or_else(|error| panic!("{error}"));
        synod_replay::replay::<B, D>(lives, |wiring, id| make(wiring.server(id)))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// So many rounds of faults and questions.
    pub(crate) fn storm(&mut self, rounds: usize, instances: u64) {
        for place in 0..self.members {
            self.start(place);
        }
        self.run(ms(200));
        let clients = self.members..self.members + 3;
        for _ in 0..rounds {
            let rng = self.world.rng();
            let (dice, place, span) = (rng.u8(..13), rng.usize(..self.members), rng.u64(1..60));
            let down = (0..self.members).filter(|place| self.world.node(*place).is_none()).count();
            let hurt = down + self.failing.len();
            let room = hurt < (self.members - 1) / 2 && self.world.node(place).is_some();
            match dice {
                0 | 1 if room => self.kill(place),
                12 if room => self.fail(place),
                2..=4 => {
                    for place in 0..self.members {
                        if self.world.node(place).is_none() {
                            self.start(place);
                        }
                    }
                }
                5 => {
                    let other = self.world.rng().usize(..self.members);
                    let both = self.world.rng().bool();
                    self.world.net(|net| {
                        net.cuts.insert((address(place), address(other)));
                        if both {
                            net.cuts.insert((address(other), address(place)));
                        }
                    });
                }
                6 => self.world.net(|net| net.cuts.clear()),
                7 => {
                    let rng = self.world.rng();
                    let (loss, doubled) = (rng.f64() * 0.3, rng.f64() * 0.3);
                    let slow = rng.u64(1..30);
                    let delay = Duration::from_micros(20)..ms(slow);
                    self.world.net(|net| net.weather = Weather { loss, doubled, delay });
                }
                _ => {
                    for place in clients.clone() {
                        if !self.asked.contains_key(&place) {
                            let rng = self.world.rng();
                            let (instance, read, value) = (rng.u64(..instances), rng.bool(), rng.u32(..));
                            let value = Value::from(value.to_string().as_bytes());
                            let want = match (&self.wiring.log, read) {
                                // Bytes that hold no command are in the log like any other.
                                (Some(_), _) => Want::Submit(value),
                                (None, true) => Want::Read,
                                (None, false) => Want::Write(value),
                            };
                            self.ask(place, instance, want);
                        }
                    }
                }
            }
            let until = self.world.now() + ms(span);
            self.run(until);
            self.hear();
        }
        // Fair weather: whoever asked is answered, and everything that was told still stands.
        self.world.net(|net| {
            net.weather = Weather::default();
            net.cuts.clear();
        });
        for place in std::mem::take(&mut self.failing) {
            self.disks[place].heal();
        }
        for place in 0..self.members {
            if self.world.node(place).is_none() {
                self.start(place);
            }
        }
        for _ in 0..400 {
            if self.asked.is_empty() {
                break;
            }
            let until = self.world.now() + ms(50);
            self.run(until);
            self.hear();
        }
        let answered = self.asked.is_empty() || !self.trusted;
        assert!(answered, "in fair weather every client is answered: {:?}", self.asked);
    }
}

pub(crate) fn real(process: Process) -> Process {
    process
}

pub(crate) fn real_answer(state: &synod::ProcessState) -> Option<&Answer> {
    state.client()?.answer.as_ref()
}

pub(crate) type RealSim = Sim<Process, PaxosChanges>;

/// Who may begin ballots, of those that are up.
pub(crate) fn leaders(sim: &mut RealSim) -> Vec<usize> {
    let mut leads = |place: &usize| {
        let proposer = sim.world.node(*place).and_then(|node| node.state()?.proposer());
        proposer.is_some_and(|proposer| proposer.election.ready)
    };
    (0..3).filter(|place| leads(place)).collect()
}

#[test]
fn another_takes_over_when_the_leader_stops_and_leads_on_when_it_is_back() {
    let mut sim = RealSim::new(11, 3, real, real_answer);
    sim.wiring.election = Some(Pace {
        beat: ms(20)..ms(30),
        suspect: ms(120)..ms(200),
        hold_off: ms(10)..ms(20),
        doublings: 4,
    });
    for place in 0..3 {
        sim.start(place);
    }
    let mut instance = 0;
    let mut ask = |sim: &mut RealSim| {
        let (answers, until) = (sim.answers, sim.world.now() + ms(2_000));
        instance += 1;
        sim.ask(3, instance, Want::Write(Value::from(format!("v{instance}").as_bytes())));
        sim.run(until);
        sim.hear();
        assert_eq!(sim.answers, answers + 1, "instance {instance}");
    };
    ask(&mut sim);
    assert_eq!(leaders(&mut sim), [0]);
    // It stops while it is asked for something, and everyone else is asked in vain at first.
    sim.kill(0);
    ask(&mut sim);
    assert_eq!(leaders(&mut sim), [1]);
    ask(&mut sim);
    sim.start(0);
    ask(&mut sim);
    assert_eq!(leaders(&mut sim), [1], "the first is back, and a quorum follows another");
    sim.kill(1);
    ask(&mut sim);
    assert!(matches!(leaders(&mut sim)[..], [0 | 2]), "one of the others takes over");
    let replayed = sim.replay_as::<Process, PaxosChanges>(real);
    assert!(replayed.verdict.is_none(), "{:?}", replayed.verdict);
}

#[test]
fn one_lost_save_in_a_record_is_noticed() {
    // The disk loses an acknowledged save between two lives: the record of the first says so.
    let mut sim = RealSim::new(5, 3, real, real_answer);
    for place in 0..3 {
        sim.start(place);
    }
    sim.run(ms(200));
    let before = copy(&sim.disks[1]);
    sim.ask(3, 1, Want::Write(Value::from(b"x".as_slice())));
    let until = sim.world.now() + ms(500);
    sim.run(until);
    sim.hear();
    assert_eq!(sim.answers, 1);
    // Everyone is stopped, and one comes back with what it had before.
    for place in 0..3 {
        sim.kill(place);
    }
    sim.disks[1] = before;
    sim.tapes.retain(|(member, boot, _)| (*member, *boot) == (*member, 1));
    // Member 2, which told the client, has on its disk what it had heard of member 1.
    sim.start(1);
    sim.start(2);
    let until = sim.world.now() + ms(500);
    match sim.world.run(until) {
        // A peer's disk knew better: the member did not get as far as forgetting anything.
        Err((1, stopped)) => assert!(stopped.to_string().contains("older copy"), "{stopped}"),
        other => panic!("member 1 came back with an older disk, and nobody noticed: {:?}", other.err()),
    }
}

#[test]
fn an_older_copy_is_noticed_whenever_one_who_knows_better_is_heard() {
    let mut sim = RealSim::new(6, 5, real, real_answer);
    for place in 0..5 {
        sim.start(place);
    }
    sim.run(ms(300));
    let before = copy(&sim.disks[4]);
    // Members 0 and 1 hear nothing of what member 4 does from here on.
    sim.world.net(|net| net.cuts.extend([0, 1].map(|place| (address(4), address(place)))));
    for instance in 1..9 {
        sim.ask(5, instance, Want::Write(Value::from(b"x".as_slice())));
        let until = sim.world.now() + ms(800);
        sim.run(until);
        sim.hear();
    }
    assert_eq!(sim.answers, 8);
    for place in 2..5 {
        sim.kill(place);
    }
    // It comes back with what it had before, and finds a majority that knows no better.
    sim.disks[4] = before;
    sim.world.net(|net| net.cuts.clear());
    sim.start(4);
    let until = sim.world.now() + ms(800);
    sim.run(until);
    assert!(sim.world.node(4).is_some_and(|node| node.state().is_some()), "a majority let it take part");
    sim.start(2);
    let until = sim.world.now() + ms(800);
    match sim.world.run(until) {
        Err((4, stopped)) => assert!(stopped.to_string().contains("older copy"), "{stopped}"),
        other => panic!("member 4 goes on with an older disk: {:?}", other.err()),
    }
}

/// A disk with the same files.
fn copy(disk: &SimDisk) -> SimDisk {
    let other = SimDisk::new();
    for name in disk.names() {
        other.put(&name, &disk.read(&name).expect("it has this file"));
    }
    other
}

pub(crate) fn broken(name: &str) -> Rule {
    find(name).and_then(Mutant::rule).unwrap_or_else(|| panic!("no mutant {name} of the roles"))
}

pub(crate) type MutantSim = Sim<Decorated, Whole>;

pub(crate) fn mutant_answer(state: &DecoratedState) -> Option<&Answer> {
    synod_model::Inside::inside(state).client()?.answer.as_ref()
}

macro_rules! mutant {
    ($test:ident, $name:literal) => {
        #[test]
        fn $test() {
            fn make(process: Process) -> Decorated {
                Decorated { process, rule: broken($name), draws: false }
            }
            let (claim, explained) = falls($name, make);
            eprintln!("{} falls, explained in {} steps", claim, explained.steps);
            // What is written is a model and a trace like any other.
            let model = synod_model::Model::read("model.toml", &explained.model).expect("it is a model");
            let replay = synod_model::replay(&model, &explained.trace).expect("it is a trace of it");
            assert!(
                replay
                    .judged
                    .iter()
                    .any(|(_, name, status, _)| *name == claim && *status == Status::Violated)
            );
        }
    };
}

mutant!(an_acceptor_that_accepts_below_its_promise_is_found_in_its_records, "accepts-below-promise");
mutant!(a_proposer_that_takes_any_value_is_found_in_its_records, "any-value");
mutant!(an_acceptor_that_forgets_is_found_in_its_records, "amnesia");

/// Runs broken servers until a claim falls in the replay of their records, with the broken handlers; and shows that with the
/// right handlers the records of the very same run do not even replay.
fn falls(name: &str, make: fn(Process) -> Decorated) -> (&'static str, Explained) {
    for seed in 1..200 {
        let mut sim = MutantSim::new(seed, 3, make, mutant_answer);
        // A broken cluster may give two answers, or stop answering; the claims are what is to notice.
        sim.trusted = false;
        sim.storm(120, 4);
        let replayed = sim.replay_as::<Decorated, Whole>(make);
        let Some(Verdict::Violated(violation)) = &replayed.verdict else { continue };
        let records = sim.records();
        let lives = || records.lives().expect("they were read before");
        eprintln!("{name} seed {seed}: {violation}");
        let explained = synod_replay::explain::<Decorated, Whole>(
            lives(),
            |wiring, id| make(wiring.server(id)),
            violation,
            "model.toml",
            Some(name),
        );
        match explained {
            Ok(explained) => return (violation.claim, explained),
            Err(reason) => eprintln!("{name} seed {seed}: not explained: {reason}"),
        }
    }
    panic!("{name}: no claim fell in any storm");
}

#[test]
fn right_handlers_do_not_replay_what_broken_ones_did() {
    let broken_one = |process| Decorated { process, rule: broken("any-value"), draws: false };
    // The same decorator around the right handlers, so that only what they do can differ.
    let right_one = |process| Decorated { process, rule: broken("control"), draws: false };
    let (mut differ, mut shown) = (0, 0);
    for seed in 1..20 {
        let mut sim = MutantSim::new(seed, 3, right_one, mutant_answer);
        sim.storm(120, 4);
        assert_eq!(sim.replay_as::<Decorated, Whole>(right_one).verdict, None, "seed {seed}");
        let mut sim = MutantSim::new(seed, 3, broken_one, mutant_answer);
        sim.trusted = false;
        sim.storm(120, 4);
        let Some(Verdict::Differs { place, what }) = sim.replay_as::<Decorated, Whole>(right_one).verdict
        else {
            continue;
        };
        differ += 1;
        assert!(place.contains(" at byte ") && what.contains("recorded is: "), "{place}: {what}");
        let actor = |wiring: &Wiring, id| right_one(wiring.server(id));
        // The way there can be looked at, unless it is longer than anybody would.
        match synod_replay::show::<Decorated, Whole>(&sim.records(), &actor, "model.toml", Some("control")) {
            Ok(way) => {
                let model = synod_model::Model::read("model.toml", &way.model).expect("it is a model");
                synod_model::replay(&model, &way.trace).expect("it is a trace of it");
                shown += usize::from(way.steps > 10);
            }
            Err(reason) => eprintln!("seed {seed}: not shown: {reason}"),
        }
    }
    assert!(differ > 10 && shown > 5, "of 19 broken runs {differ} were noticed, and {shown} shown");
}
