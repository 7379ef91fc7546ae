//! Checks that like actors are alike, on everything that was explored. This certifies the assumption of
//! [`symmetry`](crate::engine::reductions::symmetry).

use super::retrace::{Impure, action_of};
use super::values::Semantics;
use crate::engine::door::Cause;
use crate::engine::histories::FAILED;
use crate::engine::intern::NONE;
use crate::engine::tables::Tables;
use crate::network::Delivery;
use crate::observer::{Observer, Trigger};
use crate::property::{Check, Expectation};
use crate::state::Local;
use crate::symmetry::{Permutation, Symmetry};
use crate::system::System;
use crate::{Subject, panics, step};
use stateright::actor::{Envelope, Id};
use std::collections::BTreeSet;

/// The most updates and histories that are looked at again with actors exchanged, evenly spread.
const SAMPLE: usize = 1 << 14;

/// A finished exploration, whose steps can be run again with actors exchanged.
pub(in crate::engine) struct Alike<'e, 's, A: Subject, O: Observer<A>> {
    pub semantics: &'e Semantics<'s, A, O>,
    pub tables: &'e Tables,
}

impl<A: Subject, O: Observer<A>> Alike<'_, '_, A, O> {
    /// Checks that the declared symmetry holds for everything that was explored, from the first state vector on.
    pub(in crate::engine) fn check(&self, first: &[u32]) -> Result<(), Impure<A>> {
        let system = self.semantics.system;
        let Some(symmetry) = system.symmetry.as_ref().filter(|_| self.tables.plan.symmetry.is_some()) else {
            return Ok(());
        };
        let whole = |message: String| Impure { message, trace: Vec::new() };
        if first.is_empty() {
            return Ok(());
        }
        let state = self.semantics.state(&self.tables.whole(first));
        for by in symmetry.generators(system.actors.len()) {
            let words = words(system, &by);
            let faults = &system.faults;
            let alike = |actor: &usize| {
                let to = by.index(*actor);
                faults.can_crash(*actor) == faults.can_crash(to)
                    && faults.is_absent(*actor) == faults.is_absent(to)
                    && symmetry.local(&by, &state.locals[*actor]) == *state.locals[to]
            };
            if !(0..system.actors.len()).all(|actor| alike(&actor)) {
                return Err(whole(format!("{words}: they do not begin alike, or do not fail alike")));
            }
            if symmetry.permute.history(&by, &state.history) != state.history {
                return Err(whole(format!("{words}: the first history tells them apart")));
            }
            for at in 0..self.tables.reactions.all.len() {
                self.check_reaction(symmetry, &by, at, &words)?;
            }
            self.check_observer(symmetry, &by).map_err(|message| whole(format!("{words}: {message}")))?;
        }
        Ok(())
    }

    /// Takes a step again with actors exchanged.
    fn check_reaction(
        &self,
        symmetry: &Symmetry<A, O>,
        by: &Permutation,
        at: usize,
        words: &str,
    ) -> Result<(), Impure<A>> {
        let reaction = &self.tables.reactions.all[at];
        let local = self.semantics.locals.get(reaction.local);
        let exchanged = symmetry.local(by, local);
        let actor = by.index(reaction.actor as usize);
        let envelope;
        let (timer, choice);
        let trigger = match (reaction.cause, self.semantics.trigger(local, reaction.cause)) {
            (Cause::Deliver(number) | Cause::Drop(number), _) => {
                envelope = symmetry.envelope(by, self.semantics.envelope(number));
                Trigger::Deliver { src: envelope.src, msg: &envelope.msg }
            }
            (_, Trigger::Timeout(ring)) => {
                timer = symmetry.permute.timer(by, ring);
                Trigger::Timeout(&timer)
            }
            (_, Trigger::Random { key, choice: made }) => {
                choice = symmetry.permute.choice(by, made);
                Trigger::Random { key, choice: &choice }
            }
            (_, trigger) => trigger,
        };
        let other = panics::capture(|| self.semantics.system.react(actor, &exchanged, trigger));
        let same = match (&other, reaction.failure) {
            (Err(_), failure) => failure != NONE,
            (Ok(_), failure) if failure != NONE => false,
            (Ok(other), _) => self.is_image(symmetry, by, at, other, &exchanged),
        };
        if same {
            return Ok(());
        }
        let action = action_of(self.semantics, reaction.actor, reaction.local, reaction.cause);
        let message = format!(
            "{words}: they are not alike: {} and the same step with them exchanged differ",
            self.semantics.system.describe(&action)
        );
        Err(Impure { message, trace: vec![action] })
    }

    fn is_image(
        &self,
        symmetry: &Symmetry<A, O>,
        by: &Permutation,
        at: usize,
        other: &step::Reaction<A, O>,
        exchanged: &Local<A>,
    ) -> bool {
        let reaction = &self.tables.reactions.all[at];
        let next = symmetry.local(by, self.semantics.locals.get(reaction.next));
        let bound = self.semantics.system.bounds.local.as_ref();
        let within = match (bound, &next.state) {
            (Some((_, bound)), Some(state)) => panics::capture(|| bound(state)).unwrap_or(false),
            _ => true,
        };
        let note = (reaction.note != NONE)
            .then(|| symmetry.permute.note(by, self.semantics.notes.get(reaction.note)));
        let sends = self.tables.inboxes.lists.get(reaction.sends).iter();
        let mut sends: Vec<Envelope<A::Msg>> =
            sends.map(|&envelope| symmetry.envelope(by, self.semantics.envelope(envelope))).collect();
        let mut others = other.sends.clone();
        // The order of messages matters only within one channel, and only if the network keeps order.
        if self.semantics.system.network.delivery == Delivery::Ordered {
            sends.sort_by_key(|envelope| envelope.dst);
            others.sort_by_key(|envelope| envelope.dst);
        } else {
            sends.sort();
            others.sort();
        }
        other.ignored == reaction.ignored
            && other.note == note
            && sends == others
            && other.local.as_ref().unwrap_or(exchanged) == &next
            && within == self.tables.locals[reaction.next as usize].within
    }

    /// Updates histories again with actors exchanged, and asks the properties about them.
    fn check_observer(&self, symmetry: &Symmetry<A, O>, by: &Permutation) -> Result<(), String> {
        // With symmetry, histories have no components.
        let mut updates: Vec<_> =
            self.tables.histories.updates().map(|update| (update.from, update.note, update.to)).collect();
        updates.sort_unstable();
        let stride = updates.len().div_ceil(SAMPLE).max(1);
        let exchanged = |history: u32| symmetry.permute.history(by, self.history(history));
        for &(history, note, to) in updates.iter().step_by(stride) {
            let note = self.semantics.notes.get(note);
            if to & FAILED != 0 || self.is_violated(to) {
                continue;
            }
            let note = symmetry.permute.note(by, note);
            let before = exchanged(history);
            let updated = panics::capture(|| self.semantics.system.observer.update(&before, &note))?;
            if updated.as_ref().unwrap_or(&before) != &exchanged(to) {
                return Err(format!("the observer tells them apart when {before:?} is followed by {note:?}"));
            }
        }
        let stride = self.tables.histories.len().div_ceil(SAMPLE).max(1);
        for history in (0..self.tables.histories.len() as u32).step_by(stride) {
            let other = exchanged(history);
            self.same_answers(|check, exchange| match check {
                Check::History(check) => {
                    Some(if exchange { check(&other) } else { check(self.history(history)) }.is_ok())
                }
                _ => None,
            })?;
        }
        for number in 0..self.tables.histories.notes() as u32 {
            let note = self.semantics.notes.get(number);
            let other = symmetry.permute.note(by, note);
            self.same_answers(|check, exchange| match check {
                Check::Note(check) => Some(check(if exchange { &other } else { note }).is_ok()),
                _ => None,
            })?;
        }
        let views = self.tables.columns.iter().enumerate().take(self.tables.actors());
        let locals: BTreeSet<(usize, u32)> =
            views.flat_map(|(actor, views)| views.of.iter().map(move |(local, _)| (actor, *local))).collect();
        for (actor, number) in locals {
            let local = &**self.semantics.locals.get(number);
            let other = symmetry.local(by, local);
            self.same_answers(|check, exchange| match check {
                Check::Local(check) if exchange => Some(check(&(by.index(actor), &other)).is_ok()),
                Check::Local(check) => Some(check(&(actor, local)).is_ok()),
                _ => None,
            })?;
        }
        Ok(())
    }

    fn history(&self, number: u32) -> &O::History {
        self.semantics.values[0].get(number)
    }

    /// Asks every property twice, about something and about the same with actors exchanged.
    fn same_answers(&self, ask: impl Fn(&Check<A, O>, bool) -> Option<bool>) -> Result<(), String> {
        for property in &self.semantics.system.properties {
            if panics::capture(|| ask(&property.check, false))?
                != panics::capture(|| ask(&property.check, true))?
            {
                return Err(format!("the property {:?} tells them apart", property.name));
            }
        }
        Ok(())
    }

    /// True if a history breaks a property: an observer may then write names of actors into it.
    fn is_violated(&self, history: u32) -> bool {
        self.semantics.system.properties.iter().any(|property| {
            match (&property.check, property.expectation) {
                (Check::History(check), Expectation::Always) => check(self.history(history)).is_err(),
                _ => false,
            }
        })
    }
}

/// The actors that change places.
fn words<A: Subject, O: Observer<A>>(system: &System<A, O>, by: &Permutation) -> String {
    let moved: Vec<String> =
        (0..by.len()).filter(|a| by.index(*a) != *a).map(|a| system.name(Id::from(a))).collect();
    format!("symmetry of {}", moved.join(" and "))
}
