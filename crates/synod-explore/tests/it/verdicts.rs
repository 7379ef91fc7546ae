//! Every verdict, and for each the condition that makes it that one and not a milder one.

use crate::digest::assert_same;
use crate::erased::{explore, stateright_bfs};
use crate::paxos;
use stateright::actor::{Actor, Id, Out, model_timeout};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use synod_explore::{
    Action, Faults, Observer, Options, Progress, Property, Report, Status, Step, Stop, System, Table,
    Trigger, Verdict, Why,
};

/// A walker's habits beside walking.
#[derive(Clone, Default)]
struct Habits {
    /// Panics where it starts, or on arriving there.
    trap: Option<u32>,
    /// Saves twice, or sends before it saves.
    sloppy: Option<u32>,
    /// Gives every answer but the first few wrong.
    moody: Option<Arc<AtomicU32>>,
}

/// Walks up from 0, by one or by two, up to a limit.
#[derive(Clone)]
struct Walker {
    limit: u32,
    habits: Habits,
}

impl Actor for Walker {
    type Msg = u32;
    type State = u32;
    type Timer = ();
    type Random = u32;
    type Storage = u32;

    fn on_start(&self, _: Id, _: &Option<u32>, o: &mut Out<Self>) -> u32 {
        assert!(self.habits.trap != Some(0), "no way to start");
        o.choose_random("step", vec![1, 2]);
        0
    }

    fn on_random(&self, id: Id, state: &mut Cow<'_, u32>, step: &u32, o: &mut Out<Self>) {
        let mut at = **state + step;
        assert!(self.habits.trap != Some(at), "fell into the trap at {at}");
        if let Some(moody) = &self.habits.moody
            && moody.fetch_add(1, Ordering::Relaxed) > 3
        {
            at += 1;
        }
        *state.to_mut() = at;
        if self.habits.sloppy == Some(at) {
            o.send(id, at);
            o.save(at);
        }
        if at < self.limit {
            o.choose_random("step", vec![1, 2]);
        }
    }
}

/// Remembers the number of the last step of the first walker, if asked to; panics on a number.
#[derive(Clone)]
struct Follower {
    trap_in_note: Option<u32>,
    trap_in_update: Option<u32>,
}

const NO_TRAPS: Follower = Follower { trap_in_note: None, trap_in_update: None };

impl Observer<Walker> for Follower {
    type History = u32;
    type Note = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn note(&self, step: &Step<'_, Walker>) -> Option<u32> {
        let at = *step.after?;
        assert!(self.trap_in_note != Some(at), "cannot note {at}");
        matches!(step.trigger, Trigger::Random { .. }).then_some(at)
    }

    fn update(&self, _: &u32, note: &u32) -> Option<u32> {
        assert!(self.trap_in_update != Some(*note), "cannot remember {note}");
        Some(*note)
    }
}

type Walking = System<Walker, Follower>;
type State = synod_explore::State<Walker, Follower>;

fn walkers(count: usize, limit: u32) -> Walking {
    System::new(vec![Walker { limit, habits: Habits::default() }; count], NO_TRAPS)
}

fn habit(habits: Habits) -> Walking {
    System::new(vec![Walker { limit: 10, habits }], NO_TRAPS)
}

/// Explores, and checks what is the same for every system: the threads change nothing, the traces can be done
/// again, and what stateright finds is no different.
fn check(system: &Walking, stop: Stop) -> Report<Walker> {
    let report = explore(system, &Options { stop: stop.clone(), ..Options::default() });
    assert_same(&report, &explore(system, &Options { threads: 3, stop, ..Options::default() }));
    for finding in &report.findings {
        if let Some(trace) = &finding.trace {
            let judged = synod_explore::trace::judge(system, trace).expect("the trace can be done again");
            let judged = judged.iter().find(|judged| judged.property == finding.property).unwrap();
            assert_eq!((judged.status, &judged.detail), (finding.status, &finding.detail));
            assert_eq!(judged.step, Some(trace.len()), "the last step decides");
        }
    }
    report
}

fn below(limit: u32) -> Property<Walker, Follower> {
    Property::always_history("below", move |at| {
        if *at < limit { Ok(()) } else { Err(format!("{at} is not below {limit}")) }
    })
}

fn trace_length(report: &Report<Walker>, property: &str) -> Option<usize> {
    report.finding(property).unwrap().trace.as_ref().map(Vec::len)
}

#[test]
fn holds() {
    let system = walkers(2, 5).property(below(7));
    let report = check(&system, Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::Holds);
    assert_eq!(report.finding("below").unwrap().status, Status::Holds);
    assert_eq!(report.missed_state_odds.to_bits(), 0f64.to_bits());
    // Without a property everything is explored just as well.
    let bare = check(&walkers(2, 5), Stop::FirstViolation);
    assert_eq!((bare.verdict, bare.unique_states), (Verdict::Holds, report.unique_states));
}

#[test]
fn holds_within_a_bound_only_if_the_bound_cut_something_off() {
    let mut system = walkers(1, 5);
    system.bounds.depth = Some(3);
    let report = check(&system, Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::HoldsWithinBound("depth at most 3".to_owned()));
    assert_eq!((report.depth, report.unique_states), (3, 5));
    system.bounds.depth = Some(100);
    assert_eq!(check(&system, Stop::FirstViolation).verdict, Verdict::Holds);

    let local = |limit| Some(("not far".to_owned(), Arc::new(move |at: &u32| *at <= limit) as Arc<_>));
    let mut system = walkers(1, 5);
    system.bounds.local = local(4);
    let report = check(&system, Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::HoldsWithinBound("not far".to_owned()));
    system.bounds.local = local(6);
    assert_eq!(check(&system, Stop::FirstViolation).verdict, Verdict::Holds);

    let state = |limit| Some(("short".to_owned(), Arc::new(move |s: &State| s.history <= limit) as Arc<_>));
    let mut system = walkers(1, 5);
    system.bounds.state = state(4);
    let report = check(&system, Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::HoldsWithinBound("short".to_owned()));
    system.bounds.state = state(6);
    assert_eq!(check(&system, Stop::FirstViolation).verdict, Verdict::Holds);
}

#[test]
fn violated_with_a_shortest_trace() {
    // 7 is four steps away, one by one and three by two; by ones alone it would be seven.
    let report = check(&walkers(2, 10).property(below(7)), Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::Violated { property: "below" });
    let finding = report.finding("below").unwrap();
    assert_eq!((finding.status, finding.trace.as_ref().unwrap().len()), (Status::Violated, 4));
    assert_eq!(finding.detail.as_deref(), Some("7 is not below 7"));
}

#[test]
fn a_state_property_and_the_initial_state_can_be_violated_too() {
    let both = Property::always_state("not both at 3", |state: &State| {
        let at_3 = state.locals.iter().all(|local| local.state.as_deref() == Some(&3));
        if at_3 { Err("both are".to_owned()) } else { Ok(()) }
    });
    let report = check(&walkers(2, 10).property(both), Stop::FirstViolation);
    assert_eq!(trace_length(&report, "not both at 3"), Some(4));
    let together = Property::always_locals("not both at 3", |locals| {
        let at_3 = locals.iter().all(|local| local.state.as_deref() == Some(&3));
        if at_3 { Err("both are".to_owned()) } else { Ok(()) }
    });
    let report = check(&walkers(2, 10).property(together), Stop::FirstViolation);
    assert_eq!(trace_length(&report, "not both at 3"), Some(4));
    let report = check(&walkers(2, 10).property(below(0)), Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::Violated { property: "below" });
    assert_eq!((trace_length(&report, "below"), report.unique_states), (Some(0), 1));
}

#[test]
fn what_is_looked_for_after_a_violation_is_up_to_the_options() {
    let later = || Property::always_history("later", |at| if *at < 9 { Ok(()) } else { Err(String::new()) });
    let system = walkers(1, 20).property(later()).property(below(3));
    let first = check(&system, Stop::FirstViolation);
    assert_eq!(first.verdict, Verdict::Violated { property: "below" });
    assert_eq!(first.finding("later").unwrap().status, Status::Undecided);

    let named = check(&system, Stop::Violation("later".to_owned()));
    assert_eq!(named.verdict, Verdict::Violated { property: "later" });
    assert_eq!((trace_length(&named, "later"), trace_length(&named, "below")), (Some(5), Some(2)));

    // Everything is explored, and the verdict names the shortest violation, not the first property.
    let all = check(&system, Stop::Exhausted);
    assert_eq!(all.verdict, Verdict::Violated { property: "below" });
    assert_eq!(all.finding("later").unwrap().status, Status::Violated);
    assert_eq!(all.unique_states, check(&walkers(1, 20), Stop::Exhausted).unique_states);
    assert!(named.unique_states < all.unique_states);
}

#[test]
#[should_panic(expected = "no property named \"nonesuch\"")]
fn a_property_to_stop_at_has_to_exist() {
    explore(&walkers(1, 2), &Options { stop: Stop::Violation("nonesuch".to_owned()), ..Options::default() });
}

#[test]
fn vacuous_if_a_witness_was_never_found() {
    let system = walkers(1, 5)
        .property(Property::sometimes_history("six", |at| *at == 6))
        .property(Property::sometimes_history("seven", |at| *at == 7))
        .property(Property::sometimes_note("a step to 2", |at| *at == 2))
        .property(Property::sometimes_state("four", |state: &State| state.history == 4));
    let report = check(&system, Stop::FirstViolation);
    assert_eq!(report.verdict, Verdict::Vacuous(vec!["seven"]));
    assert_eq!(trace_length(&report, "six"), Some(3));
    assert_eq!(trace_length(&report, "a step to 2"), Some(1));
    assert_eq!(trace_length(&report, "four"), Some(2));
    let theirs = stateright_bfs(&system, 2);
    assert_eq!(theirs.verdict, report.verdict);
    // A violation outweighs a missing witness.
    let violated = check(&system.property(below(6)), Stop::FirstViolation);
    assert_eq!(violated.verdict, Verdict::Violated { property: "below" });
}

#[test]
fn vacuous_if_there_is_not_one_state() {
    let mut system = walkers(1, 5);
    system.bounds.local = Some(("nothing".to_owned(), Arc::new(|_| false)));
    let report = check(&system, Stop::FirstViolation);
    assert_eq!((report.verdict, report.unique_states), (Verdict::Vacuous(vec![]), 0));
}

#[test]
fn incomplete_when_the_time_is_up() {
    let time = Some(Duration::from_millis(200));
    let report = explore(&walkers(3, u32::MAX), &Options { time, ..Options::default() });
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Time));
    assert!(report.unique_states > 100 && report.generated_states > report.unique_states);
    assert!(report.elapsed < Duration::from_secs(20), "{:?}", report.elapsed);
    // With nothing but limits in the way, a property is not known to hold.
    let report = explore(
        &walkers(3, u32::MAX).property(below(u32::MAX)).property(Property::sometimes_history("0", |_| true)),
        &Options { time, threads: 2, ..Options::default() },
    );
    assert_eq!(report.finding("below").unwrap().status, Status::Undecided);
    assert_eq!(report.finding("0").unwrap().status, Status::Witnessed);
}

#[test]
fn incomplete_when_the_memory_is_full() {
    let memory = Some(64 << 20);
    let report = explore(&walkers(3, u32::MAX), &Options { memory, ..Options::default() });
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Memory));
    assert!(report.memory_bytes > 64 << 20 && report.unique_states > 1000);
}

#[test]
fn incomplete_when_somebody_asks_to_stop() {
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let report = |progress: &Progress| {
        assert!(progress.unique >= progress.frontier && progress.generated >= progress.unique);
        if calls.fetch_add(1, Ordering::Relaxed) == 5 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let options = Options { interrupt: Some(&stop), progress: Some(&report), ..Options::default() };
    let report = explore(&walkers(2, u32::MAX), &options);
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Interrupted));
    assert_eq!(calls.load(Ordering::Relaxed), 6);
    // A violation that was found before is reported nevertheless.
    let options = Options { stop: Stop::Exhausted, ..options };
    stop.store(false, Ordering::Relaxed);
    calls.store(0, Ordering::Relaxed);
    let report = explore(&walkers(2, u32::MAX).property(below(2)), &options);
    assert_eq!(report.verdict, Verdict::Violated { property: "below" });
}

/// The message and the length of the trace of a panic.
fn panicked(system: &Walking) -> (String, usize) {
    match check(system, Stop::FirstViolation).verdict {
        Verdict::Panicked { message, trace } => (message, trace.len()),
        other => panic!("{other}"),
    }
}

#[test]
fn panicked_in_a_handler() {
    let (message, steps) = panicked(&habit(Habits { trap: Some(5), ..Habits::default() }));
    assert!(
        message.starts_with("fell into the trap at 5 (at ") && message.contains("verdicts.rs"),
        "{message}"
    );
    assert_eq!(steps, 3);
    // It outweighs a violation that is as near.
    let system = habit(Habits { trap: Some(5), ..Habits::default() }).property(below(6));
    assert_eq!(panicked(&system).1, 3);
    let theirs = stateright_bfs(&system, 1);
    assert!(matches!(theirs.verdict, Verdict::Panicked { message, .. } if message.contains("the trap at 5")));
}

#[test]
fn panicked_at_the_start() {
    let (message, steps) = panicked(&habit(Habits { trap: Some(0), ..Habits::default() }));
    assert!(message.starts_with("no way to start"), "{message}");
    assert_eq!(steps, 0);
}

#[test]
fn panicked_in_the_observer() {
    let mut system = walkers(2, 10);
    system.observer.trap_in_note = Some(3);
    let (message, steps) = panicked(&system);
    assert!(message.starts_with("cannot note 3") && steps == 2, "{message}");
    system.observer = Follower { trap_in_update: Some(5), ..NO_TRAPS };
    let (message, steps) = panicked(&system);
    assert!(message.starts_with("cannot remember 5") && steps == 3, "{message}");
}

#[test]
fn panicked_in_a_property_or_a_bound() {
    let trap = |at: u32| assert!(at != 4, "cannot judge {at}");
    let history = Property::sometimes_history("history", move |at| {
        trap(*at);
        false
    });
    let state = Property::always_state("state", move |state: &State| {
        trap(state.history);
        Ok(())
    });
    let note = Property::sometimes_note("note", move |at| {
        trap(*at);
        false
    });
    for property in [history, state, note] {
        let expected = format!("property {:?}: cannot judge 4", property.name);
        let (message, steps) = panicked(&walkers(2, 10).property(property));
        assert!(message.starts_with(&expected) && steps == 2, "{message} {steps}");
    }
    let mut local = walkers(1, 10);
    local.bounds.local = Some((
        String::new(),
        Arc::new(move |at| {
            trap(*at);
            true
        }),
    ));
    let mut whole = walkers(1, 10);
    whole.bounds.state = Some((
        String::new(),
        Arc::new(move |state| {
            trap(state.history);
            true
        }),
    ));
    for system in [local, whole] {
        let (message, steps) = panicked(&system);
        assert!(message.starts_with("cannot judge 4") && steps == 2, "{message} {steps}");
    }
}

#[test]
fn panicked_if_the_step_contract_is_asserted_and_broken() {
    let mut system = habit(Habits { sloppy: Some(3), ..Habits::default() });
    assert_eq!(check(&system, Stop::FirstViolation).verdict, Verdict::Holds);
    system.assert_contract = true;
    let (message, steps) = panicked(&system);
    assert_eq!((message.as_str(), steps), ("step contract: sends 3 before it saves", 2));
}

#[test]
fn panicked_if_an_actor_is_no_function_of_its_inputs() {
    let moody = || Habits { moody: Some(Arc::default()), ..Habits::default() };
    // A trace that is reported is done again, so that it cannot be wrong.
    let report = explore(&habit(moody()).property(below(9)), &Options::default());
    let Verdict::Panicked { message, trace } = report.verdict else { panic!("{report:?}") };
    assert!(message.contains("not a function of its inputs"), "{message}");
    assert!(!trace.is_empty());
    // If no trace is reported, a sample of the steps is run again.
    let report = explore(&habit(moody()), &Options::default());
    let Verdict::Panicked { message, trace } = report.verdict else { panic!("{report:?}") };
    assert!(message.contains("the outcome of the step differs"), "{message}");
    assert!(matches!(trace.last(), Some(Action::<Walker>::SelectRandom { .. })));
}

#[test]
fn an_absent_actor_never_starts_and_takes_up_nobodys_crash() {
    let explore = |faults| {
        let mut system = walkers(2, 3);
        system.faults = faults;
        check(&system, Stop::FirstViolation).unique_states
    };
    let absent =
        |max_down| Faults { crashable: vec![true; 2], max_down, max_crashes: Some(1), absent: vec![true] };
    // One walker has 0 to 4 and the history tells the number of its last step, which is where it is.
    assert_eq!(explore(absent(0)), 5);
    // With a crash: the 5 of before, 5 while it is down with the history of before, and after it came up the 5
    // again, with its start once for each of the 5 histories of before.
    assert_eq!(explore(absent(1)), 19);
}

/// Ticks for ever: every tick is a no-op that only renews the timer.
#[derive(Clone)]
struct Clock;

impl Actor for Clock {
    type Msg = ();
    type State = ();
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) {
        o.set_timer((), model_timeout());
    }

    fn on_timeout(&self, _: Id, _: &mut Cow<'_, ()>, (): &(), o: &mut Out<Self>) {
        o.set_timer((), model_timeout());
    }
}

#[test]
fn a_system_without_steps_has_one_state() {
    let report = explore(&System::new(vec![Clock, Clock], ()), &Options::default());
    assert_eq!((report.unique_states, report.generated_states, report.depth), (1, 1, 1));
    assert_eq!(report.verdict, Verdict::Holds);
}

/// States are left by the thousand when it happens, by clients in any order.
#[test]
fn of_many_panics_it_is_the_first_that_counts() {
    let mut system = paxos::system(&paxos::model(3, 3));
    let nobody_reads = |history: &paxos::Kept| {
        let history = format!("{history:?}");
        assert!(!history.contains("ReadOk"), "{history}");
        Ok(())
    };
    system.properties.push(Property::always_history("nobody reads", nobody_reads));
    for table in [Table::Exact, Table::Fingerprint64] {
        let whole = explore(&system, &Options { table, ..Options::default() });
        assert!(matches!(whole.verdict, Verdict::Panicked { .. }), "{:?}", whole.verdict);
        assert!(whole.unique_states > 5_000, "{} states", whole.unique_states);
        for threads in [2, 3, 4] {
            let shared = explore(&system, &Options { table, threads, ..Options::default() });
            assert_eq!((shared.verdict, shared.unique_states), (whole.verdict.clone(), whole.unique_states));
        }
    }
}
