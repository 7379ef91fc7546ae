//! Random histories that are too long to go through all of them, and short enough for the definition.

use crate::objects::OfMachine;
use crate::worlds::World;
use crate::{dice, naive};
use fastrand::Rng;
use std::fmt::Debug;
use synod_linear::{
    History, MANY, Measured, Object, Register, RegisterOp, RegisterRet, Spec, Tester, Verdict, check,
    check_register, explains,
};
use synod_machine::{Bank, BankCommand, LockCommand, Locks};

/// Tries random histories of small worlds, half of them of objects that are not up to date.
fn agree<O: Measured + Object + Clone>(name: &str, object: &O, ask: impl Fn(&mut Rng) -> O::Op)
where
    O::Ret: Ord + Debug,
    O::Op: Debug,
{
    let mut rng = dice(name);
    let mut found = [0; 2];
    for round in 0..6000 {
        let world = World {
            clients: rng.u64(1..5),
            operations: rng.usize(1..8),
            lost: [0, 150, 500][round % 3],
            stale: if round % 2 == 0 { 0 } else { 300 },
        };
        let history = world.run(object, &mut rng, &ask);
        let wanted = naive::is_linearizable(object, &history);
        assert!(wanted || world.stale > 0, "what a linearizable object does is linearizable: {history:?}");
        match check(object, &history, MANY) {
            Verdict::Linearizable { order } => {
                assert!(wanted && explains(object, &history, &order.expect("an order")), "{history:?}");
            }
            Verdict::NotLinearizable(why) => {
                assert!(!wanted, "{history:?}\n{why}");
                let shorter = history.until(why.moment - 1).0;
                assert!(!naive::is_linearizable(object, &history.until(why.moment).0), "{history:?}\n{why}");
                assert!(naive::is_linearizable(object, &shorter), "{history:?}\n{why}");
            }
            gave_up @ Verdict::GaveUp { .. } => panic!("{gave_up:?}"),
        }
        assert_eq!(followed(object, &history).is_linearizable(), wanted, "{history:?}");
        found[usize::from(wanted)] += 1;
    }
    assert!(found[0] > 50 && found[1] > 2000, "{name}: {found:?}");
}

/// A tester that has seen the whole history.
fn followed<O: Measured + Object + Clone>(object: &O, history: &History<O::Op, O::Ret>) -> Tester<O, usize>
where
    O::Ret: Ord,
{
    let mut events = Vec::new();
    for (id, operation) in history.operations().iter().enumerate() {
        events.push((operation.invoked, id, None));
        if let Some((at, ret)) = &operation.returned {
            events.push((*at, id, Some(ret)));
        }
    }
    events.sort_by_key(|(at, _, _)| *at);
    let mut tester = Tester::new(object.clone());
    for (_, id, ret) in events {
        match ret {
            None => tester.invoke(id, history.operations()[id].op.clone()),
            Some(ret) => tester.returned(&id, ret),
        }
    }
    tester
}

#[test]
fn judges_agree_on_random_registers() {
    agree("register", &Register::<u64>::new(), |rng| match rng.u8(..4) {
        0 | 1 => RegisterOp::Read,
        2 => RegisterOp::Write(rng.u64(..3)),
        _ => RegisterOp::Swap(Some(rng.u64(..3)), rng.u64(..3)),
    });
}

#[test]
fn judges_agree_on_random_machines() {
    agree("bank", &OfMachine(Bank::default()), |rng| {
        let (account, amount) = (rng.u64(..2), rng.u64(..3));
        match rng.u8(..4) {
            0 => BankCommand::Balance { account },
            1 => BankCommand::Deposit { account, amount },
            2 => BankCommand::Withdraw { account, amount },
            _ => BankCommand::Transfer { from: account, to: 1 - account, amount },
        }
    });
    agree("locks", &OfMachine(Locks::default()), |rng| {
        let (lock, owner) = ("l".into(), ["a", "b"][rng.usize(..2)].into());
        match rng.u8(..3) {
            0 => LockCommand::Holder { lock },
            1 => LockCommand::Acquire { lock, owner },
            _ => LockCommand::Release { lock, owner, token: rng.u64(1..4) },
        }
    });
}

/// Registers of which each value is written once: the judge that does not search against the one that does.
#[test]
fn zones_and_search_agree() {
    let mut rng = dice("zones");
    let register = Register::<u64>::new();
    let mut found = [0; 2];
    for round in 0..4000 {
        let mut next = 0;
        let world = World {
            clients: rng.u64(1..6),
            operations: rng.usize(1..40),
            lost: 50,
            stale: if round % 2 == 0 { 0 } else { 100 },
        };
        let history = world.run(&register, &mut rng, |rng| {
            next += 1;
            if rng.bool() { RegisterOp::Read } else { RegisterOp::Write(next) }
        });
        let (one, other) = (check_register(&history, MANY), check(&register, &history, MANY));
        assert_eq!(one.is_linearizable(), other.is_linearizable(), "{history:?}");
        if let (Verdict::NotLinearizable(one), Verdict::NotLinearizable(other)) = (&one, &other) {
            assert_eq!((one.moment, one.events), (other.moment, other.events), "{one}\n{other}");
            let (beginning, _) = history.until(one.moment);
            let named = one.stuck.iter().map(|id| beginning.operations()[*id].clone()).collect();
            assert!(!naive::is_linearizable(&register, &History::of(named)), "by themselves: {one}");
        } else {
            assert!(matches!(one, Verdict::Linearizable { order: None }), "no search was needed");
        }
        found[usize::from(one.is_linearizable())] += 1;
    }
    assert!(found[0] > 300 && found[1] > 2000, "{found:?}");
}

/// A search that takes all operations for changes must come to the same verdicts as one that places reads at once.
#[test]
fn placing_reads_at_once_changes_no_verdict() {
    #[derive(Clone)]
    struct Plain(Register<u64>);
    impl Spec for Plain {
        type State = Option<u64>;
        type Op = RegisterOp<u64>;
        type Ret = RegisterRet<u64>;
        fn initial(&self) -> Option<u64> {
            self.0.initial()
        }
        fn step(&self, state: &Option<u64>, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Option<u64>> {
            self.0.step(state, op, ret)
        }
    }
    impl Measured for Plain {
        fn bytes(&self, _: &Option<u64>) -> usize {
            0
        }
    }
    let mut rng = dice("reads at once");
    let mut found = [0; 2];
    for _ in 0..2000 {
        let world = World { clients: 4, operations: 16, lost: 50, stale: 60 };
        let history = world.run(&Register::new(), &mut rng, |rng| match rng.u8(..3) {
            0 => RegisterOp::Read,
            1 => RegisterOp::Write(rng.u64(..3)),
            _ => RegisterOp::Swap(Some(rng.u64(..3)), rng.u64(..3)),
        });
        let wanted = check(&Plain(Register::new()), &history, MANY).is_linearizable();
        assert_eq!(check(&Register::new(), &history, MANY).is_linearizable(), wanted, "{history:?}");
        found[usize::from(wanted)] += 1;
    }
    assert!(found[0] > 100 && found[1] > 1000, "{found:?}");
}

/// A register that promises the search one thing too many.
#[derive(Clone)]
struct Promises(Register<u64>, &'static str);

impl Measured for Promises {
    fn bytes(&self, _: &Option<u64>) -> usize {
        0
    }
}

impl Spec for Promises {
    type State = Option<u64>;
    type Op = RegisterOp<u64>;
    type Ret = RegisterRet<u64>;
    fn initial(&self) -> Option<u64> {
        self.0.initial()
    }
    fn step(&self, state: &Option<u64>, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Option<u64>> {
        self.0.step(state, op, ret)
    }
    fn only_reads(&self, op: &Self::Op, ret: &Self::Ret) -> bool {
        self.1 == "all only read" || self.0.only_reads(op, ret)
    }
    fn too_late(&self, state: &Option<u64>, op: &Self::Op, ret: &Self::Ret) -> bool {
        self.1 == "what is not now is never" && self.step(state, op, Some(ret)).is_none()
    }
    fn overwrites(&self, op: &Self::Op) -> bool {
        self.1 == "all overwrite" || self.0.overwrites(op)
    }
    fn covers(&self, state: &Option<u64>, other: &Option<u64>) -> bool {
        self.1 == "all states are alike" || state == other
    }
}

/// Each promise is used, and a false one leads to wrong verdicts that the comparison with the definition finds.
#[test]
fn false_promises_are_found_out() {
    for (promise, wrong) in [
        ("", false),
        ("all only read", true),
        ("what is not now is never", true),
        ("all overwrite", true),
        ("all states are alike", true),
    ] {
        let mut rng = dice(promise);
        let register = Promises(Register::new(), promise);
        let found = (0..4000).any(|_| {
            let world = World { clients: 3, operations: 7, lost: 400, stale: 0 };
            let history = world.run(&Register::new(), &mut rng, |rng| match rng.u8(..4) {
                0 | 1 => RegisterOp::Read,
                2 => RegisterOp::Write(rng.u64(..4)),
                _ => RegisterOp::Swap(Some(rng.u64(..4)), rng.u64(..4)),
            });
            check(&register, &history, MANY).is_linearizable() != naive::is_linearizable(&register, &history)
        });
        assert_eq!(found, wrong, "{promise}");
    }
}
