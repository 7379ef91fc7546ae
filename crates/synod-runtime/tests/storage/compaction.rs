//! The use that batches and compactions make of the disk.

use crate::reference::*;
use synod_runtime::apart::Named;
use synod_runtime::changes::decode;
use synod_runtime::refusal::Why;
use synod_runtime::sim_disk::SimDisk;
use synod_runtime::store::Limits;

#[test]
fn a_batch_takes_one_write_and_one_flush_however_many_saves_it_has() {
    let disk = SimDisk::new();
    let (mut store, _) = open_with(&disk, Limits { chunk: 1 << 20, ..SMALL }).unwrap();
    let mut account = Account::default();
    for saves in [1, 16, 256] {
        let before = disk.counts();
        for key in 0..saves {
            put(&mut store, &mut account, key as u8, solid(100, 1));
        }
        store.commit().unwrap();
        store.commit().unwrap();
        let after = disk.counts();
        assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1), "{saves} saves");
        assert_eq!(after.operations - before.operations, 2);
    }
    let counts = store.counts();
    assert_eq!((counts.batches, counts.records, counts.flushes), (4, 1 + 1 + 16 + 256, 4));
    assert_eq!(store.saves(), 273);
}

#[test]
fn zeros_come_ahead_of_small_batches_and_not_of_large_ones() {
    let disk = SimDisk::new();
    let (mut store, _) = open_with(&disk, Limits { chunk: 4096, large: 1000, ..SMALL }).unwrap();
    let mut account = Account { boot: 1, ..Account::default() };
    let mut step = |key, length| {
        put(&mut store, &mut account, key, solid(length, 1));
        store.commit().unwrap();
        let bytes = disk.read(&live(&disk)).unwrap();
        (bytes.len(), written(&bytes))
    };
    assert_eq!(step(1, 100).0, 4096);
    assert_eq!(step(2, 100).0, 4096);
    let (whole, used) = step(3, 5000);
    assert!(whole > 5000 && whole < used + 8, "{whole} bytes, {used} of them used");
    let (whole, used) = step(4, 10);
    assert!(whole.is_multiple_of(4096) && whole > used + 1000, "{whole} bytes, {used} of them used");
    drop(store);
    let (store, _) = open(&disk).unwrap();
    assert_eq!(Account::of(&store), Account { boot: 2, ..account });
}

#[test]
fn only_what_changed_is_written_and_a_recorder_can_follow_it() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk).unwrap();
    let mut state = Map::from([(1, solid(5000, 1))]);
    let mut followed = None;
    decode::<Map, Puts>(&mut followed, store.save(&state), &mut Named::new()).unwrap();
    state.insert(2, vec![1]);
    let change = store.save(&state).to_vec();
    assert!(change.len() < 10, "{} bytes", change.len());
    decode::<Map, Puts>(&mut followed, &change, &mut Named::new()).unwrap();
    assert_eq!(followed.as_ref(), Some(&state));
    assert_eq!((store.state(), store.saves()), (Some(&state), 0));
}

#[test]
fn what_is_known_already_is_not_written_again() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk).unwrap();
    heard(&mut store, 1, 3);
    store.admit();
    store.commit().unwrap();
    let before = store.counts();
    heard(&mut store, 1, 3);
    store.admit();
    store.commit().unwrap();
    assert_eq!(store.counts(), before);
    // Of many words of a peer the last is written, once.
    for saves in 4..100 {
        heard(&mut store, 1, saves);
    }
    assert!(!store.memory().is_durable(1));
    store.commit().unwrap();
    assert_eq!(store.counts().records, before.records + 1);
    drop(store);
    let (store, _) = open(&disk).unwrap();
    assert_eq!(store.memory().known(1).map(|known| known.saves), Some(99));
    assert_eq!(store.memory().known(2), None);
}

#[test]
fn a_journal_is_compacted_when_it_is_long_and_stays_in_bounds() {
    let limits = Limits { compact_above: 8000, ..SMALL };
    let disk = SimDisk::new();
    let (mut store, _) = open_with(&disk, limits).unwrap();
    let mut account = Account { boot: 1, ..Account::default() };
    let mut longest = 0;
    for step in 0..400 {
        put(&mut store, &mut account, step as u8 % 5, solid(200, step as u8));
        store.commit().unwrap();
        longest = longest.max(disk.read(&live(&disk)).unwrap().len());
    }
    assert!((8000..=9728).contains(&longest), "{longest}");
    assert!((8..=20).contains(&store.counts().compactions), "{}", store.counts().compactions);
    drop(store);
    let (store, _) = open_with(&disk, limits).unwrap();
    assert_eq!(Account::of(&store), Account { boot: 2, ..account });
}

#[test]
fn a_large_state_is_not_compacted_again_and_again() {
    let disk = SimDisk::new();
    let (mut store, _) = open_with(&disk, Limits { batch: 1 << 24, compact_above: 0, ..SMALL }).unwrap();
    let mut account = Account { boot: 1, ..Account::default() };
    // More than a frame of an opening, and more than a piece.
    put(&mut store, &mut account, 0, solid(3_000_000, 1));
    store.commit().unwrap();
    let before = store.counts().compactions;
    for step in 0..100 {
        put(&mut store, &mut account, 1, solid(10_000, step));
        store.commit().unwrap();
    }
    assert_eq!(store.counts().compactions - before, 0, "100 changes are less than the snapshot");
    drop(store);
    let (store, opened) = open(&disk).unwrap();
    assert!(opened.journal.batches >= 3 + 100);
    assert_eq!(Account::of(&store), Account { boot: 2, ..account });
}

#[test]
fn two_files_are_one_too_many_unless_a_compaction_left_them() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk).unwrap();
    let mut account = Account { boot: 1, ..Account::default() };
    put(&mut store, &mut account, 1, solid(100, 1));
    store.commit().unwrap();
    let old = disk.read("journal-00000001").unwrap();
    store.compact().unwrap();
    drop(store);
    let new = disk.read("journal-00000002").unwrap();
    let identity = disk.read("identity").unwrap();
    // As a crash between the rename and the removal leaves it, with a file that a later one had begun.
    let both = [("identity", &identity[..]), ("journal-00000001", &old), ("journal-00000002", &new)];
    let both_and_more = disk_with(&both);
    both_and_more.put("journal-00000003.new", b"begun");
    both_and_more.put("journal-notes", b"not ours");
    let (store, _) = open(&both_and_more).unwrap();
    assert_eq!(Account::of(&store), Account { boot: 2, ..account });
    assert_eq!(both_and_more.names(), ["identity", "journal-00000002", "journal-notes"]);
    // The newer one is damaged: the older one is not fallen back to.
    let damaged = disk_with(&both);
    damaged.put("journal-00000002", &new[..new.len() - 1]);
    assert!(matches!(open(&damaged).unwrap_err().why, Why::Damaged(_)));
    assert!(damaged.names().contains(&"journal-00000001".into()), "nothing is removed by a refusal");
    // No crash leaves files that are not neighbours, or the file of another directory.
    let apart = disk_with(&both);
    apart.put("journal-00000003", &new);
    assert!(open(&apart).unwrap_err().to_string().contains("stands beside"));
    let twice = disk_with(&[("identity", &identity), ("journal-00000002", &new)]);
    open(&twice).unwrap().0.compact().unwrap();
    twice.put("journal-00000001", &old);
    assert!(open(&twice).unwrap_err().to_string().contains("stands beside journal-00000003"));
    let renamed = disk_with(&[("identity", &identity), ("journal-00000007", &new)]);
    assert!(open(&renamed).unwrap_err().to_string().contains("written as journal-00000002"));
    let stranger = SimDisk::new();
    drop(
        synod_runtime::store::Store::<Map, Puts, _>::open_with(
            stranger.open().unwrap(),
            WHO,
            &MEMBERS,
            5,
            SMALL,
        )
        .unwrap(),
    );
    let strange = disk_with(&both);
    strange.put("journal-00000001", &stranger.read("journal-00000001").unwrap());
    assert!(open(&strange).unwrap_err().to_string().contains("another directory"));
}

#[test]
fn a_name_that_no_journal_was_given_is_left_alone() {
    let disk = SimDisk::new();
    let (mut store, _) = open(&disk).unwrap();
    let mut account = Account { boot: 1, ..Account::default() };
    put(&mut store, &mut account, 1, solid(100, 1));
    store.commit().unwrap();
    drop(store);
    let own = disk.read("journal-00000001").unwrap();
    let others = [
        "journal-1",
        "journal-+0000001",
        "journal-000000002",
        "journal-4611686018427387904",
        "journal-18446744073709551615",
        "journal-00000001.old",
        "Journal-00000002",
        "journal-1.new",
        "notes.new",
    ];
    for name in others {
        disk.put(name, &own);
    }
    let (store, opened) = open(&disk).unwrap();
    assert!(opened.journal.file.ends_with("journal-00000001"), "{}", opened.journal.file);
    assert_eq!(Account::of(&store), Account { boot: 2, ..account });
    assert!(
        others.iter().all(|name| disk.read(name).is_some()),
        "nothing else is removed: {:?}",
        disk.names()
    );
}
