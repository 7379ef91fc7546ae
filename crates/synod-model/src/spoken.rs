//! The commands of the bank, the store and the locks in words that people can read.
//!
//! `1.2 deposit a 5` is command number 2 of session 1. One session per client is opened before the first state: client *i* has
//! session *i*. A model may open and close more, as in `open 9` and `close 1`. A command without a session is a
//! question: `balance a`, `get k`, `holder l`.

use crate::ledger::Recorded;
use stateright::actor::Id;
use std::fmt::Debug;
use std::sync::Arc;
use synod::{Call, Instance, LogEntry, Machine, Value};
use synod_apply::{Applied, Wording};
use synod_machine::{
    Bank, BankCommand, Blob, Expect, Kv, KvCommand, Limits, LockCommand, Locks, SessionCommand,
    SessionOutput, Sessions, StateMachine,
};

/// A machine whose commands can be read.
pub(crate) trait Spoken: StateMachine + Ord + Default {
    /// The command that some words mean, if they mean one.
    fn heard(words: &[&str]) -> Option<Self::Command>;

    /// All commands, in words, for the error about any other.
    const SPEECH: &'static str;
}

/// An account by its letter.
fn account(word: &str) -> Option<u64> {
    word.bytes().next().filter(|_| word.len() == 1).map(u64::from)
}

impl Spoken for Bank {
    const SPEECH: &'static str = "balance ACCOUNT, deposit ACCOUNT N, withdraw ACCOUNT N, transfer FROM TO N, an account being one letter";

    fn heard(words: &[&str]) -> Option<BankCommand> {
        Some(match *words {
            ["balance", whose] => BankCommand::Balance { account: account(whose)? },
            ["deposit", whose, amount] => {
                BankCommand::Deposit { account: account(whose)?, amount: amount.parse().ok()? }
            }
            ["withdraw", whose, amount] => {
                BankCommand::Withdraw { account: account(whose)?, amount: amount.parse().ok()? }
            }
            ["transfer", from, to, amount] => {
                BankCommand::Transfer { from: account(from)?, to: account(to)?, amount: amount.parse().ok()? }
            }
            _ => return None,
        })
    }
}

/// The expectation of a compare-and-swap: `absent`, `#3` for a version, or a value.
fn expected(word: &str) -> Option<Expect> {
    Some(match word.strip_prefix('#') {
        Some(version) => Expect::Version(version.parse().ok()?),
        None if word == "absent" => Expect::Absent,
        None => Expect::Value(word.into()),
    })
}

impl Spoken for Kv {
    const SPEECH: &'static str = "get KEY, put KEY VALUE, cas KEY EXPECTED VALUE, delete KEY, delete KEY EXPECTED, what is expected being a value, #VERSION or absent";

    fn heard(words: &[&str]) -> Option<KvCommand> {
        let blob = |word: &str| Blob::from(word);
        Some(match *words {
            ["get", key] => KvCommand::Get { key: blob(key) },
            ["put", key, value] => KvCommand::Put { key: blob(key), value: blob(value) },
            ["cas", key, expect, value] => {
                KvCommand::Cas { key: blob(key), expect: expected(expect)?, value: blob(value) }
            }
            ["delete", key] => KvCommand::Delete { key: blob(key), expect: None },
            ["delete", key, expect] => KvCommand::Delete { key: blob(key), expect: Some(expected(expect)?) },
            _ => return None,
        })
    }
}

impl Spoken for Locks {
    const SPEECH: &'static str = "holder LOCK, acquire LOCK OWNER, release LOCK TOKEN OWNER";

    fn heard(words: &[&str]) -> Option<LockCommand> {
        let blob = |word: &str| Blob::from(word);
        Some(match *words {
            ["holder", lock] => LockCommand::Holder { lock: blob(lock) },
            ["acquire", lock, owner] => LockCommand::Acquire { lock: blob(lock), owner: blob(owner) },
            ["release", lock, token, owner] => {
                LockCommand::Release { lock: blob(lock), token: token.parse().ok()?, owner: blob(owner) }
            }
            _ => return None,
        })
    }
}

/// The words in which models speak with machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words;

impl<M: Spoken> Wording<M> for Words {
    fn command(bytes: &[u8]) -> Option<SessionCommand<M::Command>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        match *words.as_slice() {
            ["open", client] => return Some(SessionCommand::Open { client: client.parse().ok()? }),
            ["close", session] => return Some(SessionCommand::Close { session: session.parse().ok()? }),
            _ => {}
        }
        let Some((session, number)) = words.first()?.split_once('.') else {
            return M::heard(&words).map(SessionCommand::Query);
        };
        let (session, number) = (session.parse().ok()?, number.parse().ok()?);
        Some(SessionCommand::Apply { session, number, command: M::heard(&words[1..])? })
    }

    fn output(output: Option<&SessionOutput<M::Output>>) -> Vec<u8> {
        match output {
            Some(SessionOutput::Output(output)) => said(output),
            Some(other) => format!("{other:?}").into_bytes(),
            None => b"not understood".to_vec(),
        }
    }
}

/// A machine's answer, in words.
fn said(output: &impl Debug) -> Vec<u8> {
    format!("{output:?}").into_bytes()
}

/// A command as it takes effect on a machine without sessions, and what is said of that: what a sequential object does.
pub(crate) fn alone<M: Spoken>(machine: &M, command: &Value) -> (M, Value) {
    let mut next = machine.clone();
    let output = match <Words as Wording<M>>::command(command.as_bytes()) {
        Some(SessionCommand::Apply { command, .. } | SessionCommand::Query(command)) => {
            said(&next.apply(&command))
        }
        _ => <Words as Wording<M>>::output(None),
    };
    (next, Value::from(output.as_slice()))
}

/// True if a command is about a session and not for the machine.
pub(crate) fn is_about_sessions(command: &Value) -> bool {
    let bytes = command.as_bytes();
    bytes.starts_with(b"open ") || bytes.starts_with(b"close ")
}

/// True if a client is told that its session is over. That leaves open whether its command took effect before.
pub(crate) fn leaves_open(output: &Value) -> bool {
    [&b"Expired"[..], b"Answered"].contains(&output.as_bytes())
}

/// True if a machine hears something in these words.
pub(crate) fn is_heard<M: Spoken>(command: &Value) -> bool {
    <Words as Wording<M>>::command(command.as_bytes()).is_some()
}

/// A command that was executed before anybody asked.
fn nobodys(number: u64, command: &str) -> LogEntry {
    LogEntry { call: Call { client: Id::from(0), number }, command: Value::from(command) }
}

/// A machine with a session for each client, that writes down what it executes.
pub(crate) fn with_sessions<M: Spoken>(clients: usize, forgets_sessions: bool) -> Arc<dyn Machine> {
    let sessions = Sessions::new(M::default(), Limits::default()).expect("there is room for a session");
    let mut machine: Applied<M, Words> = Applied::new(sessions);
    for client in 1..=clients {
        machine.execute(Instance::FIRST, &nobodys(client as u64, &format!("open {client}")));
    }
    Arc::new(Recorded::new(Box::new(machine), forgets_sessions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<M: Spoken>(commands: &[&str]) -> Vec<String> {
        let mut machine = with_sessions::<M>(2, false).copy();
        let said = |output: Value| String::from_utf8_lossy(output.as_bytes()).into_owned();
        let run = |command: &&str| said(machine.execute(Instance::FIRST, &nobodys(0, command)));
        commands.iter().map(run).collect()
    }

    #[test]
    fn a_bank_says_what_became_of_each_command_and_says_it_again() {
        let commands = ["1.1 deposit a 5", "2.1 withdraw a 7", "1.1 deposit a 5", "balance a", "1.1", "x"];
        let said = run::<Bank>(&commands);
        assert_eq!(said[0], "Done { old: 0, new: 5 }");
        assert_eq!(said[1], "NotCovered { balance: 5 }");
        assert_eq!(said[2], said[0]);
        assert_eq!(said[3], "Done { old: 5, new: 5 }");
        assert_eq!((said[4].as_str(), said[5].as_str()), ("not understood", "not understood"));
        let said = run::<Bank>(&["close 1", "1.1 deposit a 5", "open 1", "3.1 transfer a b 1"]);
        assert_eq!(said, ["Ended", "Expired", "Opened { session: 3 }", "NotCovered { balance: 0 }"]);
    }

    #[test]
    fn a_store_and_locks_hear_what_is_said_to_them() {
        let commands =
            ["1.1 put k x", "1.2 cas k x y", "2.1 cas k #1 z", "1.3 delete k absent", "1.4 delete k"];
        assert_eq!(run::<Kv>(&commands)[1], "Stored { version: 2 }");
        assert!(run::<Kv>(&commands)[2].starts_with("Conflict"), "another version is there");
        assert!(run::<Kv>(&commands)[3].starts_with("Conflict"));
        assert_eq!(run::<Kv>(&commands)[4], "Deleted");
        let commands =
            ["1.1 acquire l a", "2.1 acquire l b", "1.2 release l 1 a", "2.2 acquire l b", "holder l"];
        let said = run::<Locks>(&commands);
        assert_eq!(said[0], "Granted { token: 1 }");
        assert!(said[1].starts_with("Busy") && said[4].contains("token: 2"), "{said:?}");
        assert_eq!((said[2].as_str(), said[3].as_str()), ("Released", "Granted { token: 2 }"));
    }

    #[test]
    fn alone_a_machine_says_the_same_as_with_sessions() {
        let commands = ["1.1 deposit a 5", "2.1 withdraw a 3", "1.2 withdraw a 3", "balance a", "x"];
        let mut bank = Bank::default();
        for (command, expected) in commands.iter().zip(run::<Bank>(&commands)) {
            let (next, output) = alone(&bank, &Value::from(*command));
            assert_eq!(output, Value::from(expected.as_str()));
            bank = next;
        }
    }
}
