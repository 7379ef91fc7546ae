//! What must come about: known answers, and random graphs against a decision that tries every set of nodes.

mod eventually;
mod graphs;
mod known;
mod plainly;
mod random;
