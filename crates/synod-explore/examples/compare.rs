//! Explores the Paxos example of stateright with this engine and with stateright's own, and compares.
//!
//! `cargo run --release -p synod-explore --example compare -- 3 [threads] [plain]`

#[path = "../tests/it/paxos.rs"]
mod paxos;

use stateright::actor::register::RegisterMsg;
use stateright::{Checker, Model};
use std::time::Instant;
use synod_explore::plain::from_actor_model;
use synod_explore::{Options, Property, explore};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let clients = args.first().map_or(2, |n| n.parse().expect("the number of clients"));
    let threads = args.get(1).map_or(1, |n| n.parse().expect("the number of threads"));
    let mut system = from_actor_model(&paxos::model(3, clients)).expect("the model is supported");
    if args.get(2).is_none_or(|arg| arg != "plain") {
        // The same properties, each told apart by what it looks at: a history, and a delivery.
        system.properties = vec![
            Property::always_history("linearizable", |history: &paxos::History| {
                history
                    .serialized_history()
                    .map(|_| ())
                    .ok_or_else(|| "no serial order explains it".to_owned())
            }),
            Property::sometimes_note("value chosen", |note: &synod_explore::plain::Messages<_>| {
                note.sent.iter().any(|e| matches!(e.msg, RegisterMsg::GetOk(_, v) if v != char::default()))
            }),
        ];
    }
    let report = explore(&system, &Options { threads, ..Options::default() });
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
