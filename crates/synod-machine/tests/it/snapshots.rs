//! Sealed snapshots, with bytes changed.

use crate::machines::Tried;
use crate::{falls, holds};
use proptest::prelude::*;
use synod_machine::{Blob, Chain, Kv, Sessions, Snapshot, StateMachine, decode, encode};

type Machine = Sessions<Kv>;

/// A replica of the log, and its snapshot.
fn replica(log: &[<Machine as StateMachine>::Command]) -> (Machine, Snapshot) {
    let (mut machine, mut chain) = (Machine::fresh(), Chain::new());
    for command in log {
        let output = machine.apply(command);
        chain.extend(&encode(command), &encode(&output));
    }
    let snapshot = Snapshot { chain, machine: Blob::from(machine.snapshot()) };
    (machine, snapshot)
}

#[test]
fn a_sealed_snapshot_is_all_of_the_machine() {
    holds("sealed", 256, &Machine::log(), |log| {
        let (machine, snapshot) = replica(&log);
        prop_assert_eq!(snapshot.seal(), replica(&log).1.seal(), "equal replicas have equal snapshots");
        let read = Snapshot::unseal(&snapshot.seal()).expect("what was sealed is read");
        let mut restored = Machine::fresh();
        restored.restore(&read.machine).expect("a machine reads its own snapshot");
        prop_assert_eq!(restored, machine);
        prop_assert_eq!(read, snapshot);
        Ok(())
    });
}

#[test]
fn a_snapshot_with_a_byte_changed_cut_off_or_added_is_refused() {
    let change = (any::<usize>(), 1..=255u8, 0..3u8);
    holds("changed", 512, &(Machine::log(), change), |(log, (at, flip, how))| {
        let mut bytes = replica(&log).1.seal();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] ^= flip,
            1 => bytes.truncate(at),
            _ => bytes.push(flip),
        }
        prop_assert_eq!(Snapshot::unseal(&bytes), None);
        Ok(())
    });
}

/// Without the comparison with the digest, a flipped bit would go unnoticed.
#[test]
fn without_the_digest_damage_goes_unnoticed() {
    let why = falls("no digest", 512, &(Machine::log(), any::<usize>()), |(log, at)| {
        let mut bytes = encode(&replica(&log).1);
        let at = at % bytes.len();
        bytes[at] ^= 1;
        // What a receiver does that compares no digest.
        let Ok(damaged) = decode::<Snapshot>(&bytes) else { return Ok(()) };
        let mut machine = Machine::fresh();
        prop_assert!(machine.restore(&damaged.machine).is_err(), "a damaged snapshot was restored");
        Ok(())
    });
    assert!(why.contains("a damaged snapshot was restored"), "{why}");
}
