//! Runs a trace again with the real actors, step by step, before it is reported, and compares the states.

use super::values::Semantics;
use crate::engine::door::Cause;
use crate::engine::expand::{Candidates, Expanding, Known, expand};
use crate::engine::memoise::Memoising;
use crate::engine::origins::Origins;
use crate::engine::reductions::sleep::Asleep;
use crate::engine::scheme::{Hashed, Scheme};
use crate::engine::seen::Table;
use crate::engine::tables::{Miss, Tables};
use crate::observer::Observer;
use crate::state::State;
use crate::symmetry::{Permutation, Symmetry};
use crate::{Action, Subject, panics};
use stateright::actor::{Envelope, Id};

/// An actor or observer that gave two answers to the same question.
pub(crate) struct Impure<A: Subject> {
    pub message: String,
    /// The path to the question, which is the last action.
    pub trace: Vec<Action<A>>,
}

/// The path to a state, and the state at its end.
pub(super) struct Retraced<A: Subject, O: Observer<A>> {
    pub trace: Vec<Action<A>>,
    pub state: State<A, O>,
    /// The state vector that stands for it.
    pub vector: Vec<u32>,
}

/// A finished exploration, whose steps can be run again.
pub(in crate::engine) struct Again<'e, 's, A: Subject, O: Observer<A>> {
    pub semantics: &'e mut Semantics<'s, A, O>,
    pub tables: &'e mut Tables,
    /// The parent edge of each state.
    pub origins: &'e Origins,
    /// The state vector of the initial state.
    pub first: &'e [u32],
}

/// The action behind a cause.
pub(super) fn action_of<A: Subject, O: Observer<A>>(
    semantics: &Semantics<'_, A, O>,
    actor: u32,
    local: u32,
    cause: Cause,
) -> Action<A> {
    let id = Id::from(actor as usize);
    match cause {
        Cause::Deliver(envelope) => {
            let envelope = semantics.envelope(envelope).clone();
            Action::<A>::Deliver { src: envelope.src, dst: envelope.dst, msg: envelope.msg }
        }
        Cause::Drop(envelope) => Action::<A>::Drop(semantics.envelope(envelope).clone()),
        Cause::Tick => Action::<A>::Tick,
        Cause::Crash => Action::<A>::Crash(id),
        Cause::Recover => Action::<A>::Recover(id),
        Cause::Timeout(n) => {
            let timer = semantics.locals.get(local).timers.iter().nth(n as usize);
            Action::<A>::Timeout(id, timer.expect("causes come from the local").clone())
        }
        Cause::Random(n, m) => {
            let (key, choices) = (semantics.locals.get(local).randoms.iter().nth(n as usize))
                .expect("causes come from the local");
            Action::<A>::SelectRandom { actor: id, key: key.clone(), random: choices[m as usize].clone() }
        }
    }
}

/// An action with actors exchanged.
fn exchange<A: Subject, O: Observer<A>>(
    symmetry: &Symmetry<A, O>,
    by: &Permutation,
    action: Action<A>,
) -> Action<A> {
    match action {
        Action::<A>::Deliver { src, dst, msg } => {
            let Envelope { src, dst, msg } = symmetry.envelope(by, &Envelope { src, dst, msg });
            Action::<A>::Deliver { src, dst, msg }
        }
        Action::<A>::Drop(envelope) => Action::<A>::Drop(symmetry.envelope(by, &envelope)),
        Action::<A>::Timeout(id, timer) => {
            Action::<A>::Timeout(by.id(id), symmetry.permute.timer(by, &timer))
        }
        Action::<A>::Tick => Action::<A>::Tick,
        Action::<A>::Crash(id) => Action::<A>::Crash(by.id(id)),
        Action::<A>::Recover(id) => Action::<A>::Recover(by.id(id)),
        Action::<A>::SelectRandom { actor, key, random } => Action::<A>::SelectRandom {
            actor: by.id(actor),
            key,
            random: symmetry.permute.choice(by, &random),
        },
    }
}

/// The complaint about a step with two outcomes.
pub(super) fn twice(what: &str, difference: &str) -> String {
    format!(
        "an actor or the observer is not a function of its inputs: when {what} was run again with the same \
         state, {difference}"
    )
}

impl<A: Subject, O: Observer<A>> Again<'_, '_, A, O> {
    fn memoising(&mut self) -> Memoising<'_> {
        Memoising { tables: self.tables, door: self.semantics }
    }

    /// The actions on the path to a state, and the step out of it if there is one.
    ///
    /// # Errors
    /// If running a step again gives another result.
    pub(crate) fn trace(&mut self, state: u32, ordinal: Option<u32>) -> Result<Vec<Action<A>>, Impure<A>> {
        let Retraced { mut trace, state, vector } = self.retrace(state)?;
        trace.extend(ordinal.and_then(|ordinal| self.action_in(&state, &vector, ordinal)));
        Ok(trace)
    }

    /// The state vector after a step of a state vector.
    fn after(&mut self, vector: &[u32], ordinal: u32) -> Option<Vec<u32>> {
        let seen = Table::new();
        let known = Known { scheme: &Hashed::<1>, seen: &seen, notes: None, with_vectors: true };
        let mut found = Candidates::new();
        let key = known.scheme.key(&self.tables.columns, vector);
        let expanding = Expanding { number: 0, vector, key, asleep: Asleep::NOBODY };
        expand(&mut self.memoising(), expanding, &known, &mut found).ok()?;
        let mut vectors = found.found.iter().filter(|candidate| candidate.is_successor());
        let at = vectors.position(|candidate| candidate.ordinal == ordinal)?;
        found.vectors.chunks_exact(vector.len()).nth(at).map(<[u32]>::to_vec)
    }

    /// The action behind a step of a state vector, if there is such a step.
    fn action(&mut self, vector: &[u32], ordinal: u32) -> Option<Action<A>> {
        let mut left = ordinal;
        for (column, &view) in vector.iter().enumerate().take(self.tables.movers()) {
            // A state that was found last was never expanded.
            if !self.tables.columns[column].has_steps(view) {
                self.memoising().find_out(Miss::Moves { column, view });
            }
            let (start, end) = self.tables.columns[column].steps[view as usize];
            if left < end - start {
                let cause = self.tables.steps.causes[(start + left) as usize];
                let local = self.tables.local_and_inbox(vector, column).0;
                return Some(action_of(self.semantics, column as u32, local, cause));
            }
            left -= end - start;
        }
        (left == 0 && self.tables.plan.world.is_timed()).then_some(Action::<A>::Tick)
    }

    /// The state vector that stands for a state and all that are like it; also the state vector of the state itself.
    fn vectors_of(&mut self, state: &State<A, O>) -> Result<(Vec<u32>, Vec<u32>), String> {
        let whole = self.semantics.whole(state)?;
        let own = self.memoising().vector(&whole);
        let least = self.memoising().least(own.clone());
        Ok((own, least))
    }

    /// The action of a state that a step of the least state vector is, if there is such a step.
    fn action_in(&mut self, state: &State<A, O>, least: &[u32], ordinal: u32) -> Option<Action<A>> {
        let action = self.action(least, ordinal)?;
        let (Some(symmetry), Some(group)) =
            (&self.semantics.system.symmetry, self.tables.plan.symmetry.clone())
        else {
            return Some(action);
        };
        let Ok((own, _)) = self.vectors_of(state) else { return Some(action) };
        Some(match self.memoising().permutation_to(least, &own) {
            Some(by) => exchange(symmetry, group.get(by), action),
            None => action,
        })
    }

    /// Runs the path to a state again, through the plain semantics, and compares every state on it.
    pub(super) fn retrace(&mut self, state: u32) -> Result<Retraced<A, O>, Impure<A>> {
        let starting = |message: &str| Impure { message: twice("starting", message), trace: Vec::new() };
        let started =
            panics::capture(|| self.semantics.system.initial()).map_err(|message| starting(&message))?;
        let vectors = self.vectors_of(&started).map_err(|message| starting(&message))?;
        if vectors.1 != self.first {
            return Err(starting("the initial state differs"));
        }
        let mut at = Retraced { trace: Vec::new(), state: started, vector: self.first.to_vec() };
        for (_, ordinal) in self.origins.path(state) {
            let Some(action) = self.action_in(&at.state, &at.vector, ordinal) else {
                let message = twice("the way to a state", "there was no such step");
                return Err(Impure { message, trace: at.trace });
            };
            let expected = self.after(&at.vector, ordinal);
            let what = self.semantics.system.describe(&action);
            at.trace.push(action);
            let action = at.trace.last().expect("it was just added");
            let taken = panics::capture(|| self.semantics.system.take(&at.state, action).next);
            if let (Some(doubt), Ok(Some(next))) = (&self.semantics.system.doubt, &taken) {
                // Not every state was shown to the doubtful boundary. If it refuses this one, all is explored again.
                let _ = panics::capture(|| doubt.admits(next));
            }
            let difference = match taken {
                Ok(Some(next)) => match (self.vectors_of(&next), expected) {
                    (Ok((_, vector)), Some(expected))
                        if vector == expected || self.memoising().differ_in_dead_only(&vector, &expected) =>
                    {
                        (at.state, at.vector) = (next, expected);
                        continue;
                    }
                    (Err(message), _) => message,
                    _ => "the state after it differs".to_owned(),
                },
                Ok(None) => "it was ignored".to_owned(),
                Err(message) => message,
            };
            return Err(Impure { message: twice(&what, &difference), trace: at.trace });
        }
        Ok(at)
    }
}
