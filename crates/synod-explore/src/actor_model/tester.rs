//! A model that keeps a history in stateright's `LinearizabilityTester` can keep it in a [`Tester`] by naming another type, and gets the
//! same verdicts from no more states, and in some models from far fewer.

use rustc_hash::FxHasher;
use stateright::semantics::{ConsistencyTester, SequentialSpec};
use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use synod_linear::{Object, Spec, Tester, step_of};

/// An object of stateright's whose states, operations and answers can be copied, shown, compared and hashed: those of `stateright::semantics` can.
pub trait Plain:
    SequentialSpec<Op: Clone + Debug + PartialEq + Hash, Ret: Clone + Debug + Hash>
    + Clone
    + Debug
    + PartialEq
    + Hash
{
}

impl<S> Plain for S
where
    S: SequentialSpec + Clone + Debug + PartialEq + Hash,
    S::Op: Clone + Debug + PartialEq + Hash,
    S::Ret: Clone + Debug + Hash,
{
}

/// A history up to now, in the place of [`stateright::semantics::LinearizabilityTester`].
///
/// It gives the same answer about every history. But it keeps the possible continuations, not the past; so histories with the
/// same continuations are one value, states of a model that differ in nothing else are one state, and a question costs
/// nothing. It cannot give the order that explains the history.
///
/// `T` names threads: each has one operation at a time. `S` is the object without concurrency.
pub struct LinearizabilityTester<T, S: Plain> {
    /// `None` after an error: a thread started an operation within another, or returned from none.
    tester: Option<Tester<Sequential<S>, T>>,
}

/// An object of stateright's as one of ours.
#[derive(Clone)]
struct Sequential<S> {
    initial: Ordered<S>,
}

/// A value with an arbitrary order that is the same in every run, so that sets of such values can be compared.
#[derive(Clone)]
struct Ordered<V> {
    hash: u64,
    value: V,
}

impl<V: Hash> Ordered<V> {
    fn new(value: V) -> Self {
        let mut hasher = FxHasher::default();
        value.hash(&mut hasher);
        Self { hash: hasher.finish(), value }
    }
}

impl<V: PartialEq> PartialEq for Ordered<V> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.value == other.value
    }
}

impl<V: PartialEq> Eq for Ordered<V> {}

impl<V: PartialEq + Debug> PartialOrd for Ordered<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: PartialEq + Debug> Ord for Ordered<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.hash.cmp(&other.hash).then_with(|| {
            // Different values with one hash: hardly ever, and then they look different. Should they not, sets that are equal may be
            // taken for different ones, which costs states and no verdict.
            if self.value == other.value {
                Ordering::Equal
            } else {
                format!("{:?}", self.value).cmp(&format!("{:?}", other.value))
            }
        })
    }
}

impl<V> Hash for Ordered<V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.hash.hash(hasher);
    }
}

impl<V: Debug> Debug for Ordered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<S: Plain> Spec for Sequential<S> {
    type State = Ordered<S>;
    type Op = Ordered<S::Op>;
    type Ret = Ordered<S::Ret>;

    fn initial(&self) -> Ordered<S> {
        self.initial.clone()
    }

    fn step(
        &self,
        state: &Ordered<S>,
        op: &Ordered<S::Op>,
        ret: Option<&Ordered<S::Ret>>,
    ) -> Option<Ordered<S>> {
        step_of(self, state, op, ret)
    }
}

impl<S: Plain> Object for Sequential<S> {
    fn apply(&self, state: &Ordered<S>, op: &Ordered<S::Op>) -> (Ordered<S>, Ordered<S::Ret>) {
        let mut after = state.value.clone();
        let ret = after.invoke(&op.value);
        (Ordered::new(after), Ordered::new(ret))
    }
}

impl<T: Ord + Clone, S: Plain> LinearizabilityTester<T, S> {
    /// Nothing has happened to an object.
    pub fn new(object: S) -> Self {
        Self { tester: Some(Tester::new(Sequential { initial: Ordered::new(object) })) }
    }
}

/// The error after an operation that no thread can make.
const INVALID: &str = "this is no history any more: a thread began an operation before its last one returned, or returned from none";

impl<T: Copy + Ord, S: Plain> ConsistencyTester<T, S> for LinearizabilityTester<T, S> {
    /// An operation starts.
    ///
    /// # Errors
    /// If the thread has an operation in progress, and always afterwards, as stateright's.
    fn on_invoke(&mut self, thread: T, op: S::Op) -> Result<&mut Self, String> {
        let tester = self.tester.as_mut().ok_or(INVALID)?;
        if tester.open().any(|(other, _)| *other == thread) {
            self.tester = None;
            return Err(INVALID.to_owned());
        }
        tester.invoke(thread, Ordered::new(op));
        Ok(self)
    }

    /// An operation returns.
    ///
    /// # Errors
    /// If the thread has no operation in progress, and always afterwards, as stateright's. Values without an order cannot show which it is.
    fn on_return(&mut self, thread: T, ret: S::Ret) -> Result<&mut Self, String> {
        let tester = self.tester.as_mut().ok_or(INVALID)?;
        if tester.is_linearizable() && !tester.open().any(|(other, _)| *other == thread) {
            self.tester = None;
            return Err(INVALID.to_owned());
        }
        tester.returned(&thread, &Ordered::new(ret));
        Ok(self)
    }

    fn is_consistent(&self) -> bool {
        self.tester.as_ref().is_some_and(Tester::is_linearizable)
    }
}

impl<T: Clone, S: Plain> Clone for LinearizabilityTester<T, S> {
    fn clone(&self) -> Self {
        Self { tester: self.tester.clone() }
    }
}

impl<T: PartialEq, S: Plain> PartialEq for LinearizabilityTester<T, S> {
    /// Of one and the same object.
    fn eq(&self, other: &Self) -> bool {
        self.tester == other.tester
    }
}

impl<T: Hash, S: Plain> Hash for LinearizabilityTester<T, S> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.tester.hash(hasher);
    }
}

impl<T: Debug, S: Plain> Debug for LinearizabilityTester<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tester {
            None => f.write_str("no history"),
            Some(tester) => tester.fmt(f),
        }
    }
}
