//! A register: a read returns the last value written.

use crate::spec::{Measured, Object, Spec, step_of};
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::marker::PhantomData;

/// A register that holds a value, or nothing at the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register<V>(PhantomData<V>);

/// The operations of a register.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterOp<V> {
    /// Reads the value.
    Read,
    /// Writes this value.
    Write(V),
    /// Writes the second value, if the first is there.
    Swap(Option<V>, V),
}

/// The answers of a register.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterRet<V> {
    /// The value that was read.
    Value(Option<V>),
    /// It was written.
    Written,
    /// True if the expected value was there, and was replaced.
    Swapped(bool),
}

impl<V: Debug> Debug for RegisterOp<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterOp::Read => f.write_str("read"),
            RegisterOp::Write(value) => write!(f, "write {value:?}"),
            RegisterOp::Swap(None, new) => write!(f, "swap nothing for {new:?}"),
            RegisterOp::Swap(Some(old), new) => write!(f, "swap {old:?} for {new:?}"),
        }
    }
}

impl<V: Debug> Debug for RegisterRet<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterRet::Value(None) => f.write_str("nothing"),
            RegisterRet::Value(Some(value)) => write!(f, "{value:?}"),
            RegisterRet::Written => f.write_str("done"),
            RegisterRet::Swapped(true) => f.write_str("swapped"),
            RegisterRet::Swapped(false) => f.write_str("not swapped"),
        }
    }
}

impl<V> Register<V> {
    /// An empty one.
    pub fn new() -> Self {
        Register(PhantomData)
    }
}

impl<V: Clone + Debug + Ord + Hash> Spec for Register<V> {
    type State = Option<V>;
    type Op = RegisterOp<V>;
    type Ret = RegisterRet<V>;

    fn initial(&self) -> Option<V> {
        None
    }

    fn step(&self, state: &Option<V>, op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> Option<Option<V>> {
        step_of(self, state, op, ret)
    }

    fn only_reads(&self, op: &RegisterOp<V>, ret: &RegisterRet<V>) -> bool {
        matches!(op, RegisterOp::Read) || *ret == RegisterRet::Swapped(false)
    }

    fn overwrites(&self, op: &RegisterOp<V>) -> bool {
        matches!(op, RegisterOp::Write(_))
    }
}

impl<V: Clone + Debug + Ord + Hash> Measured for Register<V> {
    /// There are no more states than values in the history, which owns as much as they do.
    fn bytes(&self, _: &Option<V>) -> usize {
        0
    }
}

impl<V: Clone + Debug + Ord + Hash> Object for Register<V> {
    fn apply(&self, state: &Option<V>, op: &RegisterOp<V>) -> (Option<V>, RegisterRet<V>) {
        match op {
            RegisterOp::Read => (state.clone(), RegisterRet::Value(state.clone())),
            RegisterOp::Write(value) => (Some(value.clone()), RegisterRet::Written),
            RegisterOp::Swap(old, new) if old == state => (Some(new.clone()), RegisterRet::Swapped(true)),
            RegisterOp::Swap(..) => (state.clone(), RegisterRet::Swapped(false)),
        }
    }
}
