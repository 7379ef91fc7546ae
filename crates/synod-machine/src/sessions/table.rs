//! Guarantees that an answer is found as long as a copy of its command may come, and that the table stays within its limits.

use super::{Limits, SessionOutput};
use crate::encoded_len;
use crate::sorted::Sorted;
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// The charge of a session besides its answers: its entries in the three maps, rounded up.
pub(super) const SESSION_BYTES: u64 = 96;
/// The charge of an answer besides its length.
pub(super) const REPLY_BYTES: u64 = 32;

/// A client's session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session<O: Clone + Ord + Hash> {
    /// The client's number.
    pub client: u64,
    /// The number of commands that had been applied when one of the session's was last, that one included.
    pub used: u64,
    /// The highest number executed, and from there back, as far as the window, the answers.
    pub replies: Sorted<u64, Reply<O>>,
}

/// The kept part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reply<O> {
    /// All of it.
    Kept(O),
    /// The fact that there was one: it was too long.
    NotKept,
    /// The command was not executed, and never will be.
    Refused,
}

impl<O: Clone + Ord + Hash + Serialize> Session<O> {
    /// The charge of the session.
    pub(super) fn bytes(&self) -> u64 {
        SESSION_BYTES + self.replies.values().map(reply_bytes).sum::<u64>()
    }

    /// The first number that may still be executed under a window: those below were answered.
    pub(super) fn first_open(&self, window: u32) -> u64 {
        let highest = self.replies.get_max().map(|(highest, _)| *highest);
        highest.map_or(0, |highest| highest.saturating_sub(u64::from(window) - 1))
    }
}

impl<O: Serialize> Reply<O> {
    /// True if it is longer than is kept.
    pub(super) fn is_longer(&self, limits: &Limits) -> bool {
        match self {
            Reply::Kept(output) => encoded_len(output) > limits.reply_bytes as usize,
            Reply::NotKept | Reply::Refused => false,
        }
    }
}

fn reply_bytes<O: Serialize>(reply: &Reply<O>) -> u64 {
    let length = match reply {
        Reply::Kept(output) => encoded_len(output) as u64,
        Reply::NotKept | Reply::Refused => 0,
    };
    REPLY_BYTES + length
}

/// The sessions that are open. The two indices and the sum follow from the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Table<O: Clone + Ord + Hash> {
    limits: Limits,
    /// The number of commands that were applied. There is no other clock.
    now: u64,
    /// The number of the next session.
    next: u64,
    sessions: Sorted<u64, Session<O>>,
    /// The session of each client.
    by_client: Sorted<u64, u64>,
    /// The session last used at each moment: at one moment, one session.
    by_use: Sorted<u64, u64>,
    /// The charge of all sessions.
    bytes: u64,
    /// The first number that may still be executed, of sessions that were open when the window became wider; those below were answered and
    /// forgotten under the window before.
    floors: Sorted<u64, u64>,
}

impl<O: Clone + Ord + Hash + Serialize> Table<O> {
    pub(super) fn new(limits: Limits) -> Self {
        Table {
            limits,
            now: 0,
            next: 1,
            sessions: Sorted::new(),
            by_client: Sorted::new(),
            by_use: Sorted::new(),
            bytes: 0,
            floors: Sorted::new(),
        }
    }

    /// A table without sessions in the middle of a log.
    pub(super) fn resumed(limits: Limits, now: u64, next: u64) -> Self {
        Table { now, next, ..Table::new(limits) }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn floors(&self) -> &Sorted<u64, u64> {
        &self.floors
    }

    /// Has other limits hold from now on. Answers that are kept no more are dropped, and sessions beyond the limits expire, those first that went
    /// unused longest.
    pub(super) fn limit(&mut self, limits: Limits) {
        let before = std::mem::replace(&mut self.limits, limits);
        if limits.window > before.window {
            for (id, session) in &self.sessions {
                let floor = session.first_open(before.window).max(self.floors.get(id).copied().unwrap_or(0));
                // Enforces D8: a number that was answered and forgotten is not executed again since the window is wider.
                self.floors.insert(*id, floor);
            }
        }
        if limits.window < before.window || limits.reply_bytes < before.reply_bytes {
            let rows: Vec<(u64, Session<O>)> =
                self.sessions.iter().map(|(id, session)| (*id, session.clone())).collect();
            self.bytes = 0;
            for (id, mut session) in rows {
                let first = session.first_open(limits.window);
                let kept = |(number, reply): (&u64, &Reply<O>)| {
                    let reply = if reply.is_longer(&limits) { Reply::NotKept } else { reply.clone() };
                    (*number, reply)
                };
                session.replies =
                    session.replies.iter().filter(|(number, _)| **number >= first).map(kept).collect();
                self.bytes += session.bytes();
                self.sessions.insert(id, session);
            }
        }
        let is_needed = |id: &u64, floor: u64| {
            self.sessions.get(id).is_some_and(|session| floor > session.first_open(limits.window))
        };
        let needless = |(id, floor): (&u64, &u64)| (!is_needed(id, *floor)).then_some(*id);
        let needless: Vec<u64> = self.floors.iter().filter_map(needless).collect();
        for id in needless {
            self.floors.remove(&id);
        }
        let latest = self.by_use.get_max().map_or(0, |(_, session)| *session);
        self.make_room(latest);
    }

    /// Notes the first number of a session that may still be executed.
    pub(super) fn put_floor(&mut self, id: u64, floor: u64) {
        self.floors.insert(id, floor);
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, session: u64) -> Option<&Session<O>> {
        self.sessions.get(&session)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (u64, &Session<O>)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    /// True if the number was ever given out.
    pub(super) fn was_opened(&self, session: u64) -> bool {
        (1..self.next).contains(&session)
    }

    /// One more command is applied. Sessions that went unused for too many expire now.
    pub(super) fn tick(&mut self) {
        self.now += 1;
        let Some(idle) = self.limits.idle else { return };
        while let Some((used, session)) = self.by_use.get_min().copied() {
            if self.now - used <= idle.saturating_add(1) {
                break;
            }
            self.end(session);
        }
    }

    /// The client's session: the one it has, or a new one.
    pub(super) fn open_for(&mut self, client: u64) -> u64 {
        if let Some(session) = self.by_client.get(&client).copied() {
            self.touch(session);
            return session;
        }
        let session = self.next;
        self.next += 1;
        self.add(session, Session { client, used: self.now, replies: Sorted::new() });
        self.make_room(session);
        session
    }

    /// Takes a session in, with both indices.
    pub(super) fn add(&mut self, id: u64, session: Session<O>) {
        self.by_client.insert(session.client, id);
        self.by_use.insert(session.used, id);
        self.bytes += session.bytes();
        self.sessions.insert(id, session);
    }

    /// The session is used now, if it is open.
    pub(super) fn touch(&mut self, id: u64) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.by_use.remove(&session.used);
        session.used = now;
        self.by_use.insert(now, id);
    }

    /// The answer to a copy of a command of an open session, or nothing if it has to be executed.
    pub(super) fn answer(&self, id: u64, session: &Session<O>, number: u64) -> Option<SessionOutput<O>> {
        match session.replies.get(&number) {
            Some(Reply::Kept(output)) => return Some(SessionOutput::Output(output.clone())),
            Some(Reply::NotKept) => return Some(SessionOutput::NotKept),
            Some(Reply::Refused) => return Some(SessionOutput::NotAdmitted),
            None => {}
        }
        // The client has the answers of all numbers that are a window below one it has sent.
        let first = session.first_open(self.limits.window);
        let first = self.floors.get(&id).map_or(first, |floor| first.max(*floor));
        (number < first).then_some(SessionOutput::Answered)
    }

    /// Keeps the answer to a command that was executed, or the fact that it was refused, and makes room for it.
    pub(super) fn keep(&mut self, id: u64, number: u64, output: Option<&O>) {
        let Limits { reply_bytes: longest, window, .. } = self.limits;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let reply = match output {
            None => Reply::Refused,
            Some(output) if encoded_len(output) <= longest as usize => Reply::Kept(output.clone()),
            Some(_) => Reply::NotKept,
        };
        self.bytes += reply_bytes(&reply);
        session.replies.insert(number, reply);
        let highest = session.replies.get_max().map_or(number, |(highest, _)| *highest);
        while let Some((oldest, reply)) = session.replies.get_min()
            && highest - oldest >= u64::from(window)
        {
            let oldest = *oldest;
            self.bytes -= reply_bytes(reply);
            session.replies.remove(&oldest);
        }
        let first = session.first_open(window);
        if self.floors.get(&id).is_some_and(|floor| *floor <= first) {
            self.floors.remove(&id);
        }
        self.make_room(id);
    }

    /// Ends the sessions that went unused longest, until the rest is within the limits. One session always is: see [`Limits::check`].
    fn make_room(&mut self, spared: u64) {
        while self.is_over_its_limits() {
            // Enforces D8: the log decides which session is forgotten, so it is the same on all replicas.
            let oldest = self.by_use.values().copied().find(|session| *session != spared);
            let Some(oldest) = oldest else { return };
            self.end(oldest);
        }
    }

    /// True if a session has to go.
    pub(super) fn is_over_its_limits(&self) -> bool {
        self.sessions.len() > self.limits.sessions as usize || self.bytes > self.limits.bytes
    }

    /// True if a session has this client, or was last used at this moment.
    pub(super) fn is_in_use(&self, client: u64, used: u64) -> bool {
        self.by_client.contains_key(&client) || self.by_use.contains_key(&used)
    }

    /// Ends a session, if it is open.
    pub(super) fn end(&mut self, id: u64) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        self.by_client.remove(&session.client);
        self.by_use.remove(&session.used);
        self.floors.remove(&id);
        self.bytes -= session.bytes();
        true
    }
}
