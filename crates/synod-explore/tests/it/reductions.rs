//! Reductions change no verdict, no finding and no length of a trace; and a wrong declaration is
//! noticed.

use crate::cases::cases;
use crate::digest::{Digest, assert_same};
use crate::erased::explore;
use crate::machines::{Machine, machines};
use crate::paxos;
use crate::systems::{merged, register};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use synod_explore::{
    Delivery, Faults, Local, Network, Options, Permutation, Permute, Property, Report, Status, Stop, Subject,
    Symmetry, System, Table, Verdict, Why,
};

/// Sends a few letters to the other actor, which reacts to some of them, some of the time.
#[derive(Clone)]
pub(crate) enum Letters {
    Writer(&'static str),
    /// Ignores `a` until it has read `b`, and everything once it has read `c`.
    Reader,
}

impl Actor for Letters {
    type Msg = char;
    type State = String;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> String {
        if let Letters::Writer(letters) = self {
            letters.chars().for_each(|letter| o.send(Id::from(1), letter));
        }
        String::new()
    }

    fn on_msg(&self, _: Id, read: &mut Cow<'_, String>, _: Id, letter: char, _: &mut Out<Self>) {
        let reads = !read.contains('c') && (letter != 'a' || read.contains('b'));
        if reads && !read.contains(letter) {
            read.to_mut().push(letter);
        }
    }
}

pub(crate) fn letters(letters: &'static str) -> System<Letters, ()> {
    System::new(vec![Letters::Writer(letters), Letters::Reader], ())
        .property(Property::always_local("reads c last", |_, local: &Local<Letters>| {
            let read = local.state.as_ref().map_or("", |state| state.as_str());
            if read.ends_with("ba") { Err(read.to_owned()) } else { Ok(()) }
        }))
        .property(Property::sometimes_local("reads c", |_, local: &Local<Letters>| {
            local.state.as_ref().is_some_and(|read| read.contains('c'))
        }))
}

pub(crate) fn status<A: Subject>(report: &Report<A>) -> Vec<(&'static str, Status, Option<usize>)> {
    let steps = |trace: &Option<Vec<_>>| trace.as_ref().map(Vec::len);
    report.findings.iter().map(|finding| (finding.property, finding.status, steps(&finding.trace))).collect()
}

pub(crate) fn dead<'a>(dead_messages: bool) -> Options<'a> {
    Options { dead_messages, stop: Stop::Exhausted, ..Options::default() }
}

#[test]
fn a_message_that_matters_again_later_is_kept() {
    // `a` is ignored before anything is read, and yet it must not be dropped.
    let system = letters("ab");
    let (whole, reduced) = (explore(&system, &dead(false)), explore(&system, &dead(true)));
    assert_eq!(whole.finding("reads c last").map(|f| f.status), Some(Status::Violated));
    assert_eq!(status(&whole), status(&reduced));
}

/// A writer sends letters, a runner takes some of them at some places, and a counter counts the runner's messages.
#[derive(Clone)]
enum Lap {
    Writer(&'static str),
    Runner,
    Counter,
}

impl Actor for Lap {
    type Msg = char;
    type State = char;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> char {
        if let Lap::Writer(letters) = self {
            letters.chars().for_each(|letter| o.send(Id::from(1), letter));
        }
        '0'
    }

    fn on_msg(&self, _: Id, at: &mut Cow<'_, char>, _: Id, letter: char, o: &mut Out<Self>) {
        let to = match (self, **at, letter) {
            (Lap::Counter, count, _) => char::from_u32(count as u32 + 1).unwrap_or('9'),
            (_, '0', 's') | (_, 'z', 'b') => 'x',
            (_, 'x', 'g') => 'y',
            (_, 'y', 'a') => 'z',
            _ => return,
        };
        *at.to_mut() = to;
        if to == 'z' {
            o.send(Id::from(2), 'n');
        }
    }
}

#[test]
fn a_message_that_matters_on_the_next_lap_is_kept() {
    // The check finds that `a` has to be kept before `y` when the runner has not been at `z` yet, from where a path leads back to `y`.
    let system = System::new(vec![Lap::Writer("sgabga"), Lap::Runner, Lap::Counter], ()).property(
        Property::sometimes_local("two laps", |who, local: &Local<Lap>| {
            who == 2 && local.state.as_deref() == Some(&'2')
        }),
    );
    let (whole, reduced) = (explore(&system, &dead(false)), explore(&system, &dead(true)));
    assert_eq!(whole.verdict, Verdict::Holds);
    assert_eq!((whole.verdict.clone(), status(&whole)), (reduced.verdict.clone(), status(&reduced)));
    assert!(reduced.unique_states <= whole.unique_states, "{reduced:?} and {whole:?}");
}

#[test]
fn a_message_that_never_matters_again_is_left_out() {
    let mut system = letters("cddeee");
    // The loss of an unread message makes no difference, and many states.
    system.network.loss = true;
    let (whole, reduced) = (explore(&system, &dead(false)), explore(&system, &dead(true)));
    assert_eq!(whole.verdict, Verdict::Holds);
    assert_eq!((whole.verdict.clone(), status(&whole)), (reduced.verdict.clone(), status(&reduced)));
    assert!(reduced.unique_states < whole.unique_states, "{reduced:?} and {whole:?}");
}

/// Counts for ever, by what it sends to itself.
#[derive(Clone)]
struct Endless;

impl Actor for Endless {
    type Msg = ();
    type State = u32;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u32 {
        o.send(id, ());
        0
    }

    fn on_msg(&self, id: Id, count: &mut Cow<'_, u32>, _: Id, (): (), o: &mut Out<Self>) {
        *count.to_mut() += 1;
        o.send(id, ());
    }
}

#[test]
fn a_fall_that_is_near_is_found_in_a_system_without_end() {
    let system = System::new(vec![Endless], ()).property(Property::always_local(
        "counts to two",
        |_, local: &Local<Endless>| {
            if local.state.as_deref() > Some(&2) { Err(String::new()) } else { Ok(()) }
        },
    ));
    let report = explore(&system, &Options { dead_messages: true, ..Options::default() });
    assert_eq!(report.verdict, Verdict::Violated { property: "counts to two" });
    assert_eq!(report.finding("counts to two").and_then(|f| f.trace.as_ref()).map(Vec::len), Some(3));
}

#[test]
fn histories_of_which_the_same_can_become_are_one_and_verdicts_stay() {
    for forgets in [false, true] {
        let whole =
            explore(&register::system(&register::model_in(paxos::kept(), 2, 3, forgets)), &dead(false));
        let reduced = explore(&register::system(&register::model_in(merged(), 2, 3, forgets)), &dead(false));
        assert_eq!(whole.verdict == Verdict::Holds, !forgets, "{whole:?}");
        assert_eq!((whole.verdict.clone(), status(&whole)), (reduced.verdict.clone(), status(&reduced)));
        assert!(reduced.unique_states < whole.unique_states, "{reduced:?} and {whole:?}");
    }
    let whole = explore(&paxos::system(&paxos::model(3, 2)), &dead(false));
    let reduced = explore(&paxos::system(&paxos::model_in(merged(), 3, 2)), &dead(false));
    assert_eq!((whole.verdict.clone(), status(&whole)), (reduced.verdict.clone(), status(&reduced)));
    assert!(reduced.unique_states <= whole.unique_states, "{reduced:?} and {whole:?}");
}

#[test]
fn whole_states_are_not_asked_about_what_was_left_out() {
    let system = letters("ab").property(Property::always_state("two messages at most", |state| {
        if state.network.all().len() > 2 { Err("three".to_owned()) } else { Ok(()) }
    }));
    let report = explore(&system, &dead(true));
    assert!(matches!(&report.verdict, Verdict::Panicked { message, .. } if message.contains("whole states")));
}

#[test]
fn all_actors_together_are_asked_about_once_a_combination_whatever_is_left_out() {
    for options in [Options::default(), dead(true), Options { threads: 3, ..Options::default() }] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let locals = Arc::new(Mutex::new(HashSet::new()));
        let met = Arc::clone(&locals);
        let system =
            paxos::system(&paxos::model(2, 2)).property(Property::always_locals("counted", move |locals| {
                count.fetch_add(1, Ordering::Relaxed);
                met.lock().expect("nobody panics").insert(format!("{locals:?}"));
                Ok(())
            }));
        let report = explore(&system, &Options { stop: Stop::Exhausted, ..options.clone() });
        let (asked, met) =
            (asked.load(Ordering::Relaxed) as u64, locals.lock().expect("nobody panics").len() as u64);
        // Threads may ask about the same at the same time, and what was left out too early is explored anew.
        let again = options.threads > 1 || options.dead_messages;
        assert!(asked == met || again && asked >= met, "{asked} times about {met}");
        assert!(met < report.unique_states, "{met} combinations in {} states", report.unique_states);
    }
}

#[test]
fn all_actors_together_are_not_asked_about_where_some_are_taken_for_one() {
    let system = pingers(false, false).property(Property::always_locals("anything", |_| Ok(())));
    let report = explore(&system, &Options { symmetry: true, ..Options::default() });
    assert!(
        matches!(&report.verdict, Verdict::Panicked { message, .. } if message.contains("all actors together"))
    );
}

/// Random machines, with everything that can go wrong: with and without dead messages the same is found, as early.
#[test]
fn dead_messages_matter_to_no_finding() {
    let (mut runner, left_out) = (TestRunner::new(cases(384)), AtomicUsize::new(0));
    let crashes = (any::<[bool; 3]>(), 0..3usize, proptest::option::of(0..3u32));
    let asked = (machines(), 0..3usize, any::<bool>(), crashes, 0..4u8);
    let found = runner.run(&asked, |(machines, network, loss, (crashable, max_down, max_crashes), at)| {
        let delivery = [Delivery::Ordered, Delivery::Set, Delivery::Multiset][network];
        let mut system = System::new(machines, Digest { hears_all: false });
        system.network = Network { delivery, loss };
        system.faults = Faults { crashable: crashable.to_vec(), max_down, max_crashes, absent: Vec::new() };
        let system = digested(system, at);
        let (whole, reduced) = (explore(&system, &dead(false)), explore(&system, &dead(true)));
        prop_assert_eq!(status(&whole), status(&reduced));
        assert_no_weaker(&whole, &reduced);
        prop_assert!(reduced.unique_states <= whole.unique_states);
        left_out.fetch_add(usize::from(reduced.unique_states < whole.unique_states), Ordering::Relaxed);
        // With and without several threads.
        let shared = explore(&system, &Options { threads: 2, ..dead(true) });
        assert_same(&reduced, &shared);
        Ok(())
    });
    found.unwrap_or_else(|why| panic!("{why}"));
    assert!(left_out.into_inner() > 60, "hardly anything was left out");
}

/// What is found with messages left out is what is found without; it may be more that holds, where a bound was reached only by
/// piling up what is dead.
pub(crate) fn assert_no_weaker<A: Subject>(whole: &Report<A>, reduced: &Report<A>) {
    let bounded = matches!(whole.verdict, Verdict::HoldsWithinBound(_));
    let stronger = bounded && reduced.verdict == Verdict::Holds && reduced.depth < whole.depth;
    assert!(stronger || whole.verdict == reduced.verdict, "{whole:?} and {reduced:?}");
}

/// A bounded system of machines with something to find.
pub(crate) fn digested(mut system: System<Machine, Digest>, at: u8) -> System<Machine, Digest> {
    system.bounds.depth = Some(7);
    system
        .property(Property::sometimes_note("a delivery was ignored", |note: &(usize, u8)| note.1 == 5))
        .property(Property::always_history("never all", |h| if *h == 7 { Err("7".into()) } else { Ok(()) }))
        .property(Property::always_local("nobody is there", move |_, local| {
            if local.state.as_deref() == Some(&at) { Err(String::new()) } else { Ok(()) }
        }))
        .property(Property::sometimes_local("a timer and a save", |_, local| {
            !local.timers.is_empty() && local.storage.is_some()
        }))
}

proptest! {
    #![proptest_config(cases(256))]

    /// Results are the same with every kind of seen table.
    #[test]
    fn fingerprints_find_the_same(machines in machines(), network in 0..3usize, crashes in 0..2u32) {
        let delivery = [Delivery::Ordered, Delivery::Set, Delivery::Multiset][network];
        let mut system = System::new(machines, Digest { hears_all: true });
        system.network = Network { delivery, loss: false };
        system.faults = Faults { crashable: vec![true], max_down: 1, max_crashes: Some(crashes), absent: Vec::new() };
        system.bounds.depth = Some(8);
        system = system
            .property(Property::always_history("never all", |h| if *h == 7 { Err("7".into()) } else { Ok(()) }));
        let exact = explore(&system, &Options { stop: Stop::Exhausted, ..Options::default() });
        for table in [Table::Fingerprint64, Table::Fingerprint128] {
            let hashed = explore(&system, &Options { table, stop: Stop::Exhausted, ..Options::default() });
            assert_same(&exact, &hashed);
            prop_assert!(hashed.missed_state_odds > 0.0 || hashed.unique_states < 2);
        }
        prop_assert!(exact.missed_state_odds == 0.0);
    }
}

#[test]
fn the_paxos_example_shrinks_and_its_verdict_stays() {
    let system = paxos::system(&paxos::model(3, 2));
    let whole = explore(&system, &dead(false));
    assert_eq!(whole.unique_states, 16_668);
    for table in [Table::Exact, Table::Fingerprint64] {
        for threads in [1, 2] {
            let reduced = explore(&system, &Options { table, threads, ..dead(true) });
            assert_eq!((&whole.verdict, status(&whole)), (&reduced.verdict, status(&reduced)));
            assert!(3 * reduced.unique_states < 2 * whole.unique_states, "{reduced:?}");
        }
    }
}

/// Counts pings, and pings the others when its timer rings. Number 2 is different, if it is to be.
#[derive(Clone)]
pub(crate) struct Pinger {
    odd_one_out: bool,
}

impl Actor for Pinger {
    type Msg = Id;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.set_timer((), stateright::actor::model_timeout());
        0
    }

    fn on_msg(&self, id: Id, count: &mut Cow<'_, u8>, _: Id, about: Id, _: &mut Out<Self>) {
        let more = if self.odd_one_out && usize::from(id) == 2 && **count == 1 { 2 } else { 1 };
        if about != id {
            *count.to_mut() += more;
        }
    }

    fn on_timeout(&self, id: Id, count: &mut Cow<'_, u8>, (): &(), o: &mut Out<Self>) {
        if **count < 2 {
            let others = (0..3).map(Id::from).filter(|other| *other != id);
            others.for_each(|other| o.send(other, id));
        }
    }
}

/// Exchanges those that a message is about; with `forgets` it does not.
struct About {
    forgets: bool,
}

impl Permute<Pinger, ()> for About {
    fn state(&self, _: &Permutation, state: &u8) -> u8 {
        *state
    }
    fn storage(&self, _: &Permutation, (): &()) {}
    fn message(&self, by: &Permutation, about: &Id) -> Id {
        if self.forgets { *about } else { by.id(*about) }
    }
    fn timer(&self, _: &Permutation, (): &()) {}
    fn choice(&self, _: &Permutation, (): &()) {}
    fn history(&self, _: &Permutation, (): &()) {}
    fn note(&self, _: &Permutation, (): &()) {}
}

fn pingers(odd_one_out: bool, forgets: bool) -> System<Pinger, ()> {
    let mut system = System::new(vec![Pinger { odd_one_out }; 3], ())
        .property(Property::sometimes_local("two pings", |_, local| local.state.as_deref() == Some(&2)));
    system.symmetry = Some(Symmetry { alike: vec![vec![0, 1, 2]], permute: Arc::new(About { forgets }) });
    system
}

/// Actors that are alike, and declared to be.
pub(crate) fn like_pingers() -> System<Pinger, ()> {
    pingers(false, false)
}

#[test]
fn actors_that_are_alike_are_explored_once() {
    let system = pingers(false, false);
    let whole = explore(&system, &Options { symmetry: false, ..Options::default() });
    for threads in [1, 2] {
        let reduced = explore(&system, &Options { threads, ..Options::default() });
        assert_eq!((&whole.verdict, status(&whole)), (&reduced.verdict, status(&reduced)));
        assert_eq!(whole.depth, reduced.depth);
        assert!(reduced.unique_states * 4 < whole.unique_states, "{reduced:?} and {whole:?}");
        assert!(reduced.unique_states * 6 >= whole.unique_states, "{reduced:?} and {whole:?}");
    }
    let both = explore(&system, &Options { dead_messages: true, ..Options::default() });
    assert!(matches!(&both.verdict, Verdict::Panicked { message, .. } if message.contains("one of the two")));
}

#[test]
fn actors_that_are_not_alike_are_found_out() {
    for (odd_one_out, forgets) in [(true, false), (false, true)] {
        let report = explore(&pingers(odd_one_out, forgets), &Options::default());
        let Verdict::Panicked { message, trace } = &report.verdict else { panic!("{report:?}") };
        assert!(message.contains("not alike"), "{message}");
        assert_eq!(trace.len(), 1, "the step that tells them apart");
    }
}

#[test]
fn a_property_that_tells_like_actors_apart_is_found_out() {
    let system =
        pingers(false, false).property(Property::always_local("number 2 has no pings", |actor, local| {
            if actor == 2 && local.state.as_deref() == Some(&1) { Err(String::new()) } else { Ok(()) }
        }));
    let report = explore(&system, &Options::default());
    let Verdict::Panicked { message, .. } = &report.verdict else { panic!("{report:?}") };
    assert!(message.contains("\"number 2 has no pings\" tells them apart"), "{message}");
}

#[test]
fn a_missing_folder_to_spill_to_is_reported() {
    let spill = Some(std::path::Path::new("no such folder"));
    let report = explore(&letters("ab"), &Options { spill, ..Options::default() });
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Disk(std::io::ErrorKind::NotFound)));
}

#[test]
fn machines_that_begin_differently_are_not_alike() {
    let start = |n| Machine {
        start: vec![crate::machines::Output::Set(n)],
        table: vec![crate::machines::Effect::default(); 64],
    };
    let mut system = System::new(vec![start(0), start(1)], ());
    system.symmetry = Some(Symmetry { alike: vec![vec![0, 1]], permute: Arc::new(Names) });
    let report = explore(&system, &Options::default());
    assert!(matches!(&report.verdict, Verdict::Panicked { message, .. } if message.contains("begin alike")));
}

/// Nothing in a machine names an actor.
struct Names;

impl Permute<Machine, ()> for Names {
    fn state(&self, _: &Permutation, state: &u8) -> u8 {
        *state
    }
    fn storage(&self, _: &Permutation, storage: &u8) -> u8 {
        *storage
    }
    fn message(&self, _: &Permutation, message: &u8) -> u8 {
        *message
    }
    fn timer(&self, _: &Permutation, timer: &u8) -> u8 {
        *timer
    }
    fn choice(&self, _: &Permutation, choice: &u8) -> u8 {
        *choice
    }
    fn history(&self, _: &Permutation, (): &()) {}
    fn note(&self, _: &Permutation, (): &()) {}
}
