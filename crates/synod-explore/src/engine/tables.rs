//! What is known of the system in numbers. Reading it calls no user code; what is missing is said to be.
//!
//! A row is `[local of each actor, inbox of each actor, stray inbox, crashes, history]`. A *local* is
//! everything about an actor, an *inbox* the messages on their way to it, the *stray* inbox those on their way
//! to nobody. A *view* is an actor in a local with an inbox: it has the same steps wherever it occurs.

use super::intern::{Interner, Lists, NONE};
use super::rows::{Rows, tag};
use crate::Subject;
use crate::observer::Observer;
use crate::state::{InFlight, Local, State};
use crate::system::System;
use rustc_hash::FxHashMap;
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
}

/// A step of a view.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub cause: Cause,
    pub next: u32,
    /// The inbox without the delivered message and with what the actor sent itself.
    pub inbox: u32,
    /// The envelopes sent to others, a list.
    pub sends: u32,
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
    /// The steps of an actor in a local with an inbox.
    View { actor: u32, local: u32, inbox: u32 },
    /// An inbox with one more envelope.
    Append { inbox: u32, envelope: u32 },
    /// A history after a note.
    Update { history: u32, note: u32 },
}

/// Two numbers as one key.
pub(super) fn pair(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// A history number with this bit is the number of a panic message instead.
pub(super) const FAILED: u32 = 1 << 31;

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
    /// Of each actor and the stray inbox: (local, inbox) to a range of moves.
    pub views: Vec<FxHashMap<u64, (u32, u32)>>,
    pub moves: Vec<Move>,
    pub appends: FxHashMap<u64, u32>,
    pub updates: FxHashMap<u64, u32>,
    pub handler_calls: u64,
}

/// A successor, a witness or a failure that was found while expanding a row.
pub(super) struct Candidate {
    pub parent: u32,
    pub ordinal: u32,
    pub note: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A successor that was not known when the block began, with its tag; the row is in `Candidates::rows`.
    New(u32),
    /// A step to nowhere new, reported for its note alone.
    Noted,
    /// A panic, by the number of its message.
    Failed(u32),
}

/// Everything found while expanding some rows, in order.
#[derive(Default)]
pub(super) struct Candidates {
    pub list: Vec<Candidate>,
    pub rows: Vec<u32>,
    /// Successors that were known when the block began.
    pub known: u64,
    /// A bound cut something off.
    pub pruned: bool,
    /// The rows that could not be expanded from the tables alone.
    pub missed: Vec<u32>,
    scratch: Vec<u32>,
}

impl Candidates {
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.rows.clear();
        self.missed.clear();
        self.known = 0;
        self.pruned = false;
    }

    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<Candidate>() + (self.rows.capacity() + self.missed.capacity()) * 4
    }
}

/// What expanding needs to know beside the tables.
pub(super) struct Known<'k> {
    pub rows: &'k Rows,
    /// The notes that every property was asked about; `None` if no property waits for a note.
    pub notes: Option<&'k [bool]>,
}

impl Known<'_> {
    fn is_news(&self, note: u32) -> bool {
        let asked = |notes: &[bool]| notes.get(note as usize).copied().unwrap_or(false);
        note != NONE && self.notes.is_some_and(|notes| !asked(notes))
    }
}

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    pub(super) fn actors(&self) -> usize {
        self.system.actors.len()
    }

    /// Column of the inbox of an actor, or of the stray inbox for anybody else.
    pub(super) fn inbox_column(&self, actor: usize) -> usize {
        self.actors() + actor.min(self.actors())
    }

    pub(super) fn crashes_column(&self) -> usize {
        2 * self.actors() + 1
    }

    pub(super) fn history_column(&self) -> usize {
        2 * self.actors() + 2
    }

    pub(super) fn width(&self) -> usize {
        2 * self.actors() + 3
    }

    /// The moves of a view, if they are known. The stray inbox is the view of one more actor, in local 0.
    pub(super) fn view(&self, row: &[u32], actor: usize) -> Result<&[Move], Miss> {
        let local = if actor < self.actors() { row[actor] } else { 0 };
        let inbox = row[self.inbox_column(actor)];
        match self.views[actor].get(&pair(local, inbox)) {
            Some(&(start, end)) => Ok(&self.moves[start as usize..end as usize]),
            None => Err(Miss::View { actor: actor as u32, local, inbox }),
        }
    }

    /// How many views a row has: the stray inbox has moves only if messages can be lost.
    pub(super) fn view_count(&self) -> usize {
        self.actors() + usize::from(self.system.network.loss)
    }

    /// Appends the successors of a row to `found`, or nothing and says what is missing.
    pub(super) fn try_expand(
        &self,
        number: u32,
        known: &Known<'_>,
        found: &mut Candidates,
    ) -> Result<(), Miss> {
        let (list, rows, known_before) = (found.list.len(), found.rows.len(), found.known);
        let result = self.expand(number, known, found);
        if result.is_err() {
            found.list.truncate(list);
            found.rows.truncate(rows);
            found.known = known_before;
        }
        result
    }

    fn expand(&self, number: u32, known: &Known<'_>, found: &mut Candidates) -> Result<(), Miss> {
        let row = known.rows.get(number);
        let faults = &self.system.faults;
        let (crashes, history) = (row[self.crashes_column()], row[self.history_column()]);
        let crash_fits = faults.max_down > 0 && {
            let down = row[..self.actors()].iter().filter(|&&local| self.down[local as usize]).count();
            faults.crash_fits(down, crashes)
        };
        let mut ordinal = 0;
        for actor in 0..self.view_count() {
            let moves = self.view(row, actor)?;
            for (step, ordinal) in moves.iter().zip(ordinal..) {
                if step.cause == Cause::Crash && !crash_fits {
                    continue;
                }
                let mut say = |kind| {
                    found.list.push(Candidate { parent: number, ordinal, note: step.note, kind });
                };
                if step.failure != NONE {
                    say(Kind::Failed(step.failure));
                    continue;
                }
                let next_history = if step.note == NONE { history } else { self.update(history, step.note)? };
                if next_history & FAILED != 0 {
                    say(Kind::Failed(next_history & !FAILED));
                    continue;
                }
                if step.ignored && next_history == history {
                    if known.is_news(step.note) {
                        say(Kind::Noted);
                    }
                    continue;
                }
                if step.pruned {
                    found.pruned = true;
                    continue;
                }
                let mut next = std::mem::take(&mut found.scratch);
                next.clear();
                next.extend_from_slice(row);
                next[self.history_column()] = next_history;
                let applied = self.apply(step, actor, &mut next);
                if applied.is_ok() {
                    let candidate = |kind| Candidate { parent: number, ordinal, note: step.note, kind };
                    let tag = tag(&next);
                    if known.rows.contains(tag, &next) {
                        found.known += 1;
                        if known.is_news(step.note) {
                            found.list.push(candidate(Kind::Noted));
                        }
                    } else {
                        found.rows.extend_from_slice(&next);
                        found.list.push(candidate(Kind::New(tag)));
                    }
                }
                found.scratch = next;
                applied?;
            }
            ordinal += moves.len() as u32;
        }
        Ok(())
    }

    /// Does to a row what a move does, except for the history.
    fn apply(&self, step: &Move, actor: usize, row: &mut [u32]) -> Result<(), Miss> {
        if actor < self.actors() {
            row[actor] = step.next;
        }
        row[self.inbox_column(actor)] = step.inbox;
        for &envelope in self.lists.get(step.sends) {
            let column = self.inbox_column(self.envelopes.get(envelope).dst.into());
            row[column] = self.append(row[column], envelope)?;
        }
        if step.cause == Cause::Crash {
            row[self.crashes_column()] = self.system.faults.count(row[self.crashes_column()]);
        }
        Ok(())
    }

    fn append(&self, inbox: u32, envelope: u32) -> Result<u32, Miss> {
        self.appends.get(&pair(inbox, envelope)).copied().ok_or(Miss::Append { inbox, envelope })
    }

    fn update(&self, history: u32, note: u32) -> Result<u32, Miss> {
        self.updates.get(&pair(history, note)).copied().ok_or(Miss::Update { history, note })
    }

    /// The state that a row stands for.
    pub(super) fn state(&self, row: &[u32]) -> State<A, O> {
        let mut network = InFlight::new(self.system.network.delivery);
        for &inbox in &row[self.actors()..=2 * self.actors()] {
            for &envelope in self.lists.get(inbox) {
                network.send(self.envelopes.get(envelope).clone());
            }
        }
        State {
            locals: row[..self.actors()].iter().map(|&local| Arc::clone(self.locals.get(local))).collect(),
            network,
            history: self.histories.get(row[self.history_column()]).clone(),
            crashes: row[self.crashes_column()],
        }
    }

    /// Bytes in use, without what the interned values own.
    pub(super) fn bytes(&self) -> usize {
        let views: usize = self.views.iter().map(|views| views.capacity() * 17).sum();
        let memos = self.outer.capacity() + self.appends.capacity() + self.updates.capacity();
        let inner: usize = self.inner.values().map(|list| list.capacity() * 4 + 33).sum();
        self.locals.bytes()
            + self.envelopes.bytes()
            + self.histories.bytes()
            + self.notes.bytes()
            + self.lists.bytes()
            + self.reactions.capacity() * size_of::<Reaction>()
            + self.moves.capacity() * size_of::<Move>()
            + views
            + memos * 17
            + inner
    }
}
