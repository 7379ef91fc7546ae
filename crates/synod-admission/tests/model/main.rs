//! The rule of admission as a system that is explored: every order of starts, crashes, messages, lost ends and wiped disks, up
//! to the numbers that each scene names. The functions are those that serve.

mod mutants;
mod system;

use mutants::Mutant;
use stateright::{Checker, HasDiscoveries, Model, Property};
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

/// The claims that fall, and how many states there were by then: all there are, unless the `claim` to be looked for falls.
fn explored(system: System, claim: Option<&'static str>) -> (Vec<&'static str>, usize) {
    let until = claim.map_or(HasDiscoveries::All, |claim| HasDiscoveries::AnyOf([claim].into()));
    let checker = system.checker().finish_when(until).spawn_dfs().join();
    let discoveries = checker.discoveries();
    let mut fallen: Vec<&'static str> = discoveries.into_keys().filter(|name| *name != "told").collect();
    fallen.sort_unstable();
    (fallen, checker.unique_state_count())
}

/// Three members that take part; one disk loses its end or is replaced by an older copy.
fn ends(starts: u8, mutant: Option<Mutant>) -> System {
    System {
        members: 3,
        mutant,
        running: true,
        starts,
        asks: 1,
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
        asks: 1,
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
        asks: 1,
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

type Scene = fn(u8, Option<Mutant>) -> System;

/// Each with the starts that there may be, in a run of the tests and in a long one.
const SCENES: [(&str, Scene, u8, u8); 4] =
    [("ends", ends, 1, 2), ("wipes", wipes, 1, 2), ("begins", begins, 3, 4), ("lists", lists, 1, 1)];

/// `SYNOD_WIDE=1` explores more starts and takes minutes.
#[test]
fn the_rule_holds_in_every_order_of_events() {
    let wide = std::env::var_os("SYNOD_WIDE").is_some();
    for (name, scene, starts, most) in SCENES {
        let began = std::time::Instant::now();
        let (fallen, states) = explored(scene(if wide { most } else { starts }, None), None);
        eprintln!("{name}: {states} states, {:?}", began.elapsed());
        assert!(fallen.is_empty(), "{name}: {fallen:?}");
        assert!(states > 100, "{name} has {states} states");
    }
}

#[test]
fn without_any_line_of_the_rule_a_claim_falls() {
    let broken: [(Mutant, Scene, u8, &str); 11] = [
        (Mutant::KnowledgeNotDurable, ends, 2, "not behind"),
        (Mutant::AnswersDurableOnly, ends, 1, "not behind"),
        (Mutant::BaseNotCompared, ends, 1, "not behind"),
        (Mutant::MajorityForNew, wipes, 1, "one directory"),
        (Mutant::RecordedNotDurably, begins, 4, "one directory"),
        (Mutant::BootNotDurable, ends, 2, "no false alarm"),
        (Mutant::ListNotCompared, lists, 1, "one value"),
        (Mutant::AnswersBeforeSession, ends, 1, "not behind"),
        (Mutant::StepsEarlierStarts, ends, 1, "not behind"),
        (Mutant::SpeaksUnanswered, ends, 1, "not heard"),
        (Mutant::JudgesAtStartOnly, ends, 1, "not behind"),
    ];
    for (mutant, scene, starts, claim) in broken {
        let (fallen, states) = explored(scene(starts, Some(mutant)), Some(claim));
        eprintln!("{mutant:?}: {fallen:?} in {states} states");
        assert!(fallen.contains(&claim), "{mutant:?}: {fallen:?}, not {claim:?}");
    }
}
