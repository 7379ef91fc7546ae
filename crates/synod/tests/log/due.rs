//! The instances at which a snapshot is due, and what is kept beside it.

use crate::guards::{EVERY, First, chosen, chunk, cluster, snapshot};
use crate::world::in_log;
use synod::{Ballot, Instance, Msg, Snapshots, Timer, Truncate};

/// The bytes that a command of two letters costs in the log.
fn each() -> u64 {
    48 + in_log("c0").as_bytes().len() as u64
}

fn learns(server: &mut First, instances: std::ops::Range<u64>) {
    for at in instances {
        server.hears(1, chosen(at, &format!("c{}", at % 10)));
    }
}

fn snapshots(server: &First) -> &Snapshots {
    server.server().log.as_ref().expect("a log").snapshots.as_ref().expect("some")
}

fn due(server: &First) -> Option<u64> {
    snapshots(server).due.as_ref().map(|(next, _)| next.0)
}

fn saved(server: &First) -> Option<u64> {
    snapshots(server).saved.as_ref().map(|saved| saved.next.0)
}

#[test]
fn a_snapshot_is_due_after_so_many_bytes_or_so_many_instances() {
    for (bytes, expected) in [
        (3 * each() + 1, [4, 8, 12, 16]),
        (3 * each(), [3, 4, 7, 8]),
        (2 * each(), [2, 4, 6, 8]),
        (2 * each() - 1, [2, 4, 6, 8]),
        (1, [1, 2, 3, 4]),
    ] {
        let mut server = First::start(cluster(Some(Truncate { every_bytes: bytes, ..EVERY })), None);
        let mut taken = Vec::new();
        for at in 0..17 {
            learns(&mut server, at..at + 1);
            if let Some(due) = due(&server) {
                server.rings(Timer::Snapshot);
                taken.push(due);
            }
        }
        assert_eq!(taken[..4], expected, "{bytes} bytes");
    }
}

#[test]
fn what_was_executed_while_a_snapshot_waited_counts_towards_the_next_one() {
    let truncate = Truncate { every: 100, every_bytes: 3 * each(), ..EVERY };
    let mut server = First::start(cluster(Some(truncate)), None);
    learns(&mut server, 0..5);
    assert_eq!(due(&server), Some(3));
    server.rings(Timer::Snapshot);
    assert_eq!((saved(&server), due(&server)), (Some(3), None));
    learns(&mut server, 5..6);
    assert_eq!(due(&server), Some(6));
}

#[test]
fn a_machine_that_waits_to_be_written_gives_way_to_none_that_comes_later() {
    let mut server = First::start(cluster(Some(EVERY)), None);
    learns(&mut server, 0..9);
    assert_eq!(due(&server), Some(4));
    server.rings(Timer::Snapshot);
    assert_eq!((saved(&server), due(&server)), (Some(4), None));
    assert_eq!(snapshots(&server).saved.as_ref(), Some(&snapshot(4)));
    learns(&mut server, 9..12);
    assert_eq!(due(&server), Some(12));
}

#[test]
fn the_count_begins_anew_with_the_snapshot_of_another() {
    let truncate = Truncate { every: 100, every_bytes: 3 * each(), ..EVERY };
    let mut server = First::start(cluster(Some(truncate)), None);
    learns(&mut server, 0..2);
    server.hears(1, chunk(&snapshot(4)));
    assert_eq!((server.next(), saved(&server)), (4, Some(4)));
    learns(&mut server, 4..6);
    assert_eq!(due(&server), None);
    learns(&mut server, 6..7);
    assert_eq!(due(&server), Some(7));
}

#[test]
fn no_more_bytes_are_spared_than_may_be() {
    for (spare, bytes, first) in [
        (0, u64::MAX, 12),
        (3, u64::MAX, 9),
        (100, u64::MAX, 0),
        (100, 0, 12),
        (100, each() - 1, 12),
        (100, each(), 11),
        (100, 2 * each() - 1, 11),
        (100, 5 * each(), 7),
        (3, 5 * each(), 9),
    ] {
        let truncate = Truncate { every: 12, spare, spare_bytes: bytes, ..EVERY };
        let mut server = First::start(cluster(Some(truncate)), None);
        learns(&mut server, 0..13);
        server.rings(Timer::Snapshot);
        let disk = server.saved().expect("the snapshot");
        assert_eq!(disk.acceptor.log_start, Instance(first), "{spare} spared, {bytes} bytes");
        assert_eq!(server.server().learner.learned.keys().next(), Some(&Instance(first)));
    }
}

/// The first instance of the log, and of what is kept of it.
fn starts(server: &First) -> (u64, Option<u64>) {
    let server = server.server();
    (server.acceptor.log_start.0, server.learner.learned.keys().next().map(|first| first.0))
}

#[test]
fn a_long_log_is_forgotten_bit_by_bit_and_never_without_saying_so() {
    let mut server = First::start(cluster(Some(Truncate { every: 2000, ..EVERY })), None);
    learns(&mut server, 0..2000);
    server.rings(Timer::Snapshot);
    let disk = server.saved().expect("the snapshot");
    assert_eq!((starts(&server), disk.acceptor.log_start), ((1024, Some(1024)), Instance(1024)));
    for at in 0..244 {
        learns(&mut server, 2000 + at..2001 + at);
        let start = 1028 + 4 * at;
        assert_eq!(starts(&server), (start, Some(start)));
    }
    learns(&mut server, 2244..2300);
    assert_eq!((starts(&server), snapshots(&server).forget), ((2000, Some(2000)), None));
    // The next save says it.
    server.hears(1, Msg::Prepare { ballot: Ballot { round: 5, proposer: 2 }, from: Instance(2300) });
    assert_eq!(server.saved().expect("a promise").acceptor.log_start, Instance(2000));
}

#[test]
fn what_comes_below_the_start_of_the_log_does_not_keep_it_from_moving() {
    let mut server = First::start(cluster(Some(Truncate { every: 2000, ..EVERY })), None);
    learns(&mut server, 0..2000);
    server.rings(Timer::Snapshot);
    let late = in_log("late");
    server.hears(
        1,
        Msg::Accept { ballot: Ballot { round: 5, proposer: 2 }, instance: Instance(3), value: late },
    );
    assert!(server.server().acceptor.accepted.contains_key(&Instance(3)));
    learns(&mut server, 2000..2001);
    assert_eq!(starts(&server), (1028, Some(1028)));
    assert!(server.server().acceptor.accepted.is_empty());
}
