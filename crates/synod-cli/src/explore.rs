//! `synod explore`: the stateright Explorer on a model, with the link that opens a counterexample at its last step.

use crate::args::Explore;
use crate::output::{DIM, line, paint, seconds};
use stateright::{Model as _, Path};
use std::net::{SocketAddr, TcpListener};
use synod_explore::{Observer, Subject, System, trace};
use synod_model::{Built, ScenarioFile, Settings, check, from_path};

/// Runs the command; it ends only when it is stopped.
pub fn run(args: &Explore) -> Result<u8, String> {
    let model = match from_path(&args.model).map_err(|error| error.to_string())?.as_slice() {
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
        None if model.file.expect.property.is_some() || model.file.expect.verdict == "panicked" => {
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
    if let Some(text) = text {
        let (address, entry) = addresses(&system, text)?;
        if let Some(entry) = entry {
            line(&format!("cycle begins:   http://{listen}/#/steps/{entry}"));
            line(&format!("one full turn:  http://{listen}/#/steps/{address}"));
        } else {
            line(&format!("counterexample: http://{listen}/#/steps/{address}"));
        }
    }
    anstream::eprintln!("{}", paint(DIM, "Ctrl-C ends it"));
    let _checker = system.checker().serve(listen);
    Ok(crate::OK)
}

/// The Explorer's address of a trace: the index of each step among those that were possible. And that of the state in which its cycle
/// begins, if it has one.
fn addresses<A, O>(system: &System<A, O>, text: &str) -> Result<(String, Option<String>), String>
where
    A: Subject + Clone,
    O: Observer<A>,
{
    let run = trace::parse(text).and_then(|text| text.resolve(system)).map_err(|error| error.to_string())?;
    let start = system.init_states().into_iter().next().ok_or("the model has no initial state")?;
    let address = |actions| {
        let path = Path::from_actions(system, start.clone(), actions);
        Ok::<_, String>(path.ok_or("the trace has a step that the model ignores")?.encode(system))
    };
    let entry = run.cycle.map(|after| address(&run.actions[..after])).transpose()?;
    Ok((address(&run.actions)?, entry))
}
