//! Guarantees that a verdict is what it says: an order that can be checked, a reason that can be read, or "I gave up".

use crate::explain::{Explanation, explain, explain_register};
use crate::history::{History, OpId, Operation};
use crate::register::{Register, RegisterOp, RegisterRet};
use crate::search::{Outcome, search};
use crate::spec::{Measured, Spec};
use crate::zones::judge;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

/// The verdict on a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order. It is named if a search found it, and not if none was needed to know that there is one.
    Linearizable {
        /// Operations in an order that explains all answers. Operations that are missing need not have happened.
        order: Option<Vec<OpId>>,
    },
    /// There is none.
    NotLinearizable(Explanation),
    /// The search would have had to remember more than it was allowed to. This is no verdict: it needs more room.
    GaveUp {
        /// The number of configurations that were looked at.
        configurations: usize,
        /// The number of bytes that this took, or would have taken.
        bytes: usize,
    },
}

impl Verdict {
    /// True if there is an order.
    pub fn is_linearizable(&self) -> bool {
        matches!(self, Verdict::Linearizable { .. })
    }
}

/// A gigabyte.
pub const MANY: usize = 1 << 30;

/// Judges a history of one object with so many bytes of memory ([`MANY`] if in doubt). The limit covers what is remembered of configurations, and each
/// state that was met once, as far as [`Measured::bytes`] knows. It does not cover the history itself. Lists that grow may take half as
/// much again for a moment.
///
/// Where an order suggests itself, there are about as many configurations as operations. Where none does, the number may double with each
/// operation that is open at the same time.
pub fn check<S: Measured>(spec: &S, history: &History<S::Op, S::Ret>, bytes: usize) -> Verdict {
    match search(spec, history.operations(), bytes) {
        Outcome::Order(order) => Verdict::Linearizable { order: Some(order) },
        Outcome::Stuck(stuck) => Verdict::NotLinearizable(explain(spec, history, stuck, bytes)),
        Outcome::GaveUp { configurations, bytes } => Verdict::GaveUp { configurations, bytes },
    }
}

/// Judges a history of one register. Where every value was written once, and nothing swapped, this takes about as long as sorting, however
/// many operations are open at a time. Every other history goes to [`check()`].
pub fn check_register<V: Clone + Debug + Ord + Hash>(
    history: &History<RegisterOp<V>, RegisterRet<V>>,
    bytes: usize,
) -> Verdict {
    match judge(history.operations()) {
        Some(Ok(())) => Verdict::Linearizable { order: None },
        Some(Err(conflict)) => Verdict::NotLinearizable(explain_register(history, conflict)),
        None => check(&Register::new(), history, bytes),
    }
}

/// Judges a history of many objects that have nothing to do with each other, one by one (locality; Herlihy and Wing 1990). The
/// verdicts are in the order of the keys.
pub fn check_by_key<S: Measured, K: Ord>(
    spec: &S,
    history: &History<S::Op, S::Ret>,
    key: impl Fn(&S::Op) -> K,
    bytes: usize,
) -> BTreeMap<K, Verdict> {
    history.by_key(key).into_iter().map(|(key, part)| (key, check(spec, &part, bytes))).collect()
}

/// Checks in the plain way that an order explains a history: every operation with an answer is in it once, and every other at most once;
/// none comes before one that had returned when it began; and each answer is right.
pub fn explains<S: Spec>(spec: &S, history: &History<S::Op, S::Ret>, order: &[OpId]) -> bool {
    let operations = history.operations();
    let mut seen = vec![false; operations.len()];
    let mut state = spec.initial();
    let mut latest = 0;
    for id in order {
        let Some(Operation { op, invoked, returned, .. }) = operations.get(*id) else { return false };
        if std::mem::replace(&mut seen[*id], true) {
            return false;
        }
        // A later operation must not have returned before the latest invocation so far.
        latest = latest.max(*invoked);
        if returned.as_ref().is_some_and(|(at, _)| *at < latest) {
            return false;
        }
        let Some(next) = spec.step(&state, op, returned.as_ref().map(|(_, ret)| ret)) else { return false };
        state = next;
    }
    operations.iter().zip(seen).all(|(operation, seen)| seen || operation.returned.is_none())
}
