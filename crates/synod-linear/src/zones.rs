//! Guarantees the right verdict on a register of which every value was written once, in time that hardly grows faster than the history.
//!
//! If every read says which write it has seen, no search is needed (Gibbons and Korach, *Testing shared memories*, 1997, §4). Take a write
//! together with the reads of its value. Its *zone* lies between the first of their ends and the last of their beginnings.
//! Where the end comes first, the value must have been there all the time in between: a *forward* zone. Otherwise all of them
//! can have happened together at any one moment of the zone: a *backward* one. There is an order exactly if
//!
//! - no read ends before its write begins, and none has seen a value that nobody wrote,
//! - no two forward zones overlap, and
//! - no backward zone lies within a forward one.

use crate::history::{Event, OpId, Operation, events};
use crate::register::{RegisterOp, RegisterRet};
use std::collections::BTreeMap;
use std::hash::Hash;

/// The reason why there is no order. The named operations cannot be ordered by themselves, whatever else is left out, as long as the writes
/// of their values are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// A read of a value that nobody wrote.
    Unwritten { read: OpId },
    /// A read that ended before its write began.
    BeforeWrite { read: OpId, write: OpId },
    /// Two values that both had to be there: at the end of one operation and at the beginning of the other.
    Both { one: (OpId, OpId), other: (OpId, OpId) },
    /// One value that had to be there from the end of one operation to the beginning of the other, and all of the other value's
    /// operations in between.
    Within { outer: (OpId, OpId), inner: (OpId, OpId) },
}

/// A value's operations.
#[derive(Clone, Copy)]
struct Zone {
    /// The write, or `None` for the value at the beginning.
    write: Option<OpId>,
    /// The first end, and its operation; the value at the beginning ends before everything.
    end: (usize, Option<OpId>),
    /// The last beginning.
    begin: (usize, Option<OpId>),
}

/// Decides whether there is an order. `None` if this method cannot tell: some value was written twice, or something was swapped.
pub(crate) fn judge<V: Clone + Ord + Hash>(
    operations: &[Operation<RegisterOp<V>, RegisterRet<V>>],
) -> Option<Result<(), Conflict>> {
    // Ranks instead of times: no two are equal, and 0 is before everything.
    let mut began = vec![0; operations.len()];
    let mut ended = vec![usize::MAX; operations.len()];
    for (at, event) in events(operations).into_iter().enumerate() {
        match event {
            Event::Invoke(id) => began[id] = at + 1,
            Event::Return(id) => ended[id] = at + 1,
        }
    }
    let mut zones: BTreeMap<Option<&V>, Zone> = BTreeMap::new();
    zones.insert(None, Zone { write: None, end: (0, None), begin: (0, None) });
    for (id, operation) in operations.iter().enumerate() {
        match (&operation.op, &operation.returned) {
            (RegisterOp::Swap(..), _) => return None,
            (RegisterOp::Read, _) => {}
            (RegisterOp::Write(_), Some((_, ret))) if *ret != RegisterRet::Written => return None,
            (RegisterOp::Write(value), _) => {
                let (end, begin) = ((ended[id], Some(id)), (began[id], Some(id)));
                if zones.insert(Some(value), Zone { write: Some(id), end, begin }).is_some() {
                    return None;
                }
            }
        }
    }
    // The reads come first, so that an undecidable case is not taken for a conflict.
    let mut wrong = None;
    for (id, operation) in operations.iter().enumerate() {
        let (RegisterOp::Read, Some((_, ret))) = (&operation.op, &operation.returned) else { continue };
        let RegisterRet::Value(value) = ret else { return None };
        let Some(zone) = zones.get_mut(&value.as_ref()) else {
            wrong = wrong.or(Some(Conflict::Unwritten { read: id }));
            continue;
        };
        if let Some(write) = zone.write
            && ended[id] < began[write]
        {
            wrong = wrong.or(Some(Conflict::BeforeWrite { read: id, write }));
        }
        zone.end = zone.end.min((ended[id], Some(id)));
        zone.begin = zone.begin.max((began[id], Some(id)));
    }
    Some(wrong.map_or_else(|| compare(zones.into_values()), Err))
}

fn compare(zones: impl Iterator<Item = Zone>) -> Result<(), Conflict> {
    // A write without an answer that nobody has seen need not have happened; its zone has no end and lies in no other.
    let (mut forward, backward): (Vec<Zone>, Vec<Zone>) = zones.partition(|zone| zone.end.0 < zone.begin.0);
    forward.sort_unstable_by_key(|zone| zone.end.0);
    let pair = |zone: &Zone| {
        let end = zone.end.1.or(zone.begin.1).expect("a forward zone begins with an operation");
        (end, zone.begin.1.expect("a forward zone begins with an operation"))
    };
    for two in forward.windows(2) {
        if two[1].end.0 < two[0].begin.0 {
            return Err(Conflict::Both { one: pair(&two[0]), other: pair(&two[1]) });
        }
    }
    // Forward zones are apart, so only the last one that begins before can hold a backward one.
    for zone in backward {
        let at = forward.partition_point(|outer| outer.end.0 < zone.begin.0);
        let Some(outer) = at.checked_sub(1).map(|at| &forward[at]) else { continue };
        if zone.end.0 < outer.begin.0 {
            let (Some(end), Some(begin)) = (zone.end.1, zone.begin.1) else { continue };
            return Err(Conflict::Within { outer: pair(outer), inner: (end, begin) });
        }
    }
    Ok(())
}
