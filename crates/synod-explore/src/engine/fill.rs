//! The only place that runs actors and observers: each handler once per distinct local situation.

use super::intern::NONE;
use super::tables::{Cause, FAILED, Miss, Move, Reaction, Tables, pair};
use crate::observer::{Event, Observer};
use crate::state::{Local, State};
use crate::step;
use crate::system::Delivery;
use crate::{Subject, panics};
use stateright::actor::Envelope;
use std::sync::Arc;

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// The row that stands for a state. Fails if user code panics.
    pub(super) fn row(&mut self, state: &State<A, O>) -> Result<Vec<u32>, String> {
        let mut row = vec![0; self.width()];
        let mut inboxes = vec![0; self.actors() + 1];
        for envelope in state.network.all() {
            let column = self.column(envelope.dst.into());
            let envelope = self.envelopes.intern(envelope.to_cloned_msg());
            inboxes[column] = self.with(inboxes[column], envelope);
        }
        for (actor, local) in state.locals.iter().enumerate() {
            let local = self.intern_local(Arc::clone(local))?;
            row[actor] = self.view(actor, local, inboxes[actor]);
        }
        let stray = self.actors();
        row[stray] = self.view(stray, 0, inboxes[stray]);
        let (crashes, history) = (self.crashes_column(), self.history_column());
        row[crashes] = state.crashes;
        self.most_crashes = self.most_crashes.max(state.crashes);
        row[history] = self.histories.intern(state.history.clone());
        Ok(row)
    }

    /// Rewrites a row as its system does. False if it is out of bounds; the number of a message if that panics.
    pub(super) fn rewrite(&mut self, row: &mut [u32]) -> Result<bool, u32> {
        let Some(normal) = &self.system.normal else { return Ok(true) };
        let state = self.state(row);
        let rewritten = panics::capture(|| normal.normal(state));
        let rewritten = rewritten.and_then(|state| state.map(|state| self.row(&state)).transpose());
        match rewritten {
            Ok(None) => Ok(false),
            Ok(Some(rewritten)) => {
                row.copy_from_slice(&rewritten);
                Ok(true)
            }
            Err(message) => Err(self.fail(message)),
        }
    }

    /// Finds out what is missing.
    pub(super) fn fill(&mut self, miss: Miss) {
        match miss {
            Miss::Moves { column, view } => {
                let start = self.moves.len() as u32;
                let (local, inbox) = self.columns[column].of[view as usize];
                self.fill_moves(column, local, inbox);
                self.columns[column].moves[view as usize] = (start, self.moves.len() as u32);
            }
            Miss::Append { column, view, list } => {
                let (local, mut inbox) = self.columns[column].of[view as usize];
                for envelope in self.lists.get(list).to_vec() {
                    inbox = self.with(inbox, envelope);
                }
                let appended = self.view(column, local, inbox);
                self.columns[column].appends.insert(pair(view, list), appended);
            }
            Miss::Update { history, note } => {
                let (from, with) = (self.histories.get(history), self.notes.get(note));
                let updated = match panics::capture(|| self.system.observer.update(from, with)) {
                    Ok(None) => history,
                    Ok(Some(updated)) => self.histories.intern(updated),
                    Err(message) => self.fail(message) | FAILED,
                };
                self.updates.insert(pair(history, note), updated);
            }
            Miss::Image { column, number, by } => self.fill_image(column, number, by),
            Miss::Rest => {}
        }
    }

    /// The view of an actor in a local with an inbox, dead messages left out.
    pub(super) fn view(&mut self, column: usize, local: u32, inbox: u32) -> u32 {
        let inbox = if self.drop_dead { self.without_dead(column, local, inbox) } else { inbox };
        let column = &mut self.columns[column];
        let next = column.of.len() as u32;
        let view = *column.ids.entry(pair(local, inbox)).or_insert(next);
        if view == next {
            column.of.push((local, inbox));
            column.moves.push((NONE, 0));
        }
        view
    }

    fn fill_moves(&mut self, column: usize, local: u32, inbox: u32) {
        let is_actor = column < self.actors();
        for envelope in self.heads(inbox) {
            if is_actor && !self.down[local as usize] {
                let stays = self.system.network.delivery == Delivery::Set;
                let left = if stays { inbox } else { self.without(inbox, envelope) };
                let reaction = self.deliver(column as u32, local, envelope);
                self.push_move(reaction, left);
            }
            if self.system.network.loss {
                let inbox = self.without(inbox, envelope);
                let view = self.view(column, local, inbox);
                self.moves.push(Move {
                    cause: Cause::Drop(envelope),
                    view,
                    posts: (0, 0),
                    note: NONE,
                    failure: NONE,
                    ignored: false,
                    pruned: false,
                });
            }
        }
        if is_actor {
            for reaction in self.spontaneous(column as u32, local) {
                self.push_move(reaction, inbox);
            }
        }
    }

    /// A reaction as a move of a view whose inbox is `inbox` once the delivered message is gone.
    fn push_move(&mut self, reaction: u32, inbox: u32) {
        let reaction = self.reactions[reaction as usize].clone();
        if reaction.is_nothing() {
            return;
        }
        let actor = reaction.actor as usize;
        let pruned = reaction.failure == NONE && !self.within[reaction.next as usize];
        let (view, posts) = if pruned || reaction.failure != NONE {
            (0, (0, 0))
        } else {
            let mut inbox = inbox;
            let mut lists: Vec<(usize, Vec<u32>)> = Vec::new();
            for envelope in self.lists.get(reaction.sends).to_vec() {
                let column = self.column(self.envelopes.get(envelope).dst.into());
                if column == actor {
                    inbox = self.with(inbox, envelope);
                } else if let Some((_, list)) = lists.iter_mut().find(|(to, _)| *to == column) {
                    list.push(envelope);
                } else {
                    lists.push((column, vec![envelope]));
                }
            }
            let view = self.view(actor, reaction.next, inbox);
            let start = self.posts.len() as u32;
            for (column, list) in lists {
                let list = self.lists.intern(&list);
                self.posts.push((column as u32, list));
            }
            (view, (start, self.posts.len() as u32))
        };
        if reaction.cause == Cause::Crash && self.system.faults.max_crashes.is_some() {
            self.most_crashes = self.system.faults.max_crashes.unwrap_or(0);
        }
        self.moves.push(Move {
            cause: reaction.cause,
            view,
            posts,
            note: reaction.note,
            failure: reaction.failure,
            ignored: reaction.ignored,
            pruned,
        });
    }

    /// The envelopes of an inbox that can arrive or be lost next, each once.
    pub(super) fn heads(&self, inbox: u32) -> Vec<u32> {
        let mut heads: Vec<u32> = self.lists.get(inbox).to_vec();
        if self.system.network.delivery == Delivery::Ordered {
            heads.dedup_by_key(|envelope| self.channel(*envelope));
        } else {
            heads.dedup();
        }
        heads
    }

    fn channel(&self, envelope: u32) -> (usize, usize) {
        let envelope = self.envelopes.get(envelope);
        (envelope.src.into(), envelope.dst.into())
    }

    /// An inbox with one more envelope, in the canonical order: by number, or by channel and then age.
    pub(super) fn with(&mut self, inbox: u32, envelope: u32) -> u32 {
        let mut list = self.lists.get(inbox).to_vec();
        let at = if self.system.network.delivery == Delivery::Ordered {
            let channel = self.channel(envelope);
            list.partition_point(|other| self.channel(*other) <= channel)
        } else {
            list.partition_point(|other| *other < envelope)
        };
        if self.system.network.delivery == Delivery::Set && list.get(at) == Some(&envelope) {
            return inbox;
        }
        list.insert(at, envelope);
        self.lists.intern(&list)
    }

    pub(super) fn without(&mut self, inbox: u32, envelope: u32) -> u32 {
        let mut list = self.lists.get(inbox).to_vec();
        if let Some(at) = list.iter().position(|other| *other == envelope) {
            list.remove(at);
        }
        self.lists.intern(&list)
    }

    /// What an actor that is up does with a message.
    pub(super) fn deliver(&mut self, actor: u32, local: u32, envelope: u32) -> u32 {
        if let Some(&reaction) = self.outer.get(&pair(local, envelope)) {
            return reaction;
        }
        let reaction = self.react(actor, local, Cause::Deliver(envelope));
        self.outer.insert(pair(local, envelope), reaction);
        reaction
    }

    /// What can happen to an actor without a message: timers, open choices, a crash or a recovery.
    fn spontaneous(&mut self, actor: u32, local: u32) -> Vec<u32> {
        if let Some(reactions) = self.inner.get(&pair(actor, local)) {
            return reactions.clone();
        }
        let value = Arc::clone(self.locals.get(local));
        let mut causes: Vec<Cause> = (0..value.timers.len() as u32).map(Cause::Timeout).collect();
        if value.is_down() {
            causes.extend((!self.system.faults.is_absent(actor as usize)).then_some(Cause::Recover));
        } else if self.system.faults.can_crash(actor as usize) {
            causes.push(Cause::Crash);
        }
        for (key, choices) in (0..).zip(value.randoms.values()) {
            causes.extend((0..choices.len() as u32).map(|choice| Cause::Random(key, choice)));
        }
        let reactions: Vec<u32> = causes.into_iter().map(|cause| self.react(actor, local, cause)).collect();
        self.inner.insert(pair(actor, local), reactions.clone());
        reactions
    }

    fn react(&mut self, actor: u32, local: u32, cause: Cause) -> u32 {
        self.handler_calls += u64::from(cause != Cause::Crash);
        let result = self.run(actor, local, cause);
        let reaction = self.record(actor, local, cause, result);
        self.reactions.push(reaction);
        self.reactions.len() as u32 - 1
    }

    /// Runs a handler, without remembering anything.
    pub(super) fn run(&self, actor: u32, local: u32, cause: Cause) -> Result<step::Reaction<A, O>, String> {
        let value = self.locals.get(local);
        panics::capture(|| self.system.react(actor as usize, value, self.event(value, cause)))
    }

    pub(super) fn event<'e>(&'e self, local: &'e Local<A>, cause: Cause) -> Event<'e, A> {
        match cause {
            Cause::Deliver(envelope) | Cause::Drop(envelope) => {
                let Envelope { src, msg, .. } = self.envelopes.get(envelope);
                Event::Deliver { src: *src, msg }
            }
            Cause::Timeout(n) => {
                Event::Timeout(local.timers.iter().nth(n as usize).expect("causes come from the local"))
            }
            Cause::Random(n, m) => {
                let (key, choices) =
                    local.randoms.iter().nth(n as usize).expect("causes come from the local");
                Event::Random { key, choice: &choices[m as usize] }
            }
            Cause::Crash => Event::Crash,
            Cause::Recover => Event::Recover,
        }
    }

    fn record(
        &mut self,
        actor: u32,
        local: u32,
        cause: Cause,
        result: Result<step::Reaction<A, O>, String>,
    ) -> Reaction {
        let mut reaction = Reaction {
            actor,
            local,
            cause,
            next: local,
            sends: 0,
            note: NONE,
            ignored: false,
            failure: NONE,
            born: self.leaving,
        };
        match result {
            Ok(step::Reaction { local, sends, note, ignored }) => {
                reaction.ignored = ignored;
                reaction.note = note.map_or(NONE, |note| self.notes.intern(note));
                let sends: Vec<u32> = sends.into_iter().map(|e| self.envelopes.intern(e)).collect();
                reaction.sends = self.lists.intern(&sends);
                match local.map(|local| self.intern_local(Arc::new(local))) {
                    Some(Ok(next)) => reaction.next = next,
                    Some(Err(message)) => reaction.failure = self.fail(message),
                    None => {}
                }
            }
            Err(message) => reaction.failure = self.fail(message),
        }
        reaction
    }

    /// The number of a local. Fails if the bound, which is user code too, panics.
    pub(super) fn intern_local(&mut self, local: Arc<Local<A>>) -> Result<u32, String> {
        let within = match (&self.system.bounds.local, &local.state) {
            (Some((_, bound)), Some(state)) => panics::capture(|| bound(state))?,
            _ => true,
        };
        let down = local.is_down();
        let id = self.locals.intern(local);
        if self.locals.len() > self.down.len() {
            self.down.push(down);
            self.within.push(within);
        }
        Ok(id)
    }

    pub(super) fn fail(&mut self, message: String) -> u32 {
        self.failures.push(message);
        self.failures.len() as u32 - 1
    }
}
