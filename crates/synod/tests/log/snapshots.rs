//! Truncation and snapshots: what is forgotten, which servers are still served, and which are stopped.

use crate::world::{CLIENT, PLAIN, Settings, World};
use synod::{Ballot, Instance, Msg, Stable, Timer, Truncate, Value};

const EVERY: Truncate =
    Truncate { every: 4, every_bytes: u64::MAX, spare: 0, spare_bytes: u64::MAX, chunk: 16, most: 1 << 20 };

fn truncating(truncate: Truncate) -> World {
    World::new(&Settings { truncate: Some(truncate), catch_up: true, ..PLAIN })
}

/// Has commands chosen that do not reach some servers, and every snapshot written that is due.
fn submit_all(world: &mut World, commands: std::ops::Range<usize>, away: &[usize]) {
    for i in commands {
        world.submit(0, &format!("c{i}"));
        world.run_losing(|src, dst, _| away.contains(&usize::from(dst)) || away.contains(&usize::from(src)));
        for at in (0..3).filter(|at| !away.contains(at)) {
            if world.timers[at].contains(&Timer::Snapshot) {
                world.ring(at, Timer::Snapshot);
            }
        }
        world.run_losing(|src, dst, _| away.contains(&usize::from(dst)) || away.contains(&usize::from(src)));
    }
}

fn disk(world: &World, at: usize) -> Stable {
    world.disks[at].clone().expect("it has saved something")
}

fn parts(world: &World, since: usize) -> usize {
    world.count(since, |msg| matches!(msg, Msg::Chunk { .. }))
}

#[test]
fn a_log_is_forgotten_below_its_snapshot_but_for_what_is_spared() {
    for (spare, log_start) in [(0, 12), (3, 9), (100, 0)] {
        let mut world = truncating(Truncate { spare, ..EVERY });
        world.run();
        submit_all(&mut world, 0..14, &[]);
        for at in 0..3 {
            let Stable { acceptor, snapshot, .. } = disk(&world, at);
            assert_eq!(snapshot.map(|snapshot| snapshot.next), Some(Instance(12)));
            assert_eq!(acceptor.log_start, Instance(log_start));
            assert_eq!(acceptor.accepted.keys().next(), Some(&Instance(log_start)));
            assert_eq!(world.server(at).learner.learned.keys().next(), Some(&Instance(log_start)));
            assert_eq!(world.next(at), 14);
        }
    }
}

#[test]
fn who_comes_back_goes_on_from_its_own_snapshot() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[]);
    let (tape, since) = (world.tape(0), world.sent.len());
    world.start(1);
    assert_eq!(world.next(1), 12);
    world.run();
    assert_eq!((world.next(1), world.tape(1)), (14, tape));
    assert_eq!(parts(&world, since), 0, "the rest comes from the log");
    // A server that asks for what it has not learned again is served all the same.
    world.states[0] = None;
    world.submit(1, "more");
    world.run();
    assert_eq!((world.next(1), world.next(2)), (15, 15));
    assert_eq!(world.tape(1), world.tape(2));
}

#[test]
fn who_missed_what_is_forgotten_gets_the_snapshot_in_parts_and_the_rest_from_the_log() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    let since = world.sent.len();
    world.ring(2, Timer::CatchUp);
    world.run();
    assert_eq!(world.next(2), 14);
    assert_eq!(world.tape(2), world.tape(0));
    assert!(parts(&world, since) >= 4, "in parts");
    for (_, _, msg) in &world.sent[since..] {
        if let Msg::Chunk { bytes, .. } = msg {
            assert!(bytes.as_bytes().len() <= 16);
        }
    }
    assert_eq!(disk(&world, 2).snapshot, disk(&world, 0).snapshot, "and keeps it");
    world.start(2);
    assert_eq!(world.next(2), 12);
}

#[test]
fn lost_and_repeated_parts_are_no_matter() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    for round in 0..40 {
        if world.next(2) == 14 {
            break;
        }
        world.ring(2, Timer::CatchUp);
        // Every third chunk gets through, and twice.
        let mut count = round;
        while let Some((src, dst, msg)) = world.flying.pop_front() {
            let is_chunk = matches!(msg, Msg::Chunk { .. });
            count += usize::from(is_chunk);
            if !is_chunk || count % 3 == 0 {
                world.tell(dst.into(), src, msg.clone());
                world.tell(dst.into(), src, msg);
            }
        }
    }
    assert_eq!((world.next(2), world.tape(2)), (14, world.tape(0)));
}

#[test]
fn a_transfer_goes_on_with_another_server_and_gives_way_to_a_newer_snapshot() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    world.ring(2, Timer::CatchUp);
    // Two chunks come, and then their sender is gone.
    let mut asked = 0;
    world.run_losing(|_, _, msg| {
        let asks = matches!(msg, Msg::Fetch { .. });
        asked += usize::from(asks);
        asks && asked > 2
    });
    let arriving = |world: &World| {
        let log = world.server(2).log.as_ref().expect("a log");
        log.snapshots.as_ref().and_then(|s| s.arriving.clone()).map(|a| (a.of.0, a.chunks.len()))
    };
    assert!(arriving(&world).is_some_and(|(of, parts)| of == 12 && parts > 0), "{:?}", arriving(&world));
    let up = world.states[0].take();
    let since = world.sent.len();
    world.ring(2, Timer::CatchUp);
    world.run();
    assert_eq!(world.tape(2), world.tape(1));
    assert!(parts(&world, since) > 0 && world.next(2) == 14);
    // Once more from the start. In between the others go on and take another snapshot.
    world.states[0] = up;
    world.disks[2] = None;
    world.start(2);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Fetch { .. }));
    assert_eq!(arriving(&world), Some((12, 1)));
    submit_all(&mut world, 14..18, &[2]);
    world.ring(2, Timer::CatchUp);
    world.run();
    assert_eq!((world.next(2), world.tape(2)), (18, world.tape(0)));
}

#[test]
fn nobody_promises_about_what_it_has_forgotten_and_who_asks_gets_a_snapshot() {
    let mut world = World::new(&Settings { truncate: Some(EVERY), ..PLAIN });
    submit_all(&mut world, 0..14, &[2]);
    let since = world.sent.len();
    world.submit(2, "mine");
    world.run();
    let promised = |msg: &Msg| match msg {
        Msg::Promise { ballot, .. } => ballot.proposer == 3,
        _ => false,
    };
    let refused = world.sent[since..].iter().position(|(_, _, msg)| matches!(msg, Msg::Chunk { .. }));
    let first = world.sent[since..].iter().position(|(src, _, msg)| promised(msg) && usize::from(*src) != 2);
    assert!(refused < first, "the snapshot comes first: {refused:?} {first:?}");
    assert!(world.sent[since..].iter().all(|(_, _, msg)| !matches!(msg,
        Msg::Accept { instance, ballot, .. } if ballot.proposer == 3 && instance.0 < 12)));
    assert_eq!(world.tape(2), world.tape(0));
    assert!(world.tape(2).contains("mine"));
    assert_eq!(world.answers().last().map(String::as_str), Some("15"));
}

#[test]
fn a_command_that_took_effect_in_a_snapshot_is_answered_from_it() {
    let mut world = truncating(EVERY);
    world.run();
    world.submit(2, "c3");
    world.flying.clear();
    submit_all(&mut world, 0..8, &[2]);
    let since = world.sent.len();
    world.ring(2, Timer::CatchUp);
    world.run();
    let told = |(src, dst, msg): &(_, _, Msg)| {
        (*src, *dst) == (2.into(), CLIENT.into()) && matches!(msg, Msg::Output { .. })
    };
    assert_eq!(world.sent[since..].iter().filter(|sent| told(sent)).count(), 1);
    assert_eq!(world.tape(0).matches("c3").count(), 1, "{}", world.tape(0));
    assert!(world.server(2).proposer.queue.is_empty() && world.server(2).proposer.wanted.is_empty());
}

#[test]
fn what_nobody_should_send_is_ignored() {
    let mut world = truncating(Truncate { most: 100, ..EVERY });
    world.run();
    submit_all(&mut world, 0..5, &[]);
    let chunk = |of: u64, length: u64, at: u64, bytes: &[u8]| Msg::Chunk {
        of: Instance(of),
        sum: 1,
        length,
        at,
        bytes: Value::from(bytes),
    };
    let whole = world.states[2].clone();
    for msg in [
        chunk(99, 101, 0, &[0; 16]),
        chunk(99, 20, 0, &[0; 17]),
        chunk(99, 20, 0, &[0; 15]),
        chunk(99, 20, 0, &[]),
        chunk(99, 20, 16, &[0; 4]),
        chunk(99, 20, u64::MAX, &[0; 16]),
        // The whole bytes, which are no snapshot.
        chunk(99, 3, 0, &[0xff; 3]),
        chunk(3, 3, 0, &[0xff; 3]),
        Msg::Fetch { of: Instance(99), sum: 1, at: 0 },
        Msg::Fetch { of: Instance(4), sum: 1, at: u64::MAX },
        Msg::Checksum { below: Instance(99), sum: 1 },
    ] {
        world.tell(2, 0.into(), msg.clone());
        assert_eq!(world.states[2], whole, "{msg:?}");
    }
    // Clients are not heard.
    world.tell(2, CLIENT.into(), Msg::Checksum { below: Instance(4), sum: 1 });
    world.tell(2, CLIENT.into(), chunk(99, 20, 0, &[0; 16]));
    assert_eq!(world.states[2], whole);
    // An acceptance below the log's start is one like any other: the value was chosen there anyway.
    let ballot = Ballot { round: 9, proposer: 1 };
    world.tell(2, 0.into(), Msg::Accept { ballot, instance: Instance(1), value: Value::from("c1") });
    assert!(world.server(2).acceptor.accepted.contains_key(&Instance(1)) && world.next(2) == 5);
}

#[test]
#[should_panic(expected = "replicas have diverged: what was executed below #4 has the checksum")]
fn replicas_that_executed_different_things_stop_with_both_values_named() {
    let mut world = World::new(&Settings { truncate: Some(EVERY), diverges: true, ..PLAIN });
    submit_all(&mut world, 0..5, &[]);
}

/// The effects of a step of a server, if it does not panic.
fn survives(world: &mut World, at: usize, src: usize, msg: &Msg) -> bool {
    let tell = std::panic::AssertUnwindSafe(|| world.tell(at, src.into(), msg.clone()));
    std::panic::catch_unwind(tell).is_ok()
}

#[test]
fn who_agrees_with_a_majority_goes_on_whatever_one_other_has_executed() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..5, &[]);
    let other = |below| Msg::Checksum { below: Instance(below), sum: 1 };
    // However often it says so, it is one server that differs.
    for _ in 0..3 {
        assert!(survives(&mut world, 1, 2, &other(4)));
    }
    assert!(survives(&mut world, 1, 0, &other(3)), "nothing is known here of that instance");
    assert!(!survives(&mut world, 1, 0, &other(4)), "both others have executed something else");
    let mut world = World::new(&Settings { servers: 2, truncate: Some(EVERY), ..PLAIN });
    for i in 0..5 {
        world.submit(0, &format!("c{i}"));
        world.run();
    }
    (0..2).for_each(|at| world.ring(at, Timer::Snapshot));
    assert!(!survives(&mut world, 1, 0, &other(4)), "of two nobody knows who is right");
}

#[test]
fn a_snapshot_that_is_disputed_while_it_arrives_is_given_up_and_nobody_stops_for_it() {
    let mut world = truncating(EVERY);
    let chunk =
        |sum| Msg::Chunk { of: Instance(8), sum, length: 20, at: 0, bytes: Value::from(&[7; 16][..]) };
    world.tell(2, 0.into(), chunk(7));
    let arriving = |world: &World| {
        let log = world.server(2).log.as_ref().expect("a log");
        log.snapshots.as_ref().is_some_and(|snapshots| snapshots.arriving.is_some())
    };
    assert!(arriving(&world));
    for msg in [Msg::Checksum { below: Instance(8), sum: 8 }, Msg::Checksum { below: Instance(8), sum: 9 }] {
        assert!(survives(&mut world, 2, 1, &msg));
        assert!(!arriving(&world));
    }
    world.tell(2, 1.into(), chunk(8));
    assert!(arriving(&world), "it is asked for again");
}
