//! Every lasso of the catalogue, run again through the actors; and what each model that must fail lacks, and nothing else.

use synod_explore::trace::{TraceText, parse};
use synod_explore::{Observer, Subject, System};
use synod_model::{Built, Model, catalogue, find, replay};

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
            Built::Mutant(system) => comes_back(&system, &trace),
        };
        assert!(same, "{}", model.name);
        // This also asks every fairness condition again, in every state and step of the cycle.
        let again = replay(&model, &text).expect("it is a fair cycle");
        let wanted = model.file.expect.property.as_deref();
        let fallen =
            again.judged.iter().find(|(_, name, status, _)| *status == "violated" && Some(*name) == wanted);
        assert!(fallen.is_some(), "{}: {:?}", model.name, again.judged);
        assert_eq!(again.text.lines().filter(|line| *line == "cycle").count(), 1);
        names.push(model.name);
    }
    assert_eq!(
        names,
        ["duel", "without-answered", "without-asked", "without-patient", "without-retries"]
            .map(|name| format!("liveness/{name}"))
    );
}

#[test]
fn a_lasso_that_was_tampered_with_is_refused() {
    let (model, text) = with_a_lasso().swap_remove(0);
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
    ] {
        let read = |name: &str| find(&format!("liveness/{name}")).expect("it is in the catalogue");
        let (twin, base) = (read(name), read(base));
        assert!(twin.text.lines().any(|line| line == lacks), "{name}");
        // In the duel messages are assumed to arrive for both, which only makes it harder to fail.
        let more = r#"served = ["P1", "P2"]"#;
        assert_eq!(essence(&twin, &[lacks, more]), essence(&base, &[]), "{name}");
        assert_eq!(twin.file.expect.verdict, "violated");
        assert!(base.file.expect.verdict.starts_with("holds"));
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
fn tried<A: Subject>(state: &synod_explore::State<A, synod_model::Ghost>, proposer: usize) -> u64
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
    let (Built::Mutant(lowered), proposer) = (model.build(), 2) else { unreachable!("ballots are lowered") };
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
