//! What clients asked and were told, key by key, and two judges of it: `synod-linear`, and the tester of stateright, which nobody wrote here.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use synod_client::requests::{Swap, get};
use synod_client::{Client, Error, Reading};
use synod_linear::{History, MANY, Object, OpId, Register, RegisterOp, RegisterRet, Verdict, check_register};
use synod_machine::{Expect, Item};

/// A value: each is written once.
pub(crate) type Written = u64;
/// What was done with one key.
type OfKey = History<RegisterOp<Written>, RegisterRet<Written>>;

/// The records of all clients. Calls of one client are told apart by their number.
#[derive(Default)]
pub(crate) struct Histories {
    keys: Mutex<BTreeMap<String, OfKey>>,
    next: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// The longest time that an answered call took, in microseconds.
    pub(crate) longest: AtomicU64,
}

pub(crate) fn value(item: &Item) -> Written {
    std::str::from_utf8(&item.value).ok().and_then(|text| text.parse().ok()).expect("clients write numbers")
}

impl Histories {
    /// A call begins.
    pub(crate) fn begin(&self, key: &str, op: RegisterOp<Written>) -> OpId {
        // Every call has a process of its own: one whose outcome is unknown stays open, and its client goes on.
        let process = self.number();
        let mut keys = self.keys.lock().expect("no client panics with it");
        keys.entry(key.to_owned()).or_default().invoke(process, op)
    }

    /// A call has its answer.
    pub(crate) fn end(&self, key: &str, id: OpId, ret: RegisterRet<Written>) {
        let mut keys = self.keys.lock().expect("no client panics with it");
        keys.get_mut(key).expect("the call began").returned(id, ret);
    }

    fn count(&self, outcome: Result<(), &Error>, began: Instant) {
        let counter = match outcome {
            Ok(()) => &self.answered,
            Err(error) if error.may_have_taken_effect() => &self.unknown,
            Err(_) => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if outcome.is_ok() {
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.longest.fetch_max(took, Ordering::Relaxed);
        }
    }

    /// Has a client do something with a key, and records it.
    pub(crate) fn act(&self, client: &Client, key: &str, rng: &mut fastrand::Rng) {
        let new = self.number();
        let began = Instant::now();
        match rng.u8(..8) {
            0..=2 => {
                let id = self.begin(key, RegisterOp::Write(new));
                let said = client.put(key, new.to_string().as_str());
                self.count(said.as_ref().map(|_| ()), began);
                match said {
                    Ok(_) => self.end(key, id, RegisterRet::Written),
                    // What certainly did nothing is left open, which allows more than it should. It is counted apart.
                    Err(error) => self.forget(key, id, &error),
                }
            }
            3 => {
                let Ok(found) = client.get(key) else { return };
                let old = found.as_ref().map(value);
                let expect = found.map_or(Expect::Absent, |item| Expect::Value(item.value));
                let id = self.begin(key, RegisterOp::Swap(old, new));
                let said = client.compare_and_swap(key, expect, new.to_string().as_str());
                self.count(said.as_ref().map(|_| ()), began);
                match said {
                    Ok(swap) => {
                        let swapped = matches!(swap, Swap::Swapped { .. });
                        self.end(key, id, RegisterRet::Swapped(swapped));
                    }
                    Err(error) => self.forget(key, id, &error),
                }
            }
            _ => {
                let id = self.begin(key, RegisterOp::Read);
                let said = client.get(key);
                self.count(said.as_ref().map(|_| ()), began);
                if let Ok(found) = said {
                    self.end(key, id, RegisterRet::Value(found.as_ref().map(value)));
                }
            }
        }
    }

    fn forget(&self, key: &str, id: OpId, error: &Error) {
        if !error.may_have_taken_effect() {
            self.dismiss(key, id);
        }
    }

    /// A call that certainly had no effect is taken to be a read that found out nothing.
    pub(crate) fn dismiss(&self, key: &str, id: OpId) {
        let mut keys = self.keys.lock().expect("no client panics with it");
        let history = keys.get_mut(key).expect("the call began");
        let mut operations = history.operations().to_vec();
        operations[id].op = RegisterOp::Read;
        *history = History::of(operations);
    }

    /// A number that no other call has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Every key of which something is recorded.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.lock().expect("nobody panics with it").keys().cloned().collect()
    }

    /// Reads every key once more: after this each history says what is there at the end.
    pub(crate) fn read_all(&self, client: &Client) -> usize {
        let keys = self.keys();
        for key in &keys {
            let id = self.begin(key, RegisterOp::Read);
            let found = client.get(key.as_str()).unwrap_or_else(|error| panic!("{key} at the end: {error}"));
            self.end(key, id, RegisterRet::Value(found.as_ref().map(value)));
        }
        keys.len()
    }

    /// Waits until the member that this client asks has executed all that was read last, by what it answers at once.
    pub(crate) fn are_at(&self, client: &Client, member: u64) {
        let last = |history: &OfKey| match history.operations().last().and_then(|op| op.returned.clone()) {
            Some((_, RegisterRet::Value(value))) => value,
            other => panic!("the last operation was a read: {other:?}"),
        };
        let keys = self.keys.lock().expect("nobody panics with it");
        let expected: Vec<(String, Option<Written>)> =
            keys.iter().map(|(key, history)| (key.clone(), last(history))).collect();
        drop(keys);
        let began = Instant::now();
        for (key, expected) in expected {
            loop {
                let found = client.run(get(key.as_str(), Reading::Stale));
                let found = found.unwrap_or_else(|error| panic!("{key} at member {member}: {error}"));
                if found.as_ref().map(value) == expected {
                    break;
                }
                assert!(
                    began.elapsed() < Duration::from_mins(1),
                    "member {member} has {found:?} for {key}, not {expected:?}"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Has both judges judge every key. Returns the number of operations that the second one judged: it takes a time that grows
    /// fast with the operations whose outcome is unknown, so histories with many of those are for the first judge alone.
    pub(crate) fn judge(&self) -> (usize, usize) {
        let (mut all, mut both) = (0, 0);
        for (key, history) in &*self.keys.lock().expect("nobody panics with it") {
            let verdict = check_register(history, MANY);
            if let Verdict::NotLinearizable(reason) = &verdict {
                panic!("{key}: {reason}");
            }
            assert!(verdict.is_linearizable(), "{key}: {verdict:?}");
            all += history.operations().len();
            let is_open =
                |op: &&synod_linear::Operation<_, _>| op.returned.is_none() && op.op != RegisterOp::Read;
            if history.operations().iter().filter(is_open).count() <= 4 && history.operations().len() <= 150 {
                assert!(
                    second(history),
                    "{key}: the other judge found no order for what the first one found one"
                );
                both += history.operations().len();
            }
        }
        (all, both)
    }
}

/// A register for stateright's tester.
#[derive(Clone, Debug, PartialEq)]
struct Cell(Option<Written>);

impl SequentialSpec for Cell {
    type Op = RegisterOp<Written>;
    type Ret = RegisterRet<Written>;

    fn invoke(&mut self, op: &Self::Op) -> Self::Ret {
        let (next, ret) = Register::new().apply(&self.0, op);
        self.0 = next;
        ret
    }
}

/// The verdict of stateright's tester.
fn second(history: &OfKey) -> bool {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (at, operation) in history.operations().iter().enumerate() {
        // A read without an answer says nothing.
        if operation.returned.is_none() && operation.op == RegisterOp::Read {
            continue;
        }
        events.push((operation.invoked, false, at));
        events.extend(operation.returned.as_ref().map(|(when, _)| (*when, true, at)));
    }
    events.sort_unstable();
    // Few threads: one takes the next call as soon as it is free.
    let mut tester = LinearizabilityTester::new(Cell(None));
    let (mut free, mut threads, mut of) = (Vec::new(), 0_usize, BTreeMap::new());
    for (_, returns, at) in events {
        let operation = &history.operations()[at];
        if returns {
            let thread = of.remove(&at).expect("it was invoked");
            let (_, ret) = operation.returned.clone().expect("it returned");
            tester.on_return(thread, ret).expect("calls alternate with answers");
            free.push(thread);
        } else {
            let thread = free.pop().unwrap_or_else(|| {
                threads += 1;
                threads
            });
            of.insert(at, thread);
            tester.on_invoke(thread, operation.op.clone()).expect("calls alternate with answers");
        }
    }
    tester.is_consistent()
}

#[test]
fn both_judges_tell_a_right_history_from_a_wrong_one() {
    let mut history = History::new();
    let write = history.invoke(0, RegisterOp::Write(1));
    history.returned(write, RegisterRet::Written);
    let unknown = history.invoke(1, RegisterOp::Write(2));
    let read = history.invoke(2, RegisterOp::Read);
    let mut right = history.clone();
    right.returned(read, RegisterRet::Value(Some(2)));
    let mut wrong = history;
    wrong.returned(read, RegisterRet::Value(None));
    assert_eq!(unknown, 1);
    for (history, is_right) in [(right, true), (wrong, false)] {
        assert_eq!(check_register(&history, MANY).is_linearizable(), is_right);
        assert_eq!(second(&history), is_right);
    }
}

/// The time that a client of a test has for a call.
pub(crate) const CALL: Duration = Duration::from_secs(3);
