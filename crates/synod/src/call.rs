//! Guarantees that a client's command in the log is told from every other by its call: whose it is, and which of that client's
//! calls.
//!
//! Two clients may send the same words, and one client may send them twice. A server finds the client to answer by the call and
//! not by the words. If it went by the words, a client that asks later at a server that is behind would get the answer to an
//! earlier call (L1). So the call stands before the command in the log. The server that was asked writes it there, from the
//! sender and the number of the message.
//!
//! Where one server is master, a *fence* stands behind the call: the instance since which that server is master. What it means is for `mastery` to say.

use crate::ballot::{Instance, Value};
use stateright::actor::Id;
use std::fmt;

/// A client, and the number of one of its calls. A client that asks something new takes a new number. A client that asks again
/// keeps the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The client.
    pub client: Id,
    /// The number of the call.
    pub number: u64,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", usize::from(self.client), self.number)
    }
}

/// A client's command as it stands in the log: the call, a space and the command, as in `3.1 x`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogEntry {
    /// The call that the command is of.
    pub call: Call,
    /// The command to be executed.
    pub command: Value,
}

impl LogEntry {
    /// The most bytes by which it is longer than its command: three numbers of at most twenty digits, a dot, an at sign and a space.
    pub const COSTS: usize = 63;

    /// The value that stands for it in the log.
    pub fn value(&self) -> Value {
        Value::from([self.head().as_bytes(), self.command.as_bytes()].concat().as_slice())
    }

    /// The value that stands for it behind a fence, as in `3.1@7 x`.
    pub fn fenced(&self, fence: Instance) -> Value {
        Value::from([self.head_with(Some(fence)).as_bytes(), self.command.as_bytes()].concat().as_slice())
    }

    /// The part of that value that stands before the command.
    pub fn head(&self) -> String {
        self.head_with(None)
    }

    fn head_with(&self, fence: Option<Instance>) -> String {
        match fence {
            None => format!("{:?} ", self.call),
            Some(Instance(fence)) => format!("{:?}@{fence} ", self.call),
        }
    }

    /// The command and call that a value stands for, if it stands for any. No two values stand for the same, but for the fence.
    pub fn read(value: &Value) -> Option<LogEntry> {
        LogEntry::read_fenced(value).map(|(logged, _)| logged)
    }

    /// The same and the fence, if there is one.
    pub fn read_fenced(value: &Value) -> Option<(LogEntry, Option<Instance>)> {
        let bytes = value.as_bytes();
        let space = bytes.iter().take(LogEntry::COSTS).position(|byte| *byte == b' ')?;
        let (client, number) = std::str::from_utf8(&bytes[..space]).ok()?.split_once('.')?;
        let (number, fence) = match number.split_once('@') {
            None => (number, None),
            Some((number, fence)) => (number, Some(Instance(fence.parse().ok()?))),
        };
        let (client, number): (u64, u64) = (client.parse().ok()?, number.parse().ok()?);
        let call = Call { client: Id::from(usize::try_from(client).ok()?), number };
        let logged = LogEntry { call, command: Value::from(&bytes[space + 1..]) };
        (logged.head_with(fence).as_bytes() == &bytes[..=space]).then_some((logged, fence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written_and_nothing_else_is_one() {
        for (client, number, command) in [(0, 0, ""), (3, 1, "x"), (usize::MAX, u64::MAX, "a b . c")] {
            let logged =
                LogEntry { call: Call { client: client.into(), number }, command: Value::from(command) };
            let value = logged.value();
            assert!(value.as_bytes().len() <= command.len() + LogEntry::COSTS);
            assert_eq!(LogEntry::read_fenced(&value), Some((logged.clone(), None)));
            for fence in [0, u64::MAX].map(Instance) {
                let fenced = logged.fenced(fence);
                assert!(fenced.as_bytes().len() <= command.len() + LogEntry::COSTS);
                assert_eq!(LogEntry::read_fenced(&fenced), Some((logged.clone(), Some(fence))));
            }
            assert_eq!(LogEntry::read(&value), Some(logged));
        }
        for text in [
            "",
            "x",
            "3.1",
            "3 x",
            "3.1x y",
            "03.1 x",
            "3.+1 x",
            " 3.1 x",
            "3.1.1 x",
            "-3.1 x",
            "3.1@ x",
            "3.1@01 x",
            "3.1@1@1 x",
            "3@1.1 x",
            "99999999999999999999.1 x",
        ] {
            assert_eq!(LogEntry::read(&Value::from(text)), None, "{text:?}");
        }
        assert_eq!(LogEntry::read(&Value::from(&[0xff, b'.', b'1', b' '][..])), None);
    }
}
