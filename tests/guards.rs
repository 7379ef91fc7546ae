//! The liberties of the roles (`tests/guards`) still have their places. Whether they are liberties takes hours: `tests/guards/run`.

use crate::synod::root;
use std::fs;

/// Each run of white space a single blank, as the list has it.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn entries(file: &str, kind: &str) -> Vec<toml::Value> {
    let text = fs::read_to_string(root().join("tests/guards").join(file)).expect("it is there");
    let table: toml::Table = text.parse().expect("it is TOML");
    table.get(kind).map(|entries| entries.as_array().expect("a list").clone()).unwrap_or_default()
}

#[test]
fn every_liberty_has_its_place_and_a_reason() {
    let (liberties, open) = (entries("liberties.toml", "liberty"), entries("open.toml", "open"));
    assert!(
        liberties.iter().all(|it| it["why"].as_str().is_some_and(|why| why.split_whitespace().count() >= 3))
    );
    for liberty in liberties.iter().chain(&open) {
        let word = |key: &str| liberty[key].as_str().expect("a text");
        let (file, function, place) = (word("file"), word("function"), word("text"));
        let source = fs::read_to_string(root().join("crates/synod/src").join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let code = squeezed(source.split("#[cfg(test)]").next().expect("the part before the tests"));
        let name = function.rsplit("::").next().expect("a name");
        assert!(code.contains(&format!("fn {name}")), "{file} has no {function}");
        let nth = liberty.get("nth").map_or(1, |nth| nth.as_integer().expect("a number"));
        let times = code.matches(place).count();
        assert!(times >= usize::try_from(nth).expect("from 1"), "{file} has {place:?} {times} times");
        assert!(!liberty["edits"].as_array().expect("a list").is_empty(), "{file}, {place:?}: which edits?");
    }
}
