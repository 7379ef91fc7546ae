//! The shape of stateright's Paxos example: servers that each run a client's request as a ballot of its own.
//! Written anew; it takes the same steps, so that the state counts published for the example apply.

use stateright::actor::register::RegisterMsg::{Get, GetOk, Internal, Put, PutOk};
use stateright::actor::register::{RegisterActor, RegisterMsg};
use stateright::actor::{Actor, ActorModel, Id, Network, Out, majority, model_peers};
use stateright::semantics::register::Register;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::Hash;
use synod_explore::actor_model::{Messages, Recorded, from_actor_model};
use synod_explore::{Property, System};

pub(crate) type Ballot = (u32, Id);
pub(crate) type Proposal = (u64, Id, char);
pub(crate) type Accepted = Option<(Ballot, Proposal)>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Msg {
    Prepare(Ballot),
    Promise(Ballot, Accepted),
    Accept(Ballot, Proposal),
    Accepted(Ballot),
    Decided(Ballot, Proposal),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerState {
    ballot: Ballot,
    proposal: Option<Proposal>,
    promises: BTreeMap<Id, Accepted>,
    acceptors: BTreeSet<Id>,
    accepted: Accepted,
    decided: bool,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) peers: Vec<Id>,
}

impl Actor for Server {
    type Msg = RegisterMsg<u64, char, Msg>;
    type State = ServerState;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn name(&self) -> String {
        "S".to_owned()
    }

    fn on_start(&self, _: Id, _: &Option<()>, _: &mut Out<Self>) -> ServerState {
        ServerState {
            ballot: (0, Id::from(0)),
            proposal: None,
            promises: BTreeMap::new(),
            acceptors: BTreeSet::new(),
            accepted: None,
            decided: false,
        }
    }

    fn on_msg(&self, id: Id, s: &mut Cow<'_, ServerState>, src: Id, msg: Self::Msg, o: &mut Out<Self>) {
        let quorum = majority(self.peers.len() + 1);
        match msg {
            Get(request) if s.decided => {
                if let Some((_, (_, _, value))) = s.accepted {
                    o.send(src, GetOk(request, value));
                }
            }
            _ if s.decided => {}
            Put(request, value) if s.proposal.is_none() => {
                let s = s.to_mut();
                s.proposal = Some((request, src, value));
                s.ballot = (s.ballot.0 + 1, id);
                s.promises = BTreeMap::from([(id, s.accepted)]);
                s.acceptors.clear();
                o.broadcast(&self.peers, &Internal(Msg::Prepare(s.ballot)));
            }
            Internal(Msg::Prepare(ballot)) if ballot > s.ballot => {
                s.to_mut().ballot = ballot;
                o.send(src, Internal(Msg::Promise(ballot, s.accepted)));
            }
            Internal(Msg::Promise(ballot, accepted)) if ballot == s.ballot => {
                let s = s.to_mut();
                s.promises.insert(src, accepted);
                if s.promises.len() == quorum {
                    let highest = s.promises.values().max().copied().flatten();
                    let proposal = highest.map(|(_, p)| p).or(s.proposal).expect("a request began this");
                    s.proposal = Some(proposal);
                    s.accepted = Some((ballot, proposal));
                    s.acceptors.insert(id);
                    o.broadcast(&self.peers, &Internal(Msg::Accept(ballot, proposal)));
                }
            }
            Internal(Msg::Accept(ballot, proposal)) if ballot >= s.ballot => {
                let s = s.to_mut();
                s.ballot = ballot;
                s.accepted = Some((ballot, proposal));
                o.send(src, Internal(Msg::Accepted(ballot)));
            }
            Internal(Msg::Accepted(ballot)) if ballot == s.ballot => {
                let s = s.to_mut();
                s.acceptors.insert(src);
                if s.acceptors.len() == quorum {
                    s.decided = true;
                    let proposal = s.proposal.expect("a request began this");
                    o.broadcast(&self.peers, &Internal(Msg::Decided(ballot, proposal)));
                    o.send(proposal.1, PutOk(proposal.0));
                }
            }
            Internal(Msg::Decided(ballot, proposal)) => {
                let s = s.to_mut();
                s.ballot = ballot;
                s.accepted = Some((ballot, proposal));
                s.decided = true;
            }
            _ => {}
        }
    }
}

/// The judge of a register's history: stateright's tester, or a replacement.
pub(crate) trait Tester:
    ConsistencyTester<Id, Register<char>> + Clone + Debug + PartialEq + Hash + Send + Sync + 'static
{
}

impl<H> Tester for H where
    H: ConsistencyTester<Id, Register<char>> + Clone + Debug + PartialEq + Hash + Send + Sync + 'static
{
}

/// A register's history as stateright keeps it.
pub(crate) type Kept = LinearizabilityTester<Id, Register<char>>;

/// The history of a register in which nothing has happened.
pub(crate) fn kept() -> Kept {
    LinearizabilityTester::new(Register(char::default()))
}

pub(crate) type Model<H = Kept> = ActorModel<RegisterActor<Server>, (), H>;

/// Servers and clients as a plain stateright model.
pub(crate) fn model(servers: usize, clients: usize) -> Model {
    model_in(kept(), servers, clients)
}

/// The same with another history.
pub(crate) fn model_in<H: Tester>(history: H, servers: usize, clients: usize) -> Model<H> {
    ActorModel::new((), history)
        .actors((0..servers).map(|i| RegisterActor::Server(Server { peers: model_peers(i, servers) })))
        .actors((0..clients).map(|_| RegisterActor::Client { put_count: 1, server_count: servers }))
        .init_network(Network::new_unordered_nonduplicating([]))
        .record_msg_in(RegisterMsg::record_returns)
        .record_msg_out(RegisterMsg::record_invocations)
        .property(stateright::Expectation::Always, "linearizable", |_, state| state.history.is_consistent())
        .property(stateright::Expectation::Sometimes, "value chosen", |_, state| {
            let chosen = |msg: &_| matches!(msg, GetOk(_, value) if *value != char::default());
            state.network.iter_deliverable().any(|envelope| chosen(envelope.msg))
        })
}

/// The same properties, each told apart by what it looks at: a history, and a delivery.
pub(crate) fn system<H: Tester>(
    model: &Model<H>,
) -> System<RegisterActor<Server>, Recorded<RegisterActor<Server>, (), H>> {
    let mut system = from_actor_model(model).expect("the model is supported");
    system.properties = vec![
        Property::always_history("linearizable", |history: &H| {
            history.is_consistent().then_some(()).ok_or_else(|| "no serial order explains it".to_owned())
        }),
        Property::sometimes_note("value chosen", |note: &Messages<_>| {
            note.sent.iter().any(|e| matches!(e.msg, GetOk(_, value) if value != char::default()))
        }),
    ];
    system
}
