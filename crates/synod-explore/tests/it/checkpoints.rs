//! An exploration that is stopped again and again, and resumed from its checkpoint each time, finds the same as one without a stop;
//! and no file can make the engine do anything else.

use crate::asleep::apart;
use crate::erased::explore;
use crate::paxos;
use crate::reductions::{letters, like_pingers};
use crate::systems::{commit, transfer};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use synod_explore::{
    Checkpoint, Observer, Options, Progress, Report, Stop, Subject, System, Table, Verdict, Why,
};
use xxhash_rust::xxh3::xxh3_128;

/// Long enough never to be reached.
const NEVER: Duration = Duration::from_secs(1 << 30);

fn at(file: &Path, resume: bool) -> Checkpoint<'_> {
    Checkpoint { file, identity: "a test", resume, every: NEVER, keep: false }
}

/// Explores until so many more blocks of states were left, and stops there unless that is the end.
fn some<A: Subject + Clone, O: Observer<A> + Clone>(
    system: &System<A, O>,
    options: &Options<'_>,
    checkpoint: Checkpoint<'_>,
    blocks: u64,
) -> Report<A> {
    let (left, stop) = (AtomicU64::new(blocks), AtomicBool::new(false));
    let count = |_: &Progress| {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let options = Options {
        interrupt: Some(&stop),
        progress: Some(&count),
        checkpoint: Some(checkpoint),
        ..options.clone()
    };
    explore(system, &options)
}

fn assert_same<A: Subject>(one: &Report<A>, other: &Report<A>) {
    assert_eq!(one.verdict, other.verdict);
    assert_eq!(one.findings, other.findings);
    let counts = |r: &Report<A>| (r.unique_states, r.generated_states, r.depth, r.handler_calls);
    assert_eq!(counts(one), counts(other));
}

/// Explores in one go and in pieces, and says how many pieces there were.
fn in_pieces<A: Subject + Clone, O: Observer<A> + Clone>(
    system: &System<A, O>,
    options: &Options<'_>,
    blocks: u64,
) -> usize {
    in_pieces_of(&explore(system, options), system, options, blocks)
}

/// Explores in pieces, that make a whole.
fn in_pieces_of<A: Subject + Clone, O: Observer<A> + Clone>(
    whole: &Report<A>,
    system: &System<A, O>,
    options: &Options<'_>,
    blocks: u64,
) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    for pieces in 1.. {
        let report = some(system, options, at(&file, pieces > 1), blocks);
        // Something may have fallen already; the exploration is over when there is nothing left to go on with.
        if !file.exists() {
            assert_same(&report, whole);
            return pieces;
        }
        assert!(report.unique_states <= whole.unique_states || options.dead_messages);
    }
    unreachable!("it ends, since each piece leaves some states")
}

const TABLES: [Table; 3] = [Table::Exact, Table::Fingerprint64, Table::Fingerprint128];

#[test]
fn pieces_make_a_whole_whatever_the_table() {
    let (paxos, commit) = (paxos::system(&paxos::model(3, 2)), commit::system(&commit::model(3)));
    for table in TABLES {
        let options = Options { table, stop: Stop::Exhausted, ..Options::default() };
        assert!(in_pieces(&paxos, &options, 3) > 5);
        assert!(in_pieces(&commit, &options, 2) > 5);
    }
}

#[test]
fn pieces_make_a_whole_whatever_is_left_out() {
    let options = Options { dead_messages: true, stop: Stop::Exhausted, ..Options::default() };
    // Begun anew some times, as what was left out turned out to matter.
    assert!(in_pieces(&paxos::system(&paxos::model(3, 2)), &options, 4) > 5);
    assert!(in_pieces(&letters("abcab"), &options, 1) > 2);
    // One of each that are alike.
    let options = Options { stop: Stop::Exhausted, ..Options::default() };
    assert!(in_pieces(&like_pingers(), &options, 1) > 2);
}

#[test]
fn pieces_make_a_whole_through_crashes_and_losses_with_any_number_of_threads() {
    let system = transfer::system(&transfer::model(2, 2, 1));
    for threads in [1, 3] {
        let options = Options { threads, stop: Stop::Exhausted, ..Options::default() };
        assert!(in_pieces(&system, &options, 2) > 3);
    }
}

#[test]
fn a_checkpoint_is_written_now_and_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    let system = paxos::system(&paxos::model(3, 2));
    let written = AtomicU64::new(0);
    let look = |_: &Progress| {
        written.fetch_add(u64::from(file.exists()), Ordering::Relaxed);
    };
    let checkpoint = Checkpoint { every: Duration::ZERO, ..at(&file, false) };
    let options = Options { progress: Some(&look), checkpoint: Some(checkpoint), ..Options::default() };
    assert_eq!(explore(&system, &options).verdict, Verdict::Holds);
    assert!(written.into_inner() > 0, "it was there before the end");
    assert!(!file.exists());
}

#[test]
fn a_checkpoint_that_cannot_be_resumed_is_reported_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    let (system, options) = (paxos::system(&paxos::model(3, 2)), Options::default());
    assert_eq!(some(&system, &options, at(&file, false), 3).verdict, Verdict::Incomplete(Why::Interrupted));
    let written = std::fs::read(&file).expect("a checkpoint");
    let says = |system: &System<_, _>, checkpoint: Checkpoint<'_>, what: &str| {
        let Verdict::Panicked { message, .. } = some(system, &options, checkpoint, 1).verdict else {
            panic!("it went on although {what}");
        };
        assert!(message.contains(what), "{message}");
        assert!(message.contains("checkpoint"), "it says which file: {message}");
    };
    says(&system, at(&file, false), "there is a checkpoint already");
    says(&system, Checkpoint { identity: "another", ..at(&file, true) }, "another model");
    // As many actors, of which some ask for something else.
    says(&paxos::system(&paxos::model(2, 3)), at(&file, true), "");
    for at_byte in [0, 40, written.len() / 2, written.len() - 1] {
        let mut damaged = written.clone();
        damaged[at_byte] ^= 4;
        std::fs::write(&file, damaged).expect("it is written");
        says(&system, at(&file, true), "checksum");
    }
    for len in [0, 15, 16, written.len() - 1] {
        std::fs::write(&file, &written[..len]).expect("it is written");
        says(&system, at(&file, true), "remove it to begin anew");
    }
    std::fs::write(&file, &written).expect("it is written");
    assert_eq!(some(&system, &options, at(&file, true), u64::MAX).verdict, Verdict::Holds);
}

/// Whatever stands in a file, with a checksum that is right: an error or an end, and never a crash of the engine. Tries so many
/// files at most.
fn no_file_breaks<A: Subject + Clone, O: Observer<A> + Clone>(
    system: &System<A, O>,
    options: &Options<'_>,
    most: usize,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    some(system, options, at(&file, false), 2);
    let written = std::fs::read(&file).expect("a checkpoint");
    let body = written.len() - 16;
    let seed = 0x5eed_u64;
    println!("seed {seed}");
    let mut draw = seed;
    let mut next = |limit: usize| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) as usize % limit
    };
    for round in (0..3 * body).step_by((3 * body).div_ceil(most)) {
        let mut damaged = written[..body].to_vec();
        let place = round % body;
        match round / body {
            0 => damaged[place] ^= 1 << next(8),
            1 => damaged[place] = u8::try_from(next(256)).expect("a byte"),
            _ => damaged.truncate(place),
        }
        let checksum = xxh3_128(&damaged).to_le_bytes();
        damaged.extend(checksum);
        std::fs::write(&file, damaged).expect("it is written");
        some(system, options, at(&file, true), 100);
    }
}

#[test]
fn no_file_makes_the_engine_break() {
    let options = Options { dead_messages: true, stop: Stop::Exhausted, ..Options::default() };
    no_file_breaks(&letters("abcab"), &options, usize::MAX);
}

#[test]
fn no_file_makes_the_engine_break_where_histories_come_apart() {
    let options = Options { stop: Stop::Exhausted, ..Options::default() };
    no_file_breaks(&apart(4), &options, 6_000);
}

#[test]
fn pieces_make_a_whole_of_histories_in_parts() {
    for table in TABLES {
        let options = Options { table, stop: Stop::Exhausted, ..Options::default() };
        assert!(in_pieces(&apart(8), &options, 1) > 4);
    }
}
