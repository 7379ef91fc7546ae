//! Several groups in real processes: keys are divided among logs, and all that is promised of one log holds of each.

use crate::cluster::{Cluster, client, synod};
use crate::commands::At;
use crate::local::Local;
use crate::observed::{get, observed_with, until};
use crate::unwelcome::{asked, connect, raw_in_groups};
use std::collections::BTreeMap;
use std::time::Duration;
use synod_client::{Error, Watch, WatchError};
use synod_machine::{BankCommand, Blob, Lives, Operation, SessionCommand, StoreCommand, encode, group_of};

const GROUPS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

fn put(key: &str) -> Operation {
    Operation::Put { key: Blob::from(key), value: Blob::from("v"), lives: Lives::Forever }
}

fn of_several_groups() -> Cluster {
    let mut cluster =
        Cluster::new(3, None, &format!("groups = {GROUPS}\n[log]\nsnapshot-every = 20\nkeep = 4\n"));
    cluster.start_all();
    cluster
}

/// The keys of a cluster in their order, a few at a time.
fn keys(client: &synod_client::Client) -> Vec<String> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let request = synod_client::requests::list("", after.take(), 7, synod_client::Reading::Linearizable);
        let listed = client.run(request).expect("a list");
        all.extend(listed.items.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()));
        match listed.items.last() {
            Some((key, _)) if listed.more => after = Some(key.clone()),
            _ => return all,
        }
    }
}

#[test]
fn keys_of_all_groups_outlive_any_member_and_each_group_is_replayed_as_a_log_of_its_own() {
    let mut cluster = of_several_groups();
    // Each member is the first choice of a group.
    for group in 0..GROUPS {
        cluster.wait_for(group % 3, &format!("leads group {group} in round"));
    }
    let client = client(&cluster.config, PATIENCE);
    let mut watch = Watch::from_the_first(client.clone(), "");
    let mut expected = Vec::new();
    for round in 0..4 {
        let victim = round % 3;
        if round > 0 {
            cluster.kill(victim);
        }
        for n in 0..40 {
            let key = format!("{n:02}-{round}");
            client.put(key.as_str(), "v").unwrap_or_else(|error| panic!("{key}: {error}"));
            expected.push(key);
        }
        expected.sort();
        assert_eq!(keys(&client), expected, "without member {victim}");
        if round > 0 {
            cluster.start(victim);
            cluster.wait_for(victim, "takes part");
        }
    }
    let mut spread = [0; GROUPS];
    for key in &expected {
        spread[usize::from(group_of(key.as_bytes(), GROUPS))] += 1;
    }
    assert!(spread.iter().all(|count| *count > 10), "{spread:?}");
    // Every change once, those of each key in their order.
    client.put("00-0", "again").expect("it is stored");
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < expected.len() + 1 {
        for change in watch.next(PATIENCE).expect("all are kept") {
            seen.entry(String::from_utf8_lossy(&change.key).into_owned()).or_default().push(change.version);
        }
    }
    assert_eq!(watch.versions().len(), GROUPS);
    assert!(seen.iter().all(|(key, versions)| versions.len() == 1 + usize::from(key == "00-0")), "{seen:?}");
    assert!(seen["00-0"].is_sorted());
    let replayed = cluster.stop_and_replay();
    assert!(replayed.chosen > 160, "{replayed:?}");
    // Each group has an instance of that number, and is told by itself.
    let told = synod()
        .args(["trace", "show", "--instance", "2", "--group", "1"])
        .arg(cluster.folder.path())
        .output();
    let told = told.expect("synod runs");
    let text = String::from_utf8(told.stdout).expect("text");
    let steps: Vec<&str> = text.lines().filter(|line| line.contains("  member ")).collect();
    assert!(told.status.success() && steps.len() > 6, "{text}");
    assert!(steps.iter().all(|line| line.contains(" in group 1 ")), "{text}");
    assert!(text.contains("executes instance 2"), "{text}");
}

#[test]
fn a_command_of_two_groups_is_refused_by_name_and_has_no_effect() {
    let mut cluster = of_several_groups();
    let client = client(&cluster.config, PATIENCE);
    let other = (0..1000)
        .map(|n| format!("k{n}"))
        .find(|key| group_of(key.as_bytes(), GROUPS) != group_of(b"a", GROUPS));
    let other = other.expect("there are others");
    let refused =
        client.transaction(Vec::new(), vec![put("a"), put(&other)]).expect_err("they are of two groups");
    assert!(matches!(refused, Error::Across(_)) && !refused.may_have_taken_effect(), "{refused:?}");
    assert!(
        refused.to_string().contains(&format!("\"{other}\"")) && refused.to_string().contains("in braces"),
        "{refused}"
    );
    assert_eq!(keys(&client), [""; 0]);
    client.transaction(Vec::new(), vec![put("{x}.a"), put("{x}.b")]).expect("they are of one group");
    assert_eq!(keys(&client), ["{x}.a", "{x}.b"]);
    assert!(matches!(client.changes("", 0), Err(Error::Across(_))));
    let account = |n: u64| group_of(n.to_string().as_bytes(), GROUPS);
    let to = (1..1000).find(|to| account(*to) != account(0)).expect("there are others");
    client.bank(BankCommand::Deposit { account: 0, amount: 9 }).expect("it is done");
    let refused = client.transfer(0, to, 5).expect_err("they are of two groups");
    assert!(refused.to_string().contains("a stop between the two"), "{refused}");
    cluster.stop_and_replay();
}

#[test]
fn a_cluster_keeps_its_number_of_groups_and_does_not_talk_with_those_of_another() {
    let mut cluster = of_several_groups();
    cluster.put("a", b"v");
    let other = synod_server::Config { groups: GROUPS + 1, ..cluster.config.clone() };
    let error = client(&other, Duration::from_secs(2)).get("a").expect_err("nobody answers");
    assert!(error.to_string().contains("`groups`"), "{error}");
    cluster.stop(1);
    cluster.amend(1, "groups = 5", "groups = 2");
    cluster.start(1);
    let (status, log) = cluster.ended(1);
    assert_eq!(status, Some(2), "{log:?}");
    assert!(
        log.iter().any(|line| line.contains("made with groups = 5") && line.contains("groups = 2")),
        "{log:?}"
    );
    cluster.amend(1, "groups = 2", "groups = 5");
    cluster.start(1);
    cluster.wait_for(1, "takes part");
    cluster.stop_and_replay();
}

/// A client that sends a command to every group, and to one that there is not: only the group of its key takes it. Otherwise a lock could be held twice.
#[test]
fn a_command_that_comes_to_a_group_of_other_keys_is_counted_and_dropped() {
    let mut cluster = observed_with(3, &format!("groups = {GROUPS}\n"));
    cluster.start_all();
    cluster.put("a", b"v");
    let acquire = Operation::Acquire { lock: "a".into(), owner: "o".into(), lives: Lives::Forever };
    let command = StoreCommand::Transact { when: Vec::new(), then: vec![acquire] };
    let command = SessionCommand::Apply { session: 1, number: 1, command };
    let said = raw_in_groups(&cluster.config, GROUPS + 1, &encode(&command), Duration::from_secs(5));
    let answered: Vec<usize> = (0..=GROUPS).filter(|group| said[*group].is_some()).collect();
    assert_eq!(answered, [usize::from(group_of(b"a", GROUPS))], "{said:?}");
    until("they tell that they dropped it", || {
        let metrics =
            cluster.config.members.iter().filter_map(|member| Some(get(member.http?, "/metrics")?.1));
        let told = metrics.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        told.into_iter().any(|line| line.contains("that are for another group")).then_some(())
    });
    cluster.stop_and_replay();
}

/// A key of each of three groups, and a second one of group 0.
fn keys_of_three() -> [String; 4] {
    let of = |group: u8, skip: usize| {
        let mut all = (0..).map(|n| format!("k{n}")).filter(|key| group_of(key.as_bytes(), 3) == group);
        all.nth(skip).expect("there are many")
    };
    [of(0, 0), of(1, 0), of(2, 0), of(0, 1)]
}

#[test]
fn the_commands_the_page_and_clients_of_redis_tell_of_groups() {
    let local = Local::start(&["--nodes", "3", "--groups", "3"]);
    let at = At(&local);
    let [zero, one, two, again] = keys_of_three();
    for key in [&zero, &one, &two] {
        at.done(&format!("put {key} v"), "1\n");
    }
    at.done(&format!("put {again} v"), "2\n");
    let mut sorted = [&zero, &one, &two, &again];
    sorted.sort();
    at.done("keys k", &sorted.map(|key| format!("{key}\tv\n")).concat());

    let (status, out, err) = at.run("watch k --from 1 --count 4");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    let expected = [("0:1", &zero), ("0:2", &again), ("1:1", &one), ("2:1", &two)];
    assert_eq!(
        (status, lines),
        (0, expected.map(|(at, key)| format!("{at} put {key} v")).iter().map(String::as_str).collect())
    );
    assert!(err.contains("go on from --from 3,2,2"), "{err}");
    at.done(&format!("put {two} w"), "2\n");
    at.done("watch k --count 1 --from 3,2,2", &format!("2:2 put {two} w\n"));
    let (status, _, err) = at.run("watch k --from 5");
    assert!(status == 2 && err.contains("1 versions for 3 groups"), "{status} {err}");

    let (_, token, _) = at.run(&format!("lock {zero} --owner me --ttl 1h"));
    let fence = format!("--fence {zero}={}", token.trim());
    at.done(&format!("put {again} x {fence}"), "3\n");
    at.refused(&format!("put {one} x {fence}"), "and one command is done in one group");
    at.refused("transfer 1 2 3", "is of group");

    let config = synod_server::Config::load(std::path::Path::new(local.config())).expect("it is right");
    let mut redis = connect(config.members[1].redis.expect("it has one"));
    assert!(
        asked(&mut redis, &format!("mset {zero} 1 {one} 2\r\n")).starts_with("-CROSSSLOT nothing was done")
    );
    assert_eq!(asked(&mut redis, &format!("mset {zero} 1 {again} 2\r\n")), "+OK");
    for (request, reply) in [
        (format!("watch {zero} {again}"), "+OK"),
        ("multi".to_owned(), "+OK"),
        (format!("incr {zero}"), "+QUEUED"),
        ("exec".to_owned(), "*1"),
    ] {
        assert_eq!(asked(&mut redis, &format!("{request}\r\n")), reply, "{request}");
    }
    at.done(&format!("get {zero}"), "2\n");

    let (_, status, _) = at.run("status");
    assert!(
        status.contains("leads ") && status.contains(" of 3 groups") && status.contains("group 2: "),
        "{status}"
    );
    let http = config.members[0].http.expect("it has one");
    until("the metrics tell of each group", || {
        let (_, metrics) = get(http, "/metrics")?;
        let told = (0..3).all(|group| {
            metrics.contains(&format!("synod_group_leader_id{{group=\"{group}\"}} "))
                && metrics.contains(&format!("synod_group_executed_instances{{group=\"{group}\"}} "))
        });
        (told && metrics.contains("synod_group_keys{group=\"0\"} 2")).then_some(())
    });
    until("the page tells of each group", || {
        let (_, page) = get(http, "/")?;
        (page.contains("<h2>Groups</h2>") && page.contains("leads group ")).then_some(())
    });
    local.end();
}

/// As many groups as there may be: all elect a leader and keep it while nothing is asked, and take commands.
#[test]
fn as_many_groups_as_there_may_be_keep_their_leaders() {
    let mut cluster = Cluster::new(3, None, "groups = 64\n");
    cluster.start_all();
    let began = std::time::Instant::now();
    while cluster.count("leads group ") < 64 {
        assert!(began.elapsed() < PATIENCE, "{} lead", cluster.count("leads group "));
        std::thread::sleep(Duration::from_millis(100));
    }
    let client = client(&cluster.config, PATIENCE);
    for n in 0..256 {
        client.put(format!("{n:03}").as_str(), "v").unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    assert_eq!(keys(&client).len(), 256);
    // Some lead a second time before all members have started; none does while nothing is asked.
    let before = cluster.count("leads group ");
    std::thread::sleep(Duration::from_secs(5));
    let changes = cluster.count("leads group ") - before;
    assert!(changes <= 3, "{changes} changes of the leader");
    cluster.stop_and_replay();
}

/// A watch that paused while one group changed so much that it forgot some of it: it tells so, by the group, tells what it knows of the other, and goes on from
/// where the error says.
#[test]
fn a_watch_that_missed_changes_of_one_group_goes_on_in_both() {
    let mut cluster = Cluster::new(1, None, "groups = 2\n[store]\nmost-bytes = 67108864\n");
    cluster.start_all();
    let client = client(&cluster.config, PATIENCE);
    let key = |group: u8| (0..1000).map(|n| format!("k{n}")).find(|key| group_of(key.as_bytes(), 2) == group);
    let (busy, quiet) = (key(0).expect("there are many"), key(1).expect("there are many"));
    client.put(quiet.as_str(), "1").expect("it is stored");
    let mut watch = Watch::from_now(client.clone(), "k").expect("an answer");
    assert_eq!(watch.versions(), [0, 1]);
    // Each group keeps 16 MiB of changes.
    let big = vec![7; 60_000];
    let calls: Vec<_> = (0..400)
        .map(|_| {
            let put = Operation::Put {
                key: busy.as_str().into(),
                value: big.clone().into(),
                lives: Lives::Forever,
            };
            client.send(StoreCommand::Transact { when: Vec::new(), then: vec![put] }, PATIENCE)
        })
        .collect();
    for call in calls {
        call.wait().expect("it is stored");
    }
    client.put(quiet.as_str(), "2").expect("it is stored");
    let (mut told, mut missed) = (Vec::new(), None);
    while told.is_empty() || missed.is_none() {
        match watch.next(PATIENCE) {
            Ok(changes) => told.extend(changes.into_iter().map(|change| (change.key, change.version))),
            Err(WatchError::Truncated { group, oldest }) => missed = Some((group, oldest)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(told, [(Blob::from(quiet.as_str()), 2)]);
    let (group, oldest) = missed.expect("it was waited for");
    assert!(group == Some(0) && oldest > 1, "{missed:?}");
    let mut versions = watch.versions();
    versions[0] = oldest;
    let mut watch = Watch::after(client.clone(), "k", &versions).expect("one per group");
    client.put(quiet.as_str(), "3").expect("it is stored");
    let mut seen = [Vec::new(), Vec::new()];
    while seen[0].len() as u64 + oldest < 400 || seen[1].is_empty() {
        for change in watch.next(PATIENCE).expect("they are kept") {
            seen[usize::from(change.key == Blob::from(quiet.as_str()))].push(change.version);
        }
    }
    assert!(seen[0].iter().copied().eq(oldest + 1..=400), "{:?}", seen[0]);
    assert_eq!(seen[1], [3]);
    let one = Watch::after(client, "k", &[5]).err();
    assert_eq!(one, Some(WatchError::Versions { given: 1, groups: 2 }));
    cluster.stop_and_replay();
}
