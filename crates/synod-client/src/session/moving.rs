//! A client that is told of other members.

use super::SessionClient;
use crate::message::{Call, Message, Reading};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use synod::Msg;
use synod_machine::{Bank, BankCommand};

#[test]
fn a_client_asks_the_members_that_there_are_now_and_goes_on_with_one_that_stays() {
    let client = SessionClient::<Bank>::new([0, 1].map(Id::from).to_vec(), 7);
    let me = Id::from(9);
    let mut state = Cow::Owned(client.on_start(me, &None, &mut Out::new()));
    let mut hear = |src: usize, msg: Message<BankCommand>| -> Vec<usize> {
        let mut out = Out::new();
        client.on_msg(me, &mut state, Id::from(src), msg, &mut out);
        let sends = out.into_iter().filter_map(|command| match command {
            Command::Send(to, _) => Some(usize::from(to)),
            _ => None,
        });
        sends.collect()
    };
    let members = |ids: &[usize]| {
        let members = ids.iter().copied().map(Id::from).collect();
        Message::Call(Call::Members { members })
    };
    let redirect = |leader: usize| Message::Wire(Msg::Redirect { leader: leader.into() });
    let question = BankCommand::Balance { account: 1 };
    let ask = Call::Query { call: 1, command: question, reading: Reading::Linearizable };
    assert_eq!(hear(9, Message::Call(ask)), [0]);
    assert_eq!(hear(0, redirect(2)), [0_usize; 0], "it does not know that one");
    assert_eq!(hear(0, members(&[1, 2])), [0_usize; 0], "nobody but its owner tells it who the members are");
    assert_eq!(hear(9, members(&[1, 2])), [1], "the one that it asked is no member any more");
    assert_eq!(hear(0, redirect(2)), [0_usize; 0], "nor is it heard");
    assert_eq!(hear(9, members(&[2, 3, 1])), [0_usize; 0], "the one that it asks stays");
    assert_eq!(hear(1, redirect(3)), [3]);
    assert_eq!(hear(3, redirect(2)), [2]);
    assert_eq!(hear(9, members(&[])), [0], "those of the beginning");
}
