//! `synod explore`: the stateright Explorer on a model, with the link that opens a counterexample at its last step.

use crate::args::Explore;
use crate::output::{DIM, line, paint, seconds};
use crate::words;
use stateright::{Model as _, Path};
use std::net::{SocketAddr, TcpListener};
use synod_explore::browse::{Browsed, Seen};
use synod_explore::{Observer, Subject, System, trace};
use synod_model::{Built, ScenarioFile, Settings, Verdict, check, from_path};

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
        None if model.file.expect.property.is_some() || model.file.expect.verdict == Verdict::Panicked => {
            anstream::eprintln!("{}", paint(DIM, "looking for the counterexample ..."));
            let outcome = check(&model, &Settings { memory: crate::memory::share(1), ..Settings::default() });
            anstream::eprintln!("{}", paint(DIM, &format!("found in {}", seconds(outcome.elapsed))));
            outcome.detail.iter().for_each(|detail| line(detail));
            outcome.trace
        }
        None => model.file.scenario.as_ref().map(ScenarioFile::trace),
    };
    line(&format!("{}: {}", model.name, model.file.about));
    match model.build() {
        Built::Plain(system) => serve(system, text.as_deref(), listen),
        Built::Mutant(system) => serve(system, text.as_deref(), listen),
        Built::Admission(system) => serve(system, text.as_deref(), listen),
    }
}

/// The address to serve on, made sure to be free; with port 0, one that is.
fn free(listen: SocketAddr) -> Result<SocketAddr, String> {
    let listener =
        TcpListener::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    listener.local_addr().map_err(|error| format!("cannot listen on {listen}: {error}"))
}

fn serve<A, O>(system: System<A, O>, text: Option<&str>, listen: SocketAddr) -> Result<u8, String>
where
    A: Subject + Clone,
    O: Observer<A>,
{
    line(&format!("Explorer:       http://{listen}/"));
    let browsed = Browsed(system);
    if let Some(text) = text {
        let Link { address, entry, panic } = link(&browsed, text)?;
        if let Some(message) = panic {
            line(&format!("panics:         {message}"));
            line(&format!("just before it: http://{listen}/#/steps/{address}"));
        } else if let Some(entry) = entry {
            line(&format!("cycle begins:   http://{listen}/#/steps/{entry}"));
            line(&format!("one full turn:  http://{listen}/#/steps/{address}"));
        } else {
            line(&format!("counterexample: http://{listen}/#/steps/{address}"));
        }
    }
    anstream::eprintln!("{}", paint(DIM, "Ctrl-C ends it"));
    let _checker = browsed.checker().serve(listen);
    Ok(crate::OK)
}

/// Where in the Explorer a trace is.
struct Link {
    /// Its last step; where that panics, the one before.
    address: String,
    /// The state in which its cycle begins, if it has one.
    entry: Option<String>,
    /// What the last step said when it panicked, if it did.
    panic: Option<String>,
}

/// The Explorer's address of a trace: the index of each step among those that were possible.
fn link<A, O>(browsed: &Browsed<A, O>, text: &str) -> Result<Link, String>
where
    A: Subject + Clone,
    O: Observer<A>,
{
    let text = trace::parse(text).map_err(|error| error.to_string())?;
    let start = browsed.init_states().into_iter().next().ok_or("the model has no initial state")?;
    let address = |actions: &[_]| {
        let path = Path::from_actions(browsed, start.clone(), actions);
        Ok::<_, String>(path.ok_or("the trace has a step that the model ignores")?.encode(browsed))
    };
    if let Seen::Panic(message) = &start {
        return Ok(Link { address: address(&[])?, entry: None, panic: Some(message.clone()) });
    }
    match text.resolve(&browsed.0) {
        Ok(run) => {
            let entry = run.cycle.map(|after| address(&run.actions[..after])).transpose()?;
            Ok(Link { address: address(&run.actions)?, entry, panic: None })
        }
        Err(error) => {
            let (run, _, message) = text.resolve_panic(&browsed.0).ok_or_else(|| error.to_string())?;
            Ok(Link { address: address(&run.actions)?, entry: None, panic: Some(message) })
        }
    }
}
