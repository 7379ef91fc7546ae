//! Real processes under load, and everything done to them that a machine or a network does: every history is linearizable, every
//! acknowledged write is there at the end, and the flight records replay.

use crate::cluster::{Cluster, client};
use crate::histories::{CALL, Histories};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use synod_server::Config;

/// Snapshots often, so that members that were away come back by one.
pub(crate) const SMALL: &str = "retry = [30, 90]\n[log]\nsnapshot-every = 200\nkeep = 20\n";

/// A seed that is printed and can be given again.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SYNOD_SEED={seed}");
    seed
}

/// How long a test that hurts a cluster goes on, in seconds: short, unless `SYNOD_SOAK` says otherwise.
fn soak_seconds() -> u64 {
    std::env::var("SYNOD_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// Clients at work until they are told to stop.
pub(crate) struct Load {
    pub(crate) histories: Arc<Histories>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(config: &Config, clients: usize, keys: u64, rng: &mut fastrand::Rng) -> Load {
        let (histories, stop) = (Arc::new(Histories::default()), Arc::new(AtomicBool::new(false)));
        let clients = (0..clients)
            .map(|_| {
                let (config, histories, stop) = (config.clone(), histories.clone(), stop.clone());
                let mut rng = rng.fork();
                std::thread::spawn(move || {
                    let client = client(&config, CALL);
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("k{}", rng.u64(..keys));
                        histories.act(&client, &key, &mut rng);
                        std::thread::sleep(Duration::from_millis(rng.u64(0..8)));
                    }
                })
            })
            .collect();
        Load { histories, stop, clients }
    }

    /// Ends the clients, reads everything once more, and has it judged. All is there at each member of the configuration.
    pub(crate) fn end(self, cluster: &mut Cluster) -> String {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client found something wrong");
        }
        let keys = self.histories.read_all(&cluster.client(Duration::from_mins(1)));
        for member in &cluster.config.members {
            let alone = Config { members: vec![member.clone()], ..cluster.config.clone() };
            self.histories.are_at(&client(&alone, Duration::from_mins(1)), member.id);
        }
        let (all, both) = self.histories.judge();
        let count = |what: &std::sync::atomic::AtomicU64| what.load(Ordering::Relaxed);
        let histories = &self.histories;
        assert!(count(&histories.answered) > 0, "nothing was ever answered");
        format!(
            "{keys} keys, {} answered, {} of unknown outcome, {} refused, the longest answer after {} ms; {all} operations judged, \
             {both} of them twice",
            count(&histories.answered),
            count(&histories.unknown),
            count(&histories.refused),
            count(&histories.longest) / 1000
        )
    }
}

/// Everything runs again, and what was recorded is replayed.
pub(crate) fn recover_and_judge(cluster: &mut Cluster, size: usize, load: Load) -> String {
    if let Some(proxy) = &cluster.proxy {
        proxy.weather(|weather| *weather = crate::proxy::Weather::default());
    }
    for id in 0..size {
        revive(cluster, id);
    }
    for id in 0..size {
        cluster.wait_for(id, "takes part");
    }
    let said = load.end(cluster);
    let replayed = cluster.stop_and_replay();
    format!(
        "{said}; {} events replayed, {} chosen, {} starts cut short",
        replayed.events, replayed.chosen, replayed.cut
    )
}

fn revive(cluster: &mut Cluster, id: usize) {
    if !cluster.runs(id) {
        cluster.start(id);
    } else if cluster.is_held(id) {
        cluster.signal(id, Signal::CONT);
    }
}

#[test]
fn a_leader_that_is_killed_again_and_again_loses_nothing() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = Cluster::new(3, None, SMALL);
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    let mut killed = 0;
    while killed < 5 {
        std::thread::sleep(Duration::from_millis(rng.u64(300..700)));
        if let Some(leader) = cluster.leader() {
            cluster.kill(leader);
            killed += 1;
            std::thread::sleep(Duration::from_millis(rng.u64(0..600)));
            cluster.start(leader);
            cluster.wait_for(leader, "takes part");
        }
    }
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}

#[test]
fn a_rolling_restart_under_load_loses_nothing() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = Cluster::new(3, None, SMALL);
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    for id in 0..3 {
        std::thread::sleep(Duration::from_millis(300));
        let (status, log) = cluster.stop(id);
        assert_eq!(status, Some(0), "{log:?}");
        cluster.start(id);
        cluster.wait_for(id, "takes part");
    }
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}

#[test]
fn a_member_far_behind_catches_up_by_a_snapshot_while_the_others_serve() {
    let mut cluster = Cluster::new(3, None, "[log]\nsnapshot-every = 20\nkeep = 2\nchunk = 1024\n");
    cluster.start_all();
    cluster.put("first", b"0");
    cluster.kill(2);
    let client = cluster.client(Duration::from_mins(1));
    for number in 0..150 {
        client
            .put(format!("k{number}").as_str(), format!("{number}").as_str())
            .expect("it is stored in time");
    }
    cluster.start(2);
    cluster.wait_for(2, "takes part");
    for number in 0..20 {
        client.put("meanwhile", number.to_string().as_str()).expect("it is stored in time");
    }
    // Without the first member the third one is needed for everything.
    cluster.kill(0);
    for number in [0, 70, 149] {
        let found = client.get(format!("k{number}").as_str()).expect("it is answered in time");
        assert_eq!(found.map(|item| item.value.to_vec()), Some(number.to_string().into_bytes()));
    }
    cluster.kill(1);
    cluster.start(0);
    cluster.wait_for(0, "takes part");
    assert_eq!(cluster.get("k149"), Some(b"149".to_vec()), "the second one is not needed either");
    drop(client);
    cluster.start(1);
    cluster.wait_for(1, "takes part");
    cluster.stop_and_replay();
}

/// Kills, holds, cuts off and rains on a cluster for a while, with clients at work; then lets it recover and looks.
fn hurt(seed: u64, seconds: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let size = if rng.bool() { 3 } else { 5 };
    let mut cluster = Cluster::new(size, Some(rng.u64(..)), SMALL);
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 40 + seconds * 4, &mut rng);
    let began = Instant::now();
    let (mut kills, mut holds, mut cuts) = (0, 0, 0);
    let mut most_memory = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(rng.u64(20..400)));
        let id = rng.usize(..size);
        let hurt = (0..size).filter(|id| !cluster.runs(*id) || cluster.is_held(*id)).count();
        let may_hurt = hurt < (size - 1) / 2;
        match rng.u8(..12) {
            0..=1 if may_hurt && cluster.runs(id) => {
                cluster.kill(id);
                kills += 1;
            }
            2 | 11 if may_hurt => {
                if let Some(leader) = cluster.leader() {
                    cluster.kill(leader);
                    kills += 1;
                }
            }
            // A whole minority at once.
            10 if hurt == 0 => {
                for other in 0..(size - 1) / 2 {
                    cluster.kill((id + other) % size);
                    kills += 1;
                }
            }
            3 if may_hurt && cluster.runs(id) => {
                cluster.signal(id, Signal::STOP);
                holds += 1;
            }
            4..=6 => (0..size).for_each(|id| revive(&mut cluster, id)),
            7 => {
                cuts += 1;
                let (a, b, both) = (rng.usize(..size), rng.usize(..size), rng.bool());
                let proxy = cluster.proxy.as_ref().expect("there is one");
                proxy.weather(|weather| {
                    weather.cuts.insert((a, b));
                    if both {
                        weather.cuts.insert((b, a));
                    }
                });
            }
            8 => cluster.proxy.as_ref().expect("there is one").weather(|weather| weather.cuts.clear()),
            _ => {
                let (loss, doubled, late) = (rng.f64() * 0.3, rng.f64() * 0.3, rng.u64(1..20_000));
                cluster.proxy.as_ref().expect("there is one").weather(|weather| {
                    weather.loss = loss;
                    weather.doubled = doubled;
                    weather.delay = 0..late;
                });
            }
        }
        most_memory = (0..size).filter_map(|id| cluster.memory(id)).max().unwrap_or(0).max(most_memory);
    }
    let passed = cluster.proxy.as_ref().expect("there is one").passed();
    assert!(most_memory < 512 << 20, "a member took {most_memory} bytes of memory");
    let said = recover_and_judge(&mut cluster, size, load);
    format!(
        "seed {seed}: {size} members, {kills} kills, {holds} holds, {cuts} cuts, {passed} datagrams, {} MiB at most; {said}",
        most_memory >> 20
    )
}

#[test]
fn soak_real_processes() {
    let mut seed = seed();
    let began = Instant::now();
    let whole = Duration::from_secs(soak_seconds());
    while began.elapsed() < whole {
        let left = whole.saturating_sub(began.elapsed()).as_secs().clamp(1, 60);
        eprintln!("{}", hurt(seed, left));
        seed = seed.wrapping_add(1);
    }
}
