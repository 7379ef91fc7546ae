//! Random schedules at sizes that cannot be exhausted: the roles stand them, every mutant falls to them, and what
//! falls shrinks to a trace in the common grammar.
//!
//! A failing run prints its seed; `SYNOD_SEED=n` runs that one first.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::hash::{BuildHasher, RandomState};
use synod_explore::walk::{Dice, Priorities, Walk, follow, shrink, walk, walk_by};
use synod_explore::{Observer, Status, Subject, System, trace};
use synod_model::{Built, Model, Verdict, catalogue, mutants::MUTANTS, replay};

/// Acceptors, proposers, four clients that ask them in turn, and whatever else is asked for.
fn large(
    mutant: Option<&str>,
    (acceptors, proposers): (usize, usize),
    system: &str,
    environment: &str,
) -> Model {
    let asks: Vec<_> = (0..4).map(|client| format!("[\"P{}\"]", client % proposers + 1)).collect();
    let asks = asks.join(", ");
    let mutant = mutant.map(|name| format!("mutant = {name:?}\n")).unwrap_or_default();
    let text = format!(
        "about = \"random schedules\"\ntier = \"nightly\"\n{mutant}\n[system]\nlayout = \"separate\"\n\
         acceptors = {acceptors}\nproposers = {proposers}\nvalues = [\"x\", \"y\", \"z\", \"w\"]\nasks = [{asks}]\n\
         {system}\n{environment}\n[expect]\nverdict = \"holds\"\n"
    );
    Model::read("schedules.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// So many servers, a client that writes, and clients that read.
fn reading(mutant: Option<&str>, servers: usize, readers: &str, environment: &str) -> Model {
    let mutant = mutant.map(|name| format!("mutant = {name:?}\n")).unwrap_or_default();
    let text = format!(
        "about = \"random schedules\"\ntier = \"nightly\"\n{mutant}\n[system]\nlayout = \"co-located\"\n\
         acceptors = {servers}\nvalues = [\"x\"]\nasks = [[\"S3\"]]\nreaders = {readers}\n{environment}\n[expect]\nverdict = \"holds\"\n"
    );
    Model::read("schedules.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

const RETRY: &str = "retry = \"on-timeout\"\n";
const LEARNER: &str = "learners = 1\n";
const ANNOUNCED: &str = "learners = 1\nlearning = \"proposer\"\n";
const READERS: &str = "[[\"S2\"], [\"S2\"], [\"S1\"]]\nlearning = \"proposer\"\n";
const ONE_READER: &str = "[[\"S2\"]]\nlearning = \"proposer\"\n";
const CRASHES: &str = "[faults]\ncrash = [\"acceptors\", \"proposers\"]\nat_once = 2\nin_all = 4\n";
const LOSSY: &str = "[network]\ndelivery = \"multiset\"\nloss = true\n";

/// Where each mutant is looked for: what it needs in order to do harm, and nothing that only hides it. None of the
/// shapes with five acceptors, with crashes or with retries can be exhausted.
fn shapes(mutant: &str) -> Vec<Model> {
    let of =
        |acceptors, system: &str, environment: &str| large(Some(mutant), (acceptors, 3), system, environment);
    let own: Vec<Model> = catalogue()
        .into_iter()
        .filter(|model| model.mutant().is_some_and(|entry| entry.name == mutant))
        .filter(|model| model.file.log.is_some() || mutant.starts_with("hears-strangers"))
        .collect();
    if !own.is_empty() {
        // Mutants of the log, and of who is heard, are looked for where their own model looks.
        return own.iter().chain(&own).cloned().collect();
    }
    match mutant {
        "forgets-ballot" | "forgets-promise" | "forgets-accepted" | "amnesia" | "sends-before-save"
        | "stale-disk" => {
            vec![of(5, "", CRASHES), of(3, "", CRASHES)]
        }
        "other-ballots-promises" | "same-ballot-retry" => vec![of(5, RETRY, "")],
        "announces-other-ballots" => {
            // Whoever is told of refusals stays in its ballot as long as it is not.
            let announced = format!("{ANNOUNCED}{RETRY}nacks = false\n");
            vec![large(Some(mutant), (5, 1), &announced, ""), large(Some(mutant), (3, 1), &announced, "")]
        }
        // A read that came earlier would keep the value from being chosen.
        "reads-bound" => {
            vec![reading(Some(mutant), 5, ONE_READER, ""), reading(Some(mutant), 3, ONE_READER, "")]
        }
        name if name.starts_with("reads") => {
            vec![reading(Some(mutant), 5, READERS, ""), reading(Some(mutant), 3, READERS, "")]
        }
        name if name.starts_with("announces") => vec![of(5, ANNOUNCED, "")],
        name if name.starts_with("learns") => vec![of(5, LEARNER, ""), of(3, LEARNER, "")],
        // Where the second shape is needed, five acceptors make the order of events too rare for a test.
        _ => vec![of(5, "", ""), of(3, "", "")],
    }
}

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

/// The seed and the shrunk trace of the first failing run, if one of these many fails; and what was said if it was stopped.
fn search<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    runs: u64,
    steps: usize,
) -> Option<(u64, String, Option<String>)> {
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
        Some((seed, trace::render(system, &shrunk), failed.panicked.clone()))
    })
}

#[test]
fn the_roles_stand_random_schedules() {
    let everything = format!("{LEARNER}{RETRY}");
    let announced = format!("{ANNOUNCED}{RETRY}");
    let lossy = format!("{LOSSY}{CRASHES}");
    for (system, environment) in [(&everything, CRASHES), (&everything, &lossy), (&announced, CRASHES)] {
        let Built::Plain(system) = large(None, (5, 3), system, environment).build() else {
            panic!("no mutant")
        };
        let found = search(&system, 300, 250);
        assert!(found.is_none(), "seed and trace: {found:?}");
    }
    for servers in [3, 5] {
        let crashes = "[faults]\ncrash = [\"servers\"]\nat_once = 2\nin_all = 4\n";
        let Built::Plain(system) = reading(None, servers, &format!("{READERS}{RETRY}"), crashes).build()
        else {
            panic!("no mutant")
        };
        let found = search(&system, 300, 250);
        assert!(found.is_none(), "seed and trace: {found:?}");
    }
}

/// proptest draws the choices one by one, and shrinks them by itself.
#[test]
fn the_roles_stand_arbitrary_choices() {
    let lossy = format!("{LOSSY}{CRASHES}");
    let Built::Plain(system) = large(None, (5, 3), RETRY, &lossy).build() else { panic!("no mutant") };
    // Others in each run.
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    eprintln!("SYNOD_SEED={seed}");
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases: 128, rng_seed, failure_persistence: None, ..Config::default() };
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

/// These fall in their own models, where every order is tried. The ones that they need are too rare for so many runs as these.
const TOO_RARE: [&str; 5] = [
    "answers-too-early",
    "installs-older-snapshot",
    "keeps-confirmations",
    "reads-without-right",
    "snapshot-drops-votes",
];

#[test]
fn random_schedules_find_every_mutant_whose_order_is_not_too_rare() {
    let harmless = |name: &str| {
        let of_it = |model: &Model| model.mutant().is_some_and(|entry| entry.name == name);
        catalogue().iter().any(|model| of_it(model) && model.name.starts_with("harmless/"))
    };
    let names = MUTANTS.iter().filter(|mutant| mutant.rule().is_some()).map(|mutant| mutant.name);
    let wanted: Vec<&str> = names.filter(|name| !harmless(name) && !TOO_RARE.contains(name)).collect();
    // Two threads, since every mutant is a search of its own.
    let half = wanted.len() / 2;
    let missed: Vec<&str> = std::thread::scope(|scope| {
        let other =
            scope.spawn(|| wanted[half..].iter().copied().filter(|name| !finds(name)).collect::<Vec<_>>());
        let mut missed: Vec<&str> = wanted[..half].iter().copied().filter(|name| !finds(name)).collect();
        missed.extend(other.join().expect("the other half ends"));
        missed
    });
    assert!(missed.is_empty(), "not found by any seed from {} on: {missed:?}", first_seed());
}

/// Whether some schedule kills the mutant, and what is left of it after shrinking does so too, read back as text.
fn finds(mutant: &str) -> bool {
    let found = shapes(mutant).into_iter().zip([2_000, 40_000]).find_map(|(model, runs)| {
        let Built::Decorated(system) = model.build() else { panic!("a mutant") };
        search(&system, runs, 150).map(|found| (model, found))
    });
    let Some((model, (seed, text, stopped))) = found else { return false };
    // A panic cannot be replayed past, and counts where it is what the mutant's own models say, or a replica that has found itself
    // diverged. Every other fall is judged anew from the text alone.
    let may_stop = catalogue().iter().any(|model| {
        model.mutant().is_some_and(|entry| entry.name == mutant)
            && model.file.expect.verdict == Verdict::Panicked
    });
    if let Some(said) = stopped {
        assert!(may_stop || said.contains("replicas have diverged"), "{mutant}: seed {seed}: {said}");
    } else {
        let judged = replay(&model, &text).unwrap_or_else(|error| panic!("{mutant}: seed {seed}: {error}"));
        let fell = judged.judged.iter().any(|(_, _, status, _)| *status == Status::Violated);
        assert!(fell, "{mutant}: seed {seed}: the shrunk trace breaks a claim\n{text}");
    }
    println!(
        "{mutant}: {} acceptors, seed {seed}, {} steps",
        model.cluster.acceptors.len(),
        text.lines().count() - 1
    );
    true
}
