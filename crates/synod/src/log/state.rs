//! The state of a server: of its three roles, and of the log if it keeps one.

use crate::ballot::{Ballot, Instance, Value};
use crate::call::Call;
use crate::cluster::{Cluster, Log, Truncate};
use crate::log::membership;
use crate::log::replica::Replica;
use crate::log::views::View;
use crate::message::Slot;
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
    /// Its part in mastership, where servers take it.
    pub lease: Option<LeaseState>,
    /// The number of a configuration without it, once it was told that it is no member any more.
    pub removed: Option<u64>,
    /// Those that acted as members and are none as far as it knows: it has missed the changes that made them members, or they were removed.
    pub strangers: AcceptorSet,
    /// The acceptors that answer, where members change.
    pub answering: Option<Answering>,
    /// Its snapshots, if the log is truncated.
    pub snapshots: Option<Snapshots>,
}

/// The acceptors that answered the last proposals of this server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Answering {
    /// The last instance in which one answered.
    pub at: Instance,
    /// Those that answered there.
    pub now: AcceptorSet,
    /// Those that answered before.
    pub before: AcceptorSet,
}

impl LogState {
    /// The state in which a server starts: after the commands that the snapshot on stable storage stands for. A snapshot that
    /// this kind of machine did not write counts as none. Then everything that it stands for has to come from other servers.
    ///
    /// # Panics
    ///
    /// If members change, and the cluster is none of which they can, or the snapshot was written under other rules ([`LogState::misfit`]).
    pub(crate) fn new(cluster: &Cluster, log: &Log, saved: Option<Snapshot>) -> LogState {
        let first = Replica::first(cluster, log);
        let misfit = saved.as_ref().and_then(|saved| first.misfit(saved.machine.as_bytes()));
        assert!(misfit.is_none(), "{}", misfit.unwrap_or_default());
        let found = saved.and_then(|saved| {
            Some((first.restored((saved.next, saved.sum), saved.machine.as_bytes())?, saved))
        });
        let next = found.as_ref().map_or(Instance::FIRST, |(_, saved)| saved.next);
        let (replica, saved) = found.map_or((first, None), |(replica, saved)| (replica, Some(saved)));
        let keeps = log.truncate.is_some() || saved.is_some();
        LogState {
            next,
            replica,
            asked: BTreeMap::new(),
            questions: Questions::default(),
            held: None,
            lease: None,
            removed: None,
            strangers: AcceptorSet::EMPTY,
            answering: log.members.as_ref().map(|_| Answering::default()),
            snapshots: keeps.then(|| Snapshots { saved, ..Snapshots::default() }),
        }
    }

    /// The reason why a server of a cluster cannot start from the snapshot on its disk, if it cannot. Whoever starts one asks first, since it would panic.
    pub fn misfit(cluster: &Cluster, saved: Option<&Snapshot>) -> Option<String> {
        let log = cluster.log.as_ref()?;
        let flaw = membership::flaw(cluster, log.members.as_ref()?);
        flaw.or_else(|| Replica::first(cluster, log).misfit(saved?.machine.as_bytes()))
    }

    /// The server whose tenure it is.
    pub(crate) fn tenant(&self) -> Option<Id> {
        self.replica.mastership().map(|last| last.member())
    }

    /// True if clients are heard here: it is this server's tenure, or servers take no mastership and none has.
    pub fn hears_clients(&self, me: Id) -> bool {
        self.tenant().map_or(self.lease.is_none(), |tenant| tenant == me)
    }

    /// The cluster for what is said about all instances that are not executed.
    pub(crate) fn everyone<'c>(&self, cluster: &'c Cluster) -> View<'c> {
        match self.replica.membership() {
            Some(membership) => membership.everyone(),
            None => View::Whole(cluster),
        }
    }

    /// The cluster for what is said about one instance. `None`: its members are not known.
    pub(crate) fn at<'c>(&self, cluster: &'c Cluster, instance: Instance) -> Option<View<'c>> {
        match self.replica.membership() {
            Some(membership) => membership.at(self.next, instance),
            None => Some(View::Whole(cluster)),
        }
    }

    /// True if the promises of these acceptors let their ballot speak for an instance, whose members are known: issue there, or say that nothing
    /// is chosen there by others.
    pub(crate) fn lets_issue(&self, governing: &Cluster, ballot: Ballot, quorum: AcceptorSet) -> bool {
        // Enforces M1, P2c: the members may have changed since they promised. If a quorum of the present ones had not, it could choose something
        // in a lower ballot, unnoticed.
        self.replica.membership().is_none() || governing.quorums.is_met_by(quorum) && governing.counts(ballot)
    }

    /// The first instance that the snapshot on stable storage does not stand for.
    pub(crate) fn saved_below(&self) -> Instance {
        self.saved().map_or(Instance::FIRST, |saved| saved.next)
    }

    /// True if this server may lead: it is a member of the first instance that is not executed, as far as it knows.
    pub(crate) fn may_lead(&self, me: Id) -> bool {
        self.removed.is_none() && self.counts(me)
    }

    /// True if a process was removed, and may be switched off: then nobody needs anything of it, and it needs to learn nothing.
    pub fn may_end(&self, id: Id) -> bool {
        self.replica.membership().is_some_and(|membership| membership.is_removed(id) && membership.may_go())
    }

    /// True if a process is a member of the first instance that is not executed.
    pub(crate) fn counts(&self, id: Id) -> bool {
        let Some(membership) = self.replica.membership() else { return true };
        membership.governing(self.next).is_some_and(|it| it.members.contains(usize::from(id)))
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

    /// True if the server keeps a log whose members change, and may not lead because it is none at present.
    pub(crate) fn is_without_vote(&self, me: Id) -> bool {
        self.log.as_ref().is_some_and(|log| !log.may_lead(me))
    }

    /// True if there is something to bring about. For an elected leader, the first such thing is that it leads.
    pub(crate) fn has_work(&self, cluster: &Cluster) -> bool {
        let takes_over = cluster.election.is_some() && matches!(self.proposer.phase, Phase::Preparing { .. });
        takes_over || self.is_leading_to_something()
    }

    /// True if this server is to take mastership as soon as it can.
    pub(crate) fn is_to_take(&self) -> bool {
        self.log().lease.as_ref().is_some_and(LeaseState::is_due)
    }

    /// True if there is something that this server's ballot, or a higher one, has to bring about.
    pub(crate) fn is_leading_to_something(&self) -> bool {
        let open = match &self.proposer.phase {
            // Executed proposals were dropped, and nothing that was reported or is known is left unissued.
            Phase::Accepting { issued, .. } => !issued.is_empty(),
            _ => false,
        };
        let has_to_fill = self.proposer.phase != Phase::Idle
            && self.log().replica.membership().is_some_and(|it| self.log().next < it.latest_from());
        open || has_to_fill || self.is_to_take() || self.proposer.is_busy() || self.log().questions.are_open()
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

    /// True if any question waits for a ballot.
    pub(crate) fn wait_for_a_ballot(&self) -> bool {
        self.open.values().any(|question| question.needs == Needs::Ballot)
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
    /// True if another server was sent a chunk of the one on stable storage.
    pub is_fetched: bool,
    /// An earlier one that another server fetches.
    pub lent: Option<Lent>,
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

/// A snapshot that is kept although a newer one was saved, since another server fetches it. A crash forgets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lent {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The number of snapshots that may be saved after this until it is dropped.
    pub left: u64,
    /// True if a chunk of it was asked for since the last snapshot was saved. One that nobody asked for is dropped at the next.
    pub is_fetched: bool,
}

/// A snapshot that is on its way here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arriving {
    /// The snapshot: all commands below this instance were executed.
    pub of: Instance,
    /// The machine's checksum there.
    pub sum: u64,
    /// The snapshot's length in bytes.
    pub length: u64,
    /// The chunks that came, up to the first that is missing.
    pub chunks: Vec<Value>,
    /// The bytes of these chunks: the place of the first that is missing.
    pub received: u64,
    /// The chunks that came beyond that, by the place of their first byte. They are fewer than those that are asked for at a time.
    pub beyond: BTreeMap<u64, Value>,
    /// The number of times that the timer rang since a chunk came.
    pub rings: u8,
}

impl Arriving {
    /// The end of what was asked for.
    pub(crate) fn asked(&self, truncate: &Truncate) -> u64 {
        let ahead = truncate.ahead.saturating_mul(truncate.chunk as u64);
        self.received.saturating_add(ahead).min(self.length)
    }

    /// The places of the chunks that were asked for, or have to be, and did not come.
    pub(crate) fn missing(&self, truncate: &Truncate) -> impl Iterator<Item = u64> {
        let places = (self.received..self.asked(truncate)).step_by(truncate.chunk);
        places.filter(|at| !self.beyond.contains_key(at))
    }

    /// The places of the chunks to ask for again: those that a later one overtook, which are lost, or else the first that is missing.
    pub(crate) fn lost(&self, truncate: &Truncate) -> impl Iterator<Item = u64> {
        let last = self.beyond.keys().next_back().copied().unwrap_or(self.received);
        self.missing(truncate).take_while(move |at| *at <= last)
    }

    /// Takes a chunk that was missing.
    pub(crate) fn take(&mut self, at: u64, bytes: Value) {
        self.beyond.insert(at, bytes);
        while let Some(next) = self.beyond.remove(&self.received) {
            self.received += next.as_bytes().len() as u64;
            self.chunks.push(next);
        }
    }

    pub(crate) fn whole(&self) -> Value {
        let mut whole = Vec::with_capacity(self.received as usize);
        self.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk.as_bytes()));
        Value::from(whole.as_slice())
    }
}

/// A server's own part in mastership. A crash forgets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LeaseState {
    /// The timer that ends its mastership; `None` if it does not believe itself master.
    pub held: Option<Slot>,
    /// Its take that is not decided yet.
    pub open: Option<Open>,
    /// True while it leaves mastership to the server that took it.
    pub respects: bool,
    /// True if it is time to take mastership, or to renew it.
    pub wants: bool,
}

/// A take that was proposed and is not decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// The value in the log.
    pub value: Value,
    /// The timer that was set before it was proposed, as long as it runs and the server has not yielded.
    pub runs: Option<Slot>,
}

impl LeaseState {
    /// True if this server believes itself master.
    pub fn is_master(&self) -> bool {
        self.held.is_some()
    }

    /// True if a take is to be proposed as soon as this server can.
    pub(crate) fn is_due(&self) -> bool {
        self.wants && !self.respects && self.open.is_none()
    }
}
