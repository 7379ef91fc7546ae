//! The fronts against a cluster over real sockets: what they return, from many threads, through the end of the leader.

mod cluster;
#[cfg(feature = "tokio")]
mod tasks;
mod threads;
