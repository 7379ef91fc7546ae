//! Guarantees nothing by itself: says what servers that keep a log need to know of the machine they run (PMS §3).
//!
//! A command is a value that nobody here looks into. Whose call it is stands beside it; what it means, and whether it has taken effect before, is
//! for the machine to say; so the table of clients' sessions is part of the machine, and replicated with it.

use crate::ballot::{Instance, Value};
use crate::call::Entry;
use std::fmt;

/// A deterministic state machine. Servers that executed the same commands in the same order must be equal, and have said
/// the same.
pub trait Machine: fmt::Debug + Send + Sync {
    /// Executes the command of an instance; the no-op is never among them. A function of the machine and the arguments
    /// alone, which must not panic whatever the command, since commands come from clients.
    fn execute(&mut self, instance: Instance, entry: &Entry) -> Value;

    /// What was said to an entry that has taken effect before, if it has and that is still remembered. An entry of another call is another
    /// one, whatever its command, unless the command itself says that it is the same.
    fn said(&self, entry: &Entry) -> Option<Value>;

    /// What would be said to a command that changes nothing, without executing it; `None` for any other command.
    fn query(&self, command: &Value) -> Option<Value>;

    /// The whole state as bytes, the same for equal machines and different ones for others.
    fn snapshot(&self) -> Vec<u8>;

    /// The machine that wrote a snapshot, if it is one of a machine like this. The bytes may be anything.
    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>>;

    /// A number that stands for all that was executed and said: the same where that was the same, and most likely another where
    /// it was not, however long ago.
    fn checksum(&self) -> u64;

    /// A machine that is equal and leads a life of its own. It should be cheap: one is made at every step that executes.
    fn copy(&self) -> Box<dyn Machine>;
}
