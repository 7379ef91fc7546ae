//! Checkpoints: an exploration that was stopped is resumed where it was.
//!
//! States and messages are values of any type, which cannot be written to a file. A checkpoint therefore keeps the *order* in which the
//! tables were memoised. When the handlers run again in that order, they give every value its number again, in a time that does not depend
//! on the number of states. The rest are numbers: keys, states still to be expanded, and parent edges. A digest shows that the handlers
//! gave the same results, and a checksum that the file is whole.

use super::asked::Hit;
use super::bytes::{In, Out};
use super::door::Whole;
use super::found::{Found, Place};
use super::memoise::Memoising;
use super::sets::{Seen, with_set};
use super::tables::{Change, Miss, Tables};
use crate::report::Checkpoint;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The first bytes of a file. The version changes with the format and with the numbering of values.
const MAGIC: &[u8; 20] = b"synod checkpoint 1.7";
/// Writing takes at most this fraction of the time: one in so many.
const SHARE: u32 = 20;

/// Codes of changes in a file.
impl Change {
    fn write(self, out: &mut Out) -> io::Result<()> {
        let (tag, a, b, c) = match self {
            Self::Memoise(Miss::Moves { column, view }) => (0, column, view, 0),
            Self::Memoise(Miss::Append { column, view, list }) => (1, column, view, list),
            Self::Memoise(Miss::Update { history, note }) => (2, 0, history, note),
            Self::Memoise(Miss::Image { column, number, by }) => (3, column, number, by as u32),
            Self::Memoise(Miss::Rest) => (4, 0, 0, 0),
            Self::Memoise(Miss::Age { column, view }) => (7, column, view, 0),
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
            0 => Self::Memoise(Miss::Moves { column, view: b }),
            1 => Self::Memoise(Miss::Append { column, view: b, list: c }),
            2 => Self::Memoise(Miss::Update { history: b, note: c }),
            3 => Self::Memoise(Miss::Image { column, number: b, by: c as usize }),
            4 => Self::Memoise(Miss::Rest),
            7 => Self::Memoise(Miss::Age { column, view: b }),
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

/// The time at which the next checkpoint is due.
pub(super) struct Due {
    last: Instant,
    took: Duration,
}

impl Due {
    pub(super) fn new() -> Self {
        Self::after(Duration::ZERO)
    }

    /// The due time after a checkpoint that took so long to write.
    pub(super) fn after(took: Duration) -> Self {
        Self { last: Instant::now(), took }
    }

    pub(super) fn is_due(&self, every: Duration) -> bool {
        self.last.elapsed() >= every.max(self.took * SHARE)
    }
}

/// Writes the exploration to the file, in place of the older contents.
///
/// # Errors
/// If the disk fails. The older file is unchanged then.
pub(super) fn save(found: &mut Found, tables: &Tables, checkpoint: &Checkpoint<'_>) -> io::Result<()> {
    let folder = checkpoint.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let new = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = Out::new(new.reopen()?);
    write(found, tables, &mut out, checkpoint.identity)?;
    out.finish()?;
    new.persist(checkpoint.file).map_err(|error| error.error)?;
    // The new name of the file has to reach the disk too.
    File::open(folder)?.sync_all()
}

fn write(found: &mut Found, tables: &Tables, out: &mut Out, identity: &str) -> io::Result<()> {
    out.bytes(MAGIC)?;
    out.text(identity.as_bytes())?;
    let log = tables.log.as_deref().unwrap_or_default();
    out.number(log.len() as u64)?;
    for change in log {
        change.write(out)?;
    }
    out.number(tables.digest())?;
    let first_seen: Vec<u32> = tables.reactions.all.iter().map(|reaction| reaction.first_seen).collect();
    out.shorts(&first_seen)?;
    let Found { seen, frontier, origins, asked, at } = found;
    origins.write(out)?;
    frontier.write(out)?;
    let seen = seen.as_ref().expect("no block is at work");
    with_set!(seen, set => set.table.write(out))?;
    out.flags(&asked.histories)?;
    out.flags(&asked.notes)?;
    let mut locals: Vec<u64> = asked.locals.iter().copied().collect();
    locals.sort_unstable();
    out.numbers(&locals)?;
    for hit in &asked.hits {
        out.flags(&[hit.is_some(), hit.as_ref().is_some_and(|hit| hit.ordinal.is_some())])?;
        if let Some(Hit { state, ordinal, detail }) = hit {
            out.short(*state)?;
            out.short(ordinal.unwrap_or(0))?;
            out.text(detail.as_bytes())?;
        }
    }
    out.numbers(&[at.generated, at.depth as u64, at.entered as u64, at.checked as u64])?;
    out.flags(&[at.pruned])?;
    out.shorts(&[at.first_of_level, at.level.start, at.level.end, at.portion, at.unasked])
}

/// The contents of a file beside [`Found`].
pub(super) struct Loaded {
    /// The state vector of the initial state.
    pub first: Vec<u32>,
    /// The number of passes.
    pub passes: u32,
}

/// Reads a file and memoises the tables again. `block` is the number of states per block.
///
/// # Errors
/// If the file cannot be read, is damaged, or belongs to another exploration: in words, without the file's name.
pub(super) fn load(
    found: &mut Found,
    memoising: &mut Memoising<'_>,
    checkpoint: &Checkpoint<'_>,
    (initial, block): (&Whole, u32),
) -> Result<Loaded, String> {
    let mut file = In::open(checkpoint.file).map_err(|error| error.to_string())?;
    read(found, memoising, &mut file, (checkpoint.identity, initial, block))
        .unwrap_or_else(|error| Err(error.to_string()))
}

fn read(
    found: &mut Found,
    memoising: &mut Memoising<'_>,
    file: &mut In,
    (identity, initial, block): (&str, &Whole, u32),
) -> io::Result<Result<Loaded, String>> {
    let refused = |message: &str| Ok(Err(message.to_owned()));
    if &file.bytes()? != MAGIC {
        return refused("it is no checkpoint of this version");
    }
    if file.text()? != identity.as_bytes() {
        return refused("it is of another model, or the model was changed or is explored in another way");
    }
    let entries = file.len(13)?;
    let log = (0..entries).map(|_| Change::read(file)).collect::<io::Result<Vec<_>>>()?;
    let loaded = match replay(memoising, log, initial) {
        Ok(loaded) => loaded,
        Err(message) => return Ok(Err(message)),
    };
    let tables = &mut *memoising.tables;
    let digest = file.number()?;
    let first_seen = file.shorts()?;
    if digest != tables.digest() || first_seen.len() != tables.reactions.all.len() {
        return refused(
            "the actors or the observer do not give what they gave before: they were changed, or are no \
             functions of their inputs",
        );
    }
    for (reaction, first_seen) in tables.reactions.all.iter_mut().zip(first_seen) {
        reaction.first_seen = first_seen;
    }
    found.origins.read(file)?;
    let kind = found.seen.as_ref().map(Seen::kind);
    found.frontier.read(file)?;
    let Some((mut seen, layout)) = kind.and_then(|kind| Seen::new(kind, found.frontier.counts())) else {
        return refused("its states are wider than any key");
    };
    found.frontier.set_layout(layout);
    with_set!(&mut seen, set => set.table.read(file))?;
    found.seen = Some(seen);
    let asked = &mut found.asked;
    asked.histories = file.flags()?;
    asked.notes = file.flags()?;
    asked.locals = file.numbers()?.into_iter().collect();
    let states = found.origins.len();
    for hit in &mut asked.hits {
        let [there, step] = file.flags()?[..] else {
            return refused("it says something else of its properties");
        };
        if there {
            let (state, ordinal) = (file.below(states)?, file.short()?);
            let detail = String::from_utf8_lossy(&file.text()?).into_owned();
            *hit = Some(Hit { state, ordinal: step.then_some(ordinal), detail });
        }
    }
    let (counters, flags, level) = (file.numbers()?, file.flags()?, file.shorts()?);
    let (&[generated, depth, entered, checked], &[pruned], &[first_of_level, start, end, portion, unasked]) =
        (&counters[..], &flags[..], &level[..])
    else {
        return refused("its counters are not those of this version");
    };
    let is_block = (portion > 0 || start == first_of_level) && portion <= block;
    let is_block = is_block && start <= unasked && unasked <= states;
    let all_there = is_block
        && first_of_level <= start
        && start <= end
        && end <= states
        && found.frontier.covers(start..states);
    if !all_there || !are_vectors(found, tables, start..states) || checked > tables.reactions.all.len() as u64
    {
        return refused("its states to be left are not all there");
    }
    let (depth, entered, checked) = (depth as usize, entered as usize, checked as usize);
    let level = start..end;
    found.at = Place { generated, depth, entered, level, first_of_level, portion, unasked, checked, pruned };
    Ok(Ok(loaded))
}

/// True if the tables know every number of the states that wait.
fn are_vectors(found: &Found, tables: &Tables, states: Range<u32>) -> bool {
    let (counts, mut vector) = (tables.counts(), vec![0; tables.width()]);
    let mut reader = found.frontier.reader();
    let seen = found.seen.as_ref().expect("no block is at work");
    states.into_iter().all(|state| {
        let waiting = reader.get(state);
        waiting.layout.unpack(waiting.packed, &mut vector);
        vector.iter().zip(&counts).all(|(number, count)| u64::from(*number) < *count)
            && (waiting.key.is_empty() || seen.key(&tables.columns, &vector) == waiting.key)
    })
}

/// Memoises the tables in their original order.
fn replay(memoising: &mut Memoising<'_>, log: Vec<Change>, initial: &Whole) -> Result<Loaded, String> {
    memoising.tables.log = None;
    let mut loaded = Loaded { first: memoising.first_vector(initial), passes: 1 };
    for &change in &log {
        if !memoising.tables.knows(change) {
            return Err("it asks for values that the actors do not give".to_owned());
        }
        match change {
            Change::Memoise(miss) => memoising.find_out(miss),
            Change::Refute => _ = memoising.refute(),
            Change::Restart => {
                loaded.passes += 1;
                memoising.tables.forget_views();
                loaded.first = memoising.first_vector(initial);
            }
        }
    }
    memoising.tables.log = Some(log);
    Ok(loaded)
}

/// Removes the file, as the exploration is over.
pub(super) fn discard(checkpoint: &Checkpoint<'_>) {
    // If that fails, the next run refuses the file; nothing is lost by that.
    let _ = fs::remove_file(checkpoint.file);
}
