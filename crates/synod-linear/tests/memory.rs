//! A search that gives up at so many bytes has taken about so many, whatever the states are like. A process of its own for each, since
//! it is the process that is measured.
#![cfg(target_os = "linux")]

#[path = "objects/machine.rs"]
mod machine;

use machine::OfMachine;
use std::process::Command;
use std::{env, fs};
use synod_linear::{History, Measured, Spec, Verdict, check};
use synod_machine::{Bank, BankCommand, BankOutput, Blob, Entry, Kv, KvCommand, KvOutput};

const LIMIT: usize = 64 << 20;
/// Tells a child which case is its.
const CASE: &str = "SYNOD_LINEAR_CASE";

/// The memory of the process in use, in bytes; `true`: the most there ever was.
fn resident(most: bool) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let name = if most { "VmHWM:" } else { "VmRSS:" };
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it says so");
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).expect("a number") << 10
}

/// Judges what cannot be judged within the limit, and compares what it said it took with what the process did.
fn gives_up_in_time<S: Measured>(what: &str, spec: &S, history: &History<S::Op, S::Ret>) {
    let before = resident(false);
    let verdict = check(spec, history, LIMIT);
    let took = resident(true).saturating_sub(before);
    let Verdict::GaveUp { configurations, bytes } = verdict else { panic!("{what}: {verdict:?}") };
    println!("{what}: {configurations} configurations, said {bytes}, took {took}");
    assert!((LIMIT..LIMIT * 2).contains(&bytes), "{what}: gave up at {bytes}");
    assert!(took < LIMIT * 5 / 4, "{what}: took {took} of {LIMIT}");
    assert!(took > LIMIT / 3, "{what}: took no more than {took} of {LIMIT}");
}

/// Puts without an answer, and a read of what nobody wrote, at a version that all of them were needed for.
fn store(value: usize) -> History<KvCommand, KvOutput> {
    let mut history = History::new();
    for n in 0..40_u8 {
        let (key, value) = (Blob::from(format!("key{n}").into_bytes()), Blob::from(vec![7; value]));
        history.invoke(n.into(), KvCommand::Put { key, value });
    }
    let read = history.invoke(99, KvCommand::Get { key: Blob::from(b"key0".to_vec()) });
    history.returned(read, KvOutput::Found(Entry { value: Blob::from(b"nobody's".to_vec()), version: 1 }));
    history
}

/// Deposits without an answer, and a balance that no subset of them gives.
fn bank() -> History<BankCommand, BankOutput> {
    let mut history = History::new();
    for n in 0..40 {
        history.invoke(n, BankCommand::Deposit { account: 1, amount: 1 << n });
    }
    let read = history.invoke(99, BankCommand::Balance { account: 1 });
    history.returned(read, BankOutput::Done { old: 1 << 62, new: 1 << 62 });
    history
}

/// A list to which is added; a read tells how long it is.
struct List {
    first: usize,
}

impl Spec for List {
    type State = Vec<u8>;
    type Op = Option<u8>;
    type Ret = usize;

    fn initial(&self) -> Vec<u8> {
        vec![0; self.first]
    }

    fn step(&self, state: &Vec<u8>, op: &Option<u8>, ret: Option<&usize>) -> Option<Vec<u8>> {
        match op {
            Some(byte) => Some([state.as_slice(), &[*byte]].concat()),
            None => ret.is_none_or(|ret| *ret == state.len()).then(|| state.clone()),
        }
    }
}

impl Measured for List {
    fn bytes(&self, state: &Vec<u8>) -> usize {
        state.capacity() + 16
    }
}

fn list() -> History<Option<u8>, usize> {
    let mut history = History::new();
    for byte in 0..40 {
        history.invoke(byte.into(), Some(byte));
    }
    let read = history.invoke(99, None);
    history.returned(read, 3 << 20);
    history
}

/// Each by itself: what one leaves behind the next would be given again.
#[test]
fn a_limit_in_bytes_is_one() {
    let list = |first| gives_up_in_time(&format!("a list of {first} bytes"), &List { first }, &list());
    let cases: [&dyn Fn(); 6] = [
        &|| gives_up_in_time("a store", &OfMachine(Kv::default()), &store(8)),
        &|| gives_up_in_time("a store of large values", &OfMachine(Kv::default()), &store(64 << 10)),
        &|| gives_up_in_time("a bank", &OfMachine(Bank::default()), &bank()),
        &|| list(16),
        &|| list(1 << 10),
        &|| list(8 << 10),
    ];
    if let Ok(case) = env::var(CASE) {
        return cases[case.parse::<usize>().expect("a number")]();
    }
    for case in 0..cases.len() {
        let mut child = Command::new(env::current_exe().expect("this test"));
        child.args(["a_limit_in_bytes_is_one", "--exact", "--nocapture"]).env(CASE, case.to_string());
        assert!(child.status().expect("it runs").success(), "case {case}");
    }
}
