//! Whatever could make a verdict say more than was seen: each once led to a pass, or to an accusation, that was wrong.

mod hooks;
mod impure;
mod same_words;
mod undecided;
mod unequal;
