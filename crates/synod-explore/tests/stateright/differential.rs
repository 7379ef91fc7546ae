//! The same systems explored by this engine and by stateright have the same states, successors and depth, and
//! the same properties fall.
//!
//! Semantics differ on purpose in a few points, and [`Normal`] changes just those about stateright's model: it forgets the
//! message delivered last, and puts one fixed state in the place of a dead volatile one. It also hashes states
//! canonically, as the hash of stateright's own state joins neighbouring sets without their lengths, so that
//! two actors' timers are confused.

use crate::digest::{Digest, assert_same};
use crate::erased::{explore, stateright_bfs};
use crate::machines::{Machine, machines};
use crate::searched::search;
use crate::{actors, paxos};
use proptest::prelude::*;
use stateright::actor::{
    Actor, ActorModel, ActorModelAction, ActorModelState, Envelope, Id, LossyNetwork,
    Network as PlainNetwork, Out,
};
use stateright::{Expectation, Model, Property};
use std::fmt::{self, Debug, Formatter};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use synod_explore::actor_model::from_actor_model;
use synod_explore::{
    Check, Delivery, Faults, Network, Options, Property as OurProperty, Report, Status, Stop, Subject, System,
};

struct Normal<A: Subject, C, H: Clone + Debug + Hash> {
    model: ActorModel<A, C, H>,
    /// Of each property, whether it fell: false where it should always hold, true where it should sometimes.
    fell: Arc<Vec<AtomicBool>>,
}

struct NormalState<A: Actor, H>(ActorModelState<A, H>);

impl<A: Subject, H: Clone> Clone for NormalState<A, H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Subject, H: Debug> Debug for NormalState<A, H> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: Subject, H: PartialEq> PartialEq for NormalState<A, H> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<A: Subject, H: Hash> Hash for NormalState<A, H> {
    fn hash<S: Hasher>(&self, hasher: &mut S) {
        let state = &self.0;
        state.actor_states.hash(hasher);
        state.history.hash(hasher);
        state.crashed.hash(hasher);
        state.actor_storages.hash(hasher);
        for timers in &state.timers_set {
            in_any_order(timers.iter()).hash(hasher);
        }
        for randoms in &state.random_choices {
            in_any_order(randoms.map.iter()).hash(hasher);
        }
        match &state.network {
            PlainNetwork::UnorderedDuplicating(set, _) => in_any_order(set.iter()).hash(hasher),
            PlainNetwork::UnorderedNonDuplicating(counts) => {
                in_any_order(counts.iter()).hash(hasher);
            }
            PlainNetwork::Ordered(queues) => queues.hash(hasher),
        }
    }
}

/// A hash of some values that does not depend on their order.
fn in_any_order<T: Hash>(values: impl Iterator<Item = T>) -> u64 {
    values.fold(0, |sum, value| sum.wrapping_add(BuildHasherDefault::<DefaultHasher>::new().hash_one(value)))
}

impl<A, C, H> Model for Normal<A, C, H>
where
    A: Subject,
    H: Clone + Debug + Hash + PartialEq,
{
    type State = NormalState<A, H>;
    type Action = ActorModelAction<A::Msg, A::Timer, A::Random>;

    fn init_states(&self) -> Vec<Self::State> {
        self.model.init_states().into_iter().map(NormalState).collect()
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.model.actions(&state.0, actions);
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        let mut next = self.model.next_state(&state.0, action)?;
        if let PlainNetwork::UnorderedDuplicating(_, last) = &mut next.network {
            *last = None;
        }
        for (index, _) in next.crashed.iter().enumerate().filter(|(_, crashed)| **crashed) {
            let tombstone = self.model.actors[index].on_start(Id::from(index), &None, &mut Out::new());
            next.actor_states[index] = Arc::new(tombstone);
        }
        Some(NormalState(next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }

    /// Asked of every successor, so it is also where properties are evaluated, even at the greatest depth.
    fn within_boundary(&self, state: &Self::State) -> bool {
        let within = (self.model.within_boundary)(&self.model.cfg, &state.0);
        if within {
            for (property, fell) in self.model.properties.iter().zip(&*self.fell) {
                let holds = (property.condition)(&self.model, &state.0);
                fell.fetch_or(holds == (property.expectation == Expectation::Sometimes), Ordering::Relaxed);
            }
        }
        within
    }
}

/// Explores a model both ways and compares.
pub(crate) fn compare<A, C, H>(model: &ActorModel<A, C, H>, depth: Option<usize>) -> Report<A>
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    let mut system = from_actor_model(model).expect("the model is supported");
    system.bounds.depth = depth;
    // An engine that finds no end is to fail here, not to hang.
    let options = Options { stop: Stop::Exhausted, time: Some(Duration::from_mins(1)), ..Options::default() };
    let ours = explore(&system, &options);

    let fell = Arc::new(model.properties.iter().map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
    let normal = Normal { model: model.clone(), fell: Arc::clone(&fell) };
    let theirs = search(normal, depth);

    assert_eq!(ours.unique_states, theirs.unique_states, "unique states: {ours:?}");
    assert_eq!(ours.generated_states, theirs.generated_states, "generated states: {ours:?}");
    assert_eq!(ours.depth, theirs.depth, "depth: {ours:?}");
    for (finding, fell) in ours.findings.iter().zip(&*fell) {
        let ours = matches!(finding.status, Status::Violated | Status::Witnessed);
        assert_eq!(ours, fell.load(Ordering::Relaxed), "{}", finding.property);
    }
    ours
}

const NETWORKS: [&str; 3] = ["ordered", "unordered_duplicating", "unordered_nonduplicating"];

fn network<M: Eq + Hash>(name: &str) -> PlainNetwork<M> {
    name.parse().expect("a name stateright knows")
}

/// Every network, lossy or not, with up to two crashes at once.
fn compare_everywhere<A, C, H>(model: &ActorModel<A, C, H>, depth: Option<usize>)
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    for name in NETWORKS {
        for lossy in [LossyNetwork::No, LossyNetwork::Yes] {
            for crashes in 0..=2 {
                let model = model.clone().init_network(network(name)).lossy_network(lossy);
                compare(&model.max_crashes(crashes), depth);
            }
        }
    }
}

#[test]
fn ping_pong_with_a_history() {
    compare_everywhere(&actors::ping_pong(3), None);
}

#[test]
fn a_counter_that_counts_what_arrives() {
    compare_everywhere(&actors::counter(3), Some(9));
}

#[test]
fn timers_that_are_set_renewed_and_cancelled() {
    compare_everywhere(&actors::timers(), Some(8));
}

#[test]
fn storage_that_survives_crashes() {
    compare_everywhere(&actors::saver(), Some(9));
}

#[test]
fn open_choices() {
    compare_everywhere(&actors::chooser(), Some(9));
}

#[test]
fn messages_to_nobody_and_messages_from_the_start() {
    let envelopes = [(0, 1, 1u8), (0, 1, 2), (1, 0, 3), (0, 7, 4), (0, 7, 5), (1, 9, 6)]
        .map(|(src, dst, msg)| Envelope { src: Id::from(src), dst: Id::from(dst), msg });
    let model = actors::gossip();
    for network in [
        PlainNetwork::new_ordered(envelopes),
        PlainNetwork::new_unordered_duplicating(envelopes),
        PlainNetwork::new_unordered_nonduplicating(envelopes.into_iter().chain([envelopes[0]])),
    ] {
        for lossy in [LossyNetwork::No, LossyNetwork::Yes] {
            for crashes in 0..=1 {
                let model = model.clone().init_network(network.clone()).lossy_network(lossy);
                compare(&model.max_crashes(crashes), Some(8));
            }
        }
    }
}

#[test]
fn the_paxos_example_has_its_published_size() {
    let report = compare(&paxos::model(3, 2), None);
    assert_eq!((report.unique_states, report.generated_states), (16_668, 32_971));
    assert_eq!(report.finding("linearizable").unwrap().status, Status::Holds);
    // The trace stateright documents for it has as many steps.
    assert_eq!(report.finding("value chosen").unwrap().trace.as_ref().unwrap().len(), 8);
}

#[test]
fn the_paxos_example_on_every_network() {
    for name in NETWORKS {
        compare(&paxos::model(2, 2).init_network(network(name)), None);
    }
}

/// The questions to random systems, in numbers.
#[derive(Clone, Debug)]
struct Asked {
    messages: usize,
    a: u8,
    b: u8,
}

fn running(state: &ActorModelState<Machine, u8>, at: u8) -> usize {
    (0..state.crashed.len()).filter(|&i| !state.crashed[i] && *state.actor_states[i] == at).count()
}

/// A model of random machines, with hooks and properties that look at everything there is.
fn random_model(machines: Vec<Machine>, asked: Asked) -> ActorModel<Machine, Asked, u8> {
    ActorModel::new(asked, 0u8)
        .actors(machines)
        .record_msg_in(|asked, history, envelope| (*envelope.msg == asked.a % 3).then_some((history + 1) % 3))
        .record_msg_out(|asked, history, envelope| {
            (usize::from(envelope.dst) == usize::from(asked.b)).then_some((history * 2 + 1) % 5)
        })
        .within_boundary(|asked, state| state.network.len() <= asked.messages)
        .property(Expectation::Always, "nobody is at a", |model, state| running(state, model.cfg.a) == 0)
        .property(Expectation::Sometimes, "two are at b", |model, state| running(state, model.cfg.b) >= 2)
        .property(Expectation::Always, "the history is not b", |model, state| state.history != model.cfg.b)
        .property(Expectation::Sometimes, "a was saved", |model, state| {
            state.actor_storages[0] == Some(model.cfg.a)
        })
        .property(Expectation::Sometimes, "a timer, a choice and a message wait", |_, state| {
            let timer = state.timers_set.iter().any(|timers| timers.iter().count() == 2);
            timer && state.random_choices.iter().any(|r| !r.map.is_empty()) && state.network.len() > 0
        })
}

fn asked() -> impl Strategy<Value = Asked> {
    (5..8usize, 0..4u8, 0..4u8).prop_map(|(messages, a, b)| Asked { messages, a, b })
}

proptest! {
    #![proptest_config(crate::cases::cases(192))]

    #[test]
    fn random_machines(
        machines in machines(),
        asked in asked(),
        network in 0..3usize,
        lossy in any::<bool>(),
        crashes in 0..3usize,
    ) {
        let model = random_model(machines, asked)
            .init_network(self::network(NETWORKS[network]))
            .lossy_network(if lossy { LossyNetwork::Yes } else { LossyNetwork::No })
            .max_crashes(crashes);
        compare(&model, Some(7));
    }

    /// With an observer, a crash budget and bounds of our own, against stateright on the very same system.
    #[test]
    fn random_systems(
        machines in machines(),
        network in 0..3usize,
        loss in any::<bool>(),
        crashable in any::<[bool; 3]>(),
        (max_down, max_crashes) in (0..3usize, proptest::option::of(0..3u32)),
        absent in 0..6usize,
        at in 0..4u8,
    ) {
        let delivery = [Delivery::Ordered, Delivery::Set, Delivery::Multiset][network];
        let mut system = System::new(machines, Digest { hears_all: true });
        system.network = Network { delivery, loss };
        let absent = (0..3).map(|actor| actor == absent).collect();
        system.faults = Faults { crashable: crashable.to_vec(), max_down, max_crashes, absent };
        system.bounds.depth = Some(7);
        system.bounds.local = Some(("state at most 2".to_owned(), Arc::new(|state: &u8| *state <= 2)));
        system.bounds.state = Some(("four messages".to_owned(), Arc::new(|state: &synod_explore::State<_, _>| {
            state.network.all().len() <= 4
        })));
        system = system
            .property(OurProperty::sometimes_note("a delivery was ignored", |note: &(usize, u8)| note.1 == 4))
            .property(OurProperty::sometimes_note("a crash", |note: &(usize, u8)| note.1 == 3))
            .property(OurProperty::always_history("never all", |h| if *h == 7 { Err("7".into()) } else { Ok(()) }))
            .property(OurProperty::sometimes_state("all there", move |state: &synod_explore::State<Machine, _>| {
                state.locals.iter().all(|local| local.state.as_deref() == Some(&at))
            }));
        let ours = explore(&system, &Options { stop: Stop::Exhausted, ..Options::default() });
        let theirs = stateright_bfs(&system, 1);
        prop_assert_eq!(ours.unique_states, theirs.unique_states);
        prop_assert_eq!(ours.generated_states, theirs.generated_states);
        prop_assert_eq!(ours.depth, theirs.depth);
        for ((ours, theirs), property) in
            ours.findings.iter().zip(&theirs.findings).zip(&system.properties)
        {
            // stateright does not ask about states at the greatest depth, so of these it may find less.
            let of_steps = matches!(property.check, Check::Note(_));
            let missed = !of_steps && theirs.trace.is_none();
            prop_assert!(ours.status == theirs.status || missed, "{:?} {:?}", ours, theirs);
            if let (Some(shortest), Some(some)) = (&ours.trace, &theirs.trace) {
                prop_assert!(shortest.len() <= some.len());
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing(machines in machines(), asked in asked(), network in 0..3usize) {
        let model = random_model(machines, asked).init_network(self::network(NETWORKS[network])).max_crashes(1);
        let mut system = from_actor_model(&model).expect("the model is supported");
        system.bounds.depth = Some(6);
        let explore = |threads| explore(&system, &Options { threads, stop: Stop::Exhausted, ..Options::default() });
        let one = explore(1);
        for threads in [2, 3, 8] {
            assert_same(&one, &explore(threads));
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing_in_many_blocks() {
    let system = from_actor_model(&paxos::model(3, 2)).expect("the model is supported");
    let one = explore(&system, &Options::default());
    for threads in [2, 3, 8] {
        assert_same(&one, &explore(&system, &Options { threads, ..Options::default() }));
    }
}
