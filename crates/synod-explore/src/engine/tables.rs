//! What is known of the system in numbers. Reading it calls no user code; what is missing is said to be.
//!
//! A row is `[view of each actor, stray inbox, crashes, history]`. A *local* is everything about an actor, an *inbox* the
//! messages on their way to it, and a *view* is a local with an inbox: it has the same steps wherever it occurs. The
//! *stray* inbox holds the messages on their way to nobody; it is the view of one more actor, in local 0.

use super::checkpoint::Entry;
use super::histories::Histories;
use super::intern::{Interner, Lists, NONE};
use super::key::Words;
use super::pairs::Pairs;
use crate::observer::Observer;
use crate::state::{InFlight, Local, State};
use crate::system::{Delivery, System};
use crate::{Subject, panics};
use rustc_hash::{FxHashMap, FxHashSet};
use stateright::actor::Envelope;
use std::sync::Arc;

/// What can happen to an actor, in numbers.
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

/// What an event does to an actor: the outcome of running its handler once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reaction {
    pub actor: u32,
    pub local: u32,
    pub cause: Cause,
    pub next: u32,
    /// The envelopes sent, a list.
    pub sends: u32,
    /// Those of them that it sent to itself, a list.
    pub own: u32,
    /// Those that it sent to others: a range of [`Tables::posts`].
    pub posts: (u32, u32),
    /// What it adds to a key that is a sum over locals and messages: its local after it less that before, and what was sent less what
    /// was taken.
    pub adds: Words,
    pub note: u32,
    pub ignored: bool,
    /// The message of its panic, or [`NONE`].
    pub failure: u32,
    /// The state that was being left when the handler was run for the first time.
    pub born: u32,
}

impl Reaction {
    /// Whether the event is no step at all, whatever the history.
    pub(super) fn is_nothing(&self) -> bool {
        self.ignored && self.note == NONE && self.failure == NONE
    }
}

/// What expanding needs to know of a step of a view. The rest is kept apart, so that this stays in the processor's cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The first word of what it adds to a hashed key: the whole step where messages are summed up one by one, or else the
    /// actor itself.
    pub delta: u64,
    /// The number of its note, or [`NONE`]; of its panic message, if it failed.
    pub note: u32,
    /// Whose step it is.
    pub column: u16,
    pub how: How,
}

/// What a step of a view does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    /// The view of the actor afterwards: without the delivered message, with what it sent itself.
    pub view: u32,
    /// What it sent to others: a range of [`Tables::posts`].
    pub posts: (u32, u32),
    /// Its actor and those it sends to, as bits. See [`Asleep`](super::sleep::Asleep).
    pub wakes: u32,
}

/// The steps of all views, in parts.
#[derive(Default)]
pub(super) struct Steps {
    pub hot: Vec<Step>,
    pub effects: Vec<Effect>,
    /// The second words of what they add to keys.
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

    fn clear(&mut self) {
        self.hot.clear();
        self.effects.clear();
        self.wide.clear();
        self.causes.clear();
    }

    fn bytes(&self) -> usize {
        self.hot.capacity() * size_of::<Step>()
            + self.effects.capacity() * size_of::<Effect>()
            + self.wide.capacity() * 8
            + self.causes.capacity() * size_of::<Cause>()
    }
}

/// What kind of step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Plain,
    /// A no-op that counts only if its note changes the history.
    Ignored,
    /// It counts only as long as another crash fits.
    Crash,
    /// The actor would leave the bounds.
    Pruned,
    /// No step at all.
    Nothing,
    /// The handler panicked.
    Failed,
}

/// Something that is not known yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Miss {
    /// The steps of a view.
    Moves { column: usize, view: u32 },
    /// A view with some more envelopes in its inbox.
    Append { column: usize, view: u32, list: u32 },
    /// A history after a note.
    Update { history: u32, note: u32 },
    /// How a number of a column looks after a permutation.
    Image { column: usize, number: u32, by: usize },
    /// Something that has to be found out anew each time.
    Rest,
}

/// Two numbers as one key.
pub(super) fn pair(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// A history number with this bit is the number of a panic message instead.
pub(super) const FAILED: u32 = 1 << 31;

/// The views of one actor.
pub(super) struct Column {
    /// (local, inbox) to view.
    pub ids: Pairs,
    /// The steps of each view; the range begins with [`NONE`] if they are not known. Every state that is left asks for these, so
    /// they are kept apart from the rest.
    pub steps: Vec<(u32, u32)>,
    /// The local and the inbox of each view.
    pub of: Vec<(u32, u32)>,
    /// What they add to hashed keys: the first words, and the second ones.
    pub narrow: Vec<u64>,
    pub wide: Vec<u64>,
    /// (view, list of envelopes) to view.
    pub appends: Pairs,
    /// What each view looks like after each permutation; see `symmetry`.
    pub images: Vec<u32>,
}

impl Column {
    fn new() -> Self {
        Self {
            ids: Pairs::new(),
            steps: Vec::new(),
            of: Vec::new(),
            narrow: Vec::new(),
            wide: Vec::new(),
            appends: Pairs::new(),
            images: Vec::new(),
        }
    }

    /// How many views there are.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// What a view adds to a hashed key.
    pub(super) fn hash(&self, view: u32) -> Words {
        [self.narrow[view as usize], self.wide[view as usize]]
    }

    fn bytes(&self) -> usize {
        self.ids.bytes()
            + self.appends.bytes()
            + (self.steps.capacity() + self.of.capacity() + self.narrow.capacity() + self.wide.capacity()) * 8
            + self.images.capacity() * 4
    }
}

pub(super) struct Tables<'s, A: Subject, O: Observer<A>> {
    pub system: &'s System<A, O>,
    /// The boundary of a stateright model is one: it refused a state.
    pub bounded: bool,
    pub locals: Interner<Arc<Local<A>>>,
    /// Of each local: whether the actor is down, and whether it is within the bounds.
    pub down: Vec<bool>,
    pub within: Vec<bool>,
    pub envelopes: Interner<Envelope<A::Msg>>,
    /// What each envelope adds to a key that is a sum over messages, as far as it was asked for.
    pub hashes: Vec<Words>,
    /// Lists of envelopes: inboxes and sends.
    pub lists: Lists,
    pub histories: Histories<O::History>,
    pub notes: Interner<O::Note>,
    /// Of each note, whether it ever changed a history.
    pub loud: Vec<bool>,
    pub failures: Vec<String>,
    pub reactions: Vec<Reaction>,
    /// (actor, local) to what can happen to it without a message: from one reaction to another.
    pub inner: FxHashMap<u64, (u32, u32)>,
    /// (local, envelope) to the reaction, or to [`NONE`] if that is nothing.
    pub outer: Pairs,
    /// One an actor, and one for the stray inbox.
    pub columns: Vec<Column>,
    pub steps: Steps,
    /// A column, and the list of envelopes that goes to its inbox.
    pub posts: Vec<(u32, u32)>,
    pub handler_calls: u64,
    /// The state that is being left.
    pub leaving: u32,
    /// Messages that their receivers will never react to are left out of rows, so that states that differ in nothing else are one.
    pub leaves_out: bool,
    /// Messages that are no-ops at their receivers and stay in inboxes all the same: (local, envelope).
    pub alive: FxHashSet<u64>,
    /// What was left out: (local, envelope).
    pub dropped: FxHashSet<u64>,
    /// Hashed keys are sums over locals and messages, so that what a step adds to them is known without its receivers.
    pub additive: bool,
    /// What is known of a declared symmetry.
    pub symmetric: Option<super::symmetry::Symmetric>,
    /// The most crashes that any row has.
    pub most_crashes: u32,
    /// Everything that changed the tables after the first row, if that is noted down.
    pub log: Option<Vec<Entry>>,
    /// Where lists are put together.
    pub scratch: Vec<u32>,
    /// (inbox, list of envelopes) to the inbox with these.
    pub joined: Pairs,
}

impl<'s, A: Subject, O: Observer<A>> Tables<'s, A, O> {
    /// Nothing is known yet. Keys are sums over messages where rows are not rewritten, nothing is left out of keys, and adding a
    /// message does the same to each inbox: in multisets.
    pub(super) fn new(system: &'s System<A, O>, leaves_out: bool, symmetric: bool) -> Self {
        let multiset = system.network.delivery == Delivery::Multiset;
        Self {
            additive: multiset && !leaves_out && !symmetric && system.normal.is_none(),
            system,
            bounded: false,
            locals: Interner::new(),
            down: Vec::new(),
            within: Vec::new(),
            envelopes: Interner::new(),
            hashes: Vec::new(),
            lists: Lists::new(),
            // What rewrites or permutes histories does so with whole ones.
            histories: Histories::new(
                !symmetric && system.normal.is_none() && system.observer.parts().is_some(),
            ),
            notes: Interner::new(),
            loud: Vec::new(),
            failures: Vec::new(),
            reactions: Vec::new(),
            inner: FxHashMap::default(),
            outer: Pairs::new(),
            columns: std::iter::repeat_with(Column::new).take(system.actors.len() + 1).collect(),
            steps: Steps::default(),
            posts: Vec::new(),
            handler_calls: 0,
            leaving: NONE,
            leaves_out,
            alive: FxHashSet::default(),
            dropped: FxHashSet::default(),
            symmetric: None,
            most_crashes: 0,
            log: None,
            scratch: Vec::new(),
            joined: Pairs::new(),
        }
    }

    /// Whether there is a bound of whole states.
    pub(super) fn bounds_states(&self) -> bool {
        self.system.bounds.state.is_some() || (self.bounded && self.system.doubt.is_some())
    }

    /// Whether the bounds of whole states, as far as they are known to be any, admit a row. Fails if one panics.
    pub(super) fn admits(&self, row: &[u32]) -> Result<bool, String> {
        let doubt = self.system.doubt.as_ref().filter(|_| self.bounded);
        panics::capture(|| {
            let state = self.state(row);
            self.system.bounds.state.as_ref().is_none_or(|(_, within)| within(&state))
                && doubt.is_none_or(|doubt| doubt.admits(&state))
        })
    }

    /// Forgets the views and all that is made of them, and keeps what the handlers said.
    pub(super) fn forget_views(&mut self) {
        self.columns = std::iter::repeat_with(Column::new).take(self.actors() + 1).collect();
        self.steps.clear();
        self.dropped.clear();
        self.most_crashes = 0;
        // States are numbered anew; where a handler was first run is known of no number any more but the first.
        for reaction in &mut self.reactions {
            reaction.born = 0;
        }
        if let Some(symmetric) = &mut self.symmetric {
            symmetric.forget();
        }
    }

    pub(super) fn actors(&self) -> usize {
        self.system.actors.len()
    }

    /// Column of an actor, or of the stray inbox for anybody else.
    pub(super) fn column(&self, actor: usize) -> usize {
        actor.min(self.actors())
    }

    pub(super) fn crashes_column(&self) -> usize {
        self.actors() + 1
    }

    pub(super) fn history_column(&self) -> usize {
        self.actors() + 2
    }

    pub(super) fn width(&self) -> usize {
        self.actors() + 3
    }

    /// How many numbers there are in each column at present.
    pub(super) fn counts(&self) -> Vec<u64> {
        let views = self.columns.iter().map(|column| column.len() as u64);
        views.chain([u64::from(self.most_crashes) + 1, self.histories.len() as u64]).collect()
    }

    /// How many columns have steps: the stray inbox has some only if messages can be lost.
    pub(super) fn movers(&self) -> usize {
        self.actors() + usize::from(self.system.network.loss)
    }

    /// The local and the inbox behind a column of a row.
    pub(super) fn parts(&self, row: &[u32], column: usize) -> (u32, u32) {
        self.columns[column].of[row[column] as usize]
    }

    /// The state that a row stands for.
    pub(super) fn state(&self, row: &[u32]) -> State<A, O> {
        let mut network = InFlight::new(self.system.network.delivery);
        for column in 0..=self.actors() {
            for &envelope in self.lists.get(self.parts(row, column).1) {
                network.send(self.envelopes.get(envelope).clone());
            }
        }
        let local = |actor| Arc::clone(self.locals.get(self.parts(row, actor).0));
        State {
            locals: (0..self.actors()).map(local).collect(),
            network,
            history: self.history(row[self.history_column()]).into_owned(),
            crashes: row[self.crashes_column()],
        }
    }

    /// Bytes in use, without what the interned values own.
    pub(super) fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::bytes).sum();
        let pairs = [&self.outer, &self.joined].map(Pairs::bytes);
        self.locals.bytes()
            + self.envelopes.bytes()
            + self.histories.bytes()
            + self.notes.bytes()
            + self.loud.capacity()
            + self.lists.bytes()
            + self.reactions.capacity() * size_of::<Reaction>()
            + self.steps.bytes()
            + self.posts.capacity() * 8
            + (self.alive.capacity() + self.dropped.capacity()) * 9
            + columns
            + pairs.iter().sum::<usize>()
            + self.inner.capacity() * 17
            + self.hashes.capacity() * size_of::<Words>()
    }
}
