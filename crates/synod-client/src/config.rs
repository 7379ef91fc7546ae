//! The settings of a client: the cluster that it talks to, and the limits that the two share.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use synod_groups::MOST_GROUPS;
use synod_runtime::groups;
use synod_runtime::transport::LONG_MESSAGE;

/// The bytes that a command has beside two keys and their values.
const COMMAND: usize = 96;
/// The bytes that a message has beside the command in it, at most.
const MESSAGE: usize = 64;

/// The rule by which the members of a cluster change, as its configuration has it. Members of a cluster with another one do not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changing {
    /// The ids of the members with which the cluster began, in ascending order.
    pub first: Vec<u64>,
    /// The most instances that a new member may be behind when it joins.
    pub lag: u64,
    /// The number of instances that may be under way at a time: `alpha` in the table `[log]`.
    pub alpha: u64,
}

/// The settings of a client. All but the members and the key have defaults, which are those of a cluster's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster's name. Members of another cluster do not answer.
    pub cluster: String,
    /// The file of the client key.
    pub client_key: PathBuf,
    /// The members' ids, which are below 65,536, and their addresses. All addresses are IPv4, or all are IPv6.
    pub members: Vec<(u64, SocketAddr)>,
    /// The rule by which members change, if they do. Then `members` are some at which the cluster is found at first.
    pub changing: Option<Changing>,
    /// The number of groups among which the cluster divides keys, from 1 to 64. Members of a cluster with another number do not answer.
    pub groups: usize,
    /// The longest key, and the longest name of a lock or its owner, that the cluster takes, in bytes.
    pub max_key: usize,
    /// The longest value of a key that the cluster takes, in bytes.
    pub max_value: usize,
    /// The longest command that the cluster takes, in bytes, with all its keys and values and some that stand beside them. A command that no
    /// message of a member holds is not sent, whatever this says: such messages have 4 MiB, or more where two keys with their values do.
    pub max_command: usize,
    /// The longest datagram, in bytes of UDP payload: from 508 to 65,507.
    pub datagram: usize,
    /// The most commands that may be without an answer at a time, from 1. The cluster has a limit of its own for this, and this one must
    /// not be above it. Further calls wait for their turn.
    pub window: u32,
    /// The time after which a message without an answer is sent again, the second time that it is over.
    pub resend: Range<Duration>,
}

impl Config {
    /// A cluster without members so far, and the defaults for everything else.
    pub fn new(cluster: impl Into<String>, client_key: impl Into<PathBuf>) -> Config {
        let ms = Duration::from_millis;
        Config {
            cluster: cluster.into(),
            client_key: client_key.into(),
            members: Vec::new(),
            changing: None,
            groups: 1,
            max_key: 1024,
            max_value: 64 << 10,
            max_command: 128 << 10,
            datagram: 1200,
            window: 64,
            resend: ms(100)..ms(150),
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn member(mut self, id: u64, address: SocketAddr) -> Config {
        self.members.push((id, address));
        self
    }

    /// The longest message, in bytes: a command, or an answer, which is bounded by the cluster.
    pub(crate) fn max_message(&self) -> usize {
        self.max_command.saturating_add(64 << 10).max(LONG_MESSAGE)
    }

    /// The longest command, in bytes, that is sent. A member drops a longer message than it takes, and cannot say which one that was.
    pub(crate) fn longest_command(&self) -> usize {
        let two = self.max_key.saturating_add(self.max_value).saturating_mul(2);
        self.max_command.min(two.saturating_add(COMMAND).max(LONG_MESSAGE - MESSAGE))
    }

    /// The number that stands for the cluster in datagrams.
    pub(crate) fn tag(&self) -> u64 {
        let tag = groups::cluster_tag(&self.cluster, self.groups);
        match &self.changing {
            None => tag,
            Some(Changing { first, lag, alpha }) => groups::changing_tag(tag, first, *lag, *alpha),
        }
    }

    /// The complaint about settings under which no client can run.
    pub(crate) fn complaint(&self) -> Option<String> {
        let ids: std::collections::BTreeSet<u64> = self.members.iter().map(|(id, _)| *id).collect();
        let is_v4 = self.members.iter().filter(|(_, address)| address.is_ipv4()).count();
        let complaint = if self.members.is_empty() {
            "there are no members; give the id and the address of each".to_owned()
        } else if ids.len() < self.members.len() {
            "two members have the same id; give each its own".to_owned()
        } else if let Some(id) = ids.iter().find(|id| **id > u64::from(u16::MAX)) {
            format!("a member has the id {id}; ids are from 0 to {}", u16::MAX)
        } else if is_v4 != 0 && is_v4 != self.members.len() {
            "some addresses of members are IPv4 and some IPv6; give all of one kind".to_owned()
        } else if !(1..=MOST_GROUPS).contains(&self.groups) {
            format!("groups = {}: must be from 1 to {MOST_GROUPS}", self.groups)
        } else if !(508..=65_507).contains(&self.datagram) {
            format!("datagram = {}: must be from 508 to 65507", self.datagram)
        } else if self.window == 0 {
            "window = 0: no command could ever be sent; give at least 1".to_owned()
        } else if self.resend.is_empty() || self.resend.start.is_zero() {
            "resend: needs two times, the second longer, neither 0".to_owned()
        } else {
            return None;
        };
        Some(complaint)
    }
}
