//! An exploration that was stopped goes on where it was.
//!
//! States and messages are values that nobody can write to a file. So what is kept is *in which order* the tables were filled: run
//! again in that order, the handlers give every value its number again, in a time that does not depend on how many states there
//! are. All else are numbers: keys, states to be left, and how each was found. That the handlers gave the same is compared by a
//! digest, and the file by a checksum.

use super::ask::Hit;
use super::bytes::{In, Out};
use super::search::Search;
use super::sets::{Seen, with_set};
use super::tables::{Miss, Tables};
use crate::Subject;
use crate::observer::Observer;
use crate::report::Checkpoint;
use crate::state::State;
use rustc_hash::FxHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io;
use std::time::{Duration, Instant};

/// How a file begins. The number changes with anything that is written or numbered.
const MAGIC: &[u8; 20] = b"synod checkpoint 1.7";
/// Writing takes at most one in so many parts of the time.
const SHARE: u32 = 20;

/// Something that changed the tables.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Fill(Miss),
    /// What is left out was checked.
    Refute,
    /// The exploration began anew.
    Restart,
}

impl Entry {
    fn write(self, out: &mut Out) -> io::Result<()> {
        let (tag, a, b, c) = match self {
            Self::Fill(Miss::Moves { column, view }) => (0, column, view, 0),
            Self::Fill(Miss::Append { column, view, list }) => (1, column, view, list),
            Self::Fill(Miss::Update { history, note }) => (2, 0, history, note),
            Self::Fill(Miss::Image { column, number, by }) => (3, column, number, by as u32),
            Self::Fill(Miss::Rest) => (4, 0, 0, 0),
            Self::Refute => (5, 0, 0, 0),
            Self::Restart => (6, 0, 0, 0),
        };
        out.bytes(&[tag])?;
        out.short(column_of(a))?;
        out.short(b)?;
        out.short(c)
    }

    fn read(file: &mut In) -> io::Result<Self> {
        let [tag] = file.bytes()?;
        let (column, b, c) = (file.short()? as usize, file.short()?, file.short()?);
        Ok(match tag {
            0 => Self::Fill(Miss::Moves { column, view: b }),
            1 => Self::Fill(Miss::Append { column, view: b, list: c }),
            2 => Self::Fill(Miss::Update { history: b, note: c }),
            3 => Self::Fill(Miss::Image { column, number: b, by: c as usize }),
            4 => Self::Fill(Miss::Rest),
            5 => Self::Refute,
            6 => Self::Restart,
            _ => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an entry in it is of no known kind"));
            }
        })
    }
}

fn column_of(column: usize) -> u32 {
    u32::try_from(column).expect("there are fewer columns than that")
}

/// When the next checkpoint is due.
pub(super) struct Due {
    last: Instant,
    took: Duration,
}

impl Due {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), took: Duration::ZERO }
    }

    pub(super) fn is_due(&self, every: Duration) -> bool {
        self.last.elapsed() >= every.max(self.took * SHARE)
    }
}

impl<A: Subject, O: Observer<A>> Tables<'_, A, O> {
    /// Notes down something that changes the tables, if that is wanted.
    pub(super) fn note_down(&mut self, entry: Entry) {
        if let Some(log) = &mut self.log {
            log.push(entry);
        }
    }

    /// Whether an entry can be carried out: its numbers are known.
    fn knows(&self, entry: Entry) -> bool {
        let is_view = |column: usize, view: u32| {
            self.columns.get(column).is_some_and(|column| (view as usize) < column.len())
        };
        match entry {
            Entry::Fill(Miss::Moves { column, view }) => is_view(column, view),
            Entry::Fill(Miss::Append { column, view, list }) => {
                is_view(column, view) && (list as usize) < self.lists.len()
            }
            Entry::Fill(Miss::Update { history, note }) => {
                (history as usize) < self.histories.len() && (note as usize) < self.notes.len()
            }
            Entry::Fill(Miss::Image { column, number, by }) => {
                let known = is_view(column, number)
                    || (column == self.history_column() && (number as usize) < self.histories.len());
                known && self.symmetric.as_ref().is_some_and(|symmetric| by < symmetric.group.len())
            }
            Entry::Fill(Miss::Rest) | Entry::Refute | Entry::Restart => true,
        }
    }

    /// What the tables say, in a few bits.
    fn digest(&self) -> u64 {
        let mut hasher = FxHasher::default();
        let counts = [
            self.locals.len(),
            self.envelopes.len(),
            self.lists.len(),
            self.histories.len(),
            self.notes.len(),
            self.failures.len(),
            self.posts.len(),
            self.histories.known(),
            self.alive.len(),
        ];
        (counts, self.counts(), self.steps.len()).hash(&mut hasher);
        for reaction in &self.reactions {
            let numbers = (reaction.actor, reaction.local, reaction.cause, reaction.next, reaction.sends);
            (numbers, reaction.note, reaction.ignored, reaction.failure).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl<A: Subject, O: Observer<A>> Search<'_, A, O> {
    /// Writes everything down, in place of what was written before.
    ///
    /// # Errors
    /// When the disk fails; the older file is as it was.
    pub(super) fn save(&mut self, checkpoint: &Checkpoint<'_>) -> io::Result<()> {
        let started = Instant::now();
        let folder = checkpoint.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(std::path::Path::new("."));
        let new = tempfile::NamedTempFile::new_in(folder)?;
        let mut out = Out::new(new.reopen()?);
        self.write(&mut out, checkpoint.identity)?;
        out.finish()?;
        new.persist(checkpoint.file).map_err(|error| error.error)?;
        // That the name is the new file's has to reach the disk too.
        File::open(folder)?.sync_all()?;
        self.due = Due { last: Instant::now(), took: started.elapsed() };
        Ok(())
    }

    fn write(&mut self, out: &mut Out, identity: &str) -> io::Result<()> {
        out.bytes(MAGIC)?;
        out.text(identity.as_bytes())?;
        let log = self.tables.log.as_deref().unwrap_or_default();
        out.number(log.len() as u64)?;
        for entry in log {
            entry.write(out)?;
        }
        out.number(self.tables.digest())?;
        let born: Vec<u32> = self.tables.reactions.iter().map(|reaction| reaction.born).collect();
        out.shorts(&born)?;
        self.origins.write(out)?;
        self.frontier.write(out)?;
        let seen = self.seen.as_ref().expect("no block is at work");
        with_set!(seen, set => set.table.write(out))?;
        out.flags(&self.asked.histories)?;
        out.flags(&self.asked.notes)?;
        let mut locals: Vec<u64> = self.asked.locals.iter().copied().collect();
        locals.sort_unstable();
        out.numbers(&locals)?;
        for hit in &self.asked.hits {
            out.flags(&[hit.is_some(), hit.as_ref().is_some_and(|hit| hit.ordinal.is_some())])?;
            if let Some(Hit { state, ordinal, detail }) = hit {
                out.short(*state)?;
                out.short(ordinal.unwrap_or(0))?;
                out.text(detail.as_bytes())?;
            }
        }
        out.numbers(&[self.generated, self.depth as u64, self.entered as u64, self.checked as u64])?;
        out.flags(&[self.pruned])?;
        out.shorts(&[self.began, self.level.start, self.level.end, self.portion, self.unasked])
    }

    /// Reads what was written, and fills the tables again.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is of something else: in words, without the file's name.
    pub(super) fn load(&mut self, checkpoint: &Checkpoint<'_>, initial: &State<A, O>) -> Result<(), String> {
        let mut file = In::open(checkpoint.file).map_err(|error| error.to_string())?;
        self.read(&mut file, checkpoint.identity, initial).unwrap_or_else(|error| Err(error.to_string()))
    }

    fn read(
        &mut self,
        file: &mut In,
        identity: &str,
        initial: &State<A, O>,
    ) -> io::Result<Result<(), String>> {
        if &file.bytes()? != MAGIC {
            return Ok(Err("it is no checkpoint of this version".to_owned()));
        }
        if file.text()? != identity.as_bytes() {
            return Ok(Err(
                "it is of another model, or the model was changed or is explored in another way".to_owned()
            ));
        }
        let entries = file.len(13)?;
        let log = (0..entries).map(|_| Entry::read(file)).collect::<io::Result<Vec<_>>>()?;
        if let Err(message) = self.replay(log, initial) {
            return Ok(Err(message));
        }
        let digest = file.number()?;
        let born = file.shorts()?;
        if digest != self.tables.digest() || born.len() != self.tables.reactions.len() {
            return Ok(Err(
                "the actors or the observer do not give what they gave before: they were changed, or are no \
                 functions of their inputs"
                    .to_owned(),
            ));
        }
        for (reaction, born) in self.tables.reactions.iter_mut().zip(born) {
            reaction.born = born;
        }
        self.origins.read(file)?;
        let kind = self.seen.as_ref().map(Seen::kind);
        self.frontier.read(file)?;
        let Some((mut seen, layout)) = kind.and_then(|kind| Seen::new(kind, self.frontier.counts())) else {
            return Ok(Err("its states are wider than any key".to_owned()));
        };
        self.frontier.set_layout(layout);
        with_set!(&mut seen, set => set.table.read(file))?;
        self.seen = Some(seen);
        self.asked.histories = file.flags()?;
        self.asked.notes = file.flags()?;
        self.asked.locals = file.numbers()?.into_iter().collect();
        let states = self.origins.len();
        for hit in &mut self.asked.hits {
            let [there, step] = file.flags()?[..] else {
                return Ok(Err("it says something else of its properties".to_owned()));
            };
            if there {
                let (state, ordinal) = (file.below(states)?, file.short()?);
                let detail = String::from_utf8_lossy(&file.text()?).into_owned();
                *hit = Some(Hit { state, ordinal: step.then_some(ordinal), detail });
            }
        }
        let (counters, flags, level) = (file.numbers()?, file.flags()?, file.shorts()?);
        let (&[generated, depth, entered, checked], &[pruned], &[began, start, end, portion, unasked]) =
            (&counters[..], &flags[..], &level[..])
        else {
            return Ok(Err("its counters are not those of this version".to_owned()));
        };
        let is_block = (portion > 0 || start == began) && portion <= self.pace.block;
        let is_block = is_block && start <= unasked && unasked <= states;
        let all_there = is_block
            && began <= start
            && start <= end
            && end <= states
            && self.frontier.covers(start..states);
        if !all_there || !self.are_rows(start..states) || checked > self.tables.reactions.len() as u64 {
            return Ok(Err("its states to be left are not all there".to_owned()));
        }
        (self.generated, self.pruned, self.portion) = (generated, pruned, portion);
        (self.depth, self.entered, self.checked) = (depth as usize, entered as usize, checked as usize);
        (self.began, self.level, self.unasked) = (began, start..end, unasked);
        Ok(Ok(()))
    }

    /// Whether the tables know every number of the states that wait.
    fn are_rows(&self, states: std::ops::Range<u32>) -> bool {
        let (counts, mut row) = (self.tables.counts(), vec![0; self.tables.width()]);
        let mut reader = self.frontier.reader();
        let seen = self.seen.as_ref().expect("no block is at work");
        states.into_iter().all(|state| {
            let waiting = reader.get(state);
            waiting.layout.unpack(waiting.packed, &mut row);
            row.iter().zip(&counts).all(|(number, count)| u64::from(*number) < *count)
                && (waiting.key.is_empty() || seen.key(&self.tables.columns, &row) == waiting.key)
        })
    }

    /// Fills the tables in the order in which they were.
    fn replay(&mut self, log: Vec<Entry>, initial: &State<A, O>) -> Result<(), String> {
        self.tables.log = None;
        self.first = self.tables.first_row(initial)?;
        for &entry in &log {
            if !self.tables.knows(entry) {
                return Err("it asks for values that the actors do not give".to_owned());
            }
            match entry {
                Entry::Fill(miss) => self.tables.fill(miss),
                Entry::Refute => {
                    self.tables.refute();
                }
                Entry::Restart => {
                    self.passes += 1;
                    self.tables.forget_views();
                    self.first = self.tables.first_row(initial)?;
                }
            }
        }
        self.tables.log = Some(log);
        Ok(())
    }
}

/// Removes the file, as there is nothing left to go on with.
pub(super) fn discard(checkpoint: &Checkpoint<'_>) {
    // Should it stay, the next run says so; nothing is lost by that.
    let _ = fs::remove_file(checkpoint.file);
}
