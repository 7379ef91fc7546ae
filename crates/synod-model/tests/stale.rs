//! A stale question promises the answer of some beginning of the log. It is asked of every server of a model of a log, and may arrive
//! in every state.

use stateright::actor::{Envelope, Id};
use std::collections::BTreeMap;
use synod::{Ask, LogEntry, Machine, Msg, Process, Value, commands};
use synod_explore::{Options, Property, Subject, System, Verdict, explore};
use synod_model::{Built, Ghost, History, Inside, Ledger, Model, find};

/// Somebody who is no process of the model, and the number of the question.
const ASKER: usize = 50;
const NUMBER: u64 = 77;
const PROMISE: &str = "a stale answer is that of a beginning of the log";

fn question() -> Value {
    Value::from("get")
}

/// The answers of all beginnings of the chosen log.
fn answers(model: &Model, history: &History) -> Vec<Value> {
    let mut machine = Ledger::shared().copy();
    let answer = |machine: &dyn Machine| machine.query(&question()).expect("it is a question");
    // A value may be chosen in several ballots of an instance, and is one value of the log.
    let chosen: BTreeMap<_, _> =
        history.chosen(&model.cluster.quorums).map(|(at, _, value)| (at.0, (at, value))).collect();
    let mut answers = vec![answer(&*machine)];
    for next in 0.. {
        let Some((at, value)) = chosen.get(&next) else { return answers };
        for logged in commands(value).iter().filter_map(LogEntry::read) {
            machine.execute(*at, &logged);
        }
        answers.push(answer(&*machine));
    }
    answers
}

/// True if the promise holds in a model, false if it falls; and if some answer was given of a log that had begun.
fn promise<A>(model: &Model, mut system: System<A, Ghost>) -> (Option<bool>, bool)
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    let ask = |dst: &Id| {
        let msg = Msg::Ask(Ask::StaleQuery { number: NUMBER, command: question() });
        Envelope { src: Id::from(ASKER), dst: *dst, msg }
    };
    system.initial_envelopes.extend(model.cluster.learners.iter().map(ask));
    let said = |msg: &Msg| match msg {
        Msg::Output { number: NUMBER, output } => Some(output.clone()),
        _ => None,
    };
    let judged = model.clone();
    system.properties = vec![
        Property::always_state(PROMISE, move |state: &synod_explore::State<A, Ghost>| {
            let answers = answers(&judged, &state.history);
            match state
                .network
                .heads()
                .iter()
                .filter_map(|head| said(head.msg))
                .find(|o| !answers.contains(o))
            {
                Some(output) => Err(format!("{output:?} was answered, and beginnings answer {answers:?}")),
                None => Ok(()),
            }
        }),
        Property::sometimes_state("answered", move |state: &synod_explore::State<A, Ghost>| {
            let nothing = Ledger::shared().query(&question());
            state.network.heads().iter().filter_map(|head| said(head.msg)).any(|said| Some(said) != nothing)
        }),
    ];
    let report = explore(&system, &Options { threads: 2, ..Options::default() });
    let is_answered =
        report.finding("answered").is_some_and(|f| f.status == synod_explore::Status::Witnessed);
    println!("{}: {:?}, {} states", model.name, report.verdict, report.unique_states);
    let holds = match report.verdict {
        Verdict::Holds => Some(true),
        Verdict::Violated { property: PROMISE } => Some(false),
        _ => None,
    };
    (holds, is_answered)
}

fn judged(model: &Model) -> (Option<bool>, bool) {
    match model.build() {
        Built::Plain(system) => promise::<Process>(model, system),
        Built::Decorated(system) => promise(model, system),
        _ => unreachable!("it is of the roles"),
    }
}

#[test]
fn a_stale_answer_is_that_of_a_beginning_of_the_log() {
    for name in ["mutants/executes-past-gap", "log/two-crash"] {
        let model = find(name).expect("it is in the catalogue");
        let text = model.text.replace("mutant = \"executes-past-gap\"\n", "");
        let text = text.split("[expect]").next().expect("it has a beginning").to_owned();
        let model = Model::read(name, &format!("{text}[expect]\nverdict = \"holds\"\n")).expect("a model");
        assert_eq!(judged(&model), (Some(true), true), "{name}");
    }
}

#[test]
fn a_server_that_executes_what_is_not_due_breaks_the_promise() {
    for name in ["mutants/executes-past-gap", "mutants/executes-out-of-order"] {
        let model = find(name).expect("it is in the catalogue");
        assert_eq!(judged(&model).0, Some(false), "{name}");
    }
}
