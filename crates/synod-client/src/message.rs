//! The messages of a client: those of the protocol, and the application's calls, which no datagram can bring.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stateright::actor::Id;
use synod::Msg;

/// A message that a client hears.
///
/// On the wire it is a [`Msg`] and nothing else. A call comes from the client's own process and is never read from bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message<C> {
    /// From or to a member.
    Wire(Msg),
    /// From the application.
    Call(Call<C>),
}

/// The application's side of the conversation. The application numbers its calls. No number may come twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Call<C> {
    /// Please have this command executed, once.
    Submit {
        /// The call.
        call: u64,
        /// The command.
        command: C,
    },
    /// Please have this command answered, which changes nothing.
    Query {
        /// The call.
        call: u64,
        /// The command.
        command: C,
        /// The guarantee that the answer has to have.
        reading: Reading,
    },
    /// The application waits no longer for this call.
    GiveUp {
        /// The call.
        call: u64,
    },
    /// So many outcomes were taken since the client started. It need not keep those.
    Taken {
        /// The number.
        outcomes: u64,
    },
    /// These are the members now, in the order in which they are to be asked.
    Members {
        /// The members. None: those with which the client began.
        members: Vec<Id>,
    },
    /// The application makes no more calls. The session can be closed.
    Finish,
}

/// The guarantees of an answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Reading {
    /// The answer counts everything that was answered before the question was asked.
    Linearizable,
    /// The answer is of the member that was asked, and may be old.
    Stale,
}

impl<C> From<Msg> for Message<C> {
    fn from(msg: Msg) -> Self {
        Message::Wire(msg)
    }
}

impl<C: Serialize> Serialize for Message<C> {
    /// The runtime writes down what it hands to an actor, so a call can be written. It is never sent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Message::Wire(msg) => msg.serialize(serializer),
            Message::Call(call) => call.serialize(serializer),
        }
    }
}

impl<'de, C> Deserialize<'de> for Message<C> {
    /// Every message from outside is one of the protocol.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Msg::deserialize(deserializer).map(Message::Wire)
    }
}
