//! The contract of [`StateMachine`], asked of every machine with arbitrary logs, and machines that break it.

use crate::machines::Tried;
use crate::twice::Twice;
use crate::{falls, holds};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use synod_machine::{Bank, Kv, Locks, NotRestored, Sessions, StateMachine, Store, decode, encode};

/// Runs a log on a replica that is never disturbed and on one that is restored from a snapshot at these positions, taken
/// from either, into a machine that has seen other commands.
fn replicas_agree<M: Tried>(log: &[M::Command], restored: &[usize]) -> Result<(), TestCaseError> {
    let (mut one, mut two) = (M::fresh(), M::fresh());
    for (position, command) in log.iter().enumerate() {
        if restored.contains(&position) {
            let snapshot = two.snapshot();
            prop_assert_eq!(&snapshot, &one.snapshot(), "snapshots before {}", position);
            let mut other = M::fresh();
            for command in log.iter().rev().take(position % 7) {
                other.apply(command);
            }
            other.restore(&snapshot).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(&other, &two, "a snapshot is everything");
            two = other;
        }
        let before = one.clone();
        let asked = one.query(command);
        prop_assert_eq!(&one, &before, "a question changes nothing");
        let (output, other) = (one.apply(command), two.apply(command));
        prop_assert_eq!(&output, &other, "outputs of {:?} at {}", command, position);
        prop_assert_eq!(&one, &two, "states after {}", position);
        if let Some(answer) = asked {
            prop_assert_eq!(answer, output, "what a question says, executing it says");
            prop_assert_eq!(&one, &before, "executing a question changes nothing");
        }
    }
    Ok(())
}

/// Bytes of a snapshot, changed: refused, or a state that is sound. `apply` must not panic in it.
fn wrong_snapshots_do_no_harm<M: Tried>(
    log: &[M::Command],
    changes: &[(usize, u8)],
) -> Result<(), TestCaseError> {
    let (before, after) = log.split_at(log.len() / 2);
    let mut machine = M::fresh();
    for command in before {
        machine.apply(command);
    }
    let mut bytes = machine.snapshot();
    for (at, byte) in changes {
        match byte % 4 {
            0 => bytes.truncate(*at % (bytes.len() + 1)),
            1 => bytes.insert(*at % (bytes.len() + 1), *byte),
            _ if !bytes.is_empty() => {
                let len = bytes.len();
                bytes[*at % len] ^= *byte;
            }
            _ => {}
        }
    }
    let mut other = M::fresh();
    if other.restore(&bytes).is_err() {
        prop_assert_eq!(&other, &M::fresh(), "an error leaves the machine as it was");
        return Ok(());
    }
    for command in after {
        other.apply(command);
    }
    let mut third = M::fresh();
    third.restore(&other.snapshot()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(third, other);
    Ok(())
}

fn keeps_the_contract<M: Tried>(name: &str) {
    let disturbed = (M::log(), vec(0..60usize, 0..6));
    holds(name, 256, &disturbed, |(log, restored)| replicas_agree::<M>(&log, &restored));
    let changed = (M::log(), vec((any::<usize>(), any::<u8>()), 0..4));
    holds(name, 512, &changed, |(log, changes)| wrong_snapshots_do_no_harm::<M>(&log, &changes));
}

impl<M: Tried> Tried for Twice<M> {
    fn fresh() -> Self {
        Twice::new(M::fresh(), M::fresh()).expect("equal copies")
    }
    fn commands() -> BoxedStrategy<M::Command> {
        M::commands()
    }
}

#[test]
fn machines_keep_the_contract() {
    keeps_the_contract::<Bank>("bank");
    keeps_the_contract::<Kv>("store");
    keeps_the_contract::<Locks>("locks");
    keeps_the_contract::<Store>("everything");
}

#[test]
fn machines_with_sessions_keep_the_contract() {
    keeps_the_contract::<Sessions<Bank>>("bank with sessions");
    keeps_the_contract::<Sessions<Kv>>("store with sessions");
    keeps_the_contract::<Sessions<Locks>>("locks with sessions");
    keeps_the_contract::<Sessions<Store>>("everything with sessions");
}

#[test]
fn machines_run_twice_keep_the_contract() {
    keeps_the_contract::<Twice<Sessions<Kv>>>("store with sessions, twice");
    keeps_the_contract::<Sessions<Twice<Bank>>>("bank twice, with sessions");
}

/// The states and outputs of `M` while some of `M`'s duties are broken by `B`.
trait Breach: Clone + std::fmt::Debug + PartialEq + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    fn broken<M: StateMachine>(machine: &mut Broken<M, Self>, command: &M::Command) -> M::Output;
    fn snapshot<M: StateMachine>(machine: &Broken<M, Self>) -> Vec<u8> {
        machine.inner.snapshot()
    }
}

/// A machine with something from outside of the log in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Broken<M, B> {
    inner: M,
    /// Commands run by *this* copy: what a machine must not go by.
    here: u64,
    breach: std::marker::PhantomData<B>,
}

impl<M: StateMachine, B: Breach> StateMachine for Broken<M, B> {
    type Command = M::Command;
    type Output = M::Output;
    fn apply(&mut self, command: &M::Command) -> M::Output {
        B::broken(self, command)
    }
    fn query(&self, command: &M::Command) -> Option<M::Output> {
        self.inner.query(command)
    }
    fn snapshot(&self) -> Vec<u8> {
        B::snapshot(self)
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        self.here = 0;
        self.inner.restore(snapshot)
    }
}

impl<M: Tried, B: Breach> Tried for Broken<M, B> {
    fn fresh() -> Self {
        Broken { inner: M::fresh(), here: 0, breach: std::marker::PhantomData }
    }
    fn commands() -> BoxedStrategy<M::Command> {
        M::commands()
    }
}

/// Skips each fourth command that this copy sees: copies that were restored at other moments skip others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CountsItsOwn;
impl Breach for CountsItsOwn {
    const NAME: &'static str = "counts what this copy ran";
    fn broken<M: StateMachine>(machine: &mut Broken<M, Self>, command: &M::Command) -> M::Output {
        machine.here = (machine.here + 1) % 4;
        if machine.here == 3 { machine.inner.clone().apply(command) } else { machine.inner.apply(command) }
    }
}

/// Writes a lower count into its snapshot than it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OldSnapshot;
impl Breach for OldSnapshot {
    const NAME: &'static str = "writes less into its snapshot than it has";
    fn broken<M: StateMachine>(machine: &mut Broken<M, Self>, command: &M::Command) -> M::Output {
        machine.inner.apply(command)
    }
    fn snapshot<M: StateMachine>(machine: &Broken<M, Self>) -> Vec<u8> {
        let mut cut = machine.inner.snapshot();
        // A store's snapshot ends with the latest version.
        if let Some(last) = cut.last_mut() {
            *last = (*last).min(2);
        }
        cut
    }
}

#[test]
fn machines_that_break_the_contract_fall() {
    fn falls_with<B: Breach>() {
        let disturbed = (Broken::<Kv, B>::log(), vec(0..60usize, 0..6));
        falls(B::NAME, 256, &disturbed, |(log, restored)| replicas_agree::<Broken<Kv, B>>(&log, &restored));
    }
    falls_with::<CountsItsOwn>();
    falls_with::<OldSnapshot>();
}

/// Names that were noted, and one of them on request: whichever a hash set has first. Its seed is drawn from the machine's randomness, and
/// a clone has the same.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct FirstOfHashSet(HashSet<u32>);

impl Hash for FirstOfHashSet {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.len().hash(hasher);
    }
}

impl StateMachine for FirstOfHashSet {
    type Command = Option<u32>;
    type Output = Option<u32>;
    fn apply(&mut self, command: &Option<u32>) -> Option<u32> {
        match command {
            Some(name) => {
                self.0.insert(*name);
                None
            }
            None => self.0.iter().next().copied(),
        }
    }
    fn query(&self, _: &Option<u32>) -> Option<Option<u32>> {
        None
    }
    fn snapshot(&self) -> Vec<u8> {
        let mut names: Vec<u32> = self.0.iter().copied().collect();
        names.sort_unstable();
        encode(&names)
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        self.0 = decode::<Vec<u32>>(snapshot)?.into_iter().collect();
        Ok(())
    }
}

#[test]
fn a_machine_that_goes_by_the_order_of_a_hash_set_is_stopped() {
    let mut twice = Twice::new(FirstOfHashSet::default(), FirstOfHashSet::default()).expect("both are empty");
    for name in 0..1000 {
        twice.try_apply(&Some(name)).expect("noting is deterministic");
    }
    // Two sets with seeds of their own have the same of 1000 names first once in about as many runs: so this asks for
    // more, and gives up only where chance would have to hit a hundred times in a row.
    let unequal = (1000..1100).find_map(|name| {
        let stopped = twice.try_apply(&None).err();
        if stopped.is_none() {
            twice.try_apply(&Some(name)).expect("noting is deterministic");
        }
        stopped
    });
    let unequal = unequal.expect("two copies that differ");
    assert_eq!((unequal.what, unequal.after.as_str()), ("output", "None"));
    let text = unequal.to_string();
    assert!(
        text.contains(&unequal.one) && text.contains(&unequal.two) && unequal.one != unequal.two,
        "{text}"
    );
    let stopped = std::panic::catch_unwind(move || twice.apply(&None)).expect_err("it stops here too");
    let said = stopped.downcast_ref::<String>().expect("a message");
    assert!(said.starts_with("the machine is not deterministic: after None the output is Some("), "{said}");
}

#[test]
fn what_cannot_be_restored_cannot_be_run_twice() {
    type Cut = Broken<Kv, OldSnapshot>;
    let mut cut = Cut::fresh();
    for _ in 0..3 {
        cut.apply(&synod_machine::KvCommand::Put { key: "a".into(), value: "b".into() });
    }
    let error = Twice::new(cut, Cut::fresh()).expect_err("version 3 of 2");
    assert!(error.to_string().contains("version 3 of 2"), "{error}");
}
