//! The rule for a member of a cluster whose members change: what it must have executed and heard before it takes part.
//!
//! Two things are different there. A peer that remembers may have been replaced, and a member may be asked back by those who never knew it. So what a
//! member may do follows from the log, as far as it has executed that, and from the words of those that govern there:
//!
//! 1. An id with which the cluster did not begin stands for the directory that joined under it, and the log names that ([`Members::directory`]).
//!    A directory of such an id takes part once the log says that it joined. If another one did, this one never does.
//! 2. An id with which the cluster began stands for the directory that all others of the beginning have recorded, as where members are fixed.
//! 3. A directory that has joined or was admitted before takes part once a majority of each configuration in force has answered
//!    this start, and it has executed all changes that one of those who answered has executed.
//!
//! Until then a process *learns*: it is told what was chosen, asks for more, and asks to join. Whatever it promised or accepted before, on this disk or a lost one, it
//! says nothing that rests on that, and nothing that anybody counts. So one that has forgotten what it promised harms nobody while it learns. It has to learn,
//! since only the log tells it who governs, and whether it has joined.
//!
//! What it has executed may be old. Then the rule names members that were replaced, and they may say that it lacks nothing. That is
//! why a change that one of them has executed must have been executed here, too: whoever acted on what this member did under later members has executed
//! what made them members, and says so in its answer.

use crate::admittance::Answer;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admittance::{Admission, Admittance};
    use crate::standing::{Begun, Known, Lack};

    const KNOWN: Known = Known { disk: 7, boot: 1, nonce: 1, saves: 100 };

    fn mine(admitted: bool) -> Mine {
        let mut mine = Mine { disk: 7, admitted, ..Mine::default() };
        mine.count_start(Begun { nonce: 1, saves: 0 });
        mine.count_start(Begun { nonce: 2, saves: 100 });
        mine
    }

    fn at(me: u64, admitted: bool) -> Admittance {
        Admittance::changing(mine(admitted), me, [0, 1, 2].into_iter())
    }

    fn members(number: u64, configurations: &[&[u64]], directory: Option<u64>) -> Members {
        let configurations = configurations.iter().map(|ids| ids.iter().copied().collect()).collect();
        Members { number, configurations, directory }
    }

    fn says(number: u64) -> Answer {
        Answer { known: Some(KNOWN), recorded: true, admitted: true, number }
    }

    fn answers(silent: &[u64], needed: usize) -> Admission {
        Admission::Learns(Until::Answers { silent: silent.to_vec(), needed })
    }

    #[test]
    fn a_directory_of_the_beginning_waits_until_all_others_of_it_have_recorded_it() {
        let mut at = at(1, false);
        at.configure(members(0, &[&[0, 1, 2]], None));
        at.hear(0, says(0), 100);
        at.hear(5, Answer { recorded: false, ..says(0) }, 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 }, "5 is not asked");
        at.hear(2, Answer { recorded: false, ..says(0) }, 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 });
        at.hear(2, Answer { admitted: false, ..says(0) }, 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn another_id_learns_until_the_log_says_that_this_directory_joined() {
        for admitted in [false, true] {
            let mut at = at(5, admitted);
            for peer in 0..3 {
                at.hear(peer, says(0), 100);
            }
            assert_eq!(at.verdict(), Admission::Learns(Until::Executes { number: 0 }));
            at.configure(members(0, &[&[0, 1, 2]], None));
            assert_eq!(at.verdict(), Admission::Learns(Until::Joins));
            at.configure(members(1, &[&[0, 1, 2], &[0, 1, 5]], Some(7)));
            assert_eq!(at.verdict(), Admission::Admitted);
        }
    }

    #[test]
    fn a_directory_does_not_take_part_if_the_log_says_that_another_one_joined() {
        let mut at = at(5, false);
        at.configure(members(1, &[&[0, 1, 5]], Some(8)));
        for peer in 0..3 {
            at.hear(peer, says(1), 100);
        }
        let Admission::Abstains(reason) = at.verdict() else { panic!("{:?}", at.verdict()) };
        assert_eq!((reason.lack, reason.known.disk, reason.peer), (Lack::Joined, 8, 5));
        assert!(reason.to_string().contains("another id"), "{reason}");
    }

    #[test]
    fn the_log_names_no_directory_for_an_id_of_the_beginning() {
        let mut at = at(1, true);
        at.configure(members(0, &[&[0, 1, 2]], Some(8)));
        at.hear(0, says(0), 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn a_majority_of_each_configuration_in_force_must_have_answered() {
        let mut at = at(2, true);
        at.configure(members(3, &[&[0, 1, 2], &[2, 3, 4, 5]], None));
        assert_eq!(at.verdict(), answers(&[0, 1], 1));
        at.hear(1, says(3), 100);
        assert_eq!(at.verdict(), answers(&[3, 4, 5], 2));
        // A directory that is new itself has nothing to say about earlier starts.
        at.hear(3, Answer { admitted: false, ..says(3) }, 100);
        at.hear(4, says(2), 100);
        assert_eq!(at.verdict(), answers(&[3, 5], 1));
        at.hear(3, says(3), 100);
        assert_eq!(at.verdict(), Admission::Admitted);
        // From here on it is not asked again who governs.
        at.configure(members(4, &[&[5, 6]], None));
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn one_that_is_no_member_now_counts_no_answer_of_its_own() {
        let mut at = at(2, true);
        at.configure(members(3, &[&[3, 4, 5]], None));
        at.hear(3, says(3), 100);
        assert_eq!(at.verdict(), answers(&[4, 5], 1));
        at.hear(4, says(3), 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn a_change_that_one_of_those_who_answer_has_executed_must_have_been_executed() {
        let mut at = at(2, true);
        at.configure(members(0, &[&[0, 1, 2]], None));
        at.hear(9, Answer { admitted: false, ..says(8) }, 100);
        at.hear(4, says(3), 100);
        at.hear(1, says(0), 100);
        assert_eq!(at.verdict(), Admission::Learns(Until::Executes { number: 3 }), "the word of 9 is none");
        at.configure(members(3, &[&[2, 3, 4]], None));
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn whoever_knows_better_is_heard_before_and_after_admission_member_or_not() {
        for first in [true, false] {
            let mut at = at(2, true);
            at.configure(members(0, &[&[0, 1, 2]], None));
            if !first {
                at.hear(1, says(0), 150);
                assert_eq!(at.verdict(), Admission::Admitted);
            }
            at.hear(99, Answer { known: Some(Known { saves: 101, ..KNOWN }), ..says(0) }, 150);
            assert!(matches!(at.verdict(), Admission::Abstains(reason) if reason.peer == 99));
        }
    }
}
