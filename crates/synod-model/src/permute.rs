//! Processes that are alike, and the values of a system after these have changed places.
//!
//! An acceptor has two numbers, and both have to be exchanged: its id, which envelopes carry,
//! and its place in [`Cluster::acceptors`], by which quorums and the history count it. Nothing else names an acceptor:
//! no message, timer or save does, and a ballot carries the number of a proposer. Ballots order proposers, so
//! proposers are never alike. Nor are servers, each of which is a proposer too.

use crate::file::{Layout, ModelFile};
use crate::history::{Call, Evidence, Happened, History, Note};
use crate::mutants::{self, Decorated, DecoratedStable, DecoratedState, DecoratedTimer};
use crate::observer::{Ghost, Inside};
use crate::sequential::Asked;
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use synod::{
    AcceptorSet, Cluster, LearnerState, Learning, LogState, Msg, PerInstance, Phase, Process, ProcessState,
    ProposerState, Questions, Quorums, ServerState, Stable, Timer,
};
use synod_explore::{Permutation, Permute};

/// Exchanges processes in all that a process or the history may hold.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The ids and numbers of all processes.
    pub cluster: Arc<Cluster>,
}

impl Exchange {
    /// The place of an acceptor among the acceptors, after it was exchanged.
    ///
    /// # Panics
    /// If an acceptor changes places with a process that is none.
    fn place(&self, by: &Permutation, place: usize) -> usize {
        let Some(id) = self.cluster.acceptors.get(place) else { return place };
        let to = by.id(*id);
        let place = self.cluster.acceptors.iter().position(|acceptor| *acceptor == to);
        place.expect("acceptors change places among themselves")
    }

    fn set(&self, by: &Permutation, set: AcceptorSet) -> AcceptorSet {
        set.iter().map(|place| self.place(by, place)).collect()
    }

    fn phase(&self, by: &Permutation, phase: &Phase) -> Phase {
        match phase.clone() {
            Phase::Idle => Phase::Idle,
            Phase::Preparing { ballot, from, promised, partly, reports, gaps } => {
                let promised = self.set(by, promised);
                let partly = partly.into_iter().map(|(place, rest)| (self.place(by, place), rest)).collect();
                Phase::Preparing { ballot, from, promised, partly, reports, gaps }
            }
            Phase::Accepting { ballot, from, quorum, reports, gaps, issued, accepted } => {
                let quorum = self.set(by, quorum);
                let accepted = entries(&accepted, |set| self.set(by, *set));
                Phase::Accepting { ballot, from, quorum, reports, gaps, issued, accepted }
            }
        }
    }

    fn proposer(&self, by: &Permutation, proposer: &ProposerState) -> ProposerState {
        let ProposerState { tried, heard, wanted, queue, reads, phase, failed, election } = proposer;
        ProposerState {
            tried: *tried,
            heard: *heard,
            wanted: wanted.clone(),
            queue: queue.clone(),
            reads: entries(reads, |readers| readers.iter().map(|(id, begun)| (by.id(*id), *begun)).collect()),
            phase: self.phase(by, phase),
            failed: *failed,
            // Proposers and servers do not change places.
            election: election.clone(),
        }
    }

    fn learner(&self, by: &Permutation, learner: &LearnerState) -> LearnerState {
        let LearnerState { votes, learned } = learner;
        let votes = entries(votes, |votes| {
            let vote = |(ballot, (set, value)): (&_, &(AcceptorSet, _))| {
                (*ballot, (self.set(by, *set), Clone::clone(value)))
            };
            votes.iter().map(vote).collect()
        });
        LearnerState { votes, learned: learned.clone() }
    }

    /// A process's state. An acceptor's and a client's own name nobody.
    fn process(&self, by: &Permutation, state: &ProcessState) -> ProcessState {
        match state {
            ProcessState::Acceptor(_) | ProcessState::Client(_) => state.clone(),
            ProcessState::Proposer(proposer) => ProcessState::Proposer(self.proposer(by, proposer)),
            ProcessState::Learner(learner) => ProcessState::Learner(self.learner(by, learner)),
            ProcessState::Server(ServerState { acceptor, proposer, learner, waiting, log }) => {
                ProcessState::Server(ServerState {
                    acceptor: acceptor.clone(),
                    proposer: self.proposer(by, proposer),
                    learner: self.learner(by, learner),
                    waiting: entries(waiting, |clients| clients.iter().map(|id| by.id(*id)).collect()),
                    log: log.as_ref().map(|log| Box::new(self.log(by, log))),
                })
            }
        }
    }

    fn log(&self, by: &Permutation, log: &LogState) -> LogState {
        let LogState {
            next,
            replica,
            asked,
            questions,
            held,
            lease,
            removed,
            strangers,
            answering,
            snapshots,
        } = log;
        let Questions { round, confirmed, open } = questions;
        let asked = asked.iter();
        let renamed = |call: &synod::Call| synod::Call { client: by.id(call.client), ..*call };
        LogState {
            next: *next,
            replica: replica.clone(),
            asked: asked.map(|(call, value)| (renamed(call), value.clone())).collect(),
            questions: Questions {
                round: *round,
                confirmed: self.set(by, *confirmed),
                open: open.iter().map(|(call, question)| (renamed(call), question.clone())).collect(),
            },
            held: held.map(|id| by.id(id)),
            // It names servers only, and they do not change places.
            lease: lease.clone(),
            removed: *removed,
            // Members that change do not change places.
            strangers: *strangers,
            answering: answering.clone(),
            snapshots: snapshots.clone(),
        }
    }

    fn remembered(&self, by: &Permutation, history: &History) -> History {
        let History {
            proposed,
            begun,
            issued,
            answered,
            voted,
            votes,
            learned,
            asked,
            submitted,
            calls,
            told,
            leading,
            members,
            evidence,
            fallen,
        } = history;
        let renamed = |(client, number): &Asked| (by.index(*client), *number);
        let per_acceptor = |map: &BTreeMap<usize, _>| {
            map.iter().map(|(place, ballot)| (self.place(by, *place), *ballot)).collect()
        };
        History {
            proposed: proposed.clone(),
            begun: begun.clone(),
            issued: issued
                .iter()
                .map(|(at, values)| {
                    (*at, values.iter().map(|(value, set)| (value.clone(), self.set(by, *set))).collect())
                })
                .collect(),
            answered: per_acceptor(answered),
            voted: per_acceptor(voted),
            votes: votes.iter().map(|(vote, set)| (vote.clone(), self.set(by, *set))).collect(),
            learned: learned.iter().map(|(id, at, value)| (by.index(*id), *at, value.clone())).collect(),
            asked: asked
                .iter()
                .map(|((server, client, at), chosen)| {
                    ((by.index(*server), by.index(*client), *at), chosen.clone())
                })
                .collect(),
            submitted: submitted.clone(),
            calls: Self::calls(by, calls),
            told: told.as_ref().map(|told| told.renamed(renamed, Clone::clone, Clone::clone, Clone::clone)),
            leading: leading.iter().map(|id| by.index(*id)).collect(),
            // Members that change do not change places.
            members: members.clone(),
            evidence: evidence.iter().map(|evidence| self.evidence(by, evidence)).collect(),
            fallen: fallen.clone(),
        }
    }

    fn calls(by: &Permutation, calls: &BTreeMap<Asked, Call>) -> BTreeMap<Asked, Call> {
        let renamed = |(client, number): &Asked| (by.index(*client), *number);
        let call = |(asked, Call { command, is_query, after, output }): (&Asked, &Call)| {
            let after = after.iter().map(renamed).collect();
            let (command, output) = (command.clone(), output.clone());
            (renamed(asked), Call { command, is_query: *is_query, after, output })
        };
        calls.iter().map(call).collect()
    }

    fn evidence(&self, by: &Permutation, evidence: &Evidence) -> Evidence {
        match evidence.clone() {
            Evidence::Offered { acceptor, instance, ballot, value, accepted, answered, voted } => {
                let acceptor = self.place(by, acceptor);
                Evidence::Offered { acceptor, instance, ballot, value, accepted, answered, voted }
            }
            Evidence::ToldOtherwise { call: (client, number), output, only_reads, calls } => {
                let (call, calls) = ((by.index(client), number), Self::calls(by, &calls));
                Evidence::ToldOtherwise { call, output, only_reads, calls }
            }
            // Members that change do not change places.
            same @ (Evidence::ToldOfChange { .. }
            | Evidence::MayGo { .. }
            | Evidence::Counted { .. }
            | Evidence::Heeded { .. }
            | Evidence::Rests { .. }
            | Evidence::Begun { .. }
            | Evidence::Told { .. }
            | Evidence::Issued { .. }
            | Evidence::Executed { .. }) => same,
        }
    }

    fn happened(&self, by: &Permutation, happened: &Happened) -> Happened {
        match happened.clone() {
            Happened::Answered(acceptor, ballot) => Happened::Answered(self.place(by, acceptor), ballot),
            Happened::Offered(acceptor, instance, ballot, value, accepted) => {
                Happened::Offered(self.place(by, acceptor), instance, ballot, value, accepted)
            }
            Happened::Voted(acceptor, instance, ballot, value) => {
                Happened::Voted(self.place(by, acceptor), instance, ballot, value)
            }
            Happened::Issued { instance, ballot, value, quorum, reported, own } => {
                let quorum = self.set(by, quorum);
                Happened::Issued { instance, ballot, value, quorum, reported, own }
            }
            Happened::Learned(learner, instance, value) => {
                Happened::Learned(by.index(learner), instance, value)
            }
            Happened::Asked(server, client, instance) => {
                Happened::Asked(by.index(server), by.index(client), instance)
            }
            Happened::Told(actor, client, instance, value) => {
                Happened::Told(by.index(actor), by.index(client), instance, value)
            }
            Happened::Called((client, number), command, query) => {
                Happened::Called((by.index(client), number), command, query)
            }
            Happened::Returned((client, number), output) => {
                Happened::Returned((by.index(client), number), output)
            }
            Happened::Executed(server, executed) => Happened::Executed(by.index(server), executed),
            Happened::Leads(process) => Happened::Leads(by.index(process)),
            Happened::Follows(process) => Happened::Follows(by.index(process)),
            same @ (Happened::Proposed(..)
            | Happened::Submitted(_)
            | Happened::Redirected
            | Happened::Begun(_)
            | Happened::Served
            | Happened::Nacked
            | Happened::Forgot
            | Happened::Restored
            | Happened::AcceptorRecovered
            | Happened::ProposerRecovered
            | Happened::Counted { .. }
            | Happened::Heeded { .. }
            | Happened::Changed(..)
            | Happened::Relayed
            | Happened::Saved(..)
            | Happened::MayGo(_)
            | Happened::ToldRemoved
            | Happened::SteppedDown
            | Happened::AskedAgain) => same,
        }
    }
}

/// A map by instance with every entry rewritten.
fn entries<T: Clone, U: Clone>(map: &PerInstance<T>, rewrite: impl Fn(&T) -> U) -> PerInstance<U> {
    map.iter().map(|(instance, entry)| (*instance, rewrite(entry))).collect()
}

impl Permute<Process, Ghost> for Exchange {
    fn state(&self, by: &Permutation, state: &ProcessState) -> ProcessState {
        self.process(by, state)
    }

    /// Stable state, which is promises, acceptances and a round, names nobody.
    fn storage(&self, _: &Permutation, storage: &Stable) -> Stable {
        storage.clone()
    }

    /// A message does not name its sender; the envelope does.
    fn message(&self, _: &Permutation, message: &Msg) -> Msg {
        message.clone()
    }

    fn timer(&self, _: &Permutation, timer: &Timer) -> Timer {
        *timer
    }

    fn choice(&self, _: &Permutation, choice: &Infallible) -> Infallible {
        *choice
    }

    fn history(&self, by: &Permutation, history: &History) -> History {
        self.remembered(by, history)
    }

    fn note(&self, by: &Permutation, note: &Note) -> Note {
        note.iter().map(|happened| self.happened(by, happened)).collect()
    }
}

/// As for plain processes: what a broken machine knows besides is stable storage.
impl Permute<Decorated, Ghost> for Exchange {
    fn state(&self, by: &Permutation, state: &DecoratedState) -> DecoratedState {
        state.with(self.process(by, state.inside()))
    }

    fn storage(&self, _: &Permutation, storage: &DecoratedStable) -> DecoratedStable {
        storage.clone()
    }

    fn message(&self, _: &Permutation, message: &Msg) -> Msg {
        message.clone()
    }

    fn timer(&self, _: &Permutation, timer: &DecoratedTimer) -> DecoratedTimer {
        *timer
    }

    fn choice(&self, _: &Permutation, choice: &Infallible) -> Infallible {
        *choice
    }

    fn history(&self, by: &Permutation, history: &History) -> History {
        self.remembered(by, history)
    }

    fn note(&self, by: &Permutation, note: &Note) -> Note {
        note.iter().map(|happened| self.happened(by, happened)).collect()
    }
}

/// The sets of processes that a model file says are alike, by their ids, or why they are not.
pub(crate) fn alike(
    groups: &[String],
    file: &ModelFile,
    cluster: &Cluster,
    [crashable, down]: [&[bool]; 2],
) -> Result<Vec<Vec<usize>>, String> {
    if file.system.layout == Layout::CoLocated {
        return Err(
            "a server is a proposer too, and ballots order proposers by their numbers, so that two servers \
                    cannot change places; leave it out in the co-located layout"
                .to_owned(),
        );
    }
    let mut alike: Vec<Vec<usize>> = Vec::new();
    for group in groups {
        let members: Vec<usize> = match group.as_str() {
            "acceptors" => acceptors(file, cluster)?,
            "learners" => learners(cluster)?,
            "proposers" => {
                return Err(
                    "ballots order proposers by their numbers, so that two proposers cannot change places"
                        .to_owned(),
                );
            }
            "clients" => {
                return Err(
                    "each client asks for a value of its own, so that two clients cannot change places"
                        .to_owned(),
                );
            }
            other => {
                return Err(format!("{other:?} is no group of processes; there are acceptors and learners"));
            }
        };
        if alike.contains(&members) {
            return Err(format!("{group} stands there twice"));
        }
        for (what, listed) in [("crash", crashable), ("down", down)] {
            let named = |member: &usize| listed.get(*member).copied().unwrap_or(false);
            if members.iter().any(named) && !members.iter().all(named) {
                return Err(format!(
                    "`{what}` in [faults] names some of the {group} and not the others, which cannot take their places"
                ));
            }
        }
        alike.push(members);
    }
    Ok(alike)
}

/// The acceptors, if quorums and the mutant make no difference between them.
fn acceptors(file: &ModelFile, cluster: &Cluster) -> Result<Vec<usize>, String> {
    if let Some(breach) = uneven(&cluster.quorums) {
        return Err(format!("quorums tell acceptors apart: {breach}"));
    }
    let mutant = file.mutant.as_ref().and_then(|name| mutants::find(name.get_ref()));
    if let Some(mutant) = mutant.filter(|mutant| mutant.rule().is_some_and(mutants::Rule::picks_acceptors)) {
        return Err(format!(
            "the mutant {:?} counts the first acceptors for others, so that they cannot change places with later ones",
            mutant.name
        ));
    }
    Ok(indices(&cluster.acceptors))
}

/// The learners, if all of them learn in the same way.
fn learners(cluster: &Cluster) -> Result<Vec<usize>, String> {
    if cluster.learners.is_empty() {
        return Err("there are no learners in this system".to_owned());
    }
    if let Learning::Distinguished(_) = cluster.learning {
        return Err(
            "distinguished learners learn from acceptors and the others from them, so that they cannot \
                    change places"
                .to_owned(),
        );
    }
    Ok(indices(&cluster.learners))
}

fn indices(ids: &[Id]) -> Vec<usize> {
    ids.iter().map(|id| usize::from(*id)).collect()
}

/// A quorum that is none once two neighbours have changed places. It is asked of the sets themselves and not of the rule's
/// name: weights that are all the same, or a list of every pair, tell nobody apart.
fn uneven(quorums: &Quorums) -> Option<String> {
    let acceptors = quorums.acceptors();
    let subsets = (0..1_u32 << acceptors)
        .map(|bits| (0..acceptors).filter(|place| bits & (1 << place) != 0).collect::<AcceptorSet>());
    for set in subsets {
        for first in 0..acceptors.saturating_sub(1) {
            // A set that has both or neither stays the same set.
            if set.contains(first) == set.contains(first + 1) {
                continue;
            }
            let swapped = set.iter().map(|place| match place {
                place if place == first => first + 1,
                place if place == first + 1 => first,
                place => place,
            });
            let swapped: AcceptorSet = swapped.collect();
            let (one, other) = (first + 1, first + 2);
            for (phase, is, was) in [
                (1, quorums.is_phase1(set), quorums.is_phase1(swapped)),
                (2, quorums.is_phase2(set), quorums.is_phase2(swapped)),
            ] {
                if is && !was {
                    return Some(format!(
                        "{set:?} is a phase-{phase} quorum, and {swapped:?}, with A{one} and A{other} in each other's \
                         place, is none"
                    ));
                }
            }
        }
    }
    None
}
