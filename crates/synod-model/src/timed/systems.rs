//! The timed systems, with their claims and what must come about in them.

use super::fischer::{self, Contender, Fischer};
use super::gate::{self, Bar, Gate, Train};
use super::lease::{self, Holder, Lease, Stands};
use super::master::{self, Master};
use super::member::Member;
use super::player::{At, Player};
use super::words::TICK;
use stateright::actor::Id;
use std::sync::Arc;
use synod_explore::clocks::{Clocks, Delay, Drift};
use synod_explore::liveness::LiveProperty;
use synod_explore::{Local, Property, State, System};

/// The claims about timed systems, and what must come about in one: their names and their sentences.
pub const CLAIMS: [(&str, &str); 7] = [
    (fischer::CLAIM, "at most one process is inside"),
    (gate::CLAIM, "the gate is down whenever a train is on the crossing"),
    (gate::COMES_ABOUT, "a train that comes is gone in the end"),
    (master::CLAIM, "at most one server of a log believes itself master at any moment of real time"),
    (master::IN_TIME, "a client hears of a master within the time that the model names"),
    (master::READS, "a client that was told of its write does not miss it in what a master answers"),
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
    /// Servers that take mastership.
    Master(Master),
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
    /// The system to explore, if it is not one of servers.
    ///
    /// # Panics
    /// If the drift is not below 1.
    pub fn system(&self) -> Option<System<Player, ()>> {
        let mut system = match self.kind {
            Kind::Fischer(fischer) => contend(&fischer),
            Kind::Gate(gate) => cross(&gate),
            Kind::Lease(lease) => take_turns(&lease),
            Kind::Master(_) => return None,
        };
        system.clocks = Some(self.clocks());
        Some(system)
    }

    /// The system to explore, if it is one of servers.
    ///
    /// # Panics
    /// If the drift is not below 1.
    pub fn members(&self) -> Option<System<Member, ()>> {
        let Kind::Master(master) = self.kind else { return None };
        Some(System { clocks: Some(self.clocks()), ..master.system() })
    }

    fn clocks(&self) -> Clocks {
        let (numerator, denominator) = self.drift;
        let (least, most) = self.delay;
        Clocks {
            drift: Drift::new(numerator, denominator).expect("the drift is below 1"),
            delay: Some(Delay { least, most }),
            ..Clocks::new(TICK)
        }
    }

    /// The names of the claims and of what must come about.
    pub(crate) fn asked(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.kind {
            Kind::Fischer(_) => (&[fischer::CLAIM], &[]),
            Kind::Gate(_) => (&[gate::CLAIM], &[gate::COMES_ABOUT]),
            Kind::Lease(_) => (&[lease::CLAIM], &[]),
            Kind::Master(Master { asks: Some(_), .. }) => (&[master::CLAIM, master::READS], &[]),
            Kind::Master(Master { within: Some(_), .. }) => (&[master::CLAIM, master::IN_TIME], &[]),
            Kind::Master(_) => (&[master::CLAIM], &[]),
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
