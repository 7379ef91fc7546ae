//! Elections (spec F3): in the end one leads for ever, after crashes too, and each assumption is needed.

use synod::ElectionTimer;
use synod_explore::liveness::{LiveReport, check, verify};
use synod_explore::{Action, Options, Verdict};
use synod_model::election::{AGREED, Electors, LEADS};

fn run(electors: Electors) -> LiveReport<synod::Elector> {
    let system = electors.system();
    let report = check(&system, &Options::default());
    for (finding, property) in report.findings.iter().zip(&system.liveness.properties) {
        if let Some(lasso) = &finding.lasso {
            let met = verify(&system, property, lasso).expect("it is a fair run");
            assert_eq!(met, lasso.meets);
        }
    }
    report
}

#[test]
fn in_the_end_one_leads_for_ever_whoever_crashes() {
    for (members, crashes) in [(1, 1), (2, 0), (2, 2), (3, 0), (3, 1), (3, 2)] {
        let report = run(Electors { members, crashes, ..Electors::default() });
        assert_eq!(report.verdict, Verdict::Holds, "{members} members, {crashes} crashes");
    }
}

#[test]
fn whoever_is_followed_by_a_majority_leads_for_ever_in_the_end() {
    let backed = Electors { backed: true, doublings: 0, ..Electors::default() };
    for (members, crashes) in [(1, 1), (2, 0)] {
        let report = run(Electors { members, crashes, ..backed });
        assert_eq!(report.verdict, Verdict::Holds, "{members} members, {crashes} crashes");
    }
}

#[test]
fn without_accurate_timers_leaders_change_for_ever() {
    let report = run(Electors { accurate: false, ..Electors::default() });
    assert_eq!(report.verdict, Verdict::Violated { property: LEADS });
    let lasso = report.finding(LEADS).and_then(|finding| finding.lasso.as_ref()).expect("it falls");
    let suspects = |action: &Action<synod::Elector>| {
        matches!(action, Action::<synod::Elector>::Timeout(_, ElectionTimer::Suspect))
    };
    assert!(lasso.cycle.iter().any(suspects), "{lasso:?}");
}

#[test]
fn whoever_does_not_suspect_waits_for_ever_for_one_that_is_down() {
    let report = run(Electors { complete: false, ..Electors::default() });
    assert!(matches!(report.verdict, Verdict::Violated { .. }), "{:?}", report.verdict);
    let lasso = report.finding(AGREED).and_then(|finding| finding.lasso.as_ref()).expect("it falls");
    assert!(lasso.cycle.is_empty(), "nothing more happens: {lasso:?}");
    assert!(
        lasso.stem.iter().any(|action| matches!(action, Action::<synod::Elector>::Crash(_))),
        "{lasso:?}"
    );
}

#[test]
fn without_heartbeats_two_may_lead_for_ever() {
    for electors in
        [Electors { beats: false, ..Electors::default() }, Electors { arrive: false, ..Electors::default() }]
    {
        let report = run(electors);
        assert!(matches!(report.verdict, Verdict::Violated { .. }), "{electors:?}: {:?}", report.verdict);
    }
}
