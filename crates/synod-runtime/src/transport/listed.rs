//! The members and their addresses, as a member tells them to clients.
//!
//! A client's file names members of the day on which it was written. Where members change, each member tells each client who the members
//! are now, and where: when a session begins, when something has changed, and now and then, since a datagram may be lost.

use super::Transport;
use super::counts::Dropped;
use super::frames;
use super::list::{Listed, MOST};
use super::peer::Around;
use super::seal::OVERHEAD;
use crate::ids::{FIRST_CLIENT, MOST_IDS};
use std::net::SocketAddr;
use std::time::Duration;

/// The time after which a client that knocks is told the list again.
const AGAIN: Duration = Duration::from_secs(10);

impl Transport {
    /// Changes the list of members that clients are told: this member's, where members change. It follows from all instances below `below`. Ids that
    /// no member can have are left out, and of more members than a configuration has the last ones. A list that names nobody is not told.
    ///
    /// # Panics
    /// At a member whose members do not change.
    pub fn set_listed(&mut self, below: u64, members: &[(u64, SocketAddr)]) {
        assert!(self.changes, "the members are fixed");
        let mut members: Vec<(u64, SocketAddr)> =
            members.iter().copied().filter(|(id, _)| *id < MOST_IDS).collect();
        members.sort_unstable();
        members.dedup_by_key(|(id, _)| *id);
        members.truncate(MOST);
        if self.listed.members == members {
            return;
        }
        self.listed = Listed { below, members };
        let clients: Vec<u64> = self.clients.keys().copied().collect();
        for client in clients {
            self.tell_listed(self.now, client);
        }
    }

    /// The members as the last one that was heard has them: at a client of a cluster whose members change, once it was told.
    pub fn listed(&self) -> Option<&[(u64, SocketAddr)]> {
        let is_told = self.me >= FIRST_CLIENT && !self.listed.members.is_empty();
        is_told.then_some(&self.listed.members)
    }

    /// Tells a client the list, if there is one.
    pub(super) fn tell_listed(&mut self, now: Duration, client: u64) {
        if self.listed.members.is_empty() || self.me >= FIRST_CLIENT {
            return;
        }
        let bytes = self.listed.write();
        let room = self.datagram - OVERHEAD;
        let Transport { clients, ready, counts, standing, cluster, me, .. } = self;
        let Some(peer) = clients.get_mut(&client).filter(|peer| peer.link.is_some()) else { return };
        if peer.is_idle() {
            ready.push(client);
        }
        peer.last_answer = Some(now);
        let around = Around { room, standing, number: None, address: (*cluster, *me, client), counts };
        peer.make_space(frames::message_len(bytes.len()), &around);
        frames::listed(&bytes, &mut peer.open);
    }

    /// Tells a client that knocks the list again, if that was long ago.
    pub(super) fn tell_listed_again(&mut self, now: Duration, client: u64) {
        let last = self.clients.get(&client).and_then(|peer| peer.last_answer);
        if last.is_none_or(|last| now >= last + AGAIN) {
            self.tell_listed(now, client);
        }
    }

    /// Takes a list that a member tells, unless a later one is known.
    pub(super) fn take_listed(&mut self, bytes: &[u8]) -> Result<(), Dropped> {
        if self.me < FIRST_CLIENT {
            return Err(Dropped::Malformed);
        }
        let said = Listed::read(bytes)?;
        if said.below >= self.listed.below {
            self.listed = said;
        }
        Ok(())
    }
}
