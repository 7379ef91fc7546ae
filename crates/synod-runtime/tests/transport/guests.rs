//! Clients among others who have the same key, or their datagrams.

use crate::ends::{CLIENT, CLIENT_KEY, Clock, End, Flying, MEMBER_KEY, client, member, messages};
use std::net::SocketAddr;
use std::time::Duration;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::FIRST_CLIENT;
use synod_runtime::standing::Standing;
use synod_runtime::transport::{Config, Dropped, Refused};

fn elsewhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// A client's first knock at member 0, and the clock that goes with it.
fn knock(config: Config, now: Duration) -> Flying {
    let mut end = End::new(config);
    end.transport.tick(now);
    let member = crate::ends::address(0);
    end.flush().into_iter().find(|one| one.to == member).expect("it knocks")
}

#[test]
fn recorded_datagrams_of_a_client_move_nothing() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    let mut recorded: Vec<Flying> = Vec::new();
    asker.send(0, b"one").expect("it waits");
    for _ in 0..50 {
        let heard = clock.through(&mut [&mut server, &mut asker], 1, |flying| {
            recorded.push(flying.clone());
            vec![flying]
        });
        // Everything said so far is said again, from another address.
        let own = asker.address;
        for one in recorded.iter().filter(|one| one.from == own) {
            assert_eq!(server.take(clock.0, &Flying { from: elsewhere(), ..one.clone() }), []);
        }
        assert!(server.transport.counts().forgotten_clients == 0);
        if !messages(&heard).is_empty() || server.transport.connected(CLIENT) {
            server.send(CLIENT, b"answer").expect("there is a session");
            let flying = server.flush();
            let to: Vec<SocketAddr> =
                flying.iter().filter(|one| one.bytes[2] == 2).map(|one| one.to).collect();
            assert_eq!(to, [own], "the answer goes to the client");
        }
    }
    assert!(recorded.iter().filter(|one| one.from == asker.address && one.bytes[2] == 3).count() > 3);
    assert!(server.dropped(Dropped::Replayed) > 0);
    // And the session is the one that it was: no word of it is lost.
    asker.send(0, b"two").expect("there is a session");
    assert_eq!(messages(&clock.rounds(&mut [&mut server, &mut asker], 1)), [(0, CLIENT, b"two".as_slice())]);
}

#[test]
fn recorded_welcomes_of_an_earlier_start_do_not_take_the_place_of_a_later_one() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    let mut recorded: Vec<Flying> = Vec::new();
    let mut tap = |flying: Flying| {
        recorded.push(flying.clone());
        vec![flying]
    };
    clock.through(&mut [&mut server, &mut asker], 5, &mut tap);
    assert!(asker.transport.connected(0));
    let mut server = End::new(member(0, 2));
    clock.rounds(&mut [&mut server, &mut asker], 100);
    assert!(server.transport.connected(CLIENT), "the client noticed");
    let own = asker.address;
    for one in recorded.iter().filter(|one| one.to == own) {
        assert_eq!(asker.take(clock.0, one), []);
    }
    asker.send(0, b"to the later").expect("there is a session");
    let heard = clock.rounds(&mut [&mut server, &mut asker], 1);
    assert_eq!(messages(&heard), [(0, CLIENT, b"to the later".as_slice())]);
}

#[test]
fn a_late_datagram_does_not_move_a_client() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    clock.rounds(&mut [&mut server, &mut asker], 5);
    asker.send(0, b"held back").expect("there is a session");
    let held = asker.flush();
    asker.send(0, b"later").expect("there is a session");
    clock.rounds(&mut [&mut server, &mut asker], 1);
    for one in held {
        assert_eq!(server.take(clock.0, &Flying { from: elsewhere(), ..one }).len(), 1, "it was never heard");
    }
    // A greeting that was never heard either is authentic, and says nothing of where its sender is.
    clock.0 += Duration::from_secs(2);
    asker.transport.tick(clock.0);
    for one in asker.flush() {
        server.take(clock.0, &Flying { from: elsewhere(), ..one });
    }
    server.send(CLIENT, b"answer").expect("there is a session");
    let flying = server.flush();
    assert!(flying.len() == 1 && flying.iter().all(|one| one.to == asker.address), "{flying:?}");
}

#[test]
fn knocks_alone_leave_nothing_behind_and_are_answered_so_often_and_with_no_more_bytes() {
    let mut server = End::new(member(0, 1));
    let (mut answers, mut longest) = (0, 0);
    // Twenty thousand clients within two seconds, each of which knocks once: from one place, to be answered at another.
    for n in 0..20_000_u64 {
        let now = Duration::from_micros(n * 100);
        let one = knock(client(FIRST_CLIENT | n), now);
        server.take(now, &Flying { from: elsewhere(), ..one.clone() });
        for answer in server.flush() {
            answers += 1;
            longest = longest.max(answer.bytes.len());
            assert!(answer.bytes.len() <= one.bytes.len(), "{} for {}", answer.bytes.len(), one.bytes.len());
        }
        assert!(!server.transport.connected(FIRST_CLIENT | n), "nothing is kept of it");
    }
    assert!((2000..=256 * 21).contains(&answers), "{answers} answers in two seconds");
    assert_eq!(server.dropped(Dropped::TooOften), 20_000 - answers);
    assert_eq!(server.transport.counts().forgotten_clients, 0);
    // The same knock, again and again, at one moment and over a second.
    let one = knock(client(CLIENT), Duration::from_secs(3));
    let mut answers = 0;
    for ms in 3000..4000 {
        for _ in 0..10 {
            server.take(Duration::from_millis(ms), &one);
        }
        answers += server.flush().len();
    }
    assert!((5..=10).contains(&answers), "{answers} answers a second to one client");
}

#[test]
fn a_client_knocks_until_it_is_heard() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    let (own, mut lost) = (asker.address, 0);
    // The first three knocks that prove anything are lost.
    clock.through(&mut [&mut server, &mut asker], 12, |flying| {
        let proves = flying.from == own && flying.bytes[2] == 3 && flying.bytes[100..116] != [0; 16];
        let loses = proves && lost < 3;
        lost += usize::from(loses);
        if loses { Vec::new() } else { vec![flying] }
    });
    assert!(lost == 3 && server.transport.connected(CLIENT), "within a third of a second");
}

/// The number of times that a client knocks at a member in so many rounds.
fn knocks(server: &mut End, asker: &mut End, clock: &mut Clock, rounds: usize) -> usize {
    let (from, to, mut knocks) = (asker.address, server.address, 0);
    clock.through(&mut [server, asker], rounds, |flying| {
        knocks += usize::from((flying.from, flying.to, flying.bytes[2]) == (from, to, 3));
        vec![flying]
    });
    knocks
}

/// The member knows nothing of the session after its restart, and drops what comes in it.
#[test]
fn a_client_that_is_not_answered_knocks_at_a_member_that_was_restarted() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    clock.rounds(&mut [&mut server, &mut asker], 5);
    server.send(CLIENT, b"an answer").expect("there is a session");
    clock.rounds(&mut [&mut server, &mut asker], 1);
    // The next knock, whatever is sent, comes three quarters of a second after one at the soonest.
    while knocks(&mut server, &mut asker, &mut clock, 1) == 0 {}
    let mut server = End::new(member(0, 2));
    let (asked, mut heard) = (clock.0, Vec::new());
    for question in [b"first", b"later"] {
        asker.send(0, question).expect("there is a session");
        heard.extend(clock.rounds(&mut [&mut server, &mut asker], 6));
    }
    assert_eq!(messages(&heard), [(0, CLIENT, b"later".as_slice())]);
    assert!(clock.0 < asked + Duration::from_millis(400), "well before it would knock otherwise");
}

/// Knocks of a client that waits for an answer get rarer, and end with the answer.
#[test]
fn a_client_that_is_not_answered_knocks_less_and_less_often() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    clock.rounds(&mut [&mut server, &mut asker], 5);
    for _ in 0..3 {
        server.send(CLIENT, b"an answer").expect("there is a session");
        knocks(&mut server, &mut asker, &mut clock, 1);
        for _ in 0..20 {
            asker.send(0, b"a question").expect("there is a session");
        }
        // Within three seconds: about seven at first, and then two per second.
        let while_unanswered = knocks(&mut server, &mut asker, &mut clock, 100);
        assert!((6..=14).contains(&while_unanswered), "{while_unanswered}");
        server.send(CLIENT, b"an answer").expect("there is a session");
        knocks(&mut server, &mut asker, &mut clock, 1);
        let answered = knocks(&mut server, &mut asker, &mut clock, 100);
        assert!((2..=5).contains(&answered), "{answered}");
    }
}

#[test]
fn another_client_cannot_take_an_id_that_is_in_use() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    clock.rounds(&mut [&mut server, &mut asker], 5);
    let mut thief = End::new(Config { session: [0x77; 16], ..client(CLIENT) });
    thief.address = elsewhere();
    for _ in 0..30 {
        asker.send(0, b"mine").expect("there is a session");
        let heard = clock.rounds(&mut [&mut server, &mut thief, &mut asker], 1);
        assert_eq!(messages(&heard), [(0, CLIENT, b"mine".as_slice())]);
    }
    assert!(!thief.transport.connected(0) && server.dropped(Dropped::OtherClient) > 3);
    // When its owner has long been silent, the id may be taken.
    clock.0 += Duration::from_secs(11);
    clock.rounds(&mut [&mut server, &mut thief], 5);
    assert!(thief.transport.connected(0));
}

#[test]
fn randomness_that_repeats_itself_repeats_no_key() {
    // A client that draws the same again, at a member that goes on: the same words are other bytes.
    let (mut server, mut clock) = (End::new(member(0, 1)), Clock::default());
    let mut words = Vec::new();
    for _ in 0..3 {
        let mut asker = End::new(client(CLIENT));
        clock.rounds(&mut [&mut server, &mut asker], 8);
        asker.send(0, b"the same").expect("there is a session");
        let said = asker.flush();
        assert_eq!(said.len(), 1);
        assert_eq!(server.take(clock.0, &said[0]).len(), 1, "it is heard");
        // Between header and seal: the same words under the same key and nonce would be the same bytes there.
        let sealed = |one: &Flying| one.bytes[48..one.bytes.len() - 16].to_vec();
        words.push(sealed(&said[0]));
        server.send(CLIENT, b"the same").expect("there is a session");
        words.push(sealed(&server.flush()[0]));
    }
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all, "a key and a nonce were used twice");
    // A member that draws the same again at its next start is in another session.
    let session = |boot| {
        let config = member(0, 1);
        let standing = Standing { boot, ..config.standing };
        let mut end = End::new(Config { standing, ..config });
        end.transport.tick(Duration::from_secs(1));
        end.flush()[0].bytes[48..64].to_vec()
    };
    assert_eq!(session(1), session(1));
    assert_ne!(session(1), session(2));
    assert!(!session(1).windows(4).any(|part| member(0, 1).session.windows(4).any(|drawn| part == drawn)));
}

#[test]
fn a_client_key_that_is_taken_away_ends_its_sessions() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    clock.rounds(&mut [&mut server, &mut asker], 5);
    let cluster = |key| Keys::single(key);
    let clients = |key, cluster_key| ClientKeys::single(key, &cluster(cluster_key));
    server.transport.replace_keys(Some(&cluster(MEMBER_KEY)), Some(&clients(CLIENT_KEY, MEMBER_KEY)));
    assert_eq!(server.send(CLIENT, b"x"), Ok(()), "as long as its keys are there it goes on");
    server.transport.replace_keys(Some(&cluster(MEMBER_KEY)), Some(&clients([9; 32], MEMBER_KEY)));
    assert_eq!(server.send(CLIENT, b"x"), Err(Refused::NoSession));
    clock.rounds(&mut [&mut server, &mut asker], 50);
    assert!(!server.transport.connected(CLIENT) && server.dropped(Dropped::UnknownKey) > 0);
    // With the new one it comes back.
    asker.transport.replace_keys(None, Some(&clients([9; 32], MEMBER_KEY)));
    clock.rounds(&mut [&mut server, &mut asker], 5);
    assert!(server.transport.connected(CLIENT) && asker.transport.connected(0));
    // And with the cluster's key its half goes, too.
    server.transport.replace_keys(Some(&cluster([8; 32])), Some(&clients([9; 32], [8; 32])));
    assert_eq!(server.send(CLIENT, b"x"), Err(Refused::NoSession));
}
