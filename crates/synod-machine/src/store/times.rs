//! Guarantees that a time never ends early, though the clock may have stood still for long when it was given, and that a tick does a bounded
//! amount of work, however many times it starts.
//!
//! Each time that is given draws the next number. A tick says up to which number its teller knew them, and starts all of these at
//! once: `starts` gets one line for them. What has such an end is looked up there, until a later tick notes the end itself.

use crate::blob::Blob;
use crate::machine::{NotRestored, plausible};
use crate::sorted::Sorted;
use serde::{Deserialize, Serialize};

/// The longest time that an entry or a grant may have, in milliseconds: a hundred years. Longer ones are cut.
pub(super) const LONGEST: u64 = 100 * 366 * 24 * 3600 * 1000;

/// The end of something, by the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum End {
    /// At this time it is gone.
    At(u64),
    /// At the time of the tick that starts this number, and so many milliseconds.
    After { number: u64, time: u64 },
}

/// A key or a lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    Key(Blob),
    Lock(Blob),
}

/// The clock, and all that ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Times {
    saved: Saved,
    /// What has an end that is noted, by it. It follows from the entries, as does the next.
    ends: Sorted<(u64, Name), ()>,
    /// What has an end that is not noted, by number.
    awaited: Sorted<u64, Name>,
}

/// What a snapshot has to say of times beside the ends themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Saved {
    /// Milliseconds since the Unix epoch, as the log said last.
    pub(super) clock: u64,
    /// The number drawn last.
    pub(super) given: u64,
    /// All numbers up to this one were started.
    pub(super) started: u64,
    /// The times of the ticks that started numbers of which some are awaited, by the last number that each started.
    pub(super) starts: Sorted<u64, u64>,
}

impl Times {
    pub(super) fn clock(&self) -> u64 {
        self.saved.clock
    }

    pub(super) fn given(&self) -> u64 {
        self.saved.given
    }

    /// True if there is something that ends by itself.
    pub(super) fn runs(&self) -> bool {
        !self.ends.is_empty() || !self.awaited.is_empty()
    }

    /// Gives a time.
    pub(super) fn give(&mut self, time: u64) -> End {
        self.saved.given += 1;
        End::After { number: self.saved.given, time: time.clamp(1, LONGEST) }
    }

    /// The time of an end, if it was started.
    fn at(&self, end: End) -> Option<u64> {
        match end {
            End::At(at) => Some(at),
            End::After { number, time } => self.saved.at(number).map(|start| start + time),
        }
    }

    pub(super) fn is_over(&self, end: End) -> bool {
        self.at(end).is_some_and(|at| at <= self.saved.clock)
    }

    pub(super) fn left(&self, end: End) -> u64 {
        match (self.at(end), end) {
            (Some(at), _) | (None, End::At(at)) => at.saturating_sub(self.saved.clock),
            (None, End::After { time, .. }) => time,
        }
    }

    /// Notes that something has another end than before.
    pub(super) fn moves(&mut self, name: &Name, before: Option<End>, after: Option<End>) {
        match before {
            Some(End::At(at)) => drop(self.ends.remove(&(at, name.clone()))),
            Some(End::After { number, .. }) => drop(self.awaited.remove(&number)),
            None => {}
        }
        match after {
            Some(End::At(at)) => drop(self.ends.insert((at, name.clone()), ())),
            Some(End::After { number, .. }) => drop(self.awaited.insert(number, name.clone())),
            None => {}
        }
    }

    /// Moves the clock, and starts all times up to a number.
    pub(super) fn tick(&mut self, now: u64, given: u64) {
        // A time beyond all times would end everything, and nothing that begins later could end.
        if plausible("the time", now.saturating_add(LONGEST)).is_err() {
            return;
        }
        let saved = &mut self.saved;
        saved.clock = saved.clock.max(now);
        let given = given.min(saved.given);
        if given > saved.started {
            if self.awaited.range(saved.started + 1..=given).next().is_some() {
                saved.starts.insert(given, saved.clock);
            }
            saved.started = given;
        }
    }

    /// The oldest that was started and whose end is not noted yet.
    pub(super) fn awaited(&self) -> Option<Name> {
        let (number, name) = self.awaited.get_min()?;
        (*number <= self.saved.started).then(|| name.clone())
    }

    /// The same end, noted as a time of the clock if it was started.
    pub(super) fn noted(&self, end: Option<End>) -> Option<End> {
        let end = end?;
        Some(self.at(end).map_or(end, End::At))
    }

    /// Forgets the starts of numbers of which none is awaited any more: those before the oldest that is.
    pub(super) fn forget_starts(&mut self) {
        let oldest = self.awaited.get_min().map_or(u64::MAX, |(number, _)| *number);
        while let Some((last, _)) = self.saved.starts.get_min().copied().filter(|(last, _)| *last < oldest) {
            self.saved.starts.remove(&last);
        }
    }

    /// The first whose noted end the clock has passed.
    pub(super) fn over(&self) -> Option<Name> {
        let ((at, name), ()) = self.ends.get_min()?;
        (*at <= self.saved.clock).then(|| name.clone())
    }

    /// The number of ends that are over or were started and are not noted, each counted up to a bound.
    pub(super) fn waiting(&self, most: usize) -> usize {
        let over = self.ends.iter().take_while(|((at, _), ())| *at <= self.saved.clock).take(most).count();
        over + self.awaited.range(..=self.saved.started).take(most).count()
    }

    pub(super) fn saved(self) -> Saved {
        self.saved
    }

    #[cfg(test)]
    pub(super) fn saved_mut(&mut self) -> &mut Saved {
        &mut self.saved
    }

    /// The number of ticks whose time is kept.
    #[cfg(test)]
    pub(super) fn starts(&self) -> usize {
        self.saved.starts.len()
    }

    /// The times of a snapshot, whose ends are these.
    ///
    /// # Errors
    /// No ticks come to such ends.
    pub(super) fn restored(
        saved: Saved,
        ends: impl Iterator<Item = (Name, End)>,
    ) -> Result<Self, NotRestored> {
        plausible("the clock", saved.clock.saturating_add(LONGEST))?;
        plausible("the number of times given", saved.given)?;
        let mut times = Times { saved, ..Times::default() };
        let mut count = 0;
        for (name, end) in ends {
            let is_one = match end {
                End::At(at) => at <= times.saved.clock.saturating_add(LONGEST),
                End::After { number, time } => {
                    count += 1;
                    let is_started = number <= times.saved.started;
                    (1..=times.saved.given).contains(&number)
                        && (1..=LONGEST).contains(&time)
                        && is_started == times.saved.at(number).is_some()
                }
            };
            if !is_one {
                return Err(NotRestored::because(format!("{name:?} ends {end:?}, where {:?}", times.saved)));
            }
            times.moves(&name, None, Some(end));
        }
        times.saved.check(&times.awaited)?;
        if times.awaited.len() != count {
            return Err(NotRestored::because("two times have the same number"));
        }
        Ok(times)
    }
}

impl Saved {
    /// The time of the tick that started a number.
    fn at(&self, number: u64) -> Option<u64> {
        if number > self.started {
            return None;
        }
        self.starts.range(number..).next().map(|(_, start)| *start)
    }

    /// Checks that each start is one of the clock's, and has numbers that are awaited.
    fn check(&self, awaited: &Sorted<u64, Name>) -> Result<(), NotRestored> {
        let (mut last, mut time) = (0, 0);
        let mut is_one = self.started <= self.given;
        for (&up_to, &start) in &self.starts {
            is_one &= up_to <= self.started && start >= time && start <= self.clock;
            (last, time) = (up_to, start);
        }
        let oldest = awaited.get_min().map_or(u64::MAX, |(number, _)| *number);
        is_one &= self.starts.get_min().is_none_or(|(first, _)| *first >= oldest);
        if is_one {
            Ok(())
        } else {
            Err(NotRestored::because(format!(
                "times up to {last} were started at {time} the latest, and {self:?}"
            )))
        }
    }
}
