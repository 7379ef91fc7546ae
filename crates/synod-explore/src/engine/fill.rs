//! The only place that runs actors and observers: each handler once per distinct local situation.

use super::checkpoint::Entry;
use super::intern::NONE;
use super::key::{Words, hash_of, minus, plus};
use super::sleep::bit;
use super::tables::{Cause, Effect, How, Miss, Reaction, Step, Tables, pair};
use crate::observer::{Event, Observer};
use crate::state::{Local, State};
use crate::step;
use crate::system::Delivery;
use crate::{Subject, panics};
use stateright::actor::Envelope;
use std::sync::Arc;

/// Where the hashes of locals and of envelopes begin, beyond those of columns.
const LOCALS: usize = 1 << 20;
const ENVELOPES: usize = 1 << 21;

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// The row that stands for a state. Fails if user code panics.
    pub(super) fn row(&mut self, state: &State<A, O>) -> Result<Vec<u32>, String> {
        let mut row = vec![0; self.width()];
        // Before any handler is run, so that it is known of how many parts histories are.
        let history = self.history_column();
        row[history] = self.number_of(state.history.clone())?;
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
        let crashes = self.crashes_column();
        row[crashes] = state.crashes;
        self.most_crashes = self.most_crashes.max(state.crashes);
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

    /// The first row. It is not noted down, since it always comes first.
    ///
    /// # Errors
    /// When user code panics.
    pub(super) fn first_row(&mut self, initial: &State<A, O>) -> Result<Vec<u32>, String> {
        let log = self.log.take();
        let row = self.row(initial).map(|mut row| {
            if self.symmetric.is_some() {
                let filled = super::symmetry::canonical(&mut &mut *self, &mut row);
                filled.expect("whatever is missing is found out");
            }
            row
        });
        self.log = log;
        row
    }

    /// Finds out what is missing.
    pub(super) fn fill(&mut self, miss: Miss) {
        self.note_down(Entry::Fill(miss));
        match miss {
            Miss::Moves { column, view } => {
                let start = self.steps.len();
                self.fill_steps(column, view);
                self.columns[column].steps[view as usize] = (start, self.steps.len());
            }
            Miss::Append { column, view, list } => {
                let (local, inbox) = self.columns[column].of[view as usize];
                let inbox = self.with_all(inbox, list);
                let appended = self.view(column, local, inbox);
                self.columns[column].appends.insert(pair(view, list), appended);
            }
            Miss::Update { history, note } => self.fill_update(history, note),
            Miss::Image { column, number, by } => self.fill_image(column, number, by),
            Miss::Rest => {}
        }
    }

    /// The view of an actor in a local with an inbox, dead messages left out.
    pub(super) fn view(&mut self, column: usize, local: u32, inbox: u32) -> u32 {
        let inbox = if self.leaves_out { self.without_dead(column, local, inbox) } else { inbox };
        let next = self.columns[column].len() as u32;
        let view = self.columns[column].ids.get_or_insert(pair(local, inbox), next);
        if view == next {
            let hash = if self.additive {
                plus(hash_of(LOCALS + column, local), self.hash_of_list(inbox))
            } else {
                hash_of(column, view)
            };
            let column = &mut self.columns[column];
            column.steps.push((NONE, 0));
            column.narrow.push(hash[0]);
            column.wide.push(hash[1]);
            column.of.push((local, inbox));
        }
        view
    }

    /// What an envelope adds to a key.
    fn weight(&mut self, envelope: u32) -> Words {
        let known = self.hashes.len() as u32;
        self.hashes.extend((known..self.envelopes.len() as u32).map(|envelope| hash_of(ENVELOPES, envelope)));
        self.hashes[envelope as usize]
    }

    /// The sum of what the envelopes of a list add to a key.
    fn hash_of_list(&mut self, list: u32) -> Words {
        let envelopes = 0..self.lists.get(list).len();
        envelopes.fold([0; 2], |sum, at| plus(sum, self.weight(self.lists.get(list)[at])))
    }

    /// What a reaction adds to a key that is a sum over locals and messages.
    fn weigh(&mut self, reaction: &Reaction, sends: &[u32]) -> Words {
        let [before, after] =
            [reaction.local, reaction.next].map(|local| hash_of(LOCALS + reaction.actor as usize, local));
        let sent = sends.iter().fold(minus(after, before), |sum, &sent| plus(sum, self.weight(sent)));
        match reaction.cause {
            Cause::Deliver(envelope) => minus(sent, self.weight(envelope)),
            _ => sent,
        }
    }

    fn fill_steps(&mut self, column: usize, from: u32) {
        let (local, inbox) = self.columns[column].of[from as usize];
        let is_actor = column < self.actors();
        for at in 0..self.lists.get(inbox).len() {
            let Some(envelope) = self.head(inbox, at) else { continue };
            if is_actor && !self.down[local as usize] {
                // What is no step needs no inbox without the message, and most are none.
                if let Some(reaction) = self.deliver(column as u32, local, envelope) {
                    let stays = self.system.network.delivery == Delivery::Set;
                    let left = if stays { inbox } else { self.without(inbox, envelope) };
                    self.push_step(from, reaction, left);
                }
            }
            if self.system.network.loss {
                let inbox = self.without(inbox, envelope);
                let view = self.view(column, local, inbox);
                let delta = minus(self.columns[column].hash(view), self.columns[column].hash(from));
                let step = Step { delta: 0, note: NONE, column: column as u16, how: How::Plain };
                self.steps.push(
                    step,
                    Effect { view, posts: (0, 0), wakes: bit(column) },
                    delta,
                    Cause::Drop(envelope),
                );
            }
        }
        if is_actor {
            let (start, end) = self.spontaneous(column as u32, local);
            for reaction in start..end {
                self.push_step(from, reaction, inbox);
            }
        }
    }

    /// A reaction as a step of a view whose inbox is `inbox` once the delivered message is gone.
    fn push_step(&mut self, from: u32, reaction: u32, inbox: u32) {
        let how = self.how(reaction);
        let Reaction { actor, next, cause, note, failure, own, posts, adds, .. } =
            self.reactions[reaction as usize];
        if how == How::Nothing {
            return;
        }
        let column = actor as usize;
        let mut step = Step { delta: 0, note, column: column as u16, how };
        let mut effect = Effect { view: 0, posts: (0, 0), wakes: 0 };
        let mut delta = [0; 2];
        match how {
            How::Failed => step.note = failure,
            How::Pruned | How::Nothing => {}
            How::Plain | How::Ignored | How::Crash => {
                let inbox = self.with_all(inbox, own);
                let view = self.view(column, next, inbox);
                let receivers = &self.posts[posts.0 as usize..posts.1 as usize];
                let wakes = receivers.iter().fold(bit(column), |wakes, (to, _)| wakes | bit(*to as usize));
                effect = Effect { view, posts, wakes };
                delta = if self.additive {
                    adds
                } else {
                    minus(self.columns[column].hash(view), self.columns[column].hash(from))
                };
            }
        }
        if how == How::Crash && self.system.faults.max_crashes.is_some() {
            self.most_crashes = self.system.faults.max_crashes.unwrap_or(0);
        }
        self.steps.push(step, effect, delta, cause);
    }

    /// What kind of step a reaction is.
    pub(super) fn how(&self, reaction: u32) -> How {
        let reaction = &self.reactions[reaction as usize];
        match reaction.cause {
            _ if reaction.is_nothing() => How::Nothing,
            _ if reaction.failure != NONE => How::Failed,
            _ if !self.within[reaction.next as usize] => How::Pruned,
            Cause::Crash => How::Crash,
            _ if reaction.ignored => How::Ignored,
            _ => How::Plain,
        }
    }

    /// What was sent, to each of the others and to the sender itself.
    fn sort_sends(&mut self, reaction: &mut Reaction, sends: &[u32]) {
        let actor = reaction.actor as usize;
        let mut own = Vec::new();
        let mut lists: Vec<(usize, Vec<u32>)> = Vec::new();
        for &envelope in sends {
            let column = self.column(self.envelopes.get(envelope).dst.into());
            if column == actor {
                own.push(envelope);
            } else if let Some((_, list)) = lists.iter_mut().find(|(to, _)| *to == column) {
                list.push(envelope);
            } else {
                lists.push((column, vec![envelope]));
            }
        }
        let start = self.posts.len() as u32;
        for (column, list) in lists {
            let list = self.lists.intern(&list);
            self.posts.push((column as u32, list));
        }
        reaction.own = self.lists.intern(&own);
        reaction.posts = (start, self.posts.len() as u32);
    }

    /// The envelope at a place of an inbox, if it can arrive or be lost next and is the first of its kind.
    fn head(&self, inbox: u32, at: usize) -> Option<u32> {
        let list = self.lists.get(inbox);
        let (envelope, before) = (list[at], at.checked_sub(1).map(|before| list[before]));
        let waits = |before| match self.system.network.delivery {
            Delivery::Ordered => self.channel(before) == self.channel(envelope),
            Delivery::Set | Delivery::Multiset => before == envelope,
        };
        (!before.is_some_and(waits)).then_some(envelope)
    }

    fn channel(&self, envelope: u32) -> (usize, usize) {
        let envelope = self.envelopes.get(envelope);
        (envelope.src.into(), envelope.dst.into())
    }

    /// An inbox with one more envelope.
    pub(super) fn with(&mut self, inbox: u32, envelope: u32) -> u32 {
        let mut list = std::mem::take(&mut self.scratch);
        list.clear();
        list.extend_from_slice(self.lists.get(inbox));
        self.insert(&mut list, envelope);
        let inbox = self.lists.intern(&list);
        self.scratch = list;
        inbox
    }

    /// An inbox with some more envelopes, a list.
    fn with_all(&mut self, inbox: u32, more: u32) -> u32 {
        if more == 0 {
            return inbox;
        }
        if let Some(joined) = self.joined.get(pair(inbox, more)) {
            return joined;
        }
        let mut list = std::mem::take(&mut self.scratch);
        list.clear();
        list.extend_from_slice(self.lists.get(inbox));
        for &envelope in self.lists.get(more) {
            self.insert(&mut list, envelope);
        }
        let joined = self.lists.intern(&list);
        self.scratch = list;
        self.joined.insert(pair(inbox, more), joined);
        joined
    }

    /// Puts an envelope into an inbox, in the canonical order: by number, or by channel and then age.
    fn insert(&self, list: &mut Vec<u32>, envelope: u32) {
        let at = if self.system.network.delivery == Delivery::Ordered {
            let channel = self.channel(envelope);
            list.partition_point(|other| self.channel(*other) <= channel)
        } else {
            list.partition_point(|other| *other < envelope)
        };
        if self.system.network.delivery != Delivery::Set || list.get(at) != Some(&envelope) {
            list.insert(at, envelope);
        }
    }

    /// An inbox without an envelope. It is hardly ever asked for twice, so nothing is remembered of it.
    fn without(&mut self, inbox: u32, envelope: u32) -> u32 {
        let mut list = std::mem::take(&mut self.scratch);
        list.clear();
        list.extend_from_slice(self.lists.get(inbox));
        if let Some(at) = list.iter().position(|other| *other == envelope) {
            list.remove(at);
        }
        let left = self.lists.intern(&list);
        self.scratch = list;
        left
    }

    /// What an actor that is up does with a message; `None` if that is no step at all, whatever the history.
    pub(super) fn deliver(&mut self, actor: u32, local: u32, envelope: u32) -> Option<u32> {
        let known = self.outer.get(pair(local, envelope)).unwrap_or_else(|| {
            let reaction = self.react(actor, local, Cause::Deliver(envelope));
            let is_nothing = self.reactions[reaction as usize].is_nothing();
            let reaction = if is_nothing { NONE } else { reaction };
            self.outer.insert(pair(local, envelope), reaction);
            reaction
        });
        (known != NONE).then_some(known)
    }

    /// What can happen to an actor without a message: timers, open choices, a crash or a recovery. From one reaction to another.
    fn spontaneous(&mut self, actor: u32, local: u32) -> (u32, u32) {
        if let Some(&reactions) = self.inner.get(&pair(actor, local)) {
            return reactions;
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
        let start = self.reactions.len() as u32;
        for cause in causes {
            self.react(actor, local, cause);
        }
        let reactions = (start, self.reactions.len() as u32);
        self.inner.insert(pair(actor, local), reactions);
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
            own: 0,
            posts: (0, 0),
            adds: [0; 2],
            note: NONE,
            ignored: false,
            failure: NONE,
            born: self.leaving,
        };
        match result {
            Ok(step::Reaction { local, sends, note, ignored }) => {
                reaction.ignored = ignored;
                if let Some(note) = note {
                    reaction.note = self.notes.intern(note);
                    self.learn_note(reaction.note, actor);
                }
                self.loud.resize(self.notes.len(), false);
                let sends: Vec<u32> = sends.into_iter().map(|e| self.envelopes.intern(e)).collect();
                reaction.sends = self.lists.intern(&sends);
                self.sort_sends(&mut reaction, &sends);
                match local.map(|local| self.intern_local(Arc::new(local))) {
                    Some(Ok(next)) => reaction.next = next,
                    Some(Err(message)) => reaction.failure = self.fail(message),
                    None => {}
                }
                if self.additive {
                    reaction.adds = self.weigh(&reaction, &sends);
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
