//! The door between the side that knows actors and the side that knows numbers.
//!
//! On one side are values: actors, messages, histories, properties, all code of users (`semantics`). On the other side are state vectors,
//! keys and levels (`tables`, `search`), which are compiled once and not once per system. Values get numbers at the door: a *local* is
//! everything about one actor, an *envelope* a message with its sender and receiver, a *note* the observer's record of a step, and a
//! *component* a history or one of the components that make it up. Equal values have equal numbers, and numbers of a kind are given in
//! order from 0.
//!
//! The search asks through [`Door`] for the outcome of a handler in a local ([`Door::react`]), once for each; for the history after a note;
//! and for the answers of properties. Several threads can call the methods that only read. Every call of user code is behind this trait,
//! and a panic there comes back as its message.

use crate::observer::ComponentUpdate;

/// A cause for a handler call, or the loss of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// The envelope arrives.
    Deliver(u32),
    /// The n-th of its timers runs out.
    Timeout(u32),
    /// The m-th choice is made of the n-th open one.
    Random(u32, u32),
    Crash,
    Recover,
    /// The envelope is lost; nothing happens to the actor itself.
    Drop(u32),
    /// Time passes for all actors.
    Tick,
}

/// The outcome of a handler call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The local afterwards.
    pub next: u32,
    /// The envelopes sent, in order.
    pub sends: Vec<u32>,
    /// The observer's note, if it made one.
    pub note: Option<u32>,
    /// The handler did nothing: no step at all, unless the note changes the history.
    pub ignored: bool,
    /// The message of its panic, or of that of the bound on locals.
    pub failure: Option<String>,
}

/// The facts about a local that decide which steps are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The actor is down.
    pub down: bool,
    /// The local is within the bounds.
    pub within: bool,
}

/// The state of a whole system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// The local of each actor.
    pub locals: Vec<u32>,
    /// The envelopes on their way, a queue in its order.
    pub envelopes: Vec<u32>,
    /// The components of the history.
    pub history: Vec<u32>,
    /// The number of crashes so far.
    pub crashes: u32,
}

/// The subject of a question to a property.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// A history, by its components.
    History(&'a [u32]),
    Note(u32),
    /// An actor, and its local.
    Local(usize, u32),
    /// The locals of all actors.
    Locals(&'a [u32]),
    State(&'a Whole),
}

/// A decision of a property, by its index: its detail in words, or the message of its panic.
pub(super) type Answer = (usize, Result<String, String>);

/// The side of the values, as the other side sees it.
pub(super) trait Door: Send + Sync {
    /// Runs an actor's handler in a local, and the observer on the outcome.
    fn react(&mut self, actor: u32, local: u32, cause: Cause) -> Outcome;

    /// The causes that need no message: timers, open choices, a crash or a recovery.
    fn causes(&self, actor: u32, local: u32) -> Vec<Cause>;

    /// Facts about a local, if it exists.
    fn standing(&self, local: u32) -> Option<Standing>;
    /// The indices of an envelope's sender and receiver, if it exists.
    fn ends(&self, envelope: u32) -> Option<(u32, u32)>;

    /// True if an envelope can arrive or be lost next, as far as time goes, beside others with the same receiver.
    fn arrives(&self, envelope: u32, among: &[u32]) -> bool;
    /// A local after a tick; `None` if something has to happen first.
    fn age_local(&mut self, local: u32) -> Option<u32>;
    /// An envelope after a tick; `None` if it has to arrive first.
    fn age_envelope(&mut self, envelope: u32) -> Option<u32>;

    /// The number of components of histories, once there is one; 0 if they are whole.
    fn component_count(&self) -> usize;
    /// The components that a note is about, as bits.
    fn about(&self, note: u32) -> u32;
    /// The history after a note; `None` if it stays the same.
    fn update(&mut self, history: &[u32], note: u32) -> Result<Option<Vec<u32>>, String>;
    /// The component of a history after a note.
    fn update_component(
        &mut self,
        component: usize,
        value: u32,
        note: u32,
    ) -> Result<ComponentUpdate<u32>, String>;
    /// Checks that a note changes the components of a history as it changes the whole.
    fn check_components(&self, history: &[u32], note: u32, updated: &[u32]) -> Result<(), String>;

    /// True if the bounds of whole states admit one.
    fn admits(&self, state: &Whole) -> Result<bool, String>;
    /// Rewrites a state as its system does; `None` if it is out of bounds.
    fn rewrite(&mut self, state: &Whole) -> Result<Option<Whole>, String>;

    /// A local after a permutation of the group.
    fn local_after(&mut self, by: usize, local: u32) -> u32;
    /// An envelope after a permutation.
    fn envelope_after(&mut self, by: usize, envelope: u32) -> u32;
    /// A history after a permutation. It has no components where permutations are used.
    fn history_after(&mut self, by: usize, history: u32) -> u32;

    /// Asks the properties of some indices about a value. Fails if the value cannot be made, as user code that
    /// puts it together panics.
    fn ask(&self, about: About<'_>, properties: &[usize]) -> Result<Vec<Answer>, String>;
    /// Probes the doubtful boundary with a state, and looks at the state closely if that is asked for.
    fn probe(&self, state: &Whole, closely: bool) -> Result<(), String>;
    /// True if the doubtful boundary has refused a state, and so is one.
    fn is_refused(&self) -> bool;

    /// Bytes in use, without memory that the values own elsewhere.
    fn bytes(&self) -> usize;
}
