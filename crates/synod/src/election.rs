//! The data of an election: who may lead, what members say, what they wait for and what they believe. The rules are in
//! `progress/election.rs`.

use crate::quorum::{AcceptorSet, Quorums};
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// The messages of an election.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Beat {
    /// A leader says that it is there.
    Heartbeat {
        /// True if a quorum follows the sender.
        backed: bool,
    },
    /// The answer: I follow you.
    Follow,
    /// A leader hands leadership over: follow this member, and not me.
    Cede(Id),
}

impl fmt::Debug for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Beat::Heartbeat { backed: false } => "Heartbeat",
            Beat::Heartbeat { backed: true } => "Heartbeat(backed)",
            Beat::Follow => "Follow",
            Beat::Cede(heir) => return write!(f, "Cede({})", usize::from(*heir)),
        })
    }
}

/// The timers of a member of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ElectionTimer {
    /// A leader's next heartbeat is due.
    Beat,
    /// A member heard nothing of the member that it follows for too long. For a member that follows itself: it is time to count
    /// who has answered.
    Suspect,
    /// The hold-off of a new leader is over.
    HoldOff,
}

/// The durations of an election. They mean nothing to a model, whose timers run out at any moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The time between two heartbeats.
    pub beat: Range<Duration>,
    /// The time without a heartbeat after which a member suspects the one it follows; doubled for each suspicion that was wrong.
    pub suspect: Range<Duration>,
    /// The time for which a new leader holds off, so that an old leader's ballot can end.
    pub hold_off: Range<Duration>,
    /// The most doublings of the time before a suspicion.
    pub doublings: u32,
}

/// The beliefs of a member. All of them are volatile: a member that comes back from a crash suspects nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ElectionState {
    /// Places of the members that were not heard of for too long, and of those that are no members at present. A member that no quorum answered suspects itself.
    pub suspected: BTreeSet<usize>,
    /// The number of times that the time before a suspicion was doubled.
    pub doubled: u32,
    /// True if it leads and its hold-off is over, so that it may begin ballots.
    pub ready: bool,
    /// Places of the members that answered its heartbeats: since it last counted, or, while it holds off, since it was first
    /// followed.
    pub followers: BTreeSet<usize>,
    /// True if the member it follows said last that a quorum follows it.
    pub backed: bool,
    /// True if it has heard of another member since it suspected itself.
    pub heard: bool,
}

/// The members of an election, and how they elect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// All that can be members; the first that is not suspected is followed.
    pub members: Vec<Id>,
    /// The ids of those that are members at present, where members change. `None`: all are.
    pub among: Option<AcceptorSet>,
    /// The quorums of members: by their order, or where members change by their ids. One of them has to follow a member before it may begin ballots. `None`: no quorum
    /// has to, since the members are not the acceptors.
    pub backing: Option<Quorums>,
    /// The durations.
    pub pace: Pace,
}

impl ElectionState {
    /// The place of the member that is followed, out of so many: the first that is not suspected.
    pub fn followed(&self, members: usize) -> Option<usize> {
        (0..members).find(|member| !self.suspected.contains(member))
    }
}
