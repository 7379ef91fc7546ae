//! The memory of a member about its peers, and how much of it is durable.

use crate::standing::{Known, Standing};
use std::collections::{BTreeMap, BTreeSet};

/// A member's knowledge of its peers, and how much of it is durable.
///
/// A member answers greetings with the most it ever heard, durable or not: what it heard may have an effect a moment later.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory {
    known: BTreeMap<u64, Known>,
    /// The peers of which something is durable, so that their directories are recorded for good.
    recorded: BTreeSet<u64>,
    /// The peers of which more is known than is durable.
    unwritten: BTreeSet<u64>,
}

impl Memory {
    /// The memory as read from the disk, all of it durable.
    pub fn read(known: BTreeMap<u64, Known>) -> Memory {
        let recorded = known.keys().copied().collect();
        Memory { known, recorded, unwritten: BTreeSet::new() }
    }

    /// Takes note that a message of a peer at `standing` is about to have an effect.
    pub fn rest_on(&mut self, peer: u64, standing: &Standing) {
        self.learn(peer, |known| known.map_or_else(|| Known::of(standing), |known| known.and(standing)));
    }

    /// Takes note that a peer at `standing` greets. Records its directory if it has none yet. Of a later start nothing else is
    /// learned before something rests on it: that start must first be told what is known of the earlier one.
    pub fn greet(&mut self, peer: u64, standing: &Standing) {
        self.learn(peer, |known| known.map_or_else(|| Known::of(standing), |known| known.raised(standing)));
    }

    fn learn(&mut self, peer: u64, learn: impl FnOnce(Option<Known>) -> Known) {
        let before = self.known.get(&peer).copied();
        let after = learn(before);
        if before != Some(after) {
            self.known.insert(peer, after);
            self.unwritten.insert(peer);
        }
    }

    /// The knowledge of a peer, durable or not, that the peer is told when it greets.
    pub fn known(&self, peer: u64) -> Option<Known> {
        self.known.get(&peer).copied()
    }

    /// True if all that is known of a peer is durable, so that what rests on it may leave.
    pub fn is_durable(&self, peer: u64) -> bool {
        !self.unwritten.contains(&peer)
    }

    /// True if a peer's directory is durably recorded, so that no other directory will ever be taken for it.
    pub fn is_recorded(&self, peer: u64) -> bool {
        self.recorded.contains(&peer)
    }

    /// The knowledge that the next flush has to write.
    pub fn unwritten(&self) -> impl Iterator<Item = (u64, Known)> {
        self.unwritten.iter().map(|peer| (*peer, self.known[peer]))
    }

    /// All knowledge.
    pub fn all(&self) -> impl Iterator<Item = (u64, Known)> {
        self.known.iter().map(|(peer, known)| (*peer, *known))
    }

    /// Takes note that the flush is done.
    pub fn written(&mut self) {
        self.recorded.append(&mut self.unwritten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Standing = Standing { disk: 7, boot: 1, nonce: 70, saves: 3, admitted: true };

    #[test]
    fn what_was_heard_is_answered_at_once_and_durable_after_the_flush() {
        let mut memory = Memory::default();
        assert!(memory.known(1).is_none() && !memory.is_recorded(1));
        memory.greet(1, &AT);
        assert_eq!(memory.known(1), Some(Known::of(&AT)));
        assert!(!memory.is_durable(1) && !memory.is_recorded(1));
        assert_eq!(memory.unwritten().collect::<Vec<_>>(), [(1, Known::of(&AT))]);
        memory.written();
        assert!(memory.is_durable(1) && memory.is_recorded(1) && memory.unwritten().next().is_none());
        memory.greet(1, &Standing { saves: 2, ..AT });
        memory.greet(1, &Standing { boot: 2, saves: 9, ..AT });
        assert!(memory.is_durable(1), "nothing new");
        memory.greet(1, &Standing { saves: 4, ..AT });
        assert!(!memory.is_durable(1) && memory.is_recorded(1));
        let read = Memory::read(memory.all().collect());
        assert!(read.is_recorded(1) && read.known(1).is_some_and(|known| known.saves == 4));
        memory.rest_on(1, &Standing { boot: 2, saves: 4, ..AT });
        assert_eq!(memory.known(1).map(|known| known.boot), Some(2));
    }

    #[test]
    fn another_disk_is_never_learned() {
        let mut memory = Memory::default();
        memory.rest_on(1, &AT);
        memory.written();
        memory.rest_on(1, &Standing { disk: 8, boot: 9, saves: 99, ..AT });
        memory.greet(1, &Standing { disk: 8, boot: 9, saves: 99, ..AT });
        assert_eq!(memory.known(1), Some(Known::of(&AT)));
        assert!(memory.is_durable(1));
    }
}
