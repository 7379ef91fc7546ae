//! Changes of members, one message after the other.

use crate::guards::{self, First, query};
use crate::world::{CLIENT, OPERATOR, PLAIN, Settings, World, in_log};
use stateright::actor::Id;
use std::time::Duration;
use synod::{
    AcceptorSet, Answering, Ask, Ballot, Instance, Members, Membership, Msg, Phase, QuorumRule, Quorums,
    Timer, Truncate, Value,
};

fn changing(servers: usize, first: usize) -> World {
    World::new(&Settings { servers, first: Some(first), catch_up: true, alpha: 2, ..PLAIN })
}

fn set(indices: &[usize]) -> AcceptorSet {
    indices.iter().copied().collect()
}

fn membership(world: &World, at: usize) -> &Membership {
    world.server(at).log.as_ref().and_then(|log| log.replica.membership()).expect("members change")
}

/// The members of the latest configuration, and its number.
fn latest(world: &World, at: usize) -> (u64, AcceptorSet) {
    membership(world, at).latest().map(|it| (it.number, it.members)).expect("there is one")
}

fn change(world: &mut World, at: usize, words: &str) {
    change_unheard(world, at, words, &[]);
}

/// The same, while these hear nothing.
fn change_unheard(world: &mut World, at: usize, words: &str, deaf: &[usize]) {
    let number = world.sent.len() as u64;
    world.call(at, OPERATOR, number, words);
    world.run_losing(|_, dst, _| deaf.contains(&usize::from(dst)));
}

fn said(world: &World) -> String {
    world.told(OPERATOR).pop().unwrap_or_default()
}

/// Which servers would have to be lost for nothing to be chosen: those without which a command still is.
fn is_chosen_without(world: &mut World, lost: &[usize], at: usize, command: &str) -> bool {
    let before = world.answers().len();
    world.submit(at, command);
    world.run_losing(|src, dst, _| lost.iter().any(|it| Id::from(*it) == src || Id::from(*it) == dst));
    world.answers().len() > before
}

#[test]
fn a_new_member_learns_and_joins_and_counts_from_alpha_instances_later_on() {
    let mut world = changing(4, 3);
    world.submit(0, "a");
    world.run();
    change(&mut world, 0, "add 3");
    // The leader told the new one of its addition, and it asked to join at once.
    assert_eq!(said(&world), "\"3 learns\"");
    for at in 0..4 {
        assert_eq!(latest(&world, at), (1, set(&[0, 1, 2, 3])), "{at}");
        assert!(membership(&world, at).learners.is_empty(), "{at}");
        assert_eq!(world.tape(at), world.tape(0), "{at}");
    }
    // The leader filled the window, so that the change governs.
    assert!(membership(&world, 0).configurations.keys().all(|from| *from <= Instance(world.next(0))));
    // Two of four are no majority; three are.
    assert!(!is_chosen_without(&mut world, &[1, 2], 0, "b"));
    world.ring(0, Timer::Retry);
    world.run();
    assert!(is_chosen_without(&mut world, &[2], 0, "c"));
}

#[test]
fn a_member_is_replaced_and_the_old_one_is_told_and_does_not_disturb() {
    let mut world = changing(4, 3);
    world.submit(0, "a");
    world.run();
    // The old member hears nothing of its replacement.
    change_unheard(&mut world, 0, "replace 2 3", &[2]);
    assert_eq!(latest(&world, 0), (1, set(&[0, 1, 3])));
    world.submit(0, "b");
    world.run_losing(|_, dst, _| dst == Id::from(2));
    let promised = world.server(1).acceptor.promised;
    world.submit(2, "c");
    for _ in 0..3 {
        if world.timers[2].contains(&Timer::Retry) {
            world.ring(2, Timer::Retry);
        }
        world.run();
    }
    assert!(world.count(0, |msg| matches!(msg, Msg::Removed { number: 1 })) > 0);
    assert_eq!(world.server(1).acceptor.promised, promised, "its ballots are ignored");
    assert_eq!(world.server(2).proposer.phase, Phase::Idle);
    assert!(!world.timers[2].contains(&Timer::Retry), "it stops");
    let since = world.sent.len();
    world.submit(2, "d");
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Redirect { .. })), 1);
    assert!(is_chosen_without(&mut world, &[2, 1], 0, "e"), "the new member counts");
}

#[test]
fn a_leader_that_is_removed_leads_until_its_last_instance_and_steps_down() {
    let mut world = changing(3, 3);
    world.submit(0, "a");
    world.run();
    change(&mut world, 0, "remove 0");
    let (from, next) = (membership(&world, 0).latest_from(), world.next(0));
    assert_eq!((from, next), (Instance(3), 3), "it filled the window and stopped there");
    assert_eq!(world.server(0).proposer.phase, Phase::Idle);
    world.submit(1, "b");
    world.run();
    assert_eq!(world.next(1), 4);
    assert_eq!(latest(&world, 1), (1, set(&[1, 2])));
}

/// The right to skip phase 1 ends where the promises do not meet the quorums of the new members (H2).
#[test]
fn a_leader_asks_again_before_it_issues_among_members_that_may_have_promised_another() {
    let mut world = changing(5, 3);
    world.submit(0, "a");
    // The leader's promises are its own and that of 1.
    world.run_losing(|src, dst, _| src == Id::from(2) || dst == Id::from(2));
    for new in [3, 4] {
        change(&mut world, 0, &format!("add {new}"));
    }
    assert_eq!(latest(&world, 0), (2, set(&[0, 1, 2, 3, 4])));
    world.submit(0, "b");
    world.run();
    // Two promises of five do not meet three others, so that the leader began another ballot, and asked the new members too.
    assert_eq!(world.answers().len(), 2);
    let Phase::Accepting { ballot, quorum, .. } = &world.server(0).proposer.phase else { panic!("it leads") };
    assert!(ballot.round > 1 && quorum.len() == 3, "{ballot:?} {quorum:?}");
}

#[test]
fn a_change_that_cannot_be_is_refused_with_its_reason() {
    let mut world = changing(5, 2);
    for (words, reason) in [
        ("remove 3", "3 is not a member"),
        ("replace 4 3", "4 is not a member"),
        ("add 1", "1 is or was a member"),
        ("add 99", "99 is not a member"),
        ("add +3", "not a change"),
        ("join", "not a change"),
        ("grow", "not a change"),
    ] {
        change(&mut world, 0, words);
        assert!(said(&world).contains(reason), "{words}: {}", said(&world));
    }
    // No one is asked to join who was not added.
    world.call(0, 3, 1, "join");
    world.run();
    assert_eq!(latest(&world, 0).0, 0);
    change_unheard(&mut world, 0, "add 3", &[3]);
    change_unheard(&mut world, 0, "add 3", &[3]);
    assert!(said(&world).contains("3 is or was a member"), "{}", said(&world));
    change_unheard(&mut world, 0, "remove 3", &[3]);
    assert_eq!(said(&world), "\"3 does not join\"");
    change(&mut world, 0, "add 3");
    assert!(said(&world).contains("a new disk needs a new id"), "{}", said(&world));
    change(&mut world, 0, "remove 1");
    assert_eq!(latest(&world, 0), (1, set(&[0])));
    change(&mut world, 0, "remove 0");
    assert!(said(&world).contains("the rules of quorums cannot be met"), "{}", said(&world));
    // A client's words change nothing.
    world.call(0, CLIENT, 7, "add 4");
    world.run();
    assert!(membership(&world, 0).learners.is_empty());
}

#[test]
fn one_change_is_in_flight_at_a_time_and_an_answer_is_given_again() {
    let mut world = changing(3, 3);
    world.submit(0, "a");
    world.run();
    // Both are issued before either is executed.
    world.call(0, OPERATOR, 1, "remove 2");
    world.call(0, OPERATOR + 1, 2, "remove 1");
    world.run();
    assert_eq!(world.told(OPERATOR), ["\"configuration 1 from #3\""]);
    let told = world.told(OPERATOR + 1);
    assert!(told[0].contains("an earlier change governs only from #3"), "{told:?}");
    assert_eq!(latest(&world, 0), (1, set(&[0, 1])));
    let since = world.sent.len();
    world.call(0, OPERATOR + 1, 2, "remove 1");
    world.submit(0, "a");
    world.run();
    assert_eq!(world.told(OPERATOR + 1), [told[0].clone(), told[0].clone()], "it is the same call");
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Accept { .. })), 0, "and so is the client's");
}

#[test]
fn one_that_asks_to_join_when_it_is_far_behind_is_refused() {
    let mut world = changing(4, 3);
    change_unheard(&mut world, 0, "add 3", &[3]);
    for i in 0..6 {
        world.submit(0, &format!("c{i}"));
        world.run_losing(|_, dst, _| dst == Id::from(3));
    }
    world.call(0, 3, 1, "join");
    world.run();
    assert_eq!(latest(&world, 0).0, 0);
    assert!(world.told(3).concat().contains("not caught up, but 6 instances behind"), "{:?}", world.told(3));
}

#[test]
fn a_new_member_starts_from_a_snapshot_that_knows_the_members() {
    let truncate = Truncate {
        every: 2,
        every_bytes: u64::MAX,
        spare: 0,
        spare_bytes: 0,
        chunk: 8,
        ahead: 1,
        most: 4096,
    };
    let truncate = Some(truncate);
    let mut world =
        World::new(&Settings { servers: 5, first: Some(3), catch_up: true, alpha: 2, truncate, ..PLAIN });
    change(&mut world, 0, "replace 2 3");
    for i in 0..4 {
        world.submit(0, &format!("c{i}"));
        world.run();
        for at in 0..4 {
            if world.timers[at].contains(&Timer::Snapshot) {
                world.ring(at, Timer::Snapshot);
            }
        }
        world.run();
    }
    change_unheard(&mut world, 0, "add 4", &[4]);
    // It missed its introduction, and asks.
    world.ring(4, Timer::CatchUp);
    world.run();
    assert!(world.count(0, |msg| matches!(msg, Msg::Chunk { .. })) > 0);
    assert_eq!(latest(&world, 4), (2, set(&[0, 1, 3, 4])));
    assert_eq!(membership(&world, 4), membership(&world, 0));
    // A restart keeps what the snapshot says.
    world.start(1);
    assert!(latest(&world, 1).0 >= 1);
}

/// Rings the timers of snapshots until none is set, and delivers what comes of it.
fn write_snapshots(world: &mut World) {
    while let Some(at) = (0..world.timers.len()).find(|at| world.timers[*at].contains(&Timer::Snapshot)) {
        world.ring(at, Timer::Snapshot);
        world.run();
    }
}

fn truncating() -> Truncate {
    Truncate {
        every: 100,
        every_bytes: u64::MAX,
        spare: 0,
        spare_bytes: 0,
        chunk: 4096,
        ahead: 1,
        most: 4096,
    }
}

/// A ballot that may not issue any more among the present members does not say either what was chosen among them.
#[test]
fn a_leader_asks_again_before_it_answers_questions_among_members_that_may_have_promised_another() {
    let mut world = World::new(&Settings { servers: 4, first: Some(3), catch_up: true, alpha: 1, ..PLAIN });
    world.submit(0, "a");
    world.run();
    change_unheard(&mut world, 0, "replace 2 3", &[1]);
    assert_eq!(latest(&world, 0), (1, set(&[0, 1, 3])));
    world.submit(0, "x");
    world.run_losing(|src, dst, _| [src, dst].contains(&Id::from(1)));
    assert_eq!(world.answers().len(), 2, "x is chosen by 0 and 3");
    // 1 leads by its own promise and that of 2, and finds out that 2 counts no more.
    let question = Ask::Query { number: 1, command: Value::from("length") };
    world.tell(1, CLIENT.into(), question.into());
    world.run_losing(|src, dst, _| [src, dst].contains(&Id::from(0)));
    assert_eq!(world.answers()[2..], ["2"], "the answer misses nothing");
}

/// The same for a question that comes when nothing else is to be done.
#[test]
fn a_leader_asks_again_before_it_confirms_among_members_that_may_have_promised_another() {
    let mut world = changing(5, 3);
    world.submit(0, "a");
    world.run_losing(|src, dst, _| src == Id::from(2) || dst == Id::from(2));
    for new in [3, 4] {
        change(&mut world, 0, &format!("add {new}"));
    }
    let since = world.sent.len();
    assert_eq!(world.count(0, |msg| matches!(msg, Msg::Confirm { .. })), 0, "nobody has asked");
    world.tell(0, CLIENT.into(), query().into());
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Prepare { .. })), 5);
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Confirm { .. })), 0);
    world.run();
    assert_eq!(world.answers().len(), 2);
}

#[test]
fn a_member_is_not_removed_if_those_that_answer_are_no_quorum_of_the_rest() {
    let mut world = changing(3, 3);
    world.submit(0, "a");
    world.run();
    change(&mut world, 1, "remove 7");
    let dead = |src: Id, dst: Id, _: &Msg| [src, dst].contains(&Id::from(1));
    for command in ["b", "c"] {
        world.submit(0, command);
        world.run_losing(dead);
    }
    change_unheard(&mut world, 0, "remove 2", &[1]);
    assert!(said(&world).starts_with("\"unknown: this server did not propose it"), "{}", said(&world));
    assert_eq!(latest(&world, 0).0, 0);
    change_unheard(&mut world, 0, "remove 1", &[1]);
    assert_eq!(latest(&world, 0), (1, set(&[0, 2])));
}

#[test]
fn a_change_that_is_not_proposed_takes_nothing_else_out_of_the_queue() {
    let mut world = changing(3, 3);
    world.submit(0, "a");
    world.run();
    let dead = |src: Id, dst: Id, _: &Msg| [src, dst].contains(&Id::from(1));
    for command in ["b", "c"] {
        world.submit(0, command);
        world.run_losing(dead);
    }
    // The window is full, so that the last one waits. It is a client's, and changes nothing.
    for command in ["d", "e", "remove 2"] {
        world.submit(0, command);
    }
    assert_eq!(world.server(0).proposer.queue.len(), 1);
    world.call(0, OPERATOR, 1, "remove 2");
    assert!(said(&world).starts_with("\"unknown: this server did not propose it"), "{}", said(&world));
    assert_eq!(world.server(0).proposer.queue, [in_log("remove 2")]);
    assert_eq!(world.answers().len(), 3);
    world.run_losing(dead);
    assert_eq!(world.answers().len(), 6);
}

/// Nobody but the leader has answered, and it has not lost its quorum by what changes no member.
#[test]
fn what_removes_no_member_is_proposed_whoever_answers() {
    let mut world = changing(3, 3);
    world.submit(0, "a");
    world.run_losing(|src, _, msg| matches!(msg, Msg::Accepted { .. }) && src != Id::from(0));
    world.call(0, OPERATOR, 1, "remove 7");
    assert!(world.told(OPERATOR).is_empty(), "{}", said(&world));
    world.call(0, OPERATOR + 1, 1, "remove 1");
    assert!(world.told(OPERATOR + 1).concat().contains("too few"), "{:?}", world.told(OPERATOR + 1));
}

/// The first of four servers, all members. It leads, and these have answered its first proposal.
fn answered(rules: (usize, usize), by: &[usize]) -> First {
    let (promised, accepted) = rules;
    let mut cluster = guards::cluster(None);
    cluster.quorums =
        Quorums::new(4, QuorumRule::AtLeast(promised), QuorumRule::AtLeast(accepted)).expect("they meet");
    let log = cluster.log.as_mut().expect("a log");
    log.hold_off = Some(Duration::ZERO..Duration::ZERO);
    log.members = Some(Members { operators: OPERATOR..OPERATOR + 1, lag: 4, directory: None, relays: false });
    let mut leader = First::start(cluster, None);
    leader.hears(CLIENT, guards::submit("a"));
    for from in 1..4 {
        leader.hears(from, guards::promise(guards::BALLOT));
    }
    for from in by {
        leader.hears(*from, guards::accepted(0, "a"));
    }
    leader
}

#[test]
fn those_that_answer_have_to_be_a_quorum_of_the_rest_for_either_phase() {
    for (rules, by, refused) in [
        ((2, 3), &[0, 1][..], true),
        ((2, 3), &[0, 1, 2][..], false),
        ((3, 2), &[0, 1][..], true),
        ((3, 2), &[0, 1, 2][..], false),
        ((3, 2), &[0, 1, 3][..], true),
    ] {
        let mut leader = answered(rules, by);
        leader.hears(OPERATOR, Ask::Submit { number: 1, command: Value::from("remove 3") });
        assert_eq!(leader.outputs(OPERATOR).len(), usize::from(refused), "{rules:?} {by:?}");
    }
}

#[test]
fn an_answer_is_noted_once_and_only_in_the_ballot_that_is_under_way() {
    let leader = answered((2, 3), &[0, 1]);
    let before = leader.server().log.as_ref().and_then(|log| log.answering.clone()).expect("members change");
    assert_eq!(before.now, set(&[0, 1]));
    assert!(leader.ignores(1, guards::accepted(0, "a")), "it is known");
    let ballot = Ballot { round: 2, proposer: 1 };
    assert!(leader.ignores(3, Msg::Accepted { ballot, instance: Instance(0), value: in_log("a") }));
}

/// The ballot in which they answered is over, and whoever leads now knows better.
#[test]
fn one_that_leads_no_more_refuses_nothing() {
    let mut leader = answered((2, 3), &[0]);
    let ballot = Ballot { round: 7, proposer: 2 };
    leader.hears(1, Msg::Accept { ballot, instance: Instance(0), value: in_log("a") });
    assert_eq!(leader.server().proposer.phase, Phase::Idle);
    let remove = |number| Ask::Submit { number, command: Value::from("remove 3") };
    leader.hears(OPERATOR, remove(1));
    assert_eq!(leader.told(OPERATOR), [Msg::Redirect { leader: 1.into() }]);
    // In the next ballot it is not known yet who answers.
    leader.rings(Timer::HoldOff).hears(OPERATOR, remove(2));
    let log = leader.server().log.as_ref().expect("a log");
    assert_eq!((leader.outputs(OPERATOR), &log.answering), (Vec::new(), &Some(Answering::default())));
}

#[test]
fn members_may_go_once_the_others_have_on_their_disks_what_was_chosen_with_them() {
    let mut world = World::new(&Settings {
        servers: 2,
        first: Some(1),
        catch_up: true,
        alpha: 2,
        truncate: Some(truncating()),
        ..PLAIN
    });
    world.submit(0, "a");
    world.run();
    change(&mut world, 0, "add 1");
    write_snapshots(&mut world);
    assert!(membership(&world, 0).may_go());
    change(&mut world, 0, "remove 0");
    assert_eq!(latest(&world, 0), (2, set(&[1])));
    // The new one has not heard that the last instance of the old ones is chosen.
    assert!(!membership(&world, 0).may_go() && !membership(&world, 1).may_go());
    world.ring(1, Timer::CatchUp);
    world.run();
    write_snapshots(&mut world);
    assert!(membership(&world, 1).may_go(), "{:?}", membership(&world, 1));
    // So learns the one that was removed, though it was told that it is, and then it asks no more.
    let may_end = |world: &World| world.server(0).log.as_ref().is_some_and(|log| log.may_end(0.into()));
    world.tell(0, 1.into(), Msg::Removed { number: 2 });
    assert!(!may_end(&world));
    let mut asked = 0;
    while world.timers[0].contains(&Timer::CatchUp) {
        assert!(asked < 5, "it asks until it knows");
        world.ring(0, Timer::CatchUp);
        world.run();
        asked += 1;
    }
    assert!(may_end(&world) && asked > 0);
    let tape = world.tape(1);
    world.states[0] = None;
    world.start(1);
    assert_eq!(world.tape(1), tape, "nothing is lost");
    world.submit(1, "b");
    world.run();
    assert_eq!(world.answers().len(), 2);
}

#[test]
fn one_that_is_removed_and_differs_stops_nobody() {
    let mut world =
        World::new(&Settings { servers: 3, first: Some(3), alpha: 1, truncate: Some(truncating()), ..PLAIN });
    change(&mut world, 1, "remove 0");
    write_snapshots(&mut world);
    let saved = world.server(1).log.as_ref().and_then(|log| log.snapshots.as_ref()?.saved.clone());
    let saved = saved.expect("a snapshot is taken where the members change");
    world.tell(1, 0.into(), Msg::Checksum { below: saved.next, sum: saved.sum + 1 });
    world.submit(1, "a");
    world.run();
    assert_eq!(world.answers(), ["1"]);
}

#[test]
fn a_removed_leader_sends_those_who_wait_to_another() {
    let mut world = changing(3, 3);
    world.call(0, OPERATOR, 1, "remove 0");
    world.submit(0, "a");
    world.submit(0, "b");
    world.submit(0, "c");
    world.run();
    assert_eq!(latest(&world, 0), (1, set(&[1, 2])));
    let issues = |msg: &Msg| matches!(msg, Msg::Accept { instance, .. } if *instance >= membership(&world, 0).latest_from());
    assert!(!world.sent.iter().any(|(_, _, msg)| issues(msg)), "it proposes nothing where it is no member");
    let told = world.sent.iter().filter(|(_, to, msg)| {
        usize::from(*to) == CLIENT && matches!(msg, Msg::Redirect { leader } if usize::from(*leader) == 1)
    });
    assert!(told.count() > 0 && world.server(0).proposer.queue.is_empty());
}

/// Delivers the next message. What a server says to itself comes first.
fn step(world: &mut World) -> bool {
    let own = world.flying.iter().position(|(src, dst, _)| src == dst);
    let Some((src, dst, msg)) = world.flying.remove(own.unwrap_or(0)) else { return false };
    world.tell(dst.into(), src, msg);
    true
}

#[test]
fn a_question_is_answered_although_a_member_left_while_it_was_confirmed() {
    let mut world = changing(2, 2);
    world.call(0, OPERATOR, 1, "remove 1");
    while membership(&world, 0).number() == 0 {
        assert!(step(&mut world), "the change is under way");
    }
    // The instance before the change governs is on its way, and the question behind it.
    world.tell(0, CLIENT.into(), query().into());
    while step(&mut world) {}
    assert_eq!(membership(&world, 0).configurations.len(), 1, "the first configuration is over");
    assert_eq!(world.told(CLIENT), ["0"]);
}

#[test]
fn a_question_that_a_change_puts_off_is_confirmed_anew() {
    let mut world = changing(3, 3);
    world.submit(0, "a");
    world.run();
    world.call(0, OPERATOR, 1, "remove 2");
    world.tell(0, CLIENT.into(), query().into());
    let since = world.sent.len();
    let is_confirmed = |world: &World| world.told(CLIENT).len() > 1;
    while latest(&world, 0).0 == 0 {
        assert!(step(&mut world) && !is_confirmed(&world), "the change comes first");
    }
    assert!(!is_confirmed(&world));
    while step(&mut world) {}
    assert!(is_confirmed(&world), "{:?}", world.told(CLIENT));
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Prepare { .. })), 0, "in the same ballot");
}
