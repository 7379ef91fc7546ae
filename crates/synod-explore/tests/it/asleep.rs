//! Sleep sets and components of histories: steps that are not followed, as they lead nowhere new, and updates that are not asked again
//! change no result of an exploration.
//!
//! Errors of the engine that these tests must find are in `tests/planted.toml`.

use crate::digest::assert_same;
use crate::erased::{explore, stateright_bfs};
use crate::machines::{Machine, machines};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::Arc;
use synod_explore::{
    ComponentUpdate, Components, Delivery, Faults, Network, Observer, Options, Property, Step, Stop, System,
    Table, Trigger,
};

/// Keeps something of the steps of each actor, in their order, and something of the steps of all. Most of it comes apart.
#[derive(Clone)]
struct Diary {
    apart: bool,
    fault: Fault,
}

/// An error in the components.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    /// It is not said that notes are about what is kept of all.
    Forgets,
    /// Some histories have fewer.
    Fewer,
    /// Some histories cannot be split.
    Panics,
    /// There are too many, which is no fault, but does not help either.
    Many,
    /// There are none, and neither is that.
    Zero,
}

/// The index of what is kept of all actors' steps.
const ALL: usize = 3;
/// Depends on everything.
const WHOLE: u8 = 11;

impl Diary {
    /// A component after a note; `None` if the note needs the others, too.
    fn component(component: usize, old: u8, (actor, code): (usize, u8)) -> Option<u8> {
        match component {
            _ if code == WHOLE => None,
            ALL if code % 4 == 0 => Some((old + 1) % 3),
            // The order of the two matters.
            component if component == actor && code % 3 != 0 => Some((old * 2 + code) % 5),
            _ => Some(old),
        }
    }
}

impl Observer<Machine> for Diary {
    type History = [u8; 4];
    type Note = (usize, u8);

    fn initial(&self) -> [u8; 4] {
        [0; 4]
    }

    fn note(&self, step: &Step<'_, Machine>) -> Option<(usize, u8)> {
        let code = match step.trigger {
            Trigger::Start => return None,
            Trigger::Recover => 2,
            Trigger::Crash => 3,
            Trigger::Deliver { msg, .. } if step.is_no_op() => 4 + msg,
            Trigger::Deliver { msg: 0, .. } if step.outputs.is_empty() => return None,
            Trigger::Deliver { msg, .. } => 7 + msg,
            Trigger::Timeout(timer) => 10 + timer,
            Trigger::Random { choice, .. } => 12 + choice,
        };
        Some((step.actor.into(), code))
    }

    fn update(&self, history: &[u8; 4], note: &(usize, u8)) -> Option<[u8; 4]> {
        let mut next = *history;
        for (component, old) in next.iter_mut().enumerate() {
            *old = Self::component(component, *old, *note).unwrap_or(*old);
        }
        if note.1 == WHOLE {
            next[note.0] = history.iter().sum::<u8>() % 4;
        }
        (next != *history).then_some(next)
    }

    fn components(&self) -> Option<&dyn Components<[u8; 4], (usize, u8)>> {
        self.apart.then_some(self)
    }
}

impl Components<[u8; 4], (usize, u8)> for Diary {
    fn split(&self, history: &[u8; 4]) -> Vec<[u8; 4]> {
        let late = history.iter().sum::<u8>() > 2;
        assert!(self.fault != Fault::Panics || !late, "cannot be split");
        let components = match self.fault {
            Fault::Fewer if late => 3,
            Fault::Many => 17,
            Fault::Zero => 0,
            _ => 4,
        };
        (0..components)
            .map(|component| std::array::from_fn(|at| if at == component { history[at] } else { 0 }))
            .collect()
    }

    fn join(&self, components: &[&[u8; 4]]) -> [u8; 4] {
        std::array::from_fn(|at| components[at][at])
    }

    fn about(&self, (actor, code): &(usize, u8)) -> Vec<usize> {
        let is_about_all = code % 4 == 0 && self.fault != Fault::Forgets;
        if is_about_all { vec![ALL, *actor] } else { vec![*actor] }
    }

    fn update(&self, component: usize, history: &[u8; 4], note: &(usize, u8)) -> ComponentUpdate<[u8; 4]> {
        let mut next = *history;
        match Self::component(component, history[component], *note) {
            None => ComponentUpdate::Whole,
            Some(new) => {
                next[component] = new;
                if next == *history { ComponentUpdate::Same } else { ComponentUpdate::Changed(next) }
            }
        }
    }
}

fn system(machines: Vec<Machine>, apart: bool) -> System<Machine, Diary> {
    System::new(machines, Diary { apart, fault: Fault::Nothing })
        .property(Property::always_history("never so", |history: &[u8; 4]| {
            if history.iter().sum::<u8>() < 9 { Ok(()) } else { Err(format!("{history:?}")) }
        }))
        .property(Property::sometimes_history("first and last", |history: &[u8; 4]| {
            history[0] == 4 && history[2] > history[ALL]
        }))
        .property(Property::sometimes_note("ignored", |note: &(usize, u8)| (4..7).contains(&note.1)))
        .property(Property::sometimes_local("at three", |_, local: &synod_explore::Local<Machine>| {
            local.state.as_deref() == Some(&3)
        }))
}

/// Some machines or other whose histories come apart, up to a depth.
pub(crate) fn apart(depth: usize) -> System<Machine, impl Observer<Machine> + Clone> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let machines = machines().new_tree(&mut runner).expect("there are machines").current();
    let mut system = system(machines, true);
    system.bounds.depth = Some(depth);
    system
}

proptest! {
    #![proptest_config(crate::cases::cases(256))]

    /// A bound of whole states makes the engine follow every step; one that keeps nothing out does nothing else.
    #[test]
    fn steps_that_sleep_and_parts_of_histories_change_nothing(
        machines in machines(),
        network in 0..3usize,
        loss in any::<bool>(),
        crashable in any::<[bool; 3]>(),
        max_down in 0..3usize,
    ) {
        let delivery = [Delivery::Ordered, Delivery::Set, Delivery::Multiset][network];
        let build = |apart| {
            let mut system = system(machines.clone(), apart);
            system.network = Network { delivery, loss };
            system.faults = Faults { crashable: crashable.to_vec(), max_down, ..system.faults.clone() };
            system.bounds.depth = Some(6);
            system
        };
        let options = Options { stop: Stop::Exhausted, ..Options::default() };
        let (whole, apart) = (build(false), build(true));
        let mut awake = build(false);
        awake.bounds.state = Some(("anything".to_owned(), Arc::new(|_: &synod_explore::State<_, _>| true)));
        let expected = explore(&awake, &options);
        let theirs = stateright_bfs(&awake, 1);
        prop_assert_eq!(expected.unique_states, theirs.unique_states);
        prop_assert_eq!(expected.generated_states, theirs.generated_states);
        for system in [&whole, &apart] {
            for threads in [1, 3] {
                for table in [Table::Exact, Table::Fingerprint64] {
                    let found = explore(system, &Options { threads, table, ..options.clone() });
                    prop_assert_eq!(&found.findings, &expected.findings);
                    prop_assert_eq!(
                        (found.unique_states, found.generated_states, found.depth, found.handler_calls),
                        (expected.unique_states, expected.generated_states, expected.depth, expected.handler_calls)
                    );
                }
            }
        }
        if delivery != Delivery::Ordered {
            let dead = Options { dead_messages: true, ..options };
            assert_same(&explore(&whole, &dead), &explore(&apart, &dead));
        }
    }
}

/// The verdicts of some systems with parts like that, without their traces.
fn verdicts(fault: Fault) -> Vec<String> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let systems = (0..40).map(|_| {
        let machines = machines().new_tree(&mut runner).expect("there are machines").current();
        let mut system = system(machines, true);
        system.bounds.depth = Some(5);
        system.observer.fault = fault;
        system
    });
    let options = Options { stop: Stop::Exhausted, ..Options::default() };
    systems.map(|system| explore(&system, &options).verdict.to_string()).collect()
}

#[test]
fn parts_that_are_not_the_whole_are_noticed() {
    let faults = [
        (Fault::Forgets, "the parts of a history"),
        (Fault::Fewer, "parts"),
        (Fault::Panics, "cannot be split"),
    ];
    let right = verdicts(Fault::Nothing);
    assert!(right.iter().all(|verdict| !verdict.starts_with("panicked")));
    for (fault, says) in faults {
        let verdicts = verdicts(fault);
        let noticed: Vec<_> = verdicts.iter().filter(|verdict| verdict.starts_with("panicked")).collect();
        assert!(noticed.len() > 20, "{fault:?}: {}", noticed.len());
        assert!(noticed.iter().all(|verdict| verdict.contains(says)), "{fault:?}: {noticed:?}");
    }
    for fault in [Fault::Many, Fault::Zero] {
        assert_eq!(verdicts(fault), right, "{fault:?}");
    }
}
