//! Datagrams that must not pass: forged, changed, truncated, foreign, repeated and stale, by the million.

use crate::ends::{
    CLIENT, CLIENT_KEY, Clock, End, Flying, Heard, MAX, address, client, member, messages, pair, seeded,
};
use std::time::Duration;
use synod_runtime::keys::Keys;
use synod_runtime::node::{FIRST_CLIENT, LOCAL_CLIENT};
use synod_runtime::standing::Standing;
use synod_runtime::transport::{Config, Dropped, Refused, Transport};

/// Messages that were heard, among greetings.
fn said(heard: &[Heard]) -> usize {
    heard.iter().filter(|heard| matches!(heard, Heard::Message { .. })).count()
}

#[test]
fn nobody_speaks_in_the_name_of_a_local_client() {
    let (mut a, mut b, clock) = pair();
    a.transport.tick(clock.0 + Duration::from_secs(9));
    a.send(1, b"said").expect("there is a session");
    let before = b.transport.counts().dropped(Dropped::UnknownSender);
    let mut sent = 0;
    let member = b.address;
    for mut one in a.flush().into_iter().filter(|one| one.to == member) {
        for local in [LOCAL_CLIENT, LOCAL_CLIENT | 1, FIRST_CLIENT - 1] {
            one.bytes[16..24].copy_from_slice(&local.to_le_bytes());
            assert_eq!(b.take(clock.0, &one), []);
            sent += 1;
        }
    }
    assert!(sent >= 6, "a greeting and a message");
    assert_eq!(b.transport.counts().dropped(Dropped::UnknownSender) - before, sent, "whatever the kind");
}

#[test]
#[should_panic(expected = "needs no transport")]
fn a_local_client_has_no_transport() {
    End::new(member(LOCAL_CLIENT | 3, 1));
}

#[test]
fn a_million_datagrams_that_are_not_authentic_deliver_nothing() {
    let mut rng = seeded("a million");
    let (mut a, mut b, mut clock) = pair();
    // Real ones to start from: short, in pieces, and greetings; of this cluster and of another with the same keys.
    let mut real: Vec<Flying> = Vec::new();
    a.send(1, b"short").expect("there is a session");
    a.send(1, &[7; 5000]).expect("there is a session");
    real.extend(a.flush());
    let elsewhere = |id| End::new(Config { cluster: 78, ..member(id, 1) });
    let (mut c, mut d) = (elsewhere(0), elsewhere(1));
    Clock::default().rounds(&mut [&mut c, &mut d], 5);
    c.send(1, b"foreign").expect("there is a session");
    let foreign = c.flush();
    let mut newcomer = End::new(member(0, 9));
    newcomer.transport.tick(clock.0);
    let greetings: Vec<Flying> = newcomer.flush().into_iter().filter(|one| one.to == b.address).collect();
    let start: Vec<&Flying> = real.iter().chain(&foreign).chain(&greetings).collect();
    let before = b.transport.counts().clone();
    let mut sent = 0;
    for _ in 0..1_000_000 {
        let mut one = start[rng.usize(..start.len())].clone();
        let len = one.bytes.len();
        match rng.u8(..6) {
            0 => one.bytes[rng.usize(..len)] ^= 1 << rng.u8(..8),
            1 => one.bytes.truncate(rng.usize(..len)),
            2 => one.bytes.extend((0..rng.usize(1..64)).map(|_| rng.u8(..))),
            3 => one.bytes = (0..rng.usize(..1500)).map(|_| rng.u8(..)).collect(),
            // Everything but the header is anything.
            4 => one.bytes[48..].iter_mut().for_each(|byte| *byte = rng.u8(..)),
            _ => {
                let (from, to) = (rng.usize(..len), rng.usize(..len));
                one.bytes.swap(from, to);
                one.bytes[to] = one.bytes[to].wrapping_add(1);
            }
        }
        sent += 1;
        let heard = b.take(clock.0, &one);
        assert_eq!(heard, [], "a datagram was believed: {one:?}");
    }
    let after = b.transport.counts();
    assert_eq!(after.received - before.received, sent);
    let reasons = [
        Dropped::TooShort,
        Dropped::OtherVersion,
        Dropped::OtherCluster,
        Dropped::OtherReceiver,
        Dropped::UnknownSender,
        Dropped::UnknownKey,
        Dropped::Forged,
        Dropped::StaleSession,
    ];
    for reason in reasons {
        assert!(after.dropped(reason) > before.dropped(reason), "none was dropped as {reason}");
    }
    let dropped: u64 =
        Dropped::ALL.iter().map(|reason| after.dropped(*reason) - before.dropped(*reason)).sum();
    assert_eq!(dropped, sent, "each is counted once");
    // After all that the real ones are still heard.
    let heard: Vec<Heard> = real.iter().flat_map(|one| b.take(clock.0, one)).collect();
    assert_eq!(said(&heard), 2);
    b.send(0, b"still here").expect("the session goes on");
    assert_eq!(messages(&clock.rounds(&mut [&mut a, &mut b], 1)).len(), 1);
}

#[test]
fn nothing_is_taken_twice_however_often_it_comes() {
    let mut rng = seeded("twice");
    let (mut a, mut b, mut clock) = pair();
    let mut seen: Vec<Flying> = Vec::new();
    let mut heard = Vec::new();
    for number in 0..5000_u32 {
        a.send(1, &number.to_le_bytes()).expect("there is a session");
        let now = a.flush();
        for one in &now {
            heard.extend(b.take(clock.0, one));
        }
        seen.extend(now);
        // Near ones and ones from long ago.
        for _ in 0..3 {
            let near = seen.len().saturating_sub(rng.usize(1..3000));
            heard.extend(b.take(clock.0, &seen[near]));
        }
    }
    rng.shuffle(&mut seen);
    for one in &seen {
        heard.extend(b.take(clock.0, one));
    }
    assert_eq!(said(&heard), 5000);
    assert_eq!(b.dropped(Dropped::Replayed), 15_000 + 5000);
    assert_eq!(messages(&clock.rounds(&mut [&mut a, &mut b], 1)), []);
}

#[test]
fn recordings_of_an_earlier_start_are_worth_nothing() {
    let (mut a, mut b) = (End::new(member(0, 1)), End::new(member(1, 1)));
    let mut clock = Clock::default();
    let mut recorded: Vec<Flying> = Vec::new();
    let mut tap = |flying: Flying| {
        recorded.push(flying.clone());
        vec![flying]
    };
    clock.through(&mut [&mut a, &mut b], 5, &mut tap);
    a.send(1, b"x").expect("there is a session");
    clock.through(&mut [&mut a, &mut b], 1, &mut tap);
    // The receiver starts anew: all of it is said again, and teaches it nothing.
    let mut b = End::new(member(1, 2));
    let to_b: Vec<&Flying> = recorded.iter().filter(|one| one.to == b.address).collect();
    assert!(to_b.len() >= 3);
    for one in &to_b {
        assert_eq!(b.take(clock.0, one), [], "a recording was believed");
    }
    assert!(!b.transport.connected(0));
    // The sender starts anew and both get together; the recordings of its earlier start do not take its place.
    let mut a = End::new(member(0, 2));
    clock.rounds(&mut [&mut a, &mut b], 20);
    assert!(a.transport.connected(1) && b.transport.connected(0));
    for one in &to_b {
        assert_eq!(said(&b.take(clock.0, one)), 0);
    }
    a.send(1, b"y").expect("there is a session");
    assert_eq!(messages(&clock.rounds(&mut [&mut a, &mut b], 1)), [(1, 0, b"y".as_slice())]);
}

#[test]
fn an_earlier_start_of_a_member_cannot_take_the_place_of_a_later_one() {
    let (mut b, mut clock) = (End::new(member(1, 1)), Clock::default());
    let mut later = End::new(member(0, 5));
    clock.rounds(&mut [&mut later, &mut b], 5);
    assert!(b.transport.connected(0));
    // A copy of the disk that was taken before, on a machine that answers greetings.
    let mut earlier = End::new(member(0, 4));
    clock.rounds(&mut [&mut earlier, &mut b], 30);
    assert!(b.dropped(Dropped::Contradicted) > 0);
    assert_eq!(b.transport.peer_standing(0).map(|standing| standing.boot), Some(5));
}

#[test]
fn a_client_cannot_speak_for_a_member() {
    let (mut b, mut clock) = (End::new(member(1, 1)), Clock::default());
    // It has the clients' key, and says it is member 0.
    let posing = Config { cluster_keys: Some(Keys::single(CLIENT_KEY)), ..member(0, 1) };
    let mut poser = End::new(posing);
    clock.rounds(&mut [&mut poser, &mut b], 50);
    assert!(!b.transport.connected(0) && b.dropped(Dropped::UnknownKey) > 0);
    // Two clients have nothing to say to each other.
    let (mut one, mut other) = (End::new(client(CLIENT)), End::new(client(CLIENT | 8)));
    other.transport.tick(clock.0);
    for flying in other.flush() {
        assert_eq!(one.take(clock.0, &flying), []);
    }
    assert_eq!(one.dropped(Dropped::OtherReceiver), 3);
}

#[test]
fn a_member_that_does_not_take_part_is_not_heard() {
    let mut config = member(0, 1);
    config.standing = Standing { admitted: false, ..config.standing };
    let standing = config.standing;
    let (mut a, mut b, mut clock) = (End::new(config), End::new(member(1, 1)), Clock::default());
    clock.rounds(&mut [&mut a, &mut b], 5);
    a.send(1, b"too early").expect("there is a session");
    assert_eq!(messages(&clock.rounds(&mut [&mut a, &mut b], 1)), []);
    assert_eq!(b.dropped(Dropped::NotAdmitted), 1);
    a.transport.set_standing(Standing { admitted: true, ..standing });
    a.send(1, b"now").expect("there is a session");
    assert_eq!(messages(&clock.rounds(&mut [&mut a, &mut b], 1)).len(), 1);
}

#[test]
fn nothing_is_said_to_who_has_not_answered() {
    let (mut a, mut b, mut clock) = (End::new(member(0, 1)), End::new(member(1, 1)), Clock::default());
    // Member 1 hears the first greeting and no more: it answers that, and comes into no session.
    let mut left = 1;
    clock.through(&mut [&mut a, &mut b], 5, |flying| {
        let passes = flying.from != address(0) || std::mem::take(&mut left) > 0;
        if passes { vec![flying] } else { Vec::new() }
    });
    assert!(a.transport.peer_standing(1).is_some() && b.transport.peer_standing(0).is_none());
    assert_eq!(a.send(1, b"too early"), Err(Refused::NoSession));
    clock.rounds(&mut [&mut a, &mut b], 5);
    a.send(1, b"now").expect("it has answered");
}

#[test]
fn who_is_nobody_has_no_session_and_who_is_a_client_none_as_a_member() {
    let (mut b, mut clock) = (End::new(member(1, 1)), Clock::default());
    // It has the members' key, and is in nobody's list; it takes itself for a member.
    let mut nobody = End::new(member(7, 1));
    let heard = clock.rounds(&mut [&mut nobody, &mut b], 10);
    let lists = |(_, heard): &(u64, Heard)| !matches!(heard, Heard::OtherMembers { .. });
    assert!(!heard.iter().any(lists), "{heard:?}");
    assert!(b.transport.peer_standing(7).is_none() && b.dropped(Dropped::OtherMembers) > 0);
    assert_eq!(nobody.send(1, b"x"), Err(Refused::NoSession));
    // A client is no member's peer, and a member no client's.
    for (me, peer) in [(1, CLIENT), (1, 1)] {
        let config = Config { peers: vec![(peer, address(peer))], ..member(me, 1) };
        let made = std::panic::catch_unwind(|| Transport::new(config, fastrand::Rng::with_seed(3)));
        assert!(made.is_err(), "a member whose peer is {peer}");
    }
    let mut asker = End::new(client(CLIENT));
    clock.rounds(&mut [&mut asker, &mut b], 10);
    assert!(b.transport.connected(CLIENT) && b.transport.peer_standing(CLIENT).is_none());
}

#[test]
fn greetings_are_answered_sparingly_and_never_with_more_than_was_sent() {
    let (mut a, mut b, clock) = pair();
    let mut stranger = End::new(member(0, 1));
    stranger.transport.tick(clock.0);
    let greeting = stranger.flush().into_iter().find(|one| one.to == b.address).expect("it greets");
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..1000 {
        b.take(clock.0, &greeting);
        sent += greeting.bytes.len();
        answered += b.flush().iter().map(|one| one.bytes.len()).sum::<usize>();
    }
    assert!(answered <= sent / 100, "{answered} bytes came back for {sent}");
    assert!(b.dropped(Dropped::TooOften) > 900);
    a.flush();
}

#[test]
fn pieces_that_never_become_whole_cost_no_more_than_their_bound() {
    let mut rng = seeded("pieces");
    let (mut server, mut asker, mut clock) =
        (End::new(member(0, 1)), End::new(client(CLIENT)), Clock::default());
    clock.rounds(&mut [&mut server, &mut asker], 5);
    // Of each message one piece is lost; the oldest make room, and whole ones still pass.
    for round in 0..200 {
        asker.send(0, &vec![1; MAX]).expect("it is not too long");
        let mut flying = asker.flush();
        let lost = rng.usize(..flying.len());
        flying.remove(lost);
        let heard: Vec<Heard> = flying.iter().flat_map(|one| server.take(clock.0, one)).collect();
        assert_eq!(said(&heard), 0, "round {round}");
        assert!(server.transport.in_pieces() <= 4 * MAX, "{} bytes are held", server.transport.in_pieces());
    }
    asker.send(0, &vec![2; MAX]).expect("it is not too long");
    assert_eq!(messages(&clock.rounds(&mut [&mut server, &mut asker], 1)).len(), 1);
    // Many clients share one bound.
    let mut dropped = 0;
    for id in 0..20 {
        let mut asker = End::new(client(CLIENT | 1 << 20 | id << 8));
        clock.rounds(&mut [&mut server, &mut asker], 5);
        for _ in 0..4 {
            asker.send(0, &vec![1; MAX]).expect("it is not too long");
            let flying = asker.flush();
            flying[1..].iter().for_each(|one| drop(server.take(clock.0, one)));
        }
        assert!(server.transport.in_pieces() <= 16 * MAX, "{} bytes are held", server.transport.in_pieces());
        dropped = server.dropped(Dropped::NoRoom);
    }
    assert!(dropped > 0, "the bound was never reached");
}
