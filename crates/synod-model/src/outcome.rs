//! The settings of a check and its outcome.

use crate::build::Model;
use crate::verdict::Verdict;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use synod_explore::{Progress, Status, Table, Why};

/// The settings of a check.
pub struct Settings<'a> {
    /// Threads to explore with.
    pub threads: usize,
    /// Time for one model.
    pub time: Option<Duration>,
    /// Memory for one model, in bytes.
    pub memory: Option<u64>,
    /// Explore with stateright's own breadth-first search instead of ours.
    pub stateright: bool,
    /// Never stop early: find the shortest fall of every claim.
    pub exhaust: bool,
    /// Make use of the reductions that the model declares. Without them the verdict must be the same.
    pub reduce: bool,
    /// The table of states that were seen.
    pub table: Table,
    /// A folder in which states wait that do not fit into memory.
    pub spill: Option<&'a Path>,
    /// A folder for checkpoints, one a model, and whether to go on from those that are there.
    pub checkpoints: Option<(&'a Path, bool)>,
    /// Set to stop.
    pub interrupt: Option<&'a AtomicBool>,
    /// Called now and then.
    pub progress: Option<&'a (dyn Fn(&Progress) + Sync)>,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        let (time, memory, interrupt, progress) = (None, None, None, None);
        let (stateright, exhaust, reduce) = (false, false, true);
        Settings {
            threads: 1,
            time,
            memory,
            stateright,
            exhaust,
            reduce,
            table: Table::Exact,
            spill: None,
            checkpoints: None,
            interrupt,
            progress,
        }
    }
}

/// The result of checking one model.
// Fields: one for each figure or text that some report shows.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The model's name.
    pub model: String,
    /// The verdict that its file expects.
    pub expected: Verdict,
    /// The verdict.
    pub verdict: Verdict,
    /// More about the verdict, in words: the bound, what was not reached, what the panic said.
    pub detail: Option<String>,
    /// True if all came out as the file expects.
    pub ok: bool,
    /// True if nothing was explored, since what was asked for cannot be done: mostly because a checkpoint is unusable.
    pub refused: bool,
    /// The complaints: what did not come out as the file expects.
    pub complaints: Vec<String>,
    /// True if only figures differ, that is counts of states and lengths of traces, so that writing them anew is enough.
    pub only_figures: bool,
    /// Each property and what is known of it.
    pub properties: Vec<Found>,
    /// Claims that were not put to the test although they speak about something that there is in the model; of a model that was
    /// explored to its end.
    pub hollow: Vec<&'static str>,
    /// Distinct states.
    pub unique_states: u64,
    /// Successors, repeats included.
    pub generated_states: u64,
    /// States on the longest shortest path.
    pub depth: usize,
    /// The odds that a state was missed.
    pub missed_state_odds: f64,
    /// The time that it took.
    pub elapsed: Duration,
    /// The memory that it took, in bytes.
    pub memory_bytes: u64,
    /// The counterexample, in the trace grammar.
    pub trace: Option<String>,
    /// The number of its steps; of a lasso, to its cycle and around it once.
    pub steps: Option<usize>,
    /// The file to which the counterexample was written, if it was.
    pub trace_file: Option<String>,
}

/// The result for one property.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub name: &'static str,
    /// Its status.
    pub status: Status,
    /// The breach, in words.
    pub detail: Option<String>,
    /// Steps of the shortest trace to it; of a lasso, those of its stem.
    pub steps: Option<usize>,
    /// Steps of the lasso's cycle.
    pub cycle: Option<usize>,
}

/// The reason why a search gave up, in words; and the missing bound, if no search could ever come to an end.
pub(crate) fn gave_up(model: &Model, why: Why) -> String {
    let missing = model.has_no_end().map(|missing| format!("; {missing}")).unwrap_or_default();
    match why {
        Why::Time => format!("time ran out{missing}"),
        Why::Memory => format!("memory ran out{missing}"),
        Why::Width => "a state is too wide for an exact table; --table 128 has fingerprints".to_owned(),
        Why::Interrupted => "it was interrupted".to_owned(),
        Why::Disk(error) => format!("the disk on which states wait failed: {error}"),
        Why::Stopped => "it stopped before all was decided".to_owned(),
        Why::Liveness => "what must come about was not looked at".to_owned(),
    }
}
