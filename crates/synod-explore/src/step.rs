//! One step, of one actor ([`System::react`]) and of the whole system ([`System::take`]).
//!
//! These are the semantics of stateright's `ActorModel`, with three differences by intention: a crash forgets
//! the volatile state, a network that never removes messages does not remember which it delivered last, and
//! crashes can be limited in number. Exploring, walking and replaying all end up here.
//!
//! Methods of [`System`] stand in three files: what it is (`system`), what a step does (here), and what stateright sees of it (`model`).

use crate::clocks::Due;
use crate::network::Delivery;
use crate::observer::{CommandOf, Observer, Step, Trigger};
use crate::state::{InFlight, Local, State, tell_apart};
use crate::system::System;
use crate::{Action, Subject, panics};
use stateright::actor::{Command, Envelope, Id, Out, is_no_op, is_no_op_with_timer};
use std::borrow::Cow;
use std::sync::Arc;

/// The reaction of one actor to a trigger, whatever the rest of the system.
pub(crate) struct Reaction<A: Subject, O: Observer<A>> {
    /// The actor afterwards; `None` if nothing about it changed.
    pub local: Option<Local<A>>,
    /// The messages that it sent, in order.
    pub sends: Vec<Envelope<A::Msg>>,
    /// The observer's note.
    pub note: Option<O::Note>,
    /// The handler did nothing: it is no step at all, unless the note changes the history.
    pub ignored: bool,
}

/// The effect of an action on the whole system.
pub(crate) struct Taken<A: Subject, O: Observer<A>> {
    /// The state afterwards; `None` if the action was ignored, or leads out of bounds.
    pub next: Option<State<A, O>>,
    /// The action leads to a state that cannot be rewritten, being out of bounds: it is no step at all.
    pub cut: bool,
    /// The observer's note, whether or not the action was ignored.
    pub note: Option<O::Note>,
}

/// The effect of an action before the state is rewritten.
pub(crate) struct Raw<A: Subject, O: Observer<A>> {
    /// The state afterwards.
    pub next: State<A, O>,
    /// The messages sent.
    pub sent: Vec<Envelope<A::Msg>>,
}

/// The effect that an action will have on the whole system.
pub(crate) enum Outcome<A: Subject, O: Observer<A>> {
    /// It is ignored; the observer may have noted that.
    Nothing(Option<O::Note>),
    /// This happens to the actor it is about.
    Change(Reaction<A, O>),
}

/// The outcome of a handler, before it takes effect.
pub(crate) struct Handled<'l, A: Subject> {
    /// The volatile state afterwards, borrowed if the handler did not change it; `None` after a crash.
    pub after: Option<Cow<'l, A::State>>,
    /// The commands that the handler put out.
    pub out: Out<A>,
    /// The handler did nothing.
    pub ignored: bool,
}

impl<A: Subject, O: Observer<A>> Reaction<A, O> {
    /// What happens in a step of no actor: nothing to any.
    fn quiet() -> Self {
        Self { local: None, sends: Vec::new(), note: None, ignored: false }
    }
}

/// Time, as far as a step knows of it; see [`clocks`](crate::clocks).
impl<A: Subject, O: Observer<A>> System<A, O> {
    /// The reason why the system cannot be explored with its clocks, with messages dropped or not; `None` if it can.
    pub(crate) fn refuses_time(&self, dead_messages: bool) -> Option<String> {
        let clocks = self.clocks.as_ref()?;
        if let Some(words) = clocks.refusal(self.network.delivery) {
            return Some(words);
        }
        if dead_messages {
            return Some(
                "messages cannot be left out where time passes, as what a receiver ignores is checked on its own steps only, \
                 and here time changes it too: switch that off"
                    .to_owned(),
            );
        }
        self.normal.is_some().then(|| {
            "states are rewritten, and nobody could check that the time which timers and messages have left is rewritten \
             with them: switch one of the two off"
                .to_owned()
        })
    }

    /// True if every message has a latest moment.
    pub(crate) fn bounds_delays(&self) -> bool {
        self.clocks.is_some_and(|clocks| clocks.delay.is_some())
    }

    /// A network before any message was sent.
    pub(crate) fn no_messages(&self) -> InFlight<A::Msg> {
        if self.bounds_delays() { InFlight::timed() } else { InFlight::new(self.network.delivery) }
    }

    /// The time that a message has when it is sent.
    pub(crate) fn due_of(&self, envelope: &Envelope<A::Msg>) -> Option<Due> {
        let arrives = usize::from(envelope.dst) < self.actors.len();
        self.clocks.filter(|_| arrives).and_then(|clocks| clocks.of_message())
    }

    /// The state after a tick; `None` if something has to happen first, or if the system knows no time.
    fn after_tick(&self, state: &State<A, O>) -> Option<State<A, O>> {
        self.clocks?;
        let mut next = state.clone();
        for local in &mut next.locals {
            if !local.dues.is_empty() {
                *local = Arc::new(local.aged()?);
            }
        }
        next.network.age().then_some(next)
    }
}

impl<A: Subject, O: Observer<A>> System<A, O> {
    /// Runs the real handler of an actor once.
    ///
    /// # Panics
    /// With the handler.
    pub(crate) fn handle<'l>(
        &self,
        index: usize,
        local: &'l Local<A>,
        trigger: Trigger<'_, A>,
    ) -> Handled<'l, A> {
        let id = Id::from(index);
        let actor = &self.actors[index];
        let mut out = Out::<A>::new();
        let running = || Cow::Borrowed(local.state.as_deref().expect("the actor is up"));
        let (after, ignored) = match trigger {
            Trigger::Start | Trigger::Recover => {
                (Some(Cow::Owned(actor.on_start(id, &local.storage, &mut out))), false)
            }
            Trigger::Crash => (None, false),
            Trigger::Deliver { src, msg } => {
                let mut state = running();
                actor.on_msg(id, &mut state, src, msg.clone(), &mut out);
                // In an ordered network even a message that changes nothing unblocks the one behind it.
                // One that has a latest moment is gone once it arrived.
                let stays = self.network.delivery != Delivery::Ordered && !self.bounds_delays();
                let ignored = stays && is_no_op(&state, &out);
                (Some(state), ignored)
            }
            Trigger::Timeout(timer) => {
                let mut state = running();
                actor.on_timeout(id, &mut state, timer, &mut out);
                // With time, a timer that is set again runs for as long again.
                let ignored = self.clocks.is_none() && is_no_op_with_timer(&state, &out, timer);
                (Some(state), ignored)
            }
            Trigger::Random { choice, .. } => {
                let mut state = running();
                actor.on_random(id, &mut state, choice, &mut out);
                (Some(state), false)
            }
        };
        Handled { after, out, ignored }
    }

    /// Runs the real handler of an actor once, and the observer on its outcome.
    ///
    /// # Panics
    /// With the handler or the observer, or if the step contract is asserted and broken.
    pub(crate) fn react(&self, index: usize, local: &Local<A>, trigger: Trigger<'_, A>) -> Reaction<A, O> {
        let id = Id::from(index);
        let Handled { after, out, ignored } = self.handle(index, local, trigger);
        if self.assert_contract {
            assert_contract::<A>(&out);
        }
        let note = if ignored && !matches!(trigger, Trigger::Deliver { .. }) {
            None
        } else {
            let before = local.state.as_deref();
            self.observer.note(&Step { actor: id, before, trigger, after: after.as_deref(), outputs: &out })
        };
        if ignored {
            return Reaction { local: None, sends: Vec::new(), note, ignored };
        }

        let mut next = match trigger {
            Trigger::Crash => Local { storage: local.storage.clone(), ..Local::blank() },
            _ => local.clone(),
        };
        match trigger {
            Trigger::Timeout(timer) => {
                next.timers.remove(timer);
                next.dues.remove(timer);
            }
            Trigger::Random { key, .. } => {
                next.randoms.remove(key);
            }
            _ => {}
        }
        if let Some(Cow::Owned(state)) = after {
            next.state = Some(Arc::new(state));
        }
        let mut sends = Vec::new();
        for command in out {
            match command {
                Command::Send(dst, msg) => sends.push(Envelope { src: id, dst, msg }),
                Command::SetTimer(timer, after) => {
                    tell_apart("timers", next.timers.get(&timer), &timer);
                    let due = self.clocks.as_ref().and_then(|clocks| {
                        clocks.of_timer(&after).unwrap_or_else(|message| panics::reject(message))
                    });
                    next.dues.remove(&timer);
                    next.dues.extend(due.map(|due| (timer.clone(), due)));
                    next.timers.insert(timer);
                }
                Command::CancelTimer(timer) => {
                    tell_apart("timers", next.timers.get(&timer), &timer);
                    next.timers.remove(&timer);
                    next.dues.remove(&timer);
                }
                Command::ChooseRandom(key, choices) if choices.is_empty() => {
                    next.randoms.remove(&key);
                }
                Command::ChooseRandom(key, choices) => {
                    next.randoms.insert(key, choices);
                }
                Command::Save(storage) => next.storage = Some(storage),
            }
        }
        Reaction { local: Some(next), sends, note, ignored }
    }

    /// The state after every actor was started, in actor order.
    ///
    /// # Panics
    /// With an actor or the observer, and if states are rewritten and this one is out of bounds.
    pub fn initial(&self) -> State<A, O> {
        let mut state = State {
            locals: Vec::with_capacity(self.actors.len()),
            network: self.no_messages(),
            history: self.observer.initial(),
            crashes: 0,
        };
        for envelope in &self.initial_envelopes {
            state.network.send_due(envelope.clone(), self.due_of(envelope));
        }
        for index in 0..self.actors.len() {
            let storage = self.saved.get(index).cloned().flatten();
            let local = Local { storage, ..Local::blank() };
            state.locals.push(Arc::new(local.clone()));
            if self.faults.is_absent(index) {
                continue;
            }
            let reaction = self.react(index, &local, Trigger::Start);
            self.apply(&mut state, index, reaction);
        }
        self.rewritten(state).expect("the initial state is within the bound of what rewrites states")
    }

    /// The state that stands for one that was reached; `None` if it is out of bounds.
    pub(crate) fn rewritten(&self, state: State<A, O>) -> Option<State<A, O>> {
        match &self.normal {
            Some(normal) => normal.normal(state),
            None => Some(state),
        }
    }

    /// Every action that is possible in a state, those that will turn out to be ignored included, in an order
    /// that depends on the state alone.
    pub fn possible(&self, state: &State<A, O>) -> Vec<Action<A>> {
        let mut actions = Vec::new();
        let heads = state.network.heads();
        if self.network.loss {
            actions.extend(heads.iter().map(|envelope| Action::<A>::Drop(envelope.to_cloned_msg())));
        }
        for Envelope { src, dst, msg } in heads {
            if usize::from(dst) < self.actors.len() {
                actions.push(Action::<A>::Deliver { src, dst, msg: msg.clone() });
            }
        }
        let locals = || state.locals.iter().enumerate().map(|(index, local)| (Id::from(index), local));
        for (id, local) in locals() {
            let ripe = local.timers.iter().filter(|timer| local.is_ripe(timer));
            actions.extend(ripe.map(|timer| Action::<A>::Timeout(id, timer.clone())));
        }
        let down = state.locals.iter().filter(|local| local.is_down()).count();
        if self.faults.crash_fits(down, state.crashes) {
            let can = |id: Id| self.faults.can_crash(id.into());
            actions.extend(
                locals().filter(|(id, l)| can(*id) && !l.is_down()).map(|(id, _)| Action::<A>::Crash(id)),
            );
        }
        let can_start = |id: Id| !self.faults.is_absent(id.into());
        actions.extend(
            locals().filter(|(id, l)| can_start(*id) && l.is_down()).map(|(id, _)| Action::<A>::Recover(id)),
        );
        for (actor, local) in locals() {
            for (key, choices) in &local.randoms {
                for random in choices {
                    let (key, random) = (key.clone(), random.clone());
                    actions.push(Action::<A>::SelectRandom { actor, key, random });
                }
            }
        }
        actions.extend(self.after_tick(state).map(|_| Action::<A>::Tick));
        actions
    }

    /// True if an action is among the possible ones.
    pub fn is_possible(&self, state: &State<A, O>, action: &Action<A>) -> bool {
        let local = |id: &Id| state.locals.get(usize::from(*id));
        match action {
            Action::<A>::Drop(envelope) => self.network.loss && state.network.is_head(envelope),
            Action::<A>::Deliver { src, dst, msg } => {
                let envelope = Envelope { src: *src, dst: *dst, msg: msg.clone() };
                local(dst).is_some() && state.network.is_head(&envelope)
            }
            Action::<A>::Timeout(id, timer) => local(id).is_some_and(|local| local.is_ripe(timer)),
            Action::<A>::Tick => self.after_tick(state).is_some(),
            Action::<A>::SelectRandom { actor, key, random } => {
                let choices = local(actor).and_then(|local| local.randoms.get(key));
                choices.is_some_and(|choices| choices.contains(random))
            }
            Action::<A>::Crash(_) | Action::<A>::Recover(_) => self.possible(state).contains(action),
        }
    }

    /// Takes an action that is possible in a state.
    ///
    /// # Panics
    /// With an actor or the observer.
    pub(crate) fn take(&self, state: &State<A, O>, action: &Action<A>) -> Taken<A, O> {
        match self.outcome(state, action) {
            Outcome::Nothing(note) => Taken { next: None, cut: false, note },
            Outcome::Change(reaction) => {
                let note = reaction.note.clone();
                let mut next = state.clone();
                self.commit(&mut next, action, reaction);
                let next = self.rewritten(next);
                Taken { cut: next.is_none(), next, note }
            }
        }
    }

    /// The state after an action before it is rewritten, and the messages sent; `None` if the action is ignored.
    pub(crate) fn take_raw(&self, state: &State<A, O>, action: &Action<A>) -> Option<Raw<A, O>> {
        let Outcome::Change(reaction) = self.outcome(state, action) else { return None };
        let (mut next, sent) = (state.clone(), reaction.sends.clone());
        self.commit(&mut next, action, reaction);
        Some(Raw { next, sent })
    }

    /// The state after an action that is possible in `state`; `None` if the action is ignored, or leads out of the bound
    /// of what rewrites states.
    ///
    /// # Panics
    /// With an actor or the observer.
    pub fn step(&self, state: &State<A, O>, action: &Action<A>) -> Option<State<A, O>> {
        self.take(state, action).next
    }

    /// The effect of an action, computed before it is taken.
    pub(crate) fn outcome(&self, state: &State<A, O>, action: &Action<A>) -> Outcome<A, O> {
        let is_down = |id: Id| state.locals.get(usize::from(id)).is_some_and(|local| local.is_down());
        let (index, trigger) = match action {
            Action::<A>::Drop(_) => return Outcome::Change(Reaction::quiet()),
            Action::<A>::Tick => {
                let passes = self.after_tick(state).is_some();
                return if passes { Outcome::Change(Reaction::quiet()) } else { Outcome::Nothing(None) };
            }
            Action::<A>::Deliver { dst, .. } if self.bounds_delays() && is_down(*dst) => {
                return Outcome::Change(Reaction::quiet());
            }
            Action::<A>::Deliver { src, dst, msg } => {
                (usize::from(*dst), Trigger::Deliver { src: *src, msg })
            }
            Action::<A>::Timeout(id, timer) => (usize::from(*id), Trigger::Timeout(timer)),
            Action::<A>::Crash(id) => (usize::from(*id), Trigger::Crash),
            Action::<A>::Recover(id) => (usize::from(*id), Trigger::Recover),
            Action::<A>::SelectRandom { actor, key, random } => {
                (usize::from(*actor), Trigger::Random { key, choice: random })
            }
        };
        let Some(local) = state.locals.get(index) else { return Outcome::Nothing(None) };
        if local.is_down() != matches!(trigger, Trigger::Recover) {
            return Outcome::Nothing(None);
        }
        let reaction = self.react(index, local, trigger);
        if reaction.ignored {
            let updated = reaction.note.as_ref().and_then(|note| self.observer.update(&state.history, note));
            if updated.is_none_or(|history| history == state.history) {
                return Outcome::Nothing(reaction.note);
            }
        }
        Outcome::Change(reaction)
    }

    /// Applies an action whose effect [`System::outcome`] gave. The state is not rewritten here.
    pub(crate) fn commit(&self, state: &mut State<A, O>, action: &Action<A>, reaction: Reaction<A, O>) {
        let index = match action {
            Action::<A>::Drop(envelope) => {
                state.network.lose(envelope);
                return;
            }
            Action::<A>::Tick => {
                if let Some(next) = self.after_tick(state) {
                    *state = next;
                }
                return;
            }
            Action::<A>::Deliver { src, dst, msg } => {
                state.network.deliver(&Envelope { src: *src, dst: *dst, msg: msg.clone() });
                *dst
            }
            Action::<A>::Crash(id) => {
                state.crashes = self.faults.count(state.crashes);
                *id
            }
            Action::<A>::Timeout(id, _) | Action::<A>::Recover(id) => *id,
            Action::<A>::SelectRandom { actor, .. } => *actor,
        };
        self.apply(state, index.into(), reaction);
    }

    fn apply(&self, state: &mut State<A, O>, index: usize, reaction: Reaction<A, O>) {
        if let Some(local) = reaction.local {
            state.locals[index] = Arc::new(local);
        }
        for envelope in reaction.sends {
            let due = self.due_of(&envelope);
            state.network.send_due(envelope, due);
        }
        if let Some(note) = reaction.note
            && let Some(history) = self.observer.update(&state.history, &note)
        {
            state.history = history;
        }
    }
}

/// At most one save in a step, and no send before it.
fn assert_contract<A: Subject>(outputs: &[CommandOf<A>]) {
    let mut saved = false;
    let mut sent = None;
    for command in outputs {
        match command {
            Command::Send(_, msg) => sent = sent.or(Some(msg)),
            Command::Save(_) if saved => panics::reject("step contract: saves twice in one step".to_owned()),
            Command::Save(_) => {
                if let Some(msg) = sent {
                    panics::reject(format!("step contract: sends {msg:?} before it saves"));
                }
                saved = true;
            }
            _ => {}
        }
    }
}
