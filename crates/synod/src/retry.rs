//! Progress only: when a proposer begins a ballot and when it gives one up. Nothing here is needed for safety, since
//! a proposer may abandon a proposal at any moment (PMS §2.2, end; §2.4).

use crate::ballot::{Ballot, Instance};
use crate::cluster::Cluster;
use crate::effects::{Effects, Part};
use crate::election::doubled;
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
    /// How often at most that range is doubled: once for each ballot in a row that came to nothing. So it gets longer than
    /// the way there and back takes, however long that is, and those who duel draw ever further apart.
    pub doublings: u32,
}

impl Retry {
    /// Whether a proposer has a use for knowing that its proposal was chosen.
    pub(crate) fn is_wanted(&self) -> bool {
        self.on_nack || self.after.is_some()
    }

    /// Sets the timer that will give a ballot up, or have what was sent repeated.
    pub(crate) fn watch(&self, proposer: &ProposerState, fx: &mut Effects) {
        if let Some(after) = &self.after {
            fx.set_timer(Timer::Retry, doubled(after, proposer.failed));
        }
    }

    /// Has the next ballot begun as soon as this step is over. Without a timer whatever waits for it has to wait for
    /// something else to begin it.
    pub(crate) fn soon(&self, fx: &mut Effects) {
        if self.after.is_some() {
            fx.set_timer(Timer::Retry, Duration::ZERO..Duration::ZERO);
        }
    }

    /// Stops that timer.
    pub(crate) fn rest(&self, fx: &mut Effects) {
        if self.after.is_some() {
            fx.cancel_timer(Timer::Retry);
        }
    }

    /// A ballot came to nothing: the next one is given more time.
    pub(crate) fn failed(&self, mut proposer: Part<'_, '_, ProposerState>) {
        if proposer.failed < self.doublings {
            proposer.edit().failed += 1;
        }
    }
}

/// Something came about, or need not any more.
pub(crate) fn succeeded(mut proposer: Part<'_, '_, ProposerState>) {
    if proposer.failed > 0 {
        proposer.edit().failed = 0;
    }
}

/// Whether a proposer begins ballots at present: where a leader is elected, only who leads does.
pub(crate) fn may_begin(cluster: &Cluster, proposer: &ProposerState) -> bool {
    cluster.election.is_none() || proposer.election.ready
}

/// Begins a ballot, and sets the timer that will give it up.
pub(crate) fn begin(
    cluster: &Cluster,
    mut proposer: Part<'_, '_, ProposerState>,
    (number, from): (u16, Instance),
    retry: &Retry,
    fx: &mut Effects,
) {
    if may_begin(cluster, &proposer) {
        proposer::begin(cluster, proposer.again(), number, from, fx);
        retry.watch(&proposer, fx);
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
        retry.failed(proposer.again());
        begin(cluster, proposer, (number, from), retry, fx);
    }
}

/// Gives up the ballot that is under way and begins a higher one, unless nothing is left to do.
pub(crate) fn on_timeout(
    cluster: &Cluster,
    mut proposer: Part<'_, '_, ProposerState>,
    (number, from): (u16, Instance),
    retry: &Retry,
    fx: &mut Effects,
) {
    if proposer.is_busy() {
        retry.failed(proposer.again());
        begin(cluster, proposer, (number, from), retry, fx);
    }
}
