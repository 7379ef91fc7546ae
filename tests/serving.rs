//! Real processes, real disks, real sockets: what a member does when it is killed, held, cut off, wiped or misled. Every run
//! is recorded and replayed.

use crate::cluster::{Cluster, synod};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn value(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn a_value_is_put_and_read_and_outlives_any_one_member() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    assert_eq!(cluster.get("seven"), None);
    cluster.put("seven", b"w");
    cluster.put("seven", b"x");
    for id in 0..3 {
        cluster.kill(id);
        assert_eq!(cluster.get("seven"), Some(value("x")), "without member {id}");
        cluster.put(&format!("without {id}"), b"z");
        cluster.start(id);
        cluster.wait_for(id, "takes part");
    }
    // All at once, and nothing is lost.
    for id in 0..3 {
        cluster.kill(id);
    }
    cluster.start_all();
    assert_eq!(cluster.get("seven"), Some(value("x")));
    assert_eq!(cluster.get("without 1"), Some(value("z")));
    let replayed = cluster.stop_and_replay();
    assert!(replayed.chosen >= 4 && replayed.events > 50, "{replayed:?}");
}

#[test]
fn the_same_over_ipv6() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        // There is no way to test what the machine cannot do; the loopback of any machine with IPv6 can.
        eprintln!("this machine has no IPv6 loopback");
        return;
    }
    let mut cluster = Cluster::at("[::1]", 3, None, "");
    cluster.start_all();
    cluster.put("1", b"six");
    assert_eq!(cluster.get("1"), Some(value("six")));
    cluster.stop_and_replay();
}

#[test]
fn large_values_travel_in_fragments_and_larger_ones_are_refused() {
    let mut cluster = Cluster::new(3, None, "max-value = 200000");
    cluster.start_all();
    let large: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    cluster.put("1", &large);
    assert_eq!(cluster.get("1"), Some(large.clone()));
    let too_large = [large.clone(), vec![0]].concat();
    let error = cluster.try_put("1", &too_large, Duration::from_secs(30)).expect_err("it is too large");
    assert!(!error.may_have_taken_effect(), "{error}");
    let error =
        cluster.try_put(&"k".repeat(1025), b"x", Duration::from_secs(30)).expect_err("the key is too long");
    assert!(!error.may_have_taken_effect(), "{error}");
    let far_too_large = vec![0; 1 << 20];
    let error = cluster.try_put("1", &far_too_large, Duration::from_secs(30)).expect_err("it is too large");
    assert!(error.to_string().contains("1048576 bytes") && error.to_string().contains("200000"), "{error}");
    assert_eq!(cluster.get("1"), Some(large));
    cluster.stop_and_replay();
}

/// What was accepted in all is many times what one message holds: promises report it in parts.
#[test]
fn a_cluster_takes_far_more_than_a_message_holds() {
    let mut cluster = Cluster::new(3, None, "max-value = 1500000");
    cluster.start_all();
    for number in 0..12_u8 {
        cluster.put(&number.to_string(), &vec![number; 1_400_000]);
    }
    // Whoever begins a ballot now has to be told of all of them.
    cluster.kill(0);
    cluster.start(0);
    cluster.wait_for(0, "takes part");
    assert_eq!(cluster.get("3"), Some(vec![3; 1_400_000]));
    cluster.put("12", b"x");
    cluster.stop_and_replay();
}

#[test]
fn datagrams_from_anyone_cost_a_member_nothing_but_time() {
    let seed = crate::soak::seed();
    let mut cluster = Cluster::new(3, Some(seed), "");
    cluster.proxy.as_ref().expect("there is one").weather(|weather| weather.doubled = 1.0);
    cluster.start_all();
    cluster.put("0", b"x");
    let address = cluster.config.members[0].address;
    let stop = Arc::new(AtomicBool::new(false));
    let flood = {
        let (stop, mut rng) = (stop.clone(), fastrand::Rng::with_seed(seed));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback socket");
        std::thread::spawn(move || {
            let mut sent = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let len = if rng.u8(..50) == 0 { rng.usize(..65_000) } else { rng.usize(..1400) };
                let bytes: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
                // What does not fit the socket's buffers is lost, as it would be on the way.
                let _ = socket.send_to(&bytes, address);
                sent += 1;
            }
            sent
        })
    };
    let client = cluster.client(Duration::from_mins(1));
    for number in 1..200 {
        client.put(number.to_string().as_str(), "x").expect("it is stored in time");
    }
    drop(client);
    let memory = cluster.memory(0).expect("it runs");
    stop.store(true, Ordering::Relaxed);
    let sent = flood.join().expect("it sends");
    let (status, log) = cluster.stop(0);
    assert_eq!(status, Some(0), "{log:?}");
    let said = log.iter().find(|line| line.contains("and dropped")).expect("it says what it dropped");
    for reason in ["too short", "of another protocol", "replayed"] {
        assert!(said.contains(reason), "{said}");
    }
    assert!(sent > 1000 && memory < 64 << 20, "{sent} datagrams were sent, {memory} bytes taken");
    cluster.stop_and_replay();
}

#[test]
fn the_command_replays_what_members_recorded() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    for number in 10..20 {
        cluster.put(&number.to_string(), b"more");
    }
    let (status, log) = cluster.stop(0);
    assert_eq!(status, Some(0), "{log:?}");
    assert!(log.last().is_some_and(|line| line.contains("stopped: ")), "{log:?}");
    cluster.stop_and_replay();
    let run =
        |args: &[&str]| synod().args(args).current_dir(cluster.folder.path()).output().expect("synod runs");
    let ran = run(&["trace", "replay", "data"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("no claim fell"), "{ran:?}");
    // The same run in words: all of it, and what concerns one instance.
    let ran = run(&["trace", "show", "data", "--most", "1000000"]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && said.contains("Put { key: 15, value: more,"), "{said}");
    let of_key = |line: &&str| line.contains("sends Accept(ballot ") && line.contains("key: 15,");
    let sent = said.lines().find(of_key).expect("it was proposed");
    let (ballot, rest) =
        sent.split_once("Accept(").and_then(|(_, it)| it.split_once(", instance ")).expect("both");
    let instance = rest.split(':').next().expect("a number");
    let ran = run(&["trace", "show", "data", "--instance", instance]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let told = [
        format!("takes Accept({ballot}, instance {instance}: client "),
        format!("sends Accepted({ballot}, instance {instance}: client "),
        format!("executes instance {instance}"),
        "takes Submit(".to_owned(),
        "sends Output(".to_owned(),
        "Done([Stored {".to_owned(),
    ];
    assert!(ran.status.success() && told.iter().all(|told| said.contains(told)), "{told:?}: {said}");
    assert!(!said.contains("key: 14,") && !said.contains("Heartbeat"), "{said}");
    let ran = run(&["trace", "show", "data", "--instance", "1000000"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let ran = run(&["trace", "diagram", "data"]);
    let error = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.code() == Some(2) && error.contains("`synod trace show` tells them"), "{error}");
    // Without the end of one member's record the others took what nobody sent.
    let record = cluster.data(1).join("flight-1.rec");
    let bytes = fs::read(&record).expect("it was there");
    fs::write(&record, &bytes[..bytes.len() / 2]).expect("it can be cut");
    let ran = run(&["trace", "replay", "data"]);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("sent by nobody") && said.contains("replay-failed/run.txt"), "{said}");
    let told = fs::read_to_string(cluster.folder.path().join("replay-failed/run.txt")).expect("it is there");
    assert!(told.contains("Accept(ballot ") && told.contains("sent by nobody"), "{told}");
    fs::remove_file(&record).expect("it was there");
    let ran = run(&["trace", "replay", "data"]);
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("no record of member"), "{ran:?}");
}

#[test]
fn a_wiped_member_abstains_and_the_others_go_on() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    // A majority without member 1: member 0 has acted on what member 2 said, so it remembers its disk.
    cluster.stop(1);
    cluster.put("1", b"x");
    cluster.kill(2);
    cluster.start(1);
    cluster.wait_for(1, "takes part");
    fs::remove_dir_all(cluster.data(2)).expect("its disk is wiped");
    cluster.start(2);
    cluster.wait_for(2, "abstains: ");
    // One more down, and the wiped one must not make up a majority.
    cluster.kill(1);
    let answer = cluster.try_put("2", b"y", Duration::from_secs(2));
    assert!(answer.is_err(), "{answer:?}");
    cluster.start(1);
    cluster.put("2", b"y");
    assert_eq!(cluster.get("1"), Some(value("x")));
}

#[test]
fn an_older_copy_of_a_data_directory_is_refused() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    cluster.put("1", b"x");
    cluster.stop(2);
    let copy = cluster.folder.path().join("copy");
    copy_folder(&cluster.data(2), &copy);
    cluster.start(2);
    cluster.wait_for(2, "takes part");
    // Whoever acts on what it says remembers the later start: member 0, without which there is no majority now.
    cluster.stop(1);
    for number in 10..20 {
        cluster.put(&number.to_string(), b"later");
    }
    cluster.stop(2);
    cluster.start(1);
    fs::remove_dir_all(cluster.data(2)).expect("its disk is taken out");
    copy_folder(&copy, &cluster.data(2));
    cluster.start(2);
    let (status, log) = cluster.ended(2);
    assert_eq!(status, Some(2), "{log:?}");
    assert!(
        log.iter()
            .any(|line| line.contains("older copy") && line.contains("bring back the right data directory")),
        "{log:?}"
    );
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

#[test]
fn a_damaged_or_foreign_journal_is_refused_with_its_place() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    for number in 0..20 {
        cluster.put(&number.to_string(), b"x");
    }
    cluster.stop(0);
    cluster.stop(1);
    let journal = |id: usize| {
        fs::read_dir(cluster.data(id))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal-")))
            .expect("a journal")
    };
    let (mine, other) = (journal(0), journal(1));
    let mut bytes = fs::read(&mine).expect("a journal");
    bytes[300] ^= 4;
    fs::write(&mine, &bytes).expect("a journal");
    cluster.start(0);
    let (status, log) = cluster.ended(0);
    assert_eq!(status, Some(2), "{log:?}");
    let name = mine.display().to_string();
    assert!(log.iter().any(|line| line.contains(&name) && line.contains("byte")), "{log:?}");
    // The journal of another member in its place.
    fs::copy(&other, &mine).expect("a copy");
    cluster.start(0);
    let (status, log) = cluster.ended(0);
    assert_eq!(status, Some(2), "{log:?}");
    assert!(log.iter().any(|line| line.contains("member 1")), "{log:?}");
}

#[test]
fn what_stands_against_a_start_is_said_in_one_line() {
    let mut cluster = Cluster::new(3, None, "");
    // Someone else's eyes on the key.
    let key = cluster.config.cluster_key.clone();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&key, open).expect("it is ours");
    let refused = |cluster: &mut Cluster, id: usize, says: &str| {
        cluster.start(id);
        let (status, log) = cluster.ended(id);
        assert_eq!(status, Some(2), "{log:?}");
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains(says), "{says:?} in {log:?}");
    };
    refused(&mut cluster, 0, "cluster.key");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, closed).expect("it is ours");
    cluster.start_all();
    // Twice the same member: the address is taken.
    let twice = synod()
        .args(["serve", "--id", "0", "--config"])
        .arg(cluster.folder.path().join("member-0.toml"))
        .output()
        .expect("synod runs");
    assert_eq!(twice.status.code(), Some(2), "{twice:?}");
    assert!(String::from_utf8_lossy(&twice.stderr).contains("cannot listen on UDP"), "{twice:?}");
    let nobody = synod()
        .args(["serve", "--id", "9", "--config"])
        .arg(cluster.folder.path().join("cluster.toml"))
        .output()
        .expect("synod runs");
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there are 0, 1, 2"), "{nobody:?}");
}

#[test]
fn keys_change_without_anyone_stopping() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    let [members, clients] = [cluster.config.cluster_key.clone(), cluster.config.client_key.clone()];
    let read = |path: &Path| fs::read_to_string(path).expect("a key").trim_end().to_owned();
    let print = |what: &str| {
        let config = cluster.folder.path().join("cluster.toml");
        let printed = synod().args(["keygen", what, "--config"]).arg(config).output().expect("synod runs");
        String::from_utf8(printed.stdout).expect("a key is text").trim_end().to_owned()
    };
    let (old, new) = (read(&members), print("--print"));
    let old_client = read(&clients);
    // A client's line is of the first key of the members, and rests on it.
    fs::write(&members, format!("{new}\n{old}")).expect("a key file");
    let new_client = print("--client");
    assert_eq!(new_client.split_whitespace().map(str::len).collect::<Vec<_>>(), [64, 64], "two halves");
    let steps = [
        (&members, vec![&old, &new]),
        (&members, vec![&new, &old]),
        (&clients, vec![&old_client, &new_client]),
        (&clients, vec![&new_client, &old_client]),
        (&clients, vec![&new_client]),
        (&members, vec![&new]),
    ];
    for (step, (path, lines)) in steps.into_iter().enumerate() {
        let lines: Vec<&str> = lines.into_iter().map(String::as_str).collect();
        fs::write(path, lines.join("\n")).expect("a key file");
        for id in 0..3 {
            cluster.signal(id, Signal::HUP);
            // Between one member's change and the next everything goes on.
            cluster.put(&format!("step {step}, member {id}"), b"x");
            cluster.wait_for(id, "has read its keys anew");
        }
    }
    // Without a line for its key a member would answer and nobody would believe it: it keeps what it has.
    fs::write(&clients, &old_client).expect("a key file");
    cluster.signal(0, Signal::HUP);
    cluster.wait_for(0, "no line is of this cluster's key");
    // A file of an earlier version is told from a right one, and what to do is said.
    fs::write(&clients, new_client.split_whitespace().next().expect("a half")).expect("a key file");
    let settings = synod_client::Config::new("test", &clients).member(0, cluster.config.members[0].address);
    let said = synod_client::Client::connect(&settings).map(drop).expect_err("the key is no key").to_string();
    assert!(said.contains("client.key:1: this line lacks"), "{said}");
    assert!(said.contains("synod keygen --client"), "{said}");
    cluster.stop_and_replay();
}

#[test]
fn keys_that_were_taken_away_are_not_in_memory_any_more() {
    let mut cluster = Cluster::new(1, None, "");
    cluster.start_all();
    cluster.put("0", b"x");
    let [members, clients] = [cluster.config.cluster_key.clone(), cluster.config.client_key.clone()];
    let print = |what: &str| {
        let config = cluster.folder.path().join("cluster.toml");
        let printed = synod().args(["keygen", what, "--config"]).arg(config).output().expect("synod runs");
        String::from_utf8(printed.stdout).expect("a key is text")
    };
    // Of each file the secret, in both forms in which it was ever in memory.
    let secrets: Vec<(String, Vec<u8>)> = [&members, &clients]
        .map(|path| {
            let text = fs::read_to_string(path).expect("a key")[..64].to_owned();
            let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("digits");
            let bytes = (0..64).step_by(2).map(byte).collect();
            (text, bytes)
        })
        .into();
    let seen = |cluster: &Cluster| -> Option<Vec<usize>> {
        // By halves: memory that was given back has its beginning overwritten by whoever keeps account of it.
        let found = |wanted: &[u8]| -> Option<usize> {
            wanted.chunks(wanted.len() / 2).map(|half| cluster.found_in_memory(0, half)).sum()
        };
        secrets.iter().flat_map(|(text, bytes)| [found(text.as_bytes()), found(bytes)]).collect()
    };
    let Some(before) = seen(&cluster) else {
        eprintln!("the memory of another process cannot be read here");
        return;
    };
    assert!(before[1] > 0 && before[3] > 0, "the search finds what is in use: {before:?}");
    assert_eq!((before[0], before[2]), (0, 0), "the text of the files is gone as soon as it is read");
    fs::write(&members, print("--print")).expect("a key file");
    fs::write(&clients, print("--client")).expect("a key file");
    cluster.signal(0, Signal::HUP);
    cluster.wait_for(0, "has read its keys anew");
    cluster.put("1", b"x");
    assert_eq!(seen(&cluster), Some(vec![0; 4]));
    cluster.stop_and_replay();
}
