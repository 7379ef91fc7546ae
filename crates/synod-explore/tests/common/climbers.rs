//! Actors that count: systems whose states are known without exploring them.

use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use std::borrow::Cow;

/// Counts its timer up to a top.
#[derive(Clone)]
pub(crate) struct Climber {
    pub(crate) top: u32,
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

/// So many of them, who send nothing.
pub(crate) fn climbers(count: usize, top: u32) -> ActorModel<Climber, (), ()> {
    ActorModel::new((), ())
        .actors(vec![Climber { top }; count])
        .init_network(Network::new_unordered_nonduplicating([]))
}
