//! Guarantees that of two operations one precedes the other exactly if it had returned before the other was invoked.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

/// An operation, as seen from outside.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Operation<Op, Ret> {
    /// The process that asked; only for people to read.
    pub process: u64,
    /// The question.
    pub op: Op,
    /// The time of the invocation: a number on any scale that all operations share.
    pub invoked: u64,
    /// The time of the answer, and the answer. Without one the operation may take effect at any time from its invocation on, or never.
    pub returned: Option<(u64, Ret)>,
}

impl<Op: Debug, Ret: Debug> Debug for Operation<Op, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}: {:?} -> ", self.process, self.op)?;
        match &self.returned {
            Some((_, ret)) => write!(f, "{ret:?}"),
            None => f.write_str("?"),
        }
    }
}

/// Operations on one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History<Op, Ret> {
    operations: Vec<Operation<Op, Ret>>,
    /// The time of the next event, if the history is recorded as it happens.
    now: u64,
}

impl<Op, Ret> Default for History<Op, Ret> {
    fn default() -> Self {
        History { operations: Vec::new(), now: 0 }
    }
}

/// An operation of a [`History`]: its place in [`History::operations`].
pub type OpId = usize;

impl<Op, Ret> History<Op, Ret> {
    /// An empty history.
    pub fn new() -> Self {
        History::default()
    }

    /// A history of operations with times, in any order. An operation that ends at the very moment another begins counts as concurrent with it, since a
    /// clock may not tell which was first. One that ends before it begins is taken to end where it begins.
    pub fn of(operations: Vec<Operation<Op, Ret>>) -> Self {
        let last = |operation: &Operation<Op, Ret>| {
            operation.returned.as_ref().map_or(operation.invoked, |(at, _)| operation.invoked.max(*at))
        };
        let now = operations.iter().map(last).max().map_or(0, |last| last.saturating_add(1));
        History { operations, now }
    }

    /// An operation begins now, after all that was recorded before.
    pub fn invoke(&mut self, process: u64, op: Op) -> OpId {
        self.operations.push(Operation { process, op, invoked: self.now, returned: None });
        self.now += 1;
        self.operations.len() - 1
    }

    /// An operation returns now.
    ///
    /// # Panics
    /// If it has returned before, or never began.
    pub fn returned(&mut self, id: OpId, ret: Ret) {
        let operation = &mut self.operations[id];
        assert!(operation.returned.is_none(), "operation {id} returns twice");
        operation.returned = Some((self.now, ret));
        self.now += 1;
    }

    /// All operations.
    pub fn operations(&self) -> &[Operation<Op, Ret>] {
        &self.operations
    }
}

impl<Op: Clone, Ret: Clone> History<Op, Ret> {
    /// The history as seen up to and including a moment: an operation that returned later has no answer yet, and one that began later is
    /// missing. The second list holds the place that each of the others had.
    pub fn until(&self, moment: u64) -> (Self, Vec<OpId>) {
        let mut history = History { operations: Vec::new(), now: moment.saturating_add(1) };
        let mut places = Vec::new();
        for (id, operation) in self.operations.iter().enumerate() {
            if operation.invoked <= moment {
                let mut operation = operation.clone();
                operation.returned = operation.returned.filter(|(at, _)| *at <= moment);
                history.operations.push(operation);
                places.push(id);
            }
        }
        (history, places)
    }

    /// One history per key, for an object that consists of many independent ones. Such a history is linearizable exactly if each of these is
    /// (locality; Herlihy and Wing 1990, theorem 1).
    pub fn by_key<K: Ord>(&self, key: impl Fn(&Op) -> K) -> BTreeMap<K, Self> {
        let mut parts: BTreeMap<K, Self> = BTreeMap::new();
        for operation in &self.operations {
            let part = parts.entry(key(&operation.op)).or_default();
            part.operations.push(operation.clone());
            part.now = self.now;
        }
        parts
    }
}

/// An invocation or a return, in the order in which they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Invoke(OpId),
    Return(OpId),
}

/// All events in order. At one moment invocations go first, so that operations that end there overlap those that begin there.
pub(crate) fn events<Op, Ret>(operations: &[Operation<Op, Ret>]) -> Vec<Event> {
    let mut events = Vec::with_capacity(operations.len() * 2);
    for (id, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, Event::Invoke(id)));
        if let Some((at, _)) = &operation.returned {
            events.push((operation.invoked.max(*at), Event::Return(id)));
        }
    }
    events.sort_unstable();
    events.into_iter().map(|(_, event)| event).collect()
}
