//! The lists of edits that nothing has to notice, each with the reason, and of those that nothing notices and nobody has judged.

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
    /// Why that is harmless; of one that was not judged, nothing.
    #[serde(default)]
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
    #[serde(default)]
    open: Vec<Liberty>,
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

/// Reads a list. Every liberty has to have its places among the edits, each once, and a reason; what is open has none, and goes with its place.
pub fn read(path: &Path, edits: &[Edit]) -> Result<Vec<Liberty>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let File { liberty, open } =
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut seen = BTreeSet::new();
    for (it, is_open) in liberty.iter().map(|it| (it, false)).chain(open.iter().map(|it| (it, true))) {
        let place = format!("{}, {}, {:?}", it.file, it.function, it.text);
        if is_open == (it.why.split_whitespace().count() >= 3) {
            return Err(format!("{place}: a liberty says why it is harmless, and what is open says nothing"));
        }
        for how in &it.edits {
            let one = Liberty { edits: vec![how.clone()], ..it.clone() };
            if !edits.iter().any(|edit| one.covers(edit)) {
                if is_open {
                    eprintln!(
                        "open.toml: {place} is not there any more, or not with {how:?}; drop the entry"
                    );
                    continue;
                }
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
    Ok(liberty.into_iter().chain(open).collect())
}

/// Entries for edits, one a place.
pub fn write(edits: &[&Edit]) -> String {
    let mut places: Vec<(&Edit, Vec<&str>)> = Vec::new();
    for edit in edits {
        let same = |it: &Edit| {
            (&it.file, &it.function, &it.text, it.nth) == (&edit.file, &edit.function, &edit.text, edit.nth)
        };
        match places.iter_mut().find(|(it, _)| same(it)) {
            Some((_, ways)) => ways.push(edit.how),
            None => places.push((edit, vec![edit.how])),
        }
    }
    let entry = |(edit, ways): &(&Edit, Vec<&str>)| {
        let Edit { file, function, text, nth, .. } = edit;
        let nth = if *nth > 1 { format!("nth = {nth}\n") } else { String::new() };
        format!(
            "[[open]]\nfile = {file:?}\nfunction = {function:?}\ntext = {text:?}\n{nth}edits = {ways:?}\n"
        )
    };
    places.iter().map(entry).collect::<Vec<_>>().join("\n")
}
