//! What a member is at, and what others know of it: the words in which a wiped or older disk shows.

use serde::{Deserialize, Serialize};

/// What a member says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its data directory's id, drawn at random when it was made.
    pub disk: u64,
    /// How many times its data directory was started.
    pub boot: u64,
    /// How many saves it has made durable.
    pub saves: u64,
    /// Whether it takes part.
    pub admitted: bool,
}

/// What a member durably knows of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The data directory it took part with.
    pub disk: u64,
    /// The last start seen.
    pub boot: u64,
    /// The most saves it claimed to have made durable.
    pub saves: u64,
}
