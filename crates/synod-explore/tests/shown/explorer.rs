//! A system as a stateright model: the view of stateright's checkers and its Explorer.

use crate::actors::{self, Saver};
use crate::erased::explore;
use stateright::actor::Id;
use stateright::{Checker, Model, Path};
use synod_explore::actor_model::from_actor_model;
use synod_explore::{Action, Options, Property, Status, System};

fn savers() -> System<Saver, impl synod_explore::Observer<Saver> + Clone> {
    let mut system = from_actor_model(&actors::saver().max_crashes(1)).expect("the model is supported");
    system.names = vec!["left".to_owned(), "right".to_owned()];
    system
}

#[test]
fn stateright_checks_a_system_like_any_model() {
    let system = savers().property(Property::sometimes_note("a step, which stateright cannot see", |_| true));
    let checker = system.clone().checker().spawn_bfs().join();
    let report = explore(&system, &Options::default());
    assert_eq!(checker.unique_state_count() as u64, report.unique_states);
    let names: Vec<_> = system.properties().iter().map(|property| property.name).collect();
    assert_eq!(names, ["what is saved is remembered", "all is saved", "both are down"]);
    for name in names {
        let status = report.finding(name).unwrap().status;
        let decided = matches!(status, Status::Violated | Status::Witnessed);
        assert_eq!(checker.discovery(name).is_some(), decided, "{name}");
    }
}

#[test]
fn actions_and_steps_read_well() {
    let system = savers();
    let (left, right) = (Id::from(0), Id::from(1));
    let state = system.initial();
    let deliver = Action::<Saver>::Deliver { src: left, dst: right, msg: 0 };
    assert_eq!(system.format_action(&deliver), "left → 0 → right");
    assert_eq!(system.format_action(&Action::<Saver>::Crash(left)), "crash left");
    assert_eq!(system.format_action(&Action::<Saver>::Recover(right)), "recover right");
    assert_eq!(
        system.format_step(&state, deliver.clone()).unwrap(),
        "left → 0 → right\n  send 1 to left\n\nright after: 1\n\nright before: 0\n"
    );
    let state = system.step(&state, &deliver).unwrap();
    let state = system.step(&state, &Action::<Saver>::Deliver { src: right, dst: left, msg: 1 }).unwrap();
    let step = Action::<Saver>::Deliver { src: left, dst: right, msg: 1 };
    let text = system.format_step(&state, step).unwrap();
    assert!(text.contains("\n  save 2\n  send 2 to left\n"), "{text}");
    // Nobody is up to step back up.
    assert_eq!(system.format_step(&state, Action::<Saver>::Recover(left)), None);
    assert_eq!(format!("{state:?}"), "State { actors: {0: 1, 1: 1}, network: [0 → 1 0, 0 → 1 1, 1 → 0 1] }");
}

#[test]
fn the_explorer_gets_a_diagram_in_its_own_style() {
    let system = savers();
    let deliver = Action::<Saver>::Deliver { src: Id::from(0), dst: Id::from(1), msg: 0 };
    let path = Path::from_actions(&system, system.initial(), [&deliver]).expect("the action is possible");
    let svg = system.as_svg(path).unwrap();
    for class in
        ["svg-actor-timeline", "svg-actor-label", "svg-event-line", "svg-event-shape", "svg-event-label"]
    {
        assert!(svg.contains(&format!("class='{class}'")), "{class}");
    }
}

/// It can be served; that it is, is up to who has a browser.
#[expect(dead_code)]
fn serve(system: System<Saver, ()>) {
    system.checker().serve("localhost:0");
}
