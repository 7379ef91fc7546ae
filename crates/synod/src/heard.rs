//! Guarantees that a message is heard only from those who may say it: whoever is no member has no say but to ask.
//!
//! Paxos lets messages be late, lost and repeated, not made up (PMS §2.1); who sent one is part of what it says. A promise counts for the
//! acceptor that made it, and a ballot belongs to the proposer that drew it. Every process decides here, once and before any role sees a
//! message, from the message and its sender. `ARCHITECTURE.md` has the same as a table, which `tests/heard` holds against every message.

use crate::ballot::Ballot;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::message::Msg;
use stateright::actor::Id;

impl Cluster {
    /// Whether a process of the cluster hears this of that sender. What a process says to itself is as good as what it says to others.
    pub(crate) fn hears(&self, src: Id, msg: &Msg) -> bool {
        match msg {
            // Whoever asks is a client: its question commits nobody.
            Msg::Ask(_) => true,
            // Enforces V1, A4: a ballot is the proposer's that draws it, so that no two issue a value in one.
            Msg::Prepare { ballot, .. } | Msg::Accept { ballot, .. } | Msg::Confirm { ballot, .. } => {
                self.draws(src, *ballot)
            }
            // Enforces P2c, B0, L1: each counts for the acceptor that says it.
            Msg::Promise { .. } | Msg::Accepted { .. } | Msg::Confirmed { .. } => self.is_acceptor(src),
            // A hint at a ballot that nobody can have drawn would silence whoever goes above it.
            Msg::Nack { promised, .. } => self.is_acceptor(src) && promised.can_be_drawn(),
            // Enforces B0: only who may know it says what is chosen.
            Msg::Chosen { .. } => self.is_learner(src) || self.is_proposer(src),
            // Enforces B0, X1: servers tell each other what was chosen and executed, and nobody else tells them.
            Msg::Learn { .. }
            | Msg::Known { .. }
            | Msg::Part { .. }
            | Msg::Fetch { .. }
            | Msg::Checksum { .. } => self.is_server(src),
            Msg::Heartbeat => self.election.as_ref().is_some_and(|election| election.members.contains(&src)),
            // Answers are for clients.
            Msg::Response { .. } | Msg::Unset { .. } | Msg::Output { .. } | Msg::Redirect { .. } => false,
        }
    }

    /// Whether a ballot is one that this proposer can have drawn.
    fn draws(&self, proposer: Id, ballot: Ballot) -> bool {
        ballot.can_be_drawn() && self.proposers.contains(&(proposer, ballot.proposer))
    }

    fn is_acceptor(&self, id: Id) -> bool {
        self.acceptors.contains(&id)
    }

    fn is_proposer(&self, id: Id) -> bool {
        self.proposers.iter().any(|(proposer, _)| *proposer == id)
    }

    fn is_learner(&self, id: Id) -> bool {
        self.learners.contains(&id)
    }

    /// A server is all three.
    fn is_server(&self, id: Id) -> bool {
        self.is_acceptor(id) && self.is_proposer(id) && self.is_learner(id)
    }
}

impl Client {
    /// Whether a client hears this of that sender: answers, of whom it expects them.
    pub(crate) fn hears(&self, src: Id, msg: &Msg) -> bool {
        match msg {
            Msg::Response { .. } | Msg::Unset { .. } | Msg::Output { .. } | Msg::Redirect { .. } => {
                self.heeds.contains(&src)
            }
            _ => false,
        }
    }
}
