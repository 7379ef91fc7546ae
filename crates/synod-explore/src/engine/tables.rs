//! What is known of the system in numbers. Reading it calls no user code; what is missing is said to be.
//!
//! A row is `[view of each actor, stray inbox, crashes, history]`. A *local* is everything about an actor, an *inbox* the
//! messages on their way to it, and a *view* is a local with an inbox: it has the same steps wherever it occurs. The
//! *stray* inbox holds the messages on their way to nobody; it is the view of one more actor, in local 0.

use super::intern::{Interner, Lists, NONE};
use crate::Subject;
use crate::observer::Observer;
use crate::state::{InFlight, Local, State};
use crate::system::System;
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

/// A step of a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub cause: Cause,
    /// The view of the actor afterwards: without the delivered message, with what it sent itself.
    pub view: u32,
    /// What it sent to others: a range of [`Tables::posts`].
    pub posts: (u32, u32),
    pub note: u32,
    pub failure: u32,
    /// A no-op that counts only if its note changes the history.
    pub ignored: bool,
    /// The actor would leave the bounds.
    pub pruned: bool,
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
    pub ids: FxHashMap<u64, u32>,
    /// The local and the inbox of each view.
    pub of: Vec<(u32, u32)>,
    /// The moves of each view, a range of [`Tables::moves`]; it begins with [`NONE`] if they are not known.
    pub moves: Vec<(u32, u32)>,
    /// (view, list of envelopes) to view.
    pub appends: FxHashMap<u64, u32>,
    /// What each view looks like after each permutation; see `symmetry`.
    pub images: Vec<u32>,
}

impl Column {
    fn new() -> Self {
        Self {
            ids: FxHashMap::default(),
            of: Vec::new(),
            moves: Vec::new(),
            appends: FxHashMap::default(),
            images: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        (self.ids.capacity() + self.appends.capacity()) * 17
            + (self.of.capacity() + self.moves.capacity()) * 8
            + self.images.capacity() * 4
    }
}

pub(super) struct Tables<'s, A: Subject, O: Observer<A>> {
    pub system: &'s System<A, O>,
    pub locals: Interner<Arc<Local<A>>>,
    /// Of each local: whether the actor is down, and whether it is within the bounds.
    pub down: Vec<bool>,
    pub within: Vec<bool>,
    pub envelopes: Interner<Envelope<A::Msg>>,
    /// Lists of envelopes: inboxes and sends.
    pub lists: Lists,
    pub histories: Interner<O::History>,
    pub notes: Interner<O::Note>,
    pub failures: Vec<String>,
    pub reactions: Vec<Reaction>,
    /// (actor, local) to what can happen to it without a message.
    pub inner: FxHashMap<u64, Vec<u32>>,
    /// (local, envelope) to the reaction.
    pub outer: FxHashMap<u64, u32>,
    /// One an actor, and one for the stray inbox.
    pub columns: Vec<Column>,
    pub moves: Vec<Move>,
    /// A column, and the list of envelopes that goes to its inbox.
    pub posts: Vec<(u32, u32)>,
    pub updates: FxHashMap<u64, u32>,
    pub handler_calls: u64,
    /// The state that is being left.
    pub leaving: u32,
    /// Messages that are no-ops at their receivers are left out of inboxes, except for these: (local, envelope).
    pub drop_dead: bool,
    pub alive: FxHashSet<u64>,
    /// What was left out: (local, envelope).
    pub dropped: FxHashSet<u64>,
    /// What is known of a declared symmetry.
    pub symmetric: Option<super::symmetry::Symmetric>,
    /// The most crashes that any row has.
    pub most_crashes: u32,
}

impl<'s, A: Subject, O: Observer<A>> Tables<'s, A, O> {
    pub(super) fn new(system: &'s System<A, O>, drop_dead: bool) -> Self {
        Self {
            system,
            locals: Interner::new(),
            down: Vec::new(),
            within: Vec::new(),
            envelopes: Interner::new(),
            lists: Lists::new(),
            histories: Interner::new(),
            notes: Interner::new(),
            failures: Vec::new(),
            reactions: Vec::new(),
            inner: FxHashMap::default(),
            outer: FxHashMap::default(),
            columns: std::iter::repeat_with(Column::new).take(system.actors.len() + 1).collect(),
            moves: Vec::new(),
            posts: Vec::new(),
            updates: FxHashMap::default(),
            handler_calls: 0,
            leaving: NONE,
            drop_dead,
            alive: FxHashSet::default(),
            dropped: FxHashSet::default(),
            symmetric: None,
            most_crashes: 0,
        }
    }

    /// Forgets the views and all that is made of them, and keeps what the handlers said.
    pub(super) fn forget_views(&mut self) {
        self.columns = std::iter::repeat_with(Column::new).take(self.actors() + 1).collect();
        self.moves.clear();
        self.posts.clear();
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
        let views = self.columns.iter().map(|column| column.of.len() as u64);
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
            history: self.histories.get(row[self.history_column()]).clone(),
            crashes: row[self.crashes_column()],
        }
    }

    /// Bytes in use, without what the interned values own.
    pub(super) fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::bytes).sum();
        let memos = self.outer.capacity() + self.updates.capacity();
        let inner: usize = self.inner.values().map(|list| list.capacity() * 4 + 33).sum();
        self.locals.bytes()
            + self.envelopes.bytes()
            + self.histories.bytes()
            + self.notes.bytes()
            + self.lists.bytes()
            + self.reactions.capacity() * size_of::<Reaction>()
            + self.moves.capacity() * size_of::<Move>()
            + self.posts.capacity() * 8
            + (self.alive.capacity() + self.dropped.capacity()) * 9
            + columns
            + memos * 17
            + inner
    }
}
