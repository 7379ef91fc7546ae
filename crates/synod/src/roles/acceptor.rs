//! Guarantees that a promise binds: an acceptor never accepts, and never promises, below what it has promised.
//!
//! This module is phases 1(b) and 2(b) of PMS §2.2, and the core of safety. All of an acceptor's state is stable.

use crate::ballot::{Ballot, Instance, Proposal};
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::message::Msg;
use crate::per_instance::{PerInstance, bounded};
use serde::{Deserialize, Serialize};
use stateright::actor::Id;

/// The state that an acceptor must remember through crashes (PMS §2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AcceptorState {
    /// The highest ballot promised. It covers every instance and only ever rises.
    pub promised: Option<Ballot>,
    /// The highest ballot in which anything was accepted; never above `promised`.
    pub accepted_in: Option<Ballot>,
    /// The highest-numbered proposal accepted, for each instance.
    pub accepted: PerInstance<Proposal>,
    /// The start of the log. Acceptances in instances below may be forgotten: something was chosen there, and is in a snapshot.
    pub log_start: Instance,
}

/// Phase 1(b): answers a prepare with a promise and a report of what was accepted so far.
pub(crate) fn on_prepare(
    cluster: &Cluster,
    mut acceptor: Share<'_, AcceptorState>,
    proposer: Id,
    (ballot, from): (Ballot, Instance),
    fx: &mut Effects,
) {
    // Enforces P1a: a promise is never taken back, so only the highest one counts.
    if let Some(promised) = acceptor.promised.filter(|promised| *promised > ballot) {
        return refuse(cluster, proposer, ballot, promised, fx);
    }
    // A report is about proposals *below* the ballot. Once a proposal of the ballot itself was accepted, its proposer has left
    // phase 1, and this prepare is an echo. An answer would do no harm (model `harmless/echoes-prepare`).
    if acceptor.accepted_in == Some(ballot) {
        return;
    }
    // Enforces P2c: forgotten acceptances cannot be reported, and silence about them would be taken for "accepted nothing". The
    // proposer needs a snapshot first.
    if from < acceptor.log_start {
        return;
    }
    // A prepare of the promised ballot is answered again, because the first promise may have been lost. It was saved back then.
    if acceptor.promised != Some(ballot) {
        acceptor.edit().promised = Some(ballot);
        fx.save();
    }
    // The proposer asks again for what does not fit into this report. Nothing can change it meanwhile. Nothing is accepted below
    // the ballot any more, and nothing in the ballot before the proposer has this whole report or those of others.
    let (accepted, rest) = bounded(&acceptor.accepted, from, cluster.report, |proposal| &proposal.value);
    fx.send(proposer, Msg::Promise { ballot, accepted, rest });
}

/// Phase 2(b): accepts a proposal, unless a promise forbids it, and says so.
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
        // Enforces P2b: an acceptance promises too. PMS leaves this open. Without it a later, lower proposal could replace this
        // one and hide it from the next prepare.
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

/// Tells a proposer that it is behind. This is a courtesy: to ignore the proposer would be as safe (PMS §2.2, end).
pub(crate) fn refuse(cluster: &Cluster, proposer: Id, ballot: Ballot, promised: Ballot, fx: &mut Effects) {
    if cluster.nacks {
        fx.send(proposer, Msg::Nack { ballot, promised });
    }
}
