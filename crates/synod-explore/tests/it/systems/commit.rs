//! Commit in two phases over channels that keep the order: a coordinator asks workers to prepare, and either side may
//! lose its patience until then.

use super::{or_else, running, unasked};
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use std::borrow::Cow;
use std::collections::BTreeSet;
use synod_explore::actor_model::Recorded;
use synod_explore::{Property, System};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Msg {
    Prepare,
    Yes,
    No,
    Commit,
    Abort,
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The coordinator, with who is prepared.
    Waiting(BTreeSet<Id>),
    /// The coordinator, with who has done what was decided.
    Decided {
        commit: bool,
        done: BTreeSet<Id>,
    },
    Working,
    Prepared,
    Committed,
    Aborted,
}

#[derive(Clone)]
pub(crate) enum Node {
    Coordinator { workers: Vec<Id> },
    Worker,
}

impl Node {
    fn decide(workers: &[Id], commit: bool, o: &mut Out<Self>) -> Place {
        o.broadcast(workers, if commit { &Msg::Commit } else { &Msg::Abort });
        Place::Decided { commit, done: BTreeSet::new() }
    }
}

const COORDINATOR: usize = 0;

impl Actor for Node {
    type Msg = Msg;
    type State = Place;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn name(&self) -> String {
        if matches!(self, Self::Worker) { "W".to_owned() } else { "C".to_owned() }
    }

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> Place {
        o.set_timer((), model_timeout());
        match self {
            Self::Coordinator { workers } => {
                o.broadcast(workers, &Msg::Prepare);
                Place::Waiting(BTreeSet::new())
            }
            Self::Worker => Place::Working,
        }
    }

    fn on_msg(&self, _: Id, place: &mut Cow<'_, Place>, src: Id, msg: Msg, o: &mut Out<Self>) {
        let next = match (self, &**place, msg) {
            (Self::Coordinator { workers }, Place::Waiting(prepared), Msg::Yes) => {
                let mut prepared = prepared.clone();
                prepared.insert(src);
                if prepared.len() == workers.len() {
                    o.cancel_timer(());
                    Self::decide(workers, true, o)
                } else {
                    Place::Waiting(prepared)
                }
            }
            (Self::Coordinator { workers }, Place::Waiting(_), Msg::No) => {
                o.cancel_timer(());
                Self::decide(workers, false, o)
            }
            (Self::Coordinator { .. }, Place::Decided { commit, done }, Msg::Done) => {
                let mut done = done.clone();
                done.insert(src);
                Place::Decided { commit: *commit, done }
            }
            (Self::Worker, Place::Working, Msg::Prepare) => {
                o.cancel_timer(());
                o.send(src, Msg::Yes);
                Place::Prepared
            }
            (Self::Worker, Place::Prepared, Msg::Commit) => {
                o.send(src, Msg::Done);
                Place::Committed
            }
            (Self::Worker, Place::Prepared | Place::Aborted, Msg::Abort) => {
                o.send(src, Msg::Done);
                Place::Aborted
            }
            _ => return,
        };
        *place = Cow::Owned(next);
    }

    fn on_timeout(&self, _: Id, place: &mut Cow<'_, Place>, (): &(), o: &mut Out<Self>) {
        *place = Cow::Owned(match self {
            Self::Coordinator { workers } => Self::decide(workers, false, o),
            Self::Worker => {
                o.send(Id::from(COORDINATOR), Msg::No);
                Place::Aborted
            }
        });
    }
}

fn all_or_nothing<'a>(mut places: impl Iterator<Item = &'a Place> + Clone) -> bool {
    let aborted = places.clone().any(|place| matches!(place, Place::Aborted));
    !(aborted && places.any(|place| matches!(place, Place::Committed)))
}

fn workers_are<'a>(places: impl Iterator<Item = &'a Place>, at: &Place) -> bool {
    places.skip(1).all(|place| place == at)
}

pub(crate) type Model = ActorModel<Node>;

/// A coordinator and workers.
pub(crate) fn model(workers: usize) -> Model {
    let ids = (1..=workers).map(Id::from).collect();
    ActorModel::new((), ())
        .actor(Node::Coordinator { workers: ids })
        .actors((0..workers).map(|_| Node::Worker))
        .init_network(Network::new_ordered([]))
        .property(Expectation::Always, "all or nothing", |_, state| {
            all_or_nothing(state.actor_states.iter().map(|s| &**s))
        })
        .property(Expectation::Sometimes, "all commit", |_, state| {
            workers_are(state.actor_states.iter().map(|s| &**s), &Place::Committed)
        })
        .property(Expectation::Sometimes, "all abort", |_, state| {
            workers_are(state.actor_states.iter().map(|s| &**s), &Place::Aborted)
        })
}

/// The same, asked of this engine's states.
pub(crate) fn system(model: &Model) -> System<Node, Recorded<Node, (), ()>> {
    unasked(model)
        .property(Property::always_locals("all or nothing", |locals| {
            // Nobody crashes here, so all are running.
            let places: Vec<&Place> = running(locals).collect();
            or_else(all_or_nothing(places.into_iter()), "one committed and one aborted")
        }))
        .property(Property::sometimes_locals("all commit", |locals| {
            workers_are(running(locals), &Place::Committed)
        }))
        .property(Property::sometimes_locals("all abort", |locals| {
            workers_are(running(locals), &Place::Aborted)
        }))
}
