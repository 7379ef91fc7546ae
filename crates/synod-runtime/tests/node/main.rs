//! The loop, with tiny actors in a simulated world: what it promises to any actor, and how it stops.

mod contract;
mod fairness;
mod first;
mod groups;
mod learning;
mod local;
mod recording;
mod serving;
mod world;
