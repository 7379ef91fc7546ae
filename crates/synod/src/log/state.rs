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
    /// The clients that asked for a value and are to be answered once one is learned, each once per instance. A crash forgets
    /// them, and they have to ask again.
    pub waiting: PerInstance<BTreeSet<Id>>,
    /// The state of the log, if the server keeps one.
    pub log: Option<Box<LogState>>,
}

impl ServerState {
    /// The value that the server itself knows to be chosen in an instance.
    pub(crate) fn known(&self, instance: Instance) -> Option<&Value> {
        self.learner.learned.get(&instance)
    }
}

/// The further state of a server that keeps a log. A crash forgets it, and the server learns it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogState {
    /// The first instance that is not known to be chosen. All instances below were executed.
    pub next: Instance,
    /// The machine after the commands below `next`.
    pub replica: Replica,
    /// The calls that wait for an output, and the value in the log that each waits for.
    pub asked: BTreeMap<Call, Value>,
    /// Questions that are answered without the log, once leadership is confirmed.
    pub questions: Questions,
    /// The server that was seen to lead, while this one holds back its own submissions.
    pub held: Option<Id>,
    /// Its snapshots, if the log is truncated.
    pub snapshots: Option<Snapshots>,
}

impl LogState {
    /// The state in which a server starts: after the commands that the snapshot on stable storage stands for. A snapshot that
    /// this kind of machine did not write counts as none. Then everything that it stands for has to come from other servers.
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
    /// The log's state.
    ///
    /// # Panics
    ///
    /// If the server keeps no log.
    pub(crate) fn log(&self) -> &LogState {
        self.log.as_ref().expect(KEPT)
    }

    pub(crate) fn log_mut(&mut self) -> &mut LogState {
        self.log.as_mut().expect(KEPT)
    }

    /// The highest instance in which anything may have been chosen, as far as a leader can know: the highest that it knows to be
    /// chosen, that its phase-1 quorum reported, or in which it issued.
    pub(crate) fn top(&self) -> Option<Instance> {
        let last = |instance: Option<&Instance>| instance.copied();
        let known = last(self.learner.learned.keys().next_back());
        let Phase::Accepting { reports, issued, .. } = &self.proposer.phase else { return known };
        known.max(last(reports.keys().next_back())).max(last(issued.keys().next_back()))
    }

    /// True if there is something to bring about. For an elected leader, the first such thing is that it leads.
    pub(crate) fn has_work(&self, cluster: &Cluster) -> bool {
        let takes_over = cluster.election.is_some() && matches!(self.proposer.phase, Phase::Preparing { .. });
        takes_over || self.is_leading_to_something()
    }

    /// True if there is something that this server's ballot, or a higher one, has to bring about.
    pub(crate) fn is_leading_to_something(&self) -> bool {
        let open = match &self.proposer.phase {
            // Executed proposals were dropped, and nothing that was reported or is known is left unissued.
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
    /// The acceptors that have confirmed in it.
    pub confirmed: AcceptorSet,
    /// The open questions, by their calls.
    pub open: BTreeMap<Call, Question>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// A command that changes nothing.
    pub command: Value,
    /// The condition under which it can be answered.
    pub needs: Needs,
}

/// The conditions that a question waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// A ballot has finished phase 1.
    Ballot,
    /// A phase-2 quorum confirms this round, and then all instances below this one are executed.
    Round(u64, Instance),
    /// All instances below this one are executed. A round that began after the question came has been confirmed.
    Index(Instance),
}

impl Questions {
    /// True if any question is open.
    pub(crate) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Has all questions wait for the next ballot, since this one is given up: as if they had come only now.
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

/// A snapshot: it takes the place of the log's beginning.
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
    /// The machine that is to be written next, and where it was. It waits until it is written, and no later one takes its place.
    pub due: Option<(Instance, Replica)>,
    /// The bytes that the values cost which were executed since a snapshot was due.
    pub executed: u64,
    /// The instance below which the log may be forgotten, as long as that is not done yet.
    pub forget: Option<Instance>,
    /// Another server's snapshot, as far as it has come.
    pub arriving: Option<Arriving>,
    /// Servers that are known to have executed something else. They stay in this set: once two histories differ, their checksums
    /// stay different.
    pub differ: BTreeSet<Id>,
}

/// A snapshot that is on its way here. Chunks are taken in their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arriving {
    /// The snapshot: all commands below this instance were executed.
    pub of: Instance,
    /// The machine's checksum there.
    pub sum: u64,
    /// The snapshot's length in bytes.
    pub length: u64,
    /// The chunks that came.
    pub chunks: Vec<Value>,
    /// True if the next chunk was asked for a second time.
    pub asked_again: bool,
}

impl Arriving {
    pub(crate) fn received(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.as_bytes().len() as u64).sum()
    }

    pub(crate) fn whole(&self) -> Value {
        let mut whole = Vec::with_capacity(self.received() as usize);
        self.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk.as_bytes()));
        Value::from(whole.as_slice())
    }
}
