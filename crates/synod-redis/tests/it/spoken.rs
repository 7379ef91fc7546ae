//! Requests and replies one by one.

use crate::local::Local;
use redis_protocol::resp2::decode::decode as decode2;
use redis_protocol::resp3::decode::complete::decode as decode3;
use synod_machine::Blob;
use synod_redis::{Conversation, Cursors, Limits, Password, Reply, Shared, Step, Version};

fn shared(password: Option<&str>) -> Shared {
    let password = password.map(|password| Password::new(password.as_bytes()).expect("it is not empty"));
    let limits = Limits { queued: 3, ..Limits::default() };
    Shared::new(limits, password, Cursors::starting_at(100))
}

/// The reply to a line, where the store is asked for nothing but whole transactions.
fn say(talk: &mut Conversation, shared: &Shared, line: &str) -> Reply {
    let words: Vec<Blob> = line.split(' ').map(Blob::from).collect();
    match talk.take(&words, shared) {
        Step::Reply(reply) => reply,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(talk: &mut Conversation, shared: &Shared, line: &str) -> String {
    match say(talk, shared, line) {
        Reply::Error(said) => said,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_makes_no_sense_is_answered_by_an_error_that_says_so() {
    let shared = shared(None);
    let mut talk = Conversation::new(1, &shared);
    for (line, says) in [
        ("LPUSH a b", "ERR unknown command 'LPUSH', synod serves AUTH"),
        ("get", "ERR wrong number of arguments for 'get' command"),
        ("mset a b c", "ERR wrong number of arguments for 'mset' command"),
        ("set a b nx xx", "ERR syntax error"),
        ("set a b ex", "ERR syntax error"),
        ("set a b ex 1 px 1", "ERR syntax error"),
        ("set a b ex 0", "ERR invalid expire time in 'set' command"),
        ("set a b ex 9223372036854775807", "ERR invalid expire time in 'set' command"),
        ("set a b ex x", "ERR value is not an integer or out of range"),
        ("set a b exat 7", "ERR syntax error: synod serves SET with EX and PX"),
        ("decrby a -9223372036854775808", "ERR decrement would overflow"),
        ("scan x", "ERR invalid cursor"),
        ("scan 7", "ERR invalid cursor: it is too old or another member's"),
        ("scan 0 match", "ERR syntax error"),
        ("scan 0 count 0", "ERR syntax error"),
        ("select 1", "ERR DB index is out of range"),
        ("client kill", "ERR unknown subcommand of CLIENT"),
        ("command getkeys", "ERR unknown subcommand of COMMAND"),
        ("hello 4", "NOPROTO"),
        ("auth x", "ERR Client sent AUTH, but no password is set"),
        ("exec", "ERR EXEC without MULTI"),
        ("discard", "ERR DISCARD without MULTI"),
    ] {
        let said = error(&mut talk, &shared, line);
        assert!(said.starts_with(says), "{line}: {said}");
    }
    let long = format!("scan 0 match {}", "x".repeat(257));
    assert!(error(&mut talk, &shared, &long).contains("at most 256"));
}

#[test]
fn nothing_is_done_before_the_password_is_said() {
    let shared = shared(Some("secret"));
    let mut talk = Conversation::new(1, &shared);
    for line in ["get a", "ping", "multi", "lpush a b", "client id"] {
        assert_eq!(error(&mut talk, &shared, line), "NOAUTH Authentication required.");
    }
    assert!(error(&mut talk, &shared, "hello 3").starts_with("NOAUTH"));
    assert!(error(&mut talk, &shared, "hello 3 auth default wrong").starts_with("WRONGPASS"));
    assert!(error(&mut talk, &shared, "auth other secret").starts_with("WRONGPASS"));
    assert_eq!(talk.version(), Version::Two);
    assert!(!talk.is_known() && !talk.ends());
    assert!(matches!(say(&mut talk, &shared, "hello 3 auth default secret setname me"), Reply::Map(_)));
    assert_eq!(talk.version(), Version::Three);
    assert_eq!(say(&mut talk, &shared, "client getname"), Reply::text("me"));
    assert_eq!(say(&mut talk, &shared, "reset"), Reply::Simple("RESET"));
    assert_eq!((talk.version(), talk.is_known()), (Version::Two, false));
    for _ in 0..3 {
        assert!(error(&mut talk, &shared, "auth guess").starts_with("WRONGPASS"));
    }
    assert!(talk.ends(), "a reset forgets no guess");
}

#[test]
fn a_queue_is_bounded_and_spoilt_by_what_could_not_be_queued() {
    let shared = shared(None);
    let mut talk = Conversation::new(1, &shared);
    let aborted = "EXECABORT Transaction discarded because of previous errors.";
    for wrong in ["lpush a b", "set a", "client id", "mget a b c d"] {
        say(&mut talk, &shared, "multi");
        assert_eq!(say(&mut talk, &shared, "set a 1"), Reply::Simple("QUEUED"));
        error(&mut talk, &shared, wrong);
        say(&mut talk, &shared, "ping");
        assert_eq!(error(&mut talk, &shared, "exec"), aborted, "{wrong}");
    }
    say(&mut talk, &shared, "multi");
    say(&mut talk, &shared, "ping");
    let Step::Exec(transaction) = talk.take(&["exec".into()], &shared) else { panic!("it was queued") };
    assert_eq!(transaction.command(), None, "there is nothing to do");
    assert_eq!(transaction.reply(None, &shared), Reply::Array(vec![Reply::Simple("PONG")]));
    let watch = ["watch", "a", "b", "c", "d"].map(Blob::from);
    assert!(matches!(talk.take(&watch, &shared), Step::Reply(Reply::Error(_))), "three are the most");
}

#[test]
fn a_scan_goes_on_where_it_stopped() {
    let (shared, local) = (shared(None), Local::default());
    let mut talk = Conversation::new(1, &shared);
    let mut cursors = Cursors::starting_at(100);
    let mut run = |line: &str| {
        let words: Vec<Blob> = line.split(' ').map(Blob::from).collect();
        let Step::Work(work) = talk.take(&words, &shared) else { panic!("{line}") };
        let then = work.operations().to_vec();
        let output = local.apply(&synod_machine::StoreCommand::Transact { when: Vec::new(), then });
        let Ok(synod_machine::StoreOutput::Done(outcomes)) = output else { panic!("{output:?}") };
        work.reply(&mut outcomes.into_iter(), &mut cursors)
    };
    for key in ["a:1", "a:2", "a:3", "b"] {
        run(&format!("set {key} v"));
    }
    let page = |cursor: &str, keys: &[&str]| {
        let keys = keys.iter().map(|key| Reply::text(key)).collect();
        Reply::Array(vec![Reply::text(cursor), Reply::Array(keys)])
    };
    assert_eq!(run("scan 0 match a:* count 2"), page("101", &["a:1", "a:2"]));
    assert_eq!(run("scan 0 match *:2"), page("0", &["a:2"]));
    assert_eq!(run("scan 0 count 3 match b"), page("0", &["b"]), "only what begins like it is looked at");
}

#[test]
fn others_read_the_replies_as_they_were_meant() {
    let all = Reply::Array(vec![
        Reply::OK,
        Reply::error("ERR two\r\nlines"),
        Reply::Integer(-7),
        Reply::Bulk(vec![0, 13, 10, 255].into()),
        Reply::Nil,
        Reply::NoArray,
        Reply::Map(vec![(Reply::text("k"), Reply::Array(Vec::new()))]),
    ]);
    let mut two = Vec::new();
    all.write(Version::Two, &mut two);
    let (frame, length) = decode2(&two).expect("a reply").expect("a whole one");
    assert_eq!(length, two.len());
    let shown = format!("{frame:?}");
    assert!(shown.contains("ERR two  lines") && shown.contains("-7"), "{shown}");
    assert_eq!(shown.matches("Null").count(), 2, "{shown}");
    let mut three = Vec::new();
    all.write(Version::Three, &mut three);
    let (frame, length) = decode3(&three).expect("a reply").expect("a whole one");
    assert_eq!(length, three.len());
    let shown = format!("{frame:?}");
    assert!(shown.contains("Map") && shown.matches("Null").count() == 2, "{shown}");
}
