//! Actors that follow a table, so that a random table is a random actor.

use proptest::collection::vec;
use proptest::prelude::*;
use stateright::actor::{Actor, Id, Out, model_timeout};
use std::borrow::Cow;

pub(crate) const STATES: u8 = 4;
pub(crate) const MESSAGES: u8 = 3;
pub(crate) const TIMERS: u8 = 2;
pub(crate) const CHOICES: u8 = 3;

#[derive(Clone, Debug)]
pub(crate) enum Output {
    Send(u8, u8),
    Set(u8),
    Cancel(u8),
    Choose(u8, Vec<u8>),
    Save(u8),
}

/// The reaction of a machine to a trigger: its next state, if it changes, and its commands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect {
    pub(crate) to: Option<u8>,
    pub(crate) outputs: Vec<Output>,
}

/// An actor by table: for each state, an effect for each message, timer and choice, in that order.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) start: Vec<Output>,
    pub(crate) table: Vec<Effect>,
}

impl Machine {
    pub(crate) const EVENTS: usize = (MESSAGES + TIMERS + CHOICES) as usize;

    fn follow(&self, state: &mut Cow<'_, u8>, event: u8, o: &mut Out<Self>) {
        let effect = &self.table[usize::from(**state) * Self::EVENTS + usize::from(event)];
        if let Some(to) = effect.to {
            *state.to_mut() = to;
        }
        put_out(&effect.outputs, o);
    }
}

fn put_out(outputs: &[Output], o: &mut Out<Machine>) {
    for output in outputs {
        match output {
            Output::Send(dst, msg) => o.send(Id::from(usize::from(*dst)), *msg),
            Output::Set(timer) => o.set_timer(*timer, model_timeout()),
            Output::Cancel(timer) => o.cancel_timer(*timer),
            Output::Choose(key, choices) => o.choose_random(format!("key{key}"), choices.clone()),
            Output::Save(value) => o.save(*value),
        }
    }
}

impl Actor for Machine {
    type Msg = u8;
    type State = u8;
    type Timer = u8;
    type Random = u8;
    type Storage = u8;

    fn on_start(&self, _: Id, storage: &Option<u8>, o: &mut Out<Self>) -> u8 {
        put_out(&self.start, o);
        storage.unwrap_or(0)
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, msg: u8, o: &mut Out<Self>) {
        self.follow(state, msg, o);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, timer: &u8, o: &mut Out<Self>) {
        self.follow(state, MESSAGES + timer, o);
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, u8>, random: &u8, o: &mut Out<Self>) {
        self.follow(state, MESSAGES + TIMERS + random, o);
    }
}

fn output(actors: u8) -> impl Strategy<Value = Output> {
    prop_oneof![
        6 => (0..actors, 0..MESSAGES).prop_map(|(dst, msg)| Output::Send(dst, msg)),
        // Nobody is there.
        1 => (0..MESSAGES).prop_map(move |msg| Output::Send(actors, msg)),
        3 => (0..TIMERS).prop_map(Output::Set),
        1 => (0..TIMERS).prop_map(Output::Cancel),
        2 => (0..2u8, vec(0..CHOICES, 0..3)).prop_map(|(key, choices)| Output::Choose(key, choices)),
        2 => (0..STATES).prop_map(Output::Save),
    ]
}

fn effect(actors: u8) -> impl Strategy<Value = Effect> {
    let some = (proptest::option::of(0..STATES), vec(output(actors), 0..3))
        .prop_map(|(to, outputs)| Effect { to, outputs });
    prop_oneof![1 => Just(Effect::default()), 3 => some]
}

/// A random machine among so many.
pub(crate) fn machine(actors: u8) -> impl Strategy<Value = Machine> {
    let size = usize::from(STATES) * Machine::EVENTS;
    (vec(output(actors), 1..4), vec(effect(actors), size)).prop_map(|(start, table)| Machine { start, table })
}

/// A few random machines.
pub(crate) fn machines() -> impl Strategy<Value = Vec<Machine>> {
    (2..=3u8).prop_flat_map(|actors| vec(machine(actors), usize::from(actors)))
}
