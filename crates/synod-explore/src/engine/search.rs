//! One exploration from its first state to its end: levels, blocks, and when to stop.

use super::ask::Asked;
use super::budget::Budget;
use super::checkpoint::{Due, Entry};
use super::frontier::Frontier;
use super::key::Layout;
use super::origins::Origins;
use super::retrace::{Impure, Retraced};
use super::sets::Seen;
use super::symmetry::Symmetric;
use super::tables::Tables;
use crate::observer::Observer;
use crate::property::Check;
use crate::report::{Checkpoint, Ending, Options, Progress, Rerun, Stop, Table, Why};
use crate::state::State;
use crate::system::System;
use crate::{Action, Expectation, Subject, panics};
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

/// How often at most what is left out is corrected by scouting.
const SCOUTS: usize = 16;
/// So many states are enough for a scout: a system may have no end, and yet a fall that is near.
const SCOUTED: u32 = 1 << 16;
/// The share of the memory that the states to be left may take before they wait on disk.
const FRONTIER_SHARE: u64 = 8;

/// How much is done before something else is looked at.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// States that are left before anything is asked about going on. Fixed, so that the outcome does not depend on the threads.
    pub block: u32,
    /// States that are left together by one thread.
    pub portion: u32,
    /// States that each thread is asked about together, at most, or what so many lead to.
    pub chunk: u32,
    /// A checkpoint is written after each block, however short that took.
    pub always_due: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { block: 1 << 14, portion: 1 << 9, chunk: 1 << 14, always_due: false }
    }
}

/// A panic of user code: after the step out of the state, or in a property of the state.
pub(super) struct Failure {
    pub state: u32,
    pub ordinal: Option<u32>,
    pub message: String,
}

pub(super) struct Search<'s, A: Subject, O: Observer<A>> {
    pub tables: Tables<'s, A, O>,
    /// `None` while a block is at work on it; and where a state takes more bits than any exact key has, so that there is none.
    pub seen: Option<Seen>,
    pub frontier: Frontier,
    pub origins: Origins,
    /// The row of the initial state.
    pub first: Vec<u32>,
    pub asked: Asked,
    pub generated: u64,
    /// The depth of the level that is being left.
    pub depth: usize,
    /// The greatest depth of a state, once the exploration has ended: a level that was reached but not left has one, too.
    pub reached: usize,
    pub failure: Option<Failure>,
    pub pruned: bool,
    pub pool: Option<Arc<rayon::ThreadPool>>,
    /// Whether there is a property of locals.
    pub asks_locals: bool,
    /// Something was left out that may still matter; everything has to be explored anew.
    stale: bool,
    /// Of each actor, the views that were met; only while scouting.
    pub scouting: Option<Vec<Vec<bool>>>,
    /// How many reactions were known when what was left out was last checked.
    pub checked: usize,
    /// The states of the level that is being left, without those that were.
    pub level: Range<u32>,
    /// Where that level began.
    pub began: u32,
    /// The depth of the last level for which that was done which is done before one is left.
    pub entered: usize,
    /// How many states of the present block are left together.
    pub portion: u32,
    /// What so many of them lead to is taken in together, by how long that took.
    pub taken: u32,
    /// The first state that the properties of whole states were not asked about.
    pub unasked: u32,
    /// How many states each thread is asked about together.
    pub chunk: u32,
    pub pace: Pace,
    /// How often the exploration was begun, by scouts too.
    pub passes: u32,
    /// When the next checkpoint is due.
    pub due: Due,
}

impl<'s, A: Subject, O: Observer<A>> Search<'s, A, O> {
    pub(super) fn new(system: &'s System<A, O>, options: &Options<'_>, pace: Pace, bounded: bool) -> Self {
        let symmetry = system.symmetry.as_ref().filter(|_| options.symmetry);
        let mut tables = Tables::new(system, options.dead_messages, symmetry.is_some());
        tables.bounded = bounded;
        tables.log = options.checkpoint.is_some().then(Vec::new);
        tables.symmetric = symmetry.map(|symmetry| Symmetric::new(symmetry, system.actors.len()));
        let (seen, layout) = empty(options.table, tables.width());
        Self {
            tables,
            seen,
            frontier: frontier(layout, options),
            origins: Origins::default(),
            first: Vec::new(),
            asked: Asked::new(system.properties.len()),
            generated: 0,
            depth: 0,
            reached: 0,
            failure: None,
            pruned: false,
            pool: pool(options.threads).map(Arc::new),
            asks_locals: system.properties.iter().any(|property| matches!(property.check, Check::Local(_))),
            stale: false,
            scouting: None,
            checked: 0,
            level: 0..0,
            began: 0,
            entered: 0,
            portion: 0,
            taken: pace.chunk.min(16),
            unasked: 0,
            chunk: pace.chunk.min(16),
            pace,
            passes: 1,
            due: Due::new(),
        }
    }

    /// Takes in the initial state. False if it is out of bounds; fails if user code panics.
    pub(super) fn begin(&mut self, initial: &State<A, O>) -> Result<bool, String> {
        if !panics::capture(|| self.tables.system.admits(initial))? {
            return Ok(false);
        }
        self.tables.leaving = 0;
        let row = self.tables.first_row(initial)?;
        self.first.clone_from(&row);
        self.generated = 1;
        if self.seen.is_none() || !self.fit() {
            self.seen = None;
            return Ok(true);
        }
        let key = self.seen.as_mut().map_or_else(Vec::new, |seen| {
            seen.insert(&self.tables.columns, &row);
            seen.key(&self.tables.columns, &row)
        });
        let packed = self.frontier.packed(&row, &key);
        self.add(&packed, (0, 0), None);
        Ok(true)
    }

    /// Takes in the initial state, or goes on from a checkpoint if that is asked for and there is one.
    pub(super) fn begin_or_go_on(
        &mut self,
        initial: &State<A, O>,
        options: &Options<'_>,
    ) -> Result<bool, String> {
        match &options.checkpoint {
            Some(checkpoint) if checkpoint.resume && checkpoint.file.exists() => {
                let loaded = self.load(checkpoint, initial);
                let file = checkpoint.file.display();
                loaded.map(|()| true).map_err(|message| {
                    format!("cannot go on from {file}: {message}; remove it to begin anew")
                })
            }
            _ => self.begin(initial),
        }
    }

    /// Begins anew, knowing better what can be left out.
    fn restart(&mut self, initial: &State<A, O>, options: &Options<'_>) -> Result<bool, String> {
        self.tables.note_down(Entry::Restart);
        self.passes += 1;
        self.tables.forget_views();
        let (seen, layout) = empty(options.table, self.tables.width());
        self.seen = seen;
        self.frontier = frontier(layout, options);
        self.origins = Origins::default();
        self.asked = Asked::new(self.tables.system.properties.len());
        (self.failure, self.pruned, self.depth, self.stale, self.checked) = (None, false, 0, false, 0);
        (self.level, self.began, self.entered, self.reached, self.unasked) = (0..0, 0, 0, 0, 0);
        self.begin(initial)
    }

    /// Finds out what must not be left out, as far as that is cheap: by leaving only states in which some actor's view is new. Such
    /// states are about as many as views, and lead to most of what actors ever do.
    fn scout(&mut self, initial: &State<A, O>, options: &Options<'_>, budget: &Budget<'_>) -> Option<Why> {
        for _ in 0..SCOUTS {
            self.scouting = Some(vec![Vec::new(); self.tables.movers()]);
            let ending = self.pass(options, budget);
            let refuted = ending.incomplete.is_none() && self.tables.refute();
            self.scouting = None;
            // A panic comes up again, and then it counts.
            if ending.incomplete.is_some() || self.restart(initial, options).is_err() || !refuted {
                return ending.incomplete;
            }
        }
        None
    }

    /// Explores until the end, or until there is a reason to stop. Threads that share the work also do what is not shared: the
    /// one that has it at hand goes on, and none has to be woken up for that.
    pub(super) fn run(
        &mut self,
        initial: &State<A, O>,
        options: &Options<'_>,
        budget: &Budget<'_>,
    ) -> Ending<A> {
        match self.pool.clone() {
            None => self.explore(initial, options, budget),
            Some(pool) => pool.install(|| self.explore(initial, options, budget)),
        }
    }

    fn explore(&mut self, initial: &State<A, O>, options: &Options<'_>, budget: &Budget<'_>) -> Ending<A> {
        // Whoever goes on from a checkpoint has scouted.
        if self.tables.leaves_out && self.depth == 0 {
            let incomplete = self.scout(initial, options, budget);
            if incomplete.is_some() {
                return Ending { incomplete, ..Ending::open() };
            }
        }
        loop {
            let mut ending = self.pass(options, budget);
            if let (Some(why), Some(checkpoint)) = (ending.incomplete, &options.checkpoint)
                && !matches!(why, Why::Disk(_) | Why::Width)
                && let Err(error) = self.save(checkpoint)
            {
                ending.incomplete = Some(Why::Disk(error.kind()));
            }
            if ending.incomplete.is_none() && !self.stale {
                self.stale = self.tables.refute();
            }
            if ending.incomplete.is_some() || !self.stale {
                return ending;
            }
            if let Err(message) = self.restart(initial, options) {
                ending.panicked = Some((message, Vec::new()));
                return ending;
            }
        }
    }

    /// Explores once: from the first state on, or from where a checkpoint was.
    fn pass(&mut self, options: &Options<'_>, budget: &Budget<'_>) -> Ending<A> {
        let mut ending = Ending::open();
        if self.seen.is_none() {
            ending.incomplete = Some(Why::Width);
            return ending;
        }
        if self.depth == 0 {
            self.level = 0..self.origins.len();
            self.depth = 1;
        }
        ending.incomplete = self.ask_states(budget);
        // An exploration that was interrupted in a block goes on to its end first, as if it had not been.
        while ending.incomplete.is_none() && (self.is_in_block() || !self.is_over(&options.stop)) {
            if self.level.is_empty() && !self.begin_level() {
                break;
            }
            if self.entered != self.depth {
                if self.tables.system.bounds.depth == Some(self.depth) {
                    self.pruned = true;
                    self.level.start = self.level.end;
                    break;
                }
                if self.scouting.is_none() && self.is_worth_checking() && self.tables.refute() {
                    self.stale = true;
                    return ending;
                }
                self.entered = self.depth;
            }
            let full = self.is_full().then_some(Why::Memory);
            ending.incomplete = full.or_else(|| budget.check_all(self.bytes()));
            if ending.incomplete.is_some() {
                break;
            }
            let block = self.block();
            ending.incomplete = self.explore_block(block, budget);
            if ending.incomplete.is_some() {
                break;
            }
            self.tell(options, budget, u64::from(self.origins.len() - self.level.start));
            let scouted = self.scouting.is_some() && self.origins.len() >= SCOUTED;
            if scouted || self.is_over(&options.stop) {
                break;
            }
            if let Some(checkpoint) = options.checkpoint.as_ref().filter(|at| self.is_due(at))
                && let Err(error) = self.save(checkpoint)
            {
                ending.incomplete = Some(Why::Disk(error.kind()));
                break;
            }
        }
        self.reached = self.depth + usize::from(self.origins.len() > self.level.end);
        ending.cut |= self.pruned;
        let reached = self.level.end == self.origins.len();
        ending.exhausted = self.level.is_empty() && reached && ending.incomplete.is_none();
        ending
    }

    /// Goes on to the states that were found from those of the level that was left; false if there are none.
    fn begin_level(&mut self) -> bool {
        self.level = self.level.end..self.origins.len();
        if self.level.is_empty() {
            return false;
        }
        self.began = self.level.start;
        self.depth += 1;
        true
    }

    /// Whether some of the present block was left, and not all of it.
    fn is_in_block(&self) -> bool {
        !self.level.is_empty() && !(self.level.start - self.began).is_multiple_of(self.pace.block)
    }

    /// What is to be left of the present block. Where blocks end does not depend on where the exploration was interrupted.
    fn block(&mut self) -> Range<u32> {
        let left = (self.level.start - self.began) % self.pace.block;
        let block = self.level.start..self.level.end.min(self.level.start - left + self.pace.block);
        if left == 0 {
            self.portion = self.portion(block.end - block.start);
        }
        block
    }

    /// How many threads there are to share the work.
    pub(super) fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    fn is_due(&self, checkpoint: &Checkpoint<'_>) -> bool {
        self.scouting.is_none() && (self.pace.always_due || self.due.is_due(checkpoint.every))
    }

    /// Whether enough was found out since what is left out was last checked.
    fn is_worth_checking(&mut self) -> bool {
        let known = self.tables.reactions.len();
        let worth = self.tables.leaves_out && known > self.checked + self.checked / 32;
        if worth {
            self.checked = known;
        }
        worth
    }

    /// Whether there is no number left for another state.
    fn is_full(&self) -> bool {
        self.origins.len() >= u32::MAX - (1 << 24)
    }

    /// Makes room for the numbers there are; false if rows have become too wide.
    pub(super) fn fit(&mut self) -> bool {
        let counts = self.tables.counts();
        if !self.frontier.overflows(&counts) {
            return true;
        }
        let kind = self.seen.as_ref().map_or(Table::Exact, Seen::kind);
        if kind != Table::Exact {
            self.widen();
            return true;
        }
        let Some((mut seen, layout)) = Seen::new(kind, &roomy(&counts)) else { return false };
        self.frontier.set_layout(layout);
        if let Some(old) = &mut self.seen {
            old.pour(&self.tables.columns, self.tables.width(), &mut seen);
        }
        self.seen = Some(seen);
        true
    }

    /// Makes room for the numbers there are where states wait.
    pub(super) fn widen(&mut self) {
        self.frontier.set_layout(Layout::roomy(&roomy(&self.tables.counts())));
    }

    /// Whether what was taken for no boundary is one, so that all has to be explored anew.
    pub(super) fn is_refused(&self) -> bool {
        !self.tables.bounded && self.tables.system.doubt.as_ref().is_some_and(|doubt| doubt.bound().is_some())
    }

    /// Whether the exploration stops here although there may be more to explore.
    fn is_over(&self, stop: &Stop) -> bool {
        let properties = || self.tables.system.properties.iter().zip(&self.asked.hits);
        self.failure.is_some()
            || self.is_refused()
            || match stop {
                Stop::FirstViolation => {
                    properties().any(|(p, hit)| p.expectation == Expectation::Always && hit.is_some())
                }
                Stop::Violation(name) => properties().any(|(p, hit)| p.name == name && hit.is_some()),
                Stop::Exhausted => false,
            }
    }

    fn tell(&self, options: &Options<'_>, budget: &Budget<'_>, frontier: u64) {
        // Scouting takes so little that its counts would only be confusing.
        if let (None, Some(progress)) = (&self.scouting, options.progress) {
            progress(&Progress {
                unique: self.origins.len().into(),
                generated: self.generated,
                depth: self.depth,
                frontier,
                memory_bytes: budget.memory(self.bytes()),
                elapsed: budget.elapsed(),
            });
        }
    }

    /// The actions on the way to a state, and the step out of it if there is one.
    ///
    /// # Errors
    /// When running them again gives something else.
    pub(super) fn trace(&mut self, state: u32, ordinal: Option<u32>) -> Result<Vec<Action<A>>, Impure<A>> {
        let retraced = self.tables.retrace(&self.origins, &self.first, state)?;
        let Retraced { mut trace, state, row } = retraced;
        trace.extend(ordinal.and_then(|ordinal| self.tables.action_in(&state, &row, ordinal)));
        Ok(trace)
    }

    /// Runs a sample of the steps again, and checks what is taken for alike. Of what was given up the smallest sample will do.
    pub(super) fn verify(&mut self, gave_up: bool) -> Result<Rerun, Impure<A>> {
        let steps = if gave_up { 0 } else { self.generated };
        let rerun = self.tables.verify_sample(&self.origins, &self.first, steps)?;
        self.tables.check_symmetry(&self.first)?;
        Ok(rerun)
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.seen.as_ref().map_or(0, Seen::bytes)
            + self.frontier.bytes()
            + self.origins.bytes()
            + self.tables.bytes()
            + self.asked.bytes()
    }

    /// Whether some property or bound looks at whole states.
    pub(super) fn looks_at_states(system: &System<A, O>) -> bool {
        system.bounds.state.is_some()
            || system.properties.iter().any(|property| matches!(property.check, Check::State(_)))
    }
}

/// An empty set of states, if they are not too wide for it, and how they wait.
fn empty(table: Table, width: usize) -> (Option<Seen>, Layout) {
    let counts = vec![2; width];
    match Seen::new(table, &counts) {
        Some((seen, layout)) => (Some(seen), layout),
        None => (None, Layout::roomy(&counts)),
    }
}

/// Threads that share work, if there are more than one.
fn pool(threads: usize) -> Option<rayon::ThreadPool> {
    (threads > 1).then(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.min(1 << 10));
        pool.build().expect("the system has threads")
    })
}

fn frontier(layout: Layout, options: &Options<'_>) -> Frontier {
    let hash = match options.table {
        Table::Exact => 0,
        Table::Fingerprint64 => 1,
        Table::Fingerprint128 => 2,
    };
    Frontier::new((layout, hash), 0, spill_file(options), frontier_bytes(options))
}

/// Half as many again, so that it does not come often to making room.
fn roomy(counts: &[u64]) -> Vec<u64> {
    counts.iter().map(|count| count + count / 2 + 1).collect()
}

/// Where states wait that do not fit into memory; a file that nobody else sees. That the folder takes one was seen at the
/// start; should it not any more, everything stays in memory, which is limited.
fn spill_file(options: &Options<'_>) -> Option<File> {
    tempfile::tempfile_in(options.spill?).ok()
}

fn frontier_bytes(options: &Options<'_>) -> usize {
    options.memory.map_or(usize::MAX, |memory| (memory / FRONTIER_SHARE) as usize)
}
