//! Consensus by coins, in the manner of Ben-Or: in each round all report what they prefer and propose what they saw a
//! majority report; who sees too little proposed tosses a coin. One of three may be slow for ever.

use super::{or_else, running, unasked};
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_peers};
use std::borrow::Cow;
use std::collections::BTreeMap;
use synod_explore::actor_model::Recorded;
use synod_explore::{Property, System};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    Report,
    Propose,
    Toss,
    Done,
}

/// Its round and phase, and the value; none if no majority was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Msg {
    round: u8,
    phase: Phase,
    says: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Voter {
    round: u8,
    phase: Phase,
    prefers: bool,
    decided: Option<bool>,
    heard: BTreeMap<(u8, Phase, Id), Option<bool>>,
}

#[derive(Clone)]
pub(crate) struct Node {
    peers: Vec<Id>,
    prefers: bool,
    rounds: u8,
}

impl Node {
    fn say(&self, id: Id, s: &mut Voter, says: Option<bool>, o: &mut Out<Self>) {
        let (round, phase) = (s.round, s.phase);
        s.heard.insert((round, phase, id), says);
        o.broadcast(&self.peers, &Msg { round, phase, says });
    }

    /// Goes to the next round, if there is one, and forgets what was heard before it.
    fn next_round(&self, id: Id, s: &mut Voter, o: &mut Out<Self>) {
        if s.round == self.rounds {
            s.phase = Phase::Done;
            s.heard.clear();
            return;
        }
        (s.round, s.phase) = (s.round + 1, Phase::Report);
        s.heard = s.heard.split_off(&(s.round, Phase::Report, Id::from(0)));
        self.say(id, s, Some(s.prefers), o);
    }

    /// Goes on as long as enough was heard.
    fn go_on(&self, id: Id, s: &mut Voter, o: &mut Out<Self>) {
        let all = self.peers.len() + 1;
        let slow = (all - 1) / 2;
        loop {
            let here = (s.round, s.phase);
            let heard = s.heard.iter().filter(|((round, phase, _), _)| (*round, *phase) == here);
            let heard: Vec<Option<bool>> = heard.map(|(_, says)| *says).collect();
            if heard.len() < all - slow {
                return;
            }
            let count = |value| heard.iter().filter(|says| **says == Some(value)).count();
            match s.phase {
                Phase::Report => {
                    let majority = [false, true].into_iter().find(|value| 2 * count(*value) > all);
                    s.phase = Phase::Propose;
                    self.say(id, s, majority, o);
                }
                Phase::Propose => {
                    let Some(value) = [false, true].into_iter().find(|value| count(*value) > 0) else {
                        s.phase = Phase::Toss;
                        o.choose_random("coin", vec![false, true]);
                        return;
                    };
                    s.prefers = value;
                    if count(value) > slow {
                        s.decided = Some(value);
                    }
                    self.next_round(id, s, o);
                }
                Phase::Toss | Phase::Done => return,
            }
        }
    }
}

impl Actor for Node {
    type Msg = Msg;
    type State = Voter;
    type Timer = ();
    type Random = bool;
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Voter {
        let (phase, prefers, heard) = (Phase::Report, self.prefers, BTreeMap::new());
        let mut voter = Voter { round: 1, phase, prefers, decided: None, heard };
        self.say(id, &mut voter, Some(prefers), o);
        voter
    }

    fn on_msg(&self, id: Id, s: &mut Cow<'_, Voter>, src: Id, msg: Msg, o: &mut Out<Self>) {
        if s.phase == Phase::Done || (msg.round, msg.phase) < (s.round, s.phase) {
            return;
        }
        let s = s.to_mut();
        s.heard.insert((msg.round, msg.phase, src), msg.says);
        self.go_on(id, s, o);
    }

    fn on_random(&self, id: Id, s: &mut Cow<'_, Voter>, coin: &bool, o: &mut Out<Self>) {
        let s = s.to_mut();
        s.prefers = *coin;
        self.next_round(id, s, o);
        self.go_on(id, s, o);
    }
}

fn agree<'a>(mut voters: impl Iterator<Item = &'a Voter>) -> bool {
    let first = voters.find_map(|voter| voter.decided);
    voters.all(|voter| voter.decided.is_none() || voter.decided == first)
}

fn tosses(voter: &Voter) -> bool {
    voter.phase == Phase::Toss
}

pub(crate) type Model = ActorModel<Node>;

/// Nodes that prefer by turns, and rounds.
pub(crate) fn model(nodes: usize, rounds: u8) -> Model {
    ActorModel::new((), ())
        .actors((0..nodes).map(|i| Node { peers: model_peers(i, nodes), prefers: i % 2 == 0, rounds }))
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "all decide the same", |_, state| {
            agree(state.actor_states.iter().map(|s| &**s))
        })
        .property(Expectation::Sometimes, "all decide", |_, state| {
            state.actor_states.iter().all(|voter| voter.decided.is_some())
        })
        .property(Expectation::Sometimes, "a coin is tossed", |_, state| {
            state.actor_states.iter().any(|voter| tosses(voter))
        })
}

/// The same, asked of this engine's states.
pub(crate) fn system(model: &Model) -> System<Node, Recorded<Node, (), ()>> {
    unasked(model)
        .property(Property::always_locals("all decide the same", |locals| {
            or_else(agree(running(locals)), "two decided differently")
        }))
        .property(Property::sometimes_locals("all decide", |locals| {
            running(locals).all(|voter: &Voter| voter.decided.is_some())
        }))
        .property(Property::sometimes_locals("a coin is tossed", |locals| running(locals).any(tosses)))
}
