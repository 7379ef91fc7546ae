//! Looks things up in the tables and memoises what is missing: each handler runs once per distinct local situation.

use super::door::{Cause, Door, Outcome, Whole};
use super::intern::{NONE, pair};
use super::key::{Words, hash_of, minus, plus};
use super::reactions::Reaction;
use super::reductions::dead::Receivers;
use super::tables::{Change, Miss, Tables};
use super::views::{Effect, How, Step, URGENT, bit};
use crate::network::Delivery;

/// The offset of hashes of locals, beyond those of columns.
const LOCALS: usize = 1 << 20;

/// Tables to look things up in: as they are, or with missing entries memoised on demand.
pub(super) trait Source {
    fn tables(&self) -> &Tables;
    /// Memoises a missing entry, or returns it if that is not possible here.
    fn memoise(&mut self, miss: Miss) -> Result<(), Miss>;
    /// Rewrites a state vector as its system does: false if it is out of bounds, the number of a message if rewriting panics.
    fn normal(&mut self, vector: &mut [u32]) -> Result<Result<bool, u32>, Miss>;
    /// True if the bounds of whole states admit a state vector. Fails if one panics.
    fn admits(&self, vector: &[u32]) -> Result<bool, String>;
}

/// Returns a [`Miss`] for each missing entry. Several threads can read the same tables.
pub(super) struct Reading<'t> {
    pub tables: &'t Tables,
    pub door: &'t dyn Door,
}

impl Source for Reading<'_> {
    fn tables(&self) -> &Tables {
        self.tables
    }
    fn memoise(&mut self, miss: Miss) -> Result<(), Miss> {
        Err(miss)
    }
    fn normal(&mut self, _: &mut [u32]) -> Result<Result<bool, u32>, Miss> {
        if self.tables.plan.world.rewrites { Err(Miss::Rest) } else { Ok(Ok(true)) }
    }
    fn admits(&self, vector: &[u32]) -> Result<bool, String> {
        self.door.admits(&self.tables.whole(vector))
    }
}

/// Memoises missing entries.
pub(super) struct Memoising<'t> {
    pub tables: &'t mut Tables,
    pub door: &'t mut dyn Door,
}

impl Source for Memoising<'_> {
    fn tables(&self) -> &Tables {
        self.tables
    }
    fn memoise(&mut self, miss: Miss) -> Result<(), Miss> {
        self.find_out(miss);
        Ok(())
    }
    fn normal(&mut self, vector: &mut [u32]) -> Result<Result<bool, u32>, Miss> {
        Ok(self.rewrite(vector))
    }
    fn admits(&self, vector: &[u32]) -> Result<bool, String> {
        self.door.admits(&self.tables.whole(vector))
    }
}

/// A number of a column after a permutation.
fn image(source: &mut impl Source, column: usize, number: u32, by: usize) -> Result<u32, Miss> {
    loop {
        let tables = source.tables();
        let images = tables.columns.get(column).map_or(&tables.images, |column| &column.images);
        let group = tables.plan.symmetry.as_ref().expect("there are permutations");
        match images.get(number as usize * group.len() + by) {
            Some(&image) if image != NONE => return Ok(image),
            _ => source.memoise(Miss::Image { column, number, by })?,
        }
    }
}

/// Replaces a state vector by the least one of its orbit.
pub(super) fn canonical(source: &mut impl Source, vector: &mut [u32]) -> Result<(), Miss> {
    let Some(group) = source.tables().plan.symmetry.clone() else { return Ok(()) };
    group.least(vector, |column, number, by| image(source, column, number, by))
}

impl Memoising<'_> {
    /// The state vector that stands for a state.
    pub(super) fn vector(&mut self, state: &Whole) -> Vec<u32> {
        let Self { tables, door } = self;
        tables.learn(&**door);
        let mut vector = vec![0; tables.width()];
        vector[tables.history_column()] =
            tables.histories.number_of(&state.history, || door.component_count());
        let mut inboxes = vec![0; tables.actors() + 1];
        for &envelope in &state.envelopes {
            let column = tables.column(tables.inboxes.receiver(envelope));
            inboxes[column] = tables.inboxes.with(inboxes[column], envelope);
        }
        for (actor, &local) in state.locals.iter().enumerate() {
            vector[actor] = self.view(actor, local, inboxes[actor]);
        }
        let stray = self.tables.actors();
        vector[stray] = self.view(stray, 0, inboxes[stray]);
        vector[self.tables.crashes_column()] = state.crashes;
        self.tables.most_crashes = self.tables.most_crashes.max(state.crashes);
        vector
    }

    /// The least state vector that is alike.
    pub(super) fn least(&mut self, mut vector: Vec<u32>) -> Vec<u32> {
        canonical(self, &mut vector).expect("whatever is missing is found out");
        vector
    }

    /// The first state vector. It is not noted down, since it always comes first.
    pub(super) fn first_vector(&mut self, initial: &Whole) -> Vec<u32> {
        let log = self.tables.log.take();
        let vector = self.vector(initial);
        let vector = self.least(vector);
        self.tables.log = log;
        vector
    }

    /// The permutation that makes a state vector of its least one.
    pub(super) fn permutation_to(&mut self, least: &[u32], vector: &[u32]) -> Option<usize> {
        let group = self.tables.plan.symmetry.clone()?;
        group.to_vector(least, vector, |column, number, by| image(self, column, number, by)).ok().flatten()
    }

    /// Rewrites a state vector as its system does. False if it is out of bounds; the number of a message if that panics.
    fn rewrite(&mut self, vector: &mut [u32]) -> Result<bool, u32> {
        if !self.tables.plan.world.rewrites {
            return Ok(true);
        }
        match self.door.rewrite(&self.tables.whole(vector)) {
            Ok(None) => Ok(false),
            Ok(Some(rewritten)) => {
                vector.copy_from_slice(&self.vector(&rewritten));
                Ok(true)
            }
            Err(message) => Err(self.tables.reactions.fail(message)),
        }
    }

    /// Memoises a missing entry.
    pub(super) fn find_out(&mut self, miss: Miss) {
        self.tables.note_down(Change::Memoise(miss));
        match miss {
            Miss::Moves { column, view } => {
                let start = self.tables.steps.len();
                self.memoise_steps(column, view);
                self.tables.columns[column].steps[view as usize] = (start, self.tables.steps.len());
            }
            Miss::Append { column, view, list } => {
                let (local, inbox) = self.tables.columns[column].of[view as usize];
                let inbox = self.tables.inboxes.with_all(inbox, list);
                let appended = self.view(column, local, inbox);
                self.tables.columns[column].appends.insert(pair(view, list), appended);
            }
            Miss::Age { column, view } => {
                let aged = self.age(column, view).unwrap_or(URGENT);
                let known = &mut self.tables.columns[column].aged;
                known.resize(known.len().max(view as usize + 1), NONE);
                known[view as usize] = aged;
            }
            Miss::Update { history, note } => {
                let Tables { histories, reactions, .. } = &mut *self.tables;
                histories.memoise(self.door, reactions, history, note);
            }
            Miss::Image { column, number, by } => self.memoise_image(column, number, by),
            Miss::Rest => {}
        }
    }

    /// A view after a tick; `None` if something has to happen first.
    fn age(&mut self, column: usize, view: u32) -> Option<u32> {
        let (local, inbox) = self.tables.columns[column].of[view as usize];
        if column == self.tables.actors() {
            return Some(view);
        }
        let local = self.door.age_local(local)?;
        self.tables.learn(self.door);
        if !self.tables.plan.world.has_delays() {
            return Some(self.view(column, local, inbox));
        }
        let mut aged = 0;
        for envelope in self.tables.inboxes.lists.get(inbox).to_vec() {
            let envelope = self.door.age_envelope(envelope)?;
            self.tables.learn(self.door);
            aged = self.tables.inboxes.with(aged, envelope);
        }
        Some(self.view(column, local, aged))
    }

    /// Memoises a view or a history after a permutation.
    fn memoise_image(&mut self, column: usize, number: u32, by: usize) {
        let Some(group) = self.tables.plan.symmetry.clone() else { return };
        let at = number as usize * group.len() + by;
        let room = (number as usize + 1) * group.len();
        let image = if column > self.tables.actors() {
            let image = self.door.history_after(by, number);
            self.tables.histories.number_of(&[image], || 0)
        } else {
            let (local, inbox) = self.tables.columns[column].of[number as usize];
            let mut image_inbox = 0;
            for envelope in self.tables.inboxes.lists.get(inbox).to_vec() {
                let envelope = self.door.envelope_after(by, envelope);
                self.tables.learn(self.door);
                image_inbox = self.tables.inboxes.with(image_inbox, envelope);
            }
            if column == self.tables.actors() {
                self.view(column, 0, image_inbox)
            } else {
                let local = self.door.local_after(by, local);
                self.tables.learn(self.door);
                self.view(group.get(by).index(column), local, image_inbox)
            }
        };
        let images = match self.tables.columns.get_mut(column) {
            Some(column) => &mut column.images,
            None => &mut self.tables.images,
        };
        images.resize(images.len().max(room), NONE);
        images[at] = image;
    }

    /// The view of an actor in a local with an inbox, dead messages dropped.
    fn view(&mut self, column: usize, local: u32, inbox: u32) -> u32 {
        let inbox = if self.tables.plan.drops_dead { self.without_dead(column, local, inbox) } else { inbox };
        let tables = &mut *self.tables;
        let next = tables.columns[column].len() as u32;
        let view = tables.columns[column].ids.get_or_insert(pair(local, inbox), next);
        if view == next {
            let hash = if tables.plan.additive() {
                plus(hash_of(LOCALS + column, local), tables.inboxes.weight_of_list(inbox))
            } else {
                hash_of(column, view)
            };
            let column = &mut tables.columns[column];
            column.steps.push((NONE, 0));
            column.narrow.push(hash[0]);
            column.wide.push(hash[1]);
            column.of.push((local, inbox));
        }
        view
    }

    /// An inbox without the messages that the actor would ignore in a local, as far as is known for good.
    fn without_dead(&mut self, column: usize, local: u32, inbox: u32) -> u32 {
        if column >= self.tables.actors() {
            return inbox;
        }
        let mut list = self.tables.inboxes.lists.get(inbox).to_vec();
        let all = list.len();
        let mut dead = std::mem::take(&mut self.tables.dead);
        list.retain(|&envelope| {
            !dead.is_dropped(local, envelope, || self.ignores(column as u32, local, envelope))
        });
        self.tables.dead = dead;
        if list.len() == all { inbox } else { self.tables.inboxes.lists.intern(&list) }
    }

    /// True if two state vectors are of the same state, but for messages that their receivers ignore. In an exploration that was given up, some paths
    /// to a state may have kept messages that others dropped.
    pub(super) fn differ_in_dead_only(&mut self, a: &[u32], b: &[u32]) -> bool {
        let actors = self.tables.actors();
        self.tables.plan.drops_dead
            && a[actors..] == b[actors..]
            && (0..actors).all(|column| {
                let [(local, one), (other, another)] =
                    [a, b].map(|vector| self.tables.local_and_inbox(vector, column));
                let [one, another] = [one, another].map(|inbox| {
                    let mut heeded = self.tables.inboxes.lists.get(inbox).to_vec();
                    heeded.retain(|&envelope| !self.ignores(column as u32, local, envelope));
                    heeded
                });
                (local, one) == (other, another)
            })
    }

    /// Looks for dropped messages to which their receivers might still react. True if there were any.
    pub(super) fn refute(&mut self) -> bool {
        if self.tables.dead.is_empty() {
            return false;
        }
        self.tables.note_down(Change::Refute);
        let mut dead = std::mem::take(&mut self.tables.dead);
        let refuted = dead.refute(self);
        self.tables.dead = dead;
        refuted
    }

    fn memoise_steps(&mut self, column: usize, from: u32) {
        let (local, inbox) = self.tables.columns[column].of[from as usize];
        let is_actor = column < self.tables.actors();
        for at in 0..self.tables.inboxes.lists.get(inbox).len() {
            let Some(envelope) = self.tables.inboxes.head(inbox, at) else { continue };
            let delays = self.tables.plan.world.has_delays();
            if delays && !self.door.arrives(envelope, self.tables.inboxes.lists.get(inbox)) {
                continue;
            }
            if is_actor && delays && self.tables.locals[local as usize].down {
                // It comes to nobody.
                self.push_loss((column, from), (local, inbox), Cause::Deliver(envelope), envelope);
            }
            if is_actor && !self.tables.locals[local as usize].down {
                // The inbox without the message is made for steps only, as most deliveries are no step.
                if let Some(reaction) = self.deliver(column as u32, local, envelope) {
                    let stays = self.tables.plan.world.delivery == Delivery::Set;
                    let left = if stays { inbox } else { self.tables.inboxes.without(inbox, envelope) };
                    self.push_step(from, reaction, left);
                }
            }
            if self.tables.plan.world.loss {
                self.push_loss((column, from), (local, inbox), Cause::Drop(envelope), envelope);
            }
        }
        if is_actor {
            let (start, end) = self.spontaneous(column as u32, local);
            for reaction in start..end {
                self.push_step(from, reaction, inbox);
            }
        }
    }

    /// Appends a step of a view that takes a message out of its inbox and does nothing else.
    fn push_loss(
        &mut self,
        (column, from): (usize, u32),
        (local, inbox): (u32, u32),
        cause: Cause,
        envelope: u32,
    ) {
        let inbox = self.tables.inboxes.without(inbox, envelope);
        let view = self.view(column, local, inbox);
        let delta = minus(self.tables.columns[column].hash(view), self.tables.columns[column].hash(from));
        let step = Step { delta: 0, note: NONE, column: column as u16, how: How::Plain };
        let effect = Effect { view, posts: (0, 0), wakes: bit(column) };
        self.tables.steps.push(step, effect, delta, cause);
    }

    /// Appends a reaction as a step of a view whose inbox is `inbox` once the delivered message is taken.
    fn push_step(&mut self, from: u32, reaction: u32, inbox: u32) {
        let how = self.how(reaction);
        let Reaction { actor, next, cause, note, failure, own, posts, adds, .. } =
            self.tables.reactions.all[reaction as usize];
        if how == How::Nothing {
            return;
        }
        let column = actor as usize;
        let mut step = Step { delta: 0, note, column: column as u16, how };
        let mut effect = Effect { view: 0, posts: (0, 0), wakes: 0 };
        let mut delta = [0; 2];
        match how {
            How::Failed => step.note = failure,
            How::Pruned | How::Nothing | How::Tick => {}
            How::Plain | How::Ignored | How::Crash => {
                let inbox = self.tables.inboxes.with_all(inbox, own);
                let view = self.view(column, next, inbox);
                let receivers = &self.tables.reactions.posts[posts.0 as usize..posts.1 as usize];
                let wakes = receivers.iter().fold(bit(column), |wakes, (to, _)| wakes | bit(*to as usize));
                effect = Effect { view, posts, wakes };
                delta = if self.tables.plan.additive() {
                    adds
                } else {
                    let column = &self.tables.columns[column];
                    minus(column.hash(view), column.hash(from))
                };
            }
        }
        if how == How::Crash && self.tables.plan.world.faults.max_crashes.is_some() {
            self.tables.most_crashes = self.tables.plan.world.faults.max_crashes.unwrap_or(0);
        }
        self.tables.steps.push(step, effect, delta, cause);
    }

    /// The kind of step that a reaction is.
    fn how(&self, reaction: u32) -> How {
        let reaction = &self.tables.reactions.all[reaction as usize];
        match reaction.cause {
            _ if reaction.is_nothing() => How::Nothing,
            _ if reaction.failure != NONE => How::Failed,
            _ if !self.tables.locals[reaction.next as usize].within => How::Pruned,
            Cause::Crash => How::Crash,
            _ if reaction.ignored => How::Ignored,
            _ => How::Plain,
        }
    }

    /// The reaction of an actor that is up to a message; `None` if it is no step whatever the history.
    fn deliver(&mut self, actor: u32, local: u32, envelope: u32) -> Option<u32> {
        let known = self.tables.reactions.outer.get(pair(local, envelope)).unwrap_or_else(|| {
            let reaction = self.react(actor, local, Cause::Deliver(envelope));
            let is_nothing = self.tables.reactions.all[reaction as usize].is_nothing();
            let reaction = if is_nothing { NONE } else { reaction };
            self.tables.reactions.outer.insert(pair(local, envelope), reaction);
            reaction
        });
        (known != NONE).then_some(known)
    }

    /// The reactions of an actor to causes without a message, as a range.
    fn spontaneous(&mut self, actor: u32, local: u32) -> (u32, u32) {
        if let Some(&reactions) = self.tables.reactions.inner.get(&pair(actor, local)) {
            return reactions;
        }
        let start = self.tables.reactions.all.len() as u32;
        for cause in self.door.causes(actor, local) {
            self.react(actor, local, cause);
        }
        let reactions = (start, self.tables.reactions.all.len() as u32);
        self.tables.reactions.inner.insert(pair(actor, local), reactions);
        reactions
    }

    /// Runs a handler and memoises its outcome.
    fn react(&mut self, actor: u32, local: u32, cause: Cause) -> u32 {
        self.tables.reactions.calls += u64::from(cause != Cause::Crash);
        let Outcome { next, sends, note, ignored, failure } = self.door.react(actor, local, cause);
        let (tables, door) = (&mut *self.tables, &*self.door);
        tables.learn(door);
        if let Some(note) = note {
            tables.histories.learn_note(note, actor, || door.about(note));
        }
        let list = tables.inboxes.lists.intern(&sends);
        let (own, posts) = tables.sort_sends(actor, &sends);
        let adds =
            if tables.plan.additive() { tables.weigh(actor, (local, next), cause, &sends) } else { [0; 2] };
        let reactions = &mut tables.reactions;
        let failure = failure.map_or(NONE, |message| reactions.fail(message));
        let (note, first_seen) = (note.unwrap_or(NONE), reactions.expanding);
        reactions.all.push(Reaction {
            actor,
            local,
            cause,
            next,
            sends: list,
            own,
            posts,
            adds,
            note,
            ignored,
            failure,
            first_seen,
        });
        reactions.all.len() as u32 - 1
    }
}

impl Receivers for Memoising<'_> {
    fn locals(&self) -> usize {
        self.tables.locals.len()
    }

    fn steps(&self, actor: u32) -> Vec<(u32, u32)> {
        let leads = |reaction: &&Reaction| {
            reaction.actor == actor
                && reaction.next != reaction.local
                && self.tables.locals[reaction.next as usize].within
        };
        self.tables.reactions.all.iter().filter(leads).map(|step| (step.local, step.next)).collect()
    }

    fn receiver(&self, envelope: u32) -> u32 {
        self.tables.inboxes.receiver(envelope)
    }

    fn ignores(&mut self, actor: u32, local: u32, envelope: u32) -> bool {
        // An actor that is down receives no messages.
        self.tables.locals[local as usize].down || self.deliver(actor, local, envelope).is_none()
    }
}

/// Completes a reaction before it is memoised.
impl Tables {
    /// The messages sent: those to the sender itself as a list, and those to others as a range of posts.
    fn sort_sends(&mut self, actor: u32, sends: &[u32]) -> (u32, (u32, u32)) {
        let mut own = Vec::new();
        let mut lists: Vec<(usize, Vec<u32>)> = Vec::new();
        for &envelope in sends {
            let column = self.column(self.inboxes.receiver(envelope));
            if column == actor as usize {
                own.push(envelope);
            } else if let Some((_, list)) = lists.iter_mut().find(|(to, _)| *to == column) {
                list.push(envelope);
            } else {
                lists.push((column, vec![envelope]));
            }
        }
        let start = self.reactions.posts.len() as u32;
        for (column, list) in lists {
            let list = self.inboxes.lists.intern(&list);
            self.reactions.posts.push((column as u32, list));
        }
        (self.inboxes.lists.intern(&own), (start, self.reactions.posts.len() as u32))
    }

    /// The term of a reaction in a key that sums locals and messages.
    fn weigh(&self, actor: u32, (before, after): (u32, u32), cause: Cause, sends: &[u32]) -> Words {
        let [before, after] = [before, after].map(|local| hash_of(LOCALS + actor as usize, local));
        let sent = sends.iter().fold(minus(after, before), |sum, &sent| plus(sum, self.inboxes.weight(sent)));
        match cause {
            Cause::Deliver(envelope) => minus(sent, self.inboxes.weight(envelope)),
            _ => sent,
        }
    }
}
