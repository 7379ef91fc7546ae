//! Elections and mastership while members change: only members elect and lead, and a server that leaves yields.

use crate::master::{LEASE, last, lease, masters};
use crate::world::{OPERATOR, PLAIN, Settings, World};
use std::time::Duration;
use synod::{ElectionTimer, Instance, Msg, Pace, Phase, Timer};

const HOLD_OFF: Timer = Timer::Election(ElectionTimer::HoldOff);
const BEAT: Timer = Timer::Election(ElectionTimer::Beat);
const SUSPECT: Timer = Timer::Election(ElectionTimer::Suspect);

/// Five servers, of which the first three are members. Server 0 is elected, and master where they take mastership.
fn elected(takes_mastership: bool) -> World {
    let any = Duration::ZERO..Duration::ZERO;
    let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 0 };
    let mut world = World::new(&Settings {
        servers: 5,
        first: Some(3),
        alpha: 2,
        catch_up: true,
        master: takes_mastership.then_some(LEASE),
        election: Some(pace),
        ..PLAIN
    });
    if takes_mastership {
        world.ring(0, Timer::Seek);
    }
    world.run();
    world.ring(0, HOLD_OFF);
    world.run();
    world
}

fn change(world: &mut World, at: usize, words: &str) -> String {
    let number = world.sent.len() as u64;
    world.call(at, OPERATOR, number, words);
    world.run();
    world.told(OPERATOR).pop().unwrap_or_default()
}

/// The server that lets a command be chosen at once.
fn leads(world: &mut World, at: usize, command: &str) {
    let before = world.answers().len();
    world.submit(at, command);
    world.run();
    assert!(world.answers().len() > before, "{command} is chosen at {at}");
    assert!(matches!(world.server(at).proposer.phase, Phase::Accepting { .. }));
}

fn beats(world: &World, at: usize) -> bool {
    world.timers[at].contains(&BEAT)
}

#[test]
fn the_others_follow_the_next_as_soon_as_their_leader_has_left() {
    let mut world = elected(false);
    leads(&mut world, 0, "a");
    assert!((3..5).all(|at| !beats(&world, at) && !world.timers[at].contains(&SUSPECT)));
    assert_eq!(change(&mut world, 0, "remove 0"), "\"configuration 1 from #3\"");
    // No timer has rung: those that remain know from the log that it is gone.
    assert!(!world.timers[0].iter().any(|timer| matches!(timer, Timer::Election(_))), "it elects nobody");
    assert!(beats(&world, 1) && !beats(&world, 2));
    world.ring(1, HOLD_OFF);
    world.run();
    leads(&mut world, 1, "b");
    let since = world.sent.len();
    world.submit(0, "c");
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Redirect { .. })), 1);
}

#[test]
fn a_new_member_follows_and_is_counted_and_does_not_come_first() {
    let mut world = elected(false);
    // The first in order leaves, so that one that comes later may stand before the leader.
    change(&mut world, 0, "remove 0");
    world.ring(1, HOLD_OFF);
    world.run();
    change(&mut world, 1, "remove 1");
    world.ring(2, HOLD_OFF);
    world.run();
    leads(&mut world, 2, "a");
    assert_eq!(change(&mut world, 2, "add 4"), "\"4 learns\"");
    world.ring(2, BEAT);
    world.run();
    assert_eq!(change(&mut world, 2, "add 3"), "\"3 learns\"");
    world.ring(2, BEAT);
    world.run();
    // Each that has come follows the leader, however they are ordered.
    leads(&mut world, 2, "b");
    for at in [3, 4] {
        assert!(world.timers[at].contains(&SUSPECT) && !beats(&world, at), "{at}");
    }
    // The leader has answers of new members alone.
    world.ring(2, SUSPECT);
    world.ring(2, BEAT);
    world.run();
    world.ring(2, SUSPECT);
    assert!(beats(&world, 2), "it is still followed");
    // And the first of them leads when it is gone.
    let deaf = |src, dst| [src, dst].contains(&2.into());
    world.ring(3, SUSPECT);
    world.ring(4, SUSPECT);
    world.run_losing(|src, dst, _| deaf(src, dst));
    world.ring(3, HOLD_OFF);
    world.submit(3, "c");
    world.run_losing(|src, dst, _| deaf(src, dst));
    assert_eq!(world.answers().len(), 3);
}

#[test]
fn a_leader_that_still_holds_off_needs_no_more_followers_than_there_are_members() {
    let any = Duration::ZERO..Duration::ZERO;
    let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 0 };
    let mut world = World::new(&Settings { first: Some(2), election: Some(pace), catch_up: true, ..PLAIN });
    // Nobody has answered, and both wait.
    world.flying.clear();
    assert!(beats(&world, 0) && !world.timers[0].contains(&HOLD_OFF));
    // Its only other member leaves: that was chosen before, and it hears of it now.
    let logged = synod::LogEntry {
        call: synod::Call { client: OPERATOR.into(), number: 1 },
        command: synod::Value::from("remove 1"),
    };
    for (at, value) in [
        (0, logged.value()),
        (1, synod::Value::no_op()),
        (2, synod::Value::no_op()),
        (3, synod::Value::no_op()),
    ] {
        world.tell(0, 1.into(), Msg::Chosen { instance: Instance(at), value });
    }
    world.ring(0, HOLD_OFF);
    leads(&mut world, 0, "a");
}

#[test]
fn a_master_that_leaves_yields_to_one_that_stays_and_that_one_takes_mastership() {
    let mut world = elected(true);
    assert_eq!(masters(&world), [0]);
    let since = world.sent.len();
    change(&mut world, 0, "remove 0");
    assert!(masters(&world).is_empty(), "it is no member any more");
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Yield { .. })), 2, "whoever leads next takes it");
    assert!(!lease(&world, 1).respects && !lease(&world, 2).respects);
    world.ring(1, HOLD_OFF);
    world.run();
    assert_eq!(masters(&world), [1]);
    leads(&mut world, 1, "b");
}

#[test]
fn mastership_is_not_given_to_one_that_is_no_member() {
    let mut world = elected(true);
    let before = world.states.clone();
    let (since, _) = last(&world, 0).expect("it has taken mastership");
    let give = |heir: usize| Msg::Give { since: Instance(since), heir: heir.into() };
    world.tell(0, 999.into(), give(3));
    world.run();
    assert_eq!(world.states, before);
    // A learner counts nowhere, and leads nothing.
    world.call(0, OPERATOR, 1, "add 3");
    world.run_losing(|_, to, _| to == 3.into());
    let before = world.states.clone();
    world.tell(0, 999.into(), give(3));
    world.run();
    assert_eq!(world.states, before);
    world.tell(0, 999.into(), give(2));
    world.run();
    assert!(masters(&world).is_empty());
}

#[test]
fn leadership_is_not_given_away_by_one_that_is_not_master() {
    let mut world = elected(true);
    let (since, _) = last(&world, 0).expect("it has taken mastership");
    world.states[0] = None;
    for (at, timer) in [(1, SUSPECT), (2, SUSPECT), (1, BEAT), (1, HOLD_OFF)] {
        world.ring(at, timer);
        world.run();
    }
    assert!(matches!(world.server(1).proposer.phase, Phase::Accepting { .. }));
    let before = world.states.clone();
    world.tell(1, 999.into(), Msg::Give { since: Instance(since), heir: 2.into() });
    world.run();
    assert_eq!(world.states, before);
}

#[test]
fn one_that_is_told_of_its_removal_elects_nobody() {
    let mut world = elected(false);
    world.tell(2, 1.into(), Msg::Removed { number: 0 });
    let since = world.sent.len();
    world.ring(2, SUSPECT);
    assert_eq!(world.sent.len(), since);
    assert!(!world.timers[2].contains(&SUSPECT) && !beats(&world, 2), "it waits for nobody");
}

#[test]
fn a_new_member_knows_who_is_master_and_leaves_that_one_alone() {
    let mut world = elected(true);
    assert_eq!(change(&mut world, 0, "replace 2 3"), "\"3 learns\"");
    assert!(lease(&world, 3).respects && !lease(&world, 4).respects);
    world.ring(0, BEAT);
    world.run();
    leads(&mut world, 0, "b");
    let (since, _) = last(&world, 0).expect("it has taken mastership");
    world.tell(0, 999.into(), Msg::Give { since: Instance(since), heir: 3.into() });
    world.run();
    world.ring(3, HOLD_OFF);
    world.run();
    assert_eq!(masters(&world), [3]);
}
