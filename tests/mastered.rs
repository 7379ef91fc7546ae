//! Members that take mastership with a lease of a second, as real processes: masters are killed again and again, and others follow.

use crate::cluster::Cluster;
use crate::observed::{http, metrics, observed_with};
use crate::soak::{Load, recover_and_judge, seed};
use std::time::{Duration, Instant};

const LEASE: &str = "retry = [30, 90]\n[log]\nsnapshot-every = 200\nkeep = 20\n[master]\nlease = 1000\n";

/// The number of masters that are killed: few, unless `SYNOD_KILLS` says otherwise.
fn kills() -> usize {
    std::env::var("SYNOD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// The time from each kill until a command has taken effect is a figure, told by
/// `SYNOD_KILLS=50 cargo test --release --test synod masters_that -- --nocapture`.
#[test]
fn masters_that_are_killed_again_and_again_lose_nothing_and_others_follow() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = Cluster::new(3, None, LEASE);
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    let client = cluster.client(Duration::from_mins(1));
    let mut took = Vec::new();
    while took.len() < kills() {
        std::thread::sleep(Duration::from_millis(rng.u64(300..1200)));
        client.put("before", took.len().to_string().as_str()).expect("there is a master");
        let Some(leader) = cluster.leader() else { continue };
        cluster.kill(leader);
        let killed = Instant::now();
        client.put("after", took.len().to_string().as_str()).expect("another follows");
        took.push(killed.elapsed());
        assert!(killed.elapsed() < Duration::from_secs(30), "{took:?}");
        cluster.start(leader);
        cluster.wait_for(leader, "takes part");
    }
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part).div_ceil(100) - 1].as_millis();
    eprintln!(
        "{} masters killed; another took a command after {} ms at p50, {} ms at p99",
        took.len(),
        at(50),
        at(99)
    );
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}

/// A lease so long that no test waits for its end.
const LONG: &str = "retry = [30, 90]\n[log]\nsnapshot-every = 200\nkeep = 20\n[master]\nlease = 600000\n";

/// Where one member is down already, and the master is told to stop, those that are left need not wait for the end of the lease.
#[test]
fn a_master_that_stops_hands_over_to_a_member_that_is_there() {
    let mut cluster = Cluster::new(5, None, LONG);
    cluster.start_all();
    let client = cluster.client(Duration::from_secs(20));
    client.put("before", "1").expect("there is a master");
    let leader = cluster.leader().expect("a master leads");
    let other = (0..5).find(|id| *id != leader).expect("there are five");
    cluster.kill(other);
    client.put("before", "2").expect("there is a quorum");
    // Others are heard after it.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(cluster.leader(), Some(leader), "a follower was killed");
    let (status, log) = cluster.stop(leader);
    assert_eq!(status, Some(0), "{log:?}");
    client.put("after", "1").expect("another follows at once");
    drop(client);
    for id in [leader, other] {
        cluster.start(id);
    }
    for id in [leader, other] {
        cluster.wait_for(id, "takes part");
    }
    cluster.stop_and_replay();
}

/// The lease comes with a rolling restart. Members that do not have it yet follow those that do, and end if they are elected.
#[test]
fn mastership_is_turned_on_by_a_rolling_restart_under_load() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = Cluster::new(3, None, "retry = [30, 90]\n[log]\nsnapshot-every = 200\nkeep = 20\n");
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    cluster.put("a", b"1");
    let first = cluster.leader().expect("there is a leader");
    // The leader comes second, so that a member with a lease and one without are left to be elected.
    for place in [1, 0, 2] {
        let id = (first + place) % 3;
        let (status, log) = cluster.stop(id);
        assert_eq!(status, Some(0), "{log:?}");
        cluster.amend(id, "keep = 20\n", "keep = 20\n[master]\nlease = 1000\n");
        cluster.start(id);
        cluster.wait_for(id, "takes part");
        cluster.put("a", b"2");
        for other in (0..3).filter(|other| cluster.runs(*other)).collect::<Vec<_>>() {
            assert!(!cluster.has_ended(other), "member {other} follows");
        }
    }
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}

#[test]
fn a_member_without_a_lease_warns_and_ends_if_it_is_elected() {
    let mut cluster = Cluster::new(3, None, LEASE);
    cluster.start_all();
    cluster.put("a", b"1");
    let leader = cluster.leader().expect("a master leads");
    let [one, other] = [1, 2].map(|place| (leader + place) % 3);
    for id in [one, other] {
        let (status, log) = cluster.stop(id);
        assert_eq!(status, Some(0), "{log:?}");
        cluster.amend(id, "[master]\nlease = 1000\n", "");
        cluster.start(id);
        cluster.wait_for(id, "others take mastership");
    }
    cluster.put("a", b"2");
    assert!(!cluster.has_ended(one) && !cluster.has_ended(other), "they follow");
    cluster.kill(leader);
    let began = Instant::now();
    let elected = loop {
        match [one, other].into_iter().find(|id| cluster.has_ended(*id)) {
            Some(id) => break id,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
        assert!(began.elapsed() < Duration::from_secs(30), "one of them is elected");
    };
    let (status, log) = cluster.ended(elected);
    assert_ne!(status, Some(0));
    assert!(log.iter().any(|line| line.contains("set `lease` in [master]")), "{log:?}");
}

/// A master that is told to stop hands mastership over first. The time until a command has taken effect at the next is a figure, too.
#[test]
fn a_master_that_stops_hands_over_first() {
    let mut cluster = Cluster::new(3, None, LONG);
    cluster.start_all();
    let client = cluster.client(Duration::from_secs(20));
    let mut took = Vec::new();
    for round in 0..6 {
        client.put("before", round.to_string().as_str()).expect("there is a master");
        let leader = cluster.leader().expect("a master leads");
        let asked = Instant::now();
        let (status, log) = cluster.stop(leader);
        assert_eq!(status, Some(0), "{log:?}");
        client.put("after", round.to_string().as_str()).expect("another follows at once");
        took.push(asked.elapsed());
        cluster.start(leader);
        cluster.wait_for(leader, "takes part");
    }
    eprintln!("from the order to stop until another took a command: {took:?}");
    drop(client);
    cluster.stop_and_replay();
}

/// The messages that reach the two members that do not lead, while one client reads so many times, one after another.
fn messages_of_reads(cluster: &Cluster, leader: usize, reads: u32) -> f64 {
    let received = || -> f64 {
        let at = |id| metrics(http(cluster, id)).0["synod_messages_received_total"];
        (0..3).filter(|id| *id != leader).map(at).sum()
    };
    let client = cluster.client(Duration::from_mins(1));
    assert!(client.get("a").expect("it is answered").is_some());
    let before = received();
    for _ in 0..reads {
        assert!(client.get("a").expect("it is answered").is_some());
    }
    // The metrics are of some moment within the last half second.
    std::thread::sleep(Duration::from_millis(600));
    received() - before
}

/// Heartbeats and renewals go on meanwhile. Without a master each read is confirmed by a message to each other member.
#[test]
fn reads_at_the_master_are_not_told_to_other_members() {
    const READS: u32 = 4000;
    let of = |more: &str| {
        let mut cluster = observed_with(3, more);
        cluster.start_all();
        cluster.put("a", b"1");
        let leader = cluster.leader().expect("there is one");
        let messages = messages_of_reads(&cluster, leader, READS);
        assert_eq!(cluster.leader(), Some(leader), "none but that one led");
        cluster.stop_and_replay();
        messages
    };
    let (with, without) = (of(LONG), of(""));
    eprintln!("{READS} reads: {with} messages to the other members with a master, {without} without");
    assert!(with < f64::from(READS) / 2.0 && without >= f64::from(READS) * 2.0, "{with}, {without}");
}
