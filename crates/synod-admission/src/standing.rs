//! Standings, knowledge and a disk's own account: the data in which a wiped or older disk shows.

use serde::{Deserialize, Serialize};

/// The account that a member gives of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// Its data directory's id, drawn at random when it was made.
    pub disk: u64,
    /// The number of times that its data directory was started.
    pub boot: u64,
    /// A number drawn at random for this start: two copies of a directory may both count it as their fifth.
    pub nonce: u64,
    /// The number of saves it has made durable.
    pub saves: u64,
    /// True if its data directory has ever been admitted.
    pub admitted: bool,
}

/// The knowledge that one member has of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Known {
    /// Its data directory.
    pub disk: u64,
    /// The last start that was heard.
    pub boot: u64,
    /// The random number of that start.
    pub nonce: u64,
    /// The most saves that it claimed to have made durable.
    pub saves: u64,
}

impl Known {
    /// The knowledge in one standing.
    pub fn of(standing: &Standing) -> Known {
        let Standing { disk, boot, nonce, saves, .. } = *standing;
        Known { disk, boot, nonce, saves }
    }

    /// True if a member with this knowledge may listen to one at `standing`. It may not if that one is on another disk, in an
    /// earlier start, or in another process of the same start: then a member took part that it cannot follow.
    pub fn admits(&self, standing: &Standing) -> bool {
        let later = standing.boot > self.boot;
        let same = (standing.boot, standing.nonce) == (self.boot, self.nonce);
        standing.disk == self.disk && (later || same)
    }

    /// The knowledge once a message of a member at `standing` has an effect. It never shrinks, and of a later start it holds only that start.
    #[must_use]
    pub fn and(self, standing: &Standing) -> Known {
        if standing.boot > self.boot && self.admits(standing) {
            Known::of(standing)
        } else {
            self.raised(standing)
        }
    }

    /// The knowledge once this standing was heard, and nothing more came of it. A later start replaces this one only
    /// when it has heard what was known of this one. Until then this is what it must be told.
    #[must_use]
    pub fn raised(self, standing: &Standing) -> Known {
        let same = (standing.disk, standing.boot, standing.nonce) == (self.disk, self.boot, self.nonce);
        Known { saves: if same { self.saves.max(standing.saves) } else { self.saves }, ..self }
    }
}

/// One start of a data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Begun {
    /// The random number of the start.
    pub nonce: u64,
    /// The number of saves that the directory had then.
    pub saves: u64,
}

/// The number of starts of a directory that are remembered one by one.
pub const MOST_STARTS: usize = 1024;

/// The account that a member's own disk gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mine {
    /// The data directory's id.
    pub disk: u64,
    /// The number of the first start in `starts`; starts are counted from 1.
    pub first: u64,
    /// The last starts, at most [`MOST_STARTS`], in order; the present one is the last.
    pub starts: Vec<Begun>,
    /// True if it was ever admitted.
    pub admitted: bool,
}

/// Something that a disk lacks, though a peer has heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// The peer knows another data directory of this member.
    Directory,
    /// The log says that another data directory joined under this member's id.
    Joined,
    /// The peer has executed changes of members, and no member of the beginning that has knows this directory, which was never admitted.
    Begun {
        /// The number of the last one.
        number: u64,
    },
    /// The peer knows a later start.
    Start,
    /// Another process made the start of that number, on another copy of the directory.
    Process,
    /// The peer knows more saves than there had been when that start was over.
    Saves {
        /// The number of saves there had been.
        had: u64,
    },
}

impl Mine {
    /// Counts a start, with the saves that it found.
    pub fn count_start(&mut self, begun: Begun) {
        self.first = self.first.max(1);
        self.starts.push(begun);
        if self.starts.len() > MOST_STARTS {
            self.starts.remove(0);
            self.first += 1;
        }
    }

    /// The number of times that the directory was started.
    pub fn boot(&self) -> u64 {
        (self.first + self.starts.len() as u64).saturating_sub(1)
    }

    /// The standing to announce, with so many saves durable by now.
    pub fn standing(&self, saves: u64) -> Standing {
        let nonce = self.starts.last().map_or(0, |begun| begun.nonce);
        Standing { disk: self.disk, boot: self.boot(), nonce, saves, admitted: self.admitted }
    }

    /// The part of a peer's knowledge that this disk lacks, if any. `saves` are durable by now. A start that is over is held
    /// against what the next one found, so that later saves do not make up for lost ones.
    pub fn lacks(&self, known: &Known, saves: u64) -> Option<Lack> {
        if known.disk != self.disk {
            return Some(Lack::Directory);
        }
        if known.boot > self.boot() {
            return Some(Lack::Start);
        }
        // Of a start from before the list only one thing is known: it was over when the first start in the list began.
        let listed = known.boot.checked_sub(self.first);
        let started = listed.and_then(|at| self.starts.get(at as usize));
        if started.is_some_and(|begun| begun.nonce != known.nonce) {
            return Some(Lack::Process);
        }
        let next = listed.map_or(0, |at| at as usize + 1);
        let had = self.starts.get(next).map_or(saves, |begun| begun.saves);
        (known.saves > had).then_some(Lack::Saves { had })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { disk: 7, boot: 3, nonce: 33, saves: 50 };

    fn at(disk: u64, boot: u64, nonce: u64, saves: u64) -> Standing {
        Standing { disk, boot, nonce, saves, admitted: true }
    }

    fn mine() -> Mine {
        let mut mine = Mine { disk: 7, admitted: true, ..Mine::default() };
        for (nonce, saves) in [(31, 0), (32, 10), (33, 20), (34, 50)] {
            mine.count_start(Begun { nonce, saves });
        }
        mine
    }

    #[test]
    fn what_is_known_never_becomes_less() {
        assert_eq!(KNOWN.and(&at(7, 3, 33, 60)), Known { saves: 60, ..KNOWN });
        assert_eq!(KNOWN.and(&at(7, 4, 34, 50)), Known { boot: 4, nonce: 34, ..KNOWN });
        for other in [at(7, 3, 33, 40), at(8, 9, 9, 99), at(7, 2, 32, 99), at(7, 3, 99, 99)] {
            assert_eq!(KNOWN.and(&other), KNOWN, "{other:?}");
        }
        // This must not be forgotten before a later start has heard what was known of this one.
        assert_eq!(KNOWN.raised(&at(7, 3, 33, 60)), Known { saves: 60, ..KNOWN });
        for other in [at(7, 4, 34, 50), at(7, 4, 34, 99), at(7, 3, 99, 99), at(8, 3, 33, 99)] {
            assert_eq!(KNOWN.raised(&other), KNOWN, "{other:?}");
        }
    }

    #[test]
    fn another_disk_an_earlier_start_and_another_process_of_the_same_are_not_listened_to() {
        assert!(KNOWN.admits(&at(7, 3, 33, 0)) && KNOWN.admits(&at(7, 4, 1, 0)));
        assert!(!KNOWN.admits(&at(8, 4, 33, 50)));
        assert!(!KNOWN.admits(&at(7, 2, 33, 50)));
        assert!(!KNOWN.admits(&at(7, 3, 34, 50)));
    }

    #[test]
    fn starts_are_counted_from_one() {
        let mine = mine();
        assert_eq!((mine.boot(), mine.standing(55)), (4, at(7, 4, 34, 55)));
        assert_eq!(Mine::default().boot(), 0);
    }

    #[test]
    fn each_start_is_held_against_what_the_next_one_found() {
        let (mine, known) = (mine(), |boot, nonce, saves| Known { disk: 7, boot, nonce, saves });
        for (known, lack) in [
            (known(4, 34, 55), None),
            (known(4, 34, 56), Some(Lack::Saves { had: 55 })),
            (known(3, 33, 50), None),
            // Saves made since do not make up for one that is lost.
            (known(3, 33, 51), Some(Lack::Saves { had: 50 })),
            (known(2, 32, 20), None),
            (known(2, 32, 21), Some(Lack::Saves { had: 20 })),
            (known(4, 33, 0), Some(Lack::Process)),
            (known(2, 33, 0), Some(Lack::Process)),
            (known(5, 35, 0), Some(Lack::Start)),
            (Known { disk: 8, ..known(1, 31, 0) }, Some(Lack::Directory)),
        ] {
            assert_eq!(mine.lacks(&known, 55), lack, "{known:?}");
        }
    }

    #[test]
    fn of_starts_long_ago_only_the_saves_are_compared() {
        let mut mine = Mine { disk: 7, ..Mine::default() };
        for boot in 1..=MOST_STARTS as u64 + 10 {
            mine.count_start(Begun { nonce: boot, saves: boot * 10 });
        }
        assert_eq!((mine.first, mine.starts.len(), mine.boot()), (11, MOST_STARTS, 1034));
        let known = |saves| Known { disk: 7, boot: 3, nonce: 99, saves };
        assert_eq!(mine.lacks(&known(110), 99_999), None);
        assert_eq!(mine.lacks(&known(111), 99_999), Some(Lack::Saves { had: 110 }));
    }
}
