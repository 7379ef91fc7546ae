//! Wiring: which role sees which message. The roles decide; nothing here does.

use crate::acceptor::{self, AcceptorState};
use crate::client::{Answer, Client, ClientState};
use crate::cluster::{Cluster, Learning};
use crate::effects::{Effects, Part};
use crate::lead::{self, Turn};
use crate::learner::{self, LearnerState};
use crate::message::{Ask, Msg, Stable, Timer};
use crate::proposer::{self, Phase, ProposerState};
use crate::read;
use crate::replica::LogServer;
use crate::retry::{self, Retry};
use crate::sequence::LogState;
use crate::server::{self, ServerState};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

/// A process and the part it plays: one role of its own, or all of them at once.
#[derive(Clone, Debug)]
pub enum Process {
    /// Phase 1(b) and 2(b).
    Acceptor(Arc<Cluster>),
    /// Phase 1(a) and 2(a).
    Proposer {
        /// The others.
        cluster: Arc<Cluster>,
        /// The number its ballots carry; unique in the cluster.
        number: u16,
        /// When it tries again.
        retry: Retry,
    },
    /// Finds out what was chosen.
    Learner(Arc<Cluster>),
    /// Acceptor, proposer and learner in one.
    Server {
        /// The others, and itself.
        cluster: Arc<Cluster>,
        /// The number its ballots carry; unique in the cluster.
        number: u16,
        /// When it tries again.
        retry: Retry,
    },
    /// Wants a value chosen, or wants to know which one was.
    Client(Client),
}

/// The state that belongs to a [`Process`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProcessState {
    /// Of an acceptor.
    Acceptor(AcceptorState),
    /// Of a proposer.
    Proposer(ProposerState),
    /// Of a learner.
    Learner(LearnerState),
    /// Of a server.
    Server(ServerState),
    /// Of a client.
    Client(ClientState),
}

/// Makes the functions that find one role's state in a process's state, whichever layout it has.
macro_rules! part {
    ($name:ident, $get:ident, $role:ident, $type:ty, $field:ident) => {
        impl ProcessState {
            #[doc = concat!("The ", stringify!($get), "'s share of this state, if the process plays that role.")]
            pub fn $get(&self) -> Option<&$type> {
                match self {
                    ProcessState::$role(state) => Some(state),
                    ProcessState::Server(server) => Some(&server.$field),
                    _ => None,
                }
            }
        }
        pub(crate) fn $name<'w, 'c>(whole: &'w mut Cow<'c, ProcessState>) -> Part<'w, 'c, $type> {
            Part::new(whole, ProcessState::$get, |state| match state {
                ProcessState::$role(state) => Some(state),
                ProcessState::Server(server) => Some(&mut server.$field),
                _ => None,
            })
        }
    };
}
part!(as_acceptor, acceptor, Acceptor, AcceptorState, acceptor);
part!(as_proposer, proposer, Proposer, ProposerState, proposer);
part!(as_learner, learner, Learner, LearnerState, learner);

fn as_client<'w, 'c>(whole: &'w mut Cow<'c, ProcessState>) -> Part<'w, 'c, ClientState> {
    Part::new(whole, ProcessState::client, |state| match state {
        ProcessState::Client(client) => Some(client),
        _ => None,
    })
}

pub(crate) fn as_server<'w, 'c>(whole: &'w mut Cow<'c, ProcessState>) -> Part<'w, 'c, ServerState> {
    Part::new(whole, ProcessState::server, |state| match state {
        ProcessState::Server(server) => Some(server),
        _ => None,
    })
}

impl ProcessState {
    /// The server's state, if the process is one.
    pub fn server(&self) -> Option<&ServerState> {
        match self {
            ProcessState::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The client's state, if the process is one.
    pub fn client(&self) -> Option<&ClientState> {
        match self {
            ProcessState::Client(client) => Some(client),
            _ => None,
        }
    }
}

/// What the acceptor role does with a message; anything not meant for it is ignored.
pub(crate) fn as_acceptor_on(
    c: &Cluster,
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    match msg {
        Msg::Prepare { ballot, from } => {
            acceptor::on_prepare(c, as_acceptor(state), src, (*ballot, *from), fx);
        }
        Msg::Accept { ballot, instance, value } => {
            acceptor::on_accept(c, as_acceptor(state), src, (*ballot, *instance, value.clone()), fx);
        }
        _ => {}
    }
}

/// What the proposer role does with a message.
fn as_proposer_on(
    c: &Cluster,
    (me, number, retry): (Id, u16, &Retry),
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    match msg {
        Msg::Beat(beat) => {
            let turn = lead::on_beat(c, (me, src), *beat, state, fx);
            take_turn(c, (number, retry), state, turn, fx);
        }
        Msg::Ask(Ask::Request { instance, value }) => {
            let was_busy = as_proposer(state).is_busy();
            proposer::on_request(c, as_proposer(state), (*instance, value.clone()), fx);
            let proposer = as_proposer(state);
            // A ballot is good from some instance on; what is wanted below needs another.
            let needed = match &proposer.phase {
                Phase::Idle => !retry.is_put_off(was_busy),
                Phase::Preparing { .. } => false,
                Phase::Accepting { .. } => !proposer.covers(*instance),
            };
            if needed {
                let from = proposer.lowest();
                retry::begin(c, proposer, (number, from), retry, fx);
            }
        }
        Msg::Promise { ballot, accepted, rest } => {
            // Enforces P2c: a promise counts for the acceptor that made it, so it must come from one.
            let Some(index) = c.acceptor(src) else { return };
            let promise = (*ballot, accepted.clone(), *rest);
            let ended = proposer::on_promise(c, as_proposer(state), index, promise, fx);
            if ended && proposer::issue_due(c, as_proposer(state), retry.most(c), fx) {
                retry.soon(fx);
            }
            // Only servers take reads, so that for any other proposer there is none to answer.
            if ended && !as_proposer(state).reads.is_empty() {
                read::on_phase1(as_proposer(state), fx);
                retry::succeeded(as_proposer(state));
                if read::needs_another_ballot(&as_proposer(state)) {
                    retry.soon(fx);
                }
            }
        }
        Msg::Accepted { ballot, instance, .. } if retry.is_wanted() || c.learning == Learning::Proposer => {
            if let Some(index) = c.acceptor(src) {
                let vote = (*ballot, *instance);
                if proposer::on_accepted(c, as_proposer(state), index, vote, None, fx).is_some() {
                    retry::succeeded(as_proposer(state));
                }
            }
        }
        Msg::Nack { ballot, promised } => {
            let from = as_proposer(state).lowest();
            retry::on_nack(c, as_proposer(state), (number, from), retry, (*ballot, *promised), fx);
        }
        _ => {}
    }
}

/// Who comes to lead begins a ballot for what is wanted. Who does not lead any more begins none; the ballot that is under way
/// may go on.
fn take_turn(
    c: &Cluster,
    (number, retry): (u16, &Retry),
    state: &mut Cow<'_, ProcessState>,
    turn: Option<Turn>,
    fx: &mut Effects,
) {
    if turn == Some(Turn::Leads) && as_proposer(state).is_busy() {
        let from = as_proposer(state).lowest();
        retry::begin(c, as_proposer(state), (number, from), retry, fx);
    }
}

/// What the learner role does with a message.
pub(crate) fn as_learner_on(
    c: &Cluster,
    me: Id,
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    match msg {
        Msg::Accepted { ballot, instance, value } => {
            // Enforces B0: an acceptance counts for the acceptor that made it, so it must come from one.
            if let Some(index) = c.acceptor(src) {
                learner::on_accepted(
                    c,
                    as_learner(state),
                    me,
                    index,
                    (*ballot, *instance, value.clone()),
                    fx,
                );
            }
        }
        Msg::Chosen { instance, value } => {
            learner::on_chosen(c, as_learner(state), me, (*instance, value.clone()), fx);
        }
        _ => {}
    }
}

/// What a server does with a message: each role in turn, and no more proposing of what is already known.
fn as_server_on(
    c: &Cluster,
    (me, number, retry): (Id, u16, &Retry),
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    if let Some(log) = &c.log {
        return LogServer { cluster: c, log, me, number, retry }.on_msg(state, src, msg, fx);
    }
    if let Msg::Ask(Ask::Request { instance, .. } | Ask::Read { instance }) = msg
        && as_server(state).answer(src, *instance, fx)
    {
        return;
    }
    if let Msg::Ask(Ask::Request { .. } | Ask::Read { .. }) = msg
        && let Some(leader) = lead::followed(c, me, &as_proposer(state))
    {
        fx.send(src, Msg::Redirect { leader });
        // A request is remembered, as this server may come to lead; a reader has to ask there, or again.
        if let Msg::Ask(Ask::Read { .. }) = msg {
            return;
        }
    }
    if let Msg::Ask(Ask::Request { instance, value }) = msg
        && !server::on_request(c, as_server(state), src, (*instance, value))
    {
        return;
    }
    if let Msg::Ask(Ask::Read { instance }) = msg {
        let was_busy = as_proposer(state).is_busy();
        let is_idle = as_proposer(state).phase == Phase::Idle;
        if read::on_read(c, as_proposer(state), src, *instance) && !(is_idle && retry.is_put_off(was_busy)) {
            let from = as_proposer(state).lowest();
            retry::begin(c, as_proposer(state), (number, from), retry, fx);
        }
    }
    as_acceptor_on(c, state, src, msg, fx);
    as_proposer_on(c, (me, number, retry), state, src, msg, fx);
    as_learner_on(c, me, state, src, msg, fx);
    if let Msg::Accepted { instance, .. } | Msg::Chosen { instance, .. } = msg
        && server::settle(c, as_server(state), *instance, fx)
    {
        retry::succeeded(as_proposer(state));
    }
}

impl Process {
    /// What decides when it begins ballots, if it does.
    fn retries(&self) -> Option<(&Cluster, &Retry)> {
        match self {
            Process::Proposer { cluster, retry, .. } | Process::Server { cluster, retry, .. } => {
                Some((cluster, retry))
            }
            _ => None,
        }
    }

    fn owes(&self, state: &ProcessState) -> bool {
        self.retries().is_some_and(|(cluster, _)| retry::owes(cluster, state))
    }

    /// Ends a step. `owed` is whether the retry timer ran when it began.
    fn end(&self, owed: bool, state: &ProcessState, mut fx: Effects, out: &mut Out<Self>) {
        if let Some((cluster, retry)) = self.retries() {
            retry.keep(cluster, owed, state, &mut fx);
        }
        fx.flush(state, out);
    }
}

impl Actor for Process {
    type Msg = Msg;
    type Timer = Timer;
    type State = ProcessState;
    type Storage = Stable;
    /// Nothing is drawn at random: where chance is wanted, it is in a timer's range.
    type Random = Infallible;

    /// Starts or restarts from what was saved; everything else is forgotten, as after a crash (spec A3).
    fn on_start(&self, me: Id, saved: &Option<Stable>, out: &mut Out<Self>) -> ProcessState {
        let Stable { acceptor, tried, snapshot } = saved.clone().unwrap_or_default();
        let proposer = ProposerState { tried, ..ProposerState::default() };
        let mut fx = Effects::default();
        if let Process::Proposer { cluster, .. } | Process::Server { cluster, .. } = self
            && let Some(election) = &cluster.election
        {
            election.start(me, &proposer.election, &mut fx);
        }
        let state = match self {
            Process::Acceptor(_) => ProcessState::Acceptor(acceptor),
            Process::Proposer { .. } => ProcessState::Proposer(proposer),
            Process::Learner(_) => ProcessState::Learner(LearnerState::default()),
            Process::Server { cluster, number, retry } => {
                let mut server = ServerState { acceptor, proposer, ..ServerState::default() };
                if let Some(log) = &cluster.log {
                    let state = LogState::new(log, snapshot);
                    LogServer { cluster, log, me, number: *number, retry }.start(state.next, &mut fx);
                    server.log = Some(Box::new(state));
                }
                ProcessState::Server(server)
            }
            Process::Client(client) => ProcessState::Client(client.start(&mut fx)),
        };
        fx.flush(&state, out);
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
        let owed = self.owes(state);
        match self {
            Process::Acceptor(c) => as_acceptor_on(c, state, src, &msg, &mut fx),
            Process::Proposer { cluster, number, retry } => {
                as_proposer_on(cluster, (me, *number, retry), state, src, &msg, &mut fx);
            }
            Process::Learner(c) => as_learner_on(c, me, state, src, &msg, &mut fx),
            Process::Server { cluster, number, retry } => {
                as_server_on(cluster, (me, *number, retry), state, src, &msg, &mut fx);
            }
            Process::Client(client) => {
                let answer = match msg {
                    Msg::Response { instance, value } => (instance, Answer::Chosen(value)),
                    Msg::Unset { instance } => (instance, Answer::Unset),
                    Msg::Output { number, output } if number == client.number => {
                        (client.instance, Answer::Output(output))
                    }
                    Msg::Redirect { leader } => {
                        client.on_redirect(&as_client(state), leader, &mut fx);
                        return fx.flush(state, out);
                    }
                    _ => return,
                };
                client.on_answer(as_client(state), answer, &mut fx);
            }
        }
        self.end(owed, state, fx, out);
    }

    fn on_timeout(&self, me: Id, state: &mut Cow<'_, ProcessState>, timer: &Timer, out: &mut Out<Self>) {
        let mut fx = Effects::default();
        let owed = *timer != Timer::Retry && self.owes(state);
        match (self, timer) {
            (Process::Server { cluster, number, retry }, _) if cluster.log.is_some() => {
                if let Some(log) = &cluster.log {
                    let server = LogServer { cluster, log, me, number: *number, retry };
                    server.on_timeout(state, *timer, &mut fx);
                }
            }
            (
                Process::Proposer { cluster, number, retry } | Process::Server { cluster, number, retry },
                Timer::Retry,
            ) => {
                let from = as_proposer(state).lowest();
                retry::on_timeout(cluster, as_proposer(state), (*number, from), retry, &mut fx);
            }
            (
                Process::Proposer { cluster, number, retry } | Process::Server { cluster, number, retry },
                Timer::Election(timer),
            ) => {
                let turn = lead::on_timer(cluster, me, state, *timer, &mut fx);
                take_turn(cluster, (*number, retry), state, turn, &mut fx);
            }
            (Process::Client(client), Timer::Resend) => client.on_timeout(as_client(state), &mut fx),
            _ => {}
        }
        self.end(owed, state, fx, out);
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
