//! Guards of mastership, one by one: what a copy of a take does, and one that comes too late or beside something else; what ends with another's
//! take; and what a timer that rings for nothing leaves alone.

use crate::guards::{self, BALLOT, EVERY, First, promise};
use crate::world::{PLAIN, Settings, Tape, World, in_log};
use stateright::actor::Id;
use std::time::Duration;
use synod::{
    Ballot, Instance, Lease, LeaseState, Machine, Msg, Phase, Retry, Slot, Stable, Timer, Truncate, Value,
};

const LEASE: Lease = Lease {
    hold: Duration::from_secs(17),
    lease: Duration::from_secs(22),
    renew: Some(Duration::from_secs(5)..Duration::from_secs(9)),
    seek: Some(Duration::ZERO..Duration::ZERO),
};

fn world(truncate: Option<Truncate>) -> World {
    World::new(&Settings { master: Some(LEASE), truncate, catch_up: true, ..PLAIN })
}

/// Server 0 is master by the take in instance 0.
fn with_master(truncate: Option<Truncate>) -> World {
    let mut world = world(truncate);
    world.ring(0, Timer::Seek);
    world.run();
    assert_eq!(masters(&world), [0]);
    world
}

fn lease(world: &World, at: usize) -> &LeaseState {
    world.server(at).log.as_ref().and_then(|log| log.lease.as_ref()).expect("servers take mastership")
}

fn masters(world: &World) -> Vec<usize> {
    (0..3).filter(|at| world.states[*at].is_some() && lease(world, *at).is_master()).collect()
}

/// The instance of the take that a server executed last.
fn token(world: &World, at: usize) -> Option<u64> {
    world.server(at).log.as_ref()?.replica.mastership().map(|last| last.token.0)
}

fn runs(world: &World, at: usize, timer: Timer) -> bool {
    world.timers[at].contains(&timer)
}

/// The value that was proposed last in an instance.
fn proposed(world: &World, at: u64) -> Value {
    let value = |(_, _, msg): &(Id, Id, Msg)| match msg {
        Msg::Accept { instance, value, .. } if instance.0 == at => Some(value.clone()),
        _ => None,
    };
    world.sent.iter().rev().find_map(value).expect("it was proposed")
}

fn chosen(instance: u64, value: Value) -> Msg {
    Msg::Chosen { instance: Instance(instance), value }
}

/// The take of server 1 that has seen the one in instance 0.
fn take_of_another() -> Value {
    Value::from("1.9!take 0 22000")
}

#[test]
fn a_copy_of_a_take_ends_nothing() {
    let mut world = with_master(None);
    let (take, before) = (proposed(&world, 0), lease(&world, 0).clone());
    world.tell(0, 1.into(), chosen(1, take));
    assert_eq!((world.next(0), token(&world, 0), lease(&world, 0)), (2, Some(0), &before));
    assert!(runs(&world, 0, Timer::Hold(Slot::A)) && !runs(&world, 0, Timer::Respect));
}

#[test]
fn a_command_that_shares_the_instance_of_a_take_is_none() {
    let mut world = world(None);
    world.ring(0, Timer::Seek);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accepted { .. }));
    let words = [proposed(&world, 0), in_log("a")].map(|command| {
        let bytes = command.as_bytes();
        format!("{}:{}", bytes.len(), String::from_utf8_lossy(bytes))
    });
    world.tell(0, 1.into(), chosen(0, Value::from(format!("+{}", words.concat()).as_str())));
    assert_eq!((masters(&world), token(&world, 0)), (vec![0], Some(0)));
    assert!(!lease(&world, 0).respects && !runs(&world, 0, Timer::Respect));
}

#[test]
fn a_master_ceases_with_the_take_of_another() {
    let mut world = with_master(None);
    world.tell(0, 1.into(), chosen(1, take_of_another()));
    assert_eq!((masters(&world), token(&world, 0)), (vec![], Some(1)));
    assert!(!runs(&world, 0, Timer::Hold(Slot::A)) && runs(&world, 0, Timer::Respect));
}

#[test]
fn a_take_that_came_too_late_is_followed_by_another_once_nobody_is_left_alone() {
    let mut world = with_master(None);
    world.states[0] = None;
    world.ring(1, Timer::Respect);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    world.ring(2, Timer::Respect);
    let begins =
        |src: Id, msg: &Msg| usize::from(src) == 1 && matches!(msg, Msg::Accept { .. } | Msg::Prepare { .. });
    world.run_losing(|src, _, msg| begins(src, msg));
    assert_eq!((masters(&world), token(&world, 1)), (vec![2], Some(1)));
    assert!(lease(&world, 1).open.is_none() && lease(&world, 1).respects, "its own take came too late");
    world.ring(1, Timer::Respect);
    world.ring(1, Timer::Retry);
    world.run();
    assert_eq!((masters(&world), token(&world, 1)), (vec![1], Some(2)));
}

#[test]
fn whoever_is_not_master_renews_nothing() {
    let mut world = world(None);
    world.ring(0, Timer::Seek);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accepted { .. }));
    world.ring(0, Timer::Hold(Slot::A));
    world.ring(0, Timer::Retry);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { instance: Instance(1), .. }));
    assert_eq!((masters(&world), token(&world, 0)), (vec![], Some(0)), "its take was decided too late");
    assert!(!runs(&world, 0, Timer::Seek));
}

#[test]
fn the_times_of_a_take_and_of_its_renewal_end_each_by_its_own_timer() {
    for (rings, held_then, held_later) in [(Slot::A, None, Some(Slot::B)), (Slot::B, Some(Slot::A), None)] {
        let mut world = with_master(None);
        world.ring(0, Timer::Seek);
        world.ring(0, Timer::Hold(rings));
        assert_eq!(lease(&world, 0).held, held_then, "{rings:?}");
        // The renewal is decided, and nothing after it.
        world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { instance: Instance(2), .. }));
        assert_eq!((token(&world, 0), lease(&world, 0).held), (Some(1), held_later), "{rings:?}");
    }
}

#[test]
fn a_snapshot_in_which_nobody_else_has_taken_mastership_ends_nothing() {
    let mut world = with_master(Some(Truncate { every: 2, ..EVERY }));
    for at in [1, 2] {
        for (instance, words) in [(1, "a"), (2, "b"), (3, "c")] {
            world.tell(at, (3 - at).into(), chosen(instance, in_log(words)));
        }
    }
    world.ring(1, Timer::Snapshot);
    world.ring(2, Timer::Snapshot);
    let (since, before) = (world.sent.len(), lease(&world, 0).clone());
    world.ring(0, Timer::CatchUp);
    world.run();
    assert!(world.count(since, |msg| matches!(msg, Msg::Chunk { .. })) > 0);
    assert_eq!((world.next(0), token(&world, 0), lease(&world, 0)), (4, Some(0), &before));
    assert!(before.is_master() && runs(&world, 0, Timer::Hold(Slot::A)));
}

#[test]
fn a_snapshot_tells_the_last_take_and_its_sum_is_fnv_1a() {
    let mut world = with_master(Some(Truncate { every: 2, ..EVERY }));
    world.ring(0, Timer::Seek);
    world.run();
    world.ring(0, Timer::Snapshot);
    let saved = world.disks[0].as_ref().and_then(|stable: &Stable| stable.snapshot.as_ref());
    let saved = saved.expect("it saved one");
    let bytes = saved.machine.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    let (line, machine) = bytes.split_at(end);
    assert_eq!(line, b"master 1 0.1 0 22000\n", "the renewal");
    let machine = Tape::default().restored(machine).expect("it wrote it").checksum();
    let sum = line.iter().fold(machine, |sum: u64, byte| {
        // The prime of 64 bits: 2^40 + 2^8 + 0xb3.
        (sum ^ u64::from(*byte)).wrapping_mul((1 << 40) + (1 << 8) + 0xb3)
    });
    assert_eq!(saved.sum, sum);
}

/// The first of four servers. Once a ballot of it was refused, it waits.
fn first(master: Option<Lease>) -> First {
    let mut cluster = guards::cluster(None);
    let log = cluster.log.as_mut().expect("a log");
    (log.master, log.hold_off) = (master, Some(Duration::ZERO..Duration::ZERO));
    First::made(cluster, Retry { on_nack: true, after: None, doublings: 0 }, None)
}

fn refused(server: &mut First) {
    server.hears(1, Msg::Nack { ballot: BALLOT, promised: Ballot { round: 2, proposer: 2 } });
    assert_eq!(server.server().proposer.phase, Phase::Idle);
}

#[test]
fn a_timer_begins_a_ballot_only_if_a_take_comes_to_be_due_with_it() {
    let seeks = || {
        let mut server = first(Some(LEASE));
        server.rings(Timer::Seek);
        assert!(matches!(server.told(3)[..], [Msg::Prepare { .. }]), "{:?}", server.did);
        server
    };
    // It was due before: whatever that takes was done then.
    let mut server = seeks();
    refused(&mut server);
    assert!(server.rings(Timer::Seek).did.is_empty(), "{:?}", server.did);
    // Its take is on its way, so no other is due.
    let mut server = seeks();
    server.hears(1, promise(BALLOT)).hears(2, promise(BALLOT));
    assert!(matches!(server.told(3)[..], [Msg::Accept { .. }]), "{:?}", server.did);
    refused(&mut server);
    assert!(server.rings(Timer::Hold(Slot::A)).did.is_empty(), "{:?}", server.did);
    // Nobody takes mastership here.
    let mut server = first(None);
    assert!(server.rings(Timer::Seek).did.is_empty(), "{:?}", server.did);
}
