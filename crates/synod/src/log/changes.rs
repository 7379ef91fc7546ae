//! The words of changes of members, as they stand in the log, and the reasons why one has no effect.

use crate::ballot::{Instance, Value};
use crate::quorum::MAX_ACCEPTORS;
use std::fmt;

/// A change that an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is to change.
    pub kind: ChangeKind,
    /// The number of the configuration on which it rests: it has no effect if another one governs last when it is executed. `None`: it has its
    /// effect whenever it is executed.
    pub on: Option<u64>,
}

/// What is to change. Members go by their indices, and their addresses are words that the log keeps and does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A new member is to join.
    Add {
        /// The new member.
        new: usize,
        /// Its address, if the log is to know it.
        at: Option<Value>,
    },
    /// A member, or one that is to join, is to leave.
    Remove(usize),
    /// A member is to leave when another, which is new, joins.
    Replace {
        /// The member that leaves.
        old: usize,
        /// The new member.
        new: usize,
        /// Its address, if the log is to know it.
        at: Option<Value>,
    },
    /// A member, or one that is to join, has moved. No configuration changes.
    SetAddress {
        /// Who has moved.
        id: usize,
        /// Its address.
        at: Value,
    },
}

impl From<ChangeKind> for Change {
    fn from(kind: ChangeKind) -> Change {
        Change { kind, on: None }
    }
}

/// The most bytes of an address.
pub const LONGEST_ADDRESS: usize = 64;

impl Change {
    /// The words in the log: `add 3`, `add 3 at ADDRESS`, `remove 1`, `replace 1 3`, `replace 1 3 at ADDRESS` or `set-address 3 ADDRESS`, and behind
    /// them ` on 7` if it rests on configuration 7.
    pub fn words(&self) -> String {
        let word = |address: &Value| String::from_utf8_lossy(address.as_bytes()).into_owned();
        let place =
            |at: &Option<Value>| at.as_ref().map_or_else(String::new, |at| format!(" at {}", word(at)));
        let what = match &self.kind {
            ChangeKind::Add { new, at } => format!("add {new}{}", place(at)),
            ChangeKind::Remove(old) => format!("remove {old}"),
            ChangeKind::Replace { old, new, at } => format!("replace {old} {new}{}", place(at)),
            ChangeKind::SetAddress { id, at } => format!("set-address {id} {}", word(at)),
        };
        match self.on {
            Some(number) => format!("{what} on {number}"),
            None => what,
        }
    }

    /// The change that a command stands for, if it stands for one. No two commands stand for the same.
    pub fn read(command: &Value) -> Option<Change> {
        if command.as_bytes().len() > LONGEST {
            return None;
        }
        let words: Vec<&str> = std::str::from_utf8(command.as_bytes()).ok()?.split(' ').collect();
        let (what, on) = match words.as_slice() {
            [what @ .., "on", number] => (what, Some(number.parse().ok()?)),
            what => (what, None),
        };
        let kind = match what {
            ["add", new] => ChangeKind::Add { new: new.parse().ok()?, at: None },
            ["add", new, "at", at] => ChangeKind::Add { new: new.parse().ok()?, at: Some(address(at)?) },
            ["remove", old] => ChangeKind::Remove(old.parse().ok()?),
            ["replace", old, new] => {
                ChangeKind::Replace { old: old.parse().ok()?, new: new.parse().ok()?, at: None }
            }
            ["replace", old, new, "at", at] => {
                let (old, new) = (old.parse().ok()?, new.parse().ok()?);
                ChangeKind::Replace { old, new, at: Some(address(at)?) }
            }
            ["set-address", id, at] => ChangeKind::SetAddress { id: id.parse().ok()?, at: address(at)? },
            _ => return None,
        };
        let change = Change { kind, on };
        (change.words().as_bytes() == command.as_bytes()).then_some(change)
    }
}

/// The longest change: three numbers of at most twenty digits, an address, and what is between them.
const LONGEST: usize = 160;

/// The address that a word is, if it is one: visible ASCII characters without the three that part the lines of snapshots.
pub fn address(word: &str) -> Option<Value> {
    let is_fit = |byte: u8| byte.is_ascii_graphic() && !b";|,".contains(&byte);
    let is_one = (1..=LONGEST_ADDRESS).contains(&word.len()) && word.bytes().all(is_fit);
    is_one.then(|| Value::from(word))
}

/// The command by which a learner asks to become a member.
const JOIN: &str = "join";

/// The command by which a member says that all that was chosen under other members is on its disk.
const SAVED: &str = "saved";

/// What a process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A learner asks to become a member: the number of its data directory, if it has one.
    Join(Option<u64>),
    /// A member has all on its disk that was chosen under other members.
    Saved,
}

impl Word {
    /// The command: `join`, `join 12345` or `saved`.
    pub(super) fn command(self) -> Value {
        match self {
            Word::Join(None) => Value::from(JOIN),
            Word::Join(Some(directory)) => Value::from(format!("{JOIN} {directory}").as_str()),
            Word::Saved => Value::from(SAVED),
        }
    }

    /// The word that a command stands for, if it stands for one. No two commands stand for the same.
    pub(super) fn read(command: &Value) -> Option<Word> {
        let bytes = command.as_bytes();
        let word = match bytes.strip_prefix(JOIN.as_bytes()) {
            Some([]) => Word::Join(None),
            Some([b' ', directory @ ..]) if directory.len() <= 20 => {
                Word::Join(Some(std::str::from_utf8(directory).ok()?.parse().ok()?))
            }
            _ => Word::Saved,
        };
        (word.command().as_bytes() == bytes).then_some(word)
    }
}

/// The command by which a learner asks to become a member, with its data directory.
pub(crate) fn join(directory: Option<u64>) -> Value {
    Word::Join(directory).command()
}

/// The command by which a member says that all that was chosen under other members is on its disk.
pub(crate) fn saved() -> Value {
    Word::Saved.command()
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
    /// The second is to replace the first already.
    Replaced(usize, usize),
    /// Another member has the address.
    Taken(usize),
    /// It rests on the first configuration, and the second governs last.
    Elsewhere(u64, u64),
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
            Refusal::Replaced(id, by) => {
                write!(f, "refused: {by} is to replace {id} already; if it never comes, remove {by} first")
            }
            Refusal::Taken(id) => write!(f, "refused: {id} has that address"),
            Refusal::Elsewhere(named, number) => {
                write!(
                    f,
                    "refused: it rests on configuration {named}, and {number} governs last; look and ask again"
                )
            }
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
            "add 1 at",
            "add 1 at ",
            "add 1 at a b",
            "add 1 at a;b",
            "add 1 a",
            "replace 1 at a",
            "set-address 1",
            "set-address 1 at a b",
            "set-address a 1",
            "remove 1 at a",
            "remove 1 on",
            "remove 1 on 01",
            "remove 1 on 1 on 1",
            "on 1",
        ] {
            assert_eq!(Change::read(&Value::from(words)), None, "{words:?}");
        }
        let at = || Value::from("10.0.0.3:7100");
        for kind in [
            ChangeKind::Add { new: 0, at: None },
            ChangeKind::Add { new: 3, at: Some(at()) },
            ChangeKind::Remove(127),
            ChangeKind::Replace { old: 3, new: 4, at: None },
            ChangeKind::Replace { old: 3, new: 4, at: Some(at()) },
            ChangeKind::SetAddress { id: 3, at: at() },
            ChangeKind::SetAddress { id: 3, at: Value::from("on") },
        ] {
            for on in [None, Some(0), Some(u64::MAX)] {
                let change = Change { kind: kind.clone(), on };
                assert_eq!(Change::read(&Value::from(change.words().as_str())), Some(change));
            }
        }
    }

    #[test]
    fn an_address_is_a_word_that_fits_into_a_snapshot() {
        let long = "x".repeat(LONGEST_ADDRESS);
        for word in ["h", "10.0.0.3:7100", "[::1]:9", "host.example:1", long.as_str()] {
            assert_eq!(address(word), Some(Value::from(word)), "{word:?}");
        }
        let longer = "x".repeat(LONGEST_ADDRESS + 1);
        for word in ["", " ", "a b", "a\nb", "a;b", "a|b", "a,b", "\u{e4}", "\u{7f}", longer.as_str()] {
            assert_eq!(address(word), None, "{word:?}");
        }
        let most = Change {
            kind: ChangeKind::Replace { old: usize::MAX, new: usize::MAX, at: address(&long) },
            on: Some(u64::MAX),
        };
        assert_eq!(Change::read(&Value::from(most.words().as_str())), Some(most), "the longest is read");
    }

    #[test]
    fn a_word_of_a_member_about_itself_is_read_as_it_was_written_and_nothing_else_is_one() {
        for word in [Word::Join(None), Word::Join(Some(0)), Word::Join(Some(u64::MAX)), Word::Saved] {
            assert_eq!(Word::read(&word.command()), Some(word));
        }
        for words in [
            "",
            "joi",
            "join ",
            "join 01",
            "join 1 2",
            "join x",
            "joined",
            "saved ",
            "saved 1",
            "join 18446744073709551616",
        ] {
            assert_eq!(Word::read(&Value::from(words)), None, "{words:?}");
        }
    }
}
