//! Talks to a cluster: sessions that are opened through the log, retries, several calls under way at a time, and results that say what is
//! certain.
//!
//! ```no_run
//! use synod_client::{Client, Config, Error};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new("local", "client.key")
//!     .member(0, "127.0.0.1:7100".parse()?)
//!     .member(1, "127.0.0.1:7101".parse()?)
//!     .member(2, "127.0.0.1:7102".parse()?);
//! let client = Client::connect(&config)?;
//! match client.put("greeting", "hello") {
//!     Ok(version) => println!("stored as version {version}"),
//!     Err(error) if error.may_have_taken_effect() => println!("perhaps stored: {error}"),
//!     Err(error) => println!("certainly not stored: {error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | file | guarantees |
//! |---|---|
//! | `session` | a command takes effect at most once, and the outcome of its call is true: the actor that is explored and run |
//! | `message`, `outcome` | what the application and the actor say to each other |
//! | `division` | a command goes to the group of its names, and lists are put together |
//! | `lengths` | nothing is sent that the cluster would ignore for its length |
//! | `running` | the loop with the socket and the clock, and who turns it |
//! | `client`, `requests`, `watch` | the front for threads |
//! | `tasks` | the front for tasks, with the feature `tokio` |

mod client;
mod config;
mod division;
mod error;
mod following;
mod lengths;
mod message;
mod outcome;
pub mod requests;
mod running;
pub mod session;
#[cfg(feature = "tokio")]
mod tasks;
mod watch;

pub use client::{Client, Pending, lives};
pub use config::{Changing, Config};
pub use error::{Error, Full};
pub use message::{Call, Message, Reading};
pub use outcome::{Doubt, Outcome, Refusal};
#[cfg(feature = "tokio")]
pub use tasks::AsyncClient;
pub use watch::{Watch, WatchError};
