//! A sequence of instances, executed in order (PMS §3): what a server adds to its roles where it keeps a log.

pub(crate) mod answering;
pub(crate) mod changes;
pub(crate) mod confirm;
pub(crate) mod forgetting;
pub(crate) mod lease;
pub(crate) mod mastery;
pub(crate) mod membership;
pub(crate) mod replica;
mod sealing;
pub(crate) mod sequence;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod views;
