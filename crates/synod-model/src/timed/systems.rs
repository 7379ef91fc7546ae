//! The timed systems, with their claims and what must come about in them.

use super::fischer::{self, Contender, Fischer};
use super::gate::{self, Bar, Gate, Train};
use super::lease::{self, Holder, Lease, Stands};
use super::player::{At, Player};
use super::words::TICK;
use stateright::actor::Id;
use std::sync::Arc;
use synod_explore::clocks::{Clocks, Delay, Drift};
use synod_explore::liveness::LiveProperty;
use synod_explore::{Local, Property, State, System};

/// The claims about timed systems, and what must come about in one: their names and their sentences.
pub(crate) const CLAIMS: [(&str, &str); 4] = [
    (fischer::CLAIM, "at most one process is inside"),
    (gate::CLAIM, "the gate is down whenever a train is on the crossing"),
    (gate::COMES_ABOUT, "a train that comes is gone in the end"),
    (lease::CLAIM, "at most one process believes itself master at any moment of real time"),
];

/// The systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Fischer's mutual exclusion.
    Fischer(Fischer),
    /// A train, a controller and a gate.
    Gate(Gate),
    /// A lease of two processes.
    Lease(Lease),
}

/// A timed model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// The system.
    pub kind: Kind,
    /// Epsilon, as a fraction below 1.
    pub drift: (u32, u32),
    /// The least and the most ticks that a message takes.
    pub delay: (u32, u32),
}

fn contend(fischer: &Fischer) -> System<Player, ()> {
    let Fischer { processes, write, wait } = *fischer;
    let register = Id::from(processes);
    let mut actors = vec![Player::Contender(Contender { register, write, wait }); processes];
    actors.push(Player::Register);
    let is_inside = |at: &At| *at == At::Contender(fischer::At::Inside);
    System::new(actors, ())
        .property(Property::always_locals(fischer::CLAIM, move |locals| {
            at_most_one(locals, "inside", is_inside)
        }))
        .property(
            Property::sometimes_locals("somebody is inside", move |locals| {
                !those(locals, is_inside).is_empty()
            })
            .premise_of(fischer::CLAIM),
        )
}

fn cross(gate: &Gate) -> System<Player, ()> {
    let crossing = |at: &At| *at == At::Train(Train::Crossing);
    let down = |at: &At| *at == At::Gate(Bar::Down);
    let actors = vec![Player::Train(*gate), Player::Controller(*gate), Player::Gate(*gate)];
    let mut system = System::new(actors, ())
        .property(Property::always_locals(gate::CLAIM, move |locals| {
            if !those(locals, crossing).is_empty() && those(locals, down).is_empty() {
                return Err("the train is on the crossing, and the gate is not down".to_owned());
            }
            Ok(())
        }))
        .property(Property::sometimes_locals("the gate goes up again", move |locals| {
            !those(locals, |at| *at == At::Gate(Bar::Rising)).is_empty()
        }))
        .property(
            Property::sometimes_locals("a train crosses", move |locals| !those(locals, crossing).is_empty())
                .premise_of(gate::CLAIM),
        );
    let away =
        |state: &State<Player, ()>| !those(&state.locals, |at| *at == At::Train(Train::Away)).is_empty();
    let passes = LiveProperty::leads_to_state(gate::COMES_ABOUT, move |state| !away(state), away);
    system.liveness.properties.push(passes);
    system
}

fn take_turns(lease: &Lease) -> System<Player, ()> {
    let mut actors = vec![Player::Holder(Holder { lease: *lease }); lease::PROCESSES];
    actors.push(Player::Log(*lease));
    let is_master = |at: &At| matches!(at, At::Holder(at) if at.stands == Stands::Master);
    System::new(actors, ())
        .property(Property::always_locals(lease::CLAIM, move |locals| {
            at_most_one(locals, "master", is_master)
        }))
        .property(
            Property::sometimes_locals("somebody is master", move |locals| {
                !those(locals, is_master).is_empty()
            })
            .premise_of(lease::CLAIM),
        )
}

impl Timed {
    /// The system to explore.
    ///
    /// # Panics
    /// If the drift is not below 1.
    pub fn system(&self) -> System<Player, ()> {
        let mut system = match self.kind {
            Kind::Fischer(fischer) => contend(&fischer),
            Kind::Gate(gate) => cross(&gate),
            Kind::Lease(lease) => take_turns(&lease),
        };
        let (numerator, denominator) = self.drift;
        let (least, most) = self.delay;
        system.clocks = Some(Clocks {
            drift: Drift::new(numerator, denominator).expect("the drift is below 1"),
            delay: Some(Delay { least, most }),
            ..Clocks::new(TICK)
        });
        system
    }

    /// The names of the claims and of what must come about.
    pub(crate) fn asked(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.kind {
            Kind::Fischer(_) => (&[fischer::CLAIM], &[]),
            Kind::Gate(_) => (&[gate::CLAIM], &[gate::COMES_ABOUT]),
            Kind::Lease(_) => (&[lease::CLAIM], &[]),
        }
    }

    /// What is broken or inexact in it, in a few words.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let (drift, delay) = (self.drift, self.delay);
        let drifts = (drift.0 > 0).then(|| format!("drift {}/{}", drift.0, drift.1));
        let delays = (delay.1 > 0).then(|| format!("delay {}..={}", delay.0, delay.1));
        drifts.into_iter().chain(delays).collect()
    }
}

/// The actors that are up and of which something is true, by index.
fn those(locals: &[Arc<Local<Player>>], is: impl Fn(&At) -> bool) -> Vec<usize> {
    let up = locals.iter().enumerate().filter_map(|(id, local)| Some((id, local.state.as_deref()?)));
    up.filter(|(_, at)| is(at)).map(|(id, _)| id).collect()
}

/// At most one actor is where only one may be.
fn at_most_one(locals: &[Arc<Local<Player>>], what: &str, is: impl Fn(&At) -> bool) -> Result<(), String> {
    match those(locals, is)[..] {
        [one, other, ..] => Err(format!("{} and {} are {what}", one + 1, other + 1)),
        _ => Ok(()),
    }
}
