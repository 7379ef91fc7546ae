//! The command-line contract: exit statuses, errors with their place, formats, and expectations that bite.

use crate::synod::{Ran, run, run_in};
use std::fs;
use std::path::Path;

const SMALL: &str = r#"about = "One proposer, three acceptors."
tier = "fast"

[system]
layout = "separate"
acceptors = 3
proposers = 1
values = ["x"]

[expect]
verdict = "holds"
"#;

/// Checks a model file with this text.
fn check_text(text: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::write(folder.path().join("model.toml"), text).expect("a file can be written");
    run_in(folder.path(), &[&["check", "model.toml"], more].concat())
}

/// Expects one clear line at this place, status 2, and no stack trace.
fn refused(text: &str, place: &str, says: &str) {
    let ran = check_text(text, &[]);
    assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 1, "{}", ran.err);
    assert!(lines[0].contains(&format!("model.toml:{place}: ")), "place {place} in {}", lines[0]);
    assert!(lines[0].contains(says), "{says:?} in {}", lines[0]);
    assert!(!ran.err.contains("panicked at"));
}

#[test]
fn a_model_that_comes_out_as_expected_is_status_0() {
    let ran = check_text(SMALL, &[]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("holds (exhausted)") && ran.out.contains("1 model: 1 ok"), "{}", ran.out);
}

#[test]
fn everything_that_is_wrong_is_told_before_anything_is_explored() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, text) in [
        ("a.toml", SMALL.to_owned()),
        ("b.toml", SMALL.replace("acceptors = 3", "acceptors = \"three\"")),
        ("c.toml", SMALL.replace("[expect]", "[check]\nclaims = [\"P2d\"]\n\n[expect]")),
    ] {
        fs::write(folder.path().join(name), text).expect("a file can be written");
    }
    for paths in [&["a.toml", "b.toml", "c.toml"][..], &["."]] {
        let ran = run_in(folder.path(), &[&["check"], paths].concat());
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{}", ran.err);
        let lines: Vec<_> = ran.err.lines().collect();
        assert_eq!(lines.len(), 2, "{}", ran.err);
        assert!(lines[0].contains("b.toml:6:13: ") && lines[1].contains("c.toml:11:10: "), "{}", ran.err);
    }
}

#[test]
fn a_name_that_was_meant_is_offered() {
    for (wrong, meant) in [("acceptors/tree", "acceptors/three"), ("any-valeu", "ballots/any-value")] {
        let ran = run(&["check", wrong]);
        assert_eq!(ran.status, 2, "{}", ran.err);
        assert!(ran.err.contains(&format!("did you mean {meant:?}?")), "{}", ran.err);
    }
    let claims = SMALL.replace("[expect]", "[check]\nclaims = [\"P1aa\"]\n\n[expect]");
    assert!(check_text(&claims, &[]).err.contains("did you mean \"P1a\"?"));
    let mutant = SMALL.replace("[system]", "mutant = \"any-valu\"\n\n[system]");
    assert!(check_text(&mutant, &[]).err.contains("did you mean \"any-value\"?"));
}

#[test]
fn a_model_that_must_fail_is_as_expected_and_shows_its_counterexample() {
    let ran = run(&["check", "mutants/any-value"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("as expected: P2b falls in 12 steps"), "{}", ran.out);
    let shown = run(&["trace", "show", "mutants/any-value"]);
    assert_eq!(shown.status, 0, "{}", shown.err);
    assert!(
        shown.out.contains("Accept(") && shown.out.contains("deliver C1 -> P1  Request(x)"),
        "{}",
        shown.out
    );
    assert_eq!(run(&["trace", "replay", "mutants/any-value"]).status, 0);
    let none = run(&["trace", "show", "acceptors/one"]);
    assert!(none.status == 2 && none.err.contains("no counterexample: holds"), "{}", none.err);
}

#[test]
fn a_new_model_passes_and_is_never_written_over_another() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let made = run_in(folder.path(), &["new", "mine"]);
    assert!(made.status == 0 && made.out.contains("synod check mine.toml"), "{}{}", made.out, made.err);
    let checked = run_in(folder.path(), &["check", "mine.toml"]);
    assert!(
        checked.status == 0 && checked.out.contains("holds (exhausted)"),
        "{}{}",
        checked.out,
        checked.err
    );
    let again = run_in(folder.path(), &["new", "mine.toml"]);
    assert!(
        again.status == 2 && again.err.contains("mine.toml: there is such a file already"),
        "{}",
        again.err
    );
}

#[test]
fn names_are_explained_and_shells_and_readers_are_helped() {
    assert!(run(&["explain", "P2b"]).out.contains("is a claim (PMS §2.2)"));
    let unknown = run(&["explain", "acceptor"]);
    assert!(unknown.status == 2 && unknown.err.contains("did you mean \"acceptors\"?"), "{}", unknown.err);
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).out.contains("explain"), "{shell}");
    }
    let pages = run(&["man"]);
    assert!(pages.status == 0 && pages.out.contains(".TH synod-check 1"), "{}", pages.out);
}

#[test]
fn what_is_wrong_says_how_to_look_at_it() {
    let text = SMALL
        .replace("[system]", "mutant = \"any-value\"\n\n[system]")
        .replace("proposers = 1", "proposers = 2");
    let ran = check_text(&text.replace("[\"x\"]", "[\"x\", \"y\"]"), &[]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("look at it: synod trace show model.toml; step by step: synod explore model.toml"),
        "{}",
        ran.out
    );
}

#[test]
fn fingerprints_are_told_with_their_odds() {
    for (table, odds) in
        [("64", "odds of a missed state"), ("128", "odds of a missed state"), ("exact", "(exhausted)")]
    {
        let ran = check_text(SMALL, &["--table", table]);
        assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(odds), "{table}: {}", ran.out);
    }
}

#[test]
fn a_folder_to_wait_in_must_be_there() {
    let ran = check_text(SMALL, &["--spill", "nowhere", "--memory", "1GiB"]);
    assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("--spill nowhere: there is no such folder"), "{}", ran.err);
    assert_eq!(check_text(SMALL, &["--spill", "."]).status, 0, "memory is always limited");
    assert_eq!(check_text(SMALL, &["--spill", ".", "--memory", "1GiB"]).status, 0);
}

#[test]
fn a_search_that_was_stopped_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = "crash/server";
    let check = |more: &[&str]| {
        let args = [&["check", model, "--checkpoint", "kept"], more].concat();
        run_in(folder.path(), &args)
    };
    let stopped = check(&["--time", "1ms"]);
    assert_eq!(stopped.status, 3, "{}{}", stopped.out, stopped.err);
    let file = folder.path().join("kept/crash__server.checkpoint");
    assert!(file.is_file());
    // Neither is it lost, nor taken for something else.
    let again = check(&[]);
    assert_eq!(again.status, 2, "{}{}", again.out, again.err);
    assert!(again.err.contains("add --resume to go on from it"), "{}", again.err);
    let other = check(&["--resume", "--table", "64"]);
    assert!(other.status == 2 && other.err.contains("of another model"), "{}{}", other.out, other.err);
    assert!(check(&["--resume", "--time", "50ms"]).status != 1);
    // The counts are compared with the model's file.
    let whole = check(&["--resume"]);
    assert_eq!(whole.status, 0, "{}{}", whole.out, whole.err);
    assert!(!file.exists(), "there is nothing left to go on with");
    assert_eq!(run(&["check", "acceptors/three", "--resume"]).status, 2, "from where?");
    let other_engine = check(&["--engine", "stateright"]);
    assert!(other_engine.status == 2 && other_engine.err.contains("leave one of the two away"));
}

/// Whatever the file expects: that a checkpoint is unusable says nothing of the model.
#[test]
fn an_unusable_checkpoint_is_no_panic_of_a_model() {
    let folder = tempfile::tempdir().expect("a folder");
    let expects = "\"panicked\"\nmessage = \"checkpoint\"";
    let model = SMALL.replace("\"holds\"", expects);
    for (name, text) in [("x.toml", model.as_str()), ("y.toml", SMALL)] {
        fs::write(folder.path().join(name), text).expect("a file can be written");
        fs::create_dir_all(folder.path().join("kept")).expect("a folder can be made");
        let kept = folder.path().join(format!("kept/{name}.checkpoint"));
        for garbage in [&b""[..], b"synod checkpoint", &[7; 5000]] {
            fs::write(&kept, garbage).expect("a file can be written");
            let ran = run_in(
                folder.path(),
                &["check", name, "--checkpoint", "kept", "--resume", "--format", "json"],
            );
            assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
            assert!(ran.err.contains("cannot go on from") && ran.err.contains("remove it"), "{}", ran.err);
            assert!(ran.out.contains("\"verdict\":\"incomplete\""), "{}", ran.out);
        }
    }
}

#[test]
fn a_panic_must_say_what_the_file_expects() {
    let panics = |message: &str| {
        SMALL
            .replace("about", "mutant = \"saves-last\"\nabout")
            .replace("\"holds\"", &format!("\"panicked\"\nmessage = \"{message}\""))
    };
    assert_eq!(check_text(&panics("before it saves"), &[]).status, 0);
    let other = check_text(&panics("diverged"), &[]);
    assert_eq!(other.status, 1, "{}{}", other.out, other.err);
    assert!(
        other.out.contains("it panicked otherwise") && other.out.contains("before it saves"),
        "{}",
        other.out
    );
}

#[test]
fn errors_in_a_file_stand_at_their_place() {
    refused(&SMALL.replace("acceptors = 3", "aceptors = 3"), "6:1", "there is no `aceptors` here");
    refused(&SMALL.replace("acceptors = 3\n", ""), "4:1", "`acceptors` is missing");
    refused(&SMALL.replace("acceptors = 3", "acceptors = 0"), "6:13", "must be from 1 to 16");
    refused(&SMALL.replace("acceptors = 3", "acceptors = 1000000000"), "6:13", "must be from 1 to 16");
    refused(&SMALL.replace("acceptors = 3", "acceptors = \"three\""), "6:13", "it must be a whole number");
    refused(&SMALL.replace("proposers = 1\n", ""), "6:13", "proposers is missing");
    refused(&SMALL.replace("proposers = 1", "proposers = 17"), "7:13", "must be from 1 to 16");
    refused(&SMALL.replace("separate", "together"), "5:10", "must be one of separate, co-located");
    refused(&SMALL.replace("separate", "co-located"), "7:13", "every server is one");
    refused(&SMALL.replace("[\"x\"]", "[]"), "8:10", "one a client");
    refused(&SMALL.replace("\"holds\"", "\"fine\""), "11:11", "must be one of");
    refused(&SMALL.replace("[expect", "[expect\nx"), "10:8", "");
    refused(&SMALL.replace("about", "mutant = \"any-valu\"\nabout"), "1:10", "no mutant is named");
}

#[test]
fn a_model_that_makes_no_sense_is_refused() {
    let with = |more: &str| SMALL.replace("[expect]", &format!("{more}\n\n[expect]"));
    refused(&with("[quorums]\nboth = { at-least = 1 }"), "11:8", "{A1} and phase-2 quorum {A2}");
    refused(&with("[quorums]\nboth = { at-least = 9 }"), "11:8", "not even all acceptors");
    refused(&with("[quorums]\nphase1 = \"majority\""), "11:10", "needs either `both`");
    refused(&with("[quorums]\nboth = { listed = [[0, 1]] }"), "11:8", "there is no acceptor 0");
    refused(&with("[quorums]\nboth = { listed = [[1, 17]] }"), "11:8", "there is no acceptor 17");
    refused(&with("[faults]\ncrash = [\"A9\"]"), "11:9", "there is no \"A9\"");
    refused(&with("[check]\nclaims = [\"P3\"]"), "11:10", "no claim is named \"P3\"");
    refused(&with("[check]\nwitnesses = [\"luck\"]"), "11:13", "no witness is named \"luck\"");
    let property = |claim: &str| SMALL.replace("\"holds\"", &format!("\"violated\"\n{claim}"));
    refused(&property(""), "11:11", "must name the property");
    refused(&property("property = \"P9\""), "12:12", "not among the claims");
}

#[test]
fn quorums_that_do_not_meet_can_be_forced() {
    let text = SMALL.replace("[expect]", "[quorums]\nboth = { at-least = 1 }\nforced = true\n\n[expect]");
    assert_eq!(check_text(&text, &[]).status, 0, "with one proposer even these do no harm");
}

#[test]
fn every_expectation_bites() {
    let ran = check_text(SMALL, &["--format", "json"]);
    let count = |key: &str| -> u64 {
        let after = ran.out.split(&format!("\"{key}\":")).nth(1).expect("the key is printed");
        after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
    };
    for key in ["unique_states", "generated_states", "depth"] {
        let right = format!("{SMALL}{key} = {}\n", count(key));
        assert_eq!(check_text(&right, &[]).status, 0, "{key} as counted");
        let wrong = check_text(&format!("{SMALL}{key} = {}\n", count(key) + 1), &[]);
        assert_eq!(wrong.status, 1, "{key} one more");
        assert!(wrong.out.contains(&format!("{key} = {}, expected", count(key))), "{}", wrong.out);
    }
    let wrong = check_text(&SMALL.replace("\"holds\"", "\"violated\"\nproperty = \"P2b\""), &[]);
    assert_eq!(wrong.status, 1);
    assert!(
        wrong.out.contains("verdict is holds") && wrong.out.contains("P2b does not fall"),
        "{}",
        wrong.out
    );
    let wrong = check_text(&SMALL.replace("\"holds\"", "\"holds-within-bound\""), &[]);
    assert!(wrong.status == 1 && wrong.out.contains("expected holds-within-bound"), "{}", wrong.out);
}

#[test]
fn a_mutant_must_fall_by_the_property_and_in_the_steps_that_its_file_names() {
    let mutant = SMALL
        .replace("about", "mutant = \"rejects-first\"\nabout")
        .replace("\"holds\"", "\"violated\"\nproperty = \"P1\"");
    assert_eq!(check_text(&mutant, &[]).status, 0);
    let steps = check_text(&format!("{mutant}steps = 99\n"), &[]);
    assert!(steps.status == 1 && steps.out.contains("expected 99"), "{}", steps.out);
    let survived = check_text(&mutant.replace("\"P1\"", "\"P2\""), &[]);
    assert!(survived.status == 1 && survived.out.contains("P2 does not fall"), "{}", survived.out);
}

#[test]
fn a_hard_case_that_is_never_reached_makes_a_model_vacuous() {
    let text = SMALL.replace("[expect]", "[check]\nwitnesses = [\"raced\"]\n\n[expect]");
    let ran = check_text(&text, &[]);
    assert!(ran.status == 1 && ran.out.contains("vacuous: never reached: raced"), "{}", ran.out);
    let text = SMALL.replace("[expect]", "[check]\nnever = [\"chosen\"]\n\n[expect]");
    let ran = check_text(&text, &[]);
    assert!(
        ran.status == 1
            && ran.out.contains("verdict is violated (never chosen: a value was chosen was reached)"),
        "{}",
        ran.out
    );
}

#[test]
fn running_out_is_status_3_with_partial_figures_and_never_a_pass() {
    for budget in [["--time", "1ms"], ["--memory", "1MiB"]] {
        let ran =
            run(&[&["check", "acceptors/three-three-proposers", "--format", "json"], &budget[..]].concat());
        assert_eq!(ran.status, 3, "{budget:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.out.contains("\"verdict\":\"incomplete\"") && ran.out.contains("\"ok\":false"),
            "{}",
            ran.out
        );
        assert!(ran.out.contains("\"incomplete\":1"), "{}", ran.out);
        assert!(!ran.out.contains("\"unique_states\":0,"), "{budget:?} leaves partial figures: {}", ran.out);
    }
}

/// P1 never falls for this mutant, other claims do early, and the search is cut before all is explored.
#[test]
fn a_search_cut_before_the_named_claim_is_decided_has_no_verdict() {
    let text = SMALL
        .replace("about", "mutant = \"accepts-below-promise\"\nabout")
        .replace("proposers = 1", "proposers = 3")
        .replace("[\"x\"]", "[\"x\", \"y\", \"z\"]")
        .replace("\"holds\"", "\"violated\"\nproperty = \"P1\"");
    let ran = check_text(&text, &["--memory", "32MiB"]);
    assert_eq!(ran.status, 3, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("search was cut before P1 was decided"), "{}", ran.out);
}

#[test]
fn json_keeps_to_the_contract() {
    let ran = run(&["check", "--filter", "mutants/any-value", "--format", "json"]);
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let [model, summary] = lines.as_slice() else { panic!("a model and a summary: {}", ran.out) };
    for key in [
        "model",
        "expected",
        "verdict",
        "ok",
        "properties",
        "unique_states",
        "generated_states",
        "depth",
        "missed_state_odds",
        "seconds",
        "peak_memory_bytes",
    ] {
        assert!(model.get(key).is_some(), "{key} in {model}");
    }
    assert_eq!(model["verdict"], "violated");
    assert_eq!(model["ok"], true);
    assert_eq!(model["properties"]["P2b"], "violated");
    for key in ["models", "ok", "failed", "incomplete", "seconds"] {
        assert!(summary["summary"].get(key).is_some(), "{key} in {summary}");
    }
}

#[test]
fn what_is_missing_or_misspelt_is_status_2() {
    for args in [
        &["check", "no/such/model"][..],
        &["check", "--filter", "no such name"],
        &["check", "--time", "soon"],
        &["check", "--threads", "0"],
        &["check", "--memory", "lots"],
        &["chek"],
        &["trace", "show", "no.trace"],
        &["explore", "no/such/model"],
        &["explore", "acceptors/three", "--listen", "nowhere"],
    ] {
        let ran = run(args);
        assert_eq!(ran.status, 2, "{args:?}: {}{}", ran.out, ran.err);
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked at"), "{args:?}: {}", ran.err);
    }
}

#[test]
fn what_cannot_be_read_is_said_in_plain_words() {
    for (args, says) in [
        (&["check", "--threads", "many"][..], "must be a whole number from 1 to 256"),
        (&["check", "--threads", "0"], "must be a whole number from 1 to 256"),
        (&["check", "--time", "10"], "such as 500ms, 90s or 10m"),
        (&["check", "--memory", "lots"], "such as 512MiB or 8GiB"),
        (&["explore", "acceptors/three", "--listen", "nowhere"], "such as 127.0.0.1:3000"),
        (&["serve", "--id", "one"], "must be a whole number from 0"),
        (&["serve", "-1x"], "unexpected argument"),
    ] {
        let ran = run(args);
        assert_eq!(ran.status, 2, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("digit") && !ran.err.contains("syntax"), "{args:?}: {}", ran.err);
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (text, says) in
        [("cluster = 3", "the number 3; it must be a text"), ("clster = \"x\"", "there is no `clster` here")]
    {
        fs::write(folder.path().join("cluster.toml"), text).expect("a file can be written");
        let ran = run_in(folder.path(), &["serve", "--id", "1"]);
        assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("cluster.toml:1:") && ran.err.contains(says), "{}", ran.err);
    }
}

#[test]
fn a_tier_selects_among_the_models_that_are_named() {
    let listed = |args: &[&str]| run(&[&["list"], args].concat()).out;
    let all = listed(&["crash"]);
    let fast = listed(&["crash", "--tier", "fast"]);
    assert!(all.contains("crash/anyone") && all.lines().count() > fast.lines().count(), "{all}{fast}");
    assert!(!fast.contains("  full") && !fast.contains("nightly"), "{fast}");
    let none = run(&["check", "models/crash/server.toml", "--tier", "fast", "--filter", "no such"]);
    assert!(none.status == 2 && none.err.contains("up to the tier fast"), "{}", none.err);
}

#[test]
fn the_trace_of_a_model_of_ones_own_can_be_seen() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let below = folder.path().join("below");
    fs::create_dir_all(&below).expect("a folder can be made");
    let mutant = SMALL.replace("about", "mutant = \"rejects-first\"\nabout");
    for file in ["my.toml", "below/my.toml"] {
        fs::write(folder.path().join(file), &mutant).expect("a file can be written");
    }
    let ran = run_in(
        &below,
        &["check", "./my.toml", "my.toml", "../my.toml", "--report", "out", "--format", "json"],
    );
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    let written = fs::read_dir(below.join("out")).expect("the report");
    let mut written: Vec<String> =
        written.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    written.sort();
    let expected =
        ["index.html", "my-2.html", "my-2.trace", "my-3.html", "my-3.trace", "my.html", "my.trace"];
    assert_eq!(written, expected);
    assert!(ran.out.contains("\"steps\":"), "{}", ran.out);
}

#[test]
fn when_only_figures_differ_the_summary_says_so() {
    let counts = format!("{SMALL}depth = 999\n");
    let ran = check_text(&counts, &[]);
    assert!(ran.status == 1 && ran.out.contains("1 of the 1 failed: only figures differ"), "{}", ran.out);
    let json = check_text(&counts, &["--format", "json"]);
    assert!(json.out.contains("\"only_figures_differ\":true"), "{}", json.out);
    let verdict = check_text(&counts.replace("\"holds\"", "\"holds-within-bound\""), &[]);
    assert!(verdict.status == 1 && !verdict.out.contains("only figures"), "{}", verdict.out);
}

#[test]
fn claims_that_were_not_put_to_the_test_are_named() {
    let ran = check_text(SMALL, &[]);
    assert!(ran.out.contains("holds (exhausted); untested: P2 P2a P2b V2 V3"), "{}", ran.out);
    let json = check_text(SMALL, &["--format", "json"]);
    assert!(json.out.contains("\"P2\":\"hollow\"") && json.out.contains("\"W1\":\"hollow\""), "{}", json.out);
    let vacuous = check_text(&SMALL.replace("[expect]", "[bounds]\ndepth = 2\n\n[expect]"), &[]);
    assert!(vacuous.status == 1 && vacuous.out.contains("no claim was put to the test"), "{}", vacuous.out);
}

/// In an address space that is much too small: the limit that nobody gave is kept all the same.
#[test]
fn memory_is_limited_where_nobody_says_so_and_what_is_missing_is_named() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let model = SMALL
        .replace("proposers = 1", "proposers = 2\nretry = \"on-timeout\"")
        .replace("[\"x\"]", "[\"x\", \"y\"]");
    fs::write(folder.path().join("model.toml"), model).expect("a file can be written");
    let limited = "ulimit -v 600000 && exec \"$0\" check model.toml --threads 2";
    let ran = std::process::Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_synod")])
        .current_dir(folder.path())
        .output()
        .expect("a shell");
    let out = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(3), "{out}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(out.contains("memory ran out; a proposer retries without a bound: set rounds"), "{out}");
}

#[test]
fn help_and_version_are_there() {
    let help = run(&["--help"]);
    assert!(help.status == 0 && help.out.contains("Examples:") && help.out.contains("Exit status"));
    assert!(run(&["check", "--help"]).out.contains("Examples:"));
    assert!(run(&["--version"]).out.starts_with("synod 0."));
}

#[test]
fn the_other_formats_name_what_failed() {
    let wrong = SMALL.replace("\"holds\"", "\"holds\"\ndepth = 999");
    let junit = check_text(&wrong, &["--format", "junit"]);
    assert!(junit.out.contains("failures=\"1\"") && junit.out.contains("<failure message="), "{}", junit.out);
    let github = check_text(&wrong, &["--format", "github"]);
    assert!(github.out.contains("::error title=model.toml::depth = "), "{}", github.out);
    assert_eq!((junit.status, github.status), (1, 1));
}

#[test]
fn a_report_holds_the_table_failures_first_and_for_each_counterexample_its_trace_and_its_picture() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let wrong =
        SMALL.replace("about = \"", "about = \"<b>Wrong</b> ").replace("\"holds\"", "\"holds\"\ndepth = 999");
    fs::write(folder.path().join("wrong.toml"), wrong).expect("a file can be written");
    let asked = ["check", "mutants/any-value", "wrong.toml", "--report", "out", "--format", "json"];
    let ran = run_in(folder.path(), &asked);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    let page = fs::read_to_string(folder.path().join("out/index.html")).expect("the page is written");
    let link =
        page.find("<a href=\"mutants.any-value.html\">as expected: P2b").expect("the row leads to its run");
    let failure = page.find("depth = ").expect("what was not as expected");
    assert!(failure < link, "failures come first: {page}");
    assert!(page.contains("&lt;b&gt;Wrong&lt;/b&gt;") && page.contains("name=\"viewport\""), "{page}");
    let run = fs::read_to_string(folder.path().join("out/mutants.any-value.html")).expect("its page");
    assert!(run.contains("<svg") && run.contains("href=\"mutants.any-value.trace\""), "{run}");
    assert!(run.contains("deliver C1 -&gt; P1  Request(x)"), "{run}");
    assert!(ran.out.contains("\"trace\":\"out"), "{}", ran.out);
    trace_commands(folder.path(), "out/mutants.any-value.trace");
}

#[test]
fn a_model_stands_for_the_run_in_it() {
    let show = run(&["trace", "show", "scenarios/d5-takeover"]);
    assert!(show.status == 0 && show.out.contains("Accept(1.2, #141, \"3.1 next\")"), "{}", show.out);
    let diagram = run(&["trace", "diagram", "scenarios/d5-takeover"]);
    assert!(diagram.status == 0 && diagram.out.starts_with("<svg"), "{}", diagram.out);
    let lasso = run(&["trace", "replay", "liveness/duel"]);
    assert!(
        lasso.status == 0 && lasso.out.contains("falls, as the trace says"),
        "{}{}",
        lasso.out,
        lasso.err
    );
    let none = run(&["trace", "show", "acceptors/two"]);
    assert!(none.status == 2 && none.err.contains("there is no run in this model"), "{}", none.err);
}

/// A trace can be shown, replayed, drawn and turned into a test.
fn trace_commands(folder: &Path, file: &str) {
    let show = run_in(folder, &["trace", "show", file]);
    assert!(show.status == 0 && show.out.contains("deliver C1 -> P1  Request(x)"), "{}", show.out);
    let replay = run_in(folder, &["trace", "replay", file]);
    assert!(replay.status == 0 && replay.out.contains("P2b falls, as the trace says"), "{}", replay.out);
    let diagram = run_in(folder, &["trace", "diagram", file]);
    assert!(
        diagram.out.trim_end().ends_with("</svg>") && diagram.out.contains("Promise(1.1"),
        "{}",
        diagram.out
    );
    let test = run_in(folder, &["trace", "test", file]);
    let kept = include_str!("regressions.rs");
    assert!(kept.ends_with(&test.out), "tests/regressions.rs holds what is printed: {}", test.out);

    let text = fs::read_to_string(folder.join(file)).expect("it was just read");
    let wrong = |name: &str, text: String, status: i32, says: &str| {
        fs::write(folder.join(name), text).expect("a file can be written");
        let ran = run_in(folder, &["trace", "replay", name]);
        assert_eq!(ran.status, status, "{}{}", ran.out, ran.err);
        assert!(format!("{}{}", ran.out, ran.err).contains(says), "{}{}", ran.out, ran.err);
    };
    wrong("nameless.trace", text.replace("# model:", "# modl:"), 2, "names no model");
    // The real processes can take the very same steps, and nothing falls.
    let real = text.replace("mutants/any-value", "acceptors/three-two-proposers");
    wrong("real.trace", real, 1, "P2b does not fall");
    let elsewhere = text.replace("mutants/any-value", "acceptors/three");
    wrong("elsewhere.trace", elsewhere, 2, "not possible here: deliver C2 -> P2 Request(y)");
    let last = text.trim_end().rfind('\n').expect("many lines");
    wrong("short.trace", text[..last].to_owned(), 1, "does not fall, though the trace says so");
    wrong("bad.trace", format!("{text}fly A1 to the moon\n"), 2, "fly");
}
