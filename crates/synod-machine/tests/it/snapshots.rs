//! Snapshots in parts: lost, repeated, in any order, from several members, wrong in every way that could be thought of.

use crate::machines::Tried;
use crate::{falls, holds};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use synod_machine::{
    Blob, Chain, Cut, Fetch, FetchLimits, Kv, Manifest, Part, Refused, Sessions, Snapshot, StateMachine,
    encode,
};

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

const LIMITS: FetchLimits = FetchLimits { bytes: 1 << 16, parts: 1 << 12 };

fn fail(error: &impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

#[test]
fn parts_that_are_lost_repeated_and_reordered_make_the_snapshot() {
    // Which of the missing parts is asked for, from which member, and whether it comes, twice, or is followed by an older one.
    let journey = vec((any::<usize>(), any::<bool>(), 0..4u8), 0..40);
    holds("parts", 256, &(Machine::log(), 1..40u32, journey), |(log, part, journey)| {
        let (machine, snapshot) = replica(&log);
        let members = [Cut::new(&snapshot, part), Cut::new(&replica(&log).1, part)];
        prop_assert_eq!(members[0].manifest(), members[1].manifest(), "equal replicas cut equal parts");
        let mut fetch = Fetch::new(members[0].manifest(), LIMITS).map_err(|error| fail(&error))?;
        let mut came: Vec<Part> = Vec::new();
        for (choice, member, fate) in journey {
            let missing = fetch.missing(8);
            if missing.is_empty() {
                break;
            }
            let index = missing[choice % missing.len()];
            let part = members[usize::from(member)].part(index).expect("a part that is missing exists");
            match fate {
                0 => continue,
                1 if !came.is_empty() => {
                    let old = &came[choice % came.len()];
                    prop_assert_eq!(fetch.take(old), Ok(false), "it was there before");
                }
                _ => {}
            }
            prop_assert_eq!(fetch.take(&part), Ok(true));
            prop_assert_eq!(fetch.take(&part), Ok(false));
            came.push(part);
            prop_assert_eq!(fetch.received(), came.len());
        }
        // Whatever is still missing comes now: nothing has to be begun again.
        while let [index, ..] = fetch.missing(1)[..] {
            prop_assert_eq!(fetch.whole(), Ok(None));
            fetch.take(&members[0].part(index).expect("it exists")).map_err(|error| fail(&error))?;
        }
        let whole = fetch.whole().map_err(|error| fail(&error))?.expect("all parts are there");
        let mut restored = Machine::fresh();
        restored.restore(&whole.machine).map_err(|error| fail(&error))?;
        prop_assert_eq!(restored, machine);
        prop_assert_eq!(whole, snapshot);
        prop_assert_eq!(members[0].part(members[0].manifest().parts() as u32), None);
        Ok(())
    });
}

/// Parts in which something is changed, and manifests that lie, never make another snapshot than the one that was announced.
#[test]
fn wrong_parts_are_refused_or_found_out() {
    let wrong = (any::<usize>(), any::<usize>(), 1..=255u8, 0..6u8);
    holds("wrong parts", 512, &(Machine::log(), 4..40u32, wrong), |(log, part, (which, at, flip, how))| {
        let (_, snapshot) = replica(&log);
        let cut = Cut::new(&snapshot, part);
        let mut manifest = cut.manifest();
        match how {
            0 => manifest.digest ^= u128::from(flip),
            1 => manifest.chain.next += u64::from(flip),
            2 => manifest.length += u64::from(flip),
            _ => {}
        }
        let mut fetch = Fetch::new(manifest, LIMITS).map_err(|error| fail(&error))?;
        let parts = cut.manifest().parts() as u32;
        let wrong_one = (which as u32) % parts;
        let mut refused = false;
        for index in 0..parts {
            let mut part = cut.part(index).expect("it exists");
            if index == wrong_one {
                let mut bytes = part.bytes.to_vec();
                let at = at % bytes.len();
                match how {
                    3 => bytes[at] ^= flip,
                    4 => bytes.push(flip),
                    5 => part.index = parts + u32::from(flip),
                    _ => {}
                }
                part.bytes = Blob::from(bytes);
            }
            let before = fetch.clone();
            if fetch.take(&part).is_err() {
                refused = true;
                prop_assert_eq!(&fetch, &before, "nothing is kept of a wrong part");
            }
        }
        match fetch.whole() {
            Ok(Some(_)) => Err(TestCaseError::fail("it was taken for whole")),
            Ok(None) => {
                prop_assert!(refused || how == 2, "something is missing, and nothing was refused");
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(how < 4, "{}", text);
                prop_assert!(text.contains(&format!("{:032x}", manifest.digest)), "{}", text);
                Ok(())
            }
        }
    });
}

#[test]
fn nobody_makes_a_receiver_keep_more_than_it_is_willing_to() {
    let (_, snapshot) = replica(&[]);
    let cut = Cut::new(&snapshot, 8);
    let honest = cut.manifest();
    let refused = |manifest| Fetch::new(manifest, LIMITS).expect_err("too large or empty").to_string();
    assert!(refused(Manifest { length: u64::MAX, part: u32::MAX, ..honest }).contains("raise its limits"));
    assert!(refused(Manifest { length: LIMITS.bytes + 1, part: u32::MAX, ..honest }).contains("65536 bytes"));
    assert!(refused(Manifest { length: LIMITS.bytes, part: 1, ..honest }).contains("in 4096 parts"));
    assert!(refused(Manifest { length: 0, ..honest }).contains("nothing in it"));
    assert!(refused(Manifest { part: 0, ..honest }).contains("nothing in it"));
    let mut largest =
        Fetch::new(Manifest { length: LIMITS.bytes, part: 16, ..honest }, LIMITS).expect("just so large");
    assert_eq!(largest.missing(usize::MAX).len(), 4096);
    for index in [0, 4095, 4096, u32::MAX] {
        let part = Part { of: honest.digest, index, bytes: Blob::from(vec![0; 16]) };
        assert_eq!(largest.take(&part).is_ok(), index < 4096, "{index}");
    }
    let part = Part { of: honest.digest, index: 1, bytes: Blob::from(vec![0; 17]) };
    assert_eq!(largest.take(&part).expect_err("too long").to_string(), "part 1 has 17 bytes instead of 16");
    let foreign = Part { of: 7, index: 1, bytes: Blob::from(vec![0; 16]) };
    assert!(matches!(largest.take(&foreign), Err(Refused::Foreign { of: 7, .. })));
    assert_eq!(largest.received(), 2);
}

#[test]
fn what_is_announced_is_what_is_restored() {
    let (_, snapshot) = replica(&[]);
    let cut = Cut::new(&snapshot, 0);
    assert_eq!(cut.manifest().parts(), 1);
    let fetched = |manifest| {
        let mut fetch = Fetch::new(manifest, LIMITS).expect("small");
        fetch.take(&cut.part(0).expect("the only one")).expect("it is right");
        fetch.whole()
    };
    assert_eq!(fetched(cut.manifest()), Ok(Some(snapshot.clone())));
    let chain = Chain { next: 7, ..snapshot.chain };
    let error = fetched(Manifest { chain, ..cut.manifest() }).expect_err("another position");
    assert!(error.to_string().contains("next: 7"), "{error}");
}

/// Without the comparison with the digest, a flipped bit would go unnoticed.
#[test]
fn without_the_digest_damage_goes_unnoticed() {
    let why = falls("no digest", 512, &(Machine::log(), any::<usize>()), |(log, at)| {
        let (_, snapshot) = replica(&log);
        let cut = Cut::new(&snapshot, 0);
        let mut bytes = cut.part(0).expect("the only one").bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1;
        // What a receiver does that compares no digest.
        let Ok(damaged) = synod_machine::decode::<Snapshot>(&bytes) else { return Ok(()) };
        let mut machine = Machine::fresh();
        prop_assert!(machine.restore(&damaged.machine).is_err(), "a damaged snapshot was restored");
        Ok(())
    });
    assert!(why.contains("a damaged snapshot was restored"), "{why}");
}
