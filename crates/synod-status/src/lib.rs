//! What a member tells of itself over HTTP: Prometheus metrics, its status as JSON, whether it is ready, and a page for people.
//!
//! The server has a thread of its own and reads a [`Board`](synod_server::status::Board). It never talks to the member's loop, so no
//! reader can delay the protocol. Connections, headers and times are bounded.

mod ask;
mod metrics;
mod page;
mod serve;

pub use ask::{Told, ask_all};
pub use serve::serve;
