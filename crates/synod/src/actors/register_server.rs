//! A server whose instances each stand for themselves: one process that is acceptor, proposer and learner (PMS §2.5), made of the
//! same role functions as the separate processes. A message to itself is a message like any other.

use crate::actors::state::{ProcessState, as_proposer, as_server};
use crate::actors::wiring::{acceptor_hears, learner_hears, proposer_hears};
use crate::ballot::{Instance, Value};
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::log::state::ServerState;
use crate::message::{Ask, Msg};
use crate::progress::lead;
use crate::progress::retry::{self, Context};
use crate::roles::proposer::Phase;
use crate::roles::read;
use stateright::actor::Id;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Takes a message. Nothing more is proposed in an instance whose value is known.
pub(crate) fn on_msg(
    context: Context<'_>,
    state: &mut Cow<'_, ProcessState>,
    src: Id,
    msg: &Msg,
    fx: &mut Effects,
) {
    let Context { cluster, me, .. } = context;
    match msg {
        Msg::Ask(Ask::Request { instance, value }) => {
            if answer(&as_server(state), src, *instance, fx) {
                return;
            }
            // The request is kept all the same, as this server may come to lead.
            redirect(context, state, src, fx);
            if on_request(cluster, as_server(state), src, (*instance, value)) {
                proposer_hears(context, state, src, msg, fx);
            }
        }
        Msg::Ask(Ask::Read { instance }) => {
            // If another server leads, the reader has to ask there, or here again.
            if !answer(&as_server(state), src, *instance, fx) && !redirect(context, state, src, fx) {
                on_read(context, state, src, *instance, fx);
            }
        }
        Msg::Prepare { .. } | Msg::Accept { .. } => acceptor_hears(cluster, state, src, msg, fx),
        Msg::Accepted { instance, .. } | Msg::Chosen { instance, .. } => {
            proposer_hears(context, state, src, msg, fx);
            learner_hears(cluster, me, state, src, msg, fx);
            if close(cluster, as_server(state), *instance, fx) {
                retry::succeeded(as_proposer(state));
            }
        }
        _ => proposer_hears(context, state, src, msg, fx),
    }
}

/// Answers a question about an instance whose value is known. Returns true if it did.
fn answer(server: &ServerState, client: Id, instance: Instance, fx: &mut Effects) -> bool {
    let known = server.known(instance);
    if let Some(value) = known {
        fx.send(client, Msg::Response { instance, value: value.clone() });
    }
    known.is_some()
}

/// Tells the client which server leads, if this server follows another. Returns true if it did.
fn redirect(context: Context<'_>, state: &mut Cow<'_, ProcessState>, client: Id, fx: &mut Effects) -> bool {
    let leader = lead::followed(context.cluster, context.me, &as_proposer(state));
    if let Some(leader) = leader {
        fx.send(client, Msg::Redirect { leader });
    }
    leader.is_some()
}

/// Notes a read, and begins the ballot that it needs, unless that has to wait.
fn on_read(
    context: Context<'_>,
    state: &mut Cow<'_, ProcessState>,
    client: Id,
    instance: Instance,
    fx: &mut Effects,
) {
    let was_busy = as_proposer(state).is_busy();
    let is_idle = as_proposer(state).phase == Phase::Idle;
    if read::on_read(context.cluster, as_proposer(state), client, instance)
        && !(is_idle && context.retry.is_put_off(was_busy))
    {
        let from = as_proposer(state).lowest();
        retry::begin_ballot(context, as_proposer(state), from, fx);
    }
}

/// Notes a client that asked for a value, unless the learners tell that client anyway. Returns true if the request is to be
/// followed up.
fn on_request(
    cluster: &Cluster,
    mut server: Share<'_, ServerState>,
    client: Id,
    (instance, value): (Instance, &Value),
) -> bool {
    let wanted = &server.proposer.wanted;
    if !wanted.contains_key(&instance) && !cluster.has_room_for(value, wanted.values()) {
        return false;
    }
    let here = server.waiting.get(&instance);
    let told_anyway = cluster.waiting_limit == 0 || cluster.clients.contains(&client);
    if told_anyway || here.is_some_and(|clients| clients.contains(&client)) {
        return true;
    }
    let waits = || server.waiting.values().any(|clients| clients.contains(&client));
    let room = cluster.has_room(server.waiting.len(), here.map(BTreeSet::len), waits);
    if room {
        server.edit().waiting.entry(instance).or_default().insert(client);
    }
    room
}

/// Once an instance's value is known: tells the clients that wait for it and that no learner tells, and proposes nothing more
/// there. Returns true if there was anything to end.
fn close(
    cluster: &Cluster,
    mut server: Share<'_, ServerState>,
    instance: Instance,
    fx: &mut Effects,
) -> bool {
    let Some(value) = server.known(instance).cloned() else { return false };
    let busy = server.proposer.wanted.contains_key(&instance)
        || server.proposer.reads.contains_key(&instance)
        || server.waiting.contains_key(&instance);
    if busy {
        let server = server.edit();
        server.proposer.wanted.remove(&instance);
        let readers = server.proposer.reads.remove(&instance).unwrap_or_default();
        let mut told = server.waiting.remove(&instance).unwrap_or_default();
        told.extend(readers.into_keys());
        told.retain(|client| !cluster.clients.contains(client));
        let told: Vec<Id> = told.into_iter().collect();
        fx.broadcast(&told, &Msg::Response { instance, value });
    }
    busy
}
