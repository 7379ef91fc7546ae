//! A check in pieces goes on from its checkpoint until all is decided: what must come about, too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use synod_explore::Progress;
use synod_model::{Settings, Verdict, catalogue, check, checkpoint_file};

#[test]
fn a_checkpoint_stays_until_what_must_come_about_is_decided() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "liveness/crash";
    let model = catalogue().into_iter().find(|model| model.name == name).expect("it is in the catalogue");
    let whole = check(&model, &Settings::default());
    assert!(whole.ok, "{:?}", whole.complaints);
    let file = checkpoint_file(folder.path(), name);
    for resume in [false, true, true] {
        // The claims are decided when the search for fair runs begins anew, with one state.
        let (most, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let interrupt = |progress: &Progress| {
            if most.fetch_max(progress.unique, Ordering::Relaxed) > progress.unique || resume {
                stop.store(progress.unique == 1, Ordering::Relaxed);
            }
        };
        let checkpoints = Some((folder.path(), resume));
        let settings = Settings {
            checkpoints,
            interrupt: Some(&stop),
            progress: Some(&interrupt),
            ..Settings::default()
        };
        let some = check(&model, &settings);
        assert_eq!(some.verdict, Verdict::Incomplete);
        assert!(some.detail.is_some_and(|detail| detail.contains("while looking for fair runs")));
        assert_eq!((some.unique_states, some.depth), (whole.unique_states, whole.depth));
        assert!(file.exists(), "there is something to go on with");
    }
    let settings = Settings { checkpoints: Some((folder.path(), true)), ..Settings::default() };
    let rest = check(&model, &settings);
    assert_eq!((rest.verdict, rest.ok, rest.unique_states), (whole.verdict, true, whole.unique_states));
    assert!(!file.exists(), "all is decided");
}
