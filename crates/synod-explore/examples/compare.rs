//! Explores the Paxos example of stateright with this engine and with stateright's own, and compares.
//!
//! `cargo run --release -p synod-explore --example compare -- 3 [threads] [plain]`

#[path = "../tests/it/paxos.rs"]
mod paxos;

use stateright::{Checker, Model};
use std::time::Instant;
use synod_explore::actor_model::from_actor_model;
use synod_explore::{Options, explore};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let clients = args.first().map_or(2, |n| n.parse().expect("the number of clients"));
    let threads = args.get(1).map_or(1, |n| n.parse().expect("the number of threads"));
    let model = paxos::model(3, clients);
    let system = if args.iter().any(|arg| arg == "plain") {
        from_actor_model(&model).expect("the model is supported")
    } else {
        paxos::system(&model)
    };
    let options = Options { threads, ..Options::default() };
    let report = explore(&system, &options);
    println!("{report:?}");
    let ours = report.unique_states as f64 / report.elapsed.as_secs_f64();
    println!(
        "explore:    {ours:>10.0} states/s, {} bytes a state",
        report.memory_bytes / report.unique_states
    );

    if args.iter().any(|arg| arg == "alone") {
        return;
    }
    let start = Instant::now();
    let checker = paxos::model(3, clients).checker().threads(threads).spawn_bfs().join();
    let theirs = checker.unique_state_count() as f64 / start.elapsed().as_secs_f64();
    println!("stateright: {theirs:>10.0} states/s, {} states", checker.unique_state_count());
    println!("ratio:      {:>10.1}", ours / theirs);
    assert_eq!(checker.unique_state_count() as u64, report.unique_states);
}
