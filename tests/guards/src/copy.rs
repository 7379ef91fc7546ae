//! A copy of the workspace in which `crates/synod` has every edit in it, each of them off until it is chosen.

use crate::sites::{Edit, instrument};
use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The copy: where it is, what can be broken in it, and numbers that stand for all that was copied, and for that without the tests.
pub struct Copied {
    pub folder: PathBuf,
    pub edits: Vec<Edit>,
    pub all: u64,
    pub untested: u64,
}

/// What is not copied: it is large, or no part of what is run.
const SKIPPED: [&str; 6] =
    [".git", "target", "tests/fuzz", "tests/guards", "benches/storage", "proofs-notes"];

/// Writes the copy into `target/guards/copy`, touching only what differs, so that little is built again.
pub fn copy(root: &Path) -> Result<Copied, String> {
    let folder = root.join("target/guards/copy");
    let mut files = Vec::new();
    list(root, root, &mut files).map_err(|error| format!("{}: {error}", root.display()))?;
    files.sort();
    let mut edits = Vec::new();
    let (mut all, mut untested) = (DefaultHasher::new(), DefaultHasher::new());
    let mut written = BTreeSet::new();
    for file in files {
        let bytes = fs::read(root.join(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
        if file.extension().is_none_or(|it| it != "md") {
            (&file, &bytes).hash(&mut all);
            if !file.iter().any(|folder| folder == "tests") {
                (&file, &bytes).hash(&mut untested);
            }
        }
        let source = file.strip_prefix("crates/synod/src").ok().and_then(Path::to_str);
        let bytes = match source.filter(|name| name.ends_with(".rs")) {
            Some(name) => {
                let text = String::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))?;
                let (found, mut text) =
                    instrument(name, &text, edits.len() + 1).map_err(|error| format!("{name}: {error}"))?;
                edits.extend(found);
                if name == "lib.rs" {
                    text += "\n#[doc(hidden)]\npub mod hook;\n";
                }
                text.into_bytes()
            }
            None => bytes,
        };
        write(&folder.join(&file), &bytes)?;
        written.insert(file);
    }
    for (name, text) in [
        ("crates/synod/src/hook.rs", include_str!("../hook.rs")),
        ("crates/guards-runner/Cargo.toml", include_str!("../runner/Cargo.toml")),
        ("crates/guards-runner/src/main.rs", include_str!("../runner/src/main.rs")),
    ] {
        text.hash(&mut all);
        text.hash(&mut untested);
        write(&folder.join(name), text.as_bytes())?;
        written.insert(name.into());
    }
    forget_the_rest(&folder, &written)?;
    Ok(Copied { folder, edits, all: all.finish(), untested: untested.finish() })
}

/// All edits of the sources, without a copy.
pub fn edits(root: &Path) -> Result<Vec<Edit>, String> {
    let mut files = Vec::new();
    let sources = root.join("crates/synod/src");
    list(root, &sources, &mut files).map_err(|error| format!("{}: {error}", sources.display()))?;
    files.sort();
    let mut edits: Vec<Edit> = Vec::new();
    for file in files {
        let name = file.strip_prefix("crates/synod/src").ok().and_then(Path::to_str).unwrap_or_default();
        let text = fs::read_to_string(root.join(&file)).map_err(|error| format!("{name}: {error}"))?;
        let (found, _) =
            instrument(name, &text, edits.len() + 1).map_err(|error| format!("{name}: {error}"))?;
        edits.extend(found);
    }
    Ok(edits)
}

fn list(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let below = path.strip_prefix(root).expect("below the root").to_path_buf();
        if SKIPPED.iter().any(|it| below == Path::new(it)) {
            continue;
        }
        if path.is_dir() {
            list(root, &path, files)?;
        } else {
            files.push(below);
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Files of an earlier copy that are not there any more.
fn forget_the_rest(folder: &Path, written: &BTreeSet<PathBuf>) -> Result<(), String> {
    let mut there = Vec::new();
    list(folder, folder, &mut there).map_err(|error| format!("{}: {error}", folder.display()))?;
    for file in there.into_iter().filter(|file| !written.contains(file) && file != Path::new("Cargo.lock")) {
        fs::remove_file(folder.join(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
