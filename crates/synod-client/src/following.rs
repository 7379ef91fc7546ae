//! The members whom a client asks: those of its file, until a member tells it who the members are now.
//!
//! The members of the file are the last resort: if none of those that it was told of answers for a while, it asks the ones of its file as well. One of them may
//! be a member still, or know who is.

use crate::config::Config;
use std::net::SocketAddr;

/// The members that are asked.
pub(crate) struct Following {
    /// Those of the file, in the order in which this client asks them.
    file: Vec<(u64, SocketAddr)>,
    /// True if its socket reaches addresses of this kind.
    is_v4: bool,
    /// The list as it was told last, and those of it that the socket reaches.
    told: Vec<(u64, SocketAddr)>,
    listed: Vec<(u64, SocketAddr)>,
    asked: Vec<(u64, SocketAddr)>,
    is_lost: bool,
    /// True if the actors have not been told yet.
    pub(crate) is_due: bool,
}

impl Following {
    pub(crate) fn new(config: &Config) -> Following {
        let file = config.members.clone();
        Following {
            is_v4: file.iter().all(|(_, address)| address.is_ipv4()),
            told: Vec::new(),
            listed: Vec::new(),
            asked: file.clone(),
            file,
            is_lost: false,
            is_due: false,
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> {
        self.asked.iter().map(|(id, _)| *id)
    }

    pub(crate) fn is_news(&self, told: &[(u64, SocketAddr)]) -> bool {
        told != self.told
    }

    /// Takes note of a list, if there is a new one, and of whether the client is lost. Returns the members to be asked from now on if they are others.
    pub(crate) fn follow(
        &mut self,
        told: Option<Vec<(u64, SocketAddr)>>,
        is_lost: bool,
    ) -> Option<Vec<(u64, SocketAddr)>> {
        if told.is_none() && is_lost == self.is_lost {
            return None;
        }
        self.is_lost = is_lost;
        if let Some(told) = told {
            self.listed = told.iter().copied().filter(|(_, at)| at.is_ipv4() == self.is_v4).collect();
            self.told = told;
        }
        let is_listed = |id: u64| self.listed.iter().any(|(listed, _)| *listed == id);
        let resort = self.file.iter().filter(|(id, _)| !is_listed(*id));
        // A list on which nobody can be reached is as good as none.
        let asked: Vec<_> = if is_lost || self.listed.is_empty() {
            self.listed.iter().chain(resort).copied().collect()
        } else {
            self.listed.clone()
        };
        if asked == self.asked {
            return None;
        }
        self.asked.clone_from(&asked);
        self.is_due = true;
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ids: &[u64]) -> Vec<(u64, SocketAddr)> {
        ids.iter().map(|id| (*id, ([127, 0, 0, 1], 7000 + *id as u16).into())).collect()
    }

    fn ids(of: &[(u64, SocketAddr)]) -> Vec<u64> {
        of.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn it_asks_those_it_was_told_of_and_as_a_last_resort_those_of_its_file() {
        let config = at(&[0, 1, 2])
            .into_iter()
            .fold(Config::new("test", "key"), |config, (id, at)| config.member(id, at));
        let mut following = Following::new(&config);
        let mut follow = |told: Option<&[u64]>, is_lost| {
            let told = told.map(at).filter(|told| following.is_news(told));
            following.follow(told, is_lost).map(|asked| ids(&asked))
        };
        assert_eq!(follow(None, false), None);
        assert_eq!(follow(Some(&[0, 1, 2]), false), None, "as in the file");
        assert_eq!(follow(Some(&[1, 2, 3]), false), Some(vec![1, 2, 3]));
        assert_eq!(follow(Some(&[1, 2, 3]), false), None);
        assert_eq!(follow(Some(&[1, 2, 3]), true), Some(vec![1, 2, 3, 0]));
        assert_eq!(follow(None, true), None);
        assert_eq!(follow(Some(&[3, 4, 5]), true), Some(vec![3, 4, 5, 0, 1, 2]));
        assert_eq!(follow(None, false), Some(vec![3, 4, 5]));
        assert!(following.is_due);
    }

    #[test]
    fn a_member_that_moved_is_asked_where_it_is_and_one_out_of_reach_is_not() {
        let config = Config::new("test", "key").member(0, at(&[0])[0].1);
        let mut following = Following::new(&config);
        let moved: SocketAddr = ([127, 0, 0, 9], 1).into();
        let far: SocketAddr = (std::net::Ipv6Addr::LOCALHOST, 1).into();
        assert_eq!(following.follow(Some(vec![(0, moved), (1, far)]), false), Some(vec![(0, moved)]));
        assert_eq!(
            following.follow(Some(vec![(1, far)]), false),
            Some(at(&[0])),
            "nobody on it can be reached"
        );
    }
}
