//! The parts of a status that are read from the actor's state.

use super::told::{BallotTold, LogTold, MasterTold, Role, StoreTold, WaitingTold};
use crate::changing::IDS;
use crate::wiring::Wiring;
use synod::{LeaseState, Phase, ProcessState, ServerState, Value};
use synod_apply::{Sizes, sizes};

/// The most known instances above the first unknown one that are counted. More are not open at once.
const COUNTED: usize = 1 << 16;

/// The facts in which a change is worth a line in the log of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) role: Role,
    pub(super) leader: Option<u64>,
    /// The member's own ballot.
    pub(super) own: Option<BallotTold>,
    /// The highest ballot that it knows.
    pub(super) ballot: Option<BallotTold>,
    /// The first instance that it has not executed.
    pub(super) executed: Option<u64>,
    pub(super) snapshot: Option<u64>,
    pub(super) is_arriving: bool,
    pub(super) differ: usize,
}

impl Facts {
    pub(super) const OUTSIDE: Facts = Facts {
        role: Role::Outside,
        leader: None,
        own: None,
        ballot: None,
        executed: None,
        snapshot: None,
        is_arriving: false,
        differ: 0,
    };

    pub(super) fn of(state: Option<&ProcessState>, wiring: &Wiring, me: u64) -> Facts {
        let Some(ProcessState::Server(server)) = state else { return Facts::OUTSIDE };
        let (own, is_leading) = match &server.proposer.phase {
            Phase::Idle => (None, false),
            Phase::Preparing { ballot, .. } => (Some(BallotTold::from(*ballot)), false),
            Phase::Accepting { ballot, .. } => (Some(BallotTold::from(*ballot)), true),
        };
        let log = server.log.as_deref();
        let snapshots = log.and_then(|log| log.snapshots.as_ref());
        let leader = leader(server, wiring, me, is_leading);
        let role = match own {
            Some(_) if !is_leading => Role::Preparing,
            _ if is_leading || leader == Some(me) => Role::Leader,
            _ => Role::Follower,
        };
        Facts {
            role,
            leader,
            own,
            ballot: own.max(server.acceptor.promised.map(BallotTold::from)),
            executed: log.map(|log| log.next.0),
            snapshot: snapshots.and_then(|it| it.saved.as_ref()).map(|saved| saved.next.0),
            is_arriving: snapshots.is_some_and(|it| it.arriving.is_some()),
            differ: snapshots.map_or(0, |it| it.differ.len()),
        }
    }
}

/// The member that a server takes for the leader. Of one that it follows it must have heard that a quorum follows it.
fn leader(server: &ServerState, wiring: &Wiring, me: u64, is_leading: bool) -> Option<u64> {
    if wiring.election.is_none() {
        let held = server.log.as_ref().and_then(|log| log.held);
        return held.map(|id| usize::from(id) as u64).or_else(|| is_leading.then_some(me));
    }
    let election = &server.proposer.election;
    let followed = match wiring.changing {
        None => wiring.members[election.followed(wiring.members.len())?],
        // All that can be members have their places, by their ids.
        Some(_) => election.followed(IDS as usize)? as u64,
    };
    let is_leader = if followed == me { election.ready } else { election.backed };
    is_leader.then_some(followed)
}

/// Mastership, as far as it was executed.
pub(super) fn master(server: &ServerState) -> Option<MasterTold> {
    let log = server.log.as_deref()?;
    let last = log.replica.mastership()?;
    Some(MasterTold {
        member: usize::from(last.member()) as u64,
        token: last.token.0,
        since: last.since.0,
        lease_ms: last.lease,
        here: log.lease.as_ref().is_some_and(LeaseState::is_master),
    })
}

pub(super) fn log(server: &ServerState, window: Option<u64>, bytes: u64) -> LogTold {
    let learned = &server.learner.learned;
    let log = server.log.as_deref();
    let executed = log.map(|log| log.next.0);
    let highest = learned.keys().next_back().map_or(0, |instance| instance.0 + 1);
    let chosen = highest.max(executed.unwrap_or(0));
    let gaps = log.map_or(0, |log| {
        let known = learned.range(log.next..).take(COUNTED).count() as u64;
        chosen.saturating_sub(log.next.0).saturating_sub(known)
    });
    let open = match &server.proposer.phase {
        Phase::Accepting { issued, .. } if log.is_some() => issued.len() as u64,
        _ => 0,
    };
    let snapshots = log.and_then(|log| log.snapshots.as_ref());
    let arriving = snapshots.and_then(|it| it.arriving.as_ref());
    let came = |chunks: &[synod::Value]| chunks.iter().map(|chunk| chunk.as_bytes().len() as u64).sum();
    LogTold {
        chosen,
        executed,
        snapshot: snapshots.and_then(|it| it.saved.as_ref()).map(|saved| saved.next.0),
        start: server.acceptor.log_start.0,
        bytes,
        gaps,
        open,
        window,
        arriving: arriving.map(|it| (came(&it.chunks), it.length)),
        differ: snapshots.into_iter().flat_map(|it| &it.differ).map(|id| usize::from(*id) as u64).collect(),
    }
}

/// The bytes of the values in the log. An instance has a value as the acceptor has it and one as it was learned, which are most often the same and in
/// memory twice. This looks at each of them.
pub(super) fn kept_bytes(server: &ServerState) -> u64 {
    let length = |value: &Value| value.as_bytes().len() as u64;
    let accepted = server.acceptor.accepted.values().take(COUNTED).map(|proposal| length(&proposal.value));
    accepted.chain(server.learner.learned.values().take(COUNTED).map(length)).sum()
}

/// The length in bytes of the snapshot on the disk.
pub(super) fn snapshot_bytes(server: &ServerState) -> u64 {
    let snapshots = server.log.as_ref().and_then(|log| log.snapshots.as_ref());
    let saved = snapshots.and_then(|snapshots| snapshots.saved.as_ref());
    saved.map_or(0, |saved| saved.machine.as_bytes().len() as u64)
}

/// The sizes of the machine.
pub(super) fn store(server: &ServerState) -> Option<StoreTold> {
    let Sizes { keys, sessions, clock, bytes, settings } = sizes(server.log.as_ref()?.replica.machine())?;
    Some(StoreTold {
        keys,
        sessions,
        clock_ms: clock,
        bytes,
        most_bytes: settings.bytes,
        max_key: settings.lengths.key as u64,
        max_value: settings.lengths.value as u64,
    })
}

pub(super) fn waiting(server: &ServerState) -> WaitingTold {
    let log = server.log.as_deref();
    WaitingTold {
        queue: server.proposer.queue.len() as u64,
        commands: log.map_or(server.waiting.len(), |log| log.asked.len()) as u64,
        questions: log.map_or(server.proposer.reads.len(), |log| log.questions.open.len()) as u64,
        clients: 0,
    }
}
