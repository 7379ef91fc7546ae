//! The words of changes of members, as they stand in the log, and the reasons why one has no effect.

use crate::ballot::{Instance, Value};
use crate::quorum::MAX_ACCEPTORS;
use std::fmt;

/// A change that an operator asks for. Members go by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new member is to join.
    Add(usize),
    /// A member, or one that is to join, is to leave.
    Remove(usize),
    /// The first is to leave when the second, which is new, joins.
    Replace(usize, usize),
}

impl Change {
    /// The words in the log: `add 3`, `remove 1` or `replace 1 3`.
    pub fn words(self) -> String {
        match self {
            Change::Add(new) => format!("add {new}"),
            Change::Remove(old) => format!("remove {old}"),
            Change::Replace(old, new) => format!("replace {old} {new}"),
        }
    }

    /// The change that a command stands for, if it stands for one. No two commands stand for the same.
    pub fn read(command: &Value) -> Option<Change> {
        let words: Vec<&str> = std::str::from_utf8(command.as_bytes()).ok()?.split(' ').collect();
        let change = match words.as_slice() {
            ["add", new] => Change::Add(new.parse().ok()?),
            ["remove", old] => Change::Remove(old.parse().ok()?),
            ["replace", old, new] => Change::Replace(old.parse().ok()?, new.parse().ok()?),
            _ => return None,
        };
        (change.words().as_bytes() == command.as_bytes()).then_some(change)
    }
}

/// The command by which a learner asks to become a member.
pub(super) const JOIN: &str = "join";

/// The command by which a member says that all that was chosen under other members is on its disk.
pub(super) const SAVED: &str = "saved";

/// The command by which a learner asks to become a member.
pub(crate) fn join() -> Value {
    Value::from(JOIN)
}

/// The command by which a member says that all that was chosen under other members is on its disk.
pub(crate) fn saved() -> Value {
    Value::from(SAVED)
}

/// The reason why a change has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The words are no change.
    Unread,
    /// The id is no member's, and no member can have it.
    Unknown(usize),
    /// The id is or was another's.
    Used(usize),
    /// An earlier change does not govern yet.
    InFlight(Instance),
    /// The quorum rules cannot be met without the member.
    LosesQuorum(usize),
    /// A configuration has no room for another member.
    Full,
    /// The process is no learner.
    NoLearner(usize),
    /// The server was so many instances behind when it asked.
    Behind(u64),
    /// Another process is to replace the member already.
    Replaced(usize),
    /// A later call of the same caller was executed. This one may have been too.
    Late,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unread => f.write_str("refused: not a change of members"),
            Refusal::Unknown(id) => write!(f, "refused: {id} is not a member, and is not waiting to join"),
            Refusal::Used(id) => write!(f, "refused: {id} is or was a member; a new disk needs a new id"),
            Refusal::InFlight(from) => {
                write!(f, "refused: an earlier change governs only from {from:?} on; ask again then")
            }
            Refusal::LosesQuorum(id) => {
                write!(f, "refused: the rules of quorums cannot be met with this change of {id}")
            }
            Refusal::Full => write!(f, "refused: there are {MAX_ACCEPTORS} members and learners already"),
            Refusal::NoLearner(id) => write!(f, "refused: {id} was not added"),
            Refusal::Behind(instances) => {
                write!(f, "refused: not caught up, but {instances} instances behind")
            }
            Refusal::Replaced(id) => write!(f, "refused: another one is to replace {id} already"),
            Refusal::Late => {
                f.write_str("unknown: a later call was executed, and what became of this one is forgotten")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_change_are_not_read_as_one() {
        for words in [
            "",
            "add",
            "add ",
            "add 01",
            "add +1",
            "add 1 ",
            "Add 1",
            "replace 1",
            "replace 1 2 3",
            "remove -1",
        ] {
            assert_eq!(Change::read(&Value::from(words)), None, "{words:?}");
        }
        for change in [Change::Add(0), Change::Remove(127), Change::Replace(3, 4)] {
            assert_eq!(Change::read(&Value::from(change.words().as_str())), Some(change));
        }
    }
}
