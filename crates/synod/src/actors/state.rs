//! The state of a process, and each role's share of it.

use crate::actors::client::ClientState;
use crate::effects::{Holds, Share};
use crate::log::state::ServerState;
use crate::roles::acceptor::AcceptorState;
use crate::roles::learner::LearnerState;
use crate::roles::proposer::ProposerState;
use std::borrow::Cow;

/// The state that belongs to a [`crate::Process`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProcessState {
    /// The state of an acceptor.
    Acceptor(AcceptorState),
    /// The state of a proposer.
    Proposer(ProposerState),
    /// The state of a learner.
    Learner(LearnerState),
    /// The state of a server.
    Server(ServerState),
    /// The state of a client.
    Client(ClientState),
}

/// A process's state is of the kind that the process made when it started. So a role that a process plays always finds its share.
const WIRED: &str = "a process's state is of the kind its process made";

/// Makes the functions that find a role's share in a process's state, for each layout.
macro_rules! share {
    ($name:ident, $get:ident, $type:ty, $($kind:pat => $share:expr),+) => {
        impl ProcessState {
            #[doc = concat!("The ", stringify!($get), "'s share of this state, if the process plays that role.")]
            pub fn $get(&self) -> Option<&$type> {
                match self {
                    $($kind => Some(&$share),)+
                    _ => None,
                }
            }
        }
        impl Holds<$type> for Cow<'_, ProcessState> {
            fn share(&self) -> &$type {
                self.$get().expect(WIRED)
            }
            fn share_mut(&mut self) -> &mut $type {
                match self.to_mut() {
                    $($kind => Some(&mut $share),)+
                    _ => None,
                }
                .expect(WIRED)
            }
        }
        pub(crate) fn $name<'w>(whole: &'w mut Cow<'_, ProcessState>) -> Share<'w, $type> {
            Share::new(whole)
        }
    };
}

share!(as_acceptor, acceptor, AcceptorState,
    ProcessState::Acceptor(state) => *state, ProcessState::Server(server) => server.acceptor);
share!(as_proposer, proposer, ProposerState,
    ProcessState::Proposer(state) => *state, ProcessState::Server(server) => server.proposer);
share!(as_learner, learner, LearnerState,
    ProcessState::Learner(state) => *state, ProcessState::Server(server) => server.learner);
share!(as_server, server, ServerState, ProcessState::Server(state) => *state);
share!(as_client, client, ClientState, ProcessState::Client(state) => *state);
