//! One exploration from its first state to its end: levels, blocks, and the conditions to stop. It works on numbers only and asks for
//! everything about the system through the door.

use super::asked::is_first;
use super::budget::Budget;
use super::checkpoint::{self, Due};
use super::door::{Door, Whole};
use super::found::Found;
use super::memoise::Memoising;
use super::plan::{Doubtful, Plan};
use super::tables::{Change, Tables};
use crate::report::{Checkpoint, Options, Progress, Why};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most scouting passes that correct which messages are dropped.
const SCOUTS: usize = 16;
/// The most states that a scout visits: a system may be infinite, and yet have a violation nearby.
const SCOUTED: u32 = 1 << 16;
/// The longest time without a look at the limits while states are asked about, unless one takes longer.
const LONG: Duration = Duration::from_millis(40);

/// Sizes of the units of work between two looks at limits, progress and checkpoints.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// The states per block, after which progress and checkpoints are looked at. Fixed, so that results do not depend on the threads.
    pub block: u32,
    /// The states that one thread expands together.
    pub portion: u32,
    /// The most states that each thread is asked about together, or whose successors are taken in together.
    pub chunk: u32,
    /// A checkpoint is written after each block, however short that took.
    pub always_due: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { block: 1 << 14, portion: 1 << 9, chunk: 1 << 14, always_due: false }
    }
}

/// Present sizes of units of work, adapted to the time that earlier ones took.
#[derive(Clone, Copy)]
pub(super) struct Tempo {
    /// The number of states whose successors are taken in together.
    pub taken: u32,
    /// The number of states that each thread is asked about together.
    chunk: u32,
}

impl Tempo {
    fn new(pace: Pace) -> Self {
        Self { taken: pace.chunk.min(16), chunk: pace.chunk.min(16) }
    }
}

/// The end of a search.
#[derive(Default)]
pub(super) struct Ended {
    /// The reason why it gave up.
    pub incomplete: Option<Why>,
    /// Everything within the bounds was explored.
    pub exhausted: bool,
    /// A bound cut something off.
    pub cut: bool,
}

/// An exploration. Its methods are in two files: the work on one block is in `blocks`.
pub(super) struct Search<'e> {
    pub options: &'e Options<'e>,
    pub budget: &'e Budget<'e>,
    pub pace: Pace,
    pub pool: Option<Arc<rayon::ThreadPool>>,
    pub door: &'e mut dyn Door,
    pub tables: Tables,
    pub found: Found,
    /// The state vector of the initial state.
    pub first: Vec<u32>,
    /// Per actor, the views that were met; only while scouting.
    pub scouting: Option<Vec<Vec<bool>>>,
    pub tempo: Tempo,
    /// The number of passes, scouting passes included.
    pub passes: u32,
    due: Due,
}

impl<'e> Search<'e> {
    pub(super) fn new(
        plan: Arc<Plan>,
        door: &'e mut dyn Door,
        options: &'e Options<'e>,
        (pace, budget): (Pace, &'e Budget<'e>),
    ) -> Self {
        let mut tables = Tables::new(plan);
        tables.log = options.checkpoint.is_some().then(Vec::new);
        Self {
            options,
            budget,
            pace,
            pool: pool(options.threads).map(Arc::new),
            door,
            found: Found::new(&tables.plan, options, tables.width()),
            tables,
            first: Vec::new(),
            scouting: None,
            tempo: Tempo::new(pace),
            passes: 1,
            due: Due::new(),
        }
    }

    fn memoising(&mut self) -> Memoising<'_> {
        Memoising { tables: &mut self.tables, door: self.door }
    }

    /// Explores from the initial state, or from a checkpoint if that is asked for and there is one.
    ///
    /// # Errors
    /// If the checkpoint cannot be resumed.
    pub(super) fn explore_from(&mut self, initial: &Whole) -> Result<Ended, String> {
        match &self.options.checkpoint {
            Some(checkpoint) if checkpoint.resume && checkpoint.file.exists() => {
                let file = checkpoint.file.display();
                self.go_on(checkpoint, initial).map_err(|message| {
                    format!("cannot go on from {file}: {message}; remove it to begin anew")
                })?;
            }
            _ => self.add_initial(initial),
        }
        let mut ended = self.run(initial);
        match self.options.checkpoint.as_ref().filter(|_| ended.incomplete.is_none()) {
            // A resumed exploration would miss a panic that was already found.
            Some(checkpoint) if checkpoint.keep && self.found.asked.failure.is_none() => {
                ended.incomplete = self.save(checkpoint).err();
            }
            Some(checkpoint) => checkpoint::discard(checkpoint),
            None => {}
        }
        Ok(ended)
    }

    /// Takes in the initial state.
    fn add_initial(&mut self, initial: &Whole) {
        self.tables.reactions.expanding = 0;
        let vector = self.memoising().first_vector(initial);
        self.first.clone_from(&vector);
        self.found.at.generated = 1;
        if self.found.seen.is_none() || !self.found.fit(&self.tables) {
            self.found.seen = None;
            return;
        }
        let key = self.found.seen.as_mut().map_or_else(Vec::new, |seen| {
            seen.insert(&self.tables.columns, &vector);
            seen.key(&self.tables.columns, &vector)
        });
        let packed = self.found.frontier.packed(&vector, &key);
        self.add(&packed, (0, 0), None);
    }

    /// Resumes from a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or belongs to another exploration: in words, without the file's name.
    fn go_on(&mut self, checkpoint: &Checkpoint<'_>, initial: &Whole) -> Result<(), String> {
        let memoising = &mut Memoising { tables: &mut self.tables, door: self.door };
        let loaded = checkpoint::load(&mut self.found, memoising, checkpoint, (initial, self.pace.block))?;
        (self.first, self.passes) = (loaded.first, loaded.passes);
        Ok(())
    }

    /// Writes a checkpoint, in place of the older one.
    ///
    /// # Errors
    /// If the disk fails. The older file is unchanged then.
    fn save(&mut self, checkpoint: &Checkpoint<'_>) -> Result<(), Why> {
        let started = Instant::now();
        checkpoint::save(&mut self.found, &self.tables, checkpoint)
            .map_err(|error| Why::Disk(error.kind()))?;
        self.due = Due::after(started.elapsed());
        Ok(())
    }

    /// Adds a new state; a scout only those in which some view is new.
    pub(super) fn add(&mut self, packed: &[u64], origin: (u32, u32), actor: Option<usize>) {
        let Some(met) = &mut self.scouting else {
            return self.found.add((&self.tables, &*self.door), packed, origin, actor);
        };
        let mut new = false;
        for (column, met) in met.iter_mut().enumerate() {
            new |= is_first(met, self.found.frontier.layout().get(packed, column));
        }
        if new {
            self.found.origins.push(origin.0, origin.1);
            self.found.frontier.extend(packed);
        }
    }

    /// Starts again, knowing better which messages can be dropped.
    fn restart(&mut self, initial: &Whole) {
        self.tables.note_down(Change::Restart);
        self.passes += 1;
        self.tables.forget_views();
        self.found = Found::new(&self.tables.plan, self.options, self.tables.width());
        self.add_initial(initial);
    }

    /// Finds most messages that must not be dropped at little cost, by expanding only states in which some actor's view is new. Such
    /// states are about as many as views, and lead to most local situations.
    fn scout(&mut self, initial: &Whole) -> Option<Why> {
        for _ in 0..SCOUTS {
            self.scouting = Some(vec![Vec::new(); self.tables.movers()]);
            let (ended, _) = self.pass();
            let refuted = ended.incomplete.is_none() && self.memoising().refute();
            self.scouting = None;
            // A panic comes up again in the full pass, and counts there.
            if ended.incomplete.is_some() {
                return ended.incomplete;
            }
            self.restart(initial);
            if !refuted {
                return None;
            }
        }
        None
    }

    /// Explores until the end, or until there is a reason to stop. A thread of the pool also does the work that is not shared, so that
    /// no other thread has to be woken up for it.
    fn run(&mut self, initial: &Whole) -> Ended {
        match self.pool.clone() {
            None => self.explore(initial),
            Some(pool) => pool.install(|| self.explore(initial)),
        }
    }

    fn explore(&mut self, initial: &Whole) -> Ended {
        // A resumed exploration has scouted before.
        if self.tables.plan.drops_dead && self.found.at.depth == 0 {
            let incomplete = self.scout(initial);
            if incomplete.is_some() {
                return Ended { incomplete, ..Ended::default() };
            }
        }
        loop {
            let (mut ended, mut stale) = self.pass();
            if let (Some(why), Some(checkpoint)) = (ended.incomplete, &self.options.checkpoint)
                && !matches!(why, Why::Disk(_) | Why::Width)
                && let Err(why) = self.save(checkpoint)
            {
                ended.incomplete = Some(why);
            }
            if ended.incomplete.is_none() && !stale {
                stale = self.memoising().refute();
            }
            if ended.incomplete.is_some() || !stale {
                return ended;
            }
            self.restart(initial);
        }
    }

    /// Explores once, from the first state or from a checkpoint. The second result is true if a dropped message may still matter,
    /// so that everything has to be explored again.
    fn pass(&mut self) -> (Ended, bool) {
        let mut ended = Ended::default();
        if self.found.seen.is_none() {
            ended.incomplete = Some(Why::Width);
            return (ended, false);
        }
        if self.found.at.depth == 0 {
            self.found.at.level = 0..self.found.origins.len();
            self.found.at.depth = 1;
        }
        ended.incomplete = self.ask_states();
        // An exploration that was interrupted in a block first finishes it, as if it had not been interrupted.
        while ended.incomplete.is_none() && (self.is_in_block() || !self.is_over()) {
            if self.found.at.level.is_empty() && !self.next_level() {
                break;
            }
            if self.found.at.entered != self.found.at.depth {
                if self.tables.plan.depth == Some(self.found.at.depth) {
                    self.found.at.pruned = true;
                    self.found.at.level.start = self.found.at.level.end;
                    break;
                }
                if self.scouting.is_none() && self.is_worth_checking() && self.memoising().refute() {
                    return (ended, true);
                }
                self.found.at.entered = self.found.at.depth;
            }
            let full = self.is_full().then_some(Why::Memory);
            ended.incomplete = full.or_else(|| self.budget.check_all(self.bytes()));
            if ended.incomplete.is_some() {
                break;
            }
            let block = self.block();
            ended.incomplete = self.explore_block(block);
            if ended.incomplete.is_some() {
                break;
            }
            self.report_progress();
            let scouted = self.scouting.is_some() && self.found.origins.len() >= SCOUTED;
            if scouted || self.is_over() {
                break;
            }
            if let Some(checkpoint) = self.options.checkpoint.as_ref().filter(|at| self.is_due(at))
                && let Err(why) = self.save(checkpoint)
            {
                ended.incomplete = Some(why);
                break;
            }
        }
        ended.cut |= self.found.at.pruned;
        let reached = self.found.at.level.end == self.found.origins.len();
        ended.exhausted = self.found.at.level.is_empty() && reached && ended.incomplete.is_none();
        (ended, false)
    }

    /// The greatest depth of a state. States that were found and not expanded count.
    pub(super) fn reached(&self) -> usize {
        self.found.at.depth + usize::from(self.found.origins.len() > self.found.at.level.end)
    }

    /// Moves on to the states that were found from the level that was expanded; false if there are none.
    fn next_level(&mut self) -> bool {
        let at = &mut self.found.at;
        at.level = at.level.end..self.found.origins.len();
        if at.level.is_empty() {
            return false;
        }
        at.first_of_level = at.level.start;
        at.depth += 1;
        true
    }

    /// True if the present block was expanded in part.
    fn is_in_block(&self) -> bool {
        let at = &self.found.at;
        !at.level.is_empty() && !(at.level.start - at.first_of_level).is_multiple_of(self.pace.block)
    }

    /// The states of the present block that are still to be expanded. Ends of blocks do not depend on interruptions.
    fn block(&mut self) -> Range<u32> {
        let at = &self.found.at;
        let left = (at.level.start - at.first_of_level) % self.pace.block;
        let block = at.level.start..at.level.end.min(at.level.start - left + self.pace.block);
        if left == 0 {
            self.found.at.portion = self.portion(block.end - block.start);
        }
        block
    }

    /// The number of threads that share the work.
    pub(super) fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    fn is_due(&self, checkpoint: &Checkpoint<'_>) -> bool {
        self.scouting.is_none() && (self.pace.always_due || self.due.is_due(checkpoint.every))
    }

    /// True if enough was memoised since the last check of dropped messages.
    fn is_worth_checking(&mut self) -> bool {
        let (known, checked) = (self.tables.reactions.all.len(), self.found.at.checked);
        let worth = self.tables.plan.drops_dead && known > checked + checked / 32;
        if worth {
            self.found.at.checked = known;
        }
        worth
    }

    /// True if no number is free for another state.
    fn is_full(&self) -> bool {
        self.found.origins.len() >= u32::MAX - (1 << 24)
    }

    /// True if the exploration stops here although there may be more to explore.
    fn is_over(&self) -> bool {
        self.found.asked.failure.is_some()
            || self.door.is_refused()
            || self.found.asked.is_enough(self.tables.plan.stop)
    }

    fn report_progress(&self) {
        // Scouting is so short that its counts would only confuse.
        if let (None, Some(progress)) = (&self.scouting, self.options.progress) {
            progress(&Progress {
                unique: self.found.origins.len().into(),
                generated: self.found.at.generated,
                depth: self.found.at.depth,
                frontier: (self.found.origins.len() - self.found.at.level.start).into(),
                memory_bytes: self.budget.memory(self.bytes()),
                elapsed: self.budget.elapsed(),
            });
        }
    }

    /// Asks the properties that look at whole states, or at all actors, about new states. Gives up half-way if there is a reason;
    /// the others are asked about when the exploration is resumed.
    pub(super) fn ask_states(&mut self) -> Option<Why> {
        let all = self.found.origins.len();
        let probes = self.tables.plan.doubt != Doubtful::Nothing;
        while self.found.at.unasked < all
            && self.found.asked.failure.is_none()
            && self.scouting.is_none()
            && (probes || self.found.asked.waits_for_states())
        {
            let (started, unasked) = (Instant::now(), self.found.at.unasked);
            let chunk = self.tempo.chunk.saturating_mul(self.threads() as u32);
            let some = unasked..all.min(unasked.saturating_add(chunk));
            // A small chunk means that properties take long.
            let least = self.tempo.chunk;
            self.found.ask_states((&self.tables, &*self.door), &some, self.pool.as_deref(), least);
            self.found.at.unasked = some.end;
            let took = started.elapsed();
            if took > LONG {
                self.tempo.chunk = (self.tempo.chunk / 2).max(1);
            } else if took < LONG / 8 && self.tempo.chunk < self.pace.chunk {
                self.tempo.chunk *= 2;
            }
            if some.end < all
                && self.found.asked.failure.is_none()
                && let Some(why) = self.budget.look(|| self.bytes())
            {
                return Some(why);
            }
        }
        self.found.at.unasked = all;
        None
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.found.bytes() + self.tables.bytes() + self.door.bytes()
    }
}

/// Threads that share work, if there are more than one.
fn pool(threads: usize) -> Option<rayon::ThreadPool> {
    (threads > 1).then(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.min(1 << 10));
        pool.build().expect("the system has threads")
    })
}
