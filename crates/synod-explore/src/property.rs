//! A property is a name, an expectation and a plain function. A breach is described in words.

use crate::Subject;
use crate::observer::Observer;
use crate::state::{Local, State};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// The expectation of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expectation {
    /// It must be true everywhere.
    Always,
    /// It must be true somewhere: a witness that the exploration reached its hard case.
    Sometimes,
    /// Nothing is expected of it. It is the premise of the property of this name: if it is true nowhere, that property was
    /// not put to the test ([`Status::Hollow`](crate::Status::Hollow)).
    Premise(&'static str),
    /// It must come about on every fair run. Never that of a [`Property`], but of a
    /// [`LiveProperty`](crate::liveness::LiveProperty), which exploring leaves undecided.
    Eventually,
}

impl From<Expectation> for stateright::Expectation {
    fn from(expectation: Expectation) -> Self {
        match expectation {
            Expectation::Always => Self::Always,
            Expectation::Sometimes | Expectation::Premise(_) => Self::Sometimes,
            Expectation::Eventually => Self::Eventually,
        }
    }
}

/// A shared function that returns `Ok` if the property is true, and otherwise the reason why not.
pub type Predicate<T> = Arc<dyn Fn(&T) -> Result<(), String> + Send + Sync>;

/// The subject and the function of a property. The smaller its subject, the less often it has to be asked.
pub enum Check<A: Subject, O: Observer<A>> {
    /// Asked once per distinct history.
    History(Predicate<O::History>),
    /// Asked once per distinct note.
    Note(Predicate<O::Note>),
    /// Asked once per actor and distinct [`Local`] of it, with the actor's index.
    Local(LocalPredicate<A>),
    /// Asked once per combination of all actors' locals. It sees neither messages on the network nor the history.
    Locals(LocalsPredicate<A>),
    /// Asked of every state.
    State(Predicate<State<A, O>>),
}

/// A [`Predicate`] of an actor's index and its local.
pub type LocalPredicate<A> = Arc<dyn Fn(&(usize, &Local<A>)) -> Result<(), String> + Send + Sync>;

/// A [`Predicate`] of the locals of all actors, by their index.
pub type LocalsPredicate<A> = Arc<dyn Fn(&[Arc<Local<A>>]) -> Result<(), String> + Send + Sync>;

impl<A: Subject, O: Observer<A>> Clone for Check<A, O> {
    fn clone(&self) -> Self {
        match self {
            Self::History(check) => Self::History(Arc::clone(check)),
            Self::Note(check) => Self::Note(Arc::clone(check)),
            Self::Local(check) => Self::Local(Arc::clone(check)),
            Self::Locals(check) => Self::Locals(Arc::clone(check)),
            Self::State(check) => Self::State(Arc::clone(check)),
        }
    }
}

/// A named expectation about every run of a system.
pub struct Property<A: Subject, O: Observer<A>> {
    /// Its name, unique in a system.
    pub name: &'static str,
    /// True if it is to hold everywhere or to be reached somewhere.
    pub expectation: Expectation,
    /// The function to ask.
    pub check: Check<A, O>,
}

impl<A: Subject, O: Observer<A>> Property<A, O> {
    /// Every history must be sound; `Err` describes the breach.
    pub fn always_history(
        name: &'static str,
        check: impl Fn(&O::History) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, expectation: Expectation::Always, check: Check::History(Arc::new(check)) }
    }

    /// Some run is to have such a history.
    pub fn sometimes_history(
        name: &'static str,
        check: impl Fn(&O::History) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, expectation: Expectation::Sometimes, check: Check::History(witness(check)) }
    }

    /// Some run is to take such a step, be it one that its actor ignores.
    pub fn sometimes_note(
        name: &'static str,
        check: impl Fn(&O::Note) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, expectation: Expectation::Sometimes, check: Check::Note(witness(check)) }
    }

    /// Every actor must be sound by itself; `Err` describes the breach.
    pub fn always_local(
        name: &'static str,
        check: impl Fn(usize, &Local<A>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let check: LocalPredicate<A> = Arc::new(move |(actor, local)| check(*actor, local));
        Self { name, expectation: Expectation::Always, check: Check::Local(check) }
    }

    /// Some actor is to come to such a local.
    pub fn sometimes_local(
        name: &'static str,
        check: impl Fn(usize, &Local<A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let check: LocalPredicate<A> =
            Arc::new(move |(actor, local)| if check(*actor, local) { Ok(()) } else { Err(String::new()) });
        Self { name, expectation: Expectation::Sometimes, check: Check::Local(check) }
    }

    /// All actors together must be sound, such as that only one of them leads; `Err` describes the breach.
    pub fn always_locals(
        name: &'static str,
        check: impl Fn(&[Arc<Local<A>>]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, expectation: Expectation::Always, check: Check::Locals(Arc::new(check)) }
    }

    /// Some run is to bring all actors together to such locals.
    pub fn sometimes_locals(
        name: &'static str,
        check: impl Fn(&[Arc<Local<A>>]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let check: LocalsPredicate<A> =
            Arc::new(move |locals| if check(locals) { Ok(()) } else { Err(String::new()) });
        Self { name, expectation: Expectation::Sometimes, check: Check::Locals(check) }
    }

    /// Every state must be sound; `Err` describes the breach.
    pub fn always_state(
        name: &'static str,
        check: impl Fn(&State<A, O>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, expectation: Expectation::Always, check: Check::State(Arc::new(check)) }
    }

    /// Some run is to reach such a state.
    pub fn sometimes_state(
        name: &'static str,
        check: impl Fn(&State<A, O>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, expectation: Expectation::Sometimes, check: Check::State(witness(check)) }
    }

    /// Makes a witness the premise of another property: if it is never seen, that one was not put to the test.
    #[must_use]
    pub fn premise_of(self, property: &'static str) -> Self {
        Self { expectation: Expectation::Premise(property), ..self }
    }

    /// True if it is only the premise of another property.
    pub(crate) fn is_premise(&self) -> bool {
        matches!(self.expectation, Expectation::Premise(_))
    }

    /// The answer of the function for a state as a whole; `None` for a property of steps.
    pub(crate) fn of_state(&self, state: &State<A, O>) -> Option<Result<(), String>> {
        match &self.check {
            Check::History(check) => Some(check(&state.history)),
            Check::Locals(check) => Some(check(&state.locals)),
            Check::State(check) => Some(check(state)),
            Check::Note(_) => None,
            Check::Local(check) => {
                let mut answers =
                    state.locals.iter().enumerate().map(|(actor, local)| check(&(actor, local)));
                // One actor decides, for better or for worse.
                let decisive =
                    answers.find(|answer| answer.is_ok() == (self.expectation != Expectation::Always));
                Some(decisive.unwrap_or(match self.expectation {
                    Expectation::Always => Ok(()),
                    Expectation::Sometimes | Expectation::Premise(_) | Expectation::Eventually => {
                        Err(String::new())
                    }
                }))
            }
        }
    }

    /// The detail of the decision that an answer makes, empty for a witness; `None` if it decides nothing.
    pub(crate) fn finding(&self, answer: Result<(), String>) -> Option<String> {
        match (self.expectation, answer) {
            (Expectation::Always, Err(detail)) => Some(detail),
            (Expectation::Sometimes | Expectation::Premise(_), Ok(())) => Some(String::new()),
            _ => None,
        }
    }
}

fn witness<T: 'static>(check: impl Fn(&T) -> bool + Send + Sync + 'static) -> Predicate<T> {
    Arc::new(move |value| if check(value) { Ok(()) } else { Err(String::new()) })
}

impl<A: Subject, O: Observer<A>> Clone for Property<A, O> {
    fn clone(&self) -> Self {
        Self { name: self.name, expectation: self.expectation, check: self.check.clone() }
    }
}

impl<A: Subject, O: Observer<A>> Debug for Property<A, O> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.expectation, self.name)
    }
}
