//! The co-located server: one process that is acceptor, proposer and learner (PMS §2.5), made of the very same role
//! functions as the separate processes. What it sends to itself is a message like any other.

use crate::acceptor::AcceptorState;
use crate::ballot::{Instance, Value};
use crate::cluster::Cluster;
use crate::effects::{Effects, Part};
use crate::learner::LearnerState;
use crate::message::Msg;
use crate::per_instance::PerInstance;
use crate::proposer::ProposerState;
use crate::sequence::LogState;
use stateright::actor::Id;
use std::collections::BTreeSet;

/// The states of a server's three roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerState {
    /// As acceptor.
    pub acceptor: AcceptorState,
    /// As proposer.
    pub proposer: ProposerState,
    /// As learner.
    pub learner: LearnerState,
    /// Who asked for a value and is to be answered once one is learned: each client once an instance. Forgotten in a
    /// crash, after which clients have to ask again.
    pub waiting: PerInstance<BTreeSet<Id>>,
    /// Where it keeps a log: how far it has executed it, and who waits for that.
    pub log: Option<Box<LogState>>,
}

impl ServerState {
    /// What the server itself knows to be chosen.
    pub(crate) fn known(&self, instance: Instance) -> Option<&Value> {
        self.learner.learned.get(&instance)
    }

    /// A question about an instance that is already known: answered at once, nothing is proposed.
    pub(crate) fn answer(&self, client: Id, instance: Instance, fx: &mut Effects) -> bool {
        let known = self.known(instance);
        if let Some(value) = known {
            fx.send(client, Msg::Response { instance, value: value.clone() });
        }
        known.is_some()
    }
}

/// Remembers who asked for a value, unless the learners tell that client anyway. Returns whether the question stands.
pub(crate) fn on_request(
    cluster: &Cluster,
    mut server: Part<'_, '_, ServerState>,
    client: Id,
    (instance, value): (Instance, &Value),
) -> bool {
    let wanted = &server.proposer.wanted;
    if !wanted.contains_key(&instance) && !cluster.has_room_for(value, wanted.values()) {
        return false;
    }
    let here = server.waiting.get(&instance);
    let told_anyway = cluster.waiting_limit == 0 || cluster.clients.contains(&client);
    if told_anyway || here.is_some_and(|clients| clients.contains(&client)) {
        return true;
    }
    let waits = || server.waiting.values().any(|clients| clients.contains(&client));
    let room = cluster.has_room(server.waiting.len(), here.map(BTreeSet::len), waits);
    if room {
        server.edit().waiting.entry(instance).or_default().insert(client);
    }
    room
}

/// Once the instance's value is known: tells whoever waits for it and was not told by the learner, and proposes nothing
/// more there. Returns whether there was anything to end.
pub(crate) fn settle(
    cluster: &Cluster,
    mut server: Part<'_, '_, ServerState>,
    instance: Instance,
    fx: &mut Effects,
) -> bool {
    let Some(value) = server.known(instance).cloned() else { return false };
    let busy = server.proposer.wanted.contains_key(&instance)
        || server.proposer.reads.contains_key(&instance)
        || server.waiting.contains_key(&instance);
    if busy {
        let server = server.edit();
        server.proposer.wanted.remove(&instance);
        let readers = server.proposer.reads.remove(&instance).unwrap_or_default();
        let mut told = server.waiting.remove(&instance).unwrap_or_default();
        told.extend(readers.into_keys());
        told.retain(|client| !cluster.clients.contains(client));
        let told: Vec<Id> = told.into_iter().collect();
        fx.broadcast(&told, &Msg::Response { instance, value });
    }
    busy
}
