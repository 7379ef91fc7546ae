//! Guards of a server that follows the changes of its members, one by one.

use crate::guards::{self, BALLOT, EVERY, First, READER, accepted, chosen, promise, query, submit};
use crate::master::LEASE;
use crate::world::{CLIENT, OPERATOR, PLAIN, Settings, Tape, World, in_log};
use stateright::actor::Command;
use std::hash::{Hash, Hasher};
use synod::{
    Ask, Ballot, Call, Cluster, Instance, Learning, LogEntry, LogState, Machine, Members, Msg, PerInstance,
    Phase, Proposal, QuorumRule, Quorums, Stable, Timer, Truncate, Value,
};

/// The first of four servers, of which three are members.
fn member(change: impl FnOnce(&mut Cluster)) -> First {
    restarted(change, None)
}

/// The same with this on its disk.
fn restarted(change: impl FnOnce(&mut Cluster), saved: Option<Stable>) -> First {
    let mut cluster = guards::cluster(None);
    cluster.quorums = Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet");
    let log = cluster.log.as_mut().expect("a log");
    (log.alpha, log.members) =
        (2, Some(Members { operators: OPERATOR..OPERATOR + 1, lag: 4, directory: None, relays: false }));
    change(&mut cluster);
    First::start(cluster, saved)
}

/// The same, which takes a snapshot every so many instances.
fn truncating(every: u64) -> First {
    member(|cluster| {
        cluster.log.as_mut().expect("a log").truncate = Some(Truncate { every, ..EVERY });
    })
}

/// The same, which learns from the acceptors.
fn learner() -> First {
    member(|cluster| cluster.learning = Learning::Everyone)
}

fn log(server: &First) -> &LogState {
    server.server().log.as_ref().expect("a log")
}

/// A change that is chosen in an instance.
fn changed(instance: u64, words: &str) -> Msg {
    let call = Call { client: OPERATOR.into(), number: instance };
    let value = LogEntry { call, command: Value::from(words) }.value();
    Msg::Chosen { instance: Instance(instance), value }
}

fn asks(server: &mut First, whom: usize) -> usize {
    server.rings(Timer::CatchUp);
    server.told(whom).iter().filter(|msg| matches!(msg, Msg::CatchUp { .. })).count()
}

#[test]
fn whoever_acts_as_a_member_and_was_never_heard_of_is_asked_what_was_missed() {
    let (ballot, instance) = (Ballot { round: 7, proposer: 4 }, Instance(9));
    let nothing = PerInstance::new();
    for (msg, acts) in [
        (Msg::Prepare { ballot, from: instance }, true),
        (Msg::Accept { ballot, instance, value: in_log("a") }, true),
        (chosen(9, "a"), true),
        (Msg::CatchUp { from: Instance(1) }, true),
        (Msg::CatchUp { from: Instance(0) }, false),
        (Msg::CatchUpReply { values: nothing, next: Instance(0) }, false),
        (Msg::Confirmed { ballot, round: 1 }, false),
    ] {
        let mut server = member(|_| {});
        server.hears(3, msg.clone());
        assert_eq!(asks(&mut server, 3), usize::from(acts), "{msg:?}");
    }
    let ahead = || Msg::CatchUp { from: Instance(7) };
    let mut server = member(|_| {});
    assert!(!server.ignores(3, ahead()));
    assert!(server.hears(3, ahead()).ignores(3, ahead()), "it is noted");
    assert_eq!(asks(server.hears(1, ahead()), 1), 1, "a member is asked anyway");
    let alone = member(|cluster| cluster.log.as_mut().expect("a log").catch_up = None);
    assert!(alone.ignores(3, ahead()), "it never asks");
    // One that was removed may be the only one left that has what it has.
    let mut server = member(|_| {});
    server.hears(1, changed(0, "remove 2")).hears(1, chosen(1, "a"));
    assert_eq!(asks(&mut server, 2), 0);
    assert_eq!(asks(server.hears(2, ahead()), 2), 1);
}

#[test]
fn acceptances_are_kept_beyond_the_window_by_those_who_are_told_and_not_below_the_log() {
    let mut server = learner();
    server.hears(1, accepted(2, "a"));
    assert_eq!(server.server().learner.votes.keys().collect::<Vec<_>>(), [&Instance(2)]);
    server.hears(2, accepted(2, "a"));
    assert!(server.server().learner.learned.is_empty(), "nobody knows yet whose votes count there");
    assert!(server.hears(1, chosen(0, "b")).server().learner.learned.contains_key(&Instance(2)));
    assert!(member(|_| {}).ignores(1, accepted(2, "a")), "it is told what is chosen");
    let mut server = member(|cluster| {
        cluster.learning = Learning::Everyone;
        cluster.log.as_mut().expect("a log").truncate = Some(Truncate { every: 100, ..EVERY });
    });
    server.hears(1, changed(0, "remove 2")).hears(1, chosen(1, "a")).rings(Timer::Snapshot);
    assert_eq!((server.next(), server.server().learner.learned.len()), (2, 0));
    assert!(server.ignores(1, accepted(0, "b")), "whoever governed there is forgotten");
}

/// A leader with a command that waits for the third instance, where these have accepted another value in another ballot.
fn waits(by: &[usize]) -> First {
    let mut leader = learner();
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(CLIENT + 1, submit("b")).hears(CLIENT + 2, submit("c"));
    assert_eq!(leader.server().proposer.queue.len(), 1);
    let ballot = Ballot { round: 5, proposer: 2 };
    for from in by {
        leader.hears(*from, Msg::Accepted { ballot, instance: Instance(2), value: in_log("z") });
    }
    leader.hears(1, chosen(0, "a"));
    leader
}

#[test]
fn a_command_gives_way_to_a_value_that_was_accepted_before_its_members_were_known_if_that_is_chosen() {
    for (by, given_way) in [(&[1][..], false), (&[1, 2][..], true)] {
        let leader = waits(by);
        let proposer = &leader.server().proposer;
        assert_eq!((leader.next(), proposer.queue.len()), (1, usize::from(given_way)), "{by:?}");
        assert_eq!(proposer.wanted.contains_key(&Instance(2)), !given_way);
        assert_eq!(leader.server().learner.learned.contains_key(&Instance(2)), given_way);
    }
}

#[test]
fn one_that_is_told_of_its_removal_believes_whoever_knows_at_least_as_much_and_once() {
    let removed = |number| Msg::Removed { number };
    let mut server = member(|_| {});
    assert_eq!(
        log(server.fork().hears(1, removed(0))).removed,
        Some(0),
        "it was to join, and is not any more"
    );
    server.hears(1, changed(0, "remove 2"));
    assert!(server.ignores(1, removed(0)), "that one has not heard of the last change");
    assert_eq!(log(server.hears(1, removed(1))).removed, Some(1));
    assert!(server.ignores(1, removed(2)), "it is known");
    assert_eq!(asks(&mut server, 1), 1, "it goes on learning until it knows that it may be switched off");
    // By what it has executed it is a member still.
    server.hears(CLIENT, submit("a"));
    assert_eq!(server.told(CLIENT), [Msg::Redirect { leader: 1.into() }]);
}

#[test]
fn one_that_is_no_member_any_more_does_not_tell_itself() {
    let mut server = member(|_| {});
    server.hears(1, changed(0, "remove 0")).hears(1, chosen(1, "a"));
    assert!(server.ignores(1, chosen(1, "a")), "nobody waits here");
    server.hears(0, Msg::Prepare { ballot: BALLOT, from: Instance(0) });
    assert!(!server.told(0).iter().any(|msg| matches!(msg, Msg::Removed { .. })), "{:?}", server.did);
}

#[test]
fn a_ballot_that_began_among_other_members_begins_anew() {
    let mut server = member(|_| {});
    server.hears(CLIENT, submit("a")).hears(1, changed(0, "remove 2"));
    let ballot = Ballot { round: 2, proposer: 1 };
    assert_eq!(server.told(1), [Msg::Prepare { ballot, from: Instance(1) }]);
    // Nothing else has one begun.
    server.hears(1, chosen(1, "b"));
    assert_eq!(server.told(1), []);
}

#[test]
fn a_round_that_is_under_way_is_not_counted_again_for_nothing() {
    let mut leader = member(|_| {});
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, accepted(0, "a")).hears(2, accepted(0, "a")).hears(READER, query());
    assert!(matches!(leader.told(1)[..], [Msg::Confirm { .. }]), "{:?}", leader.did);
    assert!(leader.ignores(1, chosen(0, "a")));
}

#[test]
fn a_new_learner_is_told_once_and_by_the_one_that_leads() {
    let mut other = member(|_| {});
    assert_eq!(other.hears(1, changed(0, "add 3")).told(3), []);
    let mut leader = member(|_| {});
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, changed(0, "add 3"));
    let tells =
        |leader: &First| leader.told(3).iter().filter(|msg| matches!(msg, Msg::CatchUpReply { .. })).count();
    assert_eq!(tells(&leader), 1);
    assert_eq!(tells(leader.hears(1, chosen(1, "b"))), 0);
}

/// The messages with these words, by receiver, since.
fn said(world: &World, since: usize, from: usize, words: &str) -> Vec<usize> {
    let is_it = |msg: &Msg| matches!(msg, Msg::Ask(Ask::Submit { command, .. }) if command.as_bytes() == words.as_bytes());
    let sent = world.sent[since..].iter().filter(|(src, _, msg)| usize::from(*src) == from && is_it(msg));
    sent.map(|(_, to, _)| usize::from(*to)).collect()
}

#[test]
fn a_learner_asks_whoever_told_it_once_and_all_members_when_it_asks_again() {
    let mut world = World::new(&Settings { servers: 5, first: Some(3), catch_up: true, alpha: 2, ..PLAIN });
    world.tell(3, 1.into(), changed(0, "add 3"));
    assert_eq!(said(&world, 0, 3, "join"), [1]);
    let since = world.sent.len();
    world.tell(3, 2.into(), chosen(1, "a"));
    assert_eq!(said(&world, since, 3, "join"), [0; 0], "it has asked");
    for (at, asked) in [(3, vec![0, 1, 2]), (0, vec![]), (4, vec![])] {
        let since = world.sent.len();
        world.ring(at, Timer::CatchUp);
        assert_eq!(said(&world, since, at, "join"), asked, "{at}");
    }
    // Whoever reports all that was missed is asked, unless the leader is known.
    let reply = |next| Msg::CatchUpReply { values: PerInstance::new(), next: Instance(next) };
    for next in [9, 2] {
        let since = world.sent.len();
        world.tell(3, 1.into(), reply(next));
        let asked: &[usize] = if next == 9 { &[] } else { &[1] };
        assert_eq!(said(&world, since, 3, "join"), asked, "there is more below {next}");
    }
    world.tell(3, 2.into(), Msg::Prepare { ballot: Ballot { round: 1, proposer: 3 }, from: Instance(0) });
    let since = world.sent.len();
    world.tell(3, 1.into(), reply(2));
    assert_eq!(said(&world, since, 3, "join"), [2]);
    // One that learns from a report that it is a learner asks once that was all.
    let Msg::Chosen { instance, value } = changed(0, "add 4") else { unreachable!() };
    let values: PerInstance<Value> = [(instance, value)].into_iter().collect();
    let since = world.sent.len();
    world.tell(4, 1.into(), Msg::CatchUpReply { values, next: Instance(5) });
    assert_eq!(said(&world, since, 4, "join"), [0; 0]);
}

#[test]
fn a_member_that_has_saved_all_says_so_to_the_one_whose_ballot_it_promised_until_enough_have() {
    let truncate = Some(Truncate { every: 100, ..EVERY });
    let mut world = World::new(&Settings { first: Some(3), catch_up: true, alpha: 2, truncate, ..PLAIN });
    world.submit(1, "a");
    world.run();
    let says = |world: &mut World| {
        let since = world.sent.len();
        world.ring(0, Timer::CatchUp);
        said(world, since, 0, "saved")
    };
    assert_eq!(says(&mut world), [0; 0], "there are no members before");
    world.call(1, OPERATOR, 1, "remove 2");
    world.run();
    assert_eq!(says(&mut world), [0; 0], "it has executed all, but not saved it");
    let since = world.sent.len();
    world.ring(0, Timer::Snapshot);
    assert_eq!(said(&world, since, 0, "saved"), [1], "nobody else can propose it");
    let since = world.sent.len();
    world.tell(0, 1.into(), Msg::CatchUp { from: Instance(9) });
    assert_eq!(said(&world, since, 0, "saved"), [0; 0], "once");
    assert_eq!(says(&mut world), [1], "or when it may be lost");
    world.ring(1, Timer::Snapshot);
    world.run();
    assert_eq!(says(&mut world), [0; 0], "they may go");
}

#[test]
fn a_leader_has_to_fill_the_window_for_a_change_and_nobody_else_has() {
    let sets = |server: &First| server.did.iter().any(|it| matches!(it, Command::SetTimer(Timer::Retry, _)));
    let cancels =
        |server: &First| server.did.iter().any(|it| matches!(it, Command::CancelTimer(Timer::Retry)));
    let mut other = member(|_| {});
    assert!(!sets(other.hears(1, changed(0, "remove 2"))));
    assert!(other.rings(Timer::Retry).did.is_empty());
    // What it wanted is chosen while it prepares, and a change that does not govern yet.
    let mut prepares = member(|_| {});
    prepares.hears(CLIENT, submit("a")).hears(1, chosen(0, "a")).hears(1, changed(1, "remove 2"));
    assert!(!cancels(&prepares));
    assert!(matches!(prepares.rings(Timer::Retry).told(1)[..], [Msg::Prepare { .. }]), "{:?}", prepares.did);
    // It has nothing to do as soon as the change governs.
    let mut leader = member(|_| {});
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    leader.hears(1, changed(0, "remove 2"));
    assert!(!cancels(&leader));
    assert!(cancels(leader.hears(1, chosen(1, "a"))), "{:?}", leader.did);
}

#[test]
fn replicas_differ_if_others_are_members_or_master() {
    let after = |msg: &Msg| {
        let mut server = member(|_| {});
        server.hears(1, msg.clone());
        let replica = log(&server).replica.clone();
        let mut hasher = std::hash::DefaultHasher::new();
        replica.hash(&mut hasher);
        (replica, hasher.finish())
    };
    let take = |by: &str| Msg::Chosen {
        instance: Instance(0),
        value: Value::from(format!("{by}.9!take - 22000").as_str()),
    };
    let all = [changed(0, "add 3"), changed(0, "remove 2"), chosen(0, ""), take("1"), take("2")];
    for (at, one) in all.iter().enumerate() {
        for (beside, other) in all.iter().enumerate() {
            let (one, other) = (after(one), after(other));
            assert_eq!(one.0 == other.0, at == beside, "{:?} {:?}", one.0, other.0);
            assert_eq!(one.1 == other.1, at == beside);
        }
    }
}

/// A checksum of the machine alone says nothing of the members.
#[test]
fn a_snapshot_of_members_that_have_changed_needs_a_checksum_of_them() {
    let truncate = Some(Truncate { every: 100, ..EVERY });
    let mut server = member(|cluster| cluster.log.as_mut().expect("a log").truncate = truncate.clone());
    server.hears(1, changed(0, "remove 2")).hears(1, chosen(1, "a")).rings(Timer::Snapshot);
    let mut disk = server.saved().expect("a snapshot is taken where the members change");
    let saved = disk.snapshot.as_mut().expect("it was written");
    let bytes = saved.machine.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'\n').expect("a line");
    let machine = Tape::default().restored(&bytes[end + 1..]).expect("it wrote it");
    for (sum, next) in [(saved.sum, 2), (machine.checksum(), 0)] {
        disk.snapshot.as_mut().expect("it was written").sum = sum;
        let truncate = truncate.clone();
        let server =
            restarted(|cluster| cluster.log.as_mut().expect("a log").truncate = truncate, Some(disk.clone()));
        assert_eq!(server.next(), next);
    }
}

/// What it was told ends its ballot: it is no member any more when the first step among others is taken.
#[test]
fn a_snapshot_in_which_it_is_no_member_has_it_begin_no_ballot() {
    let start = || truncating(100);
    let mut other = start();
    other.hears(1, changed(0, "remove 0")).hears(1, chosen(1, "b")).rings(Timer::Snapshot);
    let saved =
        other.saved().and_then(|disk| disk.snapshot).expect("a snapshot is taken where the members change");
    let mut server = start();
    server.hears(CLIENT, submit("a")).hears(1, guards::chunk(&saved));
    assert_eq!(server.next(), 2);
    assert!(!server.told(1).iter().any(|msg| matches!(msg, Msg::Prepare { .. })), "{:?}", server.did);
    assert_eq!(server.told(CLIENT), [Msg::Redirect { leader: 1.into() }]);
}

/// A leader whose promises do not meet the quorums of the members from the fourth instance on. It has executed all below.
fn outgrown(reports: &PerInstance<Proposal>) -> First {
    let mut leader = member(|_| {});
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT));
    leader.hears(2, Msg::Promise { ballot: BALLOT, accepted: reports.clone(), rest: None });
    let call = Call { client: 3.into(), number: 1 };
    let joins = LogEntry { call, command: Value::from("join") }.value();
    leader.hears(1, changed(0, "replace 1 3")).hears(1, Msg::Chosen { instance: Instance(1), value: joins });
    leader.hears(1, chosen(2, "a"));
    leader
}

fn prepares(server: &First) -> usize {
    server.told(2).iter().filter(|msg| matches!(msg, Msg::Prepare { .. })).count()
}

#[test]
fn another_ballot_begins_when_something_is_due_where_the_promises_do_not_count() {
    let nothing = PerInstance::new();
    let leader = outgrown(&nothing);
    assert_eq!((leader.next(), prepares(&leader)), (3, 0), "nothing is due");
    // Something is known beyond, or a further change waits for the instances before it, or a client waits.
    assert_eq!(prepares(outgrown(&nothing).hears(1, chosen(4, "z"))), 1);
    assert_eq!(prepares(outgrown(&nothing).hears(1, changed(3, "remove 2"))), 1);
    assert_eq!(prepares(outgrown(&nothing).hears(CLIENT, submit("b"))), 1);
    // What its ballot was told of may be chosen there. It saw so before it executed all below.
    let old = Proposal { ballot: Ballot { round: 0, proposer: 2 }, value: in_log("r") };
    let leader = outgrown(&[(Instance(3), old)].into_iter().collect());
    let phase = &leader.server().proposer.phase;
    assert!(matches!(phase, Phase::Preparing { ballot, .. } if ballot.round == 2), "{phase:?}");
}

/// The next instance may be issued in, and is. The one after it may not.
#[test]
fn another_ballot_begins_at_once_although_the_present_one_is_not_at_its_end() {
    let mut leader = member(|_| {});
    leader.hears(CLIENT, submit("a")).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    for client in 1..4 {
        leader.hears(CLIENT + client, submit(&format!("b{client}")));
    }
    let call = Call { client: 3.into(), number: 1 };
    let joins = LogEntry { call, command: Value::from("join") }.value();
    leader.hears(1, changed(0, "replace 1 3"));
    assert_eq!(prepares(&leader), 0);
    leader.hears(1, Msg::Chosen { instance: Instance(1), value: joins });
    assert_eq!((leader.next(), prepares(&leader)), (2, 1), "{:?}", leader.did);
}

#[test]
fn a_snapshot_where_the_members_change_follows_one_that_was_being_written() {
    let start = || truncating(1);
    let saved = |server: &First| {
        log(server).snapshots.as_ref().and_then(|snapshots| Some(snapshots.saved.as_ref()?.next.0))
    };
    let is_due = |server: &First| log(server).snapshots.as_ref().is_some_and(|it| it.due.is_some());
    let mut server = start();
    server.hears(1, changed(0, "remove 2")).rings(Timer::Snapshot);
    assert_eq!((saved(&server), is_due(&server)), (Some(1), false), "the change does not govern yet");
    let mut server = start();
    server.hears(1, changed(0, "remove 2")).hears(1, chosen(1, "a")).rings(Timer::Snapshot);
    assert_eq!((saved(&server), is_due(&server)), (Some(1), true));
    server.rings(Timer::Snapshot);
    assert_eq!((saved(&server), is_due(&server)), (Some(2), false));
}

#[test]
fn a_question_is_confirmed_anew_after_a_snapshot_of_other_members_and_goes_on_after_any_other() {
    let start = || truncating(2);
    for (first, anew) in [(chosen(0, "b"), false), (changed(0, "remove 2"), true)] {
        let mut other = start();
        other.hears(1, first).hears(1, chosen(1, "c")).rings(Timer::Snapshot);
        let saved = other.saved().and_then(|disk| disk.snapshot).expect("it is due");
        let mut leader = start();
        leader.hears(READER, query()).hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
        leader.hears(1, Msg::Confirmed { ballot: BALLOT, round: 1 }).hears(1, guards::chunk(&saved));
        let asks = leader.told(1).iter().any(|msg| matches!(msg, Msg::Confirm { round: 2, .. }));
        assert_eq!((leader.next(), asks), (2, anew));
        let round = if anew { 2 } else { 1 };
        leader.hears(0, Msg::Confirmed { ballot: BALLOT, round });
        assert_eq!(leader.outputs(READER).len(), usize::from(!anew));
    }
}

/// Nothing is left for it to bring about, not even a master.
#[test]
fn one_that_is_no_member_waits_for_no_ballot() {
    let mut server = member(|cluster| cluster.log.as_mut().expect("a log").master = Some(LEASE));
    server.hears(1, changed(0, "remove 0")).hears(1, chosen(1, "a")).rings(Timer::Seek);
    assert!(log(&server).lease.as_ref().is_some_and(|lease| lease.wants));
    assert!(
        !server.did.iter().any(|it| matches!(it, Command::SetTimer(Timer::Retry, _))),
        "{:?}",
        server.did
    );
}
