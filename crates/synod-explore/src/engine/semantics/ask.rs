//! Answers of properties, given by index.

use super::values::Semantics;
use crate::engine::door::{About, Answer};
use crate::observer::Observer;
use crate::property::Check;
use crate::state::Local;
use crate::{Subject, panics};
use std::sync::Arc;

/// Asks properties about one value; see [`Door::ask`](crate::engine::door::Door::ask).
pub(super) fn ask<A: Subject, O: Observer<A>>(
    semantics: &Semantics<'_, A, O>,
    about: About<'_>,
    properties: &[usize],
) -> Result<Vec<Answer>, String> {
    let capture = |check: &dyn Fn() -> Result<(), String>| panics::capture(check);
    Ok(match about {
        About::History(components) => {
            let history = panics::capture(|| semantics.history(components))?;
            answers(semantics, properties, |check| match check {
                Check::History(check) => Some(capture(&|| check(&history))),
                _ => None,
            })
        }
        About::Note(note) => {
            let note = semantics.notes.get(note);
            answers(semantics, properties, |check| match check {
                Check::Note(check) => Some(capture(&|| check(note))),
                _ => None,
            })
        }
        About::Local(actor, local) => {
            let local: &Local<A> = semantics.locals.get(local);
            answers(semantics, properties, |check| match check {
                Check::Local(check) => Some(capture(&|| check(&(actor, local)))),
                _ => None,
            })
        }
        About::Locals(locals) => {
            let locals: Vec<_> =
                locals.iter().map(|local| Arc::clone(semantics.locals.get(*local))).collect();
            answers(semantics, properties, |check| match check {
                Check::Locals(check) => Some(capture(&|| check(&locals))),
                _ => None,
            })
        }
        About::State(whole) => {
            let state = panics::capture(|| semantics.state(whole));
            answers(semantics, properties, |check| match (check, &state) {
                (Check::State(check), Ok(state)) => Some(capture(&|| check(state))),
                (Check::State(_), Err(message)) => Some(Err(message.clone())),
                _ => None,
            })
        }
    })
}

/// The answer of a property: satisfied, or the reason why not; or the message of its panic.
type Answered = Result<Result<(), String>, String>;

/// The answers of some properties that decide them.
fn answers<A: Subject, O: Observer<A>>(
    semantics: &Semantics<'_, A, O>,
    properties: &[usize],
    question: impl Fn(&Check<A, O>) -> Option<Answered>,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for &index in properties {
        let property = &semantics.system.properties[index];
        match question(&property.check) {
            None => {}
            Some(Err(message)) => {
                answers.push((index, Err(format!("property {:?}: {message}", property.name))));
            }
            Some(Ok(answer)) => {
                answers.extend(property.finding(answer).map(|detail| (index, Ok(detail))));
            }
        }
    }
    answers
}
