//! Commands of clients where servers take mastership: each has an effect in the tenure in which it was taken, and its client is told by the server whose
//! tenure it is.

use crate::guards::query;
use crate::master::{EVERY, LEASE, give, last, masters, sent_on, tenure, with_master, world};
use crate::world::{CLIENT, PLAIN, Settings, World};
use stateright::actor::Id;
use synod::{Ask, Instance, Msg, Slot, Timer};

#[test]
fn clients_are_heard_at_the_master_and_elsewhere_sent_on_even_if_the_answer_is_known() {
    let mut world = with_master();
    world.submit(0, "a");
    world.run();
    assert_eq!((world.answers(), world.tape(1)), (vec!["1".to_owned()], world.tape(0)));
    let since = world.sent.len();
    for msg in [Ask::Submit { number: 1, command: "a".into() }.into(), query().into()] {
        world.tell(1, CLIENT.into(), msg);
    }
    world.submit(2, "b");
    assert_eq!(sent_on(&world, since), [(CLIENT, 0), (CLIENT, 0), (CLIENT, 0)]);
    world.run();
    assert_eq!(world.answers(), ["1"]);
    // Without a master nobody takes anything.
    world.states[0] = None;
    world.ring(1, Timer::Respect);
    let since = world.sent.len();
    world.submit(1, "b");
    world.tell(1, CLIENT.into(), query().into());
    assert!(sent_on(&world, since).is_empty());
    world.run();
    assert_eq!((masters(&world), world.answers()), (vec![1], vec!["1".to_owned()]));
}

#[test]
fn a_late_command_of_the_master_before_is_refused_and_may_come_again() {
    let mut world = with_master();
    world.submit(0, "a");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    world.ring(1, Timer::Respect);
    world.run_losing(|src, to, _| [src, to].contains(&0.into()));
    assert_eq!((last(&world, 1), last(&world, 0)), (Some((1, 1)), Some((0, 0))));
    assert_eq!(world.server(0).log.as_ref().map(|log| log.asked.len()), Some(1));
    let since = world.sent.len();
    world.ring(0, Timer::Retry);
    world.run();
    assert_eq!((last(&world, 0), world.next(0)), (Some((1, 1)), 3), "it is in the log, after the take");
    assert_eq!((sent_on(&world, since), world.tape(0)), (vec![(CLIENT, 1)], String::new()));
    assert!(world.server(0).log.as_ref().is_some_and(|log| log.asked.is_empty()));
    world.submit(1, "a");
    world.run();
    assert_eq!((world.answers(), world.tape(0)), (vec!["1".to_owned()], world.tape(1)));
}

/// Commands of the master before do not stay in its way: it takes them anew when it is master again.
#[test]
fn commands_of_a_tenure_end_with_it() {
    let mut world = with_master();
    for command in ["a", "b", "c", "d", "e"] {
        world.submit(0, command);
    }
    // The window has room for four of them, and none arrives.
    world.run_losing(|_, _, _| true);
    world.ring(1, Timer::Respect);
    world.run_losing(|src, to, _| [src, to].contains(&0.into()));
    let since = world.sent.len();
    world.ring(0, Timer::CatchUp);
    world.run();
    assert_eq!(last(&world, 0), Some((1, 1)));
    let log = world.server(0).log.as_ref().expect("a log");
    assert!(log.asked.is_empty() && world.server(0).proposer.queue.is_empty());
    assert_eq!(sent_on(&world, since), [(CLIENT, 1); 5]);
    // Server 0 is master again, and the same call is taken once more.
    give(&mut world, 1, 1, 0);
    world.run();
    assert_eq!(masters(&world), [0]);
    world.submit(0, "e");
    world.run();
    assert_eq!(world.answers(), ["1"]);
}

/// A server whose configuration has no mastership executes the log as all others do.
#[test]
fn the_log_means_the_same_to_a_server_that_takes_no_mastership_itself() {
    let mut world = with_master();
    let without = World::new(&Settings { catch_up: true, ..PLAIN });
    world.servers[2] = without.servers[2].clone();
    world.start(2);
    world.run();
    world.submit(0, "a");
    world.run();
    let replicas: Vec<_> = (0..3).map(|at| &world.server(at).log.as_ref().expect("a log").replica).collect();
    assert_eq!((replicas[2], replicas[2].checksum()), (replicas[0], replicas[0].checksum()));
    assert!(world.server(2).log.as_ref().is_some_and(|log| log.lease.is_none()));
    let since = world.sent.len();
    world.submit(2, "b");
    world.tell(2, CLIENT.into(), query().into());
    assert_eq!(sent_on(&world, since), [(CLIENT, 0); 2]);
    world.ring(0, Timer::Hold(Slot::A));
    world.run_losing(|_, to, _| to != 2.into());
    let since = world.sent.len();
    world.tell(2, 0.into(), Msg::Yield { token: Instance(0) });
    assert_eq!(world.sent.len(), since, "it does not take what is yielded");
}

/// Commands that were taken before the first take have no effect after it. Their clients are sent on, and so are those with open questions.
#[test]
fn questions_and_commands_end_with_the_time_without_a_master() {
    let mut world = World::new(&Settings { catch_up: true, ..PLAIN });
    let with = World::new(&Settings { master: Some(LEASE), catch_up: true, ..PLAIN });
    world.servers[0] = with.servers[0].clone();
    world.start(0);
    world.run();
    world.submit(1, "a");
    world.tell(1, CLIENT.into(), query().into());
    world.run_losing(|_, _, _| true);
    world.ring(0, Timer::Seek);
    world.run_losing(|src, to, _| [src, to].contains(&1.into()));
    assert_eq!(masters(&world), [0]);
    let since = world.sent.len();
    world.ring(1, Timer::CatchUp);
    world.run_losing(|_, to, msg| to == 1.into() && !matches!(msg, Msg::CatchUpReply { .. }));
    assert_eq!(sent_on(&world, since), [(CLIENT, 0); 2]);
    let log = world.server(1).log.as_ref().expect("a log");
    assert!(log.asked.is_empty() && !log.questions.open.values().any(|_| true));
    world.run();
    assert!(world.answers().is_empty());
}

#[test]
fn a_command_survives_the_renewals_of_the_master_that_took_it() {
    let mut world = with_master();
    world.submit(0, "a");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    world.ring(0, Timer::Seek);
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { instance: Instance(1), .. }));
    world.ring(0, Timer::Retry);
    world.run();
    assert_eq!((masters(&world), last(&world, 1)), (vec![0], Some((2, 0))));
    world.submit(0, "b");
    world.run();
    let since = tenure(&world, 1);
    assert_eq!((world.answers(), since), (vec!["1".to_owned(), "2".to_owned()], Some(Instance(0))));
}

/// The take is known in a snapshot only, and the tenure is this server's: what took effect below is answered.
#[test]
fn a_snapshot_of_its_own_tenure_answers_whoever_waits() {
    let mut world = world(Some(EVERY));
    world.ring(0, Timer::Seek);
    world.run();
    world.submit(0, "a");
    world.run_losing(|_, to, msg| to == 0.into() && matches!(msg, Msg::Accepted { .. }));
    world.ring(1, Timer::Respect);
    world.run_losing(|src, to, msg| {
        [src, to].contains(&0.into()) || matches!(msg, Msg::Accept { instance: Instance(2), .. })
    });
    assert_eq!((world.next(1), tenure(&world, 1)), (2, Some(Instance(0))), "server 1 has not taken it yet");
    world.ring(1, Timer::Snapshot);
    world.run();
    let since = world.sent.len();
    world.ring(0, Timer::CatchUp);
    world.run_losing(|_, _, msg| matches!(msg, Msg::CatchUpReply { .. }));
    assert!(world.count(since, |msg| matches!(msg, Msg::Chunk { .. })) > 0);
    assert_eq!(world.answers(), ["1"]);
}

#[test]
fn a_snapshot_of_anothers_tenure_answers_nobody_who_waits_here() {
    let mut world = world(Some(EVERY));
    world.ring(2, Timer::Seek);
    world.run();
    world.submit(2, "a");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    let away = |src: Id, to: Id| [src, to].contains(&2.into());
    world.ring(0, Timer::Respect);
    world.run_losing(|src, to, _| away(src, to));
    world.submit(0, "a");
    world.run_losing(|src, to, _| away(src, to));
    world.submit(0, "b");
    world.run_losing(|src, to, _| away(src, to));
    world.ring(0, Timer::Snapshot);
    let since = world.sent.len();
    world.ring(2, Timer::CatchUp);
    world.run();
    assert!(world.count(since, |msg| matches!(msg, Msg::Chunk { .. })) > 0);
    assert_eq!((world.tape(2), last(&world, 2)), (world.tape(0), Some((1, 0))));
    assert_eq!(
        (sent_on(&world, since), world.count(since, |m| matches!(m, Msg::Output { .. }))),
        (vec![(CLIENT, 0)], 0)
    );
}

/// A cluster with a master goes on from the log of one without: that has no fences, and its snapshots know of no takes.
#[test]
fn mastership_may_begin_in_a_cluster_that_was_without() {
    let settings = Settings { truncate: Some(EVERY), catch_up: true, ..PLAIN };
    let mut world = World::new(&settings);
    for command in ["a", "b", "c"] {
        world.submit(0, command);
        world.run();
    }
    world.ring(0, Timer::Snapshot);
    let mut later = World::new(&Settings { master: Some(LEASE), ..settings });
    later.disks = world.disks.clone();
    (0..3).for_each(|at| later.start(at));
    assert_eq!([0, 1, 2].map(|at| later.next(at)), [2, 0, 0], "one starts from its snapshot");
    later.run();
    later.ring(0, Timer::Seek);
    later.run();
    assert_eq!((masters(&later), last(&later, 0)), (vec![0], Some((3, 0))));
    for at in 0..3 {
        assert_eq!(later.tape(at), world.tape(0), "{at}");
    }
    later.submit(0, "d");
    later.run();
    assert_eq!(later.answers(), ["4"]);
}

/// Where servers take no mastership, a snapshot ends no question that waits.
#[test]
fn a_snapshot_of_no_tenure_leaves_questions_open() {
    let mut world = World::new(&Settings { truncate: Some(EVERY), catch_up: true, ..PLAIN });
    let away = |src: Id, to: Id| [src, to].contains(&0.into());
    for command in ["a", "b", "c"] {
        world.submit(1, command);
        world.run_losing(|src, to, _| away(src, to));
    }
    world.ring(1, Timer::Snapshot);
    world.tell(0, (CLIENT + 1).into(), query().into());
    world.run_losing(|_, _, _| true);
    let since = world.sent.len();
    world.ring(0, Timer::CatchUp);
    world.run_losing(|_, _, msg| matches!(msg, Msg::CatchUpReply { .. }));
    assert!(world.count(since, |msg| matches!(msg, Msg::Chunk { .. })) > 0 && world.next(0) > 0);
    assert_eq!(world.told(CLIENT + 1), ["3"]);
}
