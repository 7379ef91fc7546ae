//! Storms over a cluster that keeps the log, in a simulated world: thousands of faults of network, disks and processes, drawn from one seed. Every
//! history is linearizable, every acknowledged write is there at the end, and every record replays with all claims.

use crate::callers::places;
use crate::simulated::ms;
use crate::world::{Cluster, copy};
use std::io::ErrorKind;
use std::time::Duration;
use synod::Instance;
use synod_replay::{Replayed, Which, tell};
use synod_runtime::sim::{Weather, address};
use synod_runtime::sim_disk::{Fault, Op, SimDisk};

/// One of the next operations of a disk fails: its member stops in the middle of something.
fn fail(cluster: &mut Cluster, place: usize) {
    let rng = cluster.world.rng();
    let ops =
        [Op::Any, Op::Any, Op::Write, Op::Sync, Op::SetSize, Op::Create, Op::Rename, Op::SyncDir, Op::Remove];
    let op = ops[rng.usize(..ops.len())];
    let error = if rng.bool() { ErrorKind::Other } else { ErrorKind::StorageFull };
    let fault = Fault { op, after: rng.u64(..6), error, forever: rng.bool() };
    cluster.failing.insert(place);
    cluster.disks[place].fail(fault);
}

/// A disk comes back with other contents.
fn lose(cluster: &mut Cluster, place: usize, contents: SimDisk) {
    cluster.kill(place);
    cluster.lost.insert(place);
    cluster.disks[place] = contents;
    cluster.start(place).unwrap_or_else(|refusal| panic!("member {place}: {refusal}"));
}

/// So many rounds of faults under load.
fn storm(cluster: &mut Cluster, rounds: usize) {
    let size = cluster.size;
    let minority = (size - 1) / 2;
    let callers = places(size);
    cluster.start_all();
    for place in callers.clone() {
        cluster.call(place, None);
    }
    let loses = cluster.world.rng().bool();
    for round in 0..rounds {
        let rng = cluster.world.rng();
        let (dice, place, span) = (rng.u8(..28), rng.usize(..size), rng.u64(1..60));
        let down = (0..size).filter(|place| {
            cluster.lost.contains(place)
                || cluster.failing.contains(place)
                || cluster.world.node(*place).is_none()
        });
        let room =
            down.count() < minority && cluster.world.node(place).is_some() && !cluster.lost.contains(&place);
        match dice {
            0..=4 if room => cluster.kill(place),
            5..=9 if room => fail(cluster, place),
            10 if loses && round > rounds / 2 && cluster.lost.is_empty() && room => {
                lose(cluster, place, SimDisk::new());
            }
            12 if cluster.failing.is_empty() && cluster.world.rng().u8(..4) == 0 => {
                // The power of the whole house.
                (0..size).for_each(|place| cluster.kill(place));
            }
            13..=18 => {
                for place in 0..size {
                    if cluster.failing.remove(&place) {
                        cluster.disks[place].heal();
                    }
                    if cluster.world.node(place).is_none() && !cluster.lost.contains(&place) {
                        cluster.start(place).unwrap_or_else(|refusal| panic!("member {place}: {refusal}"));
                    }
                }
            }
            19 => {
                let rng = cluster.world.rng();
                let (other, both) = (rng.usize(..size), rng.bool());
                cluster.world.net(|net| {
                    net.cuts.insert((address(place), address(other)));
                    if both {
                        net.cuts.insert((address(other), address(place)));
                    }
                });
            }
            20..=22 => cluster.world.net(|net| net.cuts.clear()),
            23..=24 => {
                let rng = cluster.world.rng();
                let (loss, doubled, slow) = (rng.f64() * 0.3, rng.f64() * 0.3, rng.u64(1..30));
                let delay = Duration::from_micros(20)..ms(slow);
                cluster.world.net(|net| net.weather = Weather { loss, doubled, delay });
            }
            25 => {
                let flush = cluster.world.rng().u64(..40);
                cluster.disks[place].slow(ms(flush));
            }
            26 => {
                // A client goes, and another comes in its place.
                let place = callers.start + cluster.world.rng().usize(..callers.len());
                cluster.call(place, None);
            }
            _ => {}
        }
        cluster.run(ms(span));
    }
}

fn stormy(seed: u64, groups: usize, rounds: usize) -> (Cluster, Replayed) {
    eprintln!("SYNOD_SEED={seed} SYNOD_RUNS=1, {groups} groups");
    let size = if seed.is_multiple_of(3) { 5 } else { 3 };
    let mut cluster = Cluster::of_groups(seed, size, groups);
    // In every second storm snapshots are so long that they have files of their own.
    cluster.book.widen(if seed.is_multiple_of(2) { 3000 } else { 8 });
    cluster.book.slow_down(30);
    storm(&mut cluster, rounds);
    let replayed = cluster.settle(places(size));
    (cluster, replayed)
}

#[test]
fn storms_break_nothing_and_replay_whole() {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, runs) = (read("SYNOD_SEED").unwrap_or(1), read("SYNOD_RUNS").unwrap_or(12));
    let (mut events, mut chosen, mut cut) = (0, 0, 0);
    let (mut kills, mut cuts_short, mut answered, mut unknown, mut lost) = (0, 0, 0, 0, 0);
    for seed in first..first + runs {
        let (cluster, replayed) = stormy(seed, 1, 300);
        events += replayed.events;
        chosen += replayed.chosen;
        cut += replayed.cut;
        kills += cluster.kills;
        cuts_short += cluster.cuts_short;
        answered += cluster.book.answered();
        unknown += cluster.book.unknown();
        lost += cluster.lost.len();
    }
    eprintln!(
        "{runs} storms: {events} events, {chosen} chosen, {kills} kills, {cuts_short} in the middle of something, {cut} starts cut \
         short, {lost} disks lost, {answered} answers, {unknown} of unknown outcome"
    );
    // The storms must have been such.
    assert!(kills > runs && cuts_short > runs && answered > 100 * runs && unknown > 0);
    assert!(runs < 12 || (cut > 0 && lost > 0));
}

/// Several logs over one transport and one journal: members crash with saves of several groups in a batch and take snapshots of one after the
/// other, and each group is replayed as a log of its own.
#[test]
fn storms_break_nothing_in_any_of_several_groups() {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, runs) = (read("SYNOD_SEED").unwrap_or(1), read("SYNOD_RUNS").unwrap_or(4));
    let (mut kills, mut answered, mut apart) = (0, 0, 0);
    for seed in first..first + runs {
        let (mut cluster, replayed) = stormy(seed, 3, 300);
        assert!(replayed.chosen > 0);
        for group in 0..3 {
            let which = Which { group: Some(group), instance: Some(Instance(3)) };
            let told = tell(&cluster.records(), which, 2000).expect("they can be read").text;
            let mut steps = told.lines().filter(|line| line.contains("  member "));
            assert!(
                told.contains("executes instance 3") || told.contains("has executed all below"),
                "{told}"
            );
            assert!(steps.all(|line| line.contains(&format!(" in group {group} "))), "{told}");
        }
        kills += cluster.kills;
        answered += cluster.book.answered();
        apart += (0..cluster.size)
            .filter_map(|place| cluster.member(place)?.node.store().map(|store| store.named().len()))
            .max()
            .unwrap_or(0);
    }
    eprintln!("{runs} storms over 3 groups: {kills} kills, {answered} answers");
    assert!(kills > runs && answered > 100 * runs);
    assert!(runs < 4 || apart > 2, "{apart} groups had a snapshot in a file of its own");
}

#[test]
fn a_seed_replays_a_run_byte_for_byte() {
    let run = |seed| {
        let (cluster, replayed) = stormy(seed, 1, 120);
        (cluster.digest(), replayed)
    };
    let (once, again, other) = (run(42), run(42), run(43));
    assert!(once == again, "the same seed gave two different runs");
    assert!(once.0.0 != other.0.0, "another seed gave the same run");
}

#[test]
fn an_older_copy_of_a_disk_does_not_take_part_in_the_log() {
    for seed in 1..4 {
        let mut cluster = Cluster::new(seed, 3);
        cluster.book.widen(if seed == 1 { 3000 } else { 8 });
        cluster.book.slow_down(20);
        cluster.start_all();
        for place in places(3) {
            cluster.call(place, None);
        }
        cluster.run(ms(400));
        let older = copy(&cluster.disks[1]);
        // The others act on what it says meanwhile.
        cluster.run(ms(400));
        lose(&mut cluster, 1, older);
        let before = cluster.book.answered();
        cluster.run(ms(600));
        let words: Vec<_> = cluster.words.iter().filter(|(place, _)| *place == 1).collect();
        assert!(matches!(words[..], [(_, said)] if said.contains("older copy")), "seed {seed}: {words:?}");
        assert!(cluster.book.answered() > before + 5, "seed {seed}: the others go on");
        cluster.settle(places(3));
    }
}
