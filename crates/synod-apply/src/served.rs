//! The machine that is served: the store behind sessions, and the guards that look at who asks and how long names and values are.
//!
//! An answer that no message holds is replaced by one that says so: nobody would ever hear of it otherwise.
//!
//! A client may ask for anything but the time. What a member's own local client says of the time moves the clock of all: so a client's
//! tick is refused at apply, by every replica alike, since who asks stands beside the command in the log.

use crate::applied::{Applied, Compact};
use synod::{Call, Instance, LogEntry, Machine, Value};
use synod_machine::{
    Lengths, Limits, LimitsError, SessionCommand, SessionOutput, Sessions, Store, StoreCommand, decode,
    encode,
};

/// The question for the numbers of keys and of sessions, and for the store's clock. No command begins like it.
pub const SIZES: &[u8] = b"\xff sizes";

/// The store behind sessions, as servers execute it.
#[derive(Clone, Debug)]
pub struct Served {
    applied: Applied<Store, Compact>,
    lengths: Lengths,
    /// The longest answer, in bytes.
    max_answer: usize,
    tells_time: fn(Call) -> bool,
}

impl Served {
    /// The machine before the first command. `tells_time` says of a call if a member itself makes it, which may move the clock.
    ///
    /// # Errors
    /// The limits leave no room for a session.
    pub fn new(
        limits: Limits,
        lengths: Lengths,
        tells_time: fn(Call) -> bool,
    ) -> Result<Served, LimitsError> {
        let sessions = Sessions::new(Store::default(), limits)?;
        Ok(Served { applied: Applied::new(sessions), lengths, max_answer: usize::MAX, tells_time })
    }

    /// The same machine with answers of at most so many bytes. A longer one is replaced by [`SessionOutput::TooLong`].
    #[must_use]
    pub fn with_answers_up_to(self, max_answer: usize) -> Served {
        Served { max_answer, ..self }
    }

    /// The machine with its sessions.
    pub fn sessions(&self) -> &Sessions<Store> {
        self.applied.machine()
    }

    /// True if a command may be executed. Bytes that hold no command are for the machine to answer.
    fn admits(&self, logged: &LogEntry) -> bool {
        let Ok(SessionCommand::Apply { command, .. }) = decode(logged.command.as_bytes()) else {
            return true;
        };
        match &command {
            // Enforces that the time is a member's to tell.
            StoreCommand::Tick { .. } => (self.tells_time)(logged.call),
            StoreCommand::Transact { .. } => self.lengths.admit(&command).is_ok(),
        }
    }
}

impl Served {
    /// The answer, or one that says that it is too long.
    fn sendable(&self, answer: Value) -> Value {
        let bytes = answer.as_bytes().len();
        if bytes <= self.max_answer {
            return answer;
        }
        Applied::<Store, Compact>::say(Some(&SessionOutput::TooLong { bytes: bytes as u64 }))
    }
}

impl Machine for Served {
    /// A command that is not admitted is answered so. It changes nothing but the checksum.
    fn execute(&mut self, instance: Instance, logged: &LogEntry) -> Value {
        if !self.admits(logged) {
            return self.applied.refuse(logged);
        }
        let answer = self.applied.execute(instance, logged);
        self.sendable(answer)
    }

    fn said(&self, logged: &LogEntry) -> Option<Value> {
        self.applied.said(logged).map(|answer| self.sendable(answer))
    }

    fn query(&self, command: &Value) -> Option<Value> {
        if command.as_bytes() == SIZES {
            let sessions = self.sessions();
            let store = sessions.machine();
            let sizes = (store.len() as u64, sessions.open().count() as u64, store.clock());
            return Some(Value::from(encode(&sizes).as_slice()));
        }
        self.applied.query(command).map(|answer| self.sendable(answer))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.applied.snapshot()
    }

    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        let applied = self.applied.with_snapshot(snapshot)?;
        Some(Box::new(Served { applied, ..self.clone() }))
    }

    fn checksum(&self) -> u64 {
        self.applied.checksum()
    }

    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}
