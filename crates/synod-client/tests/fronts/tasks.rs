//! The front for tasks, with an executor of a few lines: it needs no particular one.

use crate::cluster::Cluster;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use synod_client::{AsyncClient, Client, Error, Reading, requests};
use synod_machine::{Limits, Lives, StoreCommand};

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_call_is_a_future_and_one_that_is_dropped_disturbs_nobody() {
    let cluster = Cluster::start(Limits::default());
    let patience = Duration::from_mins(1);
    let threads = Client::connect(&cluster.config).expect("a client");
    let client = AsyncClient::from(threads.clone()).with_timeout(patience);
    let stored = wait_for(client.run(requests::put("a", "one", Lives::Forever)));
    assert!(stored.is_ok(), "{stored:?}");
    {
        let mut dropped = pin!(client.run(requests::put("b", "two", Lives::Forever)));
        let polled = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    let item = wait_for(client.run(requests::get("a", Reading::Linearizable))).expect("an answer");
    assert_eq!(item, threads.with_timeout(patience).get("a").expect("the same session"));
    let tick = StoreCommand::Tick { now: 1, given: 0 };
    let refused = wait_for(client.query(tick, Reading::Linearizable, patience));
    assert!(matches!(refused, Err(Error::Refused(_))));
}
