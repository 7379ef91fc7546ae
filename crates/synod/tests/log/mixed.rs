//! Chunks of two snapshots, which come in every order, late and again: no snapshot is ever put together from both.

use crate::guards::{EVERY, First, cluster};
use crate::world::{Tape, logged};
use std::collections::{BTreeSet, HashSet, VecDeque};
use synod::{Arriving, Instance, Machine, Msg, ProcessState, Snapshot, Timer, Truncate, Value};

const CHUNK: usize = 8;

/// A snapshot of four commands in words of its own: as long as any other of these, and different from the first chunk on.
fn snapshot(of: u64, word: &str) -> Snapshot {
    let mut tape = Tape::default();
    (0..4).for_each(|at| drop(tape.execute(Instance(at + of), &logged(&format!("{word}{at}")))));
    Snapshot { next: Instance(of), sum: tape.checksum(), machine: Value::from(&tape.snapshot()[..]) }
}

fn chunks(of: &Snapshot) -> Vec<Msg> {
    let bytes = of.machine.as_bytes();
    let chunk = |(place, chunk): (usize, &[u8])| Msg::Chunk {
        of: of.next,
        sum: of.sum,
        length: bytes.len() as u64,
        at: (place * CHUNK) as u64,
        bytes: Value::from(chunk),
    };
    bytes.chunks(CHUNK).enumerate().map(chunk).collect()
}

fn arriving(server: &First) -> Option<&Arriving> {
    server.server().log.as_ref()?.snapshots.as_ref()?.arriving.as_ref()
}

/// Looks at what has come: it is of the snapshot that it is said to be of, and no more than was asked for.
fn look(server: &First, snapshots: &[Snapshot], ahead: u64) {
    if let Some(it) = arriving(server) {
        let snapshot = snapshots.iter().find(|snapshot| snapshot.next == it.of).expect("one of them");
        let part = |at: usize| snapshot.machine.as_bytes().chunks(CHUNK).nth(at).expect("there is one");
        assert_eq!((it.sum, it.length as usize), (snapshot.sum, snapshot.machine.as_bytes().len()));
        for (place, chunk) in it.chunks.iter().enumerate() {
            assert_eq!(chunk.as_bytes(), part(place));
        }
        for (place, chunk) in &it.beyond {
            assert_eq!(chunk.as_bytes(), part(*place as usize / CHUNK));
        }
        assert!((it.beyond.len() as u64) < ahead && !it.chunks.is_empty());
    }
    let log = server.server().log.as_ref().expect("a log");
    let executed = snapshots.iter().find(|snapshot| snapshot.next == log.next);
    assert_eq!(
        executed.map_or(Value::from(""), |snapshot| snapshot.machine.clone()),
        log.replica.snapshot(),
        "the machine is a whole one"
    );
}

#[test]
#[expect(clippy::mutable_key_type, reason = "a snapshot that a replica writes later is no part of its hash")]
fn no_snapshot_is_put_together_from_chunks_of_two_in_whatever_order_they_come() {
    let snapshots = [snapshot(4, "older"), snapshot(8, "newer")];
    for ahead in 1..=3 {
        let truncate = Truncate { chunk: CHUNK, ahead, ..EVERY };
        let first = First::start(cluster(Some(truncate)), None);
        let mut seen: HashSet<ProcessState> = HashSet::from([first.state().clone()]);
        let (mut open, mut ends) = (VecDeque::from([first]), BTreeSet::new());
        while let Some(server) = open.pop_front() {
            look(&server, &snapshots, ahead);
            ends.insert(server.next());
            // However it came here, it comes to the end of the newer one, if nothing more is heard of the older.
            let mut last = server.fork();
            while last.next() < 8 {
                last.rings(Timer::CatchUp);
                for chunk in chunks(&snapshots[1]) {
                    last.hears(1, chunk);
                }
            }
            let deliveries = snapshots.iter().flat_map(chunks).map(Some).chain([None]);
            for delivery in deliveries {
                let mut next = server.fork();
                match delivery {
                    Some(chunk) => next.hears(1, chunk),
                    None => next.rings(Timer::CatchUp),
                };
                if seen.insert(next.state().clone()) {
                    open.push_back(next);
                }
            }
        }
        assert_eq!(ends, BTreeSet::from([0, 4, 8]));
        assert!(seen.len() > 20, "{} states", seen.len());
    }
}
