//! The rule for a member of a cluster whose members change: what it must have executed and heard before it takes part.
//!
//! Two things are different there. A peer that remembers may have been replaced, and a member may be asked back by those who never knew it. So what a
//! member may do follows from the log, as far as it has executed that, and from the words of those that govern there:
//!
//! 1. An id with which the cluster did not begin stands for the directory that joined under it, and the log names that ([`Members::directory`]).
//!    A directory of such an id takes part once the log says that it joined. If another one did, this one never does.
//! 2. An id with which the cluster began stands for the directory that all others of the beginning have recorded, as where members are fixed. Once
//!    somebody has executed a change, no directory of the beginning is new.
//! 3. A directory that has joined or was admitted before takes part once a majority of each configuration in force has answered
//!    this start, and it has executed all changes that one of those who answered has executed.
//!
//! Until then a process *learns*: it is told what was chosen, asks for more, and asks to join. Whatever it promised or accepted before, on this disk or a lost one, it
//! says nothing that rests on that, and nothing that anybody counts. So one that has forgotten what it promised harms nobody while it learns. It has to learn,
//! since only the log tells it who governs, and whether it has joined. If its directory was ever admitted, it also tells others what was chosen
//! ([`Admittance::may_teach`](crate::Admittance::may_teach)): that is true however old its disk is. Otherwise all would wait, after a crash of all, if the one that has
//! executed most had lost its own joining.
//!
//! What it has executed may be old. Then the rule names members that were replaced, and they may say that it lacks nothing. That is
//! why a change that one of them has executed must have been executed here, too: whoever acted on what this member did under later members has executed
//! what made them members, and says so in its answer.

use crate::answer::Answer;
use crate::standing::Mine;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The members as a server knows them from what it has executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Members {
    /// The number of the last configuration.
    pub number: u64,
    /// The members of each configuration that is not over.
    pub configurations: Vec<BTreeSet<u64>>,
    /// The data directory that joined under this server's id, if one did.
    pub directory: Option<u64>,
}

/// The thing for which a process waits that learns and does not take part yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// It has executed that it joined.
    Joins,
    /// It has executed the changes up to this number, as a peer has. 0: it has not said yet what it has executed.
    Executes {
        /// The number.
        number: u64,
    },
    /// Members of a configuration in force have answered.
    Answers {
        /// Those that have not.
        silent: Vec<u64>,
        /// The number of them that must still answer.
        needed: usize,
    },
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Until::Joins => f.write_str("the log says that it joined with this data directory"),
            Until::Executes { number: 0 } => f.write_str("it has read what it executed"),
            Until::Executes { number } => {
                write!(f, "it has executed the changes of members up to number {number}")
            }
            Until::Answers { silent, needed } => {
                let ids: Vec<String> = silent.iter().map(u64::to_string).collect();
                write!(f, "{needed} of the members {} have answered", ids.join(", "))
            }
        }
    }
}

/// The state of the rule besides what peers have answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Changing {
    pub(crate) me: u64,
    /// The ids with which the cluster began.
    pub(crate) first: BTreeSet<u64>,
    /// What was executed, as far as it was said.
    pub(crate) members: Option<Members>,
}

impl Changing {
    /// True if nothing but the word of all others of the beginning lets this directory take part.
    pub(crate) fn is_beginning(&self, mine: &Mine) -> bool {
        self.first.contains(&self.me) && !mine.admitted
    }

    /// Enforces that the beginning comes once: a peer that has executed a change, and its number, if nobody of the beginning who has knows this
    /// directory. Whoever of the beginning takes part has recorded the directories of all others of it.
    pub(crate) fn has_begun(&self, heard: &BTreeMap<u64, Option<Answer>>) -> Option<(u64, u64)> {
        let changed =
            || heard.iter().filter_map(|(peer, answer)| Some((*peer, answer.filter(|it| it.number > 0)?)));
        let is_known = changed().any(|(peer, answer)| answer.recorded && self.first.contains(&peer));
        changed().next().filter(|_| !is_known).map(|(peer, answer)| (peer, answer.number))
    }

    /// The directory that joined under this id, if it is another than this one.
    pub(crate) fn other_directory(&self, mine: &Mine) -> Option<u64> {
        let joined = self.members.as_ref().and_then(|members| members.directory);
        joined.filter(|directory| !self.first.contains(&self.me) && *directory != mine.disk)
    }

    /// What it waits for, if it does: a directory that is not at the beginning, and not another than the log names.
    pub(crate) fn lacks(&self, heard: &BTreeMap<u64, Option<Answer>>) -> Option<Until> {
        let Some(members) = &self.members else { return Some(Until::Executes { number: 0 }) };
        // Enforces that an id has one directory: only the log knows which, once those that recorded it have left.
        if !self.first.contains(&self.me) && members.directory.is_none() {
            return Some(Until::Joins);
        }
        // A peer that is new itself remembers nothing of what this directory did before.
        let answers =
            || heard.iter().filter_map(|(peer, answer)| Some((peer, answer.filter(|it| it.admitted)?)));
        // Those that govern as far as this one knows may have been replaced.
        let number = answers().map(|(_, answer)| answer.number).max().unwrap_or_default();
        if number > members.number {
            return Some(Until::Executes { number });
        }
        let heard: BTreeSet<u64> = answers().map(|(peer, _)| *peer).chain([self.me]).collect();
        members.configurations.iter().find_map(|configuration| {
            let silent: Vec<u64> = configuration.difference(&heard).copied().collect();
            let (answered, enough) = (configuration.len() - silent.len(), configuration.len() / 2 + 1);
            (answered < enough).then(|| Until::Answers { silent, needed: enough - answered })
        })
    }
}
