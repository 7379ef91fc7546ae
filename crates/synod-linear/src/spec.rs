//! What an object does when nobody else uses it: that is what a linearizable one must look like.

use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object, as a relation: which outcomes an operation may have in a state, and what comes after.
pub trait Spec {
    /// All that later operations depend on.
    type State: Clone + Debug + Ord + Hash;
    /// What is asked.
    type Op: Clone + Debug + Eq + Hash;
    /// What is answered.
    type Ret: Clone + Debug;

    /// The state at the beginning.
    fn initial(&self) -> Self::State;

    /// The state after an operation that returned `ret`, or of which nobody knows what it would have returned; nothing if it
    /// cannot have returned that in this state.
    ///
    /// Of an unknown outcome only those need to be considered that change the state: an operation without effect may as well not
    /// have happened. Where several remain, the state must stand for all of them.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Self::State>;

    /// Whether an operation that returned this leaves *every* state as it is in which it can return this. Such operations are cheap to
    /// place. To say no of all is right, and slow.
    fn only_reads(&self, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (op, ret);
        false
    }

    /// Whether an operation that returned this can be placed neither in this state nor in any that may follow. To say no is right, and
    /// slow where many operations are open at a time.
    fn too_late(&self, state: &Self::State, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (state, op, ret);
        false
    }

    /// Whether an operation of which nobody knows the outcome leads to the same wherever it is placed, as a plain write does. To say no
    /// is right, and slow where there are many of them.
    fn overwrites(&self, op: &Self::Op) -> bool {
        let _ = op;
        false
    }

    /// Whether whatever can happen from the other state on can happen from this one on as well. A state covers itself, and where it
    /// stands for one possibility, nothing else need be said.
    fn covers(&self, state: &Self::State, other: &Self::State) -> bool {
        state == other
    }
}

/// An object whose states a search can keep within a limit, since it is known how much memory they take.
pub trait Measured: Spec {
    /// About how many bytes a state takes beside its own size, kept next to the one that it came from: all that it owns, or, where it
    /// shares what did not change, what one step copies. A search keeps each state that it meets once.
    fn bytes(&self, state: &Self::State) -> usize;
}

/// A sequential object with one outcome for every operation and state: what [`Tester`](crate::Tester) needs, since it places operations
/// before they return.
pub trait Object: Spec {
    /// The state afterwards, and the answer.
    fn apply(&self, state: &Self::State, op: &Self::Op) -> (Self::State, Self::Ret);
}

/// [`Spec::step`] of an [`Object`].
pub fn step_of<O: Object>(object: &O, state: &O::State, op: &O::Op, ret: Option<&O::Ret>) -> Option<O::State>
where
    O::Ret: PartialEq,
{
    let (next, answer) = object.apply(state, op);
    ret.is_none_or(|ret| *ret == answer).then_some(next)
}
