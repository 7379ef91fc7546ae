//! Steps of a server of a log that must change nothing: messages that come late, twice or for another server. And things that it
//! must not lose, repeat or ask of itself while its instances go to others.

use crate::guards::{
    BALLOT, EVERY, First, READER, accepted, chosen, chunk, cluster, confirmed, promise, query, snapshot,
    submit,
};
use crate::world::{CLIENT, in_log};
use stateright::actor::Command;
use std::time::Duration;
use synod::{
    AcceptorState, Ask, Ballot, Beat, Cluster, Election, ElectionTimer, Instance, Learning, Log, Msg, Pace,
    Phase, Proposal, Retry, Snapshot, Stable, Timer, Truncate, Value,
};

fn with(truncate: Option<Truncate>, change: impl FnOnce(&mut Log)) -> Cluster {
    let mut cluster = cluster(truncate);
    change(cluster.log.as_mut().expect("a log"));
    cluster
}

/// A server that comes back with this snapshot and has forgotten the log below an instance.
fn restarted(truncate: Truncate, saved: Snapshot, log_start: u64) -> First {
    let acceptor = AcceptorState { log_start: Instance(log_start), ..AcceptorState::default() };
    First::start(cluster(Some(truncate)), Stable { acceptor, tried: 0, snapshot: Some(saved) })
}

fn queue(server: &First) -> Vec<Value> {
    server.server().proposer.queue.iter().cloned().collect()
}

fn wanted(server: &First) -> Vec<(u64, Value)> {
    server.server().proposer.wanted.iter().map(|(instance, value)| (instance.0, value.clone())).collect()
}

/// The proposals of its last step.
fn proposed(server: &First) -> Vec<(u64, Value)> {
    let proposal = |msg| match msg {
        Msg::Accept { instance, value, .. } => Some((instance.0, value)),
        _ => None,
    };
    server.told(3).into_iter().filter_map(proposal).collect()
}

fn prepares(server: &First) -> Vec<(Ballot, u64)> {
    let prepare = |msg| match msg {
        Msg::Prepare { ballot, from } => Some((ballot, from.0)),
        _ => None,
    };
    server.told(3).into_iter().filter_map(prepare).collect()
}

fn nack(ballot: Ballot, round: u64) -> Msg {
    Msg::Nack { ballot, promised: Ballot { round, proposer: 2 } }
}

fn prepare(round: u64, from: u64) -> Msg {
    Msg::Prepare { ballot: Ballot { round, proposer: 2 }, from: Instance(from) }
}

#[test]
fn a_confirmation_counts_once_and_only_in_the_round_that_is_under_way() {
    let mut leader = First::leader("a");
    for from in 0..3 {
        leader.hears(from, accepted(0, "a"));
    }
    leader.hears(READER, query());
    assert!(leader.ignores(READER, query()), "the call waits already");
    leader.hears(READER + 1, query());
    leader.hears(1, confirmed(BALLOT, 1));
    assert!(leader.ignores(1, confirmed(BALLOT, 1)), "it has confirmed");
    assert!(leader.ignores(2, confirmed(BALLOT, 2)), "the second question's round was not begun");
    leader.hears(0, confirmed(BALLOT, 1)).hears(2, confirmed(BALLOT, 1));
    assert_eq!((leader.outputs(READER).len(), leader.outputs(READER + 1).len()), (1, 0));
    for from in 0..3 {
        leader.hears(from, confirmed(BALLOT, 2));
    }
    assert_eq!(leader.outputs(READER + 1).len(), 1);
    assert!(leader.ignores(3, confirmed(BALLOT, 2)), "nobody waits for it any more");
}

#[test]
fn what_is_no_question_or_one_too_many_begins_no_ballot() {
    let server = First::start(cluster(None), None);
    assert!(server.ignores(READER, Ask::Query { number: 1, command: Value::from("no question") }));
    let mut full = First::start(Cluster { keeps: 1, ..cluster(None) }, None);
    full.hears(READER, query());
    assert!(full.ignores(READER + 1, query()), "one long question is kept");
    let mut full = First::start(Cluster { keeps: 1, ..cluster(None) }, None);
    full.hears(CLIENT, submit("aa"));
    assert!(full.ignores(CLIENT + 1, submit("bb")), "and one long command");
}

#[test]
fn who_learns_from_acceptors_learns_at_a_quorum_and_not_below_what_it_has_forgotten() {
    let acceptor = AcceptorState { log_start: Instance(4), ..AcceptorState::default() };
    let disk = Stable { acceptor, tried: 0, snapshot: Some(snapshot(4)) };
    let mut server = First::start(Cluster { learning: Learning::Everyone, ..cluster(Some(EVERY)) }, disk);
    assert!(server.ignores(1, accepted(3, "x")) && server.ignores(1, chosen(3, "x")), "it is forgotten");
    server.hears(1, accepted(4, "a")).hears(2, accepted(4, "a"));
    assert_eq!(server.next(), 4);
    assert_eq!(server.hears(3, accepted(4, "a")).next(), 5);
    // Its own proposal stays where it is until it is known to be chosen.
    let mut leader = First::start(Cluster { learning: Learning::Everyone, ..cluster(None) }, None);
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, accepted(0, "a"));
    assert_eq!((wanted(&leader), queue(&leader)), (vec![(0, in_log("a"))], vec![]));
    // If acceptors tell the proposer alone, the learner counts nothing.
    let mut leader = First::leader("a");
    assert!(leader.hears(1, accepted(0, "a")).server().learner.votes.is_empty());
}

#[test]
fn what_is_known_already_is_no_success() {
    let retry = Retry { on_nack: true, after: Some(Duration::ZERO..Duration::ZERO), doublings: 2 };
    let mut server = First::made(cluster(None), retry, None);
    server.hears(1, chosen(0, "a")).hears(CLIENT, submit("b")).rings(Timer::Retry);
    assert_eq!(server.server().proposer.failed, 1);
    assert!(server.ignores(1, chosen(0, "a")));
}

#[test]
fn a_server_asks_the_others_what_it_missed_and_only_where_it_is_to() {
    for catch_up in [true, false] {
        let mut server = First::start(
            with(Some(EVERY), |log| log.catch_up = log.catch_up.take().filter(|_| catch_up)),
            None,
        );
        let learn = |from| if catch_up { vec![Msg::CatchUp { from: Instance(from) }] } else { vec![] };
        assert_eq!((server.told(0), server.told(1)), (vec![], learn(0)));
        assert_eq!(server.hears(1, chunk(&snapshot(4))).told(1), learn(4), "the rest after a snapshot");
        assert!(server.rests(Timer::CatchUp), "nothing is on its way");
        server.rings(Timer::CatchUp);
        let cancels = |it: &_| matches!(it, Command::CancelTimer(_));
        assert!(server.told(1) == learn(4) && !server.did.iter().any(cancels), "no other timer runs");
    }
}

#[test]
fn a_leader_that_takes_a_snapshot_over_goes_on_in_its_ballot_and_one_that_prepares_asks_from_there() {
    let start = || First::start(cluster(Some(EVERY)), None);
    let mut leader = start();
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, chunk(&snapshot(4)));
    assert_eq!(
        (proposed(&leader), prepares(&leader)),
        (vec![(4, in_log("a"))], vec![]),
        "its command is not lost"
    );
    let mut prepares_still = start();
    prepares_still.hears(CLIENT, submit("a")).hears(1, chunk(&snapshot(4)));
    assert_eq!(prepares(&prepares_still), [(Ballot { round: 2, proposer: 1 }, 4)]);
    // Its command is in the snapshot: there is nothing left to prepare for.
    let mut done = start();
    done.hears(CLIENT, submit("c0")).hears(1, chunk(&snapshot(4)));
    assert_eq!((done.outputs(CLIENT), prepares(&done)), (vec!["1".to_owned()], vec![]));
    assert_eq!(done.server().proposer.phase, Phase::Idle);
    assert!(done.server().log.as_ref().expect("a log").asked.is_empty());
}

#[test]
fn a_snapshot_has_nothing_proposed_again_that_is_known_or_fills_a_gap() {
    let mut leader = First::start(cluster(Some(EVERY)), None);
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, chosen(5, "a")).hears(1, chunk(&snapshot(4)));
    assert_eq!(
        (proposed(&leader), queue(&leader)),
        (vec![(4, Value::no_op())], vec![]),
        "its command is known in 5"
    );
    let mut leader = First::start(cluster(Some(EVERY)), None);
    leader.hears(1, chosen(1, "c1")).hears(READER, query()).hears(1, promise(BALLOT));
    assert_eq!(proposed(leader.hears(2, promise(BALLOT))), [(0, Value::no_op())]);
    leader.hears(1, chunk(&snapshot(4)));
    assert_eq!((proposed(&leader), wanted(&leader), queue(&leader)), (vec![], vec![], vec![]));
}

#[test]
fn a_command_that_loses_its_instance_is_proposed_again_unless_it_is_known_elsewhere() {
    let mut leader = First::leader("a");
    leader.hears(1, chosen(0, "b"));
    assert_eq!(proposed(&leader), [(1, in_log("a"))]);
    let mut leader = First::leader("a");
    leader.hears(1, chosen(2, "a"));
    assert_eq!(proposed(&leader), [(1, Value::no_op())], "a gap below what is known");
    leader.hears(1, chosen(0, "b"));
    assert_eq!((proposed(&leader), queue(&leader)), (vec![], vec![]), "it is chosen in 2");
    // A no-op that loses its instance is of no use elsewhere.
    leader.hears(1, chosen(1, "c"));
    assert_eq!(
        (leader.next(), proposed(&leader), wanted(&leader), queue(&leader)),
        (3, vec![], vec![], vec![])
    );
}

#[test]
fn a_ballot_that_is_given_up_leaves_its_commands_in_their_order_and_nothing_else() {
    let mut leader = First::leader("a");
    leader.hears(CLIENT, submit("b"));
    assert_eq!(wanted(&leader), [(0, in_log("a")), (1, in_log("b"))]);
    leader.hears(1, nack(BALLOT, 7));
    assert_eq!(
        (prepares(&leader), queue(&leader)),
        (vec![(Ballot { round: 8, proposer: 1 }, 0)], vec![in_log("a"), in_log("b")])
    );
    leader.hears(1, nack(Ballot { round: 8, proposer: 1 }, 5));
    assert_eq!(prepares(&leader), [(Ballot { round: 9, proposer: 1 }, 0)]);
    assert_eq!(leader.server().proposer.heard, 7, "a lower hint is none");
    let mut leader = First::leader("a");
    leader.hears(1, chosen(2, "a"));
    assert_eq!(wanted(&leader), [(0, in_log("a")), (1, Value::no_op())]);
    leader.hears(1, nack(BALLOT, 7));
    assert_eq!((queue(&leader), wanted(&leader)), (vec![], vec![]), "what is known and what fills a gap");
}

#[test]
fn a_nack_of_no_use_changes_nothing() {
    let idle = First::start(cluster(None), None);
    assert!(idle.ignores(1, nack(BALLOT, 7)), "no ballot is under way");
    let mut once = First::made(cluster(None), Retry::default(), None);
    once.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    assert!(once.ignores(1, nack(BALLOT, 7)), "it never tries again");
}

#[test]
fn what_is_executed_known_or_waits_is_not_queued_and_begins_nothing() {
    let mut server = First::start(cluster(None), None);
    assert!(server.ignores(CLIENT, submit("")), "the no-op is no command");
    server.hears(1, chosen(0, "a")).hears(CLIENT, submit("a"));
    assert_eq!((server.outputs(CLIENT), server.did.len()), (vec!["1".to_owned()], 1));
    // A value is known beyond a gap. It is executed as soon as the gap is filled.
    server.hears(1, chosen(2, "b")).hears(CLIENT, submit("b"));
    assert_eq!((queue(&server), server.did.len()), (vec![], 0));
    assert!(server.ignores(CLIENT, submit("b")), "the call waits");
    assert_eq!(server.hears(1, chosen(1, "c")).outputs(CLIENT), ["3"]);
}

#[test]
fn gaps_are_filled_and_what_is_known_is_left_alone() {
    let mut leader = First::start(cluster(None), None);
    leader
        .hears(1, chosen(1, "b"))
        .hears(CLIENT, submit("a"))
        .hears(1, promise(BALLOT))
        .hears(2, promise(BALLOT));
    let issued = [(0, Value::no_op()), (2, in_log("a"))];
    assert_eq!((proposed(&leader), wanted(&leader)), (issued.to_vec(), issued.to_vec()));
}

#[test]
fn a_leader_goes_on_until_all_that_was_reported_is_executed_and_no_longer() {
    let mut leader = First::start(cluster(None), None);
    let old = Proposal { ballot: Ballot { round: 0, proposer: 2 }, value: in_log("r") };
    let reported =
        Msg::Promise { ballot: BALLOT, accepted: [(Instance(0), old)].into_iter().collect(), rest: None };
    leader.hears(CLIENT, submit("a")).hears(1, reported).hears(2, promise(BALLOT));
    assert_eq!(proposed(&leader), [(0, in_log("r")), (1, in_log("a"))]);
    leader.hears(1, chosen(1, "a"));
    assert_eq!(
        proposed(leader.rings(Timer::Retry)),
        [(0, in_log("r"))],
        "nobody asked for it, but it may be chosen"
    );
    leader.hears(1, chosen(0, "r"));
    assert!(leader.did.iter().any(|it| matches!(it, Command::CancelTimer(Timer::Retry))), "{:?}", leader.did);
    assert!(leader.rings(Timer::Retry).did.is_empty());
}

#[test]
fn who_holds_off_does_so_for_an_accept_that_it_took_and_begins_no_ballot_over_its_own() {
    let holds_off = || with(None, |log| log.hold_off = Some(Duration::ZERO..Duration::ZERO));
    let held = |server: &First| server.server().log.as_ref().expect("a log").held;
    let accept = |round| Msg::Accept {
        ballot: Ballot { round, proposer: 2 },
        instance: Instance(0),
        value: in_log("z"),
    };
    let mut server = First::start(holds_off(), None);
    server.hears(1, prepare(3, 0)).hears(1, accept(2));
    assert_eq!(held(&server), None, "it refused");
    server.hears(1, accept(3));
    assert_eq!(held(&server), Some(1.into()));
    let mut leader = First::start(holds_off(), None);
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    for from in 0..3 {
        leader.hears(from, accepted(0, "a"));
    }
    leader.hears(1, nack(BALLOT, 7)).hears(CLIENT, submit("b"));
    assert_eq!(prepares(&leader).len(), 1);
    assert_eq!(prepares(leader.rings(Timer::HoldOff)).len(), 0, "one is under way");
}

#[test]
fn a_snapshot_is_offered_to_those_who_need_what_is_forgotten_and_to_no_other() {
    let saved = snapshot(4);
    let mut server = restarted(EVERY, saved.clone(), 4);
    assert!(server.ignores(1, Msg::CatchUp { from: Instance(4) }), "it knows nothing from there on");
    server.hears(1, chosen(4, "x"));
    assert_eq!(
        server.hears(1, Msg::CatchUp { from: Instance(3) }).told(1),
        [chunk(&saved)],
        "and no more than that"
    );
    // Spared instances come from the log.
    let spare = Truncate { spare: 2, ..EVERY };
    let mut server = First::start(cluster(Some(spare.clone())), None);
    for at in 0..4 {
        server.hears(1, chosen(at, &format!("c{at}")));
    }
    server.rings(Timer::Snapshot);
    let values = [(Instance(2), in_log("c2")), (Instance(3), in_log("c3"))].into_iter().collect();
    let known = Msg::CatchUpReply { values, next: Instance(4) };
    assert_eq!(server.hears(1, Msg::CatchUp { from: Instance(2) }).told(1), [known]);
    // A server that can promise what is asked offers no snapshot besides.
    for (from, promises) in [(1, false), (2, true), (3, true)] {
        let mut server = restarted(spare.clone(), saved.clone(), 2);
        let told = server.hears(1, prepare(5, from)).told(1);
        assert!(
            matches!((&told[..], promises), ([Msg::Promise { .. }], true) | ([Msg::Chunk { .. }], false)),
            "{told:?}"
        );
    }
}

#[test]
fn parts_are_sent_as_far_as_there_are_any_and_of_what_is_there() {
    let (saved, length) = (snapshot(4), snapshot(4).machine.as_bytes().len() as u64);
    let mut server = restarted(EVERY, saved.clone(), 4);
    let fetch = |of, at| Msg::Fetch { of: Instance(of), sum: saved.sum, at };
    assert!(server.ignores(1, fetch(8, 0)), "it has none so new");
    assert!(server.ignores(1, fetch(4, length)) && server.ignores(1, fetch(4, length + 1)), "that was all");
    assert_eq!(server.hears(1, fetch(4, 0)).told(1), [chunk(&saved)]);
    assert!(server.ignores(1, fetch(3, 0)) && server.ignores(1, fetch(3, 5)), "it has that one no more");
    // Such a chunk fits into a message, however little else does.
    let longest = |chunk| {
        Cluster { report: 1, max_accepted: 1, ..cluster(Some(Truncate { chunk, ..EVERY })) }.longest_message()
    };
    assert_eq!(longest(5000), longest(4000) + 1000);
    let empty = Snapshot { machine: Value::from(""), sum: snapshot(0).sum, ..saved };
    let mut server = restarted(EVERY, empty.clone(), 4);
    assert_eq!(
        server.hears(1, Msg::CatchUp { from: Instance(0) }).told(1),
        [chunk(&empty)],
        "of no bytes, but a snapshot"
    );
}

#[test]
fn no_snapshot_is_taken_of_one_who_differs_or_one_that_is_too_long_or_changes_its_length() {
    let mut server = restarted(EVERY, snapshot(4), 4);
    server.hears(1, Msg::Checksum { below: Instance(4), sum: snapshot(4).sum + 1 });
    assert!(server.ignores(1, chunk(&snapshot(8))), "it has executed something else");
    assert!(
        server.ignores(1, Msg::Checksum { below: Instance(4), sum: snapshot(4).sum + 1 }),
        "that is known"
    );
    assert_eq!(server.hears(2, chunk(&snapshot(8))).next(), 8);
    let length = snapshot(4).machine.as_bytes().len() as u64;
    for (most, next) in [(length, 4), (length - 1, 0)] {
        let mut server = First::start(cluster(Some(Truncate { most, ..EVERY })), None);
        assert_eq!(server.hears(1, chunk(&snapshot(4))).next(), next, "{most}");
    }
    let mut server = First::start(cluster(Some(Truncate { chunk: 4, ..EVERY })), None);
    let first = |length| {
        let Snapshot { next: of, sum, machine } = snapshot(4);
        Msg::Chunk { of, sum, length, at: 0, bytes: Value::from(&machine.as_bytes()[..4]) }
    };
    server.hears(1, first(length));
    assert!(server.ignores(2, first(length + 1)));
}

#[test]
fn a_part_that_is_lost_is_asked_for_once_more_and_then_the_log() {
    let mut server = First::start(cluster(Some(Truncate { chunk: 4, ..EVERY })), None);
    let Snapshot { next: of, sum, machine } = snapshot(4);
    let length = machine.as_bytes().len() as u64;
    server.hears(1, Msg::Chunk { of, sum, length, at: 0, bytes: Value::from(&machine.as_bytes()[..4]) });
    for said in [
        vec![],
        vec![Msg::Fetch { of, sum, at: 4 }],
        vec![Msg::CatchUp { from: Instance(0) }],
        vec![Msg::CatchUp { from: Instance(0) }],
    ] {
        server.rings(Timer::CatchUp);
        assert_eq!((server.told(0), server.told(1), server.told(3)), (vec![], said.clone(), said));
        assert!(server.did.iter().any(|it| matches!(it, Command::SetTimer(Timer::CatchUp, _))));
    }
    let log = server.server().log.as_ref().expect("a log");
    assert_eq!(log.snapshots.as_ref().expect("some").arriving, None);
}

#[test]
fn a_machine_that_is_yet_to_be_written_is_compared_and_what_arrives_goes_on() {
    let checksum = |sum| Msg::Checksum { below: Instance(4), sum };
    let differ = |server: &First| {
        let snapshots = server.server().log.as_ref().expect("a log").snapshots.clone().expect("some");
        (snapshots.differ.into_iter().map(usize::from).collect::<Vec<_>>(), snapshots.arriving.is_some())
    };
    let mut server = First::start(cluster(Some(Truncate { chunk: 4, ..EVERY })), None);
    for at in 0..4 {
        server.hears(1, chosen(at, &format!("c{at}")));
    }
    assert!(server.ignores(1, checksum(snapshot(4).sum)), "it has executed the same");
    let Snapshot { next: of, sum, machine } = snapshot(8);
    let length = machine.as_bytes().len() as u64;
    server.hears(2, Msg::Chunk { of, sum, length, at: 0, bytes: Value::from(&machine.as_bytes()[..4]) });
    server.hears(1, checksum(snapshot(4).sum + 1));
    assert_eq!(differ(&server), (vec![1], true), "the chunk of another is not in dispute");
}

#[test]
fn a_leader_has_its_timer_set_when_it_comes_to_fill_a_gap() {
    let mut leader = First::start(cluster(Some(EVERY)), None);
    leader.hears(CLIENT, submit("c0")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, chosen(0, "c0"));
    assert!(leader.did.iter().any(|it| matches!(it, Command::CancelTimer(Timer::Retry))));
    let values = [1, 2, 3, 5].map(|at| (Instance(at), in_log(&format!("c{at}"))));
    leader.hears(1, Msg::CatchUpReply { values: values.into_iter().collect(), next: Instance(4) });
    assert_eq!(proposed(&leader), [(4, Value::no_op())]);
    let set = |timer| leader.did.iter().any(|it| matches!(it, Command::SetTimer(set, _) if *set == timer));
    assert!(set(Timer::Snapshot) && set(Timer::Retry), "{:?}", leader.did);
}

#[test]
fn a_leader_that_is_refused_goes_on_if_it_has_work_and_waits_longer_each_time() {
    let ms = Duration::from_millis;
    let retry = || Retry { on_nack: true, after: Some(ms(8)..ms(9)), doublings: 3 };
    let timer = |server: &First| {
        let set = server.did.iter().filter_map(|it| match it {
            Command::SetTimer(Timer::Retry, after) => Some(after.start.as_millis()),
            _ => None,
        });
        set.collect::<Vec<_>>()
    };
    let mut leader = First::made(cluster(None), retry(), None);
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, nack(BALLOT, 1));
    assert_eq!((prepares(&leader).len(), timer(&leader)), (1, vec![16]), "at once");
    leader.hears(1, nack(Ballot { round: 2, proposer: 1 }, 2));
    assert_eq!((prepares(&leader).len(), timer(&leader)), (0, vec![32]), "not again");
    leader.hears(CLIENT, submit("b"));
    assert_eq!(prepares(&leader).len(), 0, "the timer begins the next");
    assert_eq!(prepares(leader.rings(Timer::Retry)), [(Ballot { round: 3, proposer: 1 }, 0)]);
    // With nothing to bring about it gives the ballot up, and waits for nothing.
    let mut leader = First::made(cluster(None), retry(), None);
    leader
        .hears(CLIENT, submit("a"))
        .hears(1, promise(BALLOT))
        .hears(2, promise(BALLOT))
        .hears(1, chosen(0, "a"));
    leader.hears(1, nack(BALLOT, 1));
    assert_eq!(
        (prepares(&leader), timer(&leader), &leader.server().proposer.phase),
        (vec![], vec![], &Phase::Idle)
    );
    assert!(leader.rings(Timer::Retry).did.is_empty());
}

#[test]
fn who_holds_off_does_not_wait_for_its_other_timer() {
    let mut server =
        First::start(with(None, |log| log.hold_off = Some(Duration::ZERO..Duration::ZERO)), None);
    let z =
        Msg::Accept { ballot: Ballot { round: 2, proposer: 2 }, instance: Instance(0), value: in_log("z") };
    server.hears(1, z).hears(CLIENT, submit("a"));
    assert_eq!(server.told(CLIENT), [Msg::Redirect { leader: 1.into() }]);
    assert!(
        !server.did.iter().any(|it| matches!(it, Command::SetTimer(Timer::Retry, _))),
        "{:?}",
        server.did
    );
}

/// Four servers. This one leads if a quorum follows it, or else the second does.
fn elected(leads: bool) -> Cluster {
    let cluster = cluster(None);
    let any = Duration::ZERO..Duration::ZERO;
    let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 0 };
    let mut members = cluster.acceptors.clone();
    if !leads {
        members.swap(0, 1);
    }
    let backing = Some(cluster.quorums.clone());
    Cluster { election: Some(Election { members, among: None, backing, pace }), ..cluster }
}

#[test]
fn clients_are_sent_to_a_leader_that_a_quorum_follows() {
    let mut follower = First::start(elected(false), None);
    follower.hears(1, Msg::Beat(Beat::Heartbeat { backed: false })).hears(CLIENT, submit("a"));
    assert_eq!(follower.told(CLIENT), [], "it may follow another itself");
    assert_eq!(prepares(&follower), []);
    follower.hears(1, Msg::Beat(Beat::Heartbeat { backed: true })).hears(CLIENT + 1, submit("b"));
    assert_eq!(follower.told(CLIENT + 1), [Msg::Redirect { leader: 1.into() }]);
}

#[test]
fn who_comes_to_lead_takes_over_and_waits_for_it_and_for_nothing_after() {
    let mut leader = First::start(elected(true), None);
    leader.hears(1, Msg::Beat(Beat::Follow)).hears(2, Msg::Beat(Beat::Follow));
    leader.rings(Timer::Election(ElectionTimer::HoldOff));
    let cancels =
        |leader: &First| leader.did.iter().any(|it| matches!(it, Command::CancelTimer(Timer::Retry)));
    assert_eq!((prepares(&leader), cancels(&leader)), (vec![(BALLOT, 0)], false));
    leader.hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    assert!(cancels(&leader), "nothing was left open: {:?}", leader.did);
}

#[test]
fn machines_are_equal_if_they_have_executed_the_same() {
    let executed = |command| {
        let mut server = First::start(cluster(None), None);
        server.hears(1, chosen(0, command));
        server.server().log.as_ref().expect("a log").replica.clone()
    };
    assert_eq!(executed("a"), executed("a"));
    assert_ne!(executed("a"), executed("b"));
}
