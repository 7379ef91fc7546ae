//! L1 of a register against an oracle: every order of the calls is tried, on every history that is explored, those included of which
//! there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use synod::{Msg, QuorumRule, Quorums, Value};
use synod_explore::{Options, Property, Subject, System, Verdict, explore};
use synod_model::claims::l1;
use synod_model::{Asked, Built, Call, Ghost, History, Inside, find};

/// The number of histories that were compared, and of those that have no order.
#[derive(Default)]
struct Compared {
    all: AtomicUsize,
    broken: AtomicUsize,
}

/// True if the calls that are not placed can be placed one by one, each after those that had ended when it began, so that a register
/// says what clients were told. A call without an answer may have taken effect or not.
fn has_order(calls: &BTreeMap<Asked, Call>, holds: Option<&Value>, placed: &BTreeSet<Asked>) -> bool {
    let open = || calls.iter().filter(|(asked, _)| !placed.contains(asked));
    if open().all(|(_, call)| call.output.is_none()) {
        return true;
    }
    open().any(|(asked, call)| {
        let may_come = call.after.iter().all(|before| placed.contains(before));
        let said = holds.cloned().unwrap_or_else(|| Value::from("nothing"));
        if !may_come || call.output.as_ref().is_some_and(|told| *told != said) {
            return false;
        }
        let is_read = call.command.as_bytes().starts_with(b"get");
        let placed = placed.iter().copied().chain([*asked]).collect();
        has_order(calls, if is_read { holds } else { Some(&call.command) }, &placed)
    })
}

fn compare(compared: &Compared, quorums: &Quorums, history: &History) -> Result<(), String> {
    let calls = History { calls: history.calls.clone(), ..History::default() };
    let (judged, tried) = (l1(quorums, &calls), has_order(&history.calls, None, &BTreeSet::new()));
    compared.all.fetch_add(1, Ordering::Relaxed);
    compared.broken.fetch_add(usize::from(!tried), Ordering::Relaxed);
    if judged.is_ok() == tried {
        Ok(())
    } else {
        Err(format!("L1 says {judged:?}; that there is an order: {tried}"))
    }
}

/// Explores all of a model up to a depth, with nothing but the comparison to be checked.
fn explore_all<A>(mut system: System<A, Ghost>, depth: Option<usize>) -> Compared
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let compared = Arc::new(Compared::default());
    let counts = Arc::clone(&compared);
    let quorums = Quorums::new(1, QuorumRule::Majority, QuorumRule::Majority).expect("a majority");
    let same = move |history: &History| compare(&counts, &quorums, history);
    system.properties = vec![Property::always_history("same", same)];
    system.bounds.depth = depth;
    let options = Options { threads: 2, ..Options::default() };
    let report = explore(&system, &options);
    drop(system);
    assert!(
        matches!(report.verdict, Verdict::Holds | Verdict::HoldsWithinBound { .. }),
        "{:?}",
        report.verdict
    );
    Arc::into_inner(compared).expect("the exploration is over")
}

fn compared_in(name: &str, depth: Option<usize>) -> Compared {
    match find(name).expect("a model of the catalogue").build() {
        Built::Plain(system) => explore_all(system, depth),
        Built::Decorated(system) => explore_all(system, depth),
        Built::Admission(_) | Built::Clock(_) | Built::Timed(_) | Built::Master(_) => {
            panic!("{name} has no clients")
        }
    }
}

#[test]
fn of_registers_that_keep_their_word_both_say_so() {
    for name in ["log/one", "log/two-query", "log/two-crash", "log/two-retried"] {
        let compared = compared_in(name, None);
        let (all, broken) = (compared.all.into_inner(), compared.broken.into_inner());
        println!("{name}: {all} histories");
        assert!(all > 5 && broken == 0, "{name}: {all}, {broken}");
    }
}

#[test]
fn of_registers_that_do_not_both_say_so_too() {
    for name in ["mutants/answers-unconfirmed", "mutants/answers-too-early"] {
        let compared = compared_in(name, Some(20));
        let (all, broken) = (compared.all.into_inner(), compared.broken.into_inner());
        println!("{name}: {all} histories, {broken} without an order");
        assert!(broken > 0, "{name}: {all}, {broken}");
    }
}
