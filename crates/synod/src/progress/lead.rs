//! Progress only: runs the election beside the ballots, and says when a process comes to begin them and when no longer. Nothing
//! here is needed for safety.

use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::election::{Beat, ElectionState, ElectionTimer};
use crate::progress::retry::Context;
use crate::roles::proposer::ProposerState;
use stateright::actor::Id;

/// What an event has changed for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// From now on it may begin ballots.
    Leads,
    /// It did and does not any more.
    Follows,
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

fn turn(mut proposer: Share<'_, ProposerState>, next: ElectionState) -> Option<Turn> {
    let (before, after) = (proposer.election.ready, next.ready);
    proposer.edit().election = next;
    match (before, after) {
        (false, true) => Some(Turn::Leads),
        (true, false) => Some(Turn::Follows),
        _ => None,
    }
}

/// Whom a process follows, where a leader is elected and it is another.
pub(crate) fn followed(cluster: &Cluster, me: Id, proposer: &ProposerState) -> Option<Id> {
    cluster.election.as_ref()?.leader(me, &proposer.election)
}
