//! The machine that servers of a log run (PMS §3), as far as a server needs to know it.
//!
//! A command is a value that no role looks into. The call stands beside it. What a command means, and whether it has taken effect
//! before, is for the machine to say. So the table of clients' sessions is part of the machine, and is replicated with it.

use crate::ballot::{Instance, Value};
use crate::call::LogEntry;
use std::fmt;

/// A deterministic state machine. Servers that executed the same commands in the same order must be equal, and must have given
/// the same outputs.
pub trait Machine: fmt::Debug + Send + Sync {
    /// Executes the command of an instance. The no-op is never among them. The result is a function of the machine and the
    /// arguments alone. It must not panic on any command, since commands come from clients.
    fn execute(&mut self, instance: Instance, logged: &LogEntry) -> Value;

    /// The output of a command that has taken effect before, if it is still remembered. A command of another call is another
    /// command, even with the same words, unless the command itself says that it is the same.
    fn said(&self, logged: &LogEntry) -> Option<Value>;

    /// The output of a command that changes nothing, without executing it; `None` for any other command.
    fn query(&self, command: &Value) -> Option<Value>;

    /// The answer to a command or a question that is too long to be taken, where `most` bytes are the most. It depends on nothing else. Without one, the
    /// client is not answered.
    fn too_long(&self, most: usize) -> Option<Value> {
        let _ = most;
        None
    }

    /// The whole state as bytes: the same bytes for equal machines, and different ones for different machines.
    fn snapshot(&self) -> Vec<u8>;

    /// The machine that wrote a snapshot, if it is one of a machine like this. The bytes may be anything.
    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>>;

    /// A checksum of all that was executed and output. It is the same for the same history, and most likely differs for any
    /// other.
    fn checksum(&self) -> u64;

    /// An independent copy. It should be cheap: one is made at every step that executes.
    fn copy(&self) -> Box<dyn Machine>;
}
