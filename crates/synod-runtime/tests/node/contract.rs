//! The stops of a process, by its actor's fault or its disk's. Nothing leaves it that should not.

use crate::world::{Do, Scene, Scripted, client, member, member_among, pass, plain, said};
use stateright::actor::Id;
use std::io::ErrorKind;
use synod_runtime::admission::Admission;
use synod_runtime::inbox::Limits;
use synod_runtime::sim_disk::{Fault, Op, SimDisk};

/// Runs one script against a fresh member; what stopped it, and what the client heard.
fn run(script: &[Do], disk: &SimDisk, actor: Scripted) -> (Result<(), String>, Vec<u32>) {
    let mut scene = Scene::new(1);
    member(&mut scene, disk, actor, Limits::default());
    client(&mut scene, script);
    let ended = pass(&mut scene, 50);
    // Everything that is still on its way arrives.
    let _ = pass(&mut scene, 50);
    let heard = said(&mut scene);
    (ended, heard)
}

#[test]
fn a_save_comes_before_every_send_and_once() {
    let (ended, heard) = run(&[Do::Save(1)], &SimDisk::new(), plain());
    assert_eq!((ended, heard), (Ok(()), vec![1]));
    let (ended, heard) = run(&[Do::SaveLate(2)], &SimDisk::new(), plain());
    let stopped = ended.expect_err("the contract is broken");
    assert!(stopped.contains("sent before it saved") && stopped.contains("SaveLate(2)"), "{stopped}");
    assert!(heard.is_empty(), "{heard:?}");
    let (ended, heard) = run(&[Do::SaveTwice(3)], &SimDisk::new(), plain());
    let stopped = ended.expect_err("the contract is broken");
    assert!(stopped.contains("saved twice") && stopped.contains("SaveTwice(3)"), "{stopped}");
    assert!(heard.is_empty(), "{heard:?}");
}

#[test]
fn a_panic_stops_the_process_and_names_the_event() {
    let (ended, heard) = run(&[Do::Panic(9)], &SimDisk::new(), plain());
    let stopped = ended.expect_err("it panicked");
    assert!(stopped.contains("panicked") && stopped.contains("Panic(9)"), "{stopped}");
    assert!(heard.is_empty(), "{heard:?}");
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), Scripted { panics: true, ..plain() }, Limits::default());
    let stopped = pass(&mut scene, 50).expect_err("it panicked");
    assert!(stopped.contains("at its start"), "{stopped}");
}

#[test]
fn what_rests_on_a_save_that_failed_never_leaves() {
    for (op, error) in [(Op::Sync, ErrorKind::Other), (Op::Write, ErrorKind::StorageFull)] {
        let disk = SimDisk::new();
        let mut scene = Scene::new(1);
        member(&mut scene, &disk, plain(), Limits::default());
        client(&mut scene, &[Do::Save(1)]);
        pass(&mut scene, 50).expect("the disk is well");
        assert_eq!(said(&mut scene), [1]);
        client(&mut scene, &[Do::Save(2)]);
        disk.fail(Fault { op, after: 0, error, forever: true });
        let stopped = pass(&mut scene, 50).expect_err("the disk failed");
        assert!(stopped.contains(&std::io::Error::from(error).to_string()), "{stopped}");
        let _ = pass(&mut scene, 50);
        assert!(said(&mut scene).is_empty(), "an answer left that rests on what was not saved");
        // Everything that was acknowledged before is still there.
        disk.heal();
        disk.crash(&mut fastrand::Rng::with_seed(5));
        let mut scene = Scene::new(2);
        member(&mut scene, &disk, plain(), Limits::default());
        pass(&mut scene, 50).expect("it starts again");
        let saved = scene.node(0).and_then(|node| node.state()).and_then(|state| state.saved);
        assert!(saved.is_some_and(|saved| saved >= 1), "{saved:?}");
    }
}

/// Members 0 and 2, of which 2 has started once more than 0 durably knows, and says this to 0 in a moment.
fn restarted(disk: &SimDisk, says: Do) -> Scene {
    let (mut scene, other) = (Scene::new(1), SimDisk::new());
    member_among(&mut scene, 0, &[2], (disk, 7), plain(), Limits::default());
    for script in [Vec::new(), vec![(Id::from(0), says)]] {
        scene.kill(2);
        let nonce = 20 + script.len() as u64;
        member_among(&mut scene, 2, &[0], (&other, nonce), Scripted { script, ..plain() }, Limits::default());
        pass(&mut scene, 30).expect("the disks are well");
    }
    assert!(scene.node(2).is_some_and(|node| node.state().is_some()), "it takes part");
    scene
}

#[test]
fn what_rests_on_a_peer_that_is_not_durably_known_never_leaves() {
    let disk = SimDisk::new();
    let mut scene = restarted(&disk, Do::Echo(1));
    disk.fail(Fault { op: Op::Sync, after: 0, error: ErrorKind::Other, forever: true });
    pass(&mut scene, 100).expect_err("what it knows cannot be made durable");
    let heard = scene.node(2).and_then(|node| node.state()).map(|state| state.said.clone());
    assert_eq!(heard, Some(vec![]));
    // Nothing is sent, so that the flush may wait.
    let disk = SimDisk::new();
    let mut scene = restarted(&disk, Do::Said(5));
    let flushes = scene.node(0).expect("it runs").counts().flushes;
    pass(&mut scene, 100).expect("nothing fails");
    let node = scene.node(0).expect("it runs");
    assert_eq!((node.counts().flushes, &node.state().expect("it takes part").said), (flushes, &vec![5]));
    disk.fail(Fault { op: Op::Sync, after: 0, error: ErrorKind::Other, forever: true });
    // A client is told what rests on it, since clients have no part in who may take part.
    client(&mut scene, &[Do::Echo(6)]);
    pass(&mut scene, 100).expect("nothing is flushed");
    assert_eq!(said(&mut scene), [6]);
    // Whatever is sent to a member later waits.
    client(&mut scene, &[Do::Pass(2, 7)]);
    pass(&mut scene, 100).expect_err("what it knows cannot be made durable");
    let heard = scene.node(2).and_then(|node| node.state()).map(|state| state.said.clone());
    assert_eq!(heard, Some(vec![]));
}

#[test]
fn a_directory_is_said_to_be_recorded_once_it_is() {
    let (mut scene, disks) = (Scene::new(1), [SimDisk::new(), SimDisk::new()]);
    member_among(&mut scene, 0, &[2], (&disks[0], 7), plain(), Limits::default());
    disks[0].fail(Fault { op: Op::Sync, after: 0, error: ErrorKind::Other, forever: true });
    member_among(&mut scene, 2, &[0], (&disks[1], 8), plain(), Limits::default());
    let stopped = pass(&mut scene, 100).expect_err("the new directory cannot be recorded");
    assert!(stopped.starts_with("0:"), "{stopped}");
    pass(&mut scene, 100).expect("nothing else fails");
    let node = scene.node(2).expect("it runs");
    assert_eq!(node.admission(), Admission::Waiting { silent: vec![0], needed: 1 });
}

#[test]
fn that_a_member_is_admitted_is_durable_before_it_does_anything() {
    let (mut scene, disk) = (Scene::new(1), SimDisk::new());
    member(&mut scene, &disk, plain(), Limits::default());
    disk.fail(Fault { op: Op::Sync, after: 0, error: ErrorKind::Other, forever: true });
    pass(&mut scene, 50).expect_err("it cannot be made durable");
    assert!(scene.node(0).is_none_or(|node| node.state().is_none()));
}

#[test]
fn what_was_heard_is_told_before_it_is_durable() {
    let (mut scene, disk, other) = (Scene::new(1), SimDisk::new(), SimDisk::new());
    member_among(&mut scene, 0, &[2], (&disk, 7), plain(), Limits::default());
    let start = |scene: &mut Scene, disk: &SimDisk, nonce: u64, script: Vec<(Id, Do)>| {
        scene.kill(2);
        member_among(scene, 2, &[0], (disk, nonce), Scripted { script, ..plain() }, Limits::default());
        pass(scene, 100)
    };
    start(&mut scene, &other, 20, Vec::new()).expect("nothing fails");
    let before = SimDisk::new();
    for name in other.names() {
        before.put(&name, &other.read(&name).expect("it has this file"));
    }
    let flushes = scene.node(0).expect("it runs").counts().flushes;
    start(&mut scene, &other, 21, vec![(Id::from(0), Do::Said(5))]).expect("nothing fails");
    let node = scene.node(0).expect("it runs");
    assert_eq!((node.counts().flushes, &node.state().expect("it takes part").said), (flushes, &vec![5]));
    // It comes back on what it had before the start that was heard.
    let stopped = start(&mut scene, &before, 22, Vec::new()).expect_err("it has to stay away");
    assert!(stopped.starts_with("2:") && stopped.contains("older copy"), "{stopped}");
}

#[test]
fn an_actor_without_stable_storage_must_not_save() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), Scripted { script: Vec::new(), panics: false }, Limits::default());
    client(&mut scene, &[Do::Echo(1)]);
    // The client is told to save, by a member that says so.
    let bytes = postcard::to_allocvec(&Do::Save(5)).expect("plain data");
    pass(&mut scene, 20).expect("all is well so far");
    let id = scene.node(1).expect("it is there").transport().me();
    scene.node(0).expect("it is there").transport().send(id, &bytes).expect("there is a session");
    // Something must make the member flush.
    let poke = postcard::to_allocvec(&Do::Echo(2)).expect("plain data");
    scene.node(1).expect("it is there").transport().send(0, &poke).expect("there is a session");
    let stopped = pass(&mut scene, 3000).expect_err("it has nowhere to save");
    assert!(stopped.contains("no stable storage"), "{stopped}");
}
