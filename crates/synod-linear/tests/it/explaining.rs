//! What people get to read, to the letter; and what a tester is, as a value.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use synod_linear::{
    History, MANY, Operation, Register, RegisterOp, RegisterRet, Tester, Verdict, check, check_register,
};

type Op = RegisterOp<u8>;
type Ret = RegisterRet<u8>;

fn says(verdict: Verdict) -> String {
    let Verdict::NotLinearizable(why) = verdict else { panic!("{verdict:?}") };
    why.to_string()
}

/// A stale read: 2 was read, and afterwards 1.
fn stale() -> History<Op, Ret> {
    let mut history = History::new();
    let one = history.invoke(1, Op::Write(1));
    history.returned(one, Ret::Written);
    let two = history.invoke(2, Op::Write(2));
    let read = history.invoke(3, Op::Read);
    history.returned(read, Ret::Value(Some(2)));
    let read = history.invoke(1, Op::Read);
    history.returned(read, Ret::Value(Some(1)));
    history.returned(two, Ret::Written);
    let read = history.invoke(1, Op::Read);
    history.returned(read, Ret::Value(Some(2)));
    history
}

#[test]
fn a_search_says_what_it_came_up_against() {
    assert_eq!(
        says(check(&Register::new(), &stale(), MANY)),
        "\
not linearizable: the first 7 of 10 events are not, and no fewer
nothing explains  process 1: read -> 1
before it could be  Some(2), after
    process 1: write 1 -> done
    process 2: write 2 -> ?
    process 3: read -> 2
and none of what else was open then helps (1)
  process 1: write 1 -> done  |--|
  process 2: write 2 -> ?           |--------------->
  process 3: read -> 2                 |--|
  process 1: read -> 1                       |--|
"
    );
}

#[test]
fn a_register_is_explained_by_values_that_exclude_each_other() {
    assert_eq!(
        says(check_register(&stale(), 0)),
        "\
not linearizable: the first 7 of 10 events are not, and no fewer
one value was there from the end of
    process 1: write 1 -> done
to the beginning of
    process 1: read -> 1
another value must have been there in between:
    process 3: read -> 2
  process 1: write 1 -> done  |--|
  process 2: write 2 -> ?           |--------------->
  process 3: read -> 2                 |--|
  process 1: read -> 1                       |--|
"
    );
}

#[test]
fn what_overlaps_by_the_clock_is_concurrent() {
    let operation = |process, op, invoked, returned| Operation { process, op, invoked, returned };
    let history = |read_at| {
        History::of(vec![
            operation(1, Op::Read, read_at, Some((9, Ret::Value(None)))),
            operation(2, Op::Write(1), 3, Some((5, Ret::Written))),
        ])
    };
    for (read_at, wanted) in [(4, true), (5, true), (6, false)] {
        assert_eq!(check(&Register::new(), &history(read_at), MANY).is_linearizable(), wanted, "{read_at}");
        assert_eq!(check_register(&history(read_at), MANY).is_linearizable(), wanted, "{read_at}");
    }
    // A clock that goes backwards: the operation is taken to be a moment.
    let backwards = History::of(vec![operation(1, Op::Write(1), 5, Some((2, Ret::Written)))]);
    assert!(check_register(&backwards, MANY).is_linearizable());
}

fn tester() -> Tester<Register<u8>, u8> {
    Tester::new(Register::new())
}

#[test]
fn histories_of_which_the_same_can_become_are_one_value() {
    let hash =
        |tester: &Tester<Register<u8>, u8>| BuildHasherDefault::<DefaultHasher>::default().hash_one(tester);
    // Two writes, one after the other, and the other way round with another one before.
    let mut one = tester();
    for value in [1, 2] {
        one.invoke(1, Op::Write(value));
        one.returned(&1, &Ret::Written);
    }
    let mut other = tester();
    other.invoke(2, Op::Write(2));
    other.returned(&2, &Ret::Written);
    assert_eq!((hash(&one), &one, one.possibilities()), (hash(&other), &other, 1));
    // What is open counts.
    other.invoke(2, Op::Read);
    assert!(one != other && other.open().count() == 1);
    // All that went wrong is one value.
    other.returned(&2, &Ret::Value(Some(1)));
    one.invoke(7, Op::Read);
    one.invoke(8, Op::Read);
    one.returned(&7, &Ret::Value(None));
    assert!(!one.is_linearizable() && !other.is_linearizable());
    assert_eq!((hash(&one), &one), (hash(&other), &other));
    assert_eq!(format!("{one:?}"), "not linearizable");
}

#[test]
fn a_tester_follows_what_may_have_happened() {
    let mut tester = tester();
    tester.invoke(1, Op::Write(1));
    tester.invoke(2, Op::Write(2));
    tester.invoke(3, Op::Read);
    tester.returned(&3, &Ret::Value(Some(1)));
    assert_eq!(tester.possibilities(), 2, "the other write came first, or is still to come");
    assert_eq!(
        format!("{tester:?}"),
        "Tester { open: [(1, write 1), (2, write 2)], possible: [Possible { state: Some(1), placed: [(1, done)] }, \
         Possible { state: Some(1), placed: [(1, done), (2, done)] }], .. }"
    );
    tester.returned(&1, &Ret::Written);
    tester.invoke(3, Op::Read);
    tester.returned(&3, &Ret::Value(Some(2)));
    assert_eq!(tester.possibilities(), 1);
    tester.invoke(3, Op::Read);
    tester.returned(&3, &Ret::Value(Some(1)));
    assert!(!tester.is_linearizable());
}

#[test]
fn names_and_values_can_be_exchanged() {
    let run = |processes: [u8; 2], values: [u8; 2]| {
        let mut tester = tester();
        tester.invoke(processes[0], Op::Write(values[0]));
        tester.invoke(processes[1], Op::Write(values[1]));
        tester.invoke(9, Op::Read);
        tester.returned(&9, &Ret::Value(Some(values[0])));
        tester
    };
    let swap = |value: &u8| match value {
        1 => 2,
        2 => 1,
        other => *other,
    };
    let exchanged = run([1, 2], [1, 2]).renamed(
        swap,
        |op| if let Op::Write(value) = op { Op::Write(swap(value)) } else { op.clone() },
        |state| state.as_ref().map(swap),
        Clone::clone,
    );
    assert_eq!(exchanged, run([2, 1], [2, 1]));
    assert_ne!(exchanged, run([1, 2], [1, 2]));
}
