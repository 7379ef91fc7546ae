//! Sleep sets (Godefroid 1996, chapter 5): steps of a state that are known to lead nowhere new, so that nobody has to look.
//!
//! **What it assumes.** Nothing of the system: that steps of different actors commute follows from how states are made, as argued below.
//! It does not go together with state vectors that are rewritten or looked at as a whole, nor with scouts (`plan`).
//!
//! **What certifies it.** The argument below; and the tests, which compare every count, depth and trace with searches that know
//! nothing of it (`tests/it/asleep.rs`, `tests/it/differential.rs`).
//!
//! Steps of different actors commute, whatever they send: if a state s has steps a and b, then s·a·b is s·b·a. What b sends only adds to
//! the inbox of a's actor, where what a takes stays as it was, the oldest of its channel where order counts. (In a set, where b loses what
//! a sends, s·b·a is s·a itself, which will do as well.) States are numbered in the order in which they are found, and a state that
//! is found from s by a comes before one that is found by b, if a is the earlier step. So whoever leaves s·b knows that its step a
//! leads to what was found, at the latest, when s·a was left. Such steps *sleep*: they are counted, and not followed. States, their
//! numbers, and how each was found are the same as without.
//!
//! So what sleeps of any other actor in s sleeps in s·b, and so do all steps of those that come before b's actor. Steps that
//! take what b sent are none of these: they are awake. In s·b·c it would have to be told apart what was followed and what came since: if
//! the receiver comes before c's actor all was followed, and otherwise all its steps are taken to be awake. Then there is the
//! history, which may tell which of two that are noted came first. So
//!
//! - a step whose note never changed any history, or that has none, commutes with all that do. It was tried on all histories on the
//!   way to where it sleeps, and on that one.
//! - where histories come apart, whatever an actor notes commutes with b if b's note is about other parts than any note of that
//!   actor, as far as its notes are known when s·b is found: those of the steps that it has in s, and so in s·b, are. Its steps sleep on
//!   like those of the first kind. Unless it takes whole histories to know what one of these notes makes of them: that is as
//!   if it were about all parts.
//! - any other step whose note changed a history sleeps only in s·b itself, and only if the histories are known to be the same both ways.
//!
//! Crashes never sleep, since others that are up decide whether one fits. A step from a state to itself sleeps as well.
//!
//! Where dead messages are left out, a state s stands for all that differ from it in those, and s·a is what is left of the step's outcome.
//! Once nothing is refuted, what is dead in a local is dead in all that follow; so leaving out before a step and after it is the
//! same as leaving out after it, and s·a·b is s·b·a as before. Whether anything is refuted is asked of the local steps that were met:
//! those of the two ways round are the same. Until then states may be missed, but all is explored anew.

use crate::engine::door::Cause;
use crate::engine::intern::{NONE, pair};
use crate::engine::tables::Tables;
use crate::engine::views::{Step, bit};

/// Words of what is known of who sleeps.
pub(crate) const WORDS: usize = 2;
/// Actors beyond so many are always awake.
const ACTORS: u32 = 16;
/// As many bits as there are such actors.
const ALL: u64 = (1 << ACTORS) - 1;

/// What is known of who sleeps in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asleep {
    /// Four sets of actors as bits, one above the other; see [`Asleep::sets`].
    actors: u64,
    /// The history before the last step, and above it that step.
    last: u64,
}

/// What sleeps of an actor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleeper {
    /// The steps that change no history.
    quiet: bool,
    /// Those that do, if the histories are the same both ways.
    others: bool,
    /// All steps.
    pub all: bool,
    /// The envelopes that came with the last step, a list. Steps that take one of these are awake.
    came: u32,
}

impl Asleep {
    /// Nobody sleeps.
    pub(crate) const NOBODY: Self = Self { actors: 0, last: 0 };

    pub(crate) fn of_words(words: &[u64]) -> Self {
        Self { actors: words[0], last: words[1] }
    }

    pub(crate) fn as_words(self) -> [u64; WORDS] {
        [self.actors, self.last]
    }

    /// The actors whose steps sleep that change no history; those that come before the last step's; those of whom all steps sleep; and
    /// those to whom the last step sent something, which is awake whatever else sleeps.
    #[inline]
    fn sets(self) -> [u64; 4] {
        [0, 1, 2, 3].map(|set| self.actors >> (set * ACTORS) & ALL)
    }

    /// Who sleeps after a step of a state with a history.
    #[inline]
    pub(crate) fn after(self, tables: &Tables, step: u32, history: u32) -> Self {
        let Step { column, note, .. } = tables.steps.hot[step as usize];
        let wakes = tables.steps.effects[step as usize].wakes;
        let own = u64::from(bit(column.into()));
        let earlier = (1 << u32::from(column).min(ACTORS)) - 1;
        let [quiet, _, all, came] = self.sets();
        // What came with the step before was not followed yet, unless its receiver is an earlier one.
        let sleeping = |actors: u64| (actors & !came | earlier) & !own;
        let (quiet, all) = (sleeping(quiet), sleeping(all) & !u64::from(tables.histories.rivals(note)));
        let came = u64::from(wakes) & !own & ALL;
        Self {
            actors: quiet | earlier << ACTORS | all << (2 * ACTORS) | came << (3 * ACTORS),
            last: pair(step, history),
        }
    }

    /// What sleeps of an actor, if anything.
    #[inline]
    pub(crate) fn of(self, tables: &Tables, column: usize) -> Option<Sleeper> {
        let [quiet, others, all, came] = self.sets().map(|actors| actors & u64::from(bit(column)) != 0);
        (quiet | others | all).then(|| {
            let came = if came { self.came(tables, column) } else { 0 };
            Sleeper { quiet, others, all, came }
        })
    }

    /// What the last step sent to an actor, a list.
    fn came(self, tables: &Tables, column: usize) -> u32 {
        let Some(effect) = tables.steps.effects.get((self.last >> u32::BITS) as usize) else { return 0 };
        let posts = &tables.reactions.posts[effect.posts.0 as usize..effect.posts.1 as usize];
        posts.iter().find(|(to, _)| *to as usize == column).map_or(0, |(_, envelopes)| *envelopes)
    }

    /// Whether an actor's step with a note sleeps, which makes of one history another.
    #[inline]
    pub(crate) fn has(
        self,
        tables: &Tables,
        sleeper: Sleeper,
        note: u32,
        (history, next): (u32, u32),
    ) -> bool {
        if note == NONE || history == next && !tables.histories.is_loud(note) {
            return sleeper.quiet;
        }
        let (before, last) = (self.last as u32, (self.last >> u32::BITS) as usize);
        sleeper.others
            && tables.histories.updated(before, note).is_some_and(|other| {
                let last = tables.steps.hot.get(last).map_or(NONE, |step| step.note);
                last == NONE && other == next || tables.histories.updated(other, last) == Some(next)
            })
    }
}

impl Sleeper {
    /// Whether a step may sleep: whether it takes nothing that only came with the last one.
    #[inline]
    pub(crate) fn may(self, tables: &Tables, step: u32) -> bool {
        self.came == 0
            || match tables.steps.causes[step as usize] {
                Cause::Deliver(envelope) | Cause::Drop(envelope) => {
                    !tables.inboxes.lists.get(self.came).contains(&envelope)
                }
                Cause::Timeout(_) | Cause::Random(..) | Cause::Crash | Cause::Recover => true,
            }
    }
}
