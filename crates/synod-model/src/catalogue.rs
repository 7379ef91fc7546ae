//! The catalogue: every model file of `models/`, embedded, by its path without the ending.

use crate::build::Model;
use crate::file::ModelError;
use crate::near::meant;
use std::path::Path;

/// A model file of the catalogue: its name and its text.
type Embedded = (&'static str, &'static str);

const CATALOGUE: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// All models of the catalogue, in the order of their names.
///
/// # Panics
/// If a file of the catalogue is wrong; a test keeps them right.
pub fn catalogue() -> Vec<Model> {
    let read = |(name, text): &Embedded| Model::read(name, text).unwrap_or_else(|error| panic!("{error}"));
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
            message: format!(
                "no such file, and no model of the catalogue has this name; `synod list` shows them{}",
                meant(name, CATALOGUE.iter().map(|(known, _)| *known))
            ),
        }),
    }
}

/// Models from a path: a file, or every `.toml` file below a folder, or a name of the catalogue.
///
/// # Errors
/// When there is nothing at the path; and every file that is wrong, with the first error in each.
pub fn from_path(path: &str) -> Result<Vec<Model>, Vec<ModelError>> {
    let at = Path::new(path);
    if at.is_file() {
        return read(path, at).map(|model| vec![model]).map_err(|error| vec![error]);
    }
    if !at.is_dir() {
        // A folder of the catalogue, such as `mutants`, stands for all that is in it.
        let folder = format!("{}/", path.trim_end_matches('/'));
        let below: Vec<&Embedded> = CATALOGUE.iter().filter(|(name, _)| name.starts_with(&folder)).collect();
        let models: Result<Vec<Model>, ModelError> = match below.as_slice() {
            [] => find(path).map(|model| vec![model]),
            below => below.iter().map(|(name, text)| Model::read(name, text)).collect(),
        };
        return models.map_err(|error| vec![error]);
    }
    let entries: Result<Vec<_>, _> =
        std::fs::read_dir(at).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths = entries.map_err(|error| vec![trouble(at, &error)])?;
    paths.sort();
    let (mut models, mut errors) = (Vec::new(), Vec::new());
    for below in paths {
        if below.is_dir() || below.extension().is_some_and(|extension| extension == "toml") {
            match from_path(&below.to_string_lossy()) {
                Ok(found) => models.extend(found),
                Err(wrong) => errors.extend(wrong),
            }
        }
    }
    if errors.is_empty() { Ok(models) } else { Err(errors) }
}

fn read(name: &str, at: &Path) -> Result<Model, ModelError> {
    let text = std::fs::read_to_string(at).map_err(|error| trouble(at, &error))?;
    Model::read(name, &text)
}

fn trouble(at: &Path, error: &std::io::Error) -> ModelError {
    ModelError { file: at.display().to_string(), place: None, message: format!("cannot be read: {error}") }
}
