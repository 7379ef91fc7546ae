//! Which modules of a crate import which, as far as a reader of its files can tell: by `use`, and by paths written out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module by the segments of its path; the root has none.
pub(crate) type Module = Vec<String>;

/// The modules of a crate, and what each imports.
pub(crate) struct Imports {
    of: BTreeMap<Module, BTreeSet<Module>>,
}

/// What is written in one file.
struct Source {
    /// Every path in it, as segments.
    paths: Vec<Vec<String>>,
    /// The names that it hands on from other modules: the name, and the path behind it.
    handed_on: BTreeMap<String, Vec<String>>,
}

impl Imports {
    /// Reads the files below a crate's `src`.
    pub(crate) fn of_crate(src: &Path, files: &[std::path::PathBuf]) -> Self {
        let sources: BTreeMap<Module, Source> = files
            .iter()
            .map(|file| {
                let text = fs::read_to_string(file).expect("a source file");
                (module_of(file.strip_prefix(src).expect("it is below")), Source::read(&text))
            })
            .collect();
        let of = sources.iter().map(|(module, source)| {
            let imported = source.paths.iter().filter_map(|path| resolve(&sources, module, path, 0));
            (module.clone(), imported.filter(|other| other != module).collect())
        });
        Self { of: of.collect() }
    }

    /// Modules that import each other, directly or through others: the first such group that is found.
    pub(crate) fn circle(&self) -> Option<Vec<String>> {
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            self.of.keys().map(|module| (module, self.reached_from(module))).collect();
        self.of.keys().find(|module| reach[module].contains(module)).map(|module| {
            let both = |other: &&&Module| reach[module].contains(**other) && reach[**other].contains(module);
            self.of.keys().collect::<Vec<_>>().iter().filter(both).map(|other| other.join("::")).collect()
        })
    }

    /// Each module with each that it imports.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.of.iter().flat_map(|(module, imported)| imported.iter().map(move |other| (module, other)))
    }

    fn reached_from(&self, module: &Module) -> BTreeSet<&Module> {
        let mut reached = BTreeSet::new();
        let mut pending: Vec<&Module> = self.of[module].iter().collect();
        while let Some(next) = pending.pop() {
            if reached.insert(next) {
                pending.extend(&self.of[next]);
            }
        }
        reached
    }
}

/// The module that a file is, by its path below `src`.
fn module_of(file: &Path) -> Module {
    let mut module: Module =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// The module in which what a path names is written down, if it is one of this crate.
fn resolve(
    sources: &BTreeMap<Module, Source>,
    from: &Module,
    path: &[String],
    depth: usize,
) -> Option<Module> {
    let mut rest = path.iter().peekable();
    let mut at = from.clone();
    match path.first().map(String::as_str) {
        Some("crate") => {
            at.clear();
            rest.next();
        }
        Some("self") => _ = rest.next(),
        Some("super") => {}
        // A path that begins with a name is of this crate only if that is a module below.
        Some(name) => {
            at.push(name.to_owned());
            if !sources.contains_key(&at) {
                return None;
            }
            rest.next();
        }
        None => return None,
    }
    while rest.next_if(|segment| *segment == "super").is_some() {
        at.pop();
    }
    for segment in rest {
        at.push(segment.clone());
        if !sources.contains_key(&at) {
            at.pop();
            // What a module hands on is written down elsewhere. Names are not handed on in circles.
            return match sources[&at].handed_on.get(segment) {
                Some(path) if depth < 8 => resolve(sources, &at, path, depth + 1),
                _ => Some(at),
            };
        }
    }
    Some(at)
}

impl Source {
    fn read(text: &str) -> Self {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
        let tokens = tokens(&lines.collect::<Vec<_>>().join("\n"));
        let mut source = Self { paths: Vec::new(), handed_on: BTreeMap::new() };
        let mut at = 0;
        while at < tokens.len() {
            let is_name = tokens[at].starts_with(|c: char| c.is_alphabetic() || c == '_');
            if !is_name || (at > 0 && tokens[at - 1] == "::") {
                at += 1;
                continue;
            }
            // Who may see something is no import.
            if at > 2 && tokens[at - 1] == "in" && tokens[at - 2] == "(" && tokens[at - 3] == "pub" {
                at += 1;
                continue;
            }
            let in_use = at > 0 && tokens[at - 1] == "use";
            let hands_on = in_use && at > 1 && [")", "pub"].contains(&tokens[at - 2].as_str());
            let mut found = Vec::new();
            at = tree(&tokens, at, &[], &mut found);
            if hands_on {
                for (path, name) in &found {
                    source.handed_on.insert(name.clone(), path.clone());
                }
            }
            let several = found.into_iter().map(|(path, _)| path).filter(|path| in_use || path.len() > 1);
            source.paths.extend(several);
        }
        source
    }
}

/// Reads a path that begins at a token, with everything in its braces, and gives each with the name by which it is known from there
/// on. Returns the token behind.
fn tree(
    tokens: &[String],
    mut at: usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = tree(tokens, at, &path, found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            Some(segment) => path.push(segment.to_owned()),
            None => return at,
        }
        at += 1;
        if tokens.get(at).is_some_and(|token| token == "::") {
            at += 1;
            continue;
        }
        path.retain(|segment| segment != "self" || before.is_empty());
        let mut name = path.last().cloned().unwrap_or_default();
        if tokens.get(at).is_some_and(|token| token == "as") {
            name = tokens.get(at + 1).cloned().unwrap_or_default();
            at += 2;
        }
        found.push((path, name));
        return at;
    }
}

/// Names, `::` and single other characters.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_name = false;
    let mut colon = false;
    for c in code.chars() {
        if c.is_alphanumeric() || c == '_' {
            match tokens.last_mut() {
                Some(last) if in_name => last.push(c),
                _ => tokens.push(c.to_string()),
            }
        } else if c == ':' && colon {
            tokens.pop();
            tokens.push("::".to_owned());
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
        in_name = c.is_alphanumeric() || c == '_';
        colon = c == ':' && tokens.last().is_some_and(|last| last == ":");
    }
    tokens
}
