//! The ghost history records what really happened. It stands outside the processes, so that no crash makes it forgotten.
//!
//! "Chosen" is a fact of this history, never of what acceptors remember at present (spec S1).

use crate::sequential::{Asked, Told};
use crate::walk::Walk;
use std::collections::{BTreeMap, BTreeSet};
use synod::{AcceptorSet, Ballot, Instance, Quorums, Value};

/// One thing that happened in a step and that matters to some claim or witness.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Happened {
    /// A client asked for a value.
    Proposed(Instance, Value),
    /// A proposer began a ballot.
    Begun(Ballot),
    /// An acceptor answered a prepare with a promise.
    Answered(usize, Ballot),
    /// An acceptor was offered a proposal; the last field is true if it accepted.
    Offered(usize, Instance, Ballot, Value, bool),
    /// An acceptor told somebody that it accepted a proposal.
    Voted(usize, Instance, Ballot, Value),
    /// A proposer issued a proposal.
    Issued {
        /// The instance.
        instance: Instance,
        /// The number.
        ballot: Ballot,
        /// The value.
        value: Value,
        /// The acceptors whose promises the proposer counted.
        quorum: AcceptorSet,
        /// True if the value was reported by a promise.
        reported: bool,
        /// True if it is what this proposer's own client wants.
        own: bool,
    },
    /// A learner (by its id) learned a value.
    Learned(usize, Instance, Value),
    /// A client's read arrived at a server: server, client, instance.
    Asked(usize, usize, Instance),
    /// A server or learner told a client what was chosen, or that nothing was.
    Told(usize, usize, Instance, Option<Value>),
    /// A client asked for a command, in any instance.
    Submitted(Value),
    /// A client's command arrived at a server; whether it is to be answered without the log.
    Called(Asked, Value, bool),
    /// A client was told what the machine says.
    Returned(Asked, Value),
    /// A server, by its id, executed something; with all that its machine has executed.
    Executed(usize, Vec<(Instance, Value)>),
    /// A client was told that somebody else leads.
    Redirected,
    /// A process, by its id, came to lead: it may begin ballots.
    Leads(usize),
    /// One that led does not any more, or is down.
    Follows(usize),
    /// A client got its answer.
    Served,
    /// An acceptor told a proposer that it was refused.
    Nacked,
    /// A server forgot what it had accepted in some instances.
    Forgot,
    /// A server went on from another's snapshot.
    Restored,
    /// A process with an acceptor in it came back after a crash.
    AcceptorRecovered,
    /// A process with a proposer in it came back after a crash.
    ProposerRecovered,
    /// A server counted an acceptance, where members change.
    Counted {
        /// The instance.
        instance: Instance,
        /// All that it has counted in that ballot.
        by: AcceptorSet,
        /// True if it takes the value for chosen.
        decides: bool,
    },
    /// A server counted a promise or a confirmation, where members change.
    Heeded {
        /// The first instance that it had not executed.
        next: Instance,
        /// The acceptor.
        acceptor: usize,
    },
    /// Somebody was told what became of a change of members: the call, and what was said.
    Changed(Asked, Value),
    /// A server sent on what its own operator asks.
    Relayed,
    /// A server, by its id, has all on its disk that was chosen below an instance.
    Saved(usize, Instance),
    /// A server came to know that members may go which the configuration with this number does not count.
    MayGo(u64),
    /// A server was told that it is no member any more.
    ToldRemoved,
    /// A leader that is no member any more gave up its ballot.
    SteppedDown,
    /// A leader began another ballot though nobody refused the one that it had, and no timer rang.
    AskedAgain,
}

impl Happened {
    /// The instance it is about; `None` for what concerns all of them.
    pub fn instance(&self) -> Option<Instance> {
        match self {
            Happened::Proposed(instance, _)
            | Happened::Offered(_, instance, ..)
            | Happened::Voted(_, instance, ..)
            | Happened::Counted { instance, .. }
            | Happened::Issued { instance, .. }
            | Happened::Learned(_, instance, _)
            | Happened::Asked(_, _, instance)
            | Happened::Told(_, _, instance, _) => Some(*instance),
            Happened::Begun(_)
            | Happened::Answered(..)
            | Happened::Submitted(_)
            | Happened::Called(..)
            | Happened::Returned(..)
            | Happened::Executed(..)
            | Happened::Redirected
            | Happened::Leads(_)
            | Happened::Follows(_)
            | Happened::Served
            | Happened::Nacked
            | Happened::Forgot
            | Happened::Restored
            | Happened::AcceptorRecovered
            | Happened::ProposerRecovered
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

/// All that happened in one step of one process.
pub type Note = Vec<Happened>;

/// A client's question to a log, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The command.
    pub command: Value,
    /// True if it is to be answered without the log. Asked again, it may be answered anew.
    pub is_query: bool,
    /// The calls that had ended when it began.
    pub after: BTreeSet<Asked>,
    /// The first answer that the client was told.
    pub output: Option<Value>,
}

/// A step that a claim about single steps speaks of, with what the history said when it was taken. It stands for itself: nothing that
/// happens later changes what a claim says of it.
///
/// A history keeps it only if a claim falls by it, see `keep`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A proposer began a ballot.
    Begun {
        /// The ballot.
        ballot: Ballot,
        /// True if it had been begun before.
        again: bool,
    },
    /// An acceptor was offered a proposal.
    Offered {
        /// The acceptor.
        acceptor: usize,
        /// The instance.
        instance: Instance,
        /// The number.
        ballot: Ballot,
        /// The value.
        value: Value,
        /// True if it was accepted.
        accepted: bool,
        /// The highest prepare that this acceptor had answered.
        answered: Option<Ballot>,
        /// The highest ballot in which this acceptor had accepted anything.
        voted: Option<Ballot>,
    },
    /// A client that reads was told a value, or that there is none.
    Told {
        /// The instance.
        instance: Instance,
        /// The answer.
        value: Option<Value>,
        /// The value that was chosen when its read arrived, if a read had arrived and was not answered yet.
        asked: Option<Option<Value>>,
        /// The values that were chosen when it was told.
        chosen: BTreeSet<Value>,
    },
    /// A leader issued a proposal in a log.
    Issued {
        /// The instance.
        instance: Instance,
        /// The value.
        value: Value,
        /// The window: a leader may be this many instances ahead of those that are chosen.
        alpha: u64,
        /// The instances in which something was chosen.
        chosen: BTreeSet<Instance>,
    },
    /// A server executed something.
    Executed {
        /// All that its machine has executed, in order.
        executed: Vec<(Instance, Value)>,
        /// The chosen commands, up to the last instance that was executed.
        chosen: BTreeMap<Instance, Vec<Value>>,
    },
    /// Somebody was told what became of a change of members.
    ToldOfChange {
        /// The call.
        call: Asked,
        /// What was said.
        said: Value,
        /// True if the chosen change has an effect. `None`: it is not chosen.
        has_effect: Option<bool>,
    },
    /// A server takes the members before for free to go.
    MayGo {
        /// The first instance of the members that remain.
        from: Instance,
        /// The members that remain.
        members: AcceptorSet,
        /// Those of them that have all below on their disks.
        saved: AcceptorSet,
        /// True if those are a quorum.
        is_enough: bool,
    },
    /// A server counted an acceptance, where members change.
    Counted {
        /// The instance.
        instance: Instance,
        /// All that it has counted.
        by: AcceptorSet,
        /// The members of the instance, if they were decided then.
        members: Option<AcceptorSet>,
        /// True if it takes the value for chosen, and they are no quorum of those members.
        falls_short: bool,
    },
    /// A server counted a promise or a confirmation, where members change.
    Heeded {
        /// The first instance that it had not executed.
        next: Instance,
        /// The acceptor.
        acceptor: usize,
        /// The members that are in force for one that has executed so much.
        members: AcceptorSet,
    },
    /// A leader issued a proposal, where members change.
    Rests {
        /// The instance.
        instance: Instance,
        /// The value.
        value: Value,
        /// The acceptors whose promises it rests on.
        quorum: AcceptorSet,
        /// The members of the instance, if they were decided then.
        members: Option<AcceptorSet>,
        /// True if they meet every quorum of the members.
        is_met: bool,
    },
    /// A client was told something else than the first time.
    ToldOtherwise {
        /// The call.
        call: Asked,
        /// The later answer.
        output: Value,
        /// True if the call changes nothing, so that it may be answered anew.
        only_reads: bool,
        /// All calls up to then.
        calls: BTreeMap<Asked, Call>,
    },
}

/// Everything that happened so far, as far as a claim needs it.
// Fields: one for each kind of fact; a claim reads the few that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Values that clients asked for.
    pub proposed: BTreeSet<(Instance, Value)>,
    /// Ballots that were begun.
    pub begun: BTreeSet<Ballot>,
    /// Proposals that were issued, each with the promises it rests on.
    pub issued: BTreeMap<(Instance, Ballot), BTreeMap<Value, AcceptorSet>>,
    /// The highest prepare each acceptor answered, whether or not it still knows.
    pub answered: BTreeMap<usize, Ballot>,
    /// The highest ballot in which each acceptor ever accepted anything.
    pub voted: BTreeMap<usize, Ballot>,
    /// The acceptors that accepted each proposal.
    pub votes: BTreeMap<(Instance, Ballot, Value), AcceptorSet>,
    /// The values that were learned, and by whom.
    pub learned: BTreeSet<(usize, Instance, Value)>,
    /// Reads that were not answered yet, by server, client and instance: what was chosen when each arrived.
    pub asked: BTreeMap<(usize, usize, Instance), Option<Value>>,
    /// Commands that clients asked for, in any instance.
    pub submitted: BTreeSet<Value>,
    /// The calls of a log's clients, with their answers.
    pub calls: BTreeMap<Asked, Call>,
    /// The tester of a log's machine, if that is no register: what can still become of the calls.
    pub told: Option<Told>,
    /// The present leaders, by id, where leaders are elected.
    pub leading: BTreeSet<usize>,
    /// The members, as far as what is chosen decides them, where they change.
    pub members: Option<Walk>,
    /// Steps by which a claim falls; of each claim the first.
    pub evidence: BTreeSet<Evidence>,
    /// Claims that fell by what was forgotten since, each with the words of its function.
    pub fallen: BTreeMap<&'static str, String>,
}

impl History {
    /// Records one more thing that happened. Returns the evidence that it is, if it is any. Whether a value was chosen depends on
    /// what a quorum is.
    #[must_use]
    pub(crate) fn record(&mut self, quorums: &Quorums, happened: &Happened) -> Option<Evidence> {
        match happened.clone() {
            Happened::Proposed(instance, value) => drop(self.proposed.insert((instance, value))),
            Happened::Begun(ballot) => {
                return Some(Evidence::Begun { ballot, again: !self.begun.insert(ballot) });
            }
            Happened::Answered(acceptor, ballot) => {
                let highest = self.answered.entry(acceptor).or_insert(ballot);
                *highest = ballot.max(*highest);
            }
            Happened::Offered(acceptor, instance, ballot, value, accepted) => {
                let answered = self.answered.get(&acceptor).copied();
                let voted = self.voted.get(&acceptor).copied();
                return Some(Evidence::Offered {
                    acceptor,
                    instance,
                    ballot,
                    value,
                    accepted,
                    answered,
                    voted,
                });
            }
            Happened::Voted(acceptor, instance, ballot, value) => {
                self.votes.entry((instance, ballot, value)).or_default().insert(acceptor);
                let highest = self.voted.entry(acceptor).or_insert(ballot);
                *highest = ballot.max(*highest);
                self.walk(quorums);
            }
            Happened::Issued { instance, ballot, value, quorum, .. } => {
                self.issued.entry((instance, ballot)).or_default().entry(value).or_insert(quorum);
            }
            Happened::Learned(learner, instance, value) => {
                self.learned.insert((learner, instance, value));
            }
            Happened::Asked(server, client, instance) => {
                let chosen = self.chosen_in(quorums, instance).next().cloned();
                self.asked.entry((server, client, instance)).or_insert(chosen);
            }
            Happened::Told(server, client, instance, value) => {
                let asked = self.asked.remove(&(server, client, instance));
                let chosen = self.chosen_in(quorums, instance).cloned().collect();
                return Some(Evidence::Told { instance, value, asked, chosen });
            }
            Happened::Leads(process) => drop(self.leading.insert(process)),
            Happened::Follows(process) => drop(self.leading.remove(&process)),
            Happened::Saved(server, below) => {
                self.members.iter_mut().for_each(|walk| walk.save(server, below));
            }
            // `log` records these, where it is known that a log is kept.
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
            | Happened::MayGo(_)
            | Happened::ToldRemoved
            | Happened::SteppedDown
            | Happened::AskedAgain => {}
        }
        None
    }

    /// The values that were chosen in one instance.
    fn chosen_in<'a>(
        &'a self,
        quorums: &'a Quorums,
        instance: Instance,
    ) -> impl Iterator<Item = &'a Value> + 'a {
        self.chosen(quorums).filter(move |(i, ..)| *i == instance).map(|(_, _, value)| value)
    }

    /// The quorums of an instance. Where members do not change, those of the cluster.
    pub fn quorums_at<'a>(&'a self, quorums: &'a Quorums, instance: Instance) -> &'a Quorums {
        self.members.as_ref().map_or(quorums, |walk| walk.governing(instance).1)
    }

    /// True if promises of these acceptors justify a proposal in an instance. Where members change, it is enough that they meet every quorum
    /// that can choose.
    pub(crate) fn justify(&self, quorums: &Quorums, instance: Instance, set: AcceptorSet) -> bool {
        let governing = self.quorums_at(quorums, instance);
        if self.members.is_some() { governing.is_met_by(set) } else { governing.is_phase1(set) }
    }

    /// Goes on with what has come to be chosen.
    pub(crate) fn walk(&mut self, quorums: &Quorums) {
        while let Some(walk) = &self.members {
            let at = walk.next;
            let Some(value) = self.chosen(quorums).find(|(i, ..)| *i == at).map(|(.., value)| value.clone())
            else {
                return;
            };
            self.members.iter_mut().for_each(|walk| walk.take(&value));
        }
    }

    /// Forgets what cannot break a claim any more by itself, so that a run may be as long as it likes.
    ///
    /// Let (m, v) be the first proposal chosen in an instance. A proposal (n, v) above m, and the votes for it, may go. If
    /// something contradicts it later, that is another value above m or chosen below it. It contradicts (m, v) as well, under the same
    /// claim or one that stands before it in the table. P2c and V3 ask for the latest vote below a ballot. Above m that is a
    /// vote for v, and every quorum has a vote for (m, v) in its place. The argument takes for granted that quorums intersect, that
    /// every proposal rests on one, and that votes are for what was issued. The caller must see to that.
    pub fn forget_redundant(&mut self, quorums: &Quorums) {
        let mut first: BTreeMap<Instance, (Ballot, Value)> = BTreeMap::new();
        for (instance, ballot, value) in self.chosen(quorums) {
            first.entry(instance).or_insert_with(|| (ballot, value.clone()));
        }
        let is_redundant = |instance: Instance, ballot: Ballot, value: &Value| {
            first.get(&instance).is_some_and(|(m, v)| ballot > *m && value == v)
        };
        self.issued.retain(|(instance, ballot), values| {
            !(values.len() == 1 && values.keys().all(|value| is_redundant(*instance, *ballot, value)))
        });
        self.votes.retain(|(instance, ballot, value), _| !is_redundant(*instance, *ballot, value));
    }

    /// The latest vote that an acceptor cast below a ballot, in one instance.
    pub fn latest_vote_below(
        &self,
        acceptor: usize,
        instance: Instance,
        below: Ballot,
    ) -> Option<(Ballot, &Value)> {
        self.votes
            .iter()
            .filter(|((i, ballot, _), by)| *i == instance && *ballot < below && by.contains(acceptor))
            .map(|((_, ballot, value), _)| (*ballot, value))
            .max()
    }

    /// The chosen proposals: those that some phase-2 quorum accepted, at whatever times its members did.
    pub fn chosen<'a>(
        &'a self,
        quorums: &'a Quorums,
    ) -> impl Iterator<Item = (Instance, Ballot, &'a Value)> + 'a {
        self.votes
            .iter()
            .filter(|((instance, ..), by)| self.quorums_at(quorums, *instance).is_phase2(**by))
            .map(|((instance, ballot, value), _)| (*instance, *ballot, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::CLAIMS;
    use synod::QuorumRule;

    /// The first claim that is broken, in the order of the table.
    fn broken(quorums: &Quorums, history: &History) -> Option<&'static str> {
        CLAIMS.iter().find(|claim| (claim.judge)(quorums, history).is_err()).map(|claim| claim.name)
    }

    /// Something that may happen, more or less as Paxos would have it.
    fn anything(draw: &mut impl FnMut(u64) -> u64, history: &History, quorums: &Quorums) -> Happened {
        let instance = Instance::FIRST;
        let ballot = Ballot { round: 1 + draw(9), proposer: 1 };
        let chosen = history.chosen(quorums).next().map(|(_, _, value)| value.clone());
        let any = Value::from(if draw(2) == 0 { "x" } else { "y" });
        let value = if draw(10) == 0 { any } else { chosen.unwrap_or_else(|| Value::from("x")) };
        let at = draw(history.issued.len().max(1) as u64) as usize;
        let issued = history.issued.iter().nth(at).and_then(|((_, ballot), values)| {
            values.keys().next_back().map(|value| (*ballot, value.clone()))
        });
        match (draw(30), issued) {
            (0..10, _) | (_, None) => {
                let out = draw(4) as usize;
                let quorum = (0..3).filter(|acceptor| *acceptor != out).collect();
                Happened::Issued { instance, ballot, value, quorum, reported: false, own: false }
            }
            (10, _) => Happened::Learned(draw(3) as usize, instance, value),
            (_, Some((ballot, value))) => Happened::Voted(draw(3) as usize, instance, ballot, value),
        }
    }

    #[test]
    fn what_is_forgotten_breaks_nothing_that_is_not_broken_anyway() {
        let quorums =
            Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities intersect");
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut fallen, mut forgotten) = (BTreeMap::new(), 0);
        for _ in 0..20_000 {
            let (mut whole, mut short) = (History::default(), History::default());
            for name in ["x", "y"] {
                let proposed = Happened::Proposed(Instance::FIRST, Value::from(name));
                drop(whole.record(&quorums, &proposed));
                drop(short.record(&quorums, &proposed));
            }
            for _ in 0..30 {
                let happened = anything(&mut draw, &whole, &quorums);
                drop(whole.record(&quorums, &happened));
                drop(short.record(&quorums, &happened));
                let (expected, found) = (broken(&quorums, &whole), broken(&quorums, &short));
                assert_eq!(found, expected, "at {happened:?}\n{whole:?}\n{short:?}");
                if let Some(claim) = found {
                    *fallen.entry(claim).or_insert(0) += 1;
                    break;
                }
                short.forget_redundant(&quorums);
                forgotten += usize::from(short.votes.len() < whole.votes.len());
            }
        }
        for claim in ["B0", "P2a", "P2b", "P2c", "V1"] {
            assert!(
                fallen.get(claim).is_some_and(|count| *count > 20),
                "{claim} hardly ever fell: {fallen:?}"
            );
        }
        assert!(forgotten > 1000, "hardly anything was forgotten: {forgotten}");
    }
}
