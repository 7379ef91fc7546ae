//! Steps of a role that must change nothing: messages that come too late, twice or for another. And things that it must not
//! forget or repeat meanwhile.

use crate::{One, accept, accepted, ballot, cluster, ids, prepare, promise, read, request, value};
use stateright::actor::Command;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Beat, Cluster, Election, ElectionTimer, Instance, Learning, Msg, Pace, PerInstance, Process, Proposal,
    ProposerState, QuorumRule, Quorums, Retry, Timer,
};

const MINE: synod::Ballot = synod::Ballot { round: 1, proposer: 1 };

fn any() -> std::ops::Range<Duration> {
    Duration::from_millis(1)..Duration::from_millis(2)
}

/// The first server, or the first proposer, with its own way of trying again.
fn proposer(cluster: Cluster, retry: Retry) -> One {
    One::start(Process::Proposer { cluster: Arc::new(cluster), number: 1, retry }, None)
}

fn server(cluster: Cluster, retry: Retry) -> One {
    One::start(Process::Server { cluster: Arc::new(cluster), number: 1, retry }, None)
}

fn state(one: &One) -> &ProposerState {
    one.state.proposer().expect("it proposes")
}

/// Four servers of which any two promise, and any two choose. The quorums need not meet, as nobody else proposes.
fn four(learning: Learning) -> Cluster {
    let quorums = Quorums::forced(4, QuorumRule::AtLeast(2), QuorumRule::AtLeast(2)).expect("they fit");
    Cluster {
        acceptors: ids(0..4),
        learners: ids(0..4),
        proposers: ids(0..4).into_iter().zip(1..).collect(),
        quorums,
        learning,
        ..cluster(2, 2)
    }
}

/// The range of the retry timer: at once, or later.
fn is_soon(one: &One) -> bool {
    one.did.iter().any(|it| matches!(it, Command::SetTimer(Timer::Retry, after) if *after == (Duration::ZERO..Duration::ZERO)))
}

#[test]
fn without_nacks_nobody_is_refused_in_words() {
    let mut acceptor =
        One::start(Process::Acceptor(Arc::new(Cluster { nacks: false, ..cluster(2, 2) })), None);
    acceptor.hears(1, prepare(ballot(3, 2)));
    assert!(acceptor.ignores(2, prepare(ballot(2, 3))) && acceptor.ignores(2, accept(ballot(2, 3), 0, "x")));
}

#[test]
fn a_learner_ignores_what_it_knows_and_informs_only_those_who_are_not_told() {
    let learning = Learning::Distinguished(vec![0, 1]);
    let mut learner = One::start(Process::Learner(Arc::new(Cluster { learning, ..cluster(2, 2) })), None);
    learner.hears(0, accepted(MINE, 0, "x"));
    assert!(learner.ignores(0, accepted(MINE, 0, "x")), "it counts acceptors");
    learner.hears(1, accepted(MINE, 0, "x"));
    let chosen = Msg::Chosen { instance: Instance(0), value: value("x") };
    assert_eq!(
        (learner.told(0), learner.told(1), learner.told(2)),
        (vec![], vec![], vec![chosen.clone()]),
        "acceptors tell the first two"
    );
    for late in [accepted(MINE, 0, "x"), accepted(ballot(2, 2), 0, "x"), chosen] {
        assert!(learner.ignores(2, late.clone()), "{late:?}");
    }
}

#[test]
fn the_first_value_that_is_asked_for_stays_also_when_it_is_chosen() {
    let mut first = proposer(four(Learning::Everyone), Retry { on_nack: true, ..Retry::default() });
    first.hears(9, request(0, "x"));
    assert!(first.ignores(9, request(0, "y")), "x is wanted");
    first.hears(0, promise(MINE)).hears(1, promise(MINE));
    assert_eq!(first.told(3), [accept(MINE, 0, "x")]);
    assert!(first.ignores(9, request(0, "y")), "x is issued");
    first.hears(0, accepted(MINE, 0, "x")).hears(1, accepted(MINE, 0, "x"));
    assert!(state(&first).wanted.is_empty());
    assert!(first.ignores(9, request(0, "y")), "x is chosen");
}

#[test]
fn a_choice_is_announced_once_by_the_proposer_and_by_no_other_where_acceptors_tell() {
    let again = Retry { on_nack: true, ..Retry::default() };
    for (learning, retry, announced) in
        [(Learning::Proposer, Retry::default(), 1), (Learning::Distinguished(vec![0]), again, 0)]
    {
        let mut first = proposer(four(learning.clone()), retry);
        first.hears(9, request(0, "x")).hears(0, promise(MINE)).hears(1, promise(MINE));
        let told: usize = (0..4).map(|from| first.hears(from, accepted(MINE, 0, "x")).told(3).len()).sum();
        assert_eq!(told, announced, "{learning:?}");
    }
}

#[test]
fn who_never_tries_again_counts_no_acceptances_and_heeds_no_nack() {
    let mut once = proposer(four(Learning::Everyone), Retry::default());
    once.hears(9, request(0, "x"));
    let nack = || Msg::Nack { ballot: MINE, promised: ballot(7, 2) };
    assert!(once.ignores(0, nack()));
    once.hears(0, promise(MINE)).hears(1, promise(MINE));
    assert!(once.ignores(0, accepted(MINE, 0, "x")) && once.ignores(0, nack()));
    // With a timer alone it does both, and goes on until the timer runs out.
    let mut patient = proposer(four(Learning::Everyone), Retry { after: Some(any()), ..Retry::default() });
    patient.hears(9, request(0, "x")).hears(0, nack());
    assert_eq!((state(&patient).heard, patient.did.len()), (7, 0));
    patient.hears(0, promise(MINE)).hears(1, promise(MINE));
    assert_eq!(patient.told(3), [accept(MINE, 0, "x")], "phase 1 was not given up");
    assert!(!patient.ignores(0, accepted(MINE, 0, "x")));
    for lower in [ballot(7, 3), ballot(6, 2)] {
        assert!(patient.ignores(0, Msg::Nack { ballot: MINE, promised: lower }), "it has heard of 7");
    }
}

#[test]
fn a_promise_that_is_late_or_early_ends_nothing() {
    let retry = Retry { on_nack: true, after: Some(any()), doublings: 3 };
    // One value per step, so that more is due when the ballot is in phase 2.
    let mut leader = server(Cluster { report: 1, ..four(Learning::Everyone) }, retry);
    leader.hears(8, request(3, "x")).hears(9, request(4, "y")).hears(7, read(5));
    leader.rings(Timer::Retry);
    let second = ballot(2, 1);
    assert_eq!(
        (leader.told(3), state(&leader).failed),
        (vec![Msg::Prepare { ballot: second, from: Instance(3) }], 1)
    );
    leader.hears(0, promise(second));
    assert_eq!(state(&leader).failed, 1, "half a quorum is no success");
    let beginning = Msg::Promise { ballot: second, accepted: PerInstance::new(), rest: Some(Instance(4)) };
    leader.hears(1, beginning);
    assert_eq!(state(&leader).failed, 1, "nor is a beginning of a report");
    leader.hears(1, promise(second));
    assert_eq!(
        (leader.told(3), leader.told(7)),
        (vec![accept(second, 3, "x")], vec![Msg::Unset { instance: Instance(5) }])
    );
    assert_eq!((state(&leader).failed, is_soon(&leader)), (0, true), "the rest is proposed soon");
    assert!(leader.ignores(2, promise(second)), "one more promise changes nothing");
}

#[test]
fn a_ballot_that_only_proposes_has_not_succeeded_before_something_is_chosen() {
    let retry = || Retry { on_nack: true, after: Some(any()), doublings: 3 };
    for make in [proposer as fn(Cluster, Retry) -> One, server] {
        let mut first = make(four(Learning::Proposer), retry());
        first.hears(9, request(0, "x")).rings(Timer::Retry);
        let second = ballot(2, 1);
        first.hears(0, promise(second)).hears(1, promise(second)).hears(0, accepted(second, 0, "x"));
        assert_eq!(state(&first).failed, 1, "one acceptance is no success");
        first.hears(1, accepted(second, 0, "x"));
        assert_eq!(state(&first).failed, 0);
    }
    // A choice in another instance is no success here.
    let mut other = server(four(Learning::Everyone), retry());
    other.hears(9, request(0, "x")).rings(Timer::Retry);
    other.hears(1, Msg::Chosen { instance: Instance(7), value: value("z") });
    assert_eq!(state(&other).failed, 1);
}

#[test]
fn a_read_that_came_too_late_for_a_ballot_has_the_next_one_begun_at_once() {
    for (after, soon) in [(Some(any()), true), (None, false)] {
        let mut late = server(cluster(2, 2), Retry { on_nack: true, after, doublings: 0 });
        late.hears(8, read(7)).hears(9, read(8)).hears(1, promise(MINE)).hears(2, promise(MINE));
        assert_eq!((late.told(8), late.told(9)), (vec![Msg::Unset { instance: Instance(7) }], vec![]));
        assert_eq!(is_soon(&late), soon, "without a timer something else has to begin it");
    }
    let mut alone = server(cluster(2, 2), Retry { on_nack: true, after: Some(any()), doublings: 0 });
    alone.hears(8, read(7)).hears(1, promise(MINE)).hears(2, promise(MINE));
    assert_eq!((alone.told(8).len(), is_soon(&alone)), (1, false), "nobody else waits");
}

#[test]
fn a_read_that_waits_stays_as_it_is_when_it_is_asked_again() {
    let mut one = One::server(cluster(2, 2));
    one.hears(8, read(7));
    assert_eq!(one.told(1), [Msg::Prepare { ballot: MINE, from: Instance(7) }]);
    assert!(one.ignores(8, read(7)), "no ballot is begun for it once more");
    one.hears(1, promise(MINE));
    assert_eq!(one.hears(2, promise(MINE)).told(8), [Msg::Unset { instance: Instance(7) }]);
}

#[test]
fn readers_of_what_is_issued_have_it_sent_again_once_and_no_ballot_begun() {
    for is_wanted in [false, true] {
        let mut one = One::server(cluster(2, 2));
        one.hears(9, read(7));
        if is_wanted {
            one.hears(8, request(7, "z"));
        }
        one.hears(1, Msg::Nack { ballot: MINE, promised: ballot(3, 2) });
        let next = ballot(4, 1);
        let found =
            [(Instance(7), Proposal { ballot: ballot(3, 2), value: value("x") })].into_iter().collect();
        one.hears(1, Msg::Promise { ballot: next, accepted: found, rest: None }).hears(2, promise(next));
        assert_eq!((one.told(2), one.told(9)), (vec![accept(next, 7, "x")], vec![]));
        assert_eq!(one.rings(Timer::Retry).told(2), [accept(next, 7, "x")]);
    }
}

#[test]
fn what_is_known_is_answered_and_nothing_is_begun() {
    let mut one = One::server(cluster(2, 2));
    one.hears(1, Msg::Chosen { instance: Instance(7), value: value("x") });
    let answer = Msg::Response { instance: Instance(7), value: value("x") };
    for ask in [read(7), request(7, "y")] {
        one.hears(9, ask);
        assert_eq!((one.told(9), one.did.len()), (vec![answer.clone()], 1));
    }
}

#[test]
fn a_server_answers_each_who_waits_once_and_not_those_whom_learners_tell() {
    let clients = vec![9.into()];
    let mut one = One::server(Cluster { clients, ..cluster(2, 2) });
    one.hears(9, request(7, "x"));
    assert!(one.state.server().expect("a server").waiting.is_empty(), "learners tell this one");
    one.hears(8, request(7, "x")).hears(9, read(7)).hears(8, read(7));
    one.hears(1, Msg::Chosen { instance: Instance(7), value: value("x") });
    assert_eq!((one.told(8).len(), one.told(9).len()), (1, 1));
    let server = one.state.server().expect("a server");
    assert!(
        server.waiting.is_empty() && server.proposer.wanted.is_empty() && server.proposer.reads.is_empty()
    );
    // Each of these ends with the choice, also if it is there alone: a wanted value, a read, a waiting client.
    for (waiting_limit, client, ask) in [(0, 8, request(3, "x")), (2, 8, read(3)), (2, 8, request(3, "x"))] {
        let mut one = One::server(Cluster { waiting_limit, ..cluster(2, 2) });
        one.hears(client, ask).hears(1, Msg::Chosen { instance: Instance(3), value: value("z") });
        let server = one.state.server().expect("a server");
        assert!(
            server.waiting.is_empty()
                && server.proposer.wanted.is_empty()
                && server.proposer.reads.is_empty()
        );
        assert_eq!(one.told(8).len(), waiting_limit.min(1), "who is not remembered is not told");
        assert!(one.ignores(1, Msg::Chosen { instance: Instance(3), value: value("z") }));
    }
}

#[test]
fn a_request_for_which_there_is_no_room_is_not_proposed() {
    let mut one = One::server(Cluster { waiting_limit: 1, ..cluster(2, 2) });
    one.hears(8, request(1, "x")).hears(8, request(2, "y"));
    assert_eq!(state(&one).wanted.keys().collect::<Vec<_>>(), [&Instance(1)]);
    one.hears(9, request(3, "z"));
    assert_eq!(state(&one).wanted.len(), 2, "this one waits nowhere else");
    // A client that asks for what is wanted already takes no room for its value.
    let mut one = One::server(Cluster { keeps: 1, ..cluster(2, 2) });
    one.hears(8, request(1, "xx")).hears(9, request(1, "yy")).hears(10, request(2, "zz"));
    assert_eq!(state(&one).wanted.len(), 1);
    one.hears(1, Msg::Chosen { instance: Instance(1), value: value("xx") });
    assert_eq!((one.told(8).len(), one.told(9).len()), (1, 1));
}

#[test]
fn long_values_have_a_share_of_what_is_kept_and_short_ones_always_fit() {
    let kept = |waiting_limit, keeps, values: &[&str]| {
        let mut one = One::server(Cluster { waiting_limit, keeps, ..cluster(2, 2) });
        for (at, text) in values.iter().enumerate() {
            one.hears(10 + at, request(at as u64, text));
        }
        state(&one).wanted.len()
    };
    assert_eq!(kept(3, 12, &["123456", "abcdef", "12345"]), 2, "twelve bytes of long ones and no more");
    assert_eq!(kept(3, 12, &["123456", "abcdef", "1234"]), 3, "a short one has its room");
    assert_eq!(kept(3, 12, &["1234567", "abcdef"]), 1);
    assert_eq!(kept(1, 4, &["1234", "abcd"]), 2, "with one place the share is the whole");
    assert_eq!(kept(0, 4, &["1234", "abcd"]), 2, "without any it is too");
}

#[test]
fn the_longest_message_holds_a_report_a_value_or_a_part_of_a_snapshot() {
    let longest = |report, max_accepted| Cluster { report, max_accepted, ..cluster(2, 2) }.longest_message();
    assert_eq!(longest(5000, 1), longest(4000, 1) + 1000);
    assert_eq!(longest(1, 5000), longest(1, 4000) + 1000);
    assert!(longest(1, 5000) > 5000 && longest(5000, 1) > 5000);
}

#[test]
fn one_step_proposes_and_repeats_as_many_bytes_as_one_message_reports_and_at_least_one_value() {
    const ENTRY: usize = 48;
    let retry = |after| Retry { on_nack: true, after, doublings: 0 };
    let issued = |one: &One| one.told(2).into_iter().filter(|msg| matches!(msg, Msg::Accept { .. })).count();
    for (report, after, each) in
        [(1, Some(any()), [1, 1, 1]), (2 * (ENTRY + 1), Some(any()), [2, 1, 2]), (1, None, [3, 0, 0])]
    {
        let mut one = server(Cluster { report, ..cluster(2, 2) }, retry(after.clone()));
        for (client, instance) in [(8, 1), (9, 2), (10, 3)] {
            one.hears(client, request(instance, "x"));
        }
        one.hears(1, promise(MINE)).hears(2, promise(MINE));
        assert_eq!((issued(&one), is_soon(&one)), (each[0], after.is_some()), "{report}");
        let all = each[0] + each[1] == 3 || after.is_none();
        if after.is_some() {
            one.rings(Timer::Retry);
            assert_eq!((issued(&one), is_soon(&one)), (each[1], !all));
            if !all {
                one.rings(Timer::Retry);
            }
            assert_eq!(issued(one.rings(Timer::Retry)), each[2], "the first of them once more");
        }
    }
    // Instances that the ballot did not ask about take no room from those that it did.
    let mut one = server(Cluster { report: 1, ..cluster(2, 2) }, retry(Some(any())));
    one.hears(8, request(7, "x")).hears(9, request(3, "y")).hears(1, promise(MINE)).hears(2, promise(MINE));
    assert_eq!(one.told(2), [accept(MINE, 7, "x")]);
    // If nothing is due, nothing is left.
    let mut one = One::server(cluster(2, 2));
    one.hears(8, request(7, "x")).hears(1, Msg::Chosen { instance: Instance(7), value: value("x") });
    one.hears(1, promise(MINE)).hears(2, promise(MINE));
    assert!(!is_soon(&one));
}

#[test]
fn a_read_of_what_was_reported_and_not_yet_proposed_is_not_answered() {
    let mut one = One::server(Cluster { report: 1, ..cluster(2, 2) });
    one.hears(8, read(3)).hears(9, read(4)).hears(1, Msg::Nack { ballot: MINE, promised: ballot(3, 2) });
    let (next, old) = (ballot(4, 1), ballot(3, 2));
    let found =
        [(3, "x"), (4, "y")].map(|(at, text)| (Instance(at), Proposal { ballot: old, value: value(text) }));
    one.hears(1, Msg::Promise { ballot: next, accepted: found.into_iter().collect(), rest: None });
    one.hears(2, promise(next));
    assert_eq!(one.told(2), [accept(next, 3, "x")], "one a step");
    assert_eq!((one.told(8), one.told(9)), (vec![], vec![]), "both may be chosen");
}

#[test]
fn a_read_that_no_ballot_serves_has_one_begun_though_others_wait_for_theirs() {
    let mut one = One::server(cluster(2, 2));
    one.hears(8, request(7, "x")).hears(1, promise(MINE)).hears(2, promise(MINE));
    assert_eq!(one.hears(9, read(8)).told(2), [Msg::Prepare { ballot: ballot(2, 1), from: Instance(7) }]);
}

#[test]
fn who_has_nothing_to_bring_about_does_nothing_when_its_time_is_up() {
    for nacks in [true, false] {
        assert!(One::server(Cluster { nacks, ..cluster(2, 2) }).rings(Timer::Retry).did.is_empty());
    }
    // A ballot that has finished phase 1 and is refused stays: there is nothing to propose in it, and a later nack tells.
    let mut one = One::server(cluster(2, 2));
    one.hears(8, request(7, "x")).hears(1, promise(MINE)).hears(2, promise(MINE));
    one.hears(1, Msg::Chosen { instance: Instance(7), value: value("x") });
    let before = state(&one).phase.clone();
    one.hears(1, Msg::Nack { ballot: MINE, promised: ballot(3, 2) });
    assert_eq!((&state(&one).phase, state(&one).heard, one.did.len()), (&before, 3, 0));
}

#[test]
fn without_nacks_a_ballot_that_takes_long_is_given_up_and_without_a_timer_none_is_waited_for() {
    let mut one = One::server(Cluster { nacks: false, ..cluster(2, 2) });
    one.hears(8, request(7, "x")).hears(1, promise(MINE)).hears(2, promise(MINE));
    assert_eq!(one.rings(Timer::Retry).told(2), [Msg::Prepare { ballot: ballot(2, 1), from: Instance(7) }]);
    let mut one = proposer(cluster(2, 2), Retry { on_nack: true, after: None, doublings: 3 });
    one.hears(8, request(7, "x"));
    for round in 1..4 {
        one.hears(1, Msg::Nack { ballot: ballot(round, 1), promised: ballot(round, 2) });
        assert_eq!(one.told(2), [Msg::Prepare { ballot: ballot(round + 1, 1), from: Instance(7) }]);
    }
}

/// Three proposers. This one leads, or the second.
fn elected(leads: bool) -> Cluster {
    let pace = Pace { beat: any(), suspect: any(), hold_off: any(), doublings: 0 };
    let members = if leads { ids(0..3) } else { vec![1.into(), 0.into(), 2.into()] };
    Cluster { election: Some(Election { members, among: None, backing: None, pace }), ..cluster(2, 2) }
}

#[test]
fn who_comes_to_lead_and_has_nothing_to_bring_about_begins_nothing() {
    let retry = || Retry { on_nack: true, after: Some(any()), doublings: 0 };
    let hold_off = Timer::Election(ElectionTimer::HoldOff);
    assert_eq!(proposer(elected(true), retry()).rings(hold_off).told(1), []);
    let mut busy = proposer(elected(true), retry());
    assert_eq!(busy.hears(8, request(7, "x")).told(1), [], "it is to hold off first");
    assert_eq!(busy.rings(hold_off).told(1), [Msg::Prepare { ballot: MINE, from: Instance(7) }]);
    let beat = Msg::Beat(Beat::Heartbeat { backed: false });
    assert_eq!(busy.rings(Timer::Election(ElectionTimer::Beat)).told(1), [beat], "it leads already");
}

#[test]
fn who_follows_remembers_a_request_and_no_read() {
    let mut follower = server(elected(false), Retry { on_nack: true, after: Some(any()), doublings: 0 });
    let redirect = Msg::Redirect { leader: 1.into() };
    assert_eq!(follower.hears(8, read(7)).told(8), vec![redirect.clone()]);
    assert!(state(&follower).reads.is_empty());
    assert_eq!(follower.hears(8, request(7, "x")).told(8), [redirect]);
    assert_eq!(state(&follower).wanted.len(), 1);
}
