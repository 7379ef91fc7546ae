//! Random graphs: the engine and the naive decision agree.

use crate::graphs::{ALL, Asks, Edge, Graph, naive};
use std::collections::BTreeSet;
use synod_explore::liveness::{Fairness, check, verify};
use synod_explore::walk::Dice;
use synod_explore::{Options, Verdict};

/// A graph of a few nodes, more often than not with cycles.
fn random(dice: &mut Dice) -> Graph {
    let nodes = 1 + dice.below(6);
    let classes = dice.below(4);
    let fairness = (0..classes)
        .map(|_| match dice.below(7) {
            0..3 => Fairness::Weak,
            3..6 => Fairness::Strong,
            _ => Fairness::Ceases,
        })
        .collect();
    let edges = (0..nodes).map(|_| {
        let degree = dice.below(4);
        (0..degree)
            .map(|_| Edge {
                to: dice.below(nodes),
                classes: (0..classes).filter(|_| dice.below(3) == 0).collect(),
            })
            .collect()
    });
    let edges = edges.collect();
    let mut set = |odds: usize| (0..nodes).filter(|_| dice.below(odds) == 0).collect();
    let (from, goal) = (set(2), set(4));
    let beyond = if dice.below(3) == 0 {
        (1..nodes).filter(|_| dice.below(5) == 0).collect()
    } else {
        BTreeSet::default()
    };
    Graph { edges, fairness, from, goal, beyond }
}

#[test]
fn every_random_graph_is_decided_as_by_trying_every_set_of_nodes() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..6_000_u64 {
        let mut dice = Dice::new(seed);
        let graph = random(&mut dice);
        let asks = ALL[dice.below(ALL.len())];
        let system = graph.system(asks);
        let report = check(&system, &Options::default());
        let expected = naive(&graph, asks);
        let context =
            format!("seed {seed}, {asks:?}: {graph:?}: {:?}, expected {expected:?}", report.verdict);
        let lasso = report.findings[0].lasso.as_ref();
        match (&report.verdict, expected.stem) {
            (Verdict::Violated { .. }, Some(stem)) => {
                let lasso = lasso.unwrap_or_else(|| panic!("no lasso: {context}"));
                assert_eq!(lasso.stem.len(), stem, "{context}");
                verify(&system, &system.liveness.properties[0], lasso)
                    .unwrap_or_else(|breach| panic!("{breach}: {context}"));
            }
            (Verdict::Holds | Verdict::HoldsWithinBound(_) | Verdict::Vacuous(_), None) => {
                assert!(lasso.is_none(), "{context}");
            }
            _ => panic!("{context}"),
        }
        let cycle = lasso.map(|lasso| lasso.cycle.len().min(2));
        *counts.entry((asks == Asks::StaysAtLast, expected.stem.is_some(), cycle)).or_insert(0) += 1;
    }
    // Each answer comes up, by cycles that stand still, by loops and by real ones.
    assert!(counts.len() == 8 && counts.values().all(|count| *count > 20), "{counts:?}");
}

/// Of two nodes that a run goes between for ever, one way or another: the cycle that is found is a shortest one.
#[test]
fn a_cycle_that_is_affordable_is_a_shortest_one() {
    for seed in 0..2_000_u64 {
        let mut dice = Dice::new(seed ^ 0x5eed);
        let graph = random(&mut dice);
        let report = check(&graph.system(Asks::FromEverywhere), &Options::default());
        let Some(lasso) = &report.findings[0].lasso else { continue };
        assert!(lasso.shortest, "seed {seed}");
        let mut node = 0;
        let walk = |node: usize, action: &synod_explore::Action<crate::graphs::Walker>| match action {
            synod_explore::Action::<crate::graphs::Walker>::Timeout(_, (_, step)) => {
                graph.edges[node][*step].to
            }
            _ => unreachable!("a walker has timers only"),
        };
        for action in &lasso.stem {
            node = walk(node, action);
        }
        assert_eq!(shortest_cycle(&graph, node), Some(lasso.cycle.len()), "seed {seed}: {graph:?} {lasso:?}");
    }
}

/// The length of a shortest fair closed walk from a node off the goal, by trying all walks, the short ones first.
fn shortest_cycle(graph: &Graph, from: usize) -> Option<usize> {
    let classes = graph.fairness.len();
    let possible = |node: usize| -> u32 {
        (0..classes).filter(|c| graph.edges[node].iter().any(|e| e.classes.contains(c))).map(|c| 1 << c).sum()
    };
    // Of each walk: where it is, what was taken, what was possible everywhere, what was possible somewhere.
    let mut walks = BTreeSet::from([(from, 0_u32, possible(from), possible(from))]);
    for length in 0..40 {
        let fair = walks.iter().any(|&(node, taken, always, ever)| {
            node == from
                && (0..classes).all(|class| match graph.fairness[class] {
                    Fairness::Weak => (taken | !always) >> class & 1 == 1,
                    Fairness::Strong => (taken | !ever) >> class & 1 == 1,
                    Fairness::Ceases => true,
                })
        });
        if fair {
            return Some(length);
        }
        let mut next = BTreeSet::new();
        for (node, taken, always, ever) in walks {
            for edge in &graph.edges[node] {
                let ceases = edge.classes.iter().any(|c| graph.fairness[*c] == Fairness::Ceases);
                if ceases || graph.goal.contains(&edge.to) || graph.beyond.contains(&edge.to) {
                    continue;
                }
                let taken = edge.classes.iter().fold(taken, |taken, class| taken | 1 << class);
                let here = possible(edge.to);
                next.insert((edge.to, taken, always & here, ever | here));
            }
        }
        walks = next;
    }
    None
}
