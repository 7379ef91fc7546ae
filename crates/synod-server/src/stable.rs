//! The encoding of a member's stable state: the changes, not the whole (PMS §2.5 says what must be kept).

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synod::{AcceptorState, Ballot, DiffItem, Instance, PerInstance, Proposal, Snapshot, Stable, Value};
use synod_runtime::apart::{self, Apart, Named};
use synod_runtime::changes::Changes;

/// The strategy for [`Stable`]. Promises only ever rise, and acceptances are only added or replaced, except those below the
/// log's start. So a difference names the new promise and the new acceptances.
///
/// The data on snapshots comes last, and only where there is some. So data from a time without snapshots can
/// be read, and a member that takes none writes what was written then. A long snapshot stands apart: it is only named.
pub struct PaxosChanges;

/// The longest snapshot that stands among the changes, in bytes. A longer one has a file of its own.
const LONGEST_AMONG: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Change {
    promised: Option<Ballot>,
    accepted_in: Option<Ballot>,
    tried: u64,
    accepted: Vec<(Instance, Proposal)>,
}

/// A state without its data on snapshots.
#[derive(Serialize, Deserialize)]
struct Whole {
    promised: Option<Ballot>,
    accepted_in: Option<Ballot>,
    accepted: PerInstance<Proposal>,
    tried: u64,
}

/// The data on snapshots. Where a difference has none, it stays as it was.
#[derive(Serialize, Deserialize)]
struct Truncated {
    log_start: Instance,
    snapshot: Kept,
}

/// A snapshot as it is kept. The first two are written as an `Option` is, which this was when all snapshots stood among the changes.
#[derive(Serialize, Deserialize)]
enum Kept {
    None,
    Among(Snapshot),
    Apart { next: Instance, sum: u64, length: u64 },
}

/// The name of a snapshot's bytes, if they stand apart.
pub(crate) fn apart(snapshot: &Snapshot) -> Option<Apart> {
    let length = snapshot.machine.as_bytes().len();
    (length > LONGEST_AMONG).then_some(Apart {
        group: 0,
        place: snapshot.next.0,
        sum: snapshot.sum,
        length: length as u64,
    })
}

impl Kept {
    fn of(snapshot: Option<&Snapshot>) -> Kept {
        let Some(snapshot) = snapshot else { return Kept::None };
        match apart(snapshot) {
            Some(Apart { length, .. }) => Kept::Apart { next: snapshot.next, sum: snapshot.sum, length },
            None => Kept::Among(snapshot.clone()),
        }
    }

    /// The snapshot, without the bytes that stand apart, and their name.
    fn read(self) -> (Option<Snapshot>, Option<Apart>) {
        match self {
            Kept::None => (None, None),
            Kept::Among(snapshot) => (Some(snapshot), None),
            Kept::Apart { next, sum, length } => {
                let apart = Apart { group: 0, place: next.0, sum, length };
                (Some(Snapshot { next, sum, machine: Value::no_op() }), Some(apart))
            }
        }
    }
}

/// Stable states are plain data, and always encode.
const ENCODES: &str = "a stable state can be encoded";

/// Reads a value, and the data on snapshots after it.
fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, Option<Truncated>), String> {
    let (data, rest) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    if rest.is_empty() {
        return Ok((data, None));
    }
    match postcard::take_from_bytes(rest) {
        Ok((truncated, [])) => Ok((data, Some(truncated))),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn append<T: Serialize>(data: &T, out: &mut Vec<u8>) {
    *out = postcard::to_extend(data, std::mem::take(out)).expect(ENCODES);
}

impl Changes<Stable> for PaxosChanges {
    fn difference(new: &Stable, old: &Stable, out: &mut Vec<u8>) {
        let mut accepted = Vec::new();
        for item in old.acceptor.accepted.diff(&new.acceptor.accepted) {
            use DiffItem::{Add, Remove, Update};
            match item {
                Add(instance, proposal) | Update { new: (instance, proposal), .. } => {
                    accepted.push((*instance, proposal.clone()));
                }
                // The log's start may pass an acceptance. An acceptor that forgets any other must not go on.
                Remove(instance, _) if *instance < new.acceptor.log_start => {}
                Remove(instance, _) => {
                    panic!("the acceptance at {instance:?} has gone from the stable state")
                }
            }
        }
        let change = Change {
            promised: new.acceptor.promised,
            accepted_in: new.acceptor.accepted_in,
            tried: new.tried,
            accepted,
        };
        append(&change, out);
        let (log_start, taken) = (new.acceptor.log_start, new.snapshot != old.snapshot);
        if taken || log_start != old.acceptor.log_start {
            append(
                &Truncated { log_start, snapshot: Kept::of(new.snapshot.as_ref().filter(|_| taken)) },
                out,
            );
        }
    }

    fn apply(state: &mut Stable, change: &[u8], named: &mut Named) -> Result<(), String> {
        let (change, truncated): (Change, _) = decode(change)?;
        if let Some(Truncated { log_start, snapshot }) = truncated {
            // Acceptances that come below the log's start after this stay until it moves again.
            if log_start > state.acceptor.log_start {
                state.acceptor.log_start = log_start;
                state.acceptor.accepted.drop_below(log_start);
            }
            if let (Some(snapshot), apart) = snapshot.read() {
                state.snapshot = Some(snapshot);
                apart::name(named, 0, apart);
            }
        }
        state.acceptor.promised = change.promised;
        state.acceptor.accepted_in = change.accepted_in;
        state.tried = change.tried;
        for (instance, proposal) in change.accepted {
            state.acceptor.accepted.insert(instance, proposal);
        }
        Ok(())
    }

    fn snapshot(state: &Stable, out: &mut Vec<u8>) {
        let AcceptorState { promised, accepted_in, accepted, log_start } = state.acceptor.clone();
        append(&Whole { promised, accepted_in, accepted, tried: state.tried }, out);
        if log_start > Instance::FIRST || state.snapshot.is_some() {
            append(&Truncated { log_start, snapshot: Kept::of(state.snapshot.as_ref()) }, out);
        }
    }

    fn restore(snapshot: &[u8], named: &mut Named) -> Result<Stable, String> {
        let (Whole { promised, accepted_in, accepted, tried }, truncated) = decode(snapshot)?;
        let Truncated { log_start, snapshot } =
            truncated.unwrap_or(Truncated { log_start: Instance::FIRST, snapshot: Kept::None });
        let (snapshot, apart) = snapshot.read();
        apart::name(named, 0, apart);
        Ok(Stable { acceptor: AcceptorState { promised, accepted_in, accepted, log_start }, tried, snapshot })
    }

    fn part(state: &Stable, before: Option<&Stable>, bytes: usize) -> Option<Stable> {
        let accepted = &state.acceptor.accepted;
        if before.is_some_and(|before| before.acceptor.accepted.len() == accepted.len()) {
            return None;
        }
        let mut part = before.cloned().unwrap_or_else(|| {
            let acceptor = AcceptorState { accepted: PerInstance::new(), ..state.acceptor.clone() };
            Stable { acceptor, ..state.clone() }
        });
        let last = part.acceptor.accepted.keys().next_back().copied();
        let (rest, mut left) = (last.map_or(Instance::FIRST, |last| last.plus(1)), bytes);
        for (instance, proposal) in accepted.range(rest..) {
            part.acceptor.accepted.insert(*instance, proposal.clone());
            left = left.saturating_sub(proposal.value.as_bytes().len() + size_of::<Proposal>());
            if left == 0 {
                break;
            }
        }
        Some(part)
    }

    fn apart(state: &Stable, found: &mut dyn FnMut(Apart, Arc<[u8]>)) {
        let Some(snapshot) = &state.snapshot else { return };
        if let Some(apart) = apart(snapshot) {
            found(apart, snapshot.machine.shared());
        }
    }

    fn rejoin(state: &mut Stable, _: &Apart, bytes: Arc<[u8]>) {
        if let Some(snapshot) = &mut state.snapshot {
            snapshot.machine = Value::from(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::Value;

    const BALLOT: Ballot = Ballot { round: 3, proposer: 1 };

    /// An acceptor that has accepted in these instances.
    fn stable(accepted: &[u64], log_start: u64, snapshot: Option<u64>) -> Stable {
        let proposal = |i: &u64| Proposal { ballot: BALLOT, value: Value::from(format!("c{i}").as_str()) };
        let accepted = accepted.iter().map(|i| (Instance(*i), proposal(i))).collect();
        let (promised, accepted_in, log_start) = (Some(BALLOT), Some(BALLOT), Instance(log_start));
        let machine = Value::from("all that was executed");
        let snapshot = snapshot.map(|next| Snapshot { next: Instance(next), sum: 7, machine });
        Stable { acceptor: AcceptorState { promised, accepted_in, accepted, log_start }, tried: 3, snapshot }
    }

    #[test]
    fn differences_lead_from_each_state_to_the_next_and_snapshots_give_back_each() {
        let run = [
            stable(&[0], 0, None),
            stable(&[0, 1, 2], 0, None),
            // The snapshot first spares all that it replaces. Later it does not, and the snapshot stays.
            stable(&[0, 1, 2], 0, Some(2)),
            stable(&[2], 2, Some(2)),
            // An acceptance that comes late, below the log's start.
            stable(&[1, 2, 3], 2, Some(2)),
            stable(&[1, 2, 3], 2, Some(3)),
            stable(&[4], 4, Some(4)),
            stable(&[5], 5, Some(4)),
        ];
        let mut state = Stable::default();
        for (old, new) in std::iter::once(&Stable::default()).chain(&run).zip(&run) {
            let mut bytes = Vec::new();
            PaxosChanges::difference(new, old, &mut bytes);
            PaxosChanges::apply(&mut state, &bytes, &mut Named::new()).expect("it was written");
            assert_eq!(&state, new);
            for cut in 0..bytes.len() {
                let mut state = old.clone();
                // A cut before the end leaves a difference without a snapshot; a shorter one is none.
                let read = PaxosChanges::apply(&mut state, &bytes[..cut], &mut Named::new());
                assert!(read.is_err() || state.snapshot == old.snapshot, "cut at {cut}");
            }
            let mut bytes = Vec::new();
            PaxosChanges::snapshot(new, &mut bytes);
            assert_eq!(PaxosChanges::restore(&bytes, &mut Named::new()).as_ref(), Ok(new));
            bytes.push(0);
            assert!(PaxosChanges::restore(&bytes, &mut Named::new()).is_err(), "a byte too many");
        }
    }

    #[test]
    fn a_member_that_truncates_comes_back_with_what_it_saved_whatever_the_crash_leaves() {
        use synod_runtime::sim_disk::SimDisk;
        use synod_runtime::store::{Identity, Store};
        type Stored<D> = Store<Stable, PaxosChanges, D>;
        let who = Identity { cluster: 1, member: 2 };
        let run = [
            stable(&[0, 1], 0, None),
            stable(&[1], 1, Some(1)),
            stable(&[1, 2], 1, Some(1)),
            stable(&[0, 1, 2], 1, Some(1)),
            stable(&[2], 2, Some(2)),
        ];
        for saves in 0..=run.len() {
            for seed in 0..20 {
                let disk = SimDisk::new();
                let (mut store, _) =
                    Stored::open(disk.open().expect("a disk"), who, &[2], 7).expect("it is new");
                for state in &run[..saves] {
                    store.save(state);
                    store.commit().expect("the disk is well");
                }
                // The next save is under way.
                run.get(saves).map(|state| store.save(state).len());
                if seed % 2 == 0 && run.get(saves).is_none() {
                    store.compact().expect("the disk is well");
                }
                disk.crash(&mut fastrand::Rng::with_seed(seed));
                drop(store);
                let (store, _) =
                    Stored::open(disk.open().expect("a disk"), who, &[2], 7).expect("it comes back");
                let saved = saves.checked_sub(1).map(|last| &run[last]);
                assert_eq!(store.state(), saved, "{saves} saves, seed {seed}");
            }
        }
    }

    #[test]
    fn a_snapshot_is_written_once_and_not_with_every_save() {
        let size = |new: &Stable, old: &Stable| {
            let mut bytes = Vec::new();
            PaxosChanges::difference(new, old, &mut bytes);
            bytes.len()
        };
        let (before, taken) = (stable(&[0, 1], 0, None), stable(&[1], 1, Some(1)));
        let after = stable(&[1, 2], 1, Some(1));
        assert!(size(&taken, &before) > 20 && size(&after, &taken) < 20);
    }

    #[test]
    fn what_was_written_before_there_were_snapshots_is_what_is_written_without_any() {
        // As `postcard` writes an acceptor's promise, its ballot of acceptance and its acceptances, and a proposer's round.
        let written = [1, 3, 1, 1, 3, 1, 1, 0, 3, 1, 2, b'c', b'0', 3];
        let state = stable(&[0], 0, None);
        let mut bytes = Vec::new();
        PaxosChanges::snapshot(&state, &mut bytes);
        assert_eq!(bytes, written);
        assert_eq!(PaxosChanges::restore(&written, &mut Named::new()), Ok(state));
    }

    #[test]
    #[should_panic(expected = "has gone from the stable state")]
    fn an_acceptor_that_forgets_above_where_its_log_begins_is_stopped() {
        PaxosChanges::difference(&stable(&[1], 0, None), &stable(&[0, 1], 0, None), &mut Vec::new());
    }

    #[test]
    #[should_panic(expected = "#2 has gone from the stable state")]
    fn an_acceptor_that_forgets_too_much_with_a_snapshot_is_stopped() {
        PaxosChanges::difference(&stable(&[3], 2, Some(2)), &stable(&[0, 1, 2, 3], 0, None), &mut Vec::new());
    }
}
