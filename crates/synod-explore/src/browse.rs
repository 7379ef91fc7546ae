//! A system for stateright's Explorer. A panic of user code is shown as a state, and ends nothing.

use crate::model::{SLOTS, slots};
use crate::observer::Observer;
use crate::property::{Check, Expectation};
use crate::state::State;
use crate::system::System;
use crate::{Action, Subject, panics};
use stateright::{Model, Path, Property};
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};

/// A system to be browsed. [`System`] is a model by itself, in which a panic is a panic.
#[derive(Clone)]
pub struct Browsed<A: Subject, O: Observer<A>>(pub System<A, O>);

/// The state that is shown after a step.
pub enum Seen<A: Subject, O: Observer<A>> {
    /// A state.
    State(State<A, O>),
    /// A panic and its message. It has no successors.
    Panic(String),
}

impl<A: Subject, O: Observer<A>> Clone for Seen<A, O> {
    fn clone(&self) -> Self {
        match self {
            Self::State(state) => Self::State(state.clone()),
            Self::Panic(message) => Self::Panic(message.clone()),
        }
    }
}

impl<A: Subject, O: Observer<A>> PartialEq for Seen<A, O> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::State(a), Self::State(b)) => a == b,
            (Self::Panic(a), Self::Panic(b)) => a == b,
            _ => false,
        }
    }
}

impl<A: Subject, O: Observer<A>> Hash for Seen<A, O> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Self::State(state) => state.hash(hasher),
            Self::Panic(message) => message.hash(hasher),
        }
    }
}

impl<A: Subject, O: Observer<A>> Debug for Seen<A, O> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => state.fmt(f),
            Self::Panic(message) => write!(f, "panicked: {message}"),
        }
    }
}

/// True if a property is true in a state. A property that panics, or is asked about a panic, decides nothing.
fn answer<A: Subject, O: Observer<A>, const INDEX: usize>(
    browsed: &Browsed<A, O>,
    seen: &Seen<A, O>,
) -> bool {
    answer_at(browsed, seen, INDEX)
}

/// The same with the index as a value: the functions of all indices share its code.
fn answer_at<A: Subject, O: Observer<A>>(browsed: &Browsed<A, O>, seen: &Seen<A, O>, index: usize) -> bool {
    let property = &browsed.0.properties[index];
    let answer = match seen {
        Seen::State(state) => panics::capture(|| property.of_state(state)).ok().flatten(),
        Seen::Panic(_) => None,
    };
    answer.map_or(property.expectation == Expectation::Always, |answer| answer.is_ok())
}

impl<A: Subject, O: Observer<A>> Model for Browsed<A, O> {
    type State = Seen<A, O>;
    type Action = Action<A>;

    fn init_states(&self) -> Vec<Self::State> {
        vec![panics::capture(|| self.0.initial()).map_or_else(Seen::Panic, Seen::State)]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        if let Seen::State(state) = state {
            actions.append(&mut self.0.possible(state));
        }
    }

    fn next_state(&self, state: &Self::State, action: Self::Action) -> Option<Self::State> {
        let Seen::State(state) = state else { return None };
        match panics::capture(|| self.0.step(state, &action)) {
            Ok(next) => next.map(Seen::State),
            Err(message) => Some(Seen::Panic(message)),
        }
    }

    fn format_action(&self, action: &Self::Action) -> String {
        self.0.describe(action)
    }

    fn format_step(&self, state: &Self::State, action: Self::Action) -> Option<String> {
        let Seen::State(state) = state else { return None };
        let what = self.0.describe(&action);
        match panics::capture(|| self.0.step(state, &action).map(|_| self.0.format_step(state, action))) {
            Ok(text) => text.flatten(),
            Err(message) => Some(format!("{what}\n\npanicked: {message}\n")),
        }
    }

    fn as_svg(&self, path: Path<Self::State, Self::Action>) -> Option<String> {
        let panics = matches!(path.last_state(), Seen::Panic(_));
        let mut actions = path.into_actions();
        if panics {
            // It has no arrow, as its sends are not known.
            actions.pop();
        }
        panics::capture(|| crate::diagram::Diagram::new(&self.0, &actions).explorer_svg()).ok()
    }

    /// Those of the system, as far as stateright can be asked about them, and that nothing panics.
    fn properties(&self) -> Vec<Property<Self>> {
        let conditions: [fn(&Self, &Self::State) -> bool; SLOTS] = slots!(answer, A, O);
        let askable = self.0.properties.iter().zip(conditions);
        let askable = askable.filter(|(property, _)| !matches!(property.check, Check::Note(_)));
        let mut properties = vec![Property::always("nothing panics", |_: &Self, seen: &Self::State| {
            !matches!(seen, Seen::Panic(_))
        })];
        properties.extend(askable.map(|(property, condition)| Property {
            expectation: property.expectation.into(),
            name: property.name,
            condition,
        }));
        properties
    }

    fn within_boundary(&self, seen: &Self::State) -> bool {
        match seen {
            Seen::State(state) => panics::capture(|| self.0.admits(state)) == Ok(true),
            Seen::Panic(_) => true,
        }
    }
}
