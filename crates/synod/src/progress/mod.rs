//! The beginning and the end of ballots, and the election of a leader. Nothing here is needed for safety.

pub(crate) mod election;
pub(crate) mod lead;
pub(crate) mod retry;
