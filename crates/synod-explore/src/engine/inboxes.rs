//! Inboxes as numbers: the messages on their way to one receiver, as lists of envelopes in a canonical order.

use super::intern::{Lists, pair};
use super::key::{Words, hash_of, plus};
use super::pairs::Pairs;
use crate::network::Delivery;

/// The offset of hashes of envelopes, beyond those of columns and locals.
const ENVELOPES: usize = 1 << 21;

/// All inboxes, and the facts about envelopes.
pub(super) struct Inboxes {
    delivery: Delivery,
    /// Lists of envelopes: inboxes and sends. The empty one is number 0.
    pub lists: Lists,
    /// The sender and the receiver of each envelope.
    ends: Vec<(u32, u32)>,
    /// The term that each envelope adds to a key that sums messages.
    hashes: Vec<Words>,
    /// (inbox, list of envelopes) to the inbox with these.
    joined: Pairs,
    /// A buffer in which lists are put together.
    scratch: Vec<u32>,
}

impl Inboxes {
    pub(super) fn new(delivery: Delivery) -> Self {
        let (lists, joined) = (Lists::new(), Pairs::new());
        Self { delivery, lists, ends: Vec::new(), hashes: Vec::new(), joined, scratch: Vec::new() }
    }

    /// The number of envelopes.
    pub(super) fn envelopes(&self) -> usize {
        self.ends.len()
    }

    /// The next envelope has this sender and this receiver.
    pub(super) fn learn(&mut self, ends: (u32, u32)) {
        self.hashes.push(hash_of(ENVELOPES, self.ends.len() as u32));
        self.ends.push(ends);
    }

    /// The receiver of an envelope.
    pub(super) fn receiver(&self, envelope: u32) -> u32 {
        self.ends[envelope as usize].1
    }

    /// The term that an envelope adds to a key.
    pub(super) fn weight(&self, envelope: u32) -> Words {
        self.hashes[envelope as usize]
    }

    /// The sum of the terms of a list of envelopes in a key.
    pub(super) fn weight_of_list(&self, list: u32) -> Words {
        self.lists.get(list).iter().fold([0; 2], |sum, envelope| plus(sum, self.weight(*envelope)))
    }

    /// The envelope at a place of an inbox, if it can arrive or be lost next and is the first of its kind.
    pub(super) fn head(&self, inbox: u32, at: usize) -> Option<u32> {
        let list = self.lists.get(inbox);
        let (envelope, before) = (list[at], at.checked_sub(1).map(|before| list[before]));
        let waits = |before: u32| match self.delivery {
            Delivery::Ordered => self.ends[before as usize] == self.ends[envelope as usize],
            Delivery::Set | Delivery::Multiset => before == envelope,
        };
        (!before.is_some_and(waits)).then_some(envelope)
    }

    /// An inbox with one more envelope.
    pub(super) fn with(&mut self, inbox: u32, envelope: u32) -> u32 {
        self.changed(inbox, |inboxes, list| inboxes.insert(list, envelope))
    }

    /// An inbox with some more envelopes, a list.
    pub(super) fn with_all(&mut self, inbox: u32, more: u32) -> u32 {
        if more == 0 {
            return inbox;
        }
        if let Some(joined) = self.joined.get(pair(inbox, more)) {
            return joined;
        }
        let joined = self.changed(inbox, |inboxes, list| {
            for &envelope in inboxes.lists.get(more) {
                inboxes.insert(list, envelope);
            }
        });
        self.joined.insert(pair(inbox, more), joined);
        joined
    }

    /// An inbox without an envelope. It is hardly ever asked for twice, so nothing is remembered of it.
    pub(super) fn without(&mut self, inbox: u32, envelope: u32) -> u32 {
        self.changed(inbox, |_, list| {
            if let Some(at) = list.iter().position(|other| *other == envelope) {
                list.remove(at);
            }
        })
    }

    fn changed(&mut self, inbox: u32, change: impl FnOnce(&Self, &mut Vec<u32>)) -> u32 {
        let mut list = std::mem::take(&mut self.scratch);
        list.clear();
        list.extend_from_slice(self.lists.get(inbox));
        change(self, &mut list);
        let inbox = self.lists.intern(&list);
        self.scratch = list;
        inbox
    }

    /// Puts an envelope into an inbox, in the canonical order: by number, or by channel and then age.
    fn insert(&self, list: &mut Vec<u32>, envelope: u32) {
        let at = if self.delivery == Delivery::Ordered {
            let channel = self.ends[envelope as usize];
            list.partition_point(|other| self.ends[*other as usize] <= channel)
        } else {
            list.partition_point(|other| *other < envelope)
        };
        if self.delivery != Delivery::Set || list.get(at) != Some(&envelope) {
            list.insert(at, envelope);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists.bytes()
            + self.joined.bytes()
            + self.hashes.capacity() * size_of::<Words>()
            + self.ends.capacity() * 8
    }
}
