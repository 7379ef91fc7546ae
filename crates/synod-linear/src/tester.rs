//! Guarantees that a history under way is judged at every event, by a value so small that it can be part of an explored state.
//!
//! The value does not hold what has happened, but what can still become of it: the open operations, and every state in which the object may be.
//! Each state comes with the open operations that must have taken effect for it, and the answers they will have to give. Histories with the same
//! future are the same value, so that a model has no more states for them than it needs. Once there is no order,
//! there is one value for all.

use crate::spec::Object;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};

/// A history of one object up to now. `K` names operations that are open: a client's number, if each has one at a time.
pub struct Tester<O: Object, K> {
    object: O,
    /// The open operations, in the order of their keys.
    open: Vec<(K, O::Op)>,
    /// The possibilities, in order, each once. There is none exactly if there is no order.
    possible: Vec<Possible<O::State, K, O::Ret>>,
}

/// One possibility of how the object may be now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Possible<State, K, Ret> {
    state: State,
    /// Open operations that have taken effect, in the order of their keys, and the answers they must give.
    placed: Vec<(K, Ret)>,
}

impl<O: Object, K: Ord + Clone> Tester<O, K>
where
    O::Ret: Ord,
{
    /// An empty history.
    pub fn new(object: O) -> Self {
        let possible = vec![Possible { state: object.initial(), placed: Vec::new() }];
        Tester { object, open: Vec::new(), possible }
    }

    /// True if there is an order so far.
    pub fn is_linearizable(&self) -> bool {
        !self.possible.is_empty()
    }

    /// The open operations.
    pub fn open(&self) -> impl Iterator<Item = (&K, &O::Op)> {
        self.open.iter().map(|(key, op)| (key, op))
    }

    /// The number of possibilities, which is what this costs.
    pub fn possibilities(&self) -> usize {
        self.possible.len()
    }

    /// An operation begins.
    ///
    /// # Panics
    /// If one with this key is open.
    pub fn invoke(&mut self, key: K, op: O::Op) {
        if !self.is_linearizable() {
            return;
        }
        let at = self.open.partition_point(|(other, _)| *other < key);
        assert!(
            self.open.get(at).is_none_or(|(other, _)| *other != key),
            "an operation with this key is open"
        );
        self.open.insert(at, (key, op));
    }

    /// An operation returns. One that never does stays open: it may have taken effect, or may later.
    ///
    /// # Panics
    /// If none with this key is open.
    pub fn returned(&mut self, key: &K, ret: &O::Ret) {
        if !self.is_linearizable() {
            return;
        }
        let mut reached = Vec::new();
        // The ways to place open operations, this one last: none after it has to be placed yet.
        let mut ways = std::mem::take(&mut self.possible);
        let mut tried = Vec::new();
        while let Some(way) = ways.pop() {
            if let Some(at) = way.placed.iter().position(|(other, _)| other == key) {
                if way.placed[at].1 == *ret {
                    let mut way = way;
                    way.placed.remove(at);
                    reached.push(way);
                }
                continue;
            }
            for (other, op) in &self.open {
                let at = way.placed.partition_point(|(placed, _)| placed < other);
                if way.placed.get(at).is_some_and(|(placed, _)| placed == other) {
                    continue;
                }
                let (state, answer) = self.object.apply(&way.state, op);
                if other == key && answer != *ret {
                    continue;
                }
                let mut next = Possible { state, placed: way.placed.clone() };
                next.placed.insert(at, (other.clone(), answer));
                if !tried.contains(&next) {
                    tried.push(next.clone());
                    ways.push(next);
                }
            }
        }
        let open = self.open.iter().position(|(other, _)| other == key);
        self.open.remove(open.expect("the operation that returns is open"));
        reached.sort_unstable();
        reached.dedup();
        self.possible = reached;
        if self.possible.is_empty() {
            self.open.clear();
        }
    }

    /// The same history with other names for operations and values: for models in which some processes are alike.
    #[must_use]
    pub fn renamed(
        &self,
        key: impl Fn(&K) -> K,
        op: impl Fn(&O::Op) -> O::Op,
        state: impl Fn(&O::State) -> O::State,
        ret: impl Fn(&O::Ret) -> O::Ret,
    ) -> Self
    where
        O: Clone,
    {
        let mut open: Vec<_> = self.open.iter().map(|(name, asked)| (key(name), op(asked))).collect();
        open.sort_by(|(one, _), (other, _)| one.cmp(other));
        let renamed = |possible: &Possible<O::State, K, O::Ret>| {
            let mut placed: Vec<_> =
                possible.placed.iter().map(|(name, answer)| (key(name), ret(answer))).collect();
            placed.sort_unstable();
            Possible { state: state(&possible.state), placed }
        };
        let mut possible: Vec<_> = self.possible.iter().map(renamed).collect();
        possible.sort_unstable();
        Tester { object: self.object.clone(), open, possible }
    }
}

impl<O: Object + Clone, K: Clone> Clone for Tester<O, K>
where
    O::Ret: Clone,
{
    fn clone(&self) -> Self {
        Tester { object: self.object.clone(), open: self.open.clone(), possible: self.possible.clone() }
    }
}

impl<O: Object, K: PartialEq> PartialEq for Tester<O, K>
where
    O::Op: PartialEq,
    O::Ret: PartialEq,
{
    /// Compares testers of the same object.
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open && self.possible == other.possible
    }
}

impl<O: Object, K: Eq> Eq for Tester<O, K>
where
    O::Op: Eq,
    O::Ret: Eq,
{
}

impl<O: Object, K: Hash> Hash for Tester<O, K>
where
    O::Op: Hash,
    O::Ret: Hash,
{
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.open.hash(hasher);
        self.possible.hash(hasher);
    }
}

impl<O: Object, K: Debug> Debug for Tester<O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.possible.is_empty() {
            return f.write_str("not linearizable");
        }
        f.debug_struct("Tester")
            .field("open", &self.open)
            .field("possible", &self.possible)
            .finish_non_exhaustive()
    }
}
