//! Truncation and snapshots: what is forgotten, which servers are still served, and which are stopped.

use crate::world::{CLIENT, PLAIN, Settings, World};
use synod::{Ballot, Instance, Msg, Stable, Timer, Truncate, Value};

const EVERY: Truncate = Truncate {
    every: 4,
    every_bytes: u64::MAX,
    spare: 0,
    spare_bytes: u64::MAX,
    chunk: 16,
    ahead: 1,
    most: 1 << 20,
};

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
fn a_transfer_goes_on_with_another_server_and_is_given_up_if_nobody_has_that_snapshot() {
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
    for _ in 0..2 {
        world.ring(2, Timer::CatchUp);
        world.run();
    }
    assert_eq!(world.tape(2), world.tape(1));
    assert!(parts(&world, since) > 0 && world.next(2) == 14);
    // Once more from the start. In between the others go on and take another snapshot.
    world.states[0] = up;
    world.disks[2] = None;
    world.start(2);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Fetch { .. }));
    assert_eq!(arriving(&world), Some((12, 1)));
    submit_all(&mut world, 14..18, &[2]);
    for _ in 0..3 {
        world.ring(2, Timer::CatchUp);
        world.run();
    }
    assert_eq!((world.next(2), world.tape(2)), (18, world.tape(0)));
}

/// Has server 2 begin to fetch a snapshot, up to this many chunks, and lets the others go on meanwhile with so many commands.
fn fetch_some(world: &mut World, chunks: usize, commands: std::ops::Range<usize>) {
    let mut asked = 0;
    if world.timers[2].contains(&Timer::CatchUp) {
        world.ring(2, Timer::CatchUp);
    }
    let mut waits = Vec::new();
    world.run_losing(|src, dst, msg| {
        if !matches!(msg, Msg::Fetch { .. }) {
            return false;
        }
        asked += 1;
        let is_late = asked > chunks;
        if is_late {
            waits.push((src, dst, msg.clone()));
        }
        is_late
    });
    submit_all(world, commands, &[2]);
    world.flying.extend(waits);
}

fn arriving(world: &World) -> Option<(u64, usize)> {
    let log = world.server(2).log.as_ref().expect("a log");
    log.snapshots.as_ref().and_then(|it| it.arriving.as_ref()).map(|it| (it.of.0, it.chunks.len()))
}

fn lent(world: &World, at: usize) -> Option<u64> {
    let log = world.server(at).log.as_ref().expect("a log");
    log.snapshots.as_ref().and_then(|it| it.lent.as_ref()).map(|it| it.snapshot.next.0)
}

#[test]
fn a_transfer_comes_to_its_end_although_newer_snapshots_are_taken_and_the_log_from_there_on_is_kept() {
    for ahead in [1, 2, 3, 100] {
        let mut world = truncating(Truncate { ahead, ..EVERY });
        world.run();
        submit_all(&mut world, 0..14, &[2]);
        fetch_some(&mut world, 2, 14..18);
        assert_eq!((arriving(&world).map(|it| it.0), lent(&world, 0)), (Some(12), Some(12)), "{ahead}");
        assert_eq!(disk(&world, 0).snapshot.map(|it| it.next), Some(Instance(16)));
        let since = world.sent.len();
        world.run();
        assert_eq!((world.next(2), world.tape(2)), (18, world.tape(0)), "{ahead}");
        let is_newer = |msg: &Msg| matches!(msg, Msg::Chunk { of, .. } if of.0 > 12);
        assert_eq!(world.count(since, is_newer), 0, "the rest comes from the log");
        // Once nobody asks for it any more, the next snapshot takes its place and the log's.
        submit_all(&mut world, 18..30, &[]);
        assert_eq!((lent(&world, 0), world.server(0).acceptor.log_start), (None, Instance(28)));
    }
}

#[test]
fn a_snapshot_that_was_offered_is_there_when_it_is_asked_for_although_a_newer_one_was_saved() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    // Each time that a server asks, another snapshot is saved before its first question for a chunk comes.
    for round in 0..5_usize {
        let first = 14 + 4 * round;
        fetch_some(&mut world, 0, first..first + 4);
        let offered = first as u64 - 2;
        let held = (arriving(&world).map(|it| it.0), lent(&world, 0), lent(&world, 1));
        assert_eq!(held, (Some(offered), Some(offered), Some(offered)), "{round}");
        // In all rounds but the last the question is lost, and the one that follows comes too late.
        if round < 4 {
            world.flying.clear();
            (0..3).for_each(|_| world.ring(2, Timer::CatchUp));
            world.flying.clear();
            assert_eq!(arriving(&world), None);
        }
    }
    let since = world.sent.len();
    world.run();
    assert_eq!((world.next(2), world.tape(2)), (34, world.tape(0)));
    let is_newer = |msg: &Msg| matches!(msg, Msg::Chunk { of, .. } if of.0 > 28);
    assert_eq!(world.count(since, is_newer), 0, "the rest comes from the log");
}

#[test]
fn a_snapshot_that_is_fetched_is_kept_beside_so_many_newer_ones_and_no_more() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    fetch_some(&mut world, 1, 14..14);
    let asked = disk(&world, 0).snapshot.expect("it has one");
    for newer in 1..=6_usize {
        // Somebody asks all the time.
        world.tell(0, 2.into(), Msg::Fetch { of: asked.next, sum: asked.sum, at: 16 });
        submit_all(&mut world, 10 + 4 * newer..14 + 4 * newer, &[2]);
        assert_eq!(lent(&world, 0), (newer <= 4).then_some(12), "{newer}");
    }
    // It is gone, and nobody answers for it.
    let since = world.sent.len();
    world.tell(0, 2.into(), Msg::Fetch { of: asked.next, sum: asked.sum, at: 16 });
    assert_eq!(world.sent.len(), since);
    for _ in 0..3 {
        world.ring(2, Timer::CatchUp);
        world.run();
    }
    assert_eq!((world.next(2), world.tape(2)), (world.next(0), world.tape(0)));
}

#[test]
fn who_asks_for_the_newest_snapshot_gets_that_one_and_not_the_one_that_another_fetches() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    fetch_some(&mut world, 1, 14..18);
    assert_eq!(lent(&world, 0), Some(12));
    let newest = disk(&world, 0).snapshot.expect("it has one");
    for (sum, answers) in [(newest.sum, 1), (newest.sum ^ 1, 0)] {
        let since = world.sent.len();
        world.tell(0, 1.into(), Msg::Fetch { of: newest.next, sum, at: 0 });
        assert_eq!(
            world.count(since, |msg| matches!(msg, Msg::Chunk { of, .. } if *of == newest.next)),
            answers
        );
        assert_eq!(world.sent.len() - since, answers);
    }
    // So it is the newest one that is kept beside the next.
    submit_all(&mut world, 18..22, &[2]);
    assert_eq!(lent(&world, 0), Some(16));
}

#[test]
fn a_snapshot_of_which_nobody_fetches_more_goes_with_the_next() {
    let mut world = truncating(EVERY);
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    fetch_some(&mut world, 1, 14..18);
    assert_eq!(lent(&world, 0), Some(12));
    submit_all(&mut world, 18..22, &[2]);
    assert_eq!(lent(&world, 0), None);
}

#[test]
fn what_is_spared_of_the_log_stays_beside_a_snapshot_that_is_fetched() {
    let mut world = truncating(Truncate { spare: 11, ..EVERY });
    world.run();
    submit_all(&mut world, 0..14, &[2]);
    fetch_some(&mut world, 1, 14..18);
    assert_eq!((lent(&world, 0), world.server(0).acceptor.log_start), (Some(12), Instance(5)));
}

#[test]
fn chunks_that_are_on_their_way_together_come_in_any_order_and_are_asked_for_one_by_one_if_lost() {
    let ahead = 3;
    for lost in 0..6 {
        let mut world = truncating(Truncate { ahead, ..EVERY });
        world.run();
        submit_all(&mut world, 0..22, &[2]);
        let since = world.sent.len();
        world.ring(2, Timer::CatchUp);
        let mut chunk = 0;
        // The latest comes first, and one is lost.
        while let Some((src, dst, msg)) = world.flying.pop_back() {
            chunk += usize::from(matches!(msg, Msg::Chunk { .. }));
            if !matches!(msg, Msg::Chunk { .. }) || chunk != lost {
                world.tell(dst.into(), src, msg);
            }
            let log = world.server(2).log.as_ref().expect("a log");
            let beyond =
                log.snapshots.as_ref().and_then(|it| it.arriving.as_ref()).map_or(0, |it| it.beyond.len());
            assert!((beyond as u64) < ahead, "{beyond} chunks beyond a gap");
        }
        if lost > 1 {
            assert!(world.next(2) == 0, "a chunk is missing");
            let asked = world.sent.len();
            (0..2).for_each(|_| world.ring(2, Timer::CatchUp));
            // Both others are asked for what is missing, and not for what came.
            assert_eq!(fetches(&world, asked), 2);
            world.run();
        }
        if lost != 1 {
            assert_eq!((world.next(2), world.tape(2)), (22, world.tape(0)), "{lost}");
        }
        let length = disk(&world, 0).snapshot.expect("it has one").machine.as_bytes().len();
        assert!(parts(&world, since) <= 3 * length.div_ceil(16) + 6, "{} chunks", parts(&world, since));
    }
}

fn fetches(world: &World, since: usize) -> usize {
    world.count(since, |msg| matches!(msg, Msg::Fetch { .. }))
}

#[test]
fn a_ring_of_the_timer_asks_for_nothing_again_while_chunks_come() {
    for ahead in [1, 3, 100] {
        let mut world = truncating(Truncate { ahead, ..EVERY });
        world.run();
        submit_all(&mut world, 0..22, &[2]);
        let since = world.sent.len();
        world.ring(2, Timer::CatchUp);
        for _ in 0..1000 {
            let Some((src, dst, msg)) = world.flying.pop_front() else { break };
            let is_chunk = matches!(msg, Msg::Chunk { at, .. } if at > 0);
            world.tell(dst.into(), src, msg);
            // The link is so slow that the timer rings after every chunk.
            if is_chunk && arriving(&world).is_some() {
                world.ring(2, Timer::CatchUp);
            }
        }
        let length = disk(&world, 0).snapshot.expect("it has one").machine.as_bytes().len();
        assert_eq!(fetches(&world, since), length.div_ceil(16) - 1, "each chunk but the first once, {ahead}");
        assert_eq!((world.next(2), world.tape(2)), (22, world.tape(0)));
    }
}

#[test]
fn of_a_window_that_does_not_come_the_first_chunk_is_asked_for_or_those_that_were_overtaken() {
    // Of four chunks that are on their way, these come. Those are asked for again.
    for (come, again) in
        [(&[][..], &[16][..]), (&[48], &[16, 32]), (&[16, 48], &[32]), (&[16], &[32]), (&[32, 64], &[16, 48])]
    {
        let mut world = truncating(Truncate { ahead: 4, ..EVERY });
        world.run();
        submit_all(&mut world, 0..22, &[2]);
        world.ring(2, Timer::CatchUp);
        world.run_losing(|_, _, msg| match msg {
            Msg::Fetch { at, .. } => !come.contains(at),
            _ => false,
        });
        let since = world.sent.len();
        (0..2).for_each(|_| world.ring(2, Timer::CatchUp));
        let asked = world.sent[since..].iter().filter_map(|(_, dst, msg)| match msg {
            Msg::Fetch { at, .. } if usize::from(*dst) == 0 => Some(*at),
            _ => None,
        });
        assert_eq!(asked.collect::<Vec<_>>(), again, "{come:?} came");
        world.run();
        for _ in 0..10 {
            world.ring(2, Timer::CatchUp);
            world.run();
        }
        assert_eq!((world.next(2), world.tape(2)), (22, world.tape(0)), "{come:?}");
    }
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
