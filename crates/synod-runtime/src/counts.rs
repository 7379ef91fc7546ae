//! The counts of a running process.

use crate::transport::Refused;

/// Counts of a process's work and losses since it began.
// Fields: one for each thing that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events stepped through the actor.
    pub steps: u64,
    /// Saves.
    pub saves: u64,
    /// Flushes of the disk; at most one per batch.
    pub flushes: u64,
    /// Messages sent to others.
    pub sends: u64,
    /// Messages dropped because the inbox was full; clients were told so.
    pub inbox_full: u64,
    /// Messages to itself or to local clients dropped because too many waited.
    pub local_full: u64,
    /// Authentic messages that the actor cannot decode, and those that are for another actor: for another group, or for one that there is not.
    pub undecodable: u64,
    /// Messages that waited here when their sender, a member, started again.
    pub outdated: u64,
    /// Messages that came before this process took part, or before their sender did, and were not heard.
    pub early: u64,
    /// Messages that were not sent since this process only learns.
    pub unsaid: u64,
    /// Times that a server told this process that it was too busy.
    pub busy: u64,
    /// Messages not sent because they are longer than the longest allowed.
    pub too_large: u64,
    /// Messages not sent because their receiver was not there.
    pub unreachable: u64,
}

impl Counts {
    pub(crate) fn refuse(&mut self, refused: &Refused) {
        match refused {
            Refused::TooLarge { .. } => self.too_large += 1,
            Refused::NoSession => self.unreachable += 1,
        }
    }
}
