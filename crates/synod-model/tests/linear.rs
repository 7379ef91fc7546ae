//! The models of registers judge what clients are told by trying every order (`log.rs`); the tester of `synod-linear` comes to
//! the same verdict on every history that is explored, broken ones included.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use synod::Msg;
use synod_explore::{Options, Property, Subject, System, Verdict, explore};
use synod_model::{Built, Ghost, History, Inside, find, retold};

/// How many histories were compared, and how many of them have no order.
#[derive(Default)]
struct Compared {
    all: AtomicUsize,
    broken: AtomicUsize,
}

fn compare(compared: &Compared, history: &History) -> Result<(), String> {
    let calls = history.calls.iter();
    let calls = calls.map(|(asked, call)| (*asked, &call.command, &call.after, call.output.as_ref()));
    let tester = retold(calls).is_linearizable();
    let breach = history.broken.get("L1").map(ToString::to_string);
    // That a command was told two things is seen before any order is tried.
    if breach.as_ref().is_some_and(|breach| breach.contains("was answered")) {
        return Ok(());
    }
    compared.all.fetch_add(1, Ordering::Relaxed);
    compared.broken.fetch_add(usize::from(breach.is_some()), Ordering::Relaxed);
    if tester == breach.is_none() {
        Ok(())
    } else {
        Err(format!("the tester says {tester}, the model {breach:?}"))
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
    system.properties = vec![Property::always_history("same", move |history| compare(&counts, history))];
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
        Built::Mutant(system) => explore_all(system, depth),
        Built::Admission(_) => panic!("{name} has no clients"),
    }
}

#[test]
fn of_registers_that_keep_their_word_the_tester_says_so() {
    for name in ["log/one", "log/two-query", "log/two-crash", "log/two-retried"] {
        let compared = compared_in(name, None);
        let (all, broken) = (compared.all.into_inner(), compared.broken.into_inner());
        println!("{name}: {all} histories");
        assert!(all > 5 && broken == 0, "{name}: {all}, {broken}");
    }
}

#[test]
fn of_registers_that_do_not_it_says_so_too() {
    for name in ["mutants/answers-unconfirmed", "mutants/answers-too-early"] {
        let compared = compared_in(name, Some(20));
        let (all, broken) = (compared.all.into_inner(), compared.broken.into_inner());
        println!("{name}: {all} histories, {broken} without an order");
        assert!(broken > 0, "{name}: {all}, {broken}");
    }
}
