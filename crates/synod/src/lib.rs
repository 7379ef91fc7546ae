//! Paxos, written once.
//!
//! The roles of *Paxos Made Simple* (PMS) as [`stateright`] actors. Models explore the same functions that a server runs. The only
//! ways in are the implementations of [`stateright::actor::Actor`] by [`Process`] and, for an election alone, by [`Elector`]. Everything
//! else that is public here is data: configuration, messages and states.
//!
//! The crate does no input or output, reads no clock, draws no random number and logs nothing. It holds no fault, no
//! mutant and no test hook. Faults and mutants live in `synod-model`, outside of what they break.
//!
//! Modules stand on shelves, and each imports only from its own shelf and from those above it in this table. No two modules import each other.
//! A test in `tests/house.rs` holds both.
//!
//! | shelf | file | guarantees |
//! |---|---|---|
//! | ground | `ballot` | proposal numbers are totally ordered, and no two proposers draw the same one |
//! | | `quorum` | every phase-1 quorum meets every phase-2 quorum, or the system is refused |
//! | | `per_instance` | a map by instance is cheap to copy and to compare with an earlier copy |
//! | | `call` | a command in the log is told from every other by the call that it belongs to |
//! | | `batch` | a value that stands for several commands is read as those, in their order |
//! | | `cluster`, `election`, `machine`, `message` | nothing: configuration and messages |
//! | | `heard` | a message is heard only from those who may say it |
//! | | `effects` | the step contract: at most one save, before every send |
//! | `roles` | `acceptor` | a promise binds: P1, P1a |
//! | | `proposer` | a proposal is issued only with the value P2c demands |
//! | | `learner` | a value is learned only when a phase-2 quorum accepted it in one ballot |
//! | | `read` | "unset" is answered only if nothing was chosen when the read began |
//! | `log` | `state`, `replica` | nothing: the state of a server, and its copy of the machine |
//! | | `sequence` | a leader issues within the window and leaves no gap; commands are executed in the order of their instances |
//! | | `confirm` | a question is answered without the log only from a state that misses nothing chosen before it came |
//! | | `mastery` | the log alone says who took mastership, and each take follows the one that its proposer had seen; what was written under one master has no effect under the next: E2 |
//! | | `lease` | no two servers believe themselves master at one moment: E1 |
//! | | `membership` | the members of an instance are a function of the log |
//! | | `snapshot` | what is forgotten of the log is in a snapshot on stable storage; servers that diverged stop |
//! | `progress` | `retry` | nothing that safety needs: when a ballot begins, and when it is given up |
//! | | `election` | nothing that safety needs: whom each member takes for the leader |
//! | | `lead` | nothing that safety needs: what it means for ballots that somebody leads, or no longer does |
//! | `actors` | `state`, `stable` | a process's state and each role's share of it; whatever must survive a crash is saved |
//! | | `wiring`, `process` | nothing: which role sees which message |
//! | | `register_server`, `log_server` | nothing: a server without a log, and one with a log |
//! | | `client`, `elector` | nothing: a client, and an election by itself |

mod actors;
mod ballot;
mod batch;
mod call;
mod cluster;
mod effects;
mod election;
mod heard;
mod log;
mod machine;
mod message;
mod per_instance;
mod progress;
mod quorum;
mod roles;

pub use crate::log::changes::{Change, ChangeKind, LONGEST_ADDRESS, address};
pub use crate::log::mastery::{Mastership, is_take};
pub use crate::log::membership::Membership;
pub use crate::log::replica::Replica;
pub use crate::log::state::{
    Answering, Arriving, LeaseState, Lent, LogState, Needs, Open, Question, Questions, ServerState, Snapshot,
    Snapshots,
};
pub use crate::log::views::Configuration;
pub use actors::client::{Answer, Asking, Client, ClientState, Want};
pub use actors::elector::Elector;
pub use actors::process::Process;
pub use actors::stable::Stable;
pub use actors::state::ProcessState;
pub use ballot::{Ballot, Instance, Proposal, Value};
pub use batch::commands;
pub use call::{Call, LogEntry};
pub use cluster::{Cluster, Learning, Lease, Log, Members, Truncate};
pub use election::{Beat, Election, ElectionState, ElectionTimer, Pace};
pub use machine::Machine;
pub use message::{Ask, Msg, Slot, Timer};
pub use per_instance::{DiffItem, PerInstance};
pub use progress::retry::Retry;
pub use quorum::{AcceptorSet, MAX_ACCEPTORS, MAX_MEMBERS, QuorumError, QuorumRule, Quorums};
pub use roles::acceptor::AcceptorState;
pub use roles::learner::{LearnerState, Votes};
pub use roles::proposer::{Gaps, Phase, ProposerState, Readers};
