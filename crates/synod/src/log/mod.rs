//! A sequence of instances, executed in order (PMS §3): what a server adds to its roles where it keeps a log.

pub(crate) mod confirm;
pub(crate) mod forgetting;
pub(crate) mod replica;
pub(crate) mod sequence;
pub(crate) mod snapshot;
pub(crate) mod state;
