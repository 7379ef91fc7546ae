//! The front for threads.

use crate::cluster::Cluster;
use std::time::{Duration, Instant};
use synod_client::requests::{self, Changed, Locked, Swap, Unlocked};
use synod_client::{Client, Error, Reading, Refusal, Watch, WatchError};
use synod_machine::{
    BankCommand, BankOutput, Blob, Condition, Expect, Limits, Lives, Operation, Outcome, StoreCommand,
    StoreOutput,
};

/// The time that a call may take before the test is given up; never how long one should take.
const PATIENCE: Duration = Duration::from_mins(1);

fn connect(cluster: &Cluster) -> Client {
    Client::connect(&cluster.config).expect("a client").with_timeout(PATIENCE)
}

fn add(key: &str) -> StoreCommand {
    StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Add { key: key.into(), by: 1 }] }
}

#[test]
fn each_request_has_its_result() {
    let cluster = Cluster::start(Limits::default());
    let client = connect(&cluster);
    assert_eq!(client.get("a"), Ok(None));
    let version = client.put("a", "one").expect("it is stored");
    let item = client.get("a").expect("an answer").expect("a value");
    assert_eq!((&*item.value, item.version, item.left), (&b"one"[..], version, None));
    let began = Instant::now();
    // The member that is asked may be behind, and catches up.
    while client.run(requests::get("a", Reading::Stale)).expect("an answer").is_none() {
        assert!(began.elapsed() < PATIENCE, "it never catches up");
    }
    let swapped = client.compare_and_swap("a", Expect::Value("one".into()), "two").expect("an answer");
    assert!(matches!(swapped, Swap::Swapped { version: now } if now > version));
    let kept = client.compare_and_swap("a", Expect::Absent, "three").expect("an answer");
    assert!(matches!(kept, Swap::NotMet { found: Some(item) } if *item.value == *b"two"));
    assert_eq!((client.delete("a"), client.delete("a")), (Ok(true), Ok(false)));

    for key in ["list/1", "list/2", "other"] {
        client.put(key, key).expect("it is stored");
    }
    let listed = client.list("list/", None).expect("an answer");
    let keys: Vec<Blob> = listed.items.into_iter().map(|(key, _)| key).collect();
    assert_eq!((keys, listed.more), (vec!["list/1".into(), "list/2".into()], false));

    let Ok(Locked::Granted { token, was_held: false }) = client.lock("door", "me", None) else {
        panic!("it is free")
    };
    assert!(
        matches!(client.lock("door", "you", None), Ok(Locked::Held { grant, .. }) if grant.token == token)
    );
    assert_eq!(client.lock("door", "me", None), Ok(Locked::Granted { token, was_held: true }));
    let fenced = |token| {
        let when = vec![Condition::Lock { lock: "door".into(), token }];
        let put = Operation::Put { key: "behind".into(), value: "x".into(), lives: Lives::Forever };
        client.transaction(when, vec![put])
    };
    assert!(matches!(fenced(token), Ok(StoreOutput::Done(_))));
    assert!(matches!(client.unlock("door", token + 1), Ok(Unlocked::Held { .. })));
    assert_eq!(client.unlock("door", token), Ok(Unlocked::Released));
    assert_eq!(client.unlock("door", token), Ok(Unlocked::Free));
    assert!(matches!(fenced(token), Ok(StoreOutput::Fenced { condition: 0, holder: None })));

    let deposit = BankCommand::Deposit { account: 1, amount: 10 };
    assert_eq!(client.bank(deposit), Ok(BankOutput::Done { old: 0, new: 10 }));
    assert_eq!(client.transfer(1, 2, 4), Ok(BankOutput::Done { old: 10, new: 6 }));
    assert_eq!(client.transfer(1, 2, 7), Ok(BankOutput::NotCovered { balance: 6 }));
    assert_eq!(client.bank(BankCommand::Balance { account: 2 }), Ok(BankOutput::Done { old: 4, new: 4 }));
}

#[test]
fn changes_are_followed_from_any_version_and_a_gap_is_told() {
    let cluster = Cluster::start(Limits::default());
    let client = connect(&cluster);
    client.put("w/0", "before").expect("it is stored");
    let mut from_now = Watch::from_now(client.clone(), "w/").expect("an answer");
    let mut from_the_first = Watch::from_the_first(client.clone(), "w/");
    assert_eq!(from_now.next(Duration::ZERO), Ok(Vec::new()));
    let writer = client.clone();
    let writes = std::thread::spawn(move || {
        for n in 1..=20 {
            writer.put(format!("w/{n}").as_str(), "x").expect("it is stored");
            writer.put("elsewhere", "x").expect("it is stored");
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 20 {
        seen.extend(from_now.next(PATIENCE).expect("an answer").into_iter().map(|change| change.key));
    }
    writes.join().expect("it writes");
    let all: Vec<Blob> = (1..=20).map(|n| Blob::from(format!("w/{n}").as_str())).collect();
    assert_eq!(seen, all);
    let first = from_the_first.next(PATIENCE).expect("an answer");
    assert_eq!(first.len(), 21);

    // Changes are kept by bytes, too. Values of 16 KiB push the first ones out.
    let calls: Vec<_> = (0..1100)
        .map(|_| {
            let operation =
                Operation::Put { key: "big".into(), value: vec![0; 16 << 10].into(), lives: Lives::Forever };
            client.send(StoreCommand::Transact { when: Vec::new(), then: vec![operation] }, PATIENCE)
        })
        .collect();
    for call in calls {
        call.wait().expect("it is stored");
    }
    let mut late = Watch::after(client.clone(), "w/", &[1]).expect("one group");
    let Err(WatchError::Truncated { group: None, oldest }) = late.next(PATIENCE) else {
        panic!("they are not kept")
    };
    assert!(matches!(client.changes("w/", oldest), Ok(Changed::Changes { .. })));
}

#[test]
fn many_threads_share_a_session_and_each_command_takes_effect_once_though_members_end() {
    let mut cluster = Cluster::start(Limits { window: 64, ..Limits::default() });
    let client = connect(&cluster);
    let (threads, each) = (16, 60);
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                for _ in 0..each {
                    let Ok(StoreOutput::Done(done)) = client.submit(add("n"), PATIENCE) else {
                        panic!("it is done")
                    };
                    let [Outcome::Sum { sum, .. }] = done[..] else { panic!("a sum: {done:?}") };
                    seen.push(sum);
                }
                seen
            })
        })
        .collect();
    for id in 0..3 {
        std::thread::sleep(Duration::from_millis(300));
        cluster.end(id);
        std::thread::sleep(Duration::from_millis(300));
        cluster.restart(id);
    }
    let mut all: Vec<i64> =
        workers.into_iter().flat_map(|worker| worker.join().expect("it counts")).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=threads * each).collect::<Vec<i64>>(), "each sum was told once");
}

#[test]
fn an_error_says_what_is_certain() {
    let mut cluster = Cluster::start(Limits::default());
    let client = connect(&cluster);
    let long = client.put("long", vec![0; 70_000]).expect_err("it is too long");
    assert_eq!(long.to_string(), "the value has 70000 bytes, and this cluster takes 65536 at most");
    let long = client.get(vec![0; 1025]).expect_err("it is too long");
    assert_eq!(long.to_string(), "the key has 1025 bytes, and this cluster takes 1024 at most");
    let put =
        |n: u8| Operation::Put { key: vec![n].into(), value: vec![0; 60_000].into(), lives: Lives::Forever };
    let long = client.transaction(Vec::new(), (0..3).map(put).collect()).expect_err("it is too long");
    assert!(long.to_string().starts_with("the command has 180") && !long.may_have_taken_effect(), "{long}");
    let question = client.query(add("n"), Reading::Linearizable, PATIENCE);
    assert_eq!(question, Err(Error::Refused(Refusal::NoQuestion)));
    client.put("a", "one").expect("it is stored");
    for id in 0..3 {
        cluster.end(id);
    }
    let lost = client.submit(add("n"), Duration::from_millis(300)).expect_err("nobody answers");
    assert!(lost.may_have_taken_effect(), "{lost}");
    let lost = client.query(requests_get(), Reading::Linearizable, Duration::from_millis(300));
    assert!(!lost.expect_err("nobody answers").may_have_taken_effect());

    let nobody = connect(&cluster).with_timeout(Duration::from_millis(300));
    assert_eq!(nobody.put("a", "two"), Err(Error::NotReached));
    let began = Instant::now();
    drop(nobody);
    drop(client);
    assert!(began.elapsed() < PATIENCE, "a client ends though nobody answers");

    let mut config = cluster.config.clone();
    config.members.clear();
    let error = Client::connect(&config).map(|_| ()).expect_err("there is nobody to talk to");
    assert!(error.to_string().contains("there are no members"), "{error}");
}

fn requests_get() -> StoreCommand {
    StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Get { key: "a".into() }] }
}
