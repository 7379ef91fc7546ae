//! The instances that a ballot is good for where each stands for itself. Reports in several messages lose nothing.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;
use synod::{
    Ask, Ballot, Cluster, Instance, Learning, Msg, PerInstance, Process, Proposal, QuorumRule, Quorums,
    Retry, Value,
};

fn proposer() -> Process {
    let ids = |ids: [usize; 3]| ids.map(Id::from).to_vec();
    let cluster = Cluster {
        acceptors: ids([0, 1, 2]),
        proposers: vec![(3.into(), 1)],
        learners: Vec::new(),
        clients: Vec::new(),
        waiting_limit: 0,
        quorums: Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
        learning: Learning::Everyone,
        nacks: false,
        report: usize::MAX,
        max_value: usize::MAX,
        max_accepted: usize::MAX,
        keeps: usize::MAX,
        log: None,
        election: None,
    };
    Process::Proposer { cluster: Arc::new(cluster), number: 1, retry: Retry::default() }
}

/// Tells a proposer these messages, and returns its answers to the last of them, to the first acceptor.
fn says(told: &[(usize, Msg)]) -> Vec<Msg> {
    let process = proposer();
    let mut state = Cow::Owned(process.on_start(3.into(), &None, &mut Out::new()));
    let mut said = Vec::new();
    for (src, msg) in told {
        let mut out = Out::new();
        process.on_msg(3.into(), &mut state, (*src).into(), msg.clone(), &mut out);
        said = out.into_iter().collect();
    }
    let to_first = |command| match command {
        Command::Send(to, msg) if usize::from(to) == 0 => Some(msg),
        _ => None,
    };
    said.into_iter().filter_map(to_first).collect()
}

fn request(instance: u64, value: &str) -> (usize, Msg) {
    (9, Ask::Request { instance: Instance(instance), value: Value::from(value) }.into())
}

fn promise(acceptor: usize, round: u64, accepted: &[(u64, &str)], rest: Option<u64>) -> (usize, Msg) {
    let ballot = Ballot { round: 1, proposer: 0 };
    let entry = |(at, value): &(u64, &str)| (Instance(*at), Proposal { ballot, value: Value::from(*value) });
    let accepted: PerInstance<Proposal> = accepted.iter().map(entry).collect();
    let ballot = Ballot { round, proposer: 1 };
    (acceptor, Msg::Promise { ballot, accepted, rest: rest.map(Instance) })
}

fn accept(round: u64, instance: u64, value: &str) -> Msg {
    let ballot = Ballot { round, proposer: 1 };
    Msg::Accept { ballot, instance: Instance(instance), value: Value::from(value) }
}

fn prepare(round: u64, from: u64) -> Msg {
    Msg::Prepare { ballot: Ballot { round, proposer: 1 }, from: Instance(from) }
}

#[test]
fn phase_1_asks_from_the_lowest_instance_that_somebody_waits_for() {
    assert_eq!(says(&[request(7, "x")]), [prepare(1, 7)]);
}

#[test]
fn what_is_wanted_below_a_ballot_takes_another_one() {
    let through = [request(7, "x"), promise(0, 1, &[], None), promise(1, 1, &[], None)];
    assert_eq!(says(&through), [accept(1, 7, "x")]);
    // Above, the same ballot will do. Below, nobody was asked about that instance.
    assert_eq!(says(&[&through[..], &[request(8, "y")]].concat()), [accept(1, 8, "y")]);
    assert_eq!(says(&[&through[..], &[request(6, "y")]].concat()), [prepare(2, 6)]);
}

#[test]
fn nothing_is_issued_below_what_the_promises_are_about() {
    // The lower value is wanted while the ballot asks from the higher instance on, and must wait.
    let run = [request(7, "x"), request(6, "y"), promise(0, 1, &[], None), promise(1, 1, &[], None)];
    assert_eq!(says(&run), [accept(1, 7, "x")]);
}

#[test]
fn a_part_of_a_report_is_no_report() {
    let beginning = [request(7, "x"), request(9, "y"), promise(0, 1, &[(7, "a")], Some(9))];
    assert_eq!(says(&beginning), [prepare(1, 9)], "the rest is asked for");
    // The other's whole report and the beginning of one do not make a quorum.
    let more = [&beginning[..], &[promise(1, 1, &[], None)]].concat();
    assert_eq!(says(&more), []);
    // The same message once more says nothing new.
    assert_eq!(says(&[&more[..], &[promise(0, 1, &[(7, "a")], Some(9))]].concat()), []);
    let whole = [&more[..], &[promise(0, 1, &[(9, "b")], None)]].concat();
    assert_eq!(says(&whole), [accept(1, 7, "a"), accept(1, 9, "b")]);
}

#[test]
fn what_nobody_waits_for_is_not_read_and_nothing_is_issued_there() {
    // Nobody waits for anything from 8 on: this beginning is as good as the whole report.
    let beginning = [request(7, "x"), promise(0, 1, &[], Some(8)), promise(1, 1, &[(12, "b")], None)];
    assert_eq!(says(&beginning), [accept(1, 7, "x")]);
    // Enforces P2c: one of the quorum was not asked about 8, or anything above, and the ballot is good for none of it.
    for at in [8, 12, 100] {
        assert_eq!(says(&[&beginning[..], &[request(at, "y")]].concat()), [prepare(2, 7)]);
    }
    // If a client waits far above, only that instance is read besides, and those between are left out.
    let two = [request(7, "x"), request(90, "z"), promise(0, 1, &[], Some(8))];
    assert_eq!(says(&two), [prepare(1, 90)]);
    let two = [&two[..], &[promise(0, 1, &[], None), promise(1, 1, &[], None)]].concat();
    assert_eq!(says(&two), [accept(1, 7, "x"), accept(1, 90, "z")]);
    assert_eq!(says(&[&two[..], &[request(91, "y")]].concat()), [accept(1, 91, "y")]);
    assert_eq!(says(&[&two[..], &[request(89, "y")]].concat()), [prepare(2, 7)]);
}
