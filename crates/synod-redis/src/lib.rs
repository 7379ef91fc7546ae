//! A front for clients of Redis: the part of its commands whose meaning a replicated store keeps, in RESP2 and RESP3.
//!
//! A command, or all between MULTI and EXEC, is one command of the log; a question is answered with all that was acknowledged
//! before. An error that begins with `UNKNOWN` says that the command may have taken effect; after every other error it did not.
//!
//! | file | guarantees |
//! |---|---|
//! | `request` | no request costs more than it is long |
//! | `reply` | a reply reads the same in both versions |
//! | `commands`, `translate` | a command means the same here |
//! | `glob`, `cursors` | a scan misses no key that was there all the time |
//! | `conversation` | a connection does what its client may do, in order |
//! | `pipeline` | requests take effect in their order |
//! | `password`, `tls`, `server` | no client costs more than the limits say |
//! | `submit`, `front` | the way to the cluster, and a front as the configuration has it |

mod commands;
mod conversation;
mod cursors;
mod front;
mod glob;
mod password;
mod pipeline;
mod reply;
mod request;
mod server;
mod submit;
mod tls;
mod translate;

pub use conversation::{Conversation, Shared, Step, Transaction, latest_version};
pub use cursors::Cursors;
pub use front::serve;
pub use password::Password;
pub use reply::{Reply, Version};
pub use request::{Bounds, Malformed, Reader};
pub use server::Server;
pub use submit::{Submit, SubmitError};
pub use synod_server::RedisLimits as Limits;
pub use tls::acceptor;
pub use translate::Work;
