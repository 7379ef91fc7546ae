//! The messages that clients may send to members.

use crate::stable::PaxosChanges;
use serde::{Deserialize, Serialize};
use synod::{Ask, Beat, Msg, Process, Timer};
use synod_runtime::admission::Rests;
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

    /// Enforces that a name has one group, whatever a client takes for it.
    fn lies_in(msg: &Msg, group: u8, groups: usize) -> bool {
        match msg {
            Msg::Ask(
                Ask::Submit { command, .. } | Ask::Query { command, .. } | Ask::StaleQuery { command, .. },
            ) => groups <= 1 || synod_apply::lies_in(command, group, groups),
            _ => true,
        }
    }

    fn is_vote(msg: &Msg) -> bool {
        matches!(msg, Msg::Accepted { .. })
    }

    /// A server that believes itself master answers questions alone. It must not after its time.
    fn rings_first(timer: &Timer) -> bool {
        matches!(timer, Timer::Hold(_))
    }

    /// Votes are of acceptors, and teach all the same. A question for what was chosen may show that its sender knows more, or is one that can be answered. Whom the
    /// sender follows tells where to ask.
    fn teaches(msg: &Msg) -> bool {
        matches!(
            msg,
            Msg::Accepted { .. }
                | Msg::Chosen { .. }
                | Msg::CatchUp { .. }
                | Msg::CatchUpReply { .. }
                | Msg::Chunk { .. }
                | Msg::Checksum { .. }
                | Msg::Fetch { .. }
                | Msg::Removed { .. }
                | Msg::Beat(Beat::Heartbeat { .. } | Beat::Cede(_))
        )
    }

    fn asks_to_learn(msg: &Msg) -> bool {
        match msg {
            Msg::CatchUp { .. } | Msg::Fetch { .. } => true,
            Msg::Ask(Ask::Submit { command, .. }) => {
                let words = command.as_bytes();
                words == b"join" || words.starts_with(b"join ")
            }
            _ => false,
        }
    }

    fn tells_chosen(msg: &Msg) -> bool {
        matches!(msg, Msg::CatchUpReply { .. } | Msg::Chunk { .. } | Msg::Checksum { .. })
    }

    fn rests(msg: &Msg) -> Rests {
        match msg {
            // A proposal rests on the promises of its ballot (P2c) and on what its proposer has issued in it (V1). Votes of the ballot
            // open instances and end waits, and no value depends on them. A question for confirmation commits nobody to anything.
            Msg::Accept { .. } | Msg::Confirm { .. } => Rests::OnNoVote,
            // An acceptor confirms from its own promise.
            Msg::Confirmed { .. } => Rests::OnSaves,
            _ => Rests::OnAll,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::{Ballot, Instance, PerInstance, Value};

    fn read(msg: &Msg) -> Option<Msg> {
        let bytes = postcard::to_allocvec(msg).expect("a message can be encoded");
        match postcard::take_from_bytes::<Asked>(&bytes) {
            Ok((asked, [])) => Some(asked.into()),
            _ => None,
        }
    }

    /// One of every message that members send.
    fn of_members() -> Vec<Msg> {
        let (instance, value, number) = (Instance(3), Value::from("x"), 7);
        let ballot = Ballot { round: 1, proposer: 0 };
        vec![
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
            Msg::Chunk { of: instance, sum: 0, length: 1, at: 0, bytes: value.clone() },
            Msg::Fetch { of: instance, sum: 0, at: 0 },
            Msg::Checksum { below: instance, sum: 0 },
            Msg::Beat(Beat::Heartbeat { backed: true }),
            Msg::Beat(Beat::Follow),
            Msg::Beat(Beat::Cede(0.into())),
            Msg::Give { since: instance, heir: 0.into() },
            Msg::Yield { token: instance },
            Msg::Removed { number },
            Msg::Relay { number, command: value.clone() },
            Msg::Relayed { number, output: value },
        ]
    }

    #[test]
    fn every_message_but_these_rests_on_all_that_is_known_of_peers() {
        let names = |is: &dyn Fn(&Msg) -> bool| -> Vec<String> {
            let such = of_members().into_iter().filter(|msg| is(msg));
            such.map(|msg| format!("{msg:?}").split('(').next().unwrap_or_default().to_owned()).collect()
        };
        let rest = |rests: Rests| names(&|msg| <PaxosChanges as Door<Process>>::rests(msg) == rests);
        assert_eq!(names(&|msg| <PaxosChanges as Door<Process>>::is_vote(msg)), ["Accepted"]);
        assert_eq!(rest(Rests::OnNoVote), ["Accept", "Confirm"]);
        assert_eq!(rest(Rests::OnSaves), ["Confirmed"]);
    }

    #[test]
    fn one_that_does_not_take_part_asks_to_learn_and_to_join_and_hears_what_teaches_it() {
        let names = |is: &dyn Fn(&Msg) -> bool| -> Vec<String> {
            let such = of_members().into_iter().filter(|msg| is(msg));
            such.map(|msg| format!("{msg:?}").split('(').next().unwrap_or_default().to_owned()).collect()
        };
        let taught = names(&<PaxosChanges as Door<Process>>::teaches);
        let expected = [
            "Accepted",
            "Chosen",
            "CatchUp",
            "CatchUpReply",
            "Chunk",
            "Fetch",
            "Checksum",
            "Heartbeat",
            "Cede",
            "Removed",
        ];
        assert_eq!(taught, expected);
        let chosen = names(&<PaxosChanges as Door<Process>>::tells_chosen);
        assert_eq!(chosen, ["CatchUpReply", "Chunk", "Checksum"]);
        let asks = <PaxosChanges as Door<Process>>::asks_to_learn;
        assert_eq!(names(&asks), ["CatchUp", "Fetch"]);
        let submit = |words: &str| Msg::from(Ask::Submit { number: 1, command: Value::from(words) });
        assert!(asks(&submit("join")) && asks(&submit("join 17")));
        for words in ["saved", "joined", "add 3", "", "remove 1"] {
            assert!(!asks(&submit(words)), "{words}");
        }
        let (number, command) = (1, Value::from("join"));
        assert!(!asks(&Ask::Query { number, command: command.clone() }.into()));
        assert!(!asks(&Ask::StaleQuery { number, command }.into()));
    }

    #[test]
    fn a_client_may_ask_and_say_nothing_else() {
        let (instance, value, number) = (Instance(3), Value::from("x"), 7);
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
        for msg in of_members() {
            assert_eq!(read(&msg), None, "{msg:?}");
        }
    }
}
