//! The front where keys are divided among groups: each command means what it means to Redis, or is refused since its keys are of several groups, and then
//! nothing was done.

use crate::local::Local;
use crate::oracle::{Client, Redis, request};
use crate::served::{PATIENCE, ask, beside_of, connect, limits};
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use synod_machine::{Lies, Operation, Outcome, StoreCommand, StoreOutput, group_of};
use synod_redis::{Submit, SubmitError, Version};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// A store per group.
#[derive(Clone)]
pub(crate) struct Divided(Vec<Local>);

impl Divided {
    fn of(groups: usize) -> Divided {
        Divided((0..groups).map(|_| Local::default()).collect())
    }

    fn tick(&self, now: u64) {
        self.0.iter().for_each(|local| local.tick(now));
    }
}

impl Submit for Divided {
    fn groups(&self) -> usize {
        self.0.len()
    }

    async fn submit(&self, command: StoreCommand) -> Result<StoreOutput, SubmitError> {
        match command.lies(self.0.len()) {
            Lies::In(group) => self.0[usize::from(group)].submit(command).await,
            Lies::Across(why) => Err(SubmitError::Across(why.to_string())),
            Lies::InAll => {
                let StoreCommand::Transact { then, .. } = &command else { panic!("a list") };
                let [Operation::List { limit, .. }] = then[..] else { panic!("a list") };
                let (mut all, mut goes_on) = (Vec::new(), false);
                for local in &self.0 {
                    let StoreOutput::Done(mut outcomes) = local.submit(command.clone()).await? else {
                        panic!("a list")
                    };
                    let Some(Outcome::Listed { items, more }) = outcomes.pop() else { panic!("a list") };
                    all.extend(items);
                    goes_on |= more;
                }
                all.sort_by(|one, other| one.0.cmp(&other.0));
                let most = limit.max(1) as usize;
                let more = goes_on || all.len() > most;
                all.truncate(most);
                Ok(StoreOutput::Done(vec![Outcome::Listed { items: all, more }]))
            }
        }
    }
}

/// A number of groups where two of the keys `a`, `b` and `c` are together and one is apart: and the two, and the one.
fn two_and_one() -> (usize, [&'static str; 3]) {
    for groups in 2.. {
        let of = |key: &str| group_of(key.as_bytes(), groups);
        for [one, other, third] in [["a", "b", "c"], ["a", "c", "b"], ["b", "c", "a"]] {
            if of(one) == of(other) && of(one) != of(third) {
                return (groups, [one, other, third]);
            }
        }
    }
    unreachable!("there are such numbers")
}

/// Reads an error to its end, and checks how it begins.
async fn refused(stream: &mut tokio::net::TcpStream, request: &str) {
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut line = String::new();
    BufReader::with_capacity(1, &mut *stream).read_line(&mut line).await.expect("an answer");
    let is_told = line.starts_with("-CROSSSLOT nothing was done: ") && line.contains("in braces");
    assert!(is_told, "{request:?}: {line}");
}

#[test]
fn keys_of_several_groups_are_refused_and_nothing_is_done() {
    let (groups, [a, b, c]) = two_and_one();
    beside_of(limits(), Divided::of(groups), |address, _| async move {
        let mut stream = connect(address).await;
        ask(&mut stream, &format!("mset {a} 1 {b} 2\r\nset {c} 3\r\n"), "+OK\r\n+OK\r\n").await;
        for crossing in ["mset A 7 C 8", "mget A C", "del A C", "exists C B", "watch A C"] {
            let crossing = crossing.replace('A', a).replace('B', b).replace('C', c);
            refused(&mut stream, &format!("{crossing}\r\n")).await;
        }
        ask(&mut stream, &format!("mget {a} {b}\r\nget {c}\r\n"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n")
            .await;
        // What was queued, what was watched, and a list beside a key.
        ask(&mut stream, &format!("multi\r\nset {a} 7\r\nset {c} 8\r\n"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n")
            .await;
        refused(&mut stream, "exec\r\n").await;
        ask(&mut stream, &format!("watch {c}\r\nmulti\r\nset {a} 7\r\n"), "+OK\r\n+OK\r\n+QUEUED\r\n").await;
        refused(&mut stream, "exec\r\n").await;
        // The refusal has ended both the queue and the watch.
        ask(
            &mut stream,
            &format!("multi\r\nincr {a}\r\nincr {b}\r\nexec\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n:3\r\n",
        )
        .await;
        // A pipeline over all groups: each command has its own outcome, in order.
        let request =
            format!("incr {a}\r\nincr {c}\r\nincr {b}\r\nget {a}\r\nget {c}\r\nincr {c}\r\n").repeat(2);
        ask(
            &mut stream,
            &request,
            ":3\r\n:4\r\n:4\r\n$1\r\n3\r\n$1\r\n4\r\n:5\r\n:4\r\n:6\r\n:5\r\n$1\r\n4\r\n$1\r\n6\r\n:7\r\n",
        )
        .await;
    });
}

#[test]
fn a_watch_in_one_group_is_stopped_by_a_change_there_and_by_none_elsewhere() {
    let (groups, [a, b, c]) = two_and_one();
    beside_of(limits(), Divided::of(groups), |address, _| async move {
        let (mut mine, mut other) = (connect(address).await, connect(address).await);
        // The versions of the two groups are far from each other.
        ask(&mut other, &format!("set {c} 1\r\n").repeat(9), &"+OK\r\n".repeat(9)).await;
        for (changed, done) in [(c, "*1\r\n+OK\r\n"), (a, "*-1\r\n")] {
            ask(&mut mine, &format!("watch {a}\r\nmulti\r\nset {b} 1\r\n"), "+OK\r\n+OK\r\n+QUEUED\r\n")
                .await;
            ask(&mut other, &format!("set {changed} 2\r\n"), "+OK\r\n").await;
            ask(&mut mine, "exec\r\n", done).await;
        }
    });
}

/// The keys in a request.
fn keys(words: &[String]) -> Vec<String> {
    let every = match words[0].as_str() {
        "MGET" | "DEL" | "EXISTS" | "WATCH" => 1,
        "MSET" => 2,
        "MULTI" | "EXEC" | "DISCARD" | "UNWATCH" | "PING" | "SCAN" => return Vec::new(),
        _ => return words.get(1).cloned().into_iter().collect(),
    };
    words[1..].iter().step_by(every).cloned().collect()
}

/// True if a request is to be refused since its keys are of several groups.
fn crosses(client: &Client, words: &[String], groups: usize) -> bool {
    let of = |keys: Vec<String>| -> BTreeSet<u8> {
        keys.iter().map(|key| group_of(key.as_bytes(), groups)).collect()
    };
    match (&client.queue, words[0].as_str()) {
        (Some(queue), "EXEC") if !client.is_spoilt => {
            let watched = client.watched.iter().map(|(key, _)| key.clone());
            let all = of(queue.iter().flat_map(|words| keys(words)).chain(watched).collect());
            let lists = queue.iter().filter(|words| words[0] == "SCAN").count();
            all.len() > 1 || lists > 1 || (lists == 1 && !all.is_empty())
        }
        (None, _) => of(keys(words)).len() > 1,
        _ => false,
    }
}

#[test]
fn commands_mean_what_they_mean_to_redis_or_are_refused() {
    let (groups, _) = two_and_one();
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let refusals = AtomicUsize::new(0);
    let log = proptest::collection::vec((0..2usize, request(), 0..3u64), 0..40);
    runner
        .run(&log, |log| {
            let refusals = &refusals;
            beside_of(limits(), Divided::of(groups), |address, divided| async move {
                let mut streams = [connect(address).await, connect(address).await];
                let (mut redis, mut clients) = (Redis::default(), [Client::default(), Client::default()]);
                for (who, words, passes) in log {
                    let (stream, client) = (&mut streams[who], &mut clients[who]);
                    let line = format!("{}\r\n", words.join(" "));
                    if crosses(client, &words, groups) {
                        stream.write_all(line.as_bytes()).await.expect("it is sent");
                        let mut reply = String::new();
                        BufReader::with_capacity(1, stream).read_line(&mut reply).await.expect("an answer");
                        assert!(reply.starts_with("-CROSSSLOT"), "{line:?}: {reply}");
                        if words[0] == "EXEC" {
                            *client = Client::default();
                        }
                        refusals.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let mut expected = Vec::new();
                        // Times run from here, as those of Redis do from the command.
                        redis.take(client, &words).write(Version::Two, &mut expected);
                        stream.write_all(line.as_bytes()).await.expect("it is sent");
                        let mut reply = vec![0; expected.len()];
                        timeout(PATIENCE, stream.read_exact(&mut reply))
                            .await
                            .expect("in time")
                            .expect("an answer");
                        assert_eq!(
                            reply.escape_ascii().to_string(),
                            expected.escape_ascii().to_string(),
                            "{line:?}"
                        );
                    }
                    divided.tick(redis.pass(0));
                    divided.tick(redis.pass(passes));
                }
            });
            Ok(())
        })
        .expect("each means the same");
    assert!(refusals.into_inner() > 100);
}
