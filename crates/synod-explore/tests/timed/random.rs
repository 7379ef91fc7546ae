//! Random timed systems: the outlines that are explored are those that a naive interpreter reaches, in whole ticks and in finer time.

use crate::cases::cases;
use crate::naive::{Outline, World};
use crate::scripts::{Do, Reaction, Script};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synod_explore::clocks::{Clocks, Delay, Drift};
use synod_explore::{Options, Property, State, System, Table, Verdict, explore, oracle};

const STATES: usize = 3;
const TIMERS: u8 = 2;
const MESSAGES: u8 = 2;

fn command(actors: usize) -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (0..TIMERS, 0..3_u64, 0..3_u64).prop_map(|(timer, least, more)| Do::Set(timer, least..least + more)),
        1 => (0..TIMERS).prop_map(Do::Cancel),
        3 => (0..actors, 0..MESSAGES).prop_map(|(to, msg)| Do::Send(to, msg)),
    ]
}

fn reaction(actors: usize) -> impl Strategy<Value = Reaction> {
    let goes_to = prop::option::weighted(0.6, 0..STATES as u8);
    let does = prop::collection::vec(command(actors), 0..3);
    (goes_to, does).prop_map(|(goes_to, does)| Reaction { goes_to, does })
}

fn script(actors: usize) -> impl Strategy<Value = Script> {
    let table = |of: u8| {
        let row = prop::collection::vec(reaction(actors), STATES);
        prop::collection::vec(row, usize::from(of))
    };
    let start = prop::collection::vec(command(actors), 1..4);
    (start, table(TIMERS), table(MESSAGES)).prop_map(|(does, timers, messages)| Script {
        start: Reaction { goes_to: None, does },
        timers,
        messages,
        messages_left: 2,
    })
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    (1..3_usize).prop_flat_map(|actors| prop::collection::vec(script(actors), actors))
}

fn world() -> impl Strategy<Value = World> {
    let drift = prop_oneof![Just((0, 1)), Just((1, 4)), Just((1, 10)), Just((2, 3))];
    let delay =
        prop::option::weighted(0.7, (0..2_u64, 0..3_u64).prop_map(|(least, more)| (least, least + more)));
    (drift, delay, any::<bool>(), any::<bool>()).prop_map(|(drift, delay, loss, crashes)| World {
        drift,
        delay,
        loss,
        crashes,
        grain: 1,
        whole: true,
    })
}

/// The system of some scripts, which adds the outline of each state to a set.
fn system(actors: &[Script], world: World, outlines: &Arc<Mutex<BTreeSet<Outline>>>) -> System<Script, ()> {
    let mut system = System::new(actors.to_vec(), ());
    let delay = world.delay.map(|(least, most)| Delay { least: least as u32, most: most as u32 });
    let drift = Drift::new(world.drift.0 as u32, world.drift.1 as u32).unwrap();
    system.clocks = Some(Clocks { drift, delay, ..Clocks::new(Duration::from_secs(1)) });
    system.network.loss = world.loss;
    if world.crashes {
        system.faults.crashable = vec![true; actors.len()];
        (system.faults.max_down, system.faults.max_crashes) = (1, Some(1));
    }
    let outlines = Arc::clone(outlines);
    system.property(Property::always_state("seen", move |state: &State<Script, ()>| {
        let mut timers = Vec::new();
        for (at, local) in state.locals.iter().enumerate() {
            timers.extend(local.timers.iter().map(|timer| (at, *timer)));
        }
        let messages = state
            .network
            .all()
            .into_iter()
            .map(|envelope| (usize::from(envelope.src), usize::from(envelope.dst), *envelope.msg));
        let actors = state.locals.iter().map(|local| local.state.as_deref().cloned()).collect();
        outlines.lock().unwrap().insert((actors, timers, messages.collect()));
        Ok(())
    }))
}

fn explored(actors: &[Script], world: World) -> BTreeSet<Outline> {
    let outlines = Arc::default();
    let system = system(actors, world, &outlines);
    let report = explore(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Holds);
    drop(system);
    Arc::into_inner(outlines).unwrap().into_inner().unwrap()
}

/// Small enough for an interpreter that keeps every state.
fn is_small(actors: &[Script], world: World) -> bool {
    let system = system(actors, world, &Arc::default());
    let report = explore(&system, &Options { memory: Some(64 << 20), ..Options::default() });
    report.verdict == Verdict::Holds && report.unique_states < 3_000
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn a_naive_interpreter_reaches_the_same(actors in scripts(), world in world()) {
        prop_assume!(is_small(&actors, world));
        prop_assert_eq!(explored(&actors, world), world.outlines(&actors));
    }

    // Digitization: with bounds that are whole numbers, finer time reaches nothing more.
    #[test]
    fn finer_time_reaches_nothing_more(actors in scripts(), world in world(), grain in 2..4_u64) {
        let world = World { drift: (0, 1), ..world };
        prop_assume!(is_small(&actors, world));
        let fine = World { grain, whole: false, ..world };
        prop_assert_eq!(explored(&actors, world), fine.outlines(&actors));
    }

    // With drift, dense bounds are fractions: whole ticks reach all that finer time reaches.
    #[test]
    fn rounding_loses_nothing(actors in scripts(), world in world(), grain in 1..4_u64) {
        prop_assume!(is_small(&actors, world));
        let fine = World { grain, whole: false, ..world };
        let (ours, theirs) = (explored(&actors, world), fine.outlines(&actors));
        prop_assert!(theirs.is_subset(&ours), "{:?}", theirs.difference(&ours).next());
    }

    #[test]
    fn stateright_counts_the_same(actors in scripts(), world in world()) {
        prop_assume!(is_small(&actors, world));
        let system = system(&actors, world, &Arc::default());
        let theirs = oracle::stateright_bfs(&system, 1, None);
        for table in [Table::Exact, Table::Fingerprint64, Table::Fingerprint128] {
            for threads in [1, 2] {
                let ours = explore(&system, &Options { table, threads, ..Options::default() });
                prop_assert_eq!(&ours.verdict, &theirs.verdict);
                prop_assert_eq!(ours.unique_states, theirs.unique_states);
                prop_assert_eq!(ours.generated_states, theirs.generated_states);
                prop_assert_eq!(ours.depth, theirs.depth);
            }
        }
    }
}
