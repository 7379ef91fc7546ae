//! A trace that is reported was run again with the real actors, step by step, and gave the same states.

use super::rows::Rows;
use super::tables::{Cause, Tables};
use crate::observer::Observer;
use crate::{Action, Subject, panics};
use stateright::actor::Id;

/// How many handler calls are run again at the end, to see whether they still give the same.
const SAMPLE: usize = 512;

/// An actor or observer that gave two answers to the same question.
pub(super) struct Impure<A: Subject> {
    pub message: String,
    /// The way to the question, which is the last action.
    pub trace: Vec<Action<A>>,
}

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// The rows on the way to a row, from the initial one on, with the ordinals of the steps between them.
    fn path(rows: &Rows, row: u32) -> Vec<(u32, u32)> {
        let mut path = Vec::new();
        let mut at = row;
        while at != 0 {
            let (parent, ordinal) = rows.origin(at);
            path.push((at, ordinal));
            at = parent;
        }
        path.reverse();
        path
    }

    /// The actions on the way to a row.
    pub(super) fn trace(&self, rows: &Rows, row: u32) -> Vec<Action<A>> {
        let mut parent = 0;
        let step = |(row, ordinal)| {
            let action = self.action(rows.get(parent), ordinal);
            parent = row;
            action
        };
        Self::path(rows, row).into_iter().map(step).collect()
    }

    /// The action behind a step of a row that was expanded.
    pub(super) fn action(&self, row: &[u32], ordinal: u32) -> Action<A> {
        let mut left = ordinal as usize;
        for actor in 0..self.view_count() {
            let Ok(moves) = self.view(row, actor) else { break };
            match moves.get(left) {
                Some(step) => {
                    let local = row.get(actor).copied().unwrap_or(0);
                    return self.action_of(actor as u32, local, step.cause);
                }
                None => left -= moves.len(),
            }
        }
        unreachable!("a row that was expanded has all its views")
    }

    fn action_of(&self, actor: u32, local: u32, cause: Cause) -> Action<A> {
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

    /// Runs the way to a row again, through the plain semantics, and compares every state on it.
    pub(super) fn verify(&self, rows: &Rows, row: u32) -> Result<(), Impure<A>> {
        let mut trace = Vec::new();
        let mut state = panics::capture(|| self.system.initial())
            .map_err(|message| Impure { message: twice("starting", &message), trace: Vec::new() })?;
        if state != self.state(rows.get(0)) {
            let message = twice("starting", "the initial state differs");
            return Err(Impure { message, trace });
        }
        let mut parent = 0;
        for (number, ordinal) in Self::path(rows, row) {
            let action = self.action(rows.get(parent), ordinal);
            trace.push(action.clone());
            let what = self.system.describe(&action);
            match panics::capture(|| self.system.take(&state, &action).next) {
                Ok(Some(next)) if next == self.state(rows.get(number)) => state = next,
                Ok(Some(_)) => {
                    return Err(Impure { message: twice(&what, "the state after it differs"), trace });
                }
                Ok(None) => return Err(Impure { message: twice(&what, "it was ignored"), trace }),
                Err(message) => return Err(Impure { message: twice(&what, &message), trace }),
            }
            parent = number;
        }
        Ok(())
    }

    /// Runs some of the handler calls again, evenly spread, and compares what they give.
    pub(super) fn verify_sample(&self, rows: &Rows) -> Result<(), Impure<A>> {
        let step = self.reactions.len().div_ceil(SAMPLE).max(1);
        for reaction in self.reactions.iter().step_by(step) {
            let again = self.run(reaction.actor, reaction.local, reaction.cause);
            if self.agrees(reaction, &again) {
                continue;
            }
            let action = self.action_of(reaction.actor, reaction.local, reaction.cause);
            let message = twice(&self.system.describe(&action), "the outcome of the step differs");
            let mut trace = self.first_with(rows, reaction.actor, reaction.local, reaction.cause);
            trace.push(action);
            return Err(Impure { message, trace });
        }
        Ok(())
    }

    fn agrees(
        &self,
        first: &super::tables::Reaction,
        again: &Result<crate::step::Reaction<A, O>, String>,
    ) -> bool {
        let Ok(again) = again else { return first.failure != super::intern::NONE };
        let note = (first.note != super::intern::NONE).then(|| self.notes.get(first.note));
        let sends = self.lists.get(first.sends).iter().map(|&envelope| self.envelopes.get(envelope));
        first.failure == super::intern::NONE
            && first.ignored == again.ignored
            && again.note.as_ref() == note
            && again.sends.iter().eq(sends)
            && again.local.as_ref().unwrap_or(self.locals.get(first.local)) == &**self.locals.get(first.next)
    }

    /// The way to the first row in which an actor is in a local and the cause can occur.
    fn first_with(&self, rows: &Rows, actor: u32, local: u32, cause: Cause) -> Vec<Action<A>> {
        let inbox = self.inbox_column(actor as usize);
        let fits = |row: &[u32]| {
            row[actor as usize] == local
                && match cause {
                    Cause::Deliver(envelope) => self.lists.get(row[inbox]).contains(&envelope),
                    _ => true,
                }
        };
        (0..rows.len()).find(|&row| fits(rows.get(row))).map_or(Vec::new(), |row| self.trace(rows, row))
    }
}

fn twice(what: &str, difference: &str) -> String {
    format!(
        "an actor or the observer is not a function of its inputs: when {what} was run again with the same \
         state, {difference}"
    )
}
