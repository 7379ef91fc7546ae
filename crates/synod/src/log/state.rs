//! The state of a server: of its three roles, and of the log if it keeps one.

use crate::ballot::{Instance, Value};
use crate::call::Call;
use crate::cluster::{Cluster, Log};
use crate::log::replica::Replica;
use crate::per_instance::PerInstance;
use crate::quorum::AcceptorSet;
use crate::roles::acceptor::AcceptorState;
use crate::roles::learner::LearnerState;
use crate::roles::proposer::{Phase, ProposerState};
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};

/// The states of a server's three roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerState {
    /// As acceptor.
    pub acceptor: AcceptorState,
    /// As proposer.
    pub proposer: ProposerState,
    /// As learner.
    pub learner: LearnerState,
    /// Who asked for a value and is to be answered once one is learned: each client once an instance. Forgotten in a
    /// crash, after which clients have to ask again.
    pub waiting: PerInstance<BTreeSet<Id>>,
    /// Where it keeps a log: how far it has executed it, and who waits for that.
    pub log: Option<Box<LogState>>,
}

impl ServerState {
    /// What the server itself knows to be chosen.
    pub(crate) fn known(&self, instance: Instance) -> Option<&Value> {
        self.learner.learned.get(&instance)
    }
}

/// What a server that keeps a log knows besides. Forgotten in a crash, and learned again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogState {
    /// The first instance that is not known to be chosen; all below were executed.
    pub next: Instance,
    /// The machine after the commands below `next`.
    pub replica: Replica,
    /// Which calls wait for the output of which entry.
    pub asked: BTreeMap<Call, Value>,
    /// Questions that are answered without the log, once leadership is confirmed.
    pub questions: Questions,
    /// Who was seen to lead, while this server holds its own submissions back.
    pub held: Option<Id>,
    /// Its snapshots, where the log is truncated.
    pub snapshots: Option<Snapshots>,
}

impl LogState {
    /// Begins where the snapshot on stable storage ends. One that no machine like this has written is as good as none: then all that
    /// it took the place of has to come from others.
    pub(crate) fn new(log: &Log, saved: Option<Snapshot>) -> LogState {
        let first = Replica::new(log.machine.clone());
        let found = saved.and_then(|saved| Some((first.restored(saved.machine.as_bytes())?, saved)));
        let next = found.as_ref().map_or(Instance::FIRST, |(_, saved)| saved.next);
        let (replica, saved) = found.map_or((first, None), |(replica, saved)| (replica, Some(saved)));
        let keeps = log.truncate.is_some() || saved.is_some();
        LogState {
            next,
            replica,
            asked: BTreeMap::new(),
            questions: Questions::default(),
            held: None,
            snapshots: keeps.then(|| Snapshots { saved, ..Snapshots::default() }),
        }
    }

    /// Servers that are known to have executed something else.
    pub(crate) fn differ(&self) -> Option<&BTreeSet<Id>> {
        self.snapshots.as_ref().map(|snapshots| &snapshots.differ)
    }

    /// The snapshot on stable storage.
    pub(crate) fn saved(&self) -> Option<&Snapshot> {
        self.snapshots.as_ref().and_then(|snapshots| snapshots.saved.as_ref())
    }
}

const KEPT: &str = "a server that keeps a log was made with one";

impl ServerState {
    /// Of a server that keeps a log.
    pub(crate) fn log(&self) -> &LogState {
        self.log.as_ref().expect(KEPT)
    }

    pub(crate) fn log_mut(&mut self) -> &mut LogState {
        self.log.as_mut().expect(KEPT)
    }

    /// The highest instance in which anything may have been chosen, as far as a leader can know: what it knows to be
    /// chosen, what its phase-1 quorum reported, and what it issued.
    pub(crate) fn top(&self) -> Option<Instance> {
        let last = |instance: Option<&Instance>| instance.copied();
        let known = last(self.learner.learned.keys().next_back());
        let Phase::Accepting { reports, issued, .. } = &self.proposer.phase else { return known };
        known.max(last(reports.keys().next_back())).max(last(issued.keys().next_back()))
    }

    /// Whether there is something to be brought about: for an elected leader, to begin with, that it leads.
    pub(crate) fn has_work(&self, cluster: &Cluster) -> bool {
        let takes_over = cluster.election.is_some() && matches!(self.proposer.phase, Phase::Preparing { .. });
        takes_over || self.is_leading_to_something()
    }

    /// Whether there is something that this server's ballot, or a higher one, has to bring about.
    pub(crate) fn is_leading_to_something(&self) -> bool {
        let open = match &self.proposer.phase {
            // What is executed was dropped, and below whatever was reported or is known all is issued.
            Phase::Accepting { issued, .. } => !issued.is_empty(),
            _ => false,
        };
        open || self.proposer.is_busy() || self.log().questions.are_open()
    }
}

/// Questions to a leader, and the round in which it confirms that it still leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Questions {
    /// The round of confirmation that is under way or was the last; numbers the rounds of all ballots.
    pub round: u64,
    /// Who has confirmed in it.
    pub confirmed: AcceptorSet,
    /// Who asks what, in which of its calls.
    pub open: BTreeMap<Call, Question>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// A command that changes nothing.
    pub command: Value,
    /// What has to come about before it can be answered.
    pub needs: Needs,
}

/// What a question waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// A ballot that is through with phase 1.
    Ballot,
    /// That this round confirms, and then that all below the instance is executed.
    Round(u64, Instance),
    /// That all below this instance is executed; a round that was begun after the question came has confirmed.
    Index(Instance),
}

impl Questions {
    /// Whether somebody waits for an answer.
    pub(crate) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The ballot is given up: they wait for the next, as if they had come only now.
    pub(crate) fn put_off(&mut self) {
        self.open.values_mut().for_each(|question| question.needs = Needs::Ballot);
        self.confirmed = AcceptorSet::EMPTY;
    }

    pub(crate) fn waits_for(&self, round: u64) -> bool {
        self.open
            .values()
            .any(|question| matches!(question.needs, Needs::Round(needed, _) if needed == round))
    }
}

/// What takes the place of the log's beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// All commands below were executed.
    pub next: Instance,
    /// The machine's checksum then.
    pub sum: u64,
    /// The machine, as it writes itself.
    pub machine: Value,
}

/// A server's snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshots {
    /// The one on stable storage.
    pub saved: Option<Snapshot>,
    /// The machine that is to be written next, and where it was.
    pub due: Option<(Instance, Replica)>,
    /// Another's, as far as it has come.
    pub arriving: Option<Arriving>,
    /// Servers that are known to have executed something else. They never come back: what a checksum stands for only grows.
    pub differ: BTreeSet<Id>,
}

/// A snapshot that is on its way here. Parts are taken in their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arriving {
    /// Which it is: all commands below were executed.
    pub of: Instance,
    /// And with this checksum.
    pub sum: u64,
    /// How many bytes it has.
    pub length: u64,
    /// The first of them.
    pub chunks: Vec<Value>,
    /// Whether the part that is due was asked for a second time.
    pub asked_again: bool,
}

impl Arriving {
    pub(crate) fn received(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.as_bytes().len() as u64).sum()
    }

    pub(crate) fn whole(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(Value::as_bytes).copied().collect()
    }
}
