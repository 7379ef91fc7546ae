//! The liberties of the roles (`tests/guards`) still have their places. Whether they are liberties takes hours: `tests/guards/run`.

use crate::synod::root;
use std::fs;

/// Each run of white space a single blank, as the list has it.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_liberty_has_its_place_and_a_reason() {
    let text = fs::read_to_string(root().join("tests/guards/liberties.toml")).expect("it is there");
    let table: toml::Table = text.parse().expect("it is TOML");
    let Some(liberties) = table.get("liberty") else { return };
    for liberty in liberties.as_array().expect("a list") {
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
        assert!(word("why").split_whitespace().count() >= 3, "{file}, {place:?}: why?");
        assert!(!liberty["edits"].as_array().expect("a list").is_empty(), "{file}, {place:?}: which edits?");
    }
}
