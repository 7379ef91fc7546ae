//! Nobody waits for ever: a process that has something to bring about has a timer set, whatever was lost. One step does a bounded
//! amount of work.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Ask, Cluster, Election, ElectionTimer, Instance, Learning, Log, LogEntry, Machine, Msg, Pace, Phase,
    Process, ProcessState, QuorumRule, Quorums, Retry, ServerState, Timer, Value,
};

const CLIENT: usize = 100;

/// A machine that counts what it executes, and outputs the count.
#[derive(Clone, Debug, Default)]
struct Count(Vec<Value>);

impl Count {
    fn length(&self) -> Value {
        Value::from(self.0.len().to_string().as_str())
    }
}

impl Machine for Count {
    fn execute(&mut self, _: Instance, entry: &LogEntry) -> Value {
        self.0.push(entry.value());
        self.length()
    }
    fn said(&self, entry: &LogEntry) -> Option<Value> {
        self.0.contains(&entry.value()).then(|| self.length())
    }
    fn query(&self, command: &Value) -> Option<Value> {
        (command.as_bytes() == b"length").then(|| self.length())
    }
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }
    fn restored(&self, _: &[u8]) -> Option<Box<dyn Machine>> {
        None
    }
    fn checksum(&self) -> u64 {
        self.0.len() as u64
    }
    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

/// The served configuration.
#[derive(Clone, Copy, Debug)]
struct Served {
    log: bool,
    election: bool,
    hold_off: bool,
    report: usize,
}

const REGISTER: Served = Served { log: false, election: false, hold_off: false, report: 1 << 20 };
const LOG: Served = Served { log: true, ..REGISTER };

fn any() -> std::ops::Range<Duration> {
    Duration::ZERO..Duration::ZERO
}

/// Three servers, their timers, and the messages between them.
struct Hand {
    servers: Vec<Process>,
    states: Vec<ProcessState>,
    timers: Vec<BTreeSet<Timer>>,
    flying: VecDeque<(usize, usize, Msg)>,
    told: Vec<(usize, Msg)>,
    /// The most messages that one step has sent.
    most: usize,
}

impl Hand {
    fn new(served: Served) -> Hand {
        let ids: Vec<Id> = (0..3_usize).map(Id::from).collect();
        let pace = Pace { beat: any(), suspect: any(), hold_off: any(), doublings: 0 };
        let log = Log {
            alpha: 4,
            batch: 1,
            machine: Arc::new(Count::default()),
            hold_off: served.hold_off.then(any),
            catch_up: served.log.then(any),
            truncate: None,
            master: None,
            members: None,
        };
        let cluster = Arc::new(Cluster {
            acceptors: ids.clone(),
            proposers: (0..3).map(|at| (ids[usize::from(at)], at)).collect(),
            learners: ids.clone(),
            clients: Vec::new(),
            waiting_limit: 1024,
            quorums: Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
            learning: if served.log { Learning::Proposer } else { Learning::Everyone },
            nacks: true,
            report: served.report,
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: served.log.then_some(log),
            election: served.election.then_some(Election { members: ids, among: None, backing: None, pace }),
        });
        let retry = Retry { on_nack: true, after: Some(any()), doublings: 7 };
        let server = |number| Process::Server { cluster: Arc::clone(&cluster), number, retry: retry.clone() };
        let mut hand = Hand {
            servers: (0..3).map(server).collect(),
            states: Vec::new(),
            timers: vec![BTreeSet::new(); 3],
            flying: VecDeque::new(),
            told: Vec::new(),
            most: 0,
        };
        for at in 0..3 {
            let mut out = Out::new();
            let state = hand.servers[at].on_start(at.into(), &None, &mut out);
            hand.states.push(state);
            hand.done(at, out);
        }
        hand
    }

    fn done(&mut self, at: usize, out: Out<Process>) {
        let mut sends = 0;
        for command in out {
            match command {
                Command::Send(to, msg) => {
                    sends += 1;
                    match usize::from(to) {
                        to if to < 3 => self.flying.push_back((at, to, msg)),
                        to => self.told.push((to, msg)),
                    }
                }
                Command::SetTimer(timer, _) => drop(self.timers[at].insert(timer)),
                Command::CancelTimer(timer) => drop(self.timers[at].remove(&timer)),
                Command::Save(_) | Command::ChooseRandom(..) => {}
            }
        }
        self.most = self.most.max(sends);
    }

    fn step(
        &mut self,
        at: usize,
        event: impl FnOnce(&Process, &mut Cow<'_, ProcessState>, &mut Out<Process>),
    ) {
        let (mut out, mut next) = (Out::new(), Cow::Owned(self.states[at].clone()));
        event(&self.servers[at], &mut next, &mut out);
        self.states[at] = next.into_owned();
        self.done(at, out);
    }

    fn tell(&mut self, at: usize, src: usize, msg: Msg) {
        self.step(at, |server, state, out| server.on_msg(at.into(), state, src.into(), msg, out));
    }

    fn ring(&mut self, at: usize, timer: Timer) {
        assert!(self.timers[at].remove(&timer), "{timer:?} is set at {at}");
        self.step(at, |server, state, out| server.on_timeout(at.into(), state, &timer, out));
    }

    /// Delivers in the order of sending until no message is on its way, except for those that are lost.
    fn run_losing(&mut self, lost: impl Fn(usize, usize) -> bool) {
        while let Some((src, dst, msg)) = self.flying.pop_front() {
            if !lost(src, dst) {
                self.tell(dst, src, msg);
            }
        }
    }

    fn run(&mut self) {
        self.run_losing(|_, _| false);
    }

    fn server(&self, at: usize) -> &ServerState {
        self.states[at].server().expect("a server")
    }

    fn told(&self, client: usize) -> usize {
        let answers = |(to, msg): &&(usize, Msg)| *to == client && !matches!(msg, Msg::Redirect { .. });
        self.told.iter().filter(answers).count()
    }

    /// Asserts that every server that has something to bring about waits for a timer that will make it go on.
    fn check(&self, served: Served) {
        for (at, (state, timers)) in self.states.iter().zip(&self.timers).enumerate() {
            let (server, proposer) = (state.server().expect("a server"), state.proposer().expect("a server"));
            let asks = server.log.as_ref().is_some_and(|log| !log.questions.open.is_empty());
            let busy =
                !proposer.wanted.is_empty() || !proposer.reads.is_empty() || !proposer.queue.is_empty();
            let election = |timer| timers.contains(&Timer::Election(timer));
            let leads = !served.election || proposer.election.ready;
            assert!(
                leads || election(ElectionTimer::Suspect) || election(ElectionTimer::HoldOff),
                "{at} waits for nobody: {state:?}"
            );
            let waits = timers.contains(&Timer::Retry)
                || served.hold_off && proposer.phase == Phase::Idle && timers.contains(&Timer::HoldOff);
            assert!(!(leads && (busy || asks)) || waits, "{at} waits for ever: {timers:?} {state:?}");
            assert!(
                busy || asks || served.log || !timers.contains(&Timer::Retry),
                "{at} has nothing to do and a timer set"
            );
        }
    }
}

fn request(at: u64, value: &str) -> Msg {
    Msg::Ask(Ask::Request { instance: Instance(at), value: Value::from(value) })
}

fn submit(command: &str) -> Msg {
    // The same words are the same call.
    let number = command.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
    Msg::Ask(Ask::Submit { number, command: Value::from(command) })
}

fn question() -> Msg {
    Msg::Ask(Ask::Query { number: 1, command: Value::from("length") })
}

#[test]
fn a_server_whose_ballot_got_lost_and_whose_wish_came_true_elsewhere_goes_on() {
    for (served, first, second) in
        [(REGISTER, request(0, "x"), request(1, "y")), (LOG, submit("x"), submit("y"))]
    {
        let mut hand = Hand::new(served);
        // All messages of server 0 are lost, and all servers hear what server 1 brings about.
        hand.tell(0, CLIENT, first.clone());
        hand.flying.clear();
        hand.tell(1, CLIENT, first);
        hand.run();
        assert!(!hand.timers[0].contains(&Timer::Retry), "it has nothing left to do");
        hand.tell(0, CLIENT + 1, second);
        hand.run();
        hand.ring(0, Timer::Retry);
        hand.run();
        assert_eq!(hand.told(CLIENT + 1), 1, "{served:?}");
    }
}

#[test]
fn a_ballot_that_was_refused_when_nothing_was_left_to_do_is_not_waited_for() {
    let mut hand = Hand::new(REGISTER);
    hand.tell(0, CLIENT, request(0, "x"));
    let late: VecDeque<_> = hand.flying.drain(..).collect();
    hand.tell(1, CLIENT, request(0, "x"));
    hand.run();
    // Now the prepares arrive, and are refused.
    hand.flying = late;
    hand.run();
    assert_eq!(hand.server(0).proposer.phase, Phase::Idle);
    hand.tell(0, CLIENT + 1, request(1, "y"));
    hand.run();
    assert_eq!(hand.told(CLIENT + 1), 1, "without a timer");
}

#[test]
fn a_lost_accept_is_sent_again_in_the_same_ballot_where_it_is_missing() {
    let mut hand = Hand::new(REGISTER);
    hand.tell(1, CLIENT, request(0, "x"));
    hand.run();
    hand.tell(1, CLIENT, request(3, "z"));
    // One acceptor hears of it, and its answer is lost.
    hand.run_losing(|_, dst| dst != 1);
    let tried = hand.server(1).proposer.tried;
    hand.ring(1, Timer::Retry);
    let again: Vec<usize> = hand.flying.iter().map(|(_, dst, _)| *dst).collect();
    assert_eq!(again, [0, 2], "itself has accepted");
    hand.run();
    assert_eq!((hand.told(CLIENT), hand.server(1).proposer.tried), (2, tried));
    assert!(!hand.timers[1].contains(&Timer::Retry));
}

/// Server 0 leads. Server 1 suspects it wrongly, leads for a moment in a higher ballot, and gives way.
fn overtaken() -> Hand {
    let mut hand = Hand::new(Served { election: true, ..LOG });
    hand.flying.clear();
    hand.ring(0, Timer::Election(ElectionTimer::HoldOff));
    hand.run();
    hand.ring(1, Timer::Election(ElectionTimer::Suspect));
    hand.ring(1, Timer::Election(ElectionTimer::HoldOff));
    hand.run();
    hand.ring(0, Timer::Election(ElectionTimer::Beat));
    hand.run();
    hand
}

#[test]
fn a_leader_that_was_overtaken_for_a_moment_answers_questions_again() {
    let mut hand = overtaken();
    hand.tell(0, CLIENT, question());
    hand.run();
    assert_eq!(hand.told(CLIENT), 1);
    // If every message about its ballot is lost once, it asks again.
    let mut hand = overtaken();
    hand.tell(0, CLIENT, question());
    hand.flying.clear();
    hand.ring(0, Timer::Retry);
    hand.run();
    assert_eq!(hand.told(CLIENT), 1);
}

#[test]
fn a_question_to_a_leader_that_holds_off_yet_waits_until_it_leads() {
    let mut hand = Hand::new(Served { election: true, ..LOG });
    hand.tell(0, CLIENT, question());
    hand.tell(1, CLIENT + 1, question());
    assert!(matches!(hand.told[..], [(101, Msg::Redirect { .. })]), "{:?}", hand.told);
    hand.run();
    hand.ring(0, Timer::Election(ElectionTimer::HoldOff));
    hand.run();
    assert_eq!(hand.told(CLIENT), 1);
}

#[test]
fn whoever_is_refused_twice_in_a_row_waits() {
    let mut hand = Hand::new(REGISTER);
    hand.tell(0, CLIENT, request(0, "x"));
    hand.run_losing(|_, _| true);
    let ballot = |hand: &Hand| match hand.server(0).proposer.phase {
        Phase::Preparing { ballot, .. } => Some(ballot),
        _ => None,
    };
    let refuse = |hand: &mut Hand| {
        let refused = ballot(hand).expect("a ballot is under way");
        let promised = synod::Ballot { round: refused.round, proposer: 2 };
        hand.tell(0, 2, Msg::Nack { ballot: refused, promised });
    };
    refuse(&mut hand);
    assert!(ballot(&hand).is_some(), "the first refusal is answered at once");
    refuse(&mut hand);
    assert!(ballot(&hand).is_none() && hand.timers[0].contains(&Timer::Retry));
    // A request that comes meanwhile begins no ballot either.
    hand.tell(0, CLIENT, request(1, "y"));
    hand.tell(0, CLIENT, Msg::Ask(Ask::Read { instance: Instance(2) }));
    assert!(ballot(&hand).is_none());
    hand.flying.clear();
    hand.ring(0, Timer::Retry);
    hand.run();
    assert_eq!(hand.told(CLIENT), 3);
}

/// Servers of a register that know many instances. Server 0 leads.
fn full(report: usize, instances: u64) -> Hand {
    let mut hand = Hand::new(Served { election: true, report, ..REGISTER });
    hand.flying.clear();
    hand.ring(0, Timer::Election(ElectionTimer::HoldOff));
    for at in 100..100 + instances {
        hand.tell(0, CLIENT, request(at, "v"));
        hand.run();
    }
    hand.most = 0;
    hand
}

#[test]
fn a_question_about_one_instance_has_that_one_read_and_no_other_written() {
    let mut hand = full(1000, 500);
    let cost = |hand: &mut Hand, at: u64| {
        hand.tell(0, CLIENT + 1, Msg::Ask(Ask::Read { instance: Instance(at) }));
        let (mut reported, mut accepts) = (0, 0);
        while let Some((src, dst, msg)) = hand.flying.pop_front() {
            match &msg {
                Msg::Promise { accepted, .. } => reported += accepted.len(),
                Msg::Accept { .. } => accepts += 1,
                _ => {}
            }
            hand.tell(dst, src, msg);
        }
        (reported, accepts)
    };
    let (reported, accepts) = cost(&mut hand, 1);
    assert_eq!((hand.told(CLIENT + 1), accepts), (1, 0));
    assert!(reported <= 3 * 1000 / 48, "one message each, and not {reported} proposals");
    assert!(hand.most <= 4, "{} messages in one step", hand.most);
    // The ballot is good only for what it asked about. An instance beyond takes another ballot.
    let tried = hand.server(0).proposer.tried;
    hand.tell(0, CLIENT, request(2, "w"));
    hand.run();
    assert_eq!(hand.server(0).proposer.tried, tried);
    hand.tell(0, CLIENT, request(700, "w"));
    hand.run();
    assert_eq!((hand.server(0).proposer.tried, hand.told(CLIENT)), (tried + 1, 502));
    assert!(hand.timers[0].iter().all(|timer| *timer != Timer::Retry));
}

#[test]
fn who_waits_far_above_is_not_kept_waiting_by_who_asks_below() {
    let mut hand = full(1000, 500);
    // Both are waited for when the ballot begins. Most of what lies between is not read.
    hand.tell(0, CLIENT + 1, Msg::Ask(Ask::Read { instance: Instance(1) }));
    hand.tell(0, CLIENT, request(700, "w"));
    hand.run();
    assert_eq!((hand.told(CLIENT + 1), hand.told(CLIENT)), (1, 501));
    let Phase::Accepting { reports, gaps, .. } = &hand.server(0).proposer.phase else {
        panic!("through with phase 1")
    };
    assert!(reports.len() < 30 && gaps.contain(Instance(599)) && !gaps.contain(Instance(700)));
    // A server that comes back knows nothing. It must not propose over what binds it in a gap.
    let ProcessState::Server(mut server) = hand.states[0].clone() else { panic!("a server") };
    server.learner = synod::LearnerState::default();
    hand.states[0] = ProcessState::Server(server);
    hand.tell(0, CLIENT + 2, request(599, "other"));
    hand.run();
    let value = Value::from("v");
    assert!(hand.told.contains(&(CLIENT + 2, Msg::Response { instance: Instance(599), value })));
}

#[test]
fn what_many_wait_for_is_proposed_in_bounded_steps() {
    let mut hand = Hand::new(Served { election: true, report: 1000, ..REGISTER });
    for at in 0..200 {
        hand.tell(0, CLIENT, request(at, "v"));
    }
    hand.ring(0, Timer::Election(ElectionTimer::HoldOff));
    hand.run();
    assert!(hand.told(CLIENT) > 0 && hand.told(CLIENT) < 200);
    let mut rings = 0;
    while hand.timers[0].contains(&Timer::Retry) {
        hand.ring(0, Timer::Retry);
        hand.run();
        rings += 1;
    }
    assert_eq!(hand.told(CLIENT), 200);
    assert!(hand.most <= 3 * 1000 / 48 && rings < 20, "{} messages in one step, {rings} steps", hand.most);
    // Repeated messages are bounded, too.
    hand.most = 0;
    for at in 200..400 {
        hand.tell(0, CLIENT, request(at, "v"));
    }
    hand.flying.clear();
    hand.ring(0, Timer::Retry);
    assert!(hand.most <= 3 * 1000 / 48, "{} messages in one step", hand.most);
}

/// Random schedules, in which any message may be lost, late or doubled and timers run out at any moment. From some point on
/// nothing is lost.
#[test]
fn whoever_has_something_to_do_has_a_timer_set_whatever_happens() {
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    for (kind, seed) in (0..240).map(|seed| (kinds[seed % 4], seed as u64)) {
        let (log, election) = kind;
        let hold_off = log && !election && seed % 8 < 4;
        let served = Served { log, election, hold_off, report: if seed % 3 == 0 { 60 } else { 1 << 20 } };
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |most: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % most
        };
        let mut hand = Hand::new(served);
        for step in 0..400 {
            let at = below(3);
            match below(10) {
                0 => {
                    let (place, word) = (below(4) as u64, ["x", "y", "z"][below(3)]);
                    let msg = match (log, below(3)) {
                        (true, 0) => question(),
                        (true, _) => submit(&format!("{word}{place}")),
                        (false, 0) => Msg::Ask(Ask::Read { instance: Instance(place) }),
                        (false, _) => request(place, word),
                    };
                    hand.tell(at, CLIENT + below(3), msg);
                }
                1 | 2 => {
                    let timers: Vec<Timer> = hand.timers[at].iter().copied().collect();
                    if !timers.is_empty() {
                        hand.ring(at, timers[below(timers.len())]);
                    }
                }
                kind if !hand.flying.is_empty() => {
                    let place = below(hand.flying.len());
                    let (src, dst, msg) = hand.flying.remove(place).expect("it is there");
                    if kind == 3 {
                        hand.flying.push_back((src, dst, msg.clone()));
                    }
                    if kind != 4 {
                        hand.tell(dst, src, msg);
                    }
                }
                _ => {}
            }
            let _ = step;
            hand.check(served);
        }
        // Timers are accurate from here on: no leader that is up is suspected, and nothing is lost.
        for _ in 0..60 {
            hand.run();
            for at in 0..3 {
                for timer in hand.timers[at].clone() {
                    let suspects = timer == Timer::Election(ElectionTimer::Suspect);
                    if !suspects && hand.timers[at].contains(&timer) {
                        hand.ring(at, timer);
                        hand.run();
                    }
                }
            }
            hand.check(served);
        }
        for at in 0..3 {
            let proposer = &hand.server(at).proposer;
            let leads = !election || proposer.election.ready;
            let idle = proposer.wanted.is_empty() && proposer.reads.is_empty() && proposer.queue.is_empty();
            let asks = hand.server(at).log.as_ref().is_some_and(|log| !log.questions.open.is_empty());
            assert!(!leads || idle && !asks, "seed {seed}: {at} was not done: {proposer:?}");
        }
    }
}
