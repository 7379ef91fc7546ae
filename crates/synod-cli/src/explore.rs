//! `synod explore`: the stateright Explorer on a model, with the link that opens a counterexample at its last step.

use crate::args::Explore;
use crate::front::{Front, Known};
use crate::output::{DIM, line, paint, seconds};
use crate::words;
use stateright::{Expectation, Model as _, Path};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use synod_explore::browse::{Browsed, Seen};
use synod_explore::{Action, Observer, Subject, System, trace};
use synod_model::{Built, Model, ScenarioFile, Settings, Verdict, check, from_path};

/// The longest search for a counterexample that a model's file does not promise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command; it ends only when it is stopped.
pub fn run(args: &Explore) -> Result<u8, String> {
    let model = match from_path(&args.model).map_err(|errors| words::all(&errors))?.as_slice() {
        [model] => model.clone(),
        models => {
            return Err(format!("{}: one model can be explored, here are {}", args.model, models.len()));
        }
    };
    let listen = free(args.listen)?;
    let text = match &args.trace {
        Some(file) => {
            Some(std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)
        }
        None if must_fall(&model) || is_unknown(&model) => {
            anstream::eprintln!("{}", paint(DIM, "looking for a counterexample ..."));
            let time = (!must_fall(&model)).then_some(PATIENCE);
            let settings = Settings { memory: crate::memory::share(1), time, ..Settings::default() };
            let outcome = check(&model, &settings);
            let found = if outcome.trace.is_some() { "found" } else { "none found" };
            anstream::eprintln!("{}", paint(DIM, &format!("{found} in {}", seconds(outcome.elapsed))));
            outcome.detail.iter().filter(|_| outcome.trace.is_some()).for_each(|detail| line(detail));
            outcome.trace
        }
        None => model.file.scenario.as_ref().map(ScenarioFile::trace),
    };
    line(&format!("{}: {}", model.name, model.file.about));
    match model.build() {
        Built::Plain(system) => serve(system, &model, text.as_deref(), listen),
        Built::Decorated(system) => serve(system, &model, text.as_deref(), listen),
        Built::Timed(system) => serve(system, &model, text.as_deref(), listen),
        Built::Admission(system) => serve(system, &model, text.as_deref(), listen),
        Built::Master(system) => serve(system, &model, text.as_deref(), listen),
        Built::Clock(system) => serve(system, &model, text.as_deref(), listen),
    }
}

/// Says that the model's file expects something to fall.
fn must_fall(model: &Model) -> bool {
    model.file.expect.property.is_some() || model.file.expect.verdict == Verdict::Panicked
}

/// Says that nobody has checked the model yet, as far as is known: it is neither of the catalogue nor one run.
fn is_unknown(model: &Model) -> bool {
    model.file.scenario.is_none() && synod_model::find(&model.name).is_err()
}

/// The address to serve on, made sure to be free; with port 0, one that is.
fn free(listen: SocketAddr) -> Result<SocketAddr, String> {
    let listener =
        TcpListener::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    listener.local_addr().map_err(|error| format!("cannot listen on {listen}: {error}"))
}

fn serve<A, O>(
    system: System<A, O>,
    model: &Model,
    text: Option<&str>,
    listen: SocketAddr,
) -> Result<u8, String>
where
    A: Subject + Clone,
    O: Observer<A>,
{
    line(&format!("Explorer:       http://{listen}/"));
    let browsed = Browsed(system);
    let mut known = Vec::new();
    if let Some(text) = text {
        let link = Link::new(&browsed, text)?;
        let address = &link.address;
        if let Some(message) = link.panic {
            line(&format!("panics:         {message}"));
            line(&format!("just before it: http://{listen}/#/steps/{address}"));
        } else if let Some(entry) = link.entry {
            line(&format!("cycle begins:   http://{listen}/#/steps/{entry}"));
            line(&format!("one full turn:  http://{listen}/#/steps/{address}"));
        } else {
            line(&format!("counterexample: http://{listen}/#/steps/{address}"));
        }
        known = link.known;
    }
    anstream::eprintln!("{}", paint(DIM, "Ctrl-C ends it"));
    let behind = free((Ipv4Addr::LOCALHOST, 0).into())?;
    let server = thread::spawn(move || drop(browsed.checker().serve(behind)));
    // Who asks before stateright's server listens would be told that it does not answer.
    while TcpStream::connect(behind).is_err() {
        if server.is_finished() {
            return Err(format!("the Explorer's server did not start on {behind}"));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Front { behind, model: format!("{}: {}", model.name, model.file.about), known }.serve(listen)?;
    Ok(crate::status::OK)
}

/// Where in the Explorer a trace is.
struct Link {
    /// Its last step; where that panics, the one before.
    address: String,
    /// The state in which its cycle begins, if it has one.
    entry: Option<String>,
    /// What the last step said when it panicked, if it did.
    panic: Option<String>,
    /// The properties that a state of it decides.
    known: Vec<Known>,
}

impl Link {
    /// The Explorer's address of a trace: the index of each step among those that were possible.
    fn new<A, O>(browsed: &Browsed<A, O>, text: &str) -> Result<Self, String>
    where
        A: Subject + Clone,
        O: Observer<A>,
    {
        let text = trace::parse(text).map_err(|error| error.to_string())?;
        let start = browsed.init_states().into_iter().next().ok_or("the model has no initial state")?;
        let path = |actions: &[_]| {
            Path::from_actions(browsed, start.clone(), actions)
                .ok_or("the trace has a step that the model ignores")
        };
        if let Seen::Panic(message) = &start {
            let path = path(&[])?;
            let known = decided(browsed, &path);
            return Ok(Self {
                address: path.encode(browsed),
                entry: None,
                panic: Some(message.clone()),
                known,
            });
        }
        match text.resolve(&browsed.0) {
            Ok(run) => {
                let whole = path(&run.actions)?;
                let address = whole.encode(browsed);
                let mut known = decided(browsed, &whole);
                let entry = run
                    .cycle
                    .map(|after| path(&run.actions[..after]).map(|path| path.encode(browsed)))
                    .transpose()?;
                let breaks = text.headers.iter().find(|(key, _)| key == "breaks").filter(|_| entry.is_some());
                known.extend(breaks.map(|(_, name)| Known {
                    expectation: "Eventually",
                    // Behind it stands how long the cycle is.
                    name: name.split(':').next().unwrap_or(name).to_owned(),
                    path: address.clone(),
                }));
                Ok(Self { address, entry, panic: None, known })
            }
            Err(error) => {
                let (run, last, message) = text.resolve_panic(&browsed.0).ok_or_else(|| error.to_string())?;
                let address = path(&run.actions)?.encode(browsed);
                let actions: Vec<_> = run.actions.into_iter().chain([last]).collect();
                let known = decided(browsed, &path(&actions)?);
                Ok(Self { address, entry: None, panic: Some(message), known })
            }
        }
    }
}

/// The properties that some state of a path decides: those that must always hold and do not, and those that must hold once and do. Each is
/// asked as the Explorer asks it, and has the path to the first such state.
fn decided<A, O>(browsed: &Browsed<A, O>, path: &Path<Seen<A, O>, Action<A>>) -> Vec<Known>
where
    A: Subject + Clone,
    O: Observer<A>,
{
    let whole = path.encode(browsed);
    let ends: Vec<usize> = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]).collect();
    let states = path.clone().into_states();
    let known = browsed.properties().into_iter().filter_map(|property| {
        let (expectation, decides) = match property.expectation {
            Expectation::Always => ("Always", false),
            Expectation::Sometimes => ("Sometimes", true),
            Expectation::Eventually => return None,
        };
        let first = states.iter().position(|state| (property.condition)(browsed, state) == decides)?;
        let path = whole[..*ends.get(first)?].to_owned();
        Some(Known { expectation, name: property.name.to_owned(), path })
    });
    known.collect()
}
