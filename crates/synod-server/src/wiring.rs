//! The choice of the actor that a member or a client runs: the very functions that the models explore, with the ids of the configuration.

use crate::changing::{Changing, IDS};
use crate::config::Config;
use crate::served;
use crate::settings::{LONGEST_COMMAND, LogSettings, MasterSettings};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stateright::actor::Id;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    AcceptorSet, Cluster, Election, Learning, Log, Members, Pace, Process, QuorumRule, Quorums, Retry,
    Truncate,
};
use synod_groups::Groups;
use synod_runtime::node::LOCAL_CLIENT;
use synod_runtime::transport::LONG_MESSAGE;

/// The most instances that may be waited for at a member, and the most clients per instance.
const WAITING_LIMIT: usize = 1024;

/// The most bytes of values that a message reports, well below the longest message.
const REPORT: usize = 1 << 20;

/// The most bytes of long values that a member keeps for waiting clients, or one longer value. With short values it keeps at most twice that.
const KEEPS: usize = 64 << 20;

/// The settings that decide how the members of a cluster behave. They go into every flight record, so that a replay builds
/// the same actors again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    /// The number of groups, from 1 to 64: of logs that have nothing in common but the processes that keep them.
    pub groups: usize,
    /// The members' ids, in the order in which quorums count them, and in which group 0 prefers them for its leader. Where members change, the first ones.
    pub members: Vec<u64>,
    /// The time that a proposer waits before it tries a higher ballot.
    pub retry: Range<Duration>,
    /// The pace at which members elect the one that begins ballots. With `None` every member that is asked begins its own.
    pub election: Option<Pace>,
    /// The longest value, in bytes, that is chosen in an instance.
    pub max_value: usize,
    /// The log, with the longest value, in bytes, of a key in its store. With `None` each instance is a write-once register.
    pub log: Option<(LogSettings, usize)>,
    /// The rule by which members change through the log, if they do.
    pub changing: Option<Changing>,
    /// The data directory of the member that is wired so, by which it joins where members change. No record has it among these settings, since the header of each names it.
    pub directory: Option<u64>,
}

/// A wiring without the number of groups. A record of one group is as one from a time without groups.
#[derive(Serialize, Deserialize)]
struct Alone {
    members: Vec<u64>,
    retry: Range<Duration>,
    election: Option<Pace>,
    max_value: usize,
    log: Option<(LogSettings, usize)>,
}

/// The bytes are those of `Alone`; then, where there are several groups, one for the groups beyond the first; or 0 and the rule, where members change.
impl Serialize for Wiring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Wiring { groups, members, retry, election, max_value, log, changing, directory: _ } =
            self.clone();
        let alone = Alone { members, retry, election, max_value, log };
        match (groups, changing) {
            (_, Some(changing)) => (alone, 0_u8, changing).serialize(serializer),
            (1, None) => alone.serialize(serializer),
            (groups, None) => (alone, (groups - 1) as u8).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Wiring {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Wiring;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a wiring")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Wiring, S::Error> {
                let none = || S::Error::custom("a wiring that is cut short");
                let Alone { members, retry, election, max_value, log } =
                    seq.next_element()?.ok_or_else(none)?;
                // A byte can be read wherever there is one, so an error is the end.
                let (groups, changing) = match seq.next_element::<u8>() {
                    Ok(Some(0)) => (1, Some(seq.next_element()?.ok_or_else(none)?)),
                    Ok(Some(group)) => (usize::from(group) + 1, None),
                    Ok(None) | Err(_) => (1, None),
                };
                Ok(Wiring { groups, members, retry, election, max_value, log, changing, directory: None })
            }
        }

        deserializer.deserialize_tuple(3, Read)
    }
}

/// The id of the operator of a member: a client of its own, as the one that tells the time is another.
pub fn operator(member: u64) -> u64 {
    LOCAL_CLIENT | 1 << 32 | member
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
            members: config.named(),
            retry: config.retry.clone(),
            election: config.election.then(pace),
            max_value: config.log.longest_command(config.max_value),
            log: Some((config.log.clone(), config.max_value)),
            changing: config.changing.clone(),
            directory: None,
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
        const COUNTED: &str = "a configuration has 1 to 16 members";
        let quorums = Quorums::new(self.members.len(), QuorumRule::Majority, QuorumRule::Majority);
        let quorums = quorums.expect(COUNTED);
        // Where members change, all that can be members are listed, and the quorums count the first.
        let (ids, quorums) = match &self.changing {
            None => (self.members.clone(), quorums),
            Some(_) => {
                let first: AcceptorSet = self.members.iter().map(|id| *id as usize).collect();
                ((0..IDS).collect(), quorums.among(first).expect(COUNTED))
            }
        };
        let members: Vec<Id> = ids.iter().map(|id| Id::from(*id as usize)).collect();
        let log = |settings| Log { members: self.rule(), ..log(settings) };
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
            proposers: ids.iter().map(|id| (Id::from(*id as usize), number(*id))).collect(),
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

    /// The rule of the roles by which members change.
    fn rule(&self) -> Option<Members> {
        let changing = self.changing.as_ref()?;
        let operators = operator(0) as usize..operator(IDS) as usize;
        Some(Members { operators, lag: changing.lag, directory: self.directory, relays: true })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const RIGHT: &str = r#"cluster = "demo"
cluster-key = "keys/cluster"
client-key = "keys/client"
[members]
first = [2, 0, 1]
[[member]]
id = 0
address = "127.0.0.1:7000"
"#;

    fn read(text: &str) -> Result<Config, crate::config::ConfigError> {
        Config::read("c.toml", text, Path::new(""))
    }

    #[test]
    fn first_members_are_named_and_the_others_need_not_stand_in_the_file() {
        let config = read(RIGHT).expect("it is right");
        let changing = config.changing.clone().expect("it has the table");
        assert_eq!((changing.first.as_slice(), changing.lag), ([0, 1, 2].as_slice(), 1024));
        assert!(changing.is_sound() && config.members.len() == 1 && config.named() == [0, 1, 2]);
        let wiring = Wiring::from(&config);
        let cluster = wiring.cluster();
        assert_eq!(cluster.acceptors.len(), 128);
        assert_eq!(cluster.quorums.everyone(), [0, 1, 2].into_iter().collect());
        assert!(cluster.quorums.is_phase2([0, 2].into_iter().collect()));
        assert!(!cluster.quorums.is_phase2([0, 5].into_iter().collect()), "none but these count");
    }

    #[test]
    fn the_cluster_is_another_with_another_rule_and_says_which() {
        let text = |from: &str, to: &str| {
            assert!(RIGHT.contains(from));
            read(&RIGHT.replacen(from, to, 1)).expect("it is right")
        };
        let config = read(RIGHT).expect("it is right");
        let without = text("[members]\nfirst = [2, 0, 1]\n", "");
        let others = [
            (text("[members]", "[log]\nalpha = 4\n[members]"), "alpha = 4 in [log]"),
            (without.clone(), "no [members]"),
            (text("1]", "1]\nlag = 9"), ""),
            (text("2, 0, 1", "2, 0"), ""),
        ];
        for (other, says) in others {
            assert_ne!(config.tag(), other.tag(), "{says}");
            let found = config.differs_in(other.tag()).unwrap_or_default();
            assert!(found.starts_with(says) && found.is_empty() == says.is_empty(), "{found}");
        }
        let lags = text("1]", "1]\nlag = 9").differs_in(config.tag()).unwrap_or_default();
        assert!(lags.starts_with("lag = 1024 in [members]"), "{lags}");
        let alone = text("2, 0, 1", "0, 3");
        assert_eq!(without.differs_in(alone.tag()), None);
        // Values that hold as they are told to the log are none of the rule.
        assert_eq!(text("[members]", "[store]\nmax-key = 9\n[members]").tag(), config.tag());
    }

    #[test]
    fn whatever_makes_no_sense_is_refused_at_its_place() {
        for (from, to, place, says) in [
            ("[2, 0, 1]", "[2]", (5, 9), "begins with 2 to 16 members, not 1"),
            ("[2, 0, 1]", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]", (5, 9), "not 17"),
            ("[2, 0, 1]", "[2, 0, 2]", (5, 16), "2 stands there twice"),
            ("[2, 0, 1]", "[2, 128]", (5, 13), "128 must be from 0 to 127"),
            ("[2, 0, 1]", "[2, -1]", (5, 13), "-1 must be from 0 to 127"),
            ("[2, 0, 1]", "[2, 0]\nlag = 0", (6, 7), "lag = 0: must be from 1"),
            ("id = 0", "id = 128", (7, 6), "must be from 0 to 127, where members change"),
            (
                "[members]",
                "groups = 2\n[members]",
                (4, 10),
                "groups: not where members change; have one group",
            ),
            ("[members]", "election = false\n[members]", (4, 12), "election: not where members change"),
            ("[members]", "[master]\nlease = 1000\n[members]", (5, 9), "lease: not where members change"),
        ] {
            let error = read(&RIGHT.replacen(from, to, 1)).expect_err(says);
            assert_eq!(error.place, Some(place), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_wiring_is_read_back_and_one_of_before_has_no_such_rule() {
        let config = read(RIGHT).expect("it is right");
        let wiring = Wiring::from(&config);
        let bytes = postcard::to_allocvec(&wiring).expect("plain data");
        assert_eq!(postcard::from_bytes::<Wiring>(&bytes), Ok(wiring.clone()));
        for cut in 1..8 {
            assert_ne!(
                postcard::from_bytes::<Wiring>(&bytes[..bytes.len() - cut]).ok(),
                Some(wiring.clone())
            );
        }
        for groups in [1, 2, 64] {
            let alone = Wiring { groups, changing: None, ..wiring.clone() };
            let bytes = postcard::to_allocvec(&alone).expect("plain data");
            assert_eq!(postcard::from_bytes::<Wiring>(&bytes), Ok(alone), "{groups} groups");
        }
        let one_directory = Wiring { directory: Some(7), ..wiring.clone() };
        assert_eq!(postcard::to_allocvec(&one_directory).expect("plain data"), bytes, "the header has it");
    }

    #[test]
    fn a_rule_in_a_record_must_be_sound() {
        let rule = |first: &[u64]| Changing { first: first.to_vec(), lag: 1 };
        assert!(rule(&[0, 1]).is_sound());
        for unsound in [&[][..], &[0], &[0, 0], &[0, 128]] {
            assert!(!rule(unsound).is_sound(), "{unsound:?}");
        }
    }
}
