//! The operator of a member: whoever may open the socket in its data directory. It asks who the members are, and for changes of them.
//!
//! There is no network in this: who owns the data directory of a member may change the members. A connection brings one line of JSON, and takes one.

mod calls;
mod socket;
mod words;

pub(crate) use calls::Calls;
pub(crate) use socket::{Asked, Desk};
pub use socket::{Asking, NotAsked, ask};
pub use words::{Reply, Request};
