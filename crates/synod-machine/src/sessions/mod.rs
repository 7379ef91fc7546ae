//! Guarantees that a command takes effect at most once, however often it is in the log, and that what is remembered for this
//! is bounded.
//!
//! A client whose answer does not come asks again, perhaps another server, and so a command may be in the log any number of times.
//! Its session is part of the replicated state: the table of answers is a function of the log like the machine itself, and is in the
//! same snapshot.
//!
//! - **A session is opened through the log**, and numbered by it. Numbers rise, so that a session which is not in the table and
//!   whose number was given out has *expired*: its commands are refused for ever, with nothing remembered of it. A session
//!   that came into being by its first command could not be told from one that was forgotten, and a late copy of a command would
//!   be executed a second time.
//! - **A command has a number in its session**, rising by one. A client with a window of `w` sends number `n` only when it has
//!   the answers of all numbers up to `n - w`; those are not kept.
//! - **Expiry is decided in the log**: for want of room, of the session that went unused for the most commands; after so many commands;
//!   or by a command that somebody with a clock proposes. Every replica forgets the same session at the same
//!   position, whatever its clock says.
//!
//! The idea of a table of answers in the replicated state is that of Liskov and Cowling's *Viewstamped Replication Revisited* §4.1; sessions
//! that are opened and expire through the log are from Ongaro's thesis on Raft, §6.3.

mod limits;
mod saved;
mod table;
#[cfg(test)]
mod tests;

use crate::machine::{NotRestored, StateMachine};
use serde::{Deserialize, Serialize};

pub use limits::{Limits, LimitsError};
use table::Table;
pub use table::{Reply, Session};

/// A machine together with the sessions of its clients: a machine itself, whose commands are [`SessionCommand`]s.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sessions<M: StateMachine> {
    machine: M,
    table: Table<M::Output>,
}

/// The commands in a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SessionCommand<C> {
    /// A client asks for a session. Copies of one request are one session, as long as it lives.
    Open {
        /// A number that no other client has: drawn at random from so many that this can be relied on.
        client: u64,
    },
    /// A client's command.
    Apply {
        /// As [`SessionOutput::Opened`] says.
        session: u64,
        /// The command's number in the session.
        number: u64,
        /// The command.
        command: C,
    },
    /// A client has finished.
    Close {
        /// The session.
        session: u64,
    },
    /// A process with a clock thinks that a session is abandoned.
    Expire {
        /// The session.
        session: u64,
        /// The value of [`Session::used`] at that time. If the session was used since, it stays.
        used: u64,
    },
    /// A command that changes nothing needs no session: executing it twice does no harm.
    Query(C),
}

/// The outputs of a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SessionOutput<O> {
    /// The session's number.
    Opened {
        /// Never given out again.
        session: u64,
    },
    /// The command's output: of the one time that it was executed.
    Output(O),
    /// The command was executed, once; its answer was too long to be kept, and this is a copy of it.
    NotKept,
    /// A late copy of a command whose answer the client has had, or gave up. It was not executed now.
    Answered,
    /// The session is over. The command was not executed now and never will be; whether it was before is not known any more.
    Expired,
    /// There never was such a session: the client made the number up.
    Unknown,
    /// The session was ended.
    Ended,
    /// The session was used since then, and stays.
    Used {
        /// The present value of [`Session::used`].
        used: u64,
    },
    /// This command may change something, so it needs a session. It was not executed.
    NeedsSession,
    /// Servers do not execute such a command: something in it is too long, or it is not for a client to give. It was not executed and never will
    /// be. A machine with sessions never says so by itself: see [`Sessions::refuse`].
    NotAdmitted,
    /// The output is longer than servers send. A command that changes something was executed. A machine with sessions never says so by itself.
    TooLong {
        /// Its length in bytes.
        bytes: u64,
    },
    /// The command or the question is longer than the server takes, and it did not take it. It is said without the log, so another server may have taken
    /// a copy. A machine with sessions never says so by itself.
    LongCommand {
        /// The most bytes that a command may have in the log.
        most: u64,
    },
}

impl<M: StateMachine> Sessions<M> {
    /// A machine without sessions so far.
    ///
    /// # Errors
    /// The limits leave no room for a single session.
    pub fn new(machine: M, limits: Limits) -> Result<Self, LimitsError> {
        limits.check()?;
        Ok(Sessions { machine, table: Table::new(limits) })
    }

    /// Has other limits hold from now on, of all replicas at the same position of the log. Sessions beyond them expire, those first that went
    /// unused longest.
    ///
    /// # Errors
    /// The limits leave no room for a single session. Then those before stay.
    pub fn limit(&mut self, limits: Limits) -> Result<(), LimitsError> {
        limits.check()?;
        self.table.limit(limits);
        Ok(())
    }

    /// Answers a numbered command that is not to be executed, of all replicas at the same position of the log. A copy of it has the same answer for
    /// ever, whatever is admitted by then; one that was executed before has the answer of that time.
    pub fn refuse(&mut self, session: u64, number: u64) -> SessionOutput<M::Output> {
        self.table.tick();
        self.once(session, number, |_| None)
    }

    /// The limits, which all replicas share.
    pub fn limits(&self) -> Limits {
        self.table.limits()
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The state of a session, if it is open.
    pub fn session(&self, session: u64) -> Option<&Session<M::Output>> {
        self.table.get(session)
    }

    /// The open sessions with their numbers, in order.
    pub fn open(&self) -> impl Iterator<Item = (u64, &Session<M::Output>)> {
        self.table.open()
    }

    /// The number of bytes that the table is charged with: see [`Limits::bytes`].
    pub fn bytes(&self) -> u64 {
        self.table.bytes()
    }

    /// The number of commands that were applied, questions aside.
    pub fn applied(&self) -> u64 {
        self.table.now()
    }

    /// The answer to a copy of a command, if it is final: this server need not put it into the log again.
    ///
    /// What this replica has applied may be old, but such an answer cannot change: a command that was executed stays so, and a
    /// session that is over does not come back. ([`SessionOutput::Unknown`] is not final; others may know the session.)
    pub fn final_answer(&self, session: u64, number: u64) -> Option<SessionOutput<M::Output>> {
        let Some(open) = self.table.get(session) else {
            return self.table.was_opened(session).then_some(SessionOutput::Expired);
        };
        self.table.answer(session, open, number)
    }
}

impl<M: StateMachine> StateMachine for Sessions<M> {
    type Command = SessionCommand<M::Command>;
    type Output = SessionOutput<M::Output>;

    fn apply(&mut self, command: &Self::Command) -> Self::Output {
        if !matches!(command, SessionCommand::Query(_)) {
            self.table.tick();
        }
        match command {
            SessionCommand::Query(command) => self.asked(command),
            SessionCommand::Open { client } => {
                SessionOutput::Opened { session: self.table.open_for(*client) }
            }
            SessionCommand::Apply { session, number, command } => {
                self.once(*session, *number, |machine| Some(machine.apply(command)))
            }
            SessionCommand::Close { session } => {
                if self.table.end(*session) {
                    SessionOutput::Ended
                } else {
                    self.missing(*session)
                }
            }
            SessionCommand::Expire { session, used } => match self.table.get(*session) {
                None => self.missing(*session),
                Some(open) if open.used > *used => SessionOutput::Used { used: open.used },
                Some(_) => {
                    self.table.end(*session);
                    SessionOutput::Ended
                }
            },
        }
    }

    /// A question needs no session and leaves no trace in the table; every other command does.
    fn query(&self, command: &Self::Command) -> Option<Self::Output> {
        let SessionCommand::Query(command) = command else { return None };
        Some(self.asked(command))
    }

    fn snapshot(&self) -> Vec<u8> {
        saved::snapshot(&self.machine, &self.table)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        let mut machine = self.machine.clone();
        self.table = saved::restore(&mut machine, snapshot)?;
        self.machine = machine;
        Ok(())
    }
}

impl<M: StateMachine> Sessions<M> {
    /// Answers a numbered command, which is executed or refused unless it was before.
    fn once(
        &mut self,
        session: u64,
        number: u64,
        execute: impl FnOnce(&mut M) -> Option<M::Output>,
    ) -> SessionOutput<M::Output> {
        self.table.touch(session);
        // Enforces D8: what was executed, was refused, or was answered and forgotten, is not executed again; nor is anything of
        // a session that is over.
        if let Some(answer) = self.final_answer(session, number) {
            return answer;
        }
        if self.table.get(session).is_none() {
            return SessionOutput::Unknown;
        }
        let output = execute(&mut self.machine);
        self.table.keep(session, number, output.as_ref());
        output.map_or(SessionOutput::NotAdmitted, SessionOutput::Output)
    }

    /// The answer to a question that needs no log and no session.
    fn asked(&self, command: &M::Command) -> SessionOutput<M::Output> {
        self.machine.query(command).map_or(SessionOutput::NeedsSession, SessionOutput::Output)
    }

    /// The reason why a session is not in the table.
    fn missing(&self, session: u64) -> SessionOutput<M::Output> {
        if self.table.was_opened(session) { SessionOutput::Expired } else { SessionOutput::Unknown }
    }
}
