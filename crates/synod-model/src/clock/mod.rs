//! Times to live and settings, as a system to explore: members that tell the time and their settings, a log that takes what they tell at any later moment, and replicas
//! that execute it. [`Teller`](synod_apply::Teller) and [`Served`](synod_apply::Served) are those that serve. Mutants of the rule live here.
//!
//! The log stands for what the models of the roles show of it: one order of commands, of which each replica executes a beginning (B0, X1).
//! Any member may tell either at any moment, so every change of leaders is among the runs, with any number of leaders at once. What
//! was told is chosen at any later moment, or never. The milliseconds of the world pass between any two steps.

mod claims;
mod file;
mod replay;
mod scene;
mod world;

pub use claims::{CLAIMS, Claim, WITNESSES, Witness};
pub use scene::{Asked, Rule, Scene};
pub use world::{Act, World, Worlds};

use crate::file::{ModelError, ModelFile};
use crate::judge::Judge;
use std::sync::Arc;
use synod_explore::System;

/// A model of times to live.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The scene.
    pub scene: Arc<Scene>,
    witnesses: Vec<&'static Witness>,
}

/// Reads a model of times to live, if a text is one. Returns it with its file.
///
/// # Errors
/// For anything in it that makes no sense, with its line and column.
pub(crate) fn read(judge: &Judge<'_>) -> Result<Option<(Clock, ModelFile)>, ModelError> {
    if judge.place(&["clock"]).is_empty() {
        return Ok(None);
    }
    let (scene, witnesses, file) = file::read(judge)?;
    Ok(Some((Clock { scene: Arc::new(scene), witnesses }, file)))
}

impl Clock {
    /// The system to explore. Its one actor is the world, and each of its timers is something that may happen next.
    pub fn system(&self) -> System<Worlds, ()> {
        let mut system = System::new(vec![Worlds::new(Arc::clone(&self.scene))], ());
        system.names = vec!["World".to_owned()];
        system.properties = claims::properties(&self.witnesses);
        system
    }

    /// The faults in it, in a few words.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let ahead = self.scene.ahead.iter().enumerate().filter(|(_, by)| **by > 0);
        ahead.map(|(member, by)| format!("M{} {by} ms ahead", member + 1)).collect()
    }
}
