//! Runs any [`stateright::actor::Actor`] over UDP: the loop, the disk and the wire. This crate knows neither Paxos nor models. It may
//! not depend on `synod`, so that it can run the explored actors only as they are.
//!
//! Start reading at [`node`], the loop. Around it stand [`store`] (durable saves of an actor), [`transport`] (authenticated
//! datagrams between members known by id), [`wire`] (sockets and clock), [`record`] (the flight recorder), and [`sim`], a
//! simulated world in which the same loop runs from a seed.

pub mod admission;
pub mod apart;
pub mod changes;
mod counts;
pub mod disk;
pub mod door;
pub mod groups;
mod ids;
pub mod inbox;
pub mod journal;
pub mod keys;
mod lines;
pub mod node;
pub mod private;
pub mod record;
pub mod refusal;
pub mod sim;
pub mod sim_disk;
pub mod standing;
mod stopped;
pub mod store;
mod timers;
mod timings;
pub mod transport;
mod varint;
pub mod wire;

pub use counts::Counts;
pub use stopped::Stopped;
pub use timings::{Durations, Timings};
