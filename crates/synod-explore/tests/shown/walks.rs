//! Runs by choice: a bug that was planted is found by walking, and what was found is made short.

use crate::erased::{Anyone, Anything, erase};
use stateright::actor::{Actor, Id, Out, model_timeout};
use std::borrow::Cow;
use synod_explore::walk::{Dice, Priorities, Walk, follow, shrink, walk, walk_by};
use synod_explore::{Observer, Options, Property, Step, System, Trigger, Verdict};

/// A lock that is handed out twice, if a renewal is slow: the server forgets the holder after two ticks.
#[derive(Clone)]
enum Lock {
    Server,
    Client,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Msg {
    Ask,
    Grant,
    Release,
    Noise(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LockState {
    Free,
    HeldBy(Id, u8),
    Waiting(u8),
    Holding,
}

impl Actor for Lock {
    type Msg = Msg;
    type State = LockState;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> LockState {
        o.set_timer((), model_timeout());
        match self {
            Self::Server => LockState::Free,
            Self::Client => {
                o.send(Id::from(0), Msg::Ask);
                LockState::Waiting(0)
            }
        }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, LockState>, src: Id, msg: Msg, o: &mut Out<Self>) {
        match (&**state, msg) {
            (LockState::Free, Msg::Ask) => {
                *state.to_mut() = LockState::HeldBy(src, 0);
                o.send(src, Msg::Grant);
            }
            (LockState::HeldBy(holder, _), Msg::Release) if *holder == src => {
                *state.to_mut() = LockState::Free;
            }
            (LockState::Waiting(_), Msg::Grant) => *state.to_mut() = LockState::Holding,
            _ => {}
        }
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, LockState>, (): &(), o: &mut Out<Self>) {
        o.set_timer((), model_timeout());
        match &**state {
            LockState::HeldBy(_, 2) => *state.to_mut() = LockState::Free,
            LockState::HeldBy(holder, ticks) => *state.to_mut() = LockState::HeldBy(*holder, ticks + 1),
            LockState::Waiting(n) if *n < 3 => {
                let n = *n;
                *state.to_mut() = LockState::Waiting(n + 1);
                o.send(Id::from(3), Msg::Noise(n));
            }
            LockState::Holding => {
                *state.to_mut() = LockState::Waiting(3);
                o.send(Id::from(0), Msg::Release);
                o.send(Id::from(0), Msg::Ask);
            }
            _ => {
                let _ = id;
            }
        }
    }
}

type State = synod_explore::State<Lock, ()>;

fn locks() -> System<Anyone, Anything> {
    erase(&System::new(vec![Lock::Server, Lock::Client, Lock::Client], ()).property(Property::always_state(
        "one holder",
        |state: &State| {
            let holding = |local: &&std::sync::Arc<_>| {
                let local: &synod_explore::Local<Lock> = local;
                local.state.as_deref() == Some(&LockState::Holding)
            };
            if state.locals.iter().filter(holding).count() < 2 { Ok(()) } else { Err("two".to_owned()) }
        },
    )))
}

fn broken(walk: &Walk<Anyone>) -> bool {
    walk.violation.as_ref().is_some_and(|(property, _)| *property == "one holder")
}

/// The first seed that finds the bug.
fn found(by: impl Fn(u64) -> Walk<Anyone>) -> (u64, Walk<Anyone>) {
    (0..500).map(|seed| (seed, by(seed))).find(|(_, walk)| broken(walk)).expect("the bug is found")
}

#[test]
fn a_planted_bug_is_found_and_made_as_short_as_can_be() {
    let system = locks();
    let report = synod_explore::explore(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "one holder" });
    let shortest = report.findings[0].trace.as_ref().unwrap().len();

    let even = found(|seed| {
        let mut dice = Dice::new(seed);
        walk(&system, |n| dice.below(n), 200)
    });
    let by_priority = found(|seed| {
        let mut priorities = Priorities::new(seed, 200, 3);
        walk_by(&system, |possible| priorities.pick::<Anyone>(possible), 200)
    });
    for (_, walk) in [even, by_priority] {
        let short = shrink(&system, &walk.actions, broken);
        assert!(broken(&follow(&system, &short)), "what is left still breaks the property");
        assert!(short.len() <= shortest + 3 && short.len() >= shortest, "{} of {shortest}", short.len());
        // No step can be left out.
        for at in 0..short.len() {
            let mut without = short.clone();
            without.remove(at);
            assert!(!broken(&follow(&system, &without)));
        }
    }
}

#[test]
fn a_seed_decides_the_run() {
    let system = locks();
    let run = |seed| {
        let mut priorities = Priorities::new(seed, 100, 3);
        walk_by(&system, |possible| priorities.pick::<Anyone>(possible), 100).actions
    };
    assert_eq!(run(7), run(7));
    assert!((0..10).any(|seed| run(seed) != run(7)));
}

#[test]
fn what_does_not_fail_is_not_shortened() {
    let system = locks();
    let mut dice = Dice::new(1);
    let actions = walk(&system, |n| dice.below(n), 3).actions;
    assert_eq!(shrink(&system, &actions, broken), actions);
}

/// Panics when it notes a grant.
#[derive(Clone)]
struct Jumpy;

impl Observer<Lock> for Jumpy {
    type History = ();
    type Note = ();

    fn initial(&self) {}

    fn note(&self, step: &Step<'_, Lock>) -> Option<()> {
        assert!(!matches!(step.trigger, Trigger::Deliver { msg: Msg::Grant, .. }), "a grant!");
        None
    }

    fn update(&self, (): &(), (): &()) -> Option<()> {
        None
    }
}

#[test]
fn a_panic_ends_a_run() {
    let system = erase(&System::new(vec![Lock::Server, Lock::Client], Jumpy));
    let mut dice = Dice::new(3);
    let run = walk(&system, |n| dice.below(n), 100);
    assert!(run.panicked.as_ref().is_some_and(|message| message.starts_with("a grant!")), "{run:?}");
    let short = shrink(&system, &run.actions, |walk| walk.panicked.is_some());
    assert_eq!(short.len(), 2, "an ask and the grant");
}
