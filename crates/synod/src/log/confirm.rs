//! Guarantees that a question is answered without the log only from a state in which nothing is missing that was chosen when the
//! question arrived (L1). This is the read index.
//!
//! A leader in ballot n notes the highest instance in which anything may be chosen: the highest that it knows to be chosen, that
//! its phase-1 quorum reported, or in which it issued. Then it asks the acceptors whether they have promised anything above n,
//! and a phase-2 quorum answers no. Every such answer was given after the question arrived. So when the question arrived, no
//! ballot above n had finished phase 1: its phase-1 quorum would share with that phase-2 quorum an acceptor that had promised.
//! Hence nothing was issued, let alone chosen, above n. Values chosen below n were reported or known, and values chosen in n were
//! issued. Once all instances up to the noted one are executed, the machine's answer is one that a command in the log could have
//! got at a moment after the question.
//!
//! Where members change, this holds by induction on the instances. Take the first in which something was chosen, when the question arrived, in a
//! ballot above n only. All below it lie below the noted instance, and so its members are known before the answer. They have confirmed, and those that promised n meet
//! all of their quorums: [`ask`] sees to both, and begins anew when the members change.

use crate::ballot::{Ballot, Instance, Value};
use crate::call::Call;
use crate::cluster::Cluster;
use crate::effects::{Effects, Share};
use crate::log::state::{Needs, Question, Questions, ServerState};
use crate::message::Msg;
use crate::quorum::AcceptorSet;
use crate::roles::acceptor::{self, AcceptorState};
use crate::roles::proposer::Phase;
use stateright::actor::Id;

/// Takes note of a question: for this ballot if it has finished phase 1, else for the next that does.
pub(crate) fn on_query(
    cluster: &Cluster,
    mut server: Share<'_, ServerState>,
    call: Call,
    command: &Value,
    fx: &mut Effects,
) {
    let questions = &server.log().questions;
    let waits = || questions.open.keys().any(|open| open.client == call.client);
    if questions.open.contains_key(&call)
        || !cluster.has_room(questions.open.len(), None, waits)
        || !cluster.has_room_for(command, questions.open.values().map(|question| &question.command))
        || server.log().replica.machine().query(command).is_none()
    {
        return;
    }
    let question = Question { command: command.clone(), needs: Needs::Ballot };
    server.edit().log_mut().questions.open.insert(call, question);
    ask(cluster, server, fx);
}

/// Once a ballot has finished phase 1: has the leadership confirmed for all questions that wait for a ballot.
///
/// A question that waited is treated as if it came only now. That moment lies between its arrival and its answer.
pub(crate) fn ask(cluster: &Cluster, mut server: Share<'_, ServerState>, fx: &mut Effects) {
    let Phase::Accepting { ballot, quorum, .. } = server.proposer.phase else { return };
    // Enforces L1: members that have not promised may have chosen something in a lower ballot. Another ballot asks them.
    if !server.log().lets_issue(cluster, ballot, quorum) {
        return;
    }
    let questions = &server.log().questions;
    if !questions.wait_for_a_ballot() {
        return;
    }
    let index = server.top().map_or(Instance::FIRST, |top| top.plus(1));
    let questions = &mut server.edit().log_mut().questions;
    // Enforces L1: a round that is under way may be older than a choice that precedes the question.
    let is_under_way = questions.waits_for(questions.round);
    let needs = Needs::Round(questions.round + 1, index);
    let new = questions.open.values_mut().filter(|question| question.needs == Needs::Ballot);
    new.for_each(|question| question.needs = needs);
    if !is_under_way {
        begin_round(cluster, questions, ballot, fx);
    }
}

/// Another server leads: every client that asks is told which, and its question is forgotten.
pub(crate) fn redirect(mut server: Share<'_, ServerState>, leader: Id, fx: &mut Effects) {
    if server.log().questions.are_open() {
        let open = std::mem::take(&mut server.edit().log_mut().questions.open);
        let clients: Vec<Id> = open.into_keys().map(|call| call.client).collect();
        fx.broadcast(&clients, &Msg::Redirect { leader });
    }
}

fn begin_round(cluster: &Cluster, questions: &mut Questions, ballot: Ballot, fx: &mut Effects) {
    questions.round += 1;
    questions.confirmed = AcceptorSet::EMPTY;
    fx.broadcast(&cluster.acceptors, &Msg::Confirm { ballot, round: questions.round });
}

/// An acceptor answers that it has promised nothing above the ballot, or what it has promised. Its state does not change.
pub(crate) fn on_confirm(
    cluster: &Cluster,
    acceptor: &AcceptorState,
    leader: Id,
    (ballot, round): (Ballot, u64),
    fx: &mut Effects,
) {
    // Enforces L1: under a promise above this ballot, another leader may have chosen something that this leader does not know.
    match acceptor.promised.filter(|promised| *promised > ballot) {
        // A leader that was overtaken has to be told, or it would ask for ever.
        Some(promised) => acceptor::refuse(cluster, leader, ballot, promised, fx),
        None => fx.send(leader, Msg::Confirmed { ballot, round }),
    }
}

/// Counts a confirmation. A phase-2 quorum of them is enough.
pub(crate) fn on_confirmed(
    cluster: &Cluster,
    mut server: Share<'_, ServerState>,
    acceptor: usize,
    (ballot, round): (Ballot, u64),
    fx: &mut Effects,
) {
    let questions = &server.log().questions;
    let is_mine =
        matches!(server.proposer.phase, Phase::Accepting { ballot: current, .. } if current == ballot);
    if !is_mine
        || questions.round != round
        || questions.confirmed.contains(acceptor)
        || !questions.waits_for(round)
    {
        return;
    }
    let server = server.edit();
    server.log_mut().questions.confirmed.insert(acceptor);
    count(cluster, server, ballot, fx);
}

/// Members that had to confirm have left, and those that remain may all have.
pub(crate) fn count_again(cluster: &Cluster, mut server: Share<'_, ServerState>, fx: &mut Effects) {
    let Phase::Accepting { ballot, .. } = server.proposer.phase else { return };
    count(cluster, server.edit(), ballot, fx);
}

fn count(cluster: &Cluster, server: &mut ServerState, ballot: Ballot, fx: &mut Effects) {
    let questions = &mut server.log_mut().questions;
    let round = questions.round;
    // Enforces L1: fewer acceptors might all have missed the promise that lets another leader choose.
    if !cluster.quorums.is_phase2(questions.confirmed) {
        return;
    }
    for question in questions.open.values_mut() {
        match question.needs {
            Needs::Round(needed, index) if needed <= round => question.needs = Needs::Index(index),
            _ => {}
        }
    }
    if questions.open.values().any(|question| matches!(question.needs, Needs::Round(..))) {
        begin_round(cluster, questions, ballot, fx);
    }
    answer(server, fx);
}

/// Answers the questions that are confirmed and for which enough is executed.
pub(crate) fn answer(server: &mut ServerState, fx: &mut Effects) {
    let log = server.log_mut();
    let (next, replica) = (log.next, log.replica.clone());
    log.questions.open.retain(|call, question| {
        // Enforces L1: everything chosen before the question came is executed.
        let waits = !matches!(question.needs, Needs::Index(index) if index <= next);
        if let (false, Some(output)) = (waits, replica.machine().query(&question.command)) {
            fx.send(call.client, Msg::Output { number: call.number, output });
        }
        waits
    });
}

/// Answers at once a question whose client is content with any beginning of the log, of which this server has executed one.
pub(crate) fn answer_stale(server: &ServerState, call: Call, command: &Value, fx: &mut Effects) {
    if let Some(output) = server.log().replica.machine().query(command) {
        fx.send(call.client, Msg::Output { number: call.number, output });
    }
}

/// Asks the acceptors that have not confirmed once more.
pub(crate) fn repeat(cluster: &Cluster, server: &ServerState, fx: &mut Effects) {
    let (Phase::Accepting { ballot, .. }, questions) = (&server.proposer.phase, &server.log().questions)
    else {
        return;
    };
    if questions.waits_for(questions.round) {
        let missing = cluster.indexed().filter(|(index, _)| !questions.confirmed.contains(*index));
        let missing: Vec<Id> = missing.map(|(_, id)| id).collect();
        fx.broadcast(&missing, &Msg::Confirm { ballot: *ballot, round: questions.round });
    }
}
