//! Datagrams that must pass: greetings through loss, messages of every size, of members that move and keys that change.

use crate::ends::{CLIENT, Clock, DATAGRAM, End, Heard, MAX, client, member, messages, pair, seeded};
use std::time::Duration;
use synod_runtime::admission::Answer;
use synod_runtime::keys::Keys;
use synod_runtime::node::FIRST_CLIENT;
use synod_runtime::standing::{Known, Standing};
use synod_runtime::transport::{Dropped, Refused};

#[test]
fn greetings_get_through_a_network_that_loses_doubles_and_reorders() {
    let mut rng = seeded("greetings");
    for _ in 0..50 {
        let (mut a, mut b, mut clock) = (End::new(member(0, 1)), End::new(member(1, 1)), Clock::default());
        let mut held = Vec::new();
        let mut weather = |flying: super::ends::Flying| {
            held.push(flying);
            let mut out = Vec::new();
            while held.len() > 3 || (!held.is_empty() && rng.bool()) {
                let one = held.swap_remove(rng.usize(..held.len()));
                out.extend(vec![one; [0, 1, 1, 2][rng.usize(..4)]]);
            }
            out
        };
        let mut rounds = 0;
        while !(a.transport.connected(1) && b.transport.connected(0)) {
            clock.through(&mut [&mut a, &mut b], 1, &mut weather);
            rounds += 1;
            assert!(rounds < 2000, "they never get together");
        }
        // A message that comes at all comes once.
        let mut heard = Vec::new();
        for number in 0..100_u32 {
            a.send(1, &number.to_le_bytes()).expect("there is a session");
            heard.extend(clock.through(&mut [&mut a, &mut b], 1, &mut weather));
        }
        let mut came: Vec<&[u8]> = messages(&heard).into_iter().map(|(_, _, bytes)| bytes).collect();
        let all = came.len();
        came.sort_unstable();
        came.dedup();
        assert_eq!(came.len(), all, "a message came twice");
        assert!(all > 20, "of 100 messages {all} came");
    }
}

#[test]
fn a_greeting_says_how_one_stands_and_what_one_knows() {
    let (mut a, mut b, mut clock) = (End::new(member(0, 4)), End::new(member(1, 2)), Clock::default());
    let known = Known { disk: 901, boot: 1, nonce: 71, saves: 17 };
    a.transport.set_known(1, Some(known), true);
    let heard = clock.rounds(&mut [&mut a, &mut b], 5);
    let standing = Standing { disk: 900, boot: 4, nonce: 74, saves: 0, admitted: true };
    let answer = Some(Answer { known: Some(known), recorded: true, admitted: true, number: 0 });
    assert!(heard.contains(&(1, Heard::Hello { from: 0, standing, answer })), "{heard:?}");
    assert_eq!(b.transport.peer_standing(0), Some(standing));
    // Saves ride along with every datagram.
    a.transport.set_standing(Standing { saves: 9, ..standing });
    a.send(1, b"x").expect("there is a session");
    clock.rounds(&mut [&mut a, &mut b], 1);
    assert_eq!(b.transport.peer_standing(0).map(|standing| standing.saves), Some(9));
}

#[test]
fn messages_of_every_size_pass_and_longer_ones_are_refused() {
    let mut rng = seeded("sizes");
    let (mut a, mut b, mut clock) = pair();
    let edge = DATAGRAM - 64;
    let mut sizes: Vec<usize> =
        (0..40).chain(edge - 40..edge + 40).chain(2 * edge - 60..2 * edge + 60).collect();
    sizes.extend([MAX - 1, MAX, 127, 128, 16_383, 16_384, 50_000]);
    for size in sizes {
        let message: Vec<u8> = (0..size).map(|_| rng.u8(..)).collect();
        a.send(1, &message).expect("it is not too long");
        // Pieces may come in any order.
        clock.0 += Duration::from_millis(1);
        let mut flying = a.flush();
        assert!(
            flying.iter().all(|one| one.bytes.len() <= DATAGRAM),
            "a datagram is longer than the path takes"
        );
        rng.shuffle(&mut flying);
        let heard: Vec<Heard> = flying.iter().flat_map(|one| b.take(clock.0, one)).collect();
        assert_eq!(heard, [Heard::Message { from: 0, bytes: message }], "{size} bytes");
    }
    let refused = a.send(1, &vec![0; MAX + 1]).expect_err("it is too long");
    assert_eq!(refused, Refused::TooLarge { len: MAX + 1, most: MAX });
    assert!(refused.to_string().contains("100001 bytes"));
    assert_eq!(a.send(2, b"x"), Err(Refused::NoSession));
}

#[test]
fn many_messages_share_a_datagram() {
    let (mut a, mut b, clock) = pair();
    for number in 0..100_u8 {
        a.send(1, &[number; 10]).expect("there is a session");
    }
    let flying = a.flush();
    assert_eq!(flying.len(), 2, "100 messages of 12 bytes each need no more");
    let heard: Vec<Heard> = flying.iter().flat_map(|one| b.take(clock.0, one)).collect();
    let sent: Vec<Heard> = (0..100).map(|n| Heard::Message { from: 0, bytes: vec![n; 10] }).collect();
    assert_eq!(heard, sent);
}

#[test]
fn a_client_asks_before_it_is_connected_and_is_answered_where_it_last_was() {
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    asker.send(0, b"early").expect("it waits");
    asker.send(0, b"question").expect("the last word counts");
    let heard = clock.rounds(&mut [&mut server, &mut asker], 5);
    assert_eq!(messages(&heard), [(0, CLIENT, b"question".as_slice())]);
    // It moves to another address, as behind a router, and goes on.
    asker.address = "127.0.0.1:9".parse().expect("an address");
    asker.send(0, b"again").expect("there is a session");
    let heard = clock.rounds(&mut [&mut server, &mut asker], 1);
    assert_eq!(messages(&heard), [(0, CLIENT, b"again".as_slice())]);
    server.send(CLIENT, b"answer").expect("there is a session");
    server.transport.refuse(CLIENT);
    let heard = clock.rounds(&mut [&mut server, &mut asker], 1);
    assert_eq!(messages(&heard), [(CLIENT, 0, b"answer".as_slice())]);
    assert!(heard.contains(&(CLIENT, Heard::Busy { from: 0 })), "{heard:?}");
}

#[test]
fn more_clients_than_are_remembered_make_room_and_may_come_back() {
    let (mut server, mut clock) = (End::new(member(0, 1)), Clock::default());
    let greet = |server: &mut End, id: u64, clock: &mut Clock| {
        let mut asker = End::new(client(id));
        asker.send(0, b"hello").expect("it waits");
        let heard = clock.rounds(&mut [server, &mut asker], 4);
        assert_eq!(messages(&heard).len(), 1, "client {id} is heard");
    };
    for id in 0..4100 {
        greet(&mut server, FIRST_CLIENT | id, &mut clock);
    }
    assert_eq!(server.transport.counts().forgotten_clients, 4);
    assert_eq!(server.send(FIRST_CLIENT, b"x"), Err(Refused::NoSession));
    assert_eq!(server.send(FIRST_CLIENT | 0x1003, b"x"), Ok(()));
    greet(&mut server, FIRST_CLIENT, &mut clock);
}

#[test]
fn keys_change_one_end_at_a_time_and_nobody_is_cut_off() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let keys = |lines: &[&String]| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let text = lines.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n");
        synod_runtime::keys::create(&path, "").expect("a file for its owner alone");
        std::fs::write(&path, text).expect("it can be written");
        Keys::load(&path).expect("they are keys")
    };
    let with = |id, lines: &[&String]| {
        let mut config = member(id, 1);
        config.cluster_keys = Some(keys(lines));
        End::new(config)
    };
    let (mut a, mut b, mut clock) = (with(0, &[&old]), with(1, &[&old]), Clock::default());
    clock.rounds(&mut [&mut a, &mut b], 5);
    let steps: [(usize, Vec<&String>); 6] = [
        (0, vec![&old, &new]),
        (1, vec![&old, &new]),
        (0, vec![&new, &old]),
        (1, vec![&new, &old]),
        (0, vec![&new]),
        (1, vec![&new]),
    ];
    for (who, lines) in steps {
        let end = if who == 0 { &mut a } else { &mut b };
        end.transport.replace_keys(Some(&keys(&lines)), None);
        a.send(1, b"to b").expect("the session goes on");
        b.send(0, b"to a").expect("the session goes on");
        let heard = clock.rounds(&mut [&mut a, &mut b], 1);
        assert_eq!(messages(&heard).len(), 2, "after {lines:?} at {who}");
    }
    // A newcomer with the old key alone is not let in.
    let mut late = with(2, &[&old]);
    let before = a.dropped(Dropped::UnknownKey);
    clock.rounds(&mut [&mut a, &mut late], 50);
    assert!(!a.transport.connected(2) && a.dropped(Dropped::UnknownKey) > before);
}
