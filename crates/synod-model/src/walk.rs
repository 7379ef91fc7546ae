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
    /// The addresses that processes were given. None is forgotten.
    addresses: BTreeMap<usize, String>,
    used: AcceptorSet,
    /// The last call of each caller, by its number, and whether it had an effect.
    pub(crate) heard: BTreeMap<usize, (u64, bool)>,
    /// What each server has on its disk: all instances below this one.
    pub(crate) saved: BTreeMap<usize, Instance>,
    rules: Arc<Rules>,
}

/// True if the words are those by which a process speaks of itself: a wish to join, with a data directory or without, or what it has saved.
pub(crate) fn is_of_a_peer(words: &[&str]) -> bool {
    match words {
        ["join" | "saved"] => true,
        ["join", directory] => directory.parse::<u64>().is_ok_and(|number| number.to_string() == *directory),
        _ => false,
    }
}

/// True if a command is one by which a process speaks of itself, and not of the machine.
pub fn is_of_a_member(command: &Value) -> bool {
    let words = String::from_utf8_lossy(command.as_bytes()).into_owned();
    is_of_a_peer(&words.split(' ').collect::<Vec<_>>())
}

impl Walk {
    /// Nothing is chosen. `None` if members do not change.
    pub fn first(cluster: &Cluster) -> Option<Walk> {
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
            addresses: BTreeMap::new(),
            heard: BTreeMap::new(),
            saved: BTreeMap::new(),
            rules: Arc::new(rules),
        })
    }

    /// Goes on with the value of the next instance.
    pub fn take(&mut self, value: &Value) {
        let at = self.next;
        self.next = at.plus(1);
        for logged in synod::commands(value).iter().filter_map(LogEntry::read) {
            let (by, number) = (usize::from(logged.call.client), logged.call.number);
            let words = String::from_utf8_lossy(logged.command.as_bytes()).into_owned();
            let words: Vec<&str> = words.split(' ').collect();
            let is_operator = self.rules.members.operators.contains(&by);
            let is_peers = self.rules.peers.contains(by) && is_of_a_peer(&words);
            if (is_operator || is_peers) && self.heard.get(&by).is_none_or(|(last, _)| *last < number) {
                let last = self.sets.last().map_or(Instance::FIRST, |(from, _)| *from);
                let has_effect = match words[..] {
                    _ if is_operator => self.change(at, &words).is_some(),
                    ["join", ..] => self.join(at, by, number).is_some(),
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
        if let [words @ .., "on", number] = words {
            let is_seen = number.parse::<usize>() == Ok(self.sets.len() - 1);
            return if is_seen { self.change_now(at, words) } else { None };
        }
        self.change_now(at, words)
    }

    /// The same, if they name no configuration or the last one.
    fn change_now(&mut self, at: Instance, words: &[&str]) -> Option<()> {
        if let ["set-address", id, address] = words {
            let id = id.parse::<usize>().ok()?;
            let is_here = self.members().contains(id) || self.learners.contains_key(&id);
            let is_free = self.is_free(at, address, id, self.learners.get(&id).copied().flatten());
            return (is_here && is_free).then(|| drop(self.addresses.insert(id, (*address).to_owned())));
        }
        if let [words @ .., "at", address] = words {
            let id = |place: usize| words.get(place)?.parse::<usize>().ok();
            let (new, old) = (id(words.len() - 1)?, id(1).filter(|_| words.len() == 3));
            let is_free = self.is_free(at, address, new, old);
            let joins = if is_free { self.move_in(at, words) } else { None };
            return joins.map(|()| drop(self.addresses.insert(new, (*address).to_owned())));
        }
        self.move_in(at, words)
    }

    /// True if a word is an address, and nobody takes part who has it, but for the process itself and the one whose place it takes.
    fn is_free(&self, at: Instance, address: &str, id: usize, old: Option<usize>) -> bool {
        let parts = [';', '|', ','];
        if address.is_empty()
            || address.len() > 64
            || address.contains(|c: char| !c.is_ascii_graphic() || parts.contains(&c))
        {
            return false;
        }
        let stays = |other: usize| {
            let governs = self.sets.iter().rposition(|(from, _)| *from <= at).unwrap_or_default();
            self.learners.contains_key(&other)
                || self.sets[governs..].iter().any(|(_, set)| set.everyone().contains(other))
        };
        let others = self.addresses.iter().filter(|(other, _)| **other != id && Some(**other) != old);
        !others.into_iter().any(|(other, taken)| taken == address && stays(*other))
    }

    fn move_in(&mut self, at: Instance, words: &[&str]) -> Option<()> {
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

    /// The members that are in force for one who has executed all below an instance.
    pub(crate) fn in_force(&self, next: Instance) -> AcceptorSet {
        let (governs, end) = (self.governing(next).0, next.plus(self.rules.alpha));
        let sets = self.sets[governs..].iter().take_while(|(from, _)| *from < end);
        sets.fold(AcceptorSet::EMPTY, |all, (_, set)| all.with(set.everyone()))
    }

    /// The walk as one knows it who looks at one instance alone: nothing changes there any more. `None`: what is chosen does not decide its members yet.
    pub fn at(&self, instance: Instance) -> Option<Walk> {
        self.known(instance)?;
        let sets = vec![(Instance::FIRST, self.sets[self.governing(instance).0].1.clone())];
        Some(Walk { sets, next: instance.plus(1), ..self.clone() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use synod::{Call, Learning, Log, Membership, QuorumRule};
    use synod_explore::walk::Dice;

    const OPERATOR: usize = 50;

    /// Six processes, of which the first three are members.
    fn cluster() -> Cluster {
        let ids: Vec<_> = (0..6_usize).map(stateright::actor::Id::from).collect();
        let log = Log {
            alpha: 2,
            batch: 1,
            machine: Arc::new(crate::ledger::Ledger::default()),
            hold_off: None,
            catch_up: Some(Duration::ZERO..Duration::ZERO),
            truncate: None,
            master: None,
            members: Some(Members {
                operators: OPERATOR..OPERATOR + 2,
                lag: 1,
                directory: None,
                relays: false,
            }),
        };
        Cluster {
            acceptors: ids.clone(),
            proposers: ids.iter().copied().zip(1..).collect(),
            learners: ids,
            clients: Vec::new(),
            waiting_limit: 1,
            quorums: Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
            learning: Learning::Proposer,
            nacks: false,
            report: usize::MAX,
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: Some(log),
            election: None,
        }
    }

    /// Words that somebody says: who, the number of the call, and the words.
    fn words(dice: &mut Dice, at: u64, number: u64) -> (usize, u64, String) {
        let mut below = |n: usize| dice.below(n);
        let (old, new, place) = (below(6), below(7), ["a", "b", "c;d", "on"][below(4)]);
        let seen = at.saturating_sub(below(3) as u64);
        let said = match below(9) {
            0 => return (new, seen, "join".to_owned()),
            1 => return (new, seen, format!("join {}", below(3))),
            2 => return (new, seen, "saved".to_owned()),
            3 => format!("add {new}"),
            4 => format!("add {new} at {place}"),
            5 => format!("remove {old}"),
            6 => format!("replace {old} {new}"),
            7 => format!("replace {old} {new} at {place}"),
            _ => format!("set-address {new} {place}"),
        };
        let said = if below(3) == 0 { format!("{said} on {}", below(4)) } else { said };
        (OPERATOR + below(2), number.saturating_sub(below(2) as u64), said)
    }

    #[test]
    fn both_readings_of_the_rules_agree() {
        let cluster = cluster();
        let log = cluster.log.as_ref().expect("it has one");
        let mut seen = std::collections::BTreeMap::<String, usize>::new();
        for seed in 0..2000 {
            let (mut dice, mut number) = (Dice::new(seed), 1);
            let mut walk = Walk::first(&cluster).expect("members change");
            let mut membership = Membership::first(&cluster, log).expect("members change");
            for at in 0..20 {
                let (by, call, words) = words(&mut dice, at, number);
                number += 1;
                let call = Call { client: by.into(), number: call };
                let logged = LogEntry { call, command: Value::from(words.as_str()) };
                walk.take(&logged.value());
                let place = format!("seed {seed}, instance {at}: {logged:?}");
                if !membership.governs(&logged) {
                    continue;
                }
                let is_new = membership.said(&logged).is_none();
                let said = membership.execute(Instance(at), &logged);
                let said = String::from_utf8_lossy(said.as_bytes()).into_owned();
                if is_new {
                    let has_effect = !said.starts_with("refused");
                    assert_eq!(walk.heard.get(&by), Some(&(call.number, has_effect)), "{place}: {said}");
                    let kind = said.split(|c: char| c.is_ascii_digit()).collect::<Vec<_>>().join("N");
                    *seen.entry(kind).or_default() += 1;
                }
                membership.forget(Instance(at + 1));
                assert_eq!(walk.learners, membership.learners, "{place}: {said}");
                let sets = walk.sets.iter().rev().take(membership.configurations.len()).rev();
                let sets: Vec<_> = sets.map(|(from, set)| (*from, set.everyone())).collect();
                let known = membership.configurations.iter().map(|(from, it)| (*from, it.members));
                assert_eq!(sets, known.collect::<Vec<_>>(), "{place}: {said}");
                for (id, address) in &membership.addresses {
                    assert_eq!(
                        walk.addresses.get(id).map(String::as_bytes),
                        Some(address.as_bytes()),
                        "{place}"
                    );
                }
            }
        }
        // Whatever can be said is said: 8 refusals and 6 answers, and nothing often enough to be all.
        assert!(seen.len() >= 14, "{seen:#?}");
    }
}
