//! A client asks one question and waits for an answer. It may ask any number of servers, any number of times.

use crate::ballot::{Instance, Value};
use crate::effects::{Effects, Share};
use crate::message::{Ask, Msg, Timer};
use stateright::actor::Id;
use std::ops::Range;
use std::time::Duration;

/// A client that asks one question in its life. If an id asks several, the number of the call tells the answers of a log apart.
/// An answer about an instance is final, except for "unset".
#[derive(Clone, Debug)]
pub struct Client {
    /// The number of the call among those of its id.
    pub number: u64,
    /// The instance it asks about.
    pub instance: Instance,
    /// The question.
    pub want: Want,
    /// The proposers or servers that it asks. Only servers answer reads.
    pub asks: Vec<Id>,
    /// The learners or servers whose answers it takes.
    pub heeds: Vec<Id>,
    /// The number of processes that it asks at a time.
    pub asking: Asking,
    /// The time before it asks for the first time. `None`: it asks as it starts.
    pub pause: Option<Range<Duration>>,
    /// The time after which it asks again if no answer came. `None`: it never asks again.
    pub resend: Option<Range<Duration>>,
}

/// The questions of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Have this value chosen, if none is.
    Write(Value),
    /// Say what was chosen, without having anything chosen.
    Read,
    /// Execute this command. For servers that keep a log.
    Submit(Value),
    /// Answer this command, which changes nothing, without having it chosen. For servers that keep a log.
    Query(Value),
}

/// The processes that a client asks each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    /// Everyone on its list.
    #[default]
    Everyone,
    /// One on its list, and the next one each time it asks again; after the last the first.
    InTurn,
}

/// A client's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientState {
    /// The place in its list of the process that it asked last, or 0 if it asks all. `None`: it has not asked yet.
    pub asked: Option<usize>,
    /// The answer.
    pub answer: Option<Answer>,
}

/// The answers to a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// This value was chosen. It need not be the one asked for.
    Chosen(Value),
    /// To a read only: at a moment after it asked, nothing was chosen.
    Unset,
    /// The machine's output.
    Output(Value),
}

impl Client {
    /// Asks at once, or later if there is a pause.
    pub(crate) fn start(&self, fx: &mut Effects) -> ClientState {
        if let Some(pause) = &self.pause {
            fx.set_timer(Timer::Resend, pause.clone());
            return ClientState::default();
        }
        self.ask(0, fx);
        ClientState { asked: Some(0), answer: None }
    }

    /// Asks for the first time after the pause, or once more. With an answer there is nothing to ask.
    pub(crate) fn on_timeout(&self, mut client: Share<'_, ClientState>, fx: &mut Effects) {
        if client.answer.is_some() {
            return;
        }
        let next = match client.asked {
            Some(last) if self.asking == Asking::InTurn && last + 1 < self.asks.len() => last + 1,
            _ => 0,
        };
        if client.asked != Some(next) {
            client.edit().asked = Some(next);
        }
        self.ask(next, fx);
    }

    /// Asks everyone, or the one at this place of the list.
    fn ask(&self, place: usize, fx: &mut Effects) {
        let asked = match self.asking {
            Asking::Everyone => self.asks.as_slice(),
            Asking::InTurn => self.asks.get(place..=place).unwrap_or_default(),
        };
        fx.broadcast(asked, &Msg::Ask(self.question()));
        if let Some(after) = &self.resend {
            fx.set_timer(Timer::Resend, after.clone());
        }
    }

    /// The message that asks its question.
    pub fn question(&self) -> Ask {
        let (number, instance) = (self.number, self.instance);
        match &self.want {
            Want::Write(value) => Ask::Request { instance, value: value.clone() },
            Want::Read => Ask::Read { instance },
            Want::Submit(command) => Ask::Submit { number, command: command.clone() },
            Want::Query(command) => Ask::Query { number, command: command.clone() },
        }
    }

    /// Takes a message.
    pub(crate) fn on_msg(&self, client: Share<'_, ClientState>, msg: Msg, fx: &mut Effects) {
        let answer = match msg {
            Msg::Response { instance, value } => (instance, Answer::Chosen(value)),
            Msg::Unset { instance } => (instance, Answer::Unset),
            Msg::Output { number, output } if number == self.number => {
                (self.instance, Answer::Output(output))
            }
            Msg::Redirect { leader } => return self.on_redirect(&client, leader, fx),
            _ => return,
        };
        self.on_answer(client, answer, fx);
    }

    /// Asks the server that is said to lead, unless it has its answer.
    fn on_redirect(&self, client: &ClientState, leader: Id, fx: &mut Effects) {
        if client.asked.is_some() && client.answer.is_none() {
            fx.send(leader, Msg::Ask(self.question()));
        }
    }

    /// True if a client hears this message from this sender: an answer, from a process that may give it one.
    pub(crate) fn hears(&self, src: Id, msg: &Msg) -> bool {
        match msg {
            Msg::Response { .. } | Msg::Unset { .. } | Msg::Output { .. } | Msg::Redirect { .. } => {
                self.heeds.contains(&src)
            }
            _ => false,
        }
    }

    /// Takes the first answer for its instance. Later ones come too late for its question.
    fn on_answer(
        &self,
        mut client: Share<'_, ClientState>,
        (instance, answer): (Instance, Answer),
        fx: &mut Effects,
    ) {
        // Learners tell every client they know of, even one that has not asked yet. Only a question can be answered.
        if instance != self.instance || client.asked.is_none() || client.answer.is_some() {
            return;
        }
        // A writer goes on until something is chosen. Only a machine answers a command.
        let fits = matches!(
            (&self.want, &answer),
            (Want::Write(_) | Want::Read, Answer::Chosen(_))
                | (Want::Read, Answer::Unset)
                | (Want::Submit(_) | Want::Query(_), Answer::Output(_))
        );
        if !fits {
            return;
        }
        client.edit().answer = Some(answer);
        if self.resend.is_some() {
            fx.cancel_timer(Timer::Resend);
        }
    }
}
