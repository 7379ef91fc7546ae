//! The checks of `synod`: the claims of *Paxos Made Simple* as properties of a ghost history, the faults of
//! machines, the mutants that break rules, and the catalogue of models.
//!
//! Everything that could weaken the protocol lives here, outside of it: faults are settings of the environment and
//! mutants are decorators around [`synod::Process`], which itself is never changed.

pub mod admission;
pub mod ballots;
mod build;
mod catalogue;
pub mod claims;
pub mod clock;
mod components;
pub mod election;
mod expected;
mod explain;
mod file;
mod history;
mod judge;
mod keep;
mod leads;
mod ledger;
pub mod liveness;
mod liveness_file;
mod log;
mod log_file;
mod members;
mod merged;
pub mod mutants;
mod near;
mod observer;
mod outcome;
mod permute;
mod plain;
mod premises;
mod progress;
mod rings;
mod roster;
mod run;
mod sense;
mod sequential;
mod spoken;
mod stranger;
pub mod timed;
mod verdict;
mod walk;
pub mod witnesses;

pub use build::{Built, Model};
pub use catalogue::{catalogue, find, from_path};
pub use explain::explain;
pub use file::{Expect, Layout, ModelError, ModelFile, RetryFile, ScenarioFile, Tier};
pub use history::{Call, Evidence, Happened, History, Note};
pub use keep::record;
pub use ledger::Ledger;
pub use observer::{Ghost, Inside};
pub use outcome::{Found, Outcome, Settings};
pub use permute::Exchange;
pub use plain::plain;
pub use run::{Replay, check, checkpoint_file, replay};
pub use sequential::{Asked, Holds, Sequential, Told};
pub use verdict::Verdict;
pub use walk::{Walk, is_of_a_member};
