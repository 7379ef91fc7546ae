//! Reactions: the outcome of each handler call, one per local situation.

use super::door::Cause;
use super::intern::NONE;
use super::key::Words;
use super::pairs::Pairs;
use rustc_hash::FxHashMap;

/// The outcome of running one handler once, in one local, for one cause.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reaction {
    pub actor: u32,
    pub local: u32,
    pub cause: Cause,
    pub next: u32,
    /// The envelopes sent, a list.
    pub sends: u32,
    /// The envelopes that it sent to itself, a list.
    pub own: u32,
    /// The envelopes that it sent to others: a range of [`Reactions::posts`].
    pub posts: (u32, u32),
    /// Its term in a key that sums locals and messages: the local afterwards less the one before, and the messages sent less the one that
    /// was taken.
    pub adds: Words,
    pub note: u32,
    pub ignored: bool,
    /// The message of its panic, or [`NONE`].
    pub failure: u32,
    /// The state that was being expanded when the handler was run for the first time.
    pub first_seen: u32,
}

impl Reaction {
    /// True if the reaction is no step at all, whatever the history.
    pub(super) fn is_nothing(&self) -> bool {
        self.ignored && self.note == NONE && self.failure == NONE
    }
}

/// All memoised reactions.
pub(super) struct Reactions {
    pub all: Vec<Reaction>,
    /// (actor, local) to its reactions to causes without a message, as a range.
    pub inner: FxHashMap<u64, (u32, u32)>,
    /// (local, envelope) to the reaction, or to [`NONE`] if it is no step.
    pub outer: Pairs,
    /// A column, and the list of envelopes that goes to its inbox.
    pub posts: Vec<(u32, u32)>,
    /// The messages of panics.
    pub failures: Vec<String>,
    /// The number of handler calls.
    pub calls: u64,
    /// The state that is being expanded.
    pub expanding: u32,
}

impl Reactions {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            inner: FxHashMap::default(),
            outer: Pairs::new(),
            posts: Vec::new(),
            failures: Vec::new(),
            calls: 0,
            expanding: NONE,
        }
    }

    /// The number of a message about a panic.
    pub(super) fn fail(&mut self, message: String) -> u32 {
        self.failures.push(message);
        self.failures.len() as u32 - 1
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<Reaction>()
            + self.posts.capacity() * 8
            + self.outer.bytes()
            + self.inner.capacity() * 17
    }
}
