//! Random schedules at sizes that cannot be exhausted: the roles stand them, every mutant falls to them, and what
//! falls shrinks to a trace in the common grammar.
//!
//! A failing run prints its seed; `SYNOD_SEED=n` runs that one first.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use synod_explore::walk::{Dice, Priorities, Walk, follow, shrink, walk, walk_by};
use synod_explore::{Observer, Subject, System, trace};
use synod_model::{Built, Model, catalogue, mutants::MUTANTS, replay};

/// Five acceptors, three proposers, crashes, loss and repetition: nothing here can be exhausted.
fn large(mutant: Option<&str>, more: &str) -> Model {
    let mutant = mutant.map(|name| format!("mutant = {name:?}\n")).unwrap_or_default();
    let text = format!(
        "about = \"random schedules\"\ntier = \"nightly\"\n{mutant}\n[system]\nlayout = \"separate\"\nacceptors = 5\n\
         proposers = 3\nlearners = 1\nvalues = [\"x\", \"y\", \"z\", \"w\"]\n\
         asks = [[\"P1\"], [\"P2\"], [\"P3\"], [\"P1\", \"P2\"]]\nretry = \"on-timeout\"\n{more}\n[expect]\n\
         verdict = \"holds\"\n"
    );
    Model::read("schedules.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

const SET: &str = "[network]\ndelivery = \"set\"\n\n[faults]\ncrash = [\"acceptors\", \"proposers\"]\nat_once = 2\nin_all = 4\n";
const LOSSY: &str = "[network]\ndelivery = \"multiset\"\nloss = true\n\n[faults]\ncrash = [\"acceptors\", \"proposers\"]\nat_once = 2\nin_all = 4\n";
const ANNOUNCED: &str = "learning = \"proposer\"\n[network]\ndelivery = \"set\"\n\n[faults]\ncrash = [\"acceptors\", \"proposers\"]\nat_once = 2\nin_all = 4\n";

/// One run by priorities, which differ from seed to seed.
fn run<A: Subject, O: Observer<A>>(system: &System<A, O>, seed: u64, steps: usize) -> Walk<A> {
    let mut dice = Dice::new(seed);
    let changes = 1 + dice.below(12);
    let mut priorities = Priorities::new(dice.roll(), steps, changes);
    walk_by(system, |possible| priorities.pick::<A>(possible), steps)
}

fn first_seed() -> u64 {
    std::env::var("SYNOD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// The seed and the shrunk trace of the first failing run, if one of these many fails.
fn search<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    runs: u64,
    steps: usize,
) -> Option<(u64, String)> {
    (first_seed()..first_seed() + runs).find_map(|seed| {
        let failed = run(system, seed, steps);
        if !failed.failed() {
            return None;
        }
        let claim = failed.violation.as_ref().map(|(claim, _)| *claim);
        let same = |walk: &Walk<A>| {
            walk.violation.as_ref().map(|(claim, _)| *claim) == claim
                && walk.panicked.is_some() == failed.panicked.is_some()
        };
        let shrunk = shrink(system, &failed.actions, same);
        assert!(same(&follow(system, &shrunk)), "seed {seed}: what was shrunk still fails");
        Some((seed, trace::render(system, &shrunk)))
    })
}

#[test]
fn the_roles_stand_random_schedules() {
    for more in [SET, LOSSY, ANNOUNCED] {
        let Built::Plain(system) = large(None, more).build() else { panic!("no mutant") };
        let found = search(&system, 1_500, 250);
        assert!(found.is_none(), "seed and trace: {found:?}");
    }
}

/// proptest draws the choices one by one, and shrinks them by itself.
#[test]
fn the_roles_stand_arbitrary_choices() {
    let Built::Plain(system) = large(None, LOSSY).build() else { panic!("no mutant") };
    let config = Config { cases: 128, failure_persistence: None, ..Config::default() };
    let choices = prop::collection::vec(any::<u16>(), 1..200);
    let outcome = TestRunner::new(config).run(&choices, |choices| {
        let mut next = choices.iter();
        let walk = walk(&system, |_| usize::from(*next.next().unwrap_or(&0)), choices.len());
        prop_assert!(
            !walk.failed(),
            "{:?} {:?}\n{}",
            walk.violation,
            walk.panicked,
            trace::render(&system, &walk.actions)
        );
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

#[test]
fn random_schedules_find_every_mutant() {
    let harmless = |name: &str| {
        let of_it = |model: &Model| model.mutant().is_some_and(|entry| entry.name == name);
        catalogue().iter().any(|model| of_it(model) && model.name.starts_with("harmless/"))
    };
    let mut missed = Vec::new();
    for mutant in MUTANTS.iter().filter(|mutant| !harmless(mutant.name)) {
        let shapes = if mutant.name.starts_with("announces") { [ANNOUNCED, ANNOUNCED] } else { [SET, LOSSY] };
        let found = shapes.iter().find_map(|more| {
            let model = large(Some(mutant.name), more);
            let Built::Mutant(system) = model.build() else { panic!("a mutant") };
            search(&system, 20_000, 250).map(|found| (model, found))
        });
        let Some((model, (seed, text))) = found else {
            missed.push(mutant.name);
            continue;
        };
        // A panic cannot be replayed past; every other fall is judged anew from the text alone.
        if mutant.name != "saves-last" {
            let judged =
                replay(&model, &text).unwrap_or_else(|error| panic!("{}: seed {seed}: {error}", mutant.name));
            let fell = judged.judged.iter().any(|(_, _, status, _)| *status == "violated");
            assert!(fell, "{}: seed {seed}: the shrunk trace breaks a claim\n{text}", mutant.name);
        }
        println!("{}: seed {seed}, {} steps", mutant.name, text.lines().count() - 1);
    }
    assert!(missed.is_empty(), "not found by any seed from {} on: {missed:?}", first_seed());
}
