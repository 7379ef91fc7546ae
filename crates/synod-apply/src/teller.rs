//! Guarantees that a tick says up to where its teller knew: the number of times that were given is read from what this member has executed,
//! no later than its clock is. Settings are told by the same rule as the time: by a member that takes itself for the leader, where the machine
//! has others.
//!
//! The teller of a member is a client of the log like any other: it has a session, and one command under way at a time.

use crate::served::SETTINGS;
use synod::{Ask, Machine, Value};
use synod_machine::{
    Operation, Outcome, SessionCommand, SessionOutput, Settings, StoreCommand, StoreOutput, decode, encode,
};

/// The command that a member that leads should tell the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The settings of its configuration: none were told so far, or others.
    Settings(Settings),
    /// The time, since something ends by itself: the number of times given so far.
    Time {
        /// As [`Outcome::Clock`] says.
        given: u64,
    },
}

/// The client of a member that tells the time and the settings to the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Teller {
    /// The name under which it asks for a session.
    client: u64,
    session: Option<u64>,
    /// The number of its next command in the session.
    number: u64,
    /// The number of its latest call.
    call: u64,
    /// The command of the call that is under way.
    open: Option<Value>,
}

impl Teller {
    /// The teller of a member at its start of this number. `client` is drawn at random.
    pub fn new(boot: u64, client: u64) -> Teller {
        // Calls of an earlier start may still be in the log, so their numbers are not used again.
        Teller { client, session: None, number: 1, call: boot << 32, open: None }
    }

    /// True if a call is under way.
    pub fn is_waiting(&self) -> bool {
        self.open.is_some()
    }

    /// True if it has a session, so that what it says next is what it has to tell.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Takes the answer to a call.
    pub fn hear(&mut self, number: u64, output: &Value) {
        if number != self.call || self.open.take().is_none() {
            return;
        }
        match decode::<Option<SessionOutput<StoreOutput>>>(output.as_bytes()) {
            Ok(Some(SessionOutput::Opened { session })) => (self.session, self.number) = (Some(session), 1),
            Ok(Some(SessionOutput::Expired | SessionOutput::Unknown)) => self.session = None,
            // Whatever it was, the number is used up.
            _ => self.number += 1,
        }
    }

    /// Gives up the call that is under way: another member tells what is to be told, or nobody needs it.
    pub fn rest(&mut self) {
        self.open = None;
    }

    /// The question to the log: the same again while a call is under way. `due` is what [`due`] says of this member's machine; `unix` are the
    /// milliseconds since the Unix epoch by its clock, read before anything else was executed.
    pub fn ask(&mut self, due: Due, unix: u64) -> Ask {
        let command = self.open.take().unwrap_or_else(|| {
            self.call += 1;
            let command = match self.session {
                None => SessionCommand::Open { client: self.client },
                Some(session) => {
                    let command = match due {
                        Due::Settings(settings) => StoreCommand::Settings(settings),
                        Due::Time { given } => StoreCommand::Tick { now: unix, given },
                    };
                    SessionCommand::Apply { session, number: self.number, command }
                }
            };
            Value::from(encode(&command).as_slice())
        });
        self.open = Some(command.clone());
        Ask::Submit { number: self.call, command }
    }
}

/// The command that a member with these settings should tell a served machine, if it leads. Settings come first, since those that a change of configuration is
/// meant to bring must not wait for ever where the time is told again and again.
pub fn due(machine: &dyn Machine, settings: &Settings) -> Option<Due> {
    let told = machine.query(&Value::from(SETTINGS))?;
    if told.as_bytes() != encode(&Some(settings)) {
        return Some(Due::Settings(*settings));
    }
    given(machine).map(|given| Due::Time { given })
}

/// The number of times given so far, if something ends by itself in a served machine, so that somebody has to tell the time.
fn given(machine: &dyn Machine) -> Option<u64> {
    let question = StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Clock] };
    let question = encode(&SessionCommand::Query(question));
    let said = machine.query(&Value::from(question.as_slice()))?;
    match decode::<Option<SessionOutput<StoreOutput>>>(said.as_bytes()) {
        Ok(Some(SessionOutput::Output(StoreOutput::Done(outcomes)))) => match outcomes.as_slice() {
            [Outcome::Clock { runs: true, given, .. }] => Some(*given),
            _ => None,
        },
        _ => None,
    }
}
