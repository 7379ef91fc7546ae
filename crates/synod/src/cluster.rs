//! What every process knows of the others: who plays which part, what a quorum is, who learns how. Fixed for a run.

use crate::ballot::Value;
use crate::election::Election;
use crate::machine::Machine;
use crate::per_instance::ENTRY_COSTS;
use crate::quorum::Quorums;
use stateright::actor::Id;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How learners find out that a value was chosen (PMS §2.3). All are configuration of one learner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Every acceptor tells every learner: acceptors times learners messages, one delay.
    Everyone,
    /// Acceptors tell these learners (indices into [`Cluster::learners`]), and they inform the rest. With one this is
    /// the distinguished learner, with more a set of them: fewer messages, one delay more, and some must stay up.
    Distinguished(Vec<usize>),
    /// The proposer counts the answers to its own Accept and announces the choice: fewest messages, and lost with it.
    Proposer,
}

/// What a message costs besides the entries and bytes that it carries: its kind, and at most six numbers of at most ten bytes each.
const MESSAGE_COSTS: usize = 64;

/// The parts that processes play, by their ids.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The acceptors, in the order in which quorums count them.
    pub acceptors: Vec<Id>,
    /// The proposers, each with the number that its ballots carry. A ballot of another number is none of its own.
    pub proposers: Vec<(Id, u16)>,
    /// The learners.
    pub learners: Vec<Id>,
    /// Clients that learners answer when they learn a value.
    pub clients: Vec<Id>,
    /// At how many instances a server lets other clients wait for an answer, and how many at each; at twice as many if each
    /// of those beyond is the only one of its client. What is asked beyond that is ignored, and asked again. With 0 nobody is remembered, and no read is answered that needs a ballot. Whoever is
    /// among `clients` is told by the learners.
    pub waiting_limit: usize,
    /// The longest value, in bytes, that is taken of a client and accepted of a proposer. A longer one is ignored: so whatever a member
    /// has to say about a value that it accepted fits into [`Cluster::longest_message`].
    pub max_value: usize,
    /// How many bytes of values that clients wait for a process keeps, of those that are longer than an even share of this: one
    /// `waiting_limit`-th. A further one is ignored, and asked again; at least one is always kept. With as many short ones as
    /// `waiting_limit` allows it is at most twice this.
    pub keeps: usize,
    /// Which acceptors make a quorum. Its size is the number of acceptors.
    pub quorums: Quorums,
    /// How learners learn.
    pub learning: Learning,
    /// Whether an acceptor tells a proposer that it was refused. A courtesy (PMS §2.2, end), never needed for safety; but
    /// without it a leader of a log that was overtaken goes on sending its proposals again.
    pub nacks: bool,
    /// How many bytes of values one message reports at most: promises and answers to learners that are behind. A single
    /// longer value goes alone.
    pub report: usize,
    /// Whether servers keep a log and choose the instance of each command themselves (PMS §3); if not, every instance stands for
    /// itself and clients name it.
    pub log: Option<Log>,
    /// Who begins ballots: whoever is elected, or, where there is no election, everyone who is asked.
    pub election: Option<Election>,
}

/// What servers that keep a log agree upon.
#[derive(Clone, Debug)]
pub struct Log {
    /// The window: instance i + alpha may be proposed in once 1 to i are known to be chosen (PMS §3). At least 1.
    pub alpha: u64,
    /// The machine before the first command.
    pub machine: Arc<dyn Machine>,
    /// How long a server that has seen another's Accept holds its own submissions back; `None`: it does not.
    pub hold_off: Option<Range<Duration>>,
    /// How often a server asks the others what it has missed; `None`: never.
    pub catch_up: Option<Range<Duration>>,
    /// Whether servers take snapshots and forget the log below them. Once one has, all must go on doing so: who is behind needs
    /// the snapshot.
    pub truncate: Option<Truncate>,
}

/// When servers take snapshots, and what they keep and send of them (spec D9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// A snapshot is taken at every instance that is a multiple of this. At least 1.
    pub every: u64,
    /// So many instances below a snapshot are kept all the same: whoever is behind by no more catches up from the log.
    pub spare: u64,
    /// How many bytes of a snapshot one message holds. At least 1.
    pub part: usize,
    /// How many bytes a snapshot may have to be taken over from another server.
    pub most: u64,
}

impl Cluster {
    /// The index of an acceptor, `None` for any other process.
    pub(crate) fn acceptor(&self, id: Id) -> Option<usize> {
        self.acceptors.iter().position(|acceptor| *acceptor == id)
    }

    /// Whether a client may wait once more, where some wait at so many instances, and so many `here` if any does: what is
    /// kept is bounded, whatever is asked. When all places are taken, there are as many again for clients that do not wait
    /// anywhere yet, so that one who asks for much at a time shuts nobody out.
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

    /// Whether one more value is kept beside those that are. Where there is no room, the newest has to wait: what came first may
    /// already be on its way to be chosen.
    pub(crate) fn has_room_for<'v>(&self, value: &Value, kept: impl Iterator<Item = &'v Value>) -> bool {
        let length = |value: &Value| value.as_bytes().len();
        let share = self.keeps / self.waiting_limit.max(1);
        if length(value) <= share {
            return true;
        }
        let long: usize = kept.map(length).filter(|kept| *kept > share).sum();
        long == 0 || long.saturating_add(length(value)) <= self.keeps
    }

    /// No message about values that members accept, nor a part of a snapshot, is longer when encoded with variable-length numbers.
    /// What a machine says to a command is the machine's to bound.
    pub fn longest_message(&self) -> usize {
        let part =
            self.log.as_ref().and_then(|log| log.truncate.as_ref()).map_or(0, |truncate| truncate.part);
        let report = self.report.max(self.max_value.saturating_add(ENTRY_COSTS));
        report.max(part).saturating_add(MESSAGE_COSTS)
    }

    /// Who is told of an acceptance, besides the proposer that asked for it.
    pub(crate) fn told_of_acceptance(&self) -> Vec<Id> {
        match &self.learning {
            Learning::Everyone => self.learners.clone(),
            Learning::Distinguished(indices) => {
                indices.iter().filter_map(|index| self.learners.get(*index).copied()).collect()
            }
            Learning::Proposer => Vec::new(),
        }
    }

    /// The learners that are not told by acceptors, and so must be informed by whoever finds out first.
    pub(crate) fn to_inform(&self) -> Vec<Id> {
        let told = self.told_of_acceptance();
        self.learners.iter().filter(|id| !told.contains(id)).copied().collect()
    }
}
