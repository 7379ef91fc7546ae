//! `synod cluster`: a whole cluster by one command, whose members come back, and which leaves nothing behind.

use crate::cluster::{client, synod};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};
use synod_client::{Client, Reading};
use synod_machine::{Operation, Outcome, StoreCommand, StoreOutput};
use synod_server::Config;

/// How long anything may take before the test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster that was started; killed with the test.
pub(crate) struct Local {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// What it said at its start.
    said: String,
    /// What it and its members say of their work.
    told: tempfile::NamedTempFile,
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pid(process: u32) -> Pid {
    i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process id")
}

/// Says that a process has ended, whether or not anybody has asked after it.
fn has_ended(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    stat.is_err() || stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Local {
    pub(crate) fn start(args: &[&str]) -> Self {
        let told = tempfile::NamedTempFile::new().expect("a file");
        let mut process = synod();
        let stderr = told.reopen().expect("the file");
        process.arg("cluster").args(args).stdout(Stdio::piped()).stderr(stderr);
        let mut process = process.spawn().expect("synod runs");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut said = String::new();
        while !said.contains("Ctrl-C ends all") {
            assert_ne!(stdout.read_line(&mut said).expect("text"), 0, "it ended: {said}");
        }
        Self { process, stdout, said, told }
    }

    /// The process ids of the members, as they were at the start.
    fn members(&self) -> Vec<Pid> {
        let process =
            |line: &str| line.trim().starts_with("member ").then(|| line.rsplit(' ').next()?.parse().ok())?;
        self.said.lines().filter_map(process).map(pid).collect()
    }

    /// The path of the configuration, as it was told.
    pub(crate) fn config(&self) -> &str {
        let config = self.said.lines().find_map(|line| line.trim().strip_prefix("export SYNOD_CONFIG="));
        config.expect("the path of the configuration")
    }

    fn client(&self) -> Client {
        let config = Config::load(Path::new(self.config()));
        client(&config.expect("it is right"), PATIENCE)
    }

    fn put(&self, key: &str, value: &str) {
        self.client().put(key, value).unwrap_or_else(|error| panic!("{key}: {error}"));
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn end(mut self) {
        kill_process(pid(self.process.id()), Signal::INT).expect("it runs");
        let mut status = None;
        until("it ends", || {
            status = self.process.try_wait().expect("it can be asked");
            status.is_some()
        });
        assert!(status.expect("it ended").success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        until("its members end", || self.members().into_iter().all(has_ended));
    }
}

#[test]
fn a_cluster_of_one_command_brings_back_whoever_ends_and_goes_on_with_its_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("demo").display().to_string();
    let local = Local::start(&["--nodes", "3", "--data", &data]);
    local.put("1", "hello");
    let members = local.members();
    let [first, second, third] = members.as_slice() else { panic!("three members: {}", local.said) };
    // Two of three: without them nothing is chosen. So a put that is done says that one of them was started again.
    for member in [first, second] {
        kill_process(*member, Signal::KILL).expect("it runs");
    }
    local.put("2", "again");
    assert!(!has_ended(*third), "the third one was left alone");
    until("it tells the new processes", || {
        let told = std::fs::read_to_string(local.told.path()).expect("text");
        told.matches("is started again as process").count() >= 2
    });
    local.end();

    let other = synod().args(["cluster", "--nodes", "5", "--data", &data]).output().expect("synod runs");
    let error = String::from_utf8_lossy(&other.stderr);
    assert!(other.status.code() == Some(2) && error.contains("a cluster of 3 members, and not 5"), "{error}");

    let local = Local::start(&["--data", &data]);
    for (key, value) in [("1", "hello"), ("2", "again")] {
        let found = local.client().get(key).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(found.map(|item| item.value.to_vec()), Some(value.as_bytes().to_vec()));
    }
    local.end();
}

#[test]
fn members_end_with_whatever_started_them_and_a_folder_that_nobody_named_goes() {
    let mut local = Local::start(&["--nodes", "1"]);
    local.put("1", "alone");
    let members = local.members();
    local.process.kill().expect("it runs");
    local.process.wait().expect("it was killed");
    until("the member ends", || members.iter().copied().all(has_ended));
    drop(local);

    let local = Local::start(&["--nodes", "1"]);
    let folder = local
        .said
        .lines()
        .next()
        .and_then(|line| line.split_once("data in "))
        .expect("the folder")
        .1
        .to_owned();
    assert!(Path::new(&folder).join("cluster.toml").exists());
    local.end();
    assert!(!Path::new(&folder).exists(), "{folder}");
}

#[test]
fn the_example_configuration_is_printed_as_it_is_deployed() {
    let printed = synod().args(["serve", "--example-config"]).output().expect("synod runs");
    assert!(printed.status.success(), "{printed:?}");
    let deployed = std::fs::read(crate::synod::root().join("deploy/cluster.toml")).expect("it is there");
    assert_eq!(printed.stdout, deployed);
    let nobody = synod().arg("serve").output().expect("synod runs");
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
}

/// What the store's clock says, and if it runs.
fn clock(client: &Client) -> (u64, bool) {
    let question = StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Clock] };
    match client.query(question, Reading::Linearizable, PATIENCE) {
        Ok(StoreOutput::Done(outcomes)) => match outcomes.as_slice() {
            [Outcome::Clock { now, runs, .. }] => (*now, *runs),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_leader_tells_the_time_while_something_has_one_and_nobody_tells_it_else() {
    let local = Local::start(&["--nodes", "1"]);
    let client = local.client();
    client.put("stays", "x").expect("it is stored in time");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(clock(&client), (0, false), "nobody has told the time");
    let (began, lives) = (Instant::now(), Duration::from_millis(700));
    client.put_for("goes", "x", lives).expect("it is stored in time");
    let is_there = client.get("goes").expect("it is answered in time").is_some();
    // On a slow machine its time may be over by now.
    assert!(is_there || began.elapsed() >= lives, "nothing ends early");
    until("its time is over", || client.get("goes").expect("it is answered in time").is_none());
    until("the clock stands still again", || !clock(&client).1);
    let (now, _) = clock(&client);
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later");
    assert!(now > 0 && u128::from(now) <= unix.as_millis(), "{now}");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(clock(&client), (now, false), "an idle store is told nothing");
    // A client that says what time it is is not heard.
    let tick = StoreCommand::Tick { now: now + 1, given: 0 };
    let error = client.submit(tick, PATIENCE).expect_err("the time is not a client's to tell");
    assert!(!error.may_have_taken_effect(), "{error}");
    assert_eq!(clock(&client), (now, false));
    drop(client);
    local.end();
}
