//! Costs and progress of a log, tested through `impl Actor` alone.

mod changed;
mod due;
mod fence;
mod following;
mod guards;
mod leading;
mod lease;
mod master;
mod members;
mod mixed;
mod relayed;
mod snapshots;
mod unmoved;
mod world;
mod yields;

use stateright::actor::Id;
use std::collections::BTreeSet;
use synod::{Ask, Ballot, Instance, Msg, Phase, Timer, Value};
use world::{CLIENT, PLAIN, Settings, World};

#[test]
fn in_steady_state_a_command_costs_one_accept_and_one_accepted_a_server() {
    for servers in [3, 5] {
        let mut world = World::new(&Settings { servers, ..PLAIN });
        world.submit(0, "first");
        world.run();
        for i in 1..=20 {
            let since = world.sent.len();
            world.submit(0, &format!("c{i}"));
            world.run();
            // One of each goes from the leader to itself, so each follower gets one Accept and gives one Accepted back.
            assert_eq!(world.count(since, |m| matches!(m, Msg::Accept { .. })), servers);
            assert_eq!(world.count(since, |m| matches!(m, Msg::Accepted { .. })), servers);
            assert_eq!(world.count(since, |m| matches!(m, Msg::Chosen { .. })), servers - 1);
            assert_eq!(world.count(since, |m| matches!(m, Msg::Output { .. })), 1);
            assert_eq!(world.sent.len() - since, servers + servers + servers - 1 + 1, "and nothing else");
        }
        assert_eq!(world.answers().len(), 21);
        for at in 0..servers {
            assert_eq!(world.next(at), 21);
            assert_eq!(world.tape(at), world.tape(0));
        }
        assert!(world.timers.iter().all(BTreeSet::is_empty), "nothing is waited for");
    }
}

#[test]
fn takeover_with_open_instances_costs_one_round_trip_of_phase_1() {
    for open in [0, 1, 7, 30] {
        let mut world = World::new(&Settings { alpha: 32, ..PLAIN });
        world.submit(0, "first");
        world.run();
        // Accepts of odd instances reach server 2 only, and those of even ones only the leader.
        for i in 0..open {
            world.submit(0, &format!("open{i}"));
        }
        world.run_losing(|src, dst, msg| match msg {
            Msg::Accept { instance, .. } => usize::from(dst) != 2 * (instance.0 % 2) as usize,
            _ => usize::from(src) != 0 && usize::from(dst) == 0,
        });
        world.states[0] = None;
        let since = world.sent.len();
        world.submit(1, "mine");
        world.run();
        assert_eq!(world.count(since, |m| matches!(m, Msg::Prepare { .. })), 3, "one to each server");
        assert_eq!(world.count(since, |m| matches!(m, Msg::Promise { .. })), 2, "one from each that is up");
        // Instances 1, 3, 5 and so on are adopted, and the gaps between them are filled.
        let last = if open % 2 == 1 { open } else { open - open.min(1) };
        assert_eq!(world.next(1), 1 + last + 1, "the new command comes right after: {}", world.tape(1));
        assert_eq!(world.tape(1), world.tape(2));
        assert_eq!(world.answers().len(), 2);
    }
}

#[test]
fn the_window_is_never_exceeded_and_is_used() {
    let mut world = World::new(&Settings { alpha: 3, ..PLAIN });
    world.submit(0, "first");
    world.run();
    let since = world.sent.len();
    for i in 0..10 {
        world.submit(0, &format!("c{i}"));
    }
    let accepts = world.count(since, |m| matches!(m, Msg::Accept { .. }));
    assert_eq!(accepts, 3 * 3, "three instances and no more, before anything comes back");
    world.run();
    assert_eq!(world.next(0), 11);
    assert_eq!(world.answers().len(), 11);
}

#[test]
fn a_lost_accept_is_sent_again_in_the_same_ballot_and_only_where_it_is_missing() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "first");
    world.run();
    world.submit(0, "lost");
    world.run_losing(|_, dst, msg| matches!(msg, Msg::Accept { .. }) && usize::from(dst) != 0);
    assert_eq!(world.next(0), 1);
    let since = world.sent.len();
    world.ring(0, Timer::Retry);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Prepare { .. })), 0);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Accept { .. })), 2, "not to itself");
    world.run();
    assert_eq!((world.next(0), world.answers().len()), (2, 2));
    assert!(world.timers[0].is_empty());
}

#[test]
fn a_leader_that_is_overtaken_gives_up_its_ballot_when_it_is_told() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "a");
    world.run();
    // The other's ballot has the same round, and no message of it reaches the first.
    world.submit(1, "b");
    world.run_losing(|src, dst, _| usize::from(dst) == 0 || usize::from(src) == 0);
    let tried = |world: &World| world.server(0).proposer.tried;
    assert_eq!((tried(&world), world.next(1)), (1, 2));
    world.submit(0, "c");
    world.run();
    assert_eq!(tried(&world), 2, "a higher ballot, at once");
    assert_eq!((world.next(0), world.answers().len()), (3, 3), "{}", world.tape(0));
}

#[test]
fn a_report_that_is_too_long_for_one_message_goes_in_parts() {
    let mut world = World::new(&Settings { alpha: 100, report: 1000, ..PLAIN });
    let command = |i: usize| format!("{i}-{}", "x".repeat(200));
    for i in 0..50 {
        world.submit(0, &command(i));
        // Nothing comes back to the leader, and nobody learns anything.
        world.run_losing(|_, dst, msg| matches!(msg, Msg::Accepted { .. }) && usize::from(dst) == 0);
    }
    world.states[0] = None;
    world.submit(1, "mine");
    let longest = |world: &World| {
        let size = |msg: &Msg| match msg {
            Msg::Promise { accepted, .. } => accepted.values().map(|p| p.value.as_bytes().len()).sum(),
            _ => 0,
        };
        world.sent.iter().map(|(_, _, msg)| size(msg)).max().unwrap_or(0)
    };
    world.run();
    assert!(longest(&world) <= 1000 && longest(&world) > 0);
    assert_eq!(world.next(1), 51);
    assert_eq!(world.tape(1), world.tape(2));
    for i in 0..50 {
        assert!(world.tape(1).contains(&command(i)), "{i} was adopted");
    }
}

#[test]
fn a_server_that_missed_everything_catches_up_in_bounded_messages() {
    let mut world = World::new(&Settings { report: 600, catch_up: true, ..PLAIN });
    world.run();
    for i in 0..40 {
        world.submit(0, &format!("c{i}"));
        world.run_losing(|_, dst, _| usize::from(dst) == 2);
    }
    assert_eq!((world.next(0), world.next(2)), (40, 0));
    let since = world.sent.len();
    world.ring(2, Timer::CatchUp);
    world.run();
    assert_eq!(world.next(2), 40);
    assert_eq!(world.tape(2), world.tape(0));
    assert!(world.count(since, |m| matches!(m, Msg::CatchUpReply { .. })) >= 4, "in parts");
    for (_, _, msg) in &world.sent[since..] {
        if let Msg::CatchUpReply { values, .. } = msg {
            assert!(values.values().map(|v| v.as_bytes().len()).sum::<usize>() <= 600);
        }
    }
    // After a crash everything is asked for again, and there is nothing that was not chosen.
    world.start(2);
    world.run();
    assert_eq!(world.tape(2), world.tape(0));
}

#[test]
fn a_command_that_loses_its_instance_gets_another() {
    let mut world = World::new(&PLAIN);
    // Both lead and issue in the first instance; the second one's ballot is higher and wins.
    world.submit(0, "a");
    world.run_losing(|_, _, msg| matches!(msg, Msg::Accept { .. }));
    world.submit(1, "b");
    world.run();
    for _ in 0..4 {
        for at in 0..2 {
            if world.timers[at].contains(&Timer::Retry) {
                world.ring(at, Timer::Retry);
                world.run();
            }
        }
    }
    assert_eq!(world.tape(0), world.tape(1));
    let executed = |command: &str| world.tape(0).matches(command).count();
    assert_eq!((executed("a"), executed("b")), (1, 1), "{}", world.tape(0));
    assert_eq!(world.answers().len(), 2);
}

#[test]
fn a_command_that_comes_again_is_answered_as_before_by_anyone() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "a");
    world.submit(0, "b");
    world.run();
    world.submit(0, "a");
    world.submit(2, "a");
    world.run();
    assert_eq!(world.answers(), ["1", "2", "1", "1"]);
    assert_eq!(world.next(0), 2, "nothing was proposed for it");
}

#[test]
fn who_sees_another_lead_holds_back_and_says_who_leads() {
    let mut world = World::new(&Settings { hold_off: true, ..PLAIN });
    world.submit(0, "a");
    world.run();
    let since = world.sent.len();
    world.submit(1, "b");
    world.run();
    assert_eq!(world.count(since, |m| matches!(m, Msg::Prepare { .. })), 0);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Redirect { leader } if usize::from(*leader) == 0)), 1);
    world.ring(1, Timer::HoldOff);
    world.run();
    assert_eq!(world.next(1), 2, "after a while it proposes itself");
    assert!(matches!(&world.server(0).proposer.phase, Phase::Idle), "and the other gives way");
}

#[test]
fn a_question_is_answered_after_one_round_and_never_by_one_who_is_overtaken() {
    let mut world = World::new(&PLAIN);
    let ask = |world: &mut World, at: usize, client: usize| {
        world.tell(at, client.into(), Ask::Query { number: 1, command: Value::from("length") }.into());
    };
    world.submit(0, "a");
    world.run();
    let since = world.sent.len();
    ask(&mut world, 0, CLIENT);
    world.run();
    assert_eq!(world.answers(), ["1", "1"]);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Confirm { .. } | Msg::Confirmed { .. })), 6);
    assert_eq!(world.sent.len() - since, 7, "and the answer, and nothing else");
    // The others choose a value that this leader does not hear of. It cannot confirm any more, is told so, and learns in its next
    // ballot what it has missed.
    world.submit(1, "b");
    world.run_losing(|src, dst, _| usize::from(dst) == 0 || usize::from(src) == 0);
    assert_eq!((world.next(0), world.next(1)), (1, 2));
    ask(&mut world, 0, CLIENT + 1);
    world.run();
    assert_eq!(world.told(CLIENT + 1), ["2"]);
}

#[test]
fn a_stale_question_is_answered_at_once_by_anyone_from_what_it_has_executed() {
    let mut world = World::new(&Settings { hold_off: true, ..PLAIN });
    let ask = |world: &mut World, at: usize, client: usize, command: &str| {
        let since = world.sent.len();
        let command = Value::from(command);
        world.tell(at, client.into(), Ask::StaleQuery { number: 1, command }.into());
        world.sent.len() - since
    };
    world.submit(0, "a");
    world.run();
    world.submit(0, "b");
    world.run_losing(|_, dst, _| usize::from(dst) == 2);
    assert_eq!((world.next(0), world.next(1), world.next(2)), (2, 2, 1));
    for (at, expected) in [(0, "2"), (1, "2"), (2, "1")] {
        assert_eq!(ask(&mut world, at, CLIENT + 10 + at, "length"), 1, "the answer, and nothing else");
        assert_eq!(world.told(CLIENT + 10 + at), [expected]);
    }
    assert_eq!(ask(&mut world, 0, CLIENT + 20, "no question"), 0);
}

#[test]
fn a_question_to_a_server_without_a_ballot_has_one_begun_or_is_sent_on() {
    let mut world = World::new(&Settings { hold_off: true, ..PLAIN });
    let query = || Msg::Ask(Ask::Query { number: 1, command: Value::from("length") });
    world.tell(0, CLIENT.into(), query());
    // A question that comes meanwhile waits for the same ballot.
    world.tell(0, (CLIENT + 1).into(), query());
    assert!(world.timers[0].contains(&Timer::Retry));
    world.run();
    assert_eq!((world.told(CLIENT), world.told(CLIENT + 1)), (vec!["0".to_owned()], vec!["0".to_owned()]));
    // A server that is overtaken while a question is open tells who leads.
    world.submit(1, "b");
    world.tell(0, (CLIENT + 2).into(), query());
    world.run();
    let redirects = |(src, to, msg): &(Id, Id, Msg)| {
        let leader = Id::from(1);
        (usize::from(*src), usize::from(*to)) == (0, CLIENT + 2) && *msg == Msg::Redirect { leader }
    };
    assert!(world.sent.iter().any(redirects));
    world.tell(0, (CLIENT + 3).into(), query());
    assert!(world.sent.last().is_some_and(|(_, _, msg)| matches!(msg, Msg::Redirect { .. })));
}

#[test]
fn a_round_of_confirmation_that_began_before_the_question_does_not_count_for_it() {
    let mut world = World::new(&PLAIN);
    world.submit(0, "a");
    world.run();
    let ask = |world: &mut World, client: usize| {
        world.tell(0, client.into(), Ask::Query { number: 1, command: Value::from("length") }.into());
    };
    ask(&mut world, CLIENT + 1);
    ask(&mut world, CLIENT + 2);
    let rounds = |world: &World| {
        let round = |(_, _, msg): &(Id, Id, Msg)| match msg {
            Msg::Confirm { round, .. } => Some(*round),
            _ => None,
        };
        world.sent.iter().filter_map(round).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(rounds(&world), 1, "the second question waits for the end of the first one's round");
    world.run();
    assert_eq!(rounds(&world), 2);
    let told = |client: usize| world.sent.iter().filter(|(_, to, _)| usize::from(*to) == client).count();
    assert_eq!((told(CLIENT + 1), told(CLIENT + 2)), (1, 1));
}

#[test]
fn a_promise_is_for_the_whole_log() {
    let mut world = World::new(&PLAIN);
    world.submit(1, "b");
    world.run();
    // A ballot below the one that is promised is refused in instances that nobody has touched yet.
    let ballot = Ballot { round: 1, proposer: 1 };
    let since = world.sent.len();
    world.tell(2, 0.into(), Msg::Accept { ballot, instance: Instance(9), value: Value::from("x") });
    assert_eq!(world.count(since, |m| matches!(m, Msg::Nack { .. })), 1);
    assert_eq!(world.count(since, |m| matches!(m, Msg::Accepted { .. })), 0);
}

#[test]
fn a_call_is_answered_by_its_own_entry_and_by_no_other_that_asks_the_same() {
    let mut world = World::new(&PLAIN);
    world.run();
    let answers = |world: &World, since: usize, client: usize, number: u64| {
        let is_its = |(_, to, msg): &&(Id, Id, Msg)| {
            usize::from(*to) == client && matches!(msg, Msg::Output { number: of, .. } if *of == number)
        };
        world.sent[since..].iter().filter(is_its).count()
    };
    // Server 1 hears of nothing. Later another client asks it the same, and so does the same client in another call.
    world.call(0, CLIENT, 1, "same");
    world.run_losing(|_, dst, _| usize::from(dst) == 1);
    assert_eq!(answers(&world, 0, CLIENT, 1), 1);
    let since = world.sent.len();
    for (client, number) in [(CLIENT + 1, 1), (CLIENT, 2)] {
        world.call(1, client, number, "same");
    }
    // It learns of the first call, executes it, and tells nobody.
    let first = world.server(0).learner.learned[&Instance(0)].clone();
    world.tell(1, 0.into(), Msg::Chosen { instance: Instance(0), value: first });
    assert_eq!(world.next(1), 1);
    assert_eq!(world.count(since, |msg| matches!(msg, Msg::Output { .. })), 0);
    world.run();
    assert_eq!((answers(&world, since, CLIENT + 1, 1), answers(&world, since, CLIENT, 2)), (1, 1));
    assert_eq!(world.next(1), 3, "each is a command of its own");
    // A call that comes again, there or elsewhere, is the same call.
    let since = world.sent.len();
    world.call(2, CLIENT, 1, "same");
    world.run();
    assert_eq!((answers(&world, since, CLIENT, 1), world.next(2)), (1, 3));
}

#[test]
fn what_stands_in_the_log_and_is_no_call_of_anybody_changes_nothing() {
    let mut world = World::new(&PLAIN);
    world.run();
    world.tell(1, 0.into(), Msg::Chosen { instance: Instance(0), value: Value::from("rubbish") });
    assert_eq!((world.next(1), world.tape(1).as_str()), (1, ""));
}
