//! The watcher of one member's loop: it tells what changes, and fills the board in.

use super::board::Board;
use super::history::{History, unix_ms};
use super::members::members_told;
use super::read::{self, Facts};
use super::told::{
    DiskTold, GroupTold, LimitsTold, MembersTold, PeerTold, Role, Standing, Status, WaitingTold, WorkTold,
};
use crate::config::Config;
use crate::member::{MemberStore, UdpMember};
use crate::wiring::Wiring;
use std::collections::BTreeMap;
use std::time::Duration;
use synod::ServerState;
use synod_groups::States;
use synod_runtime::Timings;
use synod_runtime::admission::Admission;
use synod_runtime::disk::DirDisk;
use synod_runtime::refusal::ids;
use synod_runtime::transport::Dropped;

/// The time between two statuses, while there is something to do.
const BETWEEN: Duration = Duration::from_millis(100);
/// The further time while there is nothing to do.
const IDLE: Duration = Duration::from_millis(400);
/// A flush that takes longer is told.
const SLOW: Duration = Duration::from_millis(100);
/// The least time between two lines of one kind that may come often.
const QUIET: Duration = Duration::from_secs(10);

/// The watcher of one member's loop.
pub(crate) struct Watch {
    board: Board,
    config: Config,
    me: u64,
    /// The most instances of a group that may be open.
    window: Option<u64>,
    groups: Vec<OfGroup>,
    /// The group whose bytes are counted next: one per status, since that takes time.
    turn: u8,
    history: History,
    next_status: Duration,
    /// True if nothing has happened since the last status.
    is_told: bool,
    /// The steps so far.
    steps: u64,
    flushes: Flushes,
    drops: Drops,
}

/// A group as it was seen last.
struct OfGroup {
    wiring: Wiring,
    facts: Facts,
    /// The bytes of its log.
    bytes: u64,
}

/// The flushes so far, and the time before which no slow one is told.
#[derive(Default)]
struct Flushes {
    count: u64,
    sum: Duration,
    quiet: Duration,
}

/// The drops that were told, and the time before which no others are.
#[derive(Default)]
struct Drops {
    told: BTreeMap<String, u64>,
    quiet: Duration,
}

impl Watch {
    pub(crate) fn new(config: &Config, me: u64, board: Board) -> Watch {
        let wiring = Wiring::from(config);
        let groups = (0..=u8::MAX).take(wiring.groups);
        let of_group = |group| OfGroup { wiring: wiring.of_group(group), facts: Facts::OUTSIDE, bytes: 0 };
        Watch {
            board,
            window: wiring.cluster().log.as_ref().map(|log| log.alpha),
            groups: groups.map(of_group).collect(),
            turn: 0,
            config: config.clone(),
            me,
            history: History::new(config.groups),
            next_status: Duration::ZERO,
            is_told: false,
            steps: 0,
            flushes: Flushes::default(),
            drops: Drops::default(),
        }
    }

    /// The time at which the loop should come back here even if nothing happens, in the wire's time.
    pub(crate) fn wakes(&self) -> Duration {
        if self.is_told { self.next_status.saturating_add(IDLE) } else { self.next_status }
    }

    /// Looks at a member after a round of its loop.
    pub(crate) fn look(&mut self, node: &mut UdpMember) {
        let now = node.now();
        for (group, state) in node.state().into_iter().flat_map(States::all) {
            let seen = &mut self.groups[usize::from(group)];
            let new = Facts::of(Some(state), &seen.wiring, self.me);
            // Nothing is to be told of an instance alone, so most rounds end here.
            let old = std::mem::replace(&mut seen.facts, new.clone());
            if new != (Facts { ballot: new.ballot, executed: new.executed, ..old.clone() }) {
                self.tell_changes(group, &old, &new);
            }
        }
        self.tell_slow_flush(node.timings(), now);
        let steps = node.counts().steps;
        self.is_told &= std::mem::replace(&mut self.steps, steps) == steps;
        if now < self.next_status {
            return;
        }
        (self.next_status, self.is_told) = (now + BETWEEN, true);
        let executed = self.groups.iter().map(|group| group.facts.executed);
        let done = executed.sum::<Option<u64>>().unwrap_or_else(|| node.counts().saves);
        self.history.go_on(node.timings(), done, now);
        let status = self.status(node, now);
        if now >= self.drops.quiet && status.dropped != self.drops.told {
            self.drops.quiet = now + QUIET;
            self.tell_drops(&status);
            self.drops.told.clone_from(&status.dropped);
        }
        self.board.put(status);
    }

    fn tell_changes(&mut self, group: u8, old: &Facts, new: &Facts) {
        let (instance, me) = (new.executed.unwrap_or(0), self.me);
        let of = if self.groups.len() > 1 { format!(" in group {group}") } else { String::new() };
        let ballot = new.ballot.map(|ballot| ballot.to_string()).unwrap_or_default();
        if new.leader != old.leader {
            match new.leader {
                // Once it has a phase-1 quorum, a notice says so.
                Some(leader) if leader == me => {
                    tracing::debug!(member = self.me, instance, ballot, "leads{of}");
                }
                // It may not know the leader's ballot yet, and another one would be taken for it.
                Some(leader) => {
                    tracing::info!(member = self.me, instance, leader, "follows member {leader}{of}");
                }
                None => tracing::info!(member = self.me, instance, ballot, "knows no leader{of}"),
            }
            self.history.elected(group, new.leader, new.ballot);
        }
        if new.own != old.own {
            match (old.own, new.own) {
                (_, Some(own)) => {
                    tracing::debug!(member = self.me, instance, ballot, "begins ballot {own}{of}");
                }
                (Some(own), None) => {
                    tracing::debug!(member = self.me, instance, ballot, "gives up ballot {own}{of}");
                }
                (None, None) => {}
            }
        }
        if new.role == Role::Leader && old.role != Role::Leader {
            tracing::debug!(member = self.me, instance, ballot, "has a phase-1 quorum{of}");
        }
        if new.snapshot != old.snapshot
            && let Some(snapshot) = new.snapshot
        {
            if old.is_arriving && !new.is_arriving {
                tracing::info!(
                    member = self.me,
                    instance,
                    ballot,
                    snapshot,
                    "went on from another member's snapshot below instance {snapshot}{of}"
                );
            } else if old.role != Role::Outside {
                tracing::info!(
                    member = self.me,
                    instance,
                    ballot,
                    snapshot,
                    "took a snapshot below instance {snapshot}{of}"
                );
            }
        }
        if new.is_arriving && !old.is_arriving {
            tracing::info!(
                member = self.me,
                instance,
                ballot,
                "is behind the others' logs, and fetches a snapshot{of}"
            );
        }
        if new.differ > old.differ {
            tracing::error!(
                member = self.me,
                instance,
                ballot,
                "other members have executed something else{of}"
            );
        }
    }

    fn tell_slow_flush(&mut self, timings: &Timings, now: Duration) {
        let (count, sum) = (timings.flush.count(), timings.flush.sum());
        let took = sum.saturating_sub(std::mem::replace(&mut self.flushes.sum, sum));
        let is_new = std::mem::replace(&mut self.flushes.count, count) != count;
        if is_new && took >= SLOW && now >= self.flushes.quiet {
            self.flushes.quiet = now + QUIET;
            let instance = self.groups[0].facts.executed.unwrap_or(0);
            let ballot = self.groups[0].facts.ballot.map(|ballot| ballot.to_string()).unwrap_or_default();
            let took_ms = took.as_millis() as u64;
            tracing::warn!(member = self.me, instance, ballot, took_ms, "waited {took_ms} ms for its disk");
        }
    }

    fn tell_drops(&self, status: &Status) {
        let more = status.dropped.iter().filter_map(|(reason, count)| {
            let more = count - self.drops.told.get(reason).unwrap_or(&0);
            (more > 0).then(|| format!("{more} {reason}"))
        });
        let reasons = more.collect::<Vec<_>>().join(", ");
        let instance = status.log.executed.unwrap_or(0);
        let ballot = status.ballot.map(|ballot| ballot.to_string()).unwrap_or_default();
        tracing::debug!(member = self.me, instance, ballot, reasons, "dropped {reasons}");
    }

    /// The state of each group.
    fn groups(&mut self, node: &UdpMember, is_outside: bool) -> Vec<GroupTold> {
        let of = |group: u8| node.state()?.of(group)?.server();
        self.groups[usize::from(self.turn)].bytes = of(self.turn).map_or(0, read::kept_bytes);
        self.turn = if usize::from(self.turn) + 1 < self.groups.len() { self.turn + 1 } else { 0 };
        let all = (0..=u8::MAX).zip(&self.groups);
        all.map(|(group, OfGroup { facts, bytes, .. })| {
            let server: Option<&ServerState> = of(group);
            GroupTold {
                group,
                role: if is_outside { Role::Outside } else { facts.role },
                ballot: facts.ballot,
                leader: facts.leader,
                log: server.map(|server| read::log(server, self.window, *bytes)).unwrap_or_default(),
                waiting: server.map(read::waiting).unwrap_or_default(),
                store: server.and_then(read::store),
            }
        })
        .collect()
    }

    fn status(&mut self, node: &mut UdpMember, now: Duration) -> Status {
        let because = match node.admission() {
            Admission::Waiting { silent, .. } => {
                Some(format!("it waits to hear from member {} that its disk is not behind", ids(&silent)))
            }
            Admission::Learns(until) => Some(format!("it learns, and takes no other part until {until}")),
            Admission::Admitted => None,
            Admission::Abstains(reason) => Some(format!("it abstains: {reason}")),
        };
        let peers: Vec<u64> = node.transport().peers().collect();
        let peer = |member: u64| {
            let transport = node.transport();
            let heard = transport.heard(member).map(|heard| now.saturating_sub(heard).as_millis() as u64);
            PeerTold { member, connected: transport.connected(member), heard_ms: heard }
        };
        let peers = peers.into_iter().map(peer).collect();
        let (clients, datagrams) = (node.transport().clients(), node.transport().counts().clone());
        let counts = node.counts();
        let mut dropped: BTreeMap<String, u64> =
            Dropped::ALL.iter().map(|why| (why.to_string(), datagrams.dropped(*why))).collect();
        for (reason, count) in [
            ("messages without room in the inbox", counts.inbox_full),
            ("messages to itself without room", counts.local_full),
            ("messages that it cannot decode or that are for another group", counts.undecodable),
            ("messages of a member's earlier start", counts.outdated),
            ("messages before it took part", counts.early),
            ("messages too long to be sent", counts.too_large),
            ("messages to processes that were not there", counts.unreachable),
        ] {
            dropped.insert(reason.to_owned(), count);
        }
        dropped.retain(|_, count| *count > 0);
        let groups = self.groups(node, because.is_some());
        let snapshots = node.state().into_iter().flat_map(States::all);
        // Where there are several groups, nobody takes mastership.
        let master = node.state().and_then(|all| all.of(0)?.server()).and_then(read::master);
        let store = node.store();
        let written = store.map(MemberStore::<DirDisk>::counts).unwrap_or_default();
        let disk = DiskTold {
            journal_bytes: store.map_or(0, MemberStore::<DirDisk>::journal_bytes),
            snapshot_bytes: snapshots.filter_map(|(_, state)| state.server()).map(read::snapshot_bytes).sum(),
            written_bytes: written.bytes,
            compactions: written.compactions,
        };
        let work = WorkTold {
            steps: counts.steps,
            saves: counts.saves,
            flushes: counts.flushes,
            messages_sent: datagrams.messages_sent,
            messages_received: datagrams.messages_received,
            datagrams_sent: datagrams.sent,
            datagrams_received: datagrams.received,
            told_busy: datagrams.refusals,
            forgotten_clients: datagrams.forgotten_clients,
        };
        let sum = GroupTold::sum(&groups);
        let membership = members_told(node, &self.config, &self.groups[0].wiring, self.me);
        let of_latest = |told: &MembersTold| -> Vec<u64> {
            let members = told.all.iter().filter(|member| member.standing == Standing::Member);
            members.map(|member| member.id).collect()
        };
        let named = || self.groups[0].wiring.members.clone();
        Status {
            cluster: self.config.cluster.clone(),
            member: self.me,
            members: membership.as_ref().map_or_else(named, of_latest),
            membership,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unix_ms: unix_ms(),
            uptime_seconds: now.as_secs_f64(),
            role: sum.role,
            because,
            ballot: sum.ballot,
            leader: sum.leader,
            master,
            log: sum.log,
            waiting: WaitingTold { clients: clients as u64, ..sum.waiting },
            store: sum.store,
            groups: if groups.len() > 1 { groups } else { Vec::new() },
            disk,
            work,
            dropped,
            latency: self.history.latencies(node.timings()),
            peers,
            memory_bytes: self.history.memory(),
            limits: LimitsTold {
                max_value: self.config.max_value as u64,
                max_message: self.config.max_client_message() as u64,
                datagram: self.config.datagram as u64,
            },
            elections: self.history.elections(),
            seconds: self.history.seconds(),
        }
    }
}
