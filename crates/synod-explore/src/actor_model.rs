//! Explores a plain stateright `ActorModel`, unchanged: its hooks, properties and boundary mean what they meant.

mod tester;

pub use tester::{LinearizabilityTester, Plain};

use crate::Subject;
use crate::doubt::{Doubt, Refused};
use crate::liveness::{Assumption, LiveProperty};
use crate::network::{Delivery, Faults, Network};
use crate::observer::{Observer, Step, Trigger};
use crate::property::Property;
use crate::state::{InFlight, State};
use crate::system::System;
use stateright::actor::{
    ActorModel, ActorModelState, Command, Envelope, Id, LossyNetwork, Network as PlainNetwork, Out,
    RandomChoices, Timers,
};
use stateright::util::HashableHashMap;
use std::fmt::{self, Debug, Display, Formatter};
use std::hash::Hash;
use std::sync::Arc;

/// A feature of a model that this engine does not have.
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
    record_in: Hook<A, C, H>,
    record_out: Hook<A, C, H>,
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
    /// The message that arrived, if one did.
    pub received: Option<Envelope<M>>,
    /// The messages sent.
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
        if let Trigger::Deliver { src, msg } = step.trigger
            && (self.ordered || !step.is_no_op())
        {
            messages.received = Some(Envelope { src, dst: step.actor, msg: msg.clone() });
        }
        let sent = step.outputs.iter().filter_map(|command| match command {
            Command::Send(dst, msg) => Some(Envelope { src: step.actor, dst: *dst, msg: msg.clone() }),
            _ => None,
        });
        messages.sent.extend(sent);
        if size_of::<H>() == 0 {
            // There is no other history. The hooks are called all the same: they may panic.
            self.update(&self.initial, &messages);
            return None;
        }
        (messages.received.is_some() || !messages.sent.is_empty()).then_some(messages)
    }

    fn update(&self, history: &H, note: &Messages<A::Msg>) -> Option<H> {
        let mut updated = None;
        let mut record = |hook: Hook<A, C, H>, envelope: &Envelope<A::Msg>| {
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
/// A boundary that was set looks like one that was not. The model is therefore explored as if it had none until its `within_boundary`
/// refuses a state. Then it is explored again within that boundary, and the verdict names it. The boundary is shown every state that
/// properties are asked about, or else the first 1,024, one in 64 of the rest, and those of every trace. If it refuses none of these, states
/// beyond it are explored as well.
///
/// Differences from stateright:
///
/// - A crash forgets the volatile state; a crashed actor appears to the model's own properties as `on_start` would recover it, since the model's
///   state has no way to say that an actor has no state.
/// - The state of a duplicating network does not contain the last delivered message, which distinguishes states in stateright. Properties and
///   the boundary are asked about the first 1,024 states, and one in 64 of the rest, with every message as the last: one that looks at it
///   ends the exploration with an error.
/// - Messages and timers are kept in order. Two values that are equal by `Ord` and not by `Eq` are reported as an error; to
///   stateright, which compares by `Eq` and sorts by `Ord`, they are none.
/// - A field of an actor's state that `Eq` ignores does not belong to any one run: properties see the first of all equal locals,
///   while stateright keeps it with each whole state. If the `Debug` texts of two equal values differ, that is reported as an error, as far as
///   handlers are run again ([`Rerun`](crate::Rerun)). A field that no one looks at has to be left out of both `Eq` and `Debug`.
/// - A step to a state out of the boundary is neither counted nor, for liveness, the end of a run.
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
/// [`explore`](crate::explore) leaves undecided, and its verdict with them: *incomplete*, if nothing is violated.
///
/// They mean the same as in stateright, where a run goes on as long as it can; that is the only assumption.
/// But they are decided on cycles and where paths join, too, which stateright's own search misses; and a state at the
/// boundary is not taken for an end.
pub fn with_liveness<A, C, H>(model: &ActorModel<A, C, H>) -> System<A, Recorded<A, C, H>>
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    let (delivery, envelopes) = contents(&model.init_network);
    let observer = Recorded {
        cfg: model.cfg.clone(),
        initial: model.init_history.clone(),
        record_in: model.record_msg_in,
        record_out: model.record_msg_out,
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
    let refused = Refused::default();
    for property in &model.properties {
        let (name, condition) = (property.name, property.condition);
        let (model, refused) = (Arc::clone(&shared), refused.clone());
        // A state that the boundary refuses decides nothing.
        let check = move |state: &_| {
            let state = plain_state(&model, state);
            let within = refused.heard((model.within_boundary)(&model.cfg, &state));
            within.then(|| condition(&model, &state))
        };
        if property.expectation == stateright::Expectation::Eventually {
            let goal = move |state: &_| check(state).unwrap_or(false);
            system.liveness.properties.push(LiveProperty::eventually_state(name, goal));
            continue;
        }
        system.properties.push(match property.expectation {
            stateright::Expectation::Always => Property::always_state(name, move |state| {
                if check(state).unwrap_or(true) {
                    Ok(())
                } else {
                    Err("the model's condition is false".to_owned())
                }
            }),
            _ => Property::sometimes_state(name, move |state| check(state).unwrap_or(false)),
        });
    }
    let (of_within, of_probe, heard) = (Arc::clone(&shared), shared, refused.clone());
    system.doubt = Some(Doubt::new(
        "the model's own within_boundary",
        move |state| (of_within.within_boundary)(&of_within.cfg, &plain_state(&of_within, state)),
        refused,
        move |state| probe(&of_probe, &heard, plain_state(&of_probe, state)),
    ));
    if !system.liveness.properties.is_empty() {
        let goes_on = Assumption::weak("a run goes on as long as it can", |_| true);
        system.liveness.assumptions.push(goes_on);
    }
    system
}

/// Asks the boundary about a state, and all functions whether they look at the message that was delivered last.
fn probe<A, C, H>(
    model: &ActorModel<A, C, H>,
    refused: &Refused,
    mut state: ActorModelState<A, H>,
) -> Result<(), String>
where
    A: Subject + Clone,
    C: Clone + Send + Sync + 'static,
    H: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
{
    if !refused.heard((model.within_boundary)(&model.cfg, &state)) {
        return Ok(());
    }
    let PlainNetwork::UnorderedDuplicating(set, _) = &state.network else { return Ok(()) };
    let all: Vec<Envelope<A::Msg>> = set.iter().cloned().collect();
    let truths = |state: &_| {
        model.properties.iter().map(|property| (property.condition)(model, state)).collect::<Vec<_>>()
    };
    let known = truths(&state);
    for envelope in all {
        let PlainNetwork::UnorderedDuplicating(_, last) = &mut state.network else { return Ok(()) };
        *last = Some(envelope);
        let differs = truths(&state).iter().zip(&known).position(|(now, then)| now != then);
        let who = match differs {
            Some(property) => format!("property {:?}", model.properties[property].name),
            None if !(model.within_boundary)(&model.cfg, &state) => "within_boundary".to_owned(),
            None => continue,
        };
        return Err(format!(
            "{who} looks at which message was delivered last, which no state of a duplicating network says here: let the history \
             remember it (`record_msg_in`), or take another network"
        ));
    }
    Ok(())
}

/// The kind and the contents of a network.
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
        InFlight::Multiset(_) | InFlight::Timed(_) => PlainNetwork::new_unordered_nonduplicating(envelopes),
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
