//! What makes an exploration smaller or shorter. Each says what it assumes, and what certifies that it holds.

pub(super) mod dead;
pub(super) mod sleep;
pub(super) mod symmetry;
