//! The client's commands against a cluster of one command: what they print, and their exit status.

use crate::cluster::synod;
use crate::local::Local;
use crate::synod::root;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the commands of one cluster.
pub(crate) struct At<'l>(pub(crate) &'l Local);

impl At<'_> {
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = synod();
        command.env("SYNOD_CONFIG", self.0.config()).args(line.split(' ').map(|arg| arg.trim_matches('\'')));
        command
    }

    /// The exit status of a command, and what it printed on stdout and on stderr.
    pub(crate) fn run(&self, line: &str) -> (i32, String, String) {
        let output = self.command(line).args(["--timeout", "60s"]).output().expect("synod runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
    }

    /// A command that is done, and prints this.
    pub(crate) fn done(&self, line: &str, prints: &str) {
        let (status, out, err) = self.run(line);
        assert_eq!((status, out.as_str()), (0, prints), "{line}: {err}");
    }

    /// A command that is refused and has no effect, for a reason that is told.
    pub(crate) fn refused(&self, line: &str, says: &str) {
        let (status, out, err) = self.run(line);
        assert!(status == 1 && out.is_empty() && err.contains(says), "{line}: {status} {out}{err}");
    }
}

#[test]
fn each_command_prints_its_result_and_its_status_says_if_it_was_done() {
    let local = Local::start(&["--nodes", "3"]);
    let at = At(&local);
    at.done("put greeting hello", "1\n");
    at.done("get greeting", "hello\n");
    at.done("get greeting --format json", "{\"key\":\"greeting\",\"value\":\"hello\",\"version\":1}\n");
    at.done("cas greeting --expect hello goodbye", "2\n");
    at.done("cas other --absent x", "3\n");
    at.done("cas greeting --expect-version 2 hello", "4\n");
    at.refused("cas greeting --absent y", "greeting: \"hello\" is there, of version 4; nothing was stored");
    at.refused("get nothing", "nothing: there is no value");
    at.refused("delete nothing", "there is no value");
    at.done("list gr", "greeting\thello\n");
    at.done("keys ''", "greeting\thello\nother\tx\n");
    at.refused("keys no-such", "no key begins so");
    at.done("delete other", "");
    assert_eq!(at.run("put session x --ttl 1ms").0, 0);

    let (status, token, _) = at.run("lock door --owner me --ttl 1h");
    let token = token.trim();
    assert!(status == 0 && token.parse::<u64>().is_ok(), "{token}");
    at.refused("lock door", "door: \"me\" holds it, with token ");
    at.done("lock door --owner me", &format!("{token}\n"));
    at.refused("unlock door --token 9999", "\"me\" holds it");
    let fence = |line: &str, token: &str| format!("{line} --fence door={token}");
    at.done(&fence("put guarded x", token), "7\n");
    at.done(&fence("cas guarded --expect x y", token), "8\n");
    at.done(&fence("delete guarded", token), "");
    for line in
        ["put guarded x", "cas guarded --absent y", "delete greeting", "deposit 1 1", "transfer 1 2 0"]
    {
        at.refused(
            &fence(line, "9999"),
            &format!("the lock is held under another token, {token}; nothing was done"),
        );
    }
    at.refused("put guarded x --fence gate=1", "nobody holds the lock any more; nothing was done");
    at.done(&format!("unlock door --token {token}"), "");
    at.refused(&format!("unlock door --token {token}"), "nobody holds it");

    at.done("deposit 1 100", "account 1: 0 -> 100\n");
    at.done("transfer 1 2 30", "account 1: 100 -> 70\n");
    at.done("withdraw 2 10", "account 2: 30 -> 20\n");
    at.refused("transfer 1 2 71", "account 1 has 70, which does not cover it");
    at.done("balance 2", "20\n");

    // From stdin: as it is, and not more than the cluster takes.
    for (bytes, status) in [(b"a\nb".to_vec(), 0), (vec![b'x'; 65_537], 1)] {
        let mut command = at.command("put in -");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("synod runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(&bytes).expect("it reads that much");
        drop(stdin);
        assert_eq!(child.wait().expect("it ends").code(), Some(status));
    }
    at.done("get in", "a\nb\n");
    let key = "k".repeat(1025);
    at.refused(&format!("put {key} v"), "the key has 1025 bytes, and this cluster takes 1024");
    let (status, _, err) = at.run("cas greeting z");
    assert!(status == 2 && err.contains("--expect"), "{err}");
}

#[test]
fn the_example_of_a_paused_client_does_what_it_says() {
    let local = Local::start(&["--nodes", "3"]);
    let page = fs::read_to_string(root().join("docs/paused-client.md")).expect("the example");
    let block = |language: &str| page.split(&format!("```{language}\n")).nth(1)?.split("```").next();
    let (script, prints) = (block("sh").expect("a script"), block("text").expect("what it prints"));
    let folder = Path::new(env!("CARGO_BIN_EXE_synod")).parent().expect("a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{script}")]).env("PATH", path).env("SYNOD_CONFIG", local.config());
    let output = shell.output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), prints);
}

#[test]
fn a_watch_follows_changes_in_order_and_a_cluster_that_does_not_answer_is_told_from_doubt() {
    let local = Local::start(&["--nodes", "1"]);
    let at = At(&local);
    at.done("put w/1 one", "1\n");
    at.done("put elsewhere x", "2\n");
    // The only member is never behind.
    at.done("keys '' --stale", "elsewhere\tx\nw/1\tone\n");
    let mut watch =
        at.command("watch w/ --from 1 --count 3").stdout(Stdio::piped()).spawn().expect("synod runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("it is piped")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert_eq!(line(), "1 put w/1 one");
    at.done("delete w/1", "");
    at.done("put w/2 two", "4\n");
    assert_eq!((line(), line()), ("3 delete w/1".to_owned(), "4 put w/2 two".to_owned()));
    assert_eq!(watch.wait().expect("it ends").code(), Some(0));

    let config = local.config().to_owned();
    let kept = tempfile::tempdir().expect("a folder");
    for file in ["cluster.toml", "client.key"] {
        let from = std::path::Path::new(&config).with_file_name(file);
        std::fs::copy(from, kept.path().join(file)).expect("it is copied");
    }
    local.end();
    for line in ["put w/3 three", "get w/2", "list w/", "watch w/"] {
        let mut command = synod();
        command.args(line.split(' ')).args(["--timeout", "300ms"]).current_dir(kept.path());
        let output = command.env_remove("SYNOD_CONFIG").output().expect("synod runs");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && err.contains("no member answers"), "{line}: {err}");
    }
}
