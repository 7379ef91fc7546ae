//! The requests that have names: each is a command, and the function that reads its output. Both fronts run them.

use crate::error::{Error, Full};
use crate::message::Reading;
use crate::running::Kind;
use synod_machine::{
    BankCommand, BankOutput, Blob, Condition, Expect, Held, Item, Lives, Operation, Outcome, StoreCommand,
    StoreOutput,
};

/// A request with a result of type `T`.
#[derive(Clone, Debug)]
pub struct Request<T> {
    pub(crate) kind: Kind,
    pub(crate) command: StoreCommand,
    /// Reads the output; gives it back if it is of another kind.
    pub(crate) read: fn(StoreOutput) -> Result<T, StoreOutput>,
}

impl<T> Request<T> {
    pub(crate) fn result(
        read: fn(StoreOutput) -> Result<T, StoreOutput>,
        output: StoreOutput,
    ) -> Result<T, Error> {
        if let StoreOutput::Full { held, most, more } = output {
            return Err(Error::Full(Full { held, most, more }));
        }
        read(output).map_err(|output| match output {
            StoreOutput::Fenced { holder, .. } => Error::Fenced(holder),
            output => Error::Unexpected(format!("{output:?}")),
        })
    }

    /// The same request, done only while a lock is held under a fencing token. The replicas look at that when they execute the command. So
    /// a holder that was paused, and whose grant ended meanwhile, changes nothing any more: the call ends with [`Error::Fenced`].
    #[must_use]
    pub fn fenced(mut self, lock: impl Into<Blob>, token: u64) -> Request<T> {
        if let StoreCommand::Transact { when, .. } = &mut self.command {
            when.push(Condition::Lock { lock: lock.into(), token });
        }
        self
    }
}

/// The result of a compare-and-swap, or of another change with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The expected was there, and the key has the new value.
    Swapped {
        /// The version of the change.
        version: u64,
    },
    /// Something else was there, and nothing was done.
    NotMet {
        /// The entry that was there, if any.
        found: Option<Item>,
    },
}

/// The result of asking for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// The lock is the asker's. A write that names the token is refused after the grant has ended.
    Granted {
        /// The fencing token, above those of all grants before.
        token: u64,
        /// True if the asker held it before and has more time now.
        was_held: bool,
    },
    /// Another one holds it.
    Held {
        /// The present grant.
        grant: Held,
        /// The milliseconds that it has left, if it ends by itself.
        left: Option<u64>,
    },
}

/// The result of giving back a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It was given back.
    Released,
    /// Nobody holds it.
    Free,
    /// It is held under another token.
    Held {
        /// The present grant.
        grant: Held,
    },
}

/// Entries of keys, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Keys and entries.
    pub items: Vec<(Blob, Item)>,
    /// True if there are more behind the last one.
    pub more: bool,
}

/// Changes of keys, as far as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// All changes after the version that was asked for, oldest first, up to a version.
    Changes {
        /// The changes.
        changes: Vec<synod_machine::Change>,
        /// The version up to which these are all: the one to ask after next.
        last: u64,
    },
    /// Changes after the version that was asked for are not kept any more.
    Truncated {
        /// The oldest version after which changes can be asked for.
        oldest: u64,
    },
}

fn one<T>(kind: Kind, operation: Operation, read: fn(StoreOutput) -> Result<T, StoreOutput>) -> Request<T> {
    when(kind, Vec::new(), operation, read)
}

fn when<T>(
    kind: Kind,
    when: Vec<Condition>,
    operation: Operation,
    read: fn(StoreOutput) -> Result<T, StoreOutput>,
) -> Request<T> {
    Request { kind, command: StoreCommand::Transact { when, then: vec![operation] }, read }
}

/// The only outcome of a transaction with one operation.
fn only(output: StoreOutput) -> Result<Outcome, StoreOutput> {
    match output {
        StoreOutput::Done(mut outcomes) if outcomes.len() == 1 => {
            outcomes.pop().ok_or(StoreOutput::Done(outcomes))
        }
        other => Err(other),
    }
}

fn other<T>(outcome: Outcome) -> Result<T, StoreOutput> {
    Err(StoreOutput::Done(vec![outcome]))
}

/// The entry of a key, if it has a value.
pub fn get(key: impl Into<Blob>, reading: Reading) -> Request<Option<Item>> {
    one(Kind::Query(reading), Operation::Get { key: key.into() }, |output| match only(output)? {
        Outcome::Found(item) => Ok(Some(item)),
        Outcome::Absent => Ok(None),
        outcome => other(outcome),
    })
}

/// Entries of the keys with a prefix: at most so many, and from the first key after `after`, if there is one. The cluster has its own
/// bounds beside `limit`.
pub fn list(prefix: impl Into<Blob>, after: Option<Blob>, limit: u32, reading: Reading) -> Request<Listed> {
    let operation = Operation::List { prefix: prefix.into(), after, limit };
    one(Kind::Query(reading), operation, |output| match only(output)? {
        Outcome::Listed { items, more } => Ok(Listed { items, more }),
        outcome => other(outcome),
    })
}

/// Stores a value, whatever was there. The result is the version of the change.
pub fn put(key: impl Into<Blob>, value: impl Into<Blob>, lives: Lives) -> Request<u64> {
    let operation = Operation::Put { key: key.into(), value: value.into(), lives };
    one(Kind::Submit, operation, |output| match only(output)? {
        Outcome::Stored { version } => Ok(version),
        outcome => other(outcome),
    })
}

/// Stores a value if the expected is there.
pub fn compare_and_swap(
    key: impl Into<Blob>,
    expect: Expect,
    value: impl Into<Blob>,
    lives: Lives,
) -> Request<Swap> {
    let key = key.into();
    let condition = Condition::Key { key: key.clone(), expect };
    let operation = Operation::Put { key, value: value.into(), lives };
    when(Kind::Submit, vec![condition], operation, |output| match output {
        StoreOutput::NotMet { found, .. } => Ok(Swap::NotMet { found }),
        output => match only(output)? {
            Outcome::Stored { version } => Ok(Swap::Swapped { version }),
            outcome => other(outcome),
        },
    })
}

/// Deletes a key. The result is false if there was nothing to delete.
pub fn delete(key: impl Into<Blob>) -> Request<bool> {
    one(Kind::Submit, Operation::Delete { key: key.into() }, |output| match only(output)? {
        Outcome::Deleted => Ok(true),
        Outcome::Absent => Ok(false),
        outcome => other(outcome),
    })
}

/// Takes a lock if it is free. Its holder may ask again, to have more time.
pub fn lock(name: impl Into<Blob>, owner: impl Into<Blob>, lives: Lives) -> Request<Locked> {
    let operation = Operation::Acquire { lock: name.into(), owner: owner.into(), lives };
    one(Kind::Submit, operation, |output| match only(output)? {
        Outcome::Granted { token } => Ok(Locked::Granted { token, was_held: false }),
        Outcome::AlreadyYours { token } => Ok(Locked::Granted { token, was_held: true }),
        Outcome::Held { grant, left } => Ok(Locked::Held { grant, left }),
        outcome => other(outcome),
    })
}

/// Gives a lock back.
pub fn unlock(name: impl Into<Blob>, token: u64) -> Request<Unlocked> {
    one(Kind::Submit, Operation::Release { lock: name.into(), token }, |output| match only(output)? {
        Outcome::Released => Ok(Unlocked::Released),
        Outcome::Free => Ok(Unlocked::Free),
        Outcome::Held { grant, .. } => Ok(Unlocked::Held { grant }),
        outcome => other(outcome),
    })
}

/// Does something with accounts.
pub fn bank(command: BankCommand) -> Request<BankOutput> {
    let kind = match command {
        BankCommand::Balance { .. } => Kind::Query(Reading::Linearizable),
        BankCommand::Deposit { .. } | BankCommand::Withdraw { .. } | BankCommand::Transfer { .. } => {
            Kind::Submit
        }
    };
    one(kind, Operation::Bank(command), |output| match only(output)? {
        Outcome::Bank(output) => Ok(output),
        outcome => other(outcome),
    })
}

/// Moves an amount from one account to another, if it is covered.
pub fn transfer(from: u64, to: u64, amount: u64) -> Request<BankOutput> {
    bank(BankCommand::Transfer { from, to, amount })
}

/// Does all operations, in this order, if every condition is met; otherwise none.
pub fn transaction(when: Vec<Condition>, then: Vec<Operation>) -> Request<StoreOutput> {
    let command = StoreCommand::Transact { when, then };
    let kind = if command.only_asks() { Kind::Query(Reading::Linearizable) } else { Kind::Submit };
    Request { kind, command, read: Ok }
}

/// The changes of keys with a prefix after a version, oldest first: at most so many, and those of one version together.
pub fn changes(prefix: impl Into<Blob>, after: u64, limit: u32, reading: Reading) -> Request<Changed> {
    let operation = Operation::Changes { prefix: prefix.into(), after, limit };
    one(Kind::Query(reading), operation, |output| match only(output)? {
        Outcome::Changed { changes, last } => Ok(Changed::Changes { changes, last }),
        Outcome::Truncated { oldest } => Ok(Changed::Truncated { oldest }),
        outcome => other(outcome),
    })
}

/// The version of the last change of any key.
pub fn latest() -> Request<u64> {
    one(Kind::Query(Reading::Linearizable), Operation::Latest, |output| match only(output)? {
        Outcome::Latest { version } => Ok(version),
        outcome => other(outcome),
    })
}
