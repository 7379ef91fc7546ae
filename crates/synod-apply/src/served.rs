//! The machine that is served: the store behind sessions, and the guards that look at who asks and how long names and values are.
//!
//! An answer that no message holds is replaced by one that says so: nobody would ever hear of it otherwise.
//!
//! **Settings come from the log.** What is too long, which session expires and what a store may hold decide what a command does. So the
//! settings are part of the machine's state, and change at one position of the log for all; no replica looks at its own configuration.
//!
//! A client may ask for anything but the time and the settings. What a member's own local client says of them holds for all: so a
//! client's is refused at apply, by every replica alike, since who asks stands beside the command in the log.

use crate::applied::{Applied, Compact};
use synod::{Call, Instance, LogEntry, Machine, Value};
use synod_machine::{SessionCommand, SessionOutput, Sessions, Settings, Store, StoreCommand, decode, encode};

/// The question for [`Sizes`]. No command begins like it.
const SIZES: &[u8] = b"\xff sizes";
/// The question for the [`Settings`] that were told last, if any were.
pub(crate) const SETTINGS: &[u8] = b"\xff settings";

/// The sizes of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The number of keys.
    pub keys: u64,
    /// The number of open sessions.
    pub sessions: u64,
    /// The store's clock, in milliseconds since the Unix epoch.
    pub clock: u64,
    /// The bytes that the store is charged with.
    pub bytes: u64,
    /// The settings that hold.
    pub settings: Settings,
}

/// The sizes of a served machine; nothing for another one.
pub fn sizes(machine: &dyn Machine) -> Option<Sizes> {
    let told = machine.query(&Value::from(SIZES))?;
    let (keys, sessions, clock, bytes, settings) = decode(told.as_bytes()).ok()?;
    Some(Sizes { keys, sessions, clock, bytes, settings })
}

/// True if all that a command names is of a group, where there are so many. Bytes that hold no command name nothing.
pub fn lies_in(command: &Value, group: u8, groups: usize) -> bool {
    match decode(command.as_bytes()) {
        Ok(SessionCommand::<StoreCommand>::Apply { command, .. }) => command.lies_in(group, groups),
        _ => true,
    }
}

/// The store behind sessions, as servers execute it.
#[derive(Clone, Debug)]
pub struct Served {
    applied: Applied<Store, Compact>,
    /// The longest answer, in bytes.
    max_answer: usize,
    is_members: fn(Call) -> bool,
}

impl Served {
    /// The machine before the first command, with the default settings. `is_members` says of a call if a member itself makes it, which may
    /// tell the time and the settings.
    ///
    /// # Panics
    /// Never: the default limits leave room for a session.
    pub fn new(is_members: fn(Call) -> bool) -> Served {
        let sessions = Sessions::new(Store::default(), Settings::default().sessions);
        let sessions = sessions.expect("the default limits leave room for a session");
        Served { applied: Applied::new(sessions), max_answer: usize::MAX, is_members }
    }

    /// The same machine with answers of at most so many bytes. A longer one is replaced by [`SessionOutput::TooLong`].
    #[must_use]
    pub fn with_answers_up_to(self, max_answer: usize) -> Served {
        Served { max_answer, ..self }
    }

    /// The settings that hold.
    pub fn settings(&self) -> Settings {
        Settings { sessions: self.sessions().limits(), ..self.sessions().machine().settings() }
    }

    /// The machine with its sessions.
    pub fn sessions(&self) -> &Sessions<Store> {
        self.applied.machine()
    }

    /// The session and the number of a command that must not be executed. Bytes that hold no command are for the machine to answer.
    fn refused(&self, logged: &LogEntry) -> Option<(u64, u64)> {
        let Ok(SessionCommand::Apply { session, number, command }) = decode(logged.command.as_bytes()) else {
            return None;
        };
        let is_admitted = match &command {
            // Enforces that the time and the settings are a member's to tell.
            StoreCommand::Tick { .. } | StoreCommand::Settings(_) => (self.is_members)(logged.call),
            // Until the first settings are told, nothing is too long but for the log itself: what clients may send is not known yet.
            StoreCommand::Transact { .. } => {
                let told = self.sessions().machine().told();
                told.is_none_or(|settings| settings.lengths.admit(&command).is_ok())
            }
        };
        (!is_admitted).then_some((session, number))
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
    /// A command that is not admitted is answered so, and its session keeps that: other settings do not have a copy of it executed.
    fn execute(&mut self, instance: Instance, logged: &LogEntry) -> Value {
        if let Some((session, number)) = self.refused(logged) {
            return self.applied.refuse(logged, session, number);
        }
        let answer = self.applied.execute(instance, logged);
        // Those of a snapshot of an earlier version hold until the first settings are told.
        let told = self.sessions().machine().told().map(|settings| settings.sessions);
        if let Some(limits) = told
            && limits != self.sessions().limits()
        {
            let limited = self.applied.machine_mut().limit(limits);
            limited.expect("a store takes no settings that leave no room for a session");
        }
        self.sendable(answer)
    }

    fn said(&self, logged: &LogEntry) -> Option<Value> {
        self.applied.said(logged).map(|answer| self.sendable(answer))
    }

    fn query(&self, command: &Value) -> Option<Value> {
        if command.as_bytes() == SIZES {
            let sessions = self.sessions();
            let store = sessions.machine();
            let (keys, open) = (store.len() as u64, sessions.open().count() as u64);
            let sizes = (keys, open, store.clock(), store.bytes(), self.settings());
            return Some(Value::from(encode(&sizes).as_slice()));
        }
        if command.as_bytes() == SETTINGS {
            return Some(Value::from(encode(&self.sessions().machine().told()).as_slice()));
        }
        self.applied.query(command).map(|answer| self.sendable(answer))
    }

    fn too_long(&self, most: usize) -> Option<Value> {
        let output = SessionOutput::LongCommand { most: most as u64 };
        Some(Applied::<Store, Compact>::say(Some(&output)))
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
