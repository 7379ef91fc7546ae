//! The messages that clients may send to members.

use crate::stable::PaxosChanges;
use serde::{Deserialize, Serialize};
use synod::{Ask, Msg, Process};
use synod_runtime::door::Door;

/// A message as a client says it: the first variant of [`Msg`] and no other, so that its bytes are a message's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// A question.
    Ask(Ask),
}

impl From<Asked> for Msg {
    fn from(Asked::Ask(ask): Asked) -> Msg {
        Msg::Ask(ask)
    }
}

impl Door<Process> for PaxosChanges {
    type Ask = Asked;

    fn call(msg: &Msg) -> Option<u64> {
        match msg {
            Msg::Ask(
                Ask::Submit { number, .. } | Ask::Query { number, .. } | Ask::StaleQuery { number, .. },
            )
            | Msg::Output { number, .. } => Some(*number),
            Msg::Ask(Ask::Request { instance, .. } | Ask::Read { instance })
            | Msg::Response { instance, .. }
            | Msg::Unset { instance } => Some(instance.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::{Ballot, Beat, Instance, PerInstance, Value};

    fn read(msg: &Msg) -> Option<Msg> {
        let bytes = postcard::to_allocvec(msg).expect("a message can be encoded");
        match postcard::take_from_bytes::<Asked>(&bytes) {
            Ok((asked, [])) => Some(asked.into()),
            _ => None,
        }
    }

    #[test]
    fn a_client_may_ask_and_say_nothing_else() {
        let (instance, value, number) = (Instance(3), Value::from("x"), 7);
        let ballot = Ballot { round: 1, proposer: 0 };
        for ask in [
            Ask::Request { instance, value: value.clone() },
            Ask::Read { instance },
            Ask::Submit { number, command: value.clone() },
            Ask::Query { number, command: value.clone() },
            Ask::StaleQuery { number, command: value.clone() },
        ] {
            let msg = Msg::from(ask);
            assert_eq!(read(&msg), Some(msg));
        }
        for msg in [
            Msg::Prepare { ballot, from: instance },
            Msg::Promise { ballot, accepted: PerInstance::new(), rest: None },
            Msg::Accept { ballot, instance, value: value.clone() },
            Msg::Accepted { ballot, instance, value: value.clone() },
            Msg::Nack { ballot, promised: ballot },
            Msg::Chosen { instance, value: value.clone() },
            Msg::Response { instance, value: value.clone() },
            Msg::Unset { instance },
            Msg::Output { number, output: value.clone() },
            Msg::Redirect { leader: 0.into() },
            Msg::CatchUp { from: instance },
            Msg::CatchUpReply { values: PerInstance::new(), next: instance },
            Msg::Confirm { ballot, round: 1 },
            Msg::Confirmed { ballot, round: 1 },
            Msg::Chunk { of: instance, sum: 0, length: 1, at: 0, bytes: value },
            Msg::Fetch { of: instance, sum: 0, at: 0 },
            Msg::Checksum { below: instance, sum: 0 },
            Msg::Beat(Beat::Heartbeat { backed: true }),
            Msg::Beat(Beat::Follow),
        ] {
            assert_eq!(read(&msg), None, "{msg:?}");
        }
    }
}
