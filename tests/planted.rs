//! Errors planted in the exploration engine, each of which a named test finds (`planted.toml`).

use crate::synod::root;
use std::fs;
use std::path::Path;
use std::process::Command;

/// An error: what is wrong, where, and the tests of which one must fail.
struct Planted {
    says: String,
    file: String,
    from: String,
    to: String,
    test: String,
    /// The test target: `it` unless it is given; `lib` means the unit tests.
    target: String,
}

fn all() -> Vec<Planted> {
    let text = fs::read_to_string(root().join("tests/planted.toml")).expect("it is there");
    let table: toml::Table = text.parse().expect("it is TOML");
    let errors = table["error"].as_array().expect("a list of errors").clone();
    let planted = |error: toml::Value| {
        let word = |key: &str| error[key].as_str().expect("a text").to_owned();
        Planted {
            says: word("says"),
            file: word("file"),
            from: word("from"),
            to: word("to"),
            test: word("test"),
            target: error.get("target").and_then(toml::Value::as_str).unwrap_or("it").to_owned(),
        }
    };
    errors.into_iter().map(planted).collect()
}

#[test]
fn every_planted_error_has_its_place() {
    for Planted { says, file, from, to, .. } in all() {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(text.matches(&from).count(), 1, "{says}: {file} does not have it once:\n{from}");
        assert_ne!(from, to, "{says}");
    }
}

/// Copies what a build needs.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of the project") {
        let entry = entry.expect("an entry");
        let (name, path) = (entry.file_name(), entry.path());
        let skipped = [".git", "target"].iter().any(|it| *it == name);
        match path.is_dir() {
            true if skipped => {}
            true => copy(&path, &to.join(name)),
            false => _ = fs::copy(&path, to.join(name)).expect("a copy"),
        }
    }
}

/// Takes about a minute an error: `cargo test --test synod planted -- --ignored --nocapture`.
#[test]
#[ignore = "builds the engine's tests once an error"]
fn every_planted_error_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&root(), folder.path());
    for Planted { says, file, from, to, test, target } in all() {
        let path = folder.path().join(&file);
        let right = fs::read_to_string(&path).expect("it was copied");
        fs::write(&path, right.replacen(&from, &to, 1)).expect("it is written");
        let output = Command::new("cargo")
            .args(["test", "-p", "synod-explore"])
            .args(if target == "lib" { vec!["--lib"] } else { vec!["--test", &target] })
            .args(["--", &test])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failed: Vec<&str> = said.lines().filter(|line| line.ends_with("... FAILED")).collect();
        eprintln!("{says}: {failed:?}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!failed.is_empty(), "{says}: nothing of {test} fails\n{errors}");
        fs::write(&path, right).expect("it is written");
    }
}
