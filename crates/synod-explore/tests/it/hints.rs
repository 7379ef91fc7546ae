//! A hint about dead messages saves beginning anew, and is believed in nothing.

use crate::cases;
use crate::differential::{Digest, assert_same};
use crate::erased::explore;
use crate::machines::{Effect, MESSAGES, Machine, Output, STATES, machines};
use crate::paxos;
use crate::reductions::{assert_no_weaker, dead, digested, letters, like_pingers, status};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustc_hash::FxHasher;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use synod_explore::{
    Delivery, Faults, Hint, Local, Network, Options, Progress, Property, Report, State, Status, Stop,
    Subject, System, Table, Verdict, Why,
};

/// Answers that follow from what was asked about, and otherwise from nothing.
fn arbitrary<A: Subject>(seed: u64) -> Hint<A> {
    Arc::new(move |local, envelope| {
        let mut hasher = FxHasher::default();
        (seed, local, envelope).hash(&mut hasher);
        hasher.finish().rotate_left(7) & 1 == 1
    })
}

fn counts<A: Subject>(report: &Report<A>) -> (u64, u64, usize) {
    (report.unique_states, report.generated_states, report.depth)
}

fn always<A: Subject>(says: bool) -> Hint<A> {
    Arc::new(move |_, _| says)
}

/// Random machines with crashes and losses, and whatever anybody says of their messages: the same is found, as early; and where
/// messages are only set aside, all is counted.
#[test]
fn no_hint_matters_to_a_finding() {
    let (mut runner, left_out, set_aside) =
        (TestRunner::new(cases(256)), AtomicUsize::new(0), AtomicUsize::new(0));
    let crashes = (0..3usize, proptest::option::of(0..3u32));
    let asked = (machines(), any::<bool>(), any::<bool>(), crashes, 0..4u8, any::<u64>());
    let found = runner.run(&asked, |(machines, set, loss, (max_down, max_crashes), at, seed)| {
        let mut system = System::new(machines, Digest { hears_all: false });
        system.network = Network { delivery: if set { Delivery::Set } else { Delivery::Multiset }, loss };
        system.faults =
            Faults { crashable: vec![true, false, true], max_down, max_crashes, absent: Vec::new() };
        let mut system = digested(system, at);
        let whole = explore(&system, &dead(false));
        for (hint, keeps_all) in [(arbitrary(seed), false), (always(false), false), (always(true), true)] {
            system.hint = Some(hint);
            let reduced = explore(&system, &dead(true));
            prop_assert!(status(&whole) == status(&reduced), "{reduced:?} and {whole:?}");
            assert_no_weaker(&whole, &reduced);
            let fewer = reduced.unique_states < whole.unique_states;
            left_out.fetch_add(usize::from(fewer), Ordering::Relaxed);
            set_aside.fetch_add(usize::from(fewer && !set && !loss), Ordering::Relaxed);
            if keeps_all {
                prop_assert_eq!((counts(&whole), 1), (counts(&reduced), reduced.passes));
            }
            let shared = explore(&system, &Options { threads: 2, table: Table::Fingerprint64, ..dead(true) });
            assert_same(&reduced, &shared);
            let fingerprints = [1, 2, 5].map(|threads| (Table::Fingerprint64, threads));
            for (table, threads) in fingerprints.into_iter().chain([(Table::Fingerprint128, 2)]) {
                let aside = explore(&system, &Options { table, threads, ..dead(false) });
                if matches!(whole.verdict, Verdict::Panicked { .. }) {
                    // Who ends early has counted rows.
                    prop_assert!(aside.unique_states <= whole.unique_states);
                } else {
                    prop_assert_eq!(counts(&whole), counts(&aside));
                }
                prop_assert_eq!(status(&whole), status(&aside));
                prop_assert_eq!(format!("{:?}", &whole.verdict), format!("{:?}", aside.verdict));
            }
        }
        Ok(())
    });
    found.unwrap_or_else(|why| panic!("{why}"));
    let (left_out, set_aside) = (left_out.into_inner(), set_aside.into_inner());
    assert!(left_out > 40 && set_aside > 6, "{left_out} and {set_aside}");
}

#[test]
fn a_right_hint_saves_beginning_anew_and_a_wrong_one_does_not() {
    let mut system = paxos::system(&paxos::model(3, 2));
    let (whole, unhinted) = (explore(&system, &dead(false)), explore(&system, &dead(true)));
    assert!(whole.passes == 1 && unhinted.passes > 2, "{} and {}", whole.passes, unhinted.passes);
    for (hint, right) in [(paxos::hint(), true), (always(false), false)] {
        system.hint = Some(hint);
        let hinted = explore(&system, &dead(true));
        assert_eq!((&hinted.verdict, status(&hinted)), (&whole.verdict, status(&whole)));
        assert_eq!(hinted.unique_states, unhinted.unique_states);
        assert_eq!(hinted.passes == 1, right, "{} passes", hinted.passes);
        assert!(!right || hinted.handler_calls < unhinted.handler_calls, "scouts ran handlers");
    }
}

/// A machine that goes on when its timer fires, or a message comes, and puts something out then.
fn goes_on(event: u8, outputs: Vec<Output>) -> Machine {
    let mut table = vec![Effect::default(); usize::from(STATES) * Machine::EVENTS];
    table[usize::from(event)] = Effect { to: Some(1), outputs };
    Machine { start: vec![Output::Set(0)], table }
}

/// Of a machine that it keeps messages in one state.
fn keeps_in(state: u8) -> Hint<Machine> {
    Arc::new(move |local, _| local.state.as_deref() == Some(&state))
}

/// One sends when its timer fires, the other moves on when its does, and ignores what is sent at all times. What was left out and
/// what is kept could meet in one state that then were two, of which one is never found if steps to it sleep.
#[test]
fn a_hint_that_keeps_what_was_left_out_before_is_refuted() {
    for receiver in [0, 1] {
        let mut machines = vec![goes_on(MESSAGES, vec![Output::Send(receiver, 0)])];
        machines.insert(receiver.into(), goes_on(MESSAGES, Vec::new()));
        for (state, passes) in [(0, 1), (1, 2)] {
            let mut system = System::new(machines.clone(), ());
            system.hint = Some(keeps_in(state));
            for (table, threads) in [(Table::Exact, 1), (Table::Exact, 2), (Table::Fingerprint64, 2)] {
                let report = explore(&system, &Options { table, threads, ..dead(true) });
                assert_eq!((counts(&report), report.passes), ((4, 5, 3), passes), "{state}, {receiver}");
            }
        }
    }
}

/// Until that is refuted: a way that is gone again may then keep what was left out when it was found.
#[test]
fn a_hint_that_was_not_refuted_yet_makes_no_way_impure() {
    let sender = goes_on(MESSAGES, (0..3).map(|message| Output::Send(1, message)).collect());
    let mut receiver = goes_on(1, Vec::new());
    receiver.start.clear();
    receiver.table[Machine::EVENTS + 2].to = Some(2);
    let has_both = |who, local: &Local<Machine>| {
        if (who, local.state.as_deref()) == (1, Some(&2)) { Err(String::new()) } else { Ok(()) }
    };
    let mut system =
        System::new(vec![sender, receiver], ()).property(Property::always_local("never both", has_both));
    system.hint = Some(keeps_in(2));
    let interrupt = AtomicBool::new(false);
    let progress = |progress: &Progress| interrupt.store(progress.depth > 2, Ordering::Relaxed);
    let options = Options { progress: Some(&progress), interrupt: Some(&interrupt), ..dead(true) };
    let (interrupted, whole) = (explore(&system, &options), explore(&system, &dead(true)));
    // What moves on to where the first message would be kept was left out itself at first, in both.
    assert_eq!((interrupted.passes, whole.passes), (2, 3));
    for report in [interrupted, whole] {
        assert_eq!(report.verdict, Verdict::Violated { property: "never both" });
        assert_eq!(status(&report), [("never both", Status::Violated, Some(3))]);
    }
}

#[test]
fn what_is_set_aside_is_counted() {
    let mut system = paxos::system(&paxos::model(3, 2));
    let whole = explore(&system, &Options { table: Table::Fingerprint64, ..dead(false) });
    for (hint, right) in [(paxos::hint(), true), (always(false), false)] {
        system.hint = Some(hint);
        for threads in [1, 2, 3, 4] {
            let aside = explore(&system, &Options { table: Table::Fingerprint64, threads, ..dead(false) });
            assert_eq!((&aside.verdict, status(&aside)), (&whole.verdict, status(&whole)));
            assert_eq!((counts(&aside), aside.unique_states), (counts(&whole), 16_668));
            assert_eq!(aside.passes == 1, right, "{} passes", aside.passes);
        }
        // What is compared whole is as it is.
        let exact = explore(&system, &dead(false));
        assert_eq!((counts(&exact), exact.passes), (counts(&whole), 1));
    }
}

/// Every way to an end before the end: a bound on the depth, a violation, and somebody who interrupts while states are counted.
#[test]
fn what_is_set_aside_is_counted_as_far_as_it_goes() {
    let mut system = paxos::system(&paxos::model(3, 2));
    let hashed = |threads| Options { table: Table::Fingerprint64, threads, ..dead(false) };
    for depth in [1, 2, 9, 15] {
        system.bounds.depth = Some(depth);
        let whole = explore(&System { hint: None, ..system.clone() }, &hashed(1));
        system.hint = Some(paxos::hint());
        for threads in [1, 2, 4] {
            let aside = explore(&system, &hashed(threads));
            assert_eq!((&aside.verdict, status(&aside)), (&whole.verdict, status(&whole)));
            assert_eq!(counts(&aside), counts(&whole), "up to {depth}");
        }
    }
    system.bounds.depth = None;

    let rows = explore(&system, &dead(true)).unique_states;
    // As soon as all rows are explored, when hardly any states were counted, and later.
    for least in [rows, rows + 1] {
        let interrupt = AtomicBool::new(false);
        let progress = |progress: &Progress| interrupt.store(progress.unique >= least, Ordering::Relaxed);
        let options = Options { progress: Some(&progress), interrupt: Some(&interrupt), ..hashed(1) };
        let report = explore(&system, &options);
        assert_eq!(report.verdict, Verdict::Incomplete(Why::Interrupted));
        assert!((least..16_668).contains(&report.unique_states), "{} states", report.unique_states);
    }

    let violated = letters("cdedeab");
    let at_once = |threads| Options { stop: Stop::FirstViolation, ..hashed(threads) };
    let whole = explore(&violated, &at_once(1));
    let hinted = System { hint: Some(always(true)), ..violated };
    for threads in [1, 2, 4] {
        let aside = explore(&hinted, &at_once(threads));
        assert_eq!(whole.verdict, Verdict::Violated { property: "reads c last" });
        assert_eq!((&aside.verdict, &aside.findings), (&whole.verdict, &whole.findings));
    }
}

/// So many that those who count have more to do than those who explore, who look rows up for them then.
#[test]
fn a_million_states_are_counted_by_any_number_of_threads() {
    let mut system = paxos::system(&paxos::model(3, 3));
    system.hint = Some(paxos::hint());
    for threads in [1, 2, 3, 4] {
        let aside = explore(&system, &Options { table: Table::Fingerprint64, threads, ..dead(false) });
        assert_eq!(counts(&aside), (1_194_428, 2_420_477, 28), "{threads} threads");
    }
}

/// States are left by the thousand when it happens, by clients in any order, and threads find out about many of them at a time.
#[test]
fn of_many_panics_it_is_the_first_that_counts() {
    let mut system = paxos::system(&paxos::model(3, 3));
    let nobody_reads = |history: &paxos::Kept| {
        let history = format!("{history:?}");
        assert!(!history.contains("ReadOk"), "{history}");
        Ok(())
    };
    system.properties.push(Property::always_history("nobody reads", nobody_reads));
    let hashed = |threads| Options { table: Table::Fingerprint64, threads, ..dead(false) };
    let whole = explore(&system, &hashed(1));
    assert!(matches!(whole.verdict, Verdict::Panicked { .. }), "{:?}", whole.verdict);
    assert!(whole.unique_states > 5_000, "{} states", whole.unique_states);
    system.hint = Some(paxos::hint());
    let rows = explore(&system, &hashed(1)).unique_states;
    for threads in [2, 3, 4] {
        let aside = explore(&system, &hashed(threads));
        assert_eq!(format!("{:?}", aside.verdict), format!("{:?}", whole.verdict), "{threads} threads");
        assert_eq!(aside.unique_states, rows, "{threads} threads");
    }
}

#[test]
fn nothing_is_set_aside_where_somebody_looks_at_it_or_rows_are_rewritten() {
    let crowded = |state: &State<_, _>| {
        if state.network.all().len() > 2 { Err("a crowd".to_owned()) } else { Ok(()) }
    };
    let watched = || letters("cddeee").property(Property::always_state("no crowd", crowded));
    let bounded = || {
        let mut system = letters("cddeee");
        system.bounds.state = Some(("few".to_owned(), Arc::new(|state| state.network.all().len() != 3)));
        system
    };
    let hashed = Options { table: Table::Fingerprint64, ..dead(false) };
    for system in [watched(), bounded()] {
        let whole = explore(&system, &hashed);
        let hinted = System { hint: Some(always(false)), ..system };
        assert_same(&whole, &explore(&hinted, &hashed));
    }
    let alike = explore(&like_pingers(), &hashed);
    let hinted = System { hint: Some(always(false)), ..like_pingers() };
    assert_same(&alike, &explore(&hinted, &hashed));
}

#[test]
fn a_hint_is_asked_once_a_local_and_a_message_and_only_of_what_is_ignored() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut system = paxos::system(&paxos::model(2, 2));
    let note = Arc::clone(&asked);
    system.hint = Some(Arc::new(move |local, envelope| {
        note.lock().expect("nobody panics").push(format!("{local:?} {envelope:?}"));
        paxos::hint()(local, envelope)
    }));
    let report = explore(&system, &dead(true));
    assert_eq!((report.verdict, report.passes), (Verdict::Holds, 1));
    let asked = asked.lock().expect("nobody panics");
    let distinct: HashSet<&String> = asked.iter().collect();
    assert_eq!(asked.len(), distinct.len());
    assert!(!asked.is_empty() && (asked.len() as u64) < report.handler_calls);
}

#[test]
fn a_hint_that_panics_ends_it() {
    let mut system = letters("ab");
    system.hint = Some(Arc::new(|_, envelope| panic!("what is {:?}?", envelope.msg)));
    let report = explore(&system, &dead(true));
    let Verdict::Panicked { message, trace } = report.verdict else { panic!("{:?}", report.verdict) };
    assert!(message.contains("hint") && message.contains("what is 'a'?") && trace.is_empty(), "{message}");
    // It is not asked where nothing is left out.
    assert_eq!(explore(&system, &dead(false)).verdict, explore(&letters("ab"), &dead(false)).verdict);

    // Of a local in which the message is never met, as the way there sleeps, it is only asked when it is checked.
    let machines = vec![goes_on(MESSAGES, vec![Output::Send(1, 0)]), goes_on(MESSAGES, Vec::new())];
    let mut system = System::new(machines, ());
    system.hint = Some(Arc::new(
        |local, _| if local.state.as_deref() == Some(&1) { panic!("moved on") } else { false },
    ));
    let Verdict::Panicked { message, .. } = explore(&system, &dead(true)).verdict else { panic!("no panic") };
    assert!(message.contains("hint") && message.contains("moved on"), "{message}");
}
