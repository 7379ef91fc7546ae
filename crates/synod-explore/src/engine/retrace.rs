//! A trace that is reported was run again with the real actors, step by step, and gave the same states.

use super::expand::{Candidates, Known, Leaving, expand};
use super::intern::NONE;
use super::key::{Hashed, Scheme};
use super::origins::Origins;
use super::seen::Table;
use super::sleep::Asleep;
use super::symmetry::exchange;
use super::tables::{Cause, Miss, Reaction, Tables};
use crate::observer::Observer;
use crate::state::State;
use crate::{Action, Subject, panics};
use stateright::actor::Id;

/// How many handler calls are run again at the end, to see whether they still give the same.
const SAMPLE: usize = 512;

/// An actor or observer that gave two answers to the same question.
pub(crate) struct Impure<A: Subject> {
    pub message: String,
    /// The way to the question, which is the last action.
    pub trace: Vec<Action<A>>,
}

/// The way to a state, and the state at its end.
pub(super) struct Retraced<A: Subject, O: Observer<A>> {
    pub trace: Vec<Action<A>>,
    pub state: State<A, O>,
    /// The row that stands for it.
    pub row: Vec<u32>,
}

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// The row after a step of a row.
    fn after(&mut self, row: &[u32], ordinal: u32) -> Option<Vec<u32>> {
        let seen = Table::new();
        let known = Known { scheme: &Hashed::<1>, seen: &seen, notes: None, with_rows: true };
        let mut found = Candidates::new();
        let key = known.scheme.key(&self.columns, row);
        let leaving = Leaving { number: 0, row, key, asleep: Asleep::NOBODY };
        expand(&mut *self, leaving, &known, &mut found).ok()?;
        let mut rows = found.found.iter().filter(|candidate| candidate.is_row());
        let at = rows.position(|candidate| candidate.ordinal == ordinal)?;
        found.rows.chunks_exact(row.len()).nth(at).map(<[u32]>::to_vec)
    }

    /// The action behind a step of a row, if there is such a step.
    fn action(&mut self, row: &[u32], ordinal: u32) -> Option<Action<A>> {
        let mut left = ordinal;
        for (column, &view) in row.iter().enumerate().take(self.movers()) {
            // Flat rows are expanded without views.
            if self.columns[column].steps[view as usize].0 == NONE {
                self.fill(Miss::Moves { column, view });
            }
            let (start, end) = self.columns[column].steps[view as usize];
            if left < end - start {
                let cause = self.steps.causes[(start + left) as usize];
                return Some(self.action_of(column as u32, self.parts(row, column).0, cause));
            }
            left -= end - start;
        }
        None
    }

    pub(super) fn action_of(&self, actor: u32, local: u32, cause: Cause) -> Action<A> {
        let id = Id::from(actor as usize);
        match cause {
            Cause::Deliver(envelope) => {
                let envelope = self.envelopes.get(envelope).clone();
                Action::<A>::Deliver { src: envelope.src, dst: envelope.dst, msg: envelope.msg }
            }
            Cause::Drop(envelope) => Action::<A>::Drop(self.envelopes.get(envelope).clone()),
            Cause::Crash => Action::<A>::Crash(id),
            Cause::Recover => Action::<A>::Recover(id),
            Cause::Timeout(n) => {
                let timer = self.locals.get(local).timers.iter().nth(n as usize);
                Action::<A>::Timeout(id, timer.expect("causes come from the local").clone())
            }
            Cause::Random(n, m) => {
                let (key, choices) = (self.locals.get(local).randoms.iter().nth(n as usize))
                    .expect("causes come from the local");
                Action::<A>::SelectRandom { actor: id, key: key.clone(), random: choices[m as usize].clone() }
            }
        }
    }

    /// The row that stands for a state and all that are like it; also the row of the state itself.
    fn rows_of(&mut self, state: &State<A, O>) -> Result<(Vec<u32>, Vec<u32>), String> {
        let own = self.row(state)?;
        let mut least = own.clone();
        if self.symmetric.is_some() {
            let filled = super::symmetry::canonical(&mut &mut *self, &mut least);
            filled.expect("whatever is missing is found out");
        }
        Ok((own, least))
    }

    /// The action of a state that a step of the least row is, if there is such a step.
    pub(super) fn action_in(
        &mut self,
        state: &State<A, O>,
        least: &[u32],
        ordinal: u32,
    ) -> Option<Action<A>> {
        let action = self.action(least, ordinal)?;
        let Some(symmetry) = &self.system.symmetry else { return Some(action) };
        let Ok((own, _)) = self.rows_of(state) else { return Some(action) };
        Some(match self.permutation_to(least, &own) {
            Some(by) => exchange(symmetry, &by, action),
            None => action,
        })
    }

    /// Runs the way to a state again, through the plain semantics, and compares every state on it.
    pub(super) fn retrace(
        &mut self,
        origins: &Origins,
        first: &[u32],
        state: u32,
    ) -> Result<Retraced<A, O>, Impure<A>> {
        let starting = |message: &str| Impure { message: twice("starting", message), trace: Vec::new() };
        let begun = panics::capture(|| self.system.initial()).map_err(|message| starting(&message))?;
        let rows = self.rows_of(&begun).map_err(|message| starting(&message))?;
        if rows.1 != first {
            return Err(starting("the initial state differs"));
        }
        let mut at = Retraced { trace: Vec::new(), state: begun, row: first.to_vec() };
        for (_, ordinal) in origins.path(state) {
            let Some(action) = self.action_in(&at.state, &at.row, ordinal) else {
                let message = twice("the way to a state", "there was no such step");
                return Err(Impure { message, trace: at.trace });
            };
            let expected = self.after(&at.row, ordinal);
            let what = self.system.describe(&action);
            at.trace.push(action);
            let action = at.trace.last().expect("it was just added");
            let difference = match panics::capture(|| self.system.take(&at.state, action).next) {
                Ok(Some(next)) => match (self.rows_of(&next), expected) {
                    (Ok((_, row)), Some(expected))
                        if row == expected || self.differ_in_dead_only(&row, &expected) =>
                    {
                        (at.state, at.row) = (next, expected);
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

    /// Runs some of the handler calls again, evenly spread, and compares what they give.
    pub(super) fn verify_sample(&mut self, origins: &Origins, first: &[u32]) -> Result<(), Impure<A>> {
        let step = self.reactions.len().div_ceil(SAMPLE).max(1);
        for at in (0..self.reactions.len()).step_by(step) {
            let Reaction { actor, local, cause, born, .. } = self.reactions[at];
            let again = self.run(actor, local, cause);
            if self.agrees(&self.reactions[at], &again) {
                continue;
            }
            let action = self.action_of(actor, local, cause);
            let message = twice(&self.system.describe(&action), "the outcome of the step differs");
            // The way to the state in which the step was taken for the first time, as far as it can be gone again.
            let mut trace = match self.retrace(origins, first, if born < origins.len() { born } else { 0 }) {
                Ok(Retraced { trace, .. }) | Err(Impure { trace, .. }) => trace,
            };
            trace.push(action);
            return Err(Impure { message, trace });
        }
        Ok(())
    }

    fn agrees(&self, first: &Reaction, again: &Result<crate::step::Reaction<A, O>, String>) -> bool {
        let Ok(again) = again else { return first.failure != NONE };
        let note = (first.note != NONE).then(|| self.notes.get(first.note));
        let sends = self.lists.get(first.sends).iter().map(|&envelope| self.envelopes.get(envelope));
        first.failure == NONE
            && first.ignored == again.ignored
            && again.note.as_ref() == note
            && again.sends.iter().eq(sends)
            && again.local.as_ref().unwrap_or(self.locals.get(first.local)) == &**self.locals.get(first.next)
    }
}

fn twice(what: &str, difference: &str) -> String {
    format!(
        "an actor or the observer is not a function of its inputs: when {what} was run again with the same \
         state, {difference}"
    )
}
