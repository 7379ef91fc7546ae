//! Claims about what never occurred are told as hollow, and a model in which all are does not pass.

use synod_explore::Status;
use synod_model::{Model, Outcome, Settings, Verdict, check, find};

const MODEL: &str = r#"about = "Two proposers, three acceptors, one learner."
tier = "fast"

[system]
layout = "separate"
acceptors = 3
proposers = 2
learners = 1
values = ["x", "y"]

[expect]
verdict = "holds"
"#;

fn run(text: &str) -> Outcome {
    check(&Model::read("model.toml", text).expect("the model makes sense"), &Settings::default())
}

fn with(more: &str) -> String {
    MODEL.replace("[expect]", &format!("{more}\n\n[expect]"))
}

fn status(outcome: &Outcome, name: &str) -> Status {
    outcome.properties.iter().find(|found| found.name == name).expect("a property").status
}

const DOWN: &str = "[faults]\ndown = [\"A1\", \"A2\"]";

#[test]
fn where_nothing_is_chosen_no_claim_is_put_to_the_test() {
    let outcome = run(&with(DOWN));
    assert_eq!(outcome.verdict, Verdict::Vacuous, "{outcome:?}");
    assert!(
        !outcome.ok && outcome.properties.iter().all(|found| found.status == Status::Hollow),
        "{outcome:?}"
    );
    let detail = outcome.detail.expect("a reason");
    assert!(detail.contains("a value was chosen") && detail.contains("hollow = "), "{detail}");
}

#[test]
fn a_log_that_cannot_choose_is_no_pass_either() {
    let outcome = run(
        "about = \"A log of three servers, two of which are down.\"\ntier = \"fast\"\n\n[system]\nlayout = \"co-located\"\n\
         acceptors = 3\nvalues = [\"x\", \"y\"]\nasks = [[\"S1\"], [\"S1\"]]\nnacks = false\nlearning = \"proposer\"\n\n\
         [log]\nalpha = 1\nhang-up = true\n\n[network]\ndelivery = \"multiset\"\n\n[faults]\ndown = [\"S2\", \"S3\"]\n\n\
         [expect]\nverdict = \"holds\"\n",
    );
    assert_eq!(outcome.verdict, Verdict::Vacuous, "{outcome:?}");
    assert!(outcome.properties.iter().all(|found| found.status == Status::Hollow), "{outcome:?}");
}

#[test]
fn a_model_may_be_hollow_with_a_reason_and_only_if_it_is() {
    let reason = "[check]\nhollow = \"it shows how few states there are\"";
    let outcome = run(&with(&format!("{DOWN}\n\n{reason}")));
    assert!(outcome.ok && outcome.verdict == Verdict::Holds, "{outcome:?}");
    assert!(outcome.properties.iter().all(|found| found.status == Status::Hollow), "{outcome:?}");
    let bounded = run(
        &with(&format!("[bounds]\ndepth = 2\n\n{reason}")).replace("\"holds\"", "\"holds-within-bound\"")
    );
    assert!(bounded.ok, "the verdict is what was explored: {bounded:?}");
    let tested = run(&with(reason));
    assert!(!tested.ok && tested.complaints[0].contains("leave hollow out"), "{tested:?}");
}

#[test]
fn what_is_out_of_reach_is_a_claim_of_its_own() {
    let outcome = run(&with(&format!("{DOWN}\n\n[check]\nnever = [\"chosen\"]")));
    assert!(outcome.ok && outcome.verdict == Verdict::Holds, "{outcome:?}");
    assert_eq!(status(&outcome, "never chosen"), Status::Holds);
    assert_eq!(status(&outcome, "B0"), Status::Hollow);
}

#[test]
fn a_bound_that_ends_before_anything_is_chosen_leaves_claims_untested() {
    let outcome = run(&with("[bounds]\ndepth = 3"));
    assert_eq!(outcome.verdict, Verdict::Vacuous, "{outcome:?}");
}

/// A single ballot cannot contradict another; and in each instance whoever is alone puts the claims of one ballot to the test.
#[test]
fn one_proposer_puts_only_the_claims_of_one_ballot_to_the_test() {
    let outcome = run(&MODEL.replace("proposers = 2", "proposers = 1").replace("[\"x\", \"y\"]", "[\"x\"]"));
    assert!(outcome.ok, "{outcome:?}");
    for (claims, expected) in [
        (&["B0", "P1", "P1a", "P2c", "V1"][..], Status::Holds),
        (&["P2", "P2a", "P2b", "V2", "V3"], Status::Hollow),
    ] {
        for claim in claims {
            assert_eq!(status(&outcome, claim), expected, "{claim}");
        }
    }
    assert_eq!(
        outcome.hollow,
        ["P2", "P2a", "P2b", "V2", "V3"],
        "what is not there to be spoken about is not told"
    );
}

#[test]
fn each_claim_is_put_to_the_test_where_it_is_meant_to_be() {
    for (name, claims) in [
        (
            "acceptors/three-two-proposers",
            &["B0", "P1", "P1a", "P2", "P2a", "P2b", "P2c", "V1", "V2", "V3"][..],
        ),
        ("reads/one", &["R1"]),
        ("log/two-snapshots-asked", &["W1", "X1", "L1"]),
        ("ballots/two-live", &["B0", "P2", "P2a", "P2b"]),
    ] {
        let outcome = check(&find(name).expect("in the catalogue"), &Settings::default());
        assert!(outcome.ok, "{name}: the premises change no count: {:?}", outcome.complaints);
        for claim in claims {
            assert_eq!(status(&outcome, claim), Status::Holds, "{claim} in {name}");
        }
    }
}

/// As it is with fingerprints, several threads, and another engine.
#[test]
fn what_was_put_to_the_test_does_not_depend_on_who_looks() {
    let model = find("acceptors/three").expect("in the catalogue");
    let mine = check(&model, &Settings::default());
    let statuses = |outcome: &Outcome| {
        outcome.properties.iter().map(|found| (found.name, found.status)).collect::<Vec<_>>()
    };
    let table = synod_explore::Table::Fingerprint64;
    for settings in [
        Settings { threads: 3, ..Settings::default() },
        Settings { table, ..Settings::default() },
        Settings { stateright: true, ..Settings::default() },
    ] {
        assert_eq!(statuses(&check(&model, &settings)), statuses(&mine));
    }
    assert!(mine.properties.iter().any(|found| found.status == Status::Hollow), "{mine:?}");
}
