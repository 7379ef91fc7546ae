//! The claims about times to live, and the hard cases that a scene must reach.

use super::world::{Given, Member, World, Worlds};
use std::collections::BTreeSet;
use std::sync::Arc;
use synod_explore::{Local, Property};
use synod_machine::Settings;

/// A claim.
#[derive(Debug)]
pub struct Claim {
    /// Its name.
    pub name: &'static str,
    /// Its sentence.
    pub says: &'static str,
    holds: fn(&World) -> Result<(), String>,
    /// Its premise, by a name of its own, and the sign of that.
    premise: (&'static str, fn(&World) -> bool),
}

/// A hard case.
#[derive(Debug)]
pub struct Witness {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub says: &'static str,
    shows: fn(&World) -> bool,
}

/// The claims; `proofs-notes/runtime.md` argues for them.
pub static CLAIMS: [Claim; 6] = [
    Claim {
        name: "not-early",
        says: "no replica takes a key or a grant for over before its time has passed since a replica first executed it",
        holds: not_early,
        premise: ("a key or a grant with a time was executed", |world| {
            !world.puts.is_empty() || !world.grants.is_empty()
        }),
    },
    Claim {
        name: "one-answer",
        says: "all replicas that have executed the same commands give the same answers, whenever they are asked",
        holds: |world| match world.differs {
            Some(executed) => {
                Err(format!("two answers after {executed} commands: {:?}", views(world, executed)))
            }
            None => Ok(()),
        },
        premise: ("two replicas have executed the same commands", |world| {
            let [first, rest @ ..] = world.members.as_slice() else { return false };
            first.executed > 0 && rest.iter().any(|member| member.executed == first.executed)
        }),
    },
    Claim {
        name: "over-for-ever",
        says: "a grant that a replica took for over is over for all replicas that have executed as much",
        holds: |world| match world.ended.came_back {
            Some(token) => Err(format!("token {token} came back")),
            None => Ok(()),
        },
        premise: ("a grant was over", gone),
    },
    Claim {
        name: "not-ahead",
        says: "no store's clock is ahead of the world's time",
        holds: |world| match world.members.iter().find(|member| member.view.clock > world.now) {
            Some(Member { view, .. }) => {
                Err(format!("a store's clock stands at {} ms, and it is {} ms", view.clock, world.now))
            }
            None => Ok(()),
        },
        premise: ("a store's clock was moved", |world| {
            world.members.iter().any(|member| member.view.clock > 0)
        }),
    },
    Claim {
        name: "fenced",
        says: "a write that is guarded by a grant's token has no effect once the grant is over or another was given",
        holds: |world| match world.guarded.late {
            Some(token) => Err(format!("a write under token {token} was done too late")),
            None => Ok(()),
        },
        premise: ("a guarded write was done", |world| !world.guarded.written.is_empty()),
    },
    Claim {
        name: "answered-once",
        says: "every copy of a command is answered as the first one was, executed or refused, whatever the settings are by then",
        holds: |world| match world.answers.otherwise {
            Some(asked) => Err(format!("client {} was told two things of its command", asked + 1)),
            None => Ok(()),
        },
        premise: ("a copy of a command was executed", |world| world.answers.is_repeated),
    },
];

/// The hard cases.
pub static WITNESSES: [Witness; 6] = [
    Witness {
        name: "gone",
        says: "a key or a grant is over by its time, and one replica does not know it yet",
        shows: |world| gone(world) && world.members.iter().any(|member| member.executed < world.log.len()),
    },
    Witness {
        name: "granted-again",
        says: "a lock whose grant was over went to another owner",
        shows: |world| world.grants.len() > 1,
    },
    Witness {
        name: "older-tick",
        says: "a tick was executed whose teller read its clock before that of an earlier tick",
        shows: |world| world.is_late,
    },
    Witness {
        name: "fenced-off",
        says: "a guarded write was refused, and one under a later token was done",
        shows: |world| {
            world.guarded.fenced.iter().any(|fenced| world.guarded.written.iter().any(|token| token > fenced))
        },
    },
    Witness {
        name: "settings-changed",
        says: "two replicas go by the settings of different members, since one has executed less",
        shows: |world| {
            // A scene with settings of its own has shorter values than the default.
            let default = Settings::default().lengths.value;
            let values = world.members.iter().map(|member| member.view.value);
            let told: BTreeSet<_> = values.filter(|value| *value < default).collect();
            told.len() > 1
        },
    },
    Witness {
        name: "refused-still",
        says: "a copy of a command that was refused is executed where the settings admit it",
        shows: |world| world.answers.is_refused_still,
    },
];

fn views(world: &World, executed: usize) -> Vec<super::replay::View> {
    world.members.iter().filter(|member| member.executed == executed).map(|member| member.view).collect()
}

/// The last of the times that a member has executed.
fn last<'g>(all: impl Iterator<Item = &'g Given>, member: &Member) -> Option<&'g Given> {
    all.filter(|given| given.place < member.executed).max_by_key(|given| given.place)
}

fn gone(world: &World) -> bool {
    world.members.iter().any(|member| {
        let is_put = last(world.puts.iter(), member).is_some();
        let is_granted = last(world.grants.iter().map(|(_, given)| given), member).is_some();
        (is_put && !member.view.is_there) || (is_granted && member.view.token.is_none())
    })
}

fn not_early(world: &World) -> Result<(), String> {
    for member in &world.members {
        let is_early = |given: &Given| world.now < given.since + given.time;
        if let Some(given) = last(world.puts.iter(), member).filter(|given| is_early(given))
            && !member.view.is_there
        {
            return Err(format!(
                "the key of {} ms that was executed at {} ms is over at {} ms",
                given.time, given.since, world.now
            ));
        }
        let grant = world.grants.iter().rfind(|(_, given)| given.place < member.executed);
        if let Some((token, given)) = grant.filter(|(_, given)| is_early(given))
            && member.view.token != Some(*token)
        {
            return Err(format!(
                "the grant of {} ms that was executed at {} ms is over at {} ms",
                given.time, given.since, world.now
            ));
        }
    }
    Ok(())
}

fn world(locals: &[Arc<Local<Worlds>>]) -> Option<&World> {
    locals.first()?.state.as_deref()
}

/// Every claim with what it speaks about, and these witnesses.
pub(super) fn properties(witnesses: &[&'static Witness]) -> Vec<Property<Worlds, ()>> {
    let claims = CLAIMS
        .iter()
        .map(|claim| Property::always_locals(claim.name, |locals| world(locals).map_or(Ok(()), claim.holds)));
    let sometimes = |name, shows: fn(&World) -> bool| {
        Property::sometimes_locals(name, move |locals| world(locals).is_some_and(shows))
    };
    let witnesses = witnesses.iter().map(|witness| sometimes(witness.name, witness.shows));
    let premises =
        CLAIMS.iter().map(|claim| sometimes(claim.premise.0, claim.premise.1).premise_of(claim.name));
    claims.chain(witnesses).chain(premises).collect()
}
