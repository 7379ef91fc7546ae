//! The engine against stateright's own, every verdict, and everything that reads or shows a run.

mod actors;
mod asleep;
mod checkpoints;
mod diagrams;
mod differential;
mod explorer;
mod hints;
mod judged;
mod kinds;
mod liveness;
mod machines;
mod paxos;
mod reductions;
mod systems;
mod traces;
mod verdicts;
mod walks;
