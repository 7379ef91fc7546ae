//! The replacement of stateright's tester gives the same answer after every change of any history.

use proptest::prelude::*;
use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::vec::{VecOp, VecRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester as Theirs, SequentialSpec};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use synod_explore::actor_model::{LinearizabilityTester, Plain};

/// An operation that begins, or one that returns.
type Event<S> = Result<<S as SequentialSpec>::Op, <S as SequentialSpec>::Ret>;

/// Tells both of all events, and compares. How many events there were before there was no order any more.
fn compare<S: Plain>(object: S, events: Vec<(u8, Event<S>)>) -> Result<usize, TestCaseError>
where
    S::Ret: PartialEq,
{
    let (mut ours, mut theirs) = (LinearizabilityTester::new(object.clone()), Theirs::new(object));
    for (n, (thread, event)) in events.into_iter().enumerate() {
        let said = match event {
            Ok(op) => (ours.on_invoke(thread, op.clone()).is_ok(), theirs.on_invoke(thread, op).is_ok()),
            Err(ret) => (ours.on_return(thread, ret.clone()).is_ok(), theirs.on_return(thread, ret).is_ok()),
        };
        prop_assert_eq!(said.0, said.1, "{:?} after {} events", &ours, n);
        prop_assert_eq!(ours.is_consistent(), theirs.is_consistent(), "{:?} after {} events", &ours, n + 1);
        if !ours.is_consistent() {
            return Ok(n);
        }
    }
    Ok(usize::MAX)
}

/// Events that mostly can be: a thread that has begun returns next, now and then it begins once more.
fn history<Op: Clone + Debug, Ret: Clone + Debug>(
    op: impl Strategy<Value = Op>,
    ret: impl Strategy<Value = Ret>,
) -> impl Strategy<Value = Vec<(u8, Result<Op, Ret>)>> {
    proptest::collection::vec((0..3_u8, op, ret, 0..40_u8), 0..14).prop_map(|events| {
        let mut begun = [false; 3];
        let event = |(thread, op, ret, odd)| {
            let begun = &mut begun[usize::from(thread)];
            let returns = *begun;
            *begun = !returns;
            (thread, if returns == (odd == 0) { Ok(op) } else { Err(ret) })
        };
        events.into_iter().map(event).collect()
    })
}

static WITHOUT_ORDER: AtomicUsize = AtomicUsize::new(0);

proptest! {
    #![proptest_config(crate::cases::cases(2000))]

    fn registers(
        events in history(
            prop_oneof![(0..3_u8).prop_map(RegisterOp::Write), Just(RegisterOp::Read)],
            prop_oneof![2 => Just(RegisterRet::WriteOk), 1 => (0..3_u8).prop_map(RegisterRet::ReadOk)],
        ),
    ) {
        let fell = compare(Register(0), events)?;
        WITHOUT_ORDER.fetch_add(usize::from(fell != usize::MAX && fell > 3), Ordering::Relaxed);
    }

    #[test]
    fn stacks_are_judged_as_by_stateright(
        events in history(
            prop_oneof![(0..3_u8).prop_map(VecOp::Push), Just(VecOp::Pop), Just(VecOp::Len)],
            prop_oneof![
                3 => Just(VecRet::PushOk),
                2 => (0..3_u8).prop_map(|value| VecRet::PopOk(Some(value))),
                1 => Just(VecRet::PopOk(None)),
                1 => (0..3_usize).prop_map(VecRet::LenOk),
            ],
        ),
    ) {
        compare(Vec::new(), events)?;
    }
}

#[test]
fn registers_are_judged_as_by_stateright() {
    registers();
    // Some histories have an order for a while and then none; otherwise nothing was compared.
    assert!(WITHOUT_ORDER.load(Ordering::Relaxed) > 50, "{WITHOUT_ORDER:?}");
}

#[test]
fn histories_of_which_the_same_can_become_are_one() {
    let written = |threads: &[u8]| {
        let mut tester = LinearizabilityTester::new(Register(0));
        for thread in threads {
            tester.on_invret(*thread, RegisterOp::Write(7), RegisterRet::WriteOk).expect("it can");
        }
        tester
    };
    assert_eq!(written(&[1]), written(&[2, 1]));
    assert_ne!(written(&[]), written(&[1]));
    let mut theirs = (Theirs::new(Register(0)), Theirs::new(Register(0)));
    theirs.0.on_invret(1, RegisterOp::Write(7), RegisterRet::WriteOk).expect("it can");
    theirs.1.on_invret(2, RegisterOp::Write(7), RegisterRet::WriteOk).expect("it can");
    assert_ne!(theirs.0, theirs.1, "which is what it is for");
}
