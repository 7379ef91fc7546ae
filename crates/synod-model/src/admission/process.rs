//! A member: its disk, its process, and the messages between members.

use super::rules::Rule;
use std::collections::{BTreeMap, BTreeSet};
use synod_admission::{Answer, Known, Memory, Mine, Order, Standing};

/// A vote: the value, and which of all votes of its member it is.
pub(super) type Vote = (u8, u8);

/// The messages of members and clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Say {
    /// A client asks for a value.
    Ask(u8),
    /// A greeting: the start that the sender is at, and the list of members that it has.
    Greet {
        /// Which of all starts of this member it is.
        start: u8,
        /// The start that it is at.
        standing: Standing,
        /// True if it takes itself for the only member.
        alone: bool,
    },
    /// The sender's knowledge of the receiver, for one start of it.
    Answer {
        /// The receiver's start.
        start: u8,
        /// The knowledge.
        answer: Answer,
    },
    /// The sender has voted.
    Vote {
        /// The sender's start.
        from: u8,
        /// The receiver's start.
        to: u8,
        /// The start that the sender is at.
        standing: Standing,
        /// The place in the log; 0 if there is none.
        place: u8,
        /// The vote.
        vote: Vote,
        /// All votes that the sender has.
        has: BTreeSet<u8>,
        /// The number of votes that its member ever cast.
        cast: u8,
    },
    /// The sender wants its directory to join.
    Join {
        /// The sender's start.
        from: u8,
        /// The receiver's start.
        to: u8,
        /// The start that the sender is at.
        standing: Standing,
    },
    /// These values were chosen.
    Chosen {
        /// The sender's start.
        from: u8,
        /// The receiver's start.
        to: u8,
        /// The start that the sender is at.
        standing: Standing,
        /// The values at the first places of the log.
        log: Vec<u8>,
        /// All votes that the sender has.
        has: BTreeSet<u8>,
        /// The number of votes that its member ever cast.
        cast: u8,
    },
    /// To a client: at this place this value is chosen.
    Told(u8, u8),
}

/// The contents of a member's data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Directory {
    pub(super) mine: Mine,
    pub(super) known: BTreeMap<u64, Known>,
    pub(super) saves: u64,
    /// The votes, by their places in the log; 0 if there is none.
    pub(super) votes: BTreeMap<u8, Vote>,
    /// The values that were executed by the last flush. A snapshot may have them or not.
    pub(super) log: Vec<u8>,
    /// The number of those that a snapshot has for certain.
    pub(super) snapshot: u8,
    /// True if it was made for this member alone.
    pub(super) alone: bool,
}

/// The things that outlive a process: its directory, and what the world remembers of the member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Drive {
    pub(super) directory: Option<Directory>,
    /// Earlier durable contents, the last at the end, if the disk may still fall back.
    pub(super) past: Vec<Directory>,
    /// Starts, directories and votes that there ever were.
    pub(super) starts: u8,
    pub(super) directories: u8,
    pub(super) votes: u8,
    /// The number of faults of the disk.
    pub(super) faults: u8,
    /// The directory that stands aside while its member is on an empty one.
    pub(super) aside: Option<Directory>,
    /// True if it ever stood aside.
    pub(super) was_aside: bool,
}

/// A process.
// Fields: what the loop keeps in several parts, and where members change what a server's log and its transport keep.
#[allow(clippy::struct_excessive_bools, reason = "each is something else")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub(super) start: u8,
    pub(super) directory: Directory,
    pub(super) memory: Memory,
    pub(super) order: Order,
    /// The start of each peer with which it is in a session.
    pub(super) links: BTreeMap<u64, u8>,
    /// The peers that answered this start: it may speak to them.
    pub(super) answered: BTreeSet<u64>,
    /// Their answers, as long as these decide whether it takes part.
    pub(super) heard: BTreeMap<u64, Answer>,
    /// The votes of others, among those that may be lost, on which all later messages rest.
    pub(super) rests: BTreeSet<(u64, u8)>,
    pub(super) takes_part: bool,
    /// Its actor runs and only learns, where members change.
    pub(super) learns: bool,
    /// It may tell what was chosen, though it only learns.
    pub(super) teaches: bool,
    /// The values that it has executed.
    pub(super) executed: Vec<u8>,
    /// The votes of others at places that are not executed: where, whose, and for what.
    pub(super) counted: BTreeSet<(u8, u64, u8)>,
    /// The peers' standings in their sessions, where members change.
    pub(super) standings: BTreeMap<u64, Standing>,
    /// A peer knows another directory of this member: it stays away, and is heard of.
    pub(super) abstains: bool,
    pub(super) alone: bool,
}

/// A member's volatile state, and what is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alive {
    /// The present activity.
    pub life: Life,
    /// The saved state.
    pub(super) drive: Drive,
}

/// The activities of a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// It is not decided yet what its disk has come to have.
    Opening,
    /// It runs.
    Up(Box<Process>),
    /// It has stopped since it lacks what a peer knows; or its start was refused.
    Away(bool),
}

/// The things that a process says to its peers in a session, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// Its vote at a place.
    Vote(u8),
    /// The values that it has executed, so many.
    Chosen(u8),
    /// It wants to join.
    Join,
}

/// The contents that a disk may come to have between two starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// All that it had.
    Whole,
    /// The contents of so many flushes ago.
    Back(u8),
    /// Nothing.
    Wiped,
    /// Nothing, since its member is started on an empty directory. Its own comes back at the next start.
    Elsewhere,
    /// As it is; of what was executed the snapshot has so much.
    Snapshot(u8),
    /// All that it had; but its member is started with a list of itself alone.
    Alone,
}

impl Alive {
    /// The number of votes that its member ever cast.
    pub(super) fn votes(&self) -> u8 {
        self.drive.votes
    }

    /// True if its own directory ever stood aside.
    pub(super) fn was_aside(&self) -> bool {
        self.drive.was_aside
    }
}

impl Process {
    /// The knowledge that others may have of it.
    pub fn takes_part(&self) -> bool {
        self.takes_part
    }

    /// The votes that it has.
    pub fn votes(&self) -> BTreeSet<u8> {
        self.directory.votes.values().map(|(_, which)| *which).collect()
    }

    /// True if it hears what its peers say: it takes part, or learns.
    pub fn hears(&self) -> bool {
        self.takes_part || self.learns
    }

    /// True if it only learns.
    pub fn learns(&self) -> bool {
        self.learns
    }

    /// True if it may tell what was chosen, though it only learns.
    pub fn teaches(&self) -> bool {
        self.teaches
    }

    /// The values that it has executed.
    pub fn executed(&self) -> &[u8] {
        &self.executed
    }

    /// The peers that have answered it.
    pub fn answered(&self) -> &BTreeSet<u64> {
        &self.answered
    }

    /// Their answers, as long as these decide whether it takes part.
    pub fn heard(&self) -> &BTreeMap<u64, Answer> {
        &self.heard
    }

    /// The votes on which its messages rest: whose, and which.
    pub fn rests(&self) -> &BTreeSet<(u64, u8)> {
        &self.rests
    }

    /// True if all that it knows of a peer is durable.
    pub(super) fn knows_durably(&self, peer: u64) -> bool {
        self.memory.is_durable(peer)
    }

    /// Its directory.
    pub fn directory(&self) -> u64 {
        self.directory.mine.disk
    }

    /// True if its directory was ever admitted.
    pub fn admitted(&self) -> bool {
        self.directory.mine.admitted
    }

    pub(super) fn standing(&self) -> Standing {
        self.directory.mine.standing(self.directory.saves)
    }

    /// True if it stays away since a peer knows another directory of its member.
    pub fn abstains(&self) -> bool {
        self.abstains
    }

    /// True if it votes. One that only learns does not.
    pub(super) fn speaks(&self, rule: Option<Rule>) -> bool {
        self.takes_part || (self.learns && rule == Some(Rule::LearnersVote))
    }

    /// To whom it says what, in which start of the receiver.
    pub(super) fn says(&self, rule: Option<Rule>, joins: bool) -> BTreeSet<(u64, u8, Word)> {
        let votes = self.speaks(rule);
        let open = self.directory.votes.keys().filter(|place| usize::from(**place) >= self.executed.len());
        let mut words: Vec<Word> = open.filter(|_| votes).map(|place| Word::Vote(*place)).collect();
        let teaches = self.takes_part || (self.learns && self.teaches);
        words.extend(
            Some(Word::Chosen(self.executed.len() as u8)).filter(|_| teaches && !self.executed.is_empty()),
        );
        words.extend(Some(Word::Join).filter(|_| joins && self.hears()));
        let answered = |peer: &u64| self.answered.contains(peer) || rule == Some(Rule::SpeaksUnanswered);
        let links = self.links.iter().filter(|(peer, _)| answered(peer));
        links.flat_map(|(peer, start)| words.iter().map(|word| (*peer, *start, *word))).collect()
    }

    /// True if it steps messages from this start to that one.
    pub(super) fn steps(&self, peer: u64, from: u8, to: u8, rule: Option<Rule>) -> bool {
        let in_session = self.links.get(&peer) == Some(&from) || rule == Some(Rule::StepsEarlierStarts);
        self.start == to && self.hears() && in_session
    }
}

impl Drive {
    pub(super) fn replace(&mut self, directory: Directory, keeps: usize) {
        if self.directory.as_ref() == Some(&directory) {
            return;
        }
        let before = self.directory.replace(directory);
        self.past.extend(before);
        let surplus = self.past.len().saturating_sub(keeps);
        self.past.drain(..surplus);
    }
}
