//! The engine finds what stateright's own search finds.

#[allow(dead_code, reason = "each test binary uses its share")]
mod actors;
#[path = "../common/cases.rs"]
mod cases;
mod differential;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../common/digest.rs"]
mod digest;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../common/erased.rs"]
mod erased;
mod kinds;
#[path = "../common/machines.rs"]
mod machines;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../it/paxos.rs"]
mod paxos;
mod searched;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../it/systems/mod.rs"]
mod systems;
