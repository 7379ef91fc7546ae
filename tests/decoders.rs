//! The decoders that are fuzzed, over their corpora and over mutations of them. `tests/fuzz/README.md` says how to go on
//! from there with a fuzzing engine.

#[allow(unreachable_pub, reason = "there it is a library")]
#[path = "fuzz/src/lib.rs"]
mod fuzz;

use crate::synod::root;
use std::fs;

/// The files of a corpus, in order.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a file")))
        .collect();
    files.sort();
    files
}

#[test]
fn no_decoder_stumbles_over_its_corpus() {
    for (target, run) in fuzz::TARGETS {
        let files = corpus(target);
        assert!(files.len() >= 3, "{target} has a corpus");
        for (name, bytes) in files {
            eprintln!("{name}");
            run(&bytes);
        }
    }
}

#[test]
fn no_decoder_stumbles_over_what_is_like_its_corpus() {
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("SYNOD_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for (target, run) in fuzz::TARGETS {
        let files = corpus(target);
        // Shaking hands takes longer than reading.
        for _ in 0..if target == "datagram" { 2000 } else { 10_000 } {
            let mut bytes = files[rng.usize(..files.len())].1.clone();
            for _ in 0..rng.usize(1..5) {
                let len = bytes.len();
                match rng.u8(..6) {
                    0 if len > 0 => bytes[rng.usize(..len)] ^= 1 << rng.u8(..8),
                    1 if len > 0 => bytes[rng.usize(..len)] = [0, 1, 0x7f, 0x80, 0xff][rng.usize(..5)],
                    2 => bytes.truncate(rng.usize(..=len)),
                    3 => bytes.insert(rng.usize(..=len), rng.u8(..)),
                    4 if len > 0 => drop(bytes.remove(rng.usize(..len))),
                    _ => {
                        let other = &files[rng.usize(..files.len())].1;
                        let (at, from) = (rng.usize(..=len), rng.usize(..=other.len()));
                        bytes.truncate(at);
                        bytes.extend_from_slice(&other[from..]);
                    }
                }
            }
            run(&bytes);
        }
    }
}
