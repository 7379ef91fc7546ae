//! The components of the ghost history: the deeds of each acceptor, the ballots of proposers, the learned values, and the rest.
//! A step changes few of them, so an exploration need not ask about every combination.

use crate::history::{Happened, History, Note};
use crate::keep;
use crate::observer::Ghost;
use std::collections::{BTreeMap, BTreeSet};
use synod::{AcceptorSet, Ballot};
use synod_explore::{ComponentUpdate, Components};

/// The rest: what clients asked for, the evidence by which claims fall, and everything else that there is only once.
const REST: usize = 0;
/// The learned values.
const LEARNED: usize = 1;
/// The ballots of some proposers; after as many as [`BALLOTS`] the acceptors follow.
const PROPOSERS: usize = 2;
/// Proposers are taken together whose numbers are as far apart.
const BALLOTS: usize = 4;
const ACCEPTORS: usize = PROPOSERS + BALLOTS;

/// The component that a ballot belongs to.
fn owner(ballot: Ballot) -> usize {
    PROPOSERS + usize::from(ballot.proposer) % BALLOTS
}

impl Ghost {
    /// The component that something is about, if it is recorded at all.
    fn component(happened: &Happened) -> Option<usize> {
        match happened {
            Happened::Answered(acceptor, _)
            | Happened::Offered(acceptor, ..)
            | Happened::Voted(acceptor, ..) => Some(ACCEPTORS + acceptor),
            Happened::Learned(..) => Some(LEARNED),
            Happened::Begun(ballot) | Happened::Issued { ballot, .. } => Some(owner(*ballot)),
            Happened::Proposed(..)
            | Happened::Asked(..)
            | Happened::Told(..)
            | Happened::Leads(_)
            | Happened::Follows(_) => Some(REST),
            // Witnesses that are no history, and what only a log records.
            Happened::Submitted(_)
            | Happened::Called(..)
            | Happened::Returned(..)
            | Happened::Executed(..)
            | Happened::Redirected
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
            | Happened::AskedAgain => None,
        }
    }
}

impl Components<History, Note> for Ghost {
    fn split(&self, history: &History) -> Vec<History> {
        let History { begun, issued, answered, voted, votes, learned, .. } = history;
        let mut components = vec![History::default(); ACCEPTORS + self.cluster.acceptors.len()];
        for (acceptor, component) in components[ACCEPTORS..].iter_mut().enumerate() {
            component.answered.extend(answered.get(&acceptor).map(|ballot| (acceptor, *ballot)));
            component.voted.extend(voted.get(&acceptor).map(|ballot| (acceptor, *ballot)));
            let cast = votes.iter().filter(|(_, by)| by.contains(acceptor));
            component.votes.extend(cast.map(|(vote, _)| (vote.clone(), AcceptorSet::from_iter([acceptor]))));
        }
        for ballot in begun {
            components[owner(*ballot)].begun.insert(*ballot);
        }
        for (at, values) in issued {
            components[owner(at.1)].issued.insert(*at, values.clone());
        }
        components[LEARNED].learned.clone_from(learned);
        components[REST] = History {
            begun: BTreeSet::new(),
            issued: BTreeMap::new(),
            answered: BTreeMap::new(),
            voted: BTreeMap::new(),
            votes: BTreeMap::new(),
            learned: BTreeSet::new(),
            ..history.clone()
        };
        components
    }

    fn join(&self, components: &[&History]) -> History {
        let mut whole = components[REST].clone();
        whole.learned.clone_from(&components[LEARNED].learned);
        for component in &components[PROPOSERS..ACCEPTORS] {
            whole.begun.extend(&component.begun);
            whole.issued.extend(component.issued.iter().map(|(at, values)| (*at, values.clone())));
        }
        for component in &components[ACCEPTORS..] {
            whole.answered.extend(&component.answered);
            whole.voted.extend(&component.voted);
            for (vote, by) in &component.votes {
                let all = whole.votes.entry(vote.clone()).or_default();
                by.iter().for_each(|acceptor| all.insert(acceptor));
            }
        }
        whole
    }

    fn about(&self, note: &Note) -> Vec<usize> {
        let mut about: Vec<usize> = note.iter().filter_map(Self::component).collect();
        about.sort_unstable();
        about.dedup();
        about
    }

    fn update(&self, component: usize, history: &History, note: &Note) -> ComponentUpdate<History> {
        let mut next = history.clone();
        for happened in note.iter().filter(|happened| Self::component(happened) == Some(component)) {
            // Votes of all acceptors decide what is chosen, and so what may be answered.
            if matches!(happened, Happened::Asked(..) | Happened::Told(..)) {
                return ComponentUpdate::Whole;
            }
            keep::record(&self.cluster, &mut next, happened);
        }
        match () {
            // The first evidence by which a claim falls is kept, whichever component it is of.
            () if next.evidence != history.evidence => ComponentUpdate::Whole,
            () if next == *history => ComponentUpdate::Same,
            () => ComponentUpdate::Changed(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use synod::{Cluster, Instance, Process, Value};
    use synod_explore::Observer;

    fn ghost() -> Ghost {
        let acceptors = (0..3_usize).map(Into::into).collect();
        let cluster = Cluster { acceptors, log: None, ..crate::log::tests::cluster().0 };
        Ghost { cluster: Arc::new(cluster), before: History::default(), claims: None }
    }

    /// Something that may happen, whether or not Paxos would have it.
    fn anything(draw: &mut impl FnMut(u64) -> u64) -> Happened {
        let instance = Instance(draw(2));
        let ballot = Ballot { round: 1 + draw(2), proposer: draw(6) as u16 };
        let value = Value::from(if draw(3) == 0 { "x" } else { "y" });
        let [acceptor, other] = [(); 2].map(|()| draw(3) as usize);
        match draw(12) {
            0 => Happened::Proposed(instance, value),
            1 => Happened::Begun(ballot),
            2 => Happened::Answered(acceptor, ballot),
            3 => Happened::Offered(acceptor, instance, ballot, value, draw(2) == 0),
            4 => Happened::Issued {
                instance,
                ballot,
                value,
                quorum: [acceptor, other].into_iter().collect(),
                reported: false,
                own: true,
            },
            5 => Happened::Learned(other, instance, value),
            6 => Happened::Asked(acceptor, other, instance),
            7 => Happened::Told(acceptor, other, instance, (draw(2) == 0).then_some(value)),
            8 => Happened::Leads(acceptor),
            9 => Happened::Follows(acceptor),
            _ => Happened::Voted(acceptor, instance, ballot, value),
        }
    }

    #[test]
    fn parts_come_to_the_same_as_the_whole() {
        let ghost = ghost();
        let update = |history: &History, note: &Note| {
            let updated = <Ghost as Observer<Process>>::update(&ghost, history, note);
            updated.unwrap_or_else(|| history.clone())
        };
        let mut state = 11_u64;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut changed, mut whole) = (0, 0);
        for _ in 0..3_000 {
            let mut history = History::default();
            let mut components = ghost.split(&history);
            for _ in 0..15 {
                let note: Note = (0..=draw(2)).map(|_| anything(&mut draw)).collect();
                history = update(&history, &note);
                for component in ghost.about(&note) {
                    match Components::update(&ghost, component, &components[component], &note) {
                        ComponentUpdate::Same => {}
                        ComponentUpdate::Changed(to) => {
                            components[component] = to;
                            changed += 1;
                        }
                        ComponentUpdate::Whole => {
                            components = ghost.split(&history);
                            whole += 1;
                            break;
                        }
                    }
                }
                assert_eq!(ghost.split(&history), components, "after {note:?}");
                assert_eq!(ghost.join(&components.iter().collect::<Vec<_>>()), history, "after {note:?}");
            }
        }
        assert!(changed > 10_000 && whole > 1_000, "{changed} {whole}");
    }
}
