//! The catalogue: whatever it says comes out, and it holds what the project promises to check.

use crate::synod::run;
use synod_model::{Verdict, admission, catalogue, claims, clock, mutants, witnesses};

#[test]
#[ignore = "minutes; the main job, a step of its own in .ci/run, is the same"]
fn every_fast_model_comes_out_as_its_file_expects() {
    let ran = run(&["check", "--format", "json"]);
    let wrong: Vec<_> = ran.out.lines().filter(|line| line.contains("\"ok\":false")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(ran.status, 0, "{}", ran.err);
}

/// The same counts from an engine that shares nothing with ours but the meaning of one step.
#[test]
fn stateright_counts_the_same_states() {
    for name in [
        "acceptors/two",
        "acceptors/three",
        "acceptors/three-one-down",
        "acceptors/three-two-proposers",
        "co-located/three",
        "crash/acceptor",
        "learning/distinguished-set",
        "learning/distinguished-down",
        "network/multiset",
        "network/ordered-loss",
        "harmless/ignores-nack",
        "mutants/learns-first",
        "mutants/saves-last",
    ] {
        let ran = run(&["check", name, "--engine", "stateright", "--threads", "1"]);
        assert_eq!(ran.status, 0, "{name}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn every_model_states_what_it_expects_to_the_last_number() {
    for model in catalogue() {
        let expect = &model.file.expect;
        match expect.verdict {
            Verdict::Violated => assert!(expect.steps.is_some(), "{} says in how many steps", model.name),
            Verdict::Panicked => {}
            _ => assert!(
                expect.unique_states.is_some() && expect.generated_states.is_some() && expect.depth.is_some(),
                "{} states its counts",
                model.name
            ),
        }
    }
}

#[test]
fn every_mutant_has_a_model_that_kills_it_or_shows_it_harmless() {
    let models = catalogue();
    for mutant in &mutants::MUTANTS {
        let of_it: Vec<_> =
            models.iter().filter(|m| m.mutant().is_some_and(|entry| entry.name == mutant.name)).collect();
        assert!(!of_it.is_empty(), "{} has a model", mutant.name);
        let harmless = of_it.iter().any(|model| model.name.starts_with("harmless/"));
        // What breaks no claim may yet keep anything from ever coming about: then both are shown.
        let killed = of_it.iter().filter(|model| model.file.liveness.is_none()).any(|model| {
            model.file.expect.property.is_some() || model.file.expect.verdict == Verdict::Panicked
        });
        assert!(harmless != killed, "{} is either killed or harmless", mutant.name);
    }
}

#[test]
fn every_claim_has_a_model_that_breaks_it_and_every_witness_one_that_reaches_it() {
    let models = catalogue();
    for claim in &claims::CLAIMS {
        let falls = models.iter().any(|model| model.file.expect.property.as_deref() == Some(claim.name));
        assert!(falls, "some model breaks {}", claim.name);
    }
    for witness in &witnesses::WITNESSES {
        let wanted = |model: &&synod_model::Model| {
            let named = model.file.check.witnesses.as_ref().map(|names| names.get_ref().clone());
            named.unwrap_or_default().iter().any(|name| name == witness.name)
        };
        assert!(models.iter().any(|model| wanted(&model)), "some model must reach {}", witness.name);
    }
}

#[test]
fn every_claim_about_admission_falls_in_a_model_and_only_with_a_mutant() {
    let models: Vec<_> = catalogue().into_iter().filter(|model| model.admission.is_some()).collect();
    for claim in &admission::CLAIMS {
        let falls = models.iter().any(|model| model.file.expect.property.as_deref() == Some(claim.name));
        assert!(falls, "some model breaks {}", claim.name);
    }
    assert!(
        models
            .iter()
            .filter(|model| model.mutant().is_none())
            .all(|model| model.file.expect.verdict == Verdict::Holds)
    );
}

#[test]
fn every_claim_about_times_to_live_falls_by_a_mutant_and_one_by_clocks_that_disagree() {
    let models: Vec<_> = catalogue().into_iter().filter(|model| model.clock.is_some()).collect();
    let fallen = |model: &&synod_model::Model| model.file.expect.property.is_some();
    for claim in &clock::CLAIMS {
        let falls = models.iter().any(|model| {
            model.mutant().is_some() && model.file.expect.property.as_deref() == Some(claim.name)
        });
        assert!(falls, "some mutant breaks {}", claim.name);
    }
    let without: Vec<&str> =
        models.iter().filter(fallen).filter(|model| model.mutant().is_none()).map(|m| &*m.name).collect();
    assert_eq!(without, ["clock/ahead"]);
}
