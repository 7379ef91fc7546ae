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
use super::tables::{Reaction, Tables, pair};
use crate::Subject;
use crate::observer::Observer;

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// An inbox without the messages that the actor would ignore in a local, as far as is known for good.
    pub(super) fn without_dead(&mut self, column: usize, local: u32, inbox: u32) -> u32 {
        if column >= self.actors() {
            return inbox;
        }
        let mut list = self.lists.get(inbox).to_vec();
        let all = list.len();
        list.retain(|&envelope| self.is_kept(column, local, envelope));
        if list.len() == all { inbox } else { self.lists.intern(&list) }
    }

    /// Whether a message is not left out where it finds its receiver in a local.
    fn is_kept(&mut self, actor: usize, local: u32, envelope: u32) -> bool {
        let at = pair(local, envelope);
        if self.dropped.contains(&at) {
            return false;
        }
        if self.alive.contains(&at) || !self.ignores(actor, local, envelope) {
            return true;
        }
        self.dropped.insert(at);
        false
    }

    /// Whether delivering a message would be no step at all. Nothing is delivered to an actor that is down.
    fn ignores(&mut self, actor: usize, local: u32, envelope: u32) -> bool {
        if self.down[local as usize] {
            return true;
        }
        self.deliver(actor as u32, local, envelope).is_none()
    }

    /// Whether two rows are of the same state, but for messages that their receivers ignore. Of an exploration that was given up, some ways
    /// to a state may have kept messages that others left out.
    pub(super) fn differ_in_dead_only(&mut self, a: &[u32], b: &[u32]) -> bool {
        let actors = self.actors();
        self.leaves_out
            && a[actors..] == b[actors..]
            && (0..actors).all(|column| {
                let [(local, one), (other, another)] = [a, b].map(|row| self.parts(row, column));
                let [one, another] = [one, another].map(|inbox| {
                    let mut heeded = self.lists.get(inbox).to_vec();
                    heeded.retain(|&envelope| !self.ignores(column, local, envelope));
                    heeded
                });
                (local, one) == (other, another)
            })
    }

    /// Looks for messages that were left out although their receivers might still react to them, and remembers to keep them.
    /// Whether there were any.
    pub(super) fn refute(&mut self) -> bool {
        if self.dropped.is_empty() {
            return false;
        }
        self.note_down(Entry::Refute);
        // In one order, so that what is found out, and in which order handlers are run, does not depend on a hash.
        let receiver = |envelope: u32| usize::from(self.envelopes.get(envelope).dst) as u32;
        let mut left_out: Vec<(u32, u32, u32)> =
            self.dropped.iter().map(|&at| (receiver(at as u32), at as u32, (at >> 32) as u32)).collect();
        left_out.sort_unstable();
        let mut refuted = false;
        for actor in left_out.chunk_by(|a, b| a.0 == b.0) {
            let (after, before) = self.ways(actor[0].0);
            let (mut reached, mut kept) = (Marks::new(self.locals.len()), Marks::new(self.locals.len()));
            for message in actor.chunk_by(|a, b| a.1 == b.1) {
                let (actor, envelope, _) = message[0];
                reached.clear();
                kept.clear();
                let mut pending: Vec<u32> = message.iter().map(|(_, _, local)| *local).collect();
                for local in &pending {
                    reached.set(*local);
                }
                let mut reacting = Vec::new();
                while let Some(local) = pending.pop() {
                    if self.is_kept(actor as usize, local, envelope) {
                        reacting.push(local);
                    }
                    pending.extend(after.of(local).iter().filter(|next| reached.set(**next)));
                }
                // Whatever leads to a local that reacts has to keep the message: also past locals that were known to, as what leads
                // to them may have been found out since.
                let (reacts, mut wrong) = (!reacting.is_empty(), false);
                while let Some(local) = reacting.pop() {
                    for &earlier in before.of(local) {
                        if reached.has(earlier) && kept.set(earlier) {
                            self.alive.insert(pair(earlier, envelope));
                            wrong |= self.dropped.contains(&pair(earlier, envelope));
                            reacting.push(earlier);
                        }
                    }
                }
                assert_eq!(wrong, reacts, "what reacts is reached from where the message was left out");
                refuted |= wrong;
            }
        }
        refuted
    }

    /// Where an actor's steps lead from each local within the bounds, and back.
    fn ways(&self, actor: u32) -> (Ways, Ways) {
        let leads = |reaction: &&Reaction| {
            reaction.actor == actor && reaction.next != reaction.local && self.within[reaction.next as usize]
        };
        let steps: Vec<_> = self.reactions.iter().filter(leads).map(|step| (step.local, step.next)).collect();
        let back = steps.iter().map(|&(from, to)| (to, from)).collect();
        (Ways::new(steps, self.locals.len()), Ways::new(back, self.locals.len()))
    }
}

/// Of each local, the locals that follow it.
struct Ways {
    starts: Vec<u32>,
    to: Vec<u32>,
}

impl Ways {
    fn new(mut steps: Vec<(u32, u32)>, locals: usize) -> Self {
        steps.sort_unstable();
        steps.dedup();
        let mut starts = vec![0; locals + 1];
        for (from, _) in &steps {
            starts[*from as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { starts, to: steps.into_iter().map(|(_, to)| to).collect() }
    }

    fn of(&self, local: u32) -> &[u32] {
        &self.to[self.starts[local as usize] as usize..self.starts[local as usize + 1] as usize]
    }
}

/// Locals that were marked since the last time all marks were taken away.
struct Marks {
    now: u32,
    when: Vec<u32>,
}

impl Marks {
    fn new(locals: usize) -> Self {
        Self { now: 1, when: vec![0; locals] }
    }

    fn clear(&mut self) {
        self.now += 1;
    }

    fn has(&self, local: u32) -> bool {
        self.when[local as usize] == self.now
    }

    /// Marks a local; false if it was.
    fn set(&mut self, local: u32) -> bool {
        std::mem::replace(&mut self.when[local as usize], self.now) != self.now
    }
}
