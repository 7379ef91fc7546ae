//! The place where a member's loop puts its status.

use super::told::Status;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The place where a member's loop puts its status, for readers on other threads.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Option<Latest>>>);

/// A status and the time when it came.
type Latest = (Instant, Arc<Status>);

/// A loop that has not told anything for so long hangs.
const HANGS: Duration = Duration::from_secs(5);

impl Board {
    pub(crate) fn put(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::new(status)));
    }

    /// The latest status; `None` before the first.
    pub fn read(&self) -> Option<Arc<Status>> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map(|(_, status)| status.clone())
    }

    /// The reason why the member should not be asked now, if there is one.
    pub fn not_ready(&self) -> Option<String> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((at, status)) = latest else { return Some("it starts".to_owned()) };
        let silent = at.elapsed();
        if silent > HANGS {
            return Some(format!("its loop has been busy with one thing for {} s", silent.as_secs()));
        }
        status.not_ready()
    }
}
