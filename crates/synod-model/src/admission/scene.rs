//! A scene: who there is, and what may happen to whom.

use std::collections::BTreeSet;

/// Who there is, and what may happen to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// How many members.
    pub members: usize,
    /// Whether all begin with directories that took part.
    pub running: bool,
    /// What clients ask of whom: members and values.
    pub asked: Vec<(usize, u8)>,
    /// Whose disk may fall back, once.
    pub cut: BTreeSet<usize>,
    /// By how many flushes at most.
    pub back: usize,
    /// Whose disk may be wiped, once.
    pub wiped: BTreeSet<usize>,
    /// Who may be started with a list of itself alone.
    pub alone: BTreeSet<usize>,
    /// Who crashes.
    pub crash: BTreeSet<usize>,
    /// How many crashes a run has at most.
    pub crashes: u32,
}

impl Scene {
    /// Whether a vote of this member may be lost.
    pub fn may_fail(&self, member: usize) -> bool {
        self.cut.contains(&member) || self.wiped.contains(&member)
    }
}
