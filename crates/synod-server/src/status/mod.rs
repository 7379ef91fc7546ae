//! What a member tells of itself: plain data, read from outside the protocol. The roles know nothing of it.
//!
//! The loop fills a [`Status`] in now and then and puts it on a [`Board`]. Whoever serves or prints it takes it from there, so
//! that no reader can delay the loop.

mod board;
mod history;
mod members;
mod read;
mod told;
mod watch;

pub use board::Board;
pub(crate) use members::{members_told, membership};
pub use told::{
    BallotTold, DiskTold, ELECTIONS, ElectionTold, GroupTold, Latencies, Latency, LimitsTold, LogTold,
    MemberTold, MembersTold, PeerTold, Role, SECONDS, SecondTold, Standing, Status, StoreTold, WaitingTold,
    WorkTold,
};
pub(crate) use watch::Watch;
