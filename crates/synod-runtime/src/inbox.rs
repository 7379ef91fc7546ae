//! What waits to be stepped: bounded, and served in turn, so that no source starves another.

use crate::Counts;
use crate::node::FIRST_CLIENT;
use crate::timers::Timers;
use serde::de::DeserializeOwned;
use stateright::actor::Actor;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// One event for an actor.
pub enum Event<A: Actor> {
    /// A message came.
    Deliver {
        /// Who sent it.
        src: u64,
        /// The message.
        msg: A::Msg,
        /// The message as it came.
        bytes: Box<[u8]>,
    },
    /// A timer rang.
    Timeout {
        /// Which.
        timer: A::Timer,
    },
    /// A choice was drawn.
    Random {
        /// The choice's name.
        key: String,
        /// Which of those offered.
        index: usize,
        /// What was drawn.
        random: A::Random,
    },
}

impl<A: Actor> Event<A> {
    /// The length of its message, if it has one.
    fn len(&self) -> usize {
        if let Event::Deliver { bytes, .. } = self { bytes.len() } else { 0 }
    }
}

impl<A: Actor> fmt::Debug for Event<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Deliver { src, msg, .. } => write!(f, "Deliver {{ src: {src}, msg: {msg:?} }}"),
            Event::Timeout { timer } => write!(f, "Timeout({timer:?})"),
            Event::Random { key, random, .. } => write!(f, "Random({key:?}, {random:?})"),
        }
    }
}

/// How much may wait, and how much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events a batch, at most.
    pub batch: usize,
    /// A batch that has so many bytes, to be saved or to be sent, takes no further event.
    pub batch_bytes: usize,
    /// Messages from others that may wait.
    pub inbox: usize,
    /// Bytes of them.
    pub inbox_bytes: usize,
    /// Messages to itself that may wait.
    pub local: usize,
    /// Bytes of them.
    pub local_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            batch: 512,
            batch_bytes: 8 << 20,
            inbox: 16_384,
            inbox_bytes: 64 << 20,
            local: 16_384,
            local_bytes: 64 << 20,
        }
    }
}

/// A value that all of the bytes say.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// The sources of events other than timers.
pub(crate) struct Queues<A: Actor> {
    inbox: VecDeque<Event<A>>,
    inbox_bytes: usize,
    local: VecDeque<Event<A>>,
    local_bytes: usize,
    random: Vec<Event<A>>,
    turn: usize,
}

impl<A: Actor> Default for Queues<A> {
    fn default() -> Self {
        Queues {
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            local: VecDeque::new(),
            local_bytes: 0,
            random: Vec::new(),
            turn: 0,
        }
    }
}

impl<A: Actor> Queues<A> {
    pub(crate) fn pending(&self) -> bool {
        !(self.inbox.is_empty() && self.local.is_empty() && self.random.is_empty())
    }

    /// Takes a message from another process; says whether there was room for it. What is no `K` is no message of a client.
    pub(crate) fn receive<K>(&mut self, src: u64, bytes: &[u8], limits: &Limits, counts: &mut Counts) -> bool
    where
        A::Msg: DeserializeOwned,
        K: DeserializeOwned + Into<A::Msg>,
    {
        if self.inbox.len() >= limits.inbox || self.inbox_bytes + bytes.len() > limits.inbox_bytes {
            counts.inbox_full += 1;
            return false;
        }
        let msg = if src >= FIRST_CLIENT { whole::<K>(bytes).map(K::into) } else { whole::<A::Msg>(bytes) };
        match msg {
            Some(msg) => {
                self.inbox_bytes += bytes.len();
                self.inbox.push_back(Event::Deliver { src, msg, bytes: bytes.into() });
            }
            None => counts.undecodable += 1,
        }
        true
    }

    /// Drops what waits of one sender; says how many messages that were.
    pub(crate) fn forget(&mut self, sender: u64) -> u64 {
        let before = self.inbox.len();
        self.inbox.retain(|event| !matches!(event, Event::Deliver { src, .. } if *src == sender));
        self.inbox_bytes = self.inbox.iter().map(Event::len).sum();
        (before - self.inbox.len()) as u64
    }

    /// Takes a message that the actor sent to itself.
    pub(crate) fn local(&mut self, me: u64, msg: A::Msg, bytes: &[u8], limits: &Limits, counts: &mut Counts) {
        if self.local.len() >= limits.local || self.local_bytes + bytes.len() > limits.local_bytes {
            counts.local_full += 1;
        } else {
            self.local_bytes += bytes.len();
            self.local.push_back(Event::Deliver { src: me, msg, bytes: bytes.into() });
        }
    }

    /// Draws one of the choices; it is an event of its own. A later draw of the same name takes its place.
    pub(crate) fn choose(&mut self, key: String, mut choices: Vec<A::Random>, rng: &mut fastrand::Rng) {
        self.random.retain(|event| !matches!(event, Event::Random { key: other, .. } if *other == key));
        if !choices.is_empty() {
            let index = rng.usize(..choices.len());
            self.random.push(Event::Random { key, index, random: choices.swap_remove(index) });
        }
    }

    /// The next event: each source that has one gets its turn.
    pub(crate) fn next(&mut self, timers: &mut Timers<A::Timer>, now: Duration) -> Option<Event<A>> {
        for _ in 0..4 {
            self.turn = (self.turn + 1) % 4;
            let event = match self.turn {
                0 => timers.due(now).map(|timer| Event::Timeout { timer }),
                1 => self.local.pop_front().inspect(|event| self.local_bytes -= event.len()),
                2 => (!self.random.is_empty()).then(|| self.random.remove(0)),
                _ => self.inbox.pop_front().inspect(|event| self.inbox_bytes -= event.len()),
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }
}
