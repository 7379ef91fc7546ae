//! Guarantees that a lock has one holder at most, and that the token of each grant is above all tokens before it.
//!
//! A holder may be slow and act after its lock went to somebody else. A resource that the lock protects can refuse it then: each request
//! carries the grant's *fencing token*, and a token below the highest seen comes from a former holder.

use crate::blob::Blob;
use crate::machine::{NotRestored, StateMachine, plausible};
use crate::sorted::Sorted;
use crate::{decode, encode};
use serde::{Deserialize, Serialize};

/// Locks by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Locks {
    held: Sorted<Blob, Held>,
    /// The token of the latest grant, of any lock: nothing is remembered of locks that are free.
    latest: u64,
}

/// A lock that is not free.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The holder.
    pub owner: Blob,
    /// The grant's fencing token. Tokens begin at 1.
    pub token: u64,
}

/// The commands of locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockCommand {
    /// Asks for the holder.
    Holder {
        /// The lock.
        lock: Blob,
    },
    /// Takes it, if it is free.
    Acquire {
        /// The lock.
        lock: Blob,
        /// The client that wants it.
        owner: Blob,
    },
    /// Gives it back.
    Release {
        /// The lock.
        lock: Blob,
        /// The token of the grant that ends.
        token: u64,
        /// The holder.
        owner: Blob,
    },
}

/// The outputs of locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockOutput {
    /// The lock is the asker's, from now on.
    Granted {
        /// A token above all tokens before.
        token: u64,
    },
    /// The lock was the asker's before. This is not a second grant: one release ends it.
    AlreadyYours {
        /// The token of the grant.
        token: u64,
    },
    /// Somebody else has it, or had it first; nothing was done.
    Busy(Held),
    /// It was given back.
    Released,
    /// The lock is free: nobody holds it, so nobody can give it back.
    Free,
    /// The holder.
    By(Held),
}

impl Locks {
    /// The holder of a lock.
    pub fn holder(&self, lock: &Blob) -> Option<&Held> {
        self.held.get(lock)
    }
}

impl StateMachine for Locks {
    type Command = LockCommand;
    type Output = LockOutput;

    fn apply(&mut self, command: &LockCommand) -> LockOutput {
        match command {
            LockCommand::Holder { lock } => {
                self.held.get(lock).cloned().map_or(LockOutput::Free, LockOutput::By)
            }
            LockCommand::Acquire { lock, owner } => match self.held.get(lock) {
                Some(held) if held.owner == *owner => LockOutput::AlreadyYours { token: held.token },
                Some(held) => LockOutput::Busy(held.clone()),
                None => {
                    self.latest += 1;
                    self.held.insert(lock.clone(), Held { owner: owner.clone(), token: self.latest });
                    LockOutput::Granted { token: self.latest }
                }
            },
            LockCommand::Release { lock, token, owner } => match self.held.get(lock) {
                None => LockOutput::Free,
                Some(held) if held.owner == *owner && held.token == *token => {
                    self.held.remove(lock);
                    LockOutput::Released
                }
                Some(held) => LockOutput::Busy(held.clone()),
            },
        }
    }

    fn query(&self, command: &LockCommand) -> Option<LockOutput> {
        let LockCommand::Holder { lock } = command else { return None };
        Some(self.held.get(lock).cloned().map_or(LockOutput::Free, LockOutput::By))
    }

    fn snapshot(&self) -> Vec<u8> {
        encode(self)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        let locks: Locks = decode(snapshot)?;
        plausible("the latest token", locks.latest)?;
        let mut tokens: Vec<u64> = locks.held.values().map(|held| held.token).collect();
        tokens.sort_unstable();
        let twice = tokens.windows(2).any(|pair| pair[0] == pair[1]);
        if twice || tokens.first() == Some(&0) || tokens.last().is_some_and(|last| *last > locks.latest) {
            return Err(NotRestored::because(format!("{} grants had the tokens {tokens:?}", locks.latest)));
        }
        *self = locks;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(owner: &str) -> LockCommand {
        LockCommand::Acquire { lock: "l".into(), owner: owner.into() }
    }

    fn release(owner: &str, token: u64) -> LockCommand {
        LockCommand::Release { lock: "l".into(), token, owner: owner.into() }
    }

    #[test]
    fn one_holder_and_tokens_that_rise() {
        let mut locks = Locks::default();
        let held = |owner: &str, token| Held { owner: owner.into(), token };
        assert_eq!(locks.apply(&release("a", 1)), LockOutput::Free);
        assert_eq!(locks.apply(&acquire("a")), LockOutput::Granted { token: 1 });
        assert_eq!(locks.apply(&acquire("a")), LockOutput::AlreadyYours { token: 1 });
        assert_eq!(locks.apply(&acquire("b")), LockOutput::Busy(held("a", 1)));
        assert_eq!(locks.apply(&release("b", 1)), LockOutput::Busy(held("a", 1)), "not b's to release");
        assert_eq!(locks.apply(&release("a", 1)), LockOutput::Released);
        assert_eq!(locks.apply(&acquire("b")), LockOutput::Granted { token: 2 });
        assert_eq!(locks.apply(&release("b", 1)), LockOutput::Busy(held("b", 2)), "an older grant's release");
        assert_eq!(locks.apply(&LockCommand::Holder { lock: "l".into() }), LockOutput::By(held("b", 2)));
        assert_eq!(locks.holder(&"l".into()), Some(&held("b", 2)));
    }

    #[test]
    fn tokens_that_were_never_granted_are_refused() {
        let mut locks = Locks::default();
        locks.apply(&acquire("a"));
        locks.apply(&LockCommand::Acquire { lock: "m".into(), owner: "a".into() });
        for forge in [
            |locks: &mut Locks| locks.latest = 1,
            |locks: &mut Locks| locks.latest = u64::MAX,
            |locks: &mut Locks| locks.held.get_mut(&Blob::from("l")).expect("it is held").token = 2,
            |locks: &mut Locks| locks.held.get_mut(&Blob::from("l")).expect("it is held").token = 0,
        ] {
            let mut forged = locks.clone();
            forge(&mut forged);
            assert!(Locks::default().restore(&forged.snapshot()).is_err(), "{forged:?}");
        }
    }
}
