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
use crate::log::membership::Membership;
use crate::log::state::{Arriving, Lent, ServerState, Snapshot, Snapshots};
use crate::log::{lease, sequence};
use crate::message::{Msg, Timer};
use crate::per_instance::cost;
use stateright::actor::Id;
use std::collections::BTreeMap;
use std::time::Duration;

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
    let snapshot = Snapshot { next, sum: replica.checksum(), machine: replica.snapshot() };
    fx.broadcast(others, &Msg::Checksum { below: next, sum: snapshot.sum });
    let server = server.edit();
    keep(truncate, server, snapshot, fx);
    // One that was due when the members had changed had to wait for this one.
    let log = server.log_mut();
    let from = log.replica.membership().map(Membership::latest_from);
    if from.is_some_and(|from| next < from && from <= log.next) {
        let due = Some((log.next, log.replica.set_aside()));
        log.snapshots.get_or_insert_default().due = due;
        fx.set_timer(Timer::Snapshot, Duration::ZERO..Duration::ZERO);
    }
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

/// The number of snapshots that are saved, at most, before one that another server fetches is dropped.
const LENT: u64 = 4;

/// The snapshot to keep beside the one that is about to be saved: the one that another server fetches. It goes on being fetched from
/// where it is, so that a server comes to its end while up to [`LENT`] newer ones are saved. One is kept at most.
fn lend(snapshots: &mut Snapshots) -> Option<Lent> {
    let lent = snapshots.lent.take().filter(|lent| lent.is_fetched && lent.left > 0);
    let saved = snapshots.saved.take().filter(|_| snapshots.is_fetched);
    lent.map(|lent| Lent { left: lent.left - 1, is_fetched: false, ..lent }).or(saved.map(|snapshot| Lent {
        snapshot,
        left: LENT - 1,
        is_fetched: false,
    }))
}

/// Keeps a snapshot of what was executed here, and forgets the log below it but for what is spared.
fn keep(truncate: &Truncate, server: &mut ServerState, snapshot: Snapshot, fx: &mut Effects) {
    // Enforces P2c, X1: all instances below were executed, so they were chosen; and they are in the snapshot, which this same
    // step saves.
    let forgotten = log_start(truncate, server, snapshot.next);
    let snapshots = server.log_mut().snapshots.get_or_insert_default();
    let lent = lend(snapshots);
    // The server that fetches an earlier one needs the log from there on.
    let forgotten = lent.as_ref().map_or(forgotten, |lent| lent.snapshot.next.min(forgotten));
    let (differ, executed) = (std::mem::take(&mut snapshots.differ), snapshots.executed);
    *snapshots = Snapshots {
        saved: Some(snapshot),
        lent,
        differ,
        executed,
        forget: Some(forgotten),
        ..Snapshots::default()
    };
    forget(server, WITH_SNAPSHOT);
    fx.save();
}

/// Sends the first chunk of the snapshot to a server that needs what was forgotten, and counts the snapshot as fetched: a newer one may be
/// saved before the question for the next chunk comes. Returns true if it needs that and cannot be answered from the log.
pub(crate) fn offer(
    log: &Log,
    mut server: Share<'_, ServerState>,
    to: Id,
    from: Instance,
    fx: &mut Effects,
) -> bool {
    let Some(saved) = server.log().saved().filter(|saved| from < saved.next) else { return false };
    if server.known(from).is_some() {
        return false;
    }
    if let Some(chunk) = log.truncate.as_ref().and_then(|truncate| saved.chunk(truncate, 0)) {
        fx.send(to, chunk);
        if server.log().snapshots.as_ref().is_some_and(|snapshots| !snapshots.is_fetched) {
            server.edit().log_mut().snapshots.get_or_insert_default().is_fetched = true;
        }
    }
    true
}

/// Sends the chunk that is asked for, and remembers that its snapshot is fetched. A snapshot that is gone is not answered for: the
/// server that asks gives it up after a while, and is offered the newest.
pub(crate) fn on_fetch(
    truncate: &Truncate,
    mut server: Share<'_, ServerState>,
    src: Id,
    fetch: Fetch,
    fx: &mut Effects,
) {
    let Fetch { of, sum, at } = fetch;
    let Some(Snapshots { saved: Some(saved), is_fetched, lent, .. }) = &server.log().snapshots else {
        return;
    };
    let is = |snapshot: &Snapshot| (snapshot.next, snapshot.sum) == (of, sum);
    let lent = lent.as_ref().filter(|lent| is(&lent.snapshot));
    let (snapshot, is_known) = match lent {
        Some(lent) => (&lent.snapshot, lent.is_fetched),
        None if is(saved) => (saved, *is_fetched),
        None => return,
    };
    let Some(chunk) = snapshot.chunk(truncate, at) else { return };
    fx.send(src, chunk);
    if is_known {
        return;
    }
    let is_lent = lent.is_some();
    let snapshots = server.edit().log_mut().snapshots.get_or_insert_default();
    match &mut snapshots.lent {
        Some(lent) if is_lent => lent.is_fetched = true,
        _ => snapshots.is_fetched = true,
    }
}

/// Takes a chunk of a snapshot, and asks for the chunk that comes so many later. Once the snapshot is whole, the server goes on from its
/// machine. Returns true if it does. A snapshot that is on its way gives way to no other: under load there is always a newer one.
pub(crate) fn on_chunk(
    (truncate, servers, me): (&Truncate, &[Id], Id),
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
    let arriving = state.snapshots.as_ref().and_then(|snapshots| snapshots.arriving.as_ref());
    // Enforces X1: chunks of one snapshot come together, and of no other.
    let same = arriving.filter(|arriving| (arriving.of, arriving.sum, arriving.length) == (of, sum, length));
    let is_new = arriving.is_none();
    let is_missing = match same {
        Some(arriving) => arriving.missing(truncate).any(|missing| missing == at),
        None => at == 0 && is_new,
    };
    let size = bytes.as_bytes().len() as u64;
    if !is_missing || size != length.saturating_sub(at).min(truncate.chunk as u64) {
        return false;
    }
    // The chunks that came are not copied: there may be thousands.
    let snapshots = server.edit().log_mut().snapshots.get_or_insert_default();
    let mut arriving = snapshots.arriving.take().unwrap_or_else(|| Arriving {
        of,
        sum,
        length,
        chunks: Vec::new(),
        received: 0,
        beyond: BTreeMap::new(),
        rings: 0,
    });
    let asked = if is_new { 0 } else { arriving.asked(truncate) };
    arriving.take(at, bytes.clone());
    arriving.rings = 0;
    if arriving.received < length {
        for at in arriving.missing(truncate).filter(|at| *at >= asked) {
            fx.send(src, Msg::Fetch { of, sum, at });
        }
        snapshots.arriving = Some(arriving);
        return false;
    }
    let whole = arriving.whole();
    // The bytes are no snapshot of this machine. It will be asked for again.
    let restored = server.log().replica.restored((of, sum), whole.as_bytes());
    let Some(replica) = restored else { return false };
    let server = server.edit();
    // Enforces X1: the machine has executed all instances below, and goes on with the next one.
    let log = server.log_mut();
    let before = log.replica.mastership().map(|last| last.token);
    if log.replica.membership().map(Membership::number) != replica.membership().map(Membership::number) {
        // Enforces L1: as where a change of members is executed.
        log.questions.put_off();
    }
    log.next = of;
    log.replica = replica;
    lease::restored(log, before, fx);
    // A snapshot was due where this one was taken.
    log.snapshots.get_or_insert_default().executed = 0;
    sequence::skip(me, server, fx);
    keep(truncate, server, Snapshot { next: of, sum, machine: whole }, fx);
    true
}

/// Asks again for chunks of a snapshot that did not come, once the timer rings for the second time since any came. At the third ring, gives
/// the snapshot up. Returns true if it is not given up.
///
/// The first ring only counts: a transfer that goes well has a whole window of chunks on their way at every ring. What the second one asks
/// for is what was lost, as far as the server can tell, since a link that is merely slow would carry the window once more.
pub(crate) fn ask_again(
    truncate: Option<&Truncate>,
    mut server: Share<'_, ServerState>,
    others: &[Id],
    fx: &mut Effects,
) -> bool {
    let Some(truncate) = truncate else { return false };
    if server.log().snapshots.as_ref().is_none_or(|snapshots| snapshots.arriving.is_none()) {
        return false;
    }
    let snapshots = server.edit().log_mut().snapshots.get_or_insert_default();
    let Some(mut arriving) = snapshots.arriving.take().filter(|arriving| arriving.rings < 2) else {
        return false;
    };
    arriving.rings += 1;
    if arriving.rings == 2 {
        for at in arriving.lost(truncate) {
            fx.broadcast(others, &Msg::Fetch { of: arriving.of, sum: arriving.sum, at });
        }
    }
    snapshots.arriving = Some(arriving);
    true
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
    servers: &[Id],
    mut server: Share<'_, ServerState>,
    src: Id,
    (below, theirs): (Instance, u64),
) {
    let Some(Snapshots { saved, due, arriving, differ, .. }) = &server.log().snapshots else { return };
    let other = |(at, ours): (Instance, u64)| at == below && ours != theirs;
    let saved = saved.as_ref().map(|saved| (saved.next, saved.sum)).filter(|saved| other(*saved));
    let due = due.as_ref().map(|(next, replica)| (*next, replica.checksum()));
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
    // Those that are no members any more are in no majority.
    let agree = servers.iter().filter(|server| !snapshots.differ.contains(server)).count();
    assert!(
        2 * agree > servers.len(),
        "replicas have diverged: what was executed below {below:?} has the checksum {ours:016x} here and {theirs:016x} \
         at server {}",
        usize::from(src)
    );
}
