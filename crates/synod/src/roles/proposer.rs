//! Guarantees that a proposal is issued only with the value that P2c demands, at most one per instance and ballot, and that no
//! ballot is begun twice.
//!
//! This module is phases 1(a) and 2(a) of PMS §2.2. It makes ballots safe. `progress` decides when to begin one.

use crate::ballot::{Ballot, Instance, Proposal, Value};
use crate::cluster::{Cluster, Learning};
use crate::effects::{Effects, Share};
use crate::election::ElectionState;
use crate::message::Msg;
use crate::per_instance::{PerInstance, cost};
use crate::quorum::AcceptorSet;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::{BTreeMap, VecDeque};

/// The clients that wait for an answer to a read. Each stands there once per instance, with the highest round begun when its read
/// arrived.
pub type Readers = PerInstance<BTreeMap<Id, u64>>;

/// A proposer's state. Only `tried` is stable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProposerState {
    /// The highest round this proposer ever began (PMS §2.5).
    pub tried: u64,
    /// The highest round that a nack told of: a hint, which may be lost.
    pub heard: u64,
    /// The values that clients asked for and that are not known to be chosen or passed over.
    pub wanted: PerInstance<Value>,
    /// Commands that may be chosen in any instance and have none yet, the oldest first. Only a server of a log has any.
    pub queue: VecDeque<Value>,
    /// The clients that read and have no answer yet.
    pub reads: Readers,
    /// The phase of its current ballot.
    pub phase: Phase,
    /// The number of its last ballots in a row that came to nothing. It is counted only if delays grow with it.
    pub failed: u32,
    /// Its beliefs about the leader, if one is elected.
    pub election: ElectionState,
}

/// The phase of a ballot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// No ballot is under way.
    #[default]
    Idle,
    /// Phase 1: collecting promises.
    Preparing {
        /// The ballot.
        ballot: Ballot,
        /// The first instance that was asked about. The ballot is good from there on.
        from: Instance,
        /// The acceptors that have promised and have reported everything.
        promised: AcceptorSet,
        /// The acceptors that have promised and sent the beginning of their report, each with the instance from which the rest
        /// was asked for.
        partly: BTreeMap<usize, Instance>,
        /// The highest-numbered proposal that a promise reported, for each instance.
        reports: PerInstance<Proposal>,
        /// The instances about which some acceptor that promised was not asked.
        gaps: Gaps,
    },
    /// Phase 2: proposals are issued.
    Accepting {
        /// The ballot.
        ballot: Ballot,
        /// The first instance that the promises are about.
        from: Instance,
        /// The phase-1 quorum whose promises ended phase 1.
        quorum: AcceptorSet,
        /// The proposals that the quorum reported.
        reports: PerInstance<Proposal>,
        /// The instances about which the quorum was not asked. The ballot is good for nothing there.
        gaps: Gaps,
        /// The values that were issued.
        issued: PerInstance<Value>,
        /// The acceptors that are known to have accepted. Only a proposer that has a use for them keeps them.
        accepted: PerInstance<AcceptorSet>,
    },
}

/// Instances beyond `from` about which a ballot asked not all acceptors: the first of each run, and the one after its last, if
/// the run has an end. Runs do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gaps(BTreeMap<Instance, Option<Instance>>);

impl Gaps {
    /// True if an instance lies in a gap.
    pub fn contain(&self, instance: Instance) -> bool {
        self.0.range(..=instance).next_back().is_some_and(|(_, end)| end.is_none_or(|end| instance < end))
    }

    /// Adds the instances from `start` on, up to but without `end`.
    fn add(&mut self, mut start: Instance, mut end: Option<Instance>) {
        let reaches = |end: &Option<Instance>, at: Instance| end.is_none_or(|end| at <= end);
        while let Some((from, to)) =
            self.0.range(..).rev().find(|(from, to)| reaches(&end, **from) && reaches(to, start))
        {
            let (from, to) = (*from, *to);
            self.0.remove(&from);
            start = start.min(from);
            end = end.zip(to).map(|(end, to)| end.max(to));
        }
        if end.is_none_or(|end| start < end) {
            self.0.insert(start, end);
        }
    }
}

/// The choice that a phase-1 quorum's promises leave a proposer in one instance: the two cases of P2c.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obligation<'a> {
    /// P2c (a): nobody in the quorum accepted anything below this ballot. Any value will do.
    Free,
    /// P2c (b): this is the highest-numbered proposal accepted below this ballot in the quorum. The value must be its value.
    Bound(&'a Proposal),
}

/// An acceptor's promise.
pub(crate) struct Promise {
    /// Its index in the cluster.
    pub(crate) acceptor: usize,
    /// The ballot that it promises.
    pub(crate) ballot: Ballot,
    /// Its report: for each instance, the highest-numbered proposal that it accepted.
    pub(crate) accepted: PerInstance<Proposal>,
    /// The instance at which the report breaks off, if it does.
    pub(crate) rest: Option<Instance>,
}

impl ProposerState {
    /// True if any client waits for something that a ballot could bring about.
    pub(crate) fn is_busy(&self) -> bool {
        !self.wanted.is_empty() || !self.reads.is_empty() || !self.queue.is_empty()
    }

    /// The first instance from `from` on that somebody waits for. In a log that is `from`, since no instance may be left out.
    fn needed(&self, cluster: &Cluster, from: Instance) -> Option<Instance> {
        if cluster.log.is_some() {
            return Some(from);
        }
        let wanted = self.wanted.range(from..).next().map(|(instance, _)| *instance);
        let read = self.reads.range(from..).next().map(|(instance, _)| *instance);
        wanted.into_iter().chain(read).min()
    }

    /// True if a ballot is in phase 2 and its promises are about this instance.
    pub(crate) fn covers(&self, instance: Instance) -> bool {
        match &self.phase {
            Phase::Accepting { from, gaps, .. } => *from <= instance && !gaps.contain(instance),
            _ => false,
        }
    }

    /// True if the ballot is good for all instances that somebody waits for.
    pub(crate) fn covers_all(&self) -> bool {
        self.awaited().all(|instance| self.covers(instance))
    }

    /// The instances that somebody waits for.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = Instance> + '_ {
        let read = self.reads.keys().filter(|instance| !self.wanted.contains_key(*instance));
        self.wanted.keys().chain(read).copied()
    }

    /// The lowest instance that somebody waits for. Where each instance stands for itself, a ballot need not ask about those
    /// below.
    pub(crate) fn lowest(&self) -> Instance {
        let first = |instance: Option<&Instance>| instance.copied();
        let (wanted, read) = (first(self.wanted.keys().next()), first(self.reads.keys().next()));
        wanted.into_iter().chain(read).min().unwrap_or(Instance::FIRST)
    }
}

impl<'a> Obligation<'a> {
    fn of(reports: &'a PerInstance<Proposal>, instance: Instance) -> Self {
        reports.get(&instance).map_or(Obligation::Free, Obligation::Bound)
    }
}

/// Phase 1(a): begins a new ballot, above every one that this proposer tried or heard of, and asks for promises.
///
/// One message asks about all instances from `from` on (PMS §3). The ballot that was under way is abandoned, which is allowed at
/// any moment (PMS §2.2, end).
pub(crate) fn begin_ballot(
    cluster: &Cluster,
    mut proposer: Share<'_, ProposerState>,
    number: u16,
    from: Instance,
    fx: &mut Effects,
) {
    // Enforces V1: a ballot is drawn from the proposer's own set, above every one that it ever drew, and is saved first.
    let Some(ballot) = Ballot::above(proposer.tried.max(proposer.heard), number) else {
        return; // Rounds are used up: this proposer falls silent, which is safe.
    };
    let proposer = proposer.edit();
    proposer.tried = ballot.round;
    proposer.phase = Phase::Preparing {
        ballot,
        from,
        promised: AcceptorSet::EMPTY,
        partly: BTreeMap::new(),
        reports: PerInstance::new(),
        gaps: Gaps::default(),
    };
    fx.save();
    fx.broadcast(&cluster.acceptors, &Msg::Prepare { ballot, from });
}

/// Collects a promise. The last promise of a quorum ends phase 1. Returns true if it has just ended.
///
/// A report that broke off is asked for again, from the next instance that somebody waits for. To read everything in between
/// could take for ever and is of no use. Each next piece is asked for only after the one before has come, so the last piece shows
/// that all have come.
pub(crate) fn on_promise(
    cluster: &Cluster,
    mut proposer: Share<'_, ProposerState>,
    promise: Promise,
    fx: &mut Effects,
) -> bool {
    let Promise { acceptor, ballot, accepted, rest } = promise;
    // Enforces P2c: only promises of this very ballot count, and only while it is in phase 1. A late one could change the value
    // of a proposal that is already issued.
    match &proposer.phase {
        Phase::Preparing { ballot: current, promised, partly, .. }
            if *current == ballot
                && !promised.contains(acceptor)
                && rest.is_none_or(|rest| partly.get(&acceptor).is_none_or(|asked| *asked < rest)) => {}
        _ => return false,
    }
    let proposer = proposer.edit();
    let next = rest.map(|rest| (rest, proposer.needed(cluster, rest)));
    let Phase::Preparing { from, promised, partly, reports, gaps, .. } = &mut proposer.phase else {
        return false;
    };
    for (instance, proposal) in accepted {
        // Enforces P2c (b): the highest-numbered of all reported proposals counts, whenever it arrives.
        match reports.get(&instance) {
            Some(highest) if highest.ballot >= proposal.ballot => {}
            _ => drop(reports.insert(instance, proposal)),
        }
    }
    if let Some((rest, next)) = next {
        // Enforces P2c: nothing is reported about instances that were not asked about.
        gaps.add(rest, next);
        // Enforces P2c: an acceptor that has sent only the beginning of its report may yet report a proposal that binds.
        if let Some(next) = next {
            partly.insert(acceptor, next);
            if let Some((_, id)) = cluster.indexed().find(|(index, _)| *index == acceptor) {
                fx.send(id, Msg::Prepare { ballot, from: next });
            }
            return false;
        }
    }
    partly.remove(&acceptor);
    promised.insert(acceptor);
    // Enforces P2c, V2: the promises must come from a phase-1 quorum.
    if !cluster.quorums.is_phase1(*promised) {
        return false;
    }
    let (from, quorum, reports, gaps) = (*from, *promised, std::mem::take(reports), std::mem::take(gaps));
    let (issued, accepted) = (PerInstance::new(), PerInstance::new());
    proposer.phase = Phase::Accepting { ballot, from, quorum, reports, gaps, issued, accepted };
    true
}

/// Issues what is due in the instances that somebody waits for, where each instance stands for itself: up to `most` bytes of
/// values, and at least one value. Other reported proposals stay as they are (PMS §2.2, end: a proposal may be abandoned at any
/// moment). Returns true if there is more to issue.
pub(crate) fn issue_due(
    cluster: &Cluster,
    mut proposer: Share<'_, ProposerState>,
    most: usize,
    fx: &mut Effects,
) -> bool {
    let Phase::Accepting { reports, issued, .. } = &proposer.phase else { return false };
    let (mut due, mut bytes, mut is_more) = (Vec::new(), 0_usize, false);
    for instance in proposer.awaited().filter(|instance| !issued.contains_key(instance)) {
        let bound = reports.get(&instance).map(|bound| &bound.value);
        let Some(value) = bound.or_else(|| proposer.wanted.get(&instance)) else { continue };
        if !proposer.covers(instance) {
            continue;
        }
        bytes = bytes.saturating_add(cost(value));
        is_more = bytes > most && !due.is_empty();
        if is_more {
            break;
        }
        due.push(instance);
    }
    if !due.is_empty() {
        let proposer = proposer.edit();
        for instance in due {
            issue(cluster, proposer, instance, fx);
        }
    }
    is_more
}

/// Sends issued proposals of some instances again, since messages may be lost (PMS §3): to the acceptors that are not known to
/// have accepted, up to `most` bytes of values, and at least one value. A repeated proposal is no new one.
pub(crate) fn repeat(
    cluster: &Cluster,
    proposer: &ProposerState,
    (instances, most): (impl Iterator<Item = Instance>, usize),
    fx: &mut Effects,
) {
    let Phase::Accepting { ballot, issued, accepted, .. } = &proposer.phase else { return };
    let mut bytes = 0_usize;
    for instance in instances {
        let Some(value) = issued.get(&instance) else { continue };
        bytes = bytes.saturating_add(cost(value));
        if bytes > most && fx.sends() {
            return;
        }
        let by = accepted.get(&instance).copied().unwrap_or_default();
        let missing = cluster.indexed().filter(|(index, _)| !by.contains(*index));
        let missing: Vec<Id> = missing.map(|(_, id)| id).collect();
        fx.broadcast(&missing, &Msg::Accept { ballot: *ballot, instance, value: value.clone() });
    }
}

/// Phase 2(a): issues the current ballot's proposal for one instance, if it is due and not yet issued.
pub(crate) fn issue(cluster: &Cluster, proposer: &mut ProposerState, instance: Instance, fx: &mut Effects) {
    // Enforces P2c: the promises say nothing about other instances.
    if !proposer.covers(instance) {
        return;
    }
    let Phase::Accepting { ballot, reports, issued, .. } = &mut proposer.phase else { return };
    // Enforces V1: one ballot never carries two values in one instance.
    if issued.contains_key(&instance) {
        return;
    }
    // Enforces P2c, V3, P2b, P2a, P2: this code does the first two, and the others follow from it (PMS §2.2).
    let value = match Obligation::of(reports, instance) {
        Obligation::Free => proposer.wanted.get(&instance),
        Obligation::Bound(proposal) => Some(&proposal.value),
    };
    let Some(value) = value.cloned() else { return };
    issued.insert(instance, value.clone());
    fx.broadcast(&cluster.acceptors, &Msg::Accept { ballot: *ballot, instance, value });
}

/// Notes a value that a client asks for, and issues it at once if phase 1 is done.
///
/// The first value asked for stays. A later change could only confuse, and retries must repeat the value.
pub(crate) fn on_request(
    cluster: &Cluster,
    mut proposer: Share<'_, ProposerState>,
    (instance, value): (Instance, Value),
    fx: &mut Effects,
) {
    let issued = matches!(&proposer.phase, Phase::Accepting { issued, .. } if issued.contains_key(&instance));
    if issued || proposer.wanted.contains_key(&instance) {
        return;
    }
    let proposer = proposer.edit();
    proposer.wanted.insert(instance, value);
    issue(cluster, proposer, instance, fx);
}

/// Counts an acceptance of the proposer's own ballot. At a quorum the value is chosen, and this proposer knows it.
///
/// Returns the value if the proposer has just found out. `knows` is a learner that need not be informed, since it finds out
/// otherwise.
pub(crate) fn on_accepted(
    cluster: &Cluster,
    mut proposer: Share<'_, ProposerState>,
    acceptor: usize,
    (ballot, instance): (Ballot, Instance),
    knows: Option<Id>,
    fx: &mut Effects,
) -> Option<Value> {
    // Enforces B0: acceptances of other ballots prove nothing about this one, and neither does a second one from the same
    // acceptor.
    match &proposer.phase {
        Phase::Accepting { ballot: current, issued, accepted, .. }
            if *current == ballot
                && issued.contains_key(&instance)
                && !accepted.get(&instance).is_some_and(|by| by.contains(acceptor)) => {}
        _ => return None,
    }
    let proposer = proposer.edit();
    let Phase::Accepting { issued, accepted, .. } = &mut proposer.phase else { return None };
    let by = accepted.entry(instance).or_default();
    let before = cluster.quorums.is_phase2(*by);
    by.insert(acceptor);
    // Enforces B0: only what a phase-2 quorum accepted is announced.
    if before || !cluster.quorums.is_phase2(*by) {
        return None;
    }
    let value = issued[&instance].clone();
    proposer.wanted.remove(&instance);
    if cluster.learning == Learning::Proposer {
        let mut ignorant = cluster.to_inform();
        ignorant.retain(|id| Some(*id) != knows);
        fx.broadcast(&ignorant, &Msg::Chosen { instance, value: value.clone() });
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For all sequences of three runs of instances below 7, some without an end: exactly the added instances are gaps, and equal
    /// gaps compare as equal, in whatever pieces they came.
    #[test]
    fn gaps_are_what_was_added_in_whatever_pieces_and_order() {
        let ends =
            |start| (start..7).map(Some).chain([None]).map(move |end| (Instance(start), end.map(Instance)));
        let runs: Vec<(Instance, Option<Instance>)> = (0..7).flat_map(ends).collect();
        let lies_in =
            |at, (start, end): (Instance, Option<Instance>)| start <= at && end.is_none_or(|end| at < end);
        let mut seen: BTreeMap<Vec<bool>, Gaps> = BTreeMap::new();
        for first in &runs {
            for second in &runs {
                for third in &runs {
                    let mut gaps = Gaps::default();
                    for (start, end) in [first, second, third] {
                        gaps.add(*start, *end);
                    }
                    let added = |at| [first, second, third].iter().any(|run| lies_in(at, **run));
                    let is_gap: Vec<bool> = (0..9).map(|at| added(Instance(at))).collect();
                    let found: Vec<bool> = (0..9).map(|at| gaps.contain(Instance(at))).collect();
                    assert_eq!(found, is_gap, "{first:?}, {second:?}, {third:?}: {gaps:?}");
                    assert_eq!(*seen.entry(is_gap).or_insert_with(|| gaps.clone()), gaps);
                }
            }
        }
    }
}
