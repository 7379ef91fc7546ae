//! Options that make no sense with time, each refused in words.

use crate::scripts::{Do, Reaction, Script};
use std::sync::Arc;
use std::time::Duration;
use synod_explore::clocks::{Clocks, Delay};
use synod_explore::liveness::{LiveProperty, check};
use synod_explore::{Delivery, Normal, Options, Property, State, System, Verdict, explore};

/// One actor with a timer of `ticks`, which it sets again each time.
pub(crate) fn metronome(ticks: u64) -> Script {
    let beat = Reaction { goes_to: None, does: vec![Do::Set(0, ticks..ticks)] };
    Script { start: beat.clone(), timers: vec![vec![beat]], messages: Vec::new(), messages_left: 0 }
}

pub(crate) fn timed(actors: Vec<Script>) -> System<Script, ()> {
    let mut system = System::new(actors, ());
    system.clocks = Some(Clocks::new(Duration::from_secs(1)));
    system.property(Property::always_history("nothing is wrong", |()| Ok(())))
}

fn words(system: &System<Script, ()>, options: &Options<'_>) -> String {
    let report = explore(system, options);
    let Verdict::Panicked { message, .. } = report.verdict else { panic!("{:?}", report.verdict) };
    message
}

#[test]
fn dead_messages_are_refused() {
    let options = Options { dead_messages: true, ..Options::default() };
    let system = timed(vec![metronome(2)]);
    assert!(words(&system, &options).contains("time changes it too"), "{}", words(&system, &options));
    assert_eq!(explore(&system, &Options::default()).verdict, Verdict::Holds);
}

struct Same;

impl Normal<Script, ()> for Same {
    fn bound(&self) -> String {
        String::new()
    }

    fn normal(&self, state: State<Script, ()>) -> Option<State<Script, ()>> {
        Some(state)
    }
}

#[test]
fn rewritten_states_are_refused() {
    let mut system = timed(vec![metronome(2)]);
    system.normal = Some(Arc::new(Same));
    assert!(words(&system, &Options::default()).contains("rewritten with"));
    system.liveness.properties.push(LiveProperty::eventually_state("never", |_| false));
    let Verdict::Panicked { message, .. } = check(&system, &Options::default()).verdict else { panic!() };
    assert!(message.contains("rewritten with"), "{message}");
}

#[test]
fn a_bounded_delay_needs_a_multiset() {
    for delivery in [Delivery::Set, Delivery::Ordered] {
        let mut system = timed(vec![metronome(2)]);
        system.network.delivery = delivery;
        assert_eq!(explore(&system, &Options::default()).verdict, Verdict::Holds);
        system.clocks.as_mut().unwrap().delay = Some(Delay { least: 0, most: 1 });
        assert!(words(&system, &Options::default()).contains("multiset"));
    }
}

#[test]
fn a_timer_between_ticks_is_refused() {
    let mut system = timed(vec![metronome(3)]);
    system.clocks.as_mut().unwrap().tick = Duration::from_secs(2);
    assert!(words(&system, &Options::default()).contains("no multiple of a tick"));
}
