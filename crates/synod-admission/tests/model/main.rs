//! The rule of admission as a system: starts, crashes, messages, lost ends and wiped disks, up to the numbers that each scene
//! names. Every order of the first few events is explored, and long runs are drawn at random. The functions are those that serve.

mod mutants;
mod system;

use mutants::Mutant;
use stateright::{Checker, Model, Property};
use system::{State, Step, System};

impl Model for System {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let next = self.step(last, &step);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            // A directory takes part only if no other of its member ever did, as long as any peer's disk has lost nothing.
            Property::always("one directory", |_, state: &State| {
                state.members.iter().enumerate().all(|(id, member)| {
                    let mut others = state.members.iter().enumerate().filter(|(other, _)| *other != id);
                    member.took_part.len() < 2 || others.all(|(_, other)| other.faulty)
                })
            }),
            // Whoever has answered a member that takes part never acted on anything that the member does not have.
            Property::always("not behind", |_, state: &State| !System::behind(state, true)),
            // Nobody takes a message from a member that lacks what it acted on.
            Property::always("not heard", |_, state: &State| !state.heard_behind),
            // Clients are told one value, unless a member took part without what somebody knew who had not answered.
            Property::always("one value", |_, state: &State| state.told.len() < 2 || state.excused),
            // A member whose disk has lost nothing is never told that it has.
            Property::always("no false alarm", |_, state: &State| !state.accused),
            Property::sometimes("told", |_, state: &State| state.told.len() == 1),
        ]
    }
}

/// The claims that fall within so many steps, in any order of events, and how many states there are.
fn explored(system: System, depth: usize) -> (Vec<&'static str>, usize) {
    let checker = system.checker().target_max_depth(depth).spawn_bfs().join();
    let discoveries = checker.discoveries();
    (discoveries.into_keys().filter(|name| *name != "told").collect(), checker.unique_state_count())
}

/// What falls in a run of at most so many steps, each drawn at random, if anything does.
fn walked(system: &System, steps: usize, rng: &mut fastrand::Rng) -> Option<&'static str> {
    let properties = system.properties();
    let mut state = system.begin();
    for _ in 0..steps {
        let mut actions = Vec::new();
        system.actions(&state, &mut actions);
        let action = rng.choice(actions)?;
        state = system.next_state(&state, action).unwrap_or(state);
        let falls =
            |property: &&Property<System>| property.name != "told" && !(property.condition)(system, &state);
        if let Some(fallen) = properties.iter().find(falls) {
            return Some(fallen.name);
        }
    }
    None
}

/// Three members that take part; one disk loses its end or is replaced by an older copy.
fn ends(starts: u8, mutant: Option<Mutant>) -> System {
    System {
        members: 3,
        mutant,
        running: true,
        starts,
        asks: 2,
        wipes: 0,
        cuts: 1,
        alone: false,
        all_crash: starts > 1,
    }
}

/// Three members that take part; one disk is wiped, or two.
fn wipes(starts: u8, mutant: Option<Mutant>) -> System {
    System {
        members: 3,
        mutant,
        running: true,
        starts,
        asks: 2,
        wipes: starts,
        cuts: 0,
        alone: false,
        all_crash: starts > 1,
    }
}

/// Two members without any directory yet, one of which may be wiped.
fn begins(starts: u8, mutant: Option<Mutant>) -> System {
    System {
        members: 2,
        mutant,
        running: false,
        starts,
        asks: 2,
        wipes: 1,
        cuts: 0,
        alone: false,
        all_crash: true,
    }
}

/// Three members that take part, which may be started again with a list of themselves alone.
fn lists(starts: u8, mutant: Option<Mutant>) -> System {
    System {
        members: 3,
        mutant,
        running: true,
        starts,
        asks: 2,
        wipes: 0,
        cuts: 0,
        alone: true,
        all_crash: true,
    }
}

/// Steps of what is explored whole.
const DEPTH: usize = 9;
/// Steps of a run that is drawn.
const STEPS: usize = 60;
/// Runs of each scene.
const RUNS: usize = 2_000;
/// Runs at most until a broken rule shows.
const MOST_RUNS: usize = 100_000;

type Scene = fn(u8, Option<Mutant>) -> System;

/// Each with the further starts that there may be.
const SCENES: [(&str, Scene, u8); 4] =
    [("ends", ends, 2), ("wipes", wipes, 2), ("begins", begins, 4), ("lists", lists, 1)];

fn seed() -> u64 {
    let seed = std::env::var("SYNOD_SEED").ok().map(|text| text.parse().expect("SYNOD_SEED is a number"));
    let seed = seed.unwrap_or(1);
    eprintln!("SYNOD_SEED={seed}");
    seed
}

#[test]
fn the_rule_holds_in_every_order_of_a_few_events() {
    for (name, scene, starts) in SCENES {
        let (fallen, states) = explored(scene(starts, None), DEPTH);
        eprintln!("{name}: {states} states");
        assert!(fallen.is_empty(), "{name}: {fallen:?}");
        assert!(states > 100, "{name} has {states} states");
    }
}

#[test]
fn the_rule_holds_in_long_runs_drawn_at_random() {
    let mut rng = fastrand::Rng::with_seed(seed());
    for (name, scene, starts) in SCENES {
        let system = scene(starts, None);
        for run in 0..RUNS {
            let fallen = walked(&system, STEPS, &mut rng);
            assert!(fallen.is_none(), "{name}, run {run}: {fallen:?}");
        }
    }
}

#[test]
fn without_any_line_of_the_rule_a_claim_falls() {
    let broken: [(Mutant, Scene, u8); 10] = [
        (Mutant::KnowledgeNotDurable, ends, 2),
        (Mutant::AnswersDurableOnly, ends, 2),
        (Mutant::BaseNotCompared, ends, 2),
        (Mutant::RecordedNotDurably, begins, 4),
        (Mutant::BootNotDurable, ends, 2),
        (Mutant::ListNotCompared, lists, 1),
        (Mutant::AnswersBeforeSession, ends, 2),
        (Mutant::StepsEarlierStarts, ends, 2),
        (Mutant::SpeaksUnanswered, ends, 2),
        (Mutant::JudgesAtStartOnly, ends, 2),
    ];
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut missed = Vec::new();
    for (mutant, scene, starts) in broken {
        let system = scene(starts, Some(mutant));
        let found =
            (0..MOST_RUNS).find_map(|run| walked(&system, STEPS, &mut rng).map(|fallen| (run, fallen)));
        eprintln!("{mutant:?}: {found:?}");
        if found.is_none() {
            missed.push(mutant);
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
