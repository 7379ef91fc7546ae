//! The list of edits that nothing has to notice, each with the reason.

use crate::sites::Edit;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Edits of one place that are harmless.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liberty {
    pub file: String,
    pub function: String,
    /// The place's text, each run of white space a single blank.
    pub text: String,
    /// Which of the places with this text in this function it is, from 1.
    #[serde(default = "one")]
    pub nth: usize,
    /// How it may be broken.
    pub edits: Vec<String>,
    pub why: String,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    liberty: Vec<Liberty>,
}

impl Liberty {
    pub fn covers(&self, edit: &Edit) -> bool {
        self.file == edit.file
            && self.function == edit.function
            && self.text == edit.text
            && self.nth == edit.nth
            && self.edits.iter().any(|how| how == edit.how)
    }
}

/// Reads the list; every entry has to have its places among the edits, each with a reason and once.
pub fn read(path: &Path, edits: &[Edit]) -> Result<Vec<Liberty>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let File { liberty } = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut seen = BTreeSet::new();
    for it in &liberty {
        let place = format!("{}, {}, {:?}", it.file, it.function, it.text);
        if it.why.split_whitespace().count() < 3 {
            return Err(format!("{place}: say why this is harmless"));
        }
        for how in &it.edits {
            let one = Liberty { edits: vec![how.clone()], ..it.clone() };
            if !edits.iter().any(|edit| one.covers(edit)) {
                return Err(format!(
                    "{place}: there is no edit {how:?} number {}; mend the entry or drop it",
                    it.nth
                ));
            }
            if !seen.insert((place.clone(), it.nth, how.clone())) {
                return Err(format!("{place}: {how:?} is listed twice"));
            }
        }
    }
    Ok(liberty)
}
