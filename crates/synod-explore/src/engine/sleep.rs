//! Sleep sets (Godefroid 1996, chapter 5): steps of a state that are known to lead nowhere new, so that nobody has to look.
//!
//! Steps of different actors commute unless one sends to the other: if a state s has steps a and b, then s·a·b is s·b·a. States are
//! numbered in the order in which they are found, and a state that is found from s by a comes before one that is found by b, if a is the
//! earlier step. So whoever leaves s·b knows that its step a leads to what was found, at the latest, when s·a was left. Such steps
//! *sleep*: they are counted, and not followed. States, their numbers, and how each was found are the same as without.
//!
//! That steps of an actor commute with b is known of all of them together: b is not its step, and sends nothing to it. Then there is
//! the history, which may tell which of two that are noted came first. So
//!
//! - a step whose note never changed any history commutes with all that do. It was tried on all histories on the way to where
//!   it sleeps, and on that one. What sleeps in s and commutes with b sleeps in s·b as well, since s·a was found before s·b was.
//! - a step whose note did sleeps only in s·b itself, and only if the histories are known to be the same both ways.
//!
//! Crashes never sleep, since others that are up decide whether one fits.
//!
//! Where dead messages are left out, a state s stands for all that differ from it in those, and s·a is what is left of the step's outcome.
//! Once nothing is refuted, what is dead in a local is dead in all that follow; so leaving out before a step and after it is the
//! same as leaving out after it, and s·a·b is s·b·a as before. Whether anything is refuted is asked of the local steps that were met:
//! those of the two ways round are the same. Until then states may be missed, but all is explored anew.

use super::intern::NONE;
use super::tables::{Step, Tables, pair};
use crate::Subject;
use crate::observer::Observer;

/// Words of what is known of who sleeps.
pub(super) const WORDS: usize = 2;
/// Actors beyond so many are always awake.
const ACTORS: u32 = u32::BITS;

/// What is known of who sleeps in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asleep {
    /// The actors whose steps sleep that change no history, as bits, and above them those that come before the last step and commute
    /// with it.
    actors: u64,
    /// The history before the last step, and above it the step's note.
    last: u64,
}

/// An actor as a bit.
#[inline]
pub(super) fn bit(column: usize) -> u32 {
    u32::try_from(column).ok().and_then(|column| 1_u32.checked_shl(column)).unwrap_or(0)
}

impl Asleep {
    /// Nobody sleeps.
    pub(super) const NOBODY: Self = Self { actors: 0, last: 0 };

    pub(super) fn of_words(words: &[u64]) -> Self {
        Self { actors: words[0], last: words[1] }
    }

    pub(super) fn as_words(self) -> [u64; WORDS] {
        [self.actors, self.last]
    }

    /// Who sleeps after a step of a state with a history, which wakes its actor and those to whom it sends.
    #[inline]
    pub(super) fn after<A: Subject, O: Observer<A>>(
        self,
        tables: &Tables<'_, A, O>,
        step: u32,
        history: u32,
    ) -> Self {
        let Step { column, note, .. } = tables.steps.hot[step as usize];
        let awake = !u64::from(tables.steps.effects[step as usize].wakes);
        let earlier = (1 << u32::from(column).min(ACTORS)) - 1;
        let quiet = (u64::from(self.actors as u32) | earlier) & awake;
        Self { actors: quiet | (earlier & awake) << ACTORS, last: pair(note, history) }
    }

    /// Whether some of an actor's steps may sleep.
    #[inline]
    pub(super) fn may(self, column: usize) -> bool {
        (self.actors as u32 | (self.actors >> ACTORS) as u32) & bit(column) != 0
    }

    /// Whether an actor's step with a note sleeps, which makes of one history another.
    #[inline]
    pub(super) fn has<A: Subject, O: Observer<A>>(
        self,
        tables: &Tables<'_, A, O>,
        column: usize,
        note: u32,
        (history, next): (u32, u32),
    ) -> bool {
        if note == NONE || history == next && !tables.loud[note as usize] {
            return self.actors as u32 & bit(column) != 0;
        }
        let (before, last) = (self.last as u32, (self.last >> u32::BITS) as u32);
        (self.actors >> ACTORS) as u32 & bit(column) != 0
            && tables.updates.get(pair(before, note)).is_some_and(|other| {
                last == NONE && other == next || tables.updates.get(pair(other, last)) == Some(next)
            })
    }
}
