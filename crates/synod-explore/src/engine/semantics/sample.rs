//! Repeats a sample of the calls of handlers and of the observer, and compares the results.

use super::retrace::{Again, Impure, Retraced, action_of, twice};
use super::values::Semantics;
use crate::engine::histories::{FAILED, Update, WHOLE};
use crate::engine::intern::NONE;
use crate::engine::reactions::Reaction;
use crate::network::Delivery;
use crate::observer::{ComponentUpdate, Observer};
use crate::report::Rerun;
use crate::state::unequal;
use crate::words::same_words;
use crate::{Action, Subject, panics, step};
use stateright::actor::{Envelope, Id};
use std::fmt::Debug;

/// The least number of repeated calls of each kind, if there are so many.
const SAMPLE: u64 = 1 << 12;
/// One handler call per so many steps is repeated, which costs next to nothing beside them. If handlers run seldom, all are.
const STEPS_A_CALL: u64 = 1 << 6;
/// One in so many calls is repeated, if there is hardly one step per call.
const CALLS_A_CALL: u64 = 1 << 3;
/// The `Debug` texts of the results are compared for so many calls at least; that takes longer than to run them.
const WORDS: u64 = 1 << 10;

/// True if the `Debug` texts of the results of the n-th call are compared.
fn has_words(again: u64) -> bool {
    again < WORDS || again.is_multiple_of(STEPS_A_CALL)
}

/// The stride of repeated calls, for so many calls and so many steps.
fn stride(calls: usize, steps: u64) -> usize {
    let sample = SAMPLE.max(steps / STEPS_A_CALL).max(calls as u64 / CALLS_A_CALL);
    (calls as u64).div_ceil(sample).max(1) as usize
}

impl<A: Subject, O: Observer<A>> Again<'_, '_, A, O> {
    /// Repeats some of the handler calls, and asks the observer again about some histories, evenly spread, and compares the results.
    /// `steps` is the number of steps that the exploration took.
    pub(crate) fn verify(&mut self, steps: u64) -> Result<Rerun, Impure<A>> {
        if let Err(message) = check_order(self.semantics) {
            return Err(Impure { message, trace: Vec::new() });
        }
        let mut rerun = Rerun { handlers: self.tables.reactions.all.len() as u64, ..Rerun::default() };
        let stride = stride(self.tables.reactions.all.len(), steps);
        for at in (0..self.tables.reactions.all.len()).step_by(stride) {
            rerun.handlers_again += 1;
            let Reaction { actor, local, cause, .. } = self.tables.reactions.all[at];
            let again = self.semantics.run(actor, local, cause);
            let with_words = has_words(rerun.handlers_again);
            if let Some(difference) = self.difference(&self.tables.reactions.all[at], again, with_words) {
                let action = action_of(self.semantics, actor, local, cause);
                let message = match difference {
                    Difference::Outcome(what) => twice(&self.semantics.system.describe(&action), &what),
                    Difference::Words(message) => message,
                };
                let mut trace = self.path_to_first_seen(at);
                trace.push(action);
                return Err(Impure { message, trace });
            }
        }
        match self.verify_updates(steps) {
            Ok((again, of)) => (rerun.updates_again, rerun.updates) = (again, of),
            Err((note, message)) => {
                let with_note = self.tables.reactions.all.iter().position(|reaction| reaction.note == note);
                let mut trace = Vec::new();
                if let Some(at) = with_note {
                    let Reaction { actor, local, cause, .. } = self.tables.reactions.all[at];
                    trace = self.path_to_first_seen(at);
                    trace.push(action_of(self.semantics, actor, local, cause));
                }
                return Err(Impure { message, trace });
            }
        }
        Ok(rerun)
    }

    /// The path to the state in which a step was taken for the first time, as far as it can be run again.
    fn path_to_first_seen(&mut self, reaction: usize) -> Vec<Action<A>> {
        let first_seen = self.tables.reactions.all[reaction].first_seen;
        match self.retrace(if first_seen < self.origins.len() { first_seen } else { 0 }) {
            Ok(Retraced { trace, .. }) | Err(Impure { trace, .. }) => trace,
        }
    }

    /// Asks the observer again about a sample of updates, evenly spread, and compares. Returns the numbers of repeated and of all updates;
    /// or the note with two answers, and the complaint.
    fn verify_updates(&self, steps: u64) -> Result<(u64, u64), (u32, String)> {
        let (mut again, known) = (0, self.tables.histories.known());
        for update in self.tables.histories.updates().step_by(stride(known, steps)) {
            again += 1;
            let difference = match update.component {
                None => self.update_differs(update, has_words(again)),
                Some(component) => self.component_differs(component, update),
            };
            if let Some(message) = difference {
                return Err((update.note, message));
            }
        }
        Ok((again, known as u64))
    }

    /// The difference between an update of a whole history and its repetition, if there is one.
    fn update_differs(
        &self,
        Update { from, note, to: known, .. }: Update,
        with_words: bool,
    ) -> Option<String> {
        let again = panics::capture(|| {
            let from = self.history(from);
            self.semantics
                .system
                .observer
                .update(&from, self.semantics.notes.get(note))
                .unwrap_or_else(|| from.into_owned())
        });
        match again {
            Err(_) if known & FAILED != 0 => None,
            Ok(to) if known & FAILED == 0 => {
                let first = self.history(known);
                if to != *first {
                    return Some(self.gives_two(&self.history(from), note));
                }
                if with_words { unequal_words("history", &*first, &to) } else { None }
            }
            _ => Some(self.gives_two(&self.history(from), note)),
        }
    }

    /// The same for a component of a history.
    fn component_differs(
        &self,
        component: usize,
        Update { from, note, to: known, .. }: Update,
    ) -> Option<String> {
        let (components, values) = (self.semantics.apart()?, &self.semantics.values[component]);
        let value = values.get(from);
        let again = panics::capture(|| components.update(component, value, self.semantics.notes.get(note)));
        let is_same = match again {
            Ok(ComponentUpdate::Whole) => known == WHOLE,
            Ok(ComponentUpdate::Same) => known == from,
            Ok(ComponentUpdate::Changed(to)) => known & FAILED == 0 && *values.get(known) == to,
            Err(_) => known & FAILED != 0 && known != WHOLE,
        };
        // The update of the whole history may have failed where that of the component did not.
        (!is_same && (known & FAILED == 0 || known == WHOLE)).then(|| self.gives_two(value, note))
    }

    fn gives_two(&self, history: &O::History, note: u32) -> String {
        format!(
            "the observer is not a function of its inputs: asked again what history {history:?} is after {:?}, it said something else",
            self.semantics.notes.get(note)
        )
    }

    /// A history by its number.
    fn history(&self, number: u32) -> std::borrow::Cow<'_, O::History> {
        self.semantics.history(self.tables.histories.components(&number))
    }

    /// The difference between a handler call and its repetition.
    fn difference(
        &self,
        first: &Reaction,
        again: Result<step::Reaction<A, O>, String>,
        with_words: bool,
    ) -> Option<Difference> {
        let outcome = |what: &str| Some(Difference::Outcome(what.to_owned()));
        let again = match again {
            Err(_) if first.failure != NONE => return None,
            Err(message) => return Some(Difference::Outcome(format!("it panicked: {message}"))),
            Ok(_) if first.failure != NONE => return outcome("it did not panic"),
            Ok(again) => again,
        };
        let local = again.local.as_ref().unwrap_or(self.semantics.locals.get(first.local));
        let known = self.semantics.locals.get(first.next);
        if first.ignored != again.ignored || *local != **known {
            return outcome("the outcome of the step differs");
        }
        let sent: Vec<&Envelope<A::Msg>> = self
            .tables
            .inboxes
            .lists
            .get(first.sends)
            .iter()
            .map(|&envelope| self.semantics.envelope(envelope))
            .collect();
        let ordered = self.semantics.system.network.delivery == Delivery::Ordered;
        let same_sends = same_sends(&sent, &again.sends, ordered);
        let in_order = again.sends.iter().eq(sent.iter().copied());
        if !same_sends {
            return outcome(if in_order_or_not(&sent, &again.sends) {
                "it sent the same in another order, which matters where messages arrive in order"
            } else {
                "what it sent differs"
            });
        }
        let note = (first.note != NONE).then(|| self.semantics.notes.get(first.note));
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
}

/// True if the order of messages and of timers distinguishes different ones, as the collections of a state rely on it.
fn check_order<A: Subject, O: Observer<A>>(semantics: &Semantics<'_, A, O>) -> Result<(), String> {
    let mut messages: Vec<u32> = (0..semantics.flights.len() as u32).collect();
    let of = |number: u32| &semantics.envelope(number).msg;
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

/// True if two lists of messages have the same effect on a network: in order if it keeps order, or else as multisets.
fn same_sends<M: Ord>(first: &[&Envelope<M>], again: &[Envelope<M>], ordered: bool) -> bool {
    if !ordered {
        return in_order_or_not(first, again);
    }
    // The order of messages to different receivers does not matter.
    let to = |dst: Id| again.iter().filter(move |envelope| envelope.dst == dst);
    let receivers = first.iter().map(|envelope| envelope.dst);
    first.len() == again.len()
        && receivers
            .clone()
            .all(|dst| first.iter().copied().filter(|envelope| envelope.dst == dst).eq(to(dst)))
}

/// True if two lists are the same but for their order.
fn in_order_or_not<M: PartialEq>(first: &[&Envelope<M>], again: &[Envelope<M>]) -> bool {
    let mut left: Vec<&Envelope<M>> = again.iter().collect();
    first.len() == again.len()
        && first.iter().all(|envelope| {
            let at = left.iter().position(|other| other == envelope);
            at.map(|at| left.swap_remove(at)).is_some()
        })
}

/// The difference between two runs of one handler call.
enum Difference {
    /// The results differ.
    Outcome(String),
    /// The results are equal, but their `Debug` texts differ.
    Words(String),
}

/// The complaint about two equal values with different `Debug` texts: a property could see what no run has.
fn unequal_words<T: Debug>(what: &str, first: &T, again: &T) -> Option<String> {
    (!same_words(first, again)).then(|| {
        format!(
            "two equal values are not alike, so that a property would see whichever came first: {what} {first:?} and {again:?}. \
             `Eq` has to compare all that `Debug` shows: compare the field too, or show it not where nothing looks at it"
        )
    })
}
