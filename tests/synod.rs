//! Runs the command as a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The command's output.
pub(crate) struct Ran {
    /// Its exit status.
    pub(crate) status: i32,
    /// What it printed as its result.
    pub(crate) out: String,
    /// What it printed besides.
    pub(crate) err: String,
}

/// Runs `synod` with these arguments in this folder.
pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Ran {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_synod"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("the command can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the command prints text");
    let status = output.status.code().expect("the command ends by itself");
    Ran { status, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs `synod` with these arguments.
pub(crate) fn run(args: &[&str]) -> Ran {
    run_in(&root(), args)
}

/// The project's top folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the project is where it was built")
}
