//! Guarantees that a value which stands for several commands is read as those commands, in their order, and that no two values
//! stand for the same.
//!
//! Commands that wait while the window is full share the next instance. A single command stands in the log as it is. Several stand
//! behind a `+`, each after its length in decimal digits and a colon: `+5:3.1 x5:4.1 y`. A command begins with a digit, so none
//! looks like a batch.

use crate::ballot::Value;
use std::collections::VecDeque;

const MARK: u8 = b'+';

/// The commands in a value, in order: several if it is a batch, otherwise itself alone. The no-op holds none.
pub fn commands(value: &Value) -> Vec<Value> {
    if value.is_no_op() {
        return Vec::new();
    }
    split(value).map_or_else(|| vec![value.clone()], |parts| parts.into_iter().map(Value::from).collect())
}

/// True if a command is in a value, alone or in a batch.
pub(crate) fn holds(value: &Value, command: &Value) -> bool {
    split(value).map_or(value == command, |parts| parts.contains(&command.as_bytes()))
}

/// Takes commands from the head of a queue as one value: at most this many, and no longer than `longest` bytes together. A single
/// command is taken whatever its length.
pub(crate) fn take(queue: &mut VecDeque<Value>, most: usize, longest: usize) -> Option<Value> {
    let first = queue.pop_front()?;
    let mut taken = vec![first];
    let mut length = 1 + costs(&taken[0]);
    while taken.len() < most
        && let Some(next) = queue.front()
        && length + costs(next) <= longest
    {
        length += costs(next);
        taken.extend(queue.pop_front());
    }
    Some(if taken.len() == 1 { taken.remove(0) } else { join(&taken, length) })
}

/// The value that holds these commands.
fn join(commands: &[Value], length: usize) -> Value {
    let mut bytes = Vec::with_capacity(length);
    bytes.push(MARK);
    for command in commands {
        bytes.extend_from_slice(command.as_bytes().len().to_string().as_bytes());
        bytes.push(b':');
        bytes.extend_from_slice(command.as_bytes());
    }
    Value::from(bytes.as_slice())
}

/// The bytes that a command takes in a batch.
fn costs(command: &Value) -> usize {
    let length = command.as_bytes().len();
    length.to_string().len() + 1 + length
}

/// The parts of a batch. There are two or more, each a command and not a batch itself, and each length is written in one way.
fn split(value: &Value) -> Option<Vec<&[u8]>> {
    let mut rest = value.as_bytes().strip_prefix(&[MARK])?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let digits = rest.iter().position(|byte| *byte == b':')?;
        let text = std::str::from_utf8(&rest[..digits]).ok()?;
        let length: usize = text.parse().ok()?;
        let (part, after) = rest[digits + 1..].split_at_checked(length)?;
        if length.to_string() != text || !part.first()?.is_ascii_digit() {
            return None;
        }
        parts.push(part);
        rest = after;
    }
    (parts.len() >= 2).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(words: &[&str]) -> VecDeque<Value> {
        words.iter().map(|word| Value::from(*word)).collect()
    }

    #[test]
    fn a_batch_is_read_as_it_was_taken_and_within_its_bounds() {
        let words = ["3.1 x", "4.1 +5:3.1 x", "5.1 ", "6.1 yyyyyyyyyyyyyyyyyyy"];
        for most in 1..=words.len() {
            let mut waiting = queue(&words);
            let value = take(&mut waiting, most, usize::MAX).expect("there are commands");
            assert_eq!(commands(&value), Vec::from(queue(&words[..most])));
            assert_eq!(waiting, queue(&words[most..]));
            for (place, word) in words.iter().enumerate() {
                assert_eq!(holds(&value, &Value::from(*word)), place < most, "{word:?} of {most}");
            }
        }
        let whole = take(&mut queue(&words), 9, usize::MAX).expect("there are commands");
        let length = whole.as_bytes().len();
        assert_eq!(take(&mut queue(&words), 9, length), Some(whole));
        let shorter = take(&mut queue(&words), 9, length - 1).expect("there are commands");
        assert_eq!(commands(&shorter), Vec::from(queue(&words[..3])));
        // One command goes, however long it is.
        assert_eq!(take(&mut queue(&words), 9, 0), Some(Value::from(words[0])));
        assert_eq!(take(&mut queue(&[]), 9, 0), None);
    }

    #[test]
    fn no_other_value_is_a_batch() {
        assert_eq!(commands(&Value::no_op()), []);
        for text in [
            "+",
            "+5:3.1 x",
            "+5:3.1 x5:4.1 ",
            "+05:3.1 x5:4.1 y",
            "+5:3.1 x+5:4.1 y",
            "+5:3.1 x0:",
            "+5:3.1 x5:x.1 y",
            "+5:3.1 x99999999999999999999:y",
            "5:3.1 x5:4.1 y",
        ] {
            let value = Value::from(text);
            assert_eq!(commands(&value), std::slice::from_ref(&value), "{text:?}");
            assert!(holds(&value, &value) && !holds(&value, &Value::from("3.1 x")), "{text:?}");
        }
        assert_eq!(commands(&Value::from("+5:3.1 x5:4.1 y")), Vec::from(queue(&["3.1 x", "4.1 y"])));
    }
}
