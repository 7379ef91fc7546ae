//! Every place of a ballot in a state. Renaming is right only if it sees them all. So the patterns here name
//! every field, and a new field does not compile until somebody has said whether a ballot stands in it.

use super::{LiveBallots, Whole, flying};
use crate::history::History;
use crate::mutants::{DecoratedStable, DecoratedState};
use std::sync::Arc;
use synod::{
    AcceptorState, Ballot, LearnerState, Msg, PerInstance, Phase, ProcessState, Proposal, ProposerState,
    ServerState, Stable,
};

/// The change to each ballot.
type Each<'f> = &'f mut dyn FnMut(&mut Ballot);

impl LiveBallots {
    /// Visits every ballot that the state names. A visitor that changes them must keep their order.
    pub(super) fn each(&self, state: &mut Whole, each: Each<'_>) {
        for (index, local) in state.locals.iter_mut().enumerate() {
            let number = self.number(index);
            let local = Arc::make_mut(local);
            if let Some(state) = &mut local.state {
                in_state(Arc::make_mut(state), number, each);
            }
            if let Some(DecoratedStable { now, before }) = &mut local.storage {
                in_stable(now, number, each);
                if let Some(before) = before {
                    in_stable(before, number, each);
                }
            }
        }
        let counts = flying(state);
        let envelopes = std::mem::take(counts).into_iter().map(|(mut envelope, count)| {
            in_message(&mut envelope.msg, each);
            (envelope, count)
        });
        counts.extend(envelopes);
        in_history(&mut state.history, each);
    }
}

fn in_state(state: &mut DecoratedState, number: u16, each: Each<'_>) {
    let DecoratedState { inner, unsaved, saved } = state;
    for stable in [unsaved, saved].into_iter().flatten() {
        in_stable(stable, number, each);
    }
    match inner {
        ProcessState::Acceptor(acceptor) => in_acceptor(acceptor, each),
        ProcessState::Proposer(proposer) => in_proposer(proposer, number, each),
        ProcessState::Learner(learner) => in_learner(learner, each),
        ProcessState::Server(ServerState { acceptor, proposer, learner, waiting: _, log: _ }) => {
            in_acceptor(acceptor, each);
            in_proposer(proposer, number, each);
            in_learner(learner, each);
        }
        ProcessState::Client(_) => {}
    }
}

/// A round stands for the ballot of that round that bears the number; 0 is no round.
fn in_round(round: &mut u64, number: u16, each: Each<'_>) {
    if *round > 0 {
        let mut ballot = Ballot { round: *round, proposer: number };
        each(&mut ballot);
        *round = ballot.round;
    }
}

fn in_stable(Stable { acceptor, tried, snapshot: _ }: &mut Stable, number: u16, each: Each<'_>) {
    in_acceptor(acceptor, each);
    in_round(tried, number, each);
}

fn in_acceptor(acceptor: &mut AcceptorState, each: Each<'_>) {
    let AcceptorState { promised, accepted_in, accepted, log_start: _ } = acceptor;
    promised.iter_mut().for_each(&mut *each);
    accepted_in.iter_mut().for_each(&mut *each);
    in_proposals(accepted, each);
}

fn in_proposals(proposals: &mut PerInstance<Proposal>, each: Each<'_>) {
    if !proposals.is_empty() {
        let renamed = proposals.iter().map(|(instance, proposal)| {
            let mut proposal = proposal.clone();
            each(&mut proposal.ballot);
            (*instance, proposal)
        });
        *proposals = renamed.collect();
    }
}

fn in_proposer(proposer: &mut ProposerState, number: u16, each: Each<'_>) {
    // Reads are asked of servers only and logs kept by them, and these are not among the layouts that are renamed.
    let ProposerState { tried, heard, wanted: _, queue: _, reads: _, phase, failed: _, election: _ } =
        proposer;
    in_round(tried, number, each);
    // A round that was heard of has to be passed whoever owned it, so it stands for the highest ballot of that round.
    in_round(heard, u16::MAX, each);
    match phase {
        Phase::Idle => {}
        Phase::Preparing { ballot, from: _, promised: _, partly: _, reports, gaps: _ } => {
            each(ballot);
            in_proposals(reports, each);
        }
        Phase::Accepting { ballot, from: _, quorum: _, reports, gaps: _, issued: _, accepted: _ } => {
            // Round 0 is what is left of the ballot of a proposer that has nothing more to do.
            if ballot.round > 0 {
                each(ballot);
            }
            in_proposals(reports, each);
        }
    }
}

fn in_learner(LearnerState { votes, learned: _ }: &mut LearnerState, each: Each<'_>) {
    if !votes.is_empty() {
        let renamed = votes.iter().map(|(instance, votes)| {
            let votes = votes.iter().map(|(ballot, vote)| {
                let mut ballot = *ballot;
                each(&mut ballot);
                (ballot, vote.clone())
            });
            (*instance, votes.collect())
        });
        *votes = renamed.collect();
    }
}

pub(super) fn in_message(msg: &mut Msg, each: Each<'_>) {
    match msg {
        Msg::Prepare { ballot, .. }
        | Msg::Accept { ballot, .. }
        | Msg::Accepted { ballot, .. }
        | Msg::Confirm { ballot, .. }
        | Msg::Confirmed { ballot, .. } => {
            each(ballot);
        }
        Msg::Promise { ballot, accepted, rest: _ } => {
            each(ballot);
            in_proposals(accepted, each);
        }
        Msg::Nack { ballot, promised } => {
            each(ballot);
            each(promised);
        }
        Msg::Ask(_)
        | Msg::Chosen { .. }
        | Msg::Response { .. }
        | Msg::Unset { .. }
        | Msg::Output { .. }
        | Msg::Redirect { .. }
        | Msg::CatchUp { .. }
        | Msg::CatchUpReply { .. }
        | Msg::Chunk { .. }
        | Msg::Fetch { .. }
        | Msg::Checksum { .. }
        | Msg::Beat(_)
        | Msg::Give { .. }
        | Msg::Yield { .. }
        | Msg::Removed { .. }
        | Msg::Relay { .. }
        | Msg::Relayed { .. } => {}
    }
}

fn in_history(history: &mut History, each: Each<'_>) {
    let History {
        proposed: _,
        begun,
        issued,
        answered,
        voted,
        votes,
        learned: _,
        asked: _,
        submitted: _,
        calls: _,
        told: _,
        leading: _,
        members: _,
        // It stands for itself, and speaks of ballots by the names that they had then.
        evidence: _,
        fallen: _,
    } = history;
    let renamed = |mut ballot: Ballot, each: Each<'_>| {
        each(&mut ballot);
        ballot
    };
    *begun = std::mem::take(begun).into_iter().map(|ballot| renamed(ballot, each)).collect();
    *issued = std::mem::take(issued)
        .into_iter()
        .map(|((instance, ballot), values)| ((instance, renamed(ballot, each)), values))
        .collect();
    answered.values_mut().for_each(&mut *each);
    voted.values_mut().for_each(&mut *each);
    *votes = std::mem::take(votes)
        .into_iter()
        .map(|((instance, ballot, value), by)| ((instance, renamed(ballot, each), value), by))
        .collect();
}
