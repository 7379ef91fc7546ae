//! A set of members, and the cluster as it is under such a set. Roles are written for a cluster, and see only those who count.

use crate::ballot::Instance;
use crate::cluster::{Cluster, Learning};
use crate::election::Election;
use crate::quorum::{AcceptorSet, Quorums};
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A set of members, with its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// The number of changes before it.
    pub number: u64,
    /// The members.
    pub members: AcceptorSet,
    /// The quorums of these members. They are found once, since that takes a look at every set of them.
    pub quorums: Arc<Quorums>,
}

/// The cluster as far as it counts.
#[derive(Clone, Debug)]
pub(crate) enum View<'c> {
    /// All of it: members do not change.
    Whole(&'c Cluster),
    /// These members.
    Part(Arc<Cluster>),
}

impl Deref for View<'_> {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        match self {
            View::Whole(cluster) => cluster,
            View::Part(cluster) => cluster,
        }
    }
}

/// The views of the configurations that are not over, made once for each change. They follow from the configurations, and so make no two states
/// different.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    /// All processes. `None` in tests of the rules alone.
    whole: Option<Arc<Cluster>>,
    everyone: Option<Arc<Cluster>>,
    at: BTreeMap<Instance, Arc<Cluster>>,
}

impl PartialEq for Views {
    fn eq(&self, _: &Views) -> bool {
        true
    }
}

impl Eq for Views {}

impl Hash for Views {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Views {
    /// The views of a cluster whose members are not known yet.
    pub(super) fn of(cluster: &Cluster) -> Views {
        Views { whole: Some(Arc::new(cluster.clone())), ..Views::default() }
    }

    /// Looks at other configurations and learners.
    pub(super) fn see(&mut self, configurations: &BTreeMap<Instance, Configuration>, learners: AcceptorSet) {
        let Some(whole) = &self.whole else { return };
        let members = configurations.values().fold(AcceptorSet::EMPTY, |all, it| all.with(it.members));
        let told = members.with(learners);
        let mut all = configurations.values().map(|it| Quorums::clone(&it.quorums));
        let quorums = all.next().map(|first| all.fold(first, Quorums::and));
        let everyone = quorums.map(|quorums| part(whole, members, told, quorums));
        // Those elect who govern first, since only they may lead.
        let elect = |election: &Election| {
            let first = configurations.values().next()?;
            let backing = election.backing.as_ref().map(|_| Quorums::clone(&first.quorums));
            Some(Election { among: Some(first.members), backing, ..election.clone() })
        };
        let election = whole.election.as_ref().and_then(elect);
        self.everyone = everyone.map(|everyone| Arc::new(Cluster { election, ..everyone }));
        self.at = configurations
            .iter()
            .map(|(from, it)| (*from, Arc::new(part(whole, it.members, told, Quorums::clone(&it.quorums)))))
            .collect();
    }

    /// All who count in any configuration that is not over. Without any, nobody is left out.
    pub(super) fn everyone(&self) -> View<'static> {
        View::Part(self.everyone.clone().or_else(|| self.whole.clone()).expect("a server has a cluster"))
    }

    pub(super) fn at(&self, instance: Instance) -> Option<View<'static>> {
        self.at.range(..=instance).next_back().map(|(_, cluster)| View::Part(cluster.clone()))
    }
}

/// The cluster with these members only, and with these learners.
fn part(whole: &Cluster, members: AcceptorSet, told: AcceptorSet, quorums: Quorums) -> Cluster {
    let among = |ids: &[Id], set: AcceptorSet| -> Vec<Id> {
        ids.iter().copied().filter(|id| set.contains(usize::from(*id))).collect()
    };
    let learners = among(&whole.learners, told);
    // A distinguished learner stays what it is, wherever it stands among the others.
    let learning = match &whole.learning {
        Learning::Distinguished(places) => {
            let distinguished = places.iter().filter_map(|place| whole.learners.get(*place));
            let places = distinguished.filter_map(|id| learners.iter().position(|learner| learner == id));
            match places.collect::<Vec<_>>() {
                // Those that are left learn from the proposer.
                none if none.is_empty() => Learning::Proposer,
                places => Learning::Distinguished(places),
            }
        }
        same => same.clone(),
    };
    let proposers = whole.proposers.iter().copied();
    Cluster {
        acceptors: among(&whole.acceptors, members),
        proposers: proposers.filter(|(id, _)| members.contains(usize::from(*id))).collect(),
        learners,
        quorums,
        learning,
        ..whole.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::QuorumRule;

    fn ids(ids: &[usize]) -> Vec<Id> {
        ids.iter().copied().map(Id::from).collect()
    }

    /// What is left of five servers, of which these learners hear what is accepted.
    fn left(distinguished: &[usize], members: &[usize], told: &[usize]) -> Cluster {
        let all = ids(&[0, 1, 2, 3, 4]);
        let whole = Cluster {
            acceptors: all.clone(),
            proposers: all.iter().copied().zip(1..).collect(),
            learners: all,
            clients: Vec::new(),
            waiting_limit: 1,
            quorums: Quorums::new(5, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet"),
            learning: Learning::Distinguished(distinguished.to_vec()),
            nacks: true,
            report: 1,
            max_value: 1,
            max_accepted: 1,
            keeps: 1,
            log: None,
            election: None,
        };
        let set = |indices: &[usize]| indices.iter().copied().collect();
        part(&whole, set(members), set(told), whole.quorums.clone())
    }

    #[test]
    fn nobody_else_plays_a_role_and_learners_stay_what_they_are() {
        let part = left(&[1, 4], &[1, 2], &[1, 2, 4]);
        assert_eq!((part.acceptors, part.learners), (ids(&[1, 2]), ids(&[1, 2, 4])));
        assert_eq!(part.proposers, [(1.into(), 2), (2.into(), 3)]);
        assert_eq!(part.learning, Learning::Distinguished(vec![0, 2]));
        assert_eq!(left(&[0, 3], &[1, 2], &[1, 2, 4]).learning, Learning::Proposer);
    }
}
