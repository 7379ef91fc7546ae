//! Exploring with time: against a naive interpreter, against stateright's search, and what is refused.

mod alike;
#[path = "../common/cases.rs"]
mod cases;
mod naive;
mod random;
mod refused;
mod runs;
mod scripts;
