//! The premises of claims: what has to occur for one to be put to the test.

use crate::history::{Happened, History};
use synod::{Ballot, Cluster, Instance, Quorums};

/// True if a proposal was chosen, and another one, of a higher ballot in the same instance, is among these.
fn above<'a>(
    quorums: &Quorums,
    history: &History,
    others: &(impl Iterator<Item = &'a (Instance, Ballot)> + Clone),
) -> bool {
    let mut chosen = history.chosen(quorums);
    chosen.any(|(instance, m, _)| others.clone().any(|(i, n)| *i == instance && *n > m))
}

/// The premise of P2.
pub(super) fn chosen_above(quorums: &Quorums, history: &History) -> bool {
    let chosen: Vec<_> = history.chosen(quorums).map(|(instance, ballot, _)| (instance, ballot)).collect();
    above(quorums, history, &chosen.iter())
}

/// The premise of P2a.
pub(super) fn accepted_above(quorums: &Quorums, history: &History) -> bool {
    let votes: Vec<_> = history.votes.keys().map(|(instance, ballot, _)| (*instance, *ballot)).collect();
    above(quorums, history, &votes.iter())
}

/// The premise of P2b.
pub(super) fn issued_above(quorums: &Quorums, history: &History) -> bool {
    above(quorums, history, &history.issued.keys())
}

/// The premise of V2.
pub(super) fn issued_beside(quorums: &Quorums, history: &History) -> bool {
    let mut chosen = history.chosen(quorums);
    chosen.any(|(instance, m, _)| history.issued.keys().any(|(i, n)| *i == instance && *n != m))
}

/// The premise of V3.
pub(super) fn issued_after_votes(_: &Quorums, history: &History) -> bool {
    history.issued.iter().any(|((instance, n), values)| {
        let mut members = values.values().flat_map(|quorum| quorum.iter());
        members.any(|member| history.latest_vote_below(member, *instance, *n).is_some())
    })
}

/// The premise of P2c and V1.
pub(super) fn issued(_: &Cluster, happened: &Happened) -> bool {
    matches!(happened, Happened::Issued { .. })
}

/// The premise of W1.
pub(super) fn issued_beyond_window(cluster: &Cluster, happened: &Happened) -> bool {
    let alpha = cluster.log.as_ref().map_or(u64::MAX, |log| log.alpha);
    matches!(happened, Happened::Issued { instance, .. } if instance.0 >= alpha)
}

/// A proposal that is bound by what an earlier ballot accepted. It stands for the premises of P2, P2a, P2b and V3 where redundant votes are
/// forgotten at once (see [`crate::ballots`]), so that no history shows a choice and a higher ballot side by side.
pub(crate) fn bound(_: &Cluster, happened: &Happened) -> bool {
    matches!(happened, Happened::Issued { reported: true, .. })
}
