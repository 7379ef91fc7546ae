//! Histories as clients of a linearizable object have them, and of objects that are not.

use fastrand::Rng;
use std::collections::BTreeMap;
use synod_linear::{History, Object, OpId};

/// Clients of one object.
pub(crate) struct World {
    pub(crate) clients: u64,
    pub(crate) operations: usize,
    /// Of 1000 operations, how many never get an answer. Half of these have no effect either.
    pub(crate) lost: u32,
    /// Of 1000 answers, how many come from an object that has not seen the last so many changes.
    pub(crate) stale: u32,
}

/// What a client does at present.
enum Doing<Op, Ret> {
    Asked(OpId, Op),
    Done(OpId, Ret),
}

impl World {
    /// Runs the object: each operation takes effect at some moment between its beginning and its end.
    pub(crate) fn run<O: Object>(
        &self,
        object: &O,
        rng: &mut Rng,
        mut ask: impl FnMut(&mut Rng) -> O::Op,
    ) -> History<O::Op, O::Ret> {
        let mut history = History::new();
        let (mut state, mut older) = (object.initial(), object.initial());
        let mut doing: BTreeMap<u64, Doing<O::Op, O::Ret>> = BTreeMap::new();
        // A client whose operation got no answer goes on under another name.
        let mut names: Vec<u64> = (0..self.clients).collect();
        while history.operations().len() < self.operations || !doing.is_empty() {
            let client = rng.usize(..names.len());
            let name = names[client];
            match doing.remove(&name) {
                None if history.operations().len() < self.operations => {
                    let op = ask(rng);
                    let id = history.invoke(name, op.clone());
                    if rng.u32(..1000) < self.lost {
                        names[client] += self.clients;
                        if rng.bool() {
                            state = object.apply(&state, &op).0;
                        }
                    } else {
                        doing.insert(name, Doing::Asked(id, op));
                    }
                }
                None => {}
                Some(Doing::Asked(id, op)) => {
                    let (next, ret) = object.apply(&state, &op);
                    let stale = rng.u32(..1000) < self.stale;
                    let ret = if stale { object.apply(&older, &op).1 } else { ret };
                    if rng.u32(..4) == 0 {
                        older = state.clone();
                    }
                    state = next;
                    doing.insert(name, Doing::Done(id, ret));
                }
                Some(Doing::Done(id, ret)) => history.returned(id, ret),
            }
        }
        history
    }
}
