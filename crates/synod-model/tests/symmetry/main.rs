//! Processes that are said to be alike are alike: whatever one does, the other does in its place.

mod equivariance;
mod orbits;
mod planted;
mod refusals;
