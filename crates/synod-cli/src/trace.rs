//! `synod trace`: a trace as text, replayed, as a Rust test, or as a picture.

use crate::args::{Show, Trace, TraceCommand, TraceFile};
use crate::output::{DIM, GREEN, RED, line, paint};
use crate::table::told;
use crate::{memory, words};
use std::fmt::Write;
use synod_explore::Status;
use synod_model::{Model, Replay, Settings, from_path, replay};

/// Runs the command.
pub fn run(args: &Trace) -> Result<u8, String> {
    match &args.what {
        TraceCommand::Show(args) => show(args),
        TraceCommand::Replay(args) => {
            let [file] = args.paths.as_slice() else { return crate::flight::run(args) };
            if crate::flight::is_flight(file) {
                return crate::flight::run(args);
            }
            let (_, replay, breaks) = open(&TraceFile { file: file.clone(), model: args.model.clone() })?;
            Ok(replayed(&replay, breaks.as_deref()))
        }
        TraceCommand::Test(file) => {
            let (model, replay, breaks) = open(file)?;
            line(&rust_test(&model, &replay, breaks.as_deref()));
            Ok(crate::status::OK)
        }
        TraceCommand::Diagram(file) => {
            line(open(file)?.1.svg.trim_end());
            Ok(crate::status::OK)
        }
    }
}

fn show(args: &Show) -> Result<u8, String> {
    let file = match args.paths.as_slice() {
        [file] if !crate::flight::is_flight(file) => {
            TraceFile { file: file.clone(), model: args.model.clone() }
        }
        _ => return crate::flight::show(args),
    };
    let only = [("--instance", args.instance.is_some()), ("--group", args.group.is_some())];
    if let Some((option, _)) = only.iter().find(|(_, is_given)| *is_given) {
        return Err(format!(
            "{}: {option} is for flight records, and this is a trace or a model",
            file.file.display()
        ));
    }
    let (_, replay, _) = open(&file)?;
    line(replay.text.trim_end());
    line("");
    line(replay.diagram.trim_end());
    Ok(crate::status::OK)
}

/// The run that a model stands for, and the property it breaks: its scenario, the lasso that it expects, or the counterexample that an
/// exploration finds.
fn run_of(model: &Model) -> Result<(String, Option<String>), String> {
    let expect = &model.file.expect;
    if let Some(scenario) = &model.file.scenario {
        return Ok((scenario.trace(), None));
    }
    if let Some(steps) = &expect.lasso {
        return Ok((format!("# synod trace 1\n{steps}"), expect.property.clone()));
    }
    let settings = Settings { memory: memory::share(1), ..Settings::default() };
    let outcome = synod_model::check(model, &settings);
    let fallen = outcome.properties.iter().filter(|found| found.status == Status::Violated);
    let names: Vec<&str> = fallen.map(|found| found.name).collect();
    let breaks = expect.property.clone().or_else(|| names.first().map(|name| (*name).to_owned()));
    let none = || {
        format!("{}: there is no run in this model, and no counterexample: {}", model.name, told(&outcome))
    };
    outcome.trace.clone().map(|text| (text, breaks)).ok_or_else(none)
}

/// Reads a trace, finds its model, and replays it: the model, the replay, and the property it says it breaks. In place of a trace, a model
/// stands for a run of it.
fn open(args: &TraceFile) -> Result<(Model, Replay, Option<String>), String> {
    let file = args.file.display();
    if crate::flight::is_flight(&args.file) {
        return Err(format!(
            "{file}: is of flight records, and tests and diagrams are made of runs of models; `synod trace show` tells them in words"
        ));
    }
    let is_model = args.file.extension().is_some_and(|extension| extension == "toml");
    if is_model || !args.file.exists() && synod_model::find(&file.to_string()).is_ok() {
        let models = from_path(&file.to_string()).map_err(|errors| words::all(&errors))?;
        let [model] = models.as_slice() else { return Err(format!("{file}: is more than one model")) };
        let (text, breaks) = run_of(model)?;
        let replay = replay(model, &text).map_err(|error| format!("{file}: {error}"))?;
        return Ok((model.clone(), replay, breaks));
    }
    let text = std::fs::read_to_string(&args.file).map_err(|error| format!("{file}: {error}"))?;
    let headers = synod_explore::trace::parse(&text).map_err(|error| format!("{file}: {error}"))?.headers;
    let header = |wanted: &str| headers.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone());
    let name = args.model.clone().or_else(|| header("model"));
    let Some(name) = name else {
        return Err(format!("{file}: names no model; add a line `# model: NAME`, or say --model NAME"));
    };
    let models = from_path(&name).map_err(|errors| words::all(&errors))?;
    let [model] = models.as_slice() else { return Err(format!("{name}: is more than one model")) };
    let replay = replay(model, &text).map_err(|error| format!("{file}: {error}"))?;
    let breaks = header("breaks").and_then(|text| text.split(':').next().map(str::to_owned));
    Ok((model.clone(), replay, breaks))
}

/// Prints every step with what it showed; as expected when just that falls which the trace says.
fn replayed(replay: &Replay, breaks: Option<&str>) -> u8 {
    let steps = replay.text.lines().filter(|text| !text.starts_with('#') && !text.trim().is_empty());
    let mut number = 0;
    let show = |step: usize| {
        for (_, property, status, detail) in replay.judged.iter().filter(|judged| judged.0 == step) {
            let style = if *status == Status::Violated { RED } else { GREEN };
            let detail = detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            line(&format!("     {}", paint(style, &format!("{property} {status}{detail}"))));
        }
    };
    show(0);
    for text in steps {
        if text.trim() == "cycle" {
            line(&paint(DIM, "     from here on for ever"));
            continue;
        }
        number += 1;
        line(&format!("{number:3}  {text}"));
        show(number);
    }
    if let Some(cycle) = &replay.cycle {
        line(&format!("     the last state is the one in which the cycle begins; {cycle}"));
    }
    let fell =
        |name: &str| replay.judged.iter().any(|(_, p, status, _)| *p == name && *status == Status::Violated);
    let any = replay.judged.iter().any(|(_, _, status, _)| *status == Status::Violated);
    let (text, ok) = match breaks {
        Some(property) if fell(property) => (format!("{property} falls, as the trace says"), true),
        Some(property) => (format!("{property} does not fall, though the trace says so"), false),
        None if any => ("a property falls, and the trace says nothing of it".to_owned(), false),
        None => ("every property holds in every state of it".to_owned(), true),
    };
    line(&paint(if ok { GREEN } else { RED }, &text));
    if ok { crate::status::OK } else { crate::status::FAILED }
}

/// A test that replays the trace and expects what it says.
fn rust_test(model: &Model, replay: &Replay, breaks: Option<&str>) -> String {
    let identifier = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
    };
    let ending = breaks.map_or("holds".to_owned(), |property| format!("breaks_{}", identifier(property)));
    let embedded = synod_model::find(&model.name).is_ok();
    let read = if embedded {
        format!("synod_model::find({:?})", model.name)
    } else {
        format!("synod_model::Model::read({:?}, r####\"{}\"####)", model.name, model.text)
    };
    let expectation = match breaks {
        Some(property) => format!(
            "assert!(replay.judged.iter().any(|(_, name, status, _)| *name == {property:?} && status.word() == \"violated\"));"
        ),
        None => {
            "assert!(replay.judged.iter().all(|(_, _, status, _)| status.word() != \"violated\"));".to_owned()
        }
    };
    let mut test = String::new();
    let _ = write!(
        test,
        "#[test]\nfn {}_{ending}() {{\n    let model = {read}.expect(\"the model is right\");\n    \
         let trace = r####\"{}\"####;\n    \
         let replay = synod_model::replay(&model, trace).expect(\"every step is possible\");\n    {expectation}\n}}",
        identifier(&model.name),
        replay.text,
    );
    test
}
