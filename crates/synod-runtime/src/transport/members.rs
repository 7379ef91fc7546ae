//! The greetings between members, and which processes are peers.
//!
//! Where members change ([`Config::first`](super::Config::first)) the owner names the peers anew whenever it learns of others. A process that nobody has
//! named is a peer, too, for as long as it goes on to greet under the cluster's key: a member that was away while others joined would never
//! hear of them otherwise. A process that is no peer any more *sleeps*: its session, and what is known of it, are kept. A session that
//! began anew would use its keys again.

use super::counts::Dropped;
use super::hello::Hello;
use super::link::Link;
use super::peer::{FIRST_GREETING, Peer};
use super::seal::Header;
use super::{Arrival, BETWEEN_ANSWERS, Transport};
use crate::admission::Answer;
use crate::ids::MOST_IDS;
use crate::standing::{Known, Standing};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// The most peers at a time that nobody has named.
const MOST_UNNAMED: usize = 16;

/// The time after which a peer that nobody has named sleeps if it is silent.
const UNNAMED_SILENCE: Duration = Duration::from_secs(30);

impl Transport {
    /// Names the peers of a member whose members change, or of a client, and where each is to be found. It may be called as often as there is
    /// something new. Others sleep from now on. This process itself and ids that no member can have are left out. A peer that is named at the same place as before goes on
    /// to be spoken to where it greets from.
    ///
    /// # Panics
    /// At a member whose members do not change.
    pub fn set_peers(&mut self, named: &[(u64, SocketAddr)]) {
        assert!(self.changes || self.guest.is_some(), "the members are fixed");
        let named: BTreeMap<u64, SocketAddr> =
            named.iter().copied().filter(|(id, _)| *id < MOST_IDS && *id != self.me).collect();
        let gone: Vec<u64> = self.peers.keys().filter(|id| !named.contains_key(id)).copied().collect();
        for id in gone {
            self.put_to_sleep(id);
        }
        for (id, address) in named {
            let peer = self.wake(id, address);
            if peer.named != Some(address) {
                (peer.named, peer.address) = (Some(address), address);
                (peer.next_greeting, peer.pause) = (Duration::ZERO, FIRST_GREETING);
            }
        }
    }

    /// Changes the number of the last configuration of members that this process has executed. Where members change it is in every datagram to
    /// another member.
    pub fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    /// True if the directory of a process that greets is to be recorded, so that no other is ever taken for it. Where members change, one that was never
    /// admitted is not, unless the cluster began with both: nothing rests on what it says, and whoever meets it first may be the one that has not met another.
    pub fn binds(&self, peer: u64, standing: &Standing) -> bool {
        let is_first = |id: &u64| self.members.binary_search(id).is_ok();
        !self.changes || standing.admitted || (is_first(&self.me) && is_first(&peer))
    }

    /// The peers, and those that sleep.
    pub fn met(&self) -> impl Iterator<Item = u64> {
        self.peers.keys().chain(self.asleep.keys()).copied()
    }

    /// The number of the last configuration that a peer has said to have executed, in the present session with it.
    pub fn peer_number(&self, id: u64) -> Option<u64> {
        self.peers.get(&id).filter(|peer| peer.link.is_some()).map(|peer| peer.number)
    }

    /// True if members change.
    pub fn changes(&self) -> bool {
        self.changes
    }

    /// A process as a peer. It goes on as it was before it slept; if it is new, it is at this address.
    fn wake(&mut self, id: u64, address: SocketAddr) -> &mut Peer {
        let Transport { peers, asleep, .. } = self;
        peers.entry(id).or_insert_with(|| {
            let mut peer = asleep.remove(&id).unwrap_or_else(|| Peer::at(address));
            if peer.link.is_none() {
                peer.address = address;
            }
            (peer.next_greeting, peer.pause, peer.named) = (Duration::ZERO, FIRST_GREETING, None);
            peer
        })
    }

    /// Enforces that no session begins twice: what was said in it would be taken again, and its keys would seal other words.
    fn put_to_sleep(&mut self, id: u64) {
        if let Some(mut peer) = self.peers.remove(&id) {
            peer.rest();
            self.asleep.insert(id, peer);
        }
    }

    /// Makes a process a peer that greets under the cluster's key, in answer to this very start.
    fn adopt(&mut self, now: Duration, id: u64, address: SocketAddr) -> Result<(), Dropped> {
        let unnamed = self.peers.values().filter(|peer| peer.named.is_none()).count();
        if !self.changes || id >= MOST_IDS || unnamed >= MOST_UNNAMED {
            return Err(Dropped::UnknownSender);
        }
        self.wake(id, address).heard = now;
        Ok(())
    }

    /// Puts those to sleep that nobody has named and that are silent.
    pub(super) fn leave_silent(&mut self, now: Duration) {
        let is_gone = |peer: &Peer| peer.named.is_none() && now >= peer.heard + UNNAMED_SILENCE;
        let gone: Vec<u64> = self.peers.iter().filter(|(_, peer)| is_gone(peer)).map(|(id, _)| *id).collect();
        for id in gone {
            self.put_to_sleep(id);
        }
    }

    /// Changes what this process remembers of a peer, and whether the peer's directory is durably recorded. The peer is told that
    /// at once. Where members change, what is said of a process that is no peer yet holds once it is one.
    pub fn set_known(&mut self, peer: u64, known: Option<Known>, recorded: bool) {
        let Transport { peers, asleep, changes, me, .. } = self;
        let is_other = *changes && peer < MOST_IDS && peer != *me;
        let peer = match peers.get_mut(&peer) {
            None if is_other => asleep.entry(peer).or_insert_with(|| Peer::at(NOWHERE)),
            None => return,
            Some(peer) => peer,
        };
        if recorded != peer.recorded {
            peer.next_greeting = Duration::ZERO;
        }
        (peer.known, peer.recorded) = (known, recorded);
    }

    pub(super) fn take_hello(
        &mut self,
        now: Duration,
        address: SocketAddr,
        header: Header,
        datagram: &mut [u8],
        on: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Dropped> {
        let (session, hello) = Hello::open(&self.member_secrets, &header, datagram)?;
        if let Some(peer) = self.peers.get_mut(&header.from) {
            peer.echo = session;
        }
        if hello.echo != self.session {
            // It does not know this process yet, or it is a recording. An answer teaches it this session, and teaches this process nothing.
            return self.answer(now, header.from, address, &session, None);
        }
        if hello.members != self.members {
            // With quorums of other members nothing that it says means here what it meant there.
            on(Arrival::OtherMembers { from: header.from, members: &hello.members });
            return Err(Dropped::OtherMembers);
        }
        let is_stranger = !self.peers.contains_key(&header.from);
        if is_stranger {
            self.adopt(now, header.from, address)?;
        }
        let (cluster, me, mine) = (self.cluster, self.me, (self.session, self.standing.boot));
        let binds = self.binds(header.from, &hello.standing);
        let bound = self.peers.get(&header.from).is_some_and(|peer| self.binds(header.from, &peer.standing));
        let peer = self.peers.get_mut(&header.from).ok_or(Dropped::UnknownSender)?;
        let fresh = peer.link.as_ref().is_none_or(|link| *link.theirs() != session);
        if fresh {
            if let Err(dropped) = peer.may_begin(&hello.standing, bound) {
                if let Some(known) = peer.contradicts(&hello.standing, bound) {
                    // It is told what was heard of it, and will stop.
                    let _ = self.answer(now, header.from, address, &session, Some(known));
                }
                if is_stranger {
                    self.put_to_sleep(header.from);
                }
                return Err(dropped);
            }
            let theirs = (session, hello.standing.boot);
            let link = Link::new(&self.member_secrets, (cluster, me, header.from), mine, theirs);
            peer.start_session(link, hello.standing);
        } else {
            peer.standing.saves = peer.standing.saves.max(hello.standing.saves);
            peer.standing.admitted |= hello.standing.admitted;
        }
        // A greeting may come again from anywhere, but then it is not the newest.
        if header.counter > peer.greeting {
            (peer.greeting, peer.address) = (header.counter, address);
        }
        peer.settled |= hello.settled;
        peer.number = peer.number.max(hello.number);
        peer.heard = now;
        peer.pause = FIRST_GREETING;
        if fresh || !hello.hears {
            // It is told now all that there will ever be of its earlier starts.
            peer.next_greeting = Duration::ZERO;
        }
        let Hello { standing, known, recorded, number, .. } = hello;
        let answer = hello.settled.then_some(Answer { known, recorded, admitted: standing.admitted, number });
        on(Arrival::Hello { from: header.from, standing, binds, answer, begins: fresh });
        Ok(())
    }

    /// Answers a greeting, and repeats the session that it named. The answer holds what is `known` that its sender cannot follow, if anything is.
    fn answer(
        &mut self,
        now: Duration,
        to: u64,
        address: SocketAddr,
        echo: &[u8; 16],
        known: Option<Known>,
    ) -> Result<(), Dropped> {
        let settled = known.is_some();
        // Where members change, one that is no peer yet must not wait for others that greet as fast as they can.
        let stranger = Some(to).filter(|id| self.changes && *id < MOST_IDS);
        let last = match self.peers.get_mut(&to) {
            Some(peer) => &mut peer.last_answer,
            None => self.strangers.entry(stranger).or_default(),
        };
        if last.is_some_and(|last| now < last + BETWEEN_ANSWERS) {
            return Err(Dropped::TooOften);
        }
        *last = Some(now);
        let known = known.or_else(|| self.peers.get(&to).and_then(Peer::heard));
        let datagram = self.hello(to, echo, known, settled);
        self.loose.push((address, datagram));
        Ok(())
    }

    /// Makes a greeting. It is `settled` if no earlier session with the receiver will have any further effect.
    pub(super) fn hello(&mut self, to: u64, echo: &[u8; 16], known: Option<Known>, settled: bool) -> Vec<u8> {
        self.hellos += 1;
        let peer = self.peers.get(&to);
        let hello = Hello {
            standing: self.standing,
            echo: *echo,
            settled,
            hears: peer.is_none_or(|peer| peer.settled),
            known,
            recorded: peer.is_some_and(|peer| peer.recorded),
            number: self.number,
            members: self.members.clone(),
        };
        hello.seal(&self.member_secrets, (self.cluster, self.me, to), &self.session, self.hellos)
    }
}

/// The place of a process that has not been heard of.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
