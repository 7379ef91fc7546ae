//! Disks that fill up, become read-only or fail.

use crate::reference::*;
use std::io::ErrorKind;
use synod_runtime::refusal::Why;
use synod_runtime::sim_disk::{Fault, Op, SimDisk};
use synod_runtime::store::Limits;

const ERRORS: [ErrorKind; 3] = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::Other];

fn once(op: Op, error: ErrorKind) -> Fault {
    Fault { op, after: 0, error, forever: false }
}

#[test]
fn a_failed_write_or_flush_stops_the_store() {
    for error in ERRORS {
        for (op, doing) in [(Op::Write, "write"), (Op::Sync, "flush")] {
            let disk = SimDisk::new();
            let (mut store, _) = open(&disk).unwrap();
            let mut account = Account { boot: 1, ..Account::default() };
            put(&mut store, &mut account, 1, solid(100, 1));
            store.commit().unwrap();
            let acknowledged = account.clone();
            disk.fail(once(op, error));
            put(&mut store, &mut account, 2, solid(900, 2));
            let refusal = store.commit().unwrap_err();
            let Why::Io { doing: did, kind, .. } = refusal.why else { panic!("{refusal}") };
            assert_eq!((did, kind), (doing, error));
            assert!(refusal.offset.is_some());
            assert_eq!(store.saves(), 1, "what is not durable does not count");
            // The disk is well again, but what it has is not known.
            let counts = disk.counts();
            assert_eq!(store.commit().unwrap_err().why, Why::Stopped);
            assert_eq!(store.compact().unwrap_err().why, Why::Stopped);
            assert_eq!(disk.counts(), counts, "nothing more is tried");
            drop(store);
            disk.crash(&mut fastrand::Rng::with_seed(1));
            let (store, _) = open(&disk).unwrap();
            let found = Account { boot: 1, ..Account::of(&store) };
            assert!(found == acknowledged || found == account);
        }
    }
}

#[test]
fn an_error_says_what_to_do() {
    for (error, says) in [
        (ErrorKind::StorageFull, "free some space"),
        (ErrorKind::ReadOnlyFilesystem, "writable"),
        (ErrorKind::Other, "kernel's log"),
    ] {
        let disk = SimDisk::new();
        disk.fail(once(Op::Write, error));
        let text = open(&disk).unwrap_err().to_string();
        assert!(text.contains(says) && text.contains("journal-00000001"), "{text}");
    }
}

#[test]
fn opening_fails_with_any_operation_and_can_be_tried_again() {
    for error in ERRORS {
        let mut at = 0;
        loop {
            let disk = SimDisk::new();
            disk.fail(Fault { op: Op::Any, after: at, error, forever: false });
            match open(&disk) {
                Ok(_) => break,
                Err(refusal) => {
                    assert!(matches!(refusal.why, Why::Io { kind, .. } if kind == error), "{refusal}");
                }
            }
            let (store, opened) = open(&disk).unwrap_or_else(|refusal| panic!("operation {at}: {refusal}"));
            assert!(store.fresh() || opened.boot == 2, "operation {at}");
            at += 1;
        }
        assert!(at >= 12, "{at} operations");
    }
}

#[test]
fn a_compaction_that_fails_anywhere_stops_the_store_and_loses_nothing() {
    for error in ERRORS {
        for at in 0.. {
            let disk = SimDisk::new();
            let (mut store, _) = open(&disk).unwrap();
            let mut account = Account { boot: 1, ..Account::default() };
            put(&mut store, &mut account, 1, solid(100, 1));
            store.commit().unwrap();
            disk.fail(Fault { op: Op::Any, after: at, error, forever: false });
            let failed = store.compact().is_err();
            disk.heal();
            if failed {
                assert_eq!(store.commit().unwrap_err().why, Why::Stopped);
            }
            drop(store);
            let (store, _) = open(&disk).unwrap();
            assert_eq!(Account::of(&store), Account { boot: 2, ..account });
            if !failed {
                assert!(at >= 7, "{at} operations");
                break;
            }
        }
    }
}

#[test]
fn a_batch_above_the_limit_is_refused_before_anything_is_written() {
    let limits = Limits { batch: 2000, ..SMALL };
    let disk = SimDisk::new();
    let (mut store, _) = open_with(&disk, limits).unwrap();
    let mut account = Account { boot: 1, ..Account::default() };
    put(&mut store, &mut account, 1, solid(1900, 1));
    assert!((1901..=2000).contains(&store.pending()));
    store.commit().unwrap();
    let counts = disk.counts();
    store.save(account.clone().put(2, solid(2000, 2)));
    let bytes = store.pending();
    assert_eq!(store.commit().unwrap_err().why, Why::TooLarge { bytes, max: 2000 });
    assert_eq!(store.commit().unwrap_err().why, Why::Stopped);
    assert_eq!(disk.counts(), counts);
    drop(store);
    let (store, _) = open(&disk).unwrap();
    assert_eq!(Account::of(&store), Account { boot: 2, ..account });
}
