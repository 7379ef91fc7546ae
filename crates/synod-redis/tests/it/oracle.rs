//! The front beside a small Redis that is written without any store, log or transaction: one map, and what its manual says.

use crate::local::Local;
use proptest::prelude::*;
use std::collections::BTreeMap;
use synod_machine::{Blob, Operation, StoreCommand, StoreOutput};
use synod_redis::{Conversation, Cursors, Limits, Reply, Shared, Step, latest_version};

/// A value and the time at which it is gone.
type Kept = (String, Option<u64>);

#[derive(Default)]
pub(crate) struct Redis {
    now: u64,
    keys: BTreeMap<String, Kept>,
    /// The number of changes of each key that there ever was.
    changes: BTreeMap<String, u64>,
}

/// A connection of it: what is queued, and what is watched with the number of changes then.
#[derive(Default)]
pub(crate) struct Client {
    pub(crate) queue: Option<Vec<Vec<String>>>,
    pub(crate) is_spoilt: bool,
    pub(crate) watched: Vec<(String, u64)>,
}

fn int(number: impl Into<i64>) -> Reply {
    Reply::Integer(number.into())
}

const NO_NUMBER: &str = "ERR value is not an integer or out of range";

impl Redis {
    /// Lets time pass. Returns what time it is then.
    pub(crate) fn pass(&mut self, time: u64) -> u64 {
        self.now += time;
        let is_gone = |kept: &Kept| kept.1.is_some_and(|end| end <= self.now);
        let gone: Vec<String> =
            self.keys.iter().filter(|(_, kept)| is_gone(kept)).map(|(key, _)| key.clone()).collect();
        // An entry that is over counts as a change, whether it was looked at or not.
        for key in gone {
            self.delete(&key);
            self.changed(&key);
        }
        self.now
    }

    fn get(&self, key: &str) -> Option<&Kept> {
        self.keys.get(key).filter(|kept| kept.1.is_none_or(|end| end > self.now))
    }

    fn value(&self, key: &str) -> Reply {
        self.get(key).map_or(Reply::Nil, |kept| Reply::text(&kept.0))
    }

    fn changed(&mut self, key: &str) {
        *self.changes.entry(key.to_owned()).or_default() += 1;
    }

    fn put(&mut self, key: &str, kept: Kept) {
        self.keys.insert(key.to_owned(), kept);
        self.changed(key);
    }

    fn delete(&mut self, key: &str) -> bool {
        let was_there = self.get(key).is_some();
        if self.keys.remove(key).is_some() {
            self.changed(key);
        }
        was_there
    }

    fn add(&mut self, key: &str, by: i64) -> Reply {
        let (text, end) = self.get(key).cloned().unwrap_or_else(|| ("0".to_owned(), None));
        match text.parse::<i64>().ok().and_then(|number| number.checked_add(by)) {
            None => Reply::error(NO_NUMBER),
            Some(sum) => {
                self.put(key, (sum.to_string(), end));
                int(sum)
            }
        }
    }

    fn run(&mut self, words: &[String]) -> Reply {
        let word: Vec<&str> = words.iter().map(String::as_str).collect();
        match word.as_slice() {
            ["GET", key] => self.value(key),
            ["MGET", keys @ ..] => Reply::Array(keys.iter().map(|key| self.value(key)).collect()),
            ["GETDEL", key] => {
                let value = self.value(key);
                self.delete(key);
                value
            }
            ["EXISTS", keys @ ..] => int(keys.iter().filter(|key| self.get(key).is_some()).count() as i64),
            ["DEL", keys @ ..] => int(keys.iter().filter(|key| self.delete(key)).count() as i64),
            ["MSET", pairs @ ..] => {
                for pair in pairs.chunks(2) {
                    self.put(pair[0], (pair[1].to_owned(), None));
                }
                Reply::OK
            }
            ["SET", key, value, options @ ..] => {
                let (old, before) = (self.value(key), self.get(key).cloned());
                let is_met = match (options.contains(&"NX"), options.contains(&"XX")) {
                    (true, _) => before.is_none(),
                    (_, true) => before.is_some(),
                    _ => true,
                };
                let time = options.iter().position(|option| *option == "PX");
                let end = time.map(|at| self.now + options[at + 1].parse::<u64>().expect("a time"));
                let kept = before.and_then(|kept| kept.1).filter(|_| options.contains(&"KEEPTTL"));
                if is_met {
                    self.put(key, ((*value).to_owned(), end.or(kept)));
                }
                match (options.contains(&"GET"), is_met) {
                    (true, _) => old,
                    (_, true) => Reply::OK,
                    _ => Reply::Nil,
                }
            }
            ["INCR", key] => self.add(key, 1),
            ["DECR", key] => self.add(key, -1),
            ["INCRBY", key, by] => self.add(key, by.parse().expect("a number")),
            ["DECRBY", key, by] => self.add(key, -by.parse::<i64>().expect("a number")),
            ["PEXPIRE", key, time] => {
                let (now, time) = (self.now, time.parse::<i64>().expect("a number"));
                if self.get(key).is_none() {
                    return int(0);
                }
                if time <= 0 {
                    return int(i64::from(self.delete(key)));
                }
                self.keys.get_mut(*key).expect("it is there").1 = Some(now + time as u64);
                int(1)
            }
            ["PERSIST", key] => match self.get(key).cloned() {
                Some((value, Some(_))) => {
                    self.keys.insert((*key).to_owned(), (value, None));
                    int(1)
                }
                _ => int(0),
            },
            ["PTTL", key] => match self.get(key) {
                None => int(-2),
                Some((_, None)) => int(-1),
                Some((_, Some(end))) => int((end - self.now) as i64),
            },
            ["UNWATCH"] => Reply::OK,
            ["PING"] => Reply::Simple("PONG"),
            ["SCAN", "0"] => {
                let keys = self.keys.keys().filter(|key| self.get(key).is_some());
                let keys = keys.map(|key| Reply::text(key)).collect();
                Reply::Array(vec![Reply::text("0"), Reply::Array(keys)])
            }
            other => panic!("not made here: {other:?}"),
        }
    }

    pub(crate) fn take(&mut self, client: &mut Client, words: &[String]) -> Reply {
        let is_in = client.queue.is_some();
        match (words[0].as_str(), is_in) {
            ("MULTI", false) => {
                client.queue = Some(Vec::new());
                Reply::OK
            }
            ("EXEC", false) => Reply::error("ERR EXEC without MULTI"),
            ("DISCARD", false) => Reply::error("ERR DISCARD without MULTI"),
            ("MULTI", true) => Reply::error("ERR MULTI calls can not be nested"),
            ("WATCH", true) => Reply::error("ERR WATCH inside MULTI is not allowed"),
            ("WATCH", false) => {
                for key in &words[1..] {
                    let changes = self.changes.get(key).copied().unwrap_or(0);
                    client.watched.push((key.clone(), changes));
                }
                Reply::OK
            }
            ("UNWATCH", false) => {
                client.watched.clear();
                Reply::OK
            }
            ("DISCARD", true) => {
                *client = Client::default();
                Reply::OK
            }
            ("EXEC", true) => {
                let client = std::mem::take(client);
                if client.is_spoilt {
                    return Reply::error("EXECABORT Transaction discarded because of previous errors.");
                }
                let is_same =
                    |(key, changes): &(String, u64)| self.changes.get(key).copied().unwrap_or(0) == *changes;
                if !client.watched.iter().all(is_same) {
                    return Reply::NoArray;
                }
                let queued = client.queue.expect("it is in one");
                Reply::Array(queued.iter().map(|words| self.run(words)).collect())
            }
            ("GET", _) if words.len() != 2 => {
                client.is_spoilt |= is_in;
                Reply::error("ERR wrong number of arguments for 'get' command")
            }
            (_, true) => {
                client.queue.as_mut().expect("it is in one").push(words.to_vec());
                Reply::Simple("QUEUED")
            }
            (_, false) => self.run(words),
        }
    }
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned)
}

pub(crate) fn request() -> impl Strategy<Value = Vec<String>> {
    let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let value = prop_oneof![Just("x".to_owned()), (-2..3i64).prop_map(|number| number.to_string())];
    let one = prop_oneof![
        4 => Just("GET"), 2 => Just("GETDEL"), 1 => Just("INCR"), 1 => Just("DECR"), 1 => Just("PTTL"), 2 => Just("PERSIST"),
    ];
    let many = prop_oneof![Just("MGET"), Just("DEL"), Just("EXISTS"), Just("WATCH")];
    let option = prop_oneof![
        Just(String::new()),
        Just("NX".to_owned()),
        Just("XX".to_owned()),
        Just("GET".to_owned()),
        Just("KEEPTTL".to_owned()),
        (1..9u64).prop_map(|time| format!("PX {time}")),
        (1..9u64).prop_map(|time| format!("NX GET PX {time}")),
        Just("XX GET KEEPTTL".to_owned()),
    ];
    let plain = prop_oneof![
        4 => Just("MULTI"), 4 => Just("EXEC"), 1 => Just("DISCARD"), 1 => Just("UNWATCH"), 1 => Just("GET"), 1 => Just("PING"), 2 => Just("SCAN 0"),
    ];
    let text = prop_oneof![
        6 => (one, key()).prop_map(|(command, key)| format!("{command} {key}")),
        3 => (many, proptest::collection::vec(key(), 1..4)).prop_map(|(command, keys)| format!("{command} {}", keys.join(" "))),
        5 => (key(), value.clone(), option)
            .prop_map(|(key, value, option)| format!("SET {key} {value} {option}").trim_end().to_owned()),
        1 => (key(), value.clone(), key(), value).prop_map(|(a, v, b, w)| format!("MSET {a} {v} {b} {w}")),
        1 => (key(), -9..9i64).prop_map(|(key, by)| format!("INCRBY {key} {by}")),
        1 => (key(), -9..9i64).prop_map(|(key, by)| format!("DECRBY {key} {by}")),
        2 => (key(), -1..9i64).prop_map(|(key, time)| format!("PEXPIRE {key} {time}")),
        6 => plain.prop_map(str::to_owned),
    ];
    text.prop_map(move |text| words(&text))
}

pub(crate) fn shared() -> Shared {
    Shared::new(Limits::default(), None, Cursors::starting_at(1))
}

/// One request through a conversation and a store, one at a time.
fn take(talk: &mut Conversation, words: &[Blob], shared: &Shared, local: &Local) -> Reply {
    take_hearing(talk, words, shared, local, |output| output)
}

/// The same, by a conversation that hears the answer to its WATCH like this.
pub(crate) fn take_hearing(
    talk: &mut Conversation,
    words: &[Blob],
    shared: &Shared,
    local: &Local,
    hears: fn(StoreOutput) -> StoreOutput,
) -> Reply {
    let transact = |then: Vec<Operation>| {
        local.apply(&StoreCommand::Transact { when: Vec::new(), then }).expect("nothing fails")
    };
    match talk.take(words, shared) {
        Step::Reply(reply) => reply,
        Step::Work(work) => {
            let StoreOutput::Done(outcomes) = transact(work.operations().to_vec()) else {
                panic!("there is no condition")
            };
            work.reply(&mut outcomes.into_iter(), &mut Cursors::starting_at(1))
        }
        Step::Watch(keys) => {
            talk.watched(keys, hears(local.apply(&latest_version()).expect("nothing fails")))
        }
        Step::Exec(transaction) => {
            let output = transaction.command().map(|command| local.apply(&command).expect("nothing fails"));
            transaction.reply(output, shared)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn commands_mean_what_they_mean_to_redis(
        log in proptest::collection::vec((0..2usize, request(), 0..3u64), 0..40),
    ) {
        let (shared, local) = (shared(), Local::default());
        let mut talks = [Conversation::new(1, &shared), Conversation::new(2, &shared)];
        let (mut redis, mut clients) = (Redis::default(), [Client::default(), Client::default()]);
        for (at, (who, words, passes)) in log.iter().enumerate() {
            let mine: Vec<Blob> = words.iter().map(|word| Blob::from(word.as_str())).collect();
            let mine = take(&mut talks[*who], &mine, &shared, &local);
            // Times run from here, as those of Redis do from the command.
            local.tick(redis.now);
            let theirs = redis.take(&mut clients[*who], words);
            prop_assert_eq!(mine, theirs, "request {}: {:?}", at, words);
            local.tick(redis.pass(*passes));
        }
    }
}
