//! Judges histories of concurrent operations: are they linearizable, and if not, why?
//!
//! A history is linearizable (Herlihy and Wing, *Linearizability*, 1990) if its operations can be put into an order that meets two conditions. In that order an object that
//! nobody shares would have given the same answers, and no operation comes before one that had returned when it began.
//! The crate knows no Paxos and no machine. The caller gives the object, as a [`Spec`]. [`check()`] is for records of real runs, with 10^5
//! operations per key, and [`Tester`] is for the states of a model.
//!
//! `synod-model` and `synod-explore` use [`Tester`]. [`check()`] and its kin are called by tests and by the bench until a log is served,
//! whose clients' records they are to judge.
//!
//! An operation without an answer may have taken effect at any time from its invocation on, or never.
//!
//! | file | guarantees |
//! |---|---|
//! | `spec`, `register` | what an object does when nobody shares it |
//! | `history` | of two operations one precedes the other exactly if it had returned before the other began |
//! | `search`, `sets` | the right verdict on any history, by search |
//! | `zones` | the right verdict on a register with values that are written once, without one |
//! | `check` | a verdict is an order, a reason, or "I gave up" |
//! | `explain` | the reason is the shortest beginning without an order, in a form that people can follow |
//! | `tester` | a history under way, as a small value that is part of a model's state |

mod check;
mod explain;
mod history;
mod register;
mod search;
mod sets;
mod spec;
mod tester;
mod zones;

pub use check::{MANY, Verdict, check, check_by_key, check_register, explains};
pub use explain::Explanation;
pub use history::{History, OpId, Operation};
pub use register::{Register, RegisterOp, RegisterRet};
pub use spec::{Measured, Object, Spec, step_of};
pub use tester::Tester;
