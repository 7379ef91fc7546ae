//! `synod new`, `synod explain`, `synod completions`, `synod man`: help to begin with.

use crate::args::{Args, Completions, Explain, New};
use crate::output::line;
use clap::CommandFactory;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// A model file to start from; it is checked by a test.
const TEMPLATE: &str = include_str!("template.toml");

/// Writes a model file to start from, and never over another.
pub fn new(args: &New) -> Result<u8, String> {
    let mut path = PathBuf::from(&args.name);
    if path.extension().is_none() {
        path.set_extension("toml");
    }
    let wrong = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{}: there is such a file already; give another name", path.display())
        }
        _ => format!("{}: cannot be written: {error}", path.display()),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(wrong)?;
    file.write_all(TEMPLATE.as_bytes()).map_err(wrong)?;
    line(&format!("{0} is written; next: synod check {0}", path.display()));
    Ok(crate::status::OK)
}

/// Says what a name means.
pub fn explain(args: &Explain) -> Result<u8, String> {
    line(&synod_model::explain(&args.name)?);
    Ok(crate::status::OK)
}

/// Prints completions for a shell.
pub fn completions(args: &Completions) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "synod", &mut script);
    line(String::from_utf8_lossy(&script).trim_end());
    crate::status::OK
}

/// Prints the manual page: of the command, and of each of its commands.
pub fn man() -> Result<u8, String> {
    let mut page = Vec::new();
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for one in pages {
        clap_mangen::Man::new(one.clone()).render(&mut page).map_err(|error| error.to_string())?;
    }
    line(String::from_utf8_lossy(&page).trim_end());
    Ok(crate::status::OK)
}
