//! The systems that the benches measure, in small: the same states, successors, depth and properties as stateright's
//! search finds, and the same again when the properties are asked in this crate's own words.

use crate::differential::compare;
use crate::erased::explore;
use crate::paxos;
use crate::searched::search;
use crate::systems::{Asks, commit, consensus, election, register, transfer};
use stateright::actor::ActorModel;
use std::fmt::Debug;
use std::hash::Hash;
use synod_explore::{Options, Subject, Verdict};

/// Compares, also with stateright's own states unchanged: what is measured side by side is to be equal work.
fn compare_all<A, C, H>(model: &ActorModel<A, C, H>, system: Asks<A, C, H>, unique_states: u64)
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    let ours = compare(model, None);
    assert_eq!(ours.unique_states, unique_states);
    assert_eq!(ours.verdict, Verdict::Holds);

    let theirs = search(model.clone(), None);
    assert_eq!(ours.unique_states, theirs.unique_states);
    assert_eq!(ours.generated_states, theirs.generated_states);

    for threads in [1, 2] {
        let own = explore(&system(model), &Options { threads, ..Options::default() });
        assert_eq!(own.verdict, Verdict::Holds);
        assert_eq!(
            (own.unique_states, own.generated_states, own.depth),
            (ours.unique_states, ours.generated_states, ours.depth)
        );
        for (own, ours) in own.findings.iter().zip(&ours.findings) {
            assert_eq!((own.property, own.status), (ours.property, ours.status));
        }
    }
}

#[test]
fn paxos_with_clients() {
    compare_all(&paxos::model(3, 2), paxos::system, 16_668);
}

#[test]
fn a_register_that_a_majority_keeps() {
    compare_all(&register::model(2, 2), register::system, 544);
    compare_all(&register::model(3, 1), register::system, 1449);
}

#[test]
fn leader_election_with_an_entry() {
    compare_all(&election::model(3, 2, 0), election::system, 12_336);
    compare_all(&election::model(2, 3, 1), election::system, 3244);
}

#[test]
fn a_transfer_through_crashes() {
    compare_all(&transfer::model(1, 2, 1), transfer::system, 180);
    compare_all(&transfer::model(2, 2, 1), transfer::system, 5800);
}

#[test]
fn consensus_by_coins() {
    compare_all(&consensus::model(3, 1), consensus::system, 2653);
}

#[test]
fn commit_in_two_phases_over_ordered_channels() {
    compare_all(&commit::model(3), commit::system, 1482);
}
