//! A second reading of the rules by which members change, which shares no code with the servers'.

use std::collections::BTreeMap;
use std::sync::Arc;
use synod::{AcceptorSet, Cluster, Instance, LogEntry, Members, Quorums, Value};

/// The rules of a cluster's changes, as the walk needs them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rules {
    members: Members,
    alpha: u64,
    peers: AcceptorSet,
    quorums: Quorums,
}

/// A second reading of the rules, which shares no code with the servers': the members of every instance, by what is chosen in all instances below
/// the first in which nothing is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Walk {
    /// The sets of members, each with the first instance that it governs, in the order of the changes. None is forgotten.
    pub sets: Vec<(Instance, Arc<Quorums>)>,
    /// The first instance in which nothing is chosen.
    pub next: Instance,
    /// Those that are to join, each with the one that is to leave then.
    learners: BTreeMap<usize, Option<usize>>,
    used: AcceptorSet,
    /// The last call of each caller, by its number, and whether it had an effect.
    pub(crate) heard: BTreeMap<usize, (u64, bool)>,
    /// What each server has on its disk: all instances below this one.
    pub(crate) saved: BTreeMap<usize, Instance>,
    rules: Arc<Rules>,
}

impl Walk {
    /// Nothing is chosen. `None` if members do not change.
    pub(crate) fn first(cluster: &Cluster) -> Option<Walk> {
        let log = cluster.log.as_ref()?;
        let quorums = cluster.quorums.clone();
        let peers = cluster.acceptors.iter().map(|id| usize::from(*id)).collect();
        let rules =
            Rules { members: log.members.clone()?, alpha: log.alpha, peers, quorums: quorums.clone() };
        Some(Walk {
            used: quorums.everyone(),
            sets: vec![(Instance::FIRST, Arc::new(quorums.among(quorums.everyone()).unwrap_or(quorums)))],
            next: Instance::FIRST,
            learners: BTreeMap::new(),
            heard: BTreeMap::new(),
            saved: BTreeMap::new(),
            rules: Arc::new(rules),
        })
    }

    /// Goes on with the value of the next instance.
    pub(crate) fn take(&mut self, value: &Value) {
        let at = self.next;
        self.next = at.plus(1);
        for logged in synod::commands(value).iter().filter_map(LogEntry::read) {
            let (by, number) = (usize::from(logged.call.client), logged.call.number);
            let words = String::from_utf8_lossy(logged.command.as_bytes()).into_owned();
            let words: Vec<&str> = words.split(' ').collect();
            let is_operator = self.rules.members.operators.contains(&by);
            let is_peers = self.rules.peers.contains(by) && matches!(words[..], ["join" | "saved"]);
            if (is_operator || is_peers) && self.heard.get(&by).is_none_or(|(last, _)| *last < number) {
                let last = self.sets.last().map_or(Instance::FIRST, |(from, _)| *from);
                let has_effect = match words[..] {
                    _ if is_operator => self.change(at, &words).is_some(),
                    ["join"] => self.join(at, by, number).is_some(),
                    _ => self.members().contains(by) && number >= last.0,
                };
                self.heard.insert(by, (number, has_effect));
            }
        }
    }

    /// The members that govern last.
    fn members(&self) -> AcceptorSet {
        self.sets.last().map(|(_, last)| last.everyone()).unwrap_or_default()
    }

    /// An operator's words. `None`: they have no effect.
    fn change(&mut self, at: Instance, words: &[&str]) -> Option<()> {
        let id = |place: usize| words.get(place)?.parse::<usize>().ok();
        let (last, rest) = (id(words.len() - 1)?, self.members());
        match (words[0], words.len()) {
            ("remove", 2) if self.learners.remove(&last).is_some() => Some(()),
            ("remove", 2) if rest.contains(last) => self.govern(at, rest, Some(last), None),
            ("add", 2) | ("replace", 3) if self.rules.peers.contains(last) && !self.used.contains(last) => {
                let old = id(1).filter(|_| words.len() == 3);
                let free = old.is_none_or(|old| {
                    rest.contains(old) && !self.learners.values().any(|it| *it == Some(old))
                });
                let added = self.learners.values().filter(|it| it.is_none()).count();
                let is_room = old.is_some() || rest.len() + added < synod::MAX_ACCEPTORS;
                (free && is_room).then(|| {
                    self.used.insert(last);
                    self.learners.insert(last, old);
                })
            }
            _ => None,
        }
    }

    /// A learner's wish to join, which had executed all below an instance.
    fn join(&mut self, at: Instance, new: usize, executed: u64) -> Option<()> {
        let old = *self.learners.get(&new)?;
        let is_close = at.0 <= executed.saturating_add(self.rules.members.lag);
        let joined = if is_close { self.govern(at, self.members(), old, Some(new)) } else { None };
        joined.map(|()| self.learners.retain(|learner, _| *learner != new))
    }

    /// The members without one and with another govern from alpha instances later on, unless those before do not govern yet.
    fn govern(
        &mut self,
        at: Instance,
        members: AcceptorSet,
        old: Option<usize>,
        new: Option<usize>,
    ) -> Option<()> {
        let next = members.without(old.into_iter().collect()).with(new.into_iter().collect());
        let quorums = self.rules.quorums.among(next).ok()?;
        let governs = self.sets.last().is_some_and(|(from, _)| *from <= at);
        governs.then(|| self.sets.push((at.plus(self.rules.alpha), Arc::new(quorums))))
    }

    /// The number and the quorums of the set that governs an instance.
    pub(crate) fn governing(&self, instance: Instance) -> (usize, &Quorums) {
        let number = self.sets.iter().rposition(|(from, _)| *from <= instance).unwrap_or_default();
        (number, &self.sets[number].1)
    }

    /// The members of an instance, if what is chosen decides them.
    pub(crate) fn known(&self, instance: Instance) -> Option<AcceptorSet> {
        let is_known = instance < self.next.plus(self.rules.alpha);
        is_known.then(|| self.governing(instance).1.everyone())
    }

    /// Notes what a server has on its disk.
    pub(crate) fn save(&mut self, server: usize, below: Instance) {
        self.saved.insert(server, below);
    }
}
