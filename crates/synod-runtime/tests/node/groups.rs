//! Two groups of one process: a flush covers the saves of both, whatever the moment of a crash.

use crate::world::{Do, Scripted, plain, settings};
use std::io::ErrorKind;
use std::time::Duration;
use synod_groups::{Groups, InGroup, Stables};
use synod_runtime::changes::Whole;
use synod_runtime::door::Door;
use synod_runtime::groups::ByGroup;
use synod_runtime::inbox::Limits;
use synod_runtime::node::{LOCAL_CLIENT, Node};
use synod_runtime::sim::{SimNode, World};
use synod_runtime::sim_disk::{Fault, Op, SimDir, SimDisk};
use synod_runtime::store::{Identity, Limits as Sizes, Store};
use synod_runtime::transport::Transport;

type Process = SimNode<Groups<Scripted>, ByGroup<Whole>>;
type Stored = Store<Stables<u32>, ByGroup<Whole>, SimDir>;

const GROUPS: u8 = 2;
/// A journal that is compacted every few turns.
const SIZES: Sizes = Sizes { chunk: 4096, large: 2048, batch: 1 << 16, compact_above: 4 << 10 };

fn open(disk: &SimDisk) -> Result<Stored, synod_runtime::refusal::Refusal> {
    let who = Identity { cluster: 1, member: 0 };
    Ok(Stored::open_with(disk.open()?, who, &[0], 7, SIZES)?.0)
}

fn process(disk: &SimDisk) -> Result<Process, synod_runtime::refusal::Refusal> {
    let store = open(disk)?;
    let world: World<Process> = World::new(1);
    let transport = Transport::new(settings(0, &[], store.standing()), fastrand::Rng::with_seed(1));
    let actors = Groups::new(vec![plain(), plain()]);
    let (wire, rng) = (world.wire(0), fastrand::Rng::with_seed(2));
    Ok(Node::new(actors, transport, wire, Some(store), None, Limits::default(), rng))
}

/// Has both groups save in every turn, so many times. Returns what each was told last to be saved, which may not be lost, and whether the disk was well.
fn save(node: &mut Process, turns: std::ops::Range<u32>) -> ([u32; 2], bool) {
    let mut told = [0; 2];
    for turn in turns {
        for group in 0..GROUPS {
            let what = Do::Save(10 * turn + u32::from(group));
            assert!(node.tell(LOCAL_CLIENT, &InGroup { group, what }));
        }
        let is_well = node.turn(Duration::ZERO).is_ok();
        for (_, msg) in node.told() {
            let Do::Said(saved) = msg.what else { panic!("{msg:?}") };
            assert_eq!(saved % 10, u32::from(msg.group), "an answer of another group");
            told[usize::from(msg.group)] = saved;
        }
        if !is_well {
            return (told, false);
        }
    }
    (told, true)
}

#[test]
fn one_flush_covers_the_saves_of_both_groups_in_a_turn() {
    let disk = SimDisk::new();
    let mut node = process(&disk).expect("it is new");
    save(&mut node, 1..2);
    let (flushes, saves) = (node.counts().flushes, node.counts().saves);
    let (told, _) = save(&mut node, 2..102);
    assert_eq!((node.counts().flushes - flushes, node.counts().saves - saves), (100, 200));
    assert_eq!(told, [1010, 1011]);
}

#[test]
fn a_group_that_there_is_not_hears_nothing() {
    let msg = |group| InGroup { group, what: Do::Save(1) };
    let actors = Groups::new(vec![plain(), plain()]);
    let is_for = |group| <ByGroup<Whole> as Door<Groups<Scripted>>>::is_for(&actors, &msg(group));
    assert_eq!([0, 1, 2, 255].map(is_for), [true, true, false, false]);
}

#[test]
fn a_crash_between_the_saves_of_two_groups_loses_nothing_that_was_acknowledged() {
    let whole = SimDisk::new();
    let mut node = process(&whole).expect("it is new");
    let first = whole.counts().operations;
    assert!(save(&mut node, 1..60).1);
    assert!(node.store().expect("it has one").counts().compactions > 0);
    let operations = whole.counts().operations;
    let mut behind = 0;
    for after in first..operations {
        for seed in 0..6 {
            let disk = SimDisk::new();
            disk.fail(Fault { op: Op::Any, after, error: ErrorKind::Other, forever: true });
            let mut node = process(&disk).expect("it fails later");
            let (told, is_well) = save(&mut node, 1..60);
            assert!(!is_well, "operation {after} fails");
            drop(node);
            disk.heal();
            disk.crash(&mut fastrand::Rng::with_seed(seed));
            let store =
                open(&disk).unwrap_or_else(|refusal| panic!("operation {after}, seed {seed}: {refusal}"));
            let found =
                [0u8, 1].map(|group| store.state().and_then(|all| all.of(group)).copied().unwrap_or(0));
            for group in 0..2 {
                assert!(
                    found[group] >= told[group],
                    "operation {after}, seed {seed}: {found:?}, {told:?} were told"
                );
            }
            behind += usize::from(found != told);
            // It goes on from there.
            drop(store);
            assert!(save(&mut process(&disk).expect("it comes back"), 60..63).1);
        }
    }
    assert!(behind > 20, "{behind} crashes left something that was not acknowledged");
}
