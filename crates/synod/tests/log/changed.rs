//! Members that change, where messages are lost, servers are behind, and disks are of another time.

use crate::master::EVERY;
use crate::world::{OPERATOR, PLAIN, Settings, World};
use std::sync::Arc;
use synod::{Cluster, Instance, Learning, LogEntry, LogState, Msg, Process, Timer, Value};

fn cluster(world: &World) -> Cluster {
    let Process::Server { cluster, .. } = &world.servers[0] else { panic!("a server") };
    Cluster::clone(cluster)
}

/// Votes that come before the members of their instance are known count once they are.
#[test]
fn a_server_that_missed_an_instance_needs_to_be_told_of_that_one_alone() {
    let settings =
        Settings { first: Some(3), alpha: 2, catch_up: true, learning: Learning::Everyone, ..PLAIN };
    let mut world = World::new(&settings);
    for command in ["a", "b", "c", "d", "e"] {
        world.submit(0, command);
        let lost = |msg: &Msg| matches!(msg, Msg::Accepted { instance: Instance(0), .. });
        world.run_losing(|_, dst, msg| dst == 2.into() && lost(msg));
    }
    assert_eq!((world.next(0), world.next(2)), (5, 0));
    let value = world.server(0).learner.learned[&Instance(0)].clone();
    world.tell(2, 0.into(), Msg::Chosen { instance: Instance(0), value });
    assert_eq!((world.next(2), world.tape(2)), (5, world.tape(0)));
}

#[test]
fn the_answers_of_a_leader_to_itself_do_not_hide_those_of_the_others() {
    let mut world = World::new(&Settings { first: Some(3), alpha: 4, ..PLAIN });
    world.submit(0, "a");
    world.run();
    for command in ["b", "c", "d"] {
        world.submit(0, command);
        world.run_losing(|src, dst, _| src != dst);
    }
    world.call(0, OPERATOR, 1, "remove 2");
    assert!(world.told(OPERATOR).is_empty(), "it is proposed");
}

#[test]
fn a_stranger_that_acts_as_a_member_is_asked_what_was_missed() {
    let mut world = World::new(&Settings { servers: 5, first: Some(3), catch_up: true, ..PLAIN });
    world.run();
    let asked = |world: &mut World| {
        let since = world.sent.len();
        world.ring(0, Timer::CatchUp);
        let sent = &world.sent[since..];
        sent.iter().any(|(_, to, msg)| *to == 4.into() && matches!(msg, Msg::CatchUp { .. }))
    };
    world.tell(0, 4.into(), Msg::CatchUp { from: Instance(0) });
    assert!(!asked(&mut world), "it knows no more");
    world.tell(0, 4.into(), Msg::CatchUp { from: Instance(7) });
    assert!(asked(&mut world) && asked(&mut world));
}

/// A server with a snapshot, and members or not.
fn with_snapshot(first: Option<usize>) -> World {
    let mut world = World::new(&Settings { first, truncate: Some(EVERY), catch_up: true, ..PLAIN });
    for command in ["a", "b", "c", "d"] {
        world.submit(0, command);
        world.run();
    }
    world.ring(0, Timer::Snapshot);
    assert!(world.disks[0].as_ref().is_some_and(|disk| disk.snapshot.is_some()));
    world
}

#[test]
fn a_server_does_not_start_from_a_snapshot_of_other_rules() {
    let world = with_snapshot(Some(3));
    let saved = world.disks[0].as_ref().and_then(|disk| disk.snapshot.as_ref());
    let mut other = cluster(&world);
    assert_eq!(LogState::misfit(&other, saved), None);
    if let Some(members) = other.log.as_mut().and_then(|log| log.members.as_mut()) {
        members.lag += 1;
    }
    let said = LogState::misfit(&other, saved).expect("lag is another");
    assert!(said.contains("4 4 200-202") && said.contains("4 5 200-202"), "{said}");
    let mut world = world;
    if let Process::Server { cluster, .. } = &mut world.servers[0] {
        *cluster = Arc::new(other);
    }
    let starts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.start(0)));
    assert!(starts.is_err(), "whoever does not ask is stopped");
}

#[test]
fn members_need_a_cluster_in_which_each_can_be_one() {
    let world = World::new(&Settings { first: Some(3), ..PLAIN });
    let flaw = |change: &dyn Fn(&mut Cluster)| {
        let mut cluster = cluster(&world);
        change(&mut cluster);
        LogState::misfit(&cluster, None).unwrap_or_default()
    };
    let operators = |cluster: &mut Cluster, ids| {
        if let Some(members) = cluster.log.as_mut().and_then(|log| log.members.as_mut()) {
            members.operators = ids;
        }
    };
    assert_eq!(flaw(&|_| {}), "");
    assert!(flaw(&|cluster| cluster.acceptors.push(128.into())).contains("below 128"));
    assert!(flaw(&|cluster| cluster.learners.truncate(2)).contains("all three roles"));
    assert!(flaw(&|cluster| cluster.proposers.truncate(2)).contains("all three roles"));
    assert!(flaw(&|cluster| cluster.acceptors.truncate(2)).contains("not among"));
    assert!(flaw(&|cluster| operators(cluster, 200..329)).contains("129 operators"));
    assert_eq!(flaw(&|cluster| operators(cluster, 200..328)), "");
    assert!(flaw(&|cluster| operators(cluster, 2..4)).contains("no member"));
    let mut wrong = cluster(&world);
    operators(&mut wrong, 2..4);
    let mut world = world;
    if let Process::Server { cluster, .. } = &mut world.servers[0] {
        *cluster = Arc::new(wrong);
    }
    let starts = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.start(0)));
    assert!(starts.is_err(), "whoever does not ask is stopped");
}

#[test]
fn a_server_whose_members_change_does_not_start_from_a_snapshot_of_one_whose_do_not() {
    let old = with_snapshot(None);
    let world = World::new(&Settings { first: Some(3), truncate: Some(EVERY), ..PLAIN });
    let saved = old.disks[0].as_ref().and_then(|disk| disk.snapshot.as_ref());
    let said = LogState::misfit(&cluster(&world), saved).expect("it has no members");
    assert!(said.contains("where members do not change"), "{said}");
    assert_eq!(LogState::misfit(&cluster(&old), saved), None);
}

#[test]
fn a_snapshot_that_fails_its_checksum_counts_as_none() {
    for wrong in [0, 1] {
        let mut world = with_snapshot(Some(3));
        let disk = world.disks[0].as_mut().expect("it has saved");
        disk.snapshot.as_mut().expect("it has written one").sum ^= wrong;
        world.start(0);
        let log = world.server(0).log.as_ref().expect("a log");
        assert_eq!(log.next == Instance::FIRST, wrong == 1);
        assert_eq!(world.tape(0).is_empty(), wrong == 1);
    }
}

#[test]
fn a_change_that_waits_behind_a_lost_promise_is_brought_to_an_end() {
    let mut world = World::new(&Settings { servers: 4, first: Some(3), alpha: 1, catch_up: true, ..PLAIN });
    world.submit(0, "a");
    world.run();
    let logged = LogEntry {
        call: synod::Call { client: OPERATOR.into(), number: 1 },
        command: Value::from("remove 2"),
    };
    world.tell(0, 1.into(), Msg::Chosen { instance: Instance(1), value: logged.value() });
    world.run();
    world.submit(0, "b");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Promise { .. }));
    if world.timers[0].contains(&Timer::Retry) {
        world.ring(0, Timer::Retry);
    }
    world.run();
    assert_eq!(world.answers().len(), 2);
}
