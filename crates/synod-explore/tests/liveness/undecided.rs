//! If runs leave the bounds, or none meets the assumptions, nothing is reported to hold without being shown.

use crate::climbers::{Climber, climbers};
use stateright::Expectation;
use stateright::actor::ActorModel;
use synod_explore::actor_model::with_liveness;
use synod_explore::liveness::{Assumption, LiveProperty, check};
use synod_explore::{Options, Status, Verdict, Why, explore};

fn bounded() -> ActorModel<Climber, (), ()> {
    climbers(1, 100).within_boundary(|(), state| *state.actor_states[0] <= 3)
}

#[test]
fn what_comes_about_before_the_boundary_holds_and_nothing_else_does() {
    let model = bounded()
        .property(Expectation::Eventually, "reaches 2", |_, state| *state.actor_states[0] == 2)
        .property(Expectation::Eventually, "reaches 9", |_, state| *state.actor_states[0] == 9);
    let mut system = with_liveness(&model);
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Vacuous(vec!["a run that meets the assumptions"]));
    let statuses: Vec<_> = report.findings.iter().map(|finding| finding.status).collect();
    assert_eq!(statuses, [Status::Holds, Status::Undecided]);
    // If the goal is all that is asked for, and every run reaches it before it leaves the bounds, it is decided.
    system.liveness.properties.pop();
    let report = check(&system, &Options::default());
    assert!(matches!(report.verdict, Verdict::HoldsWithinBound(_)), "{}", report.verdict);
    // A property from every state on is about states beyond the boundary, too.
    system.liveness.properties = vec![LiveProperty::stays_at_last_state("stays high", |state| {
        state.locals[0].state.as_deref() >= Some(&2)
    })];
    let report = check(&system, &Options::default());
    assert_eq!(report.findings[0].status, Status::Undecided);
    assert!(matches!(report.verdict, Verdict::Vacuous(_)));
}

#[test]
fn exploring_leaves_it_undecided_and_checking_decides_it() {
    let model = climbers(1, 3).property(Expectation::Eventually, "reaches 9", |_, s| *s.actor_states[0] == 9);
    let system = with_liveness(&model);
    assert_eq!(explore(&system, &Options::default()).verdict, Verdict::Incomplete(Why::Liveness));
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "reaches 9" });
    assert_eq!(report.rerun.handlers_again, report.rerun.handlers);
    assert!(report.rerun.handlers > 0);
}

#[test]
fn what_no_run_puts_to_the_test_is_hollow() {
    let mut system = with_liveness(
        &climbers(1, 3)
            .property(Expectation::Eventually, "reaches 2", |_, state| *state.actor_states[0] == 2)
            .property(Expectation::Eventually, "reaches 9", |_, state| *state.actor_states[0] == 9),
    );
    system.liveness.assumptions.push(Assumption::ceases("nothing ever happens", |_| true));
    system.liveness.assumptions.push(Assumption::strong("and it does", |_| true));
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "reaches 9" }, "the climber comes to a stop");
    let from =
        LiveProperty::leads_to_state("from 9", |s| s.locals[0].state.as_deref() == Some(&9), |_| false);
    system.liveness.properties = vec![from];
    let report = check(&system, &Options::default());
    assert_eq!(report.findings[0].status, Status::Hollow);
    assert_eq!(report.verdict, Verdict::Vacuous(vec!["from 9"]));
}
