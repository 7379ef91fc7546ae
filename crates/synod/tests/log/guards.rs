//! Guards of servers of a log, one by one: what counts as a confirmation, what a question waits for, which snapshot is taken
//! over, what a restart must not lose, and how many clients may wait.

use crate::world::{CLIENT, PLAIN, Settings, Tape, World, in_log, logged, number};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    AcceptorState, Ask, Ballot, Cluster, Instance, Learning, Log, Machine, Msg, PerInstance, Process,
    ProcessState, QuorumRule, Quorums, Retry, ServerState, Snapshot, Stable, Timer, Truncate, Value,
};

pub(crate) const EVERY: Truncate = Truncate {
    every: 4,
    every_bytes: u64::MAX,
    spare: 0,
    spare_bytes: u64::MAX,
    chunk: 1024,
    ahead: 1,
    most: 1 << 20,
};

/// Four servers of a log. Any two promise, and three have to accept.
pub(crate) fn cluster(truncate: Option<Truncate>) -> Cluster {
    let ids: Vec<Id> = (0..4).map(Id::from).collect();
    let any = Duration::ZERO..Duration::ZERO;
    Cluster {
        acceptors: ids.clone(),
        proposers: ids.iter().zip(1..).map(|(id, number)| (*id, number)).collect(),
        learners: ids,
        clients: Vec::new(),
        waiting_limit: 2,
        quorums: Quorums::new(4, QuorumRule::AtLeast(2), QuorumRule::AtLeast(3)).expect("they meet"),
        learning: Learning::Proposer,
        nacks: true,
        report: usize::MAX,
        max_value: usize::MAX,
        max_accepted: usize::MAX,
        keeps: usize::MAX,
        log: Some(Log {
            alpha: 4,
            batch: 1,
            machine: Arc::new(Tape::default()),
            hold_off: None,
            catch_up: Some(any),
            truncate,
            master: None,
            members: None,
        }),
        election: None,
    }
}

/// The first server, and the outputs of its last step.
pub(crate) struct First {
    process: Process,
    state: ProcessState,
    pub(crate) did: Vec<Command<Msg, Timer, std::convert::Infallible, Stable>>,
}

impl First {
    pub(crate) fn start(cluster: Cluster, saved: impl Into<Option<Stable>>) -> First {
        let any = Duration::ZERO..Duration::ZERO;
        First::made(cluster, Retry { on_nack: true, after: Some(any), doublings: 0 }, saved)
    }

    pub(crate) fn made(cluster: Cluster, retry: Retry, saved: impl Into<Option<Stable>>) -> First {
        let process = Process::Server { cluster: Arc::new(cluster), number: 1, retry };
        let mut out = Out::new();
        let state = process.on_start(0.into(), &saved.into(), &mut out);
        First { process, state, did: out.into_iter().collect() }
    }

    /// A server that has finished phase 1 of its first ballot with these reports, and has issued a command of its own.
    pub(crate) fn leader(first: &str) -> First {
        let mut leader = First::start(cluster(None), None);
        leader.hears(CLIENT, submit(first));
        leader.hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
        leader
    }

    /// Another server in the same state.
    pub(crate) fn fork(&self) -> First {
        First { process: self.process.clone(), state: self.state.clone(), did: Vec::new() }
    }

    pub(crate) fn state(&self) -> &ProcessState {
        &self.state
    }

    pub(crate) fn hears(&mut self, from: usize, msg: impl Into<Msg>) -> &mut First {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_msg(0.into(), &mut state, from.into(), msg.into(), &mut out);
        let state = state.into_owned();
        (self.state, self.did) = (state, out.into_iter().collect());
        self
    }

    /// True if a message leaves the state unedited and has no outputs.
    pub(crate) fn ignores(&self, from: usize, msg: impl Into<Msg>) -> bool {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_msg(0.into(), &mut state, from.into(), msg.into(), &mut out);
        matches!(state, Cow::Borrowed(_)) && out.is_empty()
    }

    pub(crate) fn rings(&mut self, timer: Timer) -> &mut First {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_timeout(0.into(), &mut state, &timer, &mut out);
        let state = state.into_owned();
        (self.state, self.did) = (state, out.into_iter().collect());
        self
    }

    /// True if a timer that rings leaves the state unedited.
    pub(crate) fn rests(&self, timer: Timer) -> bool {
        let (mut state, mut out) = (Cow::Borrowed(&self.state), Out::new());
        self.process.on_timeout(0.into(), &mut state, &timer, &mut out);
        matches!(state, Cow::Borrowed(_))
    }

    pub(crate) fn told(&self, whom: usize) -> Vec<Msg> {
        let said = self.did.iter().filter_map(|command| match command {
            Command::Send(to, msg) if usize::from(*to) == whom => Some(msg.clone()),
            _ => None,
        });
        said.collect()
    }

    pub(crate) fn outputs(&self, client: usize) -> Vec<String> {
        let output = |msg: Msg| match msg {
            Msg::Output { output, .. } => Some(format!("{output:?}")),
            _ => None,
        };
        self.told(client).into_iter().filter_map(output).collect()
    }

    pub(crate) fn saved(&self) -> Option<Stable> {
        self.did.iter().find_map(|command| match command {
            Command::Save(stable) => Some(stable.clone()),
            _ => None,
        })
    }

    pub(crate) fn server(&self) -> &ServerState {
        self.state.server().expect("a server")
    }

    pub(crate) fn next(&self) -> u64 {
        self.server().log.as_ref().expect("a log").next.0
    }
}

pub(crate) const BALLOT: Ballot = Ballot { round: 1, proposer: 1 };
pub(crate) const READER: usize = CLIENT + 1;

pub(crate) fn submit(command: &str) -> Ask {
    Ask::Submit { number: number(command), command: Value::from(command) }
}

pub(crate) fn query() -> Ask {
    Ask::Query { number: 1, command: Value::from("length") }
}

pub(crate) fn promise(ballot: Ballot) -> Msg {
    Msg::Promise { ballot, accepted: PerInstance::new(), rest: None }
}

pub(crate) fn accepted(instance: u64, command: &str) -> Msg {
    Msg::Accepted { ballot: BALLOT, instance: Instance(instance), value: in_log(command) }
}

pub(crate) fn chosen(instance: u64, command: &str) -> Msg {
    Msg::Chosen { instance: Instance(instance), value: in_log(command) }
}

pub(crate) fn confirmed(ballot: Ballot, round: u64) -> Msg {
    Msg::Confirmed { ballot, round }
}

#[test]
fn only_a_phase_2_quorum_of_this_round_and_ballot_confirms() {
    let mut leader = First::leader("a");
    for from in 0..3 {
        leader.hears(from, accepted(0, "a"));
    }
    assert_eq!(leader.next(), 1);
    leader.hears(READER, query());
    assert_eq!(leader.told(3), [Msg::Confirm { ballot: BALLOT, round: 1 }]);
    for (from, said) in [
        (0, confirmed(BALLOT, 1)),
        (1, confirmed(BALLOT, 1)),
        // A phase-1 quorum. Then the same acceptor again, another ballot, and rounds that are over or have not begun.
        (1, confirmed(BALLOT, 1)),
        (2, confirmed(Ballot { round: 2, proposer: 1 }, 1)),
        (2, confirmed(Ballot { round: 1, proposer: 2 }, 1)),
        (2, confirmed(BALLOT, 0)),
        (2, confirmed(BALLOT, 2)),
    ] {
        leader.hears(from, said.clone());
        assert_eq!(leader.outputs(READER), Vec::<String>::new(), "{said:?} of {from}");
    }
    assert_eq!(leader.hears(2, confirmed(BALLOT, 1)).outputs(READER), ["1"]);
    assert_eq!(leader.hears(3, confirmed(BALLOT, 1)).outputs(READER), Vec::<String>::new(), "once");
    // The next question takes a round of its own: confirmations of the last round say nothing about it.
    leader.hears(READER + 1, query());
    assert_eq!(leader.told(3), [Msg::Confirm { ballot: BALLOT, round: 2 }]);
    (0..4).for_each(|from| {
        let stale = leader.hears(from, confirmed(BALLOT, 1)).outputs(READER + 1);
        assert_eq!(stale, Vec::<String>::new());
    });
    leader.hears(0, confirmed(BALLOT, 2)).hears(1, confirmed(BALLOT, 2));
    assert_eq!(leader.hears(2, confirmed(BALLOT, 2)).outputs(READER + 1), ["1"]);
}

#[test]
fn a_question_waits_for_all_that_may_be_chosen_when_it_came() {
    // A proposal that was issued and is not known to be chosen.
    let mut leader = First::leader("a");
    leader.hears(READER, query());
    for from in 0..3 {
        leader.hears(from, confirmed(BALLOT, 1));
    }
    assert_eq!(leader.outputs(READER), Vec::<String>::new());
    leader.hears(0, accepted(0, "a")).hears(1, accepted(0, "a"));
    assert_eq!(leader.hears(2, accepted(0, "a")).outputs(READER), ["1"]);
    // A value that is known beyond a gap.
    let mut leader = First::leader("a");
    leader.hears(1, chosen(1, "b")).hears(READER, query());
    for from in 0..3 {
        leader.hears(from, confirmed(BALLOT, 1));
    }
    assert_eq!(leader.outputs(READER), Vec::<String>::new());
    assert_eq!(leader.hears(1, chosen(0, "a")).outputs(READER), ["2"]);
    // Without any of these it is answered at once, even where nothing was ever chosen.
    let mut leader = First::start(cluster(None), None);
    leader.hears(READER, query()).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    for from in 0..2 {
        leader.hears(from, confirmed(BALLOT, 1));
    }
    assert_eq!(leader.hears(2, confirmed(BALLOT, 1)).outputs(READER), ["0"]);
}

#[test]
fn a_round_is_asked_again_only_of_those_who_have_not_confirmed() {
    let mut leader = First::leader("a");
    leader.hears(READER, query()).hears(1, confirmed(BALLOT, 1));
    leader.rings(Timer::Retry);
    let asks = |leader: &First, whom| {
        leader.told(whom).into_iter().filter(|msg| matches!(msg, Msg::Confirm { round: 1, .. })).count()
    };
    assert_eq!((0..4).map(|whom| asks(&leader, whom)).collect::<Vec<_>>(), [1, 0, 1, 1]);
    leader.hears(0, confirmed(BALLOT, 1)).hears(2, confirmed(BALLOT, 1));
    leader.rings(Timer::Retry);
    assert_eq!((0..4).map(|whom| asks(&leader, whom)).collect::<Vec<_>>(), [0, 0, 0, 0], "it is confirmed");
}

#[test]
fn an_acceptor_confirms_what_it_has_promised_and_nothing_below() {
    let mut other = First::start(cluster(None), None);
    let third = Ballot { round: 3, proposer: 2 };
    let ask = |ballot| Msg::Confirm { ballot, round: 7 };
    assert_eq!(other.hears(1, ask(third)).told(1), [confirmed(third, 7)], "nothing is promised yet");
    other.hears(1, Msg::Prepare { ballot: third, from: Instance::FIRST });
    assert_eq!(other.hears(1, ask(third)).told(1), [confirmed(third, 7)]);
    let higher = Ballot { round: 4, proposer: 3 };
    other.hears(2, Msg::Prepare { ballot: higher, from: Instance::FIRST });
    assert!(!other.hears(1, ask(third)).told(1).contains(&confirmed(third, 7)));
}

#[test]
fn at_most_so_many_commands_and_questions_wait_and_the_no_op_is_none() {
    let mut leader = First::start(cluster(None), None);
    // Two places for all clients, and two more for clients that wait nowhere yet.
    for (client, command, queued) in
        [(11, "a", 1), (12, "b", 2), (11, "c", 2), (13, "", 2), (13, "d", 3), (14, "e", 4), (15, "f", 4)]
    {
        leader.hears(client, submit(command));
        assert_eq!(leader.server().proposer.queue.len(), queued, "{client} says {command:?}");
    }
    let ask = |number| Ask::Query { number, command: Value::from("length") };
    leader.hears(20, Ask::Query { number: 1, command: Value::from("no question") });
    for (client, number) in [(21, 1), (21, 1), (22, 1), (21, 2), (23, 1), (24, 1), (25, 1)] {
        leader.hears(client, ask(number));
    }
    leader.hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    for (instance, command) in ["a", "b", "d", "e"].into_iter().enumerate() {
        for from in 0..3 {
            leader.hears(from, accepted(instance as u64, command));
        }
    }
    assert_eq!(leader.next(), 4);
    let mut told = Vec::new();
    for from in 0..3 {
        leader.hears(from, confirmed(BALLOT, 1));
        told.extend((20..26).filter(|client| !leader.outputs(*client).is_empty()));
    }
    assert_eq!(told, [21, 22, 23, 24]);
}

/// A snapshot after this number of commands.
pub(crate) fn snapshot(commands: u64) -> Snapshot {
    let mut tape = Tape::default();
    (0..commands).for_each(|i| drop(tape.execute(Instance(i), &logged(&format!("c{i}")))));
    Snapshot { next: Instance(commands), sum: tape.checksum(), machine: Value::from(&tape.snapshot()[..]) }
}

pub(crate) fn chunk(of: &Snapshot) -> Msg {
    let length = of.machine.as_bytes().len() as u64;
    Msg::Chunk { of: of.next, sum: of.sum, length, at: 0, bytes: of.machine.clone() }
}

#[test]
fn what_is_too_long_is_refused_by_whoever_is_asked_and_changes_nothing() {
    let max_value = synod::LogEntry::COSTS + 8;
    let mut server = First::start(Cluster { max_value, ..cluster(None) }, None);
    let before = server.server().clone();
    let long = |length| Value::from(vec![b'x'; length].as_slice());
    let asks = |command: usize, question: usize| {
        [
            Ask::Submit { number: 7, command: long(command) },
            Ask::Query { number: 7, command: long(question) },
            Ask::StaleQuery { number: 7, command: long(question) },
        ]
    };
    for ask in asks(9, max_value + 1) {
        server.hears(CLIENT, ask);
        assert_eq!(server.outputs(CLIENT), ["\"at most 8\""]);
        assert_eq!((server.did.len(), server.server()), (1, &before));
    }
    for ask in asks(8, max_value) {
        assert_eq!(server.hears(CLIENT, ask).outputs(CLIENT), [""; 0], "the machine cannot answer it");
    }
    assert_ne!(*server.server(), before, "the command has a ballot begun");
}

#[test]
fn a_snapshot_is_taken_over_if_its_checksum_is_right_and_it_is_ahead() {
    let mut server = First::start(cluster(Some(EVERY)), None);
    let (older, newer) = (snapshot(4), snapshot(8));
    let forged = Snapshot { sum: newer.sum + 1, ..newer.clone() };
    server.hears(1, chunk(&forged));
    assert_eq!((server.next(), server.did.len()), (0, 0), "not what its checksum says");
    server.hears(1, chunk(&newer));
    let saved = server.saved().expect("it is saved in the step that takes it over");
    assert_eq!((server.next(), saved.acceptor.log_start), (8, Instance(8)));
    assert_eq!(saved.snapshot, Some(newer.clone()));
    assert!(server.ignores(2, chunk(&older)) && server.ignores(2, chunk(&newer)));
    let kept = &server.server().log.as_ref().expect("a log").snapshots.as_ref().expect("some").saved;
    assert_eq!(kept.as_ref(), Some(&newer), "an older one does not replace it");
}

#[test]
fn a_snapshot_that_is_on_its_way_gives_way_to_no_other_until_it_is_given_up() {
    let truncate = Truncate { chunk: 4, ..EVERY };
    let mut server = First::start(cluster(Some(truncate)), None);
    let first = |of: &Snapshot| {
        let bytes = Value::from(&of.machine.as_bytes()[..4]);
        let length = of.machine.as_bytes().len() as u64;
        Msg::Chunk { of: of.next, sum: of.sum, length, at: 0, bytes }
    };
    let (older, newer) = (snapshot(4), snapshot(8));
    let fetch = |of: &Snapshot| Msg::Fetch { of: of.next, sum: of.sum, at: 4 };
    assert_eq!(server.hears(1, first(&older)).told(1), [fetch(&older)]);
    assert_eq!(server.hears(1, first(&older)).told(1), [], "the chunk that is there is not due");
    assert!(server.ignores(2, first(&newer)), "the older one goes on");
    server.rings(Timer::CatchUp);
    assert_eq!(server.told(3), []);
    server.rings(Timer::CatchUp);
    assert_eq!(server.told(3), [fetch(&older)]);
    assert!(server.ignores(2, first(&newer)), "it may still come");
    server.rings(Timer::CatchUp);
    assert_eq!(server.told(3), [Msg::CatchUp { from: Instance(0) }], "nobody has it any more");
    assert_eq!(server.hears(2, first(&newer)).told(2), [fetch(&newer)]);
    assert!(server.ignores(1, first(&older)));
}

#[test]
fn whatever_is_saved_after_a_restart_holds_the_snapshot_and_the_log_start() {
    for truncate in [None, Some(EVERY)] {
        let acceptor = AcceptorState { log_start: Instance(4), ..AcceptorState::default() };
        let disk = Stable { acceptor, tried: 3, snapshot: Some(snapshot(4)) };
        let mut server = First::start(cluster(truncate.clone()), Some(disk));
        assert_eq!(server.next(), 4);
        server.hears(1, Msg::Prepare { ballot: Ballot { round: 5, proposer: 2 }, from: Instance(4) });
        let saved = server.saved().expect("a promise is saved");
        assert_eq!((saved.snapshot.as_ref(), saved.tried), (Some(&snapshot(4)), 3));
        // Once more, and the promise is there too.
        let again = First::start(cluster(truncate), Some(saved));
        assert_eq!((again.next(), again.server().acceptor.log_start), (4, Instance(4)));
        assert_eq!(again.server().acceptor.promised, Some(Ballot { round: 5, proposer: 2 }));
    }
}

#[test]
fn the_log_start_never_goes_back() {
    // Its snapshot cannot be read, so it starts from nothing, below the log's start.
    let acceptor = AcceptorState { log_start: Instance(8), ..AcceptorState::default() };
    let broken = Snapshot { machine: Value::from("no snapshot"), ..snapshot(8) };
    let disk = Stable { acceptor, tried: 0, snapshot: Some(broken) };
    let mut server = First::start(cluster(Some(EVERY)), Some(disk));
    assert_eq!(server.next(), 0);
    server.hears(1, chunk(&snapshot(4)));
    assert_eq!((server.next(), server.server().acceptor.log_start), (4, Instance(8)));
    let ask = |from| Msg::Prepare { ballot: Ballot { round: 5, proposer: 2 }, from: Instance(from) };
    assert!(!server.hears(1, ask(7)).told(1).iter().any(|msg| matches!(msg, Msg::Promise { .. })));
    assert!(server.hears(1, ask(8)).told(1).iter().any(|msg| matches!(msg, Msg::Promise { .. })));
}

#[test]
fn a_hold_off_ends_and_what_waited_for_it_is_begun() {
    let mut world = World::new(&Settings { hold_off: true, ..PLAIN });
    world.submit(0, "a");
    world.run();
    world.submit(1, "b");
    let since = world.sent.len();
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Prepare { .. })), 0, "it holds back");
    world.ring(1, Timer::HoldOff);
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Prepare { .. })), 3);
    world.run();
    assert!(world.tape(1).contains(" b\n"), "{}", world.tape(1));
    // With nothing to do its end changes nothing.
    let since = world.sent.len();
    world.ring(0, Timer::HoldOff);
    assert_eq!(world.sent.len(), since);
}

#[test]
fn who_asks_what_was_chosen_is_told_and_asks_on_only_if_that_was_not_all() {
    let mut server = First::start(cluster(None), None);
    let known = |from: u64, to: u64, next| {
        let values = (from..to).map(|i| (Instance(i), in_log(&format!("c{i}")))).collect();
        Msg::CatchUpReply { values, next: Instance(next) }
    };
    assert_eq!(server.hears(1, Msg::CatchUp { from: Instance(0) }).told(1), [], "it knows nothing");
    assert_eq!(server.hears(1, known(0, 2, 5)).told(1), [Msg::CatchUp { from: Instance(2) }]);
    assert_eq!(server.hears(1, known(0, 2, 5)).told(1), [], "it said nothing new");
    assert_eq!(server.hears(1, known(2, 5, 5)).told(1), [], "that was all");
    assert_eq!(server.next(), 5);
    assert_eq!(server.hears(1, Msg::CatchUp { from: Instance(5) }).told(1), []);
    assert_eq!(server.hears(1, Msg::CatchUp { from: Instance(3) }).told(1), [known(3, 5, 5)]);
}
