//! Guarantees that a read is answered "unset" only if no value was chosen when it reached this server (R1).
//!
//! A read asks what was chosen and proposes nothing. A server that knows no value must not take its ignorance for an answer. It
//! runs phase 1 of a ballot that it begins *after* the read arrived. If nobody in the quorum had accepted anything, no value was
//! chosen when the ballot began. For suppose one was, in a ballot m. Then the quorum that chose it shares an acceptor with the
//! quorum that promised. That acceptor had accepted in m before it made its promise. So it either reports an acceptance, or m is
//! above this ballot and it refuses to promise. Hence the read may be taken to have happened at the moment at which the ballot
//! began, which lies between its question and its answer. A value chosen from then on, even before the last promise is in, is
//! chosen later.
//!
//! A ballot that began *before* the read arrived proves nothing about it: its promises may be older than a choice that the reader
//! has heard of. So every read is kept with the highest round begun when it came, and waits for a higher one.

use crate::ballot::Instance;
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::message::Msg;
use crate::roles::proposer::{Phase, ProposerState};
use stateright::actor::Id;
use std::collections::BTreeMap;

/// Notes a read. Returns true if a ballot has to begin for it now. A read that waits already stays as it is.
///
/// While a ballot is in phase 1 the next one has to wait for its end. Otherwise a stream of reads would let none ever end.
pub(crate) fn on_read(
    cluster: &Cluster,
    mut proposer: Share<'_, ProposerState>,
    client: Id,
    instance: Instance,
) -> bool {
    let here = proposer.reads.get(&instance);
    let waits = || proposer.reads.values().any(|readers| readers.contains_key(&client));
    if here.is_some_and(|readers| readers.contains_key(&client))
        || !cluster.has_room(proposer.reads.len(), here.map(BTreeMap::len), waits)
    {
        return false;
    }
    let proposer = proposer.edit();
    proposer.reads.entry(instance).or_default().insert(client, proposer.tried);
    !matches!(proposer.phase, Phase::Preparing { .. })
}

/// After phase 1 has ended and due proposals were issued: answers the reads of instances that were left free.
///
/// Readers of an instance in which something was issued wait to learn what is chosen, whether it was an earlier ballot's proposal
/// or a client's.
pub(crate) fn on_phase1(mut proposer: Share<'_, ProposerState>, fx: &mut Effects) {
    let Phase::Accepting { ballot, reports, issued, .. } = &proposer.phase else { return };
    let mut unset = Vec::new();
    for (instance, readers) in &proposer.reads {
        // Enforces R1: the quorum was asked about this instance.
        if !proposer.covers(*instance) {
            continue;
        }
        // Enforces R1: nothing was reported by the quorum.
        if reports.contains_key(instance) || issued.contains_key(instance) {
            continue;
        }
        // Enforces R1: the ballot was begun after the read arrived.
        let answered = readers.iter().filter(|(_, begun)| **begun < ballot.round);
        unset.extend(answered.map(|(client, _)| (*instance, *client)));
    }
    if unset.is_empty() {
        return;
    }
    let reads = &mut proposer.edit().reads;
    for (instance, client) in unset {
        if let Some(readers) = reads.get_mut(&instance) {
            readers.remove(&client);
        }
        fx.send(client, Msg::Unset { instance });
    }
    reads.retain(|_, readers| !readers.is_empty());
}

/// True if some read came after the current ballot began, so that only the next one can answer it.
pub(crate) fn needs_another_ballot(proposer: &ProposerState) -> bool {
    let asks = |round| proposer.reads.values().any(|readers| readers.values().any(|begun| *begun >= round));
    matches!(&proposer.phase, Phase::Accepting { ballot, .. } if asks(ballot.round))
}
