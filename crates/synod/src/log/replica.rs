//! Guarantees that a server's copy of the machine changes only when the server executes a command.

use crate::ballot::{Instance, Value};
use crate::call::LogEntry;
use crate::machine::Machine;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// A machine as part of a server's state. It is copied when it changes, and compared by its snapshot.
#[derive(Clone)]
pub struct Replica {
    machine: Arc<dyn Machine>,
    /// The machine's snapshot, once it was asked for. Only a machine that was set aside keeps it. Its copies share it.
    written: Option<Arc<OnceLock<Value>>>,
}

impl Replica {
    /// A machine that has executed nothing yet.
    pub fn new(machine: Arc<dyn Machine>) -> Replica {
        Replica { machine, written: None }
    }

    /// The machine.
    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// The machine's snapshot. To write it takes as long as the machine is large. A replica that was set aside writes it once, for
    /// itself and all of its copies, on whatever thread first asks.
    pub fn snapshot(&self) -> Value {
        let write = || Value::from(self.machine.snapshot().as_slice());
        self.written.as_ref().map_or_else(write, |written| written.get_or_init(write).clone())
    }

    /// A copy of which a snapshot is to be taken.
    pub(crate) fn set_aside(&self) -> Replica {
        Replica { written: Some(Arc::default()), ..self.clone() }
    }

    /// The machine that wrote a snapshot, if this kind of machine wrote it.
    pub(crate) fn restored(&self, snapshot: &[u8]) -> Option<Replica> {
        self.machine.restored(snapshot).map(|machine| Replica::new(Arc::from(machine)))
    }

    /// Executes a command. Copies of this replica stay as they are.
    pub(crate) fn execute(&mut self, instance: Instance, logged: &LogEntry) -> Value {
        self.written = None;
        if let Some(machine) = Arc::get_mut(&mut self.machine) {
            return machine.execute(instance, logged);
        }
        let mut copy = self.machine.copy();
        let output = copy.execute(instance, logged);
        self.machine = Arc::from(copy);
        output
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)
    }
}

impl PartialEq for Replica {
    fn eq(&self, other: &Replica) -> bool {
        Arc::ptr_eq(&self.machine, &other.machine) || self.machine.snapshot() == other.machine.snapshot()
    }
}

impl Eq for Replica {}

impl Hash for Replica {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.machine.snapshot().hash(hasher);
    }
}
