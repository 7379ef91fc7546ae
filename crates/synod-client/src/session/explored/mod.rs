//! Explores every run of the client against a log that executes the real table of sessions, over a network that loses, repeats and
//! reorders. Each property is seen to fall by a client that breaks one rule.

mod players;

use super::{Session, SessionClient};
use crate::outcome::{Doubt, Outcome};
use players::{ACCOUNT, Act, InnerState, Mutant, Player, PlayerState, Rings, amount};
use std::sync::Arc;
use synod_explore::{
    Delivery, Local, Network, Observer, Options, Property, Report, Step, System, Trigger, Verdict, explore,
};
use synod_linear::{Object, Spec, Tester, step_of};
use synod_machine::{BankOutput, Limits};

/// An account: an operation adds an amount, which may be nothing, and tells the balance before and after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Account;

impl Spec for Account {
    type State = u64;
    type Op = u64;
    type Ret = (u64, u64);

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, op: &u64, ret: Option<&(u64, u64)>) -> Option<u64> {
        step_of(self, state, op, ret)
    }
}

impl Object for Account {
    fn apply(&self, state: &u64, op: &u64) -> (u64, (u64, u64)) {
        (state + op, (*state, state + op))
    }
}

/// Judges the history of all applications together. A call without a certain outcome stays open.
struct Judge {
    acts: Vec<Vec<Act>>,
}

/// A step's meaning: the call that began, with its amount, and the calls that ended, with the balances they were told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Told {
    began: Option<(u64, u64)>,
    ended: Vec<(u64, (u64, u64))>,
}

impl Observer<Player> for Judge {
    type History = Tester<Account, u64>;
    type Note = Told;

    fn initial(&self) -> Self::History {
        Tester::new(Account)
    }

    fn note(&self, step: &Step<'_, Player>) -> Option<Told> {
        let (Some(PlayerState::App { client, acted }), Some(PlayerState::App { client: after, .. })) =
            (step.before, step.after)
        else {
            return None;
        };
        let acts = self.acts.get(usize::from(step.actor))?;
        let began = match (step.trigger, acts.get(*acted)) {
            (Trigger::Timeout(Rings::Next), Some(Act::Submit(call))) => Some((*call, amount(*call))),
            (Trigger::Timeout(Rings::Next), Some(Act::Query(call))) => Some((*call, 0)),
            _ => None,
        };
        let new = after.outcomes.iter().skip(client.outcomes.len());
        let ended: Vec<_> = new
            .filter_map(|(call, outcome)| match outcome {
                Outcome::Output(BankOutput::Done { old, new }) => Some((*call, (*old, *new))),
                _ => None,
            })
            .collect();
        (began.is_some() || !ended.is_empty()).then_some(Told { began, ended })
    }

    fn update(&self, history: &Self::History, note: &Told) -> Option<Self::History> {
        let mut history = history.clone();
        if let Some((call, amount)) = note.began {
            history.invoke(call, amount);
        }
        for (call, ret) in &note.ended {
            history.returned(call, ret);
        }
        Some(history)
    }
}

type Locals = [Arc<Local<Player>>];

/// The number of times that a call's command took effect.
fn effects(locals: &Locals, call: u64) -> u64 {
    let log = locals.iter().find_map(|local| match local.state.as_deref() {
        Some(PlayerState::Log(log)) => Some(log),
        _ => None,
    });
    log.map_or(0, |log| log.machine().balance(ACCOUNT) / amount(call) % 10)
}

fn clients(locals: &Locals) -> impl Iterator<Item = &InnerState> {
    locals.iter().filter_map(|local| match local.state.as_deref() {
        Some(PlayerState::App { client, .. }) => Some(client),
        _ => None,
    })
}

/// Every outcome so far, with its call.
fn outcomes(locals: &Locals) -> impl Iterator<Item = &(u64, Outcome<BankOutput>)> {
    clients(locals).flat_map(|client| &client.outcomes)
}

const ONCE: &str = "a command takes effect at most once";
const OWN: &str = "an output is that of the call's own effect";
const CERTAIN: &str = "a call that was refused has no effect";
const ONE: &str = "a call has one outcome";
const KEPT: &str = "no answer is forgotten that a client waits for";
const LINEAR: &str = "the history is linearizable";

/// A client's acts, and the window that it goes by.
type Acts = (&'static [Act], u64);

struct Scenario {
    acts: Vec<Acts>,
    /// The limits of the log's table.
    limits: Limits,
    /// The most commands that are executed.
    applied: u64,
    follower: bool,
    /// True if commands are too long for the follower, and not for the log.
    is_narrow: bool,
    /// Numbers of the calls that submit.
    submits: &'static [u64],
}

fn system(scenario: &Scenario, mutant: Option<Mutant>) -> System<Player, Judge> {
    let clients = scenario.acts.len();
    let log = clients.into();
    let mut members = vec![log];
    if scenario.follower {
        members.insert(0, (clients + 1).into());
    }
    let app = |(at, (acts, window)): (usize, &Acts)| {
        let mut client = SessionClient::new(members.clone(), 100 + at as u64);
        client.window = *window;
        client.questions = 1;
        Player::App { client, acts: acts.to_vec(), mutant }
    };
    let mut players: Vec<Player> = scenario.acts.iter().enumerate().map(app).collect();
    players.push(Player::Log(scenario.limits));
    if scenario.follower {
        players.push(Player::Follower { leader: log, is_narrow: scenario.is_narrow });
    }
    let acts = scenario.acts.iter().map(|(acts, _)| acts.to_vec()).collect();
    let mut system = System::new(players, Judge { acts });
    // A message stays for ever: it comes late, comes again, is overtaken, or never comes.
    system.network = Network { delivery: Delivery::Set, loss: false };
    let most = scenario.applied;
    let within = move |state: &PlayerState| !matches!(state, PlayerState::Log(log) if log.applied() > most);
    system.bounds.local = Some((format!("at most {most} commands are executed"), Arc::new(within)));
    let submits = scenario.submits;
    let always = |name, check: fn(&Locals, u64) -> Result<(), String>| {
        Property::always_locals(name, move |locals| submits.iter().try_for_each(|call| check(locals, *call)))
    };
    system
        .property(always(ONCE, |locals, call| match effects(locals, call) {
            0 | 1 => Ok(()),
            effects => Err(format!("call {call} took effect {effects} times")),
        }))
        .property(always(OWN, |locals, call| {
            let own = outcomes(locals).filter(|(of, _)| *of == call);
            for (_, outcome) in own {
                if let Outcome::Output(output) = outcome {
                    let is_own = matches!(output, BankOutput::Done { old, new } if new - old == amount(call));
                    if !is_own || effects(locals, call) != 1 {
                        return Err(format!("call {call} was told {output:?}"));
                    }
                }
            }
            Ok(())
        }))
        .property(always(CERTAIN, |locals, call| {
            let is_refused =
                outcomes(locals).any(|(of, outcome)| *of == call && matches!(outcome, Outcome::Refused(_)));
            if is_refused && effects(locals, call) != 0 {
                return Err(format!("call {call} was refused, and took effect"));
            }
            Ok(())
        }))
        .property(always(ONE, |locals, call| match outcomes(locals).filter(|(of, _)| *of == call).count() {
            0 | 1 => Ok(()),
            count => Err(format!("call {call} has {count} outcomes")),
        }))
        .property(Property::always_locals(KEPT, |locals| {
            match outcomes(locals).find(|(_, outcome)| *outcome == Outcome::Unknown(Doubt::Answered)) {
                Some((call, _)) => Err(format!("the answer of call {call} is forgotten")),
                None => Ok(()),
            }
        }))
        .property(Property::always_history(LINEAR, |history: &Tester<Account, u64>| {
            if history.is_linearizable() { Ok(()) } else { Err("there is no order".to_owned()) }
        }))
        .property(Property::sometimes_locals("all calls are answered", move |locals| {
            submits.iter().all(|call| {
                outcomes(locals).any(|(of, outcome)| of == call && matches!(outcome, Outcome::Output(_)))
            })
        }))
}

fn options() -> Options<'static> {
    Options { threads: 1, ..Options::default() }
}

fn holds(name: &str, scenario: &Scenario, witnesses: Vec<Property<Player, Judge>>) {
    let mut system = system(scenario, None);
    for witness in witnesses {
        system = system.property(witness);
    }
    let report = explore(&system, &options());
    println!("{name}: {} states, depth {}, {:?}", report.unique_states, report.depth, report.elapsed);
    assert!(matches!(report.verdict, Verdict::Holds | Verdict::HoldsWithinBound(_)), "{name}: {report:?}");
}

fn falls(name: &str, scenario: &Scenario, mutant: Option<Mutant>, property: &str) {
    let report: Report<Player> = explore(&system(scenario, mutant), &options());
    let fell = matches!(report.verdict, Verdict::Violated { property: fell } if fell == property);
    println!("{name}: {:?} after {} states", report.verdict, report.unique_states);
    assert!(fell, "{name}: {report:?}");
}

fn sometimes(name: &'static str, outcome: Outcome<BankOutput>, effect: u64) -> Property<Player, Judge> {
    Property::sometimes_locals(name, move |locals| {
        outcomes(locals).any(|(call, told)| *told == outcome && effects(locals, *call) == effect)
    })
}

/// One client, two commands and a question in flight, and a member that sends it on to the log.
fn alone() -> Scenario {
    Scenario {
        acts: vec![(&[Act::Submit(0), Act::Submit(1), Act::Query(2)], 2)],
        limits: Limits { sessions: 1, window: 2, ..Limits::default() },
        applied: 5,
        follower: true,
        is_narrow: false,
        submits: &[0, 1],
    }
}

/// One client that asks before and after a command.
fn asked() -> Scenario {
    Scenario { acts: vec![(&[Act::Query(1), Act::Submit(0), Act::Query(2)], 1)], submits: &[0], ..alone() }
}

/// One client that gives up a command.
fn given_up() -> Scenario {
    Scenario {
        acts: vec![(&[Act::Submit(0), Act::GiveUp(0), Act::Submit(1), Act::Submit(2)], 1)],
        limits: Limits { sessions: 1, window: 1, ..Limits::default() },
        applied: 5,
        follower: false,
        is_narrow: false,
        submits: &[0, 1, 2],
    }
}

/// Two clients and room for one session: each that is opened ends the other.
fn crowded() -> Scenario {
    Scenario {
        acts: vec![(&[Act::Submit(0), Act::Submit(1)], 2), (&[Act::Submit(2)], 2)],
        limits: Limits { sessions: 1, window: 2, ..Limits::default() },
        applied: 6,
        follower: false,
        is_narrow: false,
        submits: &[0, 1, 2],
    }
}

/// One client, and a member of two that takes no command as long as its own.
fn long() -> Scenario {
    Scenario {
        acts: vec![(&[Act::Submit(0), Act::Submit(1)], 2)],
        applied: 4,
        is_narrow: true,
        submits: &[0, 1],
        ..alone()
    }
}

#[test]
fn commands_in_flight_take_effect_once_and_are_answered() {
    holds("alone", &alone(), Vec::new());
    holds("asked", &asked(), Vec::new());
}

#[test]
fn a_command_that_was_given_up_is_in_doubt_exactly_if_it_was_sent() {
    use crate::outcome::Refusal::NotSent;
    holds(
        "given up",
        &given_up(),
        vec![
            sometimes("given up, and it takes effect", Outcome::Unknown(Doubt::GivenUp), 1),
            sometimes("given up, and it takes none", Outcome::Unknown(Doubt::GivenUp), 0),
            sometimes("given up before it was sent", Outcome::Refused(NotSent), 0),
        ],
    );
}

#[test]
fn a_command_that_one_member_refuses_is_in_doubt_exactly_if_another_may_have_taken_it() {
    use crate::outcome::Refusal::LongCommand;
    holds(
        "long",
        &long(),
        vec![
            sometimes("refused", Outcome::Refused(LongCommand(0)), 0),
            sometimes("in doubt, and it took effect", Outcome::Unknown(Doubt::LongCommand(0)), 1),
            sometimes("in doubt, and it took none", Outcome::Unknown(Doubt::LongCommand(0)), 0),
        ],
    );
}

#[test]
fn a_session_that_expires_leaves_its_commands_in_doubt_and_the_next_goes_on() {
    let reopened = Property::sometimes_locals("a client has a second session", |locals: &Locals| {
        clients(locals).any(|client| matches!(client.session, Session::Open { session, .. } if session > 2))
    });
    holds(
        "crowded",
        &crowded(),
        vec![
            sometimes("expired, and it took effect", Outcome::Unknown(Doubt::Expired), 1),
            sometimes("expired, and it took none", Outcome::Unknown(Doubt::Expired), 0),
            reopened,
        ],
    );
}

#[test]
fn a_client_that_breaks_a_rule_is_found_out() {
    let mut wide = alone();
    wide.limits.window = 1;
    falls("ignores the window", &wide, None, KEPT);
    falls("renumbers on resend", &alone(), Some(Mutant::RenumbersOnResend), ONCE);
    falls("takes any answer", &alone(), Some(Mutant::TakesAnyAnswer), OWN);
    falls("takes old answers", &asked(), Some(Mutant::TakesOldAnswers), LINEAR);
    falls("begins numbers anew", &alone(), Some(Mutant::BeginsNumbersAnew), OWN);
    falls("sends again in a new session", &crowded(), Some(Mutant::SendsAgainInNewSession), ONCE);
    falls("calls what expired refused", &crowded(), Some(Mutant::CallsExpiredRefused), CERTAIN);
    falls("calls what may be too long refused", &long(), Some(Mutant::CallsLongRefused), CERTAIN);
    falls("keeps what was given up", &given_up(), Some(Mutant::KeepsGivenUp), ONE);
    falls("calls what was given up refused", &given_up(), Some(Mutant::CallsGivenUpRefused), CERTAIN);
}
