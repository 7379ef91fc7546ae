//! The way to the cluster, as the connections need it. The module itself guarantees nothing.

use crate::reply::Reply;
use std::future::Future;
use synod_machine::{StoreCommand, StoreOutput};

/// Something that has commands done.
pub trait Submit: Clone + Send + Sync + 'static {
    /// Has a command done, once at most. A command that only asks is answered with all that was acknowledged before.
    fn submit(&self, command: StoreCommand) -> impl Future<Output = Result<StoreOutput, SubmitError>> + Send;

    /// The number of groups among which keys are divided. A command is done in one of them.
    fn groups(&self) -> usize {
        1
    }
}

/// The reasons for which there is no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The outcome is not known: the command may have taken effect, or may yet.
    Unknown(String),
    /// It was not done, for the moment there is too much to do.
    Busy(String),
    /// It was not done.
    Refused(String),
    /// It was not done, since its keys are of several groups.
    Across(String),
}

impl SubmitError {
    /// The reply that says so.
    pub(crate) fn reply(&self) -> Reply {
        Reply::Error(match self {
            SubmitError::Unknown(why) => format!("UNKNOWN the command may have taken effect: {why}"),
            SubmitError::Busy(why) => format!("BUSY nothing was done: {why}"),
            SubmitError::Refused(why) => format!("ERR nothing was done: {why}"),
            // Clients know this word from clusters of Redis.
            SubmitError::Across(why) => format!("CROSSSLOT nothing was done: {why}"),
        })
    }
}
