//! Runs the election beside the ballots, and tells when a process may begin ballots and when it no longer may. Nothing here is
//! needed for safety.

use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::election::{Beat, ElectionState, ElectionTimer};
use crate::progress::retry::Context;
use crate::roles::proposer::ProposerState;
use stateright::actor::Id;

/// A change of who leads, for one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The process may begin ballots from now on.
    Leads,
    /// The process may no longer begin ballots.
    Follows,
}

/// A process starts, or comes back. It believes nothing yet.
pub(crate) fn start(cluster: &Cluster, me: Id, proposer: &mut ProposerState, fx: &mut Effects) {
    if let Some(election) = &cluster.election {
        proposer.election = election.first();
        election.start(me, &proposer.election, fx);
    }
}

/// A heartbeat or an answer to one arrives.
pub(crate) fn on_beat(
    context: Context<'_>,
    proposer: Share<'_, ProposerState>,
    src: Id,
    beat: Beat,
    fx: &mut Effects,
) -> Option<Turn> {
    let election = context.cluster.election.as_ref()?;
    let next = election.on_beat((context.me, src), &proposer.election, beat, fx);
    turn(proposer, next?)
}

/// A timer of the election runs out.
pub(crate) fn on_timer(
    context: Context<'_>,
    proposer: Share<'_, ProposerState>,
    timer: ElectionTimer,
    fx: &mut Effects,
) -> Option<Turn> {
    let next = context.cluster.election.as_ref()?.on_timer(context.me, &proposer.election, timer, fx);
    turn(proposer, next?)
}

/// The members have changed, from those of one cluster to those of another.
pub(crate) fn changed(
    (before, cluster): (&Cluster, &Cluster),
    me: Id,
    mut proposer: Share<'_, ProposerState>,
    fx: &mut Effects,
) -> Option<Turn> {
    let (before, election) = before.election.as_ref().zip(cluster.election.as_ref())?;
    if before.among == election.among {
        return None;
    }
    let next = election.changed(before, me, &proposer.election, fx);
    turn(proposer.again(), next)
}

/// Hands leadership to another member.
pub(crate) fn cede(
    context: Context<'_>,
    proposer: Share<'_, ProposerState>,
    heir: Id,
    fx: &mut Effects,
) -> Option<Turn> {
    let next = context.cluster.election.as_ref()?.cede(context.me, &proposer.election, heir, fx);
    turn(proposer, next?)
}

fn turn(mut proposer: Share<'_, ProposerState>, next: ElectionState) -> Option<Turn> {
    let (before, after) = (proposer.election.ready, next.ready);
    proposer.edit().election = next;
    match (before, after) {
        (false, true) => Some(Turn::Leads),
        (true, false) => Some(Turn::Follows),
        _ => None,
    }
}

/// The leader that a process follows, if one is elected and it is another process.
pub(crate) fn followed(cluster: &Cluster, me: Id, proposer: &ProposerState) -> Option<Id> {
    cluster.election.as_ref()?.leader(me, &proposer.election)
}
