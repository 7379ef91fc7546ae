//! A real browser follows the link that `synod explore` prints, and sees the last step of the counterexample. It shows the page of a
//! running cluster, too.
//!
//! Needs Chromium; `.ci/run` installs it and turns the `browser` feature on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Ends the process it holds, by its id, whatever happens.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chromium() -> PathBuf {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    named
        .or_else(|| usual.into_iter().find(|path| path.exists()))
        .expect("this test needs Chromium: install Debian's package `chromium`, or set CHROMIUM to its path")
}

/// Runs the browser on a page; what it is asked for beyond that is in `more`.
fn browse(url: &str, profile: &std::path::Path, more: &[&str]) -> std::process::Output {
    Command::new(chromium())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--virtual-time-budget=8000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(if more.iter().any(|it| it.starts_with("--window-size")) {
            &[][..]
        } else {
            &["--window-size=1280,1100"]
        })
        .args(more)
        .arg(url)
        .stderr(Stdio::null())
        .output()
        .expect("the browser can be started")
}

#[test]
fn the_link_opens_the_last_step_of_the_counterexample() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_synod"))
        .args(["explore", "mutants/any-value", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Ends)
        .expect("the command can be started");
    let stdout = server.0.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("text"));
    let link =
        lines.find_map(|line| line.strip_prefix("counterexample: ").map(str::to_owned)).expect("a link");
    assert!(link.starts_with("http://127.0.0.1:") && link.contains("/#/steps/0/"), "{link}");

    let folder = tempfile::tempdir().expect("a folder can be made");
    // The server may need a moment until it answers; the browser is asked a bounded number of times.
    let page = (0..10)
        .map(|_| String::from_utf8_lossy(&browse(&link, folder.path(), &["--dump-dom"]).stdout).into_owned())
        .find(|page| page.contains("is-selected-state"))
        .expect("the page shows a selected state");
    let path = page
        .split("Path of Actions")
        .nth(1)
        .and_then(|rest| rest.split("Next Action").next())
        .expect("the path");
    let steps: Vec<&str> = path.matches("<li>").collect();
    let asked = link.split("/#/steps/").nth(1).expect("a path").split('/').count();
    assert_eq!(steps.len(), asked + 1, "every step of the link is on the page, and the start before them");
    let last = path.rsplit("<li>").next().expect("a last step");
    assert!(last.contains("is-selected-state"), "the last step is the selected one: {last}");
    assert!(last.contains("Promise(1.2, 1.1:x) → P2"), "the last step has readable names: {last}");
    // The page says so before its own search has begun.
    let fell = page.split("Counterexample found").nth(1).and_then(|rest| rest.split("</li>").next());
    assert!(fell.is_some_and(|fell| fell.contains("Always P2b") && fell.contains("#/steps/0/")), "{fell:?}");
    assert!(page.contains(">mutants/any-value"), "the model has its name");
    assert!(page.contains("<svg") && page.contains(">A1<"), "the page has a diagram with readable names");

    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let shot = shots.join("explorer.png");
    let _ = fs::remove_file(&shot);
    browse(&link, folder.path(), &[&format!("--screenshot={}", shot.display())]);
    let size = fs::metadata(&shot).expect("the screenshot is taken").len();
    assert!(size > 20_000, "{} has {size} bytes: more than an empty page", shot.display());
    println!("screenshot: {}", shot.display());
}

#[test]
fn the_page_of_a_cluster_shows_its_members_and_keeps_up() {
    let mut cluster = Command::new(env!("CARGO_BIN_EXE_synod"))
        .args(["cluster", "--nodes", "3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Ends)
        .expect("the command can be started");
    let stdout = cluster.0.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("text"));
    let link = lines
        .find_map(|line| line.strip_prefix("A page about them: ").map(str::to_owned))
        .expect("the address of the page");
    let folder = tempfile::tempdir().expect("a folder can be made");
    // The members may need a moment; the browser is asked a bounded number of times.
    let page = (0..20)
        .map(|_| String::from_utf8_lossy(&browse(&link, folder.path(), &["--dump-dom"]).stdout).into_owned())
        .find(|page| page.contains("3 of 3 members ready"))
        .expect("the page shows members that are ready");
    assert_eq!(page.matches("<td data-label=\"member\">").count(), 3, "{page}");
    assert!(page.contains(" leads</span>") && page.contains("Recent elections"), "{page}");
    assert!(
        page.contains("id=\"lost\" hidden") && page.contains("data-told=\""),
        "the script brings it up to date: {page}"
    );
    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (name, size, scheme) in
        [("wide", "1280,1150", "1"), ("dark", "1280,1150", "0"), ("narrow", "500,2100", "1")]
    {
        let shot = shots.join(format!("status-{name}.png"));
        let _ = fs::remove_file(&shot);
        let more = [
            format!("--window-size={size}"),
            format!("--blink-settings=preferredColorScheme={scheme}"),
            format!("--screenshot={}", shot.display()),
        ];
        browse(&link, folder.path(), &more.each_ref().map(String::as_str));
        let size = fs::metadata(&shot).expect("the screenshot is taken").len();
        assert!(size > 20_000, "{} has {size} bytes: more than an empty page", shot.display());
        println!("screenshot: {}", shot.display());
    }
}
