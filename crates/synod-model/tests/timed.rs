//! The small timed systems, for every small combination of durations, against the conditions that were worked out by hand; and the errors of
//! their files.

use synod_explore::liveness::Liveness;
use synod_explore::{Options, Verdict, explore, oracle};
use synod_model::Model;
use synod_model::timed::{Counted, Fischer, Gate, Kind, Lease, Master, Timed};

/// The least and the most real time of a timer, by the definition of drift, in whole ticks.
fn real((n, d): (u32, u32), ticks: u32) -> (u32, u32) {
    let soonest = (0..=ticks).rev().find(|real| real * (d + n) <= ticks * d).unwrap();
    let latest = (ticks..=ticks * d).find(|real| real * (d - n) >= ticks * d).unwrap();
    (soonest, latest)
}

const DRIFTS: [(u32, u32); 3] = [(0, 1), (1, 4), (1, 2)];

/// Explores and compares; returns how many fell.
fn compare(timed: Timed, falls: bool, hollow: bool) -> usize {
    let mut system = timed.system().expect("it is no system of servers");
    system.liveness = Liveness::default();
    let found = explore(&system, &Options::default()).verdict;
    let as_expected = match &found {
        Verdict::Violated { .. } => falls,
        Verdict::Vacuous(_) => !falls && hollow,
        Verdict::Holds => !falls && !hollow,
        _ => false,
    };
    assert!(as_expected, "{timed:?}: {found:?}, expected to fall: {falls}, hollow: {hollow}");
    usize::from(falls)
}

#[test]
fn fischer_holds_exactly_if_the_wait_covers_a_write_and_three_messages() {
    let (mut all, mut fell) = (0, 0);
    for drift in DRIFTS {
        for most in 0..3 {
            for (write, wait) in (0..4).flat_map(|write| (1..13).map(move |wait| (write, wait))) {
                let kind = Kind::Fischer(Fischer { processes: 2, write, wait });
                let falls = real(drift, wait).0 <= real(drift, write).1 + 3 * most;
                fell += compare(Timed { kind, drift, delay: (0, most) }, falls, false);
                all += 1;
            }
        }
    }
    assert!(fell > 100 && all - fell > 100, "{fell} of {all} fell");
}

#[test]
fn three_that_contend_need_no_longer_wait_than_two() {
    for (write, wait) in (0..3).flat_map(|write| (1..5).map(move |wait| (write, wait))) {
        let kind = Kind::Fischer(Fischer { processes: 3, write, wait });
        compare(Timed { kind, drift: (0, 1), delay: (0, 0) }, wait <= write, false);
    }
}

#[test]
fn the_gate_is_down_exactly_if_the_train_comes_later() {
    let mut fell = 0;
    for (approach, lower, down) in
        (1..9).flat_map(|a| (1..4).flat_map(move |lower| (1..4).map(move |down| (a, lower, down))))
    {
        let gate = Gate { approach: (approach, approach + 1), crossing: Some((1, 2)), lower, down };
        let timed = Timed { kind: Kind::Gate(gate), drift: (0, 1), delay: (0, 0) };
        fell += compare(timed, approach <= lower + down, false);
    }
    assert_eq!(fell, 36);
}

/// A lease with these durations. Two asks each make the same difference as many.
fn lease(hold: u32, lease: u32, asks: u8, counted: Counted) -> Kind {
    Kind::Lease(Lease { hold, lease, takes: 2, asks, counted, matches: true })
}

#[test]
fn a_lease_holds_exactly_if_its_margin_covers_the_drift() {
    let (mut all, mut fell, mut exact) = (0, 0, 0);
    for drift in DRIFTS {
        for (least, most) in [(0, 0), (0, 1), (1, 1), (1, 2)] {
            for (held, left) in (1..9).flat_map(|held| (1..9).map(move |left| (held, left))) {
                let (end, begin) = (real(drift, held).1, 4 * least + real(drift, left).0);
                for asks in 1..3 {
                    let kind = lease(held, left, asks, Counted::Asking);
                    let timed = Timed { kind, drift, delay: (least, most) };
                    fell += compare(timed, end >= begin, end < 2 * least);
                    all += 1;
                }
                exact += u32::from(end == begin) + u32::from(end + 1 == begin);
            }
        }
    }
    assert!(fell > 200 && all - fell > 200 && exact > 50, "{fell} of {all} fell, {exact} at the edge");
}

#[test]
fn a_lease_counted_from_hearing_needs_a_margin_for_the_delay_too() {
    let mut fell = 0;
    for drift in DRIFTS {
        for (least, most) in [(0, 0), (0, 1), (1, 2), (0, 2)] {
            for (held, left) in (1..7).flat_map(|held| (1..7).map(move |left| (held, left))) {
                let falls = most + real(drift, held).1 >= 3 * least + real(drift, left).0;
                let timed =
                    Timed { kind: lease(held, left, 1, Counted::Hearing), drift, delay: (least, most) };
                fell += compare(timed, falls, false);
            }
        }
    }
    assert!(fell > 100, "{fell} fell");
}

#[test]
fn one_log_server_is_master_at_a_time_exactly_if_the_margin_covers_the_drift() {
    let (mut all, mut fell) = (0, 0);
    for (drift, delay) in [((0, 1), 0), ((1, 4), 0), ((1, 2), 0), ((0, 1), 1)] {
        for (hold, lease) in (1..9).flat_map(|hold| (1..5).map(move |lease| (hold, lease))) {
            let kind = Kind::Master(Master {
                servers: 2,
                hold,
                lease,
                renew: None,
                gives: false,
                leaves: false,
                seekers: 2,
                takes: 2,
                rounds: 2,
                crashes: 0,
                snapshots: false,
                loss: false,
                alpha: 1,
                nacks: false,
                tenant: None,
                asks: None,
                again: None,
                leads: (0, 2),
                gone: (0, 0),
                within: None,
                election: None,
                breach: None,
            });
            let timed = Timed { kind, drift, delay: (delay, delay) };
            let falls = real(drift, hold).1 >= 5 * delay + real(drift, lease).0;
            let system = timed.members().expect("it is a system of servers");
            let found = explore(&system, &Options::default()).verdict;
            let fell_now = matches!(found, Verdict::Violated { .. });
            assert_eq!(fell_now, falls, "{timed:?}: {found:?}");
            (all, fell) = (all + 1, fell + u32::from(fell_now));
        }
    }
    assert!(fell > 40 && all - fell > 20, "{fell} of {all} fell");
}

/// Explores a system with both engines, which must come to equal verdicts and counts.
macro_rules! agrees {
    ($ours:expr, $theirs:expr) => {{
        let (mut ours, mut theirs) = ($ours, $theirs);
        (ours.liveness, theirs.liveness) = (Liveness::default(), Liveness::default());
        let ours = explore(&ours, &Options { stop: synod_explore::Stop::Exhausted, ..Options::default() });
        let theirs = oracle::stateright_bfs(&theirs, 1, None);
        assert_eq!(ours.verdict, theirs.verdict);
        assert_eq!(
            (ours.unique_states, ours.generated_states),
            (theirs.unique_states, theirs.generated_states)
        );
    }};
}

#[test]
fn stateright_agrees_on_every_timed_model_of_the_catalogue_that_is_small() {
    let (mut processes, mut members) = (0, 0);
    for model in synod_model::catalogue() {
        let Some(timed) = &model.timed else { continue };
        if let Some((ours, theirs)) = timed.system().zip(timed.system()) {
            agrees!(ours, theirs);
            processes += 1;
        }
        // Larger ones would take minutes.
        let is_small = model.file.expect.unique_states.is_some_and(|states| states < 20_000);
        if let Some((ours, theirs)) = timed.members().zip(timed.members()).filter(|_| is_small) {
            agrees!(ours, theirs);
            members += 1;
        }
    }
    assert!(processes >= 19 && members >= 2, "{processes} {members}");
}

/// The error of a file with such a section.
fn error(timed: &str) -> String {
    let text = format!("about = \"a\"\ntier = \"fast\"\n\n{timed}\n\n[expect]\nverdict = \"holds\"\n");
    Model::read("a", &text).map_or_else(|error| error.to_string(), |_| "none".to_owned())
}

#[test]
fn errors_have_a_place_and_say_what_to_do() {
    let fischer = "[timed.fischer]\nprocesses = 2\nwrite = 1\nwait = 2";
    let gate = "[timed.gate]\napproach = [3, 5]\nlower = 1\ndown = 1";
    assert_eq!(error(&format!("[timed]\n{fischer}")), "none");
    for (timed, words) in [
        ("[timed]\ndrift = [1, 9]".to_owned(), "needs one system"),
        (format!("[timed]\n{fischer}\n{gate}"), "needs one system"),
        (format!("[timed]\ndrift = [3, 3]\n{fischer}"), "5:9: drift = [3, 3]: a clock would stand still"),
        (format!("[timed]\ndelay = [2, 1]\n{fischer}"), "delay = [2, 1]: needs two numbers"),
        (format!("[timed]\ndelay = [0, 1]\n{gate}"), "messages take no time where there is a gate"),
        (format!("[timed]\ndrift = [1, 9]\n{gate}"), "clocks keep real time where there is a gate"),
        (format!("[timed]\n{}", fischer.replace("wait = 2", "wait = 0")), "wait = 0: must be from 1"),
        (format!("[timed]\n{}", fischer.replace("processes = 2", "processes = 9")), "processes = 9"),
        (format!("[timed]\n{}", gate.replace("approach", "aproach")), "aproach"),
    ] {
        let error = error(&timed);
        assert!(error.contains(words), "{timed}\n{error}");
    }
}
