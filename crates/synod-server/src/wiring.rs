//! The choice of the actor that a member or a client runs: the very functions that the models explore, with the ids of the configuration.

use crate::config::Config;
use crate::served;
use crate::settings::{LONGEST_COMMAND, LogSettings, MasterSettings};
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use synod::{Cluster, Election, Learning, Log, Pace, Process, QuorumRule, Quorums, Retry, Truncate};
use synod_groups::{Groups, InGroup};
use synod_runtime::transport::LONG_MESSAGE;

/// The most instances that may be waited for at a member, and the most clients per instance.
const WAITING_LIMIT: usize = 1024;

/// The most bytes of values that a message reports, well below the longest message.
const REPORT: usize = 1 << 20;

/// The most bytes of long values that a member keeps for waiting clients, or one longer value. With short values it keeps at most twice that.
const KEEPS: usize = 64 << 20;

/// The settings that decide how the members of a cluster behave. They go into every flight record, so that a replay builds
/// the same actors again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "InGroup<Alone>", into = "InGroup<Alone>")]
pub struct Wiring {
    /// The number of groups, from 1 to 64: of logs that have nothing in common but the processes that keep them.
    pub groups: usize,
    /// The members' ids, in the order in which quorums count them, and in which group 0 prefers them for its leader.
    pub members: Vec<u64>,
    /// The time that a proposer waits before it tries a higher ballot.
    pub retry: Range<Duration>,
    /// The pace at which members elect the one that begins ballots. With `None` every member that is asked begins its own.
    pub election: Option<Pace>,
    /// The longest value, in bytes, that is chosen in an instance.
    pub max_value: usize,
    /// The log, with the longest value, in bytes, of a key in its store. With `None` each instance is a write-once register.
    pub log: Option<(LogSettings, usize)>,
}

/// A wiring without the number of groups. A record of one group is as one from a time without groups.
#[derive(Clone, Serialize, Deserialize)]
struct Alone {
    members: Vec<u64>,
    retry: Range<Duration>,
    election: Option<Pace>,
    max_value: usize,
    log: Option<(LogSettings, usize)>,
}

impl From<InGroup<Alone>> for Wiring {
    fn from(InGroup { group, what }: InGroup<Alone>) -> Wiring {
        let Alone { members, retry, election, max_value, log } = what;
        Wiring { groups: usize::from(group) + 1, members, retry, election, max_value, log }
    }
}

impl From<Wiring> for InGroup<Alone> {
    fn from(Wiring { groups, members, retry, election, max_value, log }: Wiring) -> InGroup<Alone> {
        InGroup { group: (groups - 1) as u8, what: Alone { members, retry, election, max_value, log } }
    }
}

/// The most doublings of a retry's delay: up to half a minute, from the default range.
const DOUBLINGS: u32 = 7;

/// A pace for members that hear of each other within some tens of milliseconds. Where that takes longer, wrong suspicions
/// double the time to the next one, up to half a minute. A leader that falls silent for longer, as with a slow disk, loses its followers, and gets
/// none as long as another has a quorum.
fn pace() -> Pace {
    let ms = Duration::from_millis;
    Pace { beat: ms(50)..ms(80), suspect: ms(300)..ms(500), hold_off: ms(20)..ms(60), doublings: 6 }
}

/// The proposer number that a member's ballots carry.
///
/// # Panics
/// When an id does not fit a ballot; configurations and flight records are checked for that.
fn number(id: u64) -> u16 {
    u16::try_from(id).expect("ids are checked to fit a ballot")
}

impl Config {
    /// The longest message among members, in bytes: whatever they may have to say about a value that they accept. It does not follow from
    /// `max-key` and `max-value`, which members may have other ones of while these are changed.
    pub fn max_message(&self) -> usize {
        // A message says its group in one byte, but for group 0.
        Wiring::from(self).cluster().longest_message() + usize::from(self.groups > 1)
    }

    /// The longest message to or from a client, in bytes: any command that is taken, and any answer; no less than 4 MiB.
    pub fn max_client_message(&self) -> usize {
        self.log.longest_command(self.max_value).saturating_add(served::MESSAGE).max(LONG_MESSAGE)
    }
}

impl From<&Config> for Wiring {
    fn from(config: &Config) -> Wiring {
        Wiring {
            groups: config.groups,
            members: config.members.iter().map(|member| member.id).collect(),
            retry: config.retry.clone(),
            election: config.election.then(pace),
            max_value: config.log.longest_command(config.max_value),
            log: Some((config.log.clone(), config.max_value)),
        }
    }
}

/// The chunks of a snapshot that a member asks for before the first of them has come.
const AHEAD: u64 = 16;

/// The log as its servers know it. They elect who leads, so they need not hold off.
fn log((settings, max_value): &(LogSettings, usize)) -> Log {
    Log {
        alpha: settings.alpha,
        batch: settings.batch,
        machine: served::shared(settings, *max_value),
        hold_off: None,
        catch_up: Some(settings.catch_up.clone()),
        truncate: Some(Truncate {
            every: settings.snapshot_every,
            every_bytes: settings.snapshot_bytes,
            spare: settings.keep,
            spare_bytes: settings.keep_bytes,
            chunk: settings.chunk,
            ahead: AHEAD,
            most: settings.longest_snapshot,
        }),
        master: settings.master.map(MasterSettings::lease),
        members: None,
    }
}

impl Wiring {
    /// The wiring of one group as a process of its own: with the members in another order, so that each leads its share of the groups.
    #[must_use]
    pub fn of_group(&self, group: u8) -> Wiring {
        let mut one = Wiring { groups: 1, ..self.clone() };
        let first = usize::from(group) % one.members.len().max(1);
        one.members.rotate_left(first);
        one
    }

    /// The servers that a member runs: one per group.
    ///
    /// # Panics
    /// As [`Wiring::server`].
    pub fn servers(&self, id: u64) -> Groups<Process> {
        self.of_groups(|one| one.server(id))
    }

    /// An actor per group, from the wiring of each.
    pub fn of_groups<A>(&self, actor: impl Fn(&Wiring) -> A) -> Groups<A> {
        let all = (0..=u8::MAX).take(self.groups);
        Groups::new(all.map(|group| actor(&self.of_group(group))).collect())
    }

    /// The cluster as its members know it. Clients come and go, so it names none.
    ///
    /// # Panics
    /// When there are no members or more than quorums can count, or an id does not fit a ballot; configurations and flight records are checked for that.
    pub fn cluster(&self) -> Cluster {
        let members: Vec<Id> = self.members.iter().map(|id| Id::from(*id as usize)).collect();
        let quorums = Quorums::new(members.len(), QuorumRule::Majority, QuorumRule::Majority)
            .expect("a configuration has 1 to 64 members");
        let elect = |pace: &Pace| Election {
            members: members.clone(),
            among: None,
            backing: Some(quorums.clone()),
            pace: pace.clone(),
        };
        Cluster {
            election: self.election.as_ref().map(elect),
            quorums,
            acceptors: members.clone(),
            proposers: self.members.iter().map(|id| (Id::from(*id as usize), number(*id))).collect(),
            learners: members,
            clients: Vec::new(),
            waiting_limit: WAITING_LIMIT,
            learning: Learning::Everyone,
            nacks: true,
            report: REPORT,
            max_value: self.max_value,
            max_accepted: LONGEST_COMMAND,
            keeps: KEEPS,
            log: self.log.as_ref().map(log),
        }
    }

    /// The server that a member runs where there is one group.
    ///
    /// # Panics
    /// When an id does not fit a ballot; configurations and flight records are checked for that too.
    pub fn server(&self, id: u64) -> Process {
        Process::Server {
            cluster: Arc::new(self.cluster()),
            number: number(id),
            retry: Retry { on_nack: true, after: Some(self.retry.clone()), doublings: DOUBLINGS },
        }
    }
}
