//! A timer that ends a right: it rings before anything else, with a clock that goes on within a batch.

use crate::world::{With, settings};
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use synod_runtime::door::Door;
use synod_runtime::inbox::Limits;
use synod_runtime::node::{FIRST_CLIENT, LOCAL_CLIENT, Node};
use synod_runtime::sim_disk::SimDir;
use synod_runtime::standing::Standing;
use synod_runtime::transport::Transport;
use synod_runtime::wire::Wire;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Ask;

/// The timer that ends its right, and another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Bell {
    Ends,
    Other,
}

/// Has a right from its start on, and counts what it does with it.
#[derive(Clone, Debug)]
struct Holder {
    time: Duration,
}

/// The steps that it took while it had the right, and after that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Did {
    has_right: bool,
    with: u32,
    without: u32,
    others: u32,
}

impl Actor for Holder {
    type Msg = Ask;
    type Timer = Bell;
    type State = Did;
    type Storage = u32;
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<u32>, out: &mut Out<Self>) -> Did {
        out.set_timer(Bell::Ends, self.time..self.time);
        out.set_timer(Bell::Other, Duration::ZERO..Duration::ZERO);
        Did { has_right: true, with: 0, without: 0, others: 0 }
    }

    fn on_msg(&self, _: Id, did: &mut Cow<'_, Did>, _: Id, _: Ask, _: &mut Out<Self>) {
        let did = did.to_mut();
        let count = if did.has_right { &mut did.with } else { &mut did.without };
        *count += 1;
    }

    fn on_timeout(&self, _: Id, did: &mut Cow<'_, Did>, bell: &Bell, out: &mut Out<Self>) {
        match bell {
            Bell::Ends => did.to_mut().has_right = false,
            Bell::Other => {
                did.to_mut().others += 1;
                out.set_timer(Bell::Other, Duration::ZERO..Duration::ZERO);
            }
        }
    }
}

/// A timer that rings first.
struct Strict;

impl Door<Holder> for With<Strict> {
    type Ask = Ask;

    fn rings_first(timer: &Bell) -> bool {
        *timer == Bell::Ends
    }
}

/// A wire on which nothing comes, with a clock that gains a millisecond whenever somebody reads it.
struct Reading(Duration);

impl Wire for Reading {
    fn now(&mut self) -> Duration {
        self.0 += Duration::from_millis(1);
        self.0
    }
    fn receive(&mut self, _: Duration, _: &mut dyn FnMut(Duration, SocketAddr, &mut [u8])) -> io::Result<()> {
        Ok(())
    }
    fn send(&mut self, _: SocketAddr, _: &[u8]) {}
    fn flush(&mut self) {}
}

#[test]
fn a_right_ends_in_the_midst_of_a_batch_before_whatever_else_waits() {
    let mut config = settings(FIRST_CLIENT | 1, &[], Standing::default());
    config.cluster_keys = None;
    let transport = Transport::new(config, fastrand::Rng::with_seed(1));
    let holder = Holder { time: Duration::from_millis(50) };
    let (limits, rng) = (Limits::default(), fastrand::Rng::with_seed(2));
    let mut node: Node<Holder, With<Strict>, SimDir, Reading> =
        Node::new(holder, transport, Reading(Duration::ZERO), None, None, limits, rng);
    assert!((0..400).all(|_| node.tell(LOCAL_CLIENT, &Ask)));
    while node.state().is_none_or(|did| did.with + did.without < 400) {
        node.turn(Duration::ZERO).expect("it goes on");
    }
    let did = node.state().expect("it runs").clone();
    assert!(!did.has_right && did.others > 0);
    // Each step takes a millisecond of that clock, and the right lasts for fifty.
    assert!(did.with < 50 && did.with + did.without == 400, "{did:?}");
}
