//! Guarantees that a leader issues within the window and leaves no gap behind, and that a server executes chosen values in the
//! order of the instances, each as soon as all before it are known (PMS §3).
//!
//! The value of a proposal is still decided in `proposer::issue` alone. This module decides the instance.

use crate::ballot::{Instance, Value};
use crate::batch;
use crate::call::{Call, LogEntry};
use crate::cluster::{Cluster, Log};
use crate::effects::{Effects, Share};
use crate::log::forgetting::{AT_EXECUTION, forget};
use crate::log::membership::Membership;
use crate::log::replica::Effect;
use crate::log::state::{LogState, ServerState};
use crate::log::{answering, confirm, lease};
use crate::message::{Msg, Timer};
use crate::per_instance::cost;
use crate::roles::proposer::{self, Phase};
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::time::Duration;

/// Takes a client's command. One that has taken effect is answered at once. Any other waits to be given an instance. Returns true
/// if the command is new.
pub(crate) fn on_submit(
    cluster: &Cluster,
    mut server: Share<'_, ServerState>,
    (client, number): (Id, u64),
    command: &Value,
    fx: &mut Effects,
) -> bool {
    // Enforces L1: a command that comes again gets the same answer again, and does not take effect twice.
    let logged = LogEntry { call: Call { client, number }, command: command.clone() };
    if let Some(output) = server.log().replica.said(&logged) {
        fx.send(client, Msg::Output { number, output });
        return false;
    }
    let is_change = server.log().replica.membership().is_some_and(|it| it.governs(&logged));
    if is_change && !answering::make_way(server.again(), logged.call) {
        return false;
    }
    let asked = &server.log().asked;
    let waits = || asked.keys().any(|call| call.client == client);
    if command.is_no_op()
        || asked.contains_key(&logged.call)
        || !cluster.has_room_for(command, asked.values())
        || !cluster.has_room(asked.len(), None, waits)
    {
        return false;
    }
    let value = server.log().replica.fenced(&logged);
    let server = server.edit();
    let is_new = here_is_new(server, &value);
    server.log_mut().asked.insert(logged.call, value.clone());
    if is_new {
        server.proposer.queue.push_back(value);
    }
    is_new
}

/// True if this server does not know a command to be chosen in an instance that is yet to be executed. As long as its call waits,
/// a command is in one place: of the queue, or of the instances in which something is wanted.
fn here_is_new(server: &ServerState, command: &Value) -> bool {
    !server.learner.learned.range(server.log().next..).any(|(_, learned)| batch::holds(learned, command))
}

/// Puts the commands of a value back to the head of the queue, in their order, except those that are known to be chosen elsewhere and those
/// that can have no effect any more.
fn put_back(server: &mut ServerState, value: &Value) {
    for command in batch::commands(value).into_iter().rev() {
        if here_is_new(server, &command) && server.log().replica.awaits(&command) {
            server.proposer.queue.push_front(command);
        }
    }
}

/// Gives up what was issued or wanted in particular instances, since a new ballot decides anew what goes where. Commands of
/// clients wait for an instance again, in their old order. Questions wait for the next ballot.
pub(crate) fn reclaim(mut server: Share<'_, ServerState>) {
    if server.proposer.wanted.is_empty() && !server.log().questions.are_open() {
        return;
    }
    let server = server.edit();
    for (_, value) in std::mem::take(&mut server.proposer.wanted).into_iter().rev() {
        put_back(server, &value);
    }
    server.log_mut().questions.put_off();
}

/// Once the value of an instance is known: if something else was wanted there, it goes back to the head of the queue.
pub(crate) fn requeue_unchosen(mut server: Share<'_, ServerState>, instance: Instance) {
    let Some(wanted) = server.proposer.wanted.get(&instance).cloned() else { return };
    let server = server.edit();
    server.proposer.wanted.remove(&instance);
    put_back(server, &wanted);
}

/// Executes every command that can be executed, and then issues in the instances for which the window has room.
pub(crate) fn advance(
    (cluster, me): (&Cluster, Id),
    log: &Log,
    mut server: Share<'_, ServerState>,
    fx: &mut Effects,
) {
    let knows_more = server.known(server.log().next).is_some();
    let leads = matches!(server.proposer.phase, Phase::Accepting { .. });
    if !knows_more && !leads {
        return;
    }
    let server = server.edit();
    execute(me, log, server, fx);
    fill(cluster, log, server, fx);
    confirm::answer(server, fx);
}

/// Sends on the clients whose commands were taken in an earlier tenure, and drops these commands. If another server is master, sends on those
/// with open questions too.
fn dismiss(me: Id, server: &mut ServerState, fx: &mut Effects) {
    let log = server.log_mut();
    let (replica, master) = (log.replica.clone(), log.tenant().filter(|master| *master != me));
    let mut leave = Vec::new();
    // Enforces E2: what was refused here is answered by nobody here, and what took effect may be known to the master later than here.
    log.asked.retain(|call, value| {
        let stays = replica.admits(value);
        leave.extend((!stays).then_some(call.client));
        stays
    });
    if master.is_some() {
        leave.extend(std::mem::take(&mut log.questions.open).into_keys().map(|call| call.client));
    }
    if let Some(leader) = master {
        fx.broadcast(&leave, &Msg::Redirect { leader });
    }
    server.proposer.queue.retain(|queued| replica.awaits(queued));
}

/// Executes commands in their order, up to the first instance that is not known, and answers the calls that wait for them.
fn execute(me: Id, log: &Log, server: &mut ServerState, fx: &mut Effects) {
    loop {
        // Enforces X1: only the next instance is executed, however many are known beyond it.
        let next = server.log().next;
        let (Some(value), Some(after)) = (server.known(next).cloned(), next.0.checked_add(1)) else {
            break;
        };
        server.log_mut().next = Instance(after);
        let commands = batch::commands(&value);
        for command in &commands {
            let state = server.log_mut();
            let before = state.replica.membership().map(Membership::number);
            // Enforces L1: only the call that this command is of is answered, and no other call with the same words.
            let is_asked = |state: &LogState, call| state.asked.get(call) == Some(command);
            match state.replica.execute(next, command) {
                Effect::Output(call, output) if is_asked(state, &call) => {
                    state.asked.remove(&call);
                    fx.send(call.client, Msg::Output { number: call.number, output });
                }
                Effect::Took => {
                    lease::executed(log.master.as_ref(), state, command, fx);
                    dismiss(me, server, fx);
                }
                Effect::None | Effect::Output(..) => {}
            }
            let log = server.log_mut();
            if before != log.replica.membership().map(Membership::number) {
                // Enforces L1: the members that have confirmed that this server leads may not be a quorum of those that govern from now on.
                log.questions.put_off();
            }
        }
        if !server.proposer.queue.is_empty() {
            let executed: BTreeSet<Value> = commands.into_iter().collect();
            server.proposer.queue.retain(|queued| !executed.contains(queued));
        }
        let state = server.log_mut();
        state.replica.executed_below(state.next);
        mark(log, state, &value, fx);
        forget(server, AT_EXECUTION);
    }
    close(server);
}

/// Once a value was executed: sets the machine aside if a snapshot is due here, unless one that was set aside earlier still waits.
fn mark(log: &Log, state: &mut LogState, value: &Value, fx: &mut Effects) {
    let (Some(truncate), Some(snapshots)) = (&log.truncate, &mut state.snapshots) else { return };
    snapshots.executed = snapshots.executed.saturating_add(cost(value) as u64);
    // Those who were members before may go once the others have on their disks what was chosen until here.
    let governs = state.replica.membership().is_some_and(|membership| membership.begins(state.next));
    if !truncate.is_due(state.next, snapshots.executed) && !governs {
        return;
    }
    snapshots.executed = 0;
    // Otherwise a server that executes faster than it writes would never end a snapshot, and never forget anything.
    if snapshots.due.is_none() {
        snapshots.due = Some((state.next, state.replica.set_aside()));
        fx.set_timer(Timer::Snapshot, Duration::ZERO..Duration::ZERO);
    }
}

/// Drops what a ballot holds about instances below the next one.
fn close(server: &mut ServerState) {
    // Executed instances need no proposal any more, and a long reign would otherwise keep all of them.
    let next = server.log().next;
    if let Phase::Accepting { reports, issued, accepted, .. } = &mut server.proposer.phase {
        reports.drop_below(next);
        issued.drop_below(next);
        accepted.drop_below(next);
    }
}

/// Once the machine has come from a snapshot: answers the calls whose commands took effect in it, if this server's tenure goes on, and sends the others
/// on. Commands that were wanted in skipped instances go back to the queue, unless they took effect or cannot any more.
pub(crate) fn skip(me: Id, server: &mut ServerState, fx: &mut Effects) {
    dismiss(me, server, fx);
    let log = server.log_mut();
    let (next, replica) = (log.next, log.replica.clone());
    log.asked.retain(|call, value| {
        let output = LogEntry::read(value).and_then(|logged| replica.said(&logged));
        let waits = output.is_none();
        if let Some(output) = output {
            fx.send(call.client, Msg::Output { number: call.number, output });
        }
        waits
    });
    let below = server.proposer.wanted.range(..next).map(|(instance, wanted)| (*instance, wanted.clone()));
    for (instance, wanted) in below.collect::<Vec<_>>().into_iter().rev() {
        server.proposer.wanted.remove(&instance);
        put_back(server, &wanted);
    }
    close(server);
}

/// Issues in every instance that the window has open: the value that binds there; a no-op in a gap below the highest instance in
/// which something may be chosen; and above that clients' commands in their order, as many in one value as wait and may share one.
fn fill(cluster: &Cluster, log: &Log, server: &mut ServerState, fx: &mut Effects) {
    let top = server.top();
    // A change governs soon only if the instances before are filled.
    let pending = server.log().replica.membership().map(Membership::latest_from);
    // Enforces W1: nothing is proposed in an instance before all instances alpha or more below it are known to be chosen.
    let (next, end) = (server.log().next, server.log().next.plus(log.alpha));
    let Phase::Accepting { issued, .. } = &server.proposer.phase else { return };
    // A ballot issues in the order of the instances: it has left out none below the last in which it issued. What it issued below the next
    // one was dropped.
    let mut at = issued.keys().next_back().map_or(next, |last| last.plus(1));
    while at < end {
        let Phase::Accepting { ballot, quorum, reports, .. } = &server.proposer.phase else { return };
        if !server.learner.learned.contains_key(&at) {
            let Some(governing) = server.log().at(cluster, at) else { return };
            if !server.log().lets_issue(&governing, *ballot, *quorum) {
                return;
            }
            if top.is_none_or(|top| at > top) {
                let queue = &mut server.proposer.queue;
                let next = batch::take(queue, log.batch, cluster.max_value);
                let fills = || pending.filter(|from| at < *from).map(|_| Value::no_op());
                let Some(value) = next.or_else(fills) else { return };
                server.proposer.wanted.insert(at, value);
            } else if !reports.contains_key(&at) {
                server.proposer.wanted.insert(at, Value::no_op());
            }
            proposer::issue(&governing, &mut server.proposer, at, fx);
        }
        at = at.plus(1);
    }
}

/// Sends the ballot's open proposals again. The window allows alpha of them.
pub(crate) fn repeat(cluster: &Cluster, server: &ServerState, fx: &mut Effects) {
    let Phase::Accepting { issued, .. } = &server.proposer.phase else { return };
    for open in issued.keys().copied().filter(|instance| server.known(*instance).is_none()) {
        if let Some(governing) = server.log().at(cluster, open) {
            proposer::repeat(&governing, &server.proposer, (std::iter::once(open), usize::MAX), fx);
        }
    }
}

/// True if a leader has something to issue or to answer, and its promises do not let it: the members have changed since. Only another ballot does then.
pub(crate) fn needs_another_ballot(cluster: &Cluster, log: &Log, server: &ServerState) -> bool {
    let Phase::Accepting { ballot, quorum, issued, .. } = &server.proposer.phase else { return false };
    let (next, state) = (server.log().next, server.log());
    let Some(membership) = state.replica.membership() else { return false };
    // Enforces L1: a question waits for a ballot that may answer it.
    let everyone = state.everyone(cluster);
    if state.questions.wait_for_a_ballot() && !state.lets_issue(&everyone, *ballot, *quorum) {
        return true;
    }
    let first = issued.keys().next_back().map_or(next, |last| last.plus(1));
    let unknown = |at: &Instance| !server.learner.learned.contains_key(at);
    let mut at = (first.0..next.plus(log.alpha).0).map(Instance).filter(unknown);
    let Some((at, governing)) = at.next().and_then(|at| Some((at, state.at(cluster, at)?))) else {
        return false;
    };
    let is_due = server.top().is_some_and(|top| at <= top)
        || at < membership.latest_from()
        || !server.proposer.queue.is_empty();
    is_due && governing.counts(*ballot) && !state.lets_issue(&governing, *ballot, *quorum)
}
