//! Guarantees that a promise binds: an acceptor never accepts, and never promises, below what it has promised.
//!
//! Phases 1(b) and 2(b) of PMS §2.2. This is the safety kernel; all of an acceptor's state is stable.

use crate::ballot::{Ballot, Instance, Proposal};
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::message::Msg;
use crate::per_instance::{PerInstance, bounded};
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// All that an acceptor must remember (PMS §2.5), whatever crashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AcceptorState {
    /// The highest ballot promised. It covers every instance and only ever rises.
    pub promised: Option<Ballot>,
    /// The highest ballot in which anything was accepted; never above `promised`.
    pub accepted_in: Option<Ballot>,
    /// The highest-numbered proposal accepted, for each instance.
    pub accepted: PerInstance<Proposal>,
    /// What was accepted in instances below may be forgotten: something was chosen there, and is in a snapshot.
    pub log_start: Instance,
}

/// Phase 1(b): answer a prepare with a promise and with what was accepted so far.
pub(crate) fn on_prepare(
    cluster: &Cluster,
    mut acceptor: Share<'_, AcceptorState>,
    proposer: Id,
    (ballot, from): (Ballot, Instance),
    fx: &mut Effects,
) {
    // Enforces P1a: a promise is never taken back, so the highest one is the one that counts.
    if let Some(promised) = acceptor.promised.filter(|promised| *promised > ballot) {
        return refuse(cluster, proposer, ballot, promised, fx);
    }
    // Only proposals *below* the ballot are to be reported. Once one was accepted in the ballot itself its proposer has
    // left phase 1, so this prepare is an echo; answering it would do no harm (model `harmless/echoes-prepare`).
    if acceptor.accepted_in == Some(ballot) {
        return;
    }
    // Enforces P2c: what was forgotten cannot be reported, and silence about it would be taken for "accepted nothing". Whoever asks
    // needs a snapshot first.
    if from < acceptor.log_start {
        return;
    }
    // An equal ballot is answered again, because the first promise may have been lost; it was saved back then.
    if acceptor.promised != Some(ballot) {
        acceptor.edit().promised = Some(ballot);
        fx.save();
    }
    // What does not fit into this report is asked for again. Nothing can change it meanwhile: below the ballot nothing is
    // accepted any more, and in it nothing before the proposer has the whole report or that of others.
    let (accepted, rest) = bounded(&acceptor.accepted, from, cluster.report, |proposal| &proposal.value);
    fx.send(proposer, Msg::Promise { ballot, accepted, rest });
}

/// Phase 2(b): accept a proposal, unless a promise forbids it, and say so.
pub(crate) fn on_accept(
    cluster: &Cluster,
    mut acceptor: Share<'_, AcceptorState>,
    proposer: Id,
    (instance, proposal): (Instance, Proposal),
    fx: &mut Effects,
) {
    let Proposal { ballot, value } = proposal.clone();
    // Enforces P1a, and P1: the very first proposal finds no promise in its way.
    if let Some(promised) = acceptor.promised.filter(|promised| *promised > ballot) {
        return refuse(cluster, proposer, ballot, promised, fx);
    }
    if acceptor.accepted.get(&instance) != Some(&proposal) {
        let acceptor = acceptor.edit();
        // Enforces P2b: accepting promises too. PMS leaves this open, but without it a later, lower proposal could
        // replace this one and hide it from the next prepare.
        acceptor.promised = Some(ballot);
        acceptor.accepted_in = Some(ballot);
        acceptor.accepted.insert(instance, proposal);
        fx.save();
    }
    // A repeated proposal is answered again, because the first answer may have been lost.
    let mut told = cluster.told_of_acceptance();
    if !told.contains(&proposer) {
        told.push(proposer);
    }
    fx.broadcast(&told, &Msg::Accepted { ballot, instance, value });
}

/// Tells a proposer that it is behind. A courtesy: ignoring it would be as safe (PMS §2.2, end).
pub(crate) fn refuse(cluster: &Cluster, proposer: Id, ballot: Ballot, promised: Ballot, fx: &mut Effects) {
    if cluster.nacks {
        fx.send(proposer, Msg::Nack { ballot, promised });
    }
}
