//! The store against one that is written without any care for its cost: nothing indexed, nothing dropped, nothing removed before
//! somebody asks.

use crate::holds;
use crate::machines::Tried;
use proptest::prelude::*;
use std::collections::BTreeMap;
use synod_machine::{
    Bank, Blob, Change, Condition, Entry, Held, Item, Lives, Operation, Outcome, Settings, StateMachine,
    Store, StoreCommand, StoreOutput,
};

/// A value, a version and an end; or an owner, a token and an end.
type Kept = (Blob, u64, Option<End>);

/// A time that somebody gave something, by its number, and the time at which it is over once it runs.
type End = (u64, u64, Option<u64>);

#[derive(Clone, Default)]
struct Naive {
    clock: u64,
    given: u64,
    version: u64,
    token: u64,
    keys: BTreeMap<Blob, Kept>,
    locks: BTreeMap<Blob, Kept>,
    bank: Bank,
    settings: Settings,
    /// All changes there ever were.
    changes: Vec<Change>,
}

impl Naive {
    fn is_there(&self, end: Option<End>) -> bool {
        self.left(end).is_none_or(|left| left > 0)
    }

    fn left(&self, end: Option<End>) -> Option<u64> {
        end.map(|(_, time, over)| over.map_or(time, |over| over.saturating_sub(self.clock)))
    }

    fn end(&mut self, lives: Lives, before: Option<End>) -> Option<End> {
        match lives {
            Lives::Forever => None,
            Lives::For(time) => {
                self.given += 1;
                Some((self.given, time.max(1), None))
            }
            Lives::AsBefore => before,
        }
    }

    fn find(&self, among: &BTreeMap<Blob, Kept>, name: &Blob) -> Option<Kept> {
        among.get(name).filter(|kept| self.is_there(kept.2)).cloned()
    }

    fn item(&self, (value, version, ends): Kept) -> Item {
        Item { value, version, left: self.left(ends) }
    }

    fn held(&self, (owner, token, ends): Kept) -> Outcome {
        Outcome::Held { grant: Held { owner, token }, left: self.left(ends) }
    }

    fn change(&mut self, version: u64, key: &Blob, value: Option<Blob>) {
        self.version = version;
        self.changes.retain(|change| change.version != version || change.key != *key);
        self.changes.push(Change { version, key: key.clone(), value });
        self.changes.sort();
    }

    fn apply(&mut self, command: &StoreCommand) -> StoreOutput {
        match command {
            StoreCommand::Tick { now, given } => {
                self.clock = self.clock.max(*now);
                let clock = self.clock;
                for end in self.keys.values_mut().chain(self.locks.values_mut()).flat_map(|kept| &mut kept.2)
                {
                    if end.0 <= *given && end.2.is_none() {
                        end.2 = Some(clock + end.1);
                    }
                }
                let version = self.version + 1;
                let gone: Vec<Blob> = self
                    .keys
                    .iter()
                    .filter(|(_, kept)| !self.is_there(kept.2))
                    .map(|(key, _)| key.clone())
                    .collect();
                for key in gone {
                    self.keys.remove(&key);
                    self.change(version, &key, None);
                }
                // What they had given ends at the ticks as well.
                let there: Vec<bool> = self.locks.values().map(|kept| self.is_there(kept.2)).collect();
                let mut there = there.into_iter();
                self.locks.retain(|_, _| there.next() == Some(true));
                StoreOutput::Time { now: self.clock, waiting: 0 }
            }
            StoreCommand::Transact { when, then } => {
                for (condition, one) in (0..).zip(when) {
                    match one {
                        Condition::Key { key, expect } => {
                            let found = self.find(&self.keys, key);
                            let entry = found.clone().map(|(value, version, _)| Entry { value, version });
                            if !expect.is_met_by(entry.as_ref()) {
                                return StoreOutput::NotMet {
                                    condition,
                                    found: found.map(|kept| self.item(kept)),
                                };
                            }
                        }
                        Condition::Unchanged { key, since } => {
                            let found = self.find(&self.keys, key);
                            let version = found.as_ref().map_or(0, |kept| kept.1);
                            let was_changed = |change: &Change| change.key == *key && change.version > *since;
                            if version > *since || found.is_none() && self.changes.iter().any(was_changed) {
                                return StoreOutput::NotMet {
                                    condition,
                                    found: found.map(|kept| self.item(kept)),
                                };
                            }
                        }
                        Condition::Lock { lock, token } => {
                            let found = self.find(&self.locks, lock);
                            if found.as_ref().map(|kept| kept.1) != Some(*token) {
                                let holder = found.map(|(owner, token, _)| Held { owner, token });
                                return StoreOutput::Fenced { condition, holder };
                            }
                        }
                    }
                }
                let (version, before) = (self.version + 1, self.clone());
                let outcomes = then.iter().map(|operation| self.operate(operation, version)).collect();
                let (held, now, most) = (before.bytes(), self.bytes(), self.settings.bytes);
                if now > most && now > held {
                    *self = before;
                    return StoreOutput::Full { held, most, more: now - held };
                }
                StoreOutput::Done(outcomes)
            }
            StoreCommand::Settings(settings) => {
                if settings.check().is_ok() {
                    self.settings = *settings;
                }
                StoreOutput::Settings(self.settings)
            }
        }
    }

    /// Every name, value and owner, and 128 bytes for each of them that are a key, a lock or an account.
    fn bytes(&self) -> u64 {
        let kept = self.keys.iter().chain(&self.locks);
        let accounts = (0..3).filter(|account| self.bank.balance(*account) > 0).count() as u64;
        kept.map(|(name, kept)| 128 + (name.len() + kept.0.len()) as u64).sum::<u64>() + 128 * accounts
    }

    fn operate(&mut self, operation: &Operation, version: u64) -> Outcome {
        match operation {
            Operation::Get { key } => {
                self.find(&self.keys, key).map_or(Outcome::Absent, |kept| Outcome::Found(self.item(kept)))
            }
            Operation::List { prefix, after, limit } => {
                let mut all = Vec::new();
                for key in self.keys.keys() {
                    let is_listed = key.starts_with(prefix) && after.as_ref().is_none_or(|after| key > after);
                    if let Some(kept) = self.find(&self.keys, key).filter(|_| is_listed) {
                        all.push((key.clone(), self.item(kept)));
                    }
                }
                let most = (*limit as usize).max(1);
                let more = all.len() > most;
                all.truncate(most);
                Outcome::Listed { items: all, more }
            }
            Operation::Put { key, value, lives } => {
                let ends = self.end(*lives, self.find(&self.keys, key).and_then(|kept| kept.2));
                self.keys.insert(key.clone(), (value.clone(), version, ends));
                self.change(version, key, Some(value.clone()));
                Outcome::Stored { version }
            }
            Operation::PutIf { key, value, lives, exists } => {
                let found = self.find(&self.keys, key);
                if found.is_some() == *exists {
                    let put = Operation::Put { key: key.clone(), value: value.clone(), lives: *lives };
                    return self.operate(&put, version);
                }
                found.map_or(Outcome::Absent, |kept| Outcome::Found(self.item(kept)))
            }
            Operation::Add { key, by } => {
                let found = self.find(&self.keys, key);
                let text = found
                    .as_ref()
                    .map_or("0".to_owned(), |kept| String::from_utf8_lossy(&kept.0).into_owned());
                match text.parse::<i64>().ok().and_then(|number| number.checked_add(*by)) {
                    None => Outcome::NoNumber,
                    Some(sum) => {
                        let value = Blob::from(sum.to_string().as_str());
                        self.keys
                            .insert(key.clone(), (value.clone(), version, found.and_then(|kept| kept.2)));
                        self.change(version, key, Some(value));
                        Outcome::Sum { sum, version }
                    }
                }
            }
            Operation::Live { key, lives } => match self.find(&self.keys, key) {
                None => Outcome::Absent,
                Some((value, old, ends)) => {
                    let end = self.end(*lives, ends);
                    self.keys.insert(key.clone(), (value, old, end));
                    Outcome::Lives
                }
            },
            Operation::Delete { key } => {
                let found = self.find(&self.keys, key);
                if self.keys.remove(key).is_some() {
                    self.change(version, key, None);
                }
                found.map_or(Outcome::Absent, |_| Outcome::Deleted)
            }
            Operation::Holder { lock } => {
                self.find(&self.locks, lock).map_or(Outcome::Free, |kept| self.held(kept))
            }
            Operation::Acquire { lock, owner, lives } => match self.find(&self.locks, lock) {
                Some((holder, token, ends)) if holder == *owner => {
                    let ends = self.end(*lives, ends);
                    self.locks.insert(lock.clone(), (holder, token, ends));
                    Outcome::AlreadyYours { token }
                }
                Some(kept) => self.held(kept),
                None => {
                    self.token += 1;
                    let ends = self.end(*lives, None);
                    self.locks.insert(lock.clone(), (owner.clone(), self.token, ends));
                    Outcome::Granted { token: self.token }
                }
            },
            Operation::Release { lock, token } => match self.find(&self.locks, lock) {
                None => Outcome::Free,
                Some(kept) if kept.1 != *token => self.held(kept),
                Some(_) => {
                    self.locks.remove(lock);
                    Outcome::Released
                }
            },
            Operation::Bank(command) => Outcome::Bank(self.bank.apply(command)),
            Operation::Changes { prefix, after, limit } => {
                let mut told: Vec<Change> = Vec::new();
                for change in self.changes.iter().filter(|change| change.version > *after) {
                    let is_new = told.last().is_none_or(|last| last.version != change.version);
                    if told.len() >= (*limit as usize).max(1) && is_new {
                        let last = told.last().map_or(0, |last| last.version);
                        let between = self.changes.iter().map(|change| change.version);
                        let last = between.filter(|at| *at < change.version).max().unwrap_or(last);
                        return Outcome::Changed { changes: told, last };
                    }
                    if change.key.starts_with(prefix) {
                        told.push(change.clone());
                    }
                }
                Outcome::Changed { changes: told, last: self.version.max(*after) }
            }
            Operation::Latest => Outcome::Latest { version: self.version },
            Operation::Clock => {
                let ends = self.keys.values().chain(self.locks.values()).any(|kept| kept.2.is_some());
                Outcome::Clock { now: self.clock, runs: ends, given: self.given }
            }
        }
    }
}

#[test]
fn a_store_does_what_one_without_care_for_its_cost_does() {
    holds("a store beside a naive one", 2000, &Store::log(), |log| {
        let (mut store, mut naive) = (Store::fresh(), Naive::default());
        for (at, command) in log.iter().enumerate() {
            prop_assert_eq!(store.query(command).is_some(), command.only_asks());
            prop_assert_eq!(store.apply(command), naive.apply(command), "command {}", at);
            prop_assert_eq!((store.clock(), store.version()), (naive.clock, naive.version));
            prop_assert_eq!((store.bytes(), store.settings()), (naive.bytes(), naive.settings));
            let mut restored = Store::default();
            restored.restore(&store.snapshot()).expect("its own snapshot");
            prop_assert_eq!(&restored, &store, "its bytes and settings too");
        }
        Ok(())
    });
}
