//! Guarantees that a leader issues within the window and leaves no gap behind, and that a server executes what was chosen in
//! the order of the instances, each command as soon as all before it are known (PMS §3).
//!
//! With which value a proposal is issued is still decided in `proposer::issue` alone; what is added here is in which instance.

use crate::ballot::{Instance, Value};
use crate::cluster::{Cluster, Log};
use crate::confirm::Questions;
use crate::effects::{Effects, Part};
use crate::entry::{Call, Entry};
use crate::machine::Replica;
use crate::message::Msg;
use crate::per_instance::PerInstance;
use crate::proposer::{self, Phase};
use crate::server::ServerState;
use crate::snapshot::{self, Snapshot, Snapshots};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};

/// What a server that keeps a log knows besides. Forgotten in a crash, and learned again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogState {
    /// The first instance that is not known to be chosen; all below were executed.
    pub next: Instance,
    /// The machine after the commands below `next`.
    pub replica: Replica,
    /// Which calls wait for the output of which entry.
    pub asked: BTreeMap<Call, Value>,
    /// Questions that are answered without the log, once leadership is confirmed.
    pub questions: Questions,
    /// Who was seen to lead, while this server holds its own submissions back.
    pub held: Option<Id>,
    /// Its snapshots, where the log is truncated.
    pub snapshots: Option<Snapshots>,
}

impl LogState {
    /// Begins where the snapshot on stable storage ends. One that no machine like this has written is as good as none: then all that
    /// it took the place of has to come from others.
    pub(crate) fn new(log: &Log, saved: Option<Snapshot>) -> LogState {
        let first = Replica::new(log.machine.clone());
        let found = saved.and_then(|saved| Some((first.restored(saved.machine.as_bytes())?, saved)));
        let next = found.as_ref().map_or(Instance::FIRST, |(_, saved)| saved.next);
        let (replica, saved) = found.map_or((first, None), |(replica, saved)| (replica, Some(saved)));
        let keeps = log.truncate.is_some() || saved.is_some();
        LogState {
            next,
            replica,
            asked: BTreeMap::new(),
            questions: Questions::default(),
            held: None,
            snapshots: keeps.then(|| Snapshots { saved, ..Snapshots::default() }),
        }
    }

    /// Servers that are known to have executed something else.
    pub(crate) fn differ(&self) -> Option<&BTreeSet<Id>> {
        self.snapshots.as_ref().map(|snapshots| &snapshots.differ)
    }

    /// The snapshot on stable storage.
    pub(crate) fn saved(&self) -> Option<&Snapshot> {
        self.snapshots.as_ref().and_then(|snapshots| snapshots.saved.as_ref())
    }
}

const KEPT: &str = "a server that keeps a log was made with one";

impl ServerState {
    /// Of a server that keeps a log.
    pub(crate) fn log(&self) -> &LogState {
        self.log.as_ref().expect(KEPT)
    }

    pub(crate) fn log_mut(&mut self) -> &mut LogState {
        self.log.as_mut().expect(KEPT)
    }

    /// The highest instance in which anything may have been chosen, as far as a leader can know: what it knows to be
    /// chosen, what its phase-1 quorum reported, and what it issued.
    pub(crate) fn top(&self) -> Option<Instance> {
        let last = |instance: Option<&Instance>| instance.copied();
        let known = last(self.learner.learned.keys().next_back());
        let Phase::Accepting { reports, issued, .. } = &self.proposer.phase else { return known };
        known.max(last(reports.keys().next_back())).max(last(issued.keys().next_back()))
    }

    /// Whether there is something to be brought about: for an elected leader, to begin with, that it leads.
    pub(crate) fn has_work(&self, cluster: &Cluster) -> bool {
        let takes_over = cluster.election.is_some() && matches!(self.proposer.phase, Phase::Preparing { .. });
        takes_over || self.is_leading_to_something()
    }

    /// Whether there is something that this server's ballot, or a higher one, has to bring about.
    pub(crate) fn is_leading_to_something(&self) -> bool {
        let open = match &self.proposer.phase {
            // What is executed was dropped, and below whatever was reported or is known all is issued.
            Phase::Accepting { issued, .. } => !issued.is_empty(),
            _ => false,
        };
        open || self.proposer.is_busy() || self.log().questions.are_open()
    }
}

/// A client's command. What has taken effect is answered at once; anything else waits to be given an instance. Returns
/// whether it is new.
pub(crate) fn on_submit(
    cluster: &Cluster,
    mut server: Part<'_, '_, ServerState>,
    (client, number): (Id, u64),
    command: &Value,
    fx: &mut Effects,
) -> bool {
    // Enforces L1: a command that comes again is told what it was told, and does not take effect again.
    let entry = Entry { call: Call { client, number }, command: command.clone() };
    let asked = &server.log().asked;
    if let Some(output) = server.log().replica.machine().said(&entry) {
        fx.send(client, Msg::Output { number, output });
        return false;
    }
    let waits = || asked.keys().any(|call| call.client == client);
    if command.is_no_op()
        || asked.contains_key(&entry.call)
        || !cluster.has_room_for(command, asked.values())
        || !cluster.has_room(asked.len(), None, waits)
    {
        return false;
    }
    let (server, value) = (server.edit(), entry.value());
    let is_new = here_is_new(server, &value);
    server.log_mut().asked.insert(entry.call, value.clone());
    if is_new {
        server.proposer.queue.push_back(value);
    }
    is_new
}

/// Whether this server does not know a command to be chosen in an instance that is yet to be executed. A command is in one place of the
/// queue, or wanted in one instance, as long as its call waits.
fn here_is_new(server: &ServerState, command: &Value) -> bool {
    !server.learner.learned.range(server.log().next..).any(|(_, learned)| learned == command)
}

/// Gives up what was issued or wanted in particular instances: whose instance it was, a new ballot will tell. Commands of
/// clients wait for an instance again, in their old order, and questions for the next ballot.
pub(crate) fn reclaim(mut server: Part<'_, '_, ServerState>) {
    if server.proposer.wanted.is_empty() && !server.log().questions.are_open() {
        return;
    }
    let server = server.edit();
    for (_, command) in std::mem::take(&mut server.proposer.wanted).into_iter().rev() {
        if !command.is_no_op() && here_is_new(server, &command) {
            server.proposer.queue.push_front(command);
        }
    }
    server.log_mut().questions.put_off();
}

/// The value of an instance is known: whatever was wanted there and is not what was chosen has to be chosen elsewhere.
pub(crate) fn settle(mut server: Part<'_, '_, ServerState>, instance: Instance) {
    let Some(wanted) = server.proposer.wanted.get(&instance).cloned() else { return };
    let server = server.edit();
    server.proposer.wanted.remove(&instance);
    if !wanted.is_no_op() && here_is_new(server, &wanted) {
        server.proposer.queue.push_front(wanted);
    }
}

/// Executes what can be executed, and issues what the window then has room for.
pub(crate) fn advance(cluster: &Cluster, log: &Log, mut server: Part<'_, '_, ServerState>, fx: &mut Effects) {
    let knows_more = server.known(server.log().next).is_some();
    let leads = matches!(server.proposer.phase, Phase::Accepting { .. });
    if !knows_more && !leads {
        return;
    }
    let server = server.edit();
    execute(log, server, fx);
    fill(cluster, log, server, fx);
    crate::confirm::answer(server, fx);
}

/// Executes commands in their order, up to the first instance that is not known, and answers whoever waits.
fn execute(log: &Log, server: &mut ServerState, fx: &mut Effects) {
    loop {
        // Enforces X1: the next instance and no other, however many are known beyond it.
        let next = server.log().next;
        let (Some(command), Some(after)) = (server.known(next).cloned(), next.0.checked_add(1)) else {
            break;
        };
        let state = server.log_mut();
        state.next = Instance(after);
        // What is no client's, as a no-op is, leaves the machine as it is.
        if let Some(entry) = Entry::read(&command) {
            let output = state.replica.execute(next, &entry);
            // Enforces L1: the call that this entry is of is answered, and no other that asks the same.
            if state.asked.get(&entry.call) == Some(&command) {
                state.asked.remove(&entry.call);
                fx.send(entry.call.client, Msg::Output { number: entry.call.number, output });
            }
            server.proposer.queue.retain(|queued| *queued != command);
        }
        snapshot::mark(log, server.log_mut(), fx);
    }
    close(server);
}

/// Gives up what a ballot was about below the next instance.
fn close(server: &mut ServerState) {
    // What is executed needs no proposal any more, and a long reign would otherwise keep it all.
    let next = server.log().next;
    if let Phase::Accepting { reports, issued, accepted, .. } = &mut server.proposer.phase {
        drop_below(reports, next);
        drop_below(issued, next);
        drop_below(accepted, next);
    }
}

/// The machine has come from a snapshot: whoever waits for a command that took effect in it is told, and proposals in instances that it
/// takes the place of have to be chosen elsewhere, if they were not.
pub(crate) fn skip(server: &mut ServerState, fx: &mut Effects) {
    let log = server.log_mut();
    let (next, replica) = (log.next, log.replica.clone());
    let said = |value: &Value| replica.machine().said(&Entry::read(value)?);
    log.asked.retain(|call, value| {
        let output = said(value);
        let waits = output.is_none();
        if let Some(output) = output {
            fx.send(call.client, Msg::Output { number: call.number, output });
        }
        waits
    });
    let below = server.proposer.wanted.range(..next).map(|(instance, wanted)| (*instance, wanted.clone()));
    for (instance, wanted) in below.collect::<Vec<_>>().into_iter().rev() {
        server.proposer.wanted.remove(&instance);
        if !wanted.is_no_op() && here_is_new(server, &wanted) {
            server.proposer.queue.push_front(wanted);
        }
    }
    server.proposer.queue.retain(|queued| said(queued).is_none());
    close(server);
}

pub(crate) fn drop_below<T: Clone>(map: &mut PerInstance<T>, next: Instance) {
    while let Some(instance) = map.keys().next().copied().filter(|instance| *instance < next) {
        map.remove(&instance);
    }
}

/// Issues in every instance of the window that is open: what binds there, no-ops in gaps below what may be chosen, and
/// above it clients' commands in their order.
fn fill(cluster: &Cluster, log: &Log, server: &mut ServerState, fx: &mut Effects) {
    let top = server.top();
    // Enforces W1: no instance is proposed in before all that lie alpha places or more below it are known to be chosen.
    let end = server.log().next.plus(log.alpha);
    let mut at = server.log().next;
    while at < end {
        let Phase::Accepting { reports, issued, .. } = &server.proposer.phase else { return };
        if !issued.contains_key(&at) && !server.learner.learned.contains_key(&at) {
            if top.is_none_or(|top| at > top) {
                let Some(command) = server.proposer.queue.pop_front() else { return };
                server.proposer.wanted.insert(at, command);
            } else if !reports.contains_key(&at) {
                server.proposer.wanted.insert(at, Value::no_op());
            }
            proposer::issue(cluster, &mut server.proposer, at, fx);
        }
        at = at.plus(1);
    }
}

/// Sends the open proposals of the ballot again, of which the window allows alpha.
pub(crate) fn repeat(cluster: &Cluster, server: &ServerState, fx: &mut Effects) {
    let Phase::Accepting { issued, .. } = &server.proposer.phase else { return };
    let open = issued.keys().copied().filter(|instance| server.known(*instance).is_none());
    proposer::repeat(cluster, &server.proposer, (open, usize::MAX), fx);
}
