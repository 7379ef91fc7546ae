//! Guarantees nothing by itself: the data of an election. Who may lead, what members say to each other, what they wait for and what
//! they believe. The rules are in `progress/election.rs`.

use crate::quorum::Quorums;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// What members say to each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Beat {
    /// A leader says that it is there.
    Heartbeat {
        /// Whether a quorum follows it.
        backed: bool,
    },
    /// The answer: I follow you.
    Follow,
}

impl fmt::Debug for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Beat::Heartbeat { backed: false } => "Heartbeat",
            Beat::Heartbeat { backed: true } => "Heartbeat(backed)",
            Beat::Follow => "Follow",
        })
    }
}

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ElectionTimer {
    /// A leader's next heartbeat is due.
    Beat,
    /// Nothing was heard of the one it follows for too long. Who follows itself looks who has answered.
    Suspect,
    /// The hold-off of a new leader is over.
    HoldOff,
}

/// How often, and how long. Means nothing to a model, whose timers run out at any moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Between two heartbeats.
    pub beat: Range<Duration>,
    /// How long nothing must be heard of the one that is followed; doubled for each suspicion that was wrong.
    pub suspect: Range<Duration>,
    /// How long a new leader holds off, so that an old one's ballot can end.
    pub hold_off: Range<Duration>,
    /// How often at most the time before a suspicion is doubled.
    pub doublings: u32,
}

/// What a member believes. All of it is volatile: who comes back suspects nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ElectionState {
    /// Members that were not heard of for too long, by their place; itself, if no quorum answered.
    pub suspected: BTreeSet<usize>,
    /// How often the time before a suspicion was doubled.
    pub doubled: u32,
    /// Whether it leads and its hold-off is over, so that it may begin ballots.
    pub ready: bool,
    /// Who has answered its heartbeats since it looked last, by their place; while it holds off, since it was followed first.
    pub followers: BTreeSet<usize>,
    /// Whether the one it follows has a quorum, as it said last.
    pub backed: bool,
    /// Whether it has heard of another since it suspected itself.
    pub heard: bool,
}

/// Who may lead, and when who does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// All members; the first that is not suspected is followed.
    pub members: Vec<Id>,
    /// The quorums of members, in their order, of which one has to follow whoever may begin ballots; `None`: nobody has to, since it is not members
    /// that promise and accept.
    pub backing: Option<Quorums>,
    /// How often, and how long.
    pub pace: Pace,
}

impl ElectionState {
    /// The place of the member that is followed, out of so many: the first that is not suspected.
    pub fn followed(&self, members: usize) -> Option<usize> {
        (0..members).find(|member| !self.suspected.contains(member))
    }
}
