//! Explores a plain stateright `ActorModel`, unchanged: its hooks, properties and boundary mean what they meant.

mod tester;

pub use tester::{LinearizabilityTester, Plain};

use crate::Subject;
use crate::liveness::{Assumption, LiveProperty};
use crate::observer::{Event, Observer, Step};
use crate::property::Property;
use crate::state::{InFlight, State};
use crate::system::{Bounds, Delivery, Faults, Network, System};
use stateright::actor::{
    ActorModel, ActorModelState, Command, Envelope, Id, LossyNetwork, Network as PlainNetwork, Out,
    RandomChoices, Timers,
};
use stateright::util::HashableHashMap;
use std::fmt::{self, Debug, Display, Formatter};
use std::hash::Hash;
use std::sync::Arc;

/// What a model asks for and this engine does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported(String);

impl Display for Unsupported {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

type Hook<A, C, H> = fn(&C, &H, Envelope<&<A as stateright::actor::Actor>::Msg>) -> Option<H>;

/// The observer that keeps a model's history by calling `record_msg_in` and `record_msg_out`.
pub struct Recorded<A: Subject, C, H> {
    cfg: C,
    initial: H,
    record_in: Option<Hook<A, C, H>>,
    record_out: Option<Hook<A, C, H>>,
    /// In an ordered network a delivery is recorded even if the actor ignores it.
    ordered: bool,
}

impl<A: Subject, C: Clone, H: Clone> Clone for Recorded<A, C, H> {
    fn clone(&self) -> Self {
        Self { cfg: self.cfg.clone(), initial: self.initial.clone(), ..*self }
    }
}

/// The messages of one step: the one that was delivered, and those that were sent, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Messages<M> {
    /// What arrived, if something did.
    pub received: Option<Envelope<M>>,
    /// What was sent.
    pub sent: Vec<Envelope<M>>,
}

impl<A, C, H> Observer<A> for Recorded<A, C, H>
where
    A: Subject,
    C: Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    type History = H;
    type Note = Messages<A::Msg>;

    fn initial(&self) -> H {
        self.initial.clone()
    }

    fn note(&self, step: &Step<'_, A>) -> Option<Messages<A::Msg>> {
        let mut messages = Messages { received: None, sent: Vec::new() };
        if self.record_in.is_some()
            && let Event::Deliver { src, msg } = step.event
            && (self.ordered || !step.is_no_op())
        {
            messages.received = Some(Envelope { src, dst: step.actor, msg: msg.clone() });
        }
        if self.record_out.is_some() {
            let sent = step.outputs.iter().filter_map(|command| match command {
                Command::Send(dst, msg) => Some(Envelope { src: step.actor, dst: *dst, msg: msg.clone() }),
                _ => None,
            });
            messages.sent.extend(sent);
        }
        (messages.received.is_some() || !messages.sent.is_empty()).then_some(messages)
    }

    fn update(&self, history: &H, note: &Messages<A::Msg>) -> Option<H> {
        let mut updated = None;
        let mut record = |hook: Option<Hook<A, C, H>>, envelope: &Envelope<A::Msg>| {
            let Some(hook) = hook else { return };
            let envelope = Envelope { src: envelope.src, dst: envelope.dst, msg: &envelope.msg };
            if let Some(next) = hook(&self.cfg, updated.as_ref().unwrap_or(history), envelope) {
                updated = Some(next);
            }
        };
        if let Some(envelope) = &note.received {
            record(self.record_in, envelope);
        }
        for envelope in &note.sent {
            record(self.record_out, envelope);
        }
        updated
    }
}

/// Makes a model a system.
///
/// A crashed actor appears to the model's own properties as `on_start` would recover it, since the model's
/// state has no way to say that an actor has no state.
///
/// # Errors
/// If the model has an `eventually` property; see [`with_liveness`].
pub fn from_actor_model<A, C, H>(
    model: &ActorModel<A, C, H>,
) -> Result<System<A, Recorded<A, C, H>>, Unsupported>
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    let eventually = stateright::Expectation::Eventually;
    match model.properties.iter().find(|property| property.expectation == eventually) {
        None => Ok(with_liveness(model)),
        Some(property) => Err(Unsupported(format!(
            "property {:?} says that something eventually happens, which exploring does not look at: take \
             `with_liveness`, and check it with `liveness::check` too",
            property.name
        ))),
    }
}

/// Makes a model a system, with its `eventually` properties as [`liveness`](crate::liveness) ones, which
/// [`explore`](crate::explore) does not look at.
///
/// They mean what they mean to stateright, where a run goes on as long as it can; so that is assumed, and nothing else.
/// But they are decided on cycles and where ways join, too, which stateright's own search misses; and a state at the
/// boundary is not taken for an end.
pub fn with_liveness<A, C, H>(model: &ActorModel<A, C, H>) -> System<A, Recorded<A, C, H>>
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    // A hook that is the default one, by its address, does nothing and need not be called.
    let default = ActorModel::<A, C, H>::new(model.cfg.clone(), model.init_history.clone());
    let hook = |hook: Hook<A, C, H>, default| (!std::ptr::fn_addr_eq(hook, default)).then_some(hook);
    let (delivery, envelopes) = contents(&model.init_network);
    let observer = Recorded {
        cfg: model.cfg.clone(),
        initial: model.init_history.clone(),
        record_in: hook(model.record_msg_in, default.record_msg_in),
        record_out: hook(model.record_msg_out, default.record_msg_out),
        ordered: delivery == Delivery::Ordered,
    };
    let mut system = System::new(model.actors.clone(), observer);
    system.network = Network { delivery, loss: model.lossy_network == LossyNetwork::Yes };
    system.initial_envelopes = envelopes;
    system.faults = Faults {
        crashable: vec![model.max_crashes > 0; model.actors.len()],
        max_down: model.max_crashes,
        max_crashes: None,
        absent: Vec::new(),
    };

    let shared = Arc::new(model.clone());
    if !std::ptr::fn_addr_eq(model.within_boundary, default.within_boundary) {
        let model = Arc::clone(&shared);
        let within = move |state: &_| (model.within_boundary)(&model.cfg, &plain_state(&model, state));
        system.bounds = Bounds {
            state: Some(("the model's own within_boundary".to_owned(), Arc::new(within))),
            ..Bounds::default()
        };
    }
    for property in &model.properties {
        let (name, condition) = (property.name, property.condition);
        let model = Arc::clone(&shared);
        let check = move |state: &_| condition(&model, &plain_state(&model, state));
        if property.expectation == stateright::Expectation::Eventually {
            system.liveness.properties.push(LiveProperty::eventually_state(name, check));
            continue;
        }
        system.properties.push(match property.expectation {
            stateright::Expectation::Always => Property::always_state(name, move |state| {
                if check(state) { Ok(()) } else { Err("the model's condition is false".to_owned()) }
            }),
            _ => Property::sometimes_state(name, check),
        });
    }
    if !system.liveness.properties.is_empty() {
        let goes_on = Assumption::weak("a run goes on as long as it can", |_| true);
        system.liveness.assumptions.push(goes_on);
    }
    system
}

/// The kind of a network and what is in it.
fn contents<M: Clone + Eq + Hash + Ord>(network: &PlainNetwork<M>) -> (Delivery, Vec<Envelope<M>>) {
    match network {
        PlainNetwork::UnorderedDuplicating(set, _) => (Delivery::Set, set.iter().cloned().collect()),
        PlainNetwork::UnorderedNonDuplicating(counts) => {
            let repeat =
                |(envelope, count): (&Envelope<M>, &usize)| std::iter::repeat_n(envelope.clone(), *count);
            (Delivery::Multiset, counts.iter().flat_map(repeat).collect())
        }
        PlainNetwork::Ordered(queues) => {
            let flow = |(&(src, dst), queue): (&(Id, Id), &std::collections::VecDeque<M>)| {
                queue.iter().map(|msg| Envelope { src, dst, msg: msg.clone() }).collect::<Vec<_>>()
            };
            (Delivery::Ordered, queues.iter().flat_map(flow).collect())
        }
    }
}

/// A state as the model's own functions expect it.
fn plain_state<A, C, H>(
    model: &ActorModel<A, C, H>,
    state: &State<A, Recorded<A, C, H>>,
) -> ActorModelState<A, H>
where
    A: Subject,
    C: Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    let envelopes = state.network.all().into_iter().map(|envelope| envelope.to_cloned_msg());
    let network = match state.network {
        InFlight::Set(_) => PlainNetwork::new_unordered_duplicating(envelopes),
        InFlight::Multiset(_) => PlainNetwork::new_unordered_nonduplicating(envelopes),
        InFlight::Ordered(_) => PlainNetwork::new_ordered(envelopes),
    };
    let locals = || state.locals.iter();
    let actor_state = |(index, local): (usize, &Arc<crate::Local<A>>)| {
        local.state.clone().unwrap_or_else(|| {
            Arc::new(model.actors[index].on_start(Id::from(index), &local.storage, &mut Out::new()))
        })
    };
    let timers = |local: &Arc<crate::Local<A>>| {
        let mut timers = Timers::new();
        for timer in &local.timers {
            timers.set(timer.clone());
        }
        timers
    };
    let randoms = |local: &Arc<crate::Local<A>>| {
        let map: HashableHashMap<_, _> = local.randoms.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        RandomChoices { map }
    };
    ActorModelState {
        actor_states: locals().enumerate().map(actor_state).collect(),
        network,
        timers_set: locals().map(timers).collect(),
        random_choices: locals().map(randoms).collect(),
        crashed: locals().map(|local| local.is_down()).collect(),
        history: state.history.clone(),
        actor_storages: locals().map(|local| local.storage.clone()).collect(),
    }
}
