//! The results of an exploration so far, and its position. A `checkpoint` writes both to a file, from which it can be resumed.

use super::asked::{Asked, Asking};
use super::door::Door;
use super::frontier::Frontier;
use super::key::Layout;
use super::origins::Origins;
use super::plan::Plan;
use super::sets::Seen;
use super::tables::Tables;
use crate::report::{Options, Table};
use std::fs::File;
use std::ops::Range;

/// The frontier may take one in so many bytes of the memory before states wait on disk.
const FRONTIER_SHARE: u64 = 8;

/// The position of an exploration.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The number of successors found, repeats included.
    pub generated: u64,
    /// The depth of the level that is being expanded.
    pub depth: usize,
    /// The depth of the last level for which the work that comes before expanding one was done.
    pub entered: usize,
    /// The states of that level that are still to be expanded.
    pub level: Range<u32>,
    /// The first state of the level.
    pub first_of_level: u32,
    /// The number of states of the present block that are expanded together.
    pub portion: u32,
    /// The first state that the properties of whole states were not asked about.
    pub unasked: u32,
    /// The number of known reactions at the last check of dropped messages.
    pub checked: usize,
    /// A bound cut something off.
    pub pruned: bool,
}

/// The results so far.
pub(super) struct Found {
    /// `None` while a block works on it, and if a state takes more bits than any exact key has.
    pub seen: Option<Seen>,
    pub frontier: Frontier,
    pub origins: Origins,
    pub asked: Asked,
    pub at: Place,
}

impl Found {
    /// The results before anything was found.
    pub(super) fn new(plan: &Plan, options: &Options<'_>, width: usize) -> Self {
        let (seen, layout) = empty(options.table, width);
        Self {
            seen,
            frontier: frontier(layout, options),
            origins: Origins::default(),
            asked: Asked::new(plan),
            at: Place::default(),
        }
    }

    /// Makes room for the numbers there are; false if state vectors have become too wide.
    pub(super) fn fit(&mut self, tables: &Tables) -> bool {
        let counts = tables.counts();
        if !self.frontier.overflows(&counts) {
            return true;
        }
        let kind = self.seen.as_ref().map_or(Table::Exact, Seen::kind);
        if kind != Table::Exact {
            self.widen(tables);
            return true;
        }
        let Some((mut seen, layout)) = Seen::new(kind, &roomy(&counts)) else { return false };
        self.frontier.set_layout(layout);
        if let Some(old) = &mut self.seen {
            old.pour(&tables.columns, tables.width(), &mut seen);
        }
        self.seen = Some(seen);
        true
    }

    /// Makes room in the frontier for the present numbers.
    pub(super) fn widen(&mut self, tables: &Tables) {
        self.frontier.set_layout(Layout::roomy(&roomy(&tables.counts())));
    }

    /// Adds a new state, found by a step of some actor unless it is the first, and asks about everything new in it.
    pub(super) fn add(
        &mut self,
        (tables, door): (&Tables, &dyn Door),
        packed: &[u64],
        (parent, ordinal): (u32, u32),
        actor: Option<usize>,
    ) {
        let state = self.origins.len();
        self.origins.push(parent, ordinal);
        self.frontier.extend(packed);
        let history = self.frontier.layout().get(packed, tables.history_column());
        self.asked.history((tables, door), history, state);
        if tables.plan.asks_locals {
            let actors = tables.actors();
            let mut ask = |actor: usize| {
                let view = self.frontier.layout().get(packed, actor);
                let (local, _) = tables.columns[actor].of[view as usize];
                self.asked.local(door, (actor, local), state);
            };
            match actor.filter(|_| !tables.plan.rewrites_vectors()) {
                Some(actor) if actor < actors => ask(actor),
                Some(_) => {}
                // In the first state, and in a rewritten one, any actor may be new.
                None => (0..actors).for_each(ask),
            }
        }
    }

    /// Asks about whole states, those from one to another; see [`Asked::states`].
    pub(super) fn ask_states(
        &mut self,
        (tables, door): (&Tables, &dyn Door),
        states: &Range<u32>,
        pool: Option<&rayon::ThreadPool>,
        least: u32,
    ) {
        let asking = Asking { tables, door, frontier: &self.frontier };
        self.asked.states(asking, states, pool, least);
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.seen.as_ref().map_or(0, Seen::bytes)
            + self.frontier.bytes()
            + self.origins.bytes()
            + self.asked.bytes()
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

fn frontier(layout: Layout, options: &Options<'_>) -> Frontier {
    let hash = match options.table {
        Table::Exact => 0,
        Table::Fingerprint64 => 1,
        Table::Fingerprint128 => 2,
    };
    Frontier::new((layout, hash), 0, spill_file(options), frontier_bytes(options))
}

/// Adds half of each count, so that making room is rare.
fn roomy(counts: &[u64]) -> Vec<u64> {
    counts.iter().map(|count| count + count / 2 + 1).collect()
}

/// An unnamed file for states that do not fit into memory. That the folder takes one was seen at the
/// start. If it no longer does, everything stays in memory, which is limited.
fn spill_file(options: &Options<'_>) -> Option<File> {
    tempfile::tempfile_in(options.spill?).ok()
}

fn frontier_bytes(options: &Options<'_>) -> usize {
    options.memory.map_or(usize::MAX, |memory| (memory / FRONTIER_SHARE) as usize)
}
