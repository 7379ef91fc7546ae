//! Histories in numbers, whole or in parts.
//!
//! Where an observer says how its histories come apart, a history is a list of the numbers of its parts. There are few values of
//! a part, and few notes, so what a note does to a part is asked once and then looked up, in tables that stay small; and a
//! history is made of its parts only where a property has to see it. Otherwise the observer would have to be asked about every
//! history with every note that may follow it, and there may be a history to every few states.

use super::door::Door;
use super::intern::{Lists, NONE, pair};
use super::pairs::Pairs;
use super::reactions::Reactions;
use super::views::bit;
use crate::observer::ComponentUpdate;

/// A history number with this bit is the number of a panic message instead.
pub(super) const FAILED: u32 = 1 << 31;
/// In the place of a part's number: it takes the whole history to know.
pub(super) const WHOLE: u32 = NONE;
/// Histories with more parts than these stay whole.
pub(super) const MOST: usize = 16;

/// What is known of a note. Parts and actors are bits.
struct Noted {
    /// The parts that it is about.
    about: u32,
    /// Whether it ever took the whole history to know what it makes of one.
    whole: bool,
    /// The actors that have a step with it.
    actors: u32,
}

impl Noted {
    /// The parts whose steps it may not commute with.
    fn touches(&self) -> u32 {
        if self.whole { u32::MAX } else { self.about }
    }
}

/// An update that is known: of a whole history, or of a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    /// The part that it is of; `None` for whole histories.
    pub component: Option<usize>,
    /// The history, or the value of the part.
    pub from: u32,
    pub note: u32,
    /// What it becomes, or [`WHOLE`], or [`FAILED`] with the number of a message.
    pub to: u32,
}

/// The numbers of the bits that are set.
#[inline]
fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let next = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        next
    })
}

pub(super) struct Histories {
    /// Whether they come apart.
    apart: bool,
    /// How many there are, if they do not.
    count: u32,
    /// The parts of each history, if they come apart. The empty list, which is the first one, is no history.
    lists: Lists,
    /// Of each part: (value, note) to value, or to [`WHOLE`], or [`FAILED`] with the number of a message.
    updates: Vec<Pairs>,
    /// (history, note) to history, where it takes the whole one to know.
    whole: Pairs,
    /// What is known of each note, if they come apart.
    notes: Vec<Noted>,
    /// Of each note, whether it ever changed a history.
    loud: Vec<bool>,
    /// Of each part, the actors that have steps whose notes are about it, as bits.
    touching: [u32; MOST],
}

impl Histories {
    pub(super) fn new() -> Self {
        Self {
            apart: false,
            count: 0,
            lists: Lists::new(),
            updates: vec![Pairs::new()],
            whole: Pairs::new(),
            notes: Vec::new(),
            loud: Vec::new(),
            touching: [0; MOST],
        }
    }

    /// The number of a history. The first one tells how they come apart: into so many parts, or not at all.
    pub(super) fn number_of(
        &mut self,
        components: &[u32],
        split_into_components: impl FnOnce() -> usize,
    ) -> u32 {
        if self.len() == 0 {
            let components = split_into_components();
            self.apart = components > 0;
            self.updates.resize_with(components.max(1), Pairs::new);
        }
        if self.apart {
            return self.lists.intern(components) - 1;
        }
        self.count = self.count.max(components[0] + 1);
        components[0]
    }

    /// The actors that have steps whose notes are about the same parts as this one, as bits. All if histories do not come apart.
    #[inline]
    pub(super) fn rivals(&self, note: u32) -> u32 {
        if note == NONE {
            return 0;
        }
        let Some(noted) = self.notes.get(note as usize) else { return u32::MAX };
        let touching =
            self.touching.iter().enumerate().filter(|(component, _)| noted.touches() >> component & 1 == 1);
        touching.fold(0, |rivals, (_, actors)| rivals | actors)
    }

    /// Whether a note ever changed a history.
    #[inline]
    pub(super) fn is_loud(&self, note: u32) -> bool {
        self.loud[note as usize]
    }

    /// More is known of a note: some actor has a step with it, or it took the whole history.
    fn learn(&mut self, note: u32, more: impl FnOnce(&mut Noted)) {
        let noted = &mut self.notes[note as usize];
        more(noted);
        for (component, touching) in self.touching.iter_mut().enumerate() {
            *touching |= if noted.touches() >> component & 1 == 1 { noted.actors } else { 0 };
        }
    }

    /// An actor has a step with a note, which is about some parts.
    pub(super) fn learn_note(&mut self, note: u32, actor: u32, about: impl FnOnce() -> u32) {
        if self.loud.len() == note as usize {
            self.loud.push(false);
        }
        if self.apart {
            if self.notes.len() == note as usize {
                self.notes.push(Noted { about: about(), whole: false, actors: 0 });
            }
            self.learn(note, |noted| noted.actors |= bit(actor as usize));
        }
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        if self.apart { self.lists.len() - 1 } else { self.count as usize }
    }

    /// How many notes there are.
    pub(super) fn notes(&self) -> usize {
        self.loud.len()
    }

    /// How many updates are known: of histories, or of parts.
    pub(super) fn known(&self) -> usize {
        self.updates.iter().map(Pairs::len).sum::<usize>() + self.whole.len()
    }

    /// Every update that is known, in no order that means anything.
    pub(super) fn updates(&self) -> impl Iterator<Item = Update> {
        let components =
            self.updates.iter().enumerate().map(|(component, updates)| (Some(component), updates));
        components.chain([(None, &self.whole)]).flat_map(|(component, updates)| {
            let component = component.filter(|_| self.apart);
            updates.iter().map(move |(pair, to)| Update {
                component,
                from: (pair >> 32) as u32,
                note: pair as u32,
                to,
            })
        })
    }

    /// A history after a note, if that is known.
    #[inline]
    pub(super) fn updated(&self, history: u32, note: u32) -> Option<u32> {
        if self.apart { self.updated_apart(history, note) } else { self.updates[0].get(pair(history, note)) }
    }

    /// The numbers of a history's parts: its own if it is whole.
    pub(super) fn components<'h>(&'h self, history: &'h u32) -> &'h [u32] {
        if self.apart { self.lists.get(history + 1) } else { std::slice::from_ref(history) }
    }

    fn updated_apart(&self, history: u32, note: u32) -> Option<u32> {
        // A history that is only remembered may come from a file.
        if history as usize >= self.len() {
            return None;
        }
        let (about, components) = (self.notes.get(note as usize)?.about, self.components(&history));
        let mut next = [0; MOST];
        let next = &mut next[..components.len()];
        next.copy_from_slice(components);
        for component in bits(about) {
            match self.updates[component].get(pair(next[component], note))? {
                WHOLE => return self.whole.get(pair(history, note)),
                failed if failed & FAILED != 0 => return Some(failed),
                value => next[component] = value,
            }
        }
        if next == components { Some(history) } else { self.lists.find(next).map(|list| list - 1) }
    }

    /// Finds out what a note makes of a history.
    pub(super) fn memoise(
        &mut self,
        door: &mut dyn Door,
        reactions: &mut Reactions,
        history: u32,
        note: u32,
    ) {
        let updated = if self.apart {
            self.memoise_components(door, reactions, history, note)
        } else {
            let updated = self.updated_whole(door, reactions, history, note);
            self.updates[0].insert(pair(history, note), updated);
            updated
        };
        self.loud[note as usize] |= updated != history;
    }

    /// What a note makes of a whole history. If that fails, the number of the message.
    fn updated_whole(
        &mut self,
        door: &mut dyn Door,
        reactions: &mut Reactions,
        history: u32,
        note: u32,
    ) -> u32 {
        match door.update(self.components(&history), note) {
            Ok(None) => history,
            Ok(Some(components)) => self.number_of(&components, || door.component_count()),
            Err(message) => reactions.fail(message) | FAILED,
        }
    }

    /// The same where histories come apart. A part that meets a note for the first time is asked about by itself and with all the
    /// others: that both come to the same is what is taken for granted from then on. Where some part needs the whole history, what the
    /// others came to is not remembered.
    fn memoise_components(
        &mut self,
        door: &mut dyn Door,
        reactions: &mut Reactions,
        history: u32,
        note: u32,
    ) -> u32 {
        let (mut next, mut met) = (self.components(&history).to_vec(), Vec::new());
        for component in bits(self.notes[note as usize].about) {
            let place = pair(next[component], note);
            let known = self.updates[component].get(place);
            let value =
                known.unwrap_or_else(|| match door.update_component(component, next[component], note) {
                    Ok(ComponentUpdate::Same) => next[component],
                    Ok(ComponentUpdate::Changed(to)) => to,
                    Ok(ComponentUpdate::Whole) => WHOLE,
                    Err(message) => reactions.fail(message) | FAILED,
                });
            // A part that needs the whole, or panics, does so whatever the others are.
            if value & FAILED != 0 {
                self.updates[component].insert(place, value);
            } else if known.is_none() {
                met.push((component, place, value));
            }
            if value == WHOLE {
                self.learn(note, |noted| noted.whole = true);
                let updated = self.updated_whole(door, reactions, history, note);
                self.whole.insert(pair(history, note), updated);
                return updated;
            }
            if value & FAILED != 0 {
                return value;
            }
            next[component] = value;
        }
        let updated = self.lists.intern(&next) - 1;
        let checked = if met.is_empty() {
            Ok(())
        } else {
            door.check_components(self.components(&history), note, &next)
        };
        let failed = checked.err().map(|message| reactions.fail(message) | FAILED);
        for (component, place, value) in met {
            self.updates[component].insert(place, failed.unwrap_or(value));
        }
        failed.unwrap_or(updated)
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists.bytes()
            + self.updates.iter().chain([&self.whole]).map(Pairs::bytes).sum::<usize>()
            + self.notes.capacity() * size_of::<Noted>()
            + self.loud.capacity()
    }
}
