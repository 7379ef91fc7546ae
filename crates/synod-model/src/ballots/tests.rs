use super::*;
use crate::build::{Built, Model};
use std::collections::HashSet;
use synod_explore::System;

fn model(most: usize) -> Model {
    let text = format!(
        r#"
about = "a test"
tier = "fast"
[system]
layout = "separate"
acceptors = 3
proposers = 2
values = ["x", "y"]
nacks = false
retry = "on-timeout"
[network]
delivery = "multiset"
[bounds]
live_ballots = {most}
[check]
claims = ["B0", "P2", "P2a", "P2b"]
[expect]
verdict = "holds-within-bound"
"#
    );
    Model::read("test", &text).unwrap()
}

#[test]
fn look() {
    for most in [1, 2] {
        let Built::Mutant(system) = model(most).build() else { panic!() };
        let system: System<Mutant, Ghost> = system;
        let mut seen: HashSet<String> = HashSet::new();
        let mut layer = vec![system.initial()];
        for depth in 1..9 {
            let mut next = Vec::new();
            for state in &layer {
                for action in system.possible(state) {
                    if let Some(t) = system.step(state, &action) {
                        if seen.insert(format!("{t:?}")) {
                            next.push(t);
                        }
                    }
                }
            }
            eprintln!("{most} {depth} {}", next.len());
            if depth == 6 {
                for t in next.iter().take(12) { eprintln!("{t:?}\n"); }
            }
            layer = next;
        }
    }
}
