//! Writes `proofs-notes/learning.md`: what each way of learning costs in messages, counted in runs, and what a failure
//! does to it, as models of the catalogue show.
//!
//! `cargo run --release -p synod-model --example learning`; with `--check` it writes nothing and fails if the file is
//! not what the runs say.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use synod::Msg;
use synod_explore::ActionOf;
use synod_explore::walk::walk_by;
use synod_model::{Built, Model, find};

/// A way of learning, as a model file says it, and the models that show what a failure does to it.
const WAYS: [(&str, &str, &str, &[&str]); 4] = [
    (
        "every acceptor tells every learner",
        "\"everyone\"",
        "a learner that is down harms nobody else",
        &["learning/everyone-learner-down"],
    ),
    (
        "one distinguished learner informs the rest",
        "{ distinguished = [1] }",
        "while it is down nobody learns, though values are chosen",
        &["learning/distinguished-down"],
    ),
    (
        "two distinguished learners inform the rest",
        "{ distinguished = [1, 2] }",
        "with one of them down the rest still learn",
        &["learning/distinguished-set-one-down"],
    ),
    (
        "the proposer announces the choice",
        "\"proposer\"",
        "a crash of the proposer before it announces leaves learners ignorant until another ballot; never a wrong value",
        &["learning/proposer-down-later"],
    ),
];

fn main() -> ExitCode {
    let mut text = HEAD.to_owned();
    for (way, learning, failure, models) in WAYS {
        let mut shown = models.iter().map(|name| {
            let model = find(name).expect("a model of the catalogue");
            format!("`{name}`: {}", model.file.expect.verdict)
        });
        let cells: Vec<String> = [3, 5].into_iter().map(|acceptors| counts(acceptors, learning)).collect();
        let shown = shown.by_ref().collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| {way} | {} | {failure} ({shown}) |", cells.join(" | "));
    }
    text.push_str(TAIL);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proofs-notes/learning.md");
    if std::env::args().any(|argument| argument == "--check") {
        let same = std::fs::read_to_string(&file).is_ok_and(|there| there == text);
        if !same {
            eprintln!("proofs-notes/learning.md is not what the runs say; run the example without --check");
        }
        return if same { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match std::fs::write(&file, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

/// One failure-free run to its end, every message delivered: who was told how often.
fn counts(acceptors: usize, learning: &str) -> String {
    let model = format!(
        "about = \"\"\ntier = \"fast\"\n[system]\nlayout = \"separate\"\nacceptors = {acceptors}\nproposers = 1\n\
         learners = 3\nvalues = [\"x\"]\nlearning = {learning}\n[network]\ndelivery = \"ordered\"\n\
         [expect]\nverdict = \"holds\"\n"
    );
    let model = Model::read("learning", &model).expect("written just above");
    let Built::Plain(system) = model.build() else { unreachable!("there is no mutant in it") };
    let run = walk_by(&system, |_| 0, 1_000);
    assert!(!run.failed(), "{:?}", run.violation);
    let proposer = acceptors;
    let mut to_learners = 0;
    let mut to_proposer = 0;
    for action in &run.actions {
        if let ActionOf::Deliver { dst, msg: Msg::Accepted { .. } | Msg::Chosen { .. }, .. } = action {
            *if usize::from(*dst) == proposer { &mut to_proposer } else { &mut to_learners } += 1;
        }
    }
    format!("{to_learners} + {to_proposer}")
}

const HEAD: &str = "# Four ways to learn (PMS §2.3)\n\n\
All are configuration of one learner. Counted in one failure-free run each, every message delivered: messages to the three learners\n\
(Accepted and Chosen), plus the Accepted that acceptors send to the proposer. Written by\n\
`cargo run --release -p synod-model --example learning`; `.ci/run` compares.\n\n\
| way | 3 acceptors | 5 acceptors | what a failure does |\n|---|---:|---:|---|\n";

const TAIL: &str = "\n\
The seed notes ask why the proposer does not announce the choice itself. It may: it is the cheapest way, and safe. But it is\n\
one process, which knows only of its own ballot: when it fails after the choice, nobody is told until somebody runs another ballot, while\n\
learners who hear from the acceptors need no proposer at all.\n";
