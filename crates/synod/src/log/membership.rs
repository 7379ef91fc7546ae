//! Guarantees that the members of every instance are a function of the log: every server that executed the same commands names the same
//! configuration for an instance, and none names one for an instance whose configuration is not decided yet.
//!
//! A change is a command in the log (PMS §3, last paragraph). Executed at instance i, it governs from i + alpha on. The window keeps every
//! leader from issuing in i + alpha before i is known to be chosen (W1), so that the configuration of an instance is known before
//! anything is issued there.
//!
//! A new member is a learner first. It is told what is chosen and counts nowhere. Once it has executed the command that made it a learner, it asks to
//! join: that command is its own, and its number is the first instance that it had not executed then. So the log itself says how far
//! behind it was. An id is never used again, since what a member promised stands for the id.
//!
//! Members that leave may be all that know what was chosen under them. So the members that govern last say when they have that on their disks,
//! by a command each. Once a quorum of them has, the old ones may be switched off.

use crate::ballot::{Instance, Value};
use crate::call::LogEntry;
use crate::cluster::{Cluster, Log, Members};
use crate::log::changes::{Change, ChangeKind, Refusal, Word};
use crate::log::views::{Configuration, View, Views};
use crate::quorum::{AcceptorSet, MAX_ACCEPTORS, MAX_MEMBERS, QuorumError, Quorums};
use stateright::actor::Id;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules that all servers share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rules {
    pub(super) members: Members,
    pub(super) alpha: u64,
    /// The quorums of the first configuration. The others have the same rules.
    pub(super) quorums: Arc<Quorums>,
    /// The ids that a member can have.
    pub(super) peers: AcceptorSet,
}

/// The members, as far as the log decides them: a part of a server's machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The configurations that are not over, each by the first instance that it governs.
    pub configurations: BTreeMap<Instance, Configuration>,
    /// Those that are to join, each with the member that it replaces, if it does.
    pub learners: BTreeMap<usize, Option<usize>>,
    /// The addresses of members and learners, as far as the log knows them.
    pub addresses: BTreeMap<usize, Value>,
    /// The data directories of members, as far as they named them when they joined.
    pub directories: BTreeMap<usize, u64>,
    /// All that ever were a member or a learner.
    pub used: AcceptorSet,
    /// The members of the last configuration that have all on their disks that was chosen under the ones before.
    pub saved: AcceptorSet,
    /// The last call of each that asked for a change, by its number, and what was said to it.
    pub answers: BTreeMap<Id, (u64, Value)>,
    pub(super) rules: Arc<Rules>,
    views: Views,
}

impl Membership {
    /// The first configuration: the members that the cluster's quorums count. `None` if members do not change.
    ///
    /// # Panics
    ///
    /// If the cluster is none whose members can change.
    pub fn first(cluster: &Cluster, log: &Log) -> Option<Membership> {
        let members = log.members.clone()?;
        let flaw = flaw(cluster, &members);
        assert!(flaw.is_none(), "{}", flaw.unwrap_or_default());
        let rules = Rules {
            // Of one process only.
            members: Members { directory: None, ..members },
            alpha: log.alpha,
            quorums: Arc::new(cluster.quorums.clone()),
            peers: cluster.acceptors.iter().map(|id| usize::from(*id)).collect(),
        };
        Some(Membership::start(rules, Views::of(cluster)))
    }

    pub(super) fn start(rules: Rules, views: Views) -> Membership {
        let (quorums, members) = (rules.quorums.clone(), rules.quorums.everyone());
        // Enforces M2: without a list of members, quorums count whoever is in a set.
        let quorums = quorums.among(members).map_or(quorums, Arc::new);
        let first = Configuration { number: 0, members, quorums };
        Membership {
            used: first.members,
            configurations: BTreeMap::from([(Instance::FIRST, first)]),
            learners: BTreeMap::new(),
            addresses: BTreeMap::new(),
            directories: BTreeMap::new(),
            saved: AcceptorSet::EMPTY,
            answers: BTreeMap::new(),
            rules: Arc::new(rules),
            views,
        }
        .seen()
    }

    /// The same after its configurations or learners were changed from outside: what it says of the cluster follows from them.
    #[must_use]
    pub fn seen(mut self) -> Membership {
        let learners = self.learners.keys().copied().collect();
        self.views.see(&self.configurations, learners);
        self
    }

    /// What it says of the cluster. For another one of the same server.
    pub(super) fn views(&self) -> Views {
        self.views.clone()
    }

    fn see(&mut self) {
        let learners = self.learners.keys().copied().collect();
        self.views.see(&self.configurations, learners);
    }

    /// A configuration of these members.
    ///
    /// # Errors
    ///
    /// If the rules of quorums cannot be met by them.
    pub fn configuration(&self, number: u64, members: AcceptorSet) -> Result<Configuration, QuorumError> {
        let quorums = Arc::new(self.rules.quorums.among(members)?);
        Ok(Configuration { number, members, quorums })
    }

    /// True if a command is one of this part, and not of the machine beside it.
    pub fn governs(&self, logged: &LogEntry) -> bool {
        let Rules { members, peers, .. } = &*self.rules;
        let asks = || Word::read(&logged.command).is_some();
        members.is_operator(logged.call.client) || peers.contains(usize::from(logged.call.client)) && asks()
    }

    /// The configuration of an instance, as far as the commands that were executed decide it.
    pub fn governing(&self, instance: Instance) -> Option<&Configuration> {
        self.configurations.range(..=instance).next_back().map(|(_, configuration)| configuration)
    }

    /// The configuration that governs last.
    pub fn latest(&self) -> Option<&Configuration> {
        self.configurations.values().next_back()
    }

    /// The number of the configuration that governs last.
    pub fn number(&self) -> u64 {
        self.latest().map(|latest| latest.number).unwrap_or_default()
    }

    /// The first instance of the last configuration.
    pub fn latest_from(&self) -> Instance {
        self.configurations.keys().next_back().copied().unwrap_or_default()
    }

    /// True if the last configuration, which is not the first one, governs from this instance on.
    pub(crate) fn begins(&self, next: Instance) -> bool {
        self.latest_from() == next && self.number() > 0
    }

    /// The members of all configurations that are not over.
    pub fn members(&self) -> AcceptorSet {
        self.configurations.values().fold(AcceptorSet::EMPTY, |all, it| all.with(it.members))
    }

    /// The address of a member or a learner, if the log knows it.
    pub fn address(&self, id: usize) -> Option<&str> {
        std::str::from_utf8(self.addresses.get(&id)?.as_bytes()).ok()
    }

    /// The data directory with which a member joined, if it named one. Those of the first members are not in the log.
    pub fn directory(&self, id: usize) -> Option<u64> {
        self.directories.get(&id).copied()
    }

    /// True if a process is a member of a configuration that is not over, or is to join.
    pub fn takes_part(&self, id: usize) -> bool {
        self.learners.contains_key(&id) || self.members().contains(id)
    }

    /// True if a process was a member or a learner, and will not be one again.
    pub fn is_removed(&self, id: Id) -> bool {
        let index = usize::from(id);
        self.used.contains(index) && !self.takes_part(index)
    }

    /// True if the members before may be switched off: all that was chosen under them is on the disks of a quorum of the members that govern last.
    pub fn may_go(&self) -> bool {
        // Enforces M3: every ballot of the last members asks one that has it.
        self.latest().is_some_and(|it| it.number == 0 || it.quorums.is_phase2(self.saved))
    }

    /// True if a member has not said yet that it has all on its disk that was chosen under the members before, and it matters.
    pub(crate) fn waits_for(&self, id: Id) -> bool {
        let index = usize::from(id);
        !self.may_go()
            && !self.saved.contains(index)
            && self.latest().is_some_and(|latest| latest.members.contains(index))
    }

    /// Executes a change. Returns what the one who asked for it is told.
    pub fn execute(&mut self, at: Instance, logged: &LogEntry) -> Value {
        if let Some(said) = self.said(logged) {
            return said;
        }
        let said = match self.change(at, logged) {
            Ok(said) => said,
            Err(refusal) => refusal.to_string(),
        };
        let said = Value::from(said.as_str());
        self.answers.insert(logged.call.client, (logged.call.number, said.clone()));
        self.drop_places();
        self.see();
        said
    }

    /// The answer to a change, if the same caller's last one is this or a later one.
    pub fn said(&self, logged: &LogEntry) -> Option<Value> {
        // Enforces M4: a change that was answered has no effect when it comes again, however many others came meanwhile.
        let (number, said) = self.answers.get(&logged.call.client)?;
        match logged.call.number.cmp(number) {
            Ordering::Less => Some(Value::from(Refusal::Late.to_string().as_str())),
            Ordering::Equal => Some(said.clone()),
            Ordering::Greater => None,
        }
    }

    /// True if a configuration is over once all instances below one are executed.
    pub(crate) fn may_forget(&self, next: Instance) -> bool {
        self.configurations.range(..=next).nth(1).is_some()
    }

    /// Forgets the configurations that are over once all instances below one are executed.
    pub fn forget(&mut self, next: Instance) {
        if let Some((from, _)) = self.configurations.range(..=next).next_back() {
            let governs = *from;
            self.configurations.retain(|from, _| *from >= governs);
            self.drop_places();
            self.see();
        }
    }

    /// Forgets where those were who take part no more.
    fn drop_places(&mut self) {
        let stays = self.members().with(self.learners.keys().copied().collect());
        self.addresses.retain(|id, _| stays.contains(*id));
        self.directories.retain(|id, _| stays.contains(*id));
    }

    fn change(&mut self, at: Instance, logged: &LogEntry) -> Result<String, Refusal> {
        if !self.rules.members.is_operator(logged.call.client) {
            let (by, number) = (usize::from(logged.call.client), logged.call.number);
            return match Word::read(&logged.command).ok_or(Refusal::Unread)? {
                Word::Saved => self.save(by, number),
                Word::Join(directory) => self.join((at, by), at.0.saturating_sub(number), directory),
            };
        }
        let Change { kind, on } = Change::read(&logged.command).ok_or(Refusal::Unread)?;
        // Enforces M4: a change that comes late does not change what its caller has not seen.
        if let Some(named) = on.filter(|named| *named != self.number()) {
            return Err(Refusal::Elsewhere(named, self.number()));
        }
        match kind {
            ChangeKind::Add { new, at: place } => self.learn(new, None, place),
            ChangeKind::Replace { old, new, at: place } => {
                if !self.latest().is_some_and(|latest| latest.members.contains(old)) {
                    return Err(Refusal::Unknown(old));
                }
                if let Some((by, _)) = self.learners.iter().find(|(_, other)| **other == Some(old)) {
                    return Err(Refusal::Replaced(old, *by));
                }
                self.learn(new, Some(old), place)
            }
            ChangeKind::Remove(old) if self.learners.contains_key(&old) => {
                self.learners.remove(&old);
                Ok(format!("{old} does not join"))
            }
            ChangeKind::Remove(old) => {
                let latest = self.latest().map(|latest| latest.members).unwrap_or_default();
                if !latest.contains(old) {
                    return Err(Refusal::Unknown(old));
                }
                self.govern(at, latest.without([old].into_iter().collect()), old)
            }
            ChangeKind::SetAddress { id, at: place } => self.move_to(id, place),
        }
    }

    /// Another address of a member or a learner.
    fn move_to(&mut self, id: usize, address: Value) -> Result<String, Refusal> {
        let latest = self.latest().map(|latest| latest.members).unwrap_or_default();
        if !latest.contains(id) && !self.learners.contains_key(&id) {
            return Err(Refusal::Unknown(id));
        }
        self.is_free(&address, id, self.learners.get(&id).copied().flatten())?;
        self.addresses.insert(id, address);
        Ok(format!("{id} has another address"))
    }

    /// Whether a process can have an address that is to replace another one, whose place it may take.
    fn is_free(&self, address: &Value, new: usize, old: Option<usize>) -> Result<(), Refusal> {
        let mut others = self.addresses.iter().filter(|(id, _)| **id != new && Some(**id) != old);
        others.find(|(_, taken)| *taken == address).map_or(Ok(()), |(id, _)| Err(Refusal::Taken(*id)))
    }

    /// A new process is told what is chosen from now on.
    fn learn(
        &mut self,
        new: usize,
        replaces: Option<usize>,
        address: Option<Value>,
    ) -> Result<String, Refusal> {
        // Enforces M2: what an id promised on one disk, another disk knows nothing of.
        if self.used.contains(new) {
            return Err(Refusal::Used(new));
        }
        if !self.rules.peers.contains(new) {
            return Err(Refusal::Unknown(new));
        }
        let latest = self.latest().map(|latest| latest.members).unwrap_or_default();
        // One that replaces a member takes no place of its own. One whose member has left does.
        let takes_place = |replaces: &&Option<usize>| !replaces.is_some_and(|old| latest.contains(old));
        let added = self.learners.values().filter(takes_place).count();
        if replaces.is_none() && latest.len() + added >= MAX_ACCEPTORS {
            return Err(Refusal::Full);
        }
        if let Some(address) = address {
            self.is_free(&address, new, replaces)?;
            self.addresses.insert(new, address);
        }
        self.used.insert(new);
        self.learners.insert(new, replaces);
        Ok(format!("{new} learns"))
    }

    /// A learner becomes a member, with the disk that it named.
    fn join(
        &mut self,
        (at, new): (Instance, usize),
        lag: u64,
        directory: Option<u64>,
    ) -> Result<String, Refusal> {
        let Some(replaces) = self.learners.get(&new).copied() else { return Err(Refusal::NoLearner(new)) };
        // The members that leave may be all that know what it has not executed. Safety rests on M3; this keeps it from being long in coming.
        if lag > self.rules.members.lag {
            return Err(Refusal::Behind(lag));
        }
        let latest = self.latest().map(|latest| latest.members).unwrap_or_default();
        let old = replaces.into_iter().collect::<AcceptorSet>();
        let members = latest.without(old).with([new].into_iter().collect());
        let said = self.govern(at, members, new)?;
        self.learners.remove(&new);
        self.directories.extend(directory.map(|directory| (new, directory)));
        Ok(said)
    }

    /// Another set governs from alpha instances later on.
    fn govern(&mut self, at: Instance, members: AcceptorSet, of: usize) -> Result<String, Refusal> {
        // Enforces M1: a change builds on the one before. So at most two configurations are in force in a window.
        if self.latest_from() > at {
            return Err(Refusal::InFlight(self.latest_from()));
        }
        let number = self.number() + 1;
        let next = self.configuration(number, members).map_err(|_| Refusal::LosesQuorum(of))?;
        // Enforces M1: instances below may have been issued under the configuration before.
        let from = at.plus(self.rules.alpha);
        self.configurations.insert(from, next);
        self.saved = AcceptorSet::EMPTY;
        Ok(format!("configuration {number} from {from:?}"))
    }

    /// A member has all instances below one on its disk.
    fn save(&mut self, by: usize, below: u64) -> Result<String, Refusal> {
        let from = self.latest_from().0;
        if !self.latest().is_some_and(|latest| latest.members.contains(by)) {
            return Err(Refusal::Unknown(by));
        }
        if below < from {
            return Err(Refusal::Behind(from - below));
        }
        self.saved.insert(by);
        Ok(format!("{by} has saved it"))
    }
    /// The cluster as those know it who speak about all instances that are not executed: everybody who counts in any of them, and quorums
    /// that count in all.
    pub(crate) fn everyone(&self) -> View<'static> {
        self.views.everyone()
    }

    /// The cluster as those know it who speak about one instance. `None`: its configuration is not known.
    pub(crate) fn at(&self, next: Instance, instance: Instance) -> Option<View<'static>> {
        // Enforces M1: a command that is not executed yet may change what governs from there on.
        if !self.knows(next, instance) {
            return None;
        }
        self.views.at(instance)
    }

    /// True if the members of an instance are decided once all below another one are executed.
    pub fn knows(&self, next: Instance, instance: Instance) -> bool {
        instance < next.plus(self.rules.alpha)
    }
}

/// The most ids of operators. Each has an answer in every snapshot.
const MOST_OPERATORS: usize = MAX_MEMBERS;

/// The reason why the members of a cluster cannot change, if they cannot.
pub(super) fn flaw(cluster: &Cluster, members: &Members) -> Option<String> {
    let all: AcceptorSet = cluster.acceptors.iter().map(|id| usize::from(*id)).collect();
    let first = cluster.quorums.everyone();
    let is_server = |id: &Id| {
        cluster.learners.contains(id) && cluster.proposers.iter().any(|(proposer, _)| proposer == id)
    };
    let said = match () {
        () if all.len() < cluster.acceptors.len() => "the ids of members are below 128, each once".to_owned(),
        () if !cluster.acceptors.iter().all(is_server) => "each member plays all three roles".to_owned(),
        () if !all.includes(first) => {
            format!("the first members {first:?} are not among the processes {all:?} that can be")
        }
        () if members.operators.len() > MOST_OPERATORS => {
            format!("{} operators are more than {MOST_OPERATORS}", members.operators.len())
        }
        () if members.operators.clone().any(|id| all.contains(id)) => "an operator is no member".to_owned(),
        () => return None,
    };
    Some(format!("members cannot change: {said}"))
}

impl Members {
    /// True if nobody but an operator has this id.
    pub fn is_operator(&self, id: Id) -> bool {
        self.operators.contains(&usize::from(id))
    }

    /// The operator of a member, if each has its own.
    pub(crate) fn operator_of(&self, member: Id) -> Option<Id> {
        let operator = self.operators.start.checked_add(usize::from(member)).filter(|_| self.relays)?;
        self.operators.contains(&operator).then_some(operator.into())
    }

    /// The member whose operator this is, if each has its own.
    pub(crate) fn member_of(&self, operator: Id) -> Option<Id> {
        let place = usize::from(operator).checked_sub(self.operators.start)?;
        (self.relays && self.is_operator(operator)).then_some(place.into())
    }
}

#[cfg(test)]
pub(super) mod tests;
