//! The only place that runs actors and observers: each handler once per distinct local situation.

use super::intern::{Interner, Lists, NONE};
use super::tables::{Candidates, Cause, FAILED, Known, Miss, Move, Reaction, Tables, pair};
use crate::observer::{Event, Observer};
use crate::state::{Local, State};
use crate::step;
use crate::system::{Delivery, System};
use crate::{Subject, panics};
use rustc_hash::FxHashMap;
use stateright::actor::Envelope;
use std::sync::Arc;

impl<'s, A: Subject, O: Observer<A>> Tables<'s, A, O> {
    pub(super) fn new(system: &'s System<A, O>) -> Self {
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
            views: std::iter::repeat_with(FxHashMap::default).take(system.actors.len() + 1).collect(),
            moves: Vec::new(),
            appends: FxHashMap::default(),
            updates: FxHashMap::default(),
            handler_calls: 0,
        }
    }

    /// The row that stands for a state.
    pub(super) fn row(&mut self, state: &State<A, O>) -> Result<Vec<u32>, String> {
        let mut row = vec![0; self.width()];
        for (actor, local) in state.locals.iter().enumerate() {
            row[actor] = self.intern_local(Arc::clone(local))?;
        }
        for envelope in state.network.all() {
            let column = self.inbox_column(envelope.dst.into());
            let envelope = self.envelopes.intern(envelope.to_cloned_msg());
            row[column] = self.with(row[column], envelope);
        }
        let (crashes, history) = (self.crashes_column(), self.history_column());
        row[crashes] = state.crashes;
        row[history] = self.histories.intern(state.history.clone());
        Ok(row)
    }

    /// Expands a row, finding out whatever is missing.
    pub(super) fn expand_filling(&mut self, number: u32, known: &Known<'_>, found: &mut Candidates) {
        while let Err(miss) = self.try_expand(number, known, found) {
            self.fill(miss);
        }
    }

    fn fill(&mut self, miss: Miss) {
        match miss {
            Miss::View { actor, local, inbox } => {
                let start = self.moves.len() as u32;
                self.fill_view(actor, local, inbox);
                let range = (start, self.moves.len() as u32);
                self.views[actor as usize].insert(pair(local, inbox), range);
            }
            Miss::Append { inbox, envelope } => {
                let appended = self.with(inbox, envelope);
                self.appends.insert(pair(inbox, envelope), appended);
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
        }
    }

    fn fill_view(&mut self, actor: u32, local: u32, inbox: u32) {
        let is_actor = (actor as usize) < self.actors();
        for envelope in self.heads(inbox) {
            if is_actor && !self.down[local as usize] {
                let stays = self.system.network.delivery == Delivery::Set;
                let left = if stays { inbox } else { self.without(inbox, envelope) };
                let reaction = self.deliver(actor, local, envelope);
                self.push_move(reaction, left);
            }
            if self.system.network.loss {
                let inbox = self.without(inbox, envelope);
                self.moves.push(Move {
                    cause: Cause::Drop(envelope),
                    next: local,
                    inbox,
                    sends: 0,
                    note: NONE,
                    failure: NONE,
                    ignored: false,
                    pruned: false,
                });
            }
        }
        if is_actor {
            for reaction in self.spontaneous(actor, local) {
                self.push_move(reaction, inbox);
            }
        }
    }

    /// A reaction as a move of a view whose inbox is `inbox` once the delivered message is gone.
    fn push_move(&mut self, reaction: u32, inbox: u32) {
        let reaction = self.reactions[reaction as usize].clone();
        if reaction.ignored && reaction.note == NONE && reaction.failure == NONE {
            return;
        }
        let mut inbox = inbox;
        let mut others = Vec::new();
        for envelope in self.lists.get(reaction.sends).to_vec() {
            if usize::from(self.envelopes.get(envelope).dst) == reaction.actor as usize {
                inbox = self.with(inbox, envelope);
            } else {
                others.push(envelope);
            }
        }
        self.moves.push(Move {
            cause: reaction.cause,
            next: reaction.next,
            inbox,
            sends: self.lists.intern(&others),
            note: reaction.note,
            failure: reaction.failure,
            ignored: reaction.ignored,
            pruned: reaction.failure == NONE && !self.within[reaction.next as usize],
        });
    }

    /// The envelopes of an inbox that can arrive or be lost next, each once.
    fn heads(&self, inbox: u32) -> Vec<u32> {
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
    fn with(&mut self, inbox: u32, envelope: u32) -> u32 {
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

    fn without(&mut self, inbox: u32, envelope: u32) -> u32 {
        let mut list = self.lists.get(inbox).to_vec();
        if let Some(at) = list.iter().position(|other| *other == envelope) {
            list.remove(at);
        }
        self.lists.intern(&list)
    }

    fn deliver(&mut self, actor: u32, local: u32, envelope: u32) -> u32 {
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

    fn event<'e>(&'e self, local: &'e Local<A>, cause: Cause) -> Event<'e, A> {
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
    fn intern_local(&mut self, local: Arc<Local<A>>) -> Result<u32, String> {
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

    fn fail(&mut self, message: String) -> u32 {
        self.failures.push(message);
        self.failures.len() as u32 - 1
    }
}
