//! The messages that each role sees, wherever it is played. The roles decide. Nothing is decided here.

use crate::actors::state::{ProcessState, as_acceptor, as_learner, as_proposer};
use crate::ballot::Proposal;
use crate::cluster::{Cluster, Learning};
use crate::effects::Effects;
use crate::message::{Ask, Msg, Timer};
use crate::progress::lead::{self, Turn};
use crate::progress::retry::{self, Context};
use crate::roles::proposer::{self, Phase, Promise};
use crate::roles::{acceptor, learner, read};
use stateright::actor::Id;
use std::borrow::Cow;

/// Hands a message to the acceptor. Messages that are not for it are ignored.
pub(crate) fn acceptor_hears(
    cluster: &Cluster,
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    match msg {
        Msg::Prepare { ballot, from } => {
            acceptor::on_prepare(cluster, as_acceptor(state), src, (*ballot, *from), fx);
        }
        Msg::Accept { ballot, instance, value } => {
            let proposal = Proposal { ballot: *ballot, value: value.clone() };
            acceptor::on_accept(cluster, as_acceptor(state), src, (*instance, proposal), fx);
        }
        _ => {}
    }
}

/// Hands a message to the proposer, where each instance stands for itself.
pub(crate) fn proposer_hears(
    context: Context<'_>,
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    let Context { cluster, retry, .. } = context;
    match msg {
        Msg::Beat(beat) => {
            let turn = lead::on_beat(context, as_proposer(state), src, *beat, fx);
            take_turn(context, state, turn, fx);
        }
        Msg::Ask(Ask::Request { instance, value }) => {
            let was_busy = as_proposer(state).is_busy();
            proposer::on_request(cluster, as_proposer(state), (*instance, value.clone()), fx);
            let proposer = as_proposer(state);
            // A ballot is good from some instance on. A value wanted below needs another.
            let needed = match &proposer.phase {
                Phase::Idle => !retry.is_put_off(was_busy),
                Phase::Preparing { .. } => false,
                Phase::Accepting { .. } => !proposer.covers(*instance),
            };
            if needed {
                let from = proposer.lowest();
                retry::begin_ballot(context, proposer, from, fx);
            }
        }
        Msg::Promise { ballot, accepted, rest } => {
            // Enforces P2c: a promise counts for the acceptor that made it, so it must come from one.
            let Some(acceptor) = cluster.acceptor(src) else { return };
            let promise = Promise { acceptor, ballot: *ballot, accepted: accepted.clone(), rest: *rest };
            let ended = proposer::on_promise(cluster, as_proposer(state), promise, fx);
            if ended && proposer::issue_due(cluster, as_proposer(state), retry.most(cluster), fx) {
                retry.soon(fx);
            }
            // Only servers take reads, so other proposers have none to answer.
            if ended && !as_proposer(state).reads.is_empty() {
                read::on_phase1(as_proposer(state), fx);
                retry::succeeded(as_proposer(state));
                if read::needs_another_ballot(&as_proposer(state)) {
                    retry.soon(fx);
                }
            }
        }
        Msg::Accepted { ballot, instance, .. }
            if retry.is_wanted() || cluster.learning == Learning::Proposer =>
        {
            if let Some(index) = cluster.acceptor(src) {
                let vote = (*ballot, *instance);
                if proposer::on_accepted(cluster, as_proposer(state), index, vote, None, fx).is_some() {
                    retry::succeeded(as_proposer(state));
                }
            }
        }
        Msg::Nack { ballot, promised } => {
            let is_refused = retry::on_nack(context, as_proposer(state), (*ballot, *promised));
            if is_refused {
                retry::give_way(context, as_proposer(state), fx);
            }
        }
        _ => {}
    }
}

/// Tells the proposer that a timer has run out, where each instance stands for itself.
pub(crate) fn proposer_rings(
    context: Context<'_>,
    state: &mut Cow<'_, ProcessState>,
    timer: Timer,
    fx: &mut Effects,
) {
    match timer {
        Timer::Retry => retry::on_timeout(context, as_proposer(state), fx),
        Timer::Election(timer) => {
            let turn = lead::on_timer(context, as_proposer(state), timer, fx);
            take_turn(context, state, turn, fx);
        }
        Timer::Resend
        | Timer::HoldOff
        | Timer::CatchUp
        | Timer::Snapshot
        | Timer::Hold(_)
        | Timer::Respect
        | Timer::Seek => {}
    }
}

/// A process that comes to lead begins a ballot for what is wanted. One that no longer leads begins none, but the ballot that is
/// under way may go on.
fn take_turn(context: Context<'_>, state: &mut Cow<'_, ProcessState>, turn: Option<Turn>, fx: &mut Effects) {
    if turn == Some(Turn::Leads) && as_proposer(state).is_busy() {
        let from = as_proposer(state).lowest();
        retry::begin_ballot(context, as_proposer(state), from, fx);
    }
}

/// Hands a message to the learner.
pub(crate) fn learner_hears(
    cluster: &Cluster,
    me: Id,
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    match msg {
        Msg::Accepted { ballot, instance, value } => {
            // Enforces B0: an acceptance counts for the acceptor that made it, so it must come from one.
            if let Some(acceptor) = cluster.acceptor(src) {
                let proposal = Proposal { ballot: *ballot, value: value.clone() };
                learner::on_accepted(cluster, as_learner(state), me, acceptor, (*instance, proposal), fx);
            }
        }
        Msg::Chosen { instance, value } => {
            learner::on_chosen(cluster, as_learner(state), me, (*instance, value.clone()), fx);
        }
        _ => {}
    }
}
