//! Small actors, each for one feature of the semantics.

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};
use std::borrow::Cow;

/// Sends a number back, one higher, up to a limit.
#[derive(Clone)]
pub(crate) struct PingPong {
    pub(crate) limit: u8,
}

impl Actor for PingPong {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        if id == Id::from(0) {
            o.send(Id::from(1), 0);
        }
        0
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, src: Id, msg: u8, o: &mut Out<Self>) {
        if **state == msg && msg < self.limit {
            *state.to_mut() += 1;
            o.send(src, msg);
            o.send(src, msg + 1);
        }
    }
}

/// The history counts what arrived and what was sent, up to three of each.
pub(crate) fn ping_pong(limit: u8) -> ActorModel<PingPong, u8, (u8, u8)> {
    ActorModel::new(limit, (0, 0))
        .actors([PingPong { limit }, PingPong { limit }])
        .record_msg_in(|_, (i, o), _| (*i < 3).then_some((i + 1, *o)))
        .record_msg_out(|_, (i, o), _| (*o < 3).then_some((*i, o + 1)))
        .within_boundary(|limit, state| state.network.len() <= usize::from(*limit) + 3)
        .property(Expectation::Sometimes, "the limit is reached", |model, state| {
            *state.actor_states[0] == model.cfg && !state.crashed[0]
        })
        .property(Expectation::Always, "nothing comes from nothing", |_, state| {
            state.history.0 <= state.history.1
        })
}

/// One counts what the other sends.
#[derive(Clone)]
pub(crate) enum Counter {
    Source(u8),
    Sink,
}

impl Actor for Counter {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        if let Self::Source(n) = self {
            for msg in 0..*n {
                o.send(Id::from(1), msg % 2);
            }
        }
        0
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, _: Id, _: u8, _: &mut Out<Self>) {
        if **state < 4 {
            *state.to_mut() += 1;
        }
    }
}

/// A message that is delivered twice, or never, shows in the count.
pub(crate) fn counter(messages: u8) -> ActorModel<Counter> {
    ActorModel::new((), ())
        .actors([Counter::Source(messages), Counter::Sink])
        .within_boundary(|(), state| state.network.len() <= 6)
        .property(Expectation::Always, "at most three arrive", |_, state| *state.actor_states[1] <= 3)
        .property(Expectation::Sometimes, "three arrive", |_, state| *state.actor_states[1] == 3)
        .property(Expectation::Sometimes, "nothing is left", |_, state| state.network.len() == 0)
}

/// Sets, renews and cancels timers in turn.
#[derive(Clone)]
pub(crate) struct Timed;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Alarm {
    Tick,
    Stop,
    Idle,
}

impl Actor for Timed {
    type Msg = u8;
    type State = u8;
    type Timer = Alarm;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.set_timer(Alarm::Tick, model_timeout());
        o.set_timer(Alarm::Idle, model_timeout());
        0
    }

    fn on_msg(&self, _: Id, _: &mut Cow<'_, u8>, _: Id, msg: u8, o: &mut Out<Self>) {
        if msg == 2 {
            o.cancel_timer(Alarm::Tick);
        }
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, u8>, timer: &Alarm, o: &mut Out<Self>) {
        match timer {
            Alarm::Tick if **state < 3 => {
                *state.to_mut() += 1;
                o.set_timer(Alarm::Tick, model_timeout());
                o.set_timer(Alarm::Stop, model_timeout());
                o.send(Id::from(1 - usize::from(id)), **state);
            }
            // Ignored: it does nothing but renew itself.
            Alarm::Idle => o.set_timer(Alarm::Idle, model_timeout()),
            Alarm::Tick | Alarm::Stop => {}
        }
    }
}

/// Two actors with timers: in stateright's own hash their timers are confused.
pub(crate) fn timers() -> ActorModel<Timed> {
    ActorModel::new((), ())
        .actors([Timed, Timed])
        .within_boundary(|(), state| state.network.len() <= 4)
        .property(Expectation::Sometimes, "the clock of 0 runs out", |_, state| {
            state.timers_set[0].iter().count() == 1 && !state.crashed[0]
        })
        .property(Expectation::Always, "the clock of 1 runs", |_, state| {
            state.crashed[1] || state.timers_set[1].iter().any(|alarm| *alarm == Alarm::Tick)
        })
}

/// Counts what arrives, and saves every second count before it says so.
#[derive(Clone)]
pub(crate) struct Saver;

impl Actor for Saver {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = u8;

    fn on_start(&self, id: Id, storage: &Option<u8>, o: &mut Out<Self>) -> u8 {
        if id == Id::from(0) && storage.is_none() {
            o.send(Id::from(1), 0);
        }
        storage.unwrap_or(0)
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, src: Id, _: u8, o: &mut Out<Self>) {
        if **state < 3 {
            *state.to_mut() += 1;
            if state.is_multiple_of(2) {
                o.save(**state);
            }
            o.send(src, **state);
        }
    }
}

/// Saved state is never lost, other state may be.
pub(crate) fn saver() -> ActorModel<Saver> {
    ActorModel::new((), ())
        .actors([Saver, Saver])
        .within_boundary(|(), state| state.network.len() <= 4)
        .property(Expectation::Always, "what is saved is remembered", |_, state| {
            (0..2).all(|i| state.crashed[i] || *state.actor_states[i] >= state.actor_storages[i].unwrap_or(0))
        })
        .property(Expectation::Sometimes, "all is saved", |_, state| {
            state.actor_storages.iter().all(Option::is_some)
        })
        .property(Expectation::Sometimes, "both are down", |_, state| state.crashed.iter().all(|c| *c))
}

/// Leaves choices open, changes its mind, and tells what was chosen.
#[derive(Clone)]
pub(crate) struct Chooser;

impl Actor for Chooser {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = u8;
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.choose_random("first", vec![1, 2]);
        if id == Id::from(1) {
            o.choose_random("second", vec![3, 4, 5]);
        }
        0
    }

    fn on_msg(&self, _: Id, _: &mut Cow<'_, u8>, _: Id, msg: u8, o: &mut Out<Self>) {
        match msg {
            1 => o.remove_random("second"),
            2 => o.choose_random("first", vec![1, 9]),
            _ => {}
        }
    }

    fn on_random(&self, id: Id, state: &mut Cow<'_, u8>, random: &u8, o: &mut Out<Self>) {
        // The choice of 5 changes nothing, and is a step nevertheless, as it is no longer open.
        if *random != 5 {
            *state.to_mut() = *random;
            o.send(Id::from(1 - usize::from(id)), *random);
        }
    }
}

/// Two choosers.
pub(crate) fn chooser() -> ActorModel<Chooser> {
    ActorModel::new((), ())
        .actors([Chooser, Chooser])
        .within_boundary(|(), state| state.network.len() <= 3)
        .property(Expectation::Sometimes, "a mind was changed", |_, state| *state.actor_states[0] == 9)
        .property(Expectation::Always, "four is not chosen", |_, state| *state.actor_states[1] != 4)
}

/// Passes on what it hears first, and to somebody who does not exist.
#[derive(Clone)]
pub(crate) struct Gossip;

impl Actor for Gossip {
    type Msg = u8;
    type State = Vec<u8>;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Vec<u8> {
        o.send(Id::from(9), usize::from(id) as u8);
        Vec::new()
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, Vec<u8>>, src: Id, msg: u8, o: &mut Out<Self>) {
        if state.len() < 2 && !state.contains(&msg) {
            state.to_mut().push(msg);
            o.send(src, msg + 10);
            o.send(Id::from(7), msg);
        }
    }
}

/// Two of them.
pub(crate) fn gossip() -> ActorModel<Gossip> {
    ActorModel::new((), ())
        .actors([Gossip, Gossip])
        .property(Expectation::Always, "in order", |_, state| {
            state.actor_states.iter().all(|heard| heard.is_sorted())
        })
        .property(Expectation::Sometimes, "an echo", |_, state| {
            state.actor_states[0].iter().any(|heard| *heard > 10)
        })
}
