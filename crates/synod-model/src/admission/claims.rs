//! The claims about admission, and the hard cases that a scene must reach.

use super::member::Member;
use super::watch::{Note, Past, Watch};
use synod_explore::Property;

/// A sign that shows in a run, or in one step of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shows {
    Past(fn(&Past) -> bool),
    Step(fn(&Note) -> bool),
}

/// A claim.
#[derive(Debug)]
pub struct Claim {
    /// Its name.
    pub name: &'static str,
    /// Its sentence.
    pub says: &'static str,
    holds: fn(&Past) -> Result<(), String>,
    /// Its premise, by a name of its own, and the sign of that.
    premise: (&'static str, Shows),
}

/// A hard case.
#[derive(Debug)]
pub struct Witness {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub says: &'static str,
    shows: Shows,
}

/// The claims; `proofs-notes/disks.md` argues for them.
pub static CLAIMS: [Claim; 6] = [
    Claim {
        name: "one-directory",
        says: "of two directories of a member at most one ever takes part, unless the log does not name it and each peer's disk was at fault",
        holds: Past::one_directory,
        premise: ("a directory was new", Shows::Step(Note::is_new)),
    },
    Claim {
        name: "never-listened-to",
        says: "nobody steps a message of a member that lacks a vote on which something of its own rests",
        holds: Past::never_listened_to,
        premise: ("a vote was stepped that may be lost", Shows::Step(Note::stepped)),
    },
    Claim {
        name: "never-behind",
        says: "nobody who has answered a member that takes part rests on a vote that it lacks",
        holds: Past::never_behind,
        premise: ("something rests on a vote that may be lost", Shows::Past(Past::acted)),
    },
    Claim {
        name: "noticed",
        says: "who comes to take part without a vote that somebody acted on was told by a majority that it did not, unless the cluster began anew",
        holds: Past::noticed,
        premise: ("somebody came to take part", Shows::Step(Note::took_part)),
    },
    Claim {
        name: "one-value",
        says: "clients are told one value, unless one took part without a vote on which somebody rests who had not answered it",
        holds: Past::one_value,
        premise: ("a client was told", Shows::Past(Past::told)),
    },
    Claim {
        name: "no-false-alarm",
        says: "a member whose disk was never at fault is never told that it lacks anything",
        holds: Past::no_false_alarm,
        premise: ("somebody who had been down came to take part", Shows::Step(Note::took_part)),
    },
];

/// The hard cases.
pub static WITNESSES: [Witness; 10] = [
    Witness { name: "told", says: "a client is told", shows: Shows::Past(Past::told) },
    Witness {
        name: "lacks",
        says: "a member hears that it lacks something",
        shows: Shows::Step(Note::lacks),
    },
    Witness {
        name: "lost",
        says: "a member takes part without a vote that it cast",
        shows: Shows::Past(Past::lost),
    },
    Witness {
        name: "excused",
        says: "somebody rests on that vote, and has not answered",
        shows: Shows::Past(Past::excused),
    },
    Witness {
        name: "forgotten",
        says: "a client was told what rests on a vote, and whoever told it crashed before that was durable",
        shows: Shows::Past(Past::forgotten),
    },
    Witness {
        name: "two-values",
        says: "and clients are told two values",
        shows: Shows::Past(Past::two_values),
    },
    Witness {
        name: "another-directory",
        says: "a member takes part with a directory that is not its first",
        shows: Shows::Step(Note::another_directory),
    },
    Witness {
        name: "learned",
        says: "a member learns what was chosen, and takes part then",
        shows: Shows::Step(Note::learned),
    },
    Witness {
        name: "taught",
        says: "a member that only learns tells what was chosen",
        shows: Shows::Step(Note::teaches),
    },
    Witness {
        name: "executed",
        says: "all that a log has was executed",
        shows: Shows::Past(Past::executed_all),
    },
];

fn sometimes(name: &'static str, shows: Shows) -> Property<Member, Watch> {
    match shows {
        Shows::Past(shows) => Property::sometimes_history(name, shows),
        Shows::Step(shows) => Property::sometimes_note(name, shows),
    }
}

/// Every claim with what it speaks about, and these witnesses.
pub(super) fn properties(witnesses: &[&'static Witness]) -> Vec<Property<Member, Watch>> {
    let claims = CLAIMS.iter().map(|claim| Property::always_history(claim.name, claim.holds));
    let witnesses = witnesses.iter().map(|witness| sometimes(witness.name, witness.shows));
    let premises =
        CLAIMS.iter().map(|claim| sometimes(claim.premise.0, claim.premise.1).premise_of(claim.name));
    claims.chain(witnesses).chain(premises).collect()
}
