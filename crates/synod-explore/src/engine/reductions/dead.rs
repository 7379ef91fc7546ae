//! Dead messages: messages that can no longer matter are dropped from inboxes, and a check afterwards shows that they could not.
//!
//! **What it does.** A message is dropped as soon as its receiver would ignore it. That is a guess: the receiver may come to a local in
//! which it would not.
//!
//! **What it assumes.** A dropped message is a no-op at its receiver in every state that follows. Then it is no step in any of them and
//! holds nothing up, and the states with and without dead messages are bisimilar. In an ordered network even a no-op is a step, since it
//! makes room for the next message; there nothing is dropped.
//!
//! **What certifies it.** [`DeadMessages::refute`] checks the guesses on the graph of locals that was explored: from every local in which a
//! message was dropped, every local that its receiver ever went on to must ignore it too. If one does not, the message is kept in all
//! locals that lead there, and the exploration starts again. Memoised outcomes of handlers stay, so that the guesses only get better and
//! the passes come to an end. The verdict *holds* is given only if nothing is refuted.

use crate::engine::intern::pair;
use rustc_hash::FxHashSet;

/// Dropped messages, and the results of checking them.
#[derive(Default)]
pub(crate) struct DeadMessages {
    /// Messages that are no-ops at their receivers and stay in inboxes all the same: (local, envelope).
    kept: FxHashSet<u64>,
    /// Dropped messages: (local, envelope).
    dropped: FxHashSet<u64>,
}

/// The actors, as the check of dropped messages sees them.
pub(crate) trait Receivers {
    /// The number of locals.
    fn locals(&self) -> usize;
    /// The edges between an actor's locals, within the bounds.
    fn steps(&self, actor: u32) -> Vec<(u32, u32)>;
    /// The actor that an envelope goes to.
    fn receiver(&self, envelope: u32) -> u32;
    /// True if it would be no step at all if an actor got an envelope in a local.
    fn ignores(&mut self, actor: u32, local: u32, envelope: u32) -> bool;
}

impl DeadMessages {
    /// True if a message is dropped for a receiver in a local. `ignores` is called only once for each.
    pub(crate) fn is_dropped(&mut self, local: u32, envelope: u32, ignores: impl FnOnce() -> bool) -> bool {
        let at = pair(local, envelope);
        if self.dropped.contains(&at) {
            return true;
        }
        if self.kept.contains(&at) || !ignores() {
            return false;
        }
        self.dropped.insert(at)
    }

    /// True if no message was dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.dropped.is_empty()
    }

    /// The number of messages that have to be kept although they are ignored.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Forgets the dropped messages, and keeps the results of checking them.
    pub(crate) fn forget_dropped(&mut self) {
        self.dropped.clear();
    }

    /// Looks for dropped messages to which their receivers might still react, and remembers to keep them.
    /// True if there were any.
    pub(crate) fn refute(&mut self, receivers: &mut impl Receivers) -> bool {
        // In a fixed order, so that results and the order of handler calls do not depend on a hash.
        let mut left_out: Vec<(u32, u32, u32)> = self
            .dropped
            .iter()
            .map(|&at| (receivers.receiver(at as u32), at as u32, (at >> 32) as u32))
            .collect();
        left_out.sort_unstable();
        let mut refuted = false;
        for actor in left_out.chunk_by(|a, b| a.0 == b.0) {
            let (steps, locals) = (receivers.steps(actor[0].0), receivers.locals());
            let before = Edges::new(steps.iter().map(|&(from, to)| (to, from)).collect(), locals);
            let after = Edges::new(steps, locals);
            let (mut reached, mut kept) = (Marks::new(locals), Marks::new(locals));
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
                    if !self.is_dropped(local, envelope, || receivers.ignores(actor, local, envelope)) {
                        reacting.push(local);
                    }
                    pending.extend(after.of(local).iter().filter(|next| reached.set(**next)));
                }
                // Every local on a path to one that reacts has to keep the message: also past locals that were known to, as those that lead
                // to them may have been found out since.
                let (reacts, mut wrong) = (!reacting.is_empty(), false);
                while let Some(local) = reacting.pop() {
                    for &earlier in before.of(local) {
                        if reached.has(earlier) && kept.set(earlier) {
                            self.kept.insert(pair(earlier, envelope));
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

    pub(crate) fn bytes(&self) -> usize {
        (self.kept.capacity() + self.dropped.capacity()) * 9
    }
}

/// The successors of each local.
struct Edges {
    starts: Vec<u32>,
    to: Vec<u32>,
}

impl Edges {
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

/// A set of locals that is cleared in constant time.
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

    /// Marks a local; false if it was marked already.
    fn set(&mut self, local: u32) -> bool {
        std::mem::replace(&mut self.when[local as usize], self.now) != self.now
    }
}
