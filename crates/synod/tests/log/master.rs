//! Mastership: who takes it, when it begins and ends, and what ends with a crash. The timed models say that no two are master at one moment.

use crate::guards::query;
use crate::world::{CLIENT, PLAIN, Settings, World};
use stateright::actor::Id;
use std::time::Duration;
use synod::{
    Ballot, ElectionTimer, Instance, Lease, LeaseState, Mastership, Msg, Pace, Phase, ProcessState, Slot,
    Stable, Timer, Truncate,
};

pub(crate) const LEASE: Lease = Lease {
    hold: Duration::from_secs(17),
    lease: Duration::from_secs(22),
    renew: Some(Duration::from_secs(5)..Duration::from_secs(9)),
    seek: Some(Duration::ZERO..Duration::ZERO),
};

pub(crate) const EVERY: Truncate = Truncate {
    every: 2,
    every_bytes: u64::MAX,
    spare: 0,
    spare_bytes: u64::MAX,
    chunk: usize::MAX,
    ahead: 1,
    most: u64::MAX,
};

pub(crate) fn world(truncate: Option<Truncate>) -> World {
    World::new(&Settings { master: Some(LEASE), truncate, catch_up: true, ..PLAIN })
}

/// Server 0 is master by the take in instance 0.
pub(crate) fn with_master() -> World {
    let mut world = world(None);
    world.ring(0, Timer::Seek);
    world.run();
    world
}

pub(crate) fn lease(world: &World, at: usize) -> &LeaseState {
    world.server(at).log.as_ref().and_then(|log| log.lease.as_ref()).expect("servers take mastership")
}

pub(crate) fn masters(world: &World) -> Vec<usize> {
    (0..world.servers.len())
        .filter(|at| {
            let server = world.states[*at].as_ref().and_then(ProcessState::server);
            let lease = server.and_then(|server| server.log.as_ref()?.lease.as_ref());
            lease.is_some_and(LeaseState::is_master)
        })
        .collect()
}

pub(crate) fn last(world: &World, at: usize) -> Option<(u64, usize)> {
    let last: Option<Mastership> = world.server(at).log.as_ref().expect("a log").replica.mastership();
    last.map(|last| (last.token.0, last.by.client.into()))
}

/// The first instance of the tenure, as a server knows it.
pub(crate) fn tenure(world: &World, at: usize) -> Option<Instance> {
    let last: Option<Mastership> = world.server(at).log.as_ref().expect("a log").replica.mastership();
    last.map(|last| last.since)
}

pub(crate) fn runs(world: &World, at: usize, timer: Timer) -> bool {
    world.timers[at].contains(&timer)
}

#[test]
fn a_server_is_master_from_its_own_take_on_and_the_others_leave_it_alone() {
    let mut world = world(None);
    let replica = |world: &World| world.server(0).log.as_ref().expect("a log").replica.clone();
    let before = replica(&world);
    world.ring(0, Timer::Seek);
    assert!(!runs(&world, 0, Timer::Hold(Slot::A)), "nothing is proposed before phase 1 is over");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accepted { .. }));
    assert!(runs(&world, 0, Timer::Hold(Slot::A)), "the time counts from before the take leaves");
    assert_eq!((masters(&world), last(&world, 0)), (vec![], None));
    world.ring(0, Timer::Retry);
    world.run();
    assert_eq!(masters(&world), [0]);
    let machines = [&before, &replica(&world)].map(|replica| replica.machine().snapshot());
    assert!(before != replica(&world) && machines[0] == machines[1], "a take is no command of the machine");
    for at in 0..3 {
        assert_eq!(last(&world, at), Some((0, 0)));
        assert_eq!(runs(&world, at, Timer::Respect), at > 0, "{at}");
        assert_eq!(lease(&world, at).respects, at > 0, "{at}");
    }
    assert!(!runs(&world, 1, Timer::Seek), "server 1 leaves mastership to server 0");
}

#[test]
fn a_master_answers_in_its_step_and_says_nothing_to_other_servers() {
    let mut world = with_master();
    let since = world.sent.len();
    world.tell(0, CLIENT.into(), query().into());
    assert_eq!(world.sent.len() - since, 1);
    assert_eq!(world.answers(), ["0"], "a take is no command of the machine");
    world.ring(0, Timer::Hold(Slot::A));
    world.run();
    world.tell(0, CLIENT.into(), query().into());
    let asks = world.count(since, |msg| matches!(msg, Msg::Confirm { .. }));
    assert_eq!((masters(&world), asks), (vec![0], 0), "it took mastership once more at once");
}

#[test]
fn mastership_ends_with_its_timer_and_another_takes_it_after_the_lease() {
    let mut world = with_master();
    world.states[0] = None;
    world.ring(1, Timer::Respect);
    world.run();
    assert_eq!((masters(&world), last(&world, 2)), (vec![1], Some((1, 1))));
    world.start(0);
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![1], Some((1, 1))));
    assert!(lease(&world, 0).respects);
}

#[test]
fn a_renewal_has_a_timer_of_its_own_and_ends_the_one_before() {
    let mut world = with_master();
    for (slot, before, token) in [(Slot::B, Slot::A, 1), (Slot::A, Slot::B, 2), (Slot::B, Slot::A, 3)] {
        world.ring(0, Timer::Seek);
        assert!(runs(&world, 0, Timer::Hold(before)) && runs(&world, 0, Timer::Hold(slot)));
        assert_eq!(lease(&world, 0).held, Some(before), "the renewal is not decided");
        world.run();
        assert!(!runs(&world, 0, Timer::Hold(before)) && runs(&world, 0, Timer::Hold(slot)));
        assert_eq!((lease(&world, 0).held, last(&world, 2)), (Some(slot), Some((token, 0))));
        assert!(runs(&world, 0, Timer::Seek) && runs(&world, 1, Timer::Respect));
    }
}

#[test]
fn a_take_that_is_decided_after_its_time_makes_nobody_master() {
    let mut world = world(None);
    world.ring(0, Timer::Seek);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accepted { .. }));
    world.ring(0, Timer::Hold(Slot::A));
    assert!(lease(&world, 0).open.is_some(), "it is on its way");
    world.ring(0, Timer::Retry);
    // Nothing of the take that follows at once.
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { instance: Instance(1), .. }));
    assert_eq!((masters(&world), last(&world, 0)), (vec![], Some((0, 0))));
    assert!(!lease(&world, 0).respects, "it need not wait for itself");
    world.ring(0, Timer::Retry);
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![0], Some((1, 0))));
}

#[test]
fn a_take_of_an_earlier_run_is_another_servers() {
    let mut world = world(None);
    world.ring(0, Timer::Seek);
    // The take is accepted everywhere, and nobody hears of it before server 0 comes back.
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accepted { .. }));
    world.start(0);
    world.ring(0, Timer::Seek);
    // Phase 1 reports the take of the earlier run, which is issued again, and one of this run follows it in vain.
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accepted { instance: Instance(1), .. }));
    assert_eq!((masters(&world), last(&world, 0)), (vec![], Some((0, 0))));
    assert!(lease(&world, 0).respects);
    world.ring(0, Timer::Retry);
    world.run();
    assert_eq!(
        (masters(&world), last(&world, 0)),
        (vec![], Some((0, 0))),
        "its own take had not seen that one"
    );
    assert!(lease(&world, 0).open.is_none());
    world.ring(0, Timer::Respect);
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![0], Some((2, 0))));
}

#[test]
fn of_two_takes_that_have_seen_the_same_the_first_counts() {
    let mut world = with_master();
    world.states[0] = None;
    world.ring(1, Timer::Respect);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    world.ring(2, Timer::Respect);
    world.run();
    assert_eq!((masters(&world), last(&world, 2)), (vec![2], Some((1, 2))));
    assert!(lease(&world, 1).respects, "its own take comes too late");
}

#[test]
fn mastership_is_in_a_snapshot_and_whoever_starts_from_one_waits_for_a_full_lease() {
    let mut world = world(Some(EVERY));
    world.ring(0, Timer::Seek);
    world.run_losing(|_, to, _| usize::from(to) == 2);
    world.submit(0, "a");
    world.run_losing(|_, to, _| usize::from(to) == 2);
    world.ring(0, Timer::Snapshot);
    let is_chunk = |msg: &Msg| matches!(msg, Msg::Chunk { .. });
    world.ring(2, Timer::CatchUp);
    world.run();
    assert!(world.count(0, is_chunk) > 0);
    assert_eq!(last(&world, 2), Some((0, 0)));
    assert!(lease(&world, 2).respects && runs(&world, 2, Timer::Respect));
    for at in [0, 2] {
        assert!(matches!(&world.disks[at], Some(Stable { snapshot: Some(_), .. })));
        world.start(at);
        assert_eq!((masters(&world), last(&world, at)), (vec![], Some((0, 0))), "{at}");
        assert!(lease(&world, at).respects && runs(&world, at, Timer::Respect), "{at}");
        assert!(!runs(&world, at, Timer::Seek), "{at}");
    }
}

/// The clients that were sent on since, and where to.
pub(crate) fn sent_on(world: &World, since: usize) -> Vec<(usize, usize)> {
    let redirect = |(_, to, msg): &(Id, Id, Msg)| match msg {
        Msg::Redirect { leader } => Some((usize::from(*to), usize::from(*leader))),
        _ => None,
    };
    world.sent[since..].iter().filter_map(redirect).collect()
}

/// Asks a server to give mastership away in the tenure that began in this instance.
pub(crate) fn give(world: &mut World, at: usize, since: u64, heir: usize) {
    world.tell(at, CLIENT.into(), Msg::Give { since: Instance(since), heir: heir.into() });
}

#[test]
fn a_master_ceases_before_it_yields_and_the_heir_takes_mastership_at_once() {
    let mut world = with_master();
    let since = world.sent.len();
    give(&mut world, 0, 0, 2);
    assert!(masters(&world).is_empty(), "before anybody hears of it");
    assert!(!runs(&world, 0, Timer::Hold(Slot::A)) && !runs(&world, 0, Timer::Seek));
    assert!(lease(&world, 0).respects && runs(&world, 0, Timer::Respect), "the heir comes first");
    assert_eq!(
        world.sent[since..],
        [1, 2].map(|to| (0.into(), to.into(), Msg::Yield { token: Instance(0) }))
    );
    // Nobody is elected here, so that server 1 would want mastership, too.
    world.run_losing(|src, to, msg| {
        to == 1.into() && matches!(msg, Msg::Yield { .. })
            || src == 2.into() && !matches!(msg, Msg::Prepare { .. })
    });
    assert!(!lease(&world, 2).respects && !runs(&world, 2, Timer::Respect));
    assert!(masters(&world).is_empty(), "the heir is master by its own take only");
    world.ring(2, Timer::Retry);
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![2], Some((1, 2))));
    assert!(lease(&world, 0).respects && lease(&world, 1).respects);
}

#[test]
fn mastership_is_given_by_a_master_alone_in_the_tenure_that_is_named_and_to_another_server() {
    let mut world = with_master();
    let before = (world.states.clone(), world.sent.len());
    for (at, since, heir) in [(1, 0, 2), (0, 0, 0), (0, 0, 7), (0, 1, 1)] {
        give(&mut world, at, since, heir);
        assert_eq!((&world.states, world.sent.len()), (&before.0, before.1), "{at} to {heir}");
    }
    world.ring(0, Timer::Hold(Slot::A));
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    give(&mut world, 0, 0, 1);
    assert!(!lease(&world, 0).respects, "it is not master at present");
}

#[test]
fn a_yield_counts_for_the_take_that_it_names_and_from_its_proposer_alone() {
    let mut world = with_master();
    let before = world.states.clone();
    for (src, token) in [(2, 0), (1, 0), (0, 1)] {
        world.tell(1, src.into(), Msg::Yield { token: Instance(token) });
        assert_eq!(world.states, before, "{src} {token}");
    }
    world.ring(0, Timer::Seek);
    world.run();
    world.tell(1, 0.into(), Msg::Yield { token: Instance(0) });
    assert!(lease(&world, 1).respects, "it is master by a later one");
    world.tell(1, 0.into(), Msg::Yield { token: Instance(1) });
    assert!(!lease(&world, 1).respects);
    assert!(world.count(0, |msg| matches!(msg, Msg::Prepare { ballot: Ballot { proposer: 2, .. }, .. })) > 0);
}

/// Servers that elect a leader. Server 0 is elected, and is master.
pub(crate) fn elected() -> World {
    let any = Duration::ZERO..Duration::ZERO;
    let pace = Pace { beat: any.clone(), suspect: any.clone(), hold_off: any, doublings: 0 };
    let mut world =
        World::new(&Settings { master: Some(LEASE), election: Some(pace), catch_up: true, ..PLAIN });
    world.ring(0, Timer::Seek);
    world.run();
    assert!(masters(&world).is_empty(), "nobody leads yet");
    world.ring(0, Timer::Election(ElectionTimer::HoldOff));
    world.run();
    assert_eq!(masters(&world), [0], "who is elected seeks mastership");
    world
}

#[test]
fn leadership_is_given_with_mastership() {
    for heir in [1, 2] {
        let mut world = elected();
        world.submit(0, "a");
        world.run();
        give(&mut world, 0, 0, heir);
        world.run();
        assert!(masters(&world).is_empty(), "{heir} holds off");
        world.ring(heir, Timer::Election(ElectionTimer::HoldOff));
        world.run();
        assert_eq!((masters(&world), last(&world, 0)), (vec![heir], Some((2, heir))));
        // No other timer has rung, and it stays so.
        world.ring(heir, Timer::Election(ElectionTimer::Beat));
        world.run();
        world.submit(heir, "b");
        let since = world.sent.len();
        world.submit(0, "c");
        assert_eq!(sent_on(&world, since), [(CLIENT, heir)]);
        world.run();
        assert_eq!(world.answers(), ["1", "2"]);
        give(&mut world, heir, 2, 0);
        world.run();
        world.ring(0, Timer::Election(ElectionTimer::HoldOff));
        world.run();
        assert_eq!(masters(&world), [0], "and back");
    }
}

#[test]
fn a_master_yields_to_the_server_that_is_elected_in_its_place() {
    let mut world = elected();
    let suspect = Timer::Election(ElectionTimer::Suspect);
    // Nobody hears server 0 for a while, nor it them.
    for at in [1, 2] {
        world.ring(at, suspect);
    }
    world.run_losing(|src, to, _| [src, to].contains(&0.into()));
    world.ring(1, Timer::Election(ElectionTimer::HoldOff));
    world.run_losing(|src, to, _| [src, to].contains(&0.into()));
    assert_eq!(masters(&world), [0]);
    assert!(matches!(world.server(1).proposer.phase, Phase::Accepting { .. }));
    let since = world.sent.len();
    world.submit(1, "a");
    world.tell(1, CLIENT.into(), query().into());
    assert_eq!(sent_on(&world, since), [(CLIENT, 1); 2], "it is to be master itself");
    for _ in 0..2 {
        world.ring(0, suspect);
        world.run_losing(|_, _, _| true);
    }
    world.ring(1, Timer::Election(ElectionTimer::Beat));
    world.run();
    assert_eq!((masters(&world), last(&world, 0)), (vec![1], Some((1, 1))));
    let yields = world.sent[since..].iter().filter(|(.., msg)| matches!(msg, Msg::Yield { .. }));
    assert_eq!(yields.map(|(_, to, _)| usize::from(*to)).collect::<Vec<_>>(), [1, 2], "once to each");
}

#[test]
fn no_words_take_mastership_whoever_submits_them() {
    for (client, words) in [(CLIENT, "take 0 22000"), (1, "take 0 22000"), (1, "1.3!take 0 22000")] {
        let mut world = with_master();
        world.call(0, client, 3, words);
        world.run();
        assert_eq!((masters(&world), last(&world, 0), world.next(0)), (vec![0], Some((0, 0)), 2));
        assert_eq!(world.told(client), ["1"], "the machine executes it like any words");
    }
}

/// A take that is open when a later one is executed cannot have an effect any more. It is not waited for, whatever hides it from its proposer.
#[test]
fn a_take_that_is_over_is_not_open() {
    let mut world = world(Some(EVERY));
    world.ring(0, Timer::Seek);
    world.run();
    world.ring(1, Timer::Respect);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    assert!(lease(&world, 1).open.is_some() && runs(&world, 1, Timer::Hold(Slot::A)));
    world.ring(2, Timer::Respect);
    world.run_losing(|_, to, msg| to == 1.into() && !matches!(msg, Msg::Chosen { .. }));
    assert_eq!((masters(&world), last(&world, 1)), (vec![2], Some((1, 2))));
    assert!(lease(&world, 1).open.is_none() && !runs(&world, 1, Timer::Hold(Slot::A)));
}
