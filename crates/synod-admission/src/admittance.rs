//! The rule of which peers must have answered before a member takes part.

use crate::answer::Answer;
use crate::changing::{Changing, Members, Until};
use crate::standing::{Known, Lack, Mine, Standing};
use std::collections::BTreeMap;
use std::fmt;

/// The present verdict on a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits for these peers, or for some of them.
    Waiting {
        /// Peers that have not answered.
        silent: Vec<u64>,
        /// The number of them that must still answer.
        needed: usize,
    },
    /// It learns what is chosen and takes no other part, in a cluster whose members change.
    Learns(Until),
    /// It takes part.
    Admitted,
    /// It must not take part: a peer, or the log, knows what its disk does not have.
    Abstains(Reason),
}

/// The reason why a member must not take part, and the peer that gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// The peer that knows better; the member itself if it knows so from the log.
    pub peer: u64,
    /// The knowledge of that peer.
    pub known: Known,
    /// The member's own standing.
    pub mine: Standing,
    /// The part that is missing.
    pub lack: Lack,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { peer, known, mine, lack } = self;
        let Known { boot, saves, .. } = known;
        if *lack == Lack::Joined {
            return write!(
                f,
                "the log says that another data directory joined as member {peer}: this one would forget what was promised with it. A \
                 new data directory needs another id"
            );
        }
        if let Lack::Begun { number } = lack {
            return write!(
                f,
                "member {peer} has executed the changes of members up to number {number}, so every member of the beginning has taken part long \
                 ago. This data directory is new: it would forget what was promised with another. A new data directory needs another id"
            );
        }
        if *lack == Lack::Directory {
            return write!(
                f,
                "member {peer} knows this member by another data directory: this one is new, and would forget what was \
                 promised with the other"
            );
        }
        write!(f, "member {peer} has heard start {boot} of this data directory and {saves} saves, but ")?;
        match lack {
            Lack::Start => write!(f, "it is at start {} only", mine.boot)?,
            Lack::Process => write!(f, "its start {boot} was another")?,
            Lack::Saves { had } => write!(f, "it had {had} when that start was over")?,
            Lack::Directory | Lack::Joined | Lack::Begun { .. } => {}
        }
        f.write_str(": it is an older copy, or has lost its end, and would forget what was promised since")
    }
}

/// Gathers the answers of peers after a start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Admittance {
    mine: Mine,
    /// The last answer of each peer, if any.
    heard: BTreeMap<u64, Option<Answer>>,
    admitted: bool,
    against: Option<Reason>,
    /// The rest of the rule where members change.
    changing: Option<Changing>,
}

impl Admittance {
    /// `mine` is the disk's account after this start was counted durably. `peers` are all other members.
    pub fn new(mine: Mine, peers: impl Iterator<Item = u64>) -> Admittance {
        let heard = peers.map(|peer| (peer, None)).collect();
        Admittance { mine, heard, admitted: false, against: None, changing: None }
    }

    /// As [`Admittance::new`], for member `me` of a cluster that began with the members `first` and changes them.
    pub fn changing(mine: Mine, me: u64, first: impl Iterator<Item = u64>) -> Admittance {
        let changing = Changing { me, first: first.collect(), members: None };
        let others: Vec<u64> = changing.first.iter().copied().filter(|id| *id != me).collect();
        Admittance { changing: Some(changing), ..Admittance::new(mine, others.into_iter()) }
    }

    /// Takes note of the members as they follow from what this server has executed. Where members are fixed this says nothing.
    pub fn configure(&mut self, members: Members) {
        if let Some(changing) = &mut self.changing {
            changing.members = Some(members);
        }
    }

    /// Takes an answer to this very start. So many `saves` are durable by now.
    pub fn hear(&mut self, peer: u64, answer: Answer, saves: u64) {
        match self.heard.get_mut(&peer) {
            Some(heard) => *heard = Some(answer),
            // Where members change, whoever answers may know better.
            None if self.changing.is_some() => drop(self.heard.insert(peer, Some(answer))),
            None => return,
        }
        let Some(known) = answer.known else { return };
        if let Some(lack) = self.mine.lacks(&known, saves) {
            self.against.get_or_insert(Reason { peer, known, mine: self.mine.standing(saves), lack });
        }
    }

    /// Forgets what those have answered that are not there any more, where members change. What one of them has executed is for nobody to
    /// learn then. It is as if this start had never heard of them, except that it stays away if one of them knew better.
    pub fn retain(&mut self, is_there: impl Fn(u64) -> bool) {
        if self.changing.is_some() {
            self.heard.iter_mut().filter(|(peer, _)| !is_there(**peer)).for_each(|(_, heard)| *heard = None);
        }
    }

    /// True if a process that only learns may tell others what was chosen, as far as its own disk has it or it has learned it. A directory that was
    /// never admitted has nothing of that kind to tell. One that is a whole configuration may choose alone what it has forgotten to have chosen otherwise, unless
    /// another configuration is in force: none begins a ballot without a quorum of each.
    pub fn may_teach(&self) -> bool {
        let members = self.changing.as_ref().and_then(|it| Some((it.me, it.members.as_ref()?)));
        let is_alone =
            |(me, members): (u64, &Members)| members.configurations.iter().all(|ids| ids.iter().eq([&me]));
        self.mine.admitted && members.is_some_and(|it| !is_alone(it))
    }

    /// The verdict on the answers so far. Once admitted, a member takes part until a peer knows better.
    pub fn verdict(&mut self) -> Admission {
        if let Some(reason) = &self.against {
            return Admission::Abstains(reason.clone());
        }
        if self.admitted {
            return Admission::Admitted;
        }
        if let Some(changing) = &self.changing {
            if let Some(disk) = changing.other_directory(&self.mine) {
                let (peer, mine) = (changing.me, self.mine.standing(0));
                let known = Known { disk, ..Known::default() };
                return Admission::Abstains(Reason { peer, known, mine, lack: Lack::Joined });
            }
            if !changing.is_beginning(&self.mine) {
                let lacks = changing.lacks(&self.heard);
                self.admitted = lacks.is_none();
                return lacks.map_or(Admission::Admitted, Admission::Learns);
            }
            if let Some((peer, number)) = changing.has_begun(&self.heard) {
                let (known, mine) = (Known::default(), self.mine.standing(0));
                return Admission::Abstains(Reason { peer, known, mine, lack: Lack::Begun { number } });
            }
        }
        let counts = |answer: &Option<Answer>| match answer {
            // Any one peer alone may have heard the predecessor of a new directory, and no directory after this one may go
            // unheard. So each peer must first have this one on its disk.
            Some(answer) if !self.mine.admitted => answer.recorded,
            // A peer that is new itself remembers nothing of what this directory did before.
            Some(answer) => answer.admitted,
            None => false,
        };
        let is_asked =
            |peer: &u64| self.changing.as_ref().is_none_or(|changing| changing.first.contains(peer));
        let asked = || self.heard.iter().filter(|(peer, _)| is_asked(peer));
        let silent: Vec<u64> = asked().filter(|(_, answer)| !counts(answer)).map(|(peer, _)| *peer).collect();
        let members = asked().count() + 1;
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
    use crate::standing::Begun;

    fn mine(admitted: bool) -> Mine {
        let mut mine = Mine { disk: 7, admitted, ..Mine::default() };
        mine.count_start(Begun { nonce: 1, saves: 0 });
        mine.count_start(Begun { nonce: 2, saves: 100 });
        mine
    }

    const KNOWN: Known = Known { disk: 7, boot: 1, nonce: 1, saves: 100 };

    fn says(known: Option<Known>, recorded: bool, admitted: bool) -> Answer {
        Answer { known, recorded, admitted, number: 0 }
    }

    #[test]
    fn a_new_directory_waits_until_every_peer_has_recorded_it() {
        let mut at = Admittance::new(mine(false), [1, 2].into_iter());
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![1, 2], needed: 2 });
        at.hear(1, says(Some(KNOWN), true, false), 100);
        at.hear(2, says(None, false, true), 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 });
        at.hear(2, says(Some(KNOWN), false, true), 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 }, "heard and not durable");
        at.hear(2, says(Some(KNOWN), true, true), 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn a_wiped_member_abstains_whoever_remembers_it() {
        for peer in [1, 2] {
            let mut at = Admittance::new(mine(false), [1, 2].into_iter());
            at.hear(3 - peer, says(Some(KNOWN), true, true), 100);
            at.hear(peer, says(Some(Known { disk: 6, ..KNOWN }), true, true), 100);
            assert!(matches!(at.verdict(), Admission::Abstains(reason) if reason.peer == peer));
        }
    }

    #[test]
    fn a_directory_in_use_waits_for_a_majority_of_those_that_are() {
        let mut at = Admittance::new(mine(true), [1, 2, 3, 4].into_iter());
        at.hear(4, says(Some(KNOWN), false, true), 100);
        // A peer that was wiped has nothing to say about earlier starts.
        at.hear(3, says(Some(KNOWN), true, false), 100);
        assert_eq!(at.verdict(), Admission::Waiting { silent: vec![1, 2, 3], needed: 1 });
        at.hear(1, says(None, false, true), 100);
        assert_eq!(at.verdict(), Admission::Admitted);
    }

    #[test]
    fn what_the_disk_lacks_is_said_before_and_after_admission() {
        for (known, lack) in [
            (Known { boot: 3, nonce: 3, ..KNOWN }, "at start 2 only"),
            (Known { saves: 101, ..KNOWN }, "had 100 when"),
            (Known { nonce: 9, ..KNOWN }, "its start 1 was another"),
            (Known { disk: 8, ..KNOWN }, "another data directory"),
        ] {
            for first in [true, false] {
                let mut at = Admittance::new(mine(true), [1, 2].into_iter());
                if !first {
                    at.hear(1, says(Some(KNOWN), true, true), 150);
                    assert_eq!(at.verdict(), Admission::Admitted);
                }
                at.hear(2, says(Some(known), true, true), 150);
                let Admission::Abstains(reason) = at.verdict() else { panic!("{known:?} was not noticed") };
                assert!(reason.to_string().contains(lack), "{reason}");
                assert_eq!(reason.to_string().contains("older copy"), known.disk == 7);
            }
        }
    }

    #[test]
    fn alone_means_at_once_and_strangers_are_not_heard() {
        assert_eq!(Admittance::new(mine(false), [].into_iter()).verdict(), Admission::Admitted);
        let mut at = Admittance::new(mine(false), [1].into_iter());
        at.hear(5, says(Some(Known { disk: 1, ..KNOWN }), true, true), 100);
        assert!(matches!(at.verdict(), Admission::Waiting { .. }));
    }
}
