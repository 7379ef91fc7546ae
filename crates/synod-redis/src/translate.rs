//! Guarantees that a command of Redis means the same here: its operations on the store, and the reply to their outcomes.
//!
//! A command whose outcome depends on what is there has an operation with that condition of its own, so that commands can be put together
//! into one transaction, each with the outcome that it would have alone.

use crate::commands::Command;
use crate::cursors::Cursors;
use crate::glob;
use crate::reply::Reply;
use synod_machine::{Blob, Lives, Operation, Outcome, StoreOutput};

/// The longest pattern of a scan.
const MOST_PATTERN: usize = 256;
/// The number of keys that a scan looks at if it does not say how many.
const COUNT: u32 = 10;

/// A command for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    operations: Vec<Operation>,
    shape: Shape,
}

/// The way in which outcomes become a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// The value, or nothing.
    Value,
    /// The values.
    Values,
    /// `OK`, or nothing if the condition was not met.
    Stored,
    /// `OK`.
    AllStored,
    /// The number of keys that were there.
    Count,
    /// The sum.
    Sum,
    /// 1 if it has the time now.
    Lives,
    /// 1 if it had a time.
    Persisted,
    /// The time that is left, in units of so many milliseconds.
    Left { unit: u64 },
    /// A cursor and keys.
    Scan { pattern: Option<Blob> },
}

fn syntax<T>() -> Result<T, Reply> {
    Err(Reply::error("ERR syntax error"))
}

fn number(word: &[u8]) -> Result<i64, Reply> {
    let number = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))
}

/// The milliseconds of a time to live, in units of so many.
fn millis(command: &Command, word: &[u8], unit: i64) -> Result<i64, Reply> {
    let invalid = || Reply::error(format!("ERR invalid expire time in '{}' command", command.name));
    number(word)?.checked_mul(unit).ok_or_else(invalid)
}

fn get(key: &Blob) -> Operation {
    Operation::Get { key: key.clone() }
}

fn delete(key: &Blob) -> Operation {
    Operation::Delete { key: key.clone() }
}

impl Work {
    /// The work of a command with its words, the name the first of them; nothing if the command is not for the store.
    ///
    /// # Errors
    /// The reply that says what is wrong.
    pub(crate) fn of(command: &Command, words: &[Blob], cursors: &Cursors) -> Result<Option<Work>, Reply> {
        let work = |operations: Vec<Operation>, shape| Ok(Some(Work { operations, shape }));
        let all = |operation: fn(&Blob) -> Operation| words[1..].iter().map(operation).collect();
        match command.name {
            "get" => work(vec![get(&words[1])], Shape::Value),
            "mget" => work(all(get), Shape::Values),
            "getdel" => work(vec![get(&words[1]), delete(&words[1])], Shape::Value),
            "exists" => work(all(get), Shape::Count),
            "del" => work(all(delete), Shape::Count),
            "set" => set(command, words).map(Some),
            "mset" => {
                let (pairs, []) = words[1..].as_chunks::<2>() else { return Err(command.wrong_number()) };
                let put = |[key, value]: &[Blob; 2]| Operation::Put {
                    key: key.clone(),
                    value: value.clone(),
                    lives: Lives::Forever,
                };
                work(pairs.iter().map(put).collect(), Shape::AllStored)
            }
            "incr" => work(vec![Operation::Add { key: words[1].clone(), by: 1 }], Shape::Sum),
            "decr" => work(vec![Operation::Add { key: words[1].clone(), by: -1 }], Shape::Sum),
            "incrby" => {
                work(vec![Operation::Add { key: words[1].clone(), by: number(&words[2])? }], Shape::Sum)
            }
            "decrby" => {
                let overflow = || Reply::error("ERR decrement would overflow");
                let by = number(&words[2])?.checked_neg().ok_or_else(overflow)?;
                work(vec![Operation::Add { key: words[1].clone(), by }], Shape::Sum)
            }
            "expire" | "pexpire" => {
                let unit = if command.name == "expire" { 1000 } else { 1 };
                match u64::try_from(millis(command, &words[2], unit)?) {
                    Ok(time @ 1..) => {
                        let lives = Lives::For(time);
                        work(vec![Operation::Live { key: words[1].clone(), lives }], Shape::Lives)
                    }
                    // A time that is over already.
                    _ => work(vec![delete(&words[1])], Shape::Count),
                }
            }
            "persist" => {
                let forever = Operation::Live { key: words[1].clone(), lives: Lives::Forever };
                work(vec![get(&words[1]), forever], Shape::Persisted)
            }
            "ttl" => work(vec![get(&words[1])], Shape::Left { unit: 1000 }),
            "pttl" => work(vec![get(&words[1])], Shape::Left { unit: 1 }),
            "scan" => scan(words, cursors).map(Some),
            _ => Ok(None),
        }
    }

    /// The operations.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// True if it changes nothing, whatever the store.
    pub fn only_asks(&self) -> bool {
        self.operations.iter().all(Operation::only_asks)
    }

    /// The bytes of keys and values, and some for each operation.
    pub(crate) fn size(&self) -> usize {
        let size = |operation: &Operation| {
            16 + match operation {
                Operation::Put { key, value, .. } | Operation::PutIf { key, value, .. } => {
                    key.len() + value.len()
                }
                Operation::Get { key }
                | Operation::Add { key, .. }
                | Operation::Live { key, .. }
                | Operation::Delete { key } => key.len(),
                Operation::List { prefix, after, .. } => {
                    prefix.len() + after.as_ref().map_or(0, |after| after.len())
                }
                _ => 0,
            }
        };
        self.operations.iter().map(size).sum()
    }

    /// True if outcomes have values in them, which may be long.
    pub(crate) fn tells_values(&self) -> bool {
        self.operations.iter().any(|operation| {
            matches!(operation, Operation::Get { .. } | Operation::List { .. } | Operation::PutIf { .. })
        })
    }

    /// The reply to the outcomes of the operations, which are the next ones.
    pub fn reply(self, outcomes: &mut impl Iterator<Item = Outcome>, cursors: &mut Cursors) -> Reply {
        let mine: Vec<Outcome> = outcomes.take(self.operations.len()).collect();
        let is_whole = mine.len() == self.operations.len();
        self.shape.reply(mine, cursors).filter(|_| is_whole).unwrap_or_else(strange)
    }
}

/// The reply to an answer that no store gives.
pub(crate) fn strange() -> Reply {
    Reply::error("ERR the cluster gave an answer of another kind; it may have taken effect")
}

/// The reply to an output that says that nothing was done, if it is one: the store is full.
pub(crate) fn full(output: &StoreOutput) -> Option<Reply> {
    let StoreOutput::Full { held, most, .. } = output else { return None };
    Some(Reply::Error(format!(
        "OOM the store is full, so nothing was done: it holds {held} bytes, and most-bytes in its configuration allows {most}; delete \
         something or raise that"
    )))
}

fn set(command: &Command, words: &[Blob]) -> Result<Work, Reply> {
    let (key, value) = (&words[1], &words[2]);
    let (mut exists, mut lives, mut tells) = (None, None, false);
    let mut options = words[3..].iter();
    while let Some(option) = options.next() {
        let given = option.to_ascii_uppercase();
        match given.as_slice() {
            b"NX" if exists != Some(true) => exists = Some(false),
            b"XX" if exists != Some(false) => exists = Some(true),
            b"GET" => tells = true,
            b"KEEPTTL" if lives.is_none() => lives = Some(Lives::AsBefore),
            b"EX" | b"PX" if lives.is_none() => {
                let Some(word) = options.next() else { return syntax() };
                let time = millis(command, word, if given == b"EX" { 1000 } else { 1 })?;
                match u64::try_from(time) {
                    Ok(time @ 1..) => lives = Some(Lives::For(time)),
                    _ => return Err(Reply::error("ERR invalid expire time in 'set' command")),
                }
            }
            b"EXAT" | b"PXAT" => {
                return Err(Reply::error(
                    "ERR syntax error: synod serves SET with EX and PX, not with a point in time",
                ));
            }
            _ => return syntax(),
        }
    }
    let (key, value, lives) = (key.clone(), value.clone(), lives.unwrap_or(Lives::Forever));
    let put = match exists {
        None => Operation::Put { key: key.clone(), value, lives },
        Some(exists) => Operation::PutIf { key: key.clone(), value, lives, exists },
    };
    Ok(if tells {
        Work { operations: vec![get(&key), put], shape: Shape::Value }
    } else {
        Work { operations: vec![put], shape: Shape::Stored }
    })
}

fn scan(words: &[Blob], cursors: &Cursors) -> Result<Work, Reply> {
    let cursor: Option<u64> = std::str::from_utf8(&words[1]).ok().and_then(|text| text.parse().ok());
    let after = match cursor {
        None => return Err(Reply::error("ERR invalid cursor")),
        Some(0) => None,
        Some(cursor) => match cursors.key(cursor) {
            None => {
                return Err(Reply::error(
                    "ERR invalid cursor: it is too old or another member's; begin again with 0",
                ));
            }
            Some(key) => Some(key.clone()),
        },
    };
    let (mut pattern, mut limit) = (None, COUNT);
    let (options, []) = words[2..].as_chunks::<2>() else { return syntax() };
    for [option, word] in options {
        match option.to_ascii_uppercase().as_slice() {
            b"MATCH" if word.len() > MOST_PATTERN => {
                return Err(Reply::error(format!("ERR a pattern has at most {MOST_PATTERN} bytes")));
            }
            b"MATCH" => pattern = Some(word.clone()),
            b"COUNT" => match number(word)? {
                count @ 1.. => limit = u32::try_from(count).unwrap_or(u32::MAX),
                _ => return syntax(),
            },
            _ => return syntax(),
        }
    }
    let prefix = Blob::from(pattern.as_ref().map_or(&b""[..], |pattern| glob::prefix(pattern)));
    Ok(Work { operations: vec![Operation::List { prefix, after, limit }], shape: Shape::Scan { pattern } })
}

impl Shape {
    /// The reply; nothing if no store has such outcomes.
    fn reply(self, outcomes: Vec<Outcome>, cursors: &mut Cursors) -> Option<Reply> {
        let value = |outcome: Outcome| match outcome {
            Outcome::Found(item) => Some(Reply::Bulk(item.value)),
            Outcome::Absent => Some(Reply::Nil),
            _ => None,
        };
        let yes = |yes: bool| Some(Reply::Integer(yes.into()));
        if let Shape::Values = self {
            return outcomes.into_iter().map(value).collect::<Option<_>>().map(Reply::Array);
        }
        if let Shape::Count = self {
            let counts = outcomes.into_iter().map(|outcome| match outcome {
                Outcome::Found(_) | Outcome::Deleted => Some(1),
                Outcome::Absent => Some(0),
                _ => None,
            });
            return counts.sum::<Option<i64>>().map(Reply::Integer);
        }
        let first = outcomes.into_iter().next()?;
        match (self, first) {
            (Shape::Value, outcome) => value(outcome),
            (Shape::Stored | Shape::AllStored, Outcome::Stored { .. }) => Some(Reply::OK),
            (Shape::Stored, Outcome::Found(_) | Outcome::Absent) => Some(Reply::Nil),
            (Shape::Sum, Outcome::Sum { sum, .. }) => Some(Reply::Integer(sum)),
            (Shape::Sum, Outcome::NoNumber) => {
                Some(Reply::error("ERR value is not an integer or out of range"))
            }
            (Shape::Lives, Outcome::Lives) => yes(true),
            (Shape::Lives | Shape::Persisted, Outcome::Absent) => yes(false),
            (Shape::Persisted, Outcome::Found(item)) => yes(item.left.is_some()),
            (Shape::Left { .. }, Outcome::Absent) => Some(Reply::Integer(-2)),
            (Shape::Left { unit }, Outcome::Found(item)) => Some(Reply::Integer(match item.left {
                None => -1,
                Some(left) => ((left + unit / 2) / unit) as i64,
            })),
            (Shape::Scan { pattern }, Outcome::Listed { items, more }) => {
                let next = match items.last() {
                    Some((last, _)) if more => cursors.keep(last),
                    _ => 0,
                };
                let keys = items.into_iter().map(|(key, _)| key);
                let is_meant =
                    |key: &Blob| pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, key));
                let keys = keys.filter(is_meant).map(Reply::Bulk).collect();
                Some(Reply::Array(vec![Reply::text(&next.to_string()), Reply::Array(keys)]))
            }
            _ => None,
        }
    }
}
