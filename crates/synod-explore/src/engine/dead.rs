//! Messages that cannot matter any more are left out of inboxes, and that they cannot is checked afterwards.
//!
//! A message is left out as soon as its receiver would ignore it. That is a guess: the receiver may come to a local in which
//! it would not. So the guesses are checked on the graph of locals that was explored: from every local in which a
//! message was left out, every local that its receiver ever went on to must ignore it too. Where one does not, the
//! message is kept in all locals that lead there, and the exploration begins anew. What is known of handlers stays, so
//! that the guesses only get better and there is an end.
//!
//! When nothing is refuted the states with and without dead messages are bisimilar: whatever was left out is a no-op at
//! its receiver in every state that follows, so it is no step in any of them and stands in nobody's way. In an ordered
//! network even a no-op is a step, since it makes room for the next message; there nothing is left out.

use super::checkpoint::Entry;
use super::tables::{Tables, pair};
use crate::Subject;
use crate::observer::Observer;
use rustc_hash::{FxHashMap, FxHashSet};

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// An inbox without the messages that the actor would ignore in a local, as far as is known for good.
    pub(super) fn without_dead(&mut self, column: usize, local: u32, inbox: u32) -> u32 {
        if column >= self.actors() {
            return inbox;
        }
        let mut list = self.lists.get(inbox).to_vec();
        let all = list.len();
        list.retain(|&envelope| {
            let dead = !self.alive.contains(&pair(local, envelope)) && self.ignores(column, local, envelope);
            if dead {
                self.dropped.insert(pair(local, envelope));
            }
            !dead
        });
        if list.len() == all { inbox } else { self.lists.intern(&list) }
    }

    /// Whether delivering a message would be no step at all. Nothing is delivered to an actor that is down.
    fn ignores(&mut self, actor: usize, local: u32, envelope: u32) -> bool {
        if self.down[local as usize] {
            return true;
        }
        self.deliver(actor as u32, local, envelope).is_none()
    }

    /// Looks for messages that were left out although their receivers might still react to them, and remembers to keep them.
    /// Whether there were any.
    pub(super) fn refute(&mut self) -> bool {
        if self.dropped.is_empty() {
            return false;
        }
        self.note_down(Entry::Refute);
        let mut after: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
        let mut before: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
        for reaction in &self.reactions {
            if reaction.next != reaction.local && self.within[reaction.next as usize] {
                after.entry(pair(reaction.actor, reaction.local)).or_default().push(reaction.next);
                before.entry(pair(reaction.actor, reaction.next)).or_default().push(reaction.local);
            }
        }
        let mut left_out: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for &dropped in &self.dropped {
            left_out.entry(dropped as u32).or_default().push((dropped >> 32) as u32);
        }
        // In the order of their numbers, so that what is found out does not depend on a hash.
        let mut left_out: Vec<(u32, Vec<u32>)> = left_out.into_iter().collect();
        left_out.sort_unstable();
        let mut refuted = false;
        for (envelope, locals) in left_out {
            let actor = usize::from(self.envelopes.get(envelope).dst) as u32;
            let mut reached: FxHashSet<u32> = locals.iter().copied().collect();
            let mut pending = locals;
            let mut reacting = Vec::new();
            while let Some(local) = pending.pop() {
                if !self.ignores(actor as usize, local, envelope) {
                    reacting.push(local);
                }
                for &next in after.get(&pair(actor, local)).map_or(&[][..], Vec::as_slice) {
                    if reached.insert(next) {
                        pending.push(next);
                    }
                }
            }
            // Whatever leads to a local that reacts has to keep the message: also past locals that were known to, as what leads
            // to them may have been found out since.
            let (reacts, mut kept) = (!reacting.is_empty(), FxHashSet::default());
            let mut wrong = false;
            while let Some(local) = reacting.pop() {
                for &earlier in before.get(&pair(actor, local)).map_or(&[][..], Vec::as_slice) {
                    if reached.contains(&earlier) && kept.insert(earlier) {
                        self.alive.insert(pair(earlier, envelope));
                        wrong |= self.dropped.contains(&pair(earlier, envelope));
                        reacting.push(earlier);
                    }
                }
            }
            assert_eq!(wrong, reacts, "what reacts is reached from where the message was left out");
            refuted |= wrong;
        }
        refuted
    }
}
