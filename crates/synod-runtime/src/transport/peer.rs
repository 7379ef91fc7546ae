//! The state kept of one other process, and the datagrams for it.

use super::counts::{Counts, Dropped};
use super::frames::{self, Partials};
use super::guest::Met;
use super::link::Link;
use super::seal::HEADER;
use crate::standing::{Known, Standing};
use std::net::SocketAddr;
use std::time::Duration;

/// The time between the first greetings to a peer that does not answer; later ones are slower.
pub(super) const FIRST_GREETING: Duration = Duration::from_millis(20);

/// One other process.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The place at which the owner has named it last; none if the owner has not.
    pub(super) named: Option<SocketAddr>,
    pub(super) link: Option<Link>,
    /// The agreement on which a session between a client and a member rests.
    pub(super) met: Option<Met>,
    /// True if it has said that it is in this session, too. Its knowledge of this process is heard by then.
    pub(super) settled: bool,
    /// The counter of its last greeting in this session.
    pub(super) greeting: u64,
    /// The last session of it that was heard of, in which there may be nothing to say.
    pub(super) echo: [u8; 16],
    pub(super) standing: Standing,
    /// The number of the last configuration that it has executed, as far as it was heard in this session.
    pub(super) number: u64,
    /// The memory of it, and whether its directory is durably recorded.
    pub(super) known: Option<Known>,
    pub(super) recorded: bool,
    pub(super) partials: Partials,
    /// Sealed datagrams to be handed out, one after another, and their lengths.
    pub(super) sealed: Vec<u8>,
    pub(super) lengths: Vec<usize>,
    /// A client's last message, if there is no session to send it in yet. Otherwise its first question would be lost.
    pub(super) waiting: Option<Vec<u8>>,
    /// The datagram under way: room for the header, then the payload.
    pub(super) open: Vec<u8>,
    pub(super) heard: Duration,
    pub(super) next_greeting: Duration,
    /// The time at which a client knocks beside that, since nothing was heard after what it has sent.
    pub(super) unanswered: Option<Duration>,
    pub(super) pause: Duration,
    pub(super) last_answer: Option<Duration>,
}

impl Peer {
    /// A process that the owner has named.
    pub(super) fn named(address: SocketAddr) -> Peer {
        Peer { named: Some(address), ..Peer::at(address) }
    }

    pub(super) fn at(address: SocketAddr) -> Peer {
        Peer {
            address,
            named: None,
            link: None,
            met: None,
            settled: false,
            greeting: 0,
            echo: [0; 16],
            standing: Standing::default(),
            number: 0,
            known: None,
            recorded: false,
            partials: Partials::default(),
            sealed: Vec::new(),
            lengths: Vec::new(),
            waiting: None,
            open: Vec::new(),
            heard: Duration::ZERO,
            next_greeting: Duration::ZERO,
            unanswered: None,
            pause: FIRST_GREETING,
            last_answer: None,
        }
    }
}

/// The parts of sealing that are not the peer's.
pub(super) struct Around<'a> {
    pub(super) room: usize,
    pub(super) standing: &'a Standing,
    /// The number of the sender's last configuration, if the receiver is told of it.
    pub(super) number: Option<u64>,
    /// Cluster, sender, receiver.
    pub(super) address: (u64, u64, u64),
    pub(super) counts: &'a mut Counts,
}

impl Peer {
    /// Checks that a session with a start of it may begin after all that was heard of it. `bound` is as for [`Peer::contradicts`].
    pub(super) fn may_begin(&self, new: &Standing, bound: bool) -> Result<(), Dropped> {
        let now = self.link.as_ref().map(|_| Known::of(&self.standing));
        if now.is_some_and(|now| (now.disk, now.boot, now.nonce) == (new.disk, new.boot, new.nonce)) {
            // Each start has one session, so this is a recording.
            return Err(Dropped::StaleSession);
        }
        if self.contradicts(new, bound).is_some() { Err(Dropped::Contradicted) } else { Ok(()) }
    }

    /// The knowledge, remembered or heard in the present session, that a start of it cannot follow. A directory that is not `bound`, since it was
    /// never admitted, gives way to another one that was. Never the other way round: the session of the first would begin twice.
    pub(super) fn contradicts(&self, new: &Standing, bound: bool) -> Option<Known> {
        let gives_way = !bound && new.admitted && new.disk != self.standing.disk;
        let now = self.link.as_ref().filter(|_| !gives_way).map(|_| Known::of(&self.standing));
        [self.known, now].into_iter().flatten().find(|known| !known.admits(new))
    }

    /// The knowledge that it is told: the most that it ever said in the start that is remembered.
    pub(super) fn heard(&self) -> Option<Known> {
        let known = self.known?;
        Some(if self.link.is_some() { known.raised(&self.standing) } else { known })
    }

    /// Begins a session. What was heard of an earlier start is not forgotten: it is what this one will be told.
    pub(super) fn start_session(&mut self, link: Link, standing: Standing) {
        self.known = self.heard();
        self.link = Some(link);
        self.standing = standing;
        (self.settled, self.greeting, self.number) = (false, 0, 0);
        self.partials = Partials::default();
        self.clear();
    }

    /// Lets go of all but its session and what is known of it.
    pub(super) fn rest(&mut self) {
        self.partials = Partials::default();
        self.clear();
        (self.waiting, self.unanswered, self.named) = (None, None, None);
    }

    /// The time when it is greeted next.
    pub(super) fn due(&self) -> Duration {
        self.unanswered.map_or(self.next_greeting, |knocks| knocks.min(self.next_greeting))
    }

    /// True if nothing is to be sent to it.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.lengths.is_empty()
    }

    /// Drops what was to be sent in a session that is over.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.sealed.clear();
        self.lengths.clear();
    }

    /// Queues a message, in pieces if it fits no datagram.
    pub(super) fn push(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        around.counts.messages_sent += 1;
        let whole = frames::message_len(bytes.len());
        let preamble = frames::most_preamble(around.number);
        if whole + preamble <= around.room {
            self.make_space(whole, &*around);
            frames::message(bytes, &mut self.open);
            return;
        }
        let number = self.link.as_mut().map_or(0, Link::next_message);
        let piece = around.room - preamble - frames::PIECE;
        for (index, chunk) in bytes.chunks(piece).enumerate() {
            let need = chunk.len() + frames::PIECE;
            self.make_space(need, around);
            frames::piece(number, index * piece, bytes.len(), chunk, &mut self.open);
        }
    }

    /// Makes room for so many bytes in the datagram under way.
    pub(super) fn make_space(&mut self, need: usize, around: &Around<'_>) {
        let standing = around.standing;
        if !self.open.is_empty() && self.open.len() - HEADER + need > around.room {
            self.seal(around);
        }
        if self.open.is_empty() {
            self.open.resize(HEADER, 0);
            frames::write_preamble(standing, around.number, &mut self.open);
        }
    }

    /// Seals the datagram under way. When a session has used up its counter nothing more is sent in it. 2^64 datagrams
    /// take longer than any process lives.
    pub(super) fn seal(&mut self, around: &Around<'_>) {
        if let Some(link) = &mut self.link
            && link.seal(around.address, &mut self.open)
        {
            self.lengths.push(self.open.len());
            self.sealed.extend_from_slice(&self.open);
        }
        self.open.clear();
    }
}
