//! Serves data with the verified actors: the configuration file, the choice of the actor that a member runs, the encoding of its stable
//! state, and the first client. `synod-runtime` does the rest and knows no Paxos. `synod` is the Paxos and
//! knows no IO. They meet here.

mod beside;
mod changing;
mod config;
mod door;
mod following;
mod member;
mod notice;
pub mod operator;
mod redis;
mod serve;
mod served;
mod settings;
mod stable;
pub mod status;
mod ticks;
mod wiring;

pub use beside::{Beside, Due, Writer, WriterThread, Written};
pub use changing::{Changing, IDS};
pub use config::{Config, ConfigError, Member};
pub use door::Asked;
pub use member::{MemberStore, UdpMember};
pub use notice::{Notice, ServeError};
pub use redis::{RedisLimits, RedisSettings};
pub use serve::{Ended, Orders, obey_signals, open, run};
pub use settings::{LogSettings, MasterSettings};
pub use stable::PaxosChanges;
pub use ticks::Ticker;
pub use wiring::{Wiring, operator};
