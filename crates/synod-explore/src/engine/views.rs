//! Views and their steps. A *view* is a local with an inbox. It has the same steps wherever it occurs, so that they are memoised once.

use super::door::Cause;
use super::intern::NONE;
use super::key::Words;
use super::pairs::Pairs;

/// The facts about a step that every expansion needs. The rest is kept apart, so that these stay in the processor's cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The first word of its term in a hashed key: that of the whole step if keys sum messages, or else that of the actor alone.
    pub delta: u64,
    /// The number of its note, or [`NONE`]; of its panic message, if it failed.
    pub note: u32,
    /// The column of the actor that takes the step.
    pub column: u16,
    pub how: How,
}

/// The effect of a step of a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    /// The view of the actor afterwards: without the delivered message, with its messages to itself.
    pub view: u32,
    /// The messages to others: a range of [`Reactions::posts`](super::reactions::Reactions).
    pub posts: (u32, u32),
    /// Its actor and the receivers of its messages, as bits. See [`Asleep`](super::reductions::sleep::Asleep).
    pub wakes: u32,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Plain,
    /// A no-op that counts only if its note changes the history.
    Ignored,
    /// It is possible only if another crash fits.
    Crash,
    /// Time passes: every view ages.
    Tick,
    /// The actor would be out of bounds.
    Pruned,
    /// No step at all.
    Nothing,
    /// The handler panicked.
    Failed,
}

/// With time, the number of the one step that is of no view.
pub(super) const TICK: u32 = 0;
/// In the place of the view after a tick: something has to happen first.
pub(super) const URGENT: u32 = NONE - 1;

/// The steps of all views, one list per field.
#[derive(Default)]
pub(super) struct Steps {
    pub hot: Vec<Step>,
    pub effects: Vec<Effect>,
    /// The second words of their terms in keys.
    pub wide: Vec<u64>,
    pub causes: Vec<Cause>,
}

impl Steps {
    pub(super) fn len(&self) -> u32 {
        self.hot.len() as u32
    }

    pub(super) fn push(&mut self, mut step: Step, effect: Effect, delta: Words, cause: Cause) {
        step.delta = delta[0];
        self.hot.push(step);
        self.effects.push(effect);
        self.wide.push(delta[1]);
        self.causes.push(cause);
    }

    pub(super) fn bytes(&self) -> usize {
        self.hot.capacity() * size_of::<Step>()
            + self.effects.capacity() * size_of::<Effect>()
            + self.wide.capacity() * 8
            + self.causes.capacity() * size_of::<Cause>()
    }
}

/// The views of one actor.
pub(super) struct Column {
    /// (local, inbox) to view.
    pub ids: Pairs,
    /// The steps of each view; the range begins with [`NONE`] if they are missing. Every expansion reads
    /// these, so they are kept apart from the rest.
    pub steps: Vec<(u32, u32)>,
    /// The local and the inbox of each view.
    pub of: Vec<(u32, u32)>,
    /// The terms of steps in hashed keys: first words and second words.
    pub narrow: Vec<u64>,
    pub wide: Vec<u64>,
    /// (view, list of envelopes) to view.
    pub appends: Pairs,
    /// Each view after each permutation; see `reductions::symmetry`.
    pub images: Vec<u32>,
    /// Each view after a tick: [`NONE`] if that is missing, [`URGENT`] if there is none.
    pub aged: Vec<u32>,
}

impl Column {
    pub(super) fn new() -> Self {
        Self {
            ids: Pairs::new(),
            steps: Vec::new(),
            of: Vec::new(),
            narrow: Vec::new(),
            wide: Vec::new(),
            appends: Pairs::new(),
            images: Vec::new(),
            aged: Vec::new(),
        }
    }

    /// The number of views.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// True if the steps of a view are known.
    pub(super) fn has_steps(&self, view: u32) -> bool {
        self.steps[view as usize].0 != NONE
    }

    /// The term of a view in a hashed key.
    pub(super) fn hash(&self, view: u32) -> Words {
        [self.narrow[view as usize], self.wide[view as usize]]
    }

    pub(super) fn bytes(&self) -> usize {
        self.ids.bytes()
            + self.appends.bytes()
            + (self.steps.capacity() + self.of.capacity() + self.narrow.capacity() + self.wide.capacity()) * 8
            + (self.images.capacity() + self.aged.capacity()) * 4
    }
}

/// An actor as a bit.
#[inline]
pub(super) fn bit(column: usize) -> u32 {
    u32::try_from(column).ok().and_then(|column| 1_u32.checked_shl(column)).unwrap_or(0)
}
