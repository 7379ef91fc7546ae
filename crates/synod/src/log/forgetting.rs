//! Guarantees that only what a snapshot on stable storage stands for is forgotten, and that no step forgets so much that it takes long.

use crate::log::state::ServerState;

/// The most instances that are forgotten in the step that saves a snapshot.
pub(crate) const WITH_SNAPSHOT: u64 = 1024;

/// The most that are forgotten with each instance that is executed, if the snapshot left some: more than are added.
pub(crate) const AT_EXECUTION: u64 = 4;

/// Forgets at most so many instances of what the snapshot stands for, from the lowest on. The log's start moves with them, so it names what was
/// forgotten, and later steps go on from there. None of them has to be saved for that: a crash brings back what is in the snapshot too.
pub(crate) fn forget(server: &mut ServerState, most: u64) {
    let Some(end) = server.log().snapshots.as_ref().and_then(|snapshots| snapshots.forget) else { return };
    let ServerState { acceptor, learner, .. } = server;
    let kept = [acceptor.accepted.keys().next(), learner.learned.keys().next(), learner.votes.keys().next()];
    let first = kept.into_iter().flatten().min().copied().unwrap_or(end);
    let log_start = end.min(first.max(acceptor.log_start).plus(most));
    if acceptor.log_start < log_start {
        acceptor.log_start = log_start;
        acceptor.accepted.drop_below(log_start);
        learner.learned.drop_below(log_start);
        learner.votes.drop_below(log_start);
    }
    if log_start == end {
        server.log_mut().snapshots.get_or_insert_default().forget = None;
    }
}
