//! Members that change, as real processes: added, replaced, moved and removed by `synod member`, under load.

use crate::cluster::{Cluster, client, free_addresses, synod};
use crate::soak::{Load, seed};
use crate::synod::Ran;
use serde_json::Value;
use std::time::{Duration, Instant};
use synod_server::Config;

/// Snapshots often, so that new members come by one, and members that leave may soon go.
const SMALL: &str = "retry = [30, 90]\n[log]\nsnapshot-every = 200\nkeep = 20\n";

/// How long anything may take before a test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The exit status of a member that the log removed.
const REMOVED: Option<i32> = Some(4);

/// Runs `synod member` with the configuration of a member, and asks that one.
fn member(cluster: &Cluster, asked: usize, args: &[&str]) -> Ran {
    let mut command = synod();
    command.arg("member").args(args).arg("--config").arg(cluster.file(asked));
    let output = command.args(["--id", &asked.to_string()]).output().expect("synod runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the command prints text");
    let status = output.status.code().expect("the command ends by itself");
    Ran { status, out: text(output.stdout), err: text(output.stderr) }
}

/// What a member tells of the members.
fn told(cluster: &Cluster, asked: usize) -> Value {
    let ran = member(cluster, asked, &["list", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("one JSON object")
}

/// The ids of all that are of some standing, as a member tells it.
fn of(told: &Value, standing: &str) -> Vec<u64> {
    let all = told["all"].as_array().expect("a list").iter();
    all.filter(|member| member["standing"] == standing).filter_map(|member| member["id"].as_u64()).collect()
}

/// Waits until a member tells something of the members.
fn until(cluster: &Cluster, asked: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let told = told(cluster, asked);
        if is_so(&told) {
            return told;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {told}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Does a change at a member, and expects it to be done.
fn done(cluster: &Cluster, asked: usize, args: &[&str]) -> String {
    let ran = member(cluster, asked, args);
    assert_eq!(ran.status, 0, "{args:?}: {} {}", ran.out, ran.err);
    ran.out
}

/// The address in a member's own file.
fn address(cluster: &Cluster, id: usize) -> String {
    let config = Config::load(cluster.file(id)).expect("it is right");
    config.member(id as u64).expect("its own table").address.to_string()
}

fn start_first(cluster: &mut Cluster, members: usize) {
    (0..members).for_each(|id| cluster.start(id));
    (0..members).for_each(|id| cluster.wait_for(id, "takes part"));
}

/// Stops what runs, and replays all records.
fn judge(cluster: &mut Cluster) -> synod_replay::Replayed {
    cluster.stop_and_replay()
}

#[test]
fn members_are_listed_added_replaced_and_removed_and_refusals_say_why() {
    let mut cluster = Cluster::changing(3, 5, SMALL);
    let none = member(&cluster, 0, &["list"]);
    assert!(none.status == 2 && none.err.contains("no member listens there"), "{}", none.err);
    start_first(&mut cluster, 3);
    cluster.put("a", b"1");
    let first = told(&cluster, 1);
    assert_eq!((&first["number"], of(&first, "member")), (&Value::from(0), vec![0, 1, 2]));
    let printed = member(&cluster, 2, &["list"]).out;
    assert!(printed.starts_with("configuration 0 from instance 0"), "{printed}");
    assert!(printed.contains(&address(&cluster, 1)) && printed.contains("leads"), "{printed}");

    // Whoever is asked brings it to the one that leads.
    cluster.start(3);
    for (asked, id) in [(0, 3), (1, 4)] {
        if id == 4 {
            cluster.start(4);
        }
        let at = address(&cluster, id);
        let said = done(&cluster, asked, &["add", &id.to_string(), "--address", &at]);
        assert!(said.contains(&format!("{id} is a member")), "{said}");
    }
    let five = told(&cluster, 2);
    assert_eq!((&five["number"], of(&five, "member")), (&Value::from(2), vec![0, 1, 2, 3, 4]));
    assert_eq!(five["all"][3]["address"], address(&cluster, 3));

    for (args, why) in [
        (vec!["add", "4", "--address", "127.0.0.1:1"], "4 is or was a member"),
        (vec!["remove", "9"], "9 is not a member"),
        (vec!["replace", "9", "10", "--address", "127.0.0.1:1"], "9 is not a member"),
        (vec!["remove", "4", "--on", "1"], "it rests on configuration 1"),
    ] {
        let ran = member(&cluster, 2, &args);
        assert!(ran.status == 1 && ran.err.contains(why), "{args:?}: {} {}", ran.status, ran.err);
    }
    for (args, why) in [
        (vec!["add", "128", "--address", "127.0.0.1:1"], "from 0 to 127"),
        (vec!["add", "20"], "give its address with --address"),
        (vec!["add", "20", "--address", "[::1]:7"], "not both IPv4"),
        (vec!["set-address", "1", &address(&cluster, 3)], "member 3 has it"),
        (vec!["add", "20", "--address", &address(&cluster, 0)], "member 0 has it"),
        (vec!["add", "20", "--address", "0.0.0.0:7"], "needs a port and the address of one machine"),
    ] {
        let ran = member(&cluster, 2, &args);
        assert!(ran.status == 2 && ran.err.contains(why), "{args:?}: {} {}", ran.status, ran.err);
    }
    assert_eq!(told(&cluster, 2)["number"], 2, "nothing of that had an effect");

    let said = done(&cluster, 4, &["remove", "1"]);
    assert!(said.contains("1 is none any more, and may be switched off"), "{said}");
    let (status, log) = cluster.ended(1);
    assert_eq!(status, REMOVED, "{log:?}");
    assert!(log.iter().any(|line| line.contains("was removed")), "{log:?}");
    // It ends again, as often as it is started.
    cluster.start(1);
    let (status, log) = cluster.ended(1);
    assert_eq!(status, REMOVED, "{log:?}");
    assert_eq!(of(&told(&cluster, 0), "removed"), [1]);
    cluster.put("a", b"2");
    judge(&mut cluster);
}

#[test]
fn every_member_is_replaced_under_load_and_all_is_there_after_a_restart_of_everybody() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = Cluster::changing(3, 6, SMALL);
    start_first(&mut cluster, 3);
    // These know the first members, and nobody else.
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    for old in 0..3 {
        let new = old + 3;
        std::thread::sleep(Duration::from_millis(rng.u64(100..500)));
        cluster.start(new);
        let (old_name, new_name) = (old.to_string(), new.to_string());
        let at = address(&cluster, new);
        // Sometimes the member that leaves is the one that is asked.
        let asked = if rng.bool() { old } else { (old + 1) % 3 + if old == 2 { 3 } else { 0 } };
        let ran = member(&cluster, asked, &["replace", &old_name, &new_name, "--address", &at]);
        // The one that leaves may have ended before it told so.
        assert!(ran.status == 0 || asked == old, "{old}: {} {} {}", ran.status, ran.out, ran.err);
        let (status, log) = cluster.ended(old);
        assert_eq!(status, REMOVED, "{log:?}");
        cluster.wait_for(new, "takes part");
    }
    let all = until(&cluster, 3, "they govern", |told| of(told, "member") == [3, 4, 5]);
    assert_eq!((&all["number"], of(&all, "removed")), (&Value::from(3), vec![0, 1, 2]));
    // Clients that are there go on. One that comes now has to be told where the members are.
    let before = load.histories.answered.load(std::sync::atomic::Ordering::Relaxed);
    let began = Instant::now();
    while load.histories.answered.load(std::sync::atomic::Ordering::Relaxed) < before + 50 {
        assert!(began.elapsed() < PATIENCE, "clients with the old file go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    for id in 3..6 {
        let (status, log) = cluster.stop(id);
        assert_eq!(status, Some(0), "{log:?}");
    }
    // Nobody of the first members is there, and each knows the first ones and itself alone, beside what the log says.
    (3..6).for_each(|id| cluster.start(id));
    (3..6).for_each(|id| cluster.wait_for(id, "takes part"));
    let members = (3..6).map(|id| {
        let config = Config::load(cluster.file(id)).expect("it is right");
        config.member(id as u64).expect("its own table").clone()
    });
    cluster.config = Config { members: members.collect(), ..cluster.config.clone() };
    let said = load.end(&mut cluster);
    let replayed = judge(&mut cluster);
    eprintln!("{said}; {} events replayed, {} chosen", replayed.events, replayed.chosen);
}

#[test]
fn a_lost_disk_is_replaced_under_a_new_id_and_the_old_id_does_not_come_back() {
    let mut cluster = Cluster::changing(3, 4, SMALL);
    start_first(&mut cluster, 3);
    for number in 0..50 {
        cluster.put("a", number.to_string().as_bytes());
    }
    cluster.kill(1);
    std::fs::remove_dir_all(cluster.data(1)).expect("it is there");
    cluster.start(1);
    cluster.wait_for(1, "abstains");
    cluster.put("a", b"with two");
    cluster.kill(1);
    cluster.start(3);
    let at = address(&cluster, 3);
    let said = done(&cluster, 0, &["replace", "1", "3", "--address", &at]);
    assert!(said.contains("3 is a member; 1 is none any more"), "{said}");
    cluster.wait_for(3, "takes part");
    cluster.kill(0);
    assert_eq!(cluster.get("a"), Some(b"with two".to_vec()), "the new one counts");
    cluster.start(0);
    cluster.wait_for(0, "takes part");
}

#[test]
fn a_new_member_whose_disk_is_lost_does_not_come_back_either() {
    let mut cluster = Cluster::changing(3, 4, SMALL);
    start_first(&mut cluster, 3);
    cluster.start(3);
    let at = address(&cluster, 3);
    done(&cluster, 0, &["add", "3", "--address", &at]);
    cluster.wait_for(3, "takes part");
    cluster.put("a", b"1");
    cluster.kill(3);
    std::fs::remove_dir_all(cluster.data(3)).expect("it is there");
    cluster.start(3);
    cluster.wait_for(3, "abstains");
    // It counts, and is not there: three of four are needed.
    cluster.put("a", b"2");
}

#[test]
fn a_removal_that_would_leave_too_few_that_answer_is_refused_for_good() {
    let mut cluster = Cluster::changing(3, 3, SMALL);
    start_first(&mut cluster, 3);
    cluster.put("a", b"1");
    cluster.kill(2);
    for number in 0..5 {
        cluster.put("a", number.to_string().as_bytes());
    }
    let ran = member(&cluster, 0, &["remove", "1"]);
    assert!(ran.status == 1 && ran.err.contains("too few"), "{} {}", ran.status, ran.err);
    assert_eq!(told(&cluster, 0)["number"], 0);
    cluster.start(2);
    cluster.wait_for(2, "takes part");
    // The leader takes those for there that answered its last proposals.
    let began = Instant::now();
    loop {
        cluster.put("a", b"again");
        let ran = member(&cluster, 0, &["remove", "1"]);
        if ran.status == 0 {
            break;
        }
        assert!(ran.status == 1 && ran.err.contains("too few"), "{} {}", ran.status, ran.err);
        assert!(began.elapsed() < PATIENCE, "they answer");
    }
    cluster.ended(1);
    judge(&mut cluster);
}

#[test]
fn a_member_that_has_moved_is_found_where_it_is() {
    let mut cluster = Cluster::changing(3, 3, SMALL);
    start_first(&mut cluster, 3);
    cluster.put("a", b"1");
    let (old, new) = (address(&cluster, 2), free_addresses(1, "127.0.0.1")[0].to_string());
    let (status, log) = cluster.stop(2);
    assert_eq!(status, Some(0), "{log:?}");
    cluster.amend(2, &old, &new);
    let said = done(&cluster, 0, &["set-address", "2", &new]);
    assert!(said.contains("2 has another address"), "{said}");
    cluster.start(2);
    cluster.wait_for(2, "takes part");
    assert_eq!(told(&cluster, 1)["number"], 0, "no configuration has changed");
    // Without member 0, member 1 needs the one that has moved.
    cluster.kill(0);
    cluster.put("a", b"2");
    cluster.start(0);
    cluster.wait_for(0, "takes part");
    judge(&mut cluster);
}

#[test]
fn a_directory_is_bound_to_the_first_members_and_the_window() {
    let mut cluster = Cluster::changing(3, 3, SMALL);
    start_first(&mut cluster, 3);
    cluster.put("a", b"1");
    let (status, log) = cluster.stop(2);
    assert_eq!(status, Some(0), "{log:?}");
    for (from, to, why) in [
        ("keep = 20\n", "keep = 20\nalpha = 4\n", "alpha = 8 in [log], and the configuration has alpha = 4"),
        ("[members]\nfirst = [0, 1, 2]\n", "", "[members] with first = [0, 1, 2]"),
        ("first = [0, 1, 2]\n", "first = [0, 1, 2]\nlag = 7\n", "lag = 1024 in [members]"),
        ("first = [0, 1, 2]", "first = [1, 2]", "`first`, `lag` or [log] `alpha` were others"),
    ] {
        cluster.amend(2, from, to);
        cluster.start(2);
        let (status, log) = cluster.ended(2);
        assert!(status == Some(2) && log.iter().any(|line| line.contains(why)), "{why}: {log:?}");
        if to.is_empty() {
            cluster.amend(2, "keep = 20\n", &format!("keep = 20\n{from}"));
        } else {
            cluster.amend(2, to, from);
        }
    }
    cluster.start(2);
    cluster.wait_for(2, "takes part");
    judge(&mut cluster);
}

#[test]
fn a_client_of_a_cluster_with_another_rule_is_not_heard() {
    let mut cluster = Cluster::changing(2, 2, SMALL);
    start_first(&mut cluster, 2);
    cluster.put("a", b"1");
    let other = Config { changing: None, ..cluster.config.clone() };
    let error = client(&other, Duration::from_secs(2)).get("a").expect_err("it is another cluster");
    assert!(!error.may_have_taken_effect(), "{error}");
}
