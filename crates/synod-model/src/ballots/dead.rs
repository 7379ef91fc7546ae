//! Rules for what can matter no more. Each rule says why. `tests` checks them on every state of small systems, and
//! `proofs-notes/ballots.md` has the argument.
//!
//! All but one are exact: a forgotten message is ignored by its receiver, now and for ever, or changes only what is
//! forgotten itself. The rules rest on three things that only grow: an acceptor's promise, the ballot that a proposer
//! has come to, and the values that a learner knows.

use super::{LiveBallots, Whole, flying, is_done, proposer};
use crate::history::History;
use crate::mutants::{Decorated, DecoratedState};
use crate::observer::Inside;
use stateright::actor::{Actor, Envelope, Id, Out, is_no_op};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use synod::{AcceptorSet, Ballot, Instance, Msg, Phase, ProcessState, Quorums, Value};
use synod_explore::Local;

/// A proposal, and the instance it is for.
type Vote = (Instance, Ballot, Value);

/// The facts that the rules look at.
struct Facts {
    /// The promise of each acceptor; none for one that is down for ever.
    promised: BTreeMap<usize, Option<Ballot>>,
    /// The acceptors that may still accept a proposal: an Accept is on its way, and the promise allows it.
    offered: BTreeMap<Vote, AcceptorSet>,
    /// For each ballot in phase 1, the acceptors whose promise has arrived or is on its way.
    promising: BTreeMap<Ballot, AcceptorSet>,
}

impl LiveBallots {
    /// Forgets what is dead. One pass is enough: no rule looks at what a later one forgets.
    pub(super) fn forget(&self, state: &mut Whole) {
        let locals = state.locals.clone();
        flying(state).retain(|envelope, _| !self.is_dead(&locals, envelope));
        let facts = self.facts(state);
        for (index, local) in locals.iter().enumerate() {
            self.forget_in(index, local, &facts, state);
        }
        self.forget_history(&facts, &mut state.history);
    }

    fn acceptor(&self, id: Id) -> Option<usize> {
        self.cluster.acceptors.iter().position(|acceptor| *acceptor == id)
    }

    /// True if the processes are not broken.
    fn unbroken(&self) -> bool {
        self.actors.iter().all(|actor| actor.rule.leaves_roles())
    }

    /// True if its receiver ignores a message from now on.
    pub(super) fn is_dead(&self, locals: &[Arc<Local<Decorated>>], envelope: &Envelope<Msg>) -> bool {
        let receiver = usize::from(envelope.dst);
        let Some(local) = locals.get(receiver) else { return true };
        // A process that is down has never started and never will.
        let Some(state) = local.state.as_deref() else { return true };
        if self.forgets.abandoned && Self::is_abandoned(locals, envelope) {
            return true;
        }
        let planted = self.forgets.planted && is_planted(state, &envelope.msg);
        if planted {
            return true;
        }
        // A message that a guard of the real code makes dead need not be dead where that guard is broken.
        self.is_ignored_for_ever(locals, local, state, envelope)
            && (self.unbroken() || self.is_ignored_now(receiver, state, envelope))
    }

    /// A prepare of a ballot that has left phase 1.
    ///
    /// Forgetting it is not exact, as it would raise a promise. Let a run deliver it. Let another run lose it, together with
    /// all messages that the acceptor ignores because of the higher promise. The two runs differ only in that promise.
    fn is_abandoned(locals: &[Arc<Local<Decorated>>], envelope: &Envelope<Msg>) -> bool {
        let Msg::Prepare { ballot, .. } = &envelope.msg else { return false };
        let owner = locals.get(usize::from(envelope.src)).and_then(|local| proposer(local));
        !owner.is_some_and(|owner| matches!(&owner.phase, Phase::Preparing { ballot: b, .. } if b == ballot))
    }

    /// True if the sender of a refused message would hear of that, and not ignore it.
    fn is_heard(&self, locals: &[Arc<Local<Decorated>>], envelope: &Envelope<Msg>, ballot: Ballot) -> bool {
        self.cluster.nacks
            && locals.get(usize::from(envelope.src)).is_some_and(|local| waits_in(local, ballot))
    }

    fn is_ignored_for_ever(
        &self,
        locals: &[Arc<Local<Decorated>>],
        local: &Local<Decorated>,
        state: &DecoratedState,
        envelope: &Envelope<Msg>,
    ) -> bool {
        let inside = state.inside();
        let from = self.acceptor(envelope.src);
        match (&envelope.msg, inside.acceptor(), inside.proposer(), inside.learner()) {
            // A promise above is never taken back. A prepare of a ballot that was accepted in is an echo. One that only
            // equals the promise is answered again, and so must stay.
            // It must stay if its proposer hears of a refusal, be it one that is yet to come.
            (Msg::Prepare { ballot, .. }, Some(acceptor), ..) => {
                (acceptor.promised.is_some_and(|promised| promised > *ballot)
                    || acceptor.accepted_in == Some(*ballot))
                    && !self.is_heard(locals, envelope, *ballot)
            }
            // An equal promise invites it. A repeated one would be answered again, and so must stay.
            (Msg::Accept { ballot, .. }, Some(acceptor), ..) => {
                acceptor.promised.is_some_and(|promised| promised > *ballot)
                    && !self.is_heard(locals, envelope, *ballot)
            }
            // It is about the ballot that its proposer has come to, or about nothing.
            (Msg::Nack { ballot, .. }, _, Some(_), _) => !waits_in(local, *ballot),
            // A proposer comes to each of its ballots once, and leaves its phase 1 for good.
            (Msg::Promise { ballot, .. }, _, Some(proposer), _) => !matches!(
                (&proposer.phase, from),
                (Phase::Preparing { ballot: current, promised, .. }, Some(from))
                    if current == ballot && !promised.contains(from)
            ),
            // It counts acceptances of the ballot it has come to, until it knows that its value is chosen.
            (Msg::Accepted { ballot, instance, .. }, _, Some(proposer), _) => match (&proposer.phase, from) {
                (Phase::Preparing { ballot: current, .. }, Some(_)) => current != ballot,
                (Phase::Accepting { ballot: current, accepted, .. }, Some(from)) => {
                    current != ballot
                        || is_done(local)
                        || accepted.get(instance).is_some_and(|by| by.contains(from))
                }
                _ => true,
            },
            // A learner looks at nothing more once it knows, and counts each acceptor once a ballot.
            (Msg::Accepted { ballot, instance, .. }, _, _, Some(learner)) => {
                let counted = learner.votes.get(instance).and_then(|votes| votes.get(ballot));
                learner.learned.contains_key(instance)
                    || from.is_none_or(|from| counted.is_some_and(|(by, _)| by.contains(from)))
            }
            (Msg::Chosen { instance, .. }, _, _, Some(learner)) => learner.learned.contains_key(instance),
            _ => false,
        }
    }

    /// Asks the process itself.
    fn is_ignored_now(&self, receiver: usize, state: &DecoratedState, envelope: &Envelope<Msg>) -> bool {
        let (mut state, mut out) = (Cow::Borrowed(state), Out::new());
        self.actors[receiver].on_msg(envelope.dst, &mut state, envelope.src, envelope.msg.clone(), &mut out);
        is_no_op(&state, &out)
    }

    fn facts(&self, state: &mut Whole) -> Facts {
        let mut facts =
            Facts { promised: BTreeMap::new(), offered: BTreeMap::new(), promising: BTreeMap::new() };
        for (index, id) in self.cluster.acceptors.iter().enumerate() {
            let inside = state.locals[usize::from(*id)].state.as_deref().map(Inside::inside);
            if let Some(acceptor) = inside.and_then(|inside| inside.acceptor()) {
                facts.promised.insert(index, acceptor.promised);
            }
        }
        for local in &state.locals {
            if let Some(Phase::Preparing { ballot, promised, .. }) = proposer(local).map(|p| &p.phase) {
                facts.promising.insert(*ballot, *promised);
            }
        }
        for envelope in flying(state).keys() {
            match &envelope.msg {
                Msg::Accept { ballot, instance, value } => {
                    let acceptor = self.acceptor(envelope.dst);
                    let refuses =
                        |promised: Option<&Option<Ballot>>| promised.is_some_and(|p| *p > Some(*ballot));
                    if let Some(acceptor) = acceptor.filter(|a| !refuses(facts.promised.get(a))) {
                        let by = facts.offered.entry((*instance, *ballot, value.clone())).or_default();
                        by.insert(acceptor);
                    }
                }
                Msg::Promise { ballot, .. } => {
                    let by = facts.promising.get_mut(ballot);
                    if let (Some(by), Some(acceptor)) = (by, self.acceptor(envelope.src)) {
                        by.insert(acceptor);
                    }
                }
                _ => {}
            }
        }
        facts
    }

    /// Forgets what one process keeps and will not use.
    fn forget_in(&self, index: usize, local: &Arc<Local<Decorated>>, facts: &Facts, state: &mut Whole) {
        // Nobody crashes, so nobody reads what was saved.
        if local.storage.is_some() {
            Arc::make_mut(&mut state.locals[index]).storage = None;
        }
        if !self.unbroken() {
            return;
        }
        let Some(inside) = local.state.as_deref().map(Inside::inside) else { return };
        // The next ballot is above both what was tried and what was heard of; and who has done all needs none.
        if inside.proposer().is_some_and(|p| p.heard > 0 && (p.heard <= p.tried || is_done(local)))
            && let Some(ProcessState::Proposer(proposer)) = edit(state, index)
        {
            proposer.heard = 0;
        }
        if let Some(Phase::Accepting { ballot, issued, accepted, .. }) = inside.proposer().map(|p| &p.phase)
            && !issued.is_empty()
        {
            let done = is_done(local);
            let lost = issued.iter().any(|(instance, value)| {
                let by = accepted.get(instance).copied().unwrap_or_default();
                !self.can_count(index, &(*instance, *ballot, value.clone()), by, facts, state)
            });
            finish(state, index, lost, done);
            if lost || done {
                drop_acceptances(state, index, *ballot);
            }
        }
        let Some(learner) = inside.learner() else { return };
        let counted = learner.votes.iter().flat_map(|(instance, votes)| {
            votes.iter().map(|(ballot, (by, value))| ((*instance, *ballot, value.clone()), *by))
        });
        let counted: BTreeMap<Vote, AcceptorSet> = counted.collect();
        let flying = self.acceptances(index, state);
        for vote in counted.keys().chain(flying.keys()).collect::<BTreeSet<_>>() {
            let by = counted.get(vote).copied().unwrap_or_default();
            if !self.can_count(index, vote, by, facts, state) {
                drop_acceptances(state, index, vote.1);
                forget_vote(state, index, vote.0, vote.1);
            }
        }
    }

    /// True if a process may still count a phase-2 quorum for a proposal: those it has counted, those whose answer is on its
    /// way to it, and those who may still accept. None joins them later, so what cannot be counted now never can.
    fn can_count(
        &self,
        who: usize,
        vote: &Vote,
        counted: AcceptorSet,
        facts: &Facts,
        state: &mut Whole,
    ) -> bool {
        let on_their_way = self.acceptances(who, state).get(vote).copied().unwrap_or_default();
        let offered = facts.offered.get(vote).copied().unwrap_or_default();
        self.cluster.quorums.is_phase2(joined([counted, on_their_way, offered]))
    }

    /// Acceptances on their way to a process, and the acceptors they are from.
    fn acceptances(&self, receiver: usize, state: &mut Whole) -> BTreeMap<Vote, AcceptorSet> {
        let mut found: BTreeMap<Vote, AcceptorSet> = BTreeMap::new();
        for envelope in flying(state).keys().filter(|envelope| usize::from(envelope.dst) == receiver) {
            if let (Msg::Accepted { ballot, instance, value }, Some(from)) =
                (&envelope.msg, self.acceptor(envelope.src))
            {
                found.entry((*instance, *ballot, value.clone())).or_default().insert(from);
            }
        }
        found
    }

    /// Forgets what breaks no claim by itself any more.
    fn forget_history(&self, facts: &Facts, history: &mut History) {
        let quorums = &self.cluster.quorums;
        history.begun.clear();
        if !self.checks("P1") && !self.checks("P1a") {
            history.answered.clear();
            history.voted.clear();
        }
        let contest = Contest::of(quorums, facts, history);
        let first = first_chosen(quorums, history);
        // P2b: an issued proposal is kept as long as another value may be chosen below it.
        history.issued.retain(|(instance, ballot), values| {
            values.keys().any(|value| contest.is_open(*instance, *ballot, value))
        });
        // The quorum of a proposal was looked at when it was issued.
        for quorum in history.issued.values_mut().flat_map(BTreeMap::values_mut) {
            *quorum = AcceptorSet::EMPTY;
        }
        // V3: of each acceptor the latest vote, and the latest below each ballot that it has promised and that is in phase 1.
        let mut looked_at: BTreeSet<(usize, Vote)> = BTreeSet::new();
        if self.checks("V3") {
            for acceptor in 0..quorums.acceptors() {
                let below = facts.promising.iter().filter(|(_, by)| by.contains(acceptor)).map(|(b, _)| *b);
                let instances: BTreeSet<Instance> = history.votes.keys().map(|(i, ..)| *i).collect();
                let top = Ballot { round: u64::MAX, proposer: u16::MAX };
                for (below, instance) in
                    below.chain([top]).flat_map(|below| instances.iter().map(move |i| (below, *i)))
                {
                    if let Some((ballot, value)) = history.latest_vote_below(acceptor, instance, below) {
                        looked_at.insert((acceptor, (instance, ballot, value.clone())));
                    }
                }
            }
        }
        history.votes.retain(|vote, by| {
            let (instance, ballot, value) = vote;
            let settled = first.get(instance).is_some_and(|(m, v)| ballot > m && value == v);
            let may_win = contest.may_win.contains(vote) && !settled;
            if !may_win && !contest.is_open(*instance, *ballot, value) {
                *by = by.iter().filter(|a| looked_at.contains(&(*a, vote.clone()))).collect();
            }
            !by.is_empty()
        });
    }
}

/// The proposals that may still be chosen, besides those that are.
struct Contest {
    may_win: BTreeSet<Vote>,
    /// Promises, the lowest first, with those that have made it or a lower one: below a ballot that is above enough of
    /// them, ballots that are not even begun may win.
    free: Vec<(Option<Ballot>, bool)>,
}

impl Contest {
    fn of(quorums: &Quorums, facts: &Facts, history: &History) -> Contest {
        let votes = history.votes.keys().chain(facts.offered.keys());
        let may_win = votes.filter(|vote| {
            let cast = history.votes.get(*vote).copied().unwrap_or_default();
            let offered = facts.offered.get(*vote).copied().unwrap_or_default();
            quorums.is_phase2(joined([cast, offered]))
        });
        let promises: BTreeSet<Option<Ballot>> = facts.promised.values().copied().collect();
        let free = promises.into_iter().map(|limit| {
            let by = facts.promised.iter().filter(|(_, promised)| **promised <= limit).map(|(a, _)| *a);
            (limit, quorums.is_phase2(by.collect()))
        });
        Contest { may_win: may_win.cloned().collect(), free: free.collect() }
    }

    /// True if another value may be chosen below a proposal, or is.
    fn is_open(&self, instance: Instance, ballot: Ballot, value: &Value) -> bool {
        let free_below = self.free.iter().any(|(limit, enough)| *enough && *limit < Some(ballot));
        free_below || self.may_win.iter().any(|(i, m, v)| *i == instance && *m < ballot && v != value)
    }
}

/// The first proposal chosen in each instance.
fn first_chosen(quorums: &Quorums, history: &History) -> BTreeMap<Instance, (Ballot, Value)> {
    let mut first = BTreeMap::new();
    for (instance, ballot, value) in history.chosen(quorums) {
        first.entry(instance).or_insert_with(|| (ballot, value.clone()));
    }
    first
}

fn joined<const N: usize>(sets: [AcceptorSet; N]) -> AcceptorSet {
    sets.into_iter().flat_map(AcceptorSet::iter).collect()
}

/// One actor's state, to be changed.
fn edit(state: &mut Whole, index: usize) -> Option<&mut ProcessState> {
    let local = Arc::make_mut(state.locals.get_mut(index)?);
    local.state.as_mut().map(|state| &mut Arc::make_mut(state).inner)
}

/// Forgets what a proposer that has issued its proposal, or that is done, has no use for.
fn finish(state: &mut Whole, index: usize, lost: bool, done: bool) {
    let Some(ProcessState::Proposer(proposer)) = edit(state, index) else { return };
    let Phase::Accepting { ballot, quorum, reports, accepted, .. } = &mut proposer.phase else { return };
    // Reports decided what is issued. It is not decided again.
    *quorum = AcceptorSet::EMPTY;
    reports.clear();
    if lost || done {
        accepted.clear();
    }
    if done {
        ballot.round = 0;
        proposer.tried = 0;
    }
}

fn drop_acceptances(state: &mut Whole, receiver: usize, ballot: Ballot) {
    flying(state).retain(|envelope, _| {
        let about = matches!(&envelope.msg, Msg::Accepted { ballot: b, .. } if *b == ballot);
        !(about && usize::from(envelope.dst) == receiver)
    });
}

fn forget_vote(state: &mut Whole, index: usize, instance: Instance, ballot: Ballot) {
    let Some(ProcessState::Learner(learner)) = edit(state, index) else { return };
    if let Some(votes) = learner.votes.get_mut(&instance) {
        votes.remove(&ballot);
    }
    learner.votes.retain(|_, votes| !votes.is_empty());
}

/// True if a proposer has come to a ballot and is not done.
fn waits_in(local: &Local<Decorated>, ballot: Ballot) -> bool {
    proposer(local).is_some_and(|proposer| {
        let (Phase::Preparing { ballot: current, .. } | Phase::Accepting { ballot: current, .. }) =
            &proposer.phase
        else {
            return false;
        };
        *current == ballot && !(proposer.wanted.is_empty() && proposer.reads.is_empty())
    })
}

/// A wrong rule: a proposal of the very ballot that was promised would be accepted.
fn is_planted(state: &DecoratedState, msg: &Msg) -> bool {
    let promised = state.inside().acceptor().and_then(|acceptor| acceptor.promised);
    matches!(msg, Msg::Accept { ballot, .. } if promised == Some(*ballot))
}
