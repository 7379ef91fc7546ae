//! Paxos, written once.
//!
//! The roles of *Paxos Made Simple* (PMS) as [`stateright`] actors: what the models explore is, function for function,
//! what a server runs. The only ways in are the implementations of [`stateright::actor::Actor`] by [`Process`] and, for who leads, by
//! [`Elector`]; everything else that is public here is data: configuration, messages and states.
//!
//! The crate does no input or output, reads no clock, draws no random number and logs nothing. It holds no fault, no
//! mutant and no test hook: those live in `synod-model`, outside of what they break.
//!
//! | file | guarantees |
//! |---|---|
//! | `ballot` | proposal numbers are totally ordered, and no two proposers draw the same one |
//! | `quorum` | every phase-1 quorum meets every phase-2 quorum, or the system is refused |
//! | `acceptor` | a promise binds: P1, P1a |
//! | `proposer` | a proposal is issued only with the value P2c demands |
//! | `learner` | a value is learned only when a phase-2 quorum accepted it in one ballot |
//! | `read` | "unset" is answered only if nothing was chosen when the read began |
//! | `sequence` | a leader issues within the window and leaves no gap; commands are executed in the order of their instances |
//! | `snapshot` | what is forgotten of the log is in a snapshot on stable storage; servers that diverged stop |
//! | `confirm` | a question is answered without the log only from a state that misses nothing chosen before it came |
//! | `entry` | a command in the log is told from every other by the call that it belongs to |
//! | `machine` | nothing: what a server needs to know of the machine it runs |
//! | `per_instance` | a map by instance that is cheap to copy and to compare with an earlier copy |
//! | `retry` | progress only: when to begin a ballot; nothing in it is needed for safety |
//! | `election` | progress only: whom each takes for the leader; nothing in it is needed for safety |
//! | `lead` | progress only: what it means for ballots that somebody leads, or does not any more |
//! | `heard` | a message is heard only from those who may say it |
//! | `client`, `process`, `server`, `replica` | wiring: which role sees which message |
//! | `effects` | the step contract: at most one save, before every send |

mod acceptor;
mod ballot;
mod client;
mod cluster;
mod confirm;
mod effects;
mod election;
mod entry;
mod heard;
mod lead;
mod learner;

mod machine;
mod message;
mod per_instance;
mod process;
mod proposer;
mod quorum;
mod read;
mod replica;
mod retry;
mod sequence;
mod server;
mod snapshot;

pub use acceptor::AcceptorState;
pub use ballot::{Ballot, Instance, Proposal, Value};
pub use client::{Answer, Asking, Client, ClientState, Want};
pub use cluster::{Cluster, Learning, Log, Truncate};
pub use confirm::{Needs, Question, Questions};
pub use election::{Beat, Election, ElectionState, ElectionTimer, Elector, Pace};
pub use entry::{Call, Entry};
pub use learner::{LearnerState, Votes};

pub use machine::{Machine, Replica};
pub use message::{Ask, Msg, Stable, Timer};
pub use per_instance::{DiffItem, PerInstance};
pub use process::{Process, ProcessState};
pub use proposer::{Gaps, Obligation, Phase, ProposerState};
pub use quorum::{AcceptorSet, MAX_ACCEPTORS, QuorumError, QuorumRule, Quorums};
pub use read::Readers;
pub use retry::Retry;
pub use sequence::LogState;
pub use server::ServerState;
pub use snapshot::{Arriving, Snapshot, Snapshots};
