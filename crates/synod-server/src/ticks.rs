//! The time, told to the log by the member that leads, as a client of itself. Nothing is told while nothing has a time.
//!
//! The store's clock moves by commands in the log alone. A tick names how many times had been given when its teller read the
//! clock. The teller takes that number from what this member has executed, which may be behind: then a time starts by a later tick.

use std::time::Duration;
use synod::{Ask, Msg, Phase, Process, ProcessState, Value};
use synod_machine::{
    Operation, Outcome, SessionCommand, SessionOutput, StoreCommand, StoreOutput, decode, encode,
};
use synod_runtime::changes::Changes;
use synod_runtime::disk::Disk;
use synod_runtime::door::Door;
use synod_runtime::node::{LOCAL_CLIENT, Node};
use synod_runtime::wire::Wire;

/// The time between two ticks.
const PERIOD: Duration = Duration::from_millis(250);
/// The time after which a command is said again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client of a member that tells the time.
#[derive(Debug)]
pub struct Ticker {
    id: u64,
    /// The name under which it asks for a session.
    client: u64,
    session: Option<u64>,
    /// The number of its next command in the session.
    number: u64,
    /// The number of its latest call.
    call: u64,
    /// The call that is under way, its command, and when it is to be said again.
    open: Option<(Value, Duration)>,
    /// The time of the next tick.
    next: Duration,
}

impl Ticker {
    /// The ticker of a member at one of its starts. `client` is drawn at random.
    pub fn new(member: u64, boot: u64, client: u64) -> Ticker {
        // Calls of an earlier start may still be in the log, so their numbers are not used again.
        let call = boot << 32;
        Ticker {
            id: LOCAL_CLIENT | member,
            client,
            session: None,
            number: 1,
            call,
            open: None,
            next: Duration::ZERO,
        }
    }

    /// The id that it has as a client.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes an answer.
    pub fn hear(&mut self, msg: &Msg) {
        let Msg::Output { number, output } = msg else { return };
        if *number != self.call || self.open.take().is_none() {
            return;
        }
        match decode::<Option<SessionOutput<StoreOutput>>>(output.as_bytes()) {
            Ok(Some(SessionOutput::Opened { session })) => (self.session, self.number) = (Some(session), 1),
            Ok(Some(SessionOutput::Expired | SessionOutput::Unknown)) => self.session = None,
            // Whatever it was, the number is used up.
            _ => self.number += 1,
        }
    }

    /// Tells the time, if it is due: `unix` is the time since the Unix epoch by this machine's clock, read now. Returns when it wants to be
    /// called again even if nothing happens, in the time of the node's wire.
    pub fn turn<C, D, W>(&mut self, node: &mut Node<Process, C, D, W>, unix: Duration) -> Duration
    where
        C: Changes<synod::Stable> + Door<Process>,
        D: Disk,
        W: Wire,
    {
        let Some(given) = node.state().and_then(due) else {
            // Somebody else tells the time, or nobody needs to.
            self.open = None;
            return Duration::MAX;
        };
        let now = node.now();
        match &self.open {
            Some((_, again)) if now < *again => return *again,
            None if now < self.next => return self.next,
            _ => {}
        }
        let command = match self.open.take() {
            Some((command, _)) => command,
            None => {
                self.call += 1;
                let unix = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
                let command = match self.session {
                    None => SessionCommand::Open { client: self.client },
                    Some(session) => {
                        self.next = now + PERIOD;
                        let command = StoreCommand::Tick { now: unix, given };
                        SessionCommand::Apply { session, number: self.number, command }
                    }
                };
                Value::from(encode(&command).as_slice())
            }
        };
        let ask = Ask::Submit { number: self.call, command: command.clone() };
        // Without room it is said again later.
        node.tell(self.id, &Msg::Ask(ask));
        self.open = Some((command, now + PATIENCE));
        now + PATIENCE
    }
}

/// The number of times given so far, if this member leads and something has a time that runs.
fn due(state: &ProcessState) -> Option<u64> {
    let server = state.server()?;
    if !matches!(server.proposer.phase, Phase::Accepting { .. }) {
        return None;
    }
    let question = StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Clock] };
    let question = encode(&SessionCommand::Query(question));
    let said = server.log.as_ref()?.replica.machine().query(&Value::from(question.as_slice()))?;
    match decode::<Option<SessionOutput<StoreOutput>>>(said.as_bytes()) {
        Ok(Some(SessionOutput::Output(StoreOutput::Done(outcomes)))) => match outcomes.as_slice() {
            [Outcome::Clock { runs: true, given, .. }] => Some(*given),
            _ => None,
        },
        _ => None,
    }
}
