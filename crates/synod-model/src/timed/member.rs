//! The actors of a system with mastership: servers, and a client that reads what it has written.

use super::server::Server;
use super::words::{ANY_TIME, ticks};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use synod::{Ask, Msg, ProcessState, Stable, Timer, Value};

/// An actor.
#[derive(Clone, Debug)]
pub enum Member {
    /// A server.
    Server(Server),
    /// A client that writes and then reads, each at a moment of its choice, and asks all of these servers.
    Asker {
        /// The servers that it asks to write.
        write: Vec<Id>,
        /// The servers that it asks what was written.
        read: Vec<Id>,
        /// The servers that it asks once more, after it has read there. Then it does not wait to be told that its command took effect.
        again: Vec<Id>,
    },
    /// A client that waits for so many ticks to hear that there is a master.
    Waiter(u32),
    /// A server that crashed before the run began, and does not come back.
    Gone,
}

/// The state of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Local {
    /// Of a server.
    Server(Box<ProcessState>),
    /// Of the client that asks.
    Asker(Asked),
    /// Of the client that waits.
    Waiter(Waited),
    /// Of a server that crashed.
    Gone,
}

/// The state of a client that waits for a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waited {
    /// It waits.
    Waits,
    /// It has heard of one in time.
    Heard,
    /// It has waited in vain.
    InVain,
}

/// What a client has asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// It has asked servers to write.
    Writes,
    /// It was told that its command took effect.
    Wrote,
    /// It has asked after that what was written.
    Reads,
    /// It was told this.
    Told(Value),
    /// It was told this, and has asked again.
    Asks(Value),
    /// It was told the one, and then the other.
    ToldBoth(Value, Value),
}

/// What the client writes.
pub(super) const WRITTEN: &str = "x";

impl Local {
    /// The state of a server.
    pub(super) fn server(&self) -> Option<&ProcessState> {
        match self {
            Local::Server(state) => Some(state),
            Local::Asker(_) | Local::Waiter(_) | Local::Gone => None,
        }
    }
}

impl Actor for Member {
    type Msg = Msg;
    type Timer = Timer;
    type State = Local;
    type Storage = Stable;
    type Random = Infallible;

    fn on_start(&self, me: Id, saved: &Option<Stable>, out: &mut Out<Self>) -> Local {
        match self {
            Member::Server(server) => Local::Server(Box::new(server.start(me, saved.as_ref(), out))),
            Member::Asker { .. } => {
                out.set_timer(Timer::Resend, ANY_TIME);
                Local::Asker(Asked::Nothing)
            }
            Member::Waiter(within) => {
                out.set_timer(Timer::Resend, ticks(*within, *within));
                Local::Waiter(Waited::Waits)
            }
            Member::Gone => Local::Gone,
        }
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, Local>, src: Id, msg: Msg, out: &mut Out<Self>) {
        let next = match (self, &**state) {
            (Member::Server(server), Local::Server(before)) => {
                server.hear(me, before, (src, msg), out).map(Box::new).map(Local::Server)
            }
            (Member::Asker { again, .. }, Local::Asker(asked)) => match (asked, msg) {
                (Asked::Writes, Msg::Output { number: 1, .. }) if again.is_empty() => {
                    out.set_timer(Timer::Resend, ANY_TIME);
                    Some(Local::Asker(Asked::Wrote))
                }
                (Asked::Reads, Msg::Output { number: 2, output }) => {
                    if !again.is_empty() {
                        out.set_timer(Timer::Resend, ANY_TIME);
                    }
                    Some(Local::Asker(Asked::Told(output)))
                }
                (Asked::Asks(first), Msg::Output { number: 3, output }) => {
                    Some(Local::Asker(Asked::ToldBoth(first.clone(), output)))
                }
                _ => None,
            },
            (Member::Waiter(_), Local::Waiter(Waited::Waits)) if matches!(msg, Msg::Redirect { .. }) => {
                out.cancel_timer(Timer::Resend);
                Some(Local::Waiter(Waited::Heard))
            }
            _ => None,
        };
        if let Some(next) = next {
            *state.to_mut() = next;
        }
    }

    fn on_timeout(&self, me: Id, state: &mut Cow<'_, Local>, timer: &Timer, out: &mut Out<Self>) {
        let next = match (self, &**state) {
            (Member::Server(server), Local::Server(before)) => {
                server.ring(me, before, *timer, out).map(Box::new).map(Local::Server)
            }
            (Member::Asker { write, read, again }, Local::Asker(asked)) => match asked {
                Asked::Nothing => {
                    let ask = Ask::Submit { number: 1, command: Value::from(WRITTEN) };
                    out.broadcast(write, &ask.into());
                    if !again.is_empty() {
                        out.set_timer(Timer::Resend, ANY_TIME);
                    }
                    Some(Local::Asker(Asked::Writes))
                }
                Asked::Wrote | Asked::Writes => {
                    let ask = Ask::Query { number: 2, command: Value::from("get") };
                    out.broadcast(read, &ask.into());
                    Some(Local::Asker(Asked::Reads))
                }
                Asked::Told(first) => {
                    let ask = Ask::Query { number: 3, command: Value::from("get") };
                    out.broadcast(again, &ask.into());
                    Some(Local::Asker(Asked::Asks(first.clone())))
                }
                _ => None,
            },
            (Member::Waiter(_), Local::Waiter(Waited::Waits)) => Some(Local::Waiter(Waited::InVain)),
            _ => None,
        };
        if let Some(next) = next {
            *state.to_mut() = next;
        }
    }

    fn name(&self) -> String {
        match self {
            Member::Server(_) | Member::Gone => "S",
            Member::Asker { .. } | Member::Waiter(_) => "C",
        }
        .to_owned()
    }
}
