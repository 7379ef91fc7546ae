//! The actors of all timed systems.

use super::words::{ANY_TIME, Bell, Output, Outputs, Say};
use super::{fischer, gate, lease};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;

/// An actor of a timed system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Player {
    /// A process that wants to be alone.
    Contender(fischer::Contender),
    /// A register that contenders share.
    Register,
    /// A train.
    Train(gate::Gate),
    /// The controller of a gate.
    Controller(gate::Gate),
    /// A gate.
    Gate(gate::Gate),
    /// A process that wants the lease.
    Holder(lease::Holder),
    /// The log that gives the lease.
    Log(lease::Lease),
}

/// The state of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// Of a contender.
    Contender(fischer::At),
    /// Whose name stands in the register.
    Register(Option<u8>),
    /// Of a train.
    Train(gate::Train),
    /// Of the controller: nothing but its timers.
    Controller,
    /// Of a gate.
    Gate(gate::Bar),
    /// Of a process that wants the lease.
    Holder(lease::At),
    /// The version of the lease.
    Log(u8),
}

impl Player {
    fn start(&self, o: &mut Outputs) -> At {
        match self {
            Self::Contender(_) => At::Contender(fischer::Contender::start(o)),
            Self::Register => At::Register(None),
            Self::Train(_) => {
                o.set_timer(Bell::Begin, ANY_TIME);
                At::Train(gate::Train::Away)
            }
            Self::Controller(_) => At::Controller,
            Self::Gate(_) => At::Gate(gate::Bar::Up),
            Self::Holder(_) => At::Holder(lease::Holder::start(o)),
            Self::Log(_) => At::Log(0),
        }
    }

    fn hear(&self, id: Id, at: At, src: Id, msg: Say, o: &mut Outputs) -> Option<At> {
        match (self, at) {
            (Self::Contender(me), At::Contender(now)) => me.hear(id, now, msg, o).map(At::Contender),
            (Self::Register, At::Register(now)) => Some(At::Register(fischer::register(now, src, msg, o))),
            (Self::Controller(gate), At::Controller) => {
                gate::control(gate, msg, o);
                None
            }
            (Self::Gate(gate), At::Gate(now)) => gate::order(gate, now, msg, o).map(At::Gate),
            (Self::Holder(me), At::Holder(now)) => me.hear(id, now, msg, o).map(At::Holder),
            (Self::Log(lease), At::Log(version)) => lease::give(lease, version, src, msg, o).map(At::Log),
            _ => None,
        }
    }

    fn ring(&self, id: Id, at: At, bell: Bell, o: &mut Outputs) -> Option<At> {
        match (self, at) {
            (Self::Contender(me), At::Contender(now)) => me.ring(id, now, bell, o).map(At::Contender),
            (Self::Train(gate), At::Train(now)) => gate::drive(gate, now, bell, o).map(At::Train),
            (Self::Controller(_), At::Controller) => {
                gate::command(bell, o);
                None
            }
            (Self::Gate(_), At::Gate(now)) => gate::stand(now).map(At::Gate),
            (Self::Holder(me), At::Holder(now)) => me.ring(now, bell, o).map(At::Holder),
            _ => None,
        }
    }
}

fn put_out(outputs: Outputs, o: &mut Out<Player>) {
    for output in outputs.all {
        match output {
            Output::Send(to, msg) => o.send(to, msg),
            Output::SetTimer(timer, after) => o.set_timer(timer, after),
            Output::CancelTimer(timer) => o.cancel_timer(timer),
        }
    }
}

impl Actor for Player {
    type Msg = Say;
    type State = At;
    type Timer = Bell;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> At {
        let mut outputs = Outputs::default();
        let at = self.start(&mut outputs);
        put_out(outputs, o);
        at
    }

    fn on_msg(&self, id: Id, at: &mut Cow<'_, At>, src: Id, msg: Say, o: &mut Out<Self>) {
        let mut outputs = Outputs::default();
        if let Some(next) = self.hear(id, **at, src, msg, &mut outputs) {
            *at.to_mut() = next;
        }
        put_out(outputs, o);
    }

    fn on_timeout(&self, id: Id, at: &mut Cow<'_, At>, timer: &Bell, o: &mut Out<Self>) {
        let mut outputs = Outputs::default();
        if let Some(next) = self.ring(id, **at, *timer, &mut outputs) {
            *at.to_mut() = next;
        }
        put_out(outputs, o);
    }

    fn name(&self) -> String {
        match self {
            Self::Contender(_) | Self::Holder(_) => String::from("P"),
            Self::Register => String::from("register"),
            Self::Train(_) => String::from("train"),
            Self::Controller(_) => String::from("controller"),
            Self::Gate(_) => String::from("gate"),
            Self::Log(_) => String::from("log"),
        }
    }
}
