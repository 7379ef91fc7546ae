//! The memory of a member about its peers, and the sends that must wait until that memory is durable.

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

/// The order of a batch's sends and its flush: which sends may leave before it, and whether there must be one.
///
/// A send rests on everything that came before it in its batch, and on what earlier batches left unflushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// The index of the first send before which something must be durable.
    from: Option<usize>,
    /// True if the flush may not be put off even if no send waits for it.
    due: bool,
}

impl Order {
    /// Lets everything after the first `sends` of the batch wait for a flush.
    pub fn wait(&mut self, sends: usize) {
        self.from.get_or_insert(sends);
    }

    /// Demands a flush at the end of this batch, since somebody waits for it.
    pub fn flush(&mut self) {
        self.due = true;
    }

    /// The number of the batch's `sends` that may leave at once.
    pub fn free(&self, sends: usize) -> usize {
        self.from.map_or(sends, |from| from.min(sends))
    }

    /// True if the batch, with so many `sends` in all, needs a flush now.
    pub fn needs_flush(&self, sends: usize) -> bool {
        self.due || self.free(sends) < sends
    }

    /// Ends the batch. If it was not flushed, every send of the next batch waits.
    pub fn end(&mut self, flushed: bool) {
        let owed = self.from.is_some() && !flushed;
        *self = Order { from: owed.then_some(0), due: false };
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

    #[test]
    fn sends_after_what_is_not_durable_wait_in_this_batch_and_in_later_ones() {
        let mut order = Order::default();
        assert_eq!((order.free(5), order.needs_flush(5)), (5, false));
        order.wait(2);
        order.wait(4);
        assert_eq!((order.free(5), order.needs_flush(5)), (2, true));
        // No send follows, so the flush can wait, and so does whatever is sent later.
        assert_eq!((order.free(2), order.needs_flush(2)), (2, false));
        order.end(false);
        assert_eq!((order.free(0), order.needs_flush(0)), (0, false));
        assert_eq!((order.free(3), order.needs_flush(3)), (0, true));
        order.end(true);
        assert_eq!((order.free(3), order.needs_flush(3)), (3, false));
        order.flush();
        assert_eq!((order.free(3), order.needs_flush(3)), (3, true));
    }
}
