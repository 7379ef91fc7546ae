//! Guarantees that a compare-and-swap happens exactly when what it expects is there: a store in the manner of phxkv.
//!
//! Every change draws the next number of one counter as its *version*. So a version is never seen twice, not even of a
//! key that was deleted in between, and nothing has to be remembered of deleted keys. (phxkv counts each key by itself and
//! keeps what is deleted.) Versions of one key therefore rise, but not by one.

use crate::blob::Blob;
use crate::machine::{NotRestored, StateMachine, plausible};
use crate::sorted::Sorted;
use crate::{decode, encode};
use serde::{Deserialize, Serialize};

/// Values by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kv {
    entries: Sorted<Blob, Entry>,
    /// The version drawn last.
    latest: u64,
}

/// The value and version of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    pub value: Blob,
    /// The change that put it there. Versions begin at 1.
    pub version: u64,
}

/// A condition for a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The value that this change put there.
    Version(u64),
    /// This value, whoever put it there.
    Value(Blob),
}

/// The commands of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KvCommand {
    /// Asks for the value of a key.
    Get {
        /// The key.
        key: Blob,
    },
    /// Stores, whatever was there.
    Put {
        /// The key.
        key: Blob,
        /// The value.
        value: Blob,
    },
    /// Stores, if the expected is there.
    Cas {
        /// The key.
        key: Blob,
        /// The condition.
        expect: Expect,
        /// The new value.
        value: Blob,
    },
    /// Deletes; only the expected, if anything is.
    Delete {
        /// The key.
        key: Blob,
        /// The condition, if any.
        expect: Option<Expect>,
    },
}

/// The outputs of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KvOutput {
    /// The entry of the key.
    Found(Entry),
    /// There is nothing, so nothing was read or deleted.
    Absent,
    /// It was stored.
    Stored {
        /// The version of this change.
        version: u64,
    },
    /// It was deleted.
    Deleted,
    /// Nothing was done: the expected is not there.
    Conflict {
        /// The entry that is there instead.
        found: Option<Entry>,
    },
}

impl KvCommand {
    /// The key of the command. No command looks at two.
    pub fn key(&self) -> &Blob {
        match self {
            KvCommand::Get { key }
            | KvCommand::Put { key, .. }
            | KvCommand::Cas { key, .. }
            | KvCommand::Delete { key, .. } => key,
        }
    }
}

impl Expect {
    /// True if the entry meets the condition.
    pub fn is_met_by(&self, found: Option<&Entry>) -> bool {
        match (self, found) {
            (Expect::Absent, found) => found.is_none(),
            (_, None) => false,
            (Expect::Version(version), Some(entry)) => entry.version == *version,
            (Expect::Value(value), Some(entry)) => entry.value == *value,
        }
    }
}

impl Kv {
    /// The entry of a key.
    pub fn get(&self, key: &Blob) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The number of keys that have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if no key has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn store(&mut self, key: &Blob, value: &Blob) -> KvOutput {
        self.latest += 1;
        self.entries.insert(key.clone(), Entry { value: value.clone(), version: self.latest });
        KvOutput::Stored { version: self.latest }
    }
}

impl StateMachine for Kv {
    type Command = KvCommand;
    type Output = KvOutput;

    fn apply(&mut self, command: &KvCommand) -> KvOutput {
        let found = self.entries.get(command.key());
        match command {
            KvCommand::Get { .. } => found.cloned().map_or(KvOutput::Absent, KvOutput::Found),
            KvCommand::Put { key, value } => self.store(key, value),
            KvCommand::Cas { key, expect, value } => {
                if !expect.is_met_by(found) {
                    return KvOutput::Conflict { found: found.cloned() };
                }
                self.store(key, value)
            }
            KvCommand::Delete { key, expect } => {
                if expect.as_ref().is_some_and(|expect| !expect.is_met_by(found)) {
                    return KvOutput::Conflict { found: found.cloned() };
                }
                match self.entries.remove(key) {
                    Some(_) => KvOutput::Deleted,
                    None => KvOutput::Absent,
                }
            }
        }
    }

    fn query(&self, command: &KvCommand) -> Option<KvOutput> {
        let KvCommand::Get { key } = command else { return None };
        Some(self.get(key).cloned().map_or(KvOutput::Absent, KvOutput::Found))
    }

    fn snapshot(&self) -> Vec<u8> {
        encode(self)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        let kv: Kv = decode(snapshot)?;
        plausible("the latest version", kv.latest)?;
        let wrong = |entry: &Entry| entry.version == 0 || entry.version > kv.latest;
        if let Some((key, entry)) = kv.entries.iter().find(|(_, entry)| wrong(entry)) {
            let Entry { version, .. } = entry;
            return Err(NotRestored::because(format!("{key:?} has version {version} of {}", kv.latest)));
        }
        *self = kv;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> KvCommand {
        KvCommand::Put { key: key.into(), value: value.into() }
    }

    fn cas(expect: Expect, value: &str) -> KvCommand {
        KvCommand::Cas { key: "k".into(), expect, value: value.into() }
    }

    fn entry(value: &str, version: u64) -> Entry {
        Entry { value: value.into(), version }
    }

    #[test]
    fn a_swap_happens_exactly_when_the_expected_is_there() {
        let mut kv = Kv::default();
        assert_eq!(kv.apply(&cas(Expect::Version(0), "x")), KvOutput::Conflict { found: None });
        assert_eq!(kv.apply(&cas(Expect::Absent, "x")), KvOutput::Stored { version: 1 });
        assert_eq!(kv.apply(&cas(Expect::Absent, "y")), KvOutput::Conflict { found: Some(entry("x", 1)) });
        assert_eq!(kv.apply(&cas(Expect::Value("x".into()), "y")), KvOutput::Stored { version: 2 });
        assert_eq!(
            kv.apply(&cas(Expect::Version(1), "z")),
            KvOutput::Conflict { found: Some(entry("y", 2)) }
        );
        assert_eq!(kv.apply(&cas(Expect::Version(2), "z")), KvOutput::Stored { version: 3 });
        assert_eq!(kv.apply(&KvCommand::Get { key: "k".into() }), KvOutput::Found(entry("z", 3)));
    }

    #[test]
    fn a_version_never_comes_back() {
        let mut kv = Kv::default();
        kv.apply(&put("k", "x"));
        assert_eq!(kv.len(), 1);
        let delete = |expect| KvCommand::Delete { key: "k".into(), expect };
        assert_eq!(
            kv.apply(&delete(Some(Expect::Version(9)))),
            KvOutput::Conflict { found: Some(entry("x", 1)) }
        );
        assert_eq!(kv.apply(&delete(Some(Expect::Version(1)))), KvOutput::Deleted);
        assert_eq!(kv.apply(&delete(None)), KvOutput::Absent);
        assert_eq!(kv.apply(&delete(Some(Expect::Absent))), KvOutput::Absent);
        assert!(kv.is_empty());
        assert_eq!(kv.apply(&put("k", "x")), KvOutput::Stored { version: 2 }, "not 1 again");
    }

    #[test]
    fn versions_that_no_change_drew_are_refused() {
        let mut kv = Kv::default();
        kv.apply(&put("k", "x"));
        let mut forged = kv.clone();
        for latest in [0, u64::MAX] {
            forged.latest = latest;
            assert!(kv.restore(&forged.snapshot()).is_err(), "{latest}");
        }
        assert_eq!(kv.get(&"k".into()), Some(&entry("x", 1)), "as it was");
    }
}
