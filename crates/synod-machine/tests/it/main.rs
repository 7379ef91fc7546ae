//! Properties of machines and sessions, for arbitrary logs. A failing run prints its seed; `SYNOD_SEED=n` runs it again.

mod contract;
mod machines;
mod naive_store;
mod sessions;
mod sessions_mutants;
mod short;
mod snapshots;
mod twice;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

/// Runs a property for so many cases, all drawn from one seed, and gives back what a failure was shrunk to.
fn search<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), TestError<S::Value>> {
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("{name}: SYNOD_SEED={seed}");
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(strategy, property)
}

/// Like [`search`], for what must hold.
fn holds<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: std::fmt::Debug,
{
    if let Err(error) = search(name, cases, strategy, property) {
        panic!("{name}: {error}");
    }
}

/// Like [`search`], for what must fall: says of which reason.
fn falls<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> String
where
    S::Value: std::fmt::Debug,
{
    match search(name, cases, strategy, property) {
        Err(TestError::Fail(reason, least)) => {
            eprintln!("{name} falls: {reason}\n  with {least:?}");
            reason.message().to_owned()
        }
        other => panic!("{name} does not fall: {other:?}"),
    }
}
