//! Any machine of `synod-machine` as a sequential object.

use synod_linear::{Measured, Object, Spec, step_of};
use synod_machine::StateMachine;

/// About so many bytes of a persistent map one step copies: a node of each height.
const COPIED: usize = 640;

/// Any machine: its state, its commands and its outputs.
///
/// A clone is taken to share what did not change, as those of `synod-machine` do: a state then takes what one step copies. A machine whose
/// clones share nothing takes more than a search counts.
///
/// Judged by its own code, so what this finds is a replica that is not up to date, and never a machine that is wrong by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OfMachine<M>(pub M);

impl<M: StateMachine + Ord> Spec for OfMachine<M> {
    type State = M;
    type Op = M::Command;
    type Ret = M::Output;

    fn initial(&self) -> M {
        self.0.clone()
    }

    fn step(&self, state: &M, op: &M::Command, ret: Option<&M::Output>) -> Option<M> {
        step_of(self, state, op, ret)
    }

    fn only_reads(&self, op: &M::Command, _: &M::Output) -> bool {
        self.0.query(op).is_some()
    }
}

impl<M: StateMachine + Ord> Measured for OfMachine<M> {
    fn bytes(&self, _: &M) -> usize {
        COPIED
    }
}

impl<M: StateMachine + Ord> Object for OfMachine<M> {
    fn apply(&self, state: &M, op: &M::Command) -> (M, M::Output) {
        let mut next = state.clone();
        let output = next.apply(op);
        (next, output)
    }
}
