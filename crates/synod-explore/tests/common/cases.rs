//! The number of random cases, and their seed.

use proptest::test_runner::{Config, RngSeed};
use std::hash::{BuildHasher, RandomState};

/// So many random cases, others in each run. A failing run prints its seed; `SYNOD_SEED=n` runs it again.
pub(crate) fn cases(cases: u32) -> Config {
    let given = std::env::var("SYNOD_SEED").ok().map(|text| text.parse().expect("SYNOD_SEED is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(cases));
    eprintln!("SYNOD_SEED={seed}");
    Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() }
}
