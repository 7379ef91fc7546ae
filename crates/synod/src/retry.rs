//! Progress only: when a proposer begins a ballot and when it gives one up. Nothing here is needed for safety, since
//! a proposer may abandon a proposal at any moment (PMS §2.2, end; §2.4).

use crate::ballot::{Ballot, Instance};
use crate::cluster::Cluster;
use crate::effects::{Effects, Part};
use crate::message::Timer;
use crate::proposer::{self, Phase, ProposerState};
use std::ops::Range;
use std::time::Duration;

/// When a proposer whose ballot did not end tries again. Both may hold; with neither it tries once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// As soon as a nack says that its ballot is refused.
    pub on_nack: bool,
    /// When the ballot was under way for a duration drawn from this range.
    pub after: Option<Range<Duration>>,
}

impl Retry {
    /// Whether a proposer has a use for knowing that its proposal was chosen.
    pub(crate) fn is_wanted(&self) -> bool {
        self.on_nack || self.after.is_some()
    }
}

/// Begins a ballot, and sets the timer that will give it up.
pub(crate) fn begin(
    cluster: &Cluster,
    proposer: Part<'_, '_, ProposerState>,
    (number, from): (u16, Instance),
    retry: &Retry,
    fx: &mut Effects,
) {
    proposer::begin(cluster, proposer, number, from, fx);
    if let Some(after) = &retry.after {
        fx.set_timer(Timer::Retry, after.clone());
    }
}

/// Has the next ballot begun as soon as this step is over. Without a timer whatever waits for it has to wait for
/// something else to begin it.
pub(crate) fn soon(retry: &Retry, fx: &mut Effects) {
    if retry.after.is_some() {
        fx.set_timer(Timer::Retry, Duration::ZERO..Duration::ZERO);
    }
}

/// Notes how far others are, and gives up a ballot that was refused.
pub(crate) fn on_nack(
    cluster: &Cluster,
    mut proposer: Part<'_, '_, ProposerState>,
    (number, from): (u16, Instance),
    retry: &Retry,
    (ballot, promised): (Ballot, Ballot),
    fx: &mut Effects,
) {
    let current = match &proposer.phase {
        Phase::Preparing { ballot, .. } | Phase::Accepting { ballot, .. } => *ballot,
        Phase::Idle => return,
    };
    // A nack for a ballot that was given up long ago says nothing new, and one who never retries has no use for it.
    if current != ballot || !retry.is_wanted() {
        return;
    }
    if proposer.heard < promised.round {
        proposer.edit().heard = promised.round;
    }
    if retry.on_nack && proposer.is_busy() {
        begin(cluster, proposer, (number, from), retry, fx);
    }
}

/// Gives up the ballot that is under way and begins a higher one, unless nothing is left to do.
pub(crate) fn on_timeout(
    cluster: &Cluster,
    proposer: Part<'_, '_, ProposerState>,
    (number, from): (u16, Instance),
    retry: &Retry,
    fx: &mut Effects,
) {
    if proposer.is_busy() {
        begin(cluster, proposer, (number, from), retry, fx);
    }
}
