//! What it costs to make a batch of small changes durable with one flush: the project's journal beside three well-kept
//! libraries and a bare append, the same workload in one run, taken in turn.
//!
//! `cargo run --release --manifest-path benches/storage/Cargo.toml [-- --dir DIR]`

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use raft_engine::{Config, Engine, LogBatch, ReadableSize};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use synod::{Ballot, Instance, Proposal, Stable, Value};
use synod_runtime::disk::DirDisk;
use synod_runtime::journal::{Journal, Limits};
use synod_runtime::store::{Identity, Store};
use synod_server::PaxosChanges;

/// Takes batches of acceptances and makes each durable.
trait Keeper {
    /// Opens what is at a path; says how many acceptances it found.
    fn open(path: &Path) -> (Self, u64)
    where
        Self: Sized;

    /// Makes acceptances of instances `first..first + count` durable, together.
    fn keep(&mut self, first: u64, count: u64, value: &[u8]);
}

const BALLOT: Ballot = Ballot { round: 7, proposer: 1 };

fn proposal(value: &[u8]) -> Vec<u8> {
    let proposal = Proposal { ballot: BALLOT, value: Value::from(value) };
    postcard::to_allocvec(&proposal).expect("plain data")
}

/// The store of `synod-runtime`: it is handed the whole state each time and finds out itself what changed.
struct Ours {
    store: Store<Stable, PaxosChanges, DirDisk>,
    state: Stable,
}

impl Keeper for Ours {
    fn open(path: &Path) -> (Ours, u64) {
        let disk = DirDisk::open(path).expect("a data directory");
        let (store, _) =
            Store::open(disk, Identity { cluster: 1, member: 1 }, &[1], 1).expect("it can be opened");
        let state: Stable = store.state().cloned().unwrap_or_default();
        let found = state.acceptor.accepted.len() as u64;
        (Ours { store, state }, found)
    }

    fn keep(&mut self, first: u64, count: u64, value: &[u8]) {
        for instance in first..first + count {
            let proposal = Proposal { ballot: BALLOT, value: Value::from(value) };
            self.state.acceptor.promised = Some(BALLOT);
            self.state.acceptor.accepted.insert(Instance(instance), proposal);
            self.store.save(&self.state);
        }
        self.store.commit().expect("the disk works");
    }
}

/// The journal below it, handed what changed, as the libraries are.
struct Alone(Journal<DirDisk>);

impl Keeper for Alone {
    fn open(path: &Path) -> (Alone, u64) {
        let disk = DirDisk::open(path).expect("a data directory");
        let who = Identity { cluster: 1, member: 1 };
        let mut found = 0;
        let mut count = |_: &[u8]| {
            found += 1;
            Ok(())
        };
        let opened = Journal::open(disk, who, 1, Limits::default(), |_| Ok(()), &mut count);
        (Alone(opened.expect("it can be opened").0), found)
    }

    fn keep(&mut self, first: u64, count: u64, value: &[u8]) {
        for instance in first..first + count {
            self.0.record(|out| {
                out.extend(instance.to_be_bytes());
                out.extend(proposal(value));
            });
        }
        self.0.commit().expect("the disk works");
    }
}

/// A copy-on-write B-tree.
struct Redb(redb::Database);

const ACCEPTED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("accepted");

impl Keeper for Redb {
    fn open(path: &Path) -> (Redb, u64) {
        fs::create_dir_all(path).expect("a folder");
        let db = redb::Database::create(path.join("redb")).expect("it can be opened");
        let mut found = 0;
        if let Ok(table) = db.begin_read().expect("it can be read").open_table(ACCEPTED) {
            for row in table.iter().expect("it can be read") {
                let (_, bytes) = row.expect("it can be read");
                found += u64::from(!bytes.value().is_empty());
            }
        }
        (Redb(db), found)
    }

    fn keep(&mut self, first: u64, count: u64, value: &[u8]) {
        let write = self.0.begin_write().expect("nobody else writes");
        {
            let mut table = write.open_table(ACCEPTED).expect("it is there");
            for instance in first..first + count {
                table.insert(instance, proposal(value).as_slice()).expect("it can be written");
            }
        }
        write.commit().expect("the disk works");
    }
}

/// A log-structured merge tree.
struct Fjall {
    db: Database,
    accepted: Keyspace,
}

impl Keeper for Fjall {
    fn open(path: &Path) -> (Fjall, u64) {
        let db = Database::builder(path).open().expect("it can be opened");
        let accepted = db.keyspace("accepted", KeyspaceCreateOptions::default).expect("it can be opened");
        let mut found = 0;
        for row in accepted.iter() {
            found += u64::from(!row.value().expect("it can be read").is_empty());
        }
        (Fjall { db, accepted }, found)
    }

    fn keep(&mut self, first: u64, count: u64, value: &[u8]) {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for instance in first..first + count {
            batch.insert(&self.accepted, instance.to_be_bytes(), proposal(value));
        }
        batch.commit().expect("the disk works");
    }
}

/// The log engine of `TiKV`.
struct RaftEngine(Engine);

impl Keeper for RaftEngine {
    fn open(path: &Path) -> (RaftEngine, u64) {
        let config = Config {
            dir: path.display().to_string(),
            // As its own log, without compression: the values are not worth it.
            batch_compression_threshold: ReadableSize(0),
            ..Config::default()
        };
        let engine = Engine::open(config).expect("it can be opened");
        let mut found = 0;
        engine
            .scan_raw_messages(1, None, None, false, |_, bytes| {
                found += u64::from(!bytes.is_empty());
                true
            })
            .expect("it can be read");
        (RaftEngine(engine), found)
    }

    fn keep(&mut self, first: u64, count: u64, value: &[u8]) {
        let mut batch = LogBatch::default();
        for instance in first..first + count {
            batch.put(1, instance.to_be_bytes().to_vec(), proposal(value)).expect("it fits a batch");
        }
        self.0.write(&mut batch, true).expect("the disk works");
    }
}

/// The bytes alone, appended and flushed: what no log can beat without preparing the file.
struct Append(File);

impl Keeper for Append {
    fn open(path: &Path) -> (Append, u64) {
        fs::create_dir_all(path).expect("a folder");
        let file = OpenOptions::new().create(true).append(true).open(path.join("log")).expect("a file");
        (Append(file), 0)
    }

    fn keep(&mut self, first: u64, count: u64, value: &[u8]) {
        let mut bytes = Vec::new();
        for instance in first..first + count {
            bytes.extend(instance.to_be_bytes());
            bytes.extend(proposal(value));
        }
        self.0.write_all(&bytes).expect("the disk works");
        self.0.sync_data().expect("the disk works");
    }
}

/// What was written so far to the device that a folder is on, in bytes; by anyone, so nobody else should write. 0 where
/// the system does not say.
fn written(folder: &Path) -> u64 {
    let device = fs::metadata(folder).map_or(0, |metadata| metadata.dev());
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff_ff00);
    let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).unwrap_or_default();
    let sectors = text.split_whitespace().nth(6).and_then(|number| number.parse::<u64>().ok());
    sectors.unwrap_or(0) * 512
}

/// Acceptances a second, microseconds a batch, and device bytes an acceptance.
struct Rate {
    micros: f64,
    bytes: f64,
}

const ROUND: Duration = Duration::from_millis(600);

fn rate<K: Keeper>(folder: &Path, batch: u64, value: &[u8]) -> Rate {
    let _ = fs::remove_dir_all(folder);
    let (mut keeper, _) = K::open(folder);
    keeper.keep(0, batch, value);
    let (before, began) = (written(folder), Instant::now());
    let mut batches = 0;
    while began.elapsed() < ROUND {
        batches += 1;
        keeper.keep(batches * batch, batch, value);
    }
    let took = began.elapsed();
    Rate {
        micros: took.as_secs_f64() * 1e6 / batches as f64,
        bytes: (written(folder) - before) as f64 / (batches * batch) as f64,
    }
}

/// How long it takes to open again what holds 20,000 acceptances, in milliseconds.
fn reopen<K: Keeper>(folder: &Path, value: &[u8]) -> f64 {
    let _ = fs::remove_dir_all(folder);
    let (mut keeper, _) = K::open(folder);
    for batch in 0..200 {
        keeper.keep(batch * 100, 100, value);
    }
    drop(keeper);
    let began = Instant::now();
    let (_, found) = K::open(folder);
    let took = began.elapsed().as_secs_f64() * 1e3;
    assert!(found == 20_000 || found == 0, "{found} acceptances were found of 20,000");
    took
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

type Measure = fn(&Path, u64, &[u8]) -> Rate;
type Reopen = fn(&Path, &[u8]) -> f64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dir = args.iter().position(|arg| arg == "--dir").and_then(|at| args.get(at + 1));
    let place = match dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let place = place.expect("a folder");
    let keepers: [(&str, Measure, Reopen); 6] = [
        ("ours", rate::<Ours>, reopen::<Ours>),
        ("its journal", rate::<Alone>, reopen::<Alone>),
        ("redb", rate::<Redb>, reopen::<Redb>),
        ("fjall", rate::<Fjall>, reopen::<Fjall>),
        ("raft-engine", rate::<RaftEngine>, reopen::<RaftEngine>),
        ("bare append", rate::<Append>, reopen::<Append>),
    ];
    println!("acceptances made durable, one flush a batch; medians of 3 rounds of 0.6 s, taken in turn");
    for size in [16, 1024] {
        for batch in [1, 8, 64] {
            let value = vec![7; size];
            let mut all: Vec<Vec<Rate>> = keepers.iter().map(|_| Vec::new()).collect();
            for round in 1..=3 {
                eprintln!("{size} bytes, batches of {batch}: round {round} of 3");
                for ((name, rate, _), all) in keepers.iter().zip(&mut all) {
                    all.push(rate(&place.path().join(name), batch, &value));
                }
            }
            println!("\nvalues of {size} bytes, batches of {batch}");
            println!(
                "{:<14}{:>14}{:>16}{:>10}{:>22}",
                "", "us a batch", "acceptances/s", "ratio", "device bytes each"
            );
            let ours = median(all[0].iter().map(|rate| rate.micros).collect());
            for ((name, ..), all) in keepers.iter().zip(&all) {
                let micros = median(all.iter().map(|rate| rate.micros).collect());
                let bytes = median(all.iter().map(|rate| rate.bytes).collect());
                println!(
                    "{name:<14}{micros:>14.0}{:>16.0}{:>10.2}{bytes:>22.0}",
                    batch as f64 * 1e6 / micros,
                    ours / micros,
                );
            }
        }
    }
    println!("\nopening again with 20,000 acceptances of 16 bytes, in ms (median of 3)");
    for (name, _, reopen) in &keepers[..5] {
        eprintln!("opening again: {name}");
        let times = (0..3).map(|_| reopen(&place.path().join(name), &[7; 16])).collect();
        println!("{name:<14}{:>14.1}", median(times));
    }
}
