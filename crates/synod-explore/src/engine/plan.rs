//! The plan of an exploration: which reductions and checks it uses, and which options can be combined.
//!
//! This is the only place that decides it; all others ask the [`Plan`].
//!
//! | | sleep sets | dead messages | symmetry | rewritten states | whole states | checkpoints |
//! |---|---|---|---|---|---|---|
//! | dead messages | yes | | | | | yes |
//! | symmetry | off | refused: a dropped message was checked on one actor's steps only | | | | yes |
//! | rewritten states (`System::normal`) | off | refused: no check is possible | refused: no check is possible | | | refused |
//! | bounds of whole states | off | refused: a bound would miss the dropped messages | refused: a bound may name actors | yes | | yes |
//! | properties of whole states | yes | refused | refused | yes | yes | yes |
//! | properties of all actors | yes | yes | refused: no check that they take like actors for alike | yes | yes | yes |
//! | scouts (with dead messages) | off | | | | | before the first |
//!
//! With [`clocks`](crate::clocks), dead messages and rewritten states are refused; the reasons stand there.
//!
//! Hashed keys sum messages if adding a message has the same effect on every inbox (multisets), no message is dropped, and no state vector
//! is rewritten ([`Plan::additive`]). Histories have components unless something rewrites or permutes whole ones ([`Plan::apart`]).

use super::reductions::symmetry::Group;
use crate::Subject;
use crate::network::{Delivery, Faults};
use crate::observer::Observer;
use crate::property::{Check, Expectation};
use crate::report::{Options, Stop};
use crate::system::System;
use std::sync::Arc;

/// The subject of a property, which is asked once about each.
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
    /// An error that it must never find.
    pub always: bool,
}

/// The condition under which the search stops early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopAt {
    /// The search never stops early.
    Exhausted,
    FirstViolation,
    /// The property of this index is decided.
    Property(usize),
}

/// Whatever has a time, in a system with clocks or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    None,
    Timers,
    TimersAndMessages,
}

/// Facts that follow from the system alone.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// The number of actors.
    pub actors: usize,
    pub delivery: Delivery,
    /// True if losing a message is a step.
    pub loss: bool,
    pub faults: Faults,
    pub time: Time,
    /// States are rewritten.
    pub rewrites: bool,
    /// There are bounds of whole states, among them a doubtful boundary that refused a state.
    pub bounds_states: bool,
}

impl World {
    /// True if the system has clocks.
    pub(super) fn is_timed(&self) -> bool {
        self.time != Time::None
    }

    /// True if messages have latest moments.
    pub(super) fn has_delays(&self) -> bool {
        self.time == Time::TimersAndMessages
    }
}

/// Open questions about the functions of a stateright model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubtful {
    /// None: the system comes from no such model.
    Nothing,
    /// Their inputs. Some states are looked at closely.
    Functions,
    /// Their inputs, and the boundary, which was taken for none and may yet refuse a state, so that each state is shown to it.
    Boundary,
}

/// Everything about an exploration that is decided before it starts.
pub(super) struct Plan {
    pub world: World,
    pub properties: Vec<Asks>,
    pub stop: StopAt,
    /// States at this depth are not expanded.
    pub depth: Option<usize>,
    /// Messages that their receivers will never react to are dropped, so that states that differ in nothing else are one.
    pub drops_dead: bool,
    /// The group of permutations of actors that are taken for alike.
    pub symmetry: Option<Arc<Group>>,
    pub doubt: Doubtful,
    /// A property asks about locals.
    pub asks_locals: bool,
}

impl Plan {
    /// Makes the plan. `bounded` says that the boundary of a stateright model counts as one.
    ///
    /// # Errors
    /// If options cannot be combined: why, and how to proceed.
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

    /// A plan without reductions.
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
                time: match system.clocks {
                    None => Time::None,
                    Some(clocks) if clocks.delay.is_none() => Time::Timers,
                    Some(_) => Time::TimersAndMessages,
                },
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

    /// True if a state vector is replaced once it is made: by the least of its orbit, or by that of the rewritten state.
    pub(super) fn rewrites_vectors(&self) -> bool {
        self.symmetry.is_some() || self.world.rewrites
    }

    /// True if state vectors are made of all successors, because something looks at them before it is known whether they are new.
    pub(super) fn with_vectors(&self) -> bool {
        self.rewrites_vectors() || self.world.bounds_states
    }

    /// True if steps that sleep need not be followed.
    pub(super) fn sleeps(&self) -> bool {
        !self.with_vectors()
    }

    /// True if hashed keys are sums over locals and messages, so that the term of a step does not depend on its receivers.
    pub(super) fn additive(&self) -> bool {
        self.world.delivery == Delivery::Multiset && !self.drops_dead && !self.rewrites_vectors()
    }

    /// True if histories may have components.
    pub(super) fn apart(&self) -> bool {
        !self.rewrites_vectors()
    }
}

/// True if the doubtful boundary of a stateright model is asked from the first. With checkpoints it is: each belongs to
/// one exploration, which must not start again once a state is refused. With reductions it is not, as they refuse a boundary.
pub(super) fn is_bounded_from_the_first<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
) -> bool {
    let reduces = options.dead_messages || (options.symmetry && system.symmetry.is_some());
    options.checkpoint.is_some() && !reduces
}

/// The reason why the system cannot be explored with these options, if there is one.
fn refusal<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    options: &Options<'_>,
    bounded: bool,
) -> Option<String> {
    if let Some(words) = system.refuses_time(options.dead_messages) {
        return Some(words);
    }
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
        // Dropped messages are checked on the graph of the least state vectors, where actors have changed places.
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
