//! Judges the same histories with `synod-linear` and with stateright's `LinearizabilityTester`, in one run, in rounds; and shows what
//! 10⁵ operations on one key cost.
//!
//! `cargo bench -p synod-linear --bench linear [-- --quick --rounds N]`

#[path = "../crates/synod-linear/tests/objects/mod.rs"]
mod objects;
#[path = "../crates/synod-linear/tests/it/worlds.rs"]
mod worlds;

use fastrand::Rng;
use objects::{KvKey, OfMachine};
use rustix::time::{ClockId, clock_gettime};
use stateright::semantics::register::{
    Register as TheirRegister, RegisterOp as TheirOp, RegisterRet as TheirRet,
};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use synod_linear::{History, MANY, Register, RegisterOp, RegisterRet, Tester, check, check_register};
use synod_machine::{Bank, BankCommand, Expect, Kv, KvCommand};
use worlds::World;

type Op = RegisterOp<u64>;
type Ret = RegisterRet<u64>;
type Ours = Tester<Register<u64>, u64>;
type Theirs = LinearizabilityTester<u64, TheirRegister<u64>>;

/// One event of a history.
#[derive(Clone)]
enum Event {
    Invoke(u64, Op),
    Return(u64, Ret),
}

fn events(history: &History<Op, Ret>) -> Vec<Event> {
    let mut events = Vec::new();
    for operation in history.operations() {
        events.push((operation.invoked, Event::Invoke(operation.process, operation.op.clone())));
        if let Some((at, ret)) = &operation.returned {
            events.push((*at, Event::Return(operation.process, ret.clone())));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

/// What is there at the beginning is 0 on their side, which nobody writes.
fn theirs(tester: &mut Theirs, event: &Event) {
    let taken = match event {
        Event::Invoke(process, Op::Read) => tester.on_invoke(*process, TheirOp::Read),
        Event::Invoke(process, Op::Write(value)) => tester.on_invoke(*process, TheirOp::Write(*value)),
        Event::Invoke(_, Op::Swap(..)) => panic!("their register has no swap"),
        Event::Return(process, Ret::Value(value)) => {
            tester.on_return(*process, TheirRet::ReadOk(value.unwrap_or(0)))
        }
        Event::Return(process, _) => tester.on_return(*process, TheirRet::WriteOk),
    };
    taken.expect("a history in which each process does one thing at a time");
}

fn ours(tester: &mut Ours, event: &Event) {
    match event {
        Event::Invoke(process, op) => tester.invoke(*process, op.clone()),
        Event::Return(process, ret) => tester.returned(process, ret),
    }
}

/// Nanoseconds of processor time.
fn cpu(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let before = now();
    work();
    now() - before
}

/// Follows histories as a model does: each event makes a new value of the old one, which is judged and hashed.
fn follow<T: Clone + std::hash::Hash>(
    histories: &[Vec<Event>],
    new: impl Fn() -> T,
    event: impl Fn(&mut T, &Event),
    judge: impl Fn(&T) -> bool,
) -> usize {
    let hasher = RandomState::new();
    let mut linearizable = 0;
    for history in histories {
        let mut tester = new();
        for happened in history {
            let mut next = tester.clone();
            event(&mut next, happened);
            linearizable += usize::from(judge(&next));
            black_box(hasher.hash_one(&next));
            tester = next;
        }
    }
    linearizable
}

/// How many values are met, by a fingerprint: theirs cannot be compared.
fn distinct<T: std::hash::Hash>(
    histories: &[Vec<Event>],
    new: impl Fn() -> T,
    event: impl Fn(&mut T, &Event),
) -> usize {
    let hasher = RandomState::new();
    let mut met = HashSet::new();
    for history in histories {
        let mut tester = new();
        met.insert(hasher.hash_one(&tester));
        for happened in history {
            event(&mut tester, happened);
            met.insert(hasher.hash_one(&tester));
        }
    }
    met.len()
}

/// The median with the least and the greatest.
fn spread(mut of: Vec<f64>) -> String {
    of.sort_by(f64::total_cmp);
    format!("{:.1} ({:.1}-{:.1})", of[of.len() / 2], of[0], of[of.len() - 1])
}

fn new_theirs() -> Theirs {
    LinearizabilityTester::new(TheirRegister(0))
}

fn new_ours() -> Ours {
    Tester::new(Register::new())
}

fn in_models(rounds: usize, quick: bool) {
    println!(
        "| clients | operations | histories | events | ours, ns an event | theirs | x | our values | their values |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let many = if quick { 300 } else { 3000 };
    for (clients, operations, stale) in
        [(2, 3, 0), (2, 3, 300), (3, 6, 0), (3, 6, 300), (4, 8, 0), (4, 8, 300)]
    {
        let mut rng = Rng::with_seed(1);
        let world = World { clients, operations, lost: 0, stale };
        let histories: Vec<Vec<Event>> = (0..many)
            .map(|_| {
                let ask = |rng: &mut Rng| if rng.bool() { Op::Read } else { Op::Write(rng.u64(1..3)) };
                events(&world.run(&Register::new(), &mut rng, ask))
            })
            .collect();
        let count: usize = histories.iter().map(Vec::len).sum();
        let (mut one, mut other, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (mut found, mut wanted) = (0, 0);
            let our_time = cpu(|| {
                found = follow(&histories, new_ours, ours, Tester::is_linearizable);
            });
            let their_time = cpu(|| {
                wanted = follow(&histories, new_theirs, theirs, ConsistencyTester::is_consistent);
            });
            assert_eq!(found, wanted, "both say the same");
            one.push(our_time / count as f64);
            other.push(their_time / count as f64);
            ratio.push(their_time / our_time);
        }
        let (values, their_values) =
            (distinct(&histories, new_ours, ours), distinct(&histories, new_theirs, theirs));
        let kind = if stale > 0 { ", some stale" } else { "" };
        println!(
            "| {clients} | {operations}{kind} | {many} | {count} | {} | {} | {} | {values} | {their_values} |",
            spread(one),
            spread(other),
            spread(ratio)
        );
    }
}

/// Whole histories, judged once: theirs has no use for what it found out before.
fn whole(rounds: usize) {
    println!("\n| operations by 3 clients | ours, us | by search | theirs | x, zones | x, search |");
    println!("|---|--:|--:|--:|--:|--:|");
    for (operations, stale) in [(10, 0), (100, 0), (400, 0), (8, 1), (12, 1), (16, 1)] {
        let mut rng = Rng::with_seed(1);
        let world = World { clients: 3, operations, lost: 0, stale: 0 };
        let mut next = 0;
        let mut history = world.run(&Register::new(), &mut rng, |rng| {
            next += 1;
            if rng.bool() { Op::Read } else { Op::Write(next) }
        });
        if stale > 0 {
            // The last read returns what nobody wrote: all orders of what came before have to be tried.
            let last = history.invoke(9, Op::Read);
            history.returned(last, Ret::Value(Some(u64::MAX)));
        }
        let events = events(&history);
        let (mut zones, mut search, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let (mut times_zones, mut times_search) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let by_zones =
                cpu(|| assert_eq!(check_register(&history, MANY).is_linearizable(), stale == 0)) / 1e3;
            let by_search =
                cpu(|| assert_eq!(check(&Register::new(), &history, MANY).is_linearizable(), stale == 0))
                    / 1e3;
            let by_theirs = cpu(|| {
                let mut tester = new_theirs();
                for event in &events {
                    theirs(&mut tester, event);
                }
                assert_eq!(tester.is_consistent(), stale == 0);
            }) / 1e3;
            times_zones.push(by_theirs / by_zones);
            times_search.push(by_theirs / by_search);
            zones.push(by_zones);
            search.push(by_search);
            other.push(by_theirs);
        }
        println!(
            "| {operations}{} | {} | {} | {} | {} | {} |",
            if stale > 0 { ", then one that is wrong" } else { "" },
            spread(zones),
            spread(search),
            spread(other),
            spread(times_zones),
            spread(times_search)
        );
    }
}

fn long(rounds: usize, operations: usize) {
    println!("\n| {operations} operations on one key | clients | without an answer | ours, ms |");
    println!("|---|--:|--:|--:|");
    for (clients, lost) in [(4, 0), (16, 2), (64, 1)] {
        let mut rng = Rng::with_seed(1);
        let world = World { clients, operations, lost, stale: 0 };
        let mut next = 0;
        let unique = world.run(&Register::new(), &mut rng, |rng| {
            next += 1;
            if rng.bool() { Op::Read } else { Op::Write(next) }
        });
        let store = world.run(&OfMachine(Kv::default()), &mut rng, |rng| {
            let (key, value) = ("k".into(), vec![rng.u8(..3)].into());
            match rng.u8(..8) {
                0..4 => KvCommand::Get { key },
                4 | 5 => KvCommand::Put { key, value },
                6 => KvCommand::Cas { key, expect: Expect::Value(vec![rng.u8(..3)].into()), value },
                _ => KvCommand::Delete { key, expect: None },
            }
        });
        let bank = world.run(&OfMachine(Bank::default()), &mut rng, |rng| {
            let (account, amount) = (rng.u64(..2), rng.u64(..9));
            match rng.u8(..3) {
                0 => BankCommand::Balance { account },
                1 => BankCommand::Deposit { account, amount },
                _ => BankCommand::Withdraw { account, amount },
            }
        });
        let say = |what: &str, judge: &dyn Fn() -> bool| {
            let times = (0..rounds).map(|_| cpu(|| assert!(judge(), "what a right object does")) / 1e6);
            println!("| {what} | {clients} | {lost} in 1000 | {} |", spread(times.collect()));
        };
        say("register, each value once", &|| check_register(&unique, MANY).is_linearizable());
        say("store with versions", &|| check(&KvKey, &store, MANY).is_linearizable());
        // With more open at a time a search may take for ever where nothing tells the order.
        if clients <= 4 {
            say("register, by search", &|| check(&Register::new(), &unique, MANY).is_linearizable());
            say("bank of two accounts", &|| {
                check(&OfMachine(Bank::default()), &bank, MANY).is_linearizable()
            });
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let rounds = args.iter().position(|arg| arg == "--rounds").and_then(|at| args.get(at + 1)?.parse().ok());
    let rounds = rounds.unwrap_or(if quick { 1 } else { 5 });
    in_models(rounds, quick);
    // Their search calls itself once an operation.
    let judged = std::thread::Builder::new().stack_size(1 << 30).spawn(move || whole(rounds));
    judged.expect("a thread").join().expect("all verdicts are right");
    long(rounds, if quick { 10_000 } else { 100_000 });
}
