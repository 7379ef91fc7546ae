//! The graph for liveness agrees with the plain semantics of one step: random machines, with losses, crashes
//! and bounds, are explored plainly, and the resulting graph is decided as a system of its own.

use crate::graphs::{Asks, Edge, Graph};
use crate::machines::{Machine, machines};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Arc;
use synod_explore::liveness::{Assumption, Fairness, Goal, LiveProperty, Shape, check};
use synod_explore::walk::Dice;
use synod_explore::{Action, Delivery, Faults, Local, Network, Options, State, System, Verdict};

/// More states than that are not looked at.
const MOST: usize = 600;

/// A class of steps of machines, by number.
fn class(action: &Action<Machine>) -> usize {
    match action {
        Action::<Machine>::Deliver { dst, .. } => usize::from(*dst) % 2,
        Action::<Machine>::Timeout(..) => 2,
        Action::<Machine>::Drop(_) => 3,
        Action::<Machine>::Crash(_) => 4,
        Action::<Machine>::Recover(_) => 5,
        Action::<Machine>::SelectRandom { .. } | Action::<Machine>::Tick => 6,
    }
}

/// The first machine is not in some state.
fn is_goal(avoided: u8, actor: usize, local: &Local<Machine>) -> bool {
    actor != 0 || local.state.as_deref().is_none_or(|state| *state != avoided)
}

fn system(actors: Vec<Machine>, avoided: u8, dice: &mut Dice) -> System<Machine, ()> {
    let count = actors.len();
    let mut system = System::new(actors, ());
    let delivery = [Delivery::Set, Delivery::Multiset, Delivery::Ordered][dice.below(3)];
    system.network = Network { delivery, loss: dice.below(2) == 0 };
    if dice.below(2) == 0 {
        let max_crashes = [None, Some(1)][dice.below(2)];
        system.faults = Faults { crashable: vec![true; count], max_down: 1, max_crashes, absent: Vec::new() };
    }
    match dice.below(3) {
        0 => {
            let within = |state: &u8| *state < 3;
            system.bounds.local = Some(("below 3".to_owned(), Arc::new(within)));
        }
        1 => {}
        _ => {
            let within = |state: &State<Machine, ()>| state.network.all().len() <= 3;
            system.bounds.state = Some(("three messages".to_owned(), Arc::new(within)));
        }
    }
    let goal = Goal::Locals(Arc::new(move |actor, local: &_| is_goal(avoided, actor, local)));
    system.liveness.properties = vec![LiveProperty { name: "goal", shape: Shape::FromEverywhere, goal }];
    for number in 0..7 {
        let fairness = match dice.below(5) {
            0 | 1 => Fairness::Weak,
            2 => Fairness::Strong,
            3 if number == 3 || number == 4 => Fairness::Ceases,
            _ => continue,
        };
        let meant =
            move |action: &Action<Machine>, _: Option<&()>| (class(action) == number).then(String::new);
        system.liveness.assumptions.push(Assumption::each(&number.to_string(), fairness, meant));
    }
    system
}

/// The same as a graph; `None` if it is too large. Nodes out of bounds follow those within.
fn plainly(system: &System<Machine, ()>, avoided: u8) -> Option<Graph> {
    let within = |state: &State<Machine, ()>| {
        let local = system.bounds.local.as_ref().is_none_or(|(_, within)| {
            state.locals.iter().all(|local| local.state.as_ref().is_none_or(|state| within(state)))
        });
        local && system.bounds.state.as_ref().is_none_or(|(_, within)| within(state))
    };
    let mut states = vec![system.initial()];
    let mut graph = Graph::default();
    let assumptions = &system.liveness.assumptions;
    graph.fairness = assumptions.iter().map(|assumption| assumption.fairness).collect();
    let mut at = 0;
    while at < states.len() {
        let state = states[at].clone();
        let mut edges = Vec::new();
        if within(&state) {
            for action in system.possible(&state) {
                let Some(next) = system.step(&state, &action) else { continue };
                let to = states.iter().position(|known| *known == next).unwrap_or_else(|| {
                    states.push(next);
                    states.len() - 1
                });
                let number = class(&action).to_string();
                let classes = (0..assumptions.len()).filter(|at| assumptions[*at].name == number).collect();
                edges.push(Edge { to, classes });
            }
        } else {
            graph.beyond.insert(at);
        }
        if state.locals.iter().enumerate().all(|(actor, local)| is_goal(avoided, actor, local)) {
            graph.goal.insert(at);
        }
        graph.edges.push(edges);
        at += 1;
        if states.len() > MOST {
            return None;
        }
    }
    Some(graph)
}

#[test]
fn machines_are_decided_as_their_plain_graphs_are() {
    let seed = *b"fair runs of random machines 001";
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let mut seen = [0; 3];
    for round in 0..600_u64 {
        let actors = machines().new_tree(&mut runner).expect("there are machines").current();
        let mut dice = Dice::new(round);
        let avoided = dice.below(3) as u8;
        let system = system(actors, avoided, &mut dice);
        let Some(graph) = plainly(&system, avoided) else { continue };
        if graph.beyond.contains(&0) {
            continue;
        }
        let lengths = |finding: Option<(usize, usize)>, verdict: &str| (finding, verdict.to_owned());
        let report = check(&system, &Options::default());
        let own = report.findings[0].lasso.as_ref().map(|lasso| (lasso.stem.len(), lasso.cycle.len()));
        let again = check(&graph.system(Asks::FromEverywhere), &Options::default());
        let other = again.findings[0].lasso.as_ref().map(|lasso| (lasso.stem.len(), lasso.cycle.len()));
        let word = |cut: bool, verdict: bool| {
            if verdict {
                "violated"
            } else if cut {
                "bound"
            } else {
                "holds"
            }
        };
        let own_word = word(matches!(report.verdict, Verdict::HoldsWithinBound(_)), own.is_some());
        let other_word = word(matches!(again.verdict, Verdict::HoldsWithinBound(_)), other.is_some());
        assert_eq!(
            (report.unique_states as usize, lengths(own.map(|(stem, _)| (stem, 0)), own_word)),
            (graph.edges.len() - graph.beyond.len(), lengths(other.map(|(stem, _)| (stem, 0)), other_word)),
            "round {round}: {:?} and {:?}",
            report.verdict,
            again.verdict
        );
        seen[match own_word {
            "violated" => 0,
            "bound" => 1,
            _ => 2,
        }] += 1;
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}
