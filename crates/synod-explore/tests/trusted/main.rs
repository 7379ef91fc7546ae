//! Everything that could make a verdict claim more than was seen. Each of these once led to a pass, or to an accusation, that was wrong.

#[path = "../common/climbers.rs"]
mod climbers;
#[allow(dead_code, reason = "each test binary uses its share")]
#[path = "../common/erased.rs"]
mod erased;
mod hooks;
mod impure;
mod same_words;
mod undecided;
mod unequal;
