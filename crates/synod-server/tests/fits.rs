//! Everything that members have to say about values that they accept fits into a message, whatever the sizes.

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed, TestCaseError, TestRunner};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Ask, Ballot, Cluster, Instance, Learning, Log, LogEntry, Machine, Msg, PerInstance, Process,
    ProcessState, Proposal, QuorumRule, Quorums, Retry, Stable, Timer, Value,
};
use synod_server::{Config, Wiring};

/// Says nothing much, whatever it executes.
#[derive(Clone, Debug)]
struct Silent;

impl Machine for Silent {
    fn execute(&mut self, _: Instance, _: &LogEntry) -> Value {
        Value::from("done")
    }
    fn said(&self, _: &LogEntry) -> Option<Value> {
        None
    }
    fn query(&self, _: &Value) -> Option<Value> {
        None
    }
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }
    fn restored(&self, _: &[u8]) -> Option<Box<dyn Machine>> {
        Some(Box::new(Silent))
    }
    fn checksum(&self) -> u64 {
        0
    }
    fn copy(&self) -> Box<dyn Machine> {
        Box::new(Silent)
    }
}

/// Three servers that never lose their disks, and the longest message that any of them sent.
struct World {
    servers: Vec<Process>,
    states: Vec<Option<ProcessState>>,
    disks: Vec<Option<Stable>>,
    /// The members whose retry timers are set. One step issues only so much, and the timer has the rest issued.
    timers: BTreeSet<usize>,
    flying: VecDeque<(Id, Id, Msg)>,
    longest: usize,
}

const CLIENT: usize = 9;

/// The first of the last instances that there are.
const FIRST: u64 = u64::MAX - 20;

impl World {
    fn new(cluster: &Cluster) -> World {
        let cluster = Arc::new(cluster.clone());
        let any = Duration::ZERO..Duration::ZERO;
        let server = |(_, number): &(Id, u16)| Process::Server {
            cluster: Arc::clone(&cluster),
            number: *number,
            retry: Retry { on_nack: true, after: Some(any.clone()), doublings: 0 },
        };
        let servers: Vec<Process> = cluster.proposers.iter().map(server).collect();
        let count = servers.len();
        let (states, disks) = (vec![None; count], vec![None; count]);
        let mut world =
            World { servers, states, disks, timers: BTreeSet::new(), flying: VecDeque::new(), longest: 0 };
        (0..count).for_each(|at| world.start(at));
        world
    }

    fn start(&mut self, at: usize) {
        let mut out = Out::new();
        self.states[at] = Some(self.servers[at].on_start(at.into(), &self.disks[at], &mut out));
        self.done(at, out);
    }

    fn done(&mut self, at: usize, out: Out<Process>) {
        for command in out {
            match command {
                Command::Send(to, msg) => {
                    let encoded = postcard::to_allocvec(&msg).expect("a message can be encoded");
                    self.longest = self.longest.max(encoded.len());
                    self.flying.push_back((at.into(), to, msg));
                }
                Command::Save(stable) => self.disks[at] = Some(stable),
                Command::SetTimer(Timer::Retry, _) => drop(self.timers.insert(at)),
                Command::CancelTimer(Timer::Retry) => drop(self.timers.remove(&at)),
                _ => {}
            }
        }
    }

    fn tell(&mut self, at: usize, src: Id, msg: Msg) {
        let Some(Some(state)) = self.states.get(at).cloned() else { return };
        let (mut out, mut next) = (Out::new(), Cow::Owned(state));
        self.servers[at].on_msg(at.into(), &mut next, src, msg, &mut out);
        self.states[at] = Some(next.into_owned());
        self.done(at, out);
    }

    fn ring(&mut self, at: usize) {
        let Some(Some(state)) = self.states.get(at).cloned() else { return };
        let (mut out, mut next) = (Out::new(), Cow::Owned(state));
        self.servers[at].on_timeout(at.into(), &mut next, &Timer::Retry, &mut out);
        self.states[at] = Some(next.into_owned());
        self.done(at, out);
    }

    /// Until nothing is on its way and nobody has anything left to do; a few rounds are enough for all that is asked here.
    fn run(&mut self) {
        for _ in 0..100 {
            while let Some((src, dst, msg)) = self.flying.pop_front() {
                self.tell(dst.into(), src, msg);
            }
            let Some(at) = self.timers.pop_first() else { break };
            self.ring(at);
        }
    }
}

fn cluster(log: bool, max_value: usize, report: usize) -> Cluster {
    let ids: Vec<Id> = (0..3).map(Id::from).collect();
    let any = Duration::ZERO..Duration::ZERO;
    let log = log.then(|| Log {
        alpha: 64,
        batch: 1,
        machine: Arc::new(Silent),
        hold_off: None,
        catch_up: Some(any),
        truncate: None,
        master: None,
        members: None,
    });
    Cluster {
        acceptors: ids.clone(),
        proposers: ids.iter().copied().zip([u16::MAX, 1, 2]).collect(),
        learners: ids,
        clients: Vec::new(),
        waiting_limit: 64,
        max_value,
        max_accepted: max_value,
        keeps: usize::MAX,
        quorums: Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
        learning: Learning::Proposer,
        nacks: true,
        report,
        log,
        election: None,
    }
}

/// Values of these lengths, one in each of the last instances that there are, asked of server 0 while server 2 is away. Then server 2 comes
/// back and asks server 1 for all of them, as a proposer and as one that has missed them.
fn all_fits(log: bool, max_value: usize, report: usize, lengths: &[usize]) -> Result<(), TestCaseError> {
    let cluster = cluster(log, max_value, report);
    let mut world = World::new(&cluster);
    world.run();
    world.states[2] = None;
    let ask = |place: usize, length: usize| {
        let value = Value::from(vec![place as u8 + 1; length].as_slice());
        let (instance, number) = (Instance(FIRST + place as u64), place as u64);
        let ask = if log { Ask::Submit { number, command: value } } else { Ask::Request { instance, value } };
        Msg::from(ask)
    };
    for (place, length) in lengths.iter().enumerate() {
        world.tell(0, CLIENT.into(), ask(place, *length));
    }
    world.run();
    let kept = world.disks[1].as_ref().map_or(0, |stable| stable.acceptor.accepted.len());
    let mut fitting: Vec<(usize, usize)> = lengths.iter().copied().enumerate().collect();
    let costs = if log { LogEntry::COSTS } else { 0 };
    fitting.retain(|(_, length)| *length + costs <= max_value);
    prop_assert_eq!(kept, fitting.len(), "those that are not too long are accepted, and no others");
    world.start(2);
    let ballot = Ballot { round: Ballot::ROUNDS - 1, proposer: 2 };
    let mut asked = Some(Instance::FIRST);
    while let Some(from) = asked {
        world.flying.clear();
        world.tell(1, 2.into(), Msg::Prepare { ballot, from });
        asked = world.flying.iter().find_map(|(_, _, msg)| match msg {
            Msg::Promise { rest, .. } => *rest,
            _ => None,
        });
    }
    if log {
        world.tell(1, 2.into(), Msg::CatchUp { from: Instance::FIRST });
        world.run();
    }
    for (place, _) in fitting.iter().filter(|_| !log) {
        world.tell(2, CLIENT.into(), Ask::Read { instance: Instance(FIRST + *place as u64) }.into());
        world.run();
    }
    let most = cluster.longest_message();
    prop_assert!(world.longest <= most, "a message of {} bytes, and {most} is the most", world.longest);
    Ok(())
}

#[test]
fn all_that_members_say_about_values_that_they_accept_fits_whatever_the_sizes() {
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("SYNOD_SEED={seed}");
    let cases =
        Cases { cases: 200, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Cases::default() };
    let sizes = (any::<bool>(), 1..3000_usize).prop_flat_map(|(log, max_value)| {
        let near =
            prop_oneof![1..=max_value + 2, max_value.saturating_sub(3).max(1)..=max_value + 2, 1..=4_usize,];
        (Just(log), Just(max_value), 0..6000_usize, proptest::collection::vec(near, 1..12))
    });
    let mut runner = TestRunner::new(cases);
    runner
        .run(&sizes, |(log, max_value, report, lengths)| all_fits(log, max_value, report, &lengths))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_longest_numbers_that_there_are_fit_beside_the_longest_value() {
    for max_value in [1, 127, 128, 65_536, (4 << 20) - 5, (4 << 20) + 1, 16 << 20] {
        let cluster = cluster(true, max_value, 1000);
        let value = Value::from(vec![7; max_value].as_slice());
        let (ballot, instance) = (Ballot { round: u64::MAX, proposer: u16::MAX }, Instance(u64::MAX));
        let one: PerInstance<Proposal> =
            [(instance, Proposal { ballot, value: value.clone() })].into_iter().collect();
        for msg in [
            Ask::Request { instance, value: value.clone() }.into(),
            Ask::Query { number: u64::MAX, command: value.clone() }.into(),
            Msg::Accept { ballot, instance, value: value.clone() },
            Msg::Accepted { ballot, instance, value: value.clone() },
            Msg::Promise { ballot, accepted: one, rest: Some(instance) },
            Msg::Chosen { instance, value: value.clone() },
            Msg::Response { instance, value: value.clone() },
            Msg::CatchUpReply { values: [(instance, value.clone())].into_iter().collect(), next: instance },
        ] {
            let length = postcard::to_allocvec(&msg).expect("a message can be encoded").len();
            let most = cluster.longest_message();
            assert!(length <= most, "{length} bytes of a value of {max_value}, and {most} is the most");
        }
    }
}

#[test]
fn what_a_configuration_allows_its_members_can_say() {
    for max_value in [1, 65_536, (4 << 20) - 100, (4 << 20) - 8, 4 << 20, 16 << 20] {
        let text = format!(
            "cluster = \"x\"\ncluster-key = \"a\"\nclient-key = \"b\"\nmax-value = {max_value}\n\
             member = [{{ id = 65535, address = \"127.0.0.1:7000\" }}]\n"
        );
        let config = Config::read("cluster.toml", &text, Path::new("")).expect("it is right");
        let cluster = Wiring::from(&config).cluster();
        assert!(cluster.max_value > 2 * max_value, "a value and the one that it replaces");
        assert!(cluster.longest_message() <= config.max_message());
        assert!(config.max_client_message() > 2 * max_value);
    }
}
