//! The commands and outputs of a [`Store`](super::Store).

use super::settings::Settings;
use crate::bank::{BankCommand, BankOutput};
use crate::blob::Blob;
use crate::kv::Expect;
use crate::lock::Held;
use serde::{Deserialize, Serialize};

/// A command of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StoreCommand {
    /// Operations that are done together, in this order, if every condition is met; otherwise none is done.
    Transact {
        /// The conditions, on the state before the first operation.
        when: Vec<Condition>,
        /// The operations.
        then: Vec<Operation>,
    },
    /// The time, by the clock of a process that tells it to the log. The store's clock never goes back.
    Tick {
        /// Milliseconds since the Unix epoch.
        now: u64,
        /// The number of times that had been given, as [`Outcome::Clock`] told the teller *before* it read its clock. These run from
        /// `now` at the latest; a tick that was long under way starts none that was given since.
        given: u64,
    },
    /// The settings that hold from now on, as a process with a configuration tells them to the log. Those under which no client could be served
    /// change nothing.
    Settings(Settings),
}

/// A condition for a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Condition {
    /// The key has what is expected.
    Key {
        /// The key.
        key: Blob,
        /// The expectation.
        expect: Expect,
    },
    /// The key has not changed since a version: it has a value from then or before, or it has none and no change of it is kept. What
    /// cannot be known any more, since too many changes came after, counts as changed.
    Unchanged {
        /// The key.
        key: Blob,
        /// The version, as [`Outcome::Latest`] told it.
        since: u64,
    },
    /// The lock is held under this fencing token: the grant that the asker relies on has not ended.
    Lock {
        /// The lock.
        lock: Blob,
        /// The grant's token.
        token: u64,
    },
}

/// The time that an entry or a grant has left, by the store's clock.
///
/// A time that is given has this much left until a tick starts it; so it is over late, by up to the distance of two ticks, but not
/// early, however long the clock stood still before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lives {
    /// It does not end by itself.
    Forever,
    /// It ends after so many milliseconds: at least 1, and at most a hundred years.
    For(u64),
    /// As long as the entry that was there before; for ever if there was none.
    AsBefore,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Asks for the entry of a key.
    Get {
        /// The key.
        key: Blob,
    },
    /// Asks for the entries of keys, in the order of the keys.
    List {
        /// The prefix of the keys.
        prefix: Blob,
        /// The key after which the list begins, if it goes on with one.
        after: Option<Blob>,
        /// The most entries. The store has its own bounds beside it.
        limit: u32,
    },
    /// Stores, whatever was there.
    Put {
        /// The key.
        key: Blob,
        /// The value.
        value: Blob,
        /// The time that the entry has.
        lives: Lives,
    },
    /// Stores if the key has a value already, or only if it has none. Unlike a [`Condition`], this one stops no other operation: if it
    /// is not met, the outcome is the entry that is there, or [`Outcome::Absent`].
    PutIf {
        /// The key.
        key: Blob,
        /// The value.
        value: Blob,
        /// The time that the entry has.
        lives: Lives,
        /// True if the key must have a value, false if it must have none.
        exists: bool,
    },
    /// Adds to a number, written in decimal digits; a key without a value counts as 0. The entry lives as long as before.
    Add {
        /// The key.
        key: Blob,
        /// The summand.
        by: i64,
    },
    /// Changes the time that an entry has, and neither its value nor its version.
    Live {
        /// The key.
        key: Blob,
        /// The time.
        lives: Lives,
    },
    /// Deletes.
    Delete {
        /// The key.
        key: Blob,
    },
    /// Asks for the holder of a lock.
    Holder {
        /// The lock.
        lock: Blob,
    },
    /// Takes a lock if it is free. Its holder may ask again, to have more time.
    Acquire {
        /// The lock.
        lock: Blob,
        /// The client that wants it.
        owner: Blob,
        /// The time that the grant has.
        lives: Lives,
    },
    /// Gives a lock back.
    Release {
        /// The lock.
        lock: Blob,
        /// The token of the grant that ends.
        token: u64,
    },
    /// Does something with accounts.
    Bank(BankCommand),
    /// Asks for the changes of keys, oldest first.
    Changes {
        /// The prefix of the keys.
        prefix: Blob,
        /// The version after which they begin.
        after: u64,
        /// The most changes. Those of one version are never told apart, however many they are.
        limit: u32,
    },
    /// Asks for the store's clock.
    Clock,
    /// Asks for the latest version.
    Latest,
}

/// The output of a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StoreOutput {
    /// The operations were done: the outcome of each.
    Done(Vec<Outcome>),
    /// A condition on a key is not met, and nothing was done.
    NotMet {
        /// The position of the first such condition.
        condition: u32,
        /// What is there instead: the entry of its key.
        found: Option<Item>,
    },
    /// A lock is not held under the token of a condition, and nothing was done.
    Fenced {
        /// The position of the first such condition.
        condition: u32,
        /// The present grant.
        holder: Option<Held>,
    },
    /// The store's clock.
    Time {
        /// Milliseconds since the Unix epoch.
        now: u64,
        /// Entries and grants whose time is over, or whose end was to be noted, and which were too many for one tick; the next
        /// goes on. Not counted further than two thousand.
        waiting: u64,
    },
    /// The settings from now on.
    Settings(Settings),
    /// The store would hold more than it may, so nothing was done. What removes or shrinks something is done all the same.
    Full {
        /// The bytes that it holds, as [`Store::bytes`](super::Store::bytes) counts them.
        held: u64,
        /// The most that it may hold.
        most: u64,
        /// The bytes by which it would have grown.
        more: u64,
    },
}

/// The entry of a key, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// The value.
    pub value: Blob,
    /// The version of the change that put it there. Versions begin at 1; the changes of one command have the same.
    pub version: u64,
    /// The milliseconds that it has left, if it ends by itself.
    pub left: Option<u64>,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// Its version.
    pub version: u64,
    /// The key.
    pub key: Blob,
    /// The new value; none if it was deleted or its time was over.
    pub value: Option<Blob>,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The entry of the key.
    Found(Item),
    /// The key has no value, so nothing was read, deleted or given time.
    Absent,
    /// Entries.
    Listed {
        /// Keys and entries.
        items: Vec<(Blob, Item)>,
        /// True if there are more behind the last one.
        more: bool,
    },
    /// It was stored.
    Stored {
        /// The version of the change.
        version: u64,
    },
    /// The sum, which was stored.
    Sum {
        /// The number.
        sum: i64,
        /// The version of the change.
        version: u64,
    },
    /// Nothing was added: the value is no number, or the sum would be too large for one.
    NoNumber,
    /// The entry has another time now.
    Lives,
    /// It was deleted.
    Deleted,
    /// The lock has a holder: the answer to a question, or the reason why nothing was done.
    Held {
        /// The grant.
        grant: Held,
        /// The milliseconds that it has left, if it ends by itself.
        left: Option<u64>,
    },
    /// Nobody holds the lock, so nobody can give it back.
    Free,
    /// The lock is the asker's, from now on.
    Granted {
        /// A token above all tokens before.
        token: u64,
    },
    /// The lock was the asker's before. It is the same grant, with the time that was asked for now.
    AlreadyYours {
        /// The token of the grant.
        token: u64,
    },
    /// The lock was given back.
    Released,
    /// The outcome at the bank.
    Bank(BankOutput),
    /// Changes.
    Changed {
        /// All with the prefix after the version that was asked for, up to `last`.
        changes: Vec<Change>,
        /// The version up to which these are all: the one to ask after next.
        last: u64,
    },
    /// Changes after the version that was asked for are not kept any more.
    Truncated {
        /// The oldest version after which changes can be asked for.
        oldest: u64,
    },
    /// The latest version: that of the last change.
    Latest {
        /// The version.
        version: u64,
    },
    /// The store's clock.
    Clock {
        /// Milliseconds since the Unix epoch; zero before the first tick.
        now: u64,
        /// True if something ends by itself, so that somebody should tell the time.
        runs: bool,
        /// The number of times that were given so far.
        given: u64,
    },
}

impl Operation {
    /// True if the operation changes nothing, whatever the state.
    pub fn only_asks(&self) -> bool {
        match self {
            Operation::Get { .. }
            | Operation::List { .. }
            | Operation::Holder { .. }
            | Operation::Changes { .. }
            | Operation::Clock
            | Operation::Latest => true,
            Operation::Bank(command) => matches!(command, BankCommand::Balance { .. }),
            Operation::Put { .. }
            | Operation::PutIf { .. }
            | Operation::Add { .. }
            | Operation::Live { .. }
            | Operation::Delete { .. }
            | Operation::Acquire { .. }
            | Operation::Release { .. } => false,
        }
    }
}

impl StoreCommand {
    /// True if the command changes nothing, whatever the state.
    pub fn only_asks(&self) -> bool {
        match self {
            StoreCommand::Transact { then, .. } => then.iter().all(Operation::only_asks),
            StoreCommand::Tick { .. } | StoreCommand::Settings(_) => false,
        }
    }
}
