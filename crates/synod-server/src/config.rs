//! The configuration file. One file serves the whole cluster, the same on every machine. Anything that may not stand in it gives one clear
//! error, at line and column.

use crate::changing::{Changing, ChangingFile, IDS};
use crate::redis::{RedisFile, RedisSettings};
use crate::settings::{
    LogFile, LogSettings, MOST_ALPHA, MOST_MEMBERS, MOST_VALUE, MasterFile, SessionsFile, StoreFile,
    milliseconds, number,
};
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use synod_groups::MOST_GROUPS;
use toml::Spanned;

/// The members of a cluster and what they share.
// Fields: the keys and tables of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster's name; messages and journals of another are refused.
    pub cluster: String,
    /// The file of the keys that members use among themselves.
    pub cluster_key: PathBuf,
    /// The file of the keys that clients and members use.
    pub client_key: PathBuf,
    /// The number of groups: of logs among which keys are divided. It is fixed for the life of the cluster.
    pub groups: usize,
    /// The members, in the order in which quorums count them. Where members change, these are the ones that the file knows: some at which the cluster can be
    /// found, and what a process of this machine needs.
    pub members: Vec<Member>,
    /// The rule by which members change, if they do.
    pub changing: Option<Changing>,
    /// The time that a proposer waits before it tries a higher ballot.
    pub retry: Range<Duration>,
    /// True if members elect the one that begins ballots.
    pub election: bool,
    /// The longest value of a key, in bytes.
    pub max_value: usize,
    /// The log, its sessions and its store.
    pub log: LogSettings,
    /// The longest datagram, in bytes of UDP payload: at most what the path carries without fragmentation.
    pub datagram: usize,
    /// True if each member keeps a flight record in its data directory.
    pub record: bool,
    /// The fronts for clients of Redis.
    pub redis: RedisSettings,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id by which it is known. Data directories are bound to the ids of all members, not to their addresses.
    pub id: u64,
    /// The address at which it listens, and to which the others send.
    pub address: SocketAddr,
    /// Its data directory, on its machine.
    pub data: PathBuf,
    /// The TCP address at which it tells of itself over HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// The TCP address at which it serves clients of Redis, if it does.
    pub redis: Option<SocketAddr>,
}

/// An error in a configuration file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// The error, and what to do about it.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
// Fields: the keys of the file.
struct ConfigFile {
    cluster: Spanned<String>,
    cluster_key: PathBuf,
    client_key: PathBuf,
    groups: Option<Spanned<i64>>,
    #[serde(default)]
    member: Vec<MemberFile>,
    retry: Option<Spanned<[u64; 2]>>,
    election: Option<Spanned<bool>>,
    max_value: Option<Spanned<i64>>,
    datagram: Option<Spanned<i64>>,
    #[serde(default)]
    record: bool,
    #[serde(default)]
    http_anywhere: bool,
    #[serde(default)]
    redis: RedisFile,
    #[serde(default)]
    log: LogFile,
    #[serde(default)]
    master: MasterFile,
    sessions: Option<Spanned<SessionsFile>>,
    #[serde(default)]
    store: StoreFile,
    members: Option<Spanned<ChangingFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberFile {
    id: Spanned<i64>,
    address: Spanned<String>,
    data: Option<PathBuf>,
    http: Option<Spanned<String>>,
    redis: Option<Spanned<String>>,
}

impl Config {
    /// Reads a configuration file. Paths in it are relative to it.
    ///
    /// # Errors
    /// When it cannot be read, and for anything in it that makes no sense, at line and column.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: file.clone(),
            place: None,
            message: format!(
                "cannot be read: {error}; name another file with --config or SYNOD_CONFIG, or write one: `synod serve --example-config` prints \
                 an example"
            ),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Config::read(&file, &text, folder)
    }

    /// Reads the text of a configuration file. Paths in it are relative to `folder`.
    ///
    /// # Errors
    /// For anything in it that makes no sense, at line and column.
    pub fn read(name: &str, text: &str, folder: &Path) -> Result<Config, ConfigError> {
        let at = |span: Range<usize>, message: String| {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            ConfigError { file: name.to_owned(), place: Some((line, column)), message }
        };
        let file: ConfigFile = toml::from_str(text)
            .map_err(|error| at(error.span().unwrap_or(0..0), error.message().trim().replace('\n', " ")))?;
        if file.cluster.get_ref().trim().is_empty() {
            return Err(at(file.cluster.span(), "cluster: needs a name".to_owned()));
        }
        let wrong = |(span, message): (Range<usize>, String)| at(span, message);
        let groups = number("groups", file.groups.as_ref(), (1, MOST_GROUPS as i64), 1).map_err(wrong)?;
        let max_value = number("max-value", file.max_value.as_ref(), (1, MOST_VALUE), 64 << 10);
        let max_value = max_value.map_err(wrong)? as usize;
        let datagram =
            number("datagram", file.datagram.as_ref(), (508, 65_507), 1200).map_err(wrong)? as usize;
        let retry = Duration::from_millis(100)..Duration::from_millis(300);
        let retry = milliseconds("retry", file.retry.as_ref(), retry).map_err(wrong)?;
        let sessions = file.sessions.unwrap_or_else(|| Spanned::new(0..0, SessionsFile::default()));
        let log = LogSettings::read((&file.log, &file.master), &sessions, &file.store).map_err(wrong)?;
        if let Some(given) = file.groups.as_ref().filter(|_| groups > 1 && log.master.is_some()) {
            let message = format!(
                "groups = {groups}: mastership by lease is of one log; leave `lease` out of [master], or have one group"
            );
            return Err(at(given.span(), message));
        }
        if let Some(given) = file.election.as_ref().filter(|given| !given.get_ref() && log.master.is_some()) {
            let message = "election = false: mastership goes to whoever is elected; leave `lease` out of [master], or have an election";
            return Err(at(given.span(), message.to_owned()));
        }
        let redis = RedisSettings::read(file.redis, folder).map_err(wrong)?;
        let changing = file.members.as_ref().map(|given| Changing::read(given.get_ref())).transpose();
        let changing = changing.map_err(wrong)?;
        if changing.is_some() {
            let is_off = |given: &&Spanned<bool>| !given.get_ref();
            let others = [
                (file.groups.as_ref().filter(|_| groups > 1).map(Spanned::span), "groups", "have one group"),
                (
                    file.master.lease.as_ref().map(Spanned::span),
                    "lease",
                    "leave it out of [master]: reads are confirmed by a quorum",
                ),
                (file.election.as_ref().filter(is_off).map(Spanned::span), "election", "have an election"),
            ];
            for (span, key, instead) in others {
                if let Some(span) = span {
                    let message =
                        format!("{key}: not where members change; {instead}, or leave [members] out");
                    return Err(at(span, message));
                }
            }
        }
        let given = &file.member;
        let (most, most_id) = match &changing {
            Some(_) => (IDS as usize, IDS as i64 - 1),
            None => (MOST_MEMBERS, i64::from(u16::MAX)),
        };
        if given.is_empty() || given.len() > most {
            let message = format!("there must be from 1 to {most} [[member]] tables, not {}", given.len());
            return Err(at(0..0, message));
        }
        let mut members: Vec<Member> = Vec::new();
        for member in given {
            let (id, span) = (*member.id.get_ref(), member.id.span());
            if !(0..=most_id).contains(&id) {
                let why = if changing.is_some() { ", where members change" } else { "" };
                return Err(at(span, format!("id = {id}: must be from 0 to {most_id}{why}")));
            }
            let id = id as u64;
            if members.iter().any(|other| other.id == id) {
                return Err(at(span, format!("id = {id}: another member has it")));
            }
            let (address, span) = (member.address.get_ref(), member.address.span());
            let address: SocketAddr = address.parse().map_err(|_| {
                let message =
                    "must be an IP address and a port, such as \"127.0.0.1:7000\" or \"[::1]:7000\"";
                at(span.clone(), format!("address = {address:?}: {message}"))
            })?;
            if address.port() == 0 || address.ip().is_unspecified() {
                let message = "the others send to it, so it needs a port and the address of one machine";
                return Err(at(span, format!("address = \"{address}\": {message}")));
            }
            if let Some(other) = members.iter().find(|other| other.address == address) {
                return Err(at(span, format!("address = \"{address}\": member {} has it", other.id)));
            }
            if let Some(other) = members.iter().find(|other| other.address.is_ipv4() != address.is_ipv4()) {
                let message = format!("and member {} are not both IPv4 or both IPv6", other.id);
                return Err(at(span, format!("address = \"{address}\" {message}")));
            }
            let data = member.data.clone().unwrap_or_else(|| PathBuf::from(format!("data/{id}")));
            let http = match &member.http {
                Some(given) => {
                    let http = http(given.get_ref(), file.http_anywhere).and_then(|http| {
                        match members
                            .iter()
                            .find(|other| other.http == Some(http) && other.address.ip() == address.ip())
                        {
                            Some(other) => Err(format!("member {} has it", other.id)),
                            None => Ok(http),
                        }
                    });
                    let wrong =
                        |message| at(given.span(), format!("http = {:?}: {message}", given.get_ref()));
                    Some(http.map_err(wrong)?)
                }
                None => None,
            };
            let front = |given: &Spanned<String>| {
                let wrong = |message| at(given.span(), format!("redis = {:?}: {message}", given.get_ref()));
                redis.address(given.get_ref()).map_err(wrong)
            };
            let front = member.redis.as_ref().map(front).transpose()?;
            members.push(Member { id, address, data: folder.join(data), http, redis: front });
        }
        Ok(Config {
            cluster: file.cluster.into_inner(),
            cluster_key: folder.join(file.cluster_key),
            client_key: folder.join(file.client_key),
            groups: groups as usize,
            members,
            changing,
            retry,
            election: file.election.is_none_or(Spanned::into_inner),
            max_value,
            log,
            datagram,
            record: file.record,
            redis,
        })
    }

    /// The number that stands for the cluster in datagrams and journals. Another number of groups makes it another cluster, since keys
    /// would be looked for in other logs. So does another rule by which members change, and then another window, since both say who the members are.
    pub fn tag(&self) -> u64 {
        self.tag_of(self.changing.as_ref(), self.log.alpha)
    }

    /// The number that would stand for it with this rule by which members change, and this window.
    fn tag_of(&self, changing: Option<&Changing>, alpha: u64) -> u64 {
        let tag = self.tag_with(self.groups);
        changing.map_or(tag, |changing| changing.tag(tag, alpha))
    }

    /// What a cluster of this name has instead of what stands here, if it has the tag and that can be found by trying; and what must be the same everywhere.
    pub(crate) fn differs_in(&self, tag: u64) -> Option<String> {
        let Some(here) = &self.changing else {
            // The members that the file has are most often the first ones.
            let mut first: Vec<u64> = self.members.iter().map(|member| member.id).collect();
            first.sort_unstable();
            let guess = Changing { first, lag: Changing::LAG };
            let is_it = self.tag_of(Some(&guess), self.log.alpha) == tag;
            return is_it.then(|| {
                format!("[members] with first = {:?}, and the configuration has no such table", guess.first)
            });
        };
        if self.tag_of(None, 0) == tag {
            return Some("no [members], and the configuration has that table".to_owned());
        }
        let alphas = 1..=MOST_ALPHA as u64;
        let alpha = alphas.into_iter().find(|alpha| self.tag_of(Some(here), *alpha) == tag);
        let other =
            |alpha| format!("alpha = {alpha} in [log], and the configuration has alpha = {}", self.log.alpha);
        let lag = || {
            let usual = Changing { lag: Changing::LAG, ..here.clone() };
            let is_it = self.tag_of(Some(&usual), self.log.alpha) == tag;
            is_it.then(|| {
                format!("lag = {} in [members], and the configuration has lag = {}", usual.lag, here.lag)
            })
        };
        alpha.map(other).or_else(lag)
    }

    /// The number that would stand for it with so many groups.
    fn tag_with(&self, groups: usize) -> u64 {
        synod_runtime::groups::cluster_tag(&self.cluster, groups)
    }

    /// The number of groups with which a cluster of this name has the tag, if there is one.
    pub(crate) fn groups_of(&self, tag: u64) -> Option<usize> {
        (1..=MOST_GROUPS).find(|groups| self.tag_with(*groups) == tag)
    }

    /// The longest command that a client may submit, in bytes.
    pub fn longest_command(&self) -> usize {
        self.log.longest_command(self.max_value) - synod::LogEntry::COSTS
    }

    /// The ids that a data directory and a greeting name: those of all members, or of the first ones where members change.
    pub fn named(&self) -> Vec<u64> {
        match &self.changing {
            Some(changing) => changing.first.clone(),
            None => self.members.iter().map(|member| member.id).collect(),
        }
    }

    /// A member.
    pub fn member(&self, id: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }
}

/// The address at which a member tells of itself. What it tells is for everyone who can reach it.
fn http(text: &str, anywhere: bool) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        "must be an IP address and a port, such as \"127.0.0.1:9100\" or \"[::1]:9100\"".to_owned()
    })?;
    if address.port() == 0 {
        return Err("needs a port".to_owned());
    }
    if !address.ip().is_loopback() && !anywhere {
        return Err("is not a loopback address, and whoever reaches it reads the member's status; set http-anywhere = true above \
                    the members if that is meant"
            .to_owned());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MasterSettings;

    const RIGHT: &str = r#"cluster = "demo"
cluster-key = "keys/cluster"
client-key = "keys/client"

[[member]]
id = 0
address = "127.0.0.1:7000"

[[member]]
id = 1
address = "127.0.0.1:7001"
data = "/var/lib/one"
"#;

    fn refused(from: &str, to: &str, place: (usize, usize), says: &str) {
        assert!(RIGHT.contains(from), "{from:?} stands in the example");
        let text = RIGHT.replacen(from, to, 1);
        let error = Config::read("c.toml", &text, Path::new("")).expect_err("it makes no sense");
        assert_eq!(error.place, Some(place), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn a_file_with_the_least_in_it_has_sensible_defaults() {
        let config = Config::read("c.toml", RIGHT, Path::new("/etc/synod")).expect("it is right");
        assert_eq!(config.cluster_key, Path::new("/etc/synod/keys/cluster"));
        assert_eq!(config.members[0].data, Path::new("/etc/synod/data/0"));
        assert_eq!(config.members[1].data, Path::new("/var/lib/one"));
        assert_eq!((config.max_value, config.datagram, config.record), (65_536, 1200, false));
        assert!(config.election);
        assert_eq!(config.log, LogSettings::default());
        let other = Config { cluster: "other".to_owned(), ..config.clone() };
        assert_ne!(config.tag(), other.tag());
        let several = Config { groups: 3, ..config.clone() };
        assert_ne!(config.tag(), several.tag());
        assert_eq!((config.groups_of(several.tag()), config.groups_of(other.tag())), (Some(3), None));
    }

    #[test]
    fn the_example_shows_every_default() {
        let example = include_str!("../../../deploy/cluster.toml");
        let read = |text: &str| Config::read("cluster.toml", text, Path::new("")).expect("it is right");
        let config = read(example);
        assert_eq!((&config.log, config.members.len()), (&LogSettings::default(), 3));
        let is_setting = |line: &str| {
            let key = line.strip_prefix("# ").and_then(|line| line.split_once(" = "));
            key.is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        };
        let shown: Vec<&str> = example.lines().filter(|line| is_setting(line)).collect();
        assert_eq!(shown.len(), 30, "every key that has a default stands in it");
        let without = |line: &&str| line.trim_start_matches("# ").to_owned();
        let all: Vec<String> = example
            .lines()
            .map(|line| if is_setting(line) { without(&line) } else { line.to_owned() })
            .collect();
        assert_eq!(read(&all.join("\n")), config, "what it shows is what holds without it");
    }

    #[test]
    fn a_lease_is_given_in_milliseconds_and_clocks_may_drift() {
        let read = |master: &str| {
            let text = format!("{RIGHT}\n[master]\n{master}\n");
            Config::read("c.toml", &text, Path::new("")).expect("it is right").log.master
        };
        assert_eq!(read(""), None);
        assert_eq!(read("lease = 1000"), Some(MasterSettings { lease_ms: 1000, drift: 100_000 }));
        assert_eq!(read("lease = 100\ndrift = 0"), Some(MasterSettings { lease_ms: 100, drift: 0 }));
    }

    #[test]
    fn whatever_makes_no_sense_is_refused_at_its_place() {
        refused("cluster = \"demo\"", "cluster = \" \"", (1, 11), "needs a name");
        refused("id = 1", "id = 0", (10, 6), "another member has it");
        refused("id = 1", "id = -1", (10, 6), "must be from 0 to 65535");
        refused("127.0.0.1:7001", "localhost:7001", (11, 11), "must be an IP address and a port");
        refused("127.0.0.1:7001", "127.0.0.1:0", (11, 11), "needs a port");
        refused("127.0.0.1:7001", "0.0.0.0:7001", (11, 11), "the address of one machine");
        refused("127.0.0.1:7001", "127.0.0.1:7000", (11, 11), "member 0 has it");
        refused("127.0.0.1:7001", "[::1]:7001", (11, 11), "not both IPv4");
        refused("[[member]]\nid = 0", "retry = [5, 5]\n[[member]]\nid = 0", (5, 9), "the second larger");
        refused("[[member]]\nid = 0", "max-value = 0\n[[member]]\nid = 0", (5, 13), "must be from 1 to");
        refused(
            "[[member]]\nid = 0",
            "groups = 2\nmaster = { lease = 1000 }\n[[member]]\nid = 0",
            (5, 10),
            "mastership by lease is of one log",
        );
        refused(
            "[[member]]\nid = 0",
            "election = false\nmaster = { lease = 1000 }\n[[member]]\nid = 0",
            (5, 12),
            "leave `lease` out of [master], or have an election",
        );
        refused("[[member]]\nid = 0", "groups = 65\n[[member]]\nid = 0", (5, 10), "must be from 1 to 64");
        refused("[[member]]\nid = 0", "datagram = 100\n[[member]]\nid = 0", (5, 12), "must be from 508");
        let at_member = "[[member]]\nid = 0";
        refused(
            at_member,
            "[[member]]\nhttp = \"localhost:1\"\nid = 0",
            (6, 8),
            "must be an IP address and a port",
        );
        refused(at_member, "[[member]]\nhttp = \"127.0.0.1:0\"\nid = 0", (6, 8), "needs a port");
        refused(
            at_member,
            "[[member]]\nhttp = \"10.0.0.1:9100\"\nid = 0",
            (6, 8),
            "set http-anywhere = true",
        );
        for (table, wrong, column, says) in [
            ("log", "alpha = 0", 9, "alpha = 0: must be from 1 to 65536"),
            ("log", "batch = 0", 9, "batch = 0: must be from 1 to 65536"),
            ("log", "catch-up = [3, 2]", 12, "the second larger"),
            ("log", "snapshot-every = 0", 18, "must be from 1"),
            ("log", "snapshot-bytes = 9", 18, "must be from 1024"),
            ("log", "keep = -1", 8, "must be from 0"),
            ("log", "keep-bytes = -1", 14, "must be from 0"),
            ("log", "chunk = 1", 9, "must be from 1024"),
            ("log", "longest-snapshot = 1", 20, "must be from 1048576"),
            ("log", "colour = 1", 1, "unknown field"),
            ("master", "lease = 99", 9, "lease = 99: must be from 100 to 3600000"),
            ("master", "drift = 5", 9, "give `lease` too"),
            ("master", "lease = 1000\ndrift = 500001", 9, "must be from 0 to 500000"),
            ("sessions", "most = 1", 8, "must be from 2"),
            ("sessions", "window = 0", 10, "must be from 1"),
            ("sessions", "reply-bytes = -1", 15, "must be from 0"),
            ("sessions", "bytes = 0", 9, "must be from 1"),
            ("sessions", "idle = 0", 8, "must be from 1"),
            ("store", "max-key = 0", 11, "must be from 1 to 1048576"),
            ("store", "most-bytes = 9", 14, "must be from 1024"),
            (
                "store",
                "most-bytes = 5000000000",
                14,
                "lower [store] most-bytes or raise [log] longest-snapshot",
            ),
            ("log", "longest-snapshot = 1048576", 20, "lower [store] most-bytes or raise [log]"),
        ] {
            let text = format!("[{table}]\n{wrong}\n[[member]]\nid = 0");
            let line = 6 + wrong.matches('\n').count();
            refused("[[member]]\nid = 0", &text, (line, column), says);
        }
        let text = "[sessions]\nbytes = 1000\n[[member]]\nid = 0";
        refused("[[member]]\nid = 0", text, (5, 1), "give `bytes` at least that");
        refused("[[member]]\nid = 0", "colour = 1\n[[member]]\nid = 0", (5, 1), "unknown field");
        refused("cluster-key = \"keys/cluster\"", "cluster-key = 7", (2, 15), "invalid type");
        let none = "cluster = \"a\"\ncluster-key = \"k\"\nclient-key = \"c\"\n";
        let error = Config::read("c.toml", none, Path::new("")).expect_err("it has no members");
        assert!(error.to_string().contains("[[member]]"), "{error}");
    }
}
