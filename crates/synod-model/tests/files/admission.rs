//! Scenes of admission that cannot be are refused at the place that says so.

use synod_explore::Status;
use synod_model::{Model, Verdict};

const SCENE: &str = r#"about = "Three members, one of whose disks falls back."
tier = "fast"

[admission]
members = 3
begins = "running"
asks = [[1], [2], [1, 2]]
crash = ["M1", "M3"]
crashes = 2
cut = ["M3"]
back = 3

[expect]
verdict = "holds"
"#;

fn refused(from: &str, to: &str, place: (usize, usize), says: &str) {
    let text = SCENE.replacen(from, to, 1);
    assert_ne!(text, SCENE, "{from:?} is in the scene");
    let error = Model::read("model.toml", &text).expect_err(&text);
    assert_eq!(error.place, Some(place), "{error}\n{text}");
    assert!(error.message.contains(says), "{says:?} in {error}");
}

#[test]
fn scenes_that_cannot_be_are_refused_where_they_say_so() {
    Model::read("model.toml", SCENE).expect("it is a model");
    refused("cut = [\"M3\"]", "cut = [\"M4\"]", (10, 7), "M1 to M3");
    refused("crash = [\"M1\", \"M3\"]", "crash = [\"M1\"]", (10, 7), "name it in crash");
    refused("back = 3\n", "", (10, 7), "name both or neither");
    refused("cut = [\"M3\"]\n", "", (10, 8), "name both or neither");
    refused("members = 3", "members = 0", (5, 11), "from 1 to 5");
    refused("[[1], [2], [1, 2]]", "[[1], [2]]", (7, 8), "3 lists of values");
    refused("[[1], [2], [1, 2]]", "[[1], [2], [3]]", (7, 8), "the values 1 and 2");
    refused("tier = \"fast\"", "tier = \"fast\"\nmutant = \"amnesia\"", (3, 10), "start-not-durable");
    refused("[expect]", "[reduce]\nsymmetry = [\"acceptors\"]\n\n[expect]", (14, 12), "leave it out");
    refused("[expect]", "[check]\nwitnesses = [\"nacked\"]\n\n[expect]", (14, 13), "another-directory");
    refused("\"holds\"", "\"violated\"\nproperty = \"P2\"", (15, 12), "one-directory");
    for key in ["first = 2", "window = 1", "elsewhere = []", "snapshots = []"] {
        let at = key.find('=').expect("it has one") + 3;
        refused("members = 3", &format!("{key}\nmembers = 3"), (5, at), "name a log");
    }
    refused("members = 3", "members = 3\nlog = [\"M4 joins\"]", (6, 7), "none of");
    refused("members = 3", "members = 3\nlog = [\"M3 joins\"]", (6, 7), "used before");
    refused("members = 3", "members = 3\nfirst = 4\nlog = [\"value\"]", (6, 9), "from 1 to 3");
    refused("members = 3", "members = 3\nwindow = 0\nlog = [\"value\"]", (6, 10), "from 1 to 3");
    refused("members = 3", "members = 3\nalone = [\"M3\"]\nlog = [\"value\"]", (6, 9), "leave it out");
    refused("[admission]", "[system]\n\n[admission]", (4, 2), "there is no `system` here");
}

#[test]
fn a_counterexample_of_admission_can_be_replayed() {
    let text = SCENE.replacen("tier = \"fast\"", "tier = \"fast\"\nmutant = \"nobody-asked\"", 1);
    let text = text.replacen("\"holds\"", "\"violated\"\nproperty = \"noticed\"", 1);
    let model = Model::read("model.toml", &text).expect("it is a model");
    let outcome = synod_model::check(&model, &synod_model::Settings::default());
    assert_eq!(outcome.verdict, Verdict::Violated, "{outcome:?}");
    let trace = outcome.trace.expect("there is one");
    let replay = synod_model::replay(&model, &trace).expect("it is a trace of it");
    assert!(
        replay.judged.iter().any(|(_, name, status, _)| (*name, *status) == ("noticed", Status::Violated)),
        "{trace}"
    );
    // The right member waits for who knows better, so that the run ends there without a breach.
    let right = Model::read("model.toml", SCENE).expect("it is a model");
    let fell = |replay: synod_model::Replay| {
        replay.judged.iter().any(|(_, _, status, _)| *status == Status::Violated)
    };
    assert!(!synod_model::replay(&right, &trace).is_ok_and(fell), "{trace}");
}
