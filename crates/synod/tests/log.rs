//! What a log costs and how it goes on, asked of servers through the one way in that there is, `impl Actor`.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Ballot, Cluster, Instance, Learning, Log, Machine, Msg, Phase, Process, ProcessState, QuorumRule,
    Quorums, Retry, ServerState, Stable, Timer, Value,
};

/// Writes down what it executes, and says how much that is.
#[derive(Clone, Debug, Default)]
struct Tape(Vec<(u64, Value)>);

impl Machine for Tape {
    fn execute(&mut self, instance: Instance, command: &Value) -> Value {
        if let Some(said) = self.said(command) {
            return said;
        }
        self.0.push((instance.0, command.clone()));
        Value::from(self.0.len().to_string().as_str())
    }
    fn said(&self, command: &Value) -> Option<Value> {
        let place = self.0.iter().position(|(_, executed)| executed == command)?;
        Some(Value::from((place + 1).to_string().as_str()))
    }
    fn query(&self, command: &Value) -> Option<Value> {
        (command.as_bytes() == b"length").then(|| Value::from(self.0.len().to_string().as_str()))
    }
    fn snapshot(&self) -> Vec<u8> {
        format!("{:?}", self.0).into_bytes()
    }
    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

const CLIENT: usize = 100;

struct Settings {
    servers: usize,
    alpha: u64,
    report: usize,
    hold_off: bool,
    catch_up: bool,
}

const PLAIN: Settings =
    Settings { servers: 3, alpha: 4, report: usize::MAX, hold_off: false, catch_up: false };

/// Servers and all that is on its way between them, delivered in the order in which it was sent.
struct World {
    servers: Vec<Process>,
    states: Vec<Option<ProcessState>>,
    disks: Vec<Option<Stable>>,
    timers: Vec<BTreeSet<Timer>>,
    flying: VecDeque<(Id, Id, Msg)>,
    /// All that was sent.
    sent: Vec<(Id, Id, Msg)>,
}

impl World {
    fn new(settings: &Settings) -> World {
        let any = Duration::ZERO..Duration::ZERO;
        let ids: Vec<Id> = (0..settings.servers).map(Id::from).collect();
        let log = Log {
            alpha: settings.alpha,
            machine: Arc::new(Tape::default()),
            hold_off: settings.hold_off.then(|| any.clone()),
            catch_up: settings.catch_up.then(|| any.clone()),
        };
        let cluster = Arc::new(Cluster {
            acceptors: ids.clone(),
            learners: ids,
            clients: Vec::new(),
            remembers: 64,
            quorums: Quorums::new(settings.servers, QuorumRule::Majority, QuorumRule::Majority)
                .expect("majorities meet"),
            learning: Learning::Proposer,
            nacks: true,
            report: settings.report,
            log: Some(log),
            election: None,
        });
        let server = |number| Process::Server {
            cluster: Arc::clone(&cluster),
            number,
            retry: Retry { on_nack: true, after: Some(any.clone()), doublings: 0 },
        };
        let mut world = World {
            servers: (0..settings.servers as u16).map(|i| server(i + 1)).collect(),
            states: vec![None; settings.servers],
            disks: vec![None; settings.servers],
            timers: vec![BTreeSet::new(); settings.servers],
            flying: VecDeque::new(),
            sent: Vec::new(),
        };
        (0..settings.servers).for_each(|i| world.start(i));
        world
    }

    fn start(&mut self, at: usize) {
        let mut out = Out::new();
        let state = self.servers[at].on_start(at.into(), &self.disks[at], &mut out);
        self.states[at] = Some(state);
        self.timers[at].clear();
        self.done(at, out);
    }

    fn done(&mut self, at: usize, out: Out<Process>) {
        for command in out {
            match command {
                Command::Send(to, msg) => {
                    self.sent.push((at.into(), to, msg.clone()));
                    self.flying.push_back((at.into(), to, msg));
                }
                Command::SetTimer(timer, _) => drop(self.timers[at].insert(timer)),
                Command::CancelTimer(timer) => drop(self.timers[at].remove(&timer)),
                Command::Save(stable) => self.disks[at] = Some(stable),
                Command::ChooseRandom(..) => {}
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

    fn ring(&mut self, at: usize, timer: Timer) {
        assert!(self.timers[at].remove(&timer), "{timer:?} is set at {at}");
        let (mut out, state) = (Out::new(), self.states[at].clone().expect("it is up"));
        let mut next = Cow::Owned(state);
        self.servers[at].on_timeout(at.into(), &mut next, &timer, &mut out);
        self.states[at] = Some(next.into_owned());
        self.done(at, out);
    }

    fn submit(&mut self, at: usize, command: &str) {
        self.tell(at, CLIENT.into(), Msg::Submit { command: Value::from(command) });
    }

    /// Delivers until nothing is on its way, but for what is lost.
    fn run_losing(&mut self, lost: impl Fn(Id, Id, &Msg) -> bool) {
        while let Some((src, dst, msg)) = self.flying.pop_front() {
            if !lost(src, dst, &msg) {
                self.tell(dst.into(), src, msg);
            }
        }
    }

    fn run(&mut self) {
        self.run_losing(|_, _, _| false);
    }

    fn server(&self, at: usize) -> &ServerState {
        self.states[at].as_ref().and_then(ProcessState::server).expect("a server that is up")
    }

    fn next(&self, at: usize) -> u64 {
        self.server(at).log.as_ref().expect("a log").next.0
    }

    fn tape(&self, at: usize) -> String {
        let machine = self.server(at).log.as_ref().expect("a log").replica.machine();
        String::from_utf8(machine.snapshot()).expect("text")
    }

    /// How many messages of a kind have been sent since.
    fn count(&self, since: usize, what: impl Fn(&Msg) -> bool) -> usize {
        self.sent[since..].iter().filter(|(_, _, msg)| what(msg)).count()
    }

    fn answers(&self) -> Vec<String> {
        let output = |(_, to, msg): &(Id, Id, Msg)| match msg {
            Msg::Output { output } if usize::from(*to) == CLIENT => Some(format!("{output:?}")),
            _ => None,
        };
        self.sent.iter().filter_map(output).collect()
    }
}

#[test]
fn in_steady_state_a_command_costs_one_accept_and_one_accepted_a_server() {
    for servers in [3, 5] {
        let mut world = World::new(&Settings { servers, ..PLAIN });
        world.submit(0, "first");
        world.run();
        for i in 1..=20 {
            let since = world.sent.len();
            world.submit(0, &format!("c{i}"));
            world.run();
            // One of each is the leader's to itself, so that each follower gets one Accept and gives one Accepted back.
            assert_eq!(world.count(since, |m| matches!(m, Msg::Accept { .. })), servers);
            assert_eq!(world.count(since, |m| matches!(m, Msg::Accepted { .. })), servers);
            assert_eq!(world.count(since, |m| matches!(m, Msg::Chosen { .. })), servers - 1);
            assert_eq!(world.count(since, |m| matches!(m, Msg::Output { .. })), 1);
            assert_eq!(world.sent.len() - since, servers + servers + servers - 1 + 1, "and nothing else");
        }
        assert_eq!(world.answers().len(), 21);
        for at in 0..servers {
            assert_eq!(world.next(at), 21);
            assert_eq!(world.tape(at), world.tape(0));
        }
        assert!(world.timers.iter().all(BTreeSet::is_empty), "nothing is waited for");
    }
}

#[test]
fn takeover_with_open_instances_costs_one_round_trip_of_phase_1() {
    for open in [0, 1, 7, 30] {
        let mut world = World::new(&Settings { alpha: 32, ..PLAIN });
        world.submit(0, "first");
        world.run();
        // Accepts of the odd instances reach server 2 only, those of the even ones nobody but the leader.
        for i in 0..open {
            world.submit(0, &format!("open{i}"));
        }
        world.run_losing(|src, dst, msg| match msg {
            Msg::Accept { instance, .. } => usize::from(dst) != 2 * (instance.0 % 2) as usize,
            _ => usize::from(src) != 0 && usize::from(dst) == 0,
        });
        world.states[0] = None;
        let since = world.sent.len();
        world.submit(1, "mine");
        world.run();
        assert_eq!(world.count(since, |m| matches!(m, Msg::Prepare { .. })), 3, "one to each server");
        assert_eq!(world.count(since, |m| matches!(m, Msg::Promise { .. })), 2, "one from each that is up");
        // Instances 1, 3, 5 and so on are adopted, and the gaps between them are filled.
        let last = if open % 2 == 1 { open } else { open - open.min(1) };
        assert_eq!(world.next(1), 1 + last + 1, "the new command comes right after: {}", world.tape(1));
        assert_eq!(world.tape(1), world.tape(2));
        assert_eq!(world.answers().len(), 2);
    }
}

#[test]
fn the_window_is_never_exceeded_and_is_used() {
    let mut world = World::new(&Settings { alpha: 3, ..PLAIN });
    world.submit(0, "first");
    world.run();
    let since = world.sent.len();
    for i in 0..10 {
        world.submit(0, &format!("c{i}"));
    }
    let accepts = world.count(since, |m| matches!(m, Msg::Accept { .. }));
    assert_eq!(accepts, 3 * 3, "three instances and no more, before anything comes back");
    world.run();
    assert_eq!(world.next(0), 11);
    assert_eq!(world.answers().len(), 11);
}

#[test]
fn a_lost_accept_is_sent_again_in_the_same_ballot_and_only_where_it_is_missing() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "first");
    world.run();
    world.submit(0, "lost");
    world.run_losing(|_, dst, msg| matches!(msg, Msg::Accept { .. }) && usize::from(dst) != 0);
    assert_eq!(world.next(0), 1);
    let since = world.sent.len();
    world.ring(0, Timer::Retry);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Prepare { .. })), 0);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Accept { .. })), 2, "not to itself");
    world.run();
    assert_eq!((world.next(0), world.answers().len()), (2, 2));
    assert!(world.timers[0].is_empty());
}

#[test]
fn a_leader_that_is_overtaken_gives_up_its_ballot_when_it_is_told() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "a");
    world.run();
    // The other's ballot has the same round, and nothing of it reaches the first.
    world.submit(1, "b");
    world.run_losing(|src, dst, _| usize::from(dst) == 0 || usize::from(src) == 0);
    let tried = |world: &World| world.server(0).proposer.tried;
    assert_eq!((tried(&world), world.next(1)), (1, 2));
    world.submit(0, "c");
    world.run();
    assert_eq!(tried(&world), 2, "a higher ballot, at once");
    assert_eq!((world.next(0), world.answers().len()), (3, 3), "{}", world.tape(0));
}

#[test]
fn a_report_that_is_too_long_for_one_message_goes_in_parts() {
    let mut world = World::new(&Settings { alpha: 100, report: 1000, ..PLAIN });
    let command = |i: usize| format!("{i}-{}", "x".repeat(200));
    for i in 0..50 {
        world.submit(0, &command(i));
        // Nothing comes back to the leader, and nobody learns anything.
        world.run_losing(|_, dst, msg| matches!(msg, Msg::Accepted { .. }) && usize::from(dst) == 0);
    }
    world.states[0] = None;
    world.submit(1, "mine");
    let longest = |world: &World| {
        let size = |msg: &Msg| match msg {
            Msg::Promise { accepted, .. } => accepted.values().map(|p| p.value.as_bytes().len()).sum(),
            _ => 0,
        };
        world.sent.iter().map(|(_, _, msg)| size(msg)).max().unwrap_or(0)
    };
    world.run();
    assert!(longest(&world) <= 1000 && longest(&world) > 0);
    assert_eq!(world.next(1), 51);
    assert_eq!(world.tape(1), world.tape(2));
    for i in 0..50 {
        assert!(world.tape(1).contains(&command(i)), "{i} was adopted");
    }
}

#[test]
fn a_server_that_missed_everything_catches_up_in_bounded_messages() {
    let mut world = World::new(&Settings { report: 600, catch_up: true, ..PLAIN });
    world.run();
    for i in 0..40 {
        world.submit(0, &format!("c{i}"));
        world.run_losing(|_, dst, _| usize::from(dst) == 2);
    }
    assert_eq!((world.next(0), world.next(2)), (40, 0));
    let since = world.sent.len();
    world.ring(2, Timer::CatchUp);
    world.run();
    assert_eq!(world.next(2), 40);
    assert_eq!(world.tape(2), world.tape(0));
    assert!(world.count(since, |m| matches!(m, Msg::Known { .. })) >= 4, "in parts");
    for (_, _, msg) in &world.sent[since..] {
        if let Msg::Known { values, .. } = msg {
            assert!(values.values().map(|v| v.as_bytes().len()).sum::<usize>() <= 600);
        }
    }
    // After a crash everything is asked for again, and there is nothing that was not chosen.
    world.start(2);
    world.run();
    assert_eq!(world.tape(2), world.tape(0));
}

#[test]
fn a_command_that_loses_its_instance_gets_another() {
    let mut world = World::new(&PLAIN);
    // Both lead and issue in the first instance; the second one's ballot is higher and wins.
    world.submit(0, "a");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    world.submit(1, "b");
    world.run();
    for _ in 0..4 {
        for at in 0..2 {
            if world.timers[at].contains(&Timer::Retry) {
                world.ring(at, Timer::Retry);
                world.run();
            }
        }
    }
    assert_eq!(world.tape(0), world.tape(1));
    let executed = |command: &str| world.tape(0).matches(command).count();
    assert_eq!((executed("a"), executed("b")), (1, 1), "{}", world.tape(0));
    assert_eq!(world.answers().len(), 2);
}

#[test]
fn a_command_that_comes_again_is_answered_as_before_by_anyone() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "a");
    world.submit(0, "b");
    world.run();
    world.submit(0, "a");
    world.submit(2, "a");
    world.run();
    assert_eq!(world.answers(), ["1", "2", "1", "1"]);
    assert_eq!(world.next(0), 2, "nothing was proposed for it");
}

#[test]
fn who_sees_another_lead_holds_back_and_says_who_leads() {
    let mut world = World::new(&Settings { hold_off: true, ..PLAIN });
    world.submit(0, "a");
    world.run();
    let since = world.sent.len();
    world.submit(1, "b");
    world.run();
    assert_eq!(world.count(since, |m| matches!(m, Msg::Prepare { .. })), 0);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Redirect { leader } if usize::from(*leader) == 0)), 1);
    world.ring(1, Timer::HoldOff);
    world.run();
    assert_eq!(world.next(1), 2, "after a while it proposes itself");
    assert!(matches!(&world.server(0).proposer.phase, Phase::Idle), "and the other gives way");
}

#[test]
fn a_question_is_answered_after_one_round_and_never_by_one_who_is_overtaken() {
    let mut world = World::new(&PLAIN);
    let ask = |world: &mut World, at: usize, client: usize| {
        world.tell(at, client.into(), Msg::Query { command: Value::from("length") });
    };
    world.submit(0, "a");
    world.run();
    let since = world.sent.len();
    ask(&mut world, 0, CLIENT);
    world.run();
    assert_eq!(world.answers(), ["1", "1"]);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Confirm { .. } | Msg::Confirmed { .. })), 6);
    assert_eq!(world.sent.len() - since, 7, "and the answer, and nothing else");
    // Others choose something that this leader does not hear of; it cannot confirm any more.
    world.submit(1, "b");
    world.run_losing(|src, dst, _| usize::from(dst) == 0 || usize::from(src) == 0);
    ask(&mut world, 0, CLIENT + 1);
    world.run();
    let stale =
        world.sent.iter().any(|(src, to, _)| usize::from(*src) == 0 && usize::from(*to) == CLIENT + 1);
    assert!(!stale && world.next(1) == 2);
}

#[test]
fn a_round_of_confirmation_that_began_before_the_question_does_not_count_for_it() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "a");
    world.run();
    let ask = |world: &mut World, client: usize| {
        world.tell(0, client.into(), Msg::Query { command: Value::from("length") });
    };
    ask(&mut world, CLIENT + 1);
    ask(&mut world, CLIENT + 2);
    let rounds = |world: &World| {
        let round = |(_, _, msg): &(Id, Id, Msg)| match msg {
            Msg::Confirm { round, .. } => Some(*round),
            _ => None,
        };
        world.sent.iter().filter_map(round).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(rounds(&world), 1, "the second question waits for the end of the first one's round");
    world.run();
    assert_eq!(rounds(&world), 2);
    let told = |client: usize| world.sent.iter().filter(|(_, to, _)| usize::from(*to) == client).count();
    assert_eq!((told(CLIENT + 1), told(CLIENT + 2)), (1, 1));
}

#[test]
fn a_promise_is_for_the_whole_log() {
    let mut world = World::new(&PLAIN);
    world.submit(1, "b");
    world.run();
    // A ballot below the one that is promised is refused in instances that nobody has touched yet.
    let ballot = Ballot { round: 1, proposer: 1 };
    let since = world.sent.len();
    world.tell(2, 0.into(), Msg::Accept { ballot, instance: Instance(9), value: Value::from("x") });
    assert_eq!(world.count(since, |m| matches!(m, Msg::Nack { .. })), 1);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Accepted { .. })), 0);
}
