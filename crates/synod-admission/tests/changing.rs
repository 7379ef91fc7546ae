//! Admission where members change: each line of the rule, and what waits without it.

use synod_admission::{Admission, Admittance, Answer, Begun, Known, Lack, Members, Mine, Until};

const KNOWN: Known = Known { disk: 7, boot: 1, nonce: 1, saves: 100 };

fn mine(admitted: bool) -> Mine {
    let mut mine = Mine { disk: 7, admitted, ..Mine::default() };
    mine.count_start(Begun { nonce: 1, saves: 0 });
    mine.count_start(Begun { nonce: 2, saves: 100 });
    mine
}

fn at(me: u64, admitted: bool) -> Admittance {
    Admittance::changing(mine(admitted), me, [0, 1, 2].into_iter())
}

fn members(number: u64, configurations: &[&[u64]], directory: Option<u64>) -> Members {
    let configurations = configurations.iter().map(|ids| ids.iter().copied().collect()).collect();
    Members { number, configurations, directory }
}

fn says(number: u64) -> Answer {
    Answer { known: Some(KNOWN), recorded: true, admitted: true, number }
}

fn answers(silent: &[u64], needed: usize) -> Admission {
    Admission::Learns(Until::Answers { silent: silent.to_vec(), needed })
}

#[test]
fn a_directory_of_the_beginning_waits_until_all_others_of_it_have_recorded_it() {
    let mut at = at(1, false);
    at.configure(members(0, &[&[0, 1, 2]], None));
    at.hear(0, says(0), 100);
    at.hear(5, Answer { recorded: false, ..says(0) }, 100);
    assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 }, "5 is not asked");
    at.hear(2, Answer { recorded: false, ..says(0) }, 100);
    assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 });
    at.hear(2, Answer { admitted: false, ..says(0) }, 100);
    assert_eq!(at.verdict(), Admission::Admitted);
}

#[test]
fn no_directory_of_the_beginning_is_new_once_somebody_has_executed_a_change() {
    let new = Answer { known: None, recorded: false, ..says(0) };
    for peer in [0, 4] {
        let mut at = at(1, false);
        // Others that are new as well have recorded it.
        at.hear(0, says(0), 100);
        at.hear(2, says(0), 100);
        at.hear(peer, Answer { number: 3, ..new }, 100);
        let Admission::Abstains(reason) = at.verdict() else { panic!("{:?}", at.verdict()) };
        assert_eq!((reason.peer, reason.lack), (peer, Lack::Begun { number: 3 }));
        assert!(
            reason.to_string().contains("up to number 3") && reason.to_string().contains("another id"),
            "{reason}"
        );
        assert_ne!(reason.known.disk, reason.mine.disk, "it stays up");
    }
    // Whoever executed a change was admitted, and had recorded all the others by then. So this one is the first under its id.
    let mut at = at(1, false);
    at.hear(4, says(3), 100);
    assert!(matches!(at.verdict(), Admission::Abstains(_)), "4 was not there at the beginning");
    at.hear(0, says(3), 100);
    assert_eq!(at.verdict(), Admission::Waiting { silent: vec![2], needed: 1 });
    at.hear(2, says(0), 100);
    assert_eq!(at.verdict(), Admission::Admitted);
    // What is changed later is nothing to it.
    at.hear(0, Answer { recorded: false, ..says(4) }, 100);
    assert_eq!(at.verdict(), Admission::Admitted);
}

#[test]
fn one_that_learns_teaches_if_it_was_admitted_and_cannot_choose_alone() {
    for (admitted, teaches) in [(false, false), (true, true)] {
        let mut at = at(5, admitted);
        assert!(!at.may_teach(), "it does not know yet who governs");
        at.configure(members(3, &[&[0, 1, 2], &[0, 1, 5]], None));
        assert_eq!(at.may_teach(), teaches);
        at.configure(members(3, &[&[4]], None));
        assert_eq!(at.may_teach(), teaches);
        at.configure(members(3, &[&[0, 1, 5], &[5]], None));
        assert_eq!(at.may_teach(), teaches, "no ballot of its own comes about without others");
        at.configure(members(3, &[&[5]], None));
        assert!(!at.may_teach());
    }
    assert!(!Admittance::new(mine(true), [1].into_iter()).may_teach());
}

#[test]
fn what_those_have_executed_that_are_gone_is_for_nobody_to_learn() {
    let mut at = at(1, true);
    at.configure(members(0, &[&[0, 1, 2]], None));
    at.hear(4, says(1), 100);
    at.hear(0, says(0), 100);
    assert_eq!(at.verdict(), Admission::Learns(Until::Executes { number: 1 }));
    at.retain(|peer| peer != 0);
    assert_eq!(at.verdict(), Admission::Learns(Until::Executes { number: 1 }));
    at.retain(|peer| peer != 4);
    assert_eq!(at.verdict(), Admission::Learns(Until::Answers { silent: vec![0, 2], needed: 1 }));
    at.hear(0, says(0), 100);
    assert_eq!(at.verdict(), Admission::Admitted);

    // Where members are fixed, who has answered has answered.
    let mut fixed = Admittance::new(mine(true), [0, 2].into_iter());
    fixed.hear(0, says(0), 100);
    fixed.retain(|_| false);
    assert_eq!(fixed.verdict(), Admission::Admitted);
}

#[test]
fn another_id_learns_until_the_log_says_that_this_directory_joined() {
    for admitted in [false, true] {
        let mut at = at(5, admitted);
        for peer in 0..3 {
            at.hear(peer, says(0), 100);
        }
        assert_eq!(at.verdict(), Admission::Learns(Until::Executes { number: 0 }));
        at.configure(members(0, &[&[0, 1, 2]], None));
        assert_eq!(at.verdict(), Admission::Learns(Until::Joins));
        at.configure(members(1, &[&[0, 1, 2], &[0, 1, 5]], Some(7)));
        assert_eq!(at.verdict(), Admission::Admitted);
    }
}

#[test]
fn a_directory_does_not_take_part_if_the_log_says_that_another_one_joined() {
    let mut at = at(5, false);
    at.configure(members(1, &[&[0, 1, 5]], Some(8)));
    for peer in 0..3 {
        at.hear(peer, says(1), 100);
    }
    let Admission::Abstains(reason) = at.verdict() else { panic!("{:?}", at.verdict()) };
    assert_eq!((reason.lack, reason.known.disk, reason.peer), (Lack::Joined, 8, 5));
    assert!(reason.to_string().contains("another id"), "{reason}");
}

#[test]
fn the_log_names_no_directory_for_an_id_of_the_beginning() {
    let mut at = at(1, true);
    at.configure(members(0, &[&[0, 1, 2]], Some(8)));
    at.hear(0, says(0), 100);
    assert_eq!(at.verdict(), Admission::Admitted);
}

#[test]
fn a_majority_of_each_configuration_in_force_must_have_answered() {
    let mut at = at(2, true);
    at.configure(members(3, &[&[0, 1, 2], &[2, 3, 4, 5]], None));
    assert_eq!(at.verdict(), answers(&[0, 1], 1));
    at.hear(1, says(3), 100);
    assert_eq!(at.verdict(), answers(&[3, 4, 5], 2));
    // A directory that is new itself has nothing to say about earlier starts.
    at.hear(3, Answer { admitted: false, ..says(3) }, 100);
    at.hear(4, says(2), 100);
    assert_eq!(at.verdict(), answers(&[3, 5], 1));
    at.hear(3, says(3), 100);
    assert_eq!(at.verdict(), Admission::Admitted);
    // From here on it is not asked again who governs.
    at.configure(members(4, &[&[5, 6]], None));
    assert_eq!(at.verdict(), Admission::Admitted);
}

#[test]
fn one_that_is_no_member_now_counts_no_answer_of_its_own() {
    let mut at = at(2, true);
    at.configure(members(3, &[&[3, 4, 5]], None));
    at.hear(3, says(3), 100);
    assert_eq!(at.verdict(), answers(&[4, 5], 1));
    at.hear(4, says(3), 100);
    assert_eq!(at.verdict(), Admission::Admitted);
}

#[test]
fn a_change_that_one_of_those_who_answer_has_executed_must_have_been_executed() {
    let mut at = at(2, true);
    at.configure(members(0, &[&[0, 1, 2]], None));
    at.hear(9, Answer { admitted: false, ..says(8) }, 100);
    at.hear(4, says(3), 100);
    at.hear(1, says(0), 100);
    assert_eq!(at.verdict(), Admission::Learns(Until::Executes { number: 3 }), "the word of 9 is none");
    at.configure(members(3, &[&[2, 3, 4]], None));
    assert_eq!(at.verdict(), Admission::Admitted);
}

#[test]
fn whoever_knows_better_is_heard_before_and_after_admission_member_or_not() {
    for first in [true, false] {
        let mut at = at(2, true);
        at.configure(members(0, &[&[0, 1, 2]], None));
        if !first {
            at.hear(1, says(0), 150);
            assert_eq!(at.verdict(), Admission::Admitted);
        }
        at.hear(99, Answer { known: Some(Known { saves: 101, ..KNOWN }), ..says(0) }, 150);
        assert!(matches!(at.verdict(), Admission::Abstains(reason) if reason.peer == 99));
    }
}
