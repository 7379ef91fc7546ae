//! When ballots begin, and whose. Nothing here is needed for safety.

pub(crate) mod election;
pub(crate) mod lead;
pub(crate) mod retry;
