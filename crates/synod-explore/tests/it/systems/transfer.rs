//! A sender passes numbered items to receivers, one at a time, over a network that loses and through crashes: all save
//! before they speak, and the sender repeats itself by a timer, so often an item.

use super::{or_else, unasked};
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, LossyNetwork, Network, Out, model_timeout};
use std::borrow::Cow;
use std::collections::BTreeSet;
use synod_explore::actor_model::Recorded;
use synod_explore::{Property, System};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Msg {
    Item(u8),
    Taken(u8),
}

/// The memory of each actor, saved whenever it changes: a crash loses timers and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    Sender { item: u8, taken: BTreeSet<Id>, tries: u8 },
    Receiver { items: u8 },
}

#[derive(Clone)]
pub(crate) enum Node {
    Sender { receivers: Vec<Id>, items: u8, tries: u8 },
    Receiver,
}

impl Actor for Node {
    type Msg = Msg;
    type State = Kept;
    type Timer = ();
    type Random = ();
    type Storage = Kept;

    fn name(&self) -> String {
        if matches!(self, Self::Sender { .. }) { "S".to_owned() } else { "R".to_owned() }
    }

    fn on_start(&self, _: Id, storage: &Option<Kept>, o: &mut Out<Self>) -> Kept {
        let Self::Sender { receivers, items, tries } = self else {
            return storage.clone().unwrap_or(Kept::Receiver { items: 0 });
        };
        let Some(kept) = storage else {
            let kept = Kept::Sender { item: 1, taken: BTreeSet::new(), tries: *tries };
            o.save(kept.clone());
            o.broadcast(receivers, &Msg::Item(1));
            o.set_timer((), model_timeout());
            return kept;
        };
        if matches!(kept, Kept::Sender { item, tries: 1.., .. } if item <= items) {
            o.set_timer((), model_timeout());
        }
        kept.clone()
    }

    fn on_msg(&self, _: Id, kept: &mut Cow<'_, Kept>, src: Id, msg: Msg, o: &mut Out<Self>) {
        match (self, msg, &**kept) {
            (Self::Receiver, Msg::Item(item), Kept::Receiver { items }) => {
                if item == items + 1 {
                    *kept = Cow::Owned(Kept::Receiver { items: item });
                    o.save(Kept::Receiver { items: item });
                }
                o.send(src, Msg::Taken(item));
            }
            (
                Self::Sender { receivers, items, tries: all },
                Msg::Taken(number),
                Kept::Sender { item, taken, tries },
            ) if number == *item && !taken.contains(&src) => {
                let (item, mut taken, mut tries) = (*item, taken.clone(), *tries);
                taken.insert(src);
                let next = if taken.len() < receivers.len() {
                    Kept::Sender { item, taken, tries }
                } else {
                    let more = item < *items;
                    if more {
                        tries = *all;
                    }
                    Kept::Sender { item: item + 1, taken: BTreeSet::new(), tries }
                };
                o.save(next.clone());
                match &next {
                    Kept::Sender { item: next, .. } if *next == item => {}
                    Kept::Sender { item: next, .. } if next <= items => {
                        o.broadcast(receivers, &Msg::Item(*next));
                        o.set_timer((), model_timeout());
                    }
                    _ => o.cancel_timer(()),
                }
                *kept = Cow::Owned(next);
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, kept: &mut Cow<'_, Kept>, (): &(), o: &mut Out<Self>) {
        let (Self::Sender { receivers, .. }, Kept::Sender { item, taken, tries }) = (self, kept.to_mut())
        else {
            return;
        };
        *tries -= 1;
        let missing: Vec<Id> = receivers.iter().filter(|id| !taken.contains(id)).copied().collect();
        let (item, again) = (*item, *tries > 0);
        o.save((**kept).clone());
        o.broadcast(&missing, &Msg::Item(item));
        if again {
            o.set_timer((), model_timeout());
        }
    }
}

fn item(sender: Option<&Kept>) -> u8 {
    match sender {
        Some(Kept::Sender { item, .. }) => *item,
        _ => 1,
    }
}

fn items(receiver: Option<&Kept>) -> u8 {
    match receiver {
        Some(Kept::Receiver { items }) => *items,
        _ => 0,
    }
}

/// Of all storages, the sender's first: each receiver has every item before the one that is sent, and none after it.
fn in_step<'a>(mut storages: impl Iterator<Item = Option<&'a Kept>>) -> bool {
    let sent = item(storages.next().flatten());
    storages.all(|receiver| (sent - 1..=sent).contains(&items(receiver)))
}

fn arrived<'a>(storages: impl Iterator<Item = Option<&'a Kept>>, all: u8) -> bool {
    storages.skip(1).all(|receiver| items(receiver) == all)
}

pub(crate) type Model = ActorModel<Node, u8>;

/// A sender, receivers, items, and how often each is repeated. One node at a time can be down.
pub(crate) fn model(receivers: usize, all: u8, tries: u8) -> Model {
    let ids = (1..=receivers).map(Id::from).collect();
    ActorModel::new(all, ())
        .actor(Node::Sender { receivers: ids, items: all, tries })
        .actors((0..receivers).map(|_| Node::Receiver))
        .init_network(Network::new_unordered_nonduplicating([]))
        .lossy_network(LossyNetwork::Yes)
        .max_crashes(1)
        .property(Expectation::Always, "nothing is skipped", |_, state| {
            in_step(state.actor_storages.iter().map(Option::as_ref))
        })
        .property(Expectation::Sometimes, "all arrive", |model, state| {
            arrived(state.actor_storages.iter().map(Option::as_ref), model.cfg)
        })
}

/// The same, asked of this engine's states.
pub(crate) fn system(model: &Model) -> System<Node, Recorded<Node, u8, ()>> {
    let all = model.cfg;
    unasked(model)
        .property(Property::always_state("nothing is skipped", |state: &synod_explore::State<Node, _>| {
            let storages = state.locals.iter().map(|local| local.storage.as_ref());
            or_else(in_step(storages), "a receiver is not in step with the sender")
        }))
        .property(Property::sometimes_state("all arrive", move |state: &synod_explore::State<Node, _>| {
            arrived(state.locals.iter().map(|local| local.storage.as_ref()), all)
        }))
}
