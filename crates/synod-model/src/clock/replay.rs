//! A replica: the served machine after some of the log, with the rule of times kept or broken.

use super::scene::{Asked, Rule, Scene};
use synod::{Ask, Call, Instance, LogEntry, Machine, Msg, Value};
use synod_apply::{Due, Served, Teller};
use synod_machine::{
    Blob, Condition, Lives, Operation, Outcome, SessionCommand, SessionOutput, Settings, StoreCommand,
    StoreOutput, decode, encode,
};

/// The key and the lock that everything is about.
const NAME: &str = "k";
/// A client's id is above this, a member's own below.
const FIRST_CLIENT: usize = 100;
/// The session of the mutants that look at their own clock or settings.
const OWN: usize = 99;

/// The answers of a replica, as far as times and settings decide them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct View {
    /// The store's clock.
    pub(super) clock: u64,
    /// True if the key has a value.
    pub(super) is_there: bool,
    /// The token under which the lock is held.
    pub(super) token: Option<u64>,
    /// The longest value that is taken, in bytes.
    pub(super) value: usize,
}

fn entry(client: usize, number: u64, command: &SessionCommand<StoreCommand>) -> LogEntry {
    let command = Value::from(encode(command).as_slice());
    LogEntry { call: Call { client: client.into(), number }, command }
}

/// The session that is opened as this member's, client's or mutant's: they are opened in order before anything else happens.
pub(super) struct Opened {
    /// The machine with all sessions open.
    pub(super) machine: Served,
    /// The members' tellers.
    pub(super) tellers: Vec<Teller>,
    /// The clients' commands, in the order of the scene. A guarded one has no token yet.
    pub(super) asked: Vec<LogEntry>,
    own: u64,
}

impl Opened {
    /// A guarded write, with the token that it waited for. Where the token is compared when it is proposed, nothing is left to compare.
    pub(super) fn guarded(&self, place: usize, token: u64, rule: Option<Rule>) -> LogEntry {
        let fences = |_| if rule == Some(Rule::FenceAtPropose) { None } else { Some(token) };
        with_fence(&self.asked[place], fences)
    }
}

/// A scene's first state.
pub(super) fn opened(scene: &Scene) -> Opened {
    let is_members: fn(Call) -> bool = match scene.rule {
        Some(Rule::TellsAnyone) => |_| true,
        _ => |call| usize::from(call.client) < FIRST_CLIENT,
    };
    let mut machine = Served::new(is_members);
    let mut tellers: Vec<Teller> = (0..scene.members).map(|id| Teller::new(0, id as u64)).collect();
    for (id, teller) in tellers.iter_mut().enumerate() {
        let said = said(id, &teller.ask(Due::Time { given: 0 }, 0));
        let output = machine.execute(Instance(0), &said);
        teller.hear(said.call.number, &output);
    }
    let mut open = |client: usize| {
        let output =
            machine.execute(Instance(0), &entry(client, 0, &SessionCommand::Open { client: client as u64 }));
        match decode::<Option<SessionOutput<StoreOutput>>>(output.as_bytes()) {
            Ok(Some(SessionOutput::Opened { session })) => session,
            other => unreachable!("a session is opened: {other:?}"),
        }
    };
    let own = open(OWN);
    let asked = scene.asks.iter().enumerate().map(|(place, asked)| {
        let client = FIRST_CLIENT + place;
        let command = asked.command(place);
        entry(client, 1, &SessionCommand::Apply { session: open(client), number: 1, command })
    });
    let asked = asked.collect();
    if scene.are_told {
        let command = StoreCommand::Settings(Settings::default());
        let command = SessionCommand::Apply { session: own, number: 0, command };
        machine.execute(Instance(0), &entry(OWN, 0, &command));
    }
    Opened { machine, tellers, asked, own }
}

impl Asked {
    fn command(self, place: usize) -> StoreCommand {
        let name = Blob::from(NAME);
        let then = |operation| StoreCommand::Transact { when: Vec::new(), then: vec![operation] };
        match self {
            Asked::Put(time) => {
                then(Operation::Put { key: name, value: "v".into(), lives: Lives::For(time) })
            }
            Asked::Lock(time) => {
                let owner = Blob::from(vec![place as u8]);
                then(Operation::Acquire { lock: name, owner, lives: Lives::For(time) })
            }
            Asked::Guarded(_) => {
                let when = vec![Condition::Lock { lock: name.clone(), token: 0 }];
                let put = Operation::Put { key: name, value: "v".into(), lives: Lives::Forever };
                StoreCommand::Transact { when, then: vec![put] }
            }
            Asked::Tick(now) => StoreCommand::Tick { now, given: u64::MAX },
        }
    }
}

/// What a member's teller says, as it stands in the log.
pub(super) fn said(member: usize, ask: &Ask) -> LogEntry {
    let Msg::Ask(Ask::Submit { number, command }) = Msg::from(ask.clone()) else {
        unreachable!("a teller submits")
    };
    LogEntry { call: Call { client: member.into(), number }, command }
}

/// A command of the log, with another tick in the place of a tick.
fn with_tick(logged: &LogEntry, tick: impl Fn(u64, u64) -> (u64, u64)) -> LogEntry {
    match decode(logged.command.as_bytes()) {
        Ok(SessionCommand::Apply { session, number, command: StoreCommand::Tick { now, given } }) => {
            let (now, given) = tick(now, given);
            let command = StoreCommand::Tick { now, given };
            let command = SessionCommand::Apply { session, number, command };
            LogEntry { call: logged.call, command: Value::from(encode(&command).as_slice()) }
        }
        _ => logged.clone(),
    }
}

/// A command of the log, with another token in the place of that of its guard, or without its guard.
fn with_fence(logged: &LogEntry, fence: impl Fn(u64) -> Option<u64>) -> LogEntry {
    match decode(logged.command.as_bytes()) {
        Ok(SessionCommand::Apply { session, number, command: StoreCommand::Transact { when, then } }) => {
            let fenced = |condition| match condition {
                Condition::Lock { lock, token } => fence(token).map(|token| Condition::Lock { lock, token }),
                other => Some(other),
            };
            let when = when.into_iter().filter_map(fenced).collect();
            let command = StoreCommand::Transact { when, then };
            let command = SessionCommand::Apply { session, number, command };
            LogEntry { call: logged.call, command: Value::from(encode(&command).as_slice()) }
        }
        _ => logged.clone(),
    }
}

/// The place of a client's command among those of the scene.
pub(super) fn place_of(logged: &LogEntry) -> Option<usize> {
    usize::from(logged.call.client).checked_sub(FIRST_CLIENT)
}

/// The time in a command that tells one.
pub(super) fn time_in(logged: &LogEntry) -> Option<u64> {
    match decode(logged.command.as_bytes()) {
        Ok(SessionCommand::Apply { command: StoreCommand::Tick { now, .. }, .. }) => Some(now),
        _ => None,
    }
}

/// A replica that has executed a beginning of the log, and the output of the last command.
pub(super) struct Replica {
    machine: Served,
    own: u64,
    /// The number of times that the mutant looked at its own clock or settings.
    looked: u64,
}

impl Replica {
    /// Executes a beginning of the log. `at` are the moments at which a replica with a clock of its own executed each command; `settings` are
    /// those of its member.
    pub(super) fn after(
        opened: &Opened,
        log: &[LogEntry],
        at: &[u64],
        settings: &Settings,
        rule: Option<Rule>,
    ) -> (Self, Value) {
        let mut replica = Replica { machine: opened.machine.clone(), own: opened.own, looked: 0 };
        let last = log.iter().rev().find_map(time_in);
        let mut output = Value::from("");
        for (place, logged) in log.iter().enumerate() {
            let logged = match (rule, last) {
                (Some(Rule::KnowsAll), _) => with_tick(logged, |now, _| (now, u64::MAX)),
                (Some(Rule::ClockGoesBack), Some(last)) => {
                    with_tick(logged, |now, given| (now.min(last), given))
                }
                (Some(Rule::FenceAnyToken), _) => {
                    let holder = replica.view().token;
                    with_fence(logged, |token| holder.or(Some(token)))
                }
                _ => logged.clone(),
            };
            if rule == Some(Rule::OwnClock) {
                replica.look(at[place], u64::MAX);
            }
            if rule == Some(Rule::OwnSettings) {
                replica.own(StoreCommand::Settings(*settings));
            }
            let before = (rule == Some(Rule::ForgetsRefusals)).then(|| replica.machine.clone());
            output = replica.machine.execute(Instance(place as u64), &logged);
            if let Some(before) = before.filter(|_| is_refused(&output)) {
                replica.machine = before;
            }
            if rule == Some(Rule::StartsAtOnce) {
                let clock = replica.view().clock;
                replica.look(clock, u64::MAX);
            }
        }
        (replica, output)
    }

    /// Moves the clock as no log does.
    pub(super) fn look(&mut self, now: u64, given: u64) {
        self.own(StoreCommand::Tick { now, given });
    }

    /// Executes what is in no log.
    fn own(&mut self, command: StoreCommand) {
        self.looked += 1;
        let (session, number) = (self.own, self.looked);
        let command = SessionCommand::Apply { session, number, command };
        self.machine.execute(Instance(0), &entry(OWN, number, &command));
    }

    /// The served machine.
    pub(super) fn machine(&self) -> &Served {
        &self.machine
    }

    /// The answers to questions, by the function that answers them.
    pub(super) fn view(&self) -> View {
        let name = Blob::from(NAME);
        let then =
            vec![Operation::Clock, Operation::Get { key: name.clone() }, Operation::Holder { lock: name }];
        let question = SessionCommand::Query(StoreCommand::Transact { when: Vec::new(), then });
        let said = self.machine.query(&Value::from(encode(&question).as_slice()));
        let said = said.and_then(|said| decode(said.as_bytes()).ok());
        let Some(Some(SessionOutput::Output(StoreOutput::Done(outcomes)))) = said else {
            unreachable!("a question is answered")
        };
        let mut view = View { value: self.machine.settings().lengths.value, ..View::default() };
        for outcome in outcomes {
            match outcome {
                Outcome::Clock { now, .. } => view.clock = now,
                Outcome::Found(_) => view.is_there = true,
                Outcome::Held { grant, .. } => view.token = Some(grant.token),
                _ => {}
            }
        }
        view
    }
}

/// True if a command was executed.
pub(super) fn is_done(output: &Value) -> bool {
    let output = decode::<Option<SessionOutput<StoreOutput>>>(output.as_bytes());
    matches!(output, Ok(Some(SessionOutput::Output(StoreOutput::Done(_)))))
}

/// True if a command was not admitted.
pub(super) fn is_refused(output: &Value) -> bool {
    let output = decode::<Option<SessionOutput<StoreOutput>>>(output.as_bytes());
    matches!(output, Ok(Some(SessionOutput::NotAdmitted)))
}

/// The token that an output grants.
pub(super) fn granted(output: &Value) -> Option<u64> {
    match decode(output.as_bytes()) {
        Ok(Some(SessionOutput::Output(StoreOutput::Done(outcomes)))) => match outcomes.as_slice() {
            [Outcome::Granted { token }] => Some(*token),
            _ => None,
        },
        _ => None,
    }
}
