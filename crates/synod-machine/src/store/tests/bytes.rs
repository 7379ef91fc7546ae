//! Tests of the bytes that a store holds, and of their limit.

use super::*;

/// Tells the store how much it may hold.
fn may_hold(store: &mut Store, bytes: u64) {
    let settings = Settings { bytes, ..Settings::default() };
    assert_eq!(store.apply(&StoreCommand::Settings(settings)), StoreOutput::Settings(settings));
}

#[test]
fn a_full_store_does_nothing_that_grows_it_and_everything_that_shrinks_it() {
    let mut store = Store::default();
    may_hold(&mut store, 2 * 128 + 8);
    run(&mut store, &[put("a", "123", Lives::Forever), put("b", "123", Lives::Forever)]);
    assert_eq!(store.bytes(), 2 * 128 + 8);
    let pay = Operation::Bank(BankCommand::Deposit { account: 1, amount: 5 });
    for grows in [put("a", "1234", Lives::Forever), put("c", "", Lives::Forever), add("n", 1), pay] {
        let before = store.clone();
        // The first operation is taken back with the second.
        let said = store.apply(&transact(&[], &[add("b", 1), grows.clone()]));
        assert!(matches!(said, StoreOutput::Full { held: 264, most: 264, more: 1.. }), "{grows:?}: {said:?}");
        assert_eq!(store, before, "{grows:?}");
    }
    assert!(matches!(
        store.apply(&transact(&[], &[acquire("me", Lives::Forever)])),
        StoreOutput::Full { .. }
    ));
    run(&mut store, &[put("a", "321", Lives::For(5)), get("a")]);
    // It grows and shrinks in one transaction, and ends as large as it was.
    run(&mut store, &[put("c", "123", Lives::Forever), delete("b")]);
    may_hold(&mut store, 1);
    assert_eq!(store.bytes(), 264, "what is there stays");
    run(
        &mut store,
        &[put("a", "1", Lives::For(5)), Operation::Live { key: "c".into(), lives: Lives::For(9) }],
    );
    tick(&mut store, 10);
    tick(&mut store, 15);
    assert_eq!(store.bytes(), 128 + 4, "what is over gives its bytes back");
    assert_eq!(one(&mut store, delete("c")), Outcome::Deleted);
    assert_eq!(store.bytes(), 0);
    may_hold(&mut store, 129 + 2);
    assert_eq!(one(&mut store, acquire("me", Lives::Forever)), Outcome::Granted { token: 1 });
}

#[test]
fn settings_that_serve_nobody_change_nothing() {
    let mut store = Store::default();
    let mut nobody = Settings::default();
    nobody.sessions.window = 0;
    assert_eq!(store.apply(&StoreCommand::Settings(nobody)), StoreOutput::Settings(Settings::default()));
    assert_eq!(store, Store::default());
}
