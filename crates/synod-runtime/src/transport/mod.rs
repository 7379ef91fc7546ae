//! Authenticated datagrams: sealed, bound to cluster, sender, receiver and session, and never taken twice.
//!
//! This module is pure: callers hand in time and randomness, and datagrams come and go as bytes. Members are known by id; the address that a
//! datagram came from proves nothing. A process that is authentic and answers this very start is spoken to at the address of its last greeting. So a
//! member may come back at another address than the others' configuration has.
//!
//! Every start of a process draws a *session*. Two processes talk under keys made of the secret they share, both their
//! sessions and both their ids: one key per direction, with a counter as nonce. A process takes a session as a peer's only when
//! the peer proves, by repeating this process's session, that it spoke after this start. So nothing of an earlier run can be replayed.

mod arrivals;
mod counts;
#[doc(hidden)]
pub mod decoders;
mod frames;
mod guest;
mod guests;
mod hello;
mod host;
mod link;
mod list;
mod listed;
mod members;
mod peer;
mod seal;

pub use crate::ids::MOST_IDS;
pub use arrivals::{Arrival, Refused};
pub use counts::{Counts, Dropped};

use crate::ids::{FIRST_CLIENT, LOCAL_CLIENT, is_local_client};
use crate::keys::{ClientKeys, Keys};
use crate::standing::Standing;
use frames::Frame;
use host::{Guest, Host};
use link::Link;
use list::Listed;
use peer::{Around, FIRST_GREETING, Peer};
use seal::{Header, Kind, OVERHEAD, Secrets};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The configuration of a transport.
pub struct Config {
    /// The cluster's tag; datagrams of another are dropped.
    pub cluster: u64,
    /// The id of this process.
    pub me: u64,
    /// The members that it talks to, and their addresses.
    pub peers: Vec<(u64, SocketAddr)>,
    /// The ids with which the cluster began, if its members change. `None`: the members are this process and its peers. A client has no such list.
    pub first: Option<Vec<u64>>,
    /// The keys among members; a client has none.
    pub cluster_keys: Option<Keys>,
    /// The keys between clients and members; a client uses the first.
    pub client_keys: Option<ClientKeys>,
    /// The longest datagram, in bytes of UDP payload: 508 to 65,507.
    pub datagram: usize,
    /// The longest message to or from a member, in bytes.
    pub max_message: usize,
    /// The longest message to or from a client, in bytes. A member keeps the pieces of sixteen such messages at most.
    pub max_client_message: usize,
    /// The standing that this process announces.
    pub standing: Standing,
    /// Random bytes, drawn for this start and told nobody. The session, and a client's half of a secret, follow from them.
    pub session: [u8; 16],
}

/// The longest message, in bytes, that a member takes from a client, unless its values are longer. It drops a longer one, and counts it
/// ([`Dropped::Oversized`]). It cannot tell the sender which one that was, so a client has to know this.
pub const LONG_MESSAGE: usize = 4 << 20;

/// The longest time between greetings to a peer that does not answer.
const SLOWEST_GREETING: Duration = Duration::from_millis(500);
/// The time between greetings to a peer that answers.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// The time after which a client knocks at a member that has not answered. The member may have been restarted, and know nothing of the session.
const UNANSWERED: Duration = Duration::from_millis(50);
/// The least time between two answers to greetings of one peer.
const BETWEEN_ANSWERS: Duration = Duration::from_millis(20);
/// The room for messages in pieces of all clients together, in messages of the longest kind.
const CLIENT_PARTIALS: usize = 16;

/// Seals and opens datagrams.
pub struct Transport {
    me: u64,
    cluster: u64,
    session: [u8; 16],
    standing: Standing,
    datagram: usize,
    max_message: usize,
    max_client_message: usize,
    member_secrets: Secrets,
    host: Host,
    /// A client's state; a member has none.
    guest: Option<Guest>,
    /// The ids of all members in order, this one included; those with which the cluster began, if members change. A client has no such list.
    members: Vec<u64>,
    /// True if members change.
    changes: bool,
    /// The number of the last configuration that this process has executed.
    number: u64,
    /// The members as clients are told them; at a client, as it was told.
    listed: Listed,
    peers: BTreeMap<u64, Peer>,
    /// Processes that are no peers now, as they would go on.
    asleep: BTreeMap<u64, Peer>,
    clients: BTreeMap<u64, Peer>,
    /// Bytes held for clients' messages of which some pieces are missing.
    client_pieces: usize,
    /// The receivers to which something is to be sent.
    ready: Vec<u64>,
    /// Answers to clients that are not remembered.
    loose: Vec<(SocketAddr, Vec<u8>)>,
    /// The time when a member that is no peer was last answered: by id where members change, and otherwise of all.
    strangers: BTreeMap<Option<u64>, Option<Duration>>,
    hellos: u64,
    /// The time of the last [`Transport::tick`].
    now: Duration,
    rng: fastrand::Rng,
    counts: Counts,
}

impl Transport {
    /// A transport that knows nobody yet.
    ///
    /// # Panics
    /// When the longest datagram is not from 508 to 65,507 bytes, a peer is a client or this process itself, this process is a local
    /// client, or there are more members, or larger ids, than any configuration may have: where members change, ids are below [`MOST_IDS`].
    pub fn new(config: Config, rng: fastrand::Rng) -> Transport {
        assert!((508..=65_507).contains(&config.datagram), "a datagram of {} bytes", config.datagram);
        let peers: BTreeMap<u64, Peer> =
            config.peers.into_iter().map(|(id, address)| (id, Peer::named(address))).collect();
        assert!(
            peers.keys().all(|id| *id < LOCAL_CLIENT && *id != config.me),
            "a peer is a member, and another"
        );
        assert!(!is_local_client(config.me), "a local client needs no transport");
        let guest = config.client_keys.as_ref().filter(|_| config.me >= FIRST_CLIENT);
        let guest = guest.map(|keys| Guest::new(keys, config.me, &config.session));
        let me = Some(config.me).filter(|me| *me < FIRST_CLIENT);
        let changes = me.is_some() && config.first.is_some();
        let all = me.map_or(Vec::new(), |me| peers.keys().copied().chain([me]).collect());
        let mut members = if changes { config.first.unwrap_or_default() } else { all };
        members.sort_unstable();
        members.dedup();
        let most = if changes { MOST_IDS } else { LOCAL_CLIENT };
        assert!(
            members.iter().chain(peers.keys()).chain(&me).all(|id| *id < most),
            "an id that no member can have"
        );
        assert!(
            hello::write_members(&members).is_some(),
            "{} members are more than a greeting names",
            members.len()
        );
        Transport {
            me: config.me,
            members,
            changes,
            number: 0,
            listed: Listed::default(),
            asleep: BTreeMap::new(),
            strangers: BTreeMap::new(),
            cluster: config.cluster,
            session: seal::session(&config.session, config.me, &config.standing),
            standing: config.standing,
            datagram: config.datagram,
            max_message: config.max_message,
            max_client_message: config.max_client_message,
            member_secrets: Secrets::new(config.cluster_keys.as_ref()),
            host: Host::new(config.cluster_keys.as_ref(), config.client_keys.as_ref()),
            guest,
            peers,
            clients: BTreeMap::new(),
            client_pieces: 0,
            ready: Vec::new(),
            loose: Vec::new(),
            hellos: 0,
            now: Duration::ZERO,
            rng,
            counts: Counts::default(),
        }
    }

    /// The id of this process.
    pub fn me(&self) -> u64 {
        self.me
    }

    /// The members that it talks to.
    pub fn peers(&self) -> impl Iterator<Item = u64> {
        self.peers.keys().copied()
    }

    /// The ids of all members in order, this one included; those with which the cluster began, if members change. Empty at a client.
    pub fn members(&self) -> &[u64] {
        &self.members
    }

    /// True if there is a session with a peer or client in which something can be said.
    pub fn connected(&self, id: u64) -> bool {
        self.peer(id)
            .is_some_and(|peer| peer.link.is_some() && (peer.settled || !self.is_between_members(id)))
    }

    fn is_between_members(&self, other: u64) -> bool {
        self.me < FIRST_CLIENT && other < FIRST_CLIENT
    }

    /// The standing that a peer announced last, even if it sleeps by now: what it said before may still have an effect.
    pub fn peer_standing(&self, id: u64) -> Option<Standing> {
        self.peers
            .get(&id)
            .or_else(|| self.asleep.get(&id))
            .filter(|peer| peer.link.is_some())
            .map(|peer| peer.standing)
    }

    /// The last time that a member was heard in the present session with it.
    pub fn heard(&self, id: u64) -> Option<Duration> {
        self.peers.get(&id).filter(|peer| peer.link.is_some()).map(|peer| peer.heard)
    }

    /// The number of clients with which there is a session.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Bytes held for messages of which some pieces are missing. Bounded: four messages of the longest kind per member, and
    /// sixteen for all clients together.
    pub fn in_pieces(&self) -> usize {
        self.client_pieces + self.peers.values().map(|peer| peer.partials.bytes()).sum::<usize>()
    }

    /// Counts of what was sent, received and dropped.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Changes the standing that this process announces. That it takes part is announced at once.
    pub fn set_standing(&mut self, standing: Standing) {
        if standing.admitted != self.standing.admitted {
            for peer in self.peers.values_mut() {
                peer.next_greeting = Duration::ZERO;
            }
        }
        self.standing = standing;
    }

    /// Replaces the keys from now on. Sessions among members go on: the first key seals from now on, and any key
    /// opens. Sessions with clients go on as long as their keys are there.
    pub fn replace_keys(&mut self, cluster_keys: Option<&Keys>, client_keys: Option<&ClientKeys>) {
        self.member_secrets = Secrets::new(cluster_keys);
        if self.guest.is_none() {
            // Those that sleep may be peers again in the same session.
            for (id, peer) in self.peers.iter_mut().chain(&mut self.asleep) {
                if let Some(link) = &mut peer.link {
                    let address = (self.cluster, self.me, *id);
                    link.rekey(&self.member_secrets, address, (&self.session, self.standing.boot));
                }
            }
        }
        self.replace_client_keys(cluster_keys, client_keys);
    }

    fn peer(&self, id: u64) -> Option<&Peer> {
        if id < FIRST_CLIENT { self.peers.get(&id) } else { self.clients.get(&id) }
    }

    /// Takes a datagram. One that cannot be believed is dropped and counted.
    pub fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &mut [u8],
        on: &mut dyn FnMut(Arrival<'_>),
    ) {
        self.counts.received += 1;
        if let Err(dropped) = self.take(now, from, datagram, on) {
            self.counts.drop(dropped);
        }
    }

    fn take(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &mut [u8],
        on: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Dropped> {
        let header = Header::read(datagram)?;
        if header.cluster != self.cluster {
            return Err(Dropped::OtherCluster);
        }
        if header.to != self.me {
            return Err(Dropped::OtherReceiver);
        }
        // A local client speaks in its own program alone.
        if is_local_client(header.from) {
            return Err(Dropped::UnknownSender);
        }
        // Clients talk to members only.
        if header.from == self.me || (self.me >= FIRST_CLIENT && header.from >= FIRST_CLIENT) {
            return Err(Dropped::UnknownSender);
        }
        let stranger = header.from < FIRST_CLIENT && !self.peers.contains_key(&header.from);
        if stranger && (self.me >= FIRST_CLIENT || header.kind == Kind::Data) {
            return Err(Dropped::UnknownSender);
        }
        let clients = (self.me >= FIRST_CLIENT, header.from >= FIRST_CLIENT);
        match (header.kind, clients) {
            (Kind::Hello, (false, false)) => self.take_hello(now, from, header, datagram, on),
            (Kind::Knock, (false, true)) => self.take_knock(now, from, &header, datagram, on),
            (Kind::Welcome, (true, false)) => self.take_welcome(now, &header, datagram, on),
            (Kind::Data, _) => self.take_data(now, from, header, datagram, on),
            _ => Err(Dropped::UnknownSender),
        }
    }

    fn take_data(
        &mut self,
        now: Duration,
        address: SocketAddr,
        header: Header,
        datagram: &mut [u8],
        on: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), Dropped> {
        let (me, max) = (self.me, self.longest_message(header.from));
        let is_client = header.from >= FIRST_CLIENT;
        let peer =
            if is_client { self.clients.get_mut(&header.from) } else { self.peers.get_mut(&header.from) };
        let peer = peer.ok_or(Dropped::NoSession)?;
        let link = peer.link.as_mut().ok_or(Dropped::NoSession)?;
        let payload = link.open(&header, datagram)?;
        peer.heard = now;
        if peer.unanswered.take().is_some() {
            peer.pause = FIRST_GREETING;
        }
        // A datagram that comes late, or is held back and released elsewhere, does not move a client.
        if is_client && link.is_newest(&header) {
            peer.address = address;
        }
        let (said, number, mut rest) = frames::preamble(payload)?;
        peer.standing.saves = peer.standing.saves.max(said.saves);
        peer.standing.admitted |= said.admitted;
        peer.number = peer.number.max(number.unwrap_or_default());
        let counts = &mut self.counts;
        // A member that does not take part has nothing to say to another, but that it wants to learn.
        let admitted = header.from >= FIRST_CLIENT || me >= FIRST_CLIENT || peer.standing.admitted;
        let silenced = !admitted && !self.changes;
        let mut deliver = |bytes: &[u8], on: &mut dyn FnMut(Arrival<'_>)| {
            if silenced {
                counts.drop(Dropped::NotAdmitted);
            } else {
                counts.messages_received += 1;
                on(Arrival::Message { from: header.from, bytes, admitted });
            }
        };
        let before = peer.partials.bytes();
        let others = self.client_pieces - if is_client { before } else { 0 };
        let room = if is_client { CLIENT_PARTIALS * max - others } else { usize::MAX };
        let (mut done, mut listed) = (Ok(()), None);
        while !rest.is_empty() && done.is_ok() {
            done = match frames::next(&mut rest) {
                Ok(Frame::Message(bytes)) => {
                    deliver(bytes, on);
                    Ok(())
                }
                Ok(Frame::Piece(piece)) => peer.partials.take(&piece, max, room).map(|whole| {
                    if let Some(whole) = whole {
                        deliver(&whole, on);
                    }
                }),
                Ok(Frame::Busy) => {
                    on(Arrival::Busy { from: header.from });
                    Ok(())
                }
                Ok(Frame::Listed(bytes)) => {
                    listed = Some(bytes);
                    Ok(())
                }
                Err(dropped) => Err(dropped),
            };
        }
        if is_client {
            self.client_pieces = others + peer.partials.bytes();
        }
        done.and_then(|()| listed.map_or(Ok(()), |bytes| self.take_listed(bytes)))
    }

    /// The number of this process's last configuration, if the receiver is told of it.
    fn number_for(&self, to: u64) -> Option<u64> {
        (self.changes && to < FIRST_CLIENT).then_some(self.number)
    }

    /// The longest message to or from another process.
    fn longest_message(&self, other: u64) -> usize {
        if other < FIRST_CLIENT { self.max_message } else { self.max_client_message }
    }

    /// Queues a message for the next [`Transport::flush`], together with others for the same receiver. A client's last
    /// message to a member waits until there is a session with that member.
    ///
    /// # Errors
    /// When it is too long, or there is no session with the receiver.
    pub fn send(&mut self, to: u64, bytes: &[u8]) -> Result<(), Refused> {
        let most = self.longest_message(to);
        if bytes.len() > most {
            return Err(Refused::TooLarge { len: bytes.len(), most });
        }
        let room = self.datagram - OVERHEAD;
        let number = self.number_for(to);
        let Transport { peers, clients, ready, counts, standing, cluster, me, now, .. } = self;
        let peer = if to < FIRST_CLIENT { peers.get_mut(&to) } else { clients.get_mut(&to) };
        let peer = peer.ok_or(Refused::NoSession)?;
        let unheard = *me < FIRST_CLIENT && to < FIRST_CLIENT && !peer.settled;
        if peer.link.is_none() || unheard {
            // Members say again what is not heard, and old news does more harm than good. A client asks rarely.
            if *me < FIRST_CLIENT {
                return Err(Refused::NoSession);
            }
            peer.waiting = Some(bytes.to_vec());
            return Ok(());
        }
        if *me >= FIRST_CLIENT {
            peer.unanswered.get_or_insert(*now + UNANSWERED);
        }
        if peer.is_idle() {
            ready.push(to);
        }
        let mut around = Around { room, standing, number, address: (*cluster, *me, to), counts };
        peer.push(bytes, &mut around);
        Ok(())
    }

    /// Tells a client that a message of it was dropped because too much was waiting.
    pub fn refuse(&mut self, client: u64) {
        let room = self.datagram - OVERHEAD;
        let Transport { clients, ready, counts, standing, cluster, me, .. } = self;
        let Some(peer) = clients.get_mut(&client).filter(|peer| peer.link.is_some()) else { return };
        if peer.is_idle() {
            ready.push(client);
        }
        counts.refusals += 1;
        let around = Around { room, standing, number: None, address: (*cluster, *me, client), counts };
        peer.make_space(frames::BUSY_LEN, &around);
        frames::busy(&mut peer.open);
    }

    /// The time when a greeting is due.
    pub fn next_greeting(&self) -> Duration {
        self.peers.values().map(Peer::due).min().unwrap_or(Duration::MAX)
    }

    /// Sends the greetings that are due.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        self.leave_silent(now);
        let due: Vec<u64> =
            self.peers.iter().filter(|(_, peer)| peer.due() <= now).map(|(id, _)| *id).collect();
        for id in due {
            let datagram = if self.guest.is_some() {
                self.knock(id)
            } else {
                let peer = &self.peers[&id];
                let (echo, settled) =
                    (peer.link.as_ref().map_or(peer.echo, |link| *link.theirs()), peer.link.is_some());
                let known = peer.heard();
                self.hello(id, &echo, known, settled)
            };
            let jitter = self.rng.f64() * 0.5 + 0.75;
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            // Until a member is heard in it, nobody knows whether the member knows of the session.
            let heard = peer.link.as_ref().is_some_and(Link::is_heard);
            let certain = if self.guest.is_some() { heard } else { peer.settled };
            let pause = if certain && peer.unanswered.is_none() {
                KEEP_ALIVE
            } else {
                let slower = (peer.pause * 2).min(SLOWEST_GREETING);
                std::mem::replace(&mut peer.pause, slower)
            };
            peer.next_greeting = now + pause.mul_f64(jitter);
            if let Some(knocks) = &mut peer.unanswered {
                *knocks = peer.next_greeting;
            }
            self.loose.push((peer.address, datagram));
        }
    }

    /// Hands out everything that is to be sent; datagrams for one receiver come together.
    pub fn flush(&mut self, emit: &mut dyn FnMut(SocketAddr, &[u8])) {
        for (address, datagram) in self.loose.drain(..) {
            self.counts.sent += 1;
            emit(address, &datagram);
        }
        let Transport { peers, clients, ready, counts, standing, cluster, me, datagram, .. } = self;
        let room = *datagram - OVERHEAD;
        for id in ready.drain(..) {
            let peer = if id < FIRST_CLIENT { peers.get_mut(&id) } else { clients.get_mut(&id) };
            // A client that was forgotten meanwhile to make room, or that began a new session, has nothing waiting.
            let Some(peer) = peer else { continue };
            if !peer.open.is_empty() {
                peer.seal(&Around { room, standing, number: None, address: (*cluster, *me, id), counts });
            }
            let mut rest = peer.sealed.as_slice();
            for length in peer.lengths.drain(..) {
                let (datagram, after) = rest.split_at(length);
                rest = after;
                counts.sent += 1;
                emit(peer.address, datagram);
            }
            peer.sealed.clear();
        }
    }
}
