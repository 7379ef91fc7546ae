//! Of all rows that differ only in which of some like actors is which, the least one stands for all. That the actors are
//! alike is declared, and checked on every handler call that was made.

use super::expand::Source;
use super::intern::NONE;
use super::retrace::Impure;
use super::tables::{Cause, Miss, Tables};
use crate::observer::{Event, Observer};
use crate::property::Check;
use crate::quotient::{Permutation, Symmetry};
use crate::system::{Delivery, System};
use crate::{Action, Subject, panics, step};
use stateright::actor::{Envelope, Id};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many updates and histories at most are looked at again with actors exchanged, evenly spread.
const SAMPLE: usize = 1 << 14;

/// The permutations, and what is known of histories; what is known of views is kept with their columns.
pub(super) struct Symmetric {
    pub group: Vec<Permutation>,
    /// Of each permutation, who comes to each place.
    inverse: Vec<Vec<usize>>,
    /// What each history looks like after each permutation.
    histories: Vec<u32>,
}

impl Symmetric {
    pub(super) fn new<A: Subject, O: Observer<A>>(symmetry: &Symmetry<A, O>, actors: usize) -> Self {
        let group = symmetry.group(actors);
        let inverse = group.iter().map(|by| {
            let mut inverse = vec![0; actors];
            for actor in 0..actors {
                inverse[by.index(actor)] = actor;
            }
            inverse
        });
        Self { inverse: inverse.collect(), group, histories: Vec::new() }
    }

    pub(super) fn forget(&mut self) {
        self.histories.clear();
    }
}

/// Puts the least row in the place of a row: least column by column, the history last.
pub(super) fn canonical<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    row: &mut [u32],
) -> Result<(), Miss> {
    let tables = source.tables();
    let (permutations, actors) = (tables.symmetric.as_ref().map_or(0, |s| s.group.len()), tables.actors());
    let history_at = tables.history_column();
    let mut best: Vec<u32> = row.to_vec();
    // Actors take the places of others; the stray inbox, crashes and history stay where they are.
    let from = |source: &Tables<'s, A, O>, by: usize, place: usize| match &source.symmetric {
        Some(symmetric) if place < actors => symmetric.inverse[by][place],
        _ => place,
    };
    let places = (0..=actors).chain([history_at]);
    for by in 1..permutations {
        let mut smaller = false;
        for place in places.clone() {
            let column = from(source.tables(), by, place);
            let number = image(source, column, row[column], by)?;
            if smaller {
                best[place] = number;
            } else if number < best[place] {
                // From here on everything is taken over; what stands before is equal.
                smaller = true;
                best[place] = number;
            } else if number > best[place] {
                break;
            }
        }
    }
    row.copy_from_slice(&best);
    Ok(())
}

/// How a number of a column looks after a permutation.
fn image<'s, A: Subject, O: Observer<A>>(
    source: &mut impl Source<'s, A, O>,
    column: usize,
    number: u32,
    by: usize,
) -> Result<u32, Miss> {
    loop {
        let tables = source.tables();
        let symmetric = tables.symmetric.as_ref().expect("there are permutations");
        let images = match tables.columns.get(column) {
            Some(column) => &column.images,
            None => &symmetric.histories,
        };
        match images.get(number as usize * symmetric.group.len() + by) {
            Some(&image) if image != NONE => return Ok(image),
            _ => source.fill(Miss::Image { column, number, by })?,
        }
    }
}

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// Finds out how a view or a history looks after a permutation.
    pub(super) fn fill_image(&mut self, column: usize, number: u32, by: usize) {
        let (Some(symmetry), Some(symmetric)) = (&self.system.symmetry, &self.symmetric) else { return };
        let (group, permutation) = (symmetric.group.len(), symmetric.group[by].clone());
        let at = number as usize * group + by;
        if column > self.actors() {
            let history = symmetry.permute.history(&permutation, &self.history(number));
            let image = self.number_of(history).expect("histories are whole here");
            if let Some(symmetric) = &mut self.symmetric {
                symmetric
                    .histories
                    .resize(symmetric.histories.len().max((number as usize + 1) * group), NONE);
                symmetric.histories[at] = image;
            }
            return;
        }
        let (local, inbox) = self.columns[column].of[number as usize];
        let mut image_inbox = 0;
        for envelope in self.lists.get(inbox).to_vec() {
            let envelope = symmetry.envelope(&permutation, self.envelopes.get(envelope));
            let envelope = self.envelopes.intern(envelope);
            image_inbox = self.with(image_inbox, envelope);
        }
        let image = if column == self.actors() {
            self.view(column, 0, image_inbox)
        } else {
            let image = symmetry.local(&permutation, self.locals.get(local));
            // A bound that panics on an exchanged local is noticed when symmetry is checked.
            let local = self.intern_local(Arc::new(image)).unwrap_or(local);
            self.view(permutation.index(column), local, image_inbox)
        };
        let images = &mut self.columns[column].images;
        images.resize(images.len().max((number as usize + 1) * group), NONE);
        images[at] = image;
    }

    /// The permutation that makes a row of its least one.
    pub(super) fn permutation_to(&mut self, least: &[u32], row: &[u32]) -> Option<Permutation> {
        let group = self.symmetric.as_ref()?.group.clone();
        (0..group.len()).find_map(|by| {
            let mut image_row = least.to_vec();
            for column in (0..=self.actors()).chain([self.history_column()]) {
                let place = if column < self.actors() { group[by].index(column) } else { column };
                image_row[place] = image(&mut &mut *self, column, least[column], by).ok()?;
            }
            (image_row == row).then(|| group[by].clone())
        })
    }

    /// Checks that what is declared is a symmetry of all that was seen.
    pub(super) fn check_symmetry(&mut self, initial: &[u32]) -> Result<(), Impure<A>> {
        let system = self.system;
        let Some(symmetry) = &system.symmetry else { return Ok(()) };
        let whole = |message: String| Impure { message, trace: Vec::new() };
        let state = self.state(initial);
        for by in symmetry.generators(self.actors()) {
            let words = words(system, &by);
            let faults = &system.faults;
            let alike = |actor: &usize| {
                let to = by.index(*actor);
                faults.can_crash(*actor) == faults.can_crash(to)
                    && faults.is_absent(*actor) == faults.is_absent(to)
                    && symmetry.local(&by, &state.locals[*actor]) == *state.locals[to]
            };
            if !(0..self.actors()).all(|actor| alike(&actor)) {
                return Err(whole(format!("{words}: they do not begin alike, or do not fail alike")));
            }
            if symmetry.permute.history(&by, &state.history) != state.history {
                return Err(whole(format!("{words}: the first history tells them apart")));
            }
            for at in 0..self.reactions.len() {
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
        let reaction = &self.reactions[at];
        let local = self.locals.get(reaction.local);
        let exchanged = symmetry.local(by, local);
        let actor = by.index(reaction.actor as usize);
        let envelope;
        let (timer, choice);
        let event = match (reaction.cause, self.event(local, reaction.cause)) {
            (Cause::Deliver(number) | Cause::Drop(number), _) => {
                envelope = symmetry.envelope(by, self.envelopes.get(number));
                Event::Deliver { src: envelope.src, msg: &envelope.msg }
            }
            (_, Event::Timeout(ring)) => {
                timer = symmetry.permute.timer(by, ring);
                Event::Timeout(&timer)
            }
            (_, Event::Random { key, choice: made }) => {
                choice = symmetry.permute.choice(by, made);
                Event::Random { key, choice: &choice }
            }
            (_, event) => event,
        };
        let other = panics::capture(|| self.system.react(actor, &exchanged, event));
        let same = match (&other, reaction.failure) {
            (Err(_), failure) => failure != NONE,
            (Ok(_), failure) if failure != NONE => false,
            (Ok(other), _) => self.is_image(symmetry, by, at, other, &exchanged),
        };
        if same {
            return Ok(());
        }
        let action = self.action_of(reaction.actor, reaction.local, reaction.cause);
        let message = format!(
            "{words}: they are not alike: {} and the same step with them exchanged differ",
            self.system.describe(&action)
        );
        Err(Impure { message, trace: vec![action] })
    }

    fn is_image(
        &self,
        symmetry: &Symmetry<A, O>,
        by: &Permutation,
        at: usize,
        other: &step::Reaction<A, O>,
        exchanged: &crate::state::Local<A>,
    ) -> bool {
        let reaction = &self.reactions[at];
        let next = symmetry.local(by, self.locals.get(reaction.next));
        let bound = self.system.bounds.local.as_ref();
        let within = match (bound, &next.state) {
            (Some((_, bound)), Some(state)) => panics::capture(|| bound(state)).unwrap_or(false),
            _ => true,
        };
        let note = (reaction.note != NONE).then(|| symmetry.permute.note(by, self.notes.get(reaction.note)));
        let sends = self.lists.get(reaction.sends).iter();
        let mut sends: Vec<Envelope<A::Msg>> =
            sends.map(|&envelope| symmetry.envelope(by, self.envelopes.get(envelope))).collect();
        let mut others = other.sends.clone();
        // To whom things are sent first does not matter, and what is sent first only where order is kept.
        if self.system.network.delivery == Delivery::Ordered {
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
            && within == self.within[reaction.next as usize]
    }

    /// Updates histories again with actors exchanged, and asks the properties about them.
    fn check_observer(&self, symmetry: &Symmetry<A, O>, by: &Permutation) -> Result<(), String> {
        let mut updates: Vec<(u64, u32)> = self.histories.updates().collect();
        updates.sort_unstable();
        let stride = updates.len().div_ceil(SAMPLE).max(1);
        let exchanged = |history: u32| symmetry.permute.history(by, &self.history(history));
        for &(from, to) in updates.iter().step_by(stride) {
            let (history, note) = ((from >> 32) as u32, self.notes.get(from as u32));
            if to & super::tables::FAILED != 0 || self.is_violated(to) {
                continue;
            }
            let note = symmetry.permute.note(by, note);
            let before = exchanged(history);
            let updated = panics::capture(|| self.system.observer.update(&before, &note))?;
            if updated.as_ref().unwrap_or(&before) != &exchanged(to) {
                return Err(format!("the observer tells them apart when {before:?} is followed by {note:?}"));
            }
        }
        let stride = self.histories.len().div_ceil(SAMPLE).max(1);
        for history in (0..self.histories.len() as u32).step_by(stride) {
            let other = exchanged(history);
            self.same_answers(|check, exchange| match check {
                Check::History(check) => {
                    Some(if exchange { check(&other) } else { check(&self.history(history)) }.is_ok())
                }
                _ => None,
            })?;
        }
        for number in 0..self.notes.len() as u32 {
            let note = self.notes.get(number);
            let other = symmetry.permute.note(by, note);
            self.same_answers(|check, exchange| match check {
                Check::Note(check) => Some(check(if exchange { &other } else { note }).is_ok()),
                _ => None,
            })?;
        }
        let views = self.columns.iter().enumerate().take(self.actors());
        let locals: BTreeSet<(usize, u32)> =
            views.flat_map(|(actor, views)| views.of.iter().map(move |(local, _)| (actor, *local))).collect();
        for (actor, number) in locals {
            let local = &**self.locals.get(number);
            let other = symmetry.local(by, local);
            self.same_answers(|check, exchange| match check {
                Check::Local(check) if exchange => Some(check(&(by.index(actor), &other)).is_ok()),
                Check::Local(check) => Some(check(&(actor, local)).is_ok()),
                _ => None,
            })?;
        }
        Ok(())
    }

    /// Asks every property twice, about something and about the same with actors exchanged.
    fn same_answers(&self, ask: impl Fn(&Check<A, O>, bool) -> Option<bool>) -> Result<(), String> {
        for property in &self.system.properties {
            if panics::capture(|| ask(&property.check, false))?
                != panics::capture(|| ask(&property.check, true))?
            {
                return Err(format!("the property {:?} tells them apart", property.name));
            }
        }
        Ok(())
    }

    /// Whether a history breaks a property: what an observer writes into it then may name actors.
    fn is_violated(&self, history: u32) -> bool {
        self.system.properties.iter().any(|property| match (&property.check, property.expectation) {
            (Check::History(check), crate::Expectation::Always) => check(&self.history(history)).is_err(),
            _ => false,
        })
    }
}

/// Which actors change places.
fn words<A: Subject, O: Observer<A>>(system: &System<A, O>, by: &Permutation) -> String {
    let moved: Vec<String> =
        (0..by.len()).filter(|a| by.index(*a) != *a).map(|a| system.name(Id::from(a))).collect();
    format!("symmetry of {}", moved.join(" and "))
}

/// An action with actors exchanged.
pub(super) fn exchange<A: Subject, O: Observer<A>>(
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
        Action::<A>::Crash(id) => Action::<A>::Crash(by.id(id)),
        Action::<A>::Recover(id) => Action::<A>::Recover(by.id(id)),
        Action::<A>::SelectRandom { actor, key, random } => Action::<A>::SelectRandom {
            actor: by.id(actor),
            key,
            random: symmetry.permute.choice(by, &random),
        },
    }
}
