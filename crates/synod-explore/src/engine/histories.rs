//! Histories in numbers, whole or in parts.
//!
//! Where an observer says how its histories come apart, a history is a list of the numbers of its parts. There are few values of
//! a part, and few notes, so what a note does to a part is asked once and then looked up, in tables that stay small; and a
//! history is made of its parts only where a property has to see it. Otherwise the observer would have to be asked about every
//! history with every note that may follow it, and there may be a history to every few states.

use super::intern::{Interner, Lists, NONE};
use super::pairs::Pairs;
use super::retrace::{has_words, unequal_words};
use super::sleep::bit;
use super::tables::{FAILED, Tables, pair};
use crate::observer::{Observer, PartUpdate, Parts};
use crate::{Subject, panics};
use std::borrow::Cow;
use std::hash::Hash;

/// In the place of a part's number: it takes the whole history to know.
const WHOLE: u32 = NONE;
/// Histories with more parts than these stay whole.
const MOST: usize = 16;

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

/// What the observer made of a history with a note was something else when it was asked again.
pub(super) struct Differs {
    pub note: u32,
    pub message: String,
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

pub(super) struct Histories<H> {
    /// Whether they come apart.
    apart: bool,
    /// The values of each part; the first one's are the histories themselves if they do not come apart.
    values: Vec<Interner<H>>,
    /// The parts of each history, if they come apart. The empty list, which is the first one, is no history.
    lists: Lists,
    /// Of each part: (value, note) to value, or to [`WHOLE`], or [`FAILED`] with the number of a message.
    updates: Vec<Pairs>,
    /// (history, note) to history, where it takes the whole one to know.
    whole: Pairs,
    /// What is known of each note, if they come apart.
    notes: Vec<Noted>,
    /// Of each part, the actors that have steps whose notes are about it, as bits.
    touching: [u32; MOST],
}

impl<H: Hash + PartialEq> Histories<H> {
    pub(super) fn new(apart: bool) -> Self {
        Self {
            apart,
            values: vec![Interner::new()],
            lists: Lists::new(),
            updates: vec![Pairs::new()],
            whole: Pairs::new(),
            notes: Vec::new(),
            touching: [0; MOST],
        }
    }

    /// The actors that have steps whose notes are about the same parts as this one, as bits. All if histories do not come apart.
    #[inline]
    pub(super) fn rivals(&self, note: u32) -> u32 {
        if note == NONE {
            return 0;
        }
        let Some(noted) = self.notes.get(note as usize) else { return u32::MAX };
        let touching = self.touching.iter().enumerate().filter(|(part, _)| noted.touches() >> part & 1 == 1);
        touching.fold(0, |rivals, (_, actors)| rivals | actors)
    }

    /// More is known of a note: some actor has a step with it, or it took the whole history.
    fn learn(&mut self, note: u32, more: impl FnOnce(&mut Noted)) {
        let noted = &mut self.notes[note as usize];
        more(noted);
        for (part, touching) in self.touching.iter_mut().enumerate() {
            *touching |= if noted.touches() >> part & 1 == 1 { noted.actors } else { 0 };
        }
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        if self.apart { self.lists.len() - 1 } else { self.values[0].len() }
    }

    /// How many updates are known: of histories, or of parts.
    pub(super) fn known(&self) -> usize {
        self.updates.iter().map(Pairs::len).sum::<usize>() + self.whole.len()
    }

    /// Every update that is known: (history, note) to history. Only of histories that do not come apart.
    pub(super) fn updates(&self) -> impl Iterator<Item = (u64, u32)> {
        assert!(!self.apart, "whoever looks at whole updates keeps histories whole");
        self.updates[0].iter()
    }

    /// A history after a note, if that is known.
    #[inline]
    pub(super) fn updated(&self, history: u32, note: u32) -> Option<u32> {
        if self.apart { self.updated_apart(history, note) } else { self.updates[0].get(pair(history, note)) }
    }

    /// The numbers of a history's parts.
    fn parts(&self, history: u32) -> &[u32] {
        self.lists.get(history + 1)
    }

    /// The history that has such parts.
    fn with_parts(&mut self, parts: &[u32]) -> u32 {
        self.lists.intern(parts) - 1
    }

    fn updated_apart(&self, history: u32, note: u32) -> Option<u32> {
        // A history that is only remembered may come from a file.
        if history as usize >= self.len() {
            return None;
        }
        let (about, parts) = (self.notes.get(note as usize)?.about, self.parts(history));
        let mut next = [0; MOST];
        let next = &mut next[..parts.len()];
        next.copy_from_slice(parts);
        for part in bits(about) {
            match self.updates[part].get(pair(next[part], note))? {
                WHOLE => return self.whole.get(pair(history, note)),
                failed if failed & FAILED != 0 => return Some(failed),
                value => next[part] = value,
            }
        }
        if next == parts { Some(history) } else { self.lists.find(next).map(|list| list - 1) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.iter().map(Interner::bytes).sum::<usize>()
            + self.lists.bytes()
            + self.updates.iter().chain([&self.whole]).map(Pairs::bytes).sum::<usize>()
            + self.notes.capacity() * size_of::<Noted>()
    }
}

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// How histories come apart, if they do here.
    fn apart(&self) -> Option<&dyn Parts<O::History, O::Note>> {
        self.system.observer.parts().filter(|_| self.histories.apart)
    }

    /// A history by its number.
    pub(super) fn history(&self, number: u32) -> Cow<'_, O::History> {
        match self.apart() {
            None => Cow::Borrowed(self.histories.values[0].get(number)),
            Some(parts) => Cow::Owned(parts.join(&self.values_of(number))),
        }
    }

    /// The values of a history's parts.
    fn values_of(&self, number: u32) -> Vec<&O::History> {
        let values = self.histories.parts(number).iter().zip(&self.histories.values);
        values.map(|(value, values)| values.get(*value)).collect()
    }

    /// The number of a history. Fails if it comes apart in another way than others did, or if user code panics.
    pub(super) fn number_of(&mut self, history: O::History) -> Result<u32, String> {
        let split = self.apart().map(|parts| panics::capture(|| parts.split(&history))).transpose()?;
        let first = self.histories.len() == 0;
        // Nobody has to be told that so many parts are too many: the whole will do.
        self.histories.apart &=
            !first || split.as_ref().is_some_and(|split| (1..=MOST).contains(&split.len()));
        let Some(split) = split.filter(|_| self.histories.apart) else {
            return Ok(self.histories.values[0].intern(history));
        };
        let Histories { values, updates, .. } = &mut self.histories;
        if first {
            values.resize_with(split.len(), Interner::new);
            updates.resize_with(split.len(), Pairs::new);
        } else if split.len() != values.len() {
            return Err(format!(
                "{history:?} comes apart into {} parts, others into {}",
                split.len(),
                values.len()
            ));
        }
        let numbers: Vec<u32> =
            split.into_iter().zip(values).map(|(part, values)| values.intern(part)).collect();
        Ok(self.histories.with_parts(&numbers))
    }

    /// Finds out what a note makes of a history.
    pub(super) fn fill_update(&mut self, history: u32, note: u32) {
        let updated = if self.histories.apart {
            self.fill_parts(history, note)
        } else {
            let updated = self.updated_whole(history, note);
            self.histories.updates[0].insert(pair(history, note), updated);
            updated
        };
        self.loud[note as usize] |= updated != history;
    }

    /// Asks the observer what a note makes of a whole history. If that fails, the number of the message.
    fn updated_whole(&mut self, history: u32, note: u32) -> u32 {
        let updated =
            panics::capture(|| self.system.observer.update(&self.history(history), self.notes.get(note)));
        let number = updated.and_then(|to| to.map_or(Ok(history), |to| self.number_of(to)));
        number.unwrap_or_else(|message| self.fail(message) | FAILED)
    }

    /// The same where histories come apart. A part that meets a note for the first time is asked about by itself and with all the
    /// others: that both come to the same is what is taken for granted from then on. Where some part needs the whole history, what the
    /// others came to is not remembered.
    fn fill_parts(&mut self, history: u32, note: u32) -> u32 {
        let (mut next, mut met) = (self.histories.parts(history).to_vec(), Vec::new());
        for part in bits(self.histories.notes[note as usize].about) {
            let place = pair(next[part], note);
            let known = self.histories.updates[part].get(place);
            let value = known.unwrap_or_else(|| self.updated_part(part, next[part], note));
            // A part that needs the whole, or panics, does so whatever the others are.
            if value & FAILED != 0 {
                self.histories.updates[part].insert(place, value);
            } else if known.is_none() {
                met.push((part, place, value));
            }
            if value == WHOLE {
                self.histories.learn(note, |noted| noted.whole = true);
                let updated = self.updated_whole(history, note);
                self.histories.whole.insert(pair(history, note), updated);
                return updated;
            }
            if value & FAILED != 0 {
                return value;
            }
            next[part] = value;
        }
        let updated = self.histories.with_parts(&next);
        let checked = if met.is_empty() { Ok(()) } else { self.check_parts(history, note, updated) };
        let failed = checked.err().map(|message| self.fail(message) | FAILED);
        for (part, place, value) in met {
            self.histories.updates[part].insert(place, failed.unwrap_or(value));
        }
        failed.unwrap_or(updated)
    }

    /// An actor has a step with a note.
    pub(super) fn learn_note(&mut self, note: u32, actor: u32) {
        let Some(parts) = self.apart() else { return };
        if self.histories.notes.len() == note as usize {
            let about = panics::capture(|| parts.about(self.notes.get(note)));
            let count = self.histories.values.len();
            let about = about.ok().filter(|about| about.iter().all(|part| *part < count));
            // Whoever cannot tell is asked about all of it.
            let about = about.unwrap_or_else(|| (0..count).collect());
            let about = about.iter().fold(0, |mask, part| mask | 1 << part);
            self.histories.notes.push(Noted { about, whole: false, actors: 0 });
        }
        self.histories.learn(note, |noted| noted.actors |= bit(actor as usize));
    }

    fn updated_part(&mut self, part: usize, value: u32, note: u32) -> u32 {
        let parts = self.system.observer.parts().expect("they come apart");
        let from = self.histories.values[part].get(value);
        match panics::capture(|| parts.update(part, from, self.notes.get(note))) {
            Ok(PartUpdate::Same) => value,
            Ok(PartUpdate::Changed(to)) => self.histories.values[part].intern(to),
            Ok(PartUpdate::Whole) => WHOLE,
            Err(message) => self.fail(message) | FAILED,
        }
    }

    /// Asks the observer again about every so manieth history and note, or part of one, and compares. About how many of how many.
    pub(super) fn verify_updates(&self, stride: impl Fn(usize) -> usize) -> Result<(u64, u64), Differs> {
        let (mut again, known) = (0, self.histories.known());
        let stride = stride(known);
        // Some are asked about the whole, some about a part; `None` for whole ones.
        let parts = self.histories.updates.iter().enumerate().map(|(part, updates)| (Some(part), updates));
        let all = parts.chain([(None, &self.histories.whole)]).flat_map(|(part, updates)| {
            let part = part.filter(|_| self.histories.apart);
            updates.iter().map(move |(pair, value)| (part, pair, value))
        });
        for (part, pair, value) in all.step_by(stride) {
            again += 1;
            let with_words = has_words(again);
            let (from, note) = ((pair >> 32) as u32, pair as u32);
            let difference = match part {
                None => self.update_differs(from, note, value, with_words),
                Some(part) => self.part_differs(part, from, note, value),
            };
            if let Some(message) = difference {
                return Err(Differs { note, message });
            }
        }
        Ok((again, known as u64))
    }

    /// In what words an update of a whole history differs when it is done again, if it does.
    fn update_differs(&self, from: u32, note: u32, known: u32, with_words: bool) -> Option<String> {
        let again = panics::capture(|| {
            let from = self.history(from);
            self.system.observer.update(&from, self.notes.get(note)).unwrap_or_else(|| from.into_owned())
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

    /// The same of a part of a history.
    fn part_differs(&self, part: usize, from: u32, note: u32, known: u32) -> Option<String> {
        let (parts, values) = (self.apart()?, &self.histories.values[part]);
        let value = values.get(from);
        let again = panics::capture(|| parts.update(part, value, self.notes.get(note)));
        let is_same = match again {
            Ok(PartUpdate::Whole) => known == WHOLE,
            Ok(PartUpdate::Same) => known == from,
            Ok(PartUpdate::Changed(to)) => known & FAILED == 0 && *values.get(known) == to,
            Err(_) => known & FAILED != 0 && known != WHOLE,
        };
        // What the whole came to may have failed, too, where the part did not.
        (!is_same && (known & FAILED == 0 || known == WHOLE)).then(|| self.gives_two(value, note))
    }

    fn gives_two(&self, history: &O::History, note: u32) -> String {
        format!(
            "the observer is not a function of its inputs: asked again what history {history:?} is after {:?}, it said something else",
            self.notes.get(note)
        )
    }

    /// Whether an update of parts is the update of the whole, and the parts of that are what they are.
    fn check_parts(&self, history: u32, note: u32, updated: u32) -> Result<(), String> {
        let (from, note) = (panics::capture(|| self.history(history))?, self.notes.get(note));
        let parts = self.apart().expect("they come apart");
        let is_same = panics::capture(|| {
            let whole = self.system.observer.update(&from, note);
            let whole = whole.as_ref().unwrap_or(&from);
            *whole == *self.history(updated) && parts.split(whole).iter().eq(self.values_of(updated))
        })?;
        if is_same {
            return Ok(());
        }
        Err(format!(
            "the parts of a history do not come to the same as all of it when {from:?} is followed by {note:?}"
        ))
    }
}
