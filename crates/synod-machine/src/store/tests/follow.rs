//! Whoever follows changes, over every short history: with room for two changes, and with snapshots in between.

use super::*;
use std::collections::BTreeMap;

/// So long that two changes are kept and no third. Copies share it.
fn long(letter: u8) -> Blob {
    Blob::from(vec![letter; 7 << 20])
}

/// Follows from `after` on until nothing is new. Returns what was seen, or `None` once it is told that changes are missing.
///
/// With `deaf` it goes on from where changes are kept as if it had not been told.
fn follow(store: &mut Store, prefix: &str, mut after: u64, limit: u32, deaf: bool) -> Option<Vec<Change>> {
    let mut seen = Vec::new();
    loop {
        match one(store, changes(prefix, after, limit)) {
            Outcome::Truncated { oldest } if deaf => after = oldest,
            Outcome::Truncated { .. } => return None,
            Outcome::Changed { changes, last } => {
                seen.extend(changes);
                if last == store.version().max(after) {
                    return Some(seen);
                }
                assert!(last > after, "it gets ahead");
                after = last;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn named(change: &Change) -> (u64, &Blob, bool) {
    (change.version, &change.key, change.value.is_some())
}

/// The number of times that changes were missed without a word, of all histories of `steps` operations.
fn missed(steps: u32, deaf: bool) -> (usize, usize) {
    let values = [long(b'1'), long(b'2')];
    let put = |key: &str, value: &Blob| Operation::Put {
        key: key.into(),
        value: value.clone(),
        lives: Lives::Forever,
    };
    let operations = [put("a", &values[0]), put("b", &values[1]), delete("a"), put("ab", &"s".into())];
    let (mut missed, mut truncated) = (0, 0);
    for history in 0..operations.len().pow(steps) {
        let mut store = Store::default();
        let mut all: BTreeMap<u64, Change> = BTreeMap::new();
        let mut rest = history;
        for step in 0..steps {
            let operation = &operations[rest % operations.len()];
            rest /= operations.len();
            let before = store.version();
            one(&mut store, operation.clone());
            if store.version() > before {
                let (key, value) = match operation {
                    Operation::Put { key, value, .. } => (key.clone(), Some(value.clone())),
                    _ => ("a".into(), None),
                };
                all.insert(store.version(), Change { version: store.version(), key, value });
            }
            // One replica in eight goes on from a snapshot.
            if step == 1 && history % 8 == 0 {
                let mut other = Store::default();
                other.restore(&store.snapshot()).expect("it is one");
                store = other;
            }
            for after in 0..=store.version() {
                for (prefix, limit) in [("", 1), ("", 9), ("a", 1), ("ab", 1)] {
                    let due = all
                        .values()
                        .filter(|change| change.version > after && change.key.starts_with(prefix.as_bytes()));
                    match follow(&mut store, prefix, after, limit, deaf) {
                        // Versions tell changes apart; long values take long to compare.
                        Some(seen) => missed += usize::from(!seen.iter().map(named).eq(due.map(named))),
                        None => truncated += 1,
                    }
                }
            }
        }
    }
    (missed, truncated)
}

#[test]
fn whoever_follows_from_anywhere_sees_every_change_or_is_told_that_some_are_missing() {
    let (missed, truncated) = missed(5, false);
    assert_eq!(missed, 0);
    assert!(truncated > 100, "changes were forgotten: {truncated}");
}

#[test]
fn one_that_is_not_told_of_the_gap_misses_changes() {
    assert!(missed(4, true).0 > 0);
}
