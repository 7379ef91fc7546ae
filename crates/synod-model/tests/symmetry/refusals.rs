//! A model that declares processes alike that are not is refused at that place, with the reason.

use synod_model::{Model, ModelFile};

const SYSTEM: &str = r#"[system]
layout = "separate"
acceptors = 4
proposers = 1
learners = 2
values = ["x"]"#;

/// Reads a model that declares a symmetry in its tenth line, and puts a few more tables below.
fn read(system: &str, symmetry: &str, rest: &str) -> Result<Model, String> {
    let text = format!(
        "about = \"\"\ntier = \"fast\"\n{system}\n[reduce]\nsymmetry = {symmetry}\n{rest}\n[expect]\nverdict = \"holds\"\n"
    );
    Model::read("m", &text).map_err(|error| error.to_string())
}

/// The reason for which a model is refused.
fn refusal(symmetry: &str, rest: &str) -> String {
    read(SYSTEM, symmetry, rest).err().unwrap_or_default()
}

const ACCEPTORS: &str = r#"["acceptors"]"#;

#[test]
fn what_is_alike_is_let_through() {
    for rest in [
        "",
        "[faults]\ncrash = [\"acceptors\"]",
        "[faults]\ncrash = [\"A4\", \"A3\", \"A2\", \"A1\", \"P1\"]",
        "[quorums]\nboth.weighted = { weights = [2, 2, 2, 2], at_least = 6 }",
        "[quorums]\nboth.listed = [[1, 2, 3], [1, 2, 4], [1, 3, 4], [2, 3, 4]]",
        "[quorums]\nphase1.at-least = 3\nphase2.at-least = 2",
        "[quorums]\nboth.fraction = [3, 4]",
    ] {
        let model = read(SYSTEM, r#"["acceptors", "learners"]"#, rest);
        assert!(model.as_ref().is_ok_and(Model::reduces), "{rest}: {:?}", model.err());
    }
    let dead = |file: &ModelFile| file.reduce.dead_messages;
    assert!(!dead(&read(SYSTEM, "[]", "").expect("nobody is alike").file));
    let model = read(SYSTEM, "[]", "dead-messages = true").expect("messages may go");
    assert!(dead(&model.file) && model.reduces());
}

#[test]
fn what_is_not_alike_is_refused_at_its_place() {
    for (symmetry, rest, why) in [
        (
            ACCEPTORS,
            "dead-messages = true",
            "not together with dead-messages: what one process may leave out would have to be checked on all that are like it",
        ),
        (
            r#"["proposers"]"#,
            "",
            "ballots order proposers by their numbers, so that two proposers cannot change places",
        ),
        (
            r#"["clients"]"#,
            "",
            "each client asks for a value of its own, so that two clients cannot change places",
        ),
        (r#"["A1", "A2"]"#, "", "\"A1\" is no group of processes; there are acceptors and learners"),
        (r#"["acceptors", "acceptors"]"#, "", "acceptors stands there twice"),
        (
            ACCEPTORS,
            "[faults]\ncrash = [\"A1\", \"A2\"]",
            "`crash` in [faults] names some of the acceptors and not the others, which cannot take their places",
        ),
        (
            ACCEPTORS,
            "[faults]\ndown = [\"A4\"]",
            "`down` in [faults] names some of the acceptors and not the others, which cannot take their places",
        ),
        (
            r#"["learners"]"#,
            "[faults]\ncrash = [\"L1\"]",
            "`crash` in [faults] names some of the learners and not the others, which cannot take their places",
        ),
        (
            ACCEPTORS,
            "[quorums]\nboth.weighted = { weights = [3, 1, 1, 1], at_least = 4 }",
            "quorums tell acceptors apart: {A1,A3} is a phase-1 quorum, and {A2,A3}, with A1 and A2 in each other's \
             place, is none",
        ),
        (
            ACCEPTORS,
            "[quorums]\nphase1.row.columns = 2\nphase2.column.columns = 2",
            "quorums tell acceptors apart: {A1,A2} is a phase-1 quorum, and {A1,A3}, with A2 and A3 in each other's \
             place, is none",
        ),
        (
            ACCEPTORS,
            "[quorums]\nphase1.at-least = 4\nphase2.listed = [[1, 2]]",
            "quorums tell acceptors apart: {A1,A2} is a phase-2 quorum, and {A1,A3}, with A2 and A3 in each other's \
             place, is none",
        ),
    ] {
        assert_eq!(refusal(symmetry, rest), format!("m:10:12: symmetry: {why}"), "{symmetry} {rest}");
    }
}

#[test]
fn some_systems_have_nobody_alike() {
    let co_located = "[system]\nlayout = \"co-located\"\nacceptors = 3\nvalues = [\"x\"]\n\n";
    for group in ["acceptors", "servers", "learners"] {
        let error = read(co_located, &format!("[{group:?}]"), "").err();
        let why = "m:10:12: symmetry: a server is a proposer too, and ballots order proposers by their numbers, so that \
                   two servers cannot change places; leave it out in the co-located layout";
        assert_eq!(error.as_deref(), Some(why));
    }
    let with = |learning: &str| SYSTEM.replace("learners = 2\n", &format!("learners = {learning}\n"));
    for (learners, why) in [
        ("0", "m:10:12: symmetry: there are no learners in this system"),
        (
            "2\nlearning.distinguished = [1]",
            "m:11:12: symmetry: distinguished learners learn from acceptors and the others from them, so that they \
             cannot change places",
        ),
    ] {
        let error = read(&with(learners), r#"["learners"]"#, "").err();
        assert_eq!(error.as_deref(), Some(why));
    }
    assert!(read(&with("2\nlearning = \"proposer\""), r#"["learners"]"#, "").is_ok());
    assert!(read(&with("2\nlearning.distinguished = [1]"), ACCEPTORS, "").is_ok());
}

#[test]
fn a_mutant_that_prefers_some_acceptors_is_refused() {
    for mutant in ["counts-promises", "learns-by-messages", "announces-first", "announces-by-messages"] {
        let error = read(&format!("mutant = {mutant:?}\n{SYSTEM}"), ACCEPTORS, "").err();
        let why = format!(
            "m:11:12: symmetry: the mutant {mutant:?} counts the first acceptors for others, so that they cannot change \
             places with later ones"
        );
        assert_eq!(error, Some(why));
    }
}
