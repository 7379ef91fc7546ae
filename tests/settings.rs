//! Settings that decide what a command does: what members' files say makes no difference between them.

use crate::cluster::{Cluster, synod};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use synod_client::{Client, Error, Full, Refusal};

const PATIENCE: Duration = Duration::from_secs(20);
/// How often something is tried that waits for settings to be told.
const TRIES: usize = 400;

/// Stores values of 1000 bytes until the store is full: the numbers in the error.
fn fill(client: &Client, name: &str) -> Full {
    for number in 0..TRIES {
        match client.put(format!("{name}/{number}").as_str(), vec![b'v'; 1000]) {
            Ok(_) => {}
            Err(Error::Full(full)) => return full,
            Err(error) => panic!("{name}/{number}: {error}"),
        }
    }
    panic!("the store takes whatever comes");
}

fn key(name: &str, number: usize) -> String {
    format!("{name}/{number}")
}

#[test]
fn members_with_different_files_stay_alike_and_a_full_store_refuses_until_something_goes() {
    let mut cluster = Cluster::new(3, None, "[store]\nmost-bytes = 20480");
    let most = [20480, 22528, 24576];
    for (id, most) in most.iter().enumerate() {
        cluster.amend(id, "most-bytes = 20480", &format!("most-bytes = {most}"));
    }
    cluster.start_all();
    let client = cluster.client(PATIENCE);
    let full = fill(&client, "first");
    assert!(most.contains(&full.most) && full.held + full.more > full.most, "{full:?}");
    let mut told = BTreeSet::from([full.most]);
    let put = synod()
        .args(["put", "more", &"v".repeat(4000), "--config"])
        .arg(cluster.folder.path().join("cluster.toml"))
        .output()
        .expect("synod runs");
    let said = String::from_utf8_lossy(&put.stderr).into_owned();
    assert_eq!(put.status.code(), Some(1), "{said}");
    assert!(said.contains("the store is full") && said.contains("most-bytes"), "{said}");
    // What shrinks it is done, and then there is room again.
    assert_eq!(client.delete(key("first", 0).as_str()), Ok(true));
    client.put("small", "x").expect("there is room");
    for round in 0..3 {
        let Some(leader) = cluster.leader() else { panic!("somebody led") };
        cluster.kill(leader);
        // Whoever leads next tells its own settings; more or less may fit then.
        client.delete(key("first", round + 1).as_str()).expect("it is done");
        let mut others = (0..TRIES).map(|_| fill(&client, &format!("round-{round}")).most);
        let now = others.find(|now| *now != most[leader]).expect("another member tells its own");
        assert!(most.contains(&now), "{now} stands in no file");
        told.insert(now);
        cluster.start(leader);
        cluster.wait_for(leader, "takes part");
    }
    assert!(told.len() > 1, "one member alone told its settings: {told:?}");
    drop(client);
    // The replay compares what all have executed, whatever each one's file says.
    cluster.stop_and_replay();
}

#[test]
fn a_rolling_restart_with_other_files_changes_the_settings_and_loses_nothing() {
    let mut cluster = Cluster::new(3, None, "max-value = 2000");
    cluster.start_all();
    cluster.put("stays", &[b'v'; 2000]);
    for id in 0..3 {
        cluster.amend(id, "max-value = 2000", "max-value = 3000\n[store]\nmax-key = 9");
        cluster.kill(id);
        cluster.start(id);
        cluster.wait_for(id, "takes part");
    }
    let mut config = cluster.config.clone();
    config.max_value = 3000;
    let client = crate::cluster::client(&config, PATIENCE);
    let is_told = (0..TRIES).any(|_| match client.put("a-longer-key", "x") {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error, Error::Refused(Refusal::NotAdmitted));
            true
        }
    });
    assert!(is_told, "the new limit holds");
    client.put("longer", vec![b'v'; 3000]).expect("it is not too long any more");
    assert_eq!(cluster.get("stays").map(|value| value.len()), Some(2000));
    drop(client);
    cluster.stop_and_replay();
}

/// Puts that go on from several clients at a time until they are told to stop: the number of each client's.
fn keep_putting(cluster: &Cluster, clients: usize, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<usize>> {
    let putting = |client: Client, number: usize, stop: Arc<AtomicBool>| {
        let mut puts = 0;
        while !stop.load(Ordering::Relaxed) {
            let put = client.put(key(&format!("client-{number}"), puts % 8).as_str(), vec![b'v'; 900]);
            put.unwrap_or_else(|error| panic!("put {puts} of client {number}: {error}"));
            puts += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        puts
    };
    let spawn = |number| {
        let (client, stop) = (cluster.client(PATIENCE), Arc::clone(stop));
        client.put("begins", "x").expect("all members are up");
        std::thread::spawn(move || putting(client, number, stop))
    };
    (0..clients).map(spawn).collect()
}

#[test]
fn puts_go_on_through_a_rolling_restart_that_raises_a_limit() {
    // The window of one instance has every command that waits share the next one. Four commands of 900 bytes are longer than the old limit.
    let mut cluster = Cluster::new(3, None, "max-value = 1000\n[log]\nalpha = 1");
    cluster.start_all();
    let stop = Arc::new(AtomicBool::new(false));
    let puts = keep_putting(&cluster, 16, &stop);
    let raised = "max-value = 1000000";
    cluster.amend(0, "max-value = 1000", raised);
    cluster.kill(0);
    cluster.start(0);
    cluster.wait_for(0, "takes part");
    // The one member with the new file leads, and both others go by the old one.
    for _ in 0..TRIES {
        match cluster.leader() {
            Some(0) => break,
            Some(leader) => {
                cluster.kill(leader);
                cluster.start(leader);
                cluster.wait_for(leader, "takes part");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    assert_eq!(cluster.leader(), Some(0));
    // The others would refuse so long a value from a client.
    let mut config = cluster.config.clone();
    config.max_value = 1_000_000;
    config.members.retain(|member| member.id == 0);
    let client = crate::cluster::client(&config, PATIENCE);
    let is_told = (0..TRIES).any(|_| match client.put("longer", vec![b'v'; 100_000]) {
        Ok(_) => true,
        Err(Error::Refused(Refusal::NotAdmitted)) => false,
        Err(error) => panic!("{error}"),
    });
    assert!(is_told, "the new limit holds");
    for id in [1, 2] {
        // A member comes back with the old file too, whatever it has accepted.
        cluster.kill(id);
        cluster.start(id);
        cluster.wait_for(id, "takes part");
        cluster.amend(id, "max-value = 1000", raised);
        cluster.kill(id);
        cluster.start(id);
        cluster.wait_for(id, "takes part");
    }
    stop.store(true, Ordering::Relaxed);
    for client in puts {
        assert!(client.join().expect("no put failed") > 0);
    }
    let found = client.get("longer").expect("it is asked for").map(|item| item.value.to_vec());
    assert_eq!(found.map(|value| value.len()), Some(100_000));
    drop(client);
    cluster.stop_and_replay();
}
