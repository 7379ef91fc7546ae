//! A long journal is compacted in pieces: no commit writes much more than its own batch, and a crash at any time loses nothing.

use std::io::ErrorKind;
use synod::{AcceptorState, Ballot, Instance, Proposal, Stable, Value};
use synod_runtime::disk::Disk;
use synod_runtime::refusal::Refusal;
use synod_runtime::sim_disk::{Fault, Op, SimDir, SimDisk};
use synod_runtime::store::{Identity, Limits, Store};
use synod_server::PaxosChanges;

type Stored = Store<Stable, PaxosChanges, SimDir>;

const BALLOT: Ballot = Ballot { round: 1, proposer: 0 };
const VALUE: usize = 100_000;
const LIMITS: Limits = Limits { chunk: 512, large: 1 << 10, batch: 1 << 24, compact_above: 3 << 20 };

fn open(disk: &SimDisk) -> Result<Stored, Refusal> {
    Ok(Stored::open_with(disk.open()?, Identity { cluster: 7, member: 0 }, &[0], 9, LIMITS)?.0)
}

fn accept(state: &mut Stable, instance: u64, length: usize) {
    let value = Value::from(vec![instance as u8 | 1; length].as_slice());
    state.acceptor.accepted.insert(Instance(instance), Proposal { ballot: BALLOT, value });
}

/// A state that has accepted so many long values.
fn long(values: u64) -> Stable {
    let acceptor =
        AcceptorState { promised: Some(BALLOT), accepted_in: Some(BALLOT), ..AcceptorState::default() };
    let mut state = Stable { acceptor, tried: 1, snapshot: None };
    (0..values).for_each(|instance| accept(&mut state, instance, VALUE));
    state
}

/// Accepts long values until the journal has to be compacted, and shorter ones until it was. Some of them in instances in which it has
/// accepted before. `saved` has the last state that was committed, and the one under way.
fn script(store: &mut Stored, saved: &mut (Option<Stable>, Option<Stable>)) -> Result<usize, Refusal> {
    let mut state = Stable::default();
    let mut between = 0;
    for step in 0..80 {
        match step {
            0..33 => state = long(step + 1),
            _ => accept(&mut state, step * 7 % 40, 20_000 + step as usize),
        }
        state.tried += 1;
        saved.1 = Some(state.clone());
        store.save(&state);
        store.commit()?;
        saved.0 = saved.1.take();
        let names = store.disk().names().expect("it lives");
        between += usize::from(names.iter().any(|name| name.contains(".new")));
    }
    Ok(between)
}

#[test]
fn no_commit_writes_much_more_than_its_batch() {
    let disk = SimDisk::new();
    let mut store = open(&disk).expect("it is new");
    let mut state = Stable::default();
    let (mut most, mut shared) = (0, 0);
    for step in 0..400 {
        accept(&mut state, step, VALUE);
        let before = disk.counts().bytes;
        store.save(&state);
        store.commit().expect("the disk is well");
        most = most.max(disk.counts().bytes - before);
        shared += u64::from(disk.names().iter().any(|name| name.contains(".new")));
    }
    // The state has 40 MB, and a journal of twice its opening is compacted again.
    assert!(most < 2_000_000, "{most} bytes in a commit");
    assert!(
        shared > 30 && store.counts().compactions >= 3,
        "{shared} commits, {} compactions",
        store.counts().compactions
    );
    drop(store);
    assert_eq!(open(&disk).expect("it comes back").state(), Some(&state));
}

#[test]
fn whatever_the_moment_of_a_crash_nothing_that_was_committed_is_lost() {
    let whole = SimDisk::new();
    let mut store = open(&whole).expect("it is new");
    let mut saved = (None, None);
    let between = script(&mut store, &mut saved).expect("the disk is well");
    assert!(
        between > 1 && store.counts().compactions == 1,
        "{between} commits before the new file was whole"
    );
    drop(store);
    assert_eq!(open(&whole).expect("it comes back").state(), saved.0.as_ref());
    for after in 70..whole.counts().operations {
        let disk = SimDisk::new();
        let mut saved = (None, None);
        let mut run = || open(&disk).and_then(|mut store| script(&mut store, &mut saved));
        disk.fail(Fault { op: Op::Any, after, error: ErrorKind::Other, forever: true });
        let failed = run().is_err();
        disk.heal();
        disk.crash(&mut fastrand::Rng::with_seed(after));
        let store = open(&disk).unwrap_or_else(|refusal| panic!("operation {after}: {refusal}"));
        let found = store.state();
        assert!(
            found == saved.0.as_ref() || (failed && found == saved.1.as_ref()),
            "operation {after}: another state"
        );
    }
}
