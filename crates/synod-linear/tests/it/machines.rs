//! The specification of one key, beside the store that it is written apart from, and what it promises the search.

use crate::objects::kv::KeyState;
use crate::objects::{KvKey, OfMachine};
use crate::worlds::World;
use crate::{dice, naive};
use fastrand::Rng;
use synod_linear::{History, MANY, Object, Spec, Verdict, check, check_by_key, explains};
use synod_machine::{Entry, Expect, Kv, KvCommand, KvOutput};

fn command(rng: &mut Rng, keys: u8) -> KvCommand {
    let (key, value) = (vec![rng.u8(..keys)].into(), vec![rng.u8(..2)].into());
    let expect = match rng.u8(..3) {
        0 => Expect::Absent,
        1 => Expect::Version(rng.u64(..5)),
        _ => Expect::Value(vec![rng.u8(..2)].into()),
    };
    match rng.u8(..6) {
        0 | 1 => KvCommand::Get { key },
        2 => KvCommand::Put { key, value },
        3 => KvCommand::Cas { key, expect, value },
        4 => KvCommand::Delete { key, expect: None },
        _ => KvCommand::Delete { key, expect: Some(expect) },
    }
}

fn output(rng: &mut Rng) -> KvOutput {
    let entry = Entry { value: vec![rng.u8(..2)].into(), version: rng.u64(1..7) };
    match rng.u8(..6) {
        0 => KvOutput::Found(entry),
        1 => KvOutput::Absent,
        2 => KvOutput::Stored { version: entry.version },
        3 => KvOutput::Deleted,
        4 => KvOutput::Conflict { found: None },
        _ => KvOutput::Conflict { found: Some(entry) },
    }
}

/// With lost answers, so that versions are unknown: the search, with all it may leave out, against the definition.
#[test]
fn one_key_is_judged_by_its_definition() {
    let mut rng = dice("one key");
    let mut found = [0; 2];
    for round in 0..12_000 {
        let world = World {
            clients: rng.u64(1..5),
            operations: rng.usize(1..9),
            lost: [0, 200, 500][round % 3],
            stale: if round % 2 == 0 { 0 } else { 300 },
        };
        let history = world.run(&OfMachine(Kv::default()), &mut rng, |rng| command(rng, 1));
        let wanted = naive::is_linearizable(&KvKey, &history);
        // A store's own versions have no gaps, so it allows less.
        let by_store = naive::is_linearizable(&OfMachine(Kv::default()), &history);
        assert!(wanted || !by_store, "what a store does is allowed: {history:?}");
        match check(&KvKey, &history, MANY) {
            Verdict::Linearizable { order } => {
                assert!(wanted && explains(&KvKey, &history, &order.expect("an order")), "{history:?}");
            }
            Verdict::NotLinearizable(why) => {
                assert!(!wanted, "{history:?}\n{why}");
                let last = &history.operations()[why.stuck[0]];
                assert_eq!(last.returned.as_ref().map(|(at, _)| *at), Some(why.moment), "{why}");
            }
            gave_up @ Verdict::GaveUp { .. } => panic!("{gave_up:?}"),
        }
        found[usize::from(wanted)] += 1;
    }
    assert!(found[0] > 300 && found[1] > 6000, "{found:?}");
}

#[test]
fn keys_of_a_store_can_be_judged_apart() {
    let mut rng = dice("keys apart");
    for _ in 0..200 {
        let world = World { clients: 4, operations: 40, lost: 100, stale: 0 };
        let history = world.run(&OfMachine(Kv::default()), &mut rng, |rng| command(rng, 3));
        let verdicts = check_by_key(&KvKey, &history, |op| op.key().clone(), MANY);
        assert!(verdicts.values().all(Verdict::is_linearizable), "{history:?} {verdicts:?}");
    }
}

/// States that can be reached, with what led there.
fn states(rng: &mut Rng) -> Vec<KeyState> {
    let mut states = vec![KvKey.initial()];
    for _ in 0..400 {
        let state = &states[rng.usize(..states.len())];
        let (op, ret) = (command(rng, 1), output(rng));
        let ret = rng.bool().then_some(&ret);
        let next = KvKey.step(state, &op, ret);
        states.extend(next.filter(|next| !states.contains(next)));
    }
    states
}

#[test]
fn what_one_key_promises_the_search_is_so() {
    let mut rng = dice("promises");
    let (mut covered, mut late, mut read) = (0, 0, 0);
    for _ in 0..40 {
        let states = states(&mut rng);
        for _ in 0..4000 {
            let (op, ret) = (command(&mut rng, 1), output(&mut rng));
            let (one, other) = (&states[rng.usize(..states.len())], &states[rng.usize(..states.len())]);
            let outcome = rng.bool().then_some(&ret);
            let (after, after_other) = (KvKey.step(one, &op, outcome), KvKey.step(other, &op, outcome));
            if KvKey.covers(one, other) {
                covered += usize::from(one != other && after_other.is_some());
                if let Some(after_other) = &after_other {
                    let after =
                        after.as_ref().expect("what can happen from a state can from one that covers it");
                    assert!(KvKey.covers(after, after_other), "{one:?} {other:?} {op:?} {outcome:?}");
                }
            }
            if KvKey.too_late(one, &op, &ret) {
                late += 1;
                assert_eq!(KvKey.step(one, &op, Some(&ret)), None, "{one:?} {op:?} {ret:?}");
                let (next, by) = (command(&mut rng, 1), output(&mut rng));
                if let Some(next) = KvKey.step(one, &next, rng.bool().then_some(&by)) {
                    assert!(KvKey.too_late(&next, &op, &ret), "and stays so: {next:?} {op:?} {ret:?}");
                }
            }
            if KvKey.overwrites(&op)
                && KvKey.covers(one, other)
                && let (Some(one), Some(other)) = (KvKey.step(one, &op, None), KvKey.step(other, &op, None))
            {
                assert!(KvKey.covers(&one, &other));
            }
            // A read that leaves a state as it is, is not made possible or changed by what comes later.
            if KvKey.only_reads(&op, &ret) && KvKey.step(one, &op, Some(&ret)).as_ref() == Some(one) {
                read += 1;
                let (next, by) = (command(&mut rng, 1), output(&mut rng));
                if let Some(next) = KvKey.step(one, &next, Some(&by))
                    && let Some(after) = KvKey.step(&next, &op, Some(&ret))
                {
                    assert_eq!(after, next, "{one:?} {op:?} {ret:?}");
                }
            }
        }
    }
    assert!(covered > 100 && late > 1000 && read > 1000, "{covered} {late} {read}");
}

/// Two lost operations that are the same, and both needed.
#[test]
fn operations_without_an_answer_are_placed_in_chains() {
    use synod_machine::{Bank, BankCommand, BankOutput};
    let bank = OfMachine(Bank::default());
    let mut history = History::new();
    let deposit = BankCommand::Deposit { account: 1, amount: 5 };
    for process in 0..3 {
        history.invoke(process, deposit.clone());
    }
    let balance = history.invoke(3, BankCommand::Balance { account: 1 });
    history.returned(balance, BankOutput::Done { old: 10, new: 10 });
    let Verdict::Linearizable { order: Some(order) } = check(&bank, &history, MANY) else {
        panic!("two of three")
    };
    assert_eq!(order.len(), 3, "the third deposit need not have happened");
    assert!(explains(&bank, &history, &order));
    let balance = history.invoke(3, BankCommand::Balance { account: 1 });
    history.returned(balance, BankOutput::Done { old: 5, new: 5 });
    let Verdict::NotLinearizable(why) = check(&bank, &history, MANY) else { panic!("money is gone") };
    assert_eq!(why.stuck[0], balance);
    assert_eq!(bank.apply(&bank.initial(), &deposit).1, BankOutput::Done { old: 0, new: 5 });
}
