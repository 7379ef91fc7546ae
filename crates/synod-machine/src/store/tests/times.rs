//! What ends by itself.

use super::*;
use crate::store::times::LONGEST;

#[test]
fn what_has_a_time_ends_by_the_clock_of_the_log_and_by_nothing_else() {
    let mut store = Store::default();
    run(&mut store, &[put("a", "x", Lives::For(10)), acquire("me", Lives::For(20))]);
    tick(&mut store, 1000);
    assert_eq!(one(&mut store, get("a")), Outcome::Found(item("x", 1, Some(10))));
    tick(&mut store, 1009);
    assert_eq!(one(&mut store, get("a")), Outcome::Found(item("x", 1, Some(1))));
    tick(&mut store, 900);
    assert_eq!(store.clock(), 1009, "it never goes back");
    tick(&mut store, 1010);
    assert_eq!((one(&mut store, get("a")), store.len()), (Outcome::Absent, 0));
    let gone = Change { version: 2, key: "a".into(), value: None };
    assert_eq!(one(&mut store, changes("", 1, 9)), Outcome::Changed { changes: vec![gone], last: 2 });
    assert!(matches!(one(&mut store, acquire("you", Lives::Forever)), Outcome::Held { left: Some(10), .. }));
    tick(&mut store, 1020);
    assert_eq!(one(&mut store, acquire("you", Lives::Forever)), Outcome::Granted { token: 2 });
    for now in [u64::MAX, u64::MAX - LONGEST] {
        tick(&mut store, now);
        assert_eq!(store.clock(), 1020, "that is no time");
    }
}

#[test]
fn a_time_runs_from_the_tick_that_knew_it_however_long_the_clock_stood_still() {
    let mut store = Store::default();
    let clock = |store: &mut Store| one(store, Operation::Clock);
    assert_eq!(clock(&mut store), Outcome::Clock { now: 0, runs: false, given: 0 });
    tick(&mut store, 1000);
    run(&mut store, &[put("a", "x", Lives::For(10)), acquire("me", Lives::For(10))]);
    assert_eq!(clock(&mut store), Outcome::Clock { now: 1000, runs: true, given: 2 });
    // An hour later somebody tells the time who knows of the key alone, and not of the lock.
    store.apply(&StoreCommand::Tick { now: 5000, given: 1 });
    assert_eq!(one(&mut store, get("a")), Outcome::Found(item("x", 1, Some(10))));
    store.apply(&StoreCommand::Tick { now: 5010, given: 1 });
    assert_eq!(one(&mut store, get("a")), Outcome::Absent);
    let holder = Operation::Holder { lock: "l".into() };
    assert!(matches!(one(&mut store, holder.clone()), Outcome::Held { left: Some(10), .. }));
    // A tick that claims to know more than there is starts what there is.
    store.apply(&StoreCommand::Tick { now: 5020, given: u64::MAX });
    one(&mut store, put("b", "x", Lives::For(10)));
    store.apply(&StoreCommand::Tick { now: 5030, given: 2 });
    assert_eq!(one(&mut store, holder), Outcome::Free);
    assert_eq!(one(&mut store, get("b")), Outcome::Found(item("x", 3, Some(10))), "it was given later");
    tick(&mut store, 5030);
    tick(&mut store, 5040);
    assert_eq!(clock(&mut store), Outcome::Clock { now: 5040, runs: false, given: 3 });
}

#[test]
fn a_tick_notes_and_removes_a_bounded_number_and_all_see_the_others_end() {
    let mut store = Store::default();
    let many: Vec<Operation> = (0..3 * SWEEP).map(|i| put(&format!("k{i:05}"), "v", Lives::For(5))).collect();
    run(&mut store, &many);
    assert_eq!(
        tick(&mut store, 100),
        SWEEP as u64,
        "counted up to here; the ends of two thirds are not noted"
    );
    let late = format!("k{:05}", 3 * SWEEP - 1);
    assert_eq!(one(&mut store, get(&late)), Outcome::Found(item("v", 1, Some(5))));
    assert_eq!(tick(&mut store, 105), SWEEP as u64 + SWEEP as u64);
    assert_eq!(store.len(), 2 * SWEEP);
    assert_eq!(one(&mut store, get(&late)), Outcome::Absent, "gone before it is removed");
    assert_eq!(keys(&one(&mut store, list("k", None, 9))), (String::new(), false));
    let mut other = Store::default();
    other.restore(&store.snapshot()).expect("it is one");
    assert_eq!(other, store);
    let again = transact(&[when(&late, Expect::Absent)], &[put(&late, "w", Lives::AsBefore)]);
    assert!(matches!(store.apply(&again), StoreOutput::Done(_)));
    assert_eq!(tick(&mut store, 106), SWEEP as u64 - 1);
    assert_eq!(tick(&mut store, 106), 0);
    assert_eq!(store.len(), 1, "the new one has no end");
    assert_eq!(other.times.starts(), 1);
    assert_eq!(store.times.starts(), 0, "what nothing waits for is forgotten");
}

#[test]
fn the_last_that_waits_has_its_start() {
    let mut store = Store::default();
    let many: Vec<Operation> = (0..=SWEEP).map(|i| put(&format!("k{i:05}"), "v", Lives::For(5))).collect();
    run(&mut store, &many);
    assert_eq!(tick(&mut store, 100), 1);
    let last = Operation::Get { key: format!("k{SWEEP:05}").as_str().into() };
    assert_eq!(one(&mut store, last.clone()), Outcome::Found(item("v", 1, Some(5))));
    store.apply(&StoreCommand::Tick { now: 105, given: 0 });
    assert_eq!(one(&mut store, last), Outcome::Absent);
}

#[test]
fn starts_are_kept_for_what_waits_alone() {
    let mut store = Store::default();
    for now in 0..100 {
        run(&mut store, &[put("a", "x", Lives::For(50)), put("b", "x", Lives::For(50)), delete("b")]);
        tick(&mut store, now);
        assert_eq!(store.times.starts(), 0);
    }
}

#[test]
fn a_time_can_be_changed_and_a_sum_keeps_it() {
    let mut store = Store::default();
    let live = |key: &str, lives| Operation::Live { key: key.into(), lives };
    assert_eq!(one(&mut store, live("n", Lives::For(9))), Outcome::Absent);
    run(&mut store, &[put("n", "41", Lives::For(9)), add("n", 1)]);
    assert_eq!(one(&mut store, get("n")), Outcome::Found(item("42", 1, Some(9))));
    one(&mut store, live("n", Lives::Forever));
    tick(&mut store, 10);
    assert_eq!(one(&mut store, get("n")), Outcome::Found(item("42", 1, None)));
    one(&mut store, live("n", Lives::For(u64::MAX)));
    assert_eq!(one(&mut store, get("n")), Outcome::Found(item("42", 1, Some(LONGEST))));
    one(&mut store, live("n", Lives::For(0)));
    assert_eq!(one(&mut store, get("n")), Outcome::Found(item("42", 1, Some(1))), "until the clock runs");
    assert_eq!(one(&mut store, add("new", -3)), Outcome::Sum { sum: -3, version: 2 });
    for text in ["", "x", "+1", "01", "1 ", "9223372036854775808"] {
        one(&mut store, put("n", text, Lives::Forever));
        assert_eq!(one(&mut store, add("n", 1)), Outcome::NoNumber, "{text:?}");
    }
    one(&mut store, put("n", &i64::MAX.to_string(), Lives::Forever));
    assert_eq!(one(&mut store, add("n", 1)), Outcome::NoNumber);
}
