//! Decides when a proposer begins a ballot, and when it gives one up. Nothing here is needed for safety, since a proposer may
//! abandon a proposal at any moment (PMS §2.2, end; §2.4).
//!
//! One rule for timers keeps a proposer from waiting for ever, whatever was lost: *the timer is set exactly as long
//! as the process has something to bring about*. [`owes`] says if it has, and [`keep_timer`] holds every step to the rule. No
//! other code stops the timer.

use crate::ballot::{Ballot, Instance};
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::log::state::ServerState;
use crate::message::Timer;
use crate::progress::election::doubled;
use crate::roles::proposer::{self, Phase, ProposerState};
use crate::roles::read;
use stateright::actor::Id;
use std::ops::Range;
use std::time::Duration;

/// The conditions under which a proposer whose ballot did not end tries again. Both may be set. With neither it tries once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// It tries again as soon as a nack refuses its ballot.
    pub on_nack: bool,
    /// It tries again when a ballot was under way for a duration drawn from this range.
    pub after: Option<Range<Duration>>,
    /// The most doublings of that range: one for each ballot in a row that came to nothing. So it grows beyond the time that
    /// messages take, however long that is, and proposers that duel draw ever further apart.
    pub doublings: u32,
}

/// The settings of a process that begins ballots: all that its steps need besides its state.
#[derive(Clone, Copy)]
pub(crate) struct Context<'m> {
    pub(crate) cluster: &'m Cluster,
    pub(crate) me: Id,
    /// The number that its ballots carry.
    pub(crate) number: u16,
    pub(crate) retry: &'m Retry,
}

impl Retry {
    /// True if a proposer has a use for knowing that its proposal was chosen.
    pub(crate) fn is_wanted(&self) -> bool {
        self.on_nack || self.after.is_some()
    }

    /// Sets the timer after which a ballot is given up, or messages are sent again.
    pub(crate) fn watch(&self, proposer: &ProposerState, fx: &mut Effects) {
        if let Some(after) = &self.after {
            fx.set_timer(Timer::Retry, doubled(after, proposer.failed));
        }
    }

    /// Has the next ballot begin as soon as this step is over. Without a timer something else has to begin it.
    pub(crate) fn soon(&self, fx: &mut Effects) {
        if self.after.is_some() {
            fx.set_timer(Timer::Retry, Duration::ZERO..Duration::ZERO);
        }
    }

    /// The most bytes of values that one step proposes. Without a timer nothing would propose the rest.
    pub(crate) fn most(&self, cluster: &Cluster) -> usize {
        if self.after.is_some() { cluster.report } else { usize::MAX }
    }

    /// True if another ballot follows at once on one that was refused. Proposers that duel would go on so for ever. So where
    /// there is a timer, a proposer that is refused twice in a row waits for it, each time for longer (PMS §2.4).
    pub(crate) fn is_eager(&self, proposer: &ProposerState) -> bool {
        self.on_nack && (self.after.is_none() || proposer.failed == 0)
    }

    /// True if a proposer without a ballot waits for its timer to begin the next. It does if somebody waited already.
    pub(crate) fn is_put_off(&self, was_busy: bool) -> bool {
        was_busy && self.after.is_some()
    }

    /// Notes that a ballot came to nothing: the next one gets more time.
    pub(crate) fn failed(&self, mut proposer: Share<'_, ProposerState>) {
        if proposer.failed < self.doublings {
            proposer.edit().failed += 1;
        }
    }
}

/// Notes that something was brought about, or need not be any more.
pub(crate) fn succeeded(mut proposer: Share<'_, ProposerState>) {
    if proposer.failed > 0 {
        proposer.edit().failed = 0;
    }
}

/// True if a proposer may begin ballots at present. Where a leader is elected, only the leader may.
pub(crate) fn may_begin(cluster: &Cluster, proposer: &ProposerState) -> bool {
    cluster.election.is_none() || proposer.election.ready
}

/// True if a process has something to bring about. A process that holds off for another's sake waits for another timer.
pub(crate) fn owes(context: Context<'_>, proposer: &ProposerState, server: Option<&ServerState>) -> bool {
    let Context { cluster, me, .. } = context;
    if !may_begin(cluster, proposer) || server.is_some_and(|server| server.is_without_vote(me)) {
        return false;
    }
    match (&cluster.log, server) {
        (Some(log), Some(server)) => {
            let holds_off = log.hold_off.is_some() && proposer.phase == Phase::Idle;
            !holds_off && server.has_work(cluster)
        }
        _ => proposer.is_busy(),
    }
}

/// Ends a step: sets the timer if the process has something to bring about, and stops it otherwise. `ran` says if the timer ran
/// when the step began.
pub(crate) fn keep_timer(
    context: Context<'_>,
    ran: bool,
    proposer: &ProposerState,
    server: Option<&ServerState>,
    fx: &mut Effects,
) {
    let retry = context.retry;
    if retry.after.is_none() {
        return;
    }
    match (ran || fx.sets(Timer::Retry), owes(context, proposer, server)) {
        (false, true) => retry.watch(proposer, fx),
        (true, false) => fx.cancel_timer(Timer::Retry),
        _ => {}
    }
}

/// Begins a ballot, and sets the timer after which it is given up.
pub(crate) fn begin_ballot(
    context: Context<'_>,
    mut proposer: Share<'_, ProposerState>,
    from: Instance,
    fx: &mut Effects,
) {
    if may_begin(context.cluster, &proposer) {
        proposer::begin_ballot(context.cluster, proposer.again(), context.number, from, fx);
        context.retry.watch(&proposer, fx);
    }
}

/// An acceptor refused a ballot: notes how far others are. Returns true if that ballot is under way, so that it has to be given
/// up.
pub(crate) fn on_nack(
    context: Context<'_>,
    mut proposer: Share<'_, ProposerState>,
    (refused, promised): (Ballot, Ballot),
) -> bool {
    let is_under_way = match &proposer.phase {
        Phase::Preparing { ballot, .. } | Phase::Accepting { ballot, .. } => *ballot == refused,
        Phase::Idle => false,
    };
    // A nack for a ballot that was given up long ago says nothing new, and a proposer that never retries has no use for one.
    if !is_under_way || !context.retry.is_wanted() {
        return false;
    }
    if proposer.heard < promised.round {
        proposer.edit().heard = promised.round;
    }
    true
}

/// Gives up a ballot that was refused, where each instance stands for itself.
pub(crate) fn give_way(context: Context<'_>, mut proposer: Share<'_, ProposerState>, fx: &mut Effects) {
    let retry = context.retry;
    if !proposer.is_busy() {
        // The next request begins a ballot, and need not wait for one that was refused.
        if matches!(proposer.phase, Phase::Preparing { .. }) {
            proposer.edit().phase = Phase::Idle;
        }
    } else if retry.is_eager(&proposer) {
        retry.failed(proposer.again());
        let from = proposer.lowest();
        begin_ballot(context, proposer, from, fx);
    } else if retry.on_nack {
        retry.failed(proposer.again());
        proposer.edit().phase = Phase::Idle;
        retry.watch(&proposer, fx);
    }
}

/// The timer has run out: proposes what an earlier step had no room for, or sends again what may be lost. If that would be in
/// vain, gives the ballot up and begins a higher one.
pub(crate) fn on_timeout(context: Context<'_>, mut proposer: Share<'_, ProposerState>, fx: &mut Effects) {
    let Context { cluster, retry, .. } = context;
    if !proposer.is_busy() {
        return;
    }
    // Without nacks no proposer would hear that its ballot was overtaken.
    if !cluster.nacks || !proposer.covers_all() || read::needs_another_ballot(&proposer) {
        retry.failed(proposer.again());
        let from = proposer.lowest();
        begin_ballot(context, proposer, from, fx);
    } else if proposer::issue_due(cluster, proposer.again(), retry.most(cluster), fx) {
        retry.soon(fx);
    } else if !fx.sends() {
        proposer::repeat(cluster, &proposer, (proposer.awaited(), retry.most(cluster)), fx);
    }
}
