//! Runs any [`stateright::actor::Actor`] over UDP: the loop, the disk and the wire. Knows neither Paxos nor models.
//!
//! This crate is a skeleton: it fixes the dependency direction (it may not depend on `synod`), so that the
//! actors which are explored can only be run as they are.
