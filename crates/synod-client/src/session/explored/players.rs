//! The players of an exploration: applications with the very client, and a log that executes the real table of sessions.

use crate::message::{Call, Message, Reading};
use crate::outcome::{Doubt, Outcome, Refusal};
use crate::session::{ClientState, Session, SessionClient, Timer};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;
use synod::{Ask, Msg, Value};
use synod_machine::{
    Bank, BankCommand, BankOutput, Limits, SessionCommand, SessionOutput, Sessions, StateMachine, decode,
    encode,
};

/// The account that everyone pays into. The amount of call n is ten to the n, so the balance shows how often each took effect.
pub(super) const ACCOUNT: u64 = 1;

pub(super) fn amount(call: u64) -> u64 {
    10_u64.pow(u32::try_from(call).expect("there are few calls"))
}

/// The acts of an application, each at any time after the one before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Submit(u64),
    Query(u64),
    GiveUp(u64),
}

/// A rule that a client breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    RenumbersOnResend,
    SendsAgainInNewSession,
    TakesAnyAnswer,
    TakesOldAnswers,
    CallsGivenUpRefused,
    KeepsGivenUp,
    CallsExpiredRefused,
    CallsLongRefused,
    BeginsNumbersAnew,
}

pub(super) enum Player {
    /// An application with its client.
    App { client: SessionClient<Bank>, acts: Vec<Act>, mutant: Option<Mutant> },
    /// The log: it executes each command as it comes, and answers what it has executed from the table.
    Log(Limits),
    /// A member that follows.
    Follower {
        /// The leader.
        leader: Id,
        /// True if a client's commands are too long for it, unlike for the leader.
        is_narrow: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PlayerState {
    App { client: ClientState<BankCommand, BankOutput>, acted: usize },
    Log(Sessions<Bank>),
    Follower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Rings {
    Client(Timer),
    Next,
}

type Inner = SessionClient<Bank>;
pub(super) type InnerState = ClientState<BankCommand, BankOutput>;

fn submit(call: u64) -> BankCommand {
    BankCommand::Deposit { account: ACCOUNT, amount: amount(call) }
}

fn act(act: Act) -> Call<BankCommand> {
    match act {
        Act::Submit(call) => Call::Submit { call, command: submit(call) },
        Act::Query(call) => {
            let command = BankCommand::Balance { account: ACCOUNT };
            Call::Query { call, command, reading: Reading::Linearizable }
        }
        Act::GiveUp(call) => Call::GiveUp { call },
    }
}

fn renumbered(msg: Message<BankCommand>) -> Message<BankCommand> {
    let Message::Wire(Msg::Ask(Ask::Submit { number, command })) = &msg else { return msg };
    match decode(command.as_bytes()) {
        Ok(SessionCommand::<BankCommand>::Apply { session, number: n, command }) => {
            let command = SessionCommand::Apply { session, number: n + 1, command };
            let command = Value::from(encode(&command).as_slice());
            Message::Wire(Msg::Ask(Ask::Submit { number: *number, command }))
        }
        _ => msg,
    }
}

/// Breaks a rule before the client hears an answer.
fn mislead(client: &Inner, mutant: Mutant, state: &mut InnerState, msg: &mut Msg, out: &mut Out<Inner>) {
    let Msg::Output { number, output } = msg else { return };
    let said: Result<Option<SessionOutput<BankOutput>>, _> = decode(output.as_bytes());
    match mutant {
        Mutant::TakesAnyAnswer => {
            let is_output = matches!(said, Ok(Some(SessionOutput::Output(_))));
            if let (true, Some(first)) = (is_output, state.commands.keys().next()) {
                *number = *first;
            }
        }
        Mutant::TakesOldAnswers => {
            if let Some(first) = state.questions.keys().next()
                && *number < *first
                && matches!(said, Ok(Some(SessionOutput::Output(BankOutput::Done { old, new }))) if old == new)
            {
                *number = *first;
            }
        }
        Mutant::SendsAgainInNewSession => {
            if said == Ok(Some(SessionOutput::Expired))
                && let Some(expired) = state.commands.remove(number)
            {
                state.forget_session(expired.place.0);
                state.waiting.push_front((expired.call, submit(expired.call)));
                client.send_what_may_be_sent(state, out);
            }
        }
        Mutant::BeginsNumbersAnew => {
            if let Session::Opening { was, .. } = &mut state.session {
                *was = None;
            }
        }
        Mutant::RenumbersOnResend
        | Mutant::CallsGivenUpRefused
        | Mutant::CallsExpiredRefused
        | Mutant::CallsLongRefused
        | Mutant::KeepsGivenUp => {}
    }
}

/// Breaks a rule after the client has taken a step.
fn distort(
    mutant: Option<Mutant>,
    is_ring: bool,
    told: usize,
    state: &mut InnerState,
    out: Out<Inner>,
    o: &mut Out<Player>,
) {
    for (_, outcome) in state.outcomes.iter_mut().skip(told) {
        match (mutant, &outcome) {
            (Some(Mutant::CallsGivenUpRefused), Outcome::Unknown(Doubt::GivenUp))
            | (Some(Mutant::CallsExpiredRefused), Outcome::Unknown(Doubt::Expired))
            | (Some(Mutant::CallsLongRefused), Outcome::Unknown(Doubt::LongCommand(_))) => {
                *outcome = Outcome::Refused(Refusal::NotSent);
            }
            _ => {}
        }
    }
    for command in out {
        match command {
            Command::Send(to, msg) if is_ring && mutant == Some(Mutant::RenumbersOnResend) => {
                o.send(to, renumbered(msg));
            }
            Command::Send(to, msg) => o.send(to, msg),
            Command::SetTimer(timer, after) => o.set_timer(Rings::Client(timer), after),
            Command::CancelTimer(timer) => o.cancel_timer(Rings::Client(timer)),
            Command::ChooseRandom(..) | Command::Save(()) => unreachable!("a client does neither"),
        }
    }
}

fn is_numbered(command: &Value) -> bool {
    let command = decode::<SessionCommand<BankCommand>>(command.as_bytes());
    matches!(command, Ok(SessionCommand::Apply { .. }))
}

impl Actor for Player {
    type Msg = Message<BankCommand>;
    type Timer = Rings;
    type State = PlayerState;
    type Storage = ();
    type Random = Infallible;

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> PlayerState {
        match self {
            Player::App { .. } => {
                o.set_timer(Rings::Next, Duration::ZERO..Duration::ZERO);
                PlayerState::App { client: ClientState::default(), acted: 0 }
            }
            Player::Log(limits) => {
                PlayerState::Log(Sessions::new(Bank::default(), *limits).expect("there is room"))
            }
            Player::Follower { .. } => PlayerState::Follower,
        }
    }

    fn on_msg(
        &self,
        me: Id,
        state: &mut Cow<'_, PlayerState>,
        src: Id,
        msg: Message<BankCommand>,
        o: &mut Out<Self>,
    ) {
        let Message::Wire(mut msg) = msg else { return };
        match (self, &**state) {
            (Player::App { client, mutant, .. }, PlayerState::App { client: was, acted }) => {
                let (mut now, mut out, told) = (was.clone(), Out::new(), was.outcomes.len());
                if let Some(mutant) = mutant {
                    mislead(client, *mutant, &mut now, &mut msg, &mut out);
                }
                let mut inner = Cow::Owned(now);
                client.on_msg(me, &mut inner, src, Message::Wire(msg), &mut out);
                let mut now = inner.into_owned();
                distort(*mutant, false, told, &mut now, out, o);
                if now != *was {
                    let acted = *acted;
                    *state = Cow::Owned(PlayerState::App { client: now, acted });
                }
            }
            (Player::Log(_), PlayerState::Log(log)) => {
                let (number, said) = match msg {
                    Msg::Ask(Ask::Submit { number, command }) => {
                        let command: SessionCommand<BankCommand> =
                            decode(command.as_bytes()).expect("a client says what can be read");
                        let known = match command {
                            SessionCommand::Apply { session, number, .. } => {
                                log.final_answer(session, number)
                            }
                            _ => None,
                        };
                        let said = known.unwrap_or_else(|| {
                            let PlayerState::Log(log) = state.to_mut() else { unreachable!("it is one") };
                            log.apply(&command)
                        });
                        (number, Some(said))
                    }
                    Msg::Ask(Ask::Query { number, command }) => {
                        let command: SessionCommand<BankCommand> =
                            decode(command.as_bytes()).expect("a client says what can be read");
                        (number, log.query(&command))
                    }
                    _ => return,
                };
                let output = Value::from(encode(&said).as_slice());
                o.send(src, Message::Wire(Msg::Output { number, output }));
            }
            (Player::Follower { leader, is_narrow }, _) => {
                let said = match msg {
                    Msg::Ask(Ask::Submit { number, command }) if *is_narrow && is_numbered(&command) => {
                        let said = SessionOutput::<BankOutput>::LongCommand { most: 0 };
                        Msg::Output { number, output: Value::from(encode(&Some(said)).as_slice()) }
                    }
                    _ => Msg::Redirect { leader: *leader },
                };
                o.send(src, Message::Wire(said));
            }
            _ => unreachable!("each player has its own state"),
        }
    }

    fn on_timeout(&self, me: Id, state: &mut Cow<'_, PlayerState>, timer: &Rings, o: &mut Out<Self>) {
        let (Player::App { client, acts, mutant }, PlayerState::App { client: was, acted }) =
            (self, &**state)
        else {
            unreachable!("only applications set timers")
        };
        let (mut inner, mut out, mut acted) = (Cow::Borrowed(was), Out::new(), *acted);
        let told = was.outcomes.len();
        match timer {
            Rings::Client(timer) => client.on_timeout(me, &mut inner, timer, &mut out),
            Rings::Next => {
                client.on_msg(me, &mut inner, me, Message::Call(act(acts[acted])), &mut out);
                acted += 1;
                if acted < acts.len() {
                    o.set_timer(Rings::Next, Duration::ZERO..Duration::ZERO);
                }
            }
        }
        let mut now = inner.into_owned();
        if *mutant == Some(Mutant::KeepsGivenUp) && now.outcomes.len() > told {
            now.commands.extend(was.commands.clone());
        }
        distort(*mutant, matches!(timer, Rings::Client(_)), told, &mut now, out, o);
        *state = Cow::Owned(PlayerState::App { client: now, acted });
    }

    fn name(&self) -> String {
        match self {
            Player::App { .. } => "Client",
            Player::Log(_) => "Log",
            Player::Follower { .. } => "Follower",
        }
        .to_owned()
    }
}
