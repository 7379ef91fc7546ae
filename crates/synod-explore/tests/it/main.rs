//! Every verdict, every reduction, and checkpoints.
//!
//! The tests of this crate are several binaries: in one, the compiler would take twice the memory.

mod asleep;
#[path = "../common/cases.rs"]
mod cases;
mod checkpoints;
#[path = "../common/digest.rs"]
mod digest;
#[path = "../common/erased.rs"]
mod erased;
mod judged;
mod late_boundary;
#[path = "../common/machines.rs"]
mod machines;
mod paxos;
mod reductions;
#[allow(dead_code, reason = "each test binary uses its share")]
mod systems;
mod verdicts;
