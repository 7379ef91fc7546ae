//! Guarantees that a server's copy of the machine changes only when the server executes a command.

use crate::ballot::{Instance, Value};
use crate::call::{Call, LogEntry};
use crate::cluster::{Cluster, Log};
use crate::log::mastery::{Mastership, Mastery, Take};
use crate::log::membership::Membership;
use crate::machine::Machine;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// A machine as part of a server's state, and beside it who is master and who are members. It is copied when it changes, and compared by its snapshot.
#[derive(Clone)]
pub struct Replica {
    machine: Arc<dyn Machine>,
    mastery: Mastery,
    /// The members, where they change.
    membership: Option<Arc<Membership>>,
    /// The snapshot, once it was asked for. Only a machine that was set aside keeps it. Its copies share it.
    written: Option<Arc<OnceLock<Value>>>,
}

/// The effect of a command.
pub(crate) enum Effect {
    /// None: it is a take that is over, a client's command that was taken in an earlier tenure, or no command at all.
    None,
    /// Its proposer took mastership.
    Took,
    /// The machine executed a client's command, or the members changed or did not, and this is the output.
    Output(Call, Value),
}

impl Replica {
    /// A machine that has executed nothing yet.
    pub fn new(machine: Arc<dyn Machine>) -> Replica {
        Replica { machine, mastery: Mastery::default(), membership: None, written: None }
    }

    /// The replica with which a server of this cluster starts.
    pub(crate) fn first(cluster: &Cluster, log: &Log) -> Replica {
        Replica::new(log.machine.clone()).with_membership(Membership::first(cluster, log))
    }

    /// The same with other members.
    #[must_use]
    pub fn with_membership(self, membership: Option<Membership>) -> Replica {
        Replica { membership: membership.map(Arc::new), ..self }
    }

    /// The members, where they change.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_deref()
    }

    /// Once all instances below one are executed: forgets the members of those.
    pub(crate) fn executed_below(&mut self, next: Instance) {
        if let Some(membership) = self.membership.as_mut().filter(|membership| membership.may_forget(next)) {
            Arc::make_mut(membership).forget(next);
        }
    }

    /// The same with another machine.
    #[must_use]
    pub fn with_machine(&self, machine: Arc<dyn Machine>) -> Replica {
        let (mastery, membership) = (self.mastery.clone(), self.membership.clone());
        Replica { machine, mastery, membership, written: None }
    }

    /// The machine.
    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// The take of mastership that was executed last.
    pub fn mastership(&self) -> Option<Mastership> {
        self.mastery.last()
    }

    /// The snapshot. To write it takes as long as the machine is large. A replica that was set aside writes it once, for
    /// itself and all of its copies, on whatever thread first asks.
    pub fn snapshot(&self) -> Value {
        let write = || Value::from(self.bytes().as_slice());
        self.written.as_ref().map_or_else(write, |written| written.get_or_init(write).clone())
    }

    fn bytes(&self) -> Vec<u8> {
        let bytes = self.mastery.seal(self.machine.snapshot());
        match &self.membership {
            Some(membership) => membership.seal(&bytes),
            None => bytes,
        }
    }

    /// A checksum of all that was executed.
    pub fn checksum(&self) -> u64 {
        let sum = self.mastery.checksum(self.machine.checksum());
        self.membership.as_ref().map_or(sum, |membership| membership.checksum(sum))
    }

    /// The output of a command that has taken effect before, if it is still remembered.
    pub(crate) fn said(&self, logged: &LogEntry) -> Option<Value> {
        match self.membership.as_ref().filter(|membership| membership.governs(logged)) {
            Some(membership) => membership.said(logged),
            None => self.machine.said(logged),
        }
    }

    /// True if a command may have an effect yet.
    pub(crate) fn awaits(&self, command: &Value) -> bool {
        match (Take::read(command), LogEntry::read_fenced(command)) {
            (Some(take), _) => !self.mastery.is_over(&take),
            (None, Some((logged, fence))) => self.mastery.admits(fence) && self.said(&logged).is_none(),
            (None, None) => false,
        }
    }

    /// True if a command was taken by the server whose tenure it is.
    pub(crate) fn admits(&self, command: &Value) -> bool {
        LogEntry::read_fenced(command).is_some_and(|(_, fence)| self.mastery.admits(fence))
    }

    /// A copy of which a snapshot is to be taken.
    pub(crate) fn set_aside(&self) -> Replica {
        Replica { written: Some(Arc::default()), ..self.clone() }
    }

    /// The replica that wrote a snapshot of all below an instance with this checksum, if this kind of replica wrote it. The checksum tells
    /// whether what stands before the machine is of mastership, or of the machine.
    pub(crate) fn restored(&self, (next, sum): (Instance, u64), snapshot: &[u8]) -> Option<Replica> {
        let (membership, snapshot) = match &self.membership {
            Some(membership) => {
                membership.unseal(next, snapshot).map(|(it, rest)| (Some(Arc::new(it)), rest))?
            }
            None => (None, snapshot),
        };
        let of = |(mastery, machine): (Mastery, &[u8])| {
            let machine = Arc::from(self.machine.restored(machine)?);
            let membership = membership.clone();
            Some(Replica { machine, mastery, membership, written: None }).filter(|it| it.checksum() == sum)
        };
        Mastery::unseal(snapshot).and_then(of).or_else(|| of((Mastery::default(), snapshot)))
    }

    /// What is wrong with a snapshot that was written under other rules of members, if it was.
    pub(crate) fn misfit(&self, snapshot: &[u8]) -> Option<String> {
        self.membership()?.misfit(snapshot)
    }

    /// The value that stands in the log for a client's command that is taken now.
    pub(crate) fn fenced(&self, logged: &LogEntry) -> Value {
        self.mastery.fence().map_or_else(|| logged.value(), |fence| logged.fenced(fence))
    }

    /// Executes a command. Copies of this replica stay as they are.
    pub(crate) fn execute(&mut self, instance: Instance, command: &Value) -> Effect {
        self.written = None;
        if let Some(take) = Take::read(command) {
            let took = self.mastery.execute(instance, &take);
            return if took { Effect::Took } else { Effect::None };
        }
        let Some((logged, fence)) = LogEntry::read_fenced(command) else { return Effect::None };
        if !self.mastery.admits(fence) {
            return Effect::None;
        }
        if let Some(membership) = self.membership.as_mut().filter(|membership| membership.governs(&logged)) {
            return Effect::Output(logged.call, Arc::make_mut(membership).execute(instance, &logged));
        }
        if let Some(machine) = Arc::get_mut(&mut self.machine) {
            return Effect::Output(logged.call, machine.execute(instance, &logged));
        }
        let mut copy = self.machine.copy();
        let output = copy.execute(instance, &logged);
        self.machine = Arc::from(copy);
        Effect::Output(logged.call, output)
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)?;
        if let Some(last) = self.mastership() {
            write!(f, ", {last:?}")?;
        }
        match &self.membership {
            Some(membership) => write!(f, ", {:?}", membership.configurations),
            None => Ok(()),
        }
    }
}

impl PartialEq for Replica {
    fn eq(&self, other: &Replica) -> bool {
        self.mastery == other.mastery
            && self.membership == other.membership
            && (Arc::ptr_eq(&self.machine, &other.machine)
                || self.machine.snapshot() == other.machine.snapshot())
    }
}

impl Eq for Replica {}

impl Hash for Replica {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.machine.snapshot().hash(hasher);
        self.mastery.hash(hasher);
        if let Some(membership) = &self.membership {
            membership.hash(hasher);
        }
    }
}
