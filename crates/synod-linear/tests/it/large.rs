//! Histories of 10⁵ operations on one key. What they cost is counted in bytes, which no load of the machine changes.

use crate::dice;
use crate::objects::{KvKey, OfMachine};
use crate::worlds::World;
use fastrand::Rng;
use std::collections::BTreeSet;
use synod_linear::{
    History, Measured, Operation, Register, RegisterOp, RegisterRet, Verdict, check, check_by_key,
    check_register, explains,
};
use synod_machine::{Bank, BankCommand, Expect, Kv, KvCommand, KvOutput};

const OPERATIONS: usize = 100_000;

/// Bytes of a few configurations.
const EACH: usize = 5 << 8;

/// Judges with room for a few configurations an operation.
fn cheaply<S: Measured>(spec: &S, history: &History<S::Op, S::Ret>) -> Verdict {
    let verdict = check(spec, history, OPERATIONS * EACH);
    if let Verdict::Linearizable { order } = &verdict {
        assert!(explains(spec, history, order.as_ref().expect("an order")));
    }
    verdict
}

/// Values that come again and again, so that only a search can tell.
fn few_values(rng: &mut Rng) -> RegisterOp<u64> {
    match rng.u8(..4) {
        0 | 1 => RegisterOp::Read,
        2 => RegisterOp::Write(rng.u64(..4)),
        _ => RegisterOp::Swap(Some(rng.u64(..4)), rng.u64(..4)),
    }
}

/// A store with a single key.
fn one_key(rng: &mut Rng) -> KvCommand {
    let (key, value) = ("k".into(), vec![rng.u8(..3)].into());
    match rng.u8(..8) {
        0..4 => KvCommand::Get { key },
        4 | 5 => KvCommand::Put { key, value },
        6 => KvCommand::Cas { key, expect: Expect::Value(vec![rng.u8(..3)].into()), value },
        _ => KvCommand::Delete { key, expect: None },
    }
}

/// A bank of two accounts.
fn two_accounts(rng: &mut Rng) -> BankCommand {
    let (account, amount) = (rng.u64(..2), rng.u64(..9));
    match rng.u8(..3) {
        0 => BankCommand::Balance { account },
        1 => BankCommand::Deposit { account, amount },
        _ => BankCommand::Withdraw { account, amount },
    }
}

/// Reads, and writes of which each has a value of its own.
fn unique_values() -> impl FnMut(&mut Rng) -> RegisterOp<u64> {
    let mut next = 0;
    move |rng| {
        next += 1;
        if rng.bool() { RegisterOp::Read } else { RegisterOp::Write(next) }
    }
}

fn world(clients: u64, lost: u32) -> World {
    World { clients, operations: OPERATIONS, lost, stale: 0 }
}

#[test]
fn a_hundred_thousand_operations_on_a_register_are_judged() {
    let mut rng = dice("registers");
    let register = Register::new();
    for (clients, lost) in [(4, 1), (64, 1)] {
        let unique = world(clients, lost).run(&register, &mut rng, unique_values());
        assert!(check_register(&unique, 0).is_linearizable(), "{clients} clients, without a search");
    }
    for (clients, lost) in [(4, 1), (8, 0)] {
        let unique = world(clients, lost).run(&register, &mut rng, unique_values());
        assert!(cheaply(&register, &unique).is_linearizable(), "{clients} clients, each value once");
    }
    for (clients, lost) in [(4, 1), (16, 2)] {
        let few = world(clients, lost).run(&register, &mut rng, few_values);
        assert!(cheaply(&register, &few).is_linearizable(), "{clients} clients, few values");
    }
}

#[test]
fn a_hundred_thousand_operations_on_a_machine_are_judged() {
    let mut rng = dice("machines");
    for (clients, lost, operations) in [(4, 1, OPERATIONS), (16, 2, OPERATIONS), (64, 0, OPERATIONS / 10)] {
        let world = World { operations, ..world(clients, lost) };
        let store = world.run(&OfMachine(Kv::default()), &mut rng, one_key);
        assert!(cheaply(&KvKey, &store).is_linearizable(), "{clients} clients, a store");
    }
    for (clients, lost) in [(4, 0), (8, 1)] {
        let bank = OfMachine(Bank::default());
        let history = world(clients, lost).run(&bank, &mut rng, two_accounts);
        assert!(cheaply(&bank, &history).is_linearizable(), "{clients} clients, a bank");
    }
}

/// One read near the end returns what another one returned near the beginning. Only such as `has_seen` says are taken.
fn stale_read<Op: Clone, Ret: Clone>(
    history: &History<Op, Ret>,
    has_seen: impl Fn(&Op, &Ret) -> bool,
) -> (History<Op, Ret>, usize) {
    let mut operations: Vec<Operation<Op, Ret>> = history.operations().to_vec();
    let reads = (0..operations.len()).filter(|id| {
        let Operation { op, returned, .. } = &operations[*id];
        returned.as_ref().is_some_and(|(_, ret)| has_seen(op, ret))
    });
    let reads: Vec<usize> = reads.collect();
    let (early, late) = (reads[reads.len() / 10], reads[reads.len() * 9 / 10]);
    let old = operations[early].returned.clone().expect("it returned").1;
    operations[late].returned.as_mut().expect("it returned").1 = old;
    (History::of(operations), late)
}

#[test]
fn a_stale_read_in_a_long_history_is_found_and_named() {
    let mut rng = dice("stale reads");
    for (clients, lost) in [(4, 0), (16, 2)] {
        let unique = world(clients, lost).run(&Register::new(), &mut rng, unique_values());
        let (unique, late) =
            stale_read(&unique, |op, ret| *op == RegisterOp::Read && *ret != RegisterRet::Value(None));
        let Verdict::NotLinearizable(why) = check_register(&unique, 0) else { panic!("it is stale") };
        assert!(why.shortest && why.stuck[0] == late, "{why}");
    }
    for (clients, lost) in [(4, 0), (8, 0)] {
        let store = world(clients, lost).run(&OfMachine(Kv::default()), &mut rng, one_key);
        let (store, late) =
            stale_read(&store, |op, ret| matches!((op, ret), (KvCommand::Get { .. }, KvOutput::Found(_))));
        let Verdict::NotLinearizable(why) = check(&KvKey, &store, OPERATIONS * 4 * EACH) else {
            panic!("it is stale")
        };
        assert!(why.shortest && why.stuck[0] == late, "{why}");
        eprintln!("{why}");
    }
}

#[test]
fn keys_are_judged_one_by_one() {
    let mut rng = dice("keys");
    let world = World { clients: 32, operations: OPERATIONS, lost: 1, stale: 0 };
    let mut ask = |rng: &mut Rng| {
        let key = vec![rng.u8(..10)].into();
        match one_key(rng) {
            KvCommand::Get { .. } => KvCommand::Get { key },
            KvCommand::Put { value, .. } => KvCommand::Put { key, value },
            KvCommand::Cas { expect, value, .. } => KvCommand::Cas { key, expect, value },
            KvCommand::Delete { expect, .. } => KvCommand::Delete { key, expect },
        }
    };
    let history = world.run(&OfMachine(Kv::default()), &mut rng, &mut ask);
    let verdicts = check_by_key(&KvKey, &history, |op| op.key().clone(), OPERATIONS * EACH);
    assert_eq!(verdicts.len(), 10);
    assert!(verdicts.values().all(Verdict::is_linearizable), "{verdicts:?}");
    // One that is wrong spoils one key.
    let mut operations = history.operations().to_vec();
    let wrong = operations.iter().position(|operation| {
        matches!(operation.returned, Some((_, KvOutput::Found(ref entry))) if entry.version > 1000)
    });
    let wrong = wrong.expect("some read found something");
    let Some((_, KvOutput::Found(entry))) = &mut operations[wrong].returned else { unreachable!() };
    entry.version -= 1;
    let spoilt = operations[wrong].op.key().clone();
    let verdicts = check_by_key(&KvKey, &History::of(operations), |op| op.key().clone(), OPERATIONS * EACH);
    let failed: BTreeSet<_> =
        verdicts.iter().filter(|(_, verdict)| !verdict.is_linearizable()).map(|(key, _)| key).collect();
    assert_eq!(failed, BTreeSet::from([&spoilt]));
}

#[test]
fn a_search_without_room_says_that_it_gave_up() {
    let mut rng = dice("no room");
    let world = World { clients: 4, operations: 1000, lost: 0, stale: 0 };
    let history = world.run(&Register::new(), &mut rng, few_values);
    let verdict = check(&Register::new(), &history, 40_000);
    assert!(
        matches!(verdict, Verdict::GaveUp { configurations: 66..1000, bytes: 40_000..80_000 }),
        "{verdict:?}"
    );
    assert!(!verdict.is_linearizable());
    // All at once: to list what is open at each return would take 5 * 10^9 places.
    let all_at_once = |id: usize| Operation {
        process: id as u64,
        op: RegisterOp::Write(1),
        invoked: 0,
        returned: Some((1 + id as u64, RegisterRet::Written)),
    };
    let history: History<RegisterOp<u64>, _> = History::of((0..OPERATIONS).map(all_at_once).collect());
    let verdict = check(&Register::new(), &history, 1000);
    assert!(matches!(verdict, Verdict::GaveUp { configurations: 0, .. }), "{verdict:?}");
    let nothing: History<RegisterOp<u64>, RegisterRet<u64>> = History::new();
    assert!(check(&Register::new(), &nothing, 0).is_linearizable());
}
