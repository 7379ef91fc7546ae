//! Guarantees that all operations of a transaction happen at one moment or not at all, that an entry whose time is over is
//! never seen again, and that no write gets past a fencing token of an ended grant: the machine that is to be served.
//!
//! One log has everything: keys, locks and accounts, each with names of its own. So a write can be bound to a lock, and
//! one transaction can look at all three.
//!
//! **Time comes from the log.** No replica looks at its own clock: [`StoreCommand::Tick`] moves the store's clock, and what has a
//! time ends by that. An entry is gone for all who ask as soon as the clock has passed its end; it is removed, and that
//! counts as a change, by the ticks, a bounded number at a time. Nothing ends early: the clock may stand still for long before
//! an entry is written, so its time runs from the first tick of which the teller knew the entry (`times`).
//!
//! **Versions.** Each command that changes a key draws the next number of one counter, and all its changes have that version. A version
//! never comes back, not even of a key that was deleted in between.

mod bytes;
mod changes;
mod division;
mod lengths;
mod settings;
#[cfg(test)]
mod tests;
mod times;
mod words;

use crate::bank::Bank;
use crate::blob::Blob;
use crate::codec::{decode_first, decode_unless, encode_unless};
use crate::encode;
use crate::kv::Entry;
use crate::lock::Held;
use crate::machine::{NotRestored, StateMachine, plausible};
use crate::sorted::Sorted;
use bytes::Bytes;
use changes::Changes;
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use times::{End, Name, Times};

pub use division::{Across, Lies, group_of, group_of_prefix};
pub use lengths::TooLong;
pub use settings::{Lengths, Settings};
pub use words::{Change, Condition, Item, Lives, Operation, Outcome, StoreCommand, StoreOutput};

/// The most entries of one list.
pub const MOST_LISTED: usize = 1000;
/// About the most bytes of one answer: an entry that begins below them is told.
pub const MOST_TOLD: u64 = 256 << 10;
/// The most changes that the conditions of one transaction look at.
const LOOKED_AT: usize = 50_000;
/// The most entries and grants that one tick removes.
const SWEEP: usize = 1000;

/// Keys with values, locks and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    times: Times,
    keys: Sorted<Blob, Ending<Entry>>,
    /// The version drawn last.
    latest: u64,
    changes: Changes,
    locks: Sorted<Blob, Ending<Held>>,
    /// The token of the latest grant.
    token: u64,
    bank: Bank,
    /// The settings that were told last.
    told: Option<Settings>,
    /// It follows from keys and locks.
    held: Bytes,
}

/// Something that may end by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Ending<T> {
    what: T,
    end: Option<End>,
}

/// A store in a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    times: times::Saved,
    keys: Sorted<Blob, Ending<Entry>>,
    latest: u64,
    changes: Changes,
    locks: Sorted<Blob, Ending<Held>>,
    token: u64,
    bank: Blob,
}

impl Store {
    /// The store's clock, in milliseconds since the Unix epoch; zero before the first tick.
    pub fn clock(&self) -> u64 {
        self.times.clock()
    }

    /// The latest version.
    pub fn version(&self) -> u64 {
        self.latest
    }

    /// The number of keys, those included whose time is over and which no tick has removed yet.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The bytes that the store is charged with: those of keys with their values and of locks with their owners, and 128 for each key, lock and
    /// account. What has a time counts until a tick removes it.
    pub fn bytes(&self) -> u64 {
        self.held.with(self.keys.len() + self.locks.len() + self.bank.accounts())
    }

    /// Does operations unless the store would end above its limit and hold more than before. Then nothing is done.
    fn within_bytes(
        &mut self,
        then: &[Operation],
        act: impl FnOnce(&mut Store) -> StoreOutput,
    ) -> StoreOutput {
        let (held, most) = (self.bytes(), self.settings().bytes);
        let growth = then.iter().fold(0u64, |sum, operation| sum.saturating_add(operation.growth()));
        if growth == 0 || held.saturating_add(growth) <= most {
            return act(self);
        }
        // Only near the limit: changes after a copy cost more than without one.
        let before = self.clone();
        let output = act(self);
        let after = self.bytes();
        if after > most && after > held {
            *self = before;
            return StoreOutput::Full { held, most, more: after - held };
        }
        output
    }

    /// The settings that hold, of which those of sessions and of lengths are for whoever stands before the store.
    pub fn settings(&self) -> Settings {
        self.told.unwrap_or_default()
    }

    /// The settings that were told last, if any were.
    pub fn told(&self) -> Option<&Settings> {
        self.told.as_ref()
    }

    /// The end of something that begins now.
    fn end(&mut self, lives: Lives, before: Option<End>) -> Option<End> {
        match lives {
            Lives::Forever => None,
            Lives::For(time) => Some(self.times.give(time)),
            Lives::AsBefore => before,
        }
    }

    fn is_there<T>(&self, kept: &Ending<T>) -> bool {
        kept.end.is_none_or(|end| !self.times.is_over(end))
    }

    fn left<T>(&self, kept: &Ending<T>) -> Option<u64> {
        kept.end.map(|end| self.times.left(end))
    }

    fn entry(&self, key: &Blob) -> Option<&Ending<Entry>> {
        self.keys.get(key).filter(|entry| self.is_there(entry))
    }

    fn item(&self, key: &Blob) -> Option<Item> {
        self.entry(key).map(|entry| self.item_of(entry))
    }

    fn item_of(&self, entry: &Ending<Entry>) -> Item {
        let Entry { value, version } = entry.what.clone();
        Item { value, version, left: self.left(entry) }
    }

    fn grant(&self, lock: &Blob) -> Option<&Ending<Held>> {
        self.locks.get(lock).filter(|grant| self.is_there(grant))
    }

    fn held(&self, grant: &Ending<Held>) -> Outcome {
        Outcome::Held { grant: grant.what.clone(), left: self.left(grant) }
    }

    /// Keeps an entry, and its end among all ends.
    fn keep(&mut self, key: &Blob, entry: Ending<Entry>) {
        let end = entry.end;
        let value = entry.what.value.clone();
        let before = self.keys.insert(key.clone(), entry);
        self.held.comes(key, &value, before.as_ref().map(|entry| &entry.what.value));
        self.times.moves(&Name::Key(key.clone()), before.and_then(|entry| entry.end), end);
    }

    /// Keeps a grant, and its end among all ends.
    fn keep_grant(&mut self, lock: &Blob, grant: Ending<Held>) {
        let end = grant.end;
        let owner = grant.what.owner.clone();
        let before = self.locks.insert(lock.clone(), grant);
        self.held.comes(lock, &owner, before.as_ref().map(|grant| &grant.what.owner));
        self.times.moves(&Name::Lock(lock.clone()), before.and_then(|grant| grant.end), end);
    }

    fn remove(&mut self, key: &Blob) -> bool {
        let Some(entry) = self.keys.remove(key) else { return false };
        self.held.goes(key, Some(&entry.what.value));
        self.times.moves(&Name::Key(key.clone()), entry.end, None);
        true
    }

    fn remove_grant(&mut self, lock: &Blob) {
        if let Some(grant) = self.locks.remove(lock) {
            self.held.goes(lock, Some(&grant.what.owner));
            self.times.moves(&Name::Lock(lock.clone()), grant.end, None);
        }
    }

    /// The first condition that is not met, as the output that says so.
    fn not_met(&self, when: &[Condition]) -> Option<StoreOutput> {
        let mut budget = LOOKED_AT;
        (0..).zip(when).find_map(|(condition, one)| match one {
            Condition::Key { key, expect } => {
                let found = self.entry(key);
                let is_met = expect.is_met_by(found.map(|entry| &entry.what));
                (!is_met)
                    .then(|| StoreOutput::NotMet { condition, found: found.map(|entry| self.item_of(entry)) })
            }
            Condition::Unchanged { key, since } => {
                let found = self.entry(key);
                let is_met = match found {
                    Some(entry) => entry.what.version <= *since,
                    None => self.changes.leave(key, *since, &mut budget),
                };
                (!is_met)
                    .then(|| StoreOutput::NotMet { condition, found: found.map(|entry| self.item_of(entry)) })
            }
            Condition::Lock { lock, token } => {
                let holder = self.grant(lock).map(|grant| &grant.what);
                let is_met = holder.is_some_and(|holder| holder.token == *token);
                (!is_met).then(|| StoreOutput::Fenced { condition, holder: holder.cloned() })
            }
        })
    }

    /// Answers an operation that only asks.
    fn answer(&self, operation: &Operation) -> Option<Outcome> {
        Some(match operation {
            Operation::Get { key } => self.item(key).map_or(Outcome::Absent, Outcome::Found),
            Operation::List { prefix, after, limit } => self.list(prefix, after.as_ref(), *limit),
            Operation::Holder { lock } => self.grant(lock).map_or(Outcome::Free, |grant| self.held(grant)),
            Operation::Changes { prefix, after, limit } => {
                let limit = (*limit as usize).min(MOST_LISTED);
                self.changes.after(prefix, *after, limit, self.latest, MOST_TOLD)
            }
            Operation::Bank(command) => Outcome::Bank(self.bank.query(command)?),
            Operation::Clock => {
                Outcome::Clock { now: self.clock(), runs: self.times.runs(), given: self.times.given() }
            }
            Operation::Latest => Outcome::Latest { version: self.latest },
            _ => return None,
        })
    }

    fn list(&self, prefix: &Blob, after: Option<&Blob>, limit: u32) -> Outcome {
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(prefix.clone()),
        };
        let below = self.keys.range((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let (mut items, mut bytes) = (Vec::new(), 0);
        for (key, entry) in below.filter(|(_, entry)| self.is_there(entry)) {
            if items.len() >= (limit as usize).clamp(1, MOST_LISTED) || bytes >= MOST_TOLD {
                return Outcome::Listed { items, more: true };
            }
            bytes += (key.len() + entry.what.value.len()) as u64;
            items.push((key.clone(), self.item_of(entry)));
        }
        Outcome::Listed { items, more: false }
    }

    /// Does an operation, whose changes have this version.
    fn operate(&mut self, operation: &Operation, version: u64) -> Outcome {
        if let Some(outcome) = self.answer(operation) {
            return outcome;
        }
        match operation {
            Operation::Put { key, value, lives } => {
                // To look for what was there costs as much as to store something, so it is done only where it counts.
                let is_asked = *lives == Lives::AsBefore;
                let before = if is_asked { self.entry(key).and_then(|entry| entry.end) } else { None };
                let end = self.end(*lives, before);
                self.put(key, value.clone(), end, version);
                Outcome::Stored { version }
            }
            Operation::PutIf { key, value, lives, exists } => match self.item(key) {
                None if *exists => Outcome::Absent,
                Some(item) if !*exists => Outcome::Found(item),
                _ => {
                    let put = Operation::Put { key: key.clone(), value: value.clone(), lives: *lives };
                    self.operate(&put, version)
                }
            },
            Operation::Add { key, by } => {
                let entry = self.entry(key);
                let number = entry.map_or(Some(0), |entry| number(&entry.what.value));
                let Some(sum) = number.and_then(|number| number.checked_add(*by)) else {
                    return Outcome::NoNumber;
                };
                let end = entry.and_then(|entry| entry.end);
                self.put(key, Blob::from(sum.to_string().as_str()), end, version);
                Outcome::Sum { sum, version }
            }
            Operation::Live { key, lives } => {
                let Some(entry) = self.entry(key).cloned() else { return Outcome::Absent };
                let end = self.end(*lives, entry.end);
                self.keep(key, Ending { end, ..entry });
                Outcome::Lives
            }
            Operation::Delete { key } => {
                let was_there = self.entry(key).is_some();
                // One whose time is over is removed too; it is gone for all who ask.
                if self.remove(key) {
                    self.change(key, None, version);
                }
                if was_there { Outcome::Deleted } else { Outcome::Absent }
            }
            Operation::Acquire { lock, owner, lives } => self.acquire(lock, owner, *lives),
            Operation::Release { lock, token } => match self.grant(lock) {
                None => Outcome::Free,
                Some(grant) if grant.what.token == *token => {
                    self.remove_grant(lock);
                    Outcome::Released
                }
                Some(grant) => self.held(grant),
            },
            Operation::Bank(command) => Outcome::Bank(self.bank.apply(command)),
            Operation::Get { .. }
            | Operation::List { .. }
            | Operation::Holder { .. }
            | Operation::Changes { .. }
            | Operation::Clock
            | Operation::Latest => {
                unreachable!("it was answered above")
            }
        }
    }

    fn put(&mut self, key: &Blob, value: Blob, end: Option<End>, version: u64) {
        self.change(key, Some(&value), version);
        self.keep(key, Ending { what: Entry { value, version }, end });
    }

    fn change(&mut self, key: &Blob, value: Option<&Blob>, version: u64) {
        self.latest = version;
        self.changes.note(version, key, value);
    }

    fn acquire(&mut self, lock: &Blob, owner: &Blob, lives: Lives) -> Outcome {
        match self.grant(lock).cloned() {
            Some(grant) if grant.what.owner == *owner => {
                let (token, end) = (grant.what.token, self.end(lives, grant.end));
                self.keep_grant(lock, Ending { end, ..grant });
                Outcome::AlreadyYours { token }
            }
            Some(grant) => self.held(&grant),
            None => {
                self.token += 1;
                let what = Held { owner: owner.clone(), token: self.token };
                let end = self.end(lives, None);
                self.keep_grant(lock, Ending { what, end });
                Outcome::Granted { token: self.token }
            }
        }
    }

    /// Moves the clock, says when times end that run from now on, and removes some of what is over.
    fn tick(&mut self, now: u64, given: u64) -> StoreOutput {
        self.times.tick(now, given);
        for _ in 0..SWEEP {
            match self.times.awaited() {
                None => break,
                Some(Name::Key(key)) => {
                    if let Some(entry) = self.keys.get(&key).cloned() {
                        let end = self.times.noted(entry.end);
                        self.keep(&key, Ending { end, ..entry });
                    }
                }
                Some(Name::Lock(lock)) => {
                    if let Some(grant) = self.locks.get(&lock).cloned() {
                        let end = self.times.noted(grant.end);
                        self.keep_grant(&lock, Ending { end, ..grant });
                    }
                }
            }
        }
        self.times.forget_starts();
        let version = self.latest + 1;
        for _ in 0..SWEEP {
            match self.times.over() {
                None => break,
                Some(Name::Key(key)) => {
                    self.remove(&key);
                    self.change(&key, None, version);
                }
                Some(Name::Lock(lock)) => self.remove_grant(&lock),
            }
        }
        StoreOutput::Time { now: self.clock(), waiting: self.times.waiting(SWEEP) as u64 }
    }
}

/// The number in a value, if it is written as this store writes numbers.
fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl StateMachine for Store {
    type Command = StoreCommand;
    type Output = StoreOutput;

    fn apply(&mut self, command: &StoreCommand) -> StoreOutput {
        match command {
            StoreCommand::Tick { now, given } => self.tick(*now, *given),
            StoreCommand::Settings(settings) => {
                if settings.check().is_ok() {
                    self.told = Some(*settings);
                }
                StoreOutput::Settings(self.settings())
            }
            StoreCommand::Transact { when, then } => self.not_met(when).unwrap_or_else(|| {
                self.within_bytes(then, |store| {
                    let version = store.latest + 1;
                    let outcomes = then.iter().map(|operation| store.operate(operation, version));
                    StoreOutput::Done(outcomes.collect())
                })
            }),
        }
    }

    fn query(&self, command: &StoreCommand) -> Option<StoreOutput> {
        let StoreCommand::Transact { when, then } = command else { return None };
        if !command.only_asks() {
            return None;
        }
        let done = || then.iter().map(|operation| self.answer(operation)).collect::<Option<_>>();
        self.not_met(when).or_else(|| done().map(StoreOutput::Done))
    }

    fn snapshot(&self) -> Vec<u8> {
        let Self { times, keys, latest, changes, locks, token, bank, told, held: _ } = self.clone();
        let (times, bank) = (times.saved(), bank.snapshot().into());
        let mut snapshot = encode(&Saved { times, keys, latest, changes, locks, token, bank });
        encode_unless(&None, &told, &mut snapshot);
        snapshot
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        let (saved, told) = decode_first(snapshot)?;
        let told: Option<Settings> = decode_unless(None, told)?;
        let checked = told.map_or(Ok(()), |settings| settings.check());
        checked.map_err(|error| NotRestored::because(error.to_string()))?;
        let Saved { times, keys, latest, changes, locks, token, bank: saved } = saved;
        plausible("the latest version", latest)?;
        plausible("the latest token", token)?;
        changes.check(latest)?;
        let wrong = |entry: &Ending<Entry>| entry.what.version == 0 || entry.what.version > latest;
        if let Some((key, entry)) = keys.iter().find(|(_, entry)| wrong(entry)) {
            return Err(NotRestored::because(format!(
                "{key:?} has version {} of {latest}",
                entry.what.version
            )));
        }
        let mut tokens: Vec<u64> = locks.values().map(|grant| grant.what.token).collect();
        tokens.sort_unstable();
        let is_twice = tokens.windows(2).any(|pair| pair[0] == pair[1]);
        if is_twice || tokens.first() == Some(&0) || tokens.last().is_some_and(|last| *last > token) {
            return Err(NotRestored::because(format!("{token} grants had the tokens {tokens:?}")));
        }
        let of_keys = keys.iter().filter_map(|(key, entry)| Some((Name::Key(key.clone()), entry.end?)));
        let of_locks = locks.iter().filter_map(|(lock, grant)| Some((Name::Lock(lock.clone()), grant.end?)));
        let times = Times::restored(times, of_keys.chain(of_locks))?;
        let mut bank = Bank::default();
        bank.restore(&saved)?;
        let mut held = Bytes::default();
        keys.iter().for_each(|(key, entry)| held.comes(key, &entry.what.value, None));
        locks.iter().for_each(|(lock, grant)| held.comes(lock, &grant.what.owner, None));
        *self = Self { times, keys, latest, changes, locks, token, bank, told, held };
        Ok(())
    }
}
