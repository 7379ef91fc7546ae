//! What is served is modelled: every option of the served configuration occurs in a model that holds, each together with each other.

use std::collections::BTreeSet;
use std::time::Duration;
use synod::{Cluster, Learning, Log, Pace, Process, Retry};
use synod_model::{Layout, Model, catalogue};
use synod_server::{LogSettings, Wiring};

/// What the server's wiring makes use of. Whoever adds an option is asked here what it is, and by the test for its models.
fn served() -> BTreeSet<&'static str> {
    let ms = Duration::from_millis(1)..Duration::from_millis(2);
    let pace = Pace { beat: ms.clone(), suspect: ms.clone(), hold_off: ms.clone(), doublings: 1 };
    let log = Some((LogSettings::default(), 64 << 10));
    let wiring = Wiring { members: vec![1, 2, 3], retry: ms, election: Some(pace), max_value: 64 << 10, log };
    let Cluster {
        acceptors,
        proposers: _,
        max_value: _,
        keeps: _,
        learners,
        clients: _,
        waiting_limit,
        quorums: _,
        learning,
        nacks,
        report,
        log,
        election,
    } = wiring.cluster();
    assert_eq!(acceptors, learners, "members are servers");
    let Process::Server { retry: Retry { on_nack, after, doublings: _ }, .. } = wiring.server(1) else {
        panic!("a member is a server")
    };
    let mut options = BTreeSet::from(["many instances", "a crash"]);
    let (batches, hold_off, catch_up, truncate) = match log {
        Some(Log { alpha: _, batch, machine: _, hold_off, catch_up, truncate }) => {
            (batch > 1, hold_off.is_some(), catch_up.is_some(), truncate.is_some())
        }
        None => (false, false, false, false),
    };
    options.extend(
        [
            (waiting_limit > 0, "questions"),
            (learning == Learning::Everyone, "everyone learns"),
            (nacks, "nacks"),
            (on_nack, "tries again on a nack"),
            (after.is_some(), "tries again on a timer"),
            (report < usize::MAX, "reports in parts"),
            (election.is_some(), "an election"),
            (batches, "batches"),
            (hold_off, "holds off"),
            (catch_up, "catches up"),
            (truncate, "snapshots"),
        ]
        .into_iter()
        .filter_map(|(is, option)| is.then_some(option)),
    );
    options
}

/// The same of a model.
fn modelled(model: &Model) -> BTreeSet<&'static str> {
    use synod_model::RetryFile;
    let (cluster, system) = (&model.cluster, &model.file.system);
    let log = cluster.log.as_ref();
    let instances: BTreeSet<u64> =
        system.instances.iter().flat_map(|given| given.get_ref().iter().copied()).collect();
    let options = [
        (system.readers.is_some() && log.is_some(), "questions"),
        (cluster.learning == Learning::Everyone, "everyone learns"),
        (cluster.nacks, "nacks"),
        (matches!(system.retry, RetryFile::OnNack | RetryFile::OnEither), "tries again on a nack"),
        (matches!(system.retry, RetryFile::OnTimeout | RetryFile::OnEither), "tries again on a timer"),
        (cluster.report < usize::MAX, "reports in parts"),
        (cluster.election.is_some(), "an election"),
        (log.is_some_and(|log| log.batch > 1), "batches"),
        (log.is_some_and(|log| log.hold_off.is_some()), "holds off"),
        (log.is_some_and(|log| log.catch_up.is_some()), "catches up"),
        (log.is_some_and(|log| log.truncate.is_some()), "snapshots"),
        (log.is_some() || instances.len() > 1, "many instances"),
        (model.file.faults.as_ref().is_some_and(|faults| faults.crash.is_some()), "a crash"),
    ];
    options.into_iter().filter_map(|(is, option)| is.then_some(option)).collect()
}

#[test]
fn each_option_that_is_served_is_modelled_together_with_each_other() {
    let options = served();
    assert!(options.len() >= 12, "{options:?}");
    let models: Vec<BTreeSet<&str>> = catalogue()
        .iter()
        .filter(|model| model.file.system.layout == Layout::CoLocated && model.mutant().is_none())
        .filter(|model| model.is_of_protocol())
        .filter(|model| model.file.expect.verdict.holds())
        .map(modelled)
        .collect();
    for one in &options {
        for other in options.iter().filter(|other| *other > one) {
            assert!(
                models.iter().any(|model| model.contains(one) && model.contains(other)),
                "no model that holds has both: {one}; {other}. Add one to models/served"
            );
        }
    }
}
