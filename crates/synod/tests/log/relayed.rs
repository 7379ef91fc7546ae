//! Operators that speak with one member alone: what they ask reaches the member that leads, and the answer comes back.

use crate::world::{CLIENT, DIRECTORY, OPERATOR, PLAIN, Settings, World};
use stateright::actor::Id;
use std::time::Duration;
use synod::{AcceptorSet, ElectionTimer, Membership, Msg, Pace, Phase, Timer, Value};

/// Five servers, of which the first three are members. Server 0 leads.
fn led() -> World {
    let any = Duration::ZERO..Duration::ZERO;
    let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 0 };
    let mut world = World::new(&Settings {
        servers: 5,
        first: Some(3),
        alpha: 2,
        catch_up: true,
        election: Some(pace),
        relays: true,
        ..PLAIN
    });
    world.run();
    world.ring(0, Timer::Election(ElectionTimer::HoldOff));
    world.run();
    world.submit(0, "a");
    world.run();
    assert!(matches!(world.server(0).proposer.phase, Phase::Accepting { .. }));
    world
}

fn membership(world: &World, at: usize) -> &Membership {
    world.server(at).log.as_ref().and_then(|log| log.replica.membership()).expect("members change")
}

fn members(world: &World, at: usize) -> AcceptorSet {
    membership(world, at).latest().map(|latest| latest.members).unwrap_or_default()
}

fn set(indices: &[usize]) -> AcceptorSet {
    indices.iter().copied().collect()
}

/// A member's own operator asks. Returns what it is told.
fn asks(world: &mut World, at: usize, words: &str) -> Vec<String> {
    let (number, before) = (world.sent.len() as u64, world.told(OPERATOR + at).len());
    world.call(at, OPERATOR + at, number, words);
    world.run();
    world.told(OPERATOR + at).split_off(before)
}

fn relays(world: &World) -> usize {
    world.count(0, |msg| matches!(msg, Msg::Relay { .. }))
}

/// The calls that wait at a server.
fn waits(world: &World, at: usize) -> usize {
    world.server(at).proposer.queue.len() + world.server(at).log.as_ref().map_or(0, |log| log.asked.len())
}

#[test]
fn a_change_reaches_the_member_that_leads_and_its_answer_comes_back() {
    let mut world = led();
    let told = asks(&mut world, 2, "add 3 at here on 0");
    assert!(!told.is_empty() && told.iter().all(|told| told == "\"3 learns\""), "{told:?}");
    assert_eq!((relays(&world), waits(&world, 2), waits(&world, 0)), (1, 0, 0));
    for at in 0..4 {
        assert_eq!(members(&world, at), set(&[0, 1, 2, 3]), "{at}");
        assert_eq!(membership(&world, at).address(3), Some("here"), "{at}");
        // A new member names its disk.
        assert_eq!(membership(&world, at).directory(3), Some(DIRECTORY + 3), "{at}");
        assert_eq!(membership(&world, at).directory(2), None, "{at}");
    }
    // Nobody else hears of it.
    let elsewhere = |to: &Id| usize::from(*to) >= OPERATOR && usize::from(*to) != OPERATOR + 2;
    assert_eq!(world.sent.iter().filter(|(_, to, _)| elsewhere(to)).count(), 0);
    assert!(asks(&mut world, 1, "remove 3 on 0")[0].contains("rests on configuration 0, and 1 governs last"));
    assert_eq!(asks(&mut world, 0, "remove 3 on 1").len(), 1, "one that leads needs no other");
    assert_eq!((relays(&world), members(&world, 0)), (2, set(&[0, 1, 2])));
}

#[test]
fn a_lost_answer_is_given_again() {
    let mut world = led();
    for _ in 0..3 {
        world.call(2, OPERATOR + 2, 9, "remove 1");
        world.run_losing(|_, _, msg| matches!(msg, Msg::Relayed { .. } | Msg::Chosen { .. }));
    }
    assert_eq!((world.told(OPERATOR + 2).len(), relays(&world)), (0, 3));
    world.call(2, OPERATOR + 2, 9, "remove 1");
    world.run();
    assert_eq!(world.told(OPERATOR + 2), ["\"configuration 1 from #3\""]);
    assert_eq!((membership(&world, 0).number(), waits(&world, 2)), (1, 0));
}

#[test]
fn a_learner_and_a_member_that_leaves_are_heard_and_nobody_else_who_is_no_member() {
    let mut world = led();
    // 4 is no member, and not to be one.
    assert!(asks(&mut world, 4, "add 4").is_empty());
    assert!(relays(&world) > 0 && !membership(&world, 0).used.contains(4));
    // The learner does not hear that it may join.
    world.call(0, OPERATOR, 50, "add 3");
    world.run_losing(|src, _, msg| matches!(msg, Msg::Ask(_)) && src == Id::from(3));
    assert!(membership(&world, 3).learners.contains_key(&3));
    world.call(3, OPERATOR + 3, 51, "remove 1");
    world.run_losing(|src, _, msg| matches!(msg, Msg::Ask(_)) && src == Id::from(3));
    assert_eq!(world.told(OPERATOR + 3), ["\"configuration 1 from #4\""]);
    // What a removed one asks is refused.
    let since = world.sent.len();
    assert!(asks(&mut world, 1, "remove 2").is_empty());
    assert_eq!((membership(&world, 0).number(), members(&world, 0)), (1, set(&[0, 2])));
    assert!(world.count(since, |msg| matches!(msg, Msg::Removed { .. })) > 0);
}

#[test]
fn a_leader_that_refuses_says_so_to_the_operator_of_another_and_nobody_proposes_it_later() {
    let mut world = led();
    let dead = |src: Id, dst: Id, _: &Msg| [src, dst].contains(&Id::from(1));
    for command in ["b", "c"] {
        world.submit(0, command);
        world.run_losing(dead);
    }
    world.call(2, OPERATOR + 2, 9, "remove 2 on 0");
    world.run_losing(dead);
    let told = world.told(OPERATOR + 2);
    assert!(told[0].starts_with("\"unknown: this server did not propose it"), "{told:?}");
    assert_eq!((waits(&world, 0), waits(&world, 2), members(&world, 0).len()), (0, 0, 3));
}

#[test]
fn one_that_follows_takes_nothing_from_the_operators_of_others() {
    let mut world = led();
    world.tell(1, 2.into(), Msg::Relay { number: 3, command: Value::from("remove 2") });
    assert_eq!(waits(&world, 1), 0);
    world.run();
    assert_eq!(membership(&world, 0).number(), 0);
}

#[test]
fn nothing_is_relayed_for_a_client_or_for_the_operator_of_another() {
    let mut world = led();
    world.call(2, CLIENT, 5, "x");
    world.call(2, OPERATOR + 1, 6, "remove 1");
    world.run();
    assert_eq!((relays(&world), membership(&world, 0).number()), (0, 0));
    let mut plain = World::new(&Settings { first: Some(3), catch_up: true, ..PLAIN });
    plain.submit(0, "a");
    plain.run();
    plain.tell(0, 1.into(), Msg::Relay { number: 3, command: Value::from("remove 2") });
    plain.tell(1, 0.into(), Msg::Relayed { number: 3, output: Value::from("y") });
    plain.run();
    assert_eq!((membership(&plain, 0).number(), plain.told(OPERATOR).len()), (0, 0));
}

/// Those who have the key can say anything. What they ask for takes one place each of those that clients have.
#[test]
fn an_operator_that_asks_again_gives_up_what_it_asked_before() {
    let mut world = led();
    let relay = |number, words: &str| Msg::Relay { number, command: Value::from(words) };
    // The leader hears of nobody's votes, so that all waits.
    for number in 10..30 {
        world.tell(0, 1.into(), relay(number, "remove 2"));
        world.tell(0, 2.into(), relay(number, "remove 1"));
    }
    let asked = |world: &World| {
        let log = world.server(0).log.as_ref().expect("a log");
        let calls = log.asked.keys().map(|call| (usize::from(call.client) - OPERATOR, call.number));
        calls.collect::<Vec<_>>()
    };
    assert_eq!(asked(&world), [(1, 29), (2, 29)]);
    world.tell(0, 1.into(), relay(28, "remove 0"));
    assert_eq!(asked(&world), [(1, 29), (2, 29)], "it comes late");
    world.tell(0, 1.into(), relay(29, "remove 2"));
    assert_eq!(asked(&world), [(1, 29), (2, 29)], "it comes again");
}

#[test]
fn who_takes_no_part_speaks_for_nobody() {
    let mut world = led();
    let said = |number| Msg::Relayed { number, output: Value::from("done") };
    world.tell(1, 4.into(), said(3));
    assert!(world.told(OPERATOR + 1).is_empty());
    world.tell(1, 2.into(), said(3));
    assert_eq!(world.told(OPERATOR + 1), ["done"]);
}
