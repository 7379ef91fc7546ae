//! A pass takes a decision on every property: a property that was not asked, or not to the end, does not hold.

use crate::climbers::climbers;
use crate::erased::{explore, stateright_bfs};
use stateright::Expectation;
use synod_explore::actor_model::{from_actor_model, with_liveness};
use synod_explore::{Options, Property, Status, Stop, Verdict, Why};

#[test]
fn stopping_at_a_witness_decides_nothing_else() {
    let model = climbers(2, 6)
        .property(Expectation::Sometimes, "one at 1", |_, state| *state.actor_states[0] == 1)
        .property(Expectation::Always, "never at 5", |_, state| *state.actor_states[0] != 5)
        .property(Expectation::Sometimes, "one at 77", |_, state| *state.actor_states[0] == 77);
    let system = from_actor_model(&model).unwrap();
    let stop = Stop::Violation("one at 1".to_owned());
    let report = explore(&system, &Options { stop, ..Options::default() });
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Stopped));
    let statuses: Vec<_> = report.findings.iter().map(|finding| finding.status.word()).collect();
    assert_eq!(statuses, ["witnessed", "undecided", "undecided"]);
    let all = explore(&system, &Options { stop: Stop::Exhausted, ..Options::default() });
    assert_eq!(all.verdict, Verdict::Violated { property: "never at 5" });
}

#[test]
fn a_witness_that_is_all_there_was_to_decide_is_no_pass_either() {
    let model =
        climbers(1, 6).property(Expectation::Sometimes, "at 1", |_, state| *state.actor_states[0] == 1);
    let stop = Stop::Violation("at 1".to_owned());
    let report = explore(&from_actor_model(&model).unwrap(), &Options { stop, ..Options::default() });
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Stopped), "a handler further up might panic");
}

#[test]
fn liveness_properties_are_reported_although_exploring_does_not_decide_them() {
    let model = climbers(1, 3)
        .property(Expectation::Always, "at most 3", |_, state| *state.actor_states[0] <= 3)
        .property(Expectation::Eventually, "reaches 9", |_, state| *state.actor_states[0] == 9);
    let mut system = with_liveness(&model);
    let report = explore(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Liveness));
    assert!(report.verdict.to_string().contains("must come about"), "{}", report.verdict);
    assert_eq!(report.finding("at most 3").unwrap().status, Status::Holds);
    let left = report.finding("reaches 9").unwrap();
    assert_eq!((left.expectation, left.status), (synod_explore::Expectation::Eventually, Status::Undecided));
    assert_eq!(stateright_bfs(&system, 1).verdict, Verdict::Incomplete(Why::Liveness));
    // Without it there is nothing that exploring does not decide.
    system.liveness.properties.clear();
    assert_eq!(explore(&system, &Options::default()).verdict, Verdict::Holds);
}

#[test]
fn stateright_is_asked_about_64_properties_and_the_rest_is_undecided() {
    const NAMES: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/";
    let mut system = from_actor_model(&climbers(1, 3)).unwrap();
    for at in 0..66 {
        system = system.property(Property::always_state(&NAMES[at..=at], |_| Ok(())));
    }
    let report = stateright_bfs(&system, 1);
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Stopped));
    let undecided = report.findings.iter().filter(|finding| finding.status == Status::Undecided);
    assert_eq!(undecided.map(|finding| finding.property).collect::<Vec<_>>(), ["*", "/"]);
}
