//! An exploration gives up soon after it reaches a limit, whatever takes the time or the memory; and impossible options are errors, not
//! panics. A process of its own, since the memory of the process is measured.

use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use synod_explore::{Options, Property, System, Table, Verdict, Why, explore};

/// One at a time: each measures the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Chooses again and again, each time among so many, and keeps so many words.
#[derive(Clone)]
struct Chooser {
    choices: u32,
    words: usize,
    again: bool,
}

impl Actor for Chooser {
    type Msg = ();
    type State = Vec<u64>;
    type Timer = ();
    type Random = u32;
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> Vec<u64> {
        o.choose_random("one", (0..self.choices).collect());
        vec![0; self.words]
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, Vec<u64>>, one: &u32, o: &mut Out<Self>) {
        let state = state.to_mut();
        state[0] = state[0] * u64::from(self.choices) + u64::from(*one) + 1;
        if self.again {
            o.choose_random("one", (0..self.choices).collect());
        }
    }
}

fn choosers(count: usize, choices: u32) -> System<Chooser, ()> {
    System::new(vec![Chooser { choices, words: 1, again: false }; count], ())
}

fn large() -> System<Chooser, ()> {
    System::new(vec![Chooser { choices: 200, words: 3750, again: true }], ())
}

#[test]
fn memory_is_looked_at_while_states_are_large() {
    let _alone = ALONE.lock();
    let limit = 50 << 20;
    for threads in [1, 2] {
        // 200 states of the second level have 40,000 successors, of 30 kB each.
        let system = large().property(Property::always_state("fine", |_| Ok(())));
        let report = explore(&system, &Options { memory: Some(limit), threads, ..Options::default() });
        assert_eq!(report.verdict, Verdict::Incomplete(Why::Memory));
        assert!(report.memory_bytes < 2 * limit, "{} MiB", report.memory_bytes >> 20);
    }
}

#[test]
fn somebody_looks_at_the_limits_while_properties_are_asked() {
    let _alone = ALONE.lock();
    for threads in [1, 2] {
        for kind in 0..3 {
            let (asked, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
            let (count, ask_to_stop) = (Arc::clone(&asked), Arc::clone(&stop));
            // Asked for the last time, so to say, in the midst of a level of 40,000 states.
            let slow = move || {
                std::thread::sleep(Duration::from_micros(300));
                if count.fetch_add(1, Ordering::Relaxed) == 1_000 {
                    ask_to_stop.store(true, Ordering::Relaxed);
                }
                Ok(())
            };
            let property = match kind {
                0 => Property::always_state("slow", move |_| slow()),
                1 => Property::always_locals("slow", move |_| slow()),
                _ => Property::always_local("slow", move |_, _| slow()),
            };
            let system = System::new(vec![Chooser { choices: 200, words: 1, again: true }], ());
            let options = Options { interrupt: Some(&*stop), threads, ..Options::default() };
            let report = explore(&system.property(property), &options);
            assert_eq!(report.verdict, Verdict::Incomplete(Why::Interrupted));
            let asked = asked.load(Ordering::Relaxed);
            assert!(asked < 2_000, "asked {} times more", asked - 1_000);
        }
    }
}

#[test]
fn what_is_short_is_not_memory_where_a_state_is_too_wide() {
    let _alone = ALONE.lock();
    // 96 of 301 states each take 864 bits and more; the widest exact key has 768.
    let mut system = choosers(96, 300);
    system.bounds.depth = Some(2);
    let report = explore(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Width));
    assert!(report.verdict.to_string().contains("too wide"), "{}", report.verdict);
    for table in [Table::Fingerprint64, Table::Fingerprint128] {
        let hashed = explore(&system, &Options { table, ..Options::default() });
        assert_eq!(hashed.verdict, Verdict::HoldsWithinBound("depth at most 2".to_owned()));
    }
}

#[test]
fn many_actors_are_no_reason_to_panic() {
    let _alone = ALONE.lock();
    for (actors, dead_messages) in [(800, false), (800, true), (390, false)] {
        let mut system = choosers(actors, 2);
        system.bounds.depth = Some(2);
        let options = Options { dead_messages, ..Options::default() };
        let report = explore(&system, &options);
        assert_eq!(report.verdict, Verdict::Incomplete(Why::Width), "{actors}");
        let hashed = explore(&system, &Options { table: Table::Fingerprint64, ..options });
        assert_eq!(hashed.verdict, Verdict::HoldsWithinBound("depth at most 2".to_owned()), "{actors}");
    }
}
