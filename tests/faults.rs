//! A disk that fails at one operation, at each in turn: its member stops at once and says which file and why, the others go on, and it comes back on
//! the same directory. All of it under the log, in a simulated world.
//!
//! `cargo test` has a part of the operations fail; with `SYNOD_FAULTS=1` each does.

use crate::callers::places;
use crate::simulated::ms;
use crate::world::Cluster;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use synod_runtime::sim_disk::{Fault, Op};

/// The member whose disk fails. It leads at first.
const VICTIM: usize = 0;

/// Of so many operations one fails, unless all are to.
fn stride(usual: usize) -> usize {
    if std::env::var_os("SYNOD_FAULTS").is_some() { 1 } else { usual }
}

/// Three members that take part, with clients at work whose values are long: so snapshots have files of their own, and the journal is
/// compacted now and then.
fn at_work(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed, 3);
    cluster.book.widen(3000);
    cluster.book.slow_down(80);
    cluster.start_all();
    for place in places(3) {
        cluster.call(place, None);
    }
    cluster
}

/// Words that say which file, what could not be done with it and why, and what to do.
fn are_clear(words: &str, error: ErrorKind) {
    let advice = match error {
        ErrorKind::StorageFull => "free some space and start again; nothing that was acknowledged is lost",
        _ => "look at the disk and the kernel's log before starting again",
    };
    let reason = std::io::Error::from(error).to_string();
    assert!(
        words.starts_with("(simulated)/")
            && words.contains(&format!(": {reason}"))
            && words.ends_with(advice),
        "{words}"
    );
}

/// What could not be done, in the words of the refusal.
fn doing(words: &str) -> String {
    let rest = words.split_once(": cannot ").unwrap_or_else(|| panic!("{words}")).1;
    rest.split(':').next().unwrap_or_default().to_owned()
}

/// The member stops at this fault; then the others go on, it comes back, and everything is judged.
fn stops_and_comes_back(mut cluster: Cluster, fault: Fault, is_gentle: bool) -> String {
    cluster.is_gentle = is_gentle;
    let said = cluster.words.len();
    cluster.failing.insert(VICTIM);
    cluster.disks[VICTIM].fail(fault);
    for _ in 0..200 {
        if cluster.words.len() > said {
            break;
        }
        cluster.run(ms(20));
    }
    let Some((VICTIM, words)) = cluster.words.last().cloned() else { panic!("{fault:?}: nobody stopped") };
    assert_eq!(cluster.words.len(), said + 1, "{fault:?}");
    are_clear(&words, fault.error);
    let before = cluster.book.answered();
    cluster.run(ms(800));
    let meanwhile = cluster.book.answered() - before;
    assert!(meanwhile > 5, "{fault:?}: the others answered {meanwhile} calls");
    cluster.start(VICTIM).unwrap_or_else(|refusal| panic!("{fault:?}: {refusal}"));
    cluster.run_until("it takes part again", |cluster| cluster.takes_part(VICTIM));
    cluster.settle(places(3));
    words
}

#[test]
fn whichever_operation_of_the_disk_fails_its_member_stops_and_comes_back() {
    // Without a fault: the operations that there are, after all take part.
    let mut whole = at_work(7);
    let before = whole.disks[VICTIM].counts().operations;
    whole.run(ms(1200));
    let operations = whole.disks[VICTIM].counts().operations - before;
    let store = whole.member(VICTIM).expect("it runs").node.store().expect("it has one");
    assert!(store.counts().compactions > 0 && !store.named().is_empty(), "{:?}", store.counts());
    let mut seen = BTreeSet::new();
    for after in (0..operations).step_by(stride(9)) {
        let (error, forever) = match after % 3 {
            0 => (ErrorKind::StorageFull, true),
            1 => (ErrorKind::StorageFull, false),
            _ => (ErrorKind::Other, after % 2 == 0),
        };
        let fault = Fault { op: Op::Any, after, error, forever };
        let words = stops_and_comes_back(at_work(7), fault, after % 4 < 2);
        seen.insert(doing(&words));
    }
    // And each kind of operation, the first and the second time.
    for op in [Op::Write, Op::Sync, Op::SyncDir, Op::Create, Op::Rename, Op::Remove] {
        for after in 0..2 {
            let fault = Fault { op, after, error: ErrorKind::Other, forever: false };
            let words = stops_and_comes_back(at_work(8 + after), fault, after == 0);
            seen.insert(doing(&words));
        }
    }
    eprintln!("of {operations} operations every {}th failed; words: {seen:?}", stride(9));
    for what in ["write", "flush", "flush the directory", "create", "rename", "remove"] {
        assert!(seen.iter().any(|seen| seen.starts_with(what)), "{what} never failed: {seen:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_opened_is_refused_and_is_well_again_later() {
    for (op, error) in [(Op::Read, ErrorKind::Other), (Op::Any, ErrorKind::StorageFull)] {
        let mut after = 0;
        loop {
            let mut cluster = at_work(9);
            cluster.run(ms(600));
            cluster.kill(VICTIM);
            cluster.disks[VICTIM].fail(Fault { op, after, error, forever: after % 2 == 0 });
            let refused = cluster.start(VICTIM);
            cluster.power_off(VICTIM);
            let Err(refusal) = refused else { break };
            are_clear(&refusal.to_string(), error);
            cluster.run(ms(100));
            cluster.start(VICTIM).unwrap_or_else(|refusal| panic!("{op:?} after {after}: {refusal}"));
            cluster.run_until("it takes part again", |cluster| cluster.takes_part(VICTIM));
            cluster.settle(places(3));
            after += 1;
        }
        assert!(after >= 2, "{op:?}: {after} operations");
    }
}

#[test]
fn when_all_disks_are_full_nothing_is_acknowledged_and_nothing_lost() {
    let mut cluster = at_work(11);
    cluster.run(ms(300));
    for place in 0..3 {
        cluster.failing.insert(place);
        let fault = Fault { op: Op::Any, after: 7, error: ErrorKind::StorageFull, forever: true };
        cluster.disks[place].fail(fault);
    }
    cluster.run(ms(3000));
    // The last one to stop may be left without anything to save, since it reaches nobody.
    assert!(cluster.words.len() >= 2, "{:?}", cluster.words);
    cluster.words.clone().iter().for_each(|(_, words)| are_clear(words, ErrorKind::StorageFull));
    let (before, full) = (cluster.book.answered(), cluster.disks.clone());
    cluster.run(ms(2000));
    assert_eq!(cluster.book.answered(), before, "a minority answers nothing");
    for disk in &full {
        disk.heal();
    }
    cluster.settle(places(3));
    assert!(cluster.book.answered() > before);
}

#[test]
fn a_disk_that_is_slow_holds_up_its_own_member_and_not_for_long_the_others() {
    let answered = |slow: Option<usize>, flush: u64| {
        let mut cluster = at_work(12);
        cluster.book.slow_down(25);
        cluster.run(ms(300));
        if let Some(place) = slow {
            cluster.disks[place].slow(ms(flush));
        }
        // The leader may change meanwhile.
        cluster.run(ms(2000));
        let before = cluster.book.answered();
        cluster.run(ms(2000));
        let answered = cluster.book.answered() - before;
        cluster.settle(places(3));
        answered
    };
    let well = answered(None, 0);
    for (place, flush) in [(VICTIM, 700), (1, 700), (2, 100), (VICTIM, 3000)] {
        let slow = answered(Some(place), flush);
        eprintln!(
            "{well} answers with three disks that are well, {slow} while member {place} takes {flush} ms per flush"
        );
        assert!(slow > well / 3, "{slow} of {well} answers: member {place}, {flush} ms");
    }
}
