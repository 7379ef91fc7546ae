//! A trace that is reported was run again with the real actors, step by step, and gave the same states.

use super::expand::{Candidates, Known, Leaving, expand};
use super::histories::Differs;
use super::intern::NONE;
use super::key::{Hashed, Scheme};
use super::origins::Origins;
use super::seen::Table;
use super::sleep::Asleep;
use super::symmetry::exchange;
use super::tables::{Cause, Miss, Reaction, Tables};
use crate::observer::Observer;
use crate::report::Rerun;
use crate::state::{State, unequal};
use crate::system::Delivery;
use crate::words::same_words;
use crate::{Action, Subject, panics};
use stateright::actor::{Envelope, Id};
use std::fmt::Debug;

/// So many calls of a kind are run again at the end at least, if there are so many.
const SAMPLE: u64 = 1 << 12;
/// One call to so many steps that were taken is run again: next to nothing beside these. All are where handlers are run seldom.
const STEPS_A_CALL: u64 = 1 << 6;
/// And one of so many calls, where there is hardly a step to each.
const CALLS_A_CALL: u64 = 1 << 3;
/// The words of what they give are compared of so many at least; that takes longer than to run them.
const WORDS: u64 = 1 << 10;

/// Whether the words of what the n-th call gives are compared.
pub(super) fn has_words(again: u64) -> bool {
    again < WORDS || again.is_multiple_of(STEPS_A_CALL)
}

/// Every how many calls one is run again, where there were so many of them for so many steps.
fn stride(calls: usize, steps: u64) -> usize {
    let sample = SAMPLE.max(steps / STEPS_A_CALL).max(calls as u64 / CALLS_A_CALL);
    (calls as u64).div_ceil(sample).max(1) as usize
}

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
            let taken = panics::capture(|| self.system.take(&at.state, action).next);
            if let (Some(doubt), Ok(Some(next))) = (&self.system.doubt, &taken) {
                // Not every state was shown to what may be no boundary. If it refuses this one, all is explored anew.
                let _ = panics::capture(|| doubt.admits(next));
            }
            let difference = match taken {
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

    /// Runs some of the handler calls again, and asks the observer again about some histories, evenly spread, and compares what they
    /// give. So many steps were taken.
    pub(super) fn verify_sample(
        &mut self,
        origins: &Origins,
        first: &[u32],
        steps: u64,
    ) -> Result<Rerun, Impure<A>> {
        if let Err(message) = self.check_order() {
            return Err(Impure { message, trace: Vec::new() });
        }
        let mut rerun = Rerun { handlers: self.reactions.len() as u64, ..Rerun::default() };
        let stride = stride(self.reactions.len(), steps);
        for at in (0..self.reactions.len()).step_by(stride) {
            rerun.handlers_again += 1;
            let Reaction { actor, local, cause, .. } = self.reactions[at];
            let again = self.run(actor, local, cause);
            let with_words = has_words(rerun.handlers_again);
            if let Some(difference) = self.difference(&self.reactions[at], again, with_words) {
                let action = self.action_of(actor, local, cause);
                let message = match difference {
                    Difference::Outcome(what) => twice(&self.system.describe(&action), &what),
                    Difference::Words(message) => message,
                };
                let mut trace = self.way_to_birth(origins, first, at);
                trace.push(action);
                return Err(Impure { message, trace });
            }
        }
        let updates = self.verify_updates(|calls| self::stride(calls, steps));
        match updates {
            Ok((again, of)) => (rerun.updates_again, rerun.updates) = (again, of),
            Err(Differs { note, message }) => {
                let with_note = self.reactions.iter().position(|reaction| reaction.note == note);
                let mut trace = Vec::new();
                if let Some(at) = with_note {
                    let Reaction { actor, local, cause, .. } = self.reactions[at];
                    trace = self.way_to_birth(origins, first, at);
                    trace.push(self.action_of(actor, local, cause));
                }
                return Err(Impure { message, trace });
            }
        }
        Ok(rerun)
    }

    /// The way to the state in which a step was taken for the first time, as far as it can be gone again.
    fn way_to_birth(&mut self, origins: &Origins, first: &[u32], reaction: usize) -> Vec<Action<A>> {
        let born = self.reactions[reaction].born;
        match self.retrace(origins, first, if born < origins.len() { born } else { 0 }) {
            Ok(Retraced { trace, .. }) | Err(Impure { trace, .. }) => trace,
        }
    }

    /// What is different when a handler is run again.
    fn difference(
        &self,
        first: &Reaction,
        again: Result<crate::step::Reaction<A, O>, String>,
        with_words: bool,
    ) -> Option<Difference> {
        let outcome = |what: &str| Some(Difference::Outcome(what.to_owned()));
        let again = match again {
            Err(_) if first.failure != NONE => return None,
            Err(message) => return Some(Difference::Outcome(format!("it panicked: {message}"))),
            Ok(_) if first.failure != NONE => return outcome("it did not panic"),
            Ok(again) => again,
        };
        let local = again.local.as_ref().unwrap_or(self.locals.get(first.local));
        let known = self.locals.get(first.next);
        if first.ignored != again.ignored || *local != **known {
            return outcome("the outcome of the step differs");
        }
        let sent: Vec<&Envelope<A::Msg>> =
            self.lists.get(first.sends).iter().map(|&envelope| self.envelopes.get(envelope)).collect();
        let ordered = self.system.network.delivery == Delivery::Ordered;
        let same_sends = same_sends(&sent, &again.sends, ordered);
        let in_order = again.sends.iter().eq(sent.iter().copied());
        if !same_sends {
            return outcome(if in_order_or_not(&sent, &again.sends) {
                "it sent the same in another order, which matters where messages arrive in order"
            } else {
                "what it sent differs"
            });
        }
        let note = (first.note != NONE).then(|| self.notes.get(first.note));
        if again.note.as_ref() != note {
            return outcome(if in_order {
                "what the observer noted differs"
            } else {
                "it sent the same in another order, and what the observer noted differs"
            });
        }
        if with_words {
            let mut envelopes = again.sends.iter().filter_map(|envelope| {
                sent.iter().find(|known| ***known == *envelope).map(|known| (*known, envelope))
            });
            let words = unequal_words("state", &**known, local)
                .or_else(|| envelopes.find_map(|(a, b)| unequal_words("message", a, b)))
                .or_else(|| note.zip(again.note.as_ref()).and_then(|(a, b)| unequal_words("note", a, b)));
            return words.map(Difference::Words);
        }
        None
    }

    /// Whether the order of messages and of timers tells different ones apart, as the collections of a state go by it.
    fn check_order(&self) -> Result<(), String> {
        let mut messages: Vec<u32> = (0..self.envelopes.len() as u32).collect();
        let of = |number: u32| &self.envelopes.get(number).msg;
        panics::capture(|| {
            messages.sort_unstable_by(|a, b| of(*a).cmp(of(*b)));
            for pair in messages.windows(2) {
                let (a, b) = (of(pair[0]), of(pair[1]));
                if a.cmp(b).is_eq() && a != b {
                    panics::reject(unequal("messages", a, b));
                }
            }
        })
    }
}

/// Whether two lists of messages are the same to a network: one by one where they arrive in order, or else as often each.
fn same_sends<M: Ord>(first: &[&Envelope<M>], again: &[Envelope<M>], ordered: bool) -> bool {
    if !ordered {
        return in_order_or_not(first, again);
    }
    // The order of messages to different receivers matters to nobody.
    let to = |dst: Id| again.iter().filter(move |envelope| envelope.dst == dst);
    let receivers = first.iter().map(|envelope| envelope.dst);
    first.len() == again.len()
        && receivers
            .clone()
            .all(|dst| first.iter().copied().filter(|envelope| envelope.dst == dst).eq(to(dst)))
}

/// Whether two lists are the same but for their order.
fn in_order_or_not<M: PartialEq>(first: &[&Envelope<M>], again: &[Envelope<M>]) -> bool {
    let mut left: Vec<&Envelope<M>> = again.iter().collect();
    first.len() == again.len()
        && first.iter().all(|envelope| {
            let at = left.iter().position(|other| other == envelope);
            at.map(|at| left.swap_remove(at)).is_some()
        })
}

/// How a handler that is run again differs from what it did.
enum Difference {
    /// It does something else.
    Outcome(String),
    /// What it gives is equal and does not say the same of itself.
    Words(String),
}

/// What is wrong if two equal values do not say the same of themselves: a property could see what no run has.
pub(super) fn unequal_words<T: Debug>(what: &str, first: &T, again: &T) -> Option<String> {
    (!same_words(first, again)).then(|| {
        format!(
            "two equal values are not alike, so that a property would see whichever came first: {what} {first:?} and {again:?}. \
             `Eq` has to compare all that `Debug` shows: compare the field too, or show it not where nothing looks at it"
        )
    })
}

fn twice(what: &str, difference: &str) -> String {
    format!(
        "an actor or the observer is not a function of its inputs: when {what} was run again with the same \
         state, {difference}"
    )
}
