//! Like actors whose clocks run: of states in which they have changed places, times included, one is explored.

use crate::refused::timed;
use crate::scripts::{At, Do, Reaction, Script};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use synod_explore::clocks::{Delay, Drift};
use synod_explore::{
    InFlight, Options, Permutation, Permute, Property, State, Symmetry, System, Verdict, explore,
};

const SENDERS: usize = 3;

/// Some that send to one, each when its timer rings.
fn sending() -> System<Script, ()> {
    let goes = |to, does: &[Do]| Reaction { goes_to: Some(to), does: does.to_vec() };
    let nothing = Reaction::default;
    let sender = Script {
        start: goes(0, &[Do::Set(0, 1..2)]),
        timers: vec![
            vec![goes(1, &[Do::Send(SENDERS, 0), Do::Set(1, 2..2)]), nothing()],
            vec![nothing(), goes(0, &[Do::Cancel(0)])],
        ],
        messages: Vec::new(),
        messages_left: 1,
    };
    let hears = |next| goes(next, &[Do::Set(0, 2..3)]);
    let hub = Script {
        start: nothing(),
        timers: vec![vec![goes(0, &[]), goes(0, &[]), goes(0, &[]), goes(0, &[])]],
        messages: vec![vec![hears(1), hears(2), hears(3), hears(3)]],
        messages_left: 0,
    };
    let mut actors = vec![sender; SENDERS];
    actors.push(hub);
    let mut system = timed(actors);
    let clocks = system.clocks.as_mut().unwrap();
    (clocks.delay, clocks.drift) = (Some(Delay { least: 0, most: 2 }), Drift::new(1, 3).unwrap());
    system
}

/// No value of these actors names another.
struct Nameless;

impl Permute<Script, ()> for Nameless {
    fn state(&self, _: &Permutation, state: &At) -> At {
        state.clone()
    }
    fn storage(&self, _: &Permutation, (): &()) {}
    fn message(&self, _: &Permutation, message: &u8) -> u8 {
        *message
    }
    fn timer(&self, _: &Permutation, timer: &u8) -> u8 {
        *timer
    }
    fn choice(&self, _: &Permutation, (): &()) {}
    fn history(&self, _: &Permutation, (): &()) {}
    fn note(&self, _: &Permutation, (): &()) {}
}

/// A state in words, the shares of like actors in order.
fn orbit(state: &State<Script, ()>) -> (Vec<String>, String) {
    let InFlight::Timed(counts) = &state.network else { panic!("delays are bounded") };
    let of = |sender: usize| {
        let sent = counts.iter().filter(|((envelope, _), _)| usize::from(envelope.src) == sender);
        let sent: Vec<_> = sent.map(|((_, due), count)| (*due, *count)).collect();
        format!("{:?} {sent:?}", state.locals[sender])
    };
    let mut shares: Vec<String> = (0..SENDERS).map(of).collect();
    shares.sort();
    (shares, format!("{:?}", state.locals[SENDERS]))
}

#[test]
fn like_actors_are_explored_once_with_their_times() {
    let orbits = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&orbits);
    let whole = sending().property(Property::always_state("seen", move |state| {
        seen.lock().unwrap().insert(orbit(state));
        Ok(())
    }));
    let all = explore(&whole, &Options::default());
    assert_eq!(all.verdict, Verdict::Holds);

    let mut alike = sending();
    alike.symmetry = Some(Symmetry { alike: vec![(0..SENDERS).collect()], permute: Arc::new(Nameless) });
    let once = explore(&alike, &Options { symmetry: true, ..Options::default() });
    assert_eq!(once.verdict, Verdict::Holds);
    let orbits = orbits.lock().unwrap().len() as u64;
    assert_eq!(once.unique_states, orbits);
    assert!(all.unique_states > 4 * orbits, "{} states, {orbits} orbits", all.unique_states);
    assert_eq!(once.depth, all.depth);
}
