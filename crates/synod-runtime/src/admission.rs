//! Whether this process may take part: not before its peers have confirmed that its disk is not behind what they saw.
//!
//! An actor that forgets what it saved and goes on can break every promise it made. So a data directory that is new
//! takes part only once *every* peer has said that it never knew this member; one that was in use before, once a
//! majority (itself included) has answered and nobody has seen more of it than it has. A member that was wiped abstains
//! for good; one whose disk is an older copy stops.

use crate::standing::{Known, Standing};
use std::collections::BTreeMap;
use std::fmt;

/// What a process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits for these peers, or for so many of them.
    Waiting {
        /// Peers that have not answered yet.
        silent: Vec<u64>,
        /// How many of them must still answer.
        needed: usize,
    },
    /// It takes part.
    Admitted,
    /// It must not take part: a peer knows this member by another disk.
    Abstains(Reason),
}

/// Why a process must not take part, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The peer that knows better.
    pub peer: u64,
    /// What it knows.
    pub known: Known,
    /// What there is.
    pub mine: Standing,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { peer, known, mine } = self;
        if known.disk == mine.disk {
            write!(
                f,
                "member {peer} has seen this data directory at start {} with {} saves, but it is at start {} with {}: \
                 it is an older copy, and would forget what was promised since",
                known.boot, known.saves, mine.boot, mine.saves
            )
        } else {
            write!(
                f,
                "member {peer} knows this member by another data directory: this one is new, and would forget what was \
                 promised with the other"
            )
        }
    }
}

/// Gathers what the peers say.
pub(crate) struct Admittance {
    mine: Standing,
    /// What each peer said, once it has.
    heard: BTreeMap<u64, bool>,
    admitted: bool,
    against: Option<Reason>,
}

impl Admittance {
    /// `mine` as it was found at the start; `peers` are all other members.
    pub(crate) fn new(mine: Standing, peers: impl Iterator<Item = u64>) -> Admittance {
        Admittance { mine, heard: peers.map(|peer| (peer, false)).collect(), admitted: false, against: None }
    }

    /// Takes what a peer says it knows of this member, which has made so many `saves` durable by now. It must be an answer
    /// to this very start of the process.
    pub(crate) fn hear(&mut self, peer: u64, known: Option<Known>, saves: u64) {
        let Some(heard) = self.heard.get_mut(&peer) else { return };
        *heard = true;
        let Some(known) = known else { return };
        let behind = if known.disk != self.mine.disk {
            true
        } else if self.admitted {
            // By now the peer may have heard of this very start; but of no save that it has not made.
            known.boot > self.mine.boot || known.saves > saves
        } else {
            // Nobody can know of a start that has not said anything yet; someone else must have made it.
            known.boot >= self.mine.boot || known.saves > self.mine.saves
        };
        if behind {
            self.against.get_or_insert(Reason { peer, known, mine: self.mine });
        }
    }

    /// What follows from it.
    pub(crate) fn verdict(&mut self) -> Admission {
        if let Some(reason) = &self.against {
            return Admission::Abstains(reason.clone());
        }
        if self.admitted {
            return Admission::Admitted;
        }
        let silent: Vec<u64> =
            self.heard.iter().filter(|(_, heard)| !**heard).map(|(peer, _)| *peer).collect();
        let members = self.heard.len() + 1;
        // Of a data directory that was never admitted, any single peer may be the only one that knew its predecessor.
        let enough = if self.mine.admitted { members / 2 + 1 } else { members };
        let answered = members - silent.len();
        if answered >= enough {
            self.admitted = true;
            return Admission::Admitted;
        }
        Admission::Waiting { silent, needed: enough - answered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Standing = Standing { disk: 7, boot: 3, saves: 100, admitted: true };
    const NEW: Standing = Standing { disk: 9, boot: 1, saves: 0, admitted: false };

    fn known(disk: u64, boot: u64, saves: u64) -> Known {
        Known { disk, boot, saves }
    }

    #[test]
    fn a_new_directory_waits_for_every_peer() {
        let mut at = Admittance::new(NEW, [1, 2].into_iter());
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![1, 2], needed: 2 });
        at.hear(1, None, 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 });
        at.hear(2, None, 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn a_wiped_member_abstains_whoever_remembers_it() {
        for peer in [1, 2] {
            let mut at = Admittance::new(NEW, [1, 2].into_iter());
            at.hear(peer, Some(known(7, 1, 0)), 100);
            at.hear(3 - peer, None, 100);
            assert!(matches!(at.verdict(), Admission::Abstains(reason) if reason.peer == peer));
        }
    }

    #[test]
    fn a_directory_in_use_waits_for_a_majority() {
        let mut at = Admittance::new(MINE, [1, 2, 3, 4].into_iter());
        at.hear(4, Some(known(7, 2, 100)), 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![1, 2, 3], needed: 1 });
        at.hear(1, None, 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn an_older_copy_is_noticed_by_starts_and_by_saves() {
        for older in [known(7, 3, 50), known(7, 4, 100), known(7, 2, 101)] {
            let mut at = Admittance::new(MINE, [1, 2].into_iter());
            at.hear(1, Some(older), 100);
            let Admission::Abstains(reason) = at.verdict() else { panic!("{older:?} was not noticed") };
            assert!(reason.to_string().contains("older copy"), "{reason}");
        }
    }

    #[test]
    fn after_admission_a_later_start_another_disk_or_saves_of_someone_else_contradict() {
        let admitted = || {
            let mut at = Admittance::new(MINE, [1, 2].into_iter());
            at.hear(1, None, 100);
            assert_eq!(at.verdict(), Admission::Admitted);
            at
        };
        let mut at = admitted();
        at.hear(2, Some(known(7, 3, 150)), 150);
        assert_eq!(at.verdict(), Admission::Admitted);
        for other in [known(7, 3, 151), known(7, 4, 150), known(8, 1, 0)] {
            let mut at = admitted();
            at.hear(2, Some(other), 150);
            assert!(matches!(at.verdict(), Admission::Abstains(_)), "{other:?} was not noticed");
        }
    }

    #[test]
    fn alone_means_at_once_and_strangers_are_not_heard() {
        assert_eq!(Admittance::new(NEW, [].into_iter()).verdict(), Admission::Admitted);
        let mut at = Admittance::new(NEW, [1].into_iter());
        at.hear(5, Some(known(1, 1, 1)), 100);
        assert!(matches!(at.verdict(), Admission::Waiting { .. }));
    }
}
