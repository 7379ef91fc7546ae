//! Batches, fairness and bounds.

use crate::world::{Do, Scene, Scripted, client, member, member_among, pass, plain, said};
use stateright::actor::Id;
use std::collections::BTreeSet;
use synod_runtime::inbox::{Limits, Room};
use synod_runtime::record::{Reader, Trigger};
use synod_runtime::sim_disk::SimDisk;

#[test]
fn many_saves_share_one_flush() {
    let (mut scene, disk) = (Scene::new(1), SimDisk::new());
    member(&mut scene, &disk, plain(), Limits::default());
    let script: Vec<Do> = (0..100).map(Do::Save).collect();
    client(&mut scene, &script);
    pass(&mut scene, 100).expect("nobody stops");
    assert_eq!(said(&mut scene), (0..100).collect::<Vec<_>>());
    let counts = scene.node(0).expect("it runs").counts().clone();
    assert_eq!(counts.saves, 100);
    assert!(counts.flushes <= 3, "{} flushes for {} saves", counts.flushes, counts.saves);
}

#[test]
fn a_timer_that_never_rests_starves_nobody() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), Limits { batch: 8, ..Limits::default() });
    let script: Vec<Do> = std::iter::once(Do::Spin).chain((0..100).map(Do::Echo)).collect();
    client(&mut scene, &script);
    pass(&mut scene, 2).expect("nobody stops");
    assert_eq!(said(&mut scene).len(), 100);
    let spins = scene.node(0).and_then(|node| node.state()).map_or(0, |state| state.spins);
    assert!(spins > 100, "and the timer rang: {spins}");
}

#[test]
fn messages_that_never_end_do_not_keep_a_timer_waiting() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), Limits { batch: 64, ..Limits::default() });
    client(&mut scene, &[Do::Spin]);
    pass(&mut scene, 1).expect("nobody stops");
    let before = scene.node(0).and_then(|node| node.state()).map_or(0, |state| state.spins);
    client(&mut scene, &(0..5000).map(Do::Echo).collect::<Vec<_>>());
    let steps = scene.node(0).expect("it runs").counts().steps;
    pass(&mut scene, 1).expect("nobody stops");
    let after = scene.node(0).and_then(|node| node.state()).map_or(0, |state| state.spins);
    let steps = scene.node(0).expect("it runs").counts().steps - steps;
    assert!((after - before) * 4 >= steps, "of {steps} steps {} were the timer's", after - before);
}

#[test]
fn a_choice_is_one_of_those_offered_and_a_later_one_takes_its_place() {
    let mut scene = Scene::new(1);
    let tape = member(&mut scene, &SimDisk::new(), plain(), Limits::default());
    for _ in 0..20 {
        client(&mut scene, &[Do::Draw(vec![10, 20, 30])]);
        pass(&mut scene, 20).expect("nobody stops");
        let heard = said(&mut scene);
        assert!(heard.len() == 1 && [10, 20, 30].contains(&heard[0]), "{heard:?}");
    }
    client(&mut scene, &[Do::DrawAgain(vec![1], vec![2])]);
    pass(&mut scene, 20).expect("nobody stops");
    assert_eq!(said(&mut scene), [2]);
    client(&mut scene, &[Do::Draw(Vec::new()), Do::Echo(4)]);
    pass(&mut scene, 20).expect("nobody stops");
    assert_eq!(said(&mut scene), [4], "no choice, nothing drawn");
    // Each draw is an event of its own in the record, and more than one of the three came up.
    let bytes = tape.bytes();
    let mut reader = Reader::open(&bytes).expect("it is a record");
    let mut drawn = BTreeSet::new();
    while let Some(entry) = reader.next() {
        if let Trigger::Random { index, .. } = entry.expect("it is whole").event {
            drawn.insert(index);
        }
    }
    assert!(drawn.len() > 1, "{drawn:?}");
}

/// So much of clients may wait.
fn clients(clients: Room) -> Limits {
    Limits { clients, ..Limits::default() }
}

#[test]
fn what_does_not_fit_the_inbox_is_refused_and_the_client_is_told() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), clients(Room { messages: 10, ..Limits::default().clients }));
    client(&mut scene, &(0..50).map(Do::Echo).collect::<Vec<_>>());
    pass(&mut scene, 50).expect("nobody stops");
    let heard = said(&mut scene).len();
    let refused = scene.node(0).expect("it runs").counts().inbox_full as usize;
    assert!(heard >= 10 && refused > 0 && heard + refused == 50, "{heard} heard, {refused} refused");
    assert_eq!(scene.node(1).expect("it runs").counts().busy as usize, refused);
    // The same by bytes, and for what an actor sends to itself.
    let mut scene = Scene::new(1);
    let few = clients(Room { bytes: 2000, ..Limits::default().clients });
    member(&mut scene, &SimDisk::new(), plain(), Limits { local: 10, ..few });
    client(&mut scene, &(0..50).map(Do::Echo).collect::<Vec<_>>());
    pass(&mut scene, 50).expect("nobody stops");
    assert!(scene.node(0).expect("it runs").counts().inbox_full > 0);
    client(&mut scene, &[Do::Flood(25)]);
    pass(&mut scene, 50).expect("nobody stops");
    assert_eq!(scene.node(0).expect("it runs").counts().local_full, 15);
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), Limits { local_bytes: 11, ..Limits::default() });
    for _ in 0..2 {
        client(&mut scene, &[Do::Flood(25)]);
        pass(&mut scene, 50).expect("nobody stops");
    }
    assert_eq!(scene.node(0).expect("it runs").counts().local_full, 2 * 20, "of two bytes each, five fit");
}

#[test]
fn a_batch_ends_when_it_has_so_many_bytes() {
    for (batch_bytes, flushes) in [(1 << 20, 1..=5), (200, 7..=20), (1, 100..=105)] {
        let (mut scene, disk) = (Scene::new(1), SimDisk::new());
        member(&mut scene, &disk, plain(), Limits { batch_bytes, ..Limits::default() });
        client(&mut scene, &(0..100).map(Do::Save).collect::<Vec<_>>());
        pass(&mut scene, 100).expect("nobody stops");
        assert_eq!(said(&mut scene).len(), 100);
        let counts = scene.node(0).expect("it runs").counts().clone();
        assert!(flushes.contains(&counts.flushes), "{batch_bytes}: {} flushes", counts.flushes);
    }
}

#[test]
fn messages_that_are_none_of_the_actors_are_counted_and_dropped() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), Limits::default());
    client(&mut scene, &[]);
    let node = scene.node(1).expect("it is there");
    // No such kind, cut short, and one byte too many.
    for bytes in [&[99][..], &[8], &[0, 1, 0]] {
        node.transport().send(0, bytes).expect("there is a session");
    }
    pass(&mut scene, 3000).expect("nobody stops");
    assert_eq!(scene.node(0).expect("it runs").counts().undecodable, 3);
}

#[test]
fn what_waits_of_a_member_is_dropped_when_it_comes_back() {
    let mut scene = Scene::new(1);
    let slow = Limits { batch: 1, ..Limits::default() };
    let disks = [SimDisk::new(), SimDisk::new(), SimDisk::new()];
    let start = |scene: &mut Scene, me: usize, disk: &SimDisk, number: u64, script: Vec<Do>| {
        let peers: Vec<u64> = (0..3).filter(|peer| *peer != me as u64).collect();
        let script = script.into_iter().map(|what| (Id::from(0), what)).collect();
        let actor = Scripted { script, panics: false };
        scene.kill(me);
        member_among(scene, me as u64, &peers, (disk, number), actor, slow);
    };
    (0..3).for_each(|me| start(&mut scene, me, &disks[me], me as u64, Vec::new()));
    pass(&mut scene, 100).expect("nobody stops");
    // Member 0 has so much to do for member 2 that what member 1 says a little later waits.
    start(&mut scene, 2, &disks[2], 2, (0..16_000).map(Do::Echo).collect());
    pass(&mut scene, 2).expect("nobody stops");
    start(&mut scene, 1, &disks[1], 1, vec![Do::Said(7)]);
    pass(&mut scene, 61).expect("nobody stops");
    let heard = |scene: &mut Scene| {
        let node = scene.node(0).expect("it runs");
        (node.counts().steps, node.state().expect("it takes part").said.clone(), node.counts().outdated)
    };
    let (steps, said, outdated) = heard(&mut scene);
    assert!((1..15_000).contains(&steps), "{steps} steps so far");
    assert_eq!((said, outdated), (vec![], 0));
    // It starts anew, and is told how much was heard of it. What waits may have no effect after that.
    start(&mut scene, 1, &disks[1], 11, Vec::new());
    pass(&mut scene, 100).expect("nobody stops");
    assert!(scene.node(1).expect("it runs").state().is_some(), "its disk has all that was heard");
    let (steps, said, outdated) = heard(&mut scene);
    assert_eq!((steps, said, outdated), (16_000, vec![], 1));
}
