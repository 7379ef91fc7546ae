mod bytes;
mod follow;
mod times;

use super::changes::MOST_CHANGES;
use super::times::LONGEST;
use super::*;
use crate::{BankCommand, BankOutput, Expect};

fn transact(when: &[Condition], then: &[Operation]) -> StoreCommand {
    StoreCommand::Transact { when: when.to_vec(), then: then.to_vec() }
}

fn put(key: &str, value: &str, lives: Lives) -> Operation {
    Operation::Put { key: key.into(), value: value.into(), lives }
}

fn get(key: &str) -> Operation {
    Operation::Get { key: key.into() }
}

fn add(key: &str, by: i64) -> Operation {
    Operation::Add { key: key.into(), by }
}

fn delete(key: &str) -> Operation {
    Operation::Delete { key: key.into() }
}

fn acquire(owner: &str, lives: Lives) -> Operation {
    Operation::Acquire { lock: "l".into(), owner: owner.into(), lives }
}

fn list(prefix: &str, after: Option<&str>, limit: u32) -> Operation {
    Operation::List { prefix: prefix.into(), after: after.map(Blob::from), limit }
}

fn changes(prefix: &str, after: u64, limit: u32) -> Operation {
    Operation::Changes { prefix: prefix.into(), after, limit }
}

fn when(key: &str, expect: Expect) -> Condition {
    Condition::Key { key: key.into(), expect }
}

/// Does operations without conditions.
fn run(store: &mut Store, then: &[Operation]) -> Vec<Outcome> {
    match store.apply(&transact(&[], then)) {
        StoreOutput::Done(outcomes) => outcomes,
        other => panic!("there is no condition: {other:?}"),
    }
}

/// Does one operation.
fn one(store: &mut Store, operation: Operation) -> Outcome {
    run(store, &[operation]).remove(0)
}

/// Tells the time with what was given up to now.
fn tick(store: &mut Store, now: u64) -> u64 {
    let given = store.times.given();
    match store.apply(&StoreCommand::Tick { now, given }) {
        StoreOutput::Time { waiting, .. } => waiting,
        other => panic!("it is told the time: {other:?}"),
    }
}

fn item(value: &str, version: u64, left: Option<u64>) -> Item {
    Item { value: value.into(), version, left }
}

fn keys(outcome: &Outcome) -> (String, bool) {
    let Outcome::Listed { items, more } = outcome else { panic!("no list: {outcome:?}") };
    let keys = items.iter().fold(String::new(), |keys, (key, _)| keys + &format!("{key:?} "));
    (keys, *more)
}

#[test]
fn all_operations_happen_or_none_and_what_is_missing_is_said() {
    let mut store = Store::default();
    let both = [put("a", "1", Lives::Forever), put("b", "2", Lives::Forever)];
    let both_new = [when("a", Expect::Absent), when("b", Expect::Absent)];
    let done = StoreOutput::Done(vec![Outcome::Stored { version: 1 }; 2]);
    assert_eq!(store.apply(&transact(&both_new, &both)), done, "one command, one version");
    assert_eq!(
        store.apply(&transact(&both_new, &both)),
        StoreOutput::NotMet { condition: 0, found: Some(item("1", 1, None)) }
    );
    one(&mut store, delete("a"));
    assert_eq!(
        store.apply(&transact(&both_new, &both)),
        StoreOutput::NotMet { condition: 1, found: Some(item("2", 1, None)) }
    );
    assert_eq!(one(&mut store, get("a")), Outcome::Absent, "nothing was done");
    let swap =
        transact(&[when("b", Expect::Version(1))], &[get("b"), put("b", "3", Lives::AsBefore), get("b")]);
    let seen = vec![
        Outcome::Found(item("2", 1, None)),
        Outcome::Stored { version: 3 },
        Outcome::Found(item("3", 3, None)),
    ];
    assert_eq!(store.apply(&swap), StoreOutput::Done(seen), "each sees what those before it did");
    assert_eq!(store.version(), 3);
    one(&mut store, get("b"));
    assert_eq!(store.version(), 3, "questions draw no version");
}

#[test]
fn an_operation_with_a_condition_of_its_own_leaves_the_others_alone() {
    let mut store = Store::default();
    let put_if = |key: &str, value: &str, exists| Operation::PutIf {
        key: key.into(),
        value: value.into(),
        lives: Lives::Forever,
        exists,
    };
    let outcomes = run(
        &mut store,
        &[put_if("a", "1", true), put_if("a", "2", false), put_if("a", "3", false), put_if("a", "4", true)],
    );
    let stored = Outcome::Stored { version: 1 };
    let found = Outcome::Found(item("2", 1, None));
    assert_eq!(outcomes, [Outcome::Absent, stored.clone(), found, stored]);
    assert_eq!(one(&mut store, get("a")), Outcome::Found(item("4", 1, None)));
}

#[test]
fn a_key_that_came_and_went_has_changed() {
    let mut store = Store::default();
    run(&mut store, &[put("a", "1", Lives::Forever)]);
    assert_eq!(one(&mut store, Operation::Latest), Outcome::Latest { version: 1 });
    let unchanged = |key: &str, since| {
        let when = [Condition::Unchanged { key: key.into(), since }];
        transact(&when, &[])
    };
    let done = StoreOutput::Done(Vec::new());
    assert_eq!(
        store.apply(&unchanged("a", 0)),
        StoreOutput::NotMet { condition: 0, found: Some(item("1", 1, None)) }
    );
    assert_eq!(store.apply(&unchanged("a", 1)), done);
    assert_eq!(store.apply(&unchanged("b", 0)), done);
    one(&mut store, put("b", "1", Lives::Forever));
    one(&mut store, delete("b"));
    for since in [0, 1, 2] {
        assert_eq!(store.apply(&unchanged("b", since)), StoreOutput::NotMet { condition: 0, found: None });
    }
    assert_eq!(store.apply(&unchanged("b", 3)), done);
    for i in 0..MOST_CHANGES {
        one(&mut store, put("c", &i.to_string(), Lives::Forever));
    }
    assert_eq!(store.apply(&unchanged("b", 3)), done, "all changes since then are kept");
    let many: Vec<Condition> =
        (0..6).map(|i| Condition::Unchanged { key: format!("d{i}").as_str().into(), since: 3 }).collect();
    assert_eq!(
        store.apply(&transact(&many, &[])),
        StoreOutput::NotMet { condition: 5, found: None },
        "one transaction looks at so many changes"
    );
    one(&mut store, put("c", "", Lives::Forever));
    assert_eq!(store.apply(&unchanged("b", 3)), StoreOutput::NotMet { condition: 0, found: None });
    assert_eq!(store.apply(&unchanged("a", 3)), done, "its value is from then");
}

#[test]
fn a_write_with_the_token_of_an_ended_grant_is_refused() {
    let mut store = Store::default();
    assert_eq!(one(&mut store, acquire("me", Lives::For(5))), Outcome::Granted { token: 1 });
    tick(&mut store, 0);
    let guarded =
        |token| transact(&[Condition::Lock { lock: "l".into(), token }], &[put("k", "v", Lives::Forever)]);
    assert!(matches!(store.apply(&guarded(1)), StoreOutput::Done(_)));
    assert_eq!(one(&mut store, acquire("me", Lives::For(9))), Outcome::AlreadyYours { token: 1 });
    tick(&mut store, 0);
    tick(&mut store, 8);
    assert!(matches!(store.apply(&guarded(1)), StoreOutput::Done(_)), "the grant was prolonged");
    tick(&mut store, 9);
    assert_eq!(
        store.apply(&guarded(1)),
        StoreOutput::Fenced { condition: 0, holder: None },
        "though nobody else has it"
    );
    assert_eq!(one(&mut store, acquire("you", Lives::Forever)), Outcome::Granted { token: 2 });
    let you = Held { owner: "you".into(), token: 2 };
    assert_eq!(store.apply(&guarded(1)), StoreOutput::Fenced { condition: 0, holder: Some(you.clone()) });
    let release = |token| Operation::Release { lock: "l".into(), token };
    assert_eq!(one(&mut store, release(1)), Outcome::Held { grant: you.clone(), left: None });
    assert_eq!(
        one(&mut store, Operation::Holder { lock: "l".into() }),
        Outcome::Held { grant: you, left: None }
    );
    assert_eq!(one(&mut store, release(2)), Outcome::Released);
    assert_eq!(one(&mut store, release(2)), Outcome::Free);
}

#[test]
fn a_list_has_the_keys_of_its_prefix_in_order_and_says_where_it_stops() {
    let mut store = Store::default();
    for key in ["b", "a/2", "a/1", "a", "a/3", "a0"] {
        one(&mut store, put(key, "v", Lives::Forever));
    }
    let mut ask = |prefix, after, limit| keys(&one(&mut store, list(prefix, after, limit)));
    assert_eq!(ask("a/", None, 9), ("\"a/1\" \"a/2\" \"a/3\" ".to_owned(), false));
    assert_eq!(ask("a/", None, 2), ("\"a/1\" \"a/2\" ".to_owned(), true));
    assert_eq!(ask("a/", Some("a/2"), 2), ("\"a/3\" ".to_owned(), false));
    assert_eq!(ask("a/", Some("a"), 1), ("\"a/1\" ".to_owned(), true), "a key before the prefix");
    assert_eq!(ask("a/", Some("b"), 1), (String::new(), false), "a key behind it");
    assert_eq!(ask("", None, 0), ("a ".to_owned(), true), "at least one, so that a list goes on");
    let long = "x".repeat(MOST_TOLD as usize);
    run(&mut store, &[put("c1", &long, Lives::Forever), put("c2", "v", Lives::Forever)]);
    assert_eq!(
        keys(&one(&mut store, list("c", None, 9))),
        ("c1 ".to_owned(), true),
        "an answer is bounded in bytes"
    );
}

#[test]
fn whoever_follows_changes_misses_none_or_is_told_so() {
    let mut store = Store::default();
    run(
        &mut store,
        &[put("a", "1", Lives::Forever), put("b", "1", Lives::Forever), put("a", "2", Lives::Forever)],
    );
    one(&mut store, delete("a"));
    let change = |version, key: &str, value: Option<&str>| Change {
        version,
        key: key.into(),
        value: value.map(Blob::from),
    };
    let mut ask = |prefix: &str, after, limit| one(&mut store, changes(prefix, after, limit));
    let first = vec![change(1, "a", Some("2")), change(1, "b", Some("1"))];
    assert_eq!(
        ask("", 0, 1),
        Outcome::Changed { changes: first, last: 1 },
        "a version is never told in parts"
    );
    assert_eq!(ask("", 1, 9), Outcome::Changed { changes: vec![change(2, "a", None)], last: 2 });
    assert_eq!(ask("b", 1, 9), Outcome::Changed { changes: Vec::new(), last: 2 });
    assert_eq!(ask("", 9, 9), Outcome::Changed { changes: Vec::new(), last: 9 }, "ahead of all");
    for i in 0..MOST_CHANGES {
        one(&mut store, put("c", &i.to_string(), Lives::Forever));
    }
    assert_eq!(one(&mut store, changes("", 1, 9)), Outcome::Truncated { oldest: 2 });
    let Outcome::Changed { changes: told, last } = one(&mut store, changes("", 2, 2)) else {
        panic!("they are kept")
    };
    assert_eq!((told, last), (vec![change(3, "c", Some("0")), change(4, "c", Some("1"))], 4));
    let (mut after, mut count) = (2, 0);
    while let Outcome::Changed { changes: told, last } = one(&mut store, changes("c", after, 700)) {
        count += told.len();
        if told.is_empty() {
            break;
        }
        after = last;
    }
    assert_eq!((count, after), (MOST_CHANGES, store.version()));
}

#[test]
fn the_newest_change_is_kept_however_long_and_older_ones_make_room() {
    let mut store = Store::default();
    let long = "x".repeat(changes::MOST_BYTES as usize);
    one(&mut store, put("a", "1", Lives::Forever));
    one(&mut store, put("b", &long, Lives::Forever));
    assert_eq!(one(&mut store, changes("", 0, 9)), Outcome::Truncated { oldest: 1 });
    let Outcome::Changed { changes: told, .. } = one(&mut store, changes("", 1, 9)) else {
        panic!("it is kept")
    };
    assert_eq!(told.len(), 1);
    one(&mut store, put("a", "2", Lives::Forever));
    assert_eq!(one(&mut store, changes("", 1, 9)), Outcome::Truncated { oldest: 2 });
}

#[test]
fn keys_locks_and_accounts_have_names_of_their_own() {
    let mut store = Store::default();
    let pay = Operation::Bank(BankCommand::Deposit { account: 1, amount: 5 });
    let outcomes = run(&mut store, &[put("l", "v", Lives::Forever), acquire("me", Lives::Forever), pay]);
    let expected = [
        Outcome::Stored { version: 1 },
        Outcome::Granted { token: 1 },
        Outcome::Bank(BankOutput::Done { old: 0, new: 5 }),
    ];
    assert_eq!(outcomes, expected);
    let balance = transact(&[], &[Operation::Bank(BankCommand::Balance { account: 1 })]);
    assert_eq!(
        store.query(&balance),
        Some(StoreOutput::Done(vec![Outcome::Bank(BankOutput::Done { old: 5, new: 5 })]))
    );
}

/// Gives the last key another end.
fn end_of(store: &mut Store, end: End) {
    store.keys.get_mut(&Blob::from("later")).expect("a key").end = Some(end);
}

#[test]
fn a_snapshot_that_no_store_wrote_is_refused() {
    let mut store = Store::default();
    tick(&mut store, 7);
    run(&mut store, &[put("k", "v", Lives::For(5)), acquire("me", Lives::For(5))]);
    tick(&mut store, 8);
    run(&mut store, &[put("late", "v", Lives::For(5)), put("later", "v", Lives::For(5))]);
    let mut other = Store::default();
    other.restore(&store.snapshot()).expect("it is one");
    assert_eq!(other, store);
    for forge in [
        |store: &mut Store| store.latest = 0,
        |store: &mut Store| store.latest = u64::MAX,
        |store: &mut Store| store.times.saved_mut().clock = u64::MAX,
        |store: &mut Store| store.times.saved_mut().given = 3,
        |store: &mut Store| store.times.saved_mut().given = u64::MAX,
        |store: &mut Store| store.times.saved_mut().started = 3,
        |store: &mut Store| store.times.saved_mut().starts.extend([(2u64, 8u64)]),
        |store: &mut Store| store.times.saved_mut().starts.extend([(3u64, 8u64)]),
        |store: &mut Store| end_of(store, End::After { number: 5, time: 1 }),
        |store: &mut Store| end_of(store, End::After { number: 0, time: 1 }),
        |store: &mut Store| end_of(store, End::After { number: 3, time: 0 }),
        |store: &mut Store| end_of(store, End::After { number: 3, time: LONGEST + 1 }),
        |store: &mut Store| {
            let mut nobody = Settings::default();
            nobody.sessions.window = 0;
            store.told = Some(nobody);
        },
        |store: &mut Store| store.token = 0,
        |store: &mut Store| store.token = u64::MAX,
        |store: &mut Store| store.keys.get_mut(&Blob::from("k")).expect("a key").what.version = 0,
        |store: &mut Store| end_of(store, End::At(u64::MAX)),
        |store: &mut Store| store.locks.get_mut(&Blob::from("l")).expect("a lock").what.token = 0,
        |store: &mut Store| store.changes.note(9, &Blob::from("k"), None),
    ] {
        let mut forged = store.clone();
        forge(&mut forged);
        assert!(other.restore(&forged.snapshot()).is_err(), "{forged:?}");
        assert_eq!(other, store, "as it was");
    }
}
