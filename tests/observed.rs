//! What members tell of themselves over HTTP, on stderr and to `synod status`: it moves with what they do, and nobody who asks can
//! hurt them.

use crate::cluster::{Cluster, synod};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use synod_server::Config;

/// How long anything may take before a test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

fn observed(members: usize) -> Cluster {
    observed_with(members, "")
}

/// A cluster whose members tell of themselves, at addresses that were free a moment ago.
pub(crate) fn observed_with(members: usize, more: &str) -> Cluster {
    let mut cluster = Cluster::new(members, None, more);
    let listeners: Vec<TcpListener> =
        (0..members).map(|_| TcpListener::bind("127.0.0.1:0").expect("a loopback socket")).collect();
    let files = (0..members).map(|id| format!("member-{id}.toml")).chain(["cluster.toml".to_owned()]);
    for file in files {
        let path = cluster.folder.path().join(file);
        let mut text = fs::read_to_string(&path).expect("a configuration");
        for (id, listener) in listeners.iter().enumerate() {
            let http = listener.local_addr().expect("its address");
            text = text.replace(&format!("id = {id}\n"), &format!("id = {id}\nhttp = \"{http}\"\n"));
        }
        fs::write(&path, text).expect("a configuration");
    }
    cluster.config = Config::load(&cluster.folder.path().join("cluster.toml")).expect("it is right");
    cluster
}

pub(crate) fn http(cluster: &Cluster, id: usize) -> SocketAddr {
    cluster.config.members[id].http.expect("it has one")
}

/// The status and the body of an answer; `None` if there was none.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .build();
    let mut answer =
        ureq::Agent::new_with_config(config).get(format!("http://{address}{path}")).call().ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.body_mut().read_to_string().ok()?))
}

pub(crate) fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    until_seen(what, || is_so().ok_or_else(String::new))
}

/// Waits until something is so. If that never comes about, the test says what was seen last.
pub(crate) fn until_seen<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(began.elapsed() < PATIENCE, "{what}: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The samples of a member without labels, by name; and the names that have a text for people.
pub(crate) fn metrics(address: SocketAddr) -> (BTreeMap<String, f64>, BTreeSet<String>) {
    let (status, text) = get(address, "/metrics").expect("an answer");
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let helped = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    (samples.collect(), helped.map(str::to_owned).collect())
}

fn status(cluster: &Cluster, args: &[&str]) -> Output {
    let ran = synod().arg("status").args(args).current_dir(cluster.folder.path()).output();
    ran.expect("synod runs")
}

/// What `synod status --json` says, a member each.
pub(crate) fn told(cluster: &Cluster) -> Vec<Value> {
    let ran = status(cluster, &["--json"]);
    let text = String::from_utf8(ran.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

#[test]
fn what_members_tell_moves_with_what_they_do() {
    let mut cluster = observed(3);
    cluster.start_all();
    let ready =
        || (0..3).all(|id| get(http(&cluster, id), "/ready").is_some_and(|(status, _)| status == 200));
    until("all are ready", || ready().then_some(()));
    let before: Vec<_> = (0..3).map(|id| metrics(http(&cluster, id)).0).collect();
    for instance in 0..20 {
        cluster.put(&instance.to_string(), b"x");
    }
    for (id, before) in before.iter().enumerate() {
        let moved = |name: &str, by: f64| {
            let after = metrics(http(&cluster, id)).0;
            (after[name] >= before[name] + by).then_some(())
        };
        for name in ["synod_saves_total", "synod_flushes_total", "synod_flush_duration_seconds_count"] {
            until(&format!("{name} of member {id} moves"), || moved(name, 20.0));
        }
        until("chosen instances", || moved("synod_chosen_instances", 19.0));
        until("datagrams", || moved("synod_datagrams_received_total", 20.0));
    }
    let answered = |id| metrics(http(&cluster, id)).0["synod_answer_duration_seconds_count"];
    until("answers are timed", || ((0..3).map(answered).sum::<f64>() >= 20.0).then_some(()));
    // Every sample belongs to a metric with a text for people.
    let (samples, helped) = metrics(http(&cluster, 0));
    for name in samples.keys() {
        let name = name.split('{').next().expect("a name");
        let of = helped.iter().any(|help| {
            name.strip_prefix(help.as_str())
                .is_some_and(|rest| ["", "_total", "_sum", "_count", "_bucket", "_info"].contains(&rest))
        });
        assert!(of, "{name} has no # HELP");
    }
    let has_all = |(id, status): (usize, &Value)| {
        let log = &status["log"];
        status["member"] == id
            && status["store"]["keys"] == 20
            && log["chosen"].as_u64() >= Some(20)
            && log["executed"] == log["chosen"]
            && log["gaps"] == 0
            && status["memory_bytes"].as_u64() > Some(1 << 20)
            && status["latency"]["flush"]["p99_seconds"].as_f64() > Some(0.0)
    };
    until_seen("all have executed all", || {
        let told = told(&cluster);
        let is_so = told.len() == 3 && told.iter().enumerate().all(has_all);
        is_so.then_some(()).ok_or_else(|| format!("{told:?}"))
    });
    until_seen("the table has a line per member, and a leader", || {
        let table = status(&cluster, &[]);
        let text = String::from_utf8_lossy(&table.stdout).into_owned();
        let is_so = table.status.success() && text.lines().count() >= 4 && text.contains("leader");
        is_so.then_some(()).ok_or(text)
    });
    let one = status(&cluster, &["--member", "1", "--json"]);
    assert_eq!(String::from_utf8_lossy(&one.stdout).lines().count(), 1);
    // Sessions outlast silence: a member whose peers are held says that it hears none of them.
    for (signal, hears) in [(Signal::STOP, "0 of 2"), (Signal::CONT, "2 of 2")] {
        for id in [1, 2] {
            cluster.signal(id, signal);
        }
        until_seen(hears, || {
            let ran = status(&cluster, &["--member", "0"]);
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            text.contains(hears).then_some(()).ok_or(text)
        });
    }
    // One that does not run is said to be silent; the others are told.
    cluster.kill(2);
    let text = String::from_utf8_lossy(&status(&cluster, &[]).stdout).into_owned();
    assert!(text.contains("2  silent: "), "{text}");
    let told = [0, 1].map(|id| cluster.stop(id).1).concat();
    assert_eq!(status(&cluster, &[]).status.code(), Some(2), "nobody is there");
    // A follower need not know the ballot of the member that it follows, so it names none.
    let follows: Vec<&String> = told.iter().filter(|line| line.contains("follows member")).collect();
    assert!(!follows.is_empty() && follows.iter().all(|line| !line.contains("ballot")), "{told:?}");
}

#[test]
fn an_election_shows_wherever_one_looks() {
    let mut cluster = observed(3);
    cluster.start_all();
    // Whoever is killed has been followed by all: each of the others can tell of that later.
    let first = until("all follow one member", || {
        let told = told(&cluster);
        let leader = told.first()?["leader"].as_u64()?;
        let follow = told.len() == 3 && told.iter().all(|status| status["leader"].as_u64() == Some(leader));
        follow.then_some(leader)
    });
    cluster.kill(first as usize);
    // All that is looked for is on one page: each of it comes about at a time of its own.
    let second = until_seen("the page of another leader shows all of it", || {
        let told = told(&cluster);
        let leads = |status: &&Value| status["role"] == "leader" && status["member"].as_u64() != Some(first);
        let leader = told.iter().find(leads).and_then(|status| status["member"].as_u64());
        let second = leader.ok_or_else(|| format!("{told:?}"))?;
        let (_, page) = get(http(&cluster, second as usize), "/").ok_or("no page")?;
        let elections = page.split("Recent elections").nth(1).ok_or("no elections")?;
        let places =
            [second, first].map(|member| elections.find(&format!("<span>member {member} leads</span>")));
        let newest_comes_first = places[0].is_some() && places[0] < places[1];
        let is_so = newest_comes_first
            && page.contains(&format!("<span class=\"good\">member {second} leads</span>"))
            && page.contains("2 of 3 members ready")
            && page.contains(">silent<")
            && get(http(&cluster, second as usize), "/ready") == Some((200, "ready\n".to_owned()));
        is_so.then_some(second).ok_or(page)
    });
    // Without the others there is no leader for long.
    let other = (0..3).find(|id| ![first, second].contains(id)).expect("there are three");
    cluster.kill(other as usize);
    until_seen("it is not ready alone, and says why", || {
        let answer = get(http(&cluster, second as usize), "/ready").ok_or("no answer")?;
        let is_so = answer.0 == 503 && answer.1.contains("knows no leader");
        is_so.then_some(()).ok_or_else(|| format!("{answer:?}"))
    });
}

#[test]
fn nobody_who_asks_can_hurt_a_member() {
    let mut cluster = observed(1);
    cluster.start_all();
    let address = http(&cluster, 0);
    assert!(address.ip().is_loopback());
    until("it is ready", || get(address, "/ready").filter(|(status, _)| *status == 200));
    for (path, status) in [("/nothing", 404), ("/page.css", 200), ("/page.js", 200)] {
        assert_eq!(get(address, path).expect("an answer").0, status, "{path}");
    }
    let say = |text: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // A connection that is closed before all was said, was closed.
        let _ = stream.write_all(text);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").contains(" 405 "));
    let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 1 << 20], b"\r\n\r\n"].concat();
    let refused = say(&long);
    assert!(refused.is_empty() || refused.contains(" 431 "), "{refused}");
    assert!(!say(b"\0\xff\x16\x03garbage\r\n\r\n").contains(" 200 "));
    // Hundreds that say nothing, and some that never end their request.
    let idle: Vec<_> = (0..400)
        .map(|index| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            if index % 3 == 0 {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost");
            }
            stream
        })
        .collect();
    for instance in 0..50 {
        // The member goes on.
        cluster.put(&instance.to_string(), b"x");
    }
    let memory = cluster.memory(0).expect("it runs");
    assert!(memory < 64 << 20, "{memory} bytes of memory");
    // Their time ends although they hold on.
    until("others are answered again", || get(address, "/ready").filter(|(status, _)| *status == 200));
    drop(idle);
    let (status, log) = cluster.stop(0);
    assert_eq!(status, Some(0), "{log:?}");
}

#[test]
fn a_cluster_that_tells_nothing_is_said_to() {
    let mut cluster = Cluster::new(1, None, "");
    let ran = status(&cluster, &[]);
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    let error = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(error.contains("cluster.toml") && error.contains("http = "), "{error}");
    let ran = status(&cluster, &["--member", "7"]);
    assert!(
        ran.status.code() == Some(2) && String::from_utf8_lossy(&ran.stderr).contains("no member has id 7")
    );
    // Its address is taken: it does not start half.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a loopback socket");
    let path = cluster.folder.path().join("member-0.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let line = format!("id = 0\nhttp = \"{}\"\n", taken.local_addr().expect("its address"));
    fs::write(&path, text.replace("id = 0\n", &line)).expect("a configuration");
    cluster.start(0);
    let (status, log) = cluster.ended(0);
    assert!(status == Some(2) && log.iter().any(|line| line.contains("cannot listen on TCP")), "{log:?}");
}

#[test]
fn a_members_life_is_told_in_json_where_that_is_asked_for() {
    let cluster = observed(1);
    let mut member = synod()
        .args(["serve", "--id", "0", "--attached", "--log-format", "json", "--log-level", "debug"])
        .current_dir(cluster.folder.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("synod runs");
    let (mut seen, mut took_part) = (Vec::new(), false);
    for line in BufReader::new(member.stderr.take().expect("it is piped")).lines() {
        let line = line.expect("text");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(told["member"], 0, "{line}");
        assert!(told["timestamp"].is_string() && told["level"].is_string(), "{line}");
        took_part |= told["message"] == "takes part";
        let leads = told["message"] == "leads";
        if leads {
            assert!(told["instance"].is_u64() && told["ballot"].is_string(), "{line}");
            // It ends with its input.
            drop(member.stdin.take());
        }
        seen.push(line);
    }
    assert!(member.wait().expect("it ends").success(), "{seen:?}");
    assert!(took_part && seen.last().is_some_and(|line| line.contains("stopped: ")), "{seen:?}");
    // A reason not to start is told in the same way.
    let ran = synod()
        .args(["serve", "--id", "9", "--log-format", "json"])
        .current_dir(cluster.folder.path())
        .output()
        .expect("synod runs");
    let told: Value = serde_json::from_slice(&ran.stderr).expect("one object");
    assert!(ran.status.code() == Some(2) && told["level"] == "ERROR", "{told}");
}
