//! Guarantees that what a server forgets of its log is in a snapshot on its stable storage, and that a server that is too far
//! behind for the log begins with a whole snapshot or not at all (spec D9).
//!
//! All servers take their snapshots at the same instances, so that equal replicas have equal ones: a part may come from any server,
//! and servers that executed different things find out as soon as they compare checksums. Taking one is a step of its own: the
//! machine is set aside when its instance has come, and written later.

use crate::ballot::{Instance, Value};
use crate::cluster::{Log, Truncate};
use crate::effects::{Effects, Share};
use crate::log::sequence;
use crate::log::state::{Arriving, LogState, ServerState, Snapshot, Snapshots};
use crate::message::Msg;
use stateright::actor::Id;

/// A chunk of another server's snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'m> {
    /// The snapshot: all commands below this instance were executed.
    pub(crate) of: Instance,
    /// The machine's checksum.
    pub(crate) sum: u64,
    /// The snapshot's length in bytes.
    pub(crate) length: u64,
    /// The place of the chunk's first byte.
    pub(crate) at: u64,
    pub(crate) bytes: &'m Value,
}

/// A question for the chunk of a snapshot that begins at a byte.
#[derive(Clone, Copy)]
pub(crate) struct Fetch {
    /// The snapshot: all commands below this instance were executed.
    pub(crate) of: Instance,
    /// The machine's checksum.
    pub(crate) sum: u64,
    /// The first byte that is missing.
    pub(crate) at: u64,
}

impl Snapshot {
    /// The part from a byte on, unless there is none.
    fn chunk(&self, truncate: &Truncate, at: u64) -> Option<Msg> {
        let bytes = self.machine.as_bytes();
        let rest = bytes.get(usize::try_from(at).ok()?..)?;
        if rest.is_empty() && at > 0 {
            return None;
        }
        let chunk = Value::from(&rest[..rest.len().min(truncate.chunk)]);
        Some(Msg::Chunk { of: self.next, sum: self.sum, length: bytes.len() as u64, at, bytes: chunk })
    }
}

/// Writes the machine that was set aside, and forgets what it takes the place of; all in one save.
pub(crate) fn take(truncate: &Truncate, mut server: Share<'_, ServerState>, others: &[Id], fx: &mut Effects) {
    let due = server.log().snapshots.as_ref().and_then(|snapshots| snapshots.due.clone());
    let Some((next, replica)) = due else { return };
    let machine = Value::from(replica.machine().snapshot().as_slice());
    let snapshot = Snapshot { next, sum: replica.machine().checksum(), machine };
    fx.broadcast(others, &Msg::Checksum { below: next, sum: snapshot.sum });
    keep(truncate, server.edit(), snapshot, fx);
}

/// Keeps a snapshot of what was executed here, and forgets the log below it, but for what is spared for those that are behind
/// by little.
fn keep(truncate: &Truncate, server: &mut ServerState, snapshot: Snapshot, fx: &mut Effects) {
    // Enforces P2c, X1: all below was executed, so it was chosen; and it is in the snapshot, which is saved in this same step.
    let log_start = Instance(snapshot.next.0.saturating_sub(truncate.spare));
    if server.acceptor.log_start < log_start {
        server.acceptor.log_start = log_start;
        server.acceptor.accepted.drop_below(log_start);
        server.learner.learned.drop_below(log_start);
        server.learner.votes.drop_below(log_start);
    }
    let differ = server.log().differ().cloned().unwrap_or_default();
    server.log_mut().snapshots = Some(Snapshots { saved: Some(snapshot), differ, ..Snapshots::default() });
    fx.save();
}

/// Offers the snapshot to one who needs what was forgotten: its first part. Returns whether it has to be that.
pub(crate) fn offer(log: &Log, server: &ServerState, to: Id, from: Instance, fx: &mut Effects) -> bool {
    let Some(saved) = server.log().saved().filter(|saved| from < saved.next) else { return false };
    if server.known(from).is_some() {
        return false;
    }
    if let Some(chunk) = log.truncate.as_ref().and_then(|truncate| saved.chunk(truncate, 0)) {
        fx.send(to, chunk);
    }
    true
}

/// Sends the part that is asked for; where the snapshot has made room for a newer one, the first part of that.
pub(crate) fn on_fetch(truncate: &Truncate, state: &LogState, src: Id, fetch: Fetch, fx: &mut Effects) {
    let Fetch { of, sum, at } = fetch;
    let Some(saved) = state.saved().filter(|saved| of <= saved.next) else { return };
    let at = if (saved.next, saved.sum) == (of, sum) { at } else { 0 };
    if let Some(chunk) = saved.chunk(truncate, at) {
        fx.send(src, chunk);
    }
}

/// Takes the next part of a snapshot, and asks for the one after it; begins anew with the machine once it is whole.
/// Returns whether it did.
pub(crate) fn on_chunk(
    (truncate, servers): (&Truncate, usize),
    mut server: Share<'_, ServerState>,
    src: Id,
    chunk: Chunk<'_>,
    fx: &mut Effects,
) -> bool {
    let Chunk { of, sum, length, at, bytes } = chunk;
    compare(servers, server.again(), src, (of, sum));
    let state = server.log();
    // Enforces X1: a server that has executed something else has no snapshot for this one.
    if state.differ().is_some_and(|differ| differ.contains(&src)) {
        return false;
    }
    // What was executed here is not executed again; and what is kept of a snapshot is bounded, whoever sends it.
    if of <= state.next || length > truncate.most {
        return false;
    }
    let mut arriving = match state.snapshots.as_ref().and_then(|snapshots| snapshots.arriving.as_ref()) {
        Some(arriving) if (arriving.of, arriving.sum, arriving.length) == (of, sum, length) => {
            arriving.clone()
        }
        Some(arriving) if of <= arriving.of => return false,
        _ => Arriving { of, sum, length, chunks: Vec::new(), asked_again: false },
    };
    let size = bytes.as_bytes().len() as u64;
    let due = length.saturating_sub(at).min(truncate.chunk as u64);
    if at != arriving.received() || size != due {
        return false;
    }
    arriving.chunks.push(bytes.clone());
    arriving.asked_again = false;
    let received = at + size;
    let snapshots = server.edit().log_mut().snapshots.get_or_insert_default();
    if received < length {
        snapshots.arriving = Some(arriving);
        fx.send(src, Msg::Fetch { of, sum, at: received });
        return false;
    }
    snapshots.arriving = None;
    let whole = arriving.whole();
    // Whatever came is no snapshot of this machine: it is asked for anew.
    let restored = server.log().replica.restored(&whole).filter(|it| it.machine().checksum() == sum);
    let Some(replica) = restored else { return false };
    let server = server.edit();
    // Enforces X1: the machine has executed all below, and goes on with the next instance and no other.
    server.log_mut().next = of;
    server.log_mut().replica = replica;
    sequence::skip(server, fx);
    keep(truncate, server, Snapshot { next: of, sum, machine: Value::from(whole.as_slice()) }, fx);
    true
}

/// Asks again for what is missing of a snapshot; if that was in vain before, gives it up. Returns whether it asked.
pub(crate) fn ask_again(mut server: Share<'_, ServerState>, others: &[Id], fx: &mut Effects) -> bool {
    let Some(arriving) = server.log().snapshots.as_ref().and_then(|snapshots| snapshots.arriving.as_ref())
    else {
        return false;
    };
    let (in_vain, again) = (arriving.asked_again, Arriving { asked_again: true, ..arriving.clone() });
    if !in_vain {
        fx.broadcast(others, &Msg::Fetch { of: again.of, sum: again.sum, at: again.received() });
    }
    server.edit().log_mut().snapshots.get_or_insert_default().arriving = (!in_vain).then_some(again);
    !in_vain
}

/// Compares another's checksum with this server's, if both have one of the same instance, and says no word of it as long as this one may
/// be one of a majority that agrees: it is for the others to stop. What is arriving was not executed here and makes this server no
/// party: if somebody has it otherwise, it is given up, and asked for again once the two have found out.
///
/// # Panics
/// If so many servers differ that this one is in no majority any more: nobody knows which of them is right, and it may not go on.
pub(crate) fn compare(
    servers: usize,
    mut server: Share<'_, ServerState>,
    src: Id,
    (below, theirs): (Instance, u64),
) {
    let Some(Snapshots { saved, due, arriving, differ }) = &server.log().snapshots else { return };
    let other = |(at, ours): (Instance, u64)| at == below && ours != theirs;
    let saved = saved.as_ref().map(|saved| (saved.next, saved.sum)).filter(|saved| other(*saved));
    let due = due.as_ref().map(|(next, replica)| (*next, replica.machine().checksum()));
    let is_disputed = arriving.as_ref().is_some_and(|arriving| other((arriving.of, arriving.sum)));
    let executed = saved.or(due.filter(|due| other(*due))).filter(|_| !differ.contains(&src));
    if executed.is_none() && !is_disputed {
        return;
    }
    let snapshots = server.edit().log_mut().snapshots.get_or_insert_default();
    if is_disputed {
        snapshots.arriving = None;
    }
    let Some((_, ours)) = executed else { return };
    snapshots.differ.insert(src);
    let agree = servers.saturating_sub(snapshots.differ.len());
    assert!(
        2 * agree > servers,
        "replicas have diverged: what was executed below {below:?} has the checksum {ours:016x} here and {theirs:016x} \
         at server {}",
        usize::from(src)
    );
}
