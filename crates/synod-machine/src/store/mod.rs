//! Guarantees that all operations of a transaction happen at one moment or not at all, that an entry whose time is over is
//! never seen again, and that no write gets past a fencing token of an ended grant: the machine that is to be served.
//!
//! One log has everything: keys, locks and accounts, each with names of its own. So a write can be bound to a lock, and
//! one transaction can look at all three.
//!
//! **Time comes from the log.** No replica looks at its own clock: [`StoreCommand::Tick`] moves the store's clock, and what has a
//! time ends by that. An entry is gone for all who ask as soon as the clock has passed its end; it is removed, and that
//! counts as a change, by the ticks, a bounded number at a time.
//!
//! **Versions.** Each command that changes a key draws the next number of one counter, and all its changes have that version. A version
//! never comes back, not even of a key that was deleted in between.

mod changes;
#[cfg(test)]
mod tests;
mod words;

use crate::bank::Bank;
use crate::blob::Blob;
use crate::kv::Entry;
use crate::lock::Held;
use crate::machine::{NotRestored, StateMachine, plausible};
use crate::sorted::Sorted;
use crate::{decode, encode};
use changes::Changes;
use serde::{Deserialize, Serialize};
use std::ops::Bound;

pub use words::{Change, Condition, Item, Lives, Operation, Outcome, StoreCommand, StoreOutput};

/// The most entries of one list, and about the most bytes of one answer.
const MOST_LISTED: usize = 1000;
const MOST_TOLD: u64 = 256 << 10;
/// The most entries and grants that one tick removes.
const SWEEP: usize = 1000;
/// The longest time that an entry or a grant may have, in milliseconds: a hundred years. Longer ones are cut.
const LONGEST: u64 = 100 * 366 * 24 * 3600 * 1000;

/// Keys with values, locks and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// Milliseconds since the Unix epoch, as the log said last.
    clock: u64,
    keys: Sorted<Blob, Ending<Entry>>,
    /// The version drawn last.
    latest: u64,
    changes: Changes,
    locks: Sorted<Blob, Ending<Held>>,
    /// The token of the latest grant.
    token: u64,
    bank: Bank,
    /// All that ends by itself, by its end. It follows from the rest.
    ends: Sorted<(u64, Name), ()>,
}

/// Something that may end by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Ending<T> {
    what: T,
    /// The time of the store's clock at which it is gone.
    ends: Option<u64>,
}

/// A key or a lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Key(Blob),
    Lock(Blob),
}

/// A store in a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    clock: u64,
    keys: Sorted<Blob, Ending<Entry>>,
    latest: u64,
    changes: Changes,
    locks: Sorted<Blob, Ending<Held>>,
    token: u64,
    bank: Blob,
}

impl<T> Ending<T> {
    fn is_there(&self, clock: u64) -> bool {
        self.ends.is_none_or(|ends| ends > clock)
    }

    fn left(&self, clock: u64) -> Option<u64> {
        self.ends.map(|ends| ends.saturating_sub(clock))
    }
}

impl Store {
    /// The store's clock, in milliseconds since the Unix epoch; zero before the first tick.
    pub fn clock(&self) -> u64 {
        self.clock
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

    /// The end of something that begins now.
    fn end(&self, lives: Lives, before: Option<u64>) -> Option<u64> {
        match lives {
            Lives::Forever => None,
            Lives::For(time) => Some(self.clock.saturating_add(time.min(LONGEST))),
            Lives::AsBefore => before,
        }
    }

    fn entry(&self, key: &Blob) -> Option<&Ending<Entry>> {
        self.keys.get(key).filter(|entry| entry.is_there(self.clock))
    }

    fn item(&self, key: &Blob) -> Option<Item> {
        self.entry(key).map(|entry| self.told(entry))
    }

    fn told(&self, entry: &Ending<Entry>) -> Item {
        let Entry { value, version } = entry.what.clone();
        Item { value, version, left: entry.left(self.clock) }
    }

    fn grant(&self, lock: &Blob) -> Option<&Ending<Held>> {
        self.locks.get(lock).filter(|grant| grant.is_there(self.clock))
    }

    fn held(&self, grant: &Ending<Held>) -> Outcome {
        Outcome::Held { grant: grant.what.clone(), left: grant.left(self.clock) }
    }

    /// Keeps an entry, and its end among all ends.
    fn keep(&mut self, key: &Blob, entry: Ending<Entry>) {
        let ends = entry.ends;
        let before = self.keys.insert(key.clone(), entry).and_then(|entry| entry.ends);
        self.end_moves(&Name::Key(key.clone()), before, ends);
    }

    /// Keeps a grant, and its end among all ends.
    fn keep_grant(&mut self, lock: &Blob, grant: Ending<Held>) {
        let ends = grant.ends;
        let before = self.locks.insert(lock.clone(), grant).and_then(|grant| grant.ends);
        self.end_moves(&Name::Lock(lock.clone()), before, ends);
    }

    fn end_moves(&mut self, name: &Name, before: Option<u64>, after: Option<u64>) {
        if let Some(before) = before {
            self.ends.remove(&(before, name.clone()));
        }
        if let Some(after) = after {
            self.ends.insert((after, name.clone()), ());
        }
    }

    fn remove(&mut self, key: &Blob) -> bool {
        let Some(entry) = self.keys.remove(key) else { return false };
        self.end_moves(&Name::Key(key.clone()), entry.ends, None);
        true
    }

    fn remove_grant(&mut self, lock: &Blob) {
        if let Some(grant) = self.locks.remove(lock) {
            self.end_moves(&Name::Lock(lock.clone()), grant.ends, None);
        }
    }

    /// The first condition that is not met, as the output that says so.
    fn not_met(&self, when: &[Condition]) -> Option<StoreOutput> {
        (0..).zip(when).find_map(|(condition, one)| match one {
            Condition::Key { key, expect } => {
                let found = self.entry(key);
                let is_met = expect.is_met_by(found.map(|entry| &entry.what));
                (!is_met)
                    .then(|| StoreOutput::NotMet { condition, found: found.map(|entry| self.told(entry)) })
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
        for (key, entry) in below.filter(|(_, entry)| entry.is_there(self.clock)) {
            if items.len() >= (limit as usize).clamp(1, MOST_LISTED) || bytes >= MOST_TOLD {
                return Outcome::Listed { items, more: true };
            }
            bytes += (key.len() + entry.what.value.len()) as u64;
            items.push((key.clone(), self.told(entry)));
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
                let before = self.entry(key).and_then(|entry| entry.ends);
                self.put(key, value.clone(), self.end(*lives, before), version);
                Outcome::Stored { version }
            }
            Operation::Add { key, by } => {
                let entry = self.entry(key);
                let number = entry.map_or(Some(0), |entry| number(&entry.what.value));
                let Some(sum) = number.and_then(|number| number.checked_add(*by)) else {
                    return Outcome::NoNumber;
                };
                let ends = entry.and_then(|entry| entry.ends);
                self.put(key, Blob::from(sum.to_string().as_str()), ends, version);
                Outcome::Sum { sum, version }
            }
            Operation::Live { key, lives } => {
                let Some(entry) = self.entry(key).cloned() else { return Outcome::Absent };
                let ends = self.end(*lives, entry.ends);
                self.keep(key, Ending { ends, ..entry });
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
            | Operation::Changes { .. } => {
                unreachable!("it was answered above")
            }
        }
    }

    fn put(&mut self, key: &Blob, value: Blob, ends: Option<u64>, version: u64) {
        self.change(key, Some(&value), version);
        self.keep(key, Ending { what: Entry { value, version }, ends });
    }

    fn change(&mut self, key: &Blob, value: Option<&Blob>, version: u64) {
        self.latest = version;
        self.changes.note(version, key, value);
    }

    fn acquire(&mut self, lock: &Blob, owner: &Blob, lives: Lives) -> Outcome {
        match self.grant(lock).cloned() {
            Some(grant) if grant.what.owner == *owner => {
                let (token, ends) = (grant.what.token, self.end(lives, grant.ends));
                self.keep_grant(lock, Ending { ends, ..grant });
                Outcome::AlreadyYours { token }
            }
            Some(grant) => self.held(&grant),
            None => {
                self.token += 1;
                let what = Held { owner: owner.clone(), token: self.token };
                self.keep_grant(lock, Ending { what, ends: self.end(lives, None) });
                Outcome::Granted { token: self.token }
            }
        }
    }

    /// Moves the clock, and removes some of what is over.
    fn tick(&mut self, now: u64) -> StoreOutput {
        // A time beyond all times would end everything, and nothing that begins later could end.
        if plausible("the time", now.saturating_add(LONGEST)).is_ok() {
            self.clock = self.clock.max(now);
        }
        let version = self.latest + 1;
        for _ in 0..SWEEP {
            let over = self.ends.get_min().filter(|((ends, _), ())| *ends <= self.clock);
            let Some(((_, name), ())) = over.cloned() else { break };
            match name {
                Name::Key(key) => {
                    self.remove(&key);
                    self.change(&key, None, version);
                }
                Name::Lock(lock) => self.remove_grant(&lock),
            }
        }
        let waiting = self.ends.iter().take_while(|((ends, _), ())| *ends <= self.clock).take(SWEEP).count();
        StoreOutput::Time { now: self.clock, waiting: waiting as u64 }
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
            StoreCommand::Tick { now } => self.tick(*now),
            StoreCommand::Transact { when, then } => self.not_met(when).unwrap_or_else(|| {
                let version = self.latest + 1;
                StoreOutput::Done(then.iter().map(|operation| self.operate(operation, version)).collect())
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
        let Self { clock, keys, latest, changes, locks, token, bank, ends: _ } = self.clone();
        encode(&Saved { clock, keys, latest, changes, locks, token, bank: bank.snapshot().into() })
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        let Saved { clock, keys, latest, changes, locks, token, bank: saved } = decode(snapshot)?;
        plausible("the clock", clock.saturating_add(LONGEST))?;
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
        let of_keys = keys.iter().filter_map(|(key, entry)| Some((entry.ends?, Name::Key(key.clone()))));
        let of_locks = locks.iter().filter_map(|(lock, grant)| Some((grant.ends?, Name::Lock(lock.clone()))));
        let ends: Sorted<(u64, Name), ()> = of_keys.chain(of_locks).map(|end| (end, ())).collect();
        if let Some(((end, name), ())) =
            ends.get_max().filter(|((end, _), ())| *end > clock.saturating_add(LONGEST))
        {
            return Err(NotRestored::because(format!("{name:?} ends at {end}, and it is {clock}")));
        }
        let mut bank = Bank::default();
        bank.restore(&saved)?;
        *self = Self { clock, keys, latest, changes, locks, token, bank, ends };
        Ok(())
    }
}
