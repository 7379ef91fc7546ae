//! The liberties of the roles (`tests/guards`) still have their places. Whether they are liberties takes hours: `tests/guards/run`.

use crate::synod::root;
use std::fs;

/// Each run of white space a single blank, as the list has it.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of a function, which is `name` or `Type::name`. The sources are formatted: a type's block begins at the left margin, and a function
/// ends with the first brace that stands as far right as it began.
fn function_of(source: &str, function: &str) -> Option<String> {
    let (owner, name) =
        function.rsplit_once("::").map_or((None, function), |(owner, name)| (Some(owner), name));
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut block = "";
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if code == line && !line.is_empty() {
            block = line;
        }
        let is_its = match owner {
            Some(owner) => {
                block.starts_with("impl") && block.split(|c| !is_word(c)).any(|word| word == owner)
            }
            None => code == line,
        };
        let after = code.split_once(&format!("fn {name}")).map(|(_, after)| after);
        if !is_its || !after.is_some_and(|after| after.starts_with(['(', '<'])) || code.starts_with("//") {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let rest = lines.take_while(|line| *line != end).collect::<Vec<_>>();
        let is_one_line = code.ends_with('}');
        return Some(if is_one_line {
            squeezed(line)
        } else {
            squeezed(&format!("{line} {}", rest.join(" ")))
        });
    }
    None
}

#[test]
fn every_liberty_has_its_place_in_its_function_and_a_reason() {
    let text = fs::read_to_string(root().join("tests/guards/liberties.toml")).expect("it is there");
    let table: toml::Table = text.parse().expect("it is TOML");
    let Some(liberties) = table.get("liberty") else { return };
    for liberty in liberties.as_array().expect("a list") {
        let word = |key: &str| liberty[key].as_str().expect("a text");
        let (file, function, place) = (word("file"), word("function"), word("text"));
        let source = fs::read_to_string(root().join("crates/synod/src").join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let code = source.split("#[cfg(test)]").next().expect("the part before the tests");
        let code = function_of(code, function).unwrap_or_else(|| panic!("{file} has no function {function}"));
        let nth = liberty.get("nth").map_or(1, |nth| nth.as_integer().expect("a number"));
        let times = code.matches(place).count();
        assert!(
            times >= usize::try_from(nth).expect("from 1"),
            "{file}: {function} has {place:?} {times} times, and number {nth} is a liberty; mend the entry or drop it"
        );
        assert!(word("why").split_whitespace().count() >= 3, "{file}, {place:?}: why?");
        assert!(!liberty["edits"].as_array().expect("a list").is_empty(), "{file}, {place:?}: which edits?");
    }
}

#[test]
fn a_place_in_another_function_is_another_place() {
    let source = "fn one() {\n    a(b);\n}\n\nimpl<T> Eq for Two<T> {\n    // fn one(\n    fn one(&self) -> bool {\n        match c {\n            \
                  d => {}\n        }\n    }\n    fn three() {}\n}\n\nfn four<T>() {\n    e\n}\n";
    for (function, expected) in [
        ("one", Some("fn one() { a(b);")),
        ("Two::one", Some("fn one(&self) -> bool { match c { d => {} }")),
        ("Two::three", Some("fn three() {}")),
        ("four", Some("fn four<T>() { e")),
        ("three", None),
        ("Eq::four", None),
        ("Tw::one", None),
        ("on", None),
    ] {
        assert_eq!(function_of(source, function).as_deref(), expected, "{function}");
    }
}
