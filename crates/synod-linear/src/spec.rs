//! The behaviour of an object that nobody shares. A linearizable object must look like that.

use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object, as a relation: the outcomes that an operation may have in a state, and the states after them.
pub trait Spec {
    /// All that later operations depend on.
    type State: Clone + Debug + Ord + Hash;
    /// A question.
    type Op: Clone + Debug + Eq + Hash;
    /// An answer.
    type Ret: Clone + Debug;

    /// The state at the beginning.
    fn initial(&self) -> Self::State;

    /// The state after an operation that returned `ret`, or whose answer nobody knows. `None` if the operation
    /// cannot have returned that in this state.
    ///
    /// Of an unknown outcome only those need be considered that change the state: an operation without effect may as well not
    /// have happened. Where several remain, the state must stand for all of them.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Self::State>;

    /// True if an operation that returned this leaves *every* state as it is in which it can return this. Such operations are cheap to
    /// place. To answer no for all is right, and slow.
    fn only_reads(&self, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (op, ret);
        false
    }

    /// True if an operation that returned this can be placed neither in this state nor in any that may follow. To answer no is right, and
    /// slow where many operations are open at a time.
    fn too_late(&self, state: &Self::State, op: &Self::Op, ret: &Self::Ret) -> bool {
        let _ = (state, op, ret);
        false
    }

    /// True if an operation with an unknown outcome leads to the same state wherever it is placed, as a plain write does. To answer no
    /// is right, and slow where there are many of them.
    fn overwrites(&self, op: &Self::Op) -> bool {
        let _ = op;
        false
    }

    /// True if everything that can happen from the other state on can happen from this one on as well. A state covers itself. Where each
    /// state stands for one possibility, that is enough.
    fn covers(&self, state: &Self::State, other: &Self::State) -> bool {
        state == other
    }
}

/// An object whose states a search can keep within a limit, since their use of memory is known.
pub trait Measured: Spec {
    /// About how many bytes a state takes besides its own size when it is kept next to the one that it came from: all that it owns, or, where it
    /// shares what did not change, what one step copies. A search keeps each state that it meets once.
    fn bytes(&self, state: &Self::State) -> usize;
}

/// A sequential object with one outcome for every operation and state. [`Tester`](crate::Tester) needs that, since it places operations
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
