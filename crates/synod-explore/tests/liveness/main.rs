//! Liveness: known answers, and random graphs against a decision that tries every set of nodes.

#[path = "../common/climbers.rs"]
mod climbers;
mod eventually;
mod graphs;
mod known;
#[path = "../common/machines.rs"]
mod machines;
mod plainly;
mod random;
mod undecided;
