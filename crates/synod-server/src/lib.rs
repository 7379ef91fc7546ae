//! Serves data with the verified actors: the configuration file, the choice of the actor that a member runs, the encoding of its stable
//! state, and the first client. `synod-runtime` does the rest and knows no Paxos. `synod` is the Paxos and
//! knows no IO. They meet here.

mod ask;
mod beside;
mod config;
mod door;
mod serve;
mod stable;
pub mod status;
mod wiring;

pub use ask::{Answer, AskError, Question, ask};
pub use beside::{Beside, Due, Writer, WriterThread, Written};
pub use config::{Config, ConfigError, Member};
pub use door::Asked;
pub use serve::{MemberStore, Notice, Orders, ServeError, UdpMember, obey_signals, open, run};
pub use stable::PaxosChanges;
pub use wiring::Wiring;
