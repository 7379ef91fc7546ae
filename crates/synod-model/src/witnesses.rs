//! Witnesses: hard cases that a model must reach before its verdict means anything. A model that names one and never
//! reaches it is vacuous.

use crate::history::{Happened, History, Note};
use std::collections::BTreeSet;
use synod::{AcceptorSet, Ballot, Change, Instance, LogEntry, Quorums, Value};

/// The sign of a witness.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// By something that happens in a step.
    Step(fn(&Happened) -> bool),
    /// By the history; the last argument is the number of learners.
    History(fn(&Quorums, &History, usize) -> bool),
}

/// The name of the property that a hard case is out of reach.
pub fn never(witness: &Witness) -> &'static str {
    match witness.name {
        "chosen" => "never chosen",
        "learned" => "never learned by all",
        "informed" => "never learned",
        _ => "never reached",
    }
}

/// One hard case.
#[derive(Debug)]
pub struct Witness {
    /// The name used in model files.
    pub name: &'static str,
    /// The meaning of having seen it.
    pub says: &'static str,
    /// The sign by which it is recognised.
    pub sign: Sign,
}

/// All hard cases that a model file can ask for.
pub const WITNESSES: [Witness; 36] = [
    Witness {
        name: "chosen",
        says: "a value was chosen",
        sign: Sign::History(|q, h, _| h.chosen(q).next().is_some()),
    },
    Witness {
        name: "learned",
        says: "every learner learned a value",
        sign: Sign::History(|_, h, learners| {
            let who: BTreeSet<_> = h.learned.iter().map(|(learner, ..)| learner).collect();
            learners > 0 && who.len() == learners
        }),
    },
    Witness {
        name: "served",
        says: "a client got its answer",
        sign: Sign::Step(|e| matches!(e, Happened::Served)),
    },
    Witness {
        name: "unset",
        says: "a client was told that nothing was chosen",
        sign: Sign::Step(|e| matches!(e, Happened::Told(_, _, _, None))),
    },
    Witness {
        name: "adopted",
        says: "a value was adopted from an earlier ballot",
        sign: Sign::Step(|e| matches!(e, Happened::Issued { reported: true, own: false, .. })),
    },
    Witness {
        name: "bound",
        says: "a proposal was bound by one of an earlier ballot, perhaps of the same value",
        sign: Sign::Step(|e| matches!(e, Happened::Issued { reported: true, .. })),
    },
    Witness {
        name: "informed",
        says: "some learner learned a value",
        sign: Sign::History(|_, h, _| !h.learned.is_empty()),
    },
    Witness {
        name: "raced",
        says: "two ballots raced: a proposal was refused because of a later prepare",
        sign: Sign::Step(|e| matches!(e, Happened::Offered(.., false))),
    },
    Witness { name: "nacked", says: "a nack was sent", sign: Sign::Step(|e| matches!(e, Happened::Nacked)) },
    Witness {
        name: "acceptor_recovered",
        says: "an acceptor recovered",
        sign: Sign::Step(|e| matches!(e, Happened::AcceptorRecovered)),
    },
    Witness {
        name: "proposer_recovered",
        says: "a proposer recovered",
        sign: Sign::Step(|e| matches!(e, Happened::ProposerRecovered)),
    },
    Witness {
        name: "split",
        says: "acceptors accepted different values",
        sign: Sign::History(|_, h, _| {
            let mut votes = h.votes.keys();
            votes
                .next()
                .is_some_and(|(instance, _, value)| votes.any(|(i, _, v)| i == instance && v != value))
        }),
    },
    Witness {
        name: "buried",
        says: "a value is chosen though no quorum still holds it in one ballot: choice is a fact of history (S1)",
        sign: Sign::History(|q, h, _| h.chosen(q).next().is_some() && !held_at_present(q, h)),
    },
    Witness {
        name: "answered",
        says: "a client was told what the machine says",
        sign: Sign::Step(|e| matches!(e, Happened::Returned(..))),
    },
    Witness {
        name: "two_answers",
        says: "a call began after another had ended, and was answered too",
        sign: Sign::History(|_, h, _| {
            h.calls.values().any(|call| call.output.is_some() && !call.after.is_empty())
        }),
    },
    Witness {
        name: "refused",
        says: "a client was told that its command was not done: not covered, not the expected, not free",
        sign: Sign::Step(|e| {
            let words: [&[u8]; 4] = [b"NotCovered", b"TooMuch", b"Conflict", b"Busy"];
            matches!(e, Happened::Returned(_, output) if words.iter().any(|w| output.as_bytes().starts_with(w)))
        }),
    },
    Witness {
        name: "second_token",
        says: "a lock was granted a second time",
        sign: Sign::Step(
            |e| matches!(e, Happened::Returned(_, output) if output.as_bytes() == b"Granted { token: 2 }"),
        ),
    },
    Witness {
        name: "expired",
        says: "a client was told that its session is over",
        sign: Sign::Step(|e| matches!(e, Happened::Returned(_, output) if output.as_bytes() == b"Expired")),
    },
    Witness {
        name: "forgot",
        says: "a server forgot what it had accepted",
        sign: Sign::Step(|e| matches!(e, Happened::Forgot)),
    },
    Witness {
        name: "restored",
        says: "a server went on from another's snapshot",
        sign: Sign::Step(|e| matches!(e, Happened::Restored)),
    },
    Witness {
        name: "chosen_twice",
        says: "a command was chosen in two instances",
        sign: Sign::History(|q, h, _| {
            let both = |value: &Value, other: &Value| {
                synod::commands(value).iter().any(|command| synod::commands(other).contains(command))
            };
            h.chosen(q).any(|(i, _, value)| h.chosen(q).any(|(j, _, other)| i != j && both(value, other)))
        }),
    },
    Witness {
        name: "batched",
        says: "commands were issued that share an instance",
        sign: Sign::Step(|e| matches!(e, Happened::Issued { value, .. } if synod::commands(value).len() > 1)),
    },
    Witness {
        name: "gap_filled",
        says: "a no-op was issued in a gap",
        sign: Sign::Step(|e| matches!(e, Happened::Issued { value, .. } if value.is_no_op())),
    },
    Witness {
        name: "redirected",
        says: "a client was told who leads",
        sign: Sign::Step(|e| matches!(e, Happened::Redirected)),
    },
    Witness { name: "two_led", says: "two led at once", sign: Sign::History(|_, h, _| h.leading.len() >= 2) },
    Witness {
        name: "third_round",
        says: "a proposer was driven to its third ballot",
        sign: Sign::Step(|e| matches!(e, Happened::Begun(ballot) if ballot.round >= 3)),
    },
    Witness {
        name: "changed",
        says: "a value was chosen by other members than the first",
        sign: Sign::History(chosen_after_changes),
    },
    Witness {
        name: "changed_twice",
        says: "two changes of members were chosen, the second after the first",
        sign: Sign::History(|_, h, _| h.members.as_ref().is_some_and(|walk| walk.sets.len() > 2)),
    },
    Witness {
        name: "change_adopted",
        says: "a change of members was adopted from an earlier ballot",
        sign: Sign::Step(|e| {
            matches!(e, Happened::Issued { reported: true, own: false, value, .. }
                if LogEntry::read(value).is_some_and(|it| Change::read(&it.command).is_some()))
        }),
    },
    Witness {
        name: "in_flight",
        says: "a change was refused because an earlier one did not govern yet",
        sign: Sign::Step(
            |e| matches!(e, Happened::Changed(_, said) if said.as_bytes().starts_with(b"refused: an earlier change")),
        ),
    },
    Witness {
        name: "outdated",
        says: "a change was refused because it rests on another configuration than the last",
        sign: Sign::Step(
            |e| matches!(e, Happened::Changed(_, said) if said.as_bytes().starts_with(b"refused: it rests on")),
        ),
    },
    Witness {
        name: "relayed",
        says: "a server sent on what its own operator asks",
        sign: Sign::Step(|e| matches!(e, Happened::Relayed)),
    },
    Witness {
        name: "told_removed",
        says: "a server was told that it is no member any more",
        sign: Sign::Step(|e| matches!(e, Happened::ToldRemoved)),
    },
    Witness {
        name: "stepped_down",
        says: "a leader that is no member any more gave up its ballot",
        sign: Sign::Step(|e| matches!(e, Happened::SteppedDown)),
    },
    Witness {
        name: "may_go",
        says: "the members before a change were said to be free to go",
        sign: Sign::Step(|e| matches!(e, Happened::MayGo(_))),
    },
    Witness {
        name: "asked_again",
        says: "a leader began another ballot because the members had changed",
        sign: Sign::Step(|e| matches!(e, Happened::AskedAgain)),
    },
];

/// True if something is chosen in an instance of other members than the first.
fn chosen_after_changes(quorums: &Quorums, history: &History, _: usize) -> bool {
    let Some(walk) = &history.members else { return false };
    history.chosen(quorums).any(|(instance, ..)| walk.governing(instance).0 > 0)
}

/// True if all members of some quorum still hold one and the same ballot as their latest vote.
fn held_at_present(quorums: &Quorums, history: &History) -> bool {
    let top = Ballot { round: u64::MAX, proposer: u16::MAX };
    let instances: BTreeSet<Instance> = history.votes.keys().map(|(instance, ..)| *instance).collect();
    instances.into_iter().any(|instance| {
        let latest = |acceptor| history.latest_vote_below(acceptor, instance, top).map(|(ballot, _)| ballot);
        let ballots: BTreeSet<Ballot> = (0..quorums.acceptors()).filter_map(latest).collect();
        ballots.into_iter().any(|ballot| {
            let holders: AcceptorSet =
                (0..quorums.acceptors()).filter(|a| latest(*a) == Some(ballot)).collect();
            quorums.is_phase2(holders)
        })
    })
}

/// True if a note shows a step witness.
pub fn shows(sign: fn(&Happened) -> bool, note: &Note) -> bool {
    note.iter().any(sign)
}
