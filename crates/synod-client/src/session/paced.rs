//! The times after which a client asks again.

use super::{SessionClient, Timer};
use crate::message::{Call, Message, Reading};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::time::Duration;
use synod::Msg;
use synod_machine::{Bank, BankCommand};

/// The time after which the timer rings that is set when it rings so many times in a row. After each ring the member that was asked may say that another
/// one leads.
fn waits(rings: usize, is_redirected: bool) -> Vec<Duration> {
    let client = SessionClient::<Bank>::new([0, 1, 2].map(Id::from).to_vec(), 7);
    let me = Id::from(9);
    let mut state = Cow::Owned(client.on_start(me, &None, &mut Out::new()));
    let question = BankCommand::Balance { account: 1 };
    let call = Call::Query { call: 1, command: question, reading: Reading::Linearizable };
    client.on_msg(me, &mut state, me, Message::Call(call), &mut Out::new());
    let mut waits = Vec::new();
    for _ in 0..rings {
        let mut out = Out::new();
        client.on_timeout(me, &mut state, &Timer::Resend, &mut out);
        waits.extend(out.into_iter().filter_map(|command| match command {
            Command::SetTimer(Timer::Resend, after) => Some(after.start),
            _ => None,
        }));
        if is_redirected {
            // The member that it is sent to is gone, and one that it asked before is heard late.
            let asked = state.target.place;
            for from in [asked, (asked + 1) % 3] {
                let leader = Id::from((asked + 2) % 3);
                let redirect = Message::Wire(Msg::Redirect { leader });
                client.on_msg(me, &mut state, Id::from(from), redirect, &mut Out::new());
            }
        }
    }
    waits
}

#[test]
fn a_client_that_hears_nothing_asks_less_and_less_often_and_one_that_is_redirected_does_not() {
    let ms = Duration::from_millis;
    assert_eq!(waits(6, false), [100, 200, 400, 800, 800, 800].map(ms));
    assert_eq!(waits(6, true), [100, 200, 200, 200, 200, 200].map(ms));
}
