//! How a member's stable state is written: what changed, not the whole of it (PMS §2.5 says what must be kept).

use serde::{Deserialize, Serialize};
use synod::{Ballot, DiffItem, Instance, Proposal, Stable};
use synod_runtime::changes::Changes;

/// The strategy for [`Stable`]: promises only ever rise and acceptances are only added or replaced, so a difference
/// names the new promise and the acceptances that are new.
pub struct PaxosChanges;

#[derive(Serialize, Deserialize)]
struct Change {
    promised: Option<Ballot>,
    accepted_in: Option<Ballot>,
    tried: u64,
    accepted: Vec<(Instance, Proposal)>,
}

/// Stable states are plain data, and always encode.
const ENCODES: &str = "a stable state can be encoded";

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
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
                // A broken internal invariant: an acceptor that forgets an acceptance must not go on.
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
        *out = postcard::to_extend(&change, std::mem::take(out)).expect(ENCODES);
    }

    fn apply(state: &mut Stable, change: &[u8]) -> Result<(), String> {
        let change: Change = decode(change)?;
        state.acceptor.promised = change.promised;
        state.acceptor.accepted_in = change.accepted_in;
        state.tried = change.tried;
        for (instance, proposal) in change.accepted {
            state.acceptor.accepted.insert(instance, proposal);
        }
        Ok(())
    }

    fn snapshot(state: &Stable, out: &mut Vec<u8>) {
        *out = postcard::to_extend(state, std::mem::take(out)).expect(ENCODES);
    }

    fn restore(snapshot: &[u8]) -> Result<Stable, String> {
        decode(snapshot)
    }
}
