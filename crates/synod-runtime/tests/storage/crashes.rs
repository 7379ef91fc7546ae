//! Crashes at every operation of the disk, and at random ones.

use crate::reference::*;
use fastrand::Rng;
use std::io::ErrorKind;
use synod_runtime::refusal::Refusal;
use synod_runtime::sim_disk::{Fault, Op, SimDir, SimDisk};
use synod_runtime::store::Limits;

/// Small enough that a script of a few commits compacts several times, and has batches with and without zeros ahead.
const TINY: Limits = Limits { chunk: 512, large: 400, batch: 1 << 16, compact_above: 2000 };

/// A process, what it was told is durable, and what it has asked for on top.
struct Process {
    store: Stored<SimDir>,
    acknowledged: Account,
    asked: Account,
}

impl Process {
    fn open(disk: &SimDisk, known: &mut [Account; 2]) -> Result<Self, Refusal> {
        // The start that is being counted may become durable without being acknowledged.
        known[1].boot = known[1].boot.max(known[0].boot) + 1;
        let (store, _) = open_with(disk, TINY)?;
        let found = Account::of(&store);
        let counted = |account: &Account| Account { boot: found.boot, ..account.clone() };
        assert!(known.iter().any(|account| counted(account) == found), "{found:?} is none of {known:?}");
        let boots = known[0].boot + 1..=known[1].boot;
        assert!(boots.contains(&found.boot), "boot {} is not in {boots:?}", found.boot);
        *known = [found.clone(), found.clone()];
        Ok(Self { store, acknowledged: found.clone(), asked: found })
    }

    fn put(&mut self, key: u8, length: usize) {
        let salt = self.asked.saves as u8;
        put(&mut self.store, &mut self.asked, key, solid(length, salt));
    }

    fn know(&mut self, peer: u64, saves: u64) {
        let known = heard(&mut self.store, peer, saves);
        self.asked.known.insert(peer, known);
    }

    fn admit(&mut self) {
        self.store.admit();
        self.asked.admitted = true;
    }

    fn commit(&mut self, known: &mut [Account; 2]) -> Result<(), Refusal> {
        known[1] = self.asked.clone();
        self.store.commit()?;
        self.acknowledged = self.asked.clone();
        assert_eq!(Account::of(&self.store), self.acknowledged);
        known[0] = self.acknowledged.clone();
        Ok(())
    }
}

/// Two processes in a row that commit, grow the file and compact.
fn script(disk: &SimDisk, known: &mut [Account; 2]) -> Result<(), Refusal> {
    for round in 0..2_u8 {
        let mut process = Process::open(disk, known)?;
        for step in 0..6_u8 {
            process.put(step % 4, 100 + 90 * usize::from(step));
            process.put(7, 3);
            process.know(u64::from(step % 3), u64::from(round));
            if step == 4 {
                process.admit();
            }
            process.commit(known)?;
        }
        if round == 0 {
            assert!(process.store.counts().compactions > 0, "the script compacts");
        }
    }
    Ok(())
}

/// Runs the script up to operation `at`, then lets `end` end the process; says whether it came that far.
fn up_to(at: u64, end: impl FnOnce(&SimDisk)) -> (SimDisk, [Account; 2], bool) {
    let disk = SimDisk::new();
    let mut known = <[Account; 2]>::default();
    disk.fail(Fault { op: Op::Any, after: at, error: ErrorKind::Other, forever: true });
    let ended = script(&disk, &mut known).is_err();
    disk.heal();
    end(&disk);
    (disk, known, ended)
}

/// Goes on after a crash: opens, commits once more, and opens again.
fn goes_on(disk: &SimDisk, known: &mut [Account; 2]) {
    let mut process = Process::open(disk, known).unwrap_or_else(|refusal| panic!("{refusal}"));
    process.put(9, 10);
    process.commit(known).unwrap();
    drop(process);
    Process::open(disk, known).unwrap_or_else(|refusal| panic!("{refusal}"));
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_every_operation() {
    let first = seed();
    let mut at = 0;
    loop {
        let mut came = false;
        for seed in 0..16 {
            let seed = first.wrapping_add(seed);
            let (disk, mut known, ended) = up_to(at, |disk| disk.crash(&mut Rng::with_seed(seed)));
            came = ended;
            goes_on(&disk, &mut known);
        }
        if !came {
            break;
        }
        at += 1;
    }
    assert!(at > 50, "the script has {at} operations");
}

/// After a kill all that was written can be read, even what a failed flush dropped; what a new process starts from
/// must be durable nevertheless.
#[test]
fn what_a_killed_process_left_is_durable_before_it_is_used() {
    let first = seed();
    for at in 0.. {
        let (disk, mut known, ended) = up_to(at, SimDisk::kill);
        drop(Process::open(&disk, &mut known).unwrap_or_else(|refusal| panic!("{refusal}")));
        disk.crash(&mut Rng::with_seed(first.wrapping_add(at)));
        goes_on(&disk, &mut known);
        if !ended {
            break;
        }
    }
}

#[test]
fn a_crash_while_a_crash_or_a_kill_is_mended_is_mended_too() {
    let first = seed();
    for at in 0..160 {
        for second in 0..14 {
            let mut rng = Rng::with_seed(first.wrapping_add(at * 14 + second));
            let killed = at % 2 == 1;
            let end = |disk: &SimDisk| if killed { disk.kill() } else { disk.crash(&mut rng) };
            let (disk, mut known, _) = up_to(at / 2, end);
            disk.fail(Fault { op: Op::Any, after: second, error: ErrorKind::Other, forever: true });
            let process = Process::open(&disk, &mut known);
            if let Ok(mut process) = process {
                process.put(1, 1);
                let _ = process.commit(&mut known);
            }
            disk.heal();
            disk.crash(&mut rng);
            goes_on(&disk, &mut known);
        }
    }
}

#[test]
fn random_work_with_random_crashes_agrees_with_a_trivial_account() {
    let first = seed();
    let runs = std::env::var("SYNOD_STORAGE_RUNS").map_or(60, |text| text.parse().expect("a number"));
    for run in 0..runs {
        let seed = first.wrapping_add(run);
        println!("run with SYNOD_SEED={seed}");
        random_run(&mut Rng::with_seed(seed));
    }
}

fn random_run(rng: &mut Rng) {
    let disk = SimDisk::new();
    let mut known = <[Account; 2]>::default();
    for _ in 0..rng.usize(1..12) {
        if rng.bool() {
            let op = [Op::Any, Op::Write, Op::Sync, Op::SyncDir, Op::Rename, Op::Remove][rng.usize(0..6)];
            let error = [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::ReadOnlyFilesystem];
            disk.fail(Fault {
                op,
                after: rng.u64(0..40),
                error: error[rng.usize(0..3)],
                forever: rng.bool(),
            });
        }
        if let Ok(mut process) = Process::open(&disk, &mut known) {
            for _ in 0..rng.usize(0..40) {
                match rng.u8(0..10) {
                    0 => process.admit(),
                    1 => process.know(rng.u64(0..8), rng.u64(..)),
                    2..=6 => process.put(rng.u8(0..6), rng.usize(0..1500)),
                    _ if process.commit(&mut known).is_err() => {
                        assert!(process.store.commit().is_err(), "no call succeeds after a failure");
                        break;
                    }
                    _ => {}
                }
            }
        }
        disk.heal();
        if rng.bool() { disk.kill() } else { disk.crash(rng) }
    }
    goes_on(&disk, &mut known);
}
