//! The rule of admission as a system to explore: disks and their faults, starts, sessions, the knowledge of peers, and
//! a register around them. The functions of `synod-admission` are those that serve. Mutants of the rule live here.

mod changing;
mod claims;
mod file;
mod log;
mod member;
mod process;
mod rules;
mod scene;
mod watch;

pub(crate) use file::rest;

pub use claims::{CLAIMS, Claim, WITNESSES, Witness};
pub use log::{Entry, Log};
pub use member::Member;
pub use process::{Alive, Drive, Fate, Life, Process, Say};
pub use rules::Rule;
pub use scene::Scene;
pub use watch::{Note, Past, View, Watch};

use crate::file::{ModelError, ModelFile};
use crate::judge::Judge;
use stateright::actor::{Envelope, Id};
use std::sync::Arc;
use synod_explore::{Delivery, Faults, Network, System};

/// A model of admission.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The scene.
    pub scene: Arc<Scene>,
    /// The broken rule.
    pub rule: Option<Rule>,
    witnesses: Vec<&'static Witness>,
}

/// Reads a model of admission, if a text is one. Returns it with its file.
///
/// # Errors
/// For anything in it that makes no sense, with its line and column.
pub(crate) fn read(judge: &Judge<'_>) -> Result<Option<(Admission, ModelFile)>, ModelError> {
    if !file::is_it(judge) {
        return Ok(None);
    }
    let file::Admission { scene, rule, witnesses, file } = file::read(judge)?;
    Ok(Some((Admission { scene: Arc::new(scene), rule, witnesses }, file)))
}

impl Admission {
    /// The system to explore.
    pub fn system(&self) -> System<Member, Watch> {
        let Admission { scene, rule, witnesses } = self;
        let actors = vec![Member { scene: Arc::clone(scene), rule: *rule }; scene.members];
        let mut system = System::new(actors, Watch { scene: Arc::clone(scene) });
        system.names = (1..=scene.members).map(|id| format!("M{id}")).collect();
        // Messages may be repeated, reordered, late or lost. A claim that survives this survives any network.
        system.network = Network { delivery: Delivery::Set, loss: false };
        let ask = |(member, value): &(usize, u8)| {
            let id = Id::from(*member);
            Envelope { src: id, dst: id, msg: Say::Ask(*value) }
        };
        system.initial_envelopes = scene.asked.iter().map(ask).collect();
        system.faults = Faults {
            crashable: (0..scene.members).map(|id| scene.crash.contains(&id)).collect(),
            max_down: scene.members,
            max_crashes: Some(scene.crashes),
            absent: Vec::new(),
        };
        system.assert_contract = true;
        system.properties = claims::properties(witnesses);
        system
    }

    /// The faults in it, in a few words.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let Scene { crash, crashes, cut, wiped, alone, elsewhere, log, .. } = &*self.scene;
        let some = |what: &str, ids: &std::collections::BTreeSet<usize>| {
            let names: Vec<_> = ids.iter().map(|id| format!("M{}", id + 1)).collect();
            (!ids.is_empty()).then(|| format!("{} {what}", names.join(" ")))
        };
        let crashing = (!crash.is_empty()).then(|| format!("{crashes} crash"));
        let changes = log.as_ref().map(|log| format!("{} of members", log.number(log.entries.len())));
        let elsewhere = some("elsewhere", elsewhere);
        [crashing, some("cut", cut), some("wiped", wiped), some("alone", alone), elsewhere, changes]
            .into_iter()
            .flatten()
            .collect()
    }
}
