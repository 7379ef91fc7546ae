//! A pass takes a decision on every property: what was not looked at, or not to the end, does not hold.

use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use std::borrow::Cow;
use synod_explore::liveness::{Assumption, LiveProperty, check};
use synod_explore::plain::{from_actor_model, with_liveness};
use synod_explore::{Options, Property, Status, Stop, Verdict, Why, explore, oracle};

/// Counts its timer up to a top.
#[derive(Clone)]
struct Climber {
    top: u32,
}

impl Actor for Climber {
    type Msg = ();
    type State = u32;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u32 {
        o.set_timer((), model_timeout());
        0
    }

    fn on_timeout(&self, _: Id, at: &mut Cow<'_, u32>, (): &(), o: &mut Out<Self>) {
        if **at < self.top {
            *at.to_mut() += 1;
            o.set_timer((), model_timeout());
        }
    }
}

fn climbers(count: usize, top: u32) -> ActorModel<Climber, (), ()> {
    ActorModel::new((), ())
        .actors(vec![Climber { top }; count])
        .init_network(Network::new_unordered_nonduplicating([]))
}

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
fn what_must_come_about_is_told_of_though_exploring_does_not_look_at_it() {
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
    assert_eq!(oracle::stateright_bfs(&system, 1, None).verdict, Verdict::Incomplete(Why::Liveness));
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Violated { property: "reaches 9" });
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
    let report = oracle::stateright_bfs(&system, 1, None);
    assert_eq!(report.verdict, Verdict::Incomplete(Why::Stopped));
    let undecided = report.findings.iter().filter(|finding| finding.status == Status::Undecided);
    assert_eq!(undecided.map(|finding| finding.property).collect::<Vec<_>>(), ["*", "/"]);
}

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
    // Where it is all that is asked for, what every run comes to before it leaves is decided.
    system.liveness.properties.pop();
    let report = check(&system, &Options::default());
    assert!(matches!(report.verdict, Verdict::HoldsWithinBound(_)), "{}", report.verdict);
    // What holds from everywhere on is about states beyond the boundary, too.
    system.liveness.properties = vec![LiveProperty::stays_at_last_state("stays high", |state| {
        state.locals[0].state.as_deref() >= Some(&2)
    })];
    let report = check(&system, &Options::default());
    assert_eq!(report.findings[0].status, Status::Undecided);
    assert!(matches!(report.verdict, Verdict::Vacuous(_)));
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
