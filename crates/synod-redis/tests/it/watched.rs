//! MULTI, EXEC and WATCH over every short history of two connections, beside the small Redis.

use crate::local::Local;
use crate::oracle::{Client, Redis, shared, take_hearing};
use synod_machine::{Blob, Outcome, StoreOutput};
use synod_redis::{Conversation, Reply};

/// The requests of the connection that watches, and those of another one.
const REQUESTS: [(usize, &str); 9] = [
    (0, "WATCH a"),
    (0, "WATCH a b"),
    (0, "UNWATCH"),
    (0, "MULTI"),
    (0, "INCR a"),
    (0, "EXEC"),
    (0, "DISCARD"),
    (1, "INCR a"),
    (1, "DEL b"),
];

/// The sums over many histories.
#[derive(Debug, Default)]
struct Came {
    /// Replies that differ from those of the small Redis.
    differ: usize,
    /// Transactions that were done.
    done: usize,
    /// Transactions that were not, since a watched key had changed.
    stopped: usize,
}

/// All histories of so many requests, where a connection hears the answer to its WATCH like this.
fn came(steps: u32, hears: fn(StoreOutput) -> StoreOutput) -> Came {
    let shared = shared();
    let requests = REQUESTS.map(|(who, request)| {
        let words: Vec<String> = request.split(' ').map(str::to_owned).collect();
        let blobs: Vec<Blob> = words.iter().map(|word| Blob::from(word.as_str())).collect();
        (who, words, blobs)
    });
    let mut came = Came::default();
    for history in 0..requests.len().pow(steps) {
        let local = Local::default();
        let mut talks = [Conversation::new(1, &shared), Conversation::new(2, &shared)];
        let (mut redis, mut clients) = (Redis::default(), [Client::default(), Client::default()]);
        // Else nothing is there to be deleted.
        for (who, request) in [(1, "SET a 1"), (1, "SET b 1")] {
            let words: Vec<String> = request.split(' ').map(str::to_owned).collect();
            let blobs: Vec<Blob> = words.iter().map(|word| Blob::from(word.as_str())).collect();
            let mine = take_hearing(&mut talks[who], &blobs, &shared, &local, hears);
            assert_eq!(mine, redis.take(&mut clients[who], &words));
        }
        let mut rest = history;
        for _ in 0..steps {
            let (who, words, blobs) = &requests[rest % requests.len()];
            rest /= requests.len();
            let mine = take_hearing(&mut talks[*who], blobs, &shared, &local, hears);
            let theirs = redis.take(&mut clients[*who], words);
            came.differ += usize::from(mine != theirs);
            came.done += usize::from(matches!(&theirs, Reply::Array(replies) if !replies.is_empty()));
            came.stopped += usize::from(theirs == Reply::NoArray);
        }
    }
    came
}

#[test]
fn a_transaction_is_done_exactly_if_no_watched_key_has_changed_whatever_two_connections_ask() {
    let came = came(6, |output| output);
    assert_eq!(came.differ, 0, "{came:?}");
    assert!(came.done > 1000 && came.stopped > 1000, "{came:?}");
}

#[test]
fn connections_that_watch_from_too_early_or_not_at_all_differ() {
    assert!(came(5, |_| StoreOutput::Done(vec![Outcome::Latest { version: 0 }])).differ > 0);
    assert!(came(5, |_| StoreOutput::Done(vec![Outcome::Latest { version: u64::MAX }])).differ > 0);
}
