//! Everything that reads or shows a run: traces, diagrams, the Explorer, and walks.

#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../stateright/actors.rs"]
mod actors;
mod diagrams;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../common/erased.rs"]
mod erased;
mod explorer;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../it/paxos.rs"]
mod paxos;
mod traces;
mod walks;
