//! The meeting place of protocol and machines: a machine of `synod-machine`, with its clients' sessions, as the machine that
//! the servers of `synod` run.
//!
//! Neither crate knows the other. A server hands over a command as bytes and takes the output as bytes. A machine has
//! commands and outputs of its own types. A [`Wording`] translates between them: [`Compact`] for serving, and words that
//! people can read in models. [`Served`] is the machine that is served, and [`Teller`] tells it the time
//! and the settings.

mod applied;
mod served;
mod teller;

pub use applied::{Applied, Compact, Wording};
pub use served::{Served, Sizes, lies_in, sizes};
pub use teller::{Due, Teller, due};
