//! What is done in an exploration, and which options go together.
//!
//! This is the only place that decides it: everybody else asks the [`Plan`].
//!
//! | | sleep sets | dead messages | symmetry | rewritten states | whole states | checkpoints |
//! |---|---|---|---|---|---|---|
//! | dead messages | yes | | | | | yes |
//! | symmetry | off | refused: what one of the like actors ignores was checked on its own steps only | | | | yes |
//! | rewritten states (`System::normal`) | off | refused: nobody could check | refused: nobody could check | | | refused |
//! | bounds of whole states | off | refused: a message that is left out is missing there | refused: so are the others' places | yes | | yes |
//! | properties of whole states | yes | refused | refused | yes | yes | yes |
//! | properties of all actors | yes | yes | refused: nobody could check that they take like actors for alike | yes | yes | yes |
//! | scouts (with dead messages) | off | | | | | before the first |
//!
//! Keys that are hashed are sums over messages where adding a message does the same to every inbox (multisets), nothing is left out and
//! no state vector is rewritten ([`Plan::additive`]). Histories come apart unless something rewrites or permutes whole ones ([`Plan::apart`]).

use super::reductions::symmetry::Group;
use crate::Subject;
use crate::network::{Delivery, Faults};
use crate::observer::Observer;
use crate::property::{Check, Expectation};
use crate::report::{Options, Stop};
use crate::system::System;
use std::sync::Arc;

/// What a property is asked about, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    History,
    Note,
    Local,
    Locals,
    State,
}

/// A property, as far as the search has to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asks {
    pub of: Of,
    /// Something it must never find.
    pub always: bool,
}

/// When the search stops although there may be more to explore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopAt {
    /// Never.
    Exhausted,
    FirstViolation,
    /// When this property is decided, by index.
    Property(usize),
}

/// What follows from the system alone.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// How many actors there are.
    pub actors: usize,
    pub delivery: Delivery,
    /// Whether losing a message is a step.
    pub loss: bool,
    pub faults: Faults,
    /// States are rewritten.
    pub rewrites: bool,
    /// There are bounds of whole states, among them what may be one and refused a state.
    pub bounds_states: bool,
}

/// What has to be found out about the functions of a stateright model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubtful {
    /// Nothing: it is no such model.
    Nothing,
    /// What they look at. States are looked at closely now and then.
    Functions,
    /// That, and whether its boundary is one. It was taken for none and may yet refuse a state, so that each state is shown to it.
    Boundary,
}

/// Everything about an exploration that is decided before it begins.
pub(super) struct Plan {
    pub world: World,
    pub properties: Vec<Asks>,
    pub stop: StopAt,
    /// States at this depth are not left.
    pub depth: Option<usize>,
    /// Messages that their receivers will never react to are left out of state vectors, so that states that differ in nothing else are one.
    pub drops_dead: bool,
    /// Which actors are taken for alike.
    pub symmetry: Option<Arc<Group>>,
    pub doubt: Doubtful,
    /// A property asks about locals.
    pub asks_locals: bool,
}

impl Plan {
    /// Decides what is done, with the boundary of a stateright model for one or not (`bounded`).
    ///
    /// # Errors
    /// Why options do not go together, with what to do about it.
    pub(super) fn of<A: Subject, O: Observer<A>>(
        system: &System<A, O>,
        options: &Options<'_>,
        bounded: bool,
    ) -> Result<Self, String> {
        refusal(system, options, bounded).map_or(Ok(()), Err)?;
        let mut plan = Self::whole(system, bounded);
        let actors = system.actors.len();
        plan.drops_dead = options.dead_messages;
        let symmetry = system.symmetry.as_ref().filter(|_| options.symmetry);
        plan.symmetry = symmetry.map(|symmetry| Arc::new(Group::new(symmetry.group(actors), actors)));
        plan.stop = match &options.stop {
            Stop::Exhausted => StopAt::Exhausted,
            Stop::FirstViolation => StopAt::FirstViolation,
            Stop::Violation(name) => system
                .properties
                .iter()
                .position(|property| property.name == name)
                .map_or(StopAt::Exhausted, StopAt::Property),
        };
        Ok(plan)
    }

    /// Nothing is reduced, and everything is explored.
    pub(super) fn whole<A: Subject, O: Observer<A>>(system: &System<A, O>, bounded: bool) -> Self {
        let asks = system.properties.iter().map(|property| Asks {
            of: match property.check {
                Check::History(_) => Of::History,
                Check::Note(_) => Of::Note,
                Check::Local(_) => Of::Local,
                Check::Locals(_) => Of::Locals,
                Check::State(_) => Of::State,
            },
            always: property.expectation == Expectation::Always,
        });
        Self {
            world: World {
                actors: system.actors.len(),
                delivery: system.network.delivery,
                loss: system.network.loss,
                faults: system.faults.clone(),
                rewrites: system.normal.is_some(),
                bounds_states: system.bounds.state.is_some() || (bounded && system.doubt.is_some()),
            },
            asks_locals: system.properties.iter().any(|property| matches!(property.check, Check::Local(_))),
            properties: asks.collect(),
            stop: StopAt::Exhausted,
            depth: system.bounds.depth,
            drops_dead: false,
            symmetry: None,
            doubt: match system.doubt {
                None => Doubtful::Nothing,
                Some(_) if bounded => Doubtful::Functions,
                Some(_) => Doubtful::Boundary,
            },
        }
    }

    /// Whether a state vector is another one once it is made: the least of its like, or what its state is rewritten to.
    pub(super) fn rewrites_vectors(&self) -> bool {
        self.symmetry.is_some() || self.world.rewrites
    }

    /// Whether state vectors are made of all successors, because something looks at them before it is known whether they are new.
    pub(super) fn with_vectors(&self) -> bool {
        self.rewrites_vectors() || self.world.bounds_states
    }

    /// Whether steps that sleep need not be followed.
    pub(super) fn sleeps(&self) -> bool {
        !self.with_vectors()
    }

    /// Whether hashed keys are sums over locals and messages, so that what a step adds to them is known without its receivers.
    pub(super) fn additive(&self) -> bool {
        self.world.delivery == Delivery::Multiset && !self.drops_dead && !self.rewrites_vectors()
    }

    /// Whether histories may come apart.
    pub(super) fn apart(&self) -> bool {
        !self.rewrites_vectors()
    }
}

/// Whether the boundary of a stateright model, which may be none, is asked from the first. It is where there are checkpoints: each is of
/// one exploration, which must not begin anew once a state was refused. But not for reductions, which refuse a boundary.
pub(super) fn is_bounded_from_the_first<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
) -> bool {
    let reduces = options.dead_messages || (options.symmetry && system.symmetry.is_some());
    options.checkpoint.is_some() && !reduces
}

/// Why the system cannot be explored in the way that was asked for, if so.
fn refusal<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
    bounded: bool,
) -> Option<String> {
    if let Some(checkpoint) = &options.checkpoint {
        if system.normal.is_some() {
            return Some(
                "states are rewritten, so that there can be no checkpoint: switch one of the two off"
                    .to_owned(),
            );
        }
        if !checkpoint.resume && checkpoint.file.exists() {
            let file = checkpoint.file.display();
            return Some(format!(
                "there is a checkpoint already, {file}: go on from it, or remove it to begin anew"
            ));
        }
    }
    let symmetry = options.symmetry && system.symmetry.is_some();
    if symmetry && options.dead_messages {
        // The graph on which left out messages are checked is that of the least state vectors, where actors have changed places.
        return Some(
            "messages cannot be left out where like actors are taken for one, as what one of them ignores was checked on its \
             own steps only: switch one of the two off"
                .to_owned(),
        );
    }
    let what = match (symmetry, options.dead_messages) {
        (true, _) => "one state stand for all that are like it",
        (false, true) => "messages be left out",
        (false, false) => return None,
    };
    let asks = |of: fn(&Check<A, O>) -> bool| system.properties.iter().any(|property| of(&property.check));
    if symmetry && asks(|check| matches!(check, Check::Locals(_))) {
        return Some(
            "a property looks at all actors together, and nobody could check that it takes like ones for alike: switch symmetry \
             off, or ask the history instead"
                .to_owned(),
        );
    }
    let bounds_states = system.bounds.state.is_some() || (bounded && system.doubt.is_some());
    if bounds_states || asks(|check| matches!(check, Check::State(_))) {
        return Some(format!(
            "a property or a bound looks at whole states, so that in none can {what}: switch that off"
        ));
    }
    let rewritten = system.normal.is_some();
    rewritten.then(|| {
        format!(
            "states are rewritten, so that nobody could check whether in them can {what}: switch that off"
        )
    })
}
