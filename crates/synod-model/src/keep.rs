//! The contents of a history: the evidence by which a claim falls, and what the claims of its model ask about.
//!
//! A history records and does not judge. A claim judges and does not record. The functions here stand above
//! both. They drop evidence by which no claim falls at once, since it would tell apart states with the same future.

use crate::claims::{self, CLAIMS};
use crate::history::{Evidence, Happened, History};
use crate::members;
use std::collections::BTreeSet;
use synod::{Ballot, Cluster, Instance, Quorums, Value};

/// Records one more thing that happened, in a history of this cluster.
pub fn record(cluster: &Cluster, history: &mut History, happened: &Happened) {
    let of_an_instance = history.record(&cluster.quorums, happened);
    let of_members = members::evidence(history, &cluster.quorums, happened);
    let of_a_log = cluster.log.as_ref().and_then(|log| history.record_log(cluster, log, happened));
    for evidence in [of_an_instance, of_a_log, of_members].into_iter().flatten() {
        let falls = falls_by(&cluster.quorums, BTreeSet::from([evidence.clone()]));
        if falls.is_empty() {
            continue;
        }
        let fallen = falls_by(&cluster.quorums, history.evidence.clone());
        if falls.iter().any(|claim| !fallen.contains(claim)) {
            history.evidence.insert(evidence);
        }
    }
}

/// The claims that fall by some evidence alone.
fn falls_by(quorums: &Quorums, evidence: BTreeSet<Evidence>) -> Vec<&'static str> {
    let history = History { evidence, ..History::default() };
    let fallen = CLAIMS.iter().filter(|claim| (claim.judge)(quorums, &history).is_err());
    fallen.map(|claim| claim.name).collect()
}

/// Forgets what none of these claims asks about. The others are not judged any more.
///
/// Claims that follow one proposal after another need votes as they were cast. For all others it is enough which values
/// are chosen, by whichever ballot, and who voted for any other value, which might be chosen too. A learned value is looked at when it
/// is learned: what is chosen once stays so. If B0 falls then, everything by which it does is kept.
pub(crate) fn forget_unasked(quorums: &Quorums, history: &mut History, asked: &[&str]) {
    let is_asked = |some: &[&str]| some.iter().any(|claim| asked.contains(claim));
    if !is_asked(&["V1"]) {
        history.begun.clear();
    }
    if !is_asked(&["V1", "V2", "V3", "P2b", "P2c"]) {
        history.issued.clear();
    }
    if !is_asked(&["P1", "P1a"]) {
        history.answered.clear();
        history.voted.clear();
    }
    history.evidence.retain(|evidence| is_asked(&falls_by(quorums, BTreeSet::from([evidence.clone()]))));
    if is_asked(&["P1a", "P2", "P2a", "P2b", "P2c", "V2", "V3"])
        || is_asked(&["B0"]) && claims::b0(quorums, history).is_err()
    {
        return;
    }
    history.learned.clear();
    let chosen = history.chosen(quorums).map(|(i, _, value)| (i, value.clone()));
    let chosen: BTreeSet<(Instance, Value)> = chosen.collect();
    history.votes.retain(|(i, _, value), _| !chosen.contains(&(*i, value.clone())));
    let none = Ballot { round: 0, proposer: 0 };
    for (i, value) in chosen {
        let all = history.quorums_at(quorums, i).everyone();
        history.votes.insert((i, none, value), all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_claim_the_first_evidence_by_which_it_falls_is_kept() {
        let (cluster, _) = crate::log::tests::cluster();
        let cluster = Cluster { log: None, ..cluster };
        let mut history = History::default();
        let ballot = |round| Ballot { round, proposer: 1 };
        let offered = |round, accepted| {
            Happened::Offered(0, Instance::FIRST, ballot(round), Value::from("x"), accepted)
        };
        let mut kept = |happened: Happened| {
            record(&cluster, &mut history, &happened);
            let fallen = falls_by(&cluster.quorums, history.evidence.clone());
            (history.evidence.len(), fallen)
        };
        assert_eq!(kept(offered(1, true)), (0, vec![]));
        assert_eq!(kept(Happened::Answered(0, ballot(3))), (0, vec![]));
        assert_eq!(kept(offered(2, true)), (1, vec!["P1a"]));
        assert_eq!(kept(offered(1, true)), (1, vec!["P1a"]), "P1a has fallen already");
        assert_eq!(kept(Happened::Begun(ballot(4))), (1, vec!["P1a"]));
        assert_eq!(kept(Happened::Begun(ballot(4))), (2, vec!["P1a", "V1"]));
        let (mut asked, mut others) = (history.clone(), history);
        forget_unasked(&cluster.quorums, &mut asked, &["V1"]);
        assert_eq!(falls_by(&cluster.quorums, asked.evidence), ["V1"]);
        forget_unasked(&cluster.quorums, &mut others, &["P2"]);
        assert!(others.evidence.is_empty());
    }
}
