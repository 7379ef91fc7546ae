//! Guarantees that everything that the roles of a process must not forget is saved.

use crate::actors::state::ProcessState;
use crate::log::state::Snapshot;
use crate::roles::acceptor::AcceptorState;
use serde::{Deserialize, Serialize};

/// The state that must survive a crash (PMS §2.5). The fields of roles that a process does not play stay as they were created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stable {
    /// The acceptor's promise and its accepted proposals.
    pub acceptor: AcceptorState,
    /// The proposer's highest round tried.
    pub tried: u64,
    /// The snapshot that takes the place of the log's beginning, if there is one.
    pub snapshot: Option<Snapshot>,
}

impl Stable {
    /// The stable state of a process.
    pub(crate) fn of(state: &ProcessState) -> Stable {
        match state {
            ProcessState::Acceptor(acceptor) => Stable { acceptor: acceptor.clone(), ..Stable::default() },
            ProcessState::Proposer(proposer) => Stable { tried: proposer.tried, ..Stable::default() },
            ProcessState::Server(server) => {
                let snapshot = server.log.as_ref().and_then(|log| log.saved()).cloned();
                Stable { acceptor: server.acceptor.clone(), tried: server.proposer.tried, snapshot }
            }
            ProcessState::Learner(_) | ProcessState::Client(_) => Stable::default(),
        }
    }
}
