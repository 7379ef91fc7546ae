//! The configuration that every process knows: which roles each process plays, what a quorum is, and how values are learned. It
//! is fixed for a run.

use crate::ballot::{Ballot, Instance, Value};
use crate::election::Election;
use crate::machine::Machine;
use crate::per_instance::ITEM_COSTS;
use crate::quorum::Quorums;
use stateright::actor::Id;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The ways in which learners find out that a value was chosen (PMS §2.3). All are configuration of one learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Every acceptor tells every learner. This costs one delay, and as many messages as acceptors times learners.
    Everyone,
    /// Acceptors tell these learners (indices into [`Cluster::learners`]), which inform the others. One such learner is the
    /// distinguished learner of PMS; there may be several. This costs fewer messages and one delay more, and one of them must
    /// stay up.
    Distinguished(Vec<usize>),
    /// The proposer counts the answers to its own Accept and announces the choice. This costs the fewest messages. The
    /// announcement is lost with the proposer.
    Proposer,
}

/// The bytes that a message costs besides the items and bytes that it carries: its kind, and at most six numbers of at most ten
/// bytes each.
const MESSAGE_COSTS: usize = 64;

/// The roles that processes play, by their ids.
// Fields: the processes of each role, and one for each limit that all of them share.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The acceptors, in the order in which quorums count them.
    pub acceptors: Vec<Id>,
    /// The proposers, each with the number that its ballots carry. A proposer owns only ballots with its number.
    pub proposers: Vec<(Id, u16)>,
    /// The learners.
    pub learners: Vec<Id>,
    /// Clients that learners answer when they learn a value.
    pub clients: Vec<Id>,
    /// The number of instances at which a server lets clients wait for an answer, and the number of clients at each. Clients that
    /// wait nowhere else may take as many places again. A request beyond that is ignored, and the client asks again. With 0 no
    /// client waits, and no read is answered that needs a ballot. Clients listed in `clients` do not count, since the learners
    /// tell them.
    pub waiting_limit: usize,
    /// The longest value, in bytes, that a process takes from a client, and that it makes of commands that share an instance.
    pub max_value: usize,
    /// The longest value, in bytes, that a process accepts from a proposer. A longer one is ignored, so that a report about any accepted
    /// value fits into [`Cluster::longest_message`]. No process may have a `max_value` above that of any other process here: what it
    /// proposes is not chosen otherwise, and neither is anything after it. So this is no setting that changes while processes run.
    pub max_accepted: usize,
    /// The bytes that a process keeps of long values that clients wait for. A value is long if it exceeds an even share of this:
    /// one `waiting_limit`-th. A long value beyond the limit is ignored, and the client asks again; one is always kept. Together
    /// with as many short values as `waiting_limit` allows, at most twice this number of bytes is kept.
    pub keeps: usize,
    /// The quorums. Their size is the number of acceptors.
    pub quorums: Quorums,
    /// The way in which learners learn.
    pub learning: Learning,
    /// If true, an acceptor tells a proposer that it was refused. This is a courtesy (PMS §2.2, end), never needed for safety.
    /// But a leader of a log that was overtaken goes on sending its proposals if nobody tells it.
    pub nacks: bool,
    /// The most bytes of values that one message reports, in promises and in answers to learners that are behind. A single longer
    /// value goes alone.
    pub report: usize,
    /// The log, if servers keep one and choose the instance of each command themselves (PMS §3). Without a log each instance
    /// stands for itself, and clients name it.
    pub log: Option<Log>,
    /// The election of a leader, who alone begins ballots. Without an election every process that is asked begins them.
    pub election: Option<Election>,
}

/// The settings that all servers of a log share.
#[derive(Clone, Debug)]
pub struct Log {
    /// The window: instance i + alpha may be proposed in once 1 to i are known to be chosen (PMS §3). At least 1.
    pub alpha: u64,
    /// The most commands that share an instance. Only commands that wait while the window is full do. 1: each has its own.
    pub batch: usize,
    /// The machine before the first command.
    pub machine: Arc<dyn Machine>,
    /// The time for which a server that has seen another's Accept holds back its own submissions. `None`: it does not hold them
    /// back.
    pub hold_off: Option<Range<Duration>>,
    /// The time between two questions of a server to the others about what it has missed. `None`: it never asks.
    pub catch_up: Option<Range<Duration>>,
    /// The rule for snapshots, if servers take them and forget the log below. Once one server has, all must go on doing so, since
    /// a server that is behind needs the snapshot.
    pub truncate: Option<Truncate>,
    /// The rule by which this server takes mastership when it leads, if it does. A master answers questions from what it has executed, without asking the
    /// others, and commands are taken by the master alone (spec E2). What stands in the log means the same with this rule and without. But a server without it
    /// never takes mastership: if it leads after another server took it, clients wait until it leads no more. So all servers should have it, or none.
    pub master: Option<Lease>,
    /// The rule by which members change, if they do. The cluster then lists all processes that can be members, each acceptor at the place
    /// that is its id, and its quorums count the members of the first configuration.
    pub members: Option<Members>,
}

/// The rule by which members change through the log (spec E3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Members {
    /// The ids of those who may ask for a change. Neither a peer nor a client has one.
    pub operators: Range<usize>,
    /// The most instances that a new member may be behind when its wish to join is executed.
    pub lag: u64,
    /// The number of this process's data directory, which stands in its wish to join. So the log says which disk joined under an id.
    pub directory: Option<u64>,
    /// True if each member has an operator of its own, which speaks with no other: the one at the member's place in `operators`. What it asks of a
    /// member that does not lead is relayed to one that does, and the answer comes back the same way.
    pub relays: bool,
}

/// The durations of mastership, which is taken through the log (spec E1).
///
/// If clocks gain or lose at most e of real time, no two servers are master at one moment, if `hold` / (1 - e) is *less* than `lease` / (1 + e). If they
/// are equal, one may begin at the moment at which the other ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The time for which a server is master by a take, counted from before it proposes it.
    pub hold: Duration,
    /// The time for which others leave mastership alone, counted from when they execute a take. Whole milliseconds.
    pub lease: Duration,
    /// The time after which a master takes mastership once more, counted from when it executed the take before. `None`: when its time is over.
    pub renew: Option<Range<Duration>>,
    /// The time after which a server that has just started wants mastership for the first time. `None`: once it has left it to another.
    pub seek: Option<Range<Duration>>,
}

/// The instances at which servers take snapshots, and what they keep and send of them (spec D9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// Snapshots are due at every instance that is a multiple of this. At least 1.
    pub every: u64,
    /// A snapshot is also due once the values that were executed since the last one was due cost so many bytes.
    pub every_bytes: u64,
    /// The number of instances below a snapshot that are kept all the same. A server that is behind by no more catches up from
    /// the log.
    pub spare: u64,
    /// The most bytes that the values of these instances cost. Of longer values fewer instances are kept.
    pub spare_bytes: u64,
    /// The bytes of a snapshot that one message holds. At least 1.
    pub chunk: usize,
    /// The number of chunks that a server asks for before the first of them has come. At least 1.
    pub ahead: u64,
    /// The longest snapshot, in bytes, that is taken over from another server.
    pub most: u64,
}

impl Truncate {
    /// True if a snapshot is due below an instance, where the values that were executed since the last one was due cost so many bytes. Both are
    /// functions of the log, so all servers take their snapshots at the same instances.
    pub(crate) fn is_due(&self, next: Instance, executed: u64) -> bool {
        next.0.is_multiple_of(self.every) || executed >= self.every_bytes
    }
}

impl Cluster {
    /// The index of an acceptor, `None` for any other process. Where members change it is the id, whoever else is a member.
    pub(crate) fn acceptor(&self, id: Id) -> Option<usize> {
        let place = self.acceptors.iter().position(|acceptor| *acceptor == id)?;
        Some(if self.has_members_that_change() { usize::from(id) } else { place })
    }

    /// All acceptors with their indices.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = (usize, Id)> + '_ {
        let changes = self.has_members_that_change();
        self.acceptors
            .iter()
            .enumerate()
            .map(move |(place, id)| (if changes { usize::from(*id) } else { place }, *id))
    }

    /// True if a ballot is one of a proposer of this cluster.
    pub(crate) fn counts(&self, ballot: Ballot) -> bool {
        self.proposers.iter().any(|(_, number)| *number == ballot.proposer)
    }

    fn has_members_that_change(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.members.is_some())
    }

    /// True if a client may wait once more, where clients wait at `instances` instances and `here` clients wait at this one, if
    /// any does. So the memory that clients can take is bounded. When all places are taken, there are as many again for clients
    /// that wait nowhere yet, so that a client that asks for much at a time shuts nobody out.
    pub(crate) fn has_room(
        &self,
        instances: usize,
        here: Option<usize>,
        waits: impl FnOnce() -> bool,
    ) -> bool {
        match here {
            Some(clients) => clients < self.waiting_limit,
            None => instances < self.waiting_limit || (instances < 2 * self.waiting_limit && !waits()),
        }
    }

    /// True if there is room for one more value beside those that are kept. Where there is no room the newest value has to wait:
    /// the earlier ones may already be on their way to be chosen.
    pub(crate) fn has_room_for<'v>(&self, value: &Value, kept: impl Iterator<Item = &'v Value>) -> bool {
        let length = |value: &Value| value.as_bytes().len();
        let share = self.keeps / self.waiting_limit.max(1);
        if length(value) <= share {
            return true;
        }
        let long: usize = kept.map(length).filter(|kept| *kept > share).sum();
        long == 0 || long.saturating_add(length(value)) <= self.keeps
    }

    /// The longest message about values that members accept, or with a chunk of a snapshot, in bytes when encoded with
    /// variable-length numbers. The length of a machine's output is the machine's to bound.
    pub fn longest_message(&self) -> usize {
        let chunk =
            self.log.as_ref().and_then(|log| log.truncate.as_ref()).map_or(0, |truncate| truncate.chunk);
        let report = self.report.max(self.max_accepted.saturating_add(ITEM_COSTS));
        report.max(chunk).saturating_add(MESSAGE_COSTS)
    }

    /// The processes that are told of an acceptance, besides the proposer that asked for it.
    pub(crate) fn told_of_acceptance(&self) -> Vec<Id> {
        match &self.learning {
            Learning::Everyone => self.learners.clone(),
            Learning::Distinguished(indices) => {
                indices.iter().filter_map(|index| self.learners.get(*index).copied()).collect()
            }
            Learning::Proposer => Vec::new(),
        }
    }

    /// The learners that acceptors do not tell. The first process that finds out informs them.
    pub(crate) fn to_inform(&self) -> Vec<Id> {
        let told = self.told_of_acceptance();
        self.learners.iter().filter(|id| !told.contains(id)).copied().collect()
    }
}
