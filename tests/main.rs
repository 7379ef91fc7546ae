//! The project's integration tests, in one binary.
#![allow(clippy::needless_raw_string_hashes, reason = "a file's text stands as it would in the file")]

mod callers;
mod catalogue;
mod cli;
mod cluster;
mod commands;
mod decoders;
mod disks;
mod explorer;
mod faults;
mod guards;
mod histories;
mod house;
mod imports;
mod judged;
mod leading;
mod liveness;
mod local;
mod observed;
mod planted;
mod proxy;
mod redis;
mod reductions;
mod regressions;
mod schedules;
mod served;
mod serving;
mod shapes;
mod simulated;
mod soak;
mod storms;
mod synod;
mod unwelcome;
mod world;
