//! Every lasso of the catalogue, run again through the actors; and what each model that must fail lacks, and nothing else.

use crate::synod::run_in;
use synod_explore::trace::{TraceText, parse};
use synod_explore::{Observer, Status, Subject, System};
use synod_model::{Built, Model, Verdict, catalogue, find, replay};

fn with_a_lasso() -> Vec<(Model, String)> {
    let models = catalogue().into_iter().filter_map(|model| {
        let lasso = model.file.expect.lasso.clone()?;
        Some((model, format!("# synod trace 1\n{lasso}")))
    });
    models.collect()
}

/// Runs a trace again: the states in which its cycle begins and ends are one.
fn comes_back<A: Subject, O: Observer<A>>(system: &System<A, O>, text: &TraceText) -> bool {
    let run = text.resolve(system).expect("every step is possible, and the cycle is one");
    let entry = run.cycle.expect("there is a cycle");
    run.states.last() == run.states.get(entry)
}

#[test]
fn every_lasso_is_a_fair_cycle_of_the_actors() {
    let mut names = Vec::new();
    for (model, text) in with_a_lasso() {
        let trace = parse(&text).expect("a trace");
        let same = match model.build() {
            Built::Plain(system) => comes_back(&system, &trace),
            Built::Decorated(system) => comes_back(&system, &trace),
            Built::Timed(system) => comes_back(&system, &trace),
            Built::Admission(_) | Built::Clock(_) | Built::Master(_) => unreachable!("it has no liveness"),
        };
        assert!(same, "{}", model.name);
        // This also asks every fairness condition again, in every state and step of the cycle.
        let again = replay(&model, &text).expect("it is a fair cycle");
        let wanted = model.file.expect.property.as_deref();
        let fallen = again
            .judged
            .iter()
            .find(|(_, name, status, _)| *status == Status::Violated && Some(*name) == wanted);
        assert!(fallen.is_some(), "{}: {:?}", model.name, again.judged);
        assert_eq!(again.text.lines().filter(|line| *line == "cycle").count(), 1);
        names.push(model.name);
    }
    let expected = [
        "begins-as-follower",
        "drops-questions",
        "duel",
        "elected-inaccurate",
        "elected-unheard",
        "fills-nothing",
        "holds-off-for-ever",
        "log-busy-asked-once",
        "log-command-unanswered",
        "log-command-unasked",
        "log-command-without-retries",
        "log-crash-unsuspected",
        "log-deaf-unbacked",
        "log-elected-inaccurate",
        "log-elected-unheard",
        "log-question-unanswered",
        "log-takes-nothing-over",
        "members-add-unanswered",
        "members-remove-without-retries",
        "never-doubts-itself",
        "never-follows",
        "never-suspects",
        "never-trusts-again",
        "refuses-silently",
        "sends-once",
        "takeover-asked-once",
        "takeover-unsuspected",
        "takes-nothing-over",
        "without-answered",
        "without-asked",
        "without-patient",
        "without-retries",
    ];
    let mut wanted = expected.map(|name| format!("liveness/{name}")).to_vec();
    wanted.push("timed/gate-stops".to_owned());
    assert_eq!(names, wanted);
}

#[test]
fn a_lasso_that_was_tampered_with_is_refused() {
    let duel = with_a_lasso().into_iter().find(|(model, _)| model.name == "liveness/duel");
    let (model, text) = duel.expect("it is in the catalogue");
    let lines: Vec<&str> = text.lines().collect();
    let short = lines[..lines.len() - 1].join("\n");
    let error = replay(&model, &short).err().expect("it does not come back");
    assert!(error.contains("the cycle does not come back"), "{error}");
    // The same run with nothing in its cycle: to stand still is not fair where messages are to arrive.
    let still = format!(
        "{}\ncycle\n",
        lines.iter().filter(|line| **line != "cycle").copied().collect::<Vec<_>>().join("\n")
    );
    let error = replay(&model, &still).err().expect("it is not fair");
    assert!(error.starts_with("the cycle is not fair: "), "{error}");
}

/// A model file without what is said about it, what must come out, and one line.
fn essence(model: &Model, without: &[&str]) -> Vec<String> {
    let text = model.text.split("[expect]").next().unwrap_or_default();
    let said = |line: &&str| ["about", "spec", "tier"].iter().any(|key| line.starts_with(key));
    let lines = text.lines().filter(|line| !line.is_empty() && !said(line) && !without.contains(line));
    lines.map(str::to_owned).collect()
}

#[test]
fn each_model_that_must_fail_lacks_one_assumption_and_nothing_else() {
    for (name, base, lacks) in [
        ("duel", "duel-one-stops", "alone = false"),
        ("without-retries", "timer", "retries = false"),
        ("without-asked", "timer", "asked = false"),
        ("without-answered", "timer", "answered = false"),
        ("without-patient", "timer", "patient = false"),
        ("elected-inaccurate", "elected", "accurate = false"),
        ("elected-unheard", "elected", "beats = false"),
        ("takeover-unsuspected", "takeover", "complete = false"),
        ("log-command-unanswered", "log-command", "answered = false"),
        ("log-command-unasked", "log-command", "asked = false"),
        ("log-command-without-retries", "log-command", "retries = false"),
        ("log-question-unanswered", "log-question", "answered = false"),
        ("log-elected-inaccurate", "log-elected", "accurate = false"),
        ("log-elected-unheard", "log-elected", "beats = false"),
        ("log-crash-unsuspected", "log-crash", "complete = false"),
        ("log-takes-nothing-over", "log-elected", "mutant = \"takes-nothing-over\""),
        ("sends-once", "log-command", "mutant = \"sends-once\""),
        ("refuses-silently", "log-overtaken", "mutant = \"refuses-silently\""),
        ("never-doubts-itself", "log-deaf", "mutant = \"never-doubts-itself\""),
        ("begins-as-follower", "elected", "mutant = \"begins-as-follower\""),
        ("takes-nothing-over", "elected", "mutant = \"takes-nothing-over\""),
        ("never-trusts-again", "elected", "mutant = \"never-trusts-again\""),
    ] {
        let read = |name: &str| find(&format!("liveness/{name}")).expect("it is in the catalogue");
        let (twin, base) = (read(name), read(base));
        assert!(twin.text.lines().any(|line| line == lacks), "{name}");
        // In the duel messages are assumed to arrive for both, which only makes it harder to fail.
        let more = r#"served = ["P1", "P2"]"#;
        assert_eq!(essence(&twin, &[lacks, more]), essence(&base, &[]), "{name}");
        assert_eq!(twin.file.expect.verdict, Verdict::Violated);
        assert!(base.file.expect.verdict.holds());
    }
}

/// A line of a trace with every ballot so many rounds higher.
fn raised(line: &str, by: u64) -> String {
    let mut raised = String::new();
    let mut digits = String::new();
    for c in line.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        // A round stands before the point of its ballot; whatever other numbers there are stand for themselves.
        match (c, digits.parse::<u64>()) {
            ('.', Ok(round)) => raised.push_str(&(round + by).to_string()),
            _ => raised.push_str(&digits),
        }
        digits.clear();
        raised.push(c);
    }
    raised + &digits
}

/// The highest round that the first proposer tried, in a state of either kind of system.
fn tried<A>(state: &synod_explore::State<A, synod_model::Ghost>, proposer: usize) -> u64
where
    A: Subject<Msg = synod::Msg>,
    A::State: synod_model::Inside,
{
    use synod_model::Inside;
    let state = state.locals[proposer].state.as_deref().expect("it is up");
    state.inside().proposer().expect("it is one").tried
}

/// Where ballots are lowered so that a cycle can be one, the run itself goes on with ever higher ones: three turns of the duel by
/// the processes as they are, with no bound and nothing forgotten, and still nothing is chosen.
#[test]
fn the_duel_goes_on_among_the_processes_as_they_are() {
    let model = find("liveness/duel").expect("it is in the catalogue");
    let (Built::Decorated(lowered), proposer) = (model.build(), 2) else {
        unreachable!("ballots are lowered")
    };
    let lasso = model.file.expect.lasso.as_deref().expect("it falls");
    let run = parse(&format!("# synod trace 1\n{lasso}")).expect("a trace").resolve(&lowered).expect("a run");
    let entry = run.cycle.expect("there is a cycle");
    let plain =
        model.text.replace("live_ballots = 3", "").split("[liveness]").next().unwrap_or_default().to_owned();
    let plain = Model::read("plain", &format!("{plain}[expect]\nverdict = \"holds\"\n")).expect("a model");
    let Built::Plain(system) = plain.build() else { unreachable!("nothing is broken") };
    let mut state = system.initial();
    let turns = (0..3).flat_map(|_| entry..run.actions.len());
    for at in (0..entry).chain(turns) {
        let by = tried(&state, proposer).saturating_sub(tried(&run.states[at], proposer));
        let wanted = raised(&synod_explore::trace::line_of(&lowered, &run.actions[at]), by);
        let line = |action: &_| synod_explore::trace::line_of(&system, action);
        let action = system.possible(&state).into_iter().find(|action| line(action) == wanted);
        let action = action.unwrap_or_else(|| panic!("not possible: {wanted}"));
        state = system.step(&state, &action).expect("it is not ignored");
    }
    assert!(tried(&state, proposer) >= 7, "round {}", tried(&state, proposer));
    assert_eq!(state.history.chosen(&plain.cluster.quorums).count(), 0);
}

#[test]
fn a_lasso_can_be_shown_replayed_drawn_and_turned_into_a_test() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let run = |args: &[&str]| run_in(folder.path(), args);
    let ran = run(&["check", "liveness/duel", "--report", "out", "--format", "json"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let line = ran.out.lines().next().expect("an object a line");
    let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
    assert_eq!(object["properties"]["eventually chosen"], "violated");
    let expect = find("liveness/duel").expect("it is in the catalogue").file.expect;
    assert_eq!(object["lasso"]["stem"].as_u64(), expect.steps.map(|steps| steps as u64));
    assert_eq!(object["lasso"]["cycle"].as_u64(), expect.cycle.map(|steps| steps as u64));
    let file = "out/liveness.duel.trace";
    let text = std::fs::read_to_string(folder.path().join(file)).expect("the trace is written");
    // Every assumption stands in it, with how the cycle meets it.
    assert!(
        text.contains(
            "# assumed: 3 what is sent to the quorum arrives [P1 -> A1 Prepare], weakly fair: taken in step"
        ),
        "{text}"
    );
    let show = run(&["trace", "show", file]);
    let bracket = show.out.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    let bracket: String = bracket.filter_map(|line| line.chars().nth(4)).collect();
    assert_eq!(bracket, "      /||||\\", "{}", show.out);
    let again = run(&["trace", "replay", file]);
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    for says in [
        "from here on for ever",
        "the last state is the one in which the cycle begins",
        "eventually chosen falls, as the trace says",
    ] {
        assert!(again.out.contains(says), "{}", again.out);
    }
    assert!(run(&["trace", "diagram", file]).out.contains("class='svg-cycle'"));
    let test = run(&["trace", "test", file]);
    assert!(test.out.contains("\ncycle\n") && test.out.contains("\"eventually chosen\""), "{}", test.out);

    let last = text.trim_end().rfind('\n').expect("many lines");
    std::fs::write(folder.path().join("short.trace"), &text[..last]).expect("a file can be written");
    let short = run(&["trace", "replay", "short.trace"]);
    assert!(
        short.status == 2 && short.err.contains("the cycle does not come back"),
        "{}{}",
        short.out,
        short.err
    );
}

#[test]
fn the_explorer_is_opened_where_the_cycle_begins_and_for_one_full_turn() {
    use std::io::{BufRead, BufReader};
    let mut explorer = crate::cluster::synod();
    explorer.args(["explore", "liveness/without-asked", "--listen", "127.0.0.1:0"]);
    explorer.stderr(std::process::Stdio::null());
    let mut explorer = explorer.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(explorer.stdout.take().expect("it speaks"));
    let mut links = Vec::new();
    for line in said.lines().map_while(Result::ok) {
        links
            .extend(line.split_once("http://").map(|(what, link)| (what.trim().to_owned(), link.to_owned())));
        if links.len() == 3 {
            break;
        }
    }
    let [(_, home), (begins, entry), (turn, full)] = links.as_slice() else { panic!("{links:?}") };
    assert_eq!((begins.as_str(), turn.as_str()), ("cycle begins:", "one full turn:"));
    explorer.kill().expect("it runs");
    explorer.wait().expect("it ends");
    assert!(home.starts_with("127.0.0.1:") && entry.contains("/#/steps/0/"), "{home} {entry}");
    // The index of each step stands in a link: that of a full turn has those of the cycle more.
    let expect = find("liveness/without-asked").expect("it is in the catalogue").file.expect;
    let steps = |link: &str| link.split_once("/steps/0/").map_or(0, |(_, steps)| steps.split('/').count());
    let (stem, cycle) = expect.steps.zip(expect.cycle).expect("it falls");
    assert_eq!((steps(entry), steps(full)), (stem, stem + cycle), "{entry} {full}");
    assert!(full.starts_with(&format!("{entry}/")), "{entry} {full}");
}

#[test]
fn a_liveness_section_that_makes_no_sense_is_refused_where_it_stands() {
    let good = find("liveness/everyone").expect("it is in the catalogue").text;
    for (from, to, says) in [
        ("\"multiset\"", "\"set\"", "never removed"),
        (
            "properties = [\"chosen\", \"learned\"]",
            "properties = [\"chased\"]",
            "no such property: \"chased\"",
        ),
        ("properties = [\"chosen\", \"learned\"]", "properties = []", "name at least one"),
        ("learners = 1", "learners = 0", "there is no learner"),
        ("[expect]", "quorum = [\"A1\"]\n[expect]", "are no quorum"),
        ("[expect]", "quorum = [\"P1\"]\n[expect]", "quorum: there is no \"P1\""),
        ("[expect]", "distinguished = \"A1\"\n[expect]", "distinguished: there is no \"A1\""),
        ("[check]", "[reduce]\nsymmetry = [\"acceptors\"]\n[check]", "fairness tells like processes apart"),
        ("[check]", "[reduce]\ndead-messages = true\n[check]", "fairness tells like processes apart"),
        ("[expect]", "patience = false\n[expect]", "there is no `patience` here"),
        ("retry = \"on-nack\"", "retry = \"on-nack\"\nresend = true", "resend: needs"),
        ("retry = \"on-nack\"", "retry = \"on-timeout\"\nnacks = false", ""),
    ] {
        let wrong = good.replace(from, to);
        assert_ne!(wrong, good, "{from}");
        let read = Model::read("test", &wrong);
        if says.is_empty() {
            assert!(read.is_ok(), "{read:?}");
            continue;
        }
        let error = read.expect_err(to).to_string();
        assert!(error.starts_with("test:") && error.contains(says), "{error}");
    }
    let elected = find("liveness/elected").expect("it is in the catalogue").text;
    let logged = find("liveness/log-command").expect("it is in the catalogue").text;
    for (good, from, to, says) in [
        (&good, "[expect]", "accurate = false\n[expect]", "accurate: there is no [election]"),
        (&good, "\"learned\"]\n\n[expect]", "\"led\"]\n\n[expect]", "led: there is no [election]"),
        (&elected, "[expect]", "alone = false\n[expect]", "who leads is elected here"),
        (&elected, "\"multiset\"", "\"ordered\"", "heartbeats would pile up"),
        (&elected, "[election]", "[election]\ndoublings = 4", "more than 3 show nothing new"),
        (&elected, "[election]", "[election]\nbacked = true", "those who elect are no acceptors"),
        (&elected, "\"chosen\", \"led\"", "\"answered\"", "answered: only who keeps a log"),
        (&logged, "alpha = 1", "alpha = 1\nhang-up = true", "leave out hang-up"),
        (&logged, "[expect]", "deaf = [\"C1\"]\n[expect]", "deaf: there is no \"C1\""),
        (&elected, "[election]", "[election]\nmembers = 3", "there is no `members` here"),
        (&elected, "retry = \"on-nack\"", "retry = \"on-timeout\"\nnacks = false", "ballots are drawn"),
    ] {
        let wrong = good.replace(from, to);
        assert_ne!(&wrong, good, "{from}");
        let error = Model::read("test", &wrong).expect_err(to).to_string();
        assert!(error.starts_with("test:") && error.contains(says), "{error}");
    }
    // Two that draw ballots at any height, for ever, could go on between two whole numbers.
    let text = good
        .replace("retry = \"on-nack\"", "retry = \"on-timeout\"\nnacks = false")
        .replace("[expect]", "alone = false\n[expect]");
    let error = Model::read("test", &text).expect_err("numbers are whole").to_string();
    assert!(error.contains("which numbers cannot"), "{error}");
}
