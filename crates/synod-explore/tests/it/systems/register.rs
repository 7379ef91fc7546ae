//! A register that a majority of servers keeps: whoever serves a request first asks for the latest stamp, then tells a
//! majority what to keep. Reads tell as well, so that no later read is older.

use super::{or_else, unasked};
use crate::paxos::{Kept, Tester, kept};
use stateright::Expectation;
use stateright::actor::register::RegisterMsg::{Get, GetOk, Internal, Put, PutOk};
use stateright::actor::register::{RegisterActor, RegisterMsg};
use stateright::actor::{Actor, ActorModel, Id, Network, Out, majority, model_peers};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use synod_explore::actor_model::{Messages, Recorded};
use synod_explore::{Property, System};

/// A request and who made it: two clients may number theirs alike.
type Request = (Id, u64);
/// A value and when it was written; the writer's name orders what happened at once.
type Stamped = (u32, Id, char);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Msg {
    Ask(Request),
    Has(Request, Stamped),
    Keep(Request, Stamped),
    Kept(Request),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Asking { request: Request, write: Option<char>, answers: BTreeMap<Id, Stamped> },
    Telling { request: Request, read: Option<char>, keepers: BTreeSet<Id> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerState {
    kept: Stamped,
    phase: Phase,
}

#[derive(Clone)]
pub(crate) struct Server {
    peers: Vec<Id>,
    /// It does not keep what it is told: then the register is none.
    forgets: bool,
}

impl Server {
    fn quorum(&self) -> usize {
        majority(self.peers.len() + 1)
    }

    fn ask(&self, id: Id, s: &mut ServerState, request: Request, write: Option<char>, o: &mut Out<Self>) {
        s.phase = Phase::Asking { request, write, answers: BTreeMap::from([(id, s.kept)]) };
        o.broadcast(&self.peers, &Internal(Msg::Ask(request)));
    }
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
        ServerState { kept: (0, Id::from(0), char::default()), phase: Phase::Idle }
    }

    fn on_msg(&self, id: Id, s: &mut Cow<'_, ServerState>, src: Id, msg: Self::Msg, o: &mut Out<Self>) {
        match (msg, &s.phase) {
            (Put(number, value), Phase::Idle) => self.ask(id, s.to_mut(), (src, number), Some(value), o),
            (Get(number), Phase::Idle) => self.ask(id, s.to_mut(), (src, number), None, o),
            (Internal(Msg::Ask(request)), _) => o.send(src, Internal(Msg::Has(request, s.kept))),
            (Internal(Msg::Keep(request, stamped)), _) => {
                if stamped > s.kept && !self.forgets {
                    s.to_mut().kept = stamped;
                }
                o.send(src, Internal(Msg::Kept(request)));
            }
            (Internal(Msg::Has(answered, stamped)), Phase::Asking { request, write, answers })
                if answered == *request =>
            {
                let mut answers = answers.clone();
                answers.insert(src, stamped);
                if answers.len() < self.quorum() {
                    let phase = Phase::Asking { request: *request, write: *write, answers };
                    s.to_mut().phase = phase;
                    return;
                }
                let latest = answers.values().max().copied().expect("its own answer is there");
                let (stamped, read) = match *write {
                    Some(value) => ((latest.0 + 1, id, value), None),
                    None => (latest, Some(latest.2)),
                };
                let s = s.to_mut();
                s.kept = if self.forgets { s.kept } else { s.kept.max(stamped) };
                s.phase = Phase::Telling { request: answered, read, keepers: BTreeSet::from([id]) };
                o.broadcast(&self.peers, &Internal(Msg::Keep(answered, stamped)));
            }
            (Internal(Msg::Kept(kept)), Phase::Telling { request, read, keepers }) if kept == *request => {
                let mut keepers = keepers.clone();
                keepers.insert(src);
                let (client, number) = kept;
                if keepers.len() < self.quorum() {
                    s.to_mut().phase = Phase::Telling { request: kept, read: *read, keepers };
                    return;
                }
                o.send(client, read.map_or(PutOk(number), |value| GetOk(number, value)));
                s.to_mut().phase = Phase::Idle;
            }
            _ => {}
        }
    }
}

pub(crate) type Model<H = Kept> = ActorModel<RegisterActor<Server>, (), H>;

/// Servers, and clients that write once and read once.
pub(crate) fn model(servers: usize, clients: usize) -> Model {
    model_in(kept(), servers, clients, false)
}

/// The same with another history, and with servers that forget or do not.
pub(crate) fn model_in<H: Tester>(history: H, servers: usize, clients: usize, forgets: bool) -> Model<H> {
    let server = |i| RegisterActor::Server(Server { peers: model_peers(i, servers), forgets });
    ActorModel::new((), history)
        .actors((0..servers).map(server))
        .actors((0..clients).map(|_| RegisterActor::Client { put_count: 1, server_count: servers }))
        .init_network(Network::new_unordered_nonduplicating([]))
        .record_msg_in(RegisterMsg::record_returns)
        .record_msg_out(RegisterMsg::record_invocations)
        .property(Expectation::Always, "linearizable", |_, state| state.history.is_consistent())
        .property(Expectation::Sometimes, "a write is read", |_, state| {
            let read = |msg: &_| matches!(msg, GetOk(_, value) if *value != char::default());
            state.network.iter_deliverable().any(|envelope| read(envelope.msg))
        })
}

/// The same, with the history asked once per distinct history, and the answer to a read seen where it is sent.
pub(crate) fn system<H: Tester>(
    model: &Model<H>,
) -> System<RegisterActor<Server>, Recorded<RegisterActor<Server>, (), H>> {
    unasked(model)
        .property(Property::always_history("linearizable", |history: &H| {
            or_else(history.is_consistent(), "no serial order explains it")
        }))
        .property(Property::sometimes_note("a write is read", |note: &Messages<_>| {
            note.sent.iter().any(|e| matches!(e.msg, GetOk(_, value) if value != char::default()))
        }))
}
