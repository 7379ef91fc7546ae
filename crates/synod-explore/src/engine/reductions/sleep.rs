//! Sleep sets (Godefroid 1996, chapter 5): steps of a state that are known to lead nowhere new, and need not be followed.
//!
//! **What it assumes.** Nothing about the system: that steps of different actors commute follows from how states are made, as argued below.
//! It is off if state vectors are rewritten or looked at as a whole, and while scouts explore (`plan`).
//!
//! **What certifies it.** The argument below; and the tests, which compare every count, depth and trace with searches that do not use it
//! (`tests/it/asleep.rs`, `tests/stateright/differential.rs`).
//!
//! Steps of different actors commute, whatever they send: if a state s has steps a and b, then s·a·b is s·b·a. The messages of b are only
//! added to the inbox of a's actor. The message that a takes stays as it was, the oldest of its channel if order counts. (In a set, if b
//! loses the message that a sends, s·b·a is s·a itself, which will do as well.) States are numbered in the order in which they are found,
//! and a state that is found from s by a comes before one that is found by b, if a is the earlier step. So when s·b is expanded, its step
//! a is known to lead to a state that was found, at the latest, when s·a was expanded. Such steps *sleep*: they are counted, and not
//! followed. States, their numbers, and their parent edges are the same as without.
//!
//! It follows that steps of any other actor that sleep in s sleep in s·b, and so do all steps of the actors that come before b's. Steps
//! that take a message of b are not among these: they are awake. In s·b·c, steps that were followed would have to be distinguished from
//! those that came since: if the receiver comes before c's actor all were followed, and otherwise all its steps are taken to be awake.
//! Then there is the history, which may record which of two noted steps came first. So
//!
//! - a step whose note never changed any history, or that has none, commutes with all that do. It was tried on all histories on the
//!   path to where it sleeps, and on that one.
//! - if histories have components, steps of an actor commute with b if b's note is about other components than any note of that actor, as
//!   far as its notes are known when s·b is found: those of the steps that it has in s, and so in s·b, are. Its steps sleep on like
//!   those of the first kind. A note that needs whole histories counts as being about all components.
//! - any other step whose note changed a history sleeps only in s·b itself, and only if the histories are known to be the same in both
//!   orders.
//!
//! A tick of a timed system is a step of all actors together: it commutes with none, never sleeps, and wakes everyone. Other steps take no time,
//! and what they add to a state does not depend on what others have added, so that they commute as without time.
//!
//! Crashes never sleep, since the state of other actors decides whether one fits. A step from a state to itself sleeps as well.
//!
//! With dead messages dropped, a state s stands for all that differ from it in those, and s·a is the step's outcome without them. Once
//! nothing is refuted, a message that is dead in a local is dead in all that follow. Dropping before a step and after it is then the same
//! as dropping after it, and s·a·b is s·b·a as before. Refuting looks at the local steps that were met, and those are the same in both
//! orders. Until nothing is refuted states may be missed, but then all is explored again.

use crate::engine::door::Cause;
use crate::engine::intern::{NONE, pair};
use crate::engine::tables::Tables;
use crate::engine::views::{How, Step, bit};

/// The words of a sleep set.
pub(crate) const WORDS: usize = 2;
/// The number of actors that can sleep. Later ones are always awake.
const ACTORS: u32 = 16;
/// One bit per such actor.
const ALL: u64 = (1 << ACTORS) - 1;

/// The sleep set of a state, in compact form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asleep {
    /// Four sets of actors as bits, one above the other; see [`Asleep::sets`].
    actors: u64,
    /// The history before the last step, and above it that step.
    last: u64,
}

/// The sleeping steps of one actor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleeper {
    /// The steps that change no history.
    quiet: bool,
    /// The steps that sleep if the histories are the same in both orders.
    others: bool,
    /// All steps sleep.
    pub all: bool,
    /// The envelopes that came with the last step, a list. Steps that take one of these are awake.
    came: u32,
}

impl Asleep {
    /// The empty sleep set.
    pub(crate) const NOBODY: Self = Self { actors: 0, last: 0 };

    pub(crate) fn of_words(words: &[u64]) -> Self {
        Self { actors: words[0], last: words[1] }
    }

    pub(crate) fn as_words(self) -> [u64; WORDS] {
        [self.actors, self.last]
    }

    /// Four sets of actors: those whose steps sleep if they change no history; those before the last step's; those all of whose steps
    /// sleep; and
    /// the receivers of the last step's messages, which are awake whatever else sleeps.
    #[inline]
    fn sets(self) -> [u64; 4] {
        [0, 1, 2, 3].map(|set| self.actors >> (set * ACTORS) & ALL)
    }

    /// The sleep set after a step of a state with a history.
    #[inline]
    pub(crate) fn after(self, tables: &Tables, step: u32, history: u32) -> Self {
        let Step { column, note, how, .. } = tables.steps.hot[step as usize];
        if how == How::Tick {
            return Self::NOBODY;
        }
        let wakes = tables.steps.effects[step as usize].wakes;
        let own = u64::from(bit(column.into()));
        let earlier = (1 << u32::from(column).min(ACTORS)) - 1;
        let [quiet, _, all, came] = self.sets();
        // A message of the previous step has not been followed yet, unless its receiver is an earlier one.
        let sleeping = |actors: u64| (actors & !came | earlier) & !own;
        let (quiet, all) = (sleeping(quiet), sleeping(all) & !u64::from(tables.histories.rivals(note)));
        let came = u64::from(wakes) & !own & ALL;
        Self {
            actors: quiet | earlier << ACTORS | all << (2 * ACTORS) | came << (3 * ACTORS),
            last: pair(step, history),
        }
    }

    /// The sleeping steps of an actor, if there are any.
    #[inline]
    pub(crate) fn of(self, tables: &Tables, column: usize) -> Option<Sleeper> {
        let [quiet, others, all, came] = self.sets().map(|actors| actors & u64::from(bit(column)) != 0);
        (quiet | others | all).then(|| {
            let came = if came { self.came(tables, column) } else { 0 };
            Sleeper { quiet, others, all, came }
        })
    }

    /// The list of messages that the last step sent to an actor.
    fn came(self, tables: &Tables, column: usize) -> u32 {
        let Some(effect) = tables.steps.effects.get((self.last >> u32::BITS) as usize) else { return 0 };
        let posts = &tables.reactions.posts[effect.posts.0 as usize..effect.posts.1 as usize];
        posts.iter().find(|(to, _)| *to as usize == column).map_or(0, |(_, envelopes)| *envelopes)
    }

    /// True if an actor's step with a note sleeps, which makes of one history another.
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
    /// True if a step may sleep: whether it takes nothing that only came with the last one.
    #[inline]
    pub(crate) fn may(self, tables: &Tables, step: u32) -> bool {
        self.came == 0
            || match tables.steps.causes[step as usize] {
                Cause::Deliver(envelope) | Cause::Drop(envelope) => {
                    !tables.inboxes.lists.get(self.came).contains(&envelope)
                }
                Cause::Timeout(_) | Cause::Random(..) | Cause::Crash | Cause::Recover | Cause::Tick => true,
            }
    }
}
