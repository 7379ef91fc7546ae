//! The queues of events that wait for a step. They are bounded and served in turn, so that no source starves another.
//!
//! Timers, choices and the members' messages take turns. Clients may be many and in a hurry: they come when
//! nothing else is left, and after every few other events in any case. Clients take turns among themselves
//! (`lines.rs`). Messages to itself have a part of each batch for themselves, the last. An actor saves there what it has just
//! proposed, so that all that it proposes in a batch leaves before the flush.

use crate::counts::Counts;
use crate::door::Door;
use crate::ids::FIRST_CLIENT;
use crate::lines::Lines;
pub use crate::lines::Room;
use crate::timers::Timers;
use serde::de::DeserializeOwned;
use stateright::actor::Actor;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// One event for an actor.
pub enum Trigger<A: Actor> {
    /// A message came.
    Deliver {
        /// The sender.
        src: u64,
        /// The message.
        msg: A::Msg,
        /// The message as it came.
        bytes: Box<[u8]>,
    },
    /// A timer rang.
    Timeout {
        /// The timer.
        timer: A::Timer,
    },
    /// A choice was drawn.
    Random {
        /// The choice's name.
        key: String,
        /// The index of the choice among those offered.
        index: usize,
        /// The choice that was drawn.
        random: A::Random,
    },
}

impl<A: Actor> Trigger<A> {
    /// The length of its message, if it has one.
    fn len(&self) -> usize {
        if let Trigger::Deliver { bytes, .. } = self { bytes.len() } else { 0 }
    }
}

impl<A: Actor> fmt::Debug for Trigger<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Deliver { src, msg, .. } => write!(f, "Deliver {{ src: {src}, msg: {msg:?} }}"),
            Trigger::Timeout { timer } => write!(f, "Timeout({timer:?})"),
            Trigger::Random { key, random, .. } => write!(f, "Random({key:?}, {random:?})"),
        }
    }
}

/// Limits of how much may wait, and how much one batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most events per batch, and as many messages of the process to itself.
    pub batch: usize,
    /// A batch that has this many bytes to save or to send takes no further event.
    pub batch_bytes: usize,
    /// Messages of other members that may wait.
    pub inbox: usize,
    /// The most bytes of these messages.
    pub inbox_bytes: usize,
    /// Messages of clients that may wait. Each weighs a few bytes more than its length.
    pub clients: Room,
    /// Messages to itself that may wait. As many of local clients may, and as many answers to them.
    pub local: usize,
    /// The most bytes of these messages, of each of the three kinds.
    pub local_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            batch: 512,
            batch_bytes: 8 << 20,
            inbox: 16_384,
            inbox_bytes: 64 << 20,
            clients: Room { senders: 4096, messages: 4096, bytes: 8 << 20, all: 64 << 20 },
            local: 16_384,
            local_bytes: 64 << 20,
        }
    }
}

/// A value, if it takes up all of the bytes.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// The sources of events other than timers.
pub(crate) struct Queues<A: Actor> {
    inbox: VecDeque<Trigger<A>>,
    inbox_bytes: usize,
    clients: Lines<Trigger<A>>,
    local: VecDeque<Trigger<A>>,
    local_bytes: usize,
    /// Messages of local clients.
    told: VecDeque<Trigger<A>>,
    told_bytes: usize,
    /// True if a local client had the last turn of clients.
    told_last: bool,
    random: Vec<Trigger<A>>,
    turn: usize,
    /// Events since a client last had its turn.
    since_client: usize,
}

/// A client has its turn after this many other events, even if more of them wait.
const OTHERS_FIRST: usize = 15;

impl<A: Actor> Default for Queues<A> {
    fn default() -> Self {
        Queues {
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            clients: Lines::default(),
            local: VecDeque::new(),
            local_bytes: 0,
            told: VecDeque::new(),
            told_bytes: 0,
            told_last: false,
            random: Vec::new(),
            turn: 0,
            since_client: 0,
        }
    }
}

impl<A: Actor> Queues<A> {
    /// True if there is an event of these sources. What clients say may have to wait.
    pub(crate) fn pending(&self, clients: bool) -> bool {
        let is_quiet = self.inbox.is_empty() && self.local.is_empty() && self.random.is_empty();
        !(is_quiet && (!clients || self.clients.is_empty() && self.told.is_empty()))
    }

    /// Takes a message from another process, if it `passes` now. Returns the senders of messages that were dropped for lack of room. The door decides what is
    /// a message of a client, and what is a message for this actor.
    pub(crate) fn receive<C: Door<A>>(
        &mut self,
        actor: &A,
        (src, bytes): (u64, &[u8]),
        passes: impl FnOnce(&A::Msg) -> bool,
        limits: &Limits,
        counts: &mut Counts,
    ) -> Vec<u64>
    where
        A::Msg: DeserializeOwned,
    {
        let is_client = src >= FIRST_CLIENT;
        let msg = if is_client { whole::<C::Ask>(bytes).map(C::Ask::into) } else { whole::<A::Msg>(bytes) };
        let Some(msg) = msg.filter(|msg| C::is_for(actor, msg)) else {
            counts.undecodable += 1;
            return Vec::new();
        };
        if !passes(&msg) {
            counts.early += 1;
            return Vec::new();
        }
        let event = Trigger::Deliver { src, msg, bytes: bytes.into() };
        let dropped = if src >= FIRST_CLIENT {
            self.clients.push(src, bytes.len() + size_of::<Trigger<A>>(), event, &limits.clients)
        } else if self.inbox.len() >= limits.inbox || self.inbox_bytes + bytes.len() > limits.inbox_bytes {
            vec![src]
        } else {
            self.inbox_bytes += bytes.len();
            self.inbox.push_back(event);
            Vec::new()
        };
        counts.inbox_full += dropped.len() as u64;
        dropped
    }

    /// Drops the waiting messages of one member, and returns how many they were.
    pub(crate) fn forget(&mut self, member: u64) -> u64 {
        let before = self.inbox.len();
        self.inbox.retain(|event| !matches!(event, Trigger::Deliver { src, .. } if *src == member));
        self.inbox_bytes = self.inbox.iter().map(Trigger::len).sum();
        (before - self.inbox.len()) as u64
    }

    /// Takes a message that the actor sent to itself.
    pub(crate) fn local(&mut self, me: u64, msg: A::Msg, bytes: &[u8], limits: &Limits, counts: &mut Counts) {
        if self.local.len() >= limits.local || self.local_bytes + bytes.len() > limits.local_bytes {
            counts.local_full += 1;
        } else {
            self.local_bytes += bytes.len();
            self.local.push_back(Trigger::Deliver { src: me, msg, bytes: bytes.into() });
        }
    }

    /// Takes a message of a local client. Returns false if there is no room for it.
    pub(crate) fn tell(&mut self, src: u64, msg: A::Msg, bytes: Box<[u8]>, limits: &Limits) -> bool {
        let is_room = self.told.len() < limits.local && self.told_bytes + bytes.len() <= limits.local_bytes;
        if is_room {
            self.told_bytes += bytes.len();
            self.told.push_back(Trigger::Deliver { src, msg, bytes });
        }
        is_room
    }

    /// Draws one of the choices. The draw is an event of its own, and a later draw of the same name replaces it.
    pub(crate) fn choose(&mut self, key: String, mut choices: Vec<A::Random>, rng: &mut fastrand::Rng) {
        self.random.retain(|event| !matches!(event, Trigger::Random { key: other, .. } if *other == key));
        if !choices.is_empty() {
            let index = rng.usize(..choices.len());
            self.random.push(Trigger::Random { key, index, random: choices.swap_remove(index) });
        }
    }

    /// The next message to itself.
    pub(crate) fn next_to_itself(&mut self) -> Option<Trigger<A>> {
        self.local.pop_front().inspect(|event| self.local_bytes -= event.len())
    }

    /// The next event of another source: each that has one gets its turn, and clients come after the others.
    /// Clients get theirs only if they may have it.
    pub(crate) fn next(
        &mut self,
        timers: &mut Timers<A::Timer>,
        now: Duration,
        clients: bool,
    ) -> Option<Trigger<A>> {
        if !clients {
            return self.next_of_others(timers, now);
        }
        if self.since_client < OTHERS_FIRST
            && let Some(event) = self.next_of_others(timers, now)
        {
            self.since_client += 1;
            return Some(event);
        }
        self.since_client = 0;
        self.next_of_clients().or_else(|| self.next_of_others(timers, now))
    }

    /// Local clients, all together, and clients elsewhere take turns.
    fn next_of_clients(&mut self) -> Option<Trigger<A>> {
        self.told_last = !self.told.is_empty() && (!self.told_last || self.clients.is_empty());
        if self.told_last {
            self.told.pop_front().inspect(|event| self.told_bytes -= event.len())
        } else {
            self.clients.pop()
        }
    }

    fn next_of_others(&mut self, timers: &mut Timers<A::Timer>, now: Duration) -> Option<Trigger<A>> {
        for _ in 0..3 {
            self.turn = (self.turn + 1) % 3;
            let event = match self.turn {
                0 => timers.due(now).map(|timer| Trigger::Timeout { timer }),
                1 => (!self.random.is_empty()).then(|| self.random.remove(0)),
                _ => self.inbox.pop_front().inspect(|event| self.inbox_bytes -= event.len()),
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Whole;
    use crate::ids::LOCAL_CLIENT;
    use stateright::actor::{Id, Out};

    struct Nobody;

    impl Actor for Nobody {
        type Msg = u16;
        type Timer = u16;
        type State = ();
        type Storage = ();
        type Random = ();

        fn on_start(&self, _: Id, _: &Option<()>, _: &mut Out<Self>) {}
    }

    const CLIENT: u64 = FIRST_CLIENT | 1;

    /// The sources that had the next turns: `c` a client, `m` a member, `l` the process itself, `t` a timer.
    fn turns(queues: &mut Queues<Nobody>, timers: &mut Timers<u16>) -> String {
        let mut next: Vec<_> =
            std::iter::from_fn(|| queues.next(timers, Duration::from_secs(1), true)).collect();
        next.extend(std::iter::from_fn(|| queues.next_to_itself()));
        next.into_iter()
            .map(|event| match event {
                Trigger::Deliver { src, .. } if src >= FIRST_CLIENT => 'c',
                Trigger::Deliver { src: LOCAL_CLIENT, .. } => 'p',
                Trigger::Deliver { src: 0, .. } => 'l',
                Trigger::Deliver { .. } => 'm',
                Trigger::Timeout { .. } => 't',
                Trigger::Random { .. } => 'r',
            })
            .collect()
    }

    #[test]
    fn clients_come_after_everything_else_and_are_not_forgotten() {
        let (mut queues, mut timers) = (Queues::<Nobody>::default(), Timers::new());
        let (limits, mut counts) = (Limits::default(), Counts::default());
        for n in 0..100 {
            assert_eq!(
                queues.receive::<Whole>(&Nobody, (CLIENT, &[n]), |_| true, &limits, &mut counts),
                [0_u64; 0]
            );
        }
        for n in 0..10 {
            assert_eq!(
                queues.receive::<Whole>(&Nobody, (1, &[n]), |_| true, &limits, &mut counts),
                [0_u64; 0]
            );
            queues.local(0, n.into(), &[n], &limits, &mut counts);
            timers.set(
                n.into(),
                Duration::ZERO,
                &(Duration::ZERO..Duration::ZERO),
                &mut fastrand::Rng::with_seed(1),
            );
        }
        let turns = turns(&mut queues, &mut timers);
        let (first, rest) = turns.split_at(21);
        assert_eq!(first.matches('c').count(), 1, "{turns}: once in sixteen");
        for other in ['m', 't'] {
            assert_eq!(first.matches(other).count(), 10, "{turns}");
        }
        assert_eq!(rest, "c".repeat(99) + &"l".repeat(10));
    }

    #[test]
    fn local_clients_and_others_take_turns_and_wait_in_bounded_room() {
        let (mut queues, mut timers) = (Queues::<Nobody>::default(), Timers::new());
        let (limits, mut counts) = (Limits { local: 5, ..Limits::default() }, Counts::default());
        let taken = (0..9).filter(|n| queues.tell(LOCAL_CLIENT, *n, Box::new([*n as u8]), &limits)).count();
        assert_eq!(taken, 5, "five may wait");
        for n in 0..3 {
            assert_eq!(
                queues.receive::<Whole>(&Nobody, (CLIENT, &[n]), |_| true, &limits, &mut counts),
                [0_u64; 0]
            );
        }
        assert!(queues.pending(true));
        assert_eq!(turns(&mut queues, &mut timers), "pcpcpcpp");
        assert!(!queues.pending(true));
        let limits = Limits { local_bytes: 3, ..limits };
        let taken = (0..9).filter(|n| queues.tell(LOCAL_CLIENT, *n, Box::new([0, 0]), &limits)).count();
        assert_eq!(taken, 1, "of two bytes each");
    }

    #[test]
    fn what_clients_have_waiting_leaves_members_their_room() {
        let (mut queues, mut counts) = (Queues::<Nobody>::default(), Counts::default());
        let clients = Room { all: 1000, ..Limits::default().clients };
        let limits = Limits { clients, inbox: 2, ..Limits::default() };
        let refused: usize = (0..200)
            .map(|n| {
                queues
                    .receive::<Whole>(&Nobody, (CLIENT | (n % 7) << 1, &[1]), |_| true, &limits, &mut counts)
                    .len()
            })
            .sum();
        assert!(refused > 150, "{refused}");
        assert_eq!(queues.receive::<Whole>(&Nobody, (1, &[1]), |_| true, &limits, &mut counts), [0_u64; 0]);
        assert_eq!(queues.receive::<Whole>(&Nobody, (2, &[1]), |_| true, &limits, &mut counts), [0_u64; 0]);
        assert_eq!(
            queues.receive::<Whole>(&Nobody, (2, &[1]), |_| true, &limits, &mut counts),
            [2],
            "of members two may wait"
        );
        assert_eq!(counts.inbox_full as usize, refused + 1);
        assert_eq!((queues.forget(2), queues.forget(2)), (1, 0));
    }
}
