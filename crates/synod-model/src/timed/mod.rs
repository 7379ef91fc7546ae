//! Small timed systems with known answers, which show that time is explored rightly, and a lease in small.
//!
//! Each system has a condition on its durations, worked out by hand in its file. The claim holds if the condition does, and falls at the first
//! tick at which it does not: the catalogue has models on both sides, and a test compares every small combination of durations.

mod file;
mod fischer;
mod gate;
mod lease;
mod master;
mod member;
mod player;
mod server;
mod systems;
mod words;

pub use fischer::{At as OfContender, Contender, Fischer};
pub use gate::{Bar, Gate, Train};
pub use lease::{At as OfHolder, Counted, Holder, Lease, Stands};
pub use master::Master;
pub use member::{Asked, Local, Member, Waited};
pub use player::{At, Player};
pub use server::{Breach, Server};
pub use systems::{CLAIMS, Kind, Timed};
pub use words::{Bell, Say};

use crate::file::{ModelError, ModelFile};
use crate::judge::Judge;

/// Reads a timed model, if a text is one. Returns it with its file.
///
/// # Errors
/// For anything in it that makes no sense, with its line and column.
pub(crate) fn read(judge: &Judge<'_>) -> Result<Option<(Timed, ModelFile)>, ModelError> {
    if judge.place(&["timed"]).is_empty() {
        return Ok(None);
    }
    file::read(judge).map(Some)
}
