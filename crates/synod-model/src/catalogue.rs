//! The catalogue: every model file of `models/`, embedded, by its path without the ending.

use crate::build::Model;
use crate::file::ModelError;
use std::path::Path;

/// A model file of the catalogue: its name and its text.
pub type Entry = (&'static str, &'static str);

const CATALOGUE: &[Entry] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// All models of the catalogue, in the order of their names.
///
/// # Panics
/// If a file of the catalogue is wrong; a test keeps them right.
pub fn catalogue() -> Vec<Model> {
    let read = |(name, text): &Entry| Model::read(name, text).unwrap_or_else(|error| panic!("{error}"));
    CATALOGUE.iter().map(read).collect()
}

/// The model with this name, from the catalogue.
///
/// # Errors
/// When the catalogue has none of that name.
pub fn find(name: &str) -> Result<Model, ModelError> {
    match CATALOGUE.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Model::read(name, text),
        None => Err(ModelError {
            file: name.to_owned(),
            place: None,
            message: "no such file, and no model of the catalogue has this name; `synod list` shows them"
                .to_owned(),
        }),
    }
}

/// Models from a path: a file, or every `.toml` file below a folder, or a name of the catalogue.
///
/// # Errors
/// When there is nothing at the path, and for the first file that is wrong.
pub fn from_path(path: &str) -> Result<Vec<Model>, ModelError> {
    let at = Path::new(path);
    let trouble = |at: &Path, error: std::io::Error| ModelError {
        file: at.display().to_string(),
        place: None,
        message: format!("cannot be read: {error}"),
    };
    if at.is_file() {
        let text = std::fs::read_to_string(at).map_err(|error| trouble(at, error))?;
        return Ok(vec![Model::read(path, &text)?]);
    }
    if !at.is_dir() {
        // A folder of the catalogue, such as `mutants`, stands for all that is in it.
        let folder = format!("{}/", path.trim_end_matches('/'));
        let below: Vec<&Entry> = CATALOGUE.iter().filter(|(name, _)| name.starts_with(&folder)).collect();
        return match below.as_slice() {
            [] => Ok(vec![find(path)?]),
            below => below.iter().map(|(name, text)| Model::read(name, text)).collect(),
        };
    }
    let mut models = Vec::new();
    let entries = std::fs::read_dir(at).map_err(|error| trouble(at, error))?;
    let mut paths =
        entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(|e| trouble(at, e))?;
    paths.sort();
    for below in paths {
        if below.is_dir() || below.extension().is_some_and(|extension| extension == "toml") {
            models.extend(from_path(&below.to_string_lossy())?);
        }
    }
    Ok(models)
}
