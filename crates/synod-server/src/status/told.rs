//! The words of a status.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use synod_runtime::Durations;

/// The number of seconds that [`Status::seconds`] goes back.
pub const SECONDS: usize = 120;
/// The most changes of the leader that [`Status::elections`] holds; where there are more than 8 groups, three per group.
pub const ELECTIONS: usize = 24;

/// A ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BallotTold {
    /// The round.
    pub round: u64,
    /// The member whose ballot it is.
    pub member: u64,
}

impl From<synod::Ballot> for BallotTold {
    fn from(ballot: synod::Ballot) -> Self {
        BallotTold { round: ballot.round, member: ballot.proposer.into() }
    }
}

impl std::fmt::Display for BallotTold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.round, self.member)
    }
}

/// What a member does in the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It does not take part: see [`Status::because`].
    #[default]
    Outside,
    /// It begins no ballots.
    Follower,
    /// Its ballot is in phase 1.
    Preparing,
    /// Its ballot is in phase 2, or it may begin one at any time, since a quorum follows it.
    Leader,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Role::Outside => "outside",
            Role::Follower => "follower",
            Role::Preparing => "preparing",
            Role::Leader => "leader",
        })
    }
}

/// What a member knows of the log. Instances count from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTold {
    /// The number of instances up to the highest that it knows to be chosen, this one included.
    pub chosen: u64,
    /// The number of instances whose commands it has executed. `None` if it keeps no log.
    pub executed: Option<u64>,
    /// The number of instances that its snapshot on the disk stands for.
    pub snapshot: Option<u64>,
    /// The first instance that is not forgotten.
    pub start: u64,
    /// The bytes of the values that it keeps of the log: of the first 65,536 instances, if there are more.
    pub bytes: u64,
    /// The instances up to the highest chosen one whose values it does not know.
    pub gaps: u64,
    /// The instances in which it has issued and which are not known to be chosen.
    pub open: u64,
    /// The most instances that may be open: alpha. `None` if it keeps no log.
    pub window: Option<u64>,
    /// Another member's snapshot on its way here: the bytes that came and those of the whole.
    pub arriving: Option<(u64, u64)>,
    /// The members that are known to have executed something else.
    pub differ: Vec<u64>,
}

impl LogTold {
    fn lag(&self) -> u64 {
        self.executed.map_or(0, |executed| self.chosen.saturating_sub(executed))
    }
}

/// The mastership that a member executed last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterTold {
    /// The member that took it.
    pub member: u64,
    /// The fencing token: the instance in which it did.
    pub token: u64,
    /// The instance in which that member took it first, without another in between. It names the tenure.
    pub since: u64,
    /// The time for which others leave mastership alone, in milliseconds.
    pub lease_ms: u64,
    /// True if this member is master at present, so that it answers reads without asking the others.
    pub here: bool,
}

/// Those who wait at a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingTold {
    /// Commands that have no instance yet.
    pub queue: u64,
    /// Commands of clients without an answer.
    pub commands: u64,
    /// Questions of clients without an answer.
    pub questions: u64,
    /// Clients that the transport has a session with.
    pub clients: u64,
}

/// The sizes of the machine that a member runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTold {
    /// Keys.
    pub keys: u64,
    /// Open sessions.
    pub sessions: u64,
    /// The machine's clock, in milliseconds since the Unix epoch; it moves by the log alone.
    pub clock_ms: u64,
    /// The bytes that the store is charged with: those of keys, values, locks and their owners, and 128 for each key, lock and account.
    pub bytes: u64,
    /// The most bytes that it may come to hold: `most-bytes`, as the log says.
    pub most_bytes: u64,
    /// The longest key in bytes, as the log says. Before the log has said it, none is too long for it.
    pub max_key: u64,
    /// The longest value in bytes, as the log says; before it has said so, none is too long for it. The configuration of this member, which [`LimitsTold`] has, may not hold yet.
    pub max_value: u64,
}

/// What a member wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskTold {
    /// Bytes in the journal file.
    pub journal_bytes: u64,
    /// Bytes in the snapshot on the disk.
    pub snapshot_bytes: u64,
    /// Bytes written to the journal since the start.
    pub written_bytes: u64,
    /// Compactions of the journal since the start.
    pub compactions: u64,
}

/// Counts of the work done since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkTold {
    /// Events stepped through the actor.
    pub steps: u64,
    /// Saves.
    pub saves: u64,
    /// Flushes.
    pub flushes: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Clients that were told that this member is busy.
    pub told_busy: u64,
    /// Clients that were forgotten to make room for others.
    pub forgotten_clients: u64,
}

/// Durations of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Their number since the start.
    pub count: u64,
    /// All of them together, in seconds.
    pub sum_seconds: f64,
    /// The longest since the start, in seconds.
    pub longest_seconds: f64,
    /// The median of the last minute, in seconds; `None` if there were none.
    pub p50_seconds: Option<f64>,
    /// The duration that 99 of 100 did not exceed in the last minute, in seconds; `None` if there were none.
    pub p99_seconds: Option<f64>,
    /// Bounds in seconds, and the number of durations below each since the start.
    pub below: Vec<(f64, u64)>,
}

impl Latency {
    pub(super) fn of(all: &Durations, recent: &Durations) -> Latency {
        let seconds = |duration: Duration| duration.as_secs_f64();
        Latency {
            count: all.count(),
            sum_seconds: seconds(all.sum()),
            longest_seconds: seconds(all.longest()),
            p50_seconds: recent.quantile(0.5).map(seconds),
            p99_seconds: recent.quantile(0.99).map(seconds),
            below: all.below().map(|(bound, count)| (seconds(bound), count)).collect(),
        }
    }
}

/// Durations since the start, and those of the last minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Writes of a batch to the disk, each with its flush.
    pub flush: Latency,
    /// The steps of one round of the loop.
    pub steps: Latency,
    /// The time from the step that takes a client's question to the moment at which the answer has left.
    pub answer: Latency,
}

/// Another member, as this one hears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerTold {
    /// The member.
    pub member: u64,
    /// True if there is a session between the two, which outlasts silence.
    pub connected: bool,
    /// The milliseconds since it was heard last; `None` if it was not heard in the present session.
    pub heard_ms: Option<u64>,
}

/// The state of one of several groups, as a member tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTold {
    /// The group.
    pub group: u8,
    /// What the member does in it.
    pub role: Role,
    /// The highest ballot that it knows.
    pub ballot: Option<BallotTold>,
    /// The member that it takes for the leader.
    pub leader: Option<u64>,
    /// The log.
    pub log: LogTold,
    /// Those who wait, without the transport's clients.
    pub waiting: WaitingTold,
    /// The machine, if it tells.
    pub store: Option<StoreTold>,
}

impl GroupTold {
    /// All groups together: the sums, and otherwise what group 0 tells. The role is that of a leader if it leads any. There is at least one group.
    pub(super) fn sum(groups: &[GroupTold]) -> GroupTold {
        let (first, rest) = groups.split_first().expect("there is a group");
        let mut sum = first.clone();
        for GroupTold { role, log, waiting, store, .. } in rest {
            if *role == Role::Leader {
                sum.role = Role::Leader;
            }
            let all = &mut sum.log;
            all.chosen += log.chosen;
            all.executed = all.executed.zip(log.executed).map(|(all, one)| all + one);
            all.snapshot = all.snapshot.map(|all| all + log.snapshot.unwrap_or(0)).or(log.snapshot);
            all.start += log.start;
            all.bytes += log.bytes;
            all.gaps += log.gaps;
            all.open += log.open;
            all.window = all.window.zip(log.window).map(|(all, one)| all + one);
            if let Some((came, whole)) = log.arriving {
                let (before, of) = all.arriving.unwrap_or_default();
                all.arriving = Some((before + came, of + whole));
            }
            all.differ.extend(&log.differ);
            all.differ.sort_unstable();
            all.differ.dedup();
            sum.waiting.queue += waiting.queue;
            sum.waiting.commands += waiting.commands;
            sum.waiting.questions += waiting.questions;
            if sum.store.is_none() {
                sum.store.clone_from(store);
            } else if let (Some(all), Some(one)) = (&mut sum.store, store) {
                all.keys += one.keys;
                all.sessions += one.sessions;
                all.clock_ms = all.clock_ms.max(one.clock_ms);
                all.bytes += one.bytes;
                all.most_bytes = all.most_bytes.saturating_add(one.most_bytes);
            }
        }
        sum
    }
}

/// True for the group that need not be told.
// The form is that of serde.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_first(group: &u8) -> bool {
    *group == 0
}

/// A change of the leader, as one member saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectionTold {
    /// Milliseconds since the Unix epoch, by the member's clock.
    pub unix_ms: u64,
    /// The group.
    #[serde(default, skip_serializing_if = "is_first")]
    pub group: u8,
    /// The leader from then on; `None` if there was none.
    pub leader: Option<u64>,
    /// The highest ballot that the member knew then.
    pub ballot: Option<BallotTold>,
}

/// One second of a member's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecondTold {
    /// Flushes.
    pub flushes: u64,
    /// The duration that 99 of 100 flushes did not exceed, in seconds; `None` without flushes.
    pub flush_p99_seconds: Option<f64>,
    /// Instances executed; without a log, instances chosen.
    pub executed: u64,
}

/// Limits in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsTold {
    /// The longest value in bytes.
    pub max_value: u64,
    /// The longest message to or from a client in bytes.
    pub max_message: u64,
    /// The longest datagram in bytes.
    pub datagram: u64,
}

/// The members, as far as one of them has executed the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersTold {
    /// The member that tells.
    pub member: u64,
    /// The number of the configuration that governs last.
    pub number: u64,
    /// The first instance that it governs.
    pub from: u64,
    /// The number of instances whose commands the member has executed.
    pub executed: u64,
    /// True if the members of earlier configurations may be switched off.
    pub may_go: bool,
    /// Those that are, were or will be a member, in the order of their ids.
    pub all: Vec<MemberTold>,
}

impl MembersTold {
    /// What a process is, if it ever took part.
    pub fn standing(&self, id: u64) -> Option<Standing> {
        self.all.iter().find(|member| member.id == id).map(|member| member.standing)
    }
}

/// A process in the life of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberTold {
    /// Its id.
    pub id: u64,
    /// What it is.
    pub standing: Standing,
    /// Its address; `None` if neither the log nor the file of the member that tells has one.
    pub address: Option<String>,
    /// The member that it replaces when it joins.
    pub replaces: Option<u64>,
    /// The instances that it was behind when it asked to join last, or is behind, as far as that is known of a learner.
    pub behind: Option<u64>,
    /// True if the member that tells takes it for the leader.
    pub leads: bool,
    /// The milliseconds since it was heard last; `None` if it was not, in the present session. The member that tells hears itself.
    pub heard_ms: Option<u64>,
}

/// What a process is in the life of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A member of the configuration that governs last.
    Member,
    /// A member of an earlier configuration, which still governs.
    Leaving,
    /// It learns, and joins once it has caught up.
    Learner,
    /// It was a member or a learner, and will not be one again.
    Removed,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Standing::Member => "member",
            Standing::Leaving => "leaving",
            Standing::Learner => "learner",
            Standing::Removed => "removed",
        })
    }
}

/// All that a member tells of itself.
// Fields: they are the keys of one JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// The member's id.
    pub member: u64,
    /// The ids of all members; where they change, of those of the configuration that governs last.
    pub members: Vec<u64>,
    /// The members, where they change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembersTold>,
    /// The version of the program.
    pub version: String,
    /// The time of this status: milliseconds since the Unix epoch, by the member's clock.
    pub unix_ms: u64,
    /// Seconds since the start of the process.
    pub uptime_seconds: f64,
    /// What it does.
    pub role: Role,
    /// The reason why it does not take part.
    pub because: Option<String>,
    /// The highest ballot that it knows; where there are several groups, in group 0.
    pub ballot: Option<BallotTold>,
    /// The member that it takes for the leader; where there are several groups, of group 0.
    pub leader: Option<u64>,
    /// Mastership, once a member took it.
    pub master: Option<MasterTold>,
    /// The log, or the sums over those of all groups.
    pub log: LogTold,
    /// Those who wait, in all groups.
    pub waiting: WaitingTold,
    /// The machine, if it tells; or the sums over those of all groups.
    pub store: Option<StoreTold>,
    /// The groups, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupTold>,
    /// The disk.
    pub disk: DiskTold,
    /// Counts.
    pub work: WorkTold,
    /// What was dropped, by reason; reasons for which nothing was are left out.
    pub dropped: BTreeMap<String, u64>,
    /// Durations.
    pub latency: Latencies,
    /// The other members.
    pub peers: Vec<PeerTold>,
    /// Bytes of memory that the operating system has given it; `None` where that is not known.
    pub memory_bytes: Option<u64>,
    /// Limits.
    pub limits: LimitsTold,
    /// The last changes of the leader, oldest first.
    pub elections: Vec<ElectionTold>,
    /// The last seconds, oldest first.
    pub seconds: Vec<SecondTold>,
}

/// A member that lacks more than this many instances of one log which it knows to be chosen is not ready.
const LAGS: u64 = 1024;

impl Status {
    /// The instances that it knows to be chosen and has not executed.
    pub fn lag(&self) -> u64 {
        self.log.lag()
    }

    /// The reason why the member should not be asked now, if there is one.
    pub fn not_ready(&self) -> Option<String> {
        if let Some(because) = &self.because {
            return Some(because.clone());
        }
        match self.membership.as_ref().map(|told| told.standing(self.member)) {
            Some(None) => return Some("it was not added yet".to_owned()),
            Some(Some(Standing::Learner)) => return Some("it learns, and has not joined yet".to_owned()),
            Some(Some(Standing::Removed)) => return Some("it was removed".to_owned()),
            Some(Some(Standing::Member | Standing::Leaving)) | None => {}
        }
        if self.leader.is_none() {
            return Some("it knows no leader".to_owned());
        }
        if let Some(group) = self.groups.iter().find(|group| group.leader.is_none()) {
            return Some(format!("it knows no leader of group {}", group.group));
        }
        if let Some((came, whole)) = self.log.arriving {
            return Some(format!("a snapshot is on its way to it: {came} of {whole} bytes came"));
        }
        let behind = self.groups.iter().find(|group| group.log.lag() > LAGS);
        if let Some(GroupTold { group, log, .. }) = behind {
            return Some(format!("it lacks {} instances of group {group} that were chosen", log.lag()));
        }
        let is_behind = self.groups.is_empty() && self.lag() > LAGS;
        is_behind.then(|| format!("it lacks {} instances that were chosen", self.lag()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_ready_if_it_takes_part_knows_a_leader_and_is_not_far_behind() {
        let log = LogTold { chosen: 5000, executed: Some(5000), ..LogTold::default() };
        let ready = Status { leader: Some(1), log: log.clone(), ..Status::default() };
        assert_eq!((ready.not_ready(), ready.lag()), (None, 0));
        let because = |status: Status| status.not_ready().unwrap_or_default();
        assert!(because(Status { leader: None, ..ready.clone() }).contains("no leader"));
        assert_eq!(because(Status { because: Some("it waits".to_owned()), ..ready.clone() }), "it waits");
        let arriving = LogTold { arriving: Some((3, 10)), ..log.clone() };
        assert!(because(Status { log: arriving, ..ready.clone() }).contains("3 of 10 bytes"));
        let behind =
            |by| Status { log: LogTold { executed: Some(5000 - by), ..log.clone() }, ..ready.clone() };
        assert_eq!(behind(LAGS).not_ready(), None);
        assert!(because(behind(LAGS + 1)).contains("lacks 1025 instances"));
    }

    fn group(group: u8, leader: u64, log: LogTold, keys: Option<u64>) -> GroupTold {
        let store = keys.map(|keys| StoreTold { keys, most_bytes: 9, ..StoreTold::default() });
        GroupTold { group, leader: Some(leader), log, store, ..GroupTold::default() }
    }

    #[test]
    fn groups_are_summed_over_those_that_tell_and_each_has_its_own_lag() {
        let log = |chosen, executed| LogTold {
            chosen,
            executed: Some(executed),
            window: Some(4),
            ..LogTold::default()
        };
        let mut groups = vec![
            group(0, 1, log(10, 9), None),
            group(1, 2, log(5, 5), Some(3)),
            group(2, 1, log(7, 6), Some(4)),
        ];
        groups[2].role = Role::Leader;
        groups[1].log.differ = vec![2];
        groups[1].log.arriving = Some((1, 10));
        groups[2].log.arriving = Some((2, 20));
        let sum = GroupTold::sum(&groups);
        assert_eq!(
            (sum.role, sum.leader, sum.log.chosen, sum.log.executed),
            (Role::Leader, Some(1), 22, Some(20))
        );
        assert_eq!(
            (sum.log.window, sum.log.arriving, &sum.log.differ[..]),
            (Some(12), Some((3, 30)), &[2][..])
        );
        let store = sum.store.expect("two tell");
        assert_eq!((store.keys, store.most_bytes), (7, 18));

        let of = |groups: Vec<GroupTold>| {
            let sum = GroupTold::sum(&groups);
            Status { leader: Some(1), log: sum.log, groups, ..Status::default() }.not_ready()
        };
        let each = |by| (0..64).map(|of| group(of, 1, log(by, 0), None)).collect::<Vec<_>>();
        assert_eq!(of(each(100)), None, "each is a little behind");
        let mut one = each(0);
        one[7].log.chosen = LAGS + 1;
        assert!(of(one).is_some_and(|why| why.contains("of group 7")));
        let mut lost = each(0);
        lost[3].leader = None;
        assert!(of(lost).is_some_and(|why| why.contains("no leader of group 3")));
    }
}
