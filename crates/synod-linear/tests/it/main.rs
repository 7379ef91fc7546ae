//! The judges against a plain one and against each other, and what they say of long histories.
//!
//! A failing run prints its seed; `SYNOD_SEED=n` runs it again.

mod explaining;
mod large;
mod machines;
mod naive;
#[path = "../objects/mod.rs"]
mod objects;
mod random;
mod small;
mod worlds;

/// Random numbers from a seed that is printed.
fn dice(name: &str) -> fastrand::Rng {
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("{name}: SYNOD_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
