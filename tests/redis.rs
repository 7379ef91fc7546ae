//! Programs that others wrote for Redis, against a cluster of real processes: Debian's `redis-cli`, `redis-benchmark` and Python client.
//!
//! `.ci/run` installs the packages `redis-tools` and `python3-redis`. Where they are missing, these tests say that they did not run;
//! with `CI` set they fail.

use crate::cluster::synod;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The time that anything may take before the test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster, and where its members serve clients of Redis. It ends with its standard input's owner, which is the test.
struct Cluster {
    process: Child,
    ports: Vec<u16>,
    members: Vec<u32>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its members have its other end as their standard input, and stop when it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Cluster {
    fn start() -> Cluster {
        let mut process = synod()
            .args(["cluster", "--nodes", "3"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("synod runs");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains("Ctrl-C ends all")) {
            said.push(lines.next().expect("it goes on").expect("text"));
        }
        let config = said.iter().find_map(|line| line.trim().strip_prefix("export SYNOD_CONFIG="));
        let config = std::fs::read_to_string(config.expect("a configuration")).expect("it can be read");
        let port = |line: &str| line.strip_prefix("redis = \"127.0.0.1:")?.strip_suffix('"')?.parse().ok();
        let ports: Vec<u16> = config.lines().filter_map(port).collect();
        assert_eq!(ports.len(), 3, "{config}");
        let first = format!("redis-cli -h 127.0.0.1 -p {}", ports[0]);
        assert!(said.iter().any(|line| line.contains(&first)), "{said:?}");
        let member = |line: &String| {
            line.trim().starts_with("member ").then(|| line.rsplit(' ').next()?.parse().ok()).flatten()
        };
        let members = said.iter().filter_map(member).collect();
        let cluster = Cluster { process, ports, members };
        for member in 0..3 {
            cluster.until_says(member, &["ping"], "PONG\n");
            cluster.until_says(member, &["get", "none"], "\n");
        }
        cluster
    }

    fn cli(&self, member: usize, words: &[&str]) -> Output {
        let port = self.ports[member].to_string();
        Command::new("redis-cli").args(["-p", &port]).args(words).output().expect("redis-cli runs")
    }

    /// Asks a member until it answers with these words. It may not be there yet, or know no leader for a while.
    fn until_says(&self, member: usize, words: &[&str], says: &str) {
        let began = Instant::now();
        loop {
            let answer = self.cli(member, words).stdout;
            if answer == says.as_bytes() {
                return;
            }
            let answer = String::from_utf8_lossy(&answer);
            assert!(began.elapsed() < PATIENCE, "member {member}, {words:?}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What `redis-cli` prints for lines that it reads.
    fn lines(&self, member: usize, more: &[&str], lines: &str) -> String {
        let mut cli = Command::new("redis-cli")
            .args(["-p", &self.ports[member].to_string()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli runs");
        let mut stdin = cli.stdin.take().expect("it is piped");
        stdin.write_all(lines.as_bytes()).expect("it reads");
        drop(stdin);
        String::from_utf8(cli.wait_with_output().expect("it ends").stdout).expect("text")
    }
}

/// True if a program runs. Otherwise the test that needs it says so and does not run, except where all must.
fn is_there(program: &str, args: &[&str], package: &str) -> bool {
    let ran = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = ran.is_ok_and(|status| status.success());
    if !is_there {
        let says = format!("{program} does not run; install Debian's package `{package}`");
        assert!(std::env::var_os("CI").is_none(), "{says}");
        eprintln!("not run: {says}");
    }
    is_there
}

#[test]
fn redis_cli_talks_to_any_member_and_a_kill_loses_nothing() {
    if !is_there("redis-cli", &["--version"], "redis-tools") {
        return;
    }
    let cluster = Cluster::start();
    let said = cluster.lines(
        0,
        &[],
        "set a 1\nset a 2 nx get\nincr a\nmset b x c y\nmget a b c d\nexpire a 100\nttl a\npersist a\nttl a\n\
         multi\nincr a\nincr b\nget a\nexec\ndel b c d\nexists a b\ngetdel a\nget a\nlpush l 1\necho hi\n",
    );
    let lines: Vec<&str> = said.lines().collect();
    let expected = [
        "OK",
        "1",
        "2",
        "OK",
        "2",
        "x",
        "y",
        "",
        "1",
        "100",
        "1",
        "-1",
        "OK",
        "QUEUED",
        "QUEUED",
        "QUEUED",
        "3",
        "ERR value is not an integer or out of range",
        // `redis-cli` ends an error with an empty line.
        "",
        "3",
        "2",
        "1",
        "3",
        "",
    ];
    assert_eq!(lines[..expected.len().min(lines.len())], expected, "{said}");
    assert!(
        said.contains("ERR unknown command 'lpush', synod serves AUTH") && said.ends_with("hi\n"),
        "{said}"
    );
    // RESP3, at another member.
    let said = cluster.lines(1, &["-3"], "hello\nset k v\nget k\nget none\n");
    assert!(said.contains("server") && said.contains("synod") && said.contains("OK\nv\n"), "{said}");
    for i in 0..25 {
        cluster.cli(2, &["set", &format!("key:{i:02}"), "v"]);
    }
    let said = String::from_utf8(cluster.cli(2, &["--scan", "--pattern", "key:*"]).stdout).expect("text");
    assert_eq!(said.lines().count(), 25, "{said}");
    let long = "x".repeat((64 << 10) + 1);
    let said = cluster.lines(0, &[], &format!("set long {long}\nexists long\n"));
    assert!(
        said.starts_with("ERR nothing was done: the value has 65537 bytes") && said.ends_with("0\n"),
        "{said}"
    );
    // One member dies; the others have all, and go on.
    let victim = rustix::process::Pid::from_raw(cluster.members[0] as i32).expect("a process id");
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).expect("it runs");
    cluster.until_says(1, &["set", "after", "1"], "OK\n");
    cluster.until_says(2, &["get", "key:24"], "v\n");
    // A time to live ends by itself.
    cluster.until_says(1, &["set", "short", "v", "px", "100"], "OK\n");
    cluster.until_says(2, &["exists", "short"], "0\n");
}

#[test]
fn redis_benchmark_runs_to_its_end() {
    if !is_there("redis-benchmark", &["--version"], "redis-tools") {
        return;
    }
    let cluster = Cluster::start();
    let port = cluster.ports[1].to_string();
    let args = ["-t", "ping,set,get,incr,mset", "-n", "1000", "-c", "20", "-P", "4", "-q", "-p", &port];
    let ran = Command::new("redis-benchmark").args(args).output().expect("redis-benchmark runs");
    let said = String::from_utf8_lossy(&ran.stdout).replace('\r', "\n");
    assert!(ran.status.success(), "{ran:?}");
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
        let done = |line: &str| line.starts_with(&format!("{test}:")) && line.contains("requests per second");
        assert!(said.lines().any(done), "{test}: {said}");
    }
    assert!(!said.contains("ERR") && !said.contains("UNKNOWN"), "{said}");
    assert_eq!(cluster.cli(2, &["get", "counter:__rand_int__"]).stdout, b"1000\n", "each once");
}

#[test]
fn a_python_client_finds_what_it_knows() {
    let python = "/usr/bin/python3";
    if !is_there(python, &["-c", "import redis"], "python3-redis")
        || !is_there("redis-cli", &["--version"], "redis-tools")
    {
        return;
    }
    let cluster = Cluster::start();
    let script = r#"
import redis, sys, time
one, two = (redis.Redis(port=int(port), decode_responses=True) for port in sys.argv[1:3])
assert one.set("a", 1) and two.get("a") == "1"
assert one.set("a", 2, nx=True) is None and one.set("a", 2, xx=True, ex=100)
assert 0 < two.ttl("a") <= 100 and two.persist("a") and two.ttl("a") == -1 and two.ttl("none") == -2
assert one.set("a", 3, get=True) == "2" and one.getdel("a") == "3" and two.exists("a") == 0
assert one.incr("n", 5) == 5 and two.decr("n") == 4 and one.mset({"x": 1, "y": 2}) and two.mget("x", "y", "z") == ["1", "2", None]
pipe = one.pipeline(transaction=False)
for i in range(100):
    pipe.incr("n")
assert pipe.execute() == list(range(5, 105))
with one.pipeline() as pipe:
    pipe.watch("n")
    n = int(pipe.get("n"))
    two.incr("n")
    pipe.multi()
    pipe.set("n", n + 1)
    try:
        pipe.execute()
        raise SystemExit("the transaction went through")
    except redis.WatchError:
        pass
assert one.transaction(lambda pipe: pipe.multi() or pipe.incr("n"), "n") == [106]
with one.pipeline() as pipe:
    pipe.incr("n").incr("x").get("y").set("new", 1, nx=True).set("new", 2, nx=True)
    assert pipe.execute() == [107, 2, "2", True, None]
for i in range(55):
    one.set(f"scan:{i}", i)
assert sorted(two.scan_iter(match="scan:*", count=7)) == sorted(f"scan:{i}" for i in range(55))
assert two.delete(*two.scan_iter(match="scan:*")) == 55
assert one.client_setname("me") and one.client_getname() == "me" and one.client_id() > 0
assert one.info()["redis_mode"] == "standalone" and one.ping() and one.echo("hi") == "hi"
try:
    one.lpush("l", 1)
    raise SystemExit("there are lists")
except redis.ResponseError as error:
    assert "synod serves" in str(error), error
lock = one.lock("lock", timeout=10)
assert lock.acquire(blocking=False)
print("done")
"#;
    let ports = cluster.ports.iter().map(u16::to_string);
    let ran = Command::new(python).args(["-c", script]).args(ports).output().expect("python runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.ends_with("done\n"), "{said}");
}
