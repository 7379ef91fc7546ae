//! Guarantees that a server's copy of the machine changes only when the server executes a command.

use crate::ballot::{Instance, Value};
use crate::call::LogEntry;
use crate::machine::Machine;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A machine as part of a server's state. It is copied when it changes, and compared by its snapshot.
#[derive(Clone)]
pub struct Replica(Arc<dyn Machine>);

impl Replica {
    /// A machine that has executed nothing yet.
    pub fn new(machine: Arc<dyn Machine>) -> Replica {
        Replica(machine)
    }

    /// The machine.
    pub fn machine(&self) -> &dyn Machine {
        &*self.0
    }

    /// The machine that wrote a snapshot, if this kind of machine wrote it.
    pub(crate) fn restored(&self, snapshot: &[u8]) -> Option<Replica> {
        self.0.restored(snapshot).map(|machine| Replica(Arc::from(machine)))
    }

    /// Executes a command. Copies of this replica stay as they are.
    pub(crate) fn execute(&mut self, instance: Instance, logged: &LogEntry) -> Value {
        if let Some(machine) = Arc::get_mut(&mut self.0) {
            return machine.execute(instance, logged);
        }
        let mut copy = self.0.copy();
        let output = copy.execute(instance, logged);
        self.0 = Arc::from(copy);
        output
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Replica {
    fn eq(&self, other: &Replica) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.snapshot() == other.0.snapshot()
    }
}

impl Eq for Replica {}

impl Hash for Replica {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.snapshot().hash(hasher);
    }
}
