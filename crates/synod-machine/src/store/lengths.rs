//! Guarantees that names and values longer than a cluster takes are told by one rule: to clients before they are sent, and to replicas
//! before they are executed.

use super::settings::Lengths;
use super::words::{Condition, Operation, StoreCommand};
use std::fmt;

/// A name or a value that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The word for it.
    pub what: &'static str,
    /// Its length in bytes.
    pub bytes: usize,
    /// The most that is taken.
    pub most: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLong { what, bytes, most } = self;
        write!(f, "the {what} has {bytes} bytes, and this cluster takes {most} at most")
    }
}

impl Lengths {
    /// Checks the names and the values of a command.
    ///
    /// # Errors
    /// The first that is too long.
    pub fn admit(&self, command: &StoreCommand) -> Result<(), TooLong> {
        let StoreCommand::Transact { when, then } = command else { return Ok(()) };
        when.iter().try_for_each(|condition| self.admit_condition(condition))?;
        then.iter().try_for_each(|operation| self.admit_operation(operation))
    }

    /// A value that is too long to be stored is just not there, so a condition may name it.
    fn admit_condition(&self, condition: &Condition) -> Result<(), TooLong> {
        match condition {
            Condition::Key { key, .. } | Condition::Unchanged { key, .. } => {
                within("key", key.len(), self.key)
            }
            Condition::Lock { lock, .. } => within("name of the lock", lock.len(), self.key),
        }
    }

    fn admit_operation(&self, operation: &Operation) -> Result<(), TooLong> {
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

fn within(what: &'static str, bytes: usize, most: usize) -> Result<(), TooLong> {
    if bytes > most { Err(TooLong { what, bytes, most }) } else { Ok(()) }
}
