//! Yields: they go to all servers, and again to whoever leads. So nobody waits for the end of a lease that is over, unless the server that had it is away. No timer for
//! the end of a lease rings in these tests.

use crate::master::{elected, give, last, lease, masters, runs, sent_on, with_master};
use crate::world::{CLIENT, World};
use stateright::actor::Id;
use synod::{Beat, ElectionTimer, Msg, Slot, Timer};

const BEAT: Timer = Timer::Election(ElectionTimer::Beat);
const SUSPECT: Timer = Timer::Election(ElectionTimer::Suspect);
const HOLD_OFF: Timer = Timer::Election(ElectionTimer::HoldOff);

/// Has servers 1 and 2 elect server 1, away from server 0, while these messages are lost. Then server 0 follows it.
fn elect_another(world: &mut World, lost: impl Fn(&Msg) -> bool) {
    let away = |src: Id, to: Id| [src, to].contains(&0.into());
    for timer in [SUSPECT, HOLD_OFF] {
        for at in [1, 2].into_iter().filter(|at| timer == SUSPECT || *at == 1) {
            world.ring(at, timer);
        }
        world.run_losing(|src, to, msg| away(src, to) || lost(msg));
    }
    for _ in 0..2 {
        world.ring(0, SUSPECT);
        world.run_losing(|_, _, _| true);
    }
    world.ring(1, BEAT);
    world.run_losing(|_, _, msg| lost(msg));
}

/// The renewal is chosen, and server 0 may know it or not. Server 1 learns it only from its phase 1, after server 0 has yielded.
#[test]
fn a_yield_that_comes_before_a_take_is_executed_is_said_again() {
    for is_known in [true, false] {
        let mut world = elected();
        world.ring(0, Timer::Seek);
        world.run_losing(|_, to, msg| to == 1.into() || !is_known && matches!(msg, Msg::Accepted { .. }));
        let renewed = (u64::from(is_known), 0);
        assert_eq!((last(&world, 0), last(&world, 1)), (Some(renewed), Some((0, 0))));
        assert_eq!((masters(&world), lease(&world, 0).open.is_some()), (vec![0], !is_known));
        elect_another(&mut world, |msg| matches!(msg, Msg::Promise { .. }));
        assert!(masters(&world).is_empty() && lease(&world, 0).respects);
        assert!([Slot::A, Slot::B].iter().all(|slot| !runs(&world, 0, Timer::Hold(*slot))));
        assert_eq!(lease(&world, 1).respects, is_known, "it knows of another take");
        world.ring(1, Timer::Retry);
        world.run();
        assert_eq!(
            (masters(&world), last(&world, 1)),
            (vec![], Some((1, 0))),
            "the renewal makes nobody master"
        );
        assert!(lease(&world, 1).respects && runs(&world, 1, Timer::Respect));
        world.ring(1, BEAT);
        world.run();
        assert_eq!(masters(&world), [1]);
    }
}

#[test]
fn a_yield_is_said_again_to_the_leader_that_it_follows_and_to_nobody_else() {
    let mut world = elected();
    elect_another(&mut world, |msg| matches!(msg, Msg::Yield { .. } | Msg::Promise { .. }));
    assert!(masters(&world).is_empty());
    let yields = |world: &mut World, from: usize| {
        let since = world.sent.len();
        world.tell(0, from.into(), Msg::Beat(Beat::Heartbeat { backed: from == 1 }));
        world.count(since, |msg| matches!(msg, Msg::Yield { .. }))
    };
    assert_eq!((yields(&mut world, 2), yields(&mut world, 1)), (0, 1));
}

#[test]
fn a_server_that_comes_back_yields_what_it_had() {
    let mut world = elected();
    world.states[0] = None;
    for at in [1, 2] {
        world.ring(at, SUSPECT);
    }
    world.run();
    world.ring(1, HOLD_OFF);
    world.run();
    assert!(masters(&world).is_empty() && lease(&world, 1).respects);
    world.start(0);
    world.run();
    assert!(last(&world, 0).is_some() && masters(&world).is_empty());
    world.ring(1, BEAT);
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![1], Some((1, 1))));
}

/// Server 0 has just started when the others are told of an heir. It does not heed that, and server 2 gives way to it.
#[test]
fn a_yield_reaches_whoever_comes_to_lead() {
    let mut world = elected();
    give(&mut world, 0, 0, 1);
    world.run();
    world.ring(1, HOLD_OFF);
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![1], Some((1, 1))));
    world.start(0);
    world.run_losing(|src, _, msg| src == 0.into() && matches!(msg, Msg::Beat(_)));
    assert_eq!((last(&world, 0), lease(&world, 0).respects), (Some((1, 1)), true));
    give(&mut world, 1, 1, 2);
    world.run();
    world.ring(0, BEAT);
    world.run();
    world.ring(0, HOLD_OFF);
    world.run();
    assert_eq!((masters(&world), last(&world, 2)), (vec![0], Some((2, 0))));
}

#[test]
fn nothing_is_given_away_while_a_take_is_open() {
    let mut world = with_master();
    world.ring(0, Timer::Seek);
    let before = world.states.clone();
    give(&mut world, 0, 0, 1);
    assert_eq!(world.states, before);
    world.run();
    give(&mut world, 0, 0, 1);
    assert!(masters(&world).is_empty());
}

#[test]
fn clients_are_sent_to_a_leader_and_not_to_whoever_was_master_before() {
    let mut world = elected();
    world.states[0] = None;
    let since = world.sent.len();
    world.submit(1, "a");
    assert_eq!(sent_on(&world, since), [(CLIENT, 0)], "it follows server 0");
    world.ring(1, SUSPECT);
    let since = world.sent.len();
    world.submit(1, "a");
    assert_eq!(sent_on(&world, since), []);
    world.ring(2, SUSPECT);
    world.run();
    world.ring(1, HOLD_OFF);
    world.run();
    assert!(lease(&world, 1).respects);
    let since = world.sent.len();
    world.submit(1, "a");
    world.submit(2, "a");
    assert_eq!(sent_on(&world, since), [(CLIENT, 1); 2]);
}
