//! Handlers and observers that are no functions of their inputs are noticed; those that only use another order are not accused.

use crate::erased::explore;
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use synod_explore::actor_model::from_actor_model;
use synod_explore::{
    CommandOf, ComponentUpdate, Components, Observer, Options, Rerun, Step, Stop, System, Verdict,
};

/// 0 and 1 count by their timers; 1 says something once, to 2. Who hears it for the first time errs once.
#[derive(Clone)]
struct Talker {
    limit: u32,
    heard: Option<Arc<AtomicU32>>,
}

impl Actor for Talker {
    type Msg = u8;
    type State = u32;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u32 {
        if usize::from(id) < 2 {
            o.set_timer((), model_timeout());
        }
        0
    }

    fn on_timeout(&self, id: Id, count: &mut Cow<'_, u32>, (): &(), o: &mut Out<Self>) {
        *count.to_mut() += 1;
        if usize::from(id) == 1 {
            o.send(Id::from(2), 7);
        } else if **count < self.limit {
            o.set_timer((), model_timeout());
        }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u32>, _: Id, _: u8, _: &mut Out<Self>) {
        let first = self.heard.as_ref().is_none_or(|heard| heard.fetch_add(1, Ordering::Relaxed) == 0);
        *state.to_mut() = if first { 1 } else { 666 };
    }
}

fn talkers(limit: u32, heard: Option<&Arc<AtomicU32>>) -> Vec<Talker> {
    vec![Talker { limit, heard: heard.cloned() }; 3]
}

fn accused(verdict: Verdict<Talker>) -> String {
    match verdict {
        Verdict::Panicked { message, .. } => message,
        other => panic!("{other}"),
    }
}

#[test]
fn a_handler_that_errs_once_among_a_thousand_calls() {
    let heard = Arc::new(AtomicU32::new(0));
    let model = ActorModel::new((), ())
        .actors(talkers(1000, Some(&heard)))
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "never 666", |_, state| *state.actor_states[2] != 666);
    let report = explore(&from_actor_model(&model).unwrap(), &Options::default());
    let message = accused(report.verdict);
    assert!(
        message.contains("is not a function of its inputs") && message.contains("outcome of the step"),
        "{message}"
    );
}

static RECORDED: AtomicU32 = AtomicU32::new(0);

#[test]
fn a_history_hook_that_errs_once() {
    let model = ActorModel::new((), 0u32)
        .actors(talkers(5, None))
        .init_network(Network::new_unordered_nonduplicating([]))
        .record_msg_out(|(), history, _| {
            Some(if RECORDED.fetch_add(1, Ordering::Relaxed) == 0 { history + 1 } else { 666 })
        })
        .property(Expectation::Always, "history below 666", |_, state| state.history < 666);
    let report = explore(&from_actor_model(&model).unwrap(), &Options::default());
    let message = accused(report.verdict);
    assert!(message.contains("asked again what history 0 is after"), "{message}");
}

/// Counts messages, in one part or as a whole. Asked about 1 again, it miscounts.
#[derive(Clone)]
struct Miscounts {
    in_components: bool,
    asked: Arc<AtomicU32>,
}

impl Miscounts {
    fn next(&self, history: u32) -> u32 {
        let again =
            history == 1 && self.asked.fetch_add(1, Ordering::Relaxed) > u32::from(self.in_components);
        if again { 9 } else { history + 1 }
    }
}

impl Observer<Talker> for Miscounts {
    type History = u32;
    type Note = u32;

    fn initial(&self) -> u32 {
        1
    }

    fn note(&self, step: &Step<'_, Talker>) -> Option<u32> {
        let sends = |command: &CommandOf<Talker>| matches!(command, stateright::actor::Command::Send(..));
        step.outputs.iter().any(sends).then_some(usize::from(step.actor) as u32)
    }

    fn update(&self, history: &u32, _: &u32) -> Option<u32> {
        Some(self.next(*history))
    }

    fn components(&self) -> Option<&dyn Components<u32, u32>> {
        self.in_components.then_some(self)
    }
}

impl Components<u32, u32> for Miscounts {
    fn split(&self, history: &u32) -> Vec<u32> {
        vec![*history]
    }
    fn join(&self, components: &[&u32]) -> u32 {
        *components[0]
    }
    fn about(&self, _: &u32) -> Vec<usize> {
        vec![0]
    }
    fn update(&self, _: usize, history: &u32, _: &u32) -> ComponentUpdate<u32> {
        ComponentUpdate::Changed(self.next(*history))
    }
}

#[test]
fn an_observer_that_errs_later_on_whole_or_in_parts() {
    for in_components in [false, true] {
        let system = System::new(talkers(5, None), Miscounts { in_components, asked: Arc::default() });
        let message = accused(explore(&system, &Options::default()).verdict);
        assert!(message.contains("asked again what history 1 is after 1"), "{in_components}: {message}");
    }
}

#[test]
fn the_number_of_repeated_calls_is_reported() {
    let small = explore(&System::new(talkers(100, None), ()), &Options::default());
    assert_eq!(small.verdict, Verdict::Holds);
    let Rerun { handlers_again, handlers, updates_again, updates } = small.rerun;
    assert_eq!((handlers_again, updates_again, updates), (handlers, 0, 0));
    assert!(handlers >= small.handler_calls);
    // There is no step to many of these calls but one.
    let mut actors = talkers(100_000, None);
    actors.truncate(1);
    let large = explore(&System::new(actors, ()), &Options::default());
    assert_eq!(large.verdict, Verdict::Holds);
    let Rerun { handlers_again, handlers, .. } = large.rerun;
    assert!(handlers > 90_000 && (handlers / 8..handlers / 7).contains(&handlers_again), "{:?}", large.rerun);
}

/// Tells all others once, in whatever order a set has them.
#[derive(Clone)]
struct Gossip {
    peers: usize,
}

impl Actor for Gossip {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        if id == Id::from(0) {
            o.send(Id::from(1), 7);
        }
        0
    }

    fn on_msg(&self, id: Id, knows: &mut Cow<'_, u8>, _: Id, msg: u8, o: &mut Out<Self>) {
        if **knows == msg {
            return;
        }
        *knows.to_mut() = msg;
        // Each of its own order.
        let others: HashSet<Id> = (0..self.peers).map(Id::from).filter(|peer| *peer != id).collect();
        for peer in &others {
            o.send(*peer, msg);
        }
    }
}

fn gossips<H: Clone + std::fmt::Debug + std::hash::Hash>(
    network: Network<u8>,
    history: H,
) -> ActorModel<Gossip, (), H> {
    ActorModel::new((), history).actors(vec![Gossip { peers: 5 }; 5]).init_network(network)
}

#[test]
fn who_sends_in_the_order_of_a_hash_set_is_not_accused_where_order_decides_nothing() {
    for network in [
        Network::new_unordered_nonduplicating([]),
        Network::new_unordered_duplicating([]),
        // To each receiver there is one.
        Network::new_ordered([]),
    ] {
        let model = gossips(network, ())
            .property(Expectation::Always, "seven or nothing", |_, s| {
                s.actor_states.iter().all(|k| [0, 7].contains(&**k))
            })
            .property(Expectation::Sometimes, "all know", |_, s| s.actor_states.iter().all(|k| **k == 7));
        let options = Options { stop: Stop::Exhausted, ..Options::default() };
        let report = explore(&from_actor_model(&model).unwrap(), &options);
        assert_eq!(report.verdict, Verdict::Holds);
    }
}

#[test]
fn where_order_decides_something_it_is_named_as_what_differs() {
    // A history that goes by the order.
    let model = gossips(Network::new_unordered_nonduplicating([]), Vec::new()).record_msg_out(
        |(), history: &Vec<Id>, envelope| {
            let mut history = history.clone();
            history.push(envelope.dst);
            (history.len() < 6).then_some(history)
        },
    );
    let Verdict::Panicked { message, .. } =
        explore(&from_actor_model(&model).unwrap(), &Options::default()).verdict
    else {
        panic!("five orders of four out of 24 were the same")
    };
    assert!(
        message.contains("it sent the same in another order, and what the observer noted differs"),
        "{message}"
    );
}

/// Sends twelve words to the other in the order of a set.
#[derive(Clone)]
struct Pourer;

impl Actor for Pourer {
    type Msg = u8;
    type State = Vec<u8>;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Vec<u8> {
        if id == Id::from(0) {
            o.set_timer((), model_timeout());
        }
        Vec::new()
    }

    fn on_timeout(&self, _: Id, _: &mut Cow<'_, Vec<u8>>, (): &(), o: &mut Out<Self>) {
        for word in (0..12).collect::<HashSet<u8>>() {
            o.send(Id::from(1), word);
        }
    }

    fn on_msg(&self, _: Id, heard: &mut Cow<'_, Vec<u8>>, _: Id, word: u8, _: &mut Out<Self>) {
        heard.to_mut().push(word);
    }
}

#[test]
fn in_an_ordered_network_order_is_all_there_is() {
    let model = ActorModel::new((), ()).actors([Pourer, Pourer]).init_network(Network::new_ordered([]));
    let Verdict::Panicked { message, .. } =
        explore(&from_actor_model(&model).unwrap(), &Options::default()).verdict
    else {
        panic!("two orders of twelve words were the same")
    };
    assert!(message.contains("it sent the same in another order, which matters"), "{message}");
}
