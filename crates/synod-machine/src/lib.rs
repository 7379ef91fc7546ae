//! Machines that a replicated log is applied to.
//!
//! *Paxos Made Simple* (PMS) §3 implements a distributed system as a deterministic state machine that every server
//! runs over the same sequence of commands. This crate is that half: machines, the clients' sessions with them, and the
//! snapshots that replace a log's beginning. It knows no Paxos: a position in the log is a plain number, and
//! the crate does not ask how commands come to be in the log.
//!
//! The crate does no input or output, reads no clock, draws no random number and has no map whose order depends on hashes:
//! the log alone decides what happens.
//!
//! | file | guarantees |
//! |---|---|
//! | `machine` | the contract of a machine: same commands, same state, same outputs |
//! | `bank`, `kv`, `lock` | three machines that keep it |
//! | `store` | keys, locks and accounts in one, with transactions, times to live and changes to follow: the machine that is to be served |
//! | `sessions` | a command takes effect once, however often it is in the log; what is remembered for that is bounded |
//! | `chain` | replicas that executed different things have different checksums from there on |
//! | `sealed` | a snapshot is restored as it was taken, or not at all |
//! | `sorted`, `blob`, `codec` | data that is cheap to copy, and bytes that cannot make a reader allocate or panic |

mod bank;
mod blob;
mod chain;
mod codec;
mod kv;
mod lock;
mod machine;
mod sealed;
mod sessions;
mod sorted;
mod store;

pub use bank::{Bank, BankCommand, BankOutput};
pub use blob::Blob;
pub use chain::{Chain, Checksum};
pub use codec::{Undecodable, decode, encode, encoded_len};
pub use kv::{Entry, Expect, Kv, KvCommand, KvOutput};
pub use lock::{Held, LockCommand, LockOutput, Locks};
pub use machine::{NotRestored, StateMachine};
pub use sealed::Snapshot;
pub use sessions::{Limits, LimitsError, Reply, Session, SessionCommand, SessionOutput, Sessions};
pub use sorted::Sorted;
pub use store::{
    Across, Change, Condition, Item, Lengths, Lies, Lives, MOST_LISTED, MOST_TOLD, Operation, Outcome,
    Settings, Store, StoreCommand, StoreOutput, TooLong, group_of, group_of_prefix,
};
