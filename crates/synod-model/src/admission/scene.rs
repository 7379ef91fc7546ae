//! A scene: who there is, and what may happen to whom.

use super::log::Log;
use std::collections::BTreeSet;

/// The members, and what may happen to each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The number of members.
    pub members: usize,
    /// True if all begin with directories that took part.
    pub running: bool,
    /// The questions of clients: the member that is asked, and the value.
    pub asked: Vec<(usize, u8)>,
    /// Whose disk may fall back, once.
    pub cut: BTreeSet<usize>,
    /// By how many flushes at most.
    pub back: usize,
    /// Whose disk may be wiped, once.
    pub wiped: BTreeSet<usize>,
    /// The members that may be started with a list of themselves alone.
    pub alone: BTreeSet<usize>,
    /// The members that may crash.
    pub crash: BTreeSet<usize>,
    /// The most crashes in a run.
    pub crashes: u32,
    /// The log, if members change.
    pub log: Option<Log>,
    /// The members that may be started on an empty directory, once, and then on their own again.
    pub elsewhere: BTreeSet<usize>,
    /// The members whose snapshots may have less than they had executed at a flush.
    pub snapshots: BTreeSet<usize>,
}

impl Scene {
    /// True if a vote of this member may be lost.
    pub fn may_fail(&self, member: usize) -> bool {
        self.cut.contains(&member) || self.wiped.contains(&member)
    }
}
