//! Guarantees that the table of sessions is in the machine's snapshot, and that no snapshot can bring in a table that the log
//! could not have led to: beyond its limits, or with numbers that would overflow.

use super::Limits;
use super::table::{Reply, Session, Table};
use crate::blob::Borrowed;
use crate::codec::{decode_first, decode_unless, encode_unless};
use crate::encode;
use crate::machine::{NotRestored, StateMachine, plausible};
use crate::sorted::Sorted;
use std::hash::Hash;

/// Limits, commands applied, the next session's number, the sessions (number, client, last use, answers) and the machine.
type Saved<'a, O> = (Limits, u64, u64, Vec<Row<O>>, Borrowed<'a>);
type Row<O> = (u64, u64, u64, Sorted<u64, Reply<O>>);

/// Everything that follows from the log.
pub(super) fn snapshot<M: StateMachine>(machine: &M, table: &Table<M::Output>) -> Vec<u8> {
    let rows: Vec<Row<M::Output>> = table
        .open()
        .map(|(id, Session { client, used, replies })| (id, *client, *used, replies.clone()))
        .collect();
    let inner = machine.snapshot();
    let mut snapshot = encode(&(table.limits(), table.now(), table.next(), rows, Borrowed(&inner)));
    encode_unless(&Sorted::new(), table.floors(), &mut snapshot);
    snapshot
}

/// Restores the machine, and gives back the table that was with it.
pub(super) fn restore<M: StateMachine>(
    machine: &mut M,
    snapshot: &[u8],
) -> Result<Table<M::Output>, NotRestored> {
    let (saved, floors) = decode_first(snapshot)?;
    let (limits, now, next, rows, inner): Saved<'_, M::Output> = saved;
    let floors = decode_unless(Sorted::new(), floors)?;
    limits.check().map_err(|error| NotRestored::because(error.to_string()))?;
    plausible("the number of commands applied", now)?;
    plausible("the next session", next)?;
    let table = rebuild(limits, now, next, rows, &floors).map_err(NotRestored::because)?;
    machine.restore(inner.0)?;
    Ok(table)
}

fn rebuild<O>(
    limits: Limits,
    now: u64,
    next: u64,
    rows: Vec<Row<O>>,
    floors: &Sorted<u64, u64>,
) -> Result<Table<O>, String>
where
    O: Clone + Ord + Hash + serde::Serialize,
{
    let mut table = Table::resumed(limits, now, next);
    let mut last = 0;
    for (id, client, used, replies) in rows {
        if id <= last || !table.was_opened(id) {
            return Err(format!("session {id} comes after {last}, and {next} is to be the next"));
        }
        last = id;
        if used == 0 || used > now || table.is_in_use(client, used) {
            return Err(format!("session {id} shares client {client} or its last use, {used} of {now}"));
        }
        if let (Some((lowest, _)), Some((highest, _))) = (replies.get_min(), replies.get_max())
            && highest - lowest >= u64::from(limits.window)
        {
            return Err(format!("session {id} has answers from {lowest} to {highest}"));
        }
        if replies.values().any(|reply| reply.is_longer(&limits)) {
            return Err(format!("session {id} has an answer that is too long to be kept"));
        }
        table.add(id, Session { client, used, replies });
    }
    for (id, floor) in floors {
        let is_one = table.get(*id).is_some_and(|session| {
            let lowest = session.replies.get_min().map_or(0, |(lowest, _)| *lowest);
            (session.first_open(limits.window) + 1..=lowest).contains(floor)
        });
        if !is_one {
            return Err(format!("session {id} cannot begin at {floor}"));
        }
        table.put_floor(*id, *floor);
    }
    if table.is_over_its_limits() {
        let sessions = table.open().count();
        return Err(format!("it has {sessions} sessions, which come to {} bytes", table.bytes()));
    }
    Ok(table)
}
