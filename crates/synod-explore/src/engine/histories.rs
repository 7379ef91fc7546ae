//! Histories as numbers, whole or in components.
//!
//! If an observer declares components, a history is a list of their numbers. Components have few values, and there are few notes. The
//! observer is asked once per value and note, and the answer is looked up from then on, in tables that stay small. A history is put
//! together only for a property that reads it. Without components the observer would have to be asked about every history with every note
//! that may follow it, and there may be one history per few states.

use super::door::Door;
use super::intern::{Lists, NONE, pair};
use super::pairs::Pairs;
use super::reactions::Reactions;
use super::views::bit;
use crate::observer::ComponentUpdate;

/// A history number with this bit is the number of a panic message instead.
pub(super) const FAILED: u32 = 1 << 31;
/// In the place of a component's number: the update needs the whole history.
pub(super) const WHOLE: u32 = NONE;
/// Histories with more components than these stay whole.
pub(super) const MOST: usize = 16;

/// The facts about a note. Components and actors are bits.
struct Noted {
    /// The components that it is about.
    about: u32,
    /// True if its update ever needed the whole history.
    whole: bool,
    /// The actors that have a step with it.
    actors: u32,
}

impl Noted {
    /// The components whose steps it may not commute with.
    fn touches(&self) -> u32 {
        if self.whole { u32::MAX } else { self.about }
    }
}

/// A memoised update, of a whole history or of a component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    /// The component; `None` for whole histories.
    pub component: Option<usize>,
    /// The history, or the value of the component.
    pub from: u32,
    pub note: u32,
    /// The value afterwards, or [`WHOLE`], or [`FAILED`] with the number of a message.
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
    /// True if histories have components.
    apart: bool,
    /// The number of histories, if they have no components.
    count: u32,
    /// The components of each history, if they have any. The empty list, which is the first one, is no history.
    lists: Lists,
    /// Per component: (value, note) to value, or to [`WHOLE`], or [`FAILED`] with the number of a message.
    updates: Vec<Pairs>,
    /// (history, note) to history, for updates that need the whole one.
    whole: Pairs,
    /// The facts about each note, if histories have components.
    notes: Vec<Noted>,
    /// One flag per note: true if it ever changed a history.
    loud: Vec<bool>,
    /// Per component, the actors that have steps whose notes are about it, as bits.
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

    /// The number of a history. The first one decides the number of components, or that there are none.
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

    /// The actors that have steps whose notes are about the same components as this one, as bits. All if histories have no components.
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

    /// True if a note ever changed a history.
    #[inline]
    pub(super) fn is_loud(&self, note: u32) -> bool {
        self.loud[note as usize]
    }

    /// Updates the facts about a note: some actor has a step with it, or it needed the whole history.
    fn learn(&mut self, note: u32, more: impl FnOnce(&mut Noted)) {
        let noted = &mut self.notes[note as usize];
        more(noted);
        for (component, touching) in self.touching.iter_mut().enumerate() {
            *touching |= if noted.touches() >> component & 1 == 1 { noted.actors } else { 0 };
        }
    }

    /// Records that an actor has a step with a note, and the components that it is about.
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

    /// The number of histories.
    pub(super) fn len(&self) -> usize {
        if self.apart { self.lists.len() - 1 } else { self.count as usize }
    }

    /// The number of notes.
    pub(super) fn notes(&self) -> usize {
        self.loud.len()
    }

    /// The number of memoised updates, of histories or of components.
    pub(super) fn known(&self) -> usize {
        self.updates.iter().map(Pairs::len).sum::<usize>() + self.whole.len()
    }

    /// Every memoised update, in arbitrary order.
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

    /// The numbers of a history's components: its own if it is whole.
    pub(super) fn components<'h>(&'h self, history: &'h u32) -> &'h [u32] {
        if self.apart { self.lists.get(history + 1) } else { std::slice::from_ref(history) }
    }

    fn updated_apart(&self, history: u32, note: u32) -> Option<u32> {
        // A memoised history may come from a file.
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

    /// Memoises the history after a note.
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

    /// The history after a note, found without components. If that fails, the number of the message.
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

    /// The same if histories have components. A component that meets a note for the first time is asked about by itself and with all the
    /// others. That both give the same is taken for granted from then on. If some component needs the whole history, the results of the
    /// others are not memoised.
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
            // A component that needs the whole history, or panics, does so whatever the others are.
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
