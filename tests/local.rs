//! `synod cluster`: a whole cluster by one command, whose members come back, and which leaves nothing behind.

use crate::cluster::{client, synod};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};
use synod_client::Client;
use synod_server::Config;

/// How long anything may take before the test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A cluster that was started; killed with the test.
pub(crate) struct Local {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// What it said at its start.
    said: String,
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
        let mut process = synod();
        process.arg("cluster").args(args).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = process.spawn().expect("synod runs");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut said = String::new();
        while !said.contains("Ctrl-C ends all") {
            assert_ne!(stdout.read_line(&mut said).expect("text"), 0, "it ended: {said}");
        }
        Self { process, stdout, said }
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
