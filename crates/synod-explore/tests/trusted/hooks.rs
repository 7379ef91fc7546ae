//! The functions of a stateright model are found out by calls, in whatever crate they were compiled.

use crate::erased::explore;
use stateright::actor::{Actor, ActorModel, ActorModelState, Envelope, Id, Network, Out};
use stateright::{Checker, Expectation, Model};
use std::borrow::Cow;
use synod_explore::actor_model::from_actor_model;
use synod_explore::{Options, Property, Report, Status, Verdict};

/// 0 says `true` and `false` to 1 before all. 1 counts what it hears up to a limit, and says it to itself again.
#[derive(Clone)]
struct Echo {
    limit: u32,
}

impl Actor for Echo {
    type Msg = bool;
    type State = u32;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u32 {
        if usize::from(id) == 0 {
            o.send(Id::from(1), true);
            o.send(Id::from(1), false);
        }
        0
    }

    fn on_msg(&self, id: Id, heard: &mut Cow<'_, u32>, _: Id, msg: bool, o: &mut Out<Self>) {
        if **heard < self.limit {
            *heard.to_mut() += 1;
            o.send(id, msg);
        }
    }
}

type Echoes = ActorModel<Echo, (), ()>;
type Whole = ActorModelState<Echo, ()>;

fn echoes(limit: u32, network: Network<bool>) -> Echoes {
    ActorModel::new((), ()).actors([Echo { limit }, Echo { limit }]).init_network(network)
}

fn removing(limit: u32) -> Echoes {
    echoes(limit, Network::new_unordered_nonduplicating([]))
}

fn explored(model: &Echoes, depth: Option<usize>) -> Report<Echo> {
    let mut system = from_actor_model(model).unwrap();
    system.bounds.depth = depth;
    explore(&system, &Options::default())
}

/// The functions that `ActorModel::new` sets, as another crate has them: the same function at another address.
// The types are those that `ActorModel` asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn everything((): &(), state: &Whole) -> bool {
    std::hint::black_box(state.crashed.len()) < usize::MAX
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn nothing((): &(), (): &(), envelope: Envelope<&bool>) -> Option<()> {
    assert!(std::hint::black_box(usize::from(envelope.src)) < usize::MAX);
    None
}

#[test]
fn what_was_never_set_is_nothing_wherever_it_was_compiled() {
    let here = removing(4).property(Expectation::Always, "at most 4", |_, s| *s.actor_states[1] <= 4);
    let there = here.clone().within_boundary(everything).record_msg_in(nothing).record_msg_out(nothing);
    for depth in [None, Some(3)] {
        let reports = [explored(&here, depth), explored(&there, depth)];
        let reported =
            reports.each_ref().map(|r| (r.verdict.clone(), r.unique_states, r.handler_calls, r.rerun));
        assert!(reported[0] == reported[1], "{reports:?}");
        assert_eq!(reported[0].3.updates, 0, "there is no history to ask about");
        let expected =
            depth.map_or(Verdict::Holds, |_| Verdict::HoldsWithinBound("depth at most 3".to_owned()));
        assert_eq!(reported[0].0, expected);
    }
    // Nor does it keep anything from being left out.
    let dead = Options { dead_messages: true, ..Options::default() };
    let without = |model: &Echoes| ActorModel { properties: Vec::new(), ..model.clone() };
    for model in [without(&here), without(&there)] {
        let system = from_actor_model(&model).unwrap();
        assert!(system.bounds.state.is_none());
        assert_eq!(explore(&system, &dead).verdict, Verdict::Holds);
    }
    let bounded = from_actor_model(&without(&here).within_boundary(|(), s| *s.actor_states[1] < 2)).unwrap();
    let refused = explore(&bounded, &dead).verdict;
    assert!(refused.to_string().contains("a property or a bound looks at whole states"), "{refused}");
}

#[test]
fn a_boundary_is_one_as_soon_as_it_refuses_a_state_and_then_from_the_first() {
    let bounded = removing(4).within_boundary(|(), s| *s.actor_states[1] < 3);
    let asked = bounded
        .clone()
        .property(Expectation::Always, "less than 3", |_, s| *s.actor_states[1] < 3)
        .property(Expectation::Sometimes, "at 2", |_, s| *s.actor_states[1] == 2);
    let never = asked.clone().property(Expectation::Always, "stateright looks at everything", |_, _| true);
    let theirs = never.checker().spawn_bfs().join();
    for model in [bounded, asked] {
        let ours = explored(&model, None);
        assert_eq!(ours.unique_states, theirs.unique_state_count() as u64);
        assert_eq!(ours.verdict, Verdict::HoldsWithinBound("the model's own within_boundary".to_owned()));
    }
    let empty = removing(4).within_boundary(|(), _| false);
    assert_eq!(explored(&empty, None).verdict, Verdict::Vacuous(Vec::new()));
}

#[test]
fn no_trace_leads_beyond_a_boundary_that_few_states_show() {
    let mut model = removing(3000);
    model.actors.truncate(1);
    model.init_network =
        Network::new_unordered_nonduplicating([Envelope { src: Id::from(1), dst: Id::from(0), msg: true }]);
    let far = Property::sometimes_local("far", |_, local| local.state.as_deref() == Some(&2500));
    let status = |model: &Echoes| {
        let system = from_actor_model(model).unwrap().property(far.clone());
        explore(&system, &Options::default()).finding("far").unwrap().status
    };
    assert_eq!(status(&model), Status::Witnessed);
    // This one is not among the states that are looked at closely.
    assert_eq!(status(&model.within_boundary(|(), s| *s.actor_states[0] != 2001)), Status::Unwitnessed);
}

#[test]
fn a_hook_that_panics_does_so_though_there_is_nothing_to_remember() {
    let model = removing(2).record_msg_in(|(), (), envelope| {
        assert!(*envelope.msg, "false is never said");
        None
    });
    let verdict = explored(&model, None).verdict;
    assert!(verdict.to_string().contains("false is never said"), "{verdict}");
}

fn last(state: &Whole) -> Option<bool> {
    match &state.network {
        Network::UnorderedDuplicating(_, Some(last)) => Some(last.msg),
        _ => None,
    }
}

#[test]
fn who_looks_at_the_message_that_was_delivered_last_is_refused() {
    let staying = || echoes(1, Network::new_unordered_duplicating([]));
    let says = |model: &Echoes, who: &str| {
        let verdict = explored(model, None).verdict;
        let words = format!("{who} looks at which message was delivered last");
        assert!(verdict.to_string().contains(&words), "{verdict}");
    };
    let always = staying().property(Expectation::Always, "no false", |_, s| last(s) != Some(false));
    assert!(
        always.clone().checker().spawn_bfs().join().discovery("no false").is_some(),
        "stateright sees it"
    );
    says(&always, "property \"no false\"");
    says(
        &staying().property(Expectation::Sometimes, "a true", |_, s| last(s) == Some(true)),
        "property \"a true\"",
    );
    says(&staying().within_boundary(|(), s| last(s).is_none()), "within_boundary");
    // A property that looks only at messages on their way is accepted.
    let both = staying().property(Expectation::Always, "both stay", |_, s| s.network.len() >= 2);
    assert_eq!(explored(&both, None).verdict, Verdict::Holds);
}
