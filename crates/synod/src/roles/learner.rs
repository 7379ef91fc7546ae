//! Guarantees that a value is learned only when a phase-2 quorum accepted it in one ballot, or when a process that knew this said
//! so, and that a learned value is never replaced (B0; PMS §2.3).

use crate::ballot::{Ballot, Instance, Proposal, Value};
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::message::Msg;
use crate::per_instance::PerInstance;
use crate::quorum::AcceptorSet;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::BTreeMap;

/// The acceptances in one instance: for each ballot, the acceptors and the value.
pub type Votes = BTreeMap<Ballot, (AcceptorSet, Value)>;

/// A learner's state. None of it is stable: chosen values can always be learned again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LearnerState {
    /// The acceptances in instances whose value is not known yet.
    pub votes: PerInstance<Votes>,
    /// The values known to be chosen.
    pub learned: PerInstance<Value>,
}

/// Counts an acceptance.
pub(crate) fn on_accepted(
    cluster: &Cluster,
    mut learner: Share<'_, LearnerState>,
    me: Id,
    acceptor: usize,
    (instance, proposal): (Instance, Proposal),
    fx: &mut Effects,
) {
    let Some((by, value)) = keep(&mut learner, acceptor, (instance, proposal)) else { return };
    // Enforces B0: chosen means accepted by a phase-2 quorum.
    if cluster.quorums.is_phase2(*by) {
        let value = value.clone();
        learn(cluster, learner, me, instance, value, fx);
    }
}

/// Keeps an acceptance without counting it. Returns all of its ballot, if it is new.
pub(crate) fn keep<'l>(
    learner: &'l mut Share<'_, LearnerState>,
    acceptor: usize,
    (instance, proposal): (Instance, Proposal),
) -> Option<&'l (AcceptorSet, Value)> {
    let Proposal { ballot, value } = proposal;
    if learner.learned.contains_key(&instance) {
        return None;
    }
    let known = learner.votes.get(&instance).and_then(|votes| votes.get(&ballot));
    if known.is_some_and(|(by, _)| by.contains(acceptor)) {
        return None;
    }
    // Enforces B0: acceptors are counted, not messages, and each ballot by itself.
    let votes = learner.edit().votes.entry(instance).or_default();
    let proposal = votes.entry(ballot).or_insert((AcceptorSet::EMPTY, value));
    proposal.0.insert(acceptor);
    Some(proposal)
}

/// Counts the acceptances that were kept in an instance.
pub(crate) fn count(
    cluster: &Cluster,
    learner: Share<'_, LearnerState>,
    me: Id,
    instance: Instance,
    fx: &mut Effects,
) {
    let mut votes = learner.votes.get(&instance).into_iter().flat_map(|votes| votes.values());
    // Enforces B0: chosen means accepted by a phase-2 quorum.
    let chosen = votes.find(|(by, _)| cluster.quorums.is_phase2(*by)).map(|(_, value)| value.clone());
    if let Some(value) = chosen {
        learn(cluster, learner, me, instance, value, fx);
    }
}

/// Learns from a process that knows. Processes are not Byzantine, so being told is enough (PMS §2.3).
pub(crate) fn on_chosen(
    cluster: &Cluster,
    learner: Share<'_, LearnerState>,
    me: Id,
    (instance, value): (Instance, Value),
    fx: &mut Effects,
) {
    if !learner.learned.contains_key(&instance) {
        learn(cluster, learner, me, instance, value, fx);
    }
}

/// Keeps the value, answers the clients, and informs the processes that depend on this learner.
fn learn(
    cluster: &Cluster,
    mut learner: Share<'_, LearnerState>,
    me: Id,
    instance: Instance,
    value: Value,
    fx: &mut Effects,
) {
    let learner = learner.edit();
    learner.votes.remove(&instance);
    learner.learned.insert(instance, value.clone());
    fx.broadcast(&cluster.clients, &Msg::Response { instance, value: value.clone() });
    if cluster.told_of_acceptance().contains(&me) {
        fx.broadcast(&cluster.to_inform(), &Msg::Chosen { instance, value });
    }
}
