//! The machine that models of a log run: one register, and the table of answers.
//!
//! A command is a word. A word that begins with `get` reads the register, and any other word is written. The answer to both is what was there before. So
//! the answers show a command that took effect twice or in another order. The call stands for a session and a
//! number: the same word in another call is another command.

use std::sync::Arc;
use synod::{Instance, LogEntry, Machine, Value};
use synod_machine::Chain;

/// A register, and everything that was executed on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The executed commands with their instances, in order.
    pub executed: Vec<(Instance, Value)>,
    /// True if a command that comes again takes effect again, as if the machine had no table of sessions.
    pub forgets_sessions: bool,
}

/// The answer for an empty register.
const NOTHING: &str = "nothing";

fn is_read(command: &Value) -> bool {
    command.as_bytes().starts_with(b"get")
}

/// The contents of a register after a command, and the command's answer.
pub(crate) fn alone(before: Option<&Value>, command: &Value) -> (Option<Value>, Value) {
    let after = if is_read(command) { before } else { Some(command) };
    (after.cloned(), before.cloned().unwrap_or_else(|| Value::from(NOTHING)))
}

/// The executed commands, one per line.
fn lines(executed: &[(Instance, Value)]) -> Vec<u8> {
    let line = |(instance, command): &(Instance, Value)| {
        format!("{} {}\n", instance.0, String::from_utf8_lossy(command.as_bytes()))
    };
    executed.iter().map(line).collect::<String>().into_bytes()
}

/// A checksum of the executed commands.
fn sum(executed: &[(Instance, Value)]) -> u64 {
    let mut chain = Chain::new();
    chain.extend(&lines(executed), &[]);
    chain.sum.0
}

impl Ledger {
    /// A machine that has executed nothing.
    pub fn shared() -> Arc<dyn Machine> {
        Arc::new(Ledger::default())
    }

    /// The executed commands that a snapshot lists.
    pub fn executed_in(snapshot: &[u8]) -> Vec<(Instance, Value)> {
        let entry = |line: &str| {
            let (instance, command) = line.split_once(' ')?;
            Some((Instance(instance.parse().ok()?), Value::from(command)))
        };
        let lines = String::from_utf8_lossy(snapshot);
        lines.lines().take_while(|line| !line.is_empty()).filter_map(entry).collect()
    }

    /// The contents of the register after this many commands.
    fn holds(&self, entries: usize) -> Value {
        let commands = self.executed[..entries].iter().rev().filter_map(|(_, value)| LogEntry::read(value));
        let mut written = commands.map(|entry| entry.command).filter(|command| !is_read(command));
        written.next().unwrap_or_else(|| Value::from(NOTHING))
    }
}

impl Machine for Ledger {
    fn execute(&mut self, instance: Instance, entry: &LogEntry) -> Value {
        if let Some(said) = self.said(entry) {
            return said;
        }
        let before = self.holds(self.executed.len());
        self.executed.push((instance, entry.value()));
        before
    }

    fn said(&self, entry: &LogEntry) -> Option<Value> {
        let value = entry.value();
        let place = self.executed.iter().position(|(_, executed)| *executed == value)?;
        (!self.forgets_sessions).then(|| self.holds(place))
    }

    fn query(&self, command: &Value) -> Option<Value> {
        is_read(command).then(|| self.holds(self.executed.len()))
    }

    fn snapshot(&self) -> Vec<u8> {
        lines(&self.executed)
    }

    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        Some(Box::new(Ledger { executed: Ledger::executed_in(snapshot), ..*self }))
    }

    fn checksum(&self) -> u64 {
        sum(&self.executed)
    }

    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

/// Any other machine, and everything that was executed on it, each command once.
#[derive(Debug)]
pub(crate) struct Recorded {
    executed: Vec<(Instance, Value)>,
    machine: Box<dyn Machine>,
    /// As in [`Ledger`]: a command that comes again goes by a number in its session that is new.
    forgets_sessions: bool,
}

impl Recorded {
    /// Nothing was executed since.
    pub(crate) fn new(machine: Box<dyn Machine>, forgets_sessions: bool) -> Recorded {
        Recorded { executed: Vec::new(), machine, forgets_sessions }
    }

    /// The command that the machine is given.
    fn given(&self, instance: Instance, entry: &LogEntry) -> LogEntry {
        let text = String::from_utf8_lossy(entry.command.as_bytes());
        let command = match text.split_once(['.', ' ']).filter(|_| self.forgets_sessions) {
            Some((session, rest)) => {
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                Value::from(format!("{session}.{}{rest}", 100 + instance.0).as_str())
            }
            None => entry.command.clone(),
        };
        LogEntry { call: entry.call, command }
    }
}

impl Machine for Recorded {
    fn execute(&mut self, instance: Instance, entry: &LogEntry) -> Value {
        let value = entry.value();
        if !self.executed.iter().any(|(_, executed)| *executed == value) {
            self.executed.push((instance, value));
        }
        self.machine.execute(instance, &self.given(instance, entry))
    }

    fn said(&self, entry: &LogEntry) -> Option<Value> {
        self.machine.said(entry).filter(|_| !self.forgets_sessions)
    }

    fn query(&self, command: &Value) -> Option<Value> {
        self.machine.query(command)
    }

    /// An empty line tells where the record ends.
    fn snapshot(&self) -> Vec<u8> {
        let mut snapshot = lines(&self.executed);
        snapshot.push(b'\n');
        snapshot.extend(self.machine.snapshot());
        snapshot
    }

    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        let executed = Ledger::executed_in(snapshot);
        let machine = self.machine.restored(snapshot.get(lines(&executed).len() + 1..)?)?;
        Some(Box::new(Recorded { executed, machine, forgets_sessions: self.forgets_sessions }))
    }

    fn checksum(&self) -> u64 {
        self.machine.checksum()
    }

    fn copy(&self) -> Box<dyn Machine> {
        Box::new(Recorded {
            executed: self.executed.clone(),
            machine: self.machine.copy(),
            forgets_sessions: self.forgets_sessions,
        })
    }
}

/// A machine that takes each command for another, and so diverges from its replicas.
#[derive(Debug)]
pub(crate) struct Otherwise(pub(crate) Box<dyn Machine>);

impl Otherwise {
    fn taken_for(entry: &LogEntry) -> LogEntry {
        let command = Value::from([entry.command.as_bytes(), b"_"].concat().as_slice());
        LogEntry { call: entry.call, command }
    }
}

impl Machine for Otherwise {
    fn execute(&mut self, instance: Instance, entry: &LogEntry) -> Value {
        self.0.execute(instance, &Otherwise::taken_for(entry))
    }

    fn said(&self, entry: &LogEntry) -> Option<Value> {
        self.0.said(&Otherwise::taken_for(entry))
    }

    fn query(&self, command: &Value) -> Option<Value> {
        self.0.query(command)
    }

    /// With a mark at the end: it is not equal to any other machine.
    fn snapshot(&self) -> Vec<u8> {
        let mut snapshot = self.0.snapshot();
        snapshot.extend(b"\n_");
        snapshot
    }

    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        Some(Box::new(Otherwise(self.0.restored(snapshot.strip_suffix(b"\n_").unwrap_or(snapshot))?)))
    }

    fn checksum(&self) -> u64 {
        self.0.checksum()
    }

    fn copy(&self) -> Box<dyn Machine> {
        Box::new(Otherwise(self.0.copy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::Call;

    #[test]
    fn each_command_is_told_what_was_there_before_it_however_often_it_comes() {
        let mut ledger = Ledger::default();
        let entry = |client: usize, command: &str| LogEntry {
            call: Call { client: client.into(), number: 1 },
            command: Value::from(command),
        };
        let mut run = |at, client, command: &str| ledger.execute(Instance(at), &entry(client, command));
        assert_eq!(run(0, 1, "x"), Value::from("nothing"));
        assert_eq!(run(1, 2, "get"), Value::from("x"));
        assert_eq!(run(3, 3, "y"), Value::from("x"));
        assert_eq!(
            run(4, 1, "x"),
            Value::from("nothing"),
            "it is told what it was told, and does not take effect"
        );
        assert_eq!(run(5, 4, "get"), Value::from("y"), "another's call is another one, in the same words");
        assert_eq!(ledger.query(&Value::from("get2")), Some(Value::from("y")));
        assert_eq!(ledger.query(&Value::from("x")), None);
        assert_eq!(Ledger::executed_in(&ledger.snapshot()), ledger.executed);
        let mut forgets = Ledger { forgets_sessions: true, ..ledger };
        assert_eq!(forgets.execute(Instance(6), &entry(1, "x")), Value::from("y"));
    }
}
