//! Runs any [`stateright::actor::Actor`] over UDP: the loop, the disk and the wire. Knows neither Paxos nor models; it may
//! not depend on `synod`, so that the actors which are explored can only be run as they are.

pub mod changes;
pub mod disk;
pub mod journal;
pub mod refusal;
pub mod sim_disk;
pub mod standing;
pub mod store;
