//! The processes that are explored and that serve: which role sees which message.

pub(crate) mod changing;
pub(crate) mod client;
pub(crate) mod elector;
pub(crate) mod log_server;
pub(crate) mod process;
pub(crate) mod register_server;
pub(crate) mod stable;
pub(crate) mod state;
pub(crate) mod wiring;
