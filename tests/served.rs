//! What is served is modelled: every option of the served configuration occurs in a model that holds, each together with each other but for the pairs in
//! [`UNPAIRED`].

use std::collections::BTreeSet;
use std::time::Duration;
use synod::{Cluster, Learning, Log, Pace, Process, Retry};
use synod_model::timed::{Kind, Timed};
use synod_model::{Layout, Model, catalogue};
use synod_server::{Changing, LogSettings, MasterSettings, Wiring};

/// The wirings that make use of all options: members that change are served with neither groups nor a master.
fn wirings() -> [Wiring; 2] {
    let ms = Duration::from_millis(1)..Duration::from_millis(2);
    let pace = Pace { beat: ms.clone(), suspect: ms.clone(), hold_off: ms.clone(), doublings: 1 };
    let master = Some(MasterSettings { lease_ms: 1000, drift: 0 });
    let log = Some((LogSettings { master, ..LogSettings::default() }, 64 << 10));
    let wiring = Wiring {
        groups: 3,
        members: vec![1, 2, 3],
        retry: ms,
        election: Some(pace),
        max_value: 64 << 10,
        log,
        changing: None,
        directory: None,
    };
    let changing = Wiring {
        groups: 1,
        log: Some((LogSettings::default(), 64 << 10)),
        changing: Some(Changing { first: vec![1, 2, 3], lag: 9 }),
        directory: Some(7),
        ..wiring.clone()
    };
    [wiring, changing]
}

/// What a wiring makes use of. Whoever adds an option is asked here what it is, and by the test for its models.
fn served(wiring: &Wiring) -> BTreeSet<&'static str> {
    let Cluster {
        acceptors,
        proposers: _,
        max_value: _,
        max_accepted: _,
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
    let Wiring { groups, members: _, retry: _, election: _, max_value: _, log: _, changing: _, directory: _ } =
        wiring;
    let Process::Server { retry: Retry { on_nack, after, doublings: _ }, .. } = wiring.server(1) else {
        panic!("a member is a server")
    };
    let mut options = BTreeSet::from(["many instances", "a crash"]);
    let [batches, hold_off, catch_up, truncate, ahead, master, members] = match log {
        Some(Log { alpha: _, batch, machine: _, hold_off, catch_up, truncate, master, members }) => [
            batch > 1,
            hold_off.is_some(),
            catch_up.is_some(),
            truncate.is_some(),
            truncate.as_ref().is_some_and(|truncate| truncate.ahead > 1),
            master.is_some(),
            members.is_some(),
        ],
        None => [false; 7],
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
            (ahead, "several chunks at a time"),
            (master, "a master"),
            (*groups > 1, "groups"),
            (members, "members that change"),
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
        (
            log.and_then(|log| log.truncate.as_ref()).is_some_and(|truncate| truncate.ahead > 1),
            "several chunks at a time",
        ),
        (log.is_some_and(|log| log.members.is_some()), "members that change"),
        (log.is_some() || instances.len() > 1, "many instances"),
        (model.file.faults.as_ref().is_some_and(|faults| faults.crash.is_some()), "a crash"),
    ];
    options.into_iter().filter_map(|(is, option)| is.then_some(option)).collect()
}

/// The same of a timed model, if it is one of log servers that take mastership.
fn timed(timed: &Timed) -> BTreeSet<&'static str> {
    let Kind::Master(master) = &timed.kind else { return BTreeSet::new() };
    let options = [
        (true, "a master"),
        (true, "many instances"),
        (master.nacks, "nacks"),
        (master.nacks, "tries again on a nack"),
        (master.asks.is_some(), "questions"),
        (master.election.is_some(), "an election"),
        (master.crashes > 0, "a crash"),
    ];
    options.into_iter().filter_map(|(is, option)| is.then_some(option)).collect()
}

/// What no model has together with mastership: time multiplies the states of a model too much. The tests of real processes, `tests/mastered.rs`, have all of it at once.
const UNPAIRED: [&str; 8] = [
    "batches",
    "catches up",
    "everyone learns",
    "holds off",
    "reports in parts",
    "several chunks at a time",
    "snapshots",
    "tries again on a timer",
];

/// Options that are no model's own, and the tests by which a member that makes use of them is the product of members that do not, whatever else they make
/// use of: then what a model shows of one of these holds of each.
const PRODUCTS: [(&str, &str, &str); 1] =
    [("groups", include_str!("product.rs"), "fn each_group_does_what_it_would_do_alone()")];

#[test]
fn each_option_that_is_served_is_modelled_together_with_each_other() {
    let catalogue = catalogue();
    let untimed = catalogue
        .iter()
        .filter(|model| model.file.system.layout == Layout::CoLocated && model.mutant().is_none())
        .filter(|model| model.is_of_protocol())
        .filter(|model| model.file.expect.verdict.holds())
        .map(modelled);
    let with_time = catalogue
        .iter()
        .filter(|model| model.file.expect.verdict.holds())
        .filter_map(|model| model.timed.as_ref())
        .map(timed);
    let models: Vec<BTreeSet<&str>> = untimed.chain(with_time).collect();
    let all: BTreeSet<&str> = wirings().iter().flat_map(served).collect();
    for (option, file, test) in PRODUCTS {
        assert!(all.contains(option) && file.contains(test), "{option}");
    }
    for wiring in wirings() {
        let options = served(&wiring);
        assert!(options.len() >= 12, "{options:?}");
        let is_product = |option: &str| PRODUCTS.iter().any(|(product, ..)| *product == option);
        let options: BTreeSet<&str> = options.into_iter().filter(|option| !is_product(option)).collect();
        for one in &options {
            for other in options.iter().filter(|other| *other > one) {
                let is_paired = models.iter().any(|model| model.contains(one) && model.contains(other));
                let is_left_out = *one == "a master" && UNPAIRED.contains(other);
                assert!(
                    is_paired || is_left_out,
                    "no model that holds has both: {one}; {other}. Add one to models/served"
                );
                assert!(
                    !(is_paired && is_left_out),
                    "a model has {one} and {other}: take the pair out of UNPAIRED"
                );
            }
        }
    }
}
