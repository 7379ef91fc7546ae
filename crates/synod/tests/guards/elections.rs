//! The effect of each message and timer on a member of an election whose leader has to be followed by a quorum: the next state,
//! its messages, and its timers.

use crate::ids;
use stateright::actor::{Actor, Command, Out};
use std::borrow::Cow;
use std::time::Duration;
use synod::{Beat, Election, ElectionState, ElectionTimer, Elector, Pace, QuorumRule, Quorums};

const FOLLOW: Beat = Beat::Follow;
const BEAT: Beat = Beat::Heartbeat { backed: false };
const BACKED: Beat = Beat::Heartbeat { backed: true };

fn elector(members: usize, backing: Option<(QuorumRule, QuorumRule)>) -> Elector {
    let ms = |at| Duration::from_millis(at)..Duration::from_millis(at + 1);
    let pace = Pace { beat: ms(10), suspect: ms(100), hold_off: ms(50), doublings: 2 };
    let quorums = |(phase1, phase2)| Quorums::new(members, phase1, phase2).expect("they meet");
    Elector(Election { members: ids(0..members), among: None, backing: backing.map(quorums), pace })
}

fn majorities(members: usize) -> Elector {
    elector(members, Some((QuorumRule::Majority, QuorumRule::Majority)))
}

/// A state with these suspected members and these followers. It is not ready, and knows of nobody else.
fn state(suspected: &[usize], followers: &[usize]) -> ElectionState {
    let all = |members: &[usize]| members.iter().copied().collect();
    ElectionState { suspected: all(suspected), followers: all(followers), ..ElectionState::default() }
}

/// The next state, if it was edited, and the outputs in words.
type After = (Option<ElectionState>, Vec<String>);

fn after(step: impl FnOnce(&mut Cow<'_, ElectionState>, &mut Out<Elector>), state: &ElectionState) -> After {
    let (mut next, mut out) = (Cow::Borrowed(state), Out::new());
    step(&mut next, &mut out);
    let says = out.into_iter().map(|command| match command {
        Command::Send(to, beat) => format!("{beat:?} to {}", usize::from(to)),
        Command::SetTimer(timer, after) => format!("{timer:?} in {}", after.start.as_millis()),
        Command::CancelTimer(timer) => format!("no {timer:?}"),
        _ => "something else".to_owned(),
    });
    let says = says.collect();
    (matches!(next, Cow::Owned(_)).then(|| next.into_owned()), says)
}

fn hears(elector: &Elector, me: usize, state: &ElectionState, from: usize, beat: Beat) -> After {
    after(|next, out| elector.on_msg(me.into(), next, from.into(), beat, out), state)
}

fn rings(elector: &Elector, me: usize, state: &ElectionState, timer: ElectionTimer) -> After {
    after(|next, out| elector.on_timeout(me.into(), next, &timer, out), state)
}

fn unmoved() -> After {
    (None, Vec::new())
}

fn does(next: ElectionState, says: &[&str]) -> After {
    (Some(next), says.iter().map(|it| (*it).to_owned()).collect())
}

#[test]
fn a_heartbeat_of_the_one_that_is_followed_is_answered_and_nothing_else() {
    let three = majorities(3);
    let (idle, backed) = (state(&[], &[]), ElectionState { backed: true, ..state(&[], &[]) });
    let answers = ["Follow to 0", "Suspect in 100"];
    assert_eq!(hears(&three, 1, &idle, 0, BACKED), does(backed.clone(), &answers));
    assert_eq!(hears(&three, 1, &idle, 0, BEAT), (None, does(idle.clone(), &answers).1));
    assert_eq!(hears(&three, 1, &backed, 0, BACKED), (None, does(idle.clone(), &answers).1));
    let alone = elector(3, None);
    assert_eq!(
        hears(&alone, 1, &idle, 0, BEAT),
        (None, vec!["Suspect in 100".to_owned()]),
        "nobody counts followers"
    );
}

#[test]
fn who_has_a_quorum_or_follows_one_who_has_stays_and_others_go_over() {
    let three = majorities(3);
    let leads = |ready| ElectionState { ready, ..state(&[0], &[2]) };
    assert_eq!(hears(&three, 1, &leads(true), 0, BACKED), unmoved());
    let back = ElectionState { doubled: 1, backed: true, ..state(&[], &[]) };
    let follows = ["Follow to 0", "no Beat", "no HoldOff", "Suspect in 200"];
    assert_eq!(hears(&three, 1, &leads(false), 0, BACKED), does(back, &follows), "the suspicion was wrong");
    // A member further behind draws nobody to itself without a quorum, nor one whose leader has a quorum.
    let idle = state(&[], &[]);
    assert_eq!(hears(&three, 1, &idle, 2, BEAT), unmoved());
    assert_eq!(hears(&three, 1, &ElectionState { backed: true, ..idle.clone() }, 2, BACKED), unmoved());
    let over = ElectionState { backed: true, heard: true, ..state(&[0, 1], &[]) };
    let follows = ["Follow to 2", "no Beat", "no HoldOff", "Suspect in 100"];
    assert_eq!(hears(&three, 1, &idle, 2, BACKED), does(over, &follows), "it was not suspected");
}

#[test]
fn the_follower_that_makes_a_quorum_lets_the_hold_off_begin() {
    let five = majorities(5);
    assert_eq!(hears(&five, 0, &state(&[], &[]), 1, FOLLOW), does(state(&[], &[1]), &[]));
    assert_eq!(hears(&five, 0, &state(&[], &[1]), 1, FOLLOW), unmoved());
    assert_eq!(hears(&five, 0, &state(&[], &[1]), 2, FOLLOW), does(state(&[], &[1, 2]), &["HoldOff in 50"]));
    assert_eq!(hears(&five, 0, &state(&[], &[1, 2]), 3, FOLLOW), does(state(&[], &[1, 2, 3]), &[]));
    let ready = |followers| ElectionState { ready: true, ..state(&[], followers) };
    assert_eq!(hears(&five, 0, &ready(&[1]), 2, FOLLOW), does(ready(&[1, 2]), &[]), "it is over");
    assert_eq!(hears(&five, 1, &state(&[], &[]), 2, FOLLOW), unmoved(), "it does not lead");
    assert_eq!(hears(&elector(5, None), 0, &state(&[], &[]), 1, FOLLOW), unmoved());
    // Both kinds of quorums are needed.
    for (phase1, phase2) in [(1, 3), (3, 1)] {
        let all = elector(3, Some((QuorumRule::AtLeast(phase1), QuorumRule::AtLeast(phase2))));
        assert_eq!(hears(&all, 0, &state(&[], &[]), 1, FOLLOW), does(state(&[], &[1]), &[]));
        assert_eq!(
            hears(&all, 0, &state(&[], &[1]), 2, FOLLOW),
            does(state(&[], &[1, 2]), &["HoldOff in 50"])
        );
    }
}

#[test]
fn an_answer_that_comes_too_late_makes_the_next_wait_longer_up_to_a_bound() {
    let three = majorities(3);
    let late = |doubled| ElectionState { doubled, heard: true, ..state(&[0], &[]) };
    assert_eq!(hears(&three, 0, &late(0), 1, FOLLOW), does(late(1), &[]));
    assert_eq!(hears(&three, 0, &late(1), 1, FOLLOW), does(late(2), &[]));
    assert_eq!(hears(&three, 0, &late(2), 1, FOLLOW), unmoved());
}

#[test]
fn who_suspects_itself_notes_that_it_hears_somebody_and_nobody_else_does() {
    let three = majorities(3);
    let deaf = ElectionState { doubled: 2, ..state(&[0], &[]) };
    let heard = |of: &ElectionState| ElectionState { heard: true, ..of.clone() };
    assert_eq!(hears(&three, 0, &deaf, 1, FOLLOW), does(heard(&deaf), &[]));
    assert_eq!(hears(&three, 0, &deaf, 2, BEAT), does(heard(&deaf), &[]));
    assert_eq!(hears(&three, 0, &heard(&deaf), 1, FOLLOW), unmoved());
    assert_eq!(hears(&elector(3, None), 0, &deaf, 2, BEAT), unmoved());
    assert_eq!(hears(&three, 0, &state(&[], &[1]), 1, FOLLOW), unmoved(), "it does not suspect itself");
}

#[test]
fn a_leader_that_nobody_answers_suspects_itself_and_one_that_is_answered_looks_again() {
    let three = majorities(3);
    let backed = ElectionState { ready: true, ..state(&[], &[2]) };
    let next = ElectionState { ready: true, ..state(&[], &[]) };
    assert_eq!(rings(&three, 0, &backed, ElectionTimer::Suspect), does(next.clone(), &["Suspect in 100"]));
    let silent = ["no Beat", "no HoldOff", "Suspect in 100"];
    let heard = ElectionState { heard: true, ..next };
    assert_eq!(rings(&three, 0, &heard, ElectionTimer::Suspect), does(state(&[0], &[]), &silent));
    // A member that follows another suspects it, whoever would be a quorum by itself.
    let heavy = || QuorumRule::Weight(vec![1, 3, 1], 3);
    let heavy = elector(3, Some((heavy(), heavy())));
    let follows = ElectionState { backed: true, heard: true, ..state(&[], &[]) };
    let leads = ["Suspect in 100", "HoldOff in 50", "Heartbeat to 0", "Heartbeat to 2", "Beat in 10"];
    let took_over = ElectionState { heard: true, ..state(&[0], &[]) };
    assert_eq!(rings(&heavy, 1, &follows, ElectionTimer::Suspect), does(took_over, &leads));
    // Where followers do not count, the members behind it hear of it, and it waits for nobody.
    let leads = ["no Suspect", "HoldOff in 50", "Heartbeat to 2", "Beat in 10"];
    assert_eq!(
        rings(&elector(3, None), 1, &state(&[], &[]), ElectionTimer::Suspect),
        does(state(&[0], &[]), &leads)
    );
}

#[test]
fn whoever_suspects_all_begins_anew_and_is_silent_if_it_is_deaf() {
    let three = majorities(3);
    let deaf = ["Follow to 0", "Follow to 1", "no Beat", "no HoldOff", "Suspect in 100"];
    assert_eq!(rings(&three, 2, &state(&[0, 1], &[]), ElectionTimer::Suspect), does(state(&[2], &[]), &deaf));
    let hears = ElectionState { heard: true, ..state(&[0, 2], &[]) };
    let again = ["no Beat", "no HoldOff", "Suspect in 100"];
    assert_eq!(rings(&three, 2, &hears, ElectionTimer::Suspect), does(state(&[], &[]), &again));
}

#[test]
fn a_hold_off_that_is_over_is_told_where_followers_count() {
    let ready = |followers| ElectionState { ready: true, ..state(&[], followers) };
    let told = ["Heartbeat(backed) to 1", "Heartbeat(backed) to 2", "Beat in 10"];
    assert_eq!(rings(&majorities(3), 0, &state(&[], &[2]), ElectionTimer::HoldOff), does(ready(&[2]), &told));
    assert_eq!(
        rings(&majorities(3), 0, &state(&[], &[]), ElectionTimer::HoldOff),
        unmoved(),
        "nobody follows any more"
    );
    assert_eq!(rings(&elector(3, None), 0, &state(&[], &[]), ElectionTimer::HoldOff), does(ready(&[]), &[]));
    let says = ["Heartbeat to 1", "Heartbeat to 2", "Beat in 10"].map(str::to_owned).to_vec();
    assert_eq!(
        rings(&elector(3, None), 0, &ready(&[]), ElectionTimer::Beat),
        (None, says),
        "nor is it told later"
    );
}
