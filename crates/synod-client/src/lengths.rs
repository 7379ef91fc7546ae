//! Guarantees that nothing is sent which the cluster would ignore for its length.

use crate::config::Config;
use crate::error::Error;
use synod_machine::{Condition, Operation, StoreCommand, encoded_len};

/// The greatest lengths that a cluster takes, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Longest {
    key: usize,
    value: usize,
    command: usize,
}

/// The bytes that stand before a command: the kind of session command, the session and the number in it.
const BEFORE: usize = 21;

impl Longest {
    pub(crate) fn of(config: &Config) -> Longest {
        Longest { key: config.max_key, value: config.max_value, command: config.max_command }
    }

    /// Checks a command: its names, its values, and all of it.
    pub(crate) fn admit(&self, command: &StoreCommand) -> Result<(), Error> {
        if let StoreCommand::Transact { when, then } = command {
            for condition in when {
                let (Condition::Key { key: name, .. }
                | Condition::Unchanged { key: name, .. }
                | Condition::Lock { lock: name, .. }) = condition;
                within("key", name.len(), self.key)?;
            }
            for operation in then {
                self.admit_operation(operation)?;
            }
        }
        within("command", encoded_len(command) + BEFORE, self.command)
    }

    fn admit_operation(&self, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::Put { key, value, .. } | Operation::PutIf { key, value, .. } => {
                within("key", key.len(), self.key)?;
                within("value", value.len(), self.value)
            }
            Operation::Get { key }
            | Operation::Add { key, .. }
            | Operation::Live { key, .. }
            | Operation::Delete { key } => within("key", key.len(), self.key),
            Operation::Acquire { lock, owner, .. } => {
                within("name of the lock", lock.len(), self.key)?;
                within("owner", owner.len(), self.key)
            }
            Operation::Release { lock, .. } | Operation::Holder { lock } => {
                within("name of the lock", lock.len(), self.key)
            }
            Operation::List { .. }
            | Operation::Changes { .. }
            | Operation::Bank(_)
            | Operation::Clock
            | Operation::Latest => Ok(()),
        }
    }
}

fn within(what: &'static str, bytes: usize, most: usize) -> Result<(), Error> {
    if bytes > most { Err(Error::TooLong { what, bytes, most }) } else { Ok(()) }
}
