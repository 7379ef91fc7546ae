//! A line of a trace names one step: of several with the same words, and of one whose words differ each time.

use crate::erased::explore;
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out};
use stateright::util::HashableHashSet;
use std::borrow::Cow;
use std::fmt;
use synod_explore::actor_model::{Recorded, from_actor_model};
use synod_explore::{Options, Status, System, Verdict, trace};

/// A payload that is kept out of logs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Secret(u8);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// 0 tells 1 two secrets. 1 keeps the latest.
#[derive(Clone)]
struct Confidant;

impl Actor for Confidant {
    type Msg = Secret;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        if id == Id::from(0) {
            o.send(Id::from(1), Secret(1));
            o.send(Id::from(1), Secret(2));
        }
        0
    }

    fn on_msg(&self, _: Id, at: &mut Cow<'_, u8>, _: Id, msg: Secret, _: &mut Out<Self>) {
        *at.to_mut() = msg.0;
    }
}

fn confidants() -> System<Confidant, Recorded<Confidant, (), ()>> {
    let model = ActorModel::new((), ())
        .actors([Confidant, Confidant])
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "never two", |_, state| *state.actor_states[1] != 2);
    from_actor_model(&model).unwrap()
}

#[test]
fn a_trace_is_judged_as_it_was_found_whatever_its_messages_keep_to_themselves() {
    let system = confidants();
    let report = explore(&system, &Options::default());
    let found = report.finding("never two").unwrap().trace.clone().unwrap();
    let text = trace::render(&system, &found);
    assert_eq!(text, "# synod trace 1\ndeliver 0 -> 1  Secret(..) #2\n");
    let resolved = trace::parse(&text).unwrap().resolve(&system).unwrap();
    assert_eq!(resolved.actions, found);
    assert_eq!(trace::judge(&system, &resolved.actions).unwrap()[0].status, Status::Violated);
}

#[test]
fn words_that_name_several_steps_are_refused_and_a_number_is_held_against_them() {
    let system = confidants();
    let refused = |line: &str| {
        let text = format!("# synod trace 1\n{line}\n");
        trace::parse(&text).unwrap().resolve(&system).err().expect("it is refused").to_string()
    };
    let message = refused("deliver 0 -> 1  Secret(..)");
    assert!(
        message.contains("line 2, column 1: 2 steps that are possible here have these words"),
        "{message}"
    );
    assert!(message.contains("\"deliver 0 -> 1 Secret(..) #1\" to \"#2\""), "{message}");
    for number in ["#0", "#3", "#99999999999999999999"] {
        let message = refused(&format!("deliver 0 -> 1  Secret(..) {number}"));
        assert!(message.contains("number") || message.contains("not possible here"), "{message}");
    }
    // Once one of them has arrived there is nothing to be told apart.
    let text = "# synod trace 1\ndeliver 0 -> 1 Secret(..) #1\ndeliver 0 -> 1 Secret(..)\n";
    let run = trace::parse(text).unwrap().resolve(&system).unwrap();
    assert_eq!(trace::render(&system, &run.actions).lines().last(), Some("deliver 0 -> 1  Secret(..)"));
}

/// Tells the next one all that it has heard of, a set without an order.
#[derive(Clone)]
struct Keeper;

impl Actor for Keeper {
    type Msg = HashableHashSet<u16>;
    type State = HashableHashSet<u16>;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Self::State {
        let mine: HashableHashSet<u16> = (0..12).map(|n| n * 100 + usize::from(id) as u16).collect();
        if id == Id::from(0) {
            o.send(Id::from(1), mine.clone());
        }
        mine
    }

    fn on_msg(&self, id: Id, all: &mut Cow<'_, Self::State>, _: Id, msg: Self::Msg, o: &mut Out<Self>) {
        if !msg.iter().all(|n| all.contains(n)) {
            let all = all.to_mut();
            all.extend(msg.iter().copied());
            o.send(Id::from((usize::from(id) + 1) % 3), all.clone());
        }
    }
}

fn keepers() -> System<Keeper, Recorded<Keeper, (), ()>> {
    let model = ActorModel::new((), ())
        .actors(vec![Keeper; 3])
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "nobody knows all", |_, s| {
            s.actor_states.iter().all(|k| k.len() < 36)
        });
    from_actor_model(&model).unwrap()
}

#[test]
fn a_set_is_read_back_in_whatever_order_it_was_written() {
    let system = keepers();
    let report = explore(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "nobody knows all" });
    let found = report.findings[0].trace.as_ref().unwrap();
    let text = trace::render(&system, found);
    assert!(!text.contains('#') || text.matches('#').count() == 1, "no step needs a number: {text}");
    for _ in 0..20 {
        let again = keepers();
        let run = trace::parse(&text).unwrap().resolve(&again).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(run.actions, *found);
    }
}
