//! Each claim's function alone, on histories written by hand: one by which the claim falls, and some like it by which it does not.

use super::*;
use crate::sequential::{Sequential, Told};
use std::collections::BTreeSet;
use synod::{AcceptorSet, Ballot, QuorumRule};

const I: Instance = Instance::FIRST;

fn majorities() -> Quorums {
    Quorums::new(3, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet")
}

fn ballot(round: u64) -> Ballot {
    Ballot { round, proposer: 1 }
}

fn v(value: &str) -> Value {
    Value::from(value)
}

fn set(acceptors: &[usize]) -> AcceptorSet {
    acceptors.iter().copied().collect()
}

/// Accepted proposals: the round, the value and by whom.
fn votes(votes: &[(u64, &str, &[usize])]) -> History {
    let vote = |(round, value, by): &(u64, &str, &[usize])| ((I, ballot(*round), v(value)), set(by));
    let proposed = ["x", "y"].map(|value| (I, v(value)));
    History {
        votes: votes.iter().map(vote).collect(),
        proposed: proposed.into_iter().collect(),
        ..History::default()
    }
}

/// The same, and a proposal that was issued, with what it rests on.
fn issued(cast: &[(u64, &str, &[usize])], round: u64, value: &str, quorum: &[usize]) -> History {
    let mut history = votes(cast);
    history.issued.entry((I, ballot(round))).or_default().insert(v(value), set(quorum));
    history
}

fn evidence(evidence: Evidence) -> History {
    History { evidence: BTreeSet::from([evidence]), ..History::default() }
}

fn offered(round: u64, accepted: bool, answered: Option<u64>, voted: Option<u64>) -> History {
    let (answered, voted) = (answered.map(ballot), voted.map(ballot));
    let (ballot, value) = (ballot(round), v("x"));
    evidence(Evidence::Offered { acceptor: 0, instance: I, ballot, value, accepted, answered, voted })
}

#[allow(
    clippy::option_option,
    reason = "a read that has not arrived, that found nothing, and that found a value"
)]
fn told(value: Option<&str>, asked: Option<Option<&str>>, chosen: &[&str]) -> History {
    evidence(Evidence::Told {
        instance: I,
        value: value.map(v),
        asked: asked.map(|then| then.map(v)),
        chosen: chosen.iter().map(|value| v(value)).collect(),
    })
}

fn window(instance: u64, chosen: &[u64]) -> History {
    let chosen = chosen.iter().copied().map(Instance).collect();
    evidence(Evidence::Issued { instance: Instance(instance), value: v("z"), alpha: 2, chosen })
}

fn executed(chosen: &[(u64, &str)], executed: &[(u64, &str)]) -> History {
    let both = |(instance, value): &(u64, &str)| (Instance(*instance), v(value));
    let executed = executed.iter().map(both).collect();
    let chosen = chosen.iter().map(both).map(|(at, value)| (at, synod::commands(&value))).collect();
    evidence(Evidence::Executed { executed, chosen })
}

fn rests(quorum: &[usize], is_met: bool) -> History {
    let members = Some(set(&[0, 1]));
    evidence(Evidence::Rests { instance: I, value: v("x"), quorum: set(quorum), members, is_met })
}

fn counted(by: &[usize], members: Option<&[usize]>, falls_short: bool) -> History {
    evidence(Evidence::Counted { instance: I, by: set(by), members: members.map(set), falls_short })
}

fn may_go(is_enough: bool) -> History {
    evidence(Evidence::MayGo { from: I, members: set(&[0, 1]), saved: set(&[0]), is_enough })
}

fn of_change(said: &str, has_effect: Option<bool>) -> History {
    evidence(Evidence::ToldOfChange { call: (9, 1), said: v(said), has_effect })
}

/// Calls of one client each: the command, the clients whose calls had ended when it began, and the answer.
fn calls(all: &[(&str, &[usize], Option<&str>)]) -> History {
    let call = |(client, (command, after, output)): (usize, &(&str, &[usize], Option<&str>))| {
        let after = after.iter().map(|client| (*client, 1)).collect();
        ((client, 1), Call { command: v(command), is_query: false, after, output: output.map(v) })
    };
    History { calls: all.iter().enumerate().map(call).collect(), ..History::default() }
}

/// The first client was told something else later.
fn otherwise(all: &[(&str, &[usize], Option<&str>)], output: &str, only_reads: bool) -> History {
    let calls = calls(all).calls;
    evidence(Evidence::ToldOtherwise { call: (0, 1), output: v(output), only_reads, calls })
}

/// For each claim, histories by which it falls and histories by which it stands.
fn written(claim: &str) -> (Vec<History>, Vec<History>) {
    let all: &[usize] = &[0, 1];
    let none: &[usize] = &[];
    let learned = |value: &str| {
        let mut history = votes(&[(1, "x", all)]);
        history.learned.insert((5, I, v(value)));
        history
    };
    match claim {
        "B0" => (
            vec![votes(&[(1, "z", all)]), votes(&[(1, "x", all), (2, "y", &[1, 2])]), learned("y")],
            vec![votes(&[(1, "z", &[0])]), votes(&[(1, "x", all), (2, "x", &[1, 2])]), learned("x")],
        ),
        "P1" => (
            vec![offered(2, false, None, None)],
            vec![
                offered(2, true, None, None),
                offered(2, false, Some(3), None),
                offered(2, false, None, Some(3)),
            ],
        ),
        "P1a" => (
            vec![
                offered(2, true, Some(3), None),
                offered(2, false, Some(2), None),
                offered(2, false, None, Some(1)),
                offered(2, false, None, None),
            ],
            vec![
                offered(2, true, Some(2), Some(1)),
                offered(2, false, Some(3), None),
                offered(2, false, Some(1), Some(3)),
            ],
        ),
        "P2" => (
            vec![votes(&[(1, "x", all), (2, "y", &[1, 2])])],
            vec![votes(&[(1, "x", all), (2, "y", &[2])]), votes(&[(1, "x", all), (2, "x", &[1, 2])])],
        ),
        "P2a" => (
            vec![votes(&[(1, "x", all), (2, "y", &[2])])],
            vec![votes(&[(1, "x", &[0]), (2, "y", &[2])]), votes(&[(2, "x", all), (1, "y", &[2])])],
        ),
        "P2b" => (
            vec![issued(&[(1, "x", all)], 2, "y", all)],
            vec![issued(&[(1, "x", all)], 2, "x", all), issued(&[(2, "x", all)], 1, "y", all)],
        ),
        "P2c" => (
            vec![issued(&[(1, "x", all)], 2, "y", all)],
            vec![issued(&[(1, "x", &[0])], 2, "y", &[1, 2]), issued(&[(1, "x", all)], 2, "x", all)],
        ),
        "V1" => {
            let mut two = issued(&[], 1, "x", all);
            two.issued.entry((I, ballot(1))).or_default().insert(v("y"), set(all));
            (
                vec![evidence(Evidence::Begun { ballot: ballot(1), again: true }), two],
                vec![evidence(Evidence::Begun { ballot: ballot(1), again: false }), issued(&[], 1, "x", all)],
            )
        }
        "V2" => (
            vec![issued(&[(1, "x", all)], 2, "x", &[2])],
            vec![issued(&[(1, "x", all)], 2, "x", &[1, 2]), issued(&[(1, "x", &[0])], 2, "x", &[2])],
        ),
        "V3" => (
            vec![issued(&[(1, "x", &[0])], 2, "y", all)],
            vec![issued(&[(1, "x", &[0])], 2, "y", &[1, 2]), issued(&[(1, "x", &[0])], 2, "x", all)],
        ),
        "R1" => (
            vec![
                told(Some("x"), Some(None), &[]),
                told(None, Some(Some("x")), &["x"]),
                told(None, None, &[]),
            ],
            vec![told(Some("x"), None, &["x"]), told(None, Some(None), &["x"])],
        ),
        "W1" => (
            vec![window(2, &[]), window(3, &[0]), window(2, &[1])],
            vec![window(0, &[]), window(1, &[]), window(2, &[0])],
        ),
        "X1" => (
            vec![
                // Past a gap, out of order, not what was chosen, and with something left out.
                executed(&[(0, "x"), (2, "y")], &[(0, "x"), (2, "y")]),
                executed(&[(0, "x"), (1, "y")], &[(1, "y"), (0, "x")]),
                executed(&[(0, "x")], &[(0, "y")]),
                executed(&[(0, "x"), (1, "y")], &[(1, "y")]),
            ],
            // A no-op has no effect, nor has a command that comes a second time.
            vec![executed(
                &[(0, "x"), (1, ""), (2, "y"), (3, "x"), (4, "z")],
                &[(0, "x"), (2, "y"), (4, "z")],
            )],
        ),
        "L1" => {
            let stale = [("x", none, Some("nothing")), ("get", &[0][..], Some("nothing"))];
            let mut tester = Told::new(Sequential::Register);
            tester.invoke((0, 1), v("get"));
            let fresh = tester.clone();
            tester.returned(&(0, 1), &v("x"));
            let history = |tester| History { told: Some(tester), ..History::default() };
            (
                vec![
                    calls(&stale),
                    // One was first, and would be told of the other.
                    calls(&[("x", none, Some("nothing")), ("y", none, Some("nothing"))]),
                    calls(&[("get1", none, Some("y")), ("get2", &[0], Some("nothing")), ("y", none, None)]),
                    otherwise(&[("x", none, Some("nothing"))], "x", false),
                    otherwise(&[("get", none, Some("nothing")), ("x", &[0], Some("nothing"))], "y", true),
                    history(tester),
                ],
                vec![
                    calls(&[("x", none, Some("nothing")), ("get", &[0], Some("x"))]),
                    // At the same time; without an answer, but taken effect; and not yet.
                    calls(&[("x", none, Some("nothing")), ("get", none, Some("nothing"))]),
                    calls(&[("x", none, None), ("get", none, Some("x"))]),
                    calls(&[("x", none, None), ("get", none, Some("nothing"))]),
                    otherwise(&[("get", none, Some("nothing")), ("x", &[0], Some("nothing"))], "x", true),
                    history(fresh),
                ],
            )
        }
        "M1" => (
            vec![rests(&[1], false), counted(all, Some(all), true)],
            vec![rests(&[1], true), counted(&[0], Some(all), false)],
        ),
        "M2" => (
            vec![counted(&[0, 2], Some(all), false), counted(all, None, false)],
            vec![counted(all, Some(&[0, 1, 2]), false), counted(all, Some(all), true)],
        ),
        "M3" => (vec![may_go(false)], vec![may_go(true)]),
        "M4" => (
            vec![of_change("refused: so", Some(true)), of_change("so", Some(false)), of_change("so", None)],
            vec![of_change("refused: so", Some(false)), of_change("so", Some(true))],
        ),
        _ => unreachable!("{claim} has no histories"),
    }
}

#[test]
fn each_claim_falls_by_what_breaks_it_and_by_nothing_else() {
    let quorums = majorities();
    for claim in &CLAIMS {
        let (falls, stands) = written(claim.name);
        for history in falls {
            assert!((claim.judge)(&quorums, &history).is_err(), "{} by {history:?}", claim.name);
        }
        for history in stands {
            assert_eq!((claim.judge)(&quorums, &history), Ok(()), "{} by {history:?}", claim.name);
        }
    }
}

/// A claim's function decides by what happened. What some function said before is for [`Claim::check`] alone.
#[test]
fn no_claim_falls_by_what_was_said_of_it() {
    let quorums = majorities();
    let fallen = CLAIMS.iter().map(|claim| (claim.name, "it fell".to_owned())).collect();
    let history = History { fallen, ..History::default() };
    for claim in &CLAIMS {
        assert_eq!((claim.judge)(&quorums, &history), Ok(()), "{}", claim.name);
        assert_eq!(claim.check(&quorums, &history), Err("it fell".to_owned()));
    }
}
