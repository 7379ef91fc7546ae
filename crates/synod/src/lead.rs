//! Progress only: runs the election beside the ballots, and says when a process comes to begin them and when no longer. Nothing
//! here is needed for safety.

use crate::cluster::Cluster;
use crate::effects::Effects;
use crate::election::{Beat, ElectionState, ElectionTimer};
use crate::process::{ProcessState, as_proposer};
use crate::proposer::ProposerState;
use stateright::actor::Id;
use std::borrow::Cow;

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
    cluster: &Cluster,
    (me, src): (Id, Id),
    beat: Beat,
    state: &mut Cow<'_, ProcessState>,
    fx: &mut Effects,
) -> Option<Turn> {
    let next = cluster.election.as_ref()?.on_beat((me, src), &as_proposer(state).election, beat, fx);
    turn(state, next?)
}

/// A timer of the election runs out.
pub(crate) fn on_timer(
    cluster: &Cluster,
    me: Id,
    state: &mut Cow<'_, ProcessState>,
    timer: ElectionTimer,
    fx: &mut Effects,
) -> Option<Turn> {
    let next = cluster.election.as_ref()?.on_timer(me, &as_proposer(state).election, timer, fx);
    turn(state, next?)
}

fn turn(state: &mut Cow<'_, ProcessState>, next: ElectionState) -> Option<Turn> {
    let mut proposer = as_proposer(state);
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
