//! The co-located server: one process that is acceptor, proposer and learner (PMS §2.5), made of the very same role
//! functions as the separate processes. What it sends to itself is a message like any other.

use crate::acceptor::AcceptorState;
use crate::ballot::{Instance, Value};
use crate::effects::Effects;
use crate::learner::LearnerState;
use crate::message::Msg;
use crate::proposer::ProposerState;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// The states of a server's three roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServerState {
    /// As acceptor.
    pub acceptor: AcceptorState,
    /// As proposer.
    pub proposer: ProposerState,
    /// As learner.
    pub learner: LearnerState,
}

impl ServerState {
    /// What the server itself knows to be chosen.
    pub(crate) fn known(&self, instance: Instance) -> Option<&Value> {
        self.learner.learned.get(&instance)
    }

    /// A request for an instance that is already known: answered at once, nothing is proposed.
    pub(crate) fn answer(&self, client: Id, instance: Instance, fx: &mut Effects) -> bool {
        let known = self.known(instance);
        if let Some(value) = known {
            fx.send(client, Msg::Response { instance, value: value.clone() });
        }
        known.is_some()
    }
}
