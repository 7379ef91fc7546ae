//! The orbits of states under exchanges of alike processes, counted without a search that makes use of them.

use crate::equivariance::{declared, moved};
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use synod::Msg;
use synod_explore::{Options, State, Subject, Symmetry, System, explore};
use synod_model::{Built, Ghost, Inside, Model, Settings, Verdict, catalogue, check, find};

/// A state as a member of a set: its equality is a total one.
struct Member<A: Subject<Msg = Msg>>(State<A, Ghost>)
where
    A::State: Inside;

impl<A: Subject<Msg = Msg>> PartialEq for Member<A>
where
    A::State: Inside,
{
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<A: Subject<Msg = Msg>> Eq for Member<A> where A::State: Inside {}

impl<A: Subject<Msg = Msg>> Hash for Member<A>
where
    A::State: Inside,
{
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

/// All states that are reached, and the greatest depth of one. With a symmetry, one state of each orbit.
fn reached<A>(system: &System<A, Ghost>, symmetry: Option<&Symmetry<A, Ghost>>) -> (HashSet<Member<A>>, usize)
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let group = symmetry.map(|symmetry| symmetry.group(system.actors.len())).unwrap_or_default();
    let (mut level, mut depth) = (vec![system.initial()], 0);
    let mut seen: HashSet<Member<A>> = level.iter().cloned().map(Member).collect();
    while !level.is_empty() {
        depth += 1;
        let mut next = Vec::new();
        for state in &level {
            for after in system.possible(state).iter().filter_map(|action| system.step(state, action)) {
                let like = |by| symmetry.is_some_and(|s| seen.contains(&Member(moved(s, by, &after))));
                if !group.iter().any(like) && seen.insert(Member(after.clone())) {
                    next.push(after);
                }
            }
        }
        level = next;
    }
    (seen, depth)
}

/// The number of orbits in the full state space. Each orbit must lie in it whole.
fn orbits<A>(symmetry: &Symmetry<A, Ghost>, actors: usize, all: &HashSet<Member<A>>) -> usize
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let group = symmetry.group(actors);
    let mut assigned: HashSet<Member<A>> = HashSet::new();
    let mut count = 0;
    for Member(state) in all {
        if assigned.contains(&Member(state.clone())) {
            continue;
        }
        count += 1;
        for by in &group {
            let like = Member(moved(symmetry, by, state));
            assert!(all.contains(&like), "reached is\n{state:#?}\nand not\n{:#?}", like.0);
            assigned.insert(like);
        }
    }
    count
}

#[test]
fn a_state_of_each_orbit_is_reached_and_no_more() {
    for (name, groups) in [
        ("acceptors/two", r#"["acceptors"]"#),
        ("acceptors/three", r#"["acceptors"]"#),
        ("crash/acceptor", r#"["acceptors"]"#),
        ("learning/everyone", r#"["acceptors", "learners"]"#),
    ] {
        let model = declared(&find(name).expect("a model"), groups).expect("they are alike");
        let Built::Plain(system) = model.build() else { panic!("{name} is no mutant's") };
        let symmetry = system.symmetry.clone().expect("it is declared");
        let (all, depth) = reached(&system, None);
        let (some, same_depth) = reached(&system, Some(&symmetry));
        let orbits = orbits(&symmetry, system.actors.len(), &all);
        assert_eq!((some.len(), same_depth), (orbits, depth), "{name}");
        let explored = explore(&system, &Options::default());
        assert_eq!((explored.unique_states, explored.depth), (orbits as u64, depth), "{name}: the engine's");
        let file = &model.file.expect;
        assert_eq!(file.unique_states, Some(all.len() as u64), "{name}");
        assert_eq!(file.depth, Some(depth), "{name}");
        assert!(2 * orbits < all.len() + 100, "{name}: {orbits} orbits of {} states", all.len());
    }
}

/// A model that reduces stands beside one that does not, by the same name, wherever that one is small enough.
#[test]
fn a_twin_expects_what_its_original_does() {
    let models = catalogue();
    let plain = |model: &Model| {
        let lines = model.text.lines().filter(|line| !line.starts_with("about") && !line.starts_with("tier"));
        let text = lines.collect::<Vec<_>>().join("\n");
        let (system, _) = text.split_once("[expect]").expect("every model expects something");
        let (_, system) = system.split_once("[system]").expect("every model is of a system");
        system.replace("[reduce]\nsymmetry = [\"acceptors\"]\n\n", "")
    };
    let mut twins = 0;
    for twin in models.iter().filter(|model| model.file.about.starts_with("Twin of `")) {
        let name = twin.file.about.split('`').nth(1).expect("the name of its original");
        let original = find(name).expect("there is an original");
        assert!(twin.reduces() && !original.reduces(), "{}", twin.name);
        assert_eq!(plain(twin), plain(&original), "{}", twin.name);
        assert_eq!(twin.mutant().map(|m| m.name), original.mutant().map(|m| m.name), "{}", twin.name);
        let expects = |model: &Model| {
            let expect = model.file.expect.clone();
            (expect.verdict, expect.property, expect.steps)
        };
        assert_eq!(expects(twin), expects(&original), "{}", twin.name);
        twins += 1;
    }
    assert!(twins > 6, "there are {twins} twins");
}

#[test]
fn counts_are_compared_where_reductions_are_made_and_verdicts_always() {
    let mut model = declared(&find("acceptors/three").expect("a model"), r#"["acceptors"]"#).expect("alike");
    model.file.expect.unique_states = Some(1);
    let ok = |model: &Model, reduce, stateright| {
        check(model, &Settings { reduce, stateright, ..Settings::default() }).ok
    };
    assert!(!ok(&model, true, false), "a count that is wrong is told");
    assert!(ok(&model, false, false) && ok(&model, true, true), "a count of something else is not compared");
    model.file.expect.verdict = Verdict::Vacuous;
    assert!(!ok(&model, false, false) && !ok(&model, true, true), "a verdict that is wrong is always told");
}
