//! Guarantees that no two servers believe themselves master at one moment (E1), if no clock gains or loses more than the margin between
//! [`Lease::hold`] and [`Lease::lease`] allows.
//!
//! A server believes itself master from when it executes a take of its own until a timer rings that it set *before it proposed* that take
//! ([`Timer::Hold`]). Every other server that executes the take leaves mastership alone until a timer rings that it set *then*
//! ([`Timer::Respect`]), for longer. A take has an effect only if its proposer had executed the one before (`mastery.rs`). So let P be master by
//! take a. The next take b of another server Q was proposed when Q's wait for a, or for a renewal of P that came after a, was over. Q began to wait
//! when it executed that take, so after P had proposed a. By then P's time for a is over, and every later take was proposed later still.
//!
//! Three things belong to that argument:
//!
//! - *The same run.* A crash stops the timers, so that a take of an earlier run counts as another server's. The round of the ballot in
//!   which a take was proposed is part of it. A server proposes takes only in a ballot of its present run, and no two runs have a round in common.
//! - *The same proposal.* A server has at most one take that may have an effect and is not decided, and it names a later one than the take before did. So no two of
//!   its takes are equal, and the end of an undecided take's time is never put off: one that is decided too late makes nobody master.
//! - *Two timers.* While a renewal is not decided, the time of the take before still runs. So takes use two timers by turns. That both are measured by
//!   one clock plays no part: the argument compares a timer of P with one of Q, and never two of one process. A model that lets
//!   them drift apart (`synod-explore`, `clocks.rs`) is not wrong about E1.
//!
//! *Yielding.* A master that no longer leads, or is asked to give mastership to another server, ceases to believe and says so: it is not master by its last
//! take, and will not be again ([`Msg::Yield`], with the token). Whoever leaves mastership alone for the sake of that take need not any more. It takes mastership as anybody does,
//! with a time that counts from before its own proposal. A renewal of P that is still on its way names the same take as the heir's does, so that only one of them has an
//! effect.
//!
//! So mastership follows the leader, who alone can propose. Nothing of a yield is in the log. A yield that is lost, or comes before the take that it names is executed, has no
//! effect. So a server whose take is the last one, and which is not master, repeats it whenever the leader that it follows is heard. That is true after a restart
//! as well: no take of an earlier run makes it master. Where the server that yields is away, the lease ends by itself.
//!
//! Stable storage holds nothing about mastership but the log.

use crate::ballot::{Instance, Value};
use crate::call::Call;
use crate::cluster::Lease;
use crate::effects::{Effects, Share};
use crate::log::mastery::{Mastership, Take};
use crate::log::state::{LeaseState, LogState, Open, ServerState};
use crate::message::{Msg, Slot, Timer};
use crate::roles::proposer::Phase;
use stateright::actor::Id;

/// A server starts or restarts, perhaps from a snapshot. Whoever is master by it is left alone for a full lease.
pub(crate) fn start(settings: &Lease, log: &mut LogState, fx: &mut Effects) {
    let mut lease = LeaseState::default();
    if let Some(last) = log.replica.mastership() {
        respect(&mut lease, last, fx);
    } else if let Some(after) = &settings.seek {
        fx.set_timer(Timer::Seek, after.clone());
    }
    log.lease = Some(lease);
}

fn respect(lease: &mut LeaseState, last: Mastership, fx: &mut Effects) {
    // Enforces E1: the master's time began before this moment, and is over before this timer rings.
    lease.respects = true;
    fx.cancel_timer(Timer::Seek);
    fx.set_timer(Timer::Respect, last.lease()..last.lease());
}

/// Stops the timer of the mastership that a server has, or of the take that is open.
fn stop(timer: Option<Slot>, fx: &mut Effects) {
    if let Some(slot) = timer {
        fx.cancel_timer(Timer::Hold(slot));
    }
}

/// Proposes a take, if one is due and this server leads. Returns true if it does.
pub(crate) fn take(settings: &Lease, me: Id, mut server: Share<'_, ServerState>, fx: &mut Effects) -> bool {
    let Phase::Accepting { ballot, .. } = &server.proposer.phase else { return false };
    // Enforces E1: nobody takes what it leaves to another, and one take at a time is open.
    if !server.is_to_take() {
        return false;
    }
    let seen = server.log().replica.mastership().map(|last| last.token);
    let by = Call { client: me, number: ballot.round };
    let value = Take { by, seen, lease: settings.lease.as_millis() as u64 }.value();
    let server = server.edit();
    let Some(lease) = &mut server.log_mut().lease else { return false };
    // Enforces E1: the time counts from before the take leaves, by a timer that no other take uses.
    let slot = lease.held.map_or_else(Slot::default, Slot::other);
    fx.set_timer(Timer::Hold(slot), settings.hold..settings.hold);
    lease.open = Some(Open { value: value.clone(), runs: Some(slot) });
    lease.wants = false;
    // Before what clients want: they need a master.
    server.proposer.queue.push_front(value);
    true
}

/// A take was executed and had an effect.
pub(crate) fn executed(settings: Option<&Lease>, log: &mut LogState, command: &Value, fx: &mut Effects) {
    let (Some(settings), Some(lease), Some(last)) = (settings, &mut log.lease, log.replica.mastership())
    else {
        return;
    };
    stop(lease.held.take(), fx);
    // Enforces E1: only a take that this run proposed, and whose time is not over, makes this server master. Any other that is open has come too late.
    match lease.open.take() {
        Some(open) if open.value == *command => {
            lease.held = open.runs;
            lease.wants = !lease.is_master();
            if std::mem::take(&mut lease.respects) {
                fx.cancel_timer(Timer::Respect);
            }
            if let Some(after) = settings.renew.as_ref().filter(|_| lease.is_master()) {
                fx.set_timer(Timer::Seek, after.clone());
            }
        }
        open => {
            stop(open.and_then(|open| open.runs), fx);
            respect(lease, last, fx);
        }
    }
}

/// A server has gone on from another's snapshot.
pub(crate) fn restored(log: &mut LogState, before: Option<Instance>, fx: &mut Effects) {
    let Some(last) = log.replica.mastership() else { return };
    let Some(lease) = &mut log.lease else { return };
    if Some(last.token) != before {
        // A take that was open was decided in what was skipped. It is not worth finding out whether it is the last one.
        stop(lease.held.take(), fx);
        stop(lease.open.take().and_then(|open| open.runs), fx);
        lease.wants = false;
        respect(lease, last, fx);
    }
}

/// True if a server is master by the last take, or may come to be by one that is open.
fn may_be_master(lease: &LeaseState) -> bool {
    lease.is_master() || lease.open.as_ref().is_some_and(|open| open.runs.is_some())
}

/// Yields mastership to the other servers, if this one has it or has proposed to take it.
pub(crate) fn cease(others: &[Id], me: Id, mut server: Share<'_, ServerState>, fx: &mut Effects) {
    let log = server.log();
    let (Some(lease), Some(last)) = (&log.lease, log.replica.mastership()) else { return };
    if last.member() != me || !may_be_master(lease) {
        return;
    }
    let Some(lease) = &mut server.edit().log_mut().lease else { return };
    // Enforces E1: it is not master any more when another can be.
    stop(lease.held.take(), fx);
    stop(lease.open.as_mut().and_then(|open| open.runs.take()), fx);
    respect(lease, last, fx);
    fx.broadcast(others, &Msg::Yield { token: last.token });
}

/// Says once more to the server that leads that this one is not master, if the last take is its own.
pub(crate) fn yield_again(leader: Id, me: Id, server: &ServerState, fx: &mut Effects) {
    let log = server.log();
    let (Some(lease), Some(last)) = (&log.lease, log.replica.mastership()) else { return };
    // Enforces E1: only a server that has ceased says so.
    if last.member() == me && !may_be_master(lease) {
        fx.send(leader, Msg::Yield { token: last.token });
    }
}

/// A server yields mastership: nobody has to wait for the end of its lease.
pub(crate) fn on_yield(src: Id, token: Instance, mut server: Share<'_, ServerState>, fx: &mut Effects) {
    let log = server.log();
    let (Some(lease), Some(last)) = (&log.lease, log.replica.mastership()) else { return };
    // Enforces E1: it has ceased to be master by this take, and may be by a later one.
    if !lease.respects || (last.member(), last.token) != (src, token) {
        return;
    }
    let Some(lease) = &mut server.edit().log_mut().lease else { return };
    (lease.respects, lease.wants) = (false, true);
    fx.cancel_timer(Timer::Respect);
}

/// A timer of this module rings.
pub(crate) fn on_timeout(mut server: Share<'_, ServerState>, timer: Timer) {
    let Some(lease) = &server.log().lease else { return };
    let mut next = lease.clone();
    match timer {
        Timer::Hold(slot) => {
            // Enforces E1: from now on others may be master.
            if next.held == Some(slot) {
                next.held = None;
                next.wants = true;
            }
            if let Some(open) = next.open.as_mut().filter(|open| open.runs == Some(slot)) {
                open.runs = None;
            }
        }
        Timer::Respect => (next.respects, next.wants) = (false, true),
        Timer::Seek => next.wants = true,
        _ => return,
    }
    if *lease != next {
        server.edit().log_mut().lease = Some(next);
    }
}
