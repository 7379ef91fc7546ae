//! Real members with a lease whose clocks gain and lose time: Debian's `faketime` gives each process a clock of its own rate. As long as no clock is off by
//! more than the setting `drift` says, nobody reads what is old. Beyond it a master that is cut off does, as `timed/master-drift-beyond` says.

use crate::cluster::{Cluster, client};
use crate::soak::{Load, recover_and_judge, seed};
use std::process::Command;
use std::time::{Duration, Instant};
use synod_client::Client;
use synod_server::Config;

/// The library that stands between a process and its clocks.
///
/// # Panics
/// Where there is none. These tests are ignored unless they are asked for, so none passes for one that ran.
fn library() -> String {
    let ran = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let ran = ran.expect("faketime runs; install Debian's package `faketime`");
    String::from_utf8(ran.stdout).expect("a path of text").trim().to_owned()
}

/// Has a member start with a clock of this rate from now on, in parts in a hundred.
fn set_rate(cluster: &mut Cluster, id: usize, rate: u32) {
    let rate = format!("+0 x{}", f64::from(rate) / 100.0);
    let environment = [("LD_PRELOAD", library()), ("FAKETIME", rate)];
    cluster.set_environment(id, environment.map(|(name, value)| (name.to_owned(), value)).to_vec());
}

/// A time to sleep, by the clock of a process of this rate: so many milliseconds of it, in true ones.
fn took(rate: u32) -> Duration {
    let mut sleep = Command::new("sleep");
    sleep.arg("1").env("LD_PRELOAD", library()).env("FAKETIME", format!("+0 x{}", f64::from(rate) / 100.0));
    let began = Instant::now();
    assert!(sleep.status().expect("sleep runs").success());
    began.elapsed()
}

const LEASE: &str =
    "retry = [30, 90]\n[log]\nsnapshot-every = 200\nkeep = 20\n[master]\nlease = 1000\ndrift = 100000\n";

/// Masters are killed and cut off again and again, and members come back with a clock of another rate.
#[test]
#[ignore = "needs Debian's package `faketime`; .ci/run has it"]
fn clocks_within_the_setting_lose_nothing_and_show_nothing_old() {
    assert!(took(200) < took(50), "no clock is another");
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = Cluster::new(3, Some(rng.u64(..)), LEASE);
    for (id, rate) in [90, 110, 100].into_iter().enumerate() {
        set_rate(&mut cluster, id, rate);
    }
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    let watcher = cluster.client(Duration::from_mins(1));
    for round in 0..12 {
        watcher.put("round", round.to_string().as_str()).expect("there is a master");
        let Some(leader) = cluster.leader() else { continue };
        if round % 2 == 0 {
            cut_off(&cluster, leader);
            std::thread::sleep(Duration::from_millis(rng.u64(300..2500)));
            cluster.proxy.as_ref().expect("it has one").weather(|weather| weather.cuts.clear());
        } else {
            cluster.kill(leader);
            let rate = [90, 110, rng.u32(90..=110)][rng.usize(..3)];
            set_rate(&mut cluster, leader, rate);
            cluster.start(leader);
            cluster.wait_for(leader, "takes part");
        }
    }
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}

/// Nothing passes between a member and the two others.
fn cut_off(cluster: &Cluster, id: usize) {
    cluster.proxy.as_ref().expect("it has one").weather(|weather| {
        for other in (0..3).filter(|other| *other != id) {
            weather.cuts.extend([(id, other), (other, id)]);
        }
    });
}

/// A client that knows these members alone.
fn knowing(cluster: &Cluster, ids: &[usize], timeout: Duration) -> Client {
    let is_known = |id: u64| ids.contains(&(id as usize));
    let members = cluster.config.members.iter().filter(|member| is_known(member.id)).cloned().collect();
    client(&Config { members, ..cluster.config.clone() }, timeout)
}

/// A master is cut off from two members whose clocks have this rate, and they write anew what it has. Returns what is read at the old one then.
fn read_at_the_old_one(rate: u32) -> Option<Vec<u8>> {
    let long = LEASE.replace("lease = 1000", "lease = 8000");
    let mut cluster = Cluster::new(3, Some(seed()), &long);
    cluster.start_all();
    cluster.put("a", b"old");
    let master = cluster.leader().expect("a master leads");
    let others: Vec<usize> = (0..3).filter(|id| *id != master).collect();
    for id in others.iter().copied() {
        let (status, log) = cluster.stop(id);
        assert_eq!(status, Some(0), "{log:?}");
        set_rate(&mut cluster, id, rate);
        cluster.start(id);
        cluster.wait_for(id, "takes part");
    }
    let old = knowing(&cluster, &[master], Duration::from_millis(500));
    let read = || old.get("a").ok().flatten().map(|item| item.value.to_vec());
    assert_eq!(
        (cluster.leader(), read().as_deref()),
        (Some(master), Some(&b"old"[..])),
        "it is master still"
    );
    cut_off(&cluster, master);
    assert_eq!(read().as_deref(), Some(&b"old"[..]), "its lease goes on");
    knowing(&cluster, &others, Duration::from_mins(1)).put("a", "new").expect("another follows");
    let read = read();
    cluster.proxy.as_ref().expect("it has one").weather(|weather| weather.cuts.clear());
    assert_eq!(cluster.get("a").as_deref(), Some(&b"new"[..]));
    cluster.stop_and_replay();
    read
}

/// Two clocks whose rates are 11 to 9 are each off by a tenth, as the setting allows.
#[test]
#[ignore = "needs Debian's package `faketime`; .ci/run has it"]
fn a_master_that_is_cut_off_reads_what_is_old_if_clocks_drift_farther_than_the_setting_says() {
    assert_eq!(read_at_the_old_one(120), None);
    assert_eq!(read_at_the_old_one(200).as_deref(), Some(&b"old"[..]), "two masters at one moment");
}
