//! Forgetting is checked, not believed: along runs in which nothing is forgotten, every state can do exactly what the state
//! that stands for it can do.

use super::*;
use crate::build::{Built, Model};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use synod_explore::walk::Dice;
use synod_explore::{Action, System};

const EXACT: Forgets = Forgets { dead: true, abandoned: false, planted: false };
const NOTHING: Forgets = Forgets { dead: false, abandoned: false, planted: false };

fn text(mutant: &str, learners: usize, live: usize, claims: &str) -> String {
    format!(
        r#"
about = "a test"
tier = "fast"
{mutant}
[system]
layout = "separate"
acceptors = 3
proposers = 2
learners = {learners}
values = ["x", "y"]
nacks = false
retry = "on-timeout"
[network]
delivery = "multiset"
[bounds]
live_ballots = {live}
[check]
{claims}
[expect]
verdict = "holds-within-bound"
"#
    )
}

/// The system, and what rewrites its states, with other rules.
fn system(model: &Model, forgets: Forgets) -> (System<Decorated, Ghost>, Arc<LiveBallots>) {
    let Built::Decorated(mut system) = model.build() else {
        unreachable!("ballots are drawn by decorated ones")
    };
    let claims = crate::claims::CLAIMS.iter().filter(|claim| CHECKED.contains(&claim.name)).collect();
    let most = model.file.bounds.live_ballots.as_ref().map_or(0, |most| *most.get_ref()) as usize;
    let mut normal = LiveBallots::new(most, Arc::clone(&model.cluster), system.actors.clone(), claims);
    normal.forgets = forgets;
    let normal = Arc::new(normal);
    system.normal = Some(Arc::clone(&normal) as Arc<dyn Normal<Decorated, Ghost>>);
    (system, normal)
}

fn hash(state: &Whole) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// All that can come next, itself left out.
fn next(system: &System<Decorated, Ghost>, from: &Whole, to: impl Fn(Whole) -> Whole) -> HashSet<u64> {
    let here = hash(&to(from.clone()));
    let steps = system.possible(from).into_iter().filter_map(|action| system.step(from, &action));
    steps.map(|state| hash(&to(state))).filter(|state| *state != here).collect()
}

/// A run by chance, in which most messages arrive and ballots are abandoned now and then.
fn run(system: &System<Decorated, Ghost>, seed: u64, mut look: impl FnMut(&Whole) -> bool) {
    let mut dice = Dice::new(seed);
    let mut state = system.initial();
    for _ in 0..60 {
        if !look(&state) {
            return;
        }
        let mut possible = system.possible(&state);
        let abandons = dice.below(6) == 0;
        possible.retain(|action| {
            !matches!(action, Action::<Decorated>::Timeout(..)) || abandons || waits(&state, action)
        });
        if possible.is_empty() {
            return;
        }
        let action = possible.swap_remove(dice.below(possible.len()));
        state = system.step(&state, &action).unwrap_or(state);
    }
}

/// True if an action begins a proposer's first ballot.
fn waits(state: &Whole, action: &Action<Decorated>) -> bool {
    let Action::<Decorated>::Timeout(id, _) = action else { return false };
    proposer(&state.locals[usize::from(*id)]).is_some_and(|proposer| proposer.phase == Phase::Idle)
}

/// The same where proposers answer nacks, and nothing else makes them try again.
fn driven(text: &str) -> String {
    text.replace("nacks = false", "nacks = true").replace("\"on-timeout\"", "\"on-nack\"")
}

/// The states along some runs that can do something else than those that stand for them.
fn differing(forgets: Forgets, text: &str, runs: u64) -> (usize, usize) {
    let model = Model::read("test", text).expect("a model");
    let (whole, _) = system(&model, NOTHING);
    let (short, normal) = system(&model, forgets);
    let stands = |state: Whole| normal.normal(state).expect("within bounds");
    let (mut seen, mut wrong) = (HashSet::new(), 0);
    for seed in 0..runs {
        run(&whole, seed, |state| {
            if seen.insert(hash(state)) {
                let from = stands(state.clone());
                wrong += usize::from(next(&whole, state, stands) != next(&short, &from, |state| state));
            }
            true
        });
    }
    (wrong, seen.len())
}

#[test]
fn what_is_forgotten_is_missed_by_nobody() {
    for learners in [0, 1] {
        let text = text("", learners, 16, "");
        for text in [driven(&text), text] {
            let (wrong, seen) = differing(EXACT, &text, 60);
            assert_eq!(wrong, 0, "of {seen}: {text}");
            assert!(seen > 900, "{seen}");
        }
    }
}

#[test]
fn a_wrong_rule_is_found() {
    let text = text("", 0, 16, "");
    for text in [driven(&text), text] {
        let (wrong, seen) = differing(Forgets { planted: true, ..EXACT }, &text, 20);
        assert!(wrong > 0, "of {seen}: {text}");
    }
}

#[test]
fn a_state_is_rewritten_once_and_by_order_alone() {
    for (mutant, forgets) in
        [("", EXACT), ("", Forgets { abandoned: true, ..EXACT }), ("mutant = \"lowers-promise\"", EXACT)]
    {
        let model = Model::read("test", &text(mutant, 1, 16, "")).expect("a model");
        let (whole, _) = system(&model, NOTHING);
        let (_, normal) = system(&model, forgets);
        for seed in 0..40 {
            run(&whole, seed, |state| {
                let once = normal.normal(state.clone()).expect("within bounds");
                assert_eq!(normal.normal(once.clone()).expect("within bounds"), once);
                // Farther apart, in the same order: it is the same state.
                let mut apart = state.clone();
                normal.each(&mut apart, &mut |ballot| ballot.round = 7 * ballot.round + 5);
                let has_fallen =
                    |history: &History| !history.evidence.is_empty() || !history.fallen.is_empty();
                if has_fallen(&state.history) {
                    return false;
                }
                let again = normal.normal(apart).expect("within bounds");
                assert!(has_fallen(&again.history) || again == once);
                true
            });
        }
    }
}

/// The claims that fall first, and after how many steps; none if nothing falls in so many states.
fn falls(mutant: &str, live: usize, most: usize) -> (Vec<&'static str>, usize, usize) {
    let claims = r#"claims = ["B0", "P2", "P2a", "P2b"]"#;
    let model = Model::read("test", &text(mutant, 0, live, claims)).expect("a model");
    let Built::Decorated(system) = model.build() else { unreachable!("ballots are drawn by decorated ones") };
    let mut seen = HashSet::new();
    let mut layer = vec![system.initial()];
    for steps in 0.. {
        let fallen: BTreeSet<_> =
            layer.iter().flat_map(|state| state.history.fallen.keys().copied()).collect();
        if !fallen.is_empty() || layer.is_empty() || seen.len() > most {
            return (fallen.into_iter().collect(), steps, seen.len());
        }
        let successors = layer.iter().flat_map(|state| {
            let steps = system.possible(state).into_iter();
            steps.filter_map(|action| system.step(state, &action)).collect::<Vec<_>>()
        });
        layer = successors.filter(|state| seen.insert(hash(state))).collect();
    }
    unreachable!("a layer is empty in the end")
}

#[test]
fn some_mutants_need_more_live_ballots_than_others() {
    let (fallen, steps, _) = falls("mutant = \"any-value\"", 2, 300_000);
    assert!(fallen == ["P2b"] && steps == 14, "{fallen:?} after {steps}");
    // Exhausted, with any number of retries; with a third live ballot it falls (`ballots/last-value`).
    for mutant in ["", "mutant = \"last-value\""] {
        assert!(falls(mutant, 2, 300_000).0.is_empty(), "{mutant}");
    }
}

#[test]
fn its_models_can_be_read() {
    let models = crate::catalogue().into_iter().filter(|model| model.file.bounds.live_ballots.is_some());
    assert!(models.count() >= 8);
}

#[test]
fn what_does_not_go_with_it_is_refused_where_it_stands() {
    let good = text("", 0, 3, "");
    for (from, to, says) in [
        ("nacks = false", "nacks = true", "nacks = false is needed"),
        (
            "nacks = false\nretry = \"on-timeout\"",
            "nacks = true\nretry = \"on-either\"",
            "nothing but answer nacks",
        ),
        ("\"on-timeout\"", "\"never\"", "retry = \"on-timeout\""),
        ("\"multiset\"", "\"set\"", "delivery = \"multiset\""),
        ("live_ballots = 3", "live_ballots = 0", "must be from 1 to 16"),
        ("live_ballots = 3", "live_ballots = 3\nrounds = 2", "rounds cannot be bounded"),
        ("[check]\n", "[check]\nclaims = [\"V2\"]\n", "claim \"V2\""),
        ("[check]\n", "[check]\nwitnesses = [\"raced\"]\n", "witness \"raced\""),
        ("[bounds]", "[faults]\ncrash = [\"A1\"]\n[bounds]", "crashes are not supported"),
    ] {
        let wrong = good.replace(from, to);
        assert_ne!(wrong, good);
        let error = Model::read("test", &wrong).expect_err(to).to_string();
        assert!(error.starts_with("test:") && error.contains(says), "{error}");
    }
    let model = Model::read("test", &good).expect("a model");
    let Built::Decorated(system) = model.build() else { unreachable!("ballots are drawn by decorated ones") };
    let bound = system.normal.expect("states are rewritten").bound();
    assert_eq!(bound, "at most 3 live ballots, any number of retries");
}
