//! The results of the client's commands on stdout, for people and for programs.

use super::args::Format;
use crate::status::OK;
use serde_json::{Map, Value, json};
use std::io::Write;
use synod_machine::{Change, Item};

/// Tells results in a format. Each function returns the exit status for success.
pub(super) struct Told(Format);

impl Told {
    pub(super) fn new(format: Format) -> Told {
        Told(format)
    }

    /// Prints one line: the text, or the object.
    fn line(&self, text: &[u8], object: &[(&str, Value)]) -> u8 {
        let mut line = match self.0 {
            Format::Human => text.to_vec(),
            Format::Json => {
                let object: Map<String, Value> =
                    object.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                Value::Object(object).to_string().into_bytes()
            }
        };
        line.push(b'\n');
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
            // When whoever reads it has gone, there is nothing left to do.
            std::process::exit(i32::from(OK));
        }
        OK
    }

    pub(super) fn version(&self, key: &str, version: u64) -> u8 {
        self.line(version.to_string().as_bytes(), &[("key", json!(key)), ("version", json!(version))])
    }

    /// Something was done of which there is nothing to print.
    pub(super) fn done(&self, name: &str) -> u8 {
        match self.0 {
            Format::Human => OK,
            Format::Json => self.line(b"", &[("name", json!(name)), ("done", json!(true))]),
        }
    }

    /// A value as it is; with a line end where people look.
    pub(super) fn value(&self, key: &str, item: &Item) -> u8 {
        self.line(&item.value, &[&[text("key", key.as_bytes())], &entry(item)[..]].concat())
    }

    pub(super) fn item(&self, key: &[u8], item: &Item) {
        let line = format!("{}\t{}", on_a_line(key), on_a_line(&item.value));
        self.line(line.as_bytes(), &[&[text("key", key)], &entry(item)[..]].concat());
    }

    /// A change, with its group if there are several.
    pub(super) fn change(&self, group: Option<u8>, change: &Change) {
        let Change { version, key, value } = change;
        let (what, shown, mut object) = match value {
            Some(value) => ("put", format!(" {}", on_a_line(value)), vec![text("value", value)]),
            None => ("delete", String::new(), Vec::new()),
        };
        object.extend([("version", json!(version)), ("change", json!(what)), text("key", key)]);
        object.extend(group.map(|group| ("group", json!(group))));
        let of = group.map_or(String::new(), |group| format!("{group}:"));
        self.line(format!("{of}{version} {what} {}{shown}", on_a_line(key)).as_bytes(), &object);
    }

    pub(super) fn token(&self, name: &str, owner: &str, token: u64) -> u8 {
        let object = [("name", json!(name)), ("owner", json!(owner)), ("token", json!(token))];
        self.line(token.to_string().as_bytes(), &object)
    }

    pub(super) fn balance(&self, account: u64, balance: u64) -> u8 {
        let object = [("account", json!(account)), ("balance", json!(balance))];
        self.line(balance.to_string().as_bytes(), &object)
    }

    pub(super) fn balances(&self, account: u64, old: u64, new: u64) -> u8 {
        let object = [("account", json!(account)), ("before", json!(old)), ("balance", json!(new))];
        self.line(format!("account {account}: {old} -> {new}").as_bytes(), &object)
    }
}

/// A field of bytes: as text if they are, in hexadecimal otherwise, under another name.
fn text(name: &'static str, bytes: &[u8]) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (name, json!(text)),
        Err(_) => {
            let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
            let hex: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect();
            (if name == "key" { "key_hex" } else { "value_hex" }, json!(hex))
        }
    }
}

fn entry(item: &Item) -> Vec<(&'static str, Value)> {
    let mut entry = vec![text("value", &item.value), ("version", json!(item.version))];
    entry.extend(item.left.map(|left| ("left_ms", json!(left))));
    entry
}

/// Bytes on one line: text as it is, control characters and what is no text escaped.
fn on_a_line(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
            .collect(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Bytes within a sentence: not too many of them.
pub(super) fn bytes_for_people(bytes: &[u8]) -> String {
    const MOST: usize = 60;
    let line = on_a_line(bytes);
    if line.chars().count() <= MOST {
        format!("\"{line}\"")
    } else {
        let start: String = line.chars().take(MOST).collect();
        format!("\"{start}...\" ({} bytes)", bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_on_a_line_and_text_stays_text() {
        assert_eq!(on_a_line("a b\tc\nd é".as_bytes()), "a b\\tc\\nd é");
        assert_eq!(on_a_line(&[b'a', 0xff]), "a\\xff");
        assert_eq!(text("key", &[0xff]), ("key_hex", json!("ff")));
        assert_eq!(bytes_for_people(&[b'x'; 61]), format!("\"{}...\" (61 bytes)", "x".repeat(60)));
    }
}
