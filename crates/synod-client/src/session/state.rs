//! Guarantees that a client numbers each command once, keeps its window, and gives each call one outcome.

use crate::message::Reading;
use crate::outcome::Outcome;
use stateright::actor::Id;
use std::collections::{BTreeMap, VecDeque};
use synod::Value;

/// The most doublings of the time after which a client asks again.
pub(super) const DOUBLINGS: u32 = 3;

/// The state of a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientState<C, O> {
    /// The members, where they are others than when it began.
    pub members: Vec<Id>,
    /// The member that it asks.
    pub target: Target,
    /// Its session.
    pub session: Session,
    /// The number of the next message that is no copy of an earlier one.
    pub next: u64,
    /// Commands that were sent and have no answer, by the number of the message.
    pub commands: BTreeMap<u64, Command>,
    /// Questions that were sent and have no answer, by the number of the message.
    pub questions: BTreeMap<u64, Question>,
    /// Commands that were never sent, oldest first, with their calls.
    pub waiting: VecDeque<(u64, C)>,
    /// Questions that were never sent, oldest first, with their calls.
    pub asking: VecDeque<(u64, C, Reading)>,
    /// Outcomes that the application has not taken, oldest first, with their calls.
    pub outcomes: VecDeque<(u64, Outcome<O>)>,
    /// The number of outcomes that it has taken.
    pub taken: u64,
    /// True while the timer runs after which it asks again.
    pub is_ringing: bool,
}

/// The member that a client asks, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// The member's place among the members.
    pub place: usize,
    /// True if an answer came since the timer last rang.
    pub answered: bool,
    /// The number of times in a row that the timer rang and no answer had come, up to a bound.
    pub silences: u32,
    /// The number of redirections followed since an answer came or the timer rang.
    pub redirections: usize,
}

/// A client's session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Session {
    /// There is none, and none was asked for.
    #[default]
    None,
    /// One was asked for.
    Opening {
        /// The number of the message.
        number: u64,
        /// The message.
        sent: Sent,
        /// The session that is expected to be still open, and the number of its next command.
        was: Option<(u64, u64)>,
    },
    /// It is open, as far as the client knows.
    Open {
        /// The session.
        session: u64,
        /// The number of its next command.
        next: u64,
        /// True if nothing was asked for so long that it may have expired.
        is_doubtful: bool,
    },
}

/// A message that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    /// The command, as it is sent each time.
    pub command: Value,
    /// True if it was sent before the timer last rang.
    pub is_old: bool,
    /// True if it was sent more than once, perhaps to several members.
    pub is_repeated: bool,
}

/// A command that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// The application's call.
    pub call: u64,
    /// The session in which it was sent, and its number there.
    pub place: (u64, u64),
    /// The message.
    pub sent: Sent,
}

/// A question that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The application's call.
    pub call: u64,
    /// The guarantee that the answer has to have.
    pub reading: Reading,
    /// The message.
    pub sent: Sent,
}

impl<C, O> Default for ClientState<C, O> {
    fn default() -> Self {
        ClientState {
            members: Vec::new(),
            target: Target::default(),
            session: Session::None,
            next: 1,
            commands: BTreeMap::new(),
            questions: BTreeMap::new(),
            waiting: VecDeque::new(),
            asking: VecDeque::new(),
            outcomes: VecDeque::new(),
            taken: 0,
            is_ringing: false,
        }
    }
}

impl Sent {
    pub(super) fn new(command: Value) -> Sent {
        Sent { command, is_old: false, is_repeated: false }
    }
}

impl<C, O> ClientState<C, O> {
    /// True if several members in a row have not answered.
    pub fn is_lost(&self) -> bool {
        self.target.silences >= DOUBLINGS
    }

    /// True if nothing waits for an answer.
    pub(super) fn is_quiet(&self) -> bool {
        !matches!(self.session, Session::Opening { .. })
            && self.commands.is_empty()
            && self.questions.is_empty()
    }

    /// The messages that wait for an answer.
    pub(super) fn sent(&mut self) -> impl Iterator<Item = &mut Sent> {
        let opening = match &mut self.session {
            Session::Opening { sent, .. } => Some(sent),
            Session::None | Session::Open { .. } => None,
        };
        let commands = self.commands.values_mut().map(|command| &mut command.sent);
        let questions = self.questions.values_mut().map(|question| &mut question.sent);
        opening.into_iter().chain(commands).chain(questions)
    }

    /// The number of a new message.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// True if the session's next command may be sent: all answers up to a window below it came, or were given up.
    pub(super) fn has_room(&self, session: u64, next: u64, window: u64) -> bool {
        // Commands get their numbers in the order of the messages, so the first one of a session is its lowest.
        let lowest = self.commands.values().find(|command| command.place.0 == session);
        lowest.is_none_or(|command| next < command.place.1.saturating_add(window))
    }

    /// The session is over. Commands that were sent in it still get the answer that the log has for them.
    pub(super) fn forget_session(&mut self, over: u64) {
        if matches!(self.session, Session::Open { session, .. } if session == over) {
            self.session = Session::None;
        }
    }

    /// Says what became of a call.
    pub(super) fn tell(&mut self, call: u64, outcome: Outcome<O>) {
        self.outcomes.push_back((call, outcome));
    }
}
