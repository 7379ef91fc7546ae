//! The shapes of types: how many fields a struct has, and over how many files its methods are spread.
//!
//! The source is formatted, so lines tell enough: a definition starts a line, and its fields are one step further in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A struct of more fields needs a reason in the code.
pub(crate) const FIELDS: usize = 12;
/// A type with methods in more files needs a reason in the code.
pub(crate) const FILES: usize = 2;

/// A type that a crate defines.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// The number of named fields, of a struct.
    pub(crate) fields: usize,
    /// The files with an `impl` of it, of its own or of a trait.
    pub(crate) files: BTreeSet<PathBuf>,
    /// The comments directly above its definition.
    comments: String,
}

impl Shape {
    /// Whether a comment above the definition starts with this word and goes on.
    fn gives_reason(&self, word: &str) -> bool {
        self.comments.lines().any(|line| line.strip_prefix(word).is_some_and(|reason| reason.len() > 10))
    }

    /// The complaints about the shape.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.fields > FIELDS && !self.gives_reason("Fields: ") {
            complaints.push(format!("has {} fields and no comment \"// Fields: why\"", self.fields));
        }
        if self.files.len() > FILES && !self.gives_reason("Files: ") {
            let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
            complaints.push(format!("has methods in {} and no comment \"// Files: why\"", files.join(", ")));
        }
        complaints
    }
}

/// A type by the file that defines it and its name.
type Key = (PathBuf, String);

/// The types of a crate.
pub(crate) type Types = BTreeMap<Key, Shape>;

/// The types that some files of one crate define.
pub(crate) fn shapes(root: &Path, files: &[PathBuf]) -> Types {
    let texts: Vec<(PathBuf, String)> = files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).expect("a source file");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            (file.strip_prefix(root).expect("it is below").to_owned(), code)
        })
        .collect();
    let mut types = Types::new();
    for (file, text) in &texts {
        define(file, text, &mut types);
    }
    for (file, text) in &texts {
        for name in implemented(text) {
            // A file that defines the type itself means its own; elsewhere a name that two files define is not resolved.
            let own = (file.clone(), name.clone());
            let found: Vec<_> = types.keys().filter(|(_, other)| *other == name).cloned().collect();
            let key = if types.contains_key(&own) { Some(own) } else { found.first().cloned() };
            if let Some(shape) = key.filter(|_| found.len() == 1 || types.contains_key(&(file.clone(), name)))
            {
                types.get_mut(&shape).expect("it was just found").files.insert(file.clone());
            }
        }
    }
    types
}

/// Adds the structs and enums of a file.
fn define(file: &Path, text: &str, types: &mut Types) {
    let mut comments = String::new();
    // The struct whose fields come next, and its indentation.
    let mut open: Option<(Key, String)> = None;
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let words = line.trim_start();
        if let Some((key, outer)) = &open {
            let is_field = || {
                let name = words.strip_prefix("pub").map_or(words, |rest| {
                    rest.strip_prefix('(')
                        .and_then(|rest| rest.split_once(')'))
                        .map_or(rest, |(_, rest)| rest)
                });
                let name = name.trim_start().split_once(": ").map(|(name, _)| name);
                name.is_some_and(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
            };
            if indent.len() == outer.len() + 4 && is_field() {
                types.get_mut(key).expect("it is open").fields += 1;
            } else if indent == outer && words.starts_with('}') {
                open = None;
            }
            continue;
        }
        if let Some(comment) = words.strip_prefix("//") {
            comments += comment.trim_start_matches('/').trim_start();
            comments.push('\n');
            continue;
        }
        if words.starts_with("#[") || words.ends_with(")]") {
            continue;
        }
        let definition = ["struct ", "enum "].iter().find_map(|kind| {
            let at = words.find(kind)?;
            let visibility = words[..at].trim_end();
            let visible = visibility.is_empty() || visibility.starts_with("pub");
            visible.then(|| (kind, name_at(&words[at + kind.len()..])))
        });
        if let Some((kind, name)) = definition.filter(|(_, name)| !name.is_empty()) {
            let key = (file.to_owned(), name);
            types.entry(key.clone()).or_default().comments = std::mem::take(&mut comments);
            if *kind == "struct " && !words.ends_with(';') && !words.ends_with('}') {
                open = Some((key, indent.to_owned()));
            }
        }
        comments.clear();
    }
}

/// The types that a file has an `impl` of.
fn implemented(text: &str) -> Vec<String> {
    let heads = text.split('\n').enumerate().filter(|(_, line)| line.trim_start().starts_with("impl"));
    let lines: Vec<&str> = text.lines().collect();
    heads
        .filter_map(|(at, _)| {
            // Up to the brace, over several lines if need be, and without what stands in angle brackets.
            let head = lines[at..].join(" ");
            let head = head.split(" {").next()?.split(" where ").next()?;
            let (mut flat, mut depth) = (String::new(), 0_usize);
            for (n, c) in head.char_indices() {
                match c {
                    '<' => depth += 1,
                    '>' if !head[..n].ends_with('-') => depth = depth.saturating_sub(1),
                    _ if depth == 0 => flat.push(c),
                    _ => {}
                }
            }
            let flat =
                flat.strip_prefix("impl").or_else(|| flat.trim_start().strip_prefix("impl"))?.to_owned();
            let named = flat.split(" for ").last()?.trim();
            let named = named.rsplit("::").next()?.trim_start_matches(['&', ' ']);
            Some(name_at(named)).filter(|name| !name.is_empty())
        })
        .collect()
}

/// The name at the start of a text.
fn name_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
