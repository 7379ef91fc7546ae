//! The systemd unit of `deploy/`: systemd finds no fault in it, and what it runs serves, reads its keys anew and stops.

use crate::synod::root;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};

const BINARY: &str = "/usr/local/bin/synod";
const CONFIGURATION: &str = "/etc/synod/cluster.toml";

fn unit() -> String {
    fs::read_to_string(root().join("deploy/synod@.service")).expect("it is there")
}

/// The value of a key that occurs once.
fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    let values: Vec<&str> =
        unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    assert_eq!(values.len(), 1, "{key}: {values:?}");
    values[0]
}

/// Reads what a member says until a line has these words.
fn wait_for(lines: &mut Lines<BufReader<ChildStderr>>, words: &str) {
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let line = line.expect("it prints text");
        if line.contains(words) {
            return;
        }
        said.push(line);
    }
    panic!("it ended without {words:?}: {said:#?}");
}

#[test]
fn what_the_unit_runs_serves_a_member_that_reads_its_keys_anew_and_stops_in_good_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("cluster.toml");
    let address = crate::cluster::free_addresses(1, "127.0.0.1")[0];
    let text = format!(
        "cluster = \"unit\"\ncluster-key = \"cluster.key\"\nclient-key = \"client.key\"\n\
         [[member]]\nid = 7\naddress = \"{address}\"\ndata = \"data\"\n"
    );
    fs::write(&at, text).expect("a file");
    let config = at.to_str().expect("its path is text");
    assert_eq!(crate::synod::run(&["keygen", "--config", config]).status, 0);
    let unit = unit();
    let mut words = value(&unit, "ExecStart").split(' ');
    assert_eq!(words.next(), Some(BINARY));
    let words: Vec<String> =
        words.map(|word| word.replace(CONFIGURATION, config).replace("%i", "7")).collect();
    assert!(words.iter().any(|word| word == config) && words.iter().any(|word| word == "7"), "{words:?}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_synod"))
        .args(&words)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("synod runs");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let pid = Pid::from_child(&child);
    wait_for(&mut lines, "takes part");
    assert_eq!(value(&unit, "ExecReload"), "/bin/kill -HUP $MAINPID");
    kill_process(pid, Signal::HUP).expect("it runs");
    wait_for(&mut lines, "keys");
    // The signal that systemd sends unless the unit names another.
    assert!(!unit.contains("KillSignal="));
    kill_process(pid, Signal::TERM).expect("it runs");
    let ended = child.wait().expect("it ends");
    assert_eq!(
        (ended.code(), value(&unit, "Restart")),
        (Some(0), "on-failure"),
        "systemd does not start it again"
    );
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("left out: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let verify = |text: &str| {
        let path: &Path = &folder.path().join("synod@.service");
        fs::write(path, text).expect("a file");
        let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(path).output();
        let verified = verified.expect("it runs");
        let said = [verified.stdout, verified.stderr].concat();
        (verified.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    // It asks for the program that a unit runs, which need not be installed here.
    let unit = unit().replace(BINARY, env!("CARGO_BIN_EXE_synod"));
    assert_eq!(verify(&unit), (true, String::new()));
    let (_, said) = verify(&unit.replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"));
    assert!(said.contains("NoNewPrivilege"), "it notices what it does not know: {said}");
}
