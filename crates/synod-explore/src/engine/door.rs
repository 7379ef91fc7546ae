//! The door between what knows actors and what knows numbers.
//!
//! On one side are values: actors, messages, histories, properties, any user's code (`semantics`). On the other are state vectors, keys and
//! levels (`tables`, `search`), which are compiled once and not once a system. Values get numbers when they pass: a *local* is everything
//! about one actor, an *envelope* a message with its sender and receiver, a *note* what the observer made of a step, a *part* a
//! history or what it consists of. Equal values have equal numbers, and numbers of a kind are given in order from 0.
//!
//! Whoever explores asks through [`Door`] what a handler does in a local situation ([`Door::react`]), once for each; what a note makes of a
//! history; and what the properties say. What only reads can be asked by several threads at once. Every call of user code is behind this
//! trait, and a panic there comes back as its message.

use crate::observer::ComponentUpdate;

/// What can happen to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// The envelope arrives.
    Deliver(u32),
    /// The n-th of its timers runs out.
    Timeout(u32),
    /// Of the n-th of its open choices, the m-th is made.
    Random(u32, u32),
    Crash,
    Recover,
    /// The envelope is lost; nothing happens to the actor itself.
    Drop(u32),
}

/// What a handler did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The local afterwards.
    pub next: u32,
    /// The envelopes sent, in order.
    pub sends: Vec<u32>,
    /// What the observer noted, if anything.
    pub note: Option<u32>,
    /// It was a no-op: no step at all, unless the note changes the history.
    pub ignored: bool,
    /// The message of its panic, or of that of the bound on locals.
    pub failure: Option<String>,
}

/// What is to be known of a local to tell which steps are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The actor is down.
    pub down: bool,
    /// It is within the bounds.
    pub within: bool,
}

/// The state of a whole system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// The local of each actor.
    pub locals: Vec<u32>,
    /// The envelopes on their way; a queue in its order.
    pub envelopes: Vec<u32>,
    /// The parts of the history.
    pub history: Vec<u32>,
    /// How many crashes there were.
    pub crashes: u32,
}

/// What a property is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// A history, by its parts.
    History(&'a [u32]),
    Note(u32),
    /// An actor, and its local.
    Local(usize, u32),
    /// The locals of all actors.
    Locals(&'a [u32]),
    State(&'a Whole),
}

/// What decided a property, by its index, in words; or the panic of a property that could not be asked.
pub(super) type Answer = (usize, Result<String, String>);

/// The side of the values, as the other side sees it.
pub(super) trait Door: Send + Sync {
    /// Runs an actor's handler in a local, and the observer on what it did.
    fn react(&mut self, actor: u32, local: u32, cause: Cause) -> Outcome;

    /// What can happen to an actor without a message: timers, open choices, a crash or a recovery.
    fn causes(&self, actor: u32, local: u32) -> Vec<Cause>;

    /// Facts about the next local, and the sender and receiver of the next envelope, that have not been told of yet.
    fn standing(&self, local: u32) -> Option<Standing>;
    /// See [`standing`](Self::standing).
    fn ends(&self, envelope: u32) -> Option<(u32, u32)>;

    /// Of how many parts histories are, once there is one; 0 where they are whole.
    fn component_count(&self) -> usize;
    /// The parts that a note is about, as bits.
    fn about(&self, note: u32) -> u32;
    /// What a note makes of a history; `None` for nothing else.
    fn update(&mut self, history: &[u32], note: u32) -> Result<Option<Vec<u32>>, String>;
    /// What a note makes of a part.
    fn update_component(
        &mut self,
        component: usize,
        value: u32,
        note: u32,
    ) -> Result<ComponentUpdate<u32>, String>;
    /// Whether what a note makes of the parts of a history is what it makes of the whole.
    fn check_components(&self, history: &[u32], note: u32, updated: &[u32]) -> Result<(), String>;

    /// Whether the bounds of whole states admit one.
    fn admits(&self, state: &Whole) -> Result<bool, String>;
    /// Rewrites a state as its system does; `None` if it is out of bounds.
    fn rewrite(&mut self, state: &Whole) -> Result<Option<Whole>, String>;

    /// How a local looks after a permutation of the group.
    fn local_after(&mut self, by: usize, local: u32) -> u32;
    /// How an envelope does.
    fn envelope_after(&mut self, by: usize, envelope: u32) -> u32;
    /// How a history does, which is whole there.
    fn history_after(&mut self, by: usize, history: u32) -> u32;

    /// What properties say of something they are about, those of some indices. Fails if there is no such value, as user code that
    /// puts it together panics.
    fn ask(&self, about: About<'_>, properties: &[usize]) -> Result<Vec<Answer>, String>;
    /// Shows a state to what was taken for no boundary, to find out whether it is one; and looks at it closely, if that is asked for.
    fn probe(&self, state: &Whole, closely: bool) -> Result<(), String>;
    /// Whether what was taken for no boundary has turned out to be one.
    fn is_refused(&self) -> bool;

    /// Bytes in use, without what the values own elsewhere.
    fn bytes(&self) -> usize;
}
