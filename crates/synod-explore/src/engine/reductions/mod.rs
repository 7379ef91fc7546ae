//! Reductions of an exploration. Each states its assumption, and the check that certifies it.

pub(super) mod dead;
pub(super) mod sleep;
pub(super) mod symmetry;
