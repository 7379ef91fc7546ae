//! Model files that would check nothing, or say what cannot be, are refused at the place that says so, in plain words.

use synod_model::{Model, catalogue};

const SEPARATE: &str = r#"about = "Two proposers, three acceptors."
tier = "fast"

[system]
layout = "separate"
acceptors = 3
proposers = 2
learners = 0
values = ["x", "y"]

[expect]
verdict = "holds"
"#;

const LOG: &str = r#"about = "Two servers keep a log."
tier = "fast"

[system]
layout = "co-located"
acceptors = 2
values = ["x", "y"]

[log]
alpha = 1

[network]
delivery = "multiset"

[expect]
verdict = "holds"
"#;

/// Expects an error at this place that says this, and what to do.
fn refused(text: &str, place: (usize, usize), says: &str) {
    let error = Model::read("model.toml", text).expect_err(text);
    assert_eq!(error.place, Some(place), "{error}\n{text}");
    assert!(error.message.contains(says), "{says:?} in {error}");
    is_plain(&error.message);
}

/// A message must not speak the language that the program is written in.
fn is_plain(message: &str) {
    let words = [
        "i64",
        "usize",
        "u64",
        "u32",
        "u16",
        "bool",
        "struct",
        "enum",
        "variant",
        "field",
        "tuple",
        ".rs",
        "digit",
        "deserialize",
        "serde",
        "Some(",
        "None",
    ];
    for word in words {
        let found =
            message.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '(').any(|one| one == word);
        assert!(!(found || word.starts_with('.') && message.contains(word)), "{word:?} in {message}");
    }
}

/// A file with more before what it expects; the addition begins in this line.
const ADDED: usize = 11;
fn with(more: &str) -> String {
    SEPARATE.replace("[expect]", &format!("{more}\n\n[expect]"))
}

fn log_with(more: &str) -> String {
    LOG.replace("alpha = 1", &format!("alpha = 1\n{more}"))
}

#[test]
fn a_model_without_anything_to_check_is_refused() {
    refused(&with("[check]\nclaims = []"), (ADDED + 1, 10), "claims: none is named");
    refused(
        &with("[check]\nclaims = []\nwitnesses = [\"chosen\"]"),
        (ADDED + 1, 10),
        "nothing would be checked",
    );
    assert!(
        Model::read("model", &with("[check]\nclaims = []\nnever = [\"learned\"]")).is_ok(),
        "that is a claim"
    );
    refused(&with("[bounds]\ndepth = 0"), (ADDED + 1, 9), "depth = 0: nothing would be explored");
    refused(&with("[bounds]\nrounds = 0"), (ADDED + 1, 10), "no ballot could begin");
    refused(&with("[check]\nhollow = \" \""), (ADDED + 1, 10), "say in a sentence why");
    refused(&with("[scenario]\nsteps = \"\"\"\n# nothing\n\"\"\""), (ADDED + 1, 9), "steps: there is none");
    refused(&with("[check]\nclaims = [\"B0\", \"B0\"]"), (ADDED + 1, 10), "\"B0\" stands there twice");
    refused(&with("[check]\nwitnesses = [\"chosen\", \"chosen\"]"), (ADDED + 1, 13), "twice");
}

#[test]
fn a_hard_case_cannot_both_be_and_not_be() {
    let both = with("[check]\nwitnesses = [\"learned\", \"chosen\"]\nnever = [\"chosen\"]");
    refused(&both, (ADDED + 2, 9), "\"chosen\" stands in witnesses too");
    refused(
        &with("[check]\nnever = [\"served\"]"),
        (ADDED + 1, 9),
        "only what a state shows can be excluded",
    );
}

#[test]
fn faults_that_cannot_happen_are_refused() {
    let faults = |more: &str| with(&format!("[faults]\n{more}"));
    refused(&faults("crash = [\"acceptors\"]\nat_once = 9\nin_all = 9"), (ADDED + 2, 11), "only 3 may crash");
    refused(&faults("crash = [\"acceptors\"]\nat_once = 2"), (ADDED + 2, 11), "a run has 1 crash in all");
    refused(&faults("crash = [\"acceptors\"]\nat_once = 0"), (ADDED + 2, 11), "nobody could ever crash");
    refused(&faults("crash = [\"acceptors\"]\nin_all = 0"), (ADDED + 2, 10), "nobody could ever crash");
    refused(&faults("in_all = 2"), (ADDED + 1, 10), "nobody crashes in this model");
    refused(&faults("down = [\"A1\"]\nat_once = 2"), (ADDED + 2, 11), "nobody crashes in this model");
    refused(&faults("crash = []"), (ADDED + 1, 9), "the list is empty");
    refused(&faults("down = []"), (ADDED + 1, 8), "the list is empty");
    refused(&faults("crash = [\"acceptors\"]\ndown = [\"A2\"]"), (ADDED + 1, 9), "A2 is down from the start");
}

#[test]
fn where_nothing_can_be_chosen_the_model_must_say_that_this_is_what_it_shows() {
    let down = |who: &str| with(&format!("[faults]\ndown = [{who}]"));
    refused(
        &down("\"A1\", \"A2\", \"A3\""),
        (ADDED + 1, 8),
        "all acceptors are, so that nothing can ever be chosen",
    );
    refused(&down("\"proposers\""), (ADDED + 1, 8), "all proposers are");
    let servers = LOG.replace("[network]", "[faults]\ndown = [\"servers\"]\n\n[network]");
    refused(&servers, (13, 8), "all servers are");
    let shown = down("\"acceptors\"").replace("[expect]", "[check]\nnever = [\"chosen\"]\n\n[expect]");
    assert!(Model::read("model", &shown).is_ok());
}

#[test]
fn settings_without_effect_are_refused() {
    let responses = SEPARATE.replace("learners = 0", "learners = 0\nresponses = true");
    refused(&responses, (9, 13), "there is no learner");
    refused(&SEPARATE.replace("learners = 0", "learning = \"proposer\""), (8, 12), "there is no learner");
    refused(&SEPARATE.replace("learners = 0", "asks = [[\"P1\"], []]"), (8, 8), "asks nobody");
    let deaf = SEPARATE.replace("learners = 0", "nacks = false\nretry = \"on-nack\"");
    refused(&deaf, (9, 9), "nobody is told of a refusal");
    refused(&with("[network]\nloss = true"), (ADDED + 1, 8), "losing one shows nothing new");
    refused(&LOG.replace("acceptors = 2", "acceptors = 2\nreaders = []"), (7, 11), "leave it out");
    refused(&LOG.replace("acceptors = 2", "acceptors = 2\nreaders = [[]]"), (7, 11), "asks nobody");
    refused(&log_with("question = \"get\""), (11, 12), "nobody asks it");
    refused(&LOG.replace("alpha = 1", "alpha = 0"), (10, 9), "alpha = 0");
    refused(&log_with("truncate = { every = 0 }"), (11, 12), "must be 1 or more");
    refused(&log_with("truncate = { every = 1, ahead = 0 }"), (11, 12), "must be 1 or more");
}

#[test]
fn what_a_machine_does_not_understand_is_said_with_what_it_does() {
    refused(&log_with("machine = \"bank\""), (7, 10), "deposit ACCOUNT N");
    let store = LOG
        .replace("[\"x\", \"y\"]", "[\"1.1 put k x\"]")
        .replace("alpha = 1", "alpha = 1\nmachine = \"kv\"");
    refused(
        &format!("{store}\n").replace("acceptors = 2", "acceptors = 2\nreaders = [[\"S1\"]]"),
        (7, 11),
        "add question",
    );
    let asks = store.replace("acceptors = 2", "acceptors = 2\nreaders = [[\"S1\"]]");
    let asks = |question: &str| asks.replace("alpha = 1", &format!("alpha = 1\nquestion = \"{question}\""));
    refused(&asks("get"), (12, 12), "it understands get KEY");
    refused(&asks("1.1 put k y"), (12, 12), "cannot be answered without the log");
    assert!(Model::read("model", &asks("get k")).is_ok());
}

#[test]
fn expectations_that_cannot_come_out_are_refused() {
    let expects = |more: &str| SEPARATE.replace("verdict = \"holds\"", more);
    refused(&expects("verdict = \"fine\""), (12, 11), "must be one of holds, ");
    refused(&expects("verdict = \"incomplete\""), (12, 11), "must be one of holds, ");
    refused(&expects("verdict = \"panicked\""), (12, 11), "add message");
    refused(&expects("verdict = \"panicked\"\nmessage = \"\""), (13, 11), "with what words");
    refused(&expects("verdict = \"holds\"\nmessage = \"x\""), (13, 11), "only a model that panics has it");
    refused(&expects("verdict = \"holds\"\nsteps = 3"), (13, 9), "only a model that is violated has it");
    refused(
        &expects("verdict = \"holds\"\nproperty = \"B0\""),
        (13, 12),
        "only a model that is violated has it",
    );
    refused(&expects("verdict = \"violated\""), (12, 11), "must name the property");
    refused(&expects("verdict = \"violated\"\nproperty = \"P9\""), (13, 12), "not among the claims");
    refused(
        &expects("verdict = \"violated\"\nproperty = \"B0\"\ncycle = 2"),
        (14, 9),
        "never comes about has it",
    );
}

/// Every key of every model of the catalogue, with every kind of value that it may not have: no complaint speaks Rust.
#[test]
fn whatever_stands_in_a_file_is_complained_of_in_plain_words() {
    let values = [
        "3",
        "-3",
        "0",
        "99999999999",
        "1.5",
        "true",
        "\"word\"",
        "[]",
        "[\"word\"]",
        "[[3]]",
        "{}",
        "{ word = 3 }",
    ];
    let (mut complaints, mut keys) = (0, std::collections::BTreeSet::new());
    for model in catalogue() {
        let lines: Vec<&str> = model.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some((key, _)) = line.split_once(" = ").filter(|(_, value)| !value.starts_with("\"\"\""))
            else {
                continue;
            };
            let section =
                lines[..at].iter().rev().find(|line| line.starts_with('[')).copied().unwrap_or_default();
            if key.contains(' ') || !keys.insert(format!("{section} {key}")) {
                continue;
            }
            for value in values {
                let changed =
                    [&lines[..at], &[&format!("{key} = {value}")], &lines[at + 1..]].concat().join("\n");
                let Err(error) = Model::read("model.toml", &changed) else { continue };
                complaints += 1;
                is_plain(&error.message);
                assert!(error.place.is_some(), "{error}");
            }
            let wrong = [&lines[..at], &["wrong = 1"], &lines[at..]].concat().join("\n");
            if let Err(error) = Model::read("model.toml", &wrong) {
                is_plain(&error.message);
            }
        }
    }
    assert!(complaints > 300 && keys.len() > 40, "{complaints} complaints of {} keys", keys.len());
}
