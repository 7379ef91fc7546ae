//! Members that change: peers that come, go and move, processes that nobody has named, and sessions that go on when a peer was away.

use crate::ends::{CLIENT, Clock, DATAGRAM, End, Flying, Heard, address, client, member, messages};
use std::time::Duration;
use synod_runtime::keys::Keys;
use synod_runtime::standing::{Known, Standing};
use synod_runtime::transport::{Arrival, Config, Dropped, MOST_IDS, Refused};

/// A member of a cluster that began with members 0, 1 and 2. Its peers are named.
fn changing(id: u64, peers: &[u64]) -> End {
    let peers = peers.iter().map(|peer| (*peer, address(*peer))).collect();
    End::new(Config { peers, first: Some(vec![0, 1, 2]), ..member(id, 1) })
}

fn named(ids: &[u64]) -> Vec<(u64, std::net::SocketAddr)> {
    ids.iter().map(|id| (*id, address(*id))).collect()
}

fn said(heard: &[(u64, Heard)]) -> Vec<(u64, u64, &[u8])> {
    messages(heard)
}

#[test]
fn peers_are_named_and_no_longer_named_at_any_time() {
    let (mut a, mut b, mut clock) = (changing(0, &[]), changing(5, &[0]), Clock::default());
    a.transport.set_peers(&named(&[5, 0, MOST_IDS]));
    assert_eq!(a.transport.peers().collect::<Vec<_>>(), [5], "neither itself nor an id of nobody");
    clock.rounds(&mut [&mut a, &mut b], 5);
    assert!(a.transport.connected(5) && b.transport.connected(0));
    a.send(5, b"here").expect("there is a session");
    assert_eq!(said(&clock.rounds(&mut [&mut a, &mut b], 1)), [(5, 0, &b"here"[..])]);
    a.transport.set_peers(&[]);
    assert_eq!((a.transport.peers().count(), a.transport.heard(5)), (0, None));
    assert_eq!(a.send(5, b"gone"), Err(Refused::NoSession));
    b.send(0, b"gone").expect("it does not know yet");
    let before = a.dropped(Dropped::UnknownSender);
    for flying in b.flush() {
        assert_eq!(a.take(clock.0, &flying), []);
    }
    assert_eq!(a.dropped(Dropped::UnknownSender), before + 1);
    assert_eq!(a.transport.members(), [0, 1, 2], "the list in greetings is that of the beginning");
}

#[test]
#[should_panic(expected = "the members are fixed")]
fn fixed_members_are_not_named_anew() {
    End::new(member(0, 1)).transport.set_peers(&[]);
}

#[test]
#[should_panic(expected = "an id that no member can have")]
fn a_member_that_can_change_has_a_small_id() {
    changing(MOST_IDS, &[0]);
}

#[test]
fn whoever_greets_under_the_key_is_a_peer_until_it_is_silent() {
    let (mut a, mut b, mut clock) = (changing(0, &[1]), changing(5, &[0]), Clock::default());
    let heard = clock.rounds(&mut [&mut a, &mut b], 6);
    assert!(heard.iter().any(|(me, heard)| *me == 0 && matches!(heard, Heard::Hello { from: 5, .. })));
    assert!(a.transport.connected(5) && b.transport.connected(0));
    a.send(5, b"hello").expect("there is a session");
    assert_eq!(said(&clock.rounds(&mut [&mut a, &mut b], 1)), [(5, 0, &b"hello"[..])]);
    a.transport.tick(clock.0 + Duration::from_secs(29));
    assert!(a.transport.connected(5));
    a.transport.tick(clock.0 + Duration::from_secs(31));
    assert_eq!(a.transport.peers().collect::<Vec<_>>(), [1], "a named one stays, however silent");
    // It is there again as soon as it greets again, in the same session.
    clock.0 += Duration::from_secs(32);
    clock.rounds(&mut [&mut a, &mut b], 60);
    assert!(a.transport.connected(5));
    b.send(0, b"again").expect("there is a session");
    assert_eq!(said(&clock.rounds(&mut [&mut a, &mut b], 1)), [(0, 5, &b"again"[..])]);
    // One that is named meanwhile stays.
    a.transport.set_peers(&named(&[1, 5]));
    a.transport.tick(clock.0 + Duration::from_secs(99));
    assert!(a.transport.connected(5));
}

#[test]
fn where_members_are_fixed_whoever_greets_is_no_peer() {
    let mut a = End::new(Config { peers: named(&[1]), ..member(0, 1) });
    let mut b = End::new(Config { peers: named(&[0, 1]), ..member(2, 1) });
    Clock::default().rounds(&mut [&mut a, &mut b], 9);
    assert_eq!(a.transport.peers().collect::<Vec<_>>(), [1]);
    // Nor is one with another beginning, where they change.
    let (mut a, mut clock) = (changing(0, &[1]), Clock::default());
    let mut b = End::new(Config { peers: named(&[0]), first: Some(vec![0, 1]), ..member(5, 1) });
    let heard = clock.rounds(&mut [&mut a, &mut b], 9);
    assert_eq!(a.transport.peers().collect::<Vec<_>>(), [1]);
    assert!(a.dropped(Dropped::OtherMembers) > 0);
    assert!(heard.iter().any(|(me, heard)| *me == 0 && matches!(heard, Heard::OtherMembers { from: 5, .. })));
}

#[test]
fn a_flood_of_ids_that_nobody_has_named_finds_sixteen_places() {
    let (mut a, mut clock) = (changing(0, &[1]), Clock::default());
    let mut others: Vec<End> = (10..60).chain([MOST_IDS - 1]).map(|id| changing(id, &[0])).collect();
    let mut far = End::new(Config { peers: named(&[0]), ..member(MOST_IDS + 7, 1) });
    let mut ends: Vec<&mut End> = others.iter_mut().chain([&mut a, &mut far]).collect();
    clock.rounds(&mut ends, 1000);
    assert_eq!(a.transport.peers().count(), 17);
    assert!(a.transport.peers().all(|id| id < MOST_IDS));
    // Those who have a place keep it, and a named one finds its own.
    a.transport.set_peers(&named(&[1, 2]));
    let mut b = changing(2, &[0]);
    clock.rounds(&mut [&mut a, &mut b], 6);
    assert!(a.transport.connected(2));
}

#[test]
fn a_session_goes_on_where_it_was_and_never_begins_twice() {
    let (mut a, mut b, mut clock) = (changing(0, &[5]), changing(5, &[0]), Clock::default());
    let mut all: Vec<Flying> = Vec::new();
    let mut record = |flying: Flying| {
        all.push(flying.clone());
        vec![flying]
    };
    clock.through(&mut [&mut a, &mut b], 6, &mut record);
    for round in 0..3_u8 {
        a.send(5, &[round; 40]).expect("there is a session");
        b.send(0, &[round; 40]).expect("there is a session");
        clock.through(&mut [&mut a, &mut b], 1, &mut record);
    }
    // Everything that was ever said comes again while it sleeps, and again when it is a peer.
    let sealed = |all: &[Flying]| {
        let counters =
            all.iter().filter(|one| one.bytes[2] == 2).map(|one| (one.from, one.bytes[..48].to_vec()));
        counters.collect::<Vec<_>>()
    };
    for _ in 0..2 {
        a.transport.set_peers(&[]);
        for flying in &all {
            let elsewhere = Flying { from: address(50), ..flying.clone() };
            for replayed in [flying, &elsewhere] {
                let heard = a.take(clock.0, replayed);
                assert!(!heard.iter().any(|heard| matches!(heard, Heard::Message { .. })), "{heard:?}");
            }
        }
        a.flush();
        a.transport.set_peers(&named(&[5]));
        for flying in &all {
            let heard = a.take(clock.0, flying);
            assert!(!heard.iter().any(|heard| matches!(heard, Heard::Message { .. })), "{heard:?}");
        }
        assert!(a.transport.connected(5), "it is as it was");
        let mut before = sealed(&all);
        a.send(5, b"and on").expect("there is a session");
        let mut later = Vec::new();
        let heard = clock.through(&mut [&mut a, &mut b], 1, |flying| {
            later.push(flying.clone());
            vec![flying]
        });
        assert_eq!(said(&heard), [(5, 0, &b"and on"[..])]);
        let after = sealed(&later);
        assert!(after.iter().all(|one| !before.contains(one)), "a key seals under each counter once");
        before.extend(after);
        all.extend(later);
    }
}

#[test]
fn a_peer_that_is_named_elsewhere_is_spoken_to_there_in_the_same_session() {
    let (mut a, mut b, mut clock) = (changing(0, &[5]), changing(5, &[0]), Clock::default());
    clock.rounds(&mut [&mut a, &mut b], 6);
    let goes_to = |a: &mut End| {
        a.send(5, b"x").expect("there is a session");
        a.flush().into_iter().map(|flying| flying.to).next_back()
    };
    assert_eq!(goes_to(&mut a), Some(address(5)));
    a.transport.set_peers(&[(5, address(55))]);
    assert_eq!(goes_to(&mut a), Some(address(55)));
    a.transport.tick(clock.0);
    assert!(a.flush().iter().any(|flying| flying.to == address(55)), "it is greeted there at once");
    // It was wrong: the process is where it was, and its next greeting says so.
    clock.0 += Duration::from_secs(2);
    clock.rounds(&mut [&mut a, &mut b], 3);
    assert_eq!(goes_to(&mut a), Some(address(5)));
    // The same words again do not undo that.
    a.transport.set_peers(&[(5, address(55))]);
    assert_eq!(goes_to(&mut a), Some(address(5)));
}

#[test]
fn what_is_known_of_a_process_holds_before_it_is_a_peer() {
    let (mut a, mut b, mut clock) = (changing(0, &[1]), changing(5, &[0]), Clock::default());
    let known = Known { disk: 1, boot: 1, nonce: 1, saves: 9 };
    a.transport.set_known(5, Some(known), true);
    let heard = clock.rounds(&mut [&mut a, &mut b], 9);
    assert!(!a.transport.connected(5) && a.dropped(Dropped::Contradicted) > 0);
    assert_eq!(a.transport.peers().collect::<Vec<_>>(), [1], "it takes nobody's place");
    let told = heard.iter().find_map(|(me, heard)| match heard {
        Heard::Hello { from: 0, answer: Some(answer), .. } if *me == 5 => answer.known,
        _ => None,
    });
    assert_eq!(told, Some(known), "it is told why");
}

#[test]
fn the_standing_of_one_that_sleeps_is_still_known_and_so_is_that_it_was_met() {
    let (mut a, mut b, mut clock) = (changing(0, &[5]), changing(5, &[0]), Clock::default());
    clock.rounds(&mut [&mut a, &mut b], 6);
    b.transport.set_standing(Standing { saves: 9, ..member(5, 1).standing });
    b.send(0, b"a vote").expect("there is a session");
    clock.rounds(&mut [&mut a, &mut b], 1);
    // The vote may still wait for its turn.
    a.transport.set_peers(&[]);
    assert_eq!(a.transport.peer_standing(5).map(|standing| standing.saves), Some(9));
    assert_eq!(a.transport.met().collect::<Vec<_>>(), [5]);
    let known = Known::of(&Standing { saves: 9, ..member(5, 1).standing });
    a.transport.set_known(5, Some(known), true);
    a.transport.set_peers(&named(&[5]));
    let mut told = Vec::new();
    clock.0 += Duration::from_secs(2);
    for (me, heard) in clock.rounds(&mut [&mut a, &mut b], 3) {
        if let (5, Heard::Hello { answer: Some(answer), .. }) = (me, heard) {
            told.push((answer.known, answer.recorded));
        }
    }
    assert_eq!(told.first(), Some(&(Some(known), true)), "it is told so when it wakes");
}

#[test]
fn one_that_is_no_peer_is_answered_however_often_others_greet() {
    let mut a = changing(0, &[1]);
    let mut others: Vec<End> = (10..20).map(|id| changing(id, &[0])).collect();
    let greetings: Vec<Flying> = others
        .iter_mut()
        .flat_map(|other| {
            other.transport.tick(Duration::ZERO);
            other.flush()
        })
        .collect();
    a.flush();
    for _ in 0..3 {
        for greeting in &greetings {
            a.take(Duration::from_secs(1), greeting);
        }
    }
    let answered: Vec<_> = a.flush().iter().map(|flying| flying.to).collect();
    assert_eq!(answered, (10..20).map(address).collect::<Vec<_>>(), "each once");
}

#[test]
fn a_member_says_how_many_changes_it_has_executed_and_a_client_hears_nothing_of_it() {
    let (mut a, mut b, mut clock) = (changing(0, &[5]), changing(5, &[0]), Clock::default());
    a.transport.set_number(3);
    let heard = clock.rounds(&mut [&mut a, &mut b], 6);
    assert_eq!((b.transport.peer_number(0), a.transport.peer_number(5)), (Some(3), Some(0)));
    assert_eq!(b.transport.peer_number(1), None);
    assert!(heard.iter().any(
        |(_, heard)| matches!(heard, Heard::Hello { from: 0, answer: Some(answer), .. } if answer.number == 3)
    ));
    // Between greetings messages carry it.
    a.transport.set_number(u64::MAX);
    a.send(5, b"m").expect("there is a session");
    let sent = a.flush();
    assert_eq!(b.take(clock.0, &sent[0]).len(), 1);
    assert_eq!(b.transport.peer_number(0), Some(u64::MAX));
    a.transport.set_number(1 << 40);
    for length in [DATAGRAM - 100, DATAGRAM - 90, DATAGRAM - 80, DATAGRAM - 70, DATAGRAM, 5 * DATAGRAM] {
        a.send(5, &vec![7; length]).expect("there is a session");
        let sent = a.flush();
        assert!(sent.iter().all(|flying| flying.bytes.len() <= DATAGRAM), "{length}");
        assert_eq!(sent.iter().flat_map(|flying| b.take(clock.0, flying)).count(), 1, "{length}");
    }
    // Where members are fixed nothing of it is said.
    let (mut a, mut b) = (End::new(member(0, 1)), End::new(member(1, 1)));
    clock.rounds(&mut [&mut a, &mut b], 6);
    let length = |a: &mut End| {
        a.send(1, b"m").expect("there is a session");
        a.flush()[0].bytes.len()
    };
    assert_eq!(length(&mut a), 48 + 16 + 2 + 3);
}

#[test]
fn one_that_does_not_take_part_is_heard_where_members_change() {
    let standing = Standing { admitted: false, ..member(5, 1).standing };
    let mut a = changing(0, &[5]);
    let mut b = End::new(Config { peers: named(&[0]), first: Some(vec![0, 1, 2]), standing, ..member(5, 1) });
    let mut clock = Clock::default();
    clock.rounds(&mut [&mut a, &mut b], 6);
    b.send(0, b"please").expect("there is a session");
    let heard = clock.rounds(&mut [&mut a, &mut b], 1);
    assert!(heard.contains(&(0, Heard::Learner { from: 5, bytes: b"please".to_vec() })), "{heard:?}");
    b.transport.set_standing(Standing { admitted: true, ..standing });
    b.send(0, b"I may").expect("there is a session");
    let sent = b.flush();
    let mut admitted = Vec::new();
    for mut flying in sent {
        a.transport.receive(clock.0, flying.from, &mut flying.bytes, &mut |event| {
            if let Arrival::Message { admitted: may, .. } = event {
                admitted.push(may);
            }
        });
    }
    assert_eq!(admitted, [true]);
}

/// Two clients of members 0 and 5.
fn guest(id: u64) -> End {
    End::new(Config { peers: named(&[0, 5]), ..client(id) })
}

#[test]
fn a_client_is_told_who_the_members_are_when_its_session_begins_and_when_they_change() {
    let (mut a, mut clock) = (changing(0, &[5]), Clock::default());
    let (mut one, mut other) = (guest(CLIENT), guest(CLIENT + 1));
    clock.rounds(&mut [&mut a, &mut one], 6);
    assert!(a.transport.connected(CLIENT) && one.transport.listed().is_none(), "nobody has said it yet");
    a.transport.set_listed(7, &[(9, address(9)), (0, address(0)), (9, address(8)), (MOST_IDS, address(1))]);
    let list = [(0, address(0)), (9, address(8))];
    clock.rounds(&mut [&mut a, &mut one, &mut other], 6);
    for guest in [&one, &other] {
        assert_eq!(guest.transport.listed(), Some(&list[..]));
    }
    a.transport.set_listed(9, &list);
    assert_eq!(a.flush().len(), 0, "the same again is not said again");
    // Another member that is behind says what was before.
    let mut b = changing(5, &[0]);
    b.transport.set_listed(6, &named(&[0, 5]));
    clock.rounds(&mut [&mut b, &mut one], 6);
    assert!(b.transport.connected(CLIENT));
    assert_eq!(one.transport.listed(), Some(&list[..]));
    b.transport.set_listed(8, &named(&[5]));
    clock.rounds(&mut [&mut b, &mut one], 1);
    assert_eq!(one.transport.listed(), Some(&named(&[5])[..]));
}

#[test]
fn a_list_that_was_lost_is_told_again() {
    let (mut a, mut one, mut clock) = (changing(0, &[]), guest(CLIENT), Clock::default());
    a.transport.set_listed(7, &named(&[0, 5]));
    let lose = |flying: Flying| {
        if flying.to == address(CLIENT) && flying.bytes[2] == 2 { vec![] } else { vec![flying] }
    };
    clock.through(&mut [&mut a, &mut one], 9, lose);
    assert!(a.transport.connected(CLIENT) && one.transport.listed().is_none());
    clock.rounds(&mut [&mut a, &mut one], 100);
    assert!(one.transport.listed().is_none(), "not at every knock");
    clock.0 += Duration::from_secs(11);
    clock.rounds(&mut [&mut a, &mut one], 60);
    assert_eq!(one.transport.listed(), Some(&named(&[0, 5])[..]));
}

#[test]
fn a_client_goes_over_to_other_members_and_back_in_the_same_sessions() {
    let (mut a, mut b, mut clock) = (changing(0, &[5]), changing(7, &[0]), Clock::default());
    let mut one = guest(CLIENT);
    clock.rounds(&mut [&mut a, &mut b, &mut one], 6);
    assert!(one.transport.connected(0) && !one.transport.connected(7));
    let mut sealed = std::collections::BTreeSet::new();
    for round in 0..4_u8 {
        for (peers, member) in [(vec![7], 7), (vec![0, 7], 0)] {
            one.transport.set_peers(&named(&peers));
            clock.rounds(&mut [&mut a, &mut b, &mut one], 9);
            one.send(member, &[round; 9]).expect("there is a session");
            let mut sent = Vec::new();
            let heard = clock.through(&mut [&mut a, &mut b, &mut one], 1, |flying| {
                sent.push(flying.bytes.clone());
                vec![flying]
            });
            assert_eq!(said(&heard), [(member, CLIENT, &[round; 9][..])]);
            // The receiver, the session and the counter.
            let data = sent.into_iter().filter(|bytes| bytes[2] == 2);
            assert!(
                data.into_iter().all(|bytes| sealed.insert(bytes[16..48].to_vec())),
                "a counter comes once"
            );
        }
        assert_eq!(one.send(5, b"x"), Err(Refused::NoSession), "nobody asks it any more");
    }
}

/// Keys are replaced while a session sleeps. It goes on under the new one.
#[test]
fn the_keys_of_those_that_sleep_are_replaced_too() {
    let keys = |byte| Keys::single([byte; 32]);
    let (mut a, mut b, mut clock) = (changing(0, &[5]), changing(5, &[0]), Clock::default());
    clock.rounds(&mut [&mut a, &mut b], 5);
    a.transport.set_peers(&[]);
    for end in [&mut a, &mut b] {
        end.transport.replace_keys(Some(&keys(9)), None);
    }
    clock.rounds(&mut [&mut a, &mut b], 60);
    a.transport.set_peers(&named(&[5]));
    clock.rounds(&mut [&mut a, &mut b], 60);
    let before = (a.dropped(Dropped::UnknownKey), b.dropped(Dropped::UnknownKey));
    a.send(5, b"to b").expect("the session goes on");
    b.send(0, b"to a").expect("the session goes on");
    assert_eq!(said(&clock.rounds(&mut [&mut a, &mut b], 1)).len(), 2);
    assert_eq!((a.dropped(Dropped::UnknownKey), b.dropped(Dropped::UnknownKey)), before);
}
