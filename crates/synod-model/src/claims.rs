//! The claims of PMS §2.2 and the constraints of *The Part-Time Parliament* (PTP), each as one function of the history.
//!
//! Each function is the claim's sentence in Rust, and decides by itself. An error says in words what broke the claim. No function looks at the network
//! or at what processes remember at present.

#![allow(clippy::missing_errors_doc, reason = "for every claim alike: the error is the breach, in words")]

mod order;
mod premises;
#[cfg(test)]
mod tests;

use self::order::has_order;
pub(crate) use self::premises::bound;
use self::premises::{
    accepted_above, chosen_above, issued, issued_above, issued_after_votes, issued_beside,
    issued_beyond_window,
};
use crate::history::{Call, Evidence, Happened, History};
use crate::sequential::Asked;
use std::collections::BTreeMap;
use synod::{Cluster, Instance, Quorums, Value};

/// One claim: its name, where it stands, and the function that judges a history.
#[derive(Debug)]
pub struct Claim {
    /// The name used in model files, reports and tables.
    pub name: &'static str,
    /// Its source.
    pub source: &'static str,
    /// Its sentence.
    pub says: &'static str,
    /// Judges a history.
    pub judge: fn(&Quorums, &History) -> Result<(), String>,
    /// Its premise, in words. If the premise never occurred, the claim was not put to the test.
    pub about: &'static str,
    /// The name of the property that this occurred.
    pub premise: &'static str,
    /// The sign by which it is recognised.
    pub occurs: Occurs,
}

impl Claim {
    /// Judges a history of which something may have been forgotten: a claim that fell before that stays fallen.
    pub fn check(&self, quorums: &Quorums, history: &History) -> Result<(), String> {
        match history.fallen.get(self.name) {
            Some(words) => Err(words.clone()),
            None => (self.judge)(quorums, history),
        }
    }
}

/// The sign that what a claim speaks about occurred.
#[derive(Clone, Copy, Debug)]
pub enum Occurs {
    /// By something that happens in a step.
    Step(fn(&Cluster, &Happened) -> bool),
    /// By the history.
    History(fn(&Quorums, &History) -> bool),
}

/// All claims, in the order in which the paper leads from one to the next.
pub const CLAIMS: [Claim; 18] = [
    Claim {
        name: "B0",
        source: "PMS §2.1",
        says: "Only a proposed value is chosen, only one is chosen, and only a chosen one is learned.",
        judge: b0,
        about: "a value was chosen",
        premise: "premise of B0",
        occurs: Occurs::History(|q, h| h.chosen(q).next().is_some()),
    },
    Claim {
        name: "P1",
        source: "PMS §2.2",
        says: "An acceptor accepts the first proposal it receives.",
        judge: p1,
        about: "an acceptor received a proposal",
        premise: "premise of P1",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Offered(..))),
    },
    Claim {
        name: "P1a",
        source: "PMS §2.2",
        says: "An acceptor accepts proposal n iff it has not answered a prepare above n.",
        judge: p1a,
        about: "an acceptor received a proposal",
        premise: "premise of P1a",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Offered(..))),
    },
    Claim {
        name: "P2",
        source: "PMS §2.2",
        says: "Every higher-numbered proposal that is chosen has the chosen value.",
        judge: p2,
        about: "a value was chosen, and a higher-numbered proposal too",
        premise: "premise of P2",
        occurs: Occurs::History(chosen_above),
    },
    Claim {
        name: "P2a",
        source: "PMS §2.2",
        says: "Every higher-numbered proposal accepted by any acceptor has the chosen value.",
        judge: p2a,
        about: "a value was chosen, and a higher-numbered proposal accepted",
        premise: "premise of P2a",
        occurs: Occurs::History(accepted_above),
    },
    Claim {
        name: "P2b",
        source: "PMS §2.2",
        says: "Every higher-numbered proposal issued by any proposer has the chosen value.",
        judge: p2b,
        about: "a value was chosen, and a higher-numbered proposal issued",
        premise: "premise of P2b",
        occurs: Occurs::History(issued_above),
    },
    Claim {
        name: "P2c",
        source: "PMS §2.2",
        says: "For each issued (n, v) a quorum accepted nothing below n, or v is its highest below n.",
        judge: p2c,
        about: "a proposal was issued",
        premise: "premise of P2c",
        occurs: Occurs::Step(issued),
    },
    Claim {
        name: "V1",
        source: "PTP §2.1, B1",
        says: "Each ballot is begun once and carries one value.",
        judge: v1,
        about: "a proposal was issued",
        premise: "premise of V1",
        occurs: Occurs::Step(issued),
    },
    Claim {
        name: "V2",
        source: "PTP §2.1, B2",
        says: "The quorum a ballot rests on meets every quorum that chose a value.",
        judge: v2,
        about: "a ballot chose a value, and another one rests on a quorum",
        premise: "premise of V2",
        occurs: Occurs::History(issued_beside),
    },
    Claim {
        name: "V3",
        source: "PTP §2.1, B3",
        says: "A ballot's value is that of the latest earlier vote among its own quorum's members, if any.",
        judge: v3,
        about: "a proposal rests on a quorum of which a member had accepted another",
        premise: "premise of V3",
        occurs: Occurs::History(issued_after_votes),
    },
    Claim {
        name: "R1",
        source: "reads",
        says: "A client is told a value only if it is chosen, and \"unset\" only if none was when its read arrived.",
        judge: r1,
        about: "a client was told a value, or that there is none",
        premise: "premise of R1",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Told(..))),
    },
    Claim {
        name: "W1",
        source: "PMS §3",
        says: "A proposal is issued only when everything alpha or more instances below it is chosen.",
        judge: w1,
        about: "a proposal was issued alpha or more instances above the first",
        premise: "premise of W1",
        occurs: Occurs::Step(issued_beyond_window),
    },
    Claim {
        name: "X1",
        source: "PMS §3",
        says: "A server executes what is chosen, in the order of instances, and leaves none out.",
        judge: x1,
        about: "a server executed a command",
        premise: "premise of X1",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Executed(_, all) if !all.is_empty())),
    },
    Claim {
        name: "L1",
        source: "PMS §3",
        says: "Some order explains all that clients were told, each command in it once, between question and answer.",
        judge: l1,
        about: "a client was told what the machine says",
        premise: "premise of L1",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Returned(..))),
    },
    Claim {
        name: "M1",
        source: "PMS §3",
        says: "A proposal rests on promises that meet every quorum of its instance's members, and only such a quorum chooses.",
        judge: m1,
        about: "members change, and a proposal was issued",
        premise: "premise of M1",
        occurs: Occurs::Step(issued),
    },
    Claim {
        name: "M2",
        source: "PMS §3",
        says: "A vote counts only from a member of its instance, a promise or confirmation from one in force, and members are what the chosen changes below say.",
        judge: m2,
        about: "members change, and a vote was counted",
        premise: "premise of M2",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Counted { .. })),
    },
    Claim {
        name: "M3",
        source: "PMS §3",
        says: "Members may go only when a quorum of those that remain has all on its disks that was chosen under them.",
        judge: m3,
        about: "members were said to be free to go",
        premise: "premise of M3",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::MayGo(_))),
    },
    Claim {
        name: "M4",
        source: "PMS §3",
        says: "A change of members has the effect that its answer says, once, and no other later.",
        judge: m4,
        about: "somebody was told what became of a change",
        premise: "premise of M4",
        occurs: Occurs::Step(|_, e| matches!(e, Happened::Changed(..))),
    },
];

/// B0 (PMS §2.1): only a proposed value is chosen; only one value is chosen an instance; nobody learns any other.
pub fn b0(quorums: &Quorums, history: &History) -> Result<(), String> {
    for (instance, ballot, value) in history.chosen(quorums) {
        // Commands of a log are not for one instance, and gaps may be filled with no-ops.
        let in_log = history.proposed.is_empty()
            && synod::commands(value).iter().all(|command| history.submitted.contains(command));
        if !in_log && !history.proposed.contains(&(instance, value.clone())) {
            return Err(format!("{value:?} was chosen in {instance:?} and nobody proposed it"));
        }
        let other = history.chosen(quorums).find(|(i, _, other)| *i == instance && *other != value);
        if let Some((_, at, other)) = other {
            return Err(format!(
                "two values are chosen: {value:?} in ballot {ballot:?}, {other:?} in {at:?}"
            ));
        }
    }
    let unchosen = history.learned.iter().find(|(_, instance, value)| {
        !history.chosen(quorums).any(|(i, _, chosen)| i == *instance && chosen == value)
    });
    match unchosen {
        Some((_, instance, value)) => Err(format!("{value:?} was learned in {instance:?} and is not chosen")),
        None => Ok(()),
    }
}

/// P1 (PMS §2.2): an acceptor accepts the first proposal it receives, unless it has promised not to.
pub fn p1(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::Offered { acceptor, ballot, value, accepted, answered, voted, .. } = evidence else {
            continue;
        };
        if !accepted && answered.is_none() && voted.is_none() {
            let acceptor = acceptor + 1;
            return Err(format!(
                "A{acceptor} did not accept {ballot:?}:{value:?}, the first proposal it received"
            ));
        }
    }
    Ok(())
}

/// P1a (PMS §2.2): an acceptor accepts a proposal numbered n iff it has not answered a prepare numbered above n.
///
/// The "if" is read with the paper's licence to ignore any message: a refusal needs a reason, and having accepted a
/// proposal above n is one.
pub fn p1a(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::Offered { acceptor, instance, ballot, value, accepted, answered, voted } = evidence
        else {
            continue;
        };
        let acceptor = acceptor + 1;
        if let (true, Some(promise)) = (accepted, answered.filter(|answered| answered > ballot)) {
            return Err(format!(
                "A{acceptor} accepted {ballot:?}:{value:?} in {instance:?} after it answered prepare {promise:?}"
            ));
        }
        if !accepted && (*answered).max(*voted).is_none_or(|reason| reason <= *ballot) {
            return Err(format!(
                "A{acceptor} refused {ballot:?}:{value:?} and had promised nothing above it"
            ));
        }
    }
    Ok(())
}

/// P2 (PMS §2.2): if (m, v) is chosen, every chosen proposal numbered above m has value v.
pub fn p2(quorums: &Quorums, history: &History) -> Result<(), String> {
    for (instance, m, v) in history.chosen(quorums) {
        if let Some((_, n, w)) = history.chosen(quorums).find(|(i, n, w)| *i == instance && *n > m && *w != v)
        {
            return Err(format!("{v:?} was chosen in ballot {m:?}, and {w:?} in {n:?} above it"));
        }
    }
    Ok(())
}

/// P2a (PMS §2.2): if (m, v) is chosen, every proposal above m that any acceptor accepts has value v.
pub fn p2a(quorums: &Quorums, history: &History) -> Result<(), String> {
    for (instance, m, v) in history.chosen(quorums) {
        let vote = history.votes.iter().find(|((i, n, w), _)| *i == instance && *n > m && w != v);
        if let Some(((_, n, w), by)) = vote {
            return Err(format!(
                "{v:?} was chosen in ballot {m:?}, and {by:?} accepted {n:?}:{w:?} above it"
            ));
        }
    }
    Ok(())
}

/// P2b (PMS §2.2): if (m, v) is chosen, every proposal above m that any proposer issues has value v.
pub fn p2b(quorums: &Quorums, history: &History) -> Result<(), String> {
    for (instance, m, v) in history.chosen(quorums) {
        for ((i, n), values) in &history.issued {
            if let (true, Some(w)) = (*i == instance && *n > m, values.keys().find(|w| *w != v)) {
                return Err(format!("{v:?} was chosen in ballot {m:?}, and {n:?}:{w:?} was issued above it"));
            }
        }
    }
    Ok(())
}

/// P2c (PMS §2.2): for an issued (n, v) some quorum S has (a) no member that accepted anything below n, or (b) v as
/// the value of the highest-numbered proposal below n that its members accepted.
pub fn p2c(quorums: &Quorums, history: &History) -> Result<(), String> {
    for ((instance, n), values) in &history.issued {
        let everyone = || history.quorums_at(quorums, *instance).everyone().iter();
        let is_quorum = |set| history.justify(quorums, *instance, set);
        let latest = |acceptor| history.latest_vote_below(acceptor, *instance, *n);
        let case_a = is_quorum(everyone().filter(|a| latest(*a).is_none()).collect());
        for v in values.keys() {
            // Quorums are closed upwards, so it is enough to ask about the largest set whose latest vote is m.
            let case_b = everyone().filter_map(latest).filter(|(_, w)| *w == v).any(|(m, _)| {
                is_quorum(everyone().filter(|a| latest(*a).is_none_or(|(at, _)| at <= m)).collect())
            });
            if !case_a && !case_b {
                return Err(format!("{n:?}:{v:?} was issued, and no quorum justifies {v:?} below {n:?}"));
            }
        }
    }
    Ok(())
}

/// V1 (PTP B1): ballots are unique. Each is begun once, and carries one value an instance.
pub fn v1(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        if let Evidence::Begun { ballot, again: true } = evidence {
            return Err(format!("ballot {ballot:?} was begun twice"));
        }
    }
    for ((_, ballot), values) in &history.issued {
        if values.len() > 1 {
            let values: Vec<_> = values.keys().collect();
            return Err(format!("ballot {ballot:?} carries more than one value: {values:?}"));
        }
    }
    Ok(())
}

/// V2 (PTP B2): the quorums of any two ballots meet: what a proposal rests on, and what chose a value.
pub fn v2(quorums: &Quorums, history: &History) -> Result<(), String> {
    let choosing = || {
        let votes = history.votes.iter();
        votes.filter(|((instance, ..), by)| history.quorums_at(quorums, *instance).is_phase2(**by))
    };
    for ((instance, n), values) in &history.issued {
        for quorum in values.values() {
            let missed = choosing().find(|((i, m, _), by)| i == instance && m != n && !by.meets(*quorum));
            if let Some(((_, m, _), by)) = missed {
                return Err(format!(
                    "ballot {n:?} rests on {quorum:?}, and {by:?} chose in {m:?}: none in common"
                ));
            }
        }
    }
    Ok(())
}

/// V3 (PTP B3): if a member of a ballot's quorum voted earlier, the ballot has the value of the latest such vote.
pub fn v3(_: &Quorums, history: &History) -> Result<(), String> {
    for ((instance, n), values) in &history.issued {
        for (v, quorum) in values {
            let latest = quorum.iter().filter_map(|a| history.latest_vote_below(a, *instance, *n)).max();
            if let Some((m, w)) = latest.filter(|(_, w)| *w != v) {
                return Err(format!(
                    "{n:?}:{v:?} rests on {quorum:?}, where the latest earlier vote is {m:?}:{w:?}"
                ));
            }
        }
    }
    Ok(())
}

/// R1 (our own): a client that is told a value is told a chosen one. A client that is told that nothing was chosen is told the truth
/// about some moment after its question arrived. With B0 it makes every instance a linearizable write-once register.
pub fn r1(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::Told { instance, value, asked, chosen } = evidence else { continue };
        match (value, asked) {
            (Some(value), _) if !chosen.contains(value) => {
                return Err(format!("a client was told {value:?} of {instance:?}, which is not chosen"));
            }
            (None, Some(Some(value))) => {
                return Err(format!(
                    "a client was told that {instance:?} is unset, and {value:?} was chosen when its read arrived"
                ));
            }
            (None, None) => {
                return Err(format!("a client was told that {instance:?} is unset, and had not asked"));
            }
            (Some(_), _) | (None, Some(None)) => {}
        }
    }
    Ok(())
}

/// W1 (PMS §3): a leader with a window of alpha proposes in instance i + alpha only once 1 to i are chosen.
pub fn w1(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::Issued { instance, value, alpha, chosen } = evidence else { continue };
        let needed = (instance.0 + 1).saturating_sub(*alpha);
        if let Some(open) = (0..needed).map(Instance).find(|below| !chosen.contains(below)) {
            return Err(format!(
                "{value:?} was issued in {instance:?} and nothing is chosen in {open:?}, {alpha} or more below"
            ));
        }
    }
    Ok(())
}

/// X1 (PMS §3): command i is executed only once all commands below it are. A command that comes a second time has no effect, and a
/// no-op never has one.
pub fn x1(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::Executed { executed, chosen } = evidence else { continue };
        let Some(last) = executed.iter().map(|(instance, _)| *instance).max() else { continue };
        let mut due: Vec<(Instance, Value)> = Vec::new();
        for instance in (0..=last.0).map(Instance) {
            let Some(value) = chosen.get(&instance) else {
                return Err(format!("{last:?} was executed, and nothing is chosen in {instance:?}"));
            };
            for command in value.iter().cloned() {
                if due.iter().all(|(_, earlier)| *earlier != command) {
                    due.push((instance, command));
                }
            }
        }
        if due != *executed {
            return Err(format!("{executed:?} was executed, and {due:?} is what was chosen up to there"));
        }
    }
    Ok(())
}

/// L1 (PMS §3, and Herlihy and Wing's linearizability): clients see one copy of the machine, and each command's effect once.
///
/// The order is looked for by `synod-linear`, as it is for records of real runs.
pub fn l1(_: &Quorums, history: &History) -> Result<(), String> {
    let is_explained = match &history.told {
        Some(tester) => tester.is_linearizable(),
        None => has_order(&history.calls),
    };
    if !is_explained {
        return Err(format!("no order explains what clients were told: {}", words_of(&history.calls)));
    }
    for evidence in &history.evidence {
        let Evidence::ToldOtherwise { call: asked, output, only_reads, calls } = evidence else { continue };
        let Some(Call { command, output: Some(first), .. }) = calls.get(asked) else { continue };
        if !only_reads {
            return Err(format!("{command:?} was answered {first:?} and {output:?}"));
        }
        // The first answer is the one that ended the call, if it arrived. If this one does instead, the call ends now, and nothing
        // that began meanwhile began after it.
        let mut instead = calls.clone();
        for (other, call) in &mut instead {
            call.after.remove(asked);
            if other == asked {
                call.output = Some(output.clone());
            }
        }
        if !has_order(&instead) {
            return Err(format!("no order explains what clients were told: {}", words_of(&instead)));
        }
    }
    Ok(())
}

/// M1 (PMS §3, last paragraph): what is issued and what is chosen in an instance is so by quorums of the members of that instance.
pub fn m1(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        match evidence {
            Evidence::Rests { instance, value, quorum, members, is_met: false } => {
                return Err(format!(
                    "{value:?} was issued in {instance:?} on promises of {quorum:?}, which do not meet every quorum of its members {members:?}"
                ));
            }
            Evidence::Counted { instance, by, members, falls_short: true } => {
                return Err(format!(
                    "{by:?} were taken for a quorum in {instance:?}, and are none of its members {members:?}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// M2 (PMS §3, last paragraph): nobody votes in an instance but its members, and those follow from what is chosen alpha or more below. Nobody promises or confirms
/// but members that are in force for the one who counts it.
pub fn m2(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        if let Evidence::Heeded { next, acceptor, members } = evidence
            && !members.contains(*acceptor)
        {
            let who: synod::AcceptorSet = [*acceptor].into_iter().collect();
            return Err(format!(
                "{who:?} was counted as promising or confirming from {next:?} on, where the members in force are {members:?}"
            ));
        }
        let Evidence::Counted { instance, by, members, .. } = evidence else { continue };
        match members {
            None => {
                return Err(format!("{by:?} were counted in {instance:?} before its members were decided"));
            }
            Some(members) if !members.includes(*by) => {
                return Err(format!("{by:?} were counted in {instance:?}, whose members are {members:?}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// M3 (PMS §3, last paragraph): what was chosen outlives the members that chose it.
pub fn m3(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::MayGo { from, members, saved, is_enough: false } = evidence else { continue };
        return Err(format!(
            "all but {members:?} were said to be free to go, and of these only {saved:?} have all below {from:?} on their disks"
        ));
    }
    Ok(())
}

/// M4 (PMS §3, last paragraph): what an operator is told of a change is what the chosen commands make of it.
pub fn m4(_: &Quorums, history: &History) -> Result<(), String> {
    for evidence in &history.evidence {
        let Evidence::ToldOfChange { call: (caller, number), said, has_effect } = evidence else { continue };
        if *has_effect == Some(!said.as_bytes().starts_with(b"refused")) {
            continue;
        }
        let is = match has_effect {
            None => "is not chosen",
            Some(true) => "has an effect",
            Some(false) => "has none",
        };
        return Err(format!("call {caller}.{number} was answered {said:?}, and the change {is}"));
    }
    Ok(())
}

/// The calls that were answered, in words.
fn words_of(calls: &BTreeMap<Asked, Call>) -> String {
    let told =
        calls.values().filter_map(|call| Some(format!("{:?} {:?}", call.command, call.output.as_ref()?)));
    told.collect::<Vec<_>>().join(", ")
}
