//! Local clients: messages of a member's own program, and the answers to them.

use crate::world::{Do, Scene, client, member, pass, plain, said};
use std::io::ErrorKind;
use std::time::Duration;
use synod_runtime::inbox::Limits;
use synod_runtime::node::{FIRST_CLIENT, LOCAL_CLIENT, is_local_client};
use synod_runtime::record::{Reader, Trigger};
use synod_runtime::sim_disk::{Fault, Op, SimDisk};

/// What local clients were answered.
fn told(scene: &mut Scene) -> Vec<(u64, Do)> {
    scene.node(0).expect("it runs").told().collect()
}

#[test]
fn a_local_client_is_heard_at_once_recorded_and_answered_through_the_outlet() {
    let (mut scene, local) = (Scene::new(1), LOCAL_CLIENT | 7);
    let tape = member(&mut scene, &SimDisk::new(), plain(), Limits::default());
    assert!(scene.node(0).expect("it runs").tell(local, &Do::Echo(1)), "it waits for the start");
    pass(&mut scene, 1).expect("nobody stops");
    assert_eq!(told(&mut scene), [(local, Do::Said(1))]);
    let node = scene.node(0).expect("it runs");
    assert_ne!(node.wakes(), Duration::ZERO);
    assert!(node.tell(local, &Do::Echo(2)) && node.tell(LOCAL_CLIENT, &Do::Save(3)));
    assert_eq!(node.wakes(), Duration::ZERO, "there is something to do");
    node.turn(Duration::ZERO).expect("it goes on");
    assert_eq!(told(&mut scene), [(local, Do::Said(2)), (LOCAL_CLIENT, Do::Said(3))]);
    assert_eq!(told(&mut scene), []);
    let bytes = tape.bytes();
    let mut reader = Reader::open(&bytes).expect("it is a record");
    let mut heard = Vec::new();
    while let Some(entry) = reader.next() {
        if let Trigger::Deliver { src, msg } = entry.expect("it is whole").event {
            heard.push((src, postcard::from_bytes::<Do>(msg).expect("it is a message")));
        }
    }
    assert_eq!(heard, [(local, Do::Echo(1)), (local, Do::Echo(2)), (LOCAL_CLIENT, Do::Save(3))]);
}

#[test]
fn nobody_is_answered_before_the_save_is_durable() {
    let (mut scene, disk) = (Scene::new(1), SimDisk::new());
    member(&mut scene, &disk, plain(), Limits::default());
    pass(&mut scene, 1).expect("nobody stops");
    let node = scene.node(0).expect("it runs");
    assert!(node.tell(LOCAL_CLIENT, &Do::Echo(1)) && node.tell(LOCAL_CLIENT, &Do::Save(2)));
    disk.fail(Fault { op: Op::Sync, after: 0, error: ErrorKind::Other, forever: true });
    assert!(node.turn(Duration::ZERO).is_err(), "its disk has failed");
    assert_eq!(told(&mut scene), [(LOCAL_CLIENT, Do::Said(1))], "that one rests on no save");
}

#[test]
fn what_waits_is_bounded_on_both_ways() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), Limits { local: 10, ..Limits::default() });
    pass(&mut scene, 1).expect("nobody stops");
    for round in 0..3 {
        let node = scene.node(0).expect("it runs");
        let taken = (0..20).filter(|n| node.tell(LOCAL_CLIENT, &Do::Echo(*n))).count();
        assert_eq!(taken, 10, "round {round}");
        node.turn(Duration::ZERO).expect("it goes on");
        assert_eq!(node.counts().local_full, 10 * round, "nobody has taken the first ten answers");
    }
    assert_eq!(told(&mut scene).len(), 10);
}

#[test]
fn an_owner_speaks_for_local_clients_and_for_a_client_of_its_own_only() {
    let mut scene = Scene::new(1);
    member(&mut scene, &SimDisk::new(), plain(), Limits::default());
    let node = scene.node(0).expect("it runs");
    for other in [0, 1, LOCAL_CLIENT - 1, FIRST_CLIENT, FIRST_CLIENT | 7] {
        assert!(!is_local_client(other) && !node.tell(other, &Do::Echo(1)), "{other}");
    }
    client(&mut scene, &[]);
    let node = scene.node(1).expect("it runs");
    let me = node.transport().me();
    assert!(node.tell(me, &Do::Said(5)) && !node.tell(0, &Do::Said(6)));
    pass(&mut scene, 1).expect("nobody stops");
    assert_eq!(said(&mut scene), [5]);
}
