//! Guarantees that whoever follows the changes of keys sees each of them once, in order, or learns that some are no longer kept.

use crate::client::Client;
use crate::error::Error;
use crate::requests::{self, Changed};
use std::time::{Duration, Instant};
use synod_machine::{Blob, Change};

/// The pauses between two questions where nothing changes: they double from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// A place in the sequence of changes.
pub struct Watch {
    client: Client,
    prefix: Blob,
    after: u64,
    pause: Duration,
}

/// The reasons why changes could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchError {
    /// Changes after the version that was seen last are not kept any more. Read the keys anew, and watch from `oldest` on.
    Truncated {
        /// The oldest version after which changes are kept.
        oldest: u64,
    },
    /// The cluster could not be asked. The place is the same as before, so asking again leaves no gap.
    Failed(Error),
}

impl std::fmt::Display for WatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WatchError::Truncated { oldest } => write!(
                f,
                "changes up to version {oldest} are not kept any more, so some were missed; read the keys anew and watch from version \
                 {} on",
                oldest.saturating_add(1)
            ),
            WatchError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WatchError {}

impl Watch {
    /// Follows the changes of keys with a prefix after a version: 0 for all.
    pub fn after(client: Client, prefix: impl Into<Blob>, version: u64) -> Watch {
        Watch { client, prefix: prefix.into(), after: version, pause: FIRST_PAUSE }
    }

    /// Follows the changes of keys with a prefix from now on.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub fn from_now(client: Client, prefix: impl Into<Blob>) -> Result<Watch, Error> {
        let version = client.run(requests::latest())?;
        Ok(Watch::after(client, prefix, version))
    }

    /// The version up to which all changes were seen.
    pub fn version(&self) -> u64 {
        self.after
    }

    /// The next changes, oldest first. Waits for some, but no longer than `most`: then there are none.
    ///
    /// # Errors
    /// Some were missed, or the cluster cannot be asked.
    pub fn next(&mut self, most: Duration) -> Result<Vec<Change>, WatchError> {
        let began = Instant::now();
        loop {
            let told = self.client.changes(self.prefix.clone(), self.after).map_err(WatchError::Failed)?;
            let (changes, last) = match told {
                Changed::Truncated { oldest } => return Err(WatchError::Truncated { oldest }),
                Changed::Changes { changes, last } => (changes, last),
            };
            self.after = last;
            if !changes.is_empty() {
                self.pause = FIRST_PAUSE;
                return Ok(changes);
            }
            let left = most.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(changes);
            }
            std::thread::sleep(self.pause.min(left));
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }
}
