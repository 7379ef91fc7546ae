//! Comparable `Debug` texts: the elements of a set or a map come in any order.

use std::fmt::Debug;

/// Brackets that are nested deeper than this are taken for plain characters.
const DEEPEST: usize = 64;

/// A text with single blanks between words.
pub(crate) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sorts the elements in each pair of braces, separated by commas: a set then has the same text whatever
/// the order in which it lists its elements.
pub(crate) fn canonical(text: &str) -> String {
    let mut rest = Rest { text, depth: 0 };
    rest.group(None)
}

/// True if two values have the same `Debug` text, whatever the order of their sets.
pub(crate) fn same_words(a: &impl Debug, b: &impl Debug) -> bool {
    let (a, b) = (format!("{a:?}"), format!("{b:?}"));
    a == b || canonical(&a) == canonical(&b)
}

struct Rest<'t> {
    text: &'t str,
    depth: usize,
}

impl<'t> Rest<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.text.split_at(bytes);
        self.text = rest;
        taken
    }

    /// The text before a closing bracket, which is taken too, or before the end.
    fn group(&mut self, close: Option<char>) -> String {
        let (mut items, mut item, mut end) = (Vec::new(), String::new(), "");
        while let Some(next) = self.text.chars().next() {
            let opened = match next {
                '{' => Some('}'),
                '[' => Some(']'),
                '(' => Some(')'),
                _ => None,
            };
            match (next, opened) {
                ('"' | '\'', _) => {
                    let length = quoted(self.text, next);
                    item.push_str(self.take(length));
                }
                (_, Some(end)) if self.depth < DEEPEST => {
                    item.push_str(self.take(1));
                    self.depth += 1;
                    item.push_str(&self.group(Some(end)));
                    self.depth -= 1;
                }
                (',', _) => {
                    self.take(1);
                    items.push(std::mem::take(&mut item));
                }
                (next, _) => {
                    let taken = self.take(next.len_utf8());
                    if Some(next) == close {
                        end = taken;
                        break;
                    }
                    item.push_str(taken);
                }
            }
        }
        items.push(item);
        let mut items: Vec<&str> = items.iter().map(|item| item.trim()).collect();
        if end == "}" {
            items.sort_unstable();
        }
        format!("{}{end}", items.join(", "))
    }
}

/// The length in bytes of the quoted text at the start; 1 if the quote is only a character.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if next == quote => return at + 1,
            // A character is alone in its quotes; else it is an apostrophe.
            _ if quote == '\'' && at > 1 && !text[1..].starts_with('\\') => return 1,
            _ => {}
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_braces_has_no_order_and_all_else_has() {
        let same = |a, b| assert_eq!(canonical(a), canonical(b));
        let other = |a, b| assert_ne!(canonical(a), canonical(b));
        same("{1, 2}", "{2, 1}");
        same("Got { all: {3, {1, 2}}, of: 1 }", "Got { all: {{2, 1}, 3}, of: 1 }");
        same("{1: {'}', ','}, \"},\": 0}", "{\"},\": 0, 1: {',', '}'}}");
        same("Say(\"it's\", {b, a})", "Say(\"it's\", {a, b})");
        other("[1, 2]", "[2, 1]");
        other("(1, {2})", "({2}, 1)");
        other("{12}", "{21}");
        other("\"{1, 2}\"", "\"{2, 1}\"");
        other("{1, 2", "{2, 1");
        assert_eq!(canonical("a, b}c"), "a, b}c");
    }

    #[test]
    fn whatever_a_file_says_is_read_to_its_end() {
        for text in ["[".repeat(100_000), "{\"".repeat(50_000), "'".repeat(1000), "}],".repeat(1000)] {
            assert!(canonical(&text).len() >= text.len() / 2);
        }
    }
}
