//! `synod explore` on a model that panics: the counterexample opens, the panic is told where it is, and the Explorer goes on.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The steps that are possible where a path leads, as the Explorer's page asks for them.
fn steps(at: &str, path: &str) -> Vec<Value> {
    // The server may need a moment until it answers.
    for _ in 0..200 {
        let mut text = String::new();
        let asked = TcpStream::connect(at).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            write!(stream, "GET /.states{path} HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        if asked.is_ok()
            && let Some((_, body)) = text.split_once("\r\n\r\n")
        {
            return serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody answers at {at}")
}

fn text<'v>(step: &'v Value, field: &str) -> &'v str {
    step[field].as_str().unwrap_or_default()
}

/// Starts the command on a model, and waits for the line that begins so.
fn explorer(model: &str, until: &str) -> (Ends, Vec<String>) {
    let mut explorer = crate::cluster::synod();
    explorer.args(["explore", model, "--listen", "127.0.0.1:0"]);
    explorer.stderr(Stdio::null()).stdout(Stdio::piped());
    let mut explorer = Ends(explorer.spawn().expect("it starts"));
    let said = BufReader::new(explorer.0.stdout.take().expect("it speaks"));
    let mut lines = Vec::new();
    for line in said.lines().map_while(Result::ok) {
        lines.push(line);
        if lines.last().is_some_and(|line| line.starts_with(until)) {
            break;
        }
    }
    (explorer, lines)
}

/// The link that stands behind such a word, as the address of the Explorer and the path.
fn link<'l>(lines: &'l [String], what: &str) -> (&'l str, &'l str) {
    let line = lines.iter().find_map(|line| line.strip_prefix(what)).map(str::trim);
    let link = line.and_then(|line| line.strip_prefix("http://")?.split_once("/#/steps"));
    link.unwrap_or_else(|| panic!("no {what} in {lines:?}"))
}

#[test]
fn the_counterexample_of_a_model_of_ones_own_opens_as_one_that_is_found() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("fell.toml");
    // Its file says that it holds: `check` says FAIL, and to go on here.
    let text = "about = \"Wrong.\"\ntier = \"fast\"\nmutant = \"any-value\"\n[system]\nlayout = \"separate\"\nacceptors = 3\n\
                proposers = 2\nvalues = [\"x\", \"y\"]\n[expect]\nverdict = \"holds\"\n";
    std::fs::write(&file, text).expect("a file can be written");
    let (_explorer, lines) = explorer(&file.display().to_string(), "counterexample:");
    let (at, path) = link(&lines, "counterexample:");
    let next = steps(at, path);
    let properties = next[0]["properties"].as_array().expect("properties");
    let fell: Vec<&Value> =
        properties.iter().filter(|property| property[0] == "Always" && !property[2].is_null()).collect();
    let [fell] = fell.as_slice() else { panic!("one falls there: {properties:?}") };
    assert_eq!((&fell[1], &fell[2]), (&"V3".into(), &path.trim_start_matches('/').into()), "{lines:?}");
}

#[test]
fn a_panic_is_the_text_of_its_step_and_ends_nothing() {
    let (mut explorer, lines) = explorer("mutants/executes-otherwise", "just before it:");
    let message = lines.iter().find_map(|line| line.strip_prefix("panics:")).expect("what it said").trim();
    assert!(message.contains("checksum"), "{message}");
    let (at, path) = link(&lines, "just before it:");

    let before = steps(at, path);
    let panics: Vec<&Value> =
        before.iter().filter(|step| text(step, "outcome").contains("panicked: ")).collect();
    let [panics] = panics.as_slice() else { panic!("one of these panics: {before:?}") };
    assert!(text(panics, "outcome").contains(message), "{panics}");
    assert!(text(panics, "state").starts_with("panicked: "), "{panics}");
    // Whoever goes there finds nothing more to do, and can go back.
    assert_eq!(steps(at, &format!("{path}/{}", panics["actionIndex"])), Vec::<Value>::new());
    assert_eq!(steps(at, path).len(), before.len());
    assert_eq!(steps(at, "/").len(), 1);
    assert!(explorer.0.try_wait().expect("it can be asked").is_none(), "it still runs");
}
