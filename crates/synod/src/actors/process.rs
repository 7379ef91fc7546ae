//! A process of the protocol as an actor: its roles, and which of them sees which message. The roles decide. Nothing is decided
//! here.

use crate::actors::client::Client;
use crate::actors::log_server::LogServer;
use crate::actors::register_server;
use crate::actors::stable::Stable;
use crate::actors::state::{ProcessState, as_client};
use crate::actors::wiring::{acceptor_hears, learner_hears, proposer_hears, proposer_rings};
use crate::cluster::Cluster;
use crate::effects::Effects;
use crate::log::state::{LogState, ServerState};
use crate::message::{Msg, Timer};
use crate::progress::lead;
use crate::progress::retry::{self, Context, Retry};
use crate::roles::learner::LearnerState;
use crate::roles::proposer::ProposerState;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

/// A process and what it plays: one role, all three roles of a server, or a client.
#[derive(Clone, Debug)]
pub enum Process {
    /// An acceptor: phases 1(b) and 2(b).
    Acceptor(Arc<Cluster>),
    /// A proposer: phases 1(a) and 2(a).
    Proposer {
        /// The cluster.
        cluster: Arc<Cluster>,
        /// The number its ballots carry; unique in the cluster.
        number: u16,
        /// The conditions under which it tries again.
        retry: Retry,
    },
    /// A learner, which finds out what was chosen.
    Learner(Arc<Cluster>),
    /// A server: acceptor, proposer and learner in one.
    Server {
        /// The cluster.
        cluster: Arc<Cluster>,
        /// The number its ballots carry; unique in the cluster.
        number: u16,
        /// The conditions under which it tries again.
        retry: Retry,
    },
    /// A client, which wants a value chosen or wants to know which one was.
    Client(Client),
}

impl Process {
    /// The settings of a process that begins ballots, if it is one.
    fn context(&self, me: Id) -> Option<Context<'_>> {
        match self {
            Process::Proposer { cluster, number, retry } | Process::Server { cluster, number, retry } => {
                Some(Context { cluster, me, number: *number, retry })
            }
            _ => None,
        }
    }

    /// True if the retry timer runs when a step begins: if there is something to bring about.
    fn owes(&self, me: Id, state: &ProcessState) -> bool {
        self.context(me)
            .zip(state.proposer())
            .is_some_and(|(context, proposer)| retry::owes(context, proposer, state.server()))
    }

    /// Ends a step. `ran` says if the retry timer ran when it began.
    fn end(&self, me: Id, ran: bool, state: &ProcessState, mut fx: Effects, out: &mut Out<Self>) {
        if let Some((context, proposer)) = self.context(me).zip(state.proposer()) {
            retry::keep_timer(context, ran, proposer, state.server(), &mut fx);
        }
        fx.flush(|| Stable::of(state), out);
    }
}

/// The server of a cluster that keeps a log.
fn log_server(context: Context<'_>) -> Option<LogServer<'_>> {
    context.cluster.log.as_ref().map(|log| LogServer { context, log })
}

impl Actor for Process {
    type Msg = Msg;
    type Timer = Timer;
    type State = ProcessState;
    type Storage = Stable;
    /// Nothing is drawn at random. The only chance is in the ranges of timers.
    type Random = Infallible;

    /// Starts, or restarts from what was saved. Everything else is forgotten, as after a crash (spec A3).
    fn on_start(&self, me: Id, saved: &Option<Stable>, out: &mut Out<Self>) -> ProcessState {
        let Stable { acceptor, tried, snapshot } = saved.clone().unwrap_or_default();
        let mut proposer = ProposerState { tried, ..ProposerState::default() };
        let mut fx = Effects::default();
        let context = self.context(me);
        let keeper = context.and_then(log_server);
        let mut log = keeper.map(|keeper| LogState::new(keeper.context.cluster, keeper.log, snapshot));
        if let Some(Context { cluster, .. }) = context {
            let everyone = log.as_ref().map(|log| log.everyone(cluster));
            lead::start(everyone.as_deref().unwrap_or(cluster), me, &mut proposer, &mut fx);
        }
        let state = match self {
            Process::Acceptor(_) => ProcessState::Acceptor(acceptor),
            Process::Proposer { .. } => ProcessState::Proposer(proposer),
            Process::Learner(_) => ProcessState::Learner(LearnerState::default()),
            Process::Server { .. } => {
                if let Some((keeper, log)) = keeper.zip(log.as_mut()) {
                    keeper.start(log, &mut fx);
                }
                let log = log.map(Box::new);
                ProcessState::Server(ServerState { acceptor, proposer, log, ..ServerState::default() })
            }
            Process::Client(client) => ProcessState::Client(client.start(&mut fx)),
        };
        fx.flush(|| Stable::of(&state), out);
        state
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, ProcessState>, src: Id, msg: Msg, out: &mut Out<Self>) {
        let hears = match self {
            Process::Client(client) => client.hears(src, &msg),
            Process::Acceptor(cluster)
            | Process::Learner(cluster)
            | Process::Proposer { cluster, .. }
            | Process::Server { cluster, .. } => cluster.hears(src, &msg),
        };
        if !hears {
            return;
        }
        let mut fx = Effects::default();
        let ran = self.owes(me, state);
        match self {
            Process::Acceptor(cluster) => acceptor_hears(cluster, state, src, &msg, &mut fx),
            Process::Learner(cluster) => learner_hears(cluster, me, state, src, &msg, &mut fx),
            Process::Client(client) => client.on_msg(as_client(state), msg, &mut fx),
            Process::Proposer { cluster, number, retry } => {
                let context = Context { cluster, me, number: *number, retry };
                proposer_hears(context, state, src, &msg, &mut fx);
            }
            Process::Server { cluster, number, retry } => {
                let context = Context { cluster, me, number: *number, retry };
                match log_server(context) {
                    Some(server) => server.on_msg(state, src, &msg, &mut fx),
                    None => register_server::on_msg(context, state, src, &msg, &mut fx),
                }
            }
        }
        self.end(me, ran, state, fx, out);
    }

    fn on_timeout(&self, me: Id, state: &mut Cow<'_, ProcessState>, timer: &Timer, out: &mut Out<Self>) {
        let mut fx = Effects::default();
        let ran = *timer != Timer::Retry && self.owes(me, state);
        match self {
            // A client sets no timer but the one to send again.
            Process::Client(client) => client.on_timeout(as_client(state), &mut fx),
            Process::Proposer { cluster, number, retry } => {
                let context = Context { cluster, me, number: *number, retry };
                proposer_rings(context, state, *timer, &mut fx);
            }
            Process::Server { cluster, number, retry } => {
                let context = Context { cluster, me, number: *number, retry };
                match log_server(context) {
                    Some(server) => server.on_timeout(state, *timer, &mut fx),
                    None => proposer_rings(context, state, *timer, &mut fx),
                }
            }
            Process::Acceptor(_) | Process::Learner(_) => {}
        }
        self.end(me, ran, state, fx, out);
    }

    fn name(&self) -> String {
        match self {
            Process::Acceptor(_) => "Acceptor",
            Process::Proposer { .. } => "Proposer",
            Process::Learner(_) => "Learner",
            Process::Server { .. } => "Server",
            Process::Client(_) => "Client",
        }
        .to_owned()
    }
}
