//! Durable puts and linearizable reads of the served store, beside other systems, in interleaved rounds of one run.
//!
//! `cargo run --release --manifest-path benches/service/Cargo.toml -- run`

mod datagrams;
mod etcd;
mod floor;
mod load;
mod members;
mod omni;
mod redis;
mod synod;
mod table;
mod udp;
mod wal;

use clap::{Parser, Subcommand, ValueEnum};
use load::{Measured, Window, measure};
use members::Members;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use table::Results;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Measures.
    Run(Run),
    /// Tells what clusters of one and more groups cost while nothing is asked of them.
    Idle(Idle),
    /// A node of the floor.
    Floor(Node),
    /// A node of the harness of `omnipaxos`.
    Omni(Node),
}

#[derive(clap::Args)]
struct Run {
    /// Rounds. In each, every system has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Clients, each with one operation at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,32,256")]
    clients: Vec<usize>,
    /// Seconds that count, after one that does not.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// The systems.
    #[arg(long, value_delimiter = ',', default_value = "synod,synod-shared,floor,omnipaxos,etcd,redis")]
    systems: Vec<System>,
    /// The command that is measured. By default the one that `cargo build --release` has built.
    #[arg(long)]
    synod: Option<PathBuf>,
    /// Lines for the configuration of the cluster, instead of its defaults. `\\n` begins a new line.
    #[arg(long, default_value = "")]
    settings: String,
    /// The folder for all data, on the disk that is to be measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(clap::Args)]
struct Idle {
    /// The numbers of groups.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    groups: Vec<usize>,
    /// Seconds that count, after three that do not.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The command that is measured. By default the one that `cargo build --release` has built.
    #[arg(long)]
    synod: Option<PathBuf>,
    /// The folder for all data.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(clap::Args)]
struct Node {
    #[arg(long)]
    node: usize,
    #[arg(long, value_delimiter = ',')]
    nodes: Vec<SocketAddr>,
    #[arg(long)]
    data: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum System {
    /// The store, each client with a connection of its own.
    Synod,
    /// The store, all clients over four connections.
    SynodShared,
    /// The store with 16 groups, each client with a connection of its own.
    SynodGroups,
    /// The same, all clients over four connections.
    SynodGroupsShared,
    Floor,
    Omnipaxos,
    Etcd,
    Redis,
}

/// The groups of the systems that have several.
const GROUPS: usize = 16;

fn main() -> io::Result<()> {
    match Args::parse().what {
        What::Floor(node) => floor::serve(node.node, &node.nodes, &node.data),
        What::Omni(node) => omni::serve(node.node, &node.nodes, &node.data),
        What::Run(run) => measure_all(&run),
        What::Idle(idle) => idle_all(&idle),
    }
}

fn measure_all(run: &Run) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut results = Results::default();
    for round in 1..=run.rounds {
        for system in &run.systems {
            let data = tempfile::tempdir_in(&run.dir)?;
            eprintln!("round {round} of {}: {system:?}", run.rounds);
            one(run, &runtime, *system, data.path(), &mut |operation, clients, measured| {
                eprintln!("  {operation:5} {clients:4}: {measured:.2?}");
                results.add(*system, operation, clients, measured);
            })?;
        }
    }
    println!("{results}");
    Ok(())
}

/// Measures one system, started anew.
fn one(
    run: &Run,
    runtime: &tokio::runtime::Runtime,
    system: System,
    data: &Path,
    tell: &mut dyn FnMut(&'static str, usize, Measured),
) -> io::Result<()> {
    let window = Window { warm_up: Duration::from_secs(1), counted: Duration::from_secs_f64(run.seconds) };
    let none = || None;
    match system {
        System::Floor | System::Omnipaxos => {
            let nodes = members::free(3)?;
            let members = start(if system == System::Floor { "floor" } else { "omni" }, &nodes, data)?;
            let ids = members.ids();
            std::thread::sleep(Duration::from_secs(3));
            for clients in &run.clients {
                let measured = measure(
                    window,
                    &ids,
                    3,
                    || datagrams::flushes(&nodes),
                    |meter| datagrams::puts(nodes[0], *clients, meter),
                )?;
                tell("put", *clients, measured);
            }
        }
        System::Etcd => {
            let etcd = etcd::start(data)?;
            let connections = etcd.connect(runtime)?;
            let ids = etcd.members.ids();
            for (operation, reads) in [("put", false), ("read", true)] {
                for clients in &run.clients {
                    let measured = measure(
                        window,
                        &ids,
                        3,
                        || etcd.flushes(),
                        |meter| etcd::load(runtime, &connections, *clients, reads, meter),
                    )?;
                    tell(operation, *clients, measured);
                }
            }
        }
        System::Redis => {
            let redis = redis::start(data)?;
            let ids = redis.members.ids();
            for (operation, reads) in [("put", false), ("read", true)] {
                for clients in &run.clients {
                    let measured =
                        measure(window, &ids, 1, none, |meter| redis.load(runtime, *clients, reads, meter))?;
                    tell(operation, *clients, measured);
                }
            }
        }
        System::Synod | System::SynodShared | System::SynodGroups | System::SynodGroupsShared => {
            let command = run.synod.clone().unwrap_or_else(synod::built);
            let is_divided = matches!(system, System::SynodGroups | System::SynodGroupsShared);
            let groups = if is_divided { GROUPS } else { 1 };
            let synod = synod::start(&command, groups, &run.settings.replace("\\n", "\n"), data)?;
            let ids = synod.members.ids();
            let is_shared = matches!(system, System::SynodShared | System::SynodGroupsShared);
            let connections = if is_shared { 4 } else { usize::MAX };
            for (operation, reads) in [("put", false), ("read", true)] {
                for clients in &run.clients {
                    let measured = measure(
                        window,
                        &ids,
                        3,
                        || synod.flushes(),
                        |meter| synod.load(*clients, connections, reads, meter),
                    )?;
                    tell(operation, *clients, measured);
                }
            }
        }
    }
    Ok(())
}

/// Tells the traffic, the processor time and the memory of idle clusters, each per member.
fn idle_all(idle: &Idle) -> io::Result<()> {
    println!("| groups | messages per s | datagrams per s | CPU ms per s | memory |");
    println!("|--:|--:|--:|--:|--:|");
    for groups in &idle.groups {
        let data = tempfile::tempdir_in(&idle.dir)?;
        let command = idle.synod.clone().unwrap_or_else(synod::built);
        let synod = synod::start(&command, *groups, "", data.path())?;
        std::thread::sleep(Duration::from_secs(3));
        let now = || {
            let sum = |metric| synod.sum(metric).ok_or_else(|| io::Error::other("no metrics"));
            let (messages, datagrams) =
                (sum("synod_messages_sent_total")?, sum("synod_datagrams_sent_total")?);
            io::Result::Ok((messages, datagrams, members::processor_seconds(&synod.members.ids())))
        };
        let before = now()?;
        std::thread::sleep(Duration::from_secs_f64(idle.seconds));
        let after = now()?;
        let memory = synod.sum("synod_memory_resident_bytes").unwrap_or(0) as f64 / 3.0 / f64::from(1 << 20);
        let rate = |count: f64| count / idle.seconds / 3.0;
        println!(
            "| {groups} | {:.0} | {:.0} | {:.1} | {memory:.1} MiB |",
            rate((after.0 - before.0) as f64),
            rate((after.1 - before.1) as f64),
            1000.0 * rate(after.2 - before.2),
        );
    }
    Ok(())
}

/// Starts three nodes of this program.
fn start(what: &str, nodes: &[SocketAddr], data: &Path) -> io::Result<Members> {
    let all: Vec<String> = nodes.iter().map(SocketAddr::to_string).collect();
    let mut members = Members(Vec::new());
    for node in 0..nodes.len() {
        let folder = data.join(node.to_string());
        std::fs::create_dir(&folder)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([what, "--node", &node.to_string(), "--nodes", &all.join(","), "--data"]).arg(&folder);
        members.start(&mut command, &data.join(format!("{what}{node}.log")))?;
    }
    Ok(members)
}
