//! Guarantees that everything a server forgets of its log is in a snapshot on its stable storage, and that a server that is too
//! far behind for the log starts from a whole snapshot or not at all (spec D9).
//!
//! Snapshots are due at the same instances at all servers, so equal replicas have equal snapshots. Any server can send any chunk
//! of one, and servers that executed different things find out as soon as they compare checksums. A snapshot takes two steps: the
//! step that executes its instance sets the machine aside, and a later step writes it.

use crate::ballot::{Instance, Value};
use crate::cluster::{Log, Truncate};
use crate::effects::{Effects, Share};
use crate::log::forgetting::{WITH_SNAPSHOT, forget};
use crate::log::sequence;
use crate::log::state::{Arriving, LogState, ServerState, Snapshot, Snapshots};
use crate::message::Msg;
use crate::per_instance::cost;
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
    /// The chunk from a byte on, if there is one.
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

/// Writes the machine that was set aside, and forgets what the snapshot stands for, in one save.
pub(crate) fn take(truncate: &Truncate, mut server: Share<'_, ServerState>, others: &[Id], fx: &mut Effects) {
    let due = server.log().snapshots.as_ref().and_then(|snapshots| snapshots.due.clone());
    let Some((next, replica)) = due else { return };
    let snapshot = Snapshot { next, sum: replica.machine().checksum(), machine: replica.snapshot() };
    fx.broadcast(others, &Msg::Checksum { below: next, sum: snapshot.sum });
    keep(truncate, server.edit(), snapshot, fx);
}

/// The first instance that is kept beside a snapshot, for servers that are a little behind.
fn log_start(truncate: &Truncate, server: &ServerState, next: Instance) -> Instance {
    let first = Instance(next.0.saturating_sub(truncate.spare));
    let mut bytes = 0;
    for (instance, value) in server.learner.learned.range(first..next).rev() {
        bytes += cost(value) as u64;
        if bytes > truncate.spare_bytes {
            return instance.plus(1);
        }
    }
    first
}

/// Keeps a snapshot of what was executed here, and forgets the log below it but for what is spared.
fn keep(truncate: &Truncate, server: &mut ServerState, snapshot: Snapshot, fx: &mut Effects) {
    // Enforces P2c, X1: all instances below were executed, so they were chosen; and they are in the snapshot, which this same
    // step saves.
    let forgotten = Some(log_start(truncate, server, snapshot.next));
    let snapshots = server.log_mut().snapshots.get_or_insert_default();
    let (differ, executed) = (std::mem::take(&mut snapshots.differ), snapshots.executed);
    *snapshots =
        Snapshots { saved: Some(snapshot), differ, executed, forget: forgotten, ..Snapshots::default() };
    forget(server, WITH_SNAPSHOT);
    fx.save();
}

/// Sends the first chunk of the snapshot to a server that needs what was forgotten. Returns true if it needs that and cannot be
/// answered from the log.
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

/// Sends the chunk that is asked for. If a newer snapshot has replaced that one, sends the first chunk of the newer.
pub(crate) fn on_fetch(truncate: &Truncate, state: &LogState, src: Id, fetch: Fetch, fx: &mut Effects) {
    let Fetch { of, sum, at } = fetch;
    let Some(saved) = state.saved().filter(|saved| of <= saved.next) else { return };
    let at = if (saved.next, saved.sum) == (of, sum) { at } else { 0 };
    if let Some(chunk) = saved.chunk(truncate, at) {
        fx.send(src, chunk);
    }
}

/// Takes the next chunk of a snapshot, and asks for the one after it. Once the snapshot is whole, the server goes on from its
/// machine. Returns true if it does.
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
    // A server does not go back behind what it has executed. The memory that a snapshot takes is bounded, whoever sends it.
    if of <= state.next || length > truncate.most {
        return false;
    }
    let received = match state.snapshots.as_ref().and_then(|snapshots| snapshots.arriving.as_ref()) {
        Some(arriving) if (arriving.of, arriving.sum, arriving.length) == (of, sum, length) => {
            arriving.received()
        }
        Some(arriving) if of <= arriving.of => return false,
        _ => 0,
    };
    let size = bytes.as_bytes().len() as u64;
    let due = length.saturating_sub(at).min(truncate.chunk as u64);
    if at != received || size != due {
        return false;
    }
    // The chunks that came are not copied: there may be thousands.
    let snapshots = server.edit().log_mut().snapshots.get_or_insert_default();
    let mut arriving = snapshots.arriving.take().filter(|_| at > 0).unwrap_or_else(|| Arriving {
        of,
        sum,
        length,
        chunks: Vec::new(),
        asked_again: false,
    });
    arriving.chunks.push(bytes.clone());
    arriving.asked_again = false;
    let received = at + size;
    if received < length {
        snapshots.arriving = Some(arriving);
        fx.send(src, Msg::Fetch { of, sum, at: received });
        return false;
    }
    let whole = arriving.whole();
    // The bytes are no snapshot of this machine. It will be asked for again.
    let restored =
        server.log().replica.restored(whole.as_bytes()).filter(|it| it.machine().checksum() == sum);
    let Some(replica) = restored else { return false };
    let server = server.edit();
    // Enforces X1: the machine has executed all instances below, and goes on with the next one.
    let log = server.log_mut();
    log.next = of;
    log.replica = replica;
    // A snapshot was due where this one was taken.
    log.snapshots.get_or_insert_default().executed = 0;
    sequence::skip(server, fx);
    keep(truncate, server, Snapshot { next: of, sum, machine: whole }, fx);
    true
}

/// Asks again for the rest of a snapshot. If that was in vain before, gives the snapshot up. Returns true if it asked.
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

/// Compares another server's checksum with this server's, if both have one of the same instance. A server that differs from too
/// few to lose its majority only notes them: it is for the others to stop. An arriving snapshot was not executed here. If another
/// server disputes its checksum, the snapshot is given up, and asked for again once the two have found out.
///
/// # Panics
///
/// If this server differs from so many that it is in no majority that agrees. Nobody knows which of them is right, and it must
/// not go on.
pub(crate) fn compare(
    servers: usize,
    mut server: Share<'_, ServerState>,
    src: Id,
    (below, theirs): (Instance, u64),
) {
    let Some(Snapshots { saved, due, arriving, differ, .. }) = &server.log().snapshots else { return };
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
