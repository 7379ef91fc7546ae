//! A client of a log as an actor: the very function that the runtime runs, and that the tests explore.
//!
//! It guarantees that a command takes effect at most once, and that each call gets one outcome, which is true:
//!
//! - A command gets a number of a session once, and each copy of it is the same message. The log executes the first copy and answers the
//!   others from the table of the session.
//! - After the session has expired, a command that was sent is never sent in another session. Its outcome is unknown, unless an earlier
//!   answer arrives.
//! - A number is sent only when the answers of all numbers up to a window below came, or were given up. So the table still has the
//!   answer of every command that the client waits for.
//! - A call is reported as refused only if its command was never sent, or the log says that it was not executed and cannot have been.

#[cfg(test)]
mod explored;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod paced;
mod state;

use state::DOUBLINGS;

pub use state::{ClientState, Command, Question, Sent, Session, Target};

use crate::message::{Call, Message, Reading};
use crate::outcome::{Doubt, Outcome, Refusal};
use serde::Serialize;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Duration;
use synod::{Ask, Msg, Value};
use synod_machine::{SessionCommand, SessionOutput, StateMachine, decode, encode};

/// A client of a log that executes commands of the machine `M` with sessions.
pub struct SessionClient<M> {
    /// The members with which it begins, in the order in which they are asked. There is at least one.
    pub members: Vec<Id>,
    /// The number by which the log knows the client: drawn at random from so many that no other client has it.
    pub client: u64,
    /// The most commands that may be without an answer at a time. The cluster's limit must not be lower.
    pub window: u64,
    /// The most questions that may be without an answer at a time.
    pub questions: usize,
    /// The time after which a message without an answer is sent again, the second time that it is over.
    pub resend: Range<Duration>,
    /// The time after which a session that was not used may have expired.
    pub idle: Range<Duration>,
    machine: PhantomData<fn() -> M>,
}

/// The timers of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Timer {
    /// It asks once more.
    Resend,
    /// Its session may have expired.
    Idle,
}

type StateOf<M> = ClientState<<M as StateMachine>::Command, <M as StateMachine>::Output>;
type Said<M> = SessionOutput<<M as StateMachine>::Output>;

impl<M: StateMachine> SessionClient<M> {
    /// A client with a window of 16 commands and 256 questions.
    pub fn new(members: Vec<Id>, client: u64) -> Self {
        let ms = Duration::from_millis;
        SessionClient {
            members,
            client,
            window: 16,
            questions: 256,
            resend: ms(100)..ms(150),
            idle: ms(30_000)..ms(40_000),
            machine: PhantomData,
        }
    }

    fn on_call(&self, state: &mut StateOf<M>, call: Call<M::Command>, o: &mut Out<Self>) {
        match call {
            Call::Submit { call, command } => state.waiting.push_back((call, command)),
            Call::Query { call, command, reading } => state.asking.push_back((call, command, reading)),
            Call::GiveUp { call } => give_up::<M>(state, call),
            Call::Taken { outcomes } => {
                let new = outcomes.saturating_sub(state.taken).min(state.outcomes.len() as u64);
                state.outcomes.drain(..new as usize);
                state.taken += new;
            }
            Call::Members { members } => self.on_members(state, members, o),
            Call::Finish => self.finish(state, o),
        }
        self.send_what_may_be_sent(state, o);
    }

    /// Closes the session, so that the cluster need not keep it. Nobody waits for the answer.
    fn finish(&self, state: &mut StateOf<M>, o: &mut Out<Self>) {
        if let Session::Open { session, .. } = state.session
            && state.commands.is_empty()
        {
            state.session = Session::None;
            let number = state.number();
            self.submit(state, number, &value::<M>(&SessionCommand::Close { session }), o);
        }
    }

    /// Sends commands in the order of their calls, as far as the window allows, and questions. Opens a session if one is needed.
    fn send_what_may_be_sent(&self, state: &mut StateOf<M>, o: &mut Out<Self>) {
        while !state.waiting.is_empty() {
            match state.session {
                Session::None => self.open(state, None, o),
                Session::Open { session, next, is_doubtful: true } => {
                    self.open(state, Some((session, next)), o);
                }
                Session::Open { session, next, .. } if state.has_room(session, next, self.window) => {
                    let Some((call, command)) = state.waiting.pop_front() else { break };
                    let command = value::<M>(&SessionCommand::Apply { session, number: next, command });
                    state.session = Session::Open { session, next: next + 1, is_doubtful: false };
                    let number = state.number();
                    self.submit(state, number, &command, o);
                    let place = (session, next);
                    state.commands.insert(number, Command { call, place, sent: Sent::new(command) });
                }
                Session::Open { .. } | Session::Opening { .. } => break,
            }
        }
        while state.questions.len() < self.questions
            && let Some((call, command, reading)) = state.asking.pop_front()
        {
            let sent = Sent::new(value::<M>(&SessionCommand::Query(command)));
            let number = state.number();
            let question = Question { call, reading, sent };
            o.send(self.target(state), question.message(number));
            state.questions.insert(number, question);
        }
        if !state.is_ringing && !state.is_quiet() {
            state.is_ringing = true;
            o.set_timer(Timer::Resend, self.resend.clone());
        }
    }

    fn open(&self, state: &mut StateOf<M>, was: Option<(u64, u64)>, o: &mut Out<Self>) {
        let command = value::<M>(&SessionCommand::Open { client: self.client });
        let number = state.number();
        self.submit(state, number, &command, o);
        state.session = Session::Opening { number, sent: Sent::new(command), was };
    }

    /// The members as it knows them by now.
    fn members<'s>(&'s self, state: &'s StateOf<M>) -> &'s [Id] {
        if state.members.is_empty() { &self.members } else { &state.members }
    }

    fn target(&self, state: &StateOf<M>) -> Id {
        self.members(state)[state.target.place]
    }

    /// Goes on with the member that it asks if that is still one, and asks another if not.
    fn on_members(&self, state: &mut StateOf<M>, members: Vec<Id>, o: &mut Out<Self>) {
        let asked = self.target(state);
        state.members = members;
        let place = self.members(state).iter().position(|member| *member == asked);
        state.target.place = place.unwrap_or(0);
        if place.is_none() {
            (state.target.silences, state.target.redirections) = (0, 0);
            self.send_again(state, true, o);
        }
    }

    fn submit(&self, state: &StateOf<M>, number: u64, command: &Value, o: &mut Out<Self>) {
        o.send(self.target(state), submission(number, command));
    }

    /// Sends again what has no answer, each message as it was: all of it, or what was sent before the timer last rang.
    fn send_again(&self, state: &mut StateOf<M>, all: bool, o: &mut Out<Self>) {
        let (target, is_due) = (self.target(state), |sent: &Sent| all || sent.is_old);
        if let Session::Opening { number, sent, .. } = &state.session
            && is_due(sent)
        {
            o.send(target, submission(*number, &sent.command));
        }
        for (number, command) in state.commands.iter().filter(|(_, command)| is_due(&command.sent)) {
            o.send(target, submission(*number, &command.sent.command));
        }
        for (number, question) in state.questions.iter().filter(|(_, question)| is_due(&question.sent)) {
            o.send(target, question.message(*number));
        }
        state.sent().filter(|sent| is_due(sent)).for_each(|sent| sent.is_repeated = true);
    }

    /// Asks again. If a whole ring passed without any answer, asks the next member.
    fn on_resend(&self, state: &mut StateOf<M>, o: &mut Out<Self>) {
        if state.is_quiet() {
            state.is_ringing = false;
            o.set_timer(Timer::Idle, self.idle.clone());
            return;
        }
        let is_silent = !state.target.answered && state.sent().any(|sent| sent.is_old);
        if is_silent {
            state.target.place = (state.target.place + 1) % self.members(state).len();
            state.target.silences = (state.target.silences + 1).min(DOUBLINGS);
        }
        self.send_again(state, is_silent, o);
        state.target.answered = false;
        state.target.redirections = 0;
        state.sent().for_each(|sent| sent.is_old = true);
        let times = 1 << state.target.silences;
        o.set_timer(Timer::Resend, self.resend.start * times..self.resend.end * times);
    }

    /// Asks the server that is said to lead. Servers may send a client from one to the other. It follows once round, and then waits for
    /// the timer. Members are alive, so it does not wait any longer than at first.
    fn on_redirect(&self, state: &mut Cow<'_, StateOf<M>>, from: usize, leader: Id, o: &mut Out<Self>) {
        let members = self.members(state);
        let Some(place) = members.iter().position(|member| *member == leader) else { return };
        let most = members.len();
        if state.target.silences > 0 {
            state.to_mut().target.silences = 0;
        }
        let target = &state.target;
        // A late redirection, of a member that is not asked any more, says nothing new.
        if from != target.place || place == from || target.redirections >= most {
            return;
        }
        let state = state.to_mut();
        state.target.place = place;
        state.target.redirections += 1;
        self.send_again(state, true, o);
    }

    fn on_output(&self, state: &mut Cow<'_, StateOf<M>>, number: u64, output: &Value, o: &mut Out<Self>) {
        let is_opening =
            matches!(state.session, Session::Opening { number: opening, .. } if opening == number);
        // Enforces D8: an answer goes to the call whose message it names. A late copy of an answer finds no call.
        if !is_opening && !state.commands.contains_key(&number) && !state.questions.contains_key(&number) {
            return;
        }
        let state = state.to_mut();
        state.target.answered = true;
        state.target.silences = 0;
        state.target.redirections = 0;
        let said: Result<Option<Said<M>>, _> = decode(output.as_bytes());
        if let Some(Command { call, place, sent }) = state.commands.remove(&number) {
            let outcome = match said {
                Ok(Some(SessionOutput::Output(output))) => Outcome::Output(output),
                Ok(Some(SessionOutput::NotKept | SessionOutput::TooLong { .. })) => {
                    Outcome::Unknown(Doubt::NotKept)
                }
                // Enforces D8: it is said without the log, so a copy that another member took may be there.
                Ok(Some(SessionOutput::LongCommand { most })) if sent.is_repeated => {
                    Outcome::Unknown(Doubt::LongCommand(most))
                }
                Ok(Some(SessionOutput::LongCommand { most })) => Outcome::Refused(Refusal::LongCommand(most)),
                Ok(Some(SessionOutput::NotAdmitted)) => Outcome::Refused(Refusal::NotAdmitted),
                Ok(Some(SessionOutput::Answered)) => Outcome::Unknown(Doubt::Answered),
                Ok(Some(SessionOutput::Expired)) => {
                    // Enforces D8: the command may have taken effect in that session, so it is not sent in another.
                    state.forget_session(place.0);
                    Outcome::Unknown(Doubt::Expired)
                }
                Ok(Some(SessionOutput::Unknown)) => {
                    state.forget_session(place.0);
                    Outcome::Refused(Refusal::UnknownSession)
                }
                Ok(None) => Outcome::Refused(Refusal::NotUnderstood),
                Ok(Some(_)) | Err(_) => Outcome::Unknown(Doubt::NotUnderstood),
            };
            state.tell(call, outcome);
        } else if let Some(Question { call, .. }) = state.questions.remove(&number) {
            let outcome = match said {
                Ok(Some(SessionOutput::Output(output))) => Outcome::Output(output),
                Ok(Some(SessionOutput::NeedsSession)) => Outcome::Refused(Refusal::NoQuestion),
                Ok(Some(SessionOutput::LongCommand { most })) => Outcome::Refused(Refusal::LongCommand(most)),
                Ok(Some(SessionOutput::TooLong { bytes })) => Outcome::Refused(Refusal::LongAnswer(bytes)),
                Ok(_) | Err(_) => Outcome::Refused(Refusal::NotUnderstood),
            };
            state.tell(call, outcome);
        } else {
            on_opened::<M>(state, said.ok().flatten().as_ref());
        }
        self.send_what_may_be_sent(state, o);
    }
}

/// The session is open: the one that was expected, or a new one. If the cluster cannot even open a session, no command can be sent.
fn on_opened<M: StateMachine>(state: &mut StateOf<M>, said: Option<&Said<M>>) {
    let Session::Opening { was, .. } = state.session else { return };
    let Some(SessionOutput::Opened { session }) = said else {
        state.session = Session::None;
        while let Some((call, _)) = state.waiting.pop_front() {
            state.tell(call, Outcome::Refused(Refusal::NotUnderstood));
        }
        return;
    };
    let next = was.filter(|(was, _)| was == session).map_or(1, |(_, next)| next);
    state.session = Session::Open { session: *session, next, is_doubtful: false };
}

/// The application waits no longer. Its call has an outcome now, and a late answer finds no call.
fn give_up<M: StateMachine>(state: &mut StateOf<M>, given_up: u64) {
    if let Some(at) = state.waiting.iter().position(|(call, _)| *call == given_up) {
        state.waiting.remove(at);
        state.tell(given_up, Outcome::Refused(Refusal::NotSent));
    } else if let Some(at) = state.asking.iter().position(|(call, ..)| *call == given_up) {
        state.asking.remove(at);
        state.tell(given_up, Outcome::Refused(Refusal::NotSent));
    } else if let Some(number) = key(state.commands.iter().map(|(n, command)| (n, command.call)), given_up) {
        // The command was sent, so it may take effect at any time from now on.
        state.commands.remove(&number);
        state.tell(given_up, Outcome::Unknown(Doubt::GivenUp));
    } else if let Some(number) = key(state.questions.iter().map(|(n, question)| (n, question.call)), given_up)
    {
        state.questions.remove(&number);
        state.tell(given_up, Outcome::Refused(Refusal::NotAnswered));
    }
}

/// The number of the message of a call.
fn key<'s>(mut sent: impl Iterator<Item = (&'s u64, u64)>, given_up: u64) -> Option<u64> {
    sent.find(|(_, call)| *call == given_up).map(|(number, _)| *number)
}

fn value<M: StateMachine>(command: &SessionCommand<M::Command>) -> Value {
    Value::from(encode(command).as_slice())
}

fn submission<C>(number: u64, command: &Value) -> Message<C> {
    Message::Wire(Msg::Ask(Ask::Submit { number, command: command.clone() }))
}

impl Question {
    fn message<C>(&self, number: u64) -> Message<C> {
        let command = self.sent.command.clone();
        Message::Wire(Msg::Ask(match self.reading {
            Reading::Linearizable => Ask::Query { number, command },
            Reading::Stale => Ask::StaleQuery { number, command },
        }))
    }
}

impl<M: StateMachine> Actor for SessionClient<M> {
    type Msg = Message<M::Command>;
    type Timer = Timer;
    type State = StateOf<M>;
    type Storage = ();
    /// Nothing is drawn at random. The only chance is in the ranges of timers.
    type Random = Infallible;

    fn on_start(&self, _: Id, _: &Option<()>, _: &mut Out<Self>) -> Self::State {
        ClientState::default()
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, Self::State>, src: Id, msg: Self::Msg, o: &mut Out<Self>) {
        match msg {
            Message::Call(call) if src == me => self.on_call(state.to_mut(), call, o),
            Message::Wire(msg) => {
                let Some(from) = self.members(state).iter().position(|member| *member == src) else { return };
                match msg {
                    Msg::Output { number, output } => self.on_output(state, number, &output, o),
                    Msg::Redirect { leader } => self.on_redirect(state, from, leader, o),
                    _ => {}
                }
            }
            Message::Call(_) => {}
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, Self::State>, timer: &Timer, o: &mut Out<Self>) {
        match timer {
            Timer::Resend => self.on_resend(state.to_mut(), o),
            Timer::Idle => {
                if state.is_quiet()
                    && let Session::Open { session, next, is_doubtful: false } = state.session
                {
                    state.to_mut().session = Session::Open { session, next, is_doubtful: true };
                }
            }
        }
    }

    fn name(&self) -> String {
        "Client".to_owned()
    }
}
